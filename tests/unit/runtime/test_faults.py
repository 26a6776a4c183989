"""A grain made or lost at any place that posts money: the step is undone and its module frozen."""

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from ext import signing, store
from runtime.balances.nouns import LedgerBroken
from runtime.executive import Executive
from runtime.genesis import build_genesis
from runtime.possession import prove_possession
from runtime.session_keys import SessionKeys
from runtime.staking.nouns import STAKED
from tests.support import electorate
from tests.support.emission import public_table, rules_of
from tests.support.faults import GRIST, Fault, Site, World, _postings, find_sites, run
from tests.support.governance import aye
from tests.support.runtime import GENESIS_HASH, Chain, person, spec_of, stranger

ALICE, BOB, CHARLIE, DAVE, EVE, FERDIE = (
    person(name) for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
)
BALANCES = 5
STAKING = 8
SILENT = {
    ("balances/module.py", "genesis"): "genesis is no step of a block",
    ("staking/module.py", "_begin"): "genesis again",
}
"""Places that no block can come by, and why."""


def staked() -> Chain:
    return electorate.start()


def emitting() -> Chain:
    """A chain whose eras have budgets."""
    rules = rules_of(public_table(), issued=6_000_000 * GRIST)
    spec = replace(spec_of("dev"), emission=rules, era_epochs=1)
    return Chain(store.State.from_entries(build_genesis(spec).entries), Executive(), spec)


def people(world: World) -> None:
    """Payments that the store cannot do by itself, and a burn."""
    world.call(ALICE, "ConvictionVoting", "lock", GRIST)
    world.call(ALICE, "Balances", "transfer_allow_death", stranger(1), GRIST)
    world.call(ALICE, "Balances", "burn", GRIST, True)


def votes(world: World) -> None:
    """A proposal that times out, and one that is approved."""
    proposal = ("Inline", world.chain.call("Parameters", "set", "fees.base", 600_000))
    world.call(EVE, "Referenda", "submit", proposal, ("After", 0))
    world.call(EVE, "Referenda", "submit", proposal, ("After", 0))
    world.call(EVE, "Referenda", "place_decision_deposit", 1)
    for who in (ALICE, BOB, CHARLIE):
        world.call(who, "ConvictionVoting", "vote", 1, aye(900_000 * GRIST))
    world.blocks(24)
    world.until(world.runtime.referenda.timeout_at(2) + 1)


def spends(world: World) -> None:
    """A payment, and two grants: one comes to its end, one is stopped."""
    world.vote("Treasury", "spend", 5 * GRIST, BOB)
    world.vote("Treasury", "grant", BOB, DAVE, (GRIST,))
    world.vote("Treasury", "grant", BOB, DAVE, (GRIST, GRIST))
    world.block()
    world.call(DAVE, "Treasury", "accept_curator", 0)
    world.call(DAVE, "Treasury", "accept_curator", 1)
    world.call(DAVE, "Treasury", "release_milestone", 0)
    world.vote("Treasury", "stop", 1, True)


def bounties(world: World) -> None:
    """An envelope out of which a bounty is paid, and eras that burn some of the fees' share."""
    world.vote("Parameters", "set", "treasury.buyback_share", 25_000_000)
    world.vote("Treasury", "envelope", DAVE, 10 * GRIST)
    world.block()
    world.call(DAVE, "Treasury", "accept_curator", 0)
    world.call(DAVE, "Treasury", "grant_bounty", 0, b"f" * 32, BOB, GRIST)
    world.chain.apply(b"\x00\x00\x00", ALICE)
    world.blocks(9)


def stakes(world: World) -> None:
    """Bond, more, out, eras with rewards for a nominator, keys taken back, and a slash."""
    world.call(EVE, "Staking", "bond", 100 * GRIST, STAKED)
    world.call(EVE, "Staking", "bond_extra", 50 * GRIST)
    world.call(EVE, "Staking", "nominate", (ALICE, BOB, CHARLIE))
    world.call(FERDIE, "Staking", "bond", 100 * GRIST, ("Stash", None))
    world.call(FERDIE, "Staking", "nominate", (ALICE, BOB, CHARLIE))
    world.call(EVE, "Staking", "unbond", 20 * GRIST)
    world.blocks(34)
    for who in (EVE, FERDIE):
        world.call(who, "Staking", "withdraw_unbonded", 0)
    world.call(EVE, "Staking", "bond_extra", GRIST)
    world.call(FERDIE, "Staking", "bond_extra", GRIST)
    world.offend("Dave")
    world.blocks(30)


def keys(world: World) -> None:
    """Register keys, and take them back."""
    seeds = (b"c" * 32, b"v" * 32)
    public = SessionKeys(*(signing.public_key(seed) for seed in seeds))
    proof = prove_possession(
        consensus_seed=seeds[0], vrf_seed=seeds[1], genesis_hash=GENESIS_HASH, account=EVE
    )
    world.call(EVE, "Session", "set_keys", public, proof)
    world.call(EVE, "Session", "purge_keys")


def grants(world: World) -> None:
    """An offer that is declined, one that is taken, revoked and collected."""
    start = world.height
    offer = (EVE, 1_200 * GRIST, start, 0, 32, 1, ALICE)
    world.call(ALICE, "Vesting", "offer", *offer)
    world.call(ALICE, "Vesting", "offer", *offer)
    offers = sorted(number for number, _ in world.runtime.vesting.offers.items())
    if len(offers) < 2:  # the fault struck in one of them
        world.blocks(2)
    first, second = offers
    world.call(EVE, "Vesting", "decline", first)
    world.call(EVE, "Vesting", "accept", second)
    world.blocks(9)
    world.call(ALICE, "Vesting", "revoke", EVE, second)
    world.blocks(9)
    world.call(ALICE, "Vesting", "collect", EVE, second)


def eras(world: World) -> None:
    """Two eras that begin with a budget."""
    world.blocks(2 * world.runtime.parameters.era_blocks)


SCRIPTS: dict[str, tuple[Callable[[World], None], Callable[[], Chain]]] = {
    "people": (people, staked),
    "votes": (votes, staked),
    "spends": (spends, staked),
    "bounties": (bounties, staked),
    "stakes": (stakes, staked),
    "keys": (keys, staked),
    "grants": (grants, staked),
    "eras": (eras, emitting),
}


@cache
def visited_by(name: str) -> tuple[Site, ...]:
    """The places that a script comes by when nothing goes wrong."""
    fault = Fault(None, 0, visited={})
    script, make = SCRIPTS[name]
    run(script, make, fault)
    return tuple(fault.visited or ())


def test_scripts_come_by_every_place_that_posts_money() -> None:
    seen = [site for name in SCRIPTS for site in visited_by(name)]
    missed = [
        str(site)
        for site in find_sites()
        if site not in seen and not site.is_of_market and (site.path, site.function) not in SILENT
    ]
    assert missed == []
    assert len(find_sites()) > 30


def test_the_reader_of_sources_sees_a_posting_and_nothing_else() -> None:
    text = (
        "def f(self):\n self.balances.move(1)\n self._balances.hold(2)\n self.move()\n x.hold()\n"
    )
    function = ast.parse(text).body[0]
    assert [call.lineno for call in _postings(function, "some.py")] == [2, 3]
    assert [call.lineno for call in _postings(function, "balances/module.py")] == [2, 3, 4]


def strike(name: str, site: Site, grains: int) -> None:
    """Plant a fault, and look at what the chain made of it in that block and in the next."""
    fault = Fault(site, grains)
    script, make = SCRIPTS[name]
    world = run(script, make, fault)
    assert fault.has_struck
    assert not world.is_refused, "no place here is one where a whole block has to go"
    runtime = world.runtime
    assert [entry.module for entry in runtime.balances.ledger_breaks] == [fault.acting]
    record = runtime.balances.ledger_breaks[0]
    assert (record.made, record.lost) == (max(grains, 0), max(-grains, 0))
    event = LedgerBroken(fault.acting, record.made, record.lost)
    assert event.encode() in b"".join(world.receipts), "the record names who broke the books"
    assert runtime.ctx.state.money == runtime.balances.total_issuance
    assert fault.acting in runtime.ctx.frozen, "from the next block on it pays nothing"
    if fault.acting != BALANCES:
        before = world.chain.free(BOB)
        assert world.call(FERDIE, "Balances", "transfer_allow_death", BOB, GRIST) == b""
        assert world.chain.free(BOB) - before == GRIST, "payments of people go on"
    world.blocks_after(1)
    if fault.acting == STAKING:  # goes on through the turn of an era, which is its to make
        era = runtime.parameters.era()
        world.blocks_after(runtime.parameters.era_start(era + 1) + 2 - world.height)
        assert runtime.parameters.era() == era + 1
    world.chain.executive.finalize_block()


@pytest.mark.parametrize("grains", [1, -1])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_grain_made_or_lost_is_undone_and_its_module_pays_nothing(name: str, grains: int) -> None:
    earlier = [other for other in SCRIPTS if list(SCRIPTS).index(other) < list(SCRIPTS).index(name)]
    known = [site for other in earlier for site in visited_by(other)]
    for site in visited_by(name):
        if site not in known:
            strike(name, site, grains)
