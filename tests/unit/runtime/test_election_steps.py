"""How an election is spread over its epoch, and that every node arrives at the same bytes."""

from types import ModuleType
from typing import Any

import pytest

from ext.native import election as native
from ext.reference import election as reference
from runtime.executive import Executive
from runtime.frame.errors import SpecError
from runtime.genesis import load_spec
from runtime.staking import elections
from runtime.staking.ballot import (
    VOTERS_PER_BLOCK,
    Phase,
    last_place,
    share_of,
    walk_share,
)
from runtime.staking.nouns import StakersElected
from runtime.staking.numbers import SEATS
from tests.support.electorate import (
    begun,
    go_to,
    populate,
    powers,
    quick_block,
    raise_limits,
    run_to,
    spec_text,
    start,
    start_crowded,
)
from tests.support.runtime import Chain, person

ERA = 8
ALICE, BOB, CHARLIE, DAVE = (person(name) for name in ("Alice", "Bob", "Charlie", "Dave"))


@pytest.fixture
def chain() -> Chain:
    """A chain at its first block, with candidates and voters."""
    return start_crowded()


# Steps


def test_phases_come_in_order_and_in_time(chain: Chain) -> None:
    seen = []
    for _ in range(ERA - 1):
        chain.block()
        seen += [(chain.height, phase) for phase in Phase if begun(chain, phase)]
    assert seen == [
        (5, Phase.CANDIDATES), (5, Phase.VOTERS), (6, Phase.LOADING), (6, Phase.ROUNDS),
        (7, Phase.EXPOSURES), (8, Phase.ASSIGNMENTS), (8, Phase.READY),
    ]  # fmt: skip


@pytest.mark.parametrize("epoch_blocks", [2, 3, 5, 16])
def test_an_epoch_of_any_length_is_long_enough(epoch_blocks: int) -> None:
    chain = start(epoch_blocks=epoch_blocks, era_epochs=1)
    chain.open()
    populate(chain.runtime, candidates=8, voters=150)
    chain.close()
    run_to(chain, 2 * epoch_blocks)
    assert StakersElected().encode() in chain.last.receipts[-1]
    assert len(powers(chain)) == 10


def test_an_epoch_of_four_blocks_is_long_enough_for_thousands() -> None:
    chain = start()
    chain.open()
    populate(chain.runtime, candidates=60, voters=2_000, edges=16)
    chain.close()
    while chain.height < ERA:
        quick_block(chain)
    staking = chain.look().staking
    elected = [who for who in powers(chain) if staking.exposures.is_rewarded(1, who)]
    assert len(elected) == 10


def test_a_block_of_a_long_epoch_does_no_more_than_its_share() -> None:
    chain = start(epoch_blocks=64, era_epochs=1)
    chain.open()
    populate(chain.runtime, candidates=80, voters=700, edges=3)
    chain.close()
    elections_ = chain.runtime.elections
    run_to(chain, 64)
    before, seated = chain.look().elections.progress, 0
    while chain.height < 128:
        chain.open()
        now = elections_.progress
        winners = len(elections_.winners)
        if now.phase is before.phase:
            assert now.met - before.met <= VOTERS_PER_BLOCK
            assert now.voters - before.voters <= VOTERS_PER_BLOCK
            assert now.loaded - before.loaded <= 8
            assert now.assigned - before.assigned <= 64
            assert winners - seated <= 2 or now.phase is not Phase.ROUNDS
        quick_block(chain)
        before, seated = now, winners
    assert StakersElected().encode() in chain.last.receipts[-1]


def test_shares_end_in_time_and_never_fall_below_the_least() -> None:
    for rest in (0, 1, 63, 64, 1_000):
        for length in (1, 2, 7, 100):
            left, open_ = rest, length
            while open_:
                left -= min(left, share_of(left, open_, 5))
                open_ -= 1
            assert left == 0
    assert share_of(0, 9, 5) == 5
    assert share_of(1_000, 7, 5) == 143
    assert walk_share(100, 90, 1) == 100  # whoever came meanwhile, too
    assert walk_share(6_400, 0, 10) == 640
    assert walk_share(3, 9, 2) == VOTERS_PER_BLOCK
    shares = [last_place(phase, 1_600) for phase in list(Phase)[1:7]]
    assert shares == [100, 600, 700, 900, 1_200, 1_500]
    for length in (1, 2, 4, 16, 1_800):
        places = [last_place(phase, length) for phase in list(Phase)[1:7]]
        assert places == sorted(places)
        assert places[-1] < length


def test_a_spec_allows_no_more_voters_than_the_core_takes() -> None:
    most = native.VOTERS_MAX - 1_000
    load_spec(spec_text(1_800, voters_max=most, candidates_max=1_000))
    with pytest.raises(SpecError, match="voters_max"):
        load_spec(spec_text(1_800, voters_max=most + 1, candidates_max=1_000))


def test_pages_of_a_vote_are_forgotten_after_it(chain: Chain) -> None:
    go_to(chain, ERA - 2)
    assert len(dict(chain.look().elections.voter_pages.items())) == 3
    go_to(chain, ERA + 1)
    assert dict(chain.look().elections.voter_pages.items()) == {}
    assert chain.runtime.elections.kept_pages == 0
    assert dict(chain.runtime.elections.standing.items()) == {}


# The same bytes everywhere


def roots(chain: Chain, until: int, each_block: Any = None) -> list[bytes]:
    if each_block is None:
        return run_to(chain, until)
    found = []
    while chain.height < until:
        found.append(quick_block(chain))
        each_block(chain)
    return found


def large(seed: int = 1) -> Chain:
    chain = start(epoch_blocks=16, era_epochs=1)
    chain.open()
    populate(chain.runtime, candidates=20, voters=300, seed=seed)
    raise_limits(chain.runtime, validator_count=15)
    chain.close()
    return chain


def test_a_node_that_starts_anew_each_block_arrives_at_the_same_state() -> None:
    def restart(chain: Chain) -> None:
        chain.executive = Executive()

    assert roots(large(), 34) == roots(large(), 34, restart)


def test_a_vote_on_seats_in_the_midst_of_an_election_counts_from_the_next_on() -> None:
    """So a node that starts anew opens it with the seats that it began with."""

    def seated(chain: Chain, *, restarts: bool) -> list[int]:
        found = []
        while chain.height < 48:
            if restarts:
                chain.executive = Executive()
            quick_block(chain)
            if chain.look().elections.progress.phase is Phase.ASSIGNMENTS:
                found.append(len(chain.runtime.elections.winners))
            if chain.runtime.elections.progress.phase is Phase.VOTERS and chain.height > 16:
                overlay = chain.state.overlay()
                chain.runtime.ctx.enter(overlay, chain.runtime.ctx.block)
                SEATS.begin(chain.runtime.ctx, 9)
                chain.state.commit(overlay)
        return list(dict.fromkeys(found))

    assert seated(large(), restarts=False) == seated(large(), restarts=True) == [4, 15, 9]


def test_an_open_election_that_is_ahead_of_the_state_changes_nothing() -> None:
    """A candidate block that was not decided has moved the open election on."""

    def look_ahead(chain: Chain) -> None:
        opened = chain.runtime.elections._open
        if (
            opened is not None
            and opened.election.voter_count == chain.look().elections.progress.voters
        ):
            opened.election.advance(99)

    assert roots(large(), 34) == roots(large(), 34, look_ahead)


def test_an_open_election_of_another_vote_is_not_taken_for_this_one() -> None:
    """One node executes blocks of two branches in turn."""
    expected = roots(large(2), 34)
    one, other = large(1), large(2)
    other.executive = one.executive
    found = []
    while other.height < 34:
        quick_block(one)
        found.append(quick_block(other))
    assert found == expected


def test_a_block_that_is_executed_twice_has_the_same_result() -> None:
    chain = large()
    while chain.height < 33:
        chain.open()
        first = chain.executive.finalize_block().state_root
        assert quick_block(chain) == first


@pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])
def test_both_cores_lead_to_the_same_state(
    monkeypatch: pytest.MonkeyPatch, core: ModuleType
) -> None:
    expected = roots(large(), 34)
    monkeypatch.setattr(elections, "election", core)
    assert roots(large(), 34) == expected


def test_a_changed_page_is_noticed_before_a_seat_is_filled() -> None:
    chain = large()
    while chain.look().elections.progress.phase is not Phase.ROUNDS or chain.height < 17:
        chain.block()
    held = chain.open().elections
    page = bytearray(held.voter_pages[1])
    page[32] ^= 1
    held.voter_pages[1] = bytes(page)
    held._open = None
    with pytest.raises(AssertionError, match="not those that were put to the vote"):
        held._election(held.progress, held.progress.pages, 1)
