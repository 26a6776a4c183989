"""Datasets: who is paid for a use, what is written of it, and what it weighs for emission."""

from dataclasses import replace

import pytest

from runtime.balances import HoldReason, MintCause
from runtime.balances.nouns import HoldTooSmall
from runtime.market.datasets import events as words
from runtime.market.datasets import uses
from runtime.market.datasets.nouns import (
    LOG_ERAS,
    LOG_MAX,
    REQUESTER_ERAS,
    REQUESTERS_MAX,
    EraUse,
    JobUse,
    ParentShare,
    Share,
    Standing,
)
from runtime.primitives import AccountId
from runtime.staking.nouns import StakingLedger
from tests.support.datasets import Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import person, stranger

ALICE, BOB, CHARLIE, DAVE, EVE, FERDIE = (
    person(name) for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
)
DATA = Data(content(1, 20))
TENTH = 100_000_000


@pytest.fixture
def library() -> Library:
    """A library in which Alice's dataset 0 is active."""
    library = Library()
    library.active("Alice", DATA)
    return library


def rich(library: Library, count: int, *, stake: int = 1_000 * GRIST) -> list[AccountId]:
    """Strangers with money and, in the ledger that is read, a stake."""
    found = [stranger(n) for n in range(count)]
    for who in found:
        library.runtime.balances.mint(MintCause.GENESIS, who, 10_000 * GRIST)
        if stake:
            staked(library, who, stake)
    return found


def staked(library: Library, who: AccountId, amount: int) -> None:
    """Bond so much, or more or less of it, by the calls of staking."""
    staking, call = library.runtime.staking, library.chain.call
    before = staking.active_stake(who)
    if not before:
        data = call("Staking", "bond", amount, ("Staked", None))
    elif amount > before:
        data = call("Staking", "bond_extra", amount - before)
    else:
        data = call("Staking", "unbond", before - amount)
    execute = library.chain.executive
    assert execute.run_call(execute.decode_call(data), who) == b""


# Paying


def test_a_fee_is_split_along_the_tree_to_the_grain(library: Library) -> None:
    tree = (Share(BOB, 333_333_333), Share(CHARLIE, 666_666_667))
    number = library.active("Bob", Data(content(2, 9)), royalties=tree)
    bob, charlie = library.chain.free(BOB), library.chain.free(CHARLIE)
    library.use(number, EVE, 100)
    assert library.chain.free(BOB) - bob == 33
    assert library.chain.free(CHARLIE) - charlie == 67
    library.next()


def test_a_parent_s_share_goes_to_the_accounts_of_its_tree(library: Library) -> None:
    middle = library.active(
        "Bob",
        Data(content(2, 9)),
        royalties=(Share(BOB, 5 * TENTH), Share(DAVE, TENTH)),
        parents=(ParentShare(0, 4 * TENTH),),
    )
    child = library.active(
        "Charlie",
        Data(content(3, 9)),
        royalties=(Share(CHARLIE, 4 * TENTH), Share(ALICE, TENTH)),
        parents=(ParentShare(middle, 5 * TENTH),),
    )
    shares = {entry.account: entry.share for entry in library.dataset(child).royalties}
    expected = {ALICE: 3 * TENTH, BOB: 250_000_000, CHARLIE: 4 * TENTH, DAVE: 50_000_000}
    assert shares == expected
    free = {who: library.chain.free(who) for who in shares}
    library.use(child, EVE, 1_000 * GRIST)
    gains = {who: library.chain.free(who) - before for who, before in free.items()}
    assert gains == {who: 1_000 * GRIST * share // 10**9 for who, share in shares.items()}
    library.next()


def test_a_tree_of_more_than_sixteen_accounts_is_refused(library: Library) -> None:
    many = tuple(Share(stranger(n), 62_500_000) for n in range(16))
    number = library.active("Bob", Data(content(2, 9)), royalties=many)
    data = Data(content(3, 9))
    library.commit("Charlie", data)
    library.next(10)
    parents = (ParentShare(number, 5 * TENTH),)
    arguments = library.reveal_arguments(
        data, royalties=(Share(CHARLIE, 5 * TENTH),), parents=parents
    )
    library.refused(words.TooManyRoyalties, "Charlie", *arguments)
    unknown = library.reveal_arguments(data, parents=(ParentShare(99, 10**9),))
    library.refused(words.UnknownDataset, "Charlie", *unknown)


def test_a_use_is_paid_out_of_escrow_alone(library: Library) -> None:
    library.runtime.balances.hold(EVE, HoldReason.ESCROW, 5 * GRIST)
    with pytest.raises(HoldTooSmall):
        library.module.pay_use(0, 1, EVE, EVE, 6 * GRIST)
    with pytest.raises(words.UnknownDataset):
        library.module.pay_use(9, 1, EVE, EVE, GRIST)


def test_the_payer_may_be_another_than_the_requester(library: Library) -> None:
    library.runtime.balances.hold(FERDIE, HoldReason.ESCROW, 5 * GRIST)
    library.module.pay_use(0, 1, EVE, FERDIE, 5 * GRIST)
    assert library.runtime.balances.held(FERDIE, HoldReason.ESCROW) == 0
    assert library.module.era_uses(library.era, 0) == ((EVE, 5 * GRIST),)
    used = words.Used(0, 1, EVE, 5 * GRIST, 0)
    assert used.encode() in library.runtime.ctx.events


def test_who_pays_itself_loses_nothing_but_the_curators_part(library: Library) -> None:
    alice = library.chain.free(ALICE)
    library.use(0, ALICE, 50 * GRIST)
    assert library.chain.free(ALICE) == alice
    library.next()


def test_a_job_is_held_to_the_prices_that_it_agreed_on(library: Library) -> None:
    other = library.active("Bob", Data(content(2, 9)), price=30 * GRIST)
    library.next_era()
    library.prove(0)
    assert library.module.agree(7, (0, other)) == (10 * GRIST, 30 * GRIST)
    library.done("Alice", "set_price", 0, 10**6 * GRIST)
    assert library.module.split_agreed(7, (0, other), 8 * GRIST) == (
        (0, 2 * GRIST),
        (other, 6 * GRIST),
    )
    library.done("Alice", "set_price", 0, 0)
    library.done("Bob", "set_price", other, 0)
    assert library.module.split_agreed(7, (0, other), 9) == ((0, 2), (other, 7))
    library.module.drop_agreed(7)
    assert library.module.agreed.find(7) is None


def test_a_job_of_one_dataset_or_of_free_ones_needs_no_agreement(library: Library) -> None:
    free = [library.active("Bob", Data(content(seed, 9)), price=0) for seed in (2, 3)]
    library.next_era()
    for number in (0, *free):
        library.prove(number)
    assert library.module.agree(7, (0,)) == (10 * GRIST,)
    assert library.module.agreed.find(7) is None
    assert library.module.split_agreed(7, (0,), 5) == ((0, 5),)
    assert library.module.split_agreed(7, (), 0) == ()
    ids = tuple(free)
    assert library.module.agree(8, ids) == (0, 0)
    assert library.module.split_agreed(8, ids, 0) == ((ids[0], 0), (ids[1], 0))
    library.done("Alice", "revoke", 0)
    with pytest.raises(words.DatasetRevoked):
        library.module.agree(9, (0, *ids))
    assert library.module.agreed.find(9) is None


# The log


def test_uses_are_summed_by_requester_and_named_by_job(library: Library) -> None:
    era = library.era
    library.use(0, EVE, 5 * GRIST, job=7)
    library.use(0, FERDIE, GRIST, job=8)
    library.use(0, EVE, 2 * GRIST, job=9)
    expected = {EVE: 7 * GRIST, FERDIE: GRIST}
    assert dict(library.module.era_uses(era, 0)) == expected
    total = EraUse(fees=8 * GRIST, jobs=3, requesters=2, standing=0)
    assert library.module.era_totals[era, 0] == total
    lines = [library.module.job_log[era, 0, place] for place in range(3)]
    assert lines == [
        JobUse(7, EVE, 5 * GRIST),
        JobUse(8, FERDIE, GRIST),
        JobUse(9, EVE, 2 * GRIST),
    ]
    library.next()


def test_the_log_and_the_requesters_of_an_era_are_bounded(library: Library) -> None:
    era = library.era
    for number in range(REQUESTERS_MAX + 2):
        library.runtime.balances.mint(MintCause.GENESIS, stranger(number), GRIST)
        library.use(0, stranger(number), 10)
    for _ in range(LOG_MAX - REQUESTERS_MAX):
        library.use(0, stranger(0), 10)
    total = library.module.era_totals[era, 0]
    assert (total.requesters, total.jobs) == (REQUESTERS_MAX, LOG_MAX + 2)
    assert total.fees == (LOG_MAX + 2) * 10
    assert len(library.module.era_uses(era, 0)) == REQUESTERS_MAX
    assert len(library.module.job_log.walk(era, 0, limit=1_000)) == LOG_MAX
    library.next()


def test_old_uses_are_forgotten_a_few_in_a_block(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "PRUNED_PER_BLOCK", 3)
    library.next_era()
    era = library.era
    for job, who in enumerate((BOB, CHARLIE, EVE, FERDIE)):
        library.use(0, who, GRIST, job=job)
    library.until(library.runtime.parameters.era_start(era + LOG_ERAS + 1) - 1)
    assert len(library.module.era_uses(era, 0)) == 4
    entries = [len(library.module.era_uses(era, 0))]
    for _ in range(4):
        library.next()
        entries.append(len(library.module.era_uses(era, 0)))
    assert entries == [4, 2, 0, 0, 0]
    assert library.module.era_totals[era, 0] == EraUse(0, 0, 0, 0)
    assert library.module.job_log.walk(era, 0, limit=9) == []
    assert library.module.forgotten_eras == era + 1


# Weight


def weighed(library: Library, fees: list[int], *, wait: int = 2) -> int:
    """Let staked strangers pay these fees after so many eras of stake; gives the era."""
    REQUESTER_ERAS.begin(library.runtime.ctx, 2)
    people = rich(library, len(fees))
    for who in people:
        library.module.look_at_stake(who)
    for _ in range(wait):
        library.next_era()
        for who in people:
            library.module.look_at_stake(who)
    for who, fee in zip(people, fees, strict=True):
        library.use(0, who, fee)
    return library.era


def attested(library: Library) -> None:
    library.done("Bob", "bond", 5_000 * GRIST)
    library.done("Bob", "attest", 0, b"d" * 32)


def test_each_requester_weighs_at_most_a_tenth_of_the_fees(library: Library) -> None:
    attested(library)
    era = weighed(library, [60 * GRIST, 10 * GRIST, 10 * GRIST, 10 * GRIST, 10 * GRIST])
    assert library.module.weight_of(era, 0) == 5 * 10 * GRIST
    assert library.module.weight_of(era - 1, 0) == 0
    library.use(0, EVE, 100 * GRIST)
    assert library.module.weight_of(era, 0) == 20 * GRIST + 4 * 10 * GRIST + 20 * GRIST
    library.next()


def test_without_an_attestation_a_dataset_weighs_half(library: Library) -> None:
    era = weighed(library, [10 * GRIST] * 5)
    assert library.module.weight_of(era, 0) == 5 * 5 * GRIST // 2
    attested(library)
    assert library.module.weight_of(era, 0) == 5 * 5 * GRIST
    library.done("Bob", "leave")
    assert library.module.weight_of(era, 0) == 5 * 5 * GRIST // 2


def test_four_requesters_with_stake_weigh_nothing(library: Library) -> None:
    era = weighed(library, [10 * GRIST] * 4)
    library.use(0, EVE, 10 * GRIST)
    assert library.module.era_totals[era, 0].standing == 4
    assert library.module.weight_of(era, 0) == 0


def test_an_owner_does_not_count_as_a_requester_of_its_own(library: Library) -> None:
    library.module.standings[ALICE] = Standing(0, library.era)
    REQUESTER_ERAS.begin(library.runtime.ctx, 1)
    for _ in range(3):
        library.next_era()
        assert library.runtime.staking.active_stake(ALICE) >= 1_000 * GRIST
        library.module.look_at_stake(ALICE)
    assert library.module.look_at_stake(ALICE)
    library.use(0, ALICE, 10 * GRIST)
    assert library.module.era_totals[library.era, 0].standing == 0


def test_stake_that_is_too_new_does_not_count(library: Library) -> None:
    era = weighed(library, [10 * GRIST] * 5, wait=1)
    assert library.module.era_totals[era, 0].standing == 0
    assert library.module.weight_of(era, 0) == 0


def test_a_requester_is_counted_once_however_often_it_pays(library: Library) -> None:
    era = weighed(library, [GRIST] * 4)
    library.use(0, stranger(0), GRIST)
    assert library.module.era_totals[era, 0].standing == 4


def test_while_a_duplicate_challenge_is_open_nothing_weighs(library: Library) -> None:
    era = weighed(library, [10 * GRIST] * 5)
    library.module.datasets[0] = replace(library.dataset(0), cases=1)
    assert library.module.weight_of(era, 0) == 0
    library.module.datasets[0] = replace(library.dataset(0), cases=0)
    assert library.module.weight_of(era, 0) > 0
    library.done("Alice", "revoke", 0)
    assert library.module.weight_of(era, 0) > 0, "what was used was used"


# Stake that stays


def test_stake_counts_from_the_first_look_while_looks_are_closer_than_unbonding(
    library: Library,
) -> None:
    REQUESTER_ERAS.begin(library.runtime.ctx, 4)
    who = rich(library, 1)[0]
    assert not library.module.look_at_stake(who)
    first = library.era
    assert library.runtime.staking.params.unbonding_eras == 4
    for _ in range(3):
        library.next_era()
    assert not library.module.look_at_stake(who)
    assert library.module.standings[who] == Standing(first, first + 3)
    library.next_era()
    assert library.module.look_at_stake(who)
    for _ in range(4):
        library.next_era()
    assert not library.module.look_at_stake(who), "its stake could have gone and come"
    assert library.module.standings[who] == Standing(first + 8, first + 8)


def test_a_look_at_too_little_stake_begins_anew(library: Library) -> None:
    REQUESTER_ERAS.begin(library.runtime.ctx, 1)
    who = rich(library, 1)[0]
    library.module.look_at_stake(who)
    library.next_era()
    assert library.module.look_at_stake(who)
    staked(library, who, 999 * GRIST)
    assert not library.module.look_at_stake(who)
    assert library.module.standings.find(who) is None
    staked(library, who, 1_000 * GRIST)
    assert not library.module.look_at_stake(who)
    ledger = library.runtime.staking.ledger_of(who)
    assert isinstance(ledger, StakingLedger)
    library.next()


def test_anybody_can_have_its_own_stake_looked_at(library: Library) -> None:
    library.done("Alice", "note_stake")
    assert library.module.standings[ALICE] == Standing(library.era, library.era)
    library.done("Eve", "note_stake")
    assert library.module.standings.find(EVE) is None


def test_on_a_chain_without_staking_nobody_counts() -> None:
    library = Library("plain")
    assert not library.module.look_at_stake(ALICE)
