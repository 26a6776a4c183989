"""Planted faults: a grain made or lost at any place in the runtime where money is posted.

The places are read from the sources: every call of the kernel of Balances. A world is a chain that
scripts act on; the fault strikes the first time that a script comes by its place, and never again.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from ext import hashing
from runtime.balances import TREASURY, Balances, MintCause
from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.frame.errors import InvalidBlock
from runtime.primitives import AccountId
from tests.support.runtime import ROOT, Chain, person

KERNEL = ("move", "mint", "destroy", "hold", "release", "take_held", "pay_held", "burn_held")
BY_THE_MARKET = ("insurance.py", "balances/module.py pay_held", "staking/eras.py _fill_pot move")
"""Older places that only the market comes by."""

GRIST = 10**9


@dataclass(frozen=True)
class Site:
    """A place in the sources that posts money: file under runtime/, function, lines, posting."""

    path: str
    function: str
    first: int
    last: int
    method: str

    def __str__(self) -> str:
        return f"{self.path} {self.function} {self.method} {self.first}"

    @property
    def is_of_market(self) -> bool:
        """Whether scripts of the market are to come by here, and not those of older modules."""
        return str(self).startswith(("market/", *BY_THE_MARKET))


@cache
def find_sites() -> tuple[Site, ...]:
    """Read every call of the kernel from the sources of the runtime."""
    found = []
    for path in sorted((ROOT / "runtime").rglob("*.py")):
        name = path.relative_to(ROOT / "runtime").as_posix()
        for around in ast.walk(ast.parse(path.read_text())):
            if isinstance(around, ast.FunctionDef):
                found += [_site(name, around.name, call) for call in _postings(around, name)]
    return tuple(sorted(found, key=str))


def _postings(function: ast.FunctionDef, name: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [call for call in calls if _is_posting(call.func, name)]


def _site(name: str, function: str, call: ast.Call) -> Site:
    method = ast.unparse(call.func).rsplit(".", maxsplit=1)[-1]
    return Site(name, function, call.lineno, call.end_lineno or call.lineno, method)


def _is_posting(function: ast.expr, name: str) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in KERNEL:
        return False
    owner = ast.unparse(function.value)
    is_own = owner == "self" and name == "balances/module.py"
    return is_own or owner.rsplit(".", maxsplit=1)[-1].lstrip("_") == "balances"


class _Over(Exception):
    """The fault has struck and the block after it was made."""


@dataclass
class Fault:
    """A grain made (+1) or lost (-1) at a site; `acting` is the module whose code ran there."""

    site: Site | None
    grains: int
    acting: int | None = None
    visited: dict[Site, bool] | None = None

    @property
    def has_struck(self) -> bool:
        return self.acting is not None

    def visit(self, balances: Balances, site: Site) -> None:
        """Strike when this is the place."""
        if self.visited is not None:
            self.visited[site] = True
        if site == self.site and not self.has_struck:
            self.acting = balances.ctx.acting
            spoil(balances, TREASURY, self.grains)


Visit = Callable[[Balances, Site], None]
"""Told of a place where money was posted just now."""


@contextmanager
def watched(visit: Visit) -> Iterator[None]:
    """Tell of every place that the kernel of any Balances is called at meanwhile."""
    honest = {name: getattr(Balances, name) for name in KERNEL}

    def watch(name: str) -> Callable[..., Any]:
        def method(self: Balances, *arguments: Any, **named: Any) -> Any:
            frame = sys._getframe(1)
            given = honest[name](self, *arguments, **named)
            site = _site_at(frame.f_code.co_filename, frame.f_lineno, name)
            if site is not None and self.ctx.block.height:
                visit(self, site)
            return given

        return method

    for name in KERNEL:
        setattr(Balances, name, watch(name))
    try:
        yield
    finally:
        for name, method in honest.items():
            setattr(Balances, name, method)


def spoil(balances: Balances, who: AccountId, grains: int) -> None:
    """Make or lose grains of somebody behind the back of the kernel."""
    record = balances.ctx.state.account(who)
    balances.ctx.state.set_account(who, (*record[:4], record[4] + grains, *record[5:]))


@cache
def _sites_of(path: str, method: str) -> tuple[Site, ...]:
    return tuple(site for site in find_sites() if (site.path, site.method) == (path, method))


def _site_at(filename: str, line: int, method: str) -> Site | None:
    """The place of a call; the narrowest, where a call is an argument of another."""
    runtime = f"{ROOT / 'runtime'}/"
    if not filename.startswith(runtime):
        return None
    sites = _sites_of(filename.removeprefix(runtime), method)
    return next((site for site in sites if site.first <= line <= site.last), None)


class World:
    """A chain with an open block, and what scripts do on it; nothing here asserts."""

    def __init__(self, chain: Chain, fault: Fault) -> None:
        self.chain = chain
        self.fault = fault
        self.is_refused = False
        self.receipts: list[bytes] = []

    def begin(self) -> None:
        """Open the first block, and give the treasury something."""
        self.chain.open()
        self.runtime.balances.mint(MintCause.GENESIS, TREASURY, 1_000_000 * GRIST)
        self.block()

    @property
    def runtime(self) -> Any:
        return self.chain.runtime

    @property
    def height(self) -> int:
        return self.runtime.ctx.block.height

    def call(self, who: bytes, module: str, name: str, *arguments: Any) -> bytes:
        """Send a transaction; gives the error of its call."""
        data = self.chain.call(module, name, *arguments)
        self.chain.apply(data, who)
        return self.chain.executive.last_error

    def vote(self, module: str, name: str, *arguments: Any) -> bytes:
        """Run a call as an enacted vote does."""
        call = self.chain.call(module, name, *arguments)
        return self.runtime.referenda.proposals.run(call, b"")

    def block(self, **changes: Any) -> None:
        """Finish the block and open the next; over when the fault struck before this one."""
        struck_before = self.fault.has_struck
        try:
            result = self.chain.executive.finalize_block()
            self.receipts += result.receipts
            chain = self.chain
            chain.state.commit(chain.overlay)
            chain.height += 1
            chain.parent_hash = hashing.blake2b_256(chain.parent_hash + result.state_root)
            chain.open(**changes)
        except InvalidBlock:
            self.is_refused = True
            raise _Over from None
        if struck_before:
            raise _Over

    def blocks_after(self, count: int) -> None:
        """Go on after all is over; a refused block raises."""
        chain = self.chain
        for _ in range(count):
            root = chain.executive.finalize_block().state_root
            chain.state.commit(chain.overlay)
            chain.height += 1
            chain.parent_hash = hashing.blake2b_256(chain.parent_hash + root)
            chain.open()

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.block()

    def until(self, height: int) -> None:
        self.blocks(height - self.height)

    def offend(self, name: str) -> None:
        """Let a validator be reported for two votes at the last height."""
        session = self.chain.look().session
        members = {member.account: member.power for member in session.current_set}
        at = self.chain.height
        self.chain.runtime.ctx.enter(self.chain.overlay, self.chain.runtime.ctx.block)
        self.block(
            misbehaviour=(
                Misbehaviour(
                    kind=MisbehaviourKind.DUPLICATE_VOTE,
                    account=person(name),
                    height=at,
                    time_ms=self.chain.spec.time_ms + at * 1_000,
                    power=members[person(name)],
                    total_power=sum(members.values()),
                    evidence_hash=b"p" * 32,
                ),
            )
        )


def run(script: Callable[[World], None], make: Callable[[], Chain], fault: Fault) -> World:
    """Run a script with a fault, to the block after the one in which it struck."""
    world = World(make(), fault)
    with watched(fault.visit):
        try:
            world.begin()
            script(world)
            world.blocks(2)
        except _Over:
            pass
    return world
