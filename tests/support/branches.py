"""Chains that branch: wherever a script comes by a place that posts money, a fault strikes.

    script ──────── place ───────────── place ───────────── end
                      ├─ a grain made     ├─ a grain made         each branch is a process of
                      └─ a grain lost     └─ a grain lost         its own, and ends in a verdict

The script itself goes on as if nothing had happened, so that it comes by everything once. A script
is any code that acts on a `Chain`; what it asserts, or makes of a call that failed, is no matter in
a branch, for that is judged by the chain alone.
"""

import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from runtime.balances import Balances, MintCause
from runtime.balances.nouns import LedgerBreak, LedgerBroken, OutflowsFrozen
from runtime.block import ExecResult
from runtime.frame.errors import InvalidBlock, LedgerFault
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from tests.support.faults import GRIST, Site, spoil, watched
from tests.support.runtime import Chain, stranger

BALANCES = 5
PAYER, PAYEE = stranger(0xFA01), stranger(0xFA02)
PATIENCE = 60
"""Seconds after which a branch is given up; the slowest takes two."""

UNDONE = "undone"
"""The verdict on a fault that went with an attempt which failed for another reason."""

FORGIVEN_AFTER = 4
"""Blocks in which a branch goes on with the module frozen, each checked against all invariants."""

BLOCKS_AFTER = 22
"""Blocks that a branch goes on: what a frozen module had to do is put back by sixteen."""


class _Over(Exception):
    """The fault has struck, and its block is all that the script has to do with."""


@dataclass(frozen=True)
class Place:
    """A site, with the module whose code ran there and how many checkpoints were open."""

    site: Site
    acting: int
    depth: int

    def __str__(self) -> str:
        return f"{self.site}, module {self.acting}, depth {self.depth}"


@dataclass(frozen=True)
class Strike:
    """A fault that struck."""

    place: Place
    grains: int

    @property
    def acting(self) -> int:
        return self.place.acting


@dataclass
class Tree:
    """A script with all its branches: where it came by, and what was wrong in branches."""

    visited: dict[Place, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    passed: Callable[[Place], bool] = lambda _: False
    chain: Chain | None = None
    strike: Strike | None = None
    is_closed: bool = False
    pipe: int = -1

    def visit(self, balances: Balances, site: Site) -> None:
        """Branch here, unless a branch did already; outside a step of a block nothing strikes.

        What was only tried, and is undone with all that it did, is a place to come by again.
        """
        place = Place(site, balances.ctx.acting, balances.ctx.depth)
        if self.strike or not place.depth or place in self.visited or self.passed(place):
            return
        verdicts = []
        for grains in (1, -1):
            verdict = self.branch()
            if verdict is None:
                self.strike = Strike(place, grains)
                spoil(balances, _richest(balances), grains)
                return
            verdicts.append(verdict)
        if verdicts != [UNDONE, UNDONE]:
            self.visited[place] = True
            self.problems += [verdict for verdict in verdicts if verdict]

    def branch(self) -> str | None:
        """Split in two: the trunk gets the verdict when the branch has come to its end.

        Gives None in the branch.
        """
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.close(reading)
            self.pipe = writing
            signal.alarm(PATIENCE)
            return None
        os.close(writing)
        with os.fdopen(reading) as told:
            verdict = told.read()
        _, status = os.waitpid(process, 0)
        return verdict or (f"a branch ended with status {status}" if status else "")

    def end(self, error: BaseException | None) -> None:
        """Write the verdict of a branch and end its process: no more of the tests is run in it."""
        try:
            verdict = "; ".join(self.judge(error))
        except BaseException:  # noqa: BLE001  # no test goes on in a branch
            verdict = traceback.format_exc()
        if verdict and verdict != UNDONE:
            assert self.strike is not None
            verdict = f"{self.strike.place}, {self.strike.grains:+}: {verdict}"
        os.write(self.pipe, verdict.encode())
        os._exit(0)

    def judge(self, error: BaseException | None) -> Iterator[str]:
        """Say what is wrong in a branch, whose script ended with this error."""
        chain, strike = self.chain, self.strike
        assert chain is not None
        assert strike is not None
        runtime = chain.runtime
        if not self._end_block(chain, error):
            yield "the block is refused"
            return
        at, last = chain.height, chain.last
        chain.open()
        if not runtime.balances.ledger_breaks and not runtime.ctx.frozen:
            yield UNDONE
            return
        yield from _judge_records(runtime, strike, at, last)
        yield from _judge_outflows(chain, strike)
        for block in range(BLOCKS_AFTER):
            if block == FORGIVEN_AFTER:
                runtime.balances.forgive(strike.acting)
            chain.close()
            chain.open()
        chain.close()
        if strike.acting in runtime.ctx.frozen:
            yield "the module is still frozen"

    def _end_block(self, chain: Chain, error: BaseException | None) -> bool:
        """Finish the block in which the fault struck; gives False when it cannot be one."""
        runtime = chain.runtime
        if isinstance(error, LedgerFault):  # out of a call that a test runs as a vote would
            runtime.ctx.revert(1)
            runtime.balances.record_break(error.module_index, error.difference)
        try:
            if not self.is_closed:
                chain.close()
        except InvalidBlock:
            return False
        return not isinstance(error, InvalidBlock)


def _richest(balances: Balances) -> AccountId:
    """Somebody who has a grain to lose."""
    return max(balances.system.account.items(), key=lambda entry: entry[1].data.free)[0]


def _judge_records(
    runtime: Runtime, strike: Strike, at: int, last: ExecResult | None
) -> Iterator[str]:
    made, lost = max(strike.grains, 0), max(-strike.grains, 0)
    breaks = runtime.balances.ledger_breaks
    if breaks != (LedgerBreak(strike.acting, at, made, lost),):
        yield f"the breaks are {breaks}"
    event = LedgerBroken(strike.acting, made, lost).encode()
    if last is None or event not in b"".join(last.receipts):
        yield "no receipt tells who broke the books"
    if runtime.ctx.state.money != runtime.balances.total_issuance:
        yield "the grain is still there"


def _judge_outflows(chain: Chain, strike: Strike) -> Iterator[str]:
    """From the next block on the module pays nothing, and people pay each other."""
    ctx, balances = chain.runtime.ctx, chain.runtime.balances
    balances.mint(MintCause.GENESIS, PAYER, 100 * GRIST)
    acting, ctx.acting = ctx.acting, strike.acting
    with suppress(OutflowsFrozen):
        balances.check_outflows()
        yield "the module still pays"
    ctx.acting = acting
    if strike.acting != BALANCES:
        is_done = chain.apply(chain.transfer(PAYEE, GRIST), PAYER)
        if not is_done or chain.free(PAYEE) != GRIST:
            yield "people cannot pay each other"


@contextmanager
def _followed(tree: Tree) -> Iterator[None]:
    """Note which chain a script acts on, and end it after the block in which a fault struck."""
    honest_open, honest_close = Chain.open, Chain.close

    def open_next(chain: Chain, **changes: Any) -> Runtime:
        if tree.strike:
            tree.is_closed = True
            raise _Over
        tree.chain = chain
        return honest_open(chain, **changes)

    def close(chain: Chain) -> ExecResult:
        if tree.strike:
            raise _Over
        result = honest_close(chain)
        if tree.strike:
            tree.is_closed = True
            raise _Over
        return result

    Chain.open, Chain.close = open_next, close  # type: ignore[method-assign]  # for a while
    try:
        yield
    finally:
        Chain.open, Chain.close = honest_open, honest_close  # type: ignore[method-assign]  # back


def grow(script: Callable[[], object], passed: Callable[[Place], bool] = lambda _: False) -> Tree:
    """Run a script with a branch for each place that it comes by and `passed` does not know."""
    tree = Tree(passed=passed)
    error: BaseException | None = None
    try:
        with watched(tree.visit), _followed(tree):
            script()
    except BaseException as raised:
        if not tree.strike:
            raise
        error = raised
    if tree.strike:
        tree.end(error)
    return tree
