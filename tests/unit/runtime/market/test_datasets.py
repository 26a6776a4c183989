"""Datasets: commits, first answers, possession era by era, misses, rent, ends, owners."""

from dataclasses import replace

import pytest

from runtime.balances import EXISTENTIAL_DEPOSIT, TREASURY, BurnCause, HoldReason
from runtime.balances.nouns import InsufficientBalance
from runtime.deadlines import Lane
from runtime.market.datasets import events as words
from runtime.market.datasets.nouns import (
    BOND_MIN,
    COMMIT_DEPOSIT,
    MISS_ERAS,
    PLACES,
    RENT,
    RETIRE_ERAS,
    REVEAL_MAX,
    DatasetState,
    Share,
)
from runtime.market.datasets.registry import commitment_of
from tests.support.datasets import BOND, LICENCE, PRICE, Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import person, stranger

ALICE, BOB, CHARLIE, EVE = (person(name) for name in ("Alice", "Bob", "Charlie", "Eve"))
DATA = Data(content(1, 40))


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def sold(library: Library) -> Library:
    """A library in which Alice's dataset 0 is active."""
    library.active("Alice", DATA)
    return library


def held(library: Library, who: bytes, reason: HoldReason = HoldReason.DEPOSIT) -> int:
    return library.runtime.balances.held(who, reason)


# Commit and reveal


def test_a_commit_holds_a_deposit_until_it_is_revealed(library: Library) -> None:
    before = held(library, ALICE)
    library.commit("Alice", DATA)
    assert held(library, ALICE) - before == COMMIT_DEPOSIT
    library.next(10)
    library.done("Alice", *library.reveal_arguments(DATA))
    assert held(library, ALICE) - before == BOND
    assert dict(library.module.commits.items()) == {}
    dataset = library.dataset(0)
    assert (dataset.owner, dataset.root, dataset.state) == (ALICE, DATA.root, 0)
    assert (dataset.licence, dataset.price, dataset.leaf_count) == (LICENCE, PRICE, 40)
    library.next()


def test_a_reveal_comes_ten_to_a_thousand_blocks_after_its_commit(library: Library) -> None:
    library.commit("Alice", DATA)
    mark = commitment_of(DATA.root, ALICE, bytes(32))
    arguments = library.reveal_arguments(DATA)
    library.next(9)
    library.refused(words.RevealTooEarly, "Alice", *arguments)
    library.next()
    block = library.runtime.ctx.block
    committed = library.height - 10
    library.runtime.ctx.block = replace(block, height=committed + REVEAL_MAX + 1)
    library.refused(words.RevealTooLate, "Alice", *arguments)
    library.runtime.ctx.block = replace(block, height=committed + REVEAL_MAX)
    assert library.module.take_commit(ALICE, mark).height == committed
    library.runtime.ctx.block = block


def test_only_who_committed_reveals_with_just_that_root_and_salt(library: Library) -> None:
    library.commit("Alice", DATA)
    library.next(10)
    _, root, salt, terms, bond = library.reveal_arguments(DATA)
    library.refused(words.NoSuchCommit, "Bob", "reveal", root, salt, terms, bond)
    library.refused(words.NoSuchCommit, "Alice", "reveal", b"r" * 32, salt, terms, bond)
    library.refused(words.NoSuchCommit, "Alice", "reveal", root, b"s" * 32, terms, bond)


def test_a_copied_commit_hash_neither_blocks_its_author_nor_can_be_revealed(
    library: Library,
) -> None:
    copied = commitment_of(DATA.root, ALICE, bytes(32))
    library.done("Bob", "commit", copied)
    library.commit("Alice", DATA)
    library.refused(words.AlreadyCommitted, "Alice", "commit", copied)
    library.next(10)
    library.refused(words.NoSuchCommit, "Bob", *library.reveal_arguments(DATA))
    library.done("Alice", *library.reveal_arguments(DATA))


def test_a_void_commit_is_dropped_for_its_deposit_and_no_other(library: Library) -> None:
    before = held(library, ALICE)
    library.commit("Alice", DATA)
    mark = commitment_of(DATA.root, ALICE, bytes(32))
    library.refused(words.NoSuchCommit, "Bob", "drop_commit", mark)
    library.refused(words.CommitStillOpen, "Alice", "drop_commit", mark)
    height = library.height
    block = library.runtime.ctx.block
    library.runtime.ctx.block = replace(block, height=height + REVEAL_MAX + 1)
    library.done("Alice", "drop_commit", mark)
    library.runtime.ctx.block = block
    assert held(library, ALICE) == before
    library.next()


def test_terms_that_cannot_be_kept_are_refused(library: Library) -> None:
    library.commit("Alice", DATA)
    library.next(10)
    name, root, salt, terms, bond = library.reveal_arguments(DATA)
    library.refused(words.BondTooSmall, "Alice", name, root, salt, terms, BOND_MIN.default - 1)
    for size in (0, (1 << 30) + 1):
        bad = replace(terms, size=size)
        library.refused(words.BadSize, "Alice", name, root, salt, bad, bond)
    for share in (10**9 - 1, 10**9 + 1):
        bad = replace(terms, royalties=(Share(BOB, share),))
        library.refused(words.BadShares, "Alice", name, root, salt, bad, bond)
    bad = replace(terms, royalties=(Share(BOB, 10**9), Share(ALICE, 0)))
    library.refused(words.BadShares, "Alice", name, root, salt, bad, bond)
    bad = replace(terms, royalties=(Share(TREASURY, 10**9),))
    library.refused(words.WrongBeneficiary, "Alice", name, root, salt, bad, bond)
    library.refused(InsufficientBalance, "Alice", name, root, salt, terms, 10**9 * GRIST)


def test_the_registry_has_a_last_place(library: Library) -> None:
    library.register("Alice", DATA)
    PLACES.begin(library.runtime.ctx, PLACES.low)
    library.module.live_count = PLACES.low
    other = Data(content(2, 10))
    library.commit("Bob", other)
    library.module.live_count = 1
    library.next(10)
    library.module.live_count = PLACES.low
    library.refused(words.RegistryFull, "Bob", *library.reveal_arguments(other))
    library.module.live_count = PLACES.low - 1
    library.done("Bob", *library.reveal_arguments(other))


# The same root


def test_the_same_root_is_refused_to_a_later_commit(sold: Library) -> None:
    sold.commit("Bob", DATA)
    sold.next(10)
    sold.refused(words.DuplicateRoot, "Bob", *sold.reveal_arguments(DATA))


def test_an_earlier_commit_that_is_revealed_later_takes_the_root_without_a_slash(
    library: Library,
) -> None:
    library.commit("Bob", DATA)
    library.commit("Alice", DATA)
    library.next(10)
    library.done("Alice", *library.reveal_arguments(DATA))
    library.data[0] = DATA
    library.activate(0)
    burned = library.runtime.balances.burned[BurnCause.WORK_SLASH]
    library.done("Bob", *library.reveal_arguments(DATA))
    loser, winner = library.dataset(0), library.dataset(1)
    assert (loser.state, loser.bond) == (DatasetState.DELISTED, BOND)
    assert (winner.owner, winner.state) == (BOB, DatasetState.PENDING)
    assert library.module.by_root[DATA.root] == 1
    assert library.module.live_count == 1
    assert library.runtime.balances.burned[BurnCause.WORK_SLASH] == burned
    library.next()


def test_an_earlier_commit_takes_the_root_of_one_that_is_not_active_yet(library: Library) -> None:
    before = held(library, ALICE)
    library.commit("Bob", DATA)
    library.commit("Alice", DATA)
    library.next(10)
    library.done("Alice", *library.reveal_arguments(DATA))
    library.done("Bob", *library.reveal_arguments(DATA))
    assert library.module.datasets.find(0) is None
    assert held(library, ALICE) == before
    assert library.module.by_root[DATA.root] == 1
    library.next()


def test_a_revoked_root_is_barred_to_all_but_its_owner_and_a_delisted_one_is_free(
    sold: Library,
) -> None:
    sold.done("Alice", "revoke", 0)
    sold.commit("Bob", DATA)
    sold.commit("Alice", DATA)
    sold.next(10)
    sold.refused(words.DuplicateRoot, "Bob", *sold.reveal_arguments(DATA))
    sold.done("Alice", *sold.reveal_arguments(DATA))
    assert sold.module.by_root[DATA.root] == 1


# The first challenge


def test_a_dataset_is_sold_only_after_its_first_answer(library: Library) -> None:
    number = library.register("Alice", DATA)
    clock, dataset = library.module.clock(), library.dataset(number)
    with pytest.raises(words.DatasetNotActive):
        library.module.quote((number,))
    if library.height < clock.entry_opens(dataset.epoch):
        library.until(clock.entry_opens(dataset.epoch) - 1)
        library.refused(words.NoChallenge, "Alice", "prove", number, ())
        library.next()
    library.prove(number)
    assert library.module.quote((number,)) == (PRICE,)
    library.next()


def test_the_first_challenge_is_drawn_after_the_reveal_and_the_same_in_both_epochs(
    library: Library,
) -> None:
    number = library.register("Alice", DATA)
    dataset, clock = library.dataset(number), library.module.clock()
    assert library.module.find_challenge(number) is None, "nothing is known in epoch c"
    library.until(clock.entry_opens(dataset.epoch))
    early = library.module.find_challenge(number)
    library.until(clock.entry_closes(dataset.epoch) - 1)
    late = library.module.find_challenge(number)
    assert early is not None
    assert early == late
    assert early.closes == clock.entry_closes(dataset.epoch)


def test_a_dataset_without_a_first_answer_is_forgotten_and_loses_a_miss(library: Library) -> None:
    before = held(library, ALICE)
    number = library.register("Alice", DATA)
    dataset = library.dataset(number)
    library.until(library.module.clock().entry_closes(dataset.epoch) - 1)
    assert library.module.datasets.find(number) is not None
    library.next()
    assert library.module.datasets.find(number) is None
    assert library.module.by_root.find(DATA.root) is None
    assert library.module.live_count == 0
    assert library.runtime.balances.burned[BurnCause.WORK_SLASH] == BOND // 50
    assert held(library, ALICE) == before
    assert library.register("Bob", DATA) == number + 1, "the root is free, the number is not"


def test_the_bond_of_one_that_lapsed_comes_back_without_the_wheel(library: Library) -> None:
    number = library.register("Alice", DATA)
    dataset = library.dataset(number)
    library.refused(words.NotEnded, "Alice", "withdraw_bond", number)
    payload = b"L" + number.to_bytes(4, "little")
    height = library.module.clock().entry_closes(dataset.epoch)
    keys = [k for k, item in library.runtime.deadlines.items_due.items() if item.payload == payload]
    assert [(key.height, key.lane) for key in keys] == [(height, Lane.JOBS)]
    library.runtime.deadlines.cancel(keys[0])
    library.until(height + 1)
    library.refused(words.NotOwner, "Bob", "withdraw_bond", number)
    library.refused(words.NoChallenge, "Alice", "prove", number, ())
    library.done("Alice", "withdraw_bond", number)
    assert library.module.datasets.find(number) is None
    library.next()


# Possession


def test_an_answer_costs_no_fee_but_the_rent_of_its_owner(sold: Library) -> None:
    sold.next_era()
    assert sold.chain.runtime.ctx.waiver == 255
    call = sold.chain.call("Datasets", "prove", 0, sold.answers(0))
    assert len(call) <= 8 * 1024
    bob, alice, pot = (sold.chain.free(who) for who in (BOB, ALICE, TREASURY))
    assert sold.chain.apply(call, BOB)
    assert sold.chain.free(BOB) == bob
    assert alice - sold.chain.free(ALICE) == sold.chain.free(TREASURY) - pot == GRIST
    assert words.Proven(0, sold.era).encode() in sold.chain.executive._receipts[-1]
    sold.next()


def test_the_largest_answer_fits_eight_kibibytes() -> None:
    library = Library()
    answer = replace(DATA.answer(0), path=(bytes(32),) * 20)
    assert len(library.chain.call("Datasets", "prove", 0, (answer,) * 4)) <= 8 * 1024


def test_an_era_s_challenge_is_answered_once_within_its_blocks(sold: Library) -> None:
    sold.refused(words.NoChallenge, "Alice", "prove", 0, ())
    sold.next_era()
    answers = sold.answers(0)
    sold.done("Alice", "prove", 0, answers)
    sold.refused(words.AlreadyAnswered, "Alice", "prove", 0, answers)
    closes = sold.module.clock().closes(sold.era)
    assert closes - sold.runtime.parameters.era_start(sold.era) == 4, "an epoch of this spec"
    sold.next_era()
    sold.until(sold.module.clock().closes(sold.era) - 1)
    answers = sold.answers(0)
    sold.next()
    sold.refused(words.NoChallenge, "Alice", "prove", 0, answers)


def test_other_leaves_than_those_drawn_or_too_few_prove_nothing(sold: Library) -> None:
    sold.next_era()
    good = sold.answers(0)
    challenge = sold.module.find_challenge(0)
    assert challenge is not None
    sold.refused(words.WrongLeaves, "Alice", "prove", 0, good[:3])
    sold.refused(words.WrongLeaves, "Alice", "prove", 0, ())
    lost = replace(DATA, gone=(challenge.indices[2],)).answers(challenge.indices)
    sold.refused(words.WrongLeaves, "Alice", "prove", 0, lost)
    others = tuple((index + 1) % 40 for index in challenge.indices)
    sold.refused(words.WrongLeaves, "Alice", "prove", 0, DATA.answers(others))
    sold.done("Alice", "prove", 0, good)


def test_each_era_and_each_dataset_draws_other_leaves(sold: Library) -> None:
    other = sold.active("Bob", Data(content(2, 40)))
    drawn = []
    for _ in range(3):
        sold.next_era()
        for number in (0, other):
            challenge = sold.module.find_challenge(number)
            assert challenge is not None
            drawn.append(challenge.indices)
    assert len(set(drawn)) == 6


def test_the_challenge_read_from_the_state_a_block_left_is_that_of_the_next_block(
    sold: Library,
) -> None:
    for _ in range(20):
        sold.chain.close()
        sold.chain.look()
        read = sold.module.find_challenge(0, sold.chain.height + 1)
        sold.chain.open()
        assert sold.module.find_challenge(0) == read


# Misses


def missed(library: Library) -> int:
    """Let the challenge of the next era pass; gives the era."""
    library.next_era()
    era = library.era
    library.until(library.module.clock().closes(era))
    return era


def test_a_miss_costs_two_hundredths_a_fifth_of_it_for_who_reports_it_first(
    sold: Library,
) -> None:
    era = missed(sold)
    bob = sold.chain.free(BOB)
    burned = sold.runtime.balances.burned[BurnCause.WORK_SLASH]
    call = sold.chain.call("Datasets", "report_miss", 0, era)
    assert sold.chain.apply(call, BOB)
    assert sold.chain.free(BOB) - bob == 2 * GRIST, "the report costs no fee"
    assert sold.runtime.balances.burned[BurnCause.WORK_SLASH] - burned == 8 * GRIST
    assert (sold.dataset(0).bond, sold.dataset(0).misses) == (490 * GRIST, (era,))
    sold.refused(words.AlreadyReported, "Charlie", "report_miss", 0, era)
    sold.next()


def test_what_was_answered_or_is_open_or_is_old_is_no_miss(sold: Library) -> None:
    since = sold.era
    sold.next_era()
    for era in (since, since - 1):
        sold.refused(words.NoMiss, "Bob", "report_miss", 0, era)
    sold.until(sold.module.clock().closes(sold.era) - 1)
    sold.refused(words.NoMiss, "Bob", "report_miss", 0, sold.era)
    sold.prove(0)
    sold.next()
    sold.refused(words.NoMiss, "Bob", "report_miss", 0, sold.era)
    sold.refused(words.UnknownDataset, "Bob", "report_miss", 7, sold.era)


def test_a_miss_can_be_reported_for_fourteen_eras(sold: Library) -> None:
    first = missed(sold)
    while sold.era < first + MISS_ERAS:
        sold.next_era()
    sold.refused(words.NoMiss, "Bob", "report_miss", 0, first)
    sold.done("Bob", "report_miss", 0, first + 1)


def test_three_misses_in_fourteen_eras_end_a_dataset(sold: Library) -> None:
    for count in range(3):
        assert sold.dataset(0).state is DatasetState.ACTIVE, count
        sold.done("Bob", "report_miss", 0, missed(sold))
    dataset = sold.dataset(0)
    assert dataset.state is DatasetState.DELISTED
    assert sold.module.live_count == 0
    assert sold.module.by_root.find(DATA.root) is None
    with pytest.raises(words.DatasetNotActive):
        sold.module.quote((0,))
    sold.refused(words.NoMiss, "Bob", "report_miss", 0, missed(sold))


def test_misses_further_apart_than_fourteen_eras_do_not_add_up(sold: Library) -> None:
    for _ in range(2):
        sold.done("Bob", "report_miss", 0, missed(sold))
    sold.prove_eras(0, MISS_ERAS - 1)
    sold.done("Bob", "report_miss", 0, missed(sold))
    assert sold.dataset(0).state is DatasetState.ACTIVE
    assert len(sold.dataset(0).misses) == 1


def test_what_does_not_answer_is_not_sold_until_it_answers_again(sold: Library) -> None:
    era = missed(sold)
    with pytest.raises(words.DatasetNotProven):
        sold.module.quote((0,))
    sold.next_era()
    with pytest.raises(words.DatasetNotProven):
        sold.module.quote((0,))
    sold.prove(0)
    assert sold.module.quote((0,)) == (PRICE,)
    sold.done("Bob", "report_miss", 0, era)
    sold.next_era()
    assert sold.module.quote((0,)) == (PRICE,), "the next challenge is still open"


# Rent


def test_the_era_of_the_first_answer_is_paid_and_skipped_eras_are_paid_later(
    library: Library,
) -> None:
    pot = library.chain.free(TREASURY)
    number = library.active("Alice", DATA)
    paid = [e for e in library.runtime.ctx.events if e[:2] == words.RentPaid.head]
    assert paid == [words.RentPaid(number, RENT.default, 0).encode()]
    assert library.dataset(number).rent_era == library.era + 1
    for _ in range(3):
        library.next_era()
    pot = library.chain.free(TREASURY)
    library.prove(number)
    assert library.chain.free(TREASURY) - pot == 3 * GRIST


def test_rent_that_the_owner_has_not_free_comes_out_of_the_bond_until_it_ends(
    sold: Library,
) -> None:
    sold.next_era()
    balances = sold.runtime.balances
    rest = balances.spendable(ALICE, keep_alive=True)
    balances.transfer(ALICE, BOB, rest, keep_alive=True)
    sold.prove(0, "Bob")
    assert sold.dataset(0).bond == 499 * GRIST
    paid = words.RentPaid(0, GRIST, GRIST).encode()
    assert paid in sold.runtime.ctx.events
    sold.module.datasets[0] = replace(sold.dataset(0), bond=250 * GRIST)
    balances.release(ALICE, HoldReason.DEPOSIT, 249 * GRIST)
    balances.transfer(ALICE, BOB, 249 * GRIST, keep_alive=False)
    sold.next_era()
    sold.prove(0, "Bob")
    dataset = sold.dataset(0)
    assert (dataset.state, dataset.bond) == (DatasetState.DELISTED, 249 * GRIST)
    assert words.Ended(0, 2).encode() in sold.runtime.ctx.events
    sold.next()


# Prices, ends, owners


def test_only_the_owner_changes_the_price_for_new_jobs(sold: Library) -> None:
    sold.refused(words.NotOwner, "Bob", "set_price", 0, 5)
    sold.done("Alice", "set_price", 0, 0)
    assert sold.module.quote((0,)) == (0,)
    sold.done("Alice", "revoke", 0)
    sold.refused(words.DatasetNotActive, "Alice", "set_price", 0, 5)


def test_more_can_be_put_behind_a_dataset(sold: Library) -> None:
    sold.refused(words.ZeroAmount, "Alice", "add_bond", 0, 0)
    sold.refused(words.NotOwner, "Bob", "add_bond", 0, GRIST)
    sold.done("Alice", "add_bond", 0, GRIST)
    assert sold.dataset(0).bond == BOND + GRIST
    sold.next()


def test_revoking_acts_for_new_jobs_only(sold: Library) -> None:
    sold.refused(words.NotOwner, "Bob", "revoke", 0)
    sold.done("Alice", "revoke", 0)
    with pytest.raises(words.DatasetRevoked):
        sold.module.quote((0,))
    assert (sold.module.root(0), sold.module.leaf_count(0)) == (DATA.root, 40)
    alice = sold.chain.free(ALICE)
    sold.use(0, EVE, 10 * GRIST)
    assert sold.chain.free(ALICE) - alice == 10 * GRIST
    sold.refused(words.DatasetNotActive, "Alice", "revoke", 0)
    sold.next()


def test_nobody_knows_a_dataset_that_is_not_there(library: Library) -> None:
    for read in (library.module.root, library.module.leaf_count, library.module.tree_of):
        with pytest.raises(words.UnknownDataset):
            read(3)
    with pytest.raises(words.UnknownDataset):
        library.module.quote((3,))
    library.refused(words.UnknownDataset, "Alice", "prove", 3, ())


def test_a_bond_is_free_when_nobody_can_challenge_any_more(sold: Library) -> None:
    sold.refused(words.NotEnded, "Alice", "withdraw_bond", 0)
    sold.done("Alice", "revoke", 0)
    RETIRE_ERAS.begin(sold.runtime.ctx, RETIRE_ERAS.low)
    sold.next(2 * 8 - 1)
    sold.refused(words.NotEnded, "Alice", "withdraw_bond", 0)
    sold.next()
    before = held(sold, ALICE)
    sold.done("Alice", "withdraw_bond", 0)
    assert before - held(sold, ALICE) == BOND
    sold.refused(words.NothingHeld, "Alice", "withdraw_bond", 0)
    assert sold.module.root(0) == DATA.root, "jobs that have it can still be judged"
    sold.next()


def test_a_dataset_goes_to_an_heir_who_puts_a_bond_of_its_own_down(sold: Library) -> None:
    sold.refused(words.NotOwner, "Bob", "offer_owner", 0, BOB)
    sold.refused(words.NotHeir, "Bob", "accept_owner", 0)
    sold.done("Alice", "offer_owner", 0, BOB)
    sold.refused(words.NotHeir, "Charlie", "accept_owner", 0)
    alice, bob = held(sold, ALICE), held(sold, BOB)
    sold.done("Bob", "accept_owner", 0)
    assert (alice - held(sold, ALICE), held(sold, BOB) - bob) == (BOND, BOND)
    assert sold.dataset(0).owner == BOB
    sold.refused(words.NotOwner, "Alice", "revoke", 0)
    free = sold.chain.free(BOB)
    sold.use(0, EVE, 10 * GRIST)
    assert sold.chain.free(BOB) - free == 10 * GRIST, "without royalties all is the owner's"
    sold.next()


def test_an_offer_can_be_taken_back(sold: Library) -> None:
    sold.done("Alice", "offer_owner", 0, BOB)
    sold.done("Alice", "offer_owner", 0, ALICE)
    sold.refused(words.NotHeir, "Bob", "accept_owner", 0)


def test_a_share_too_small_for_a_new_account_is_the_treasury_s(library: Library) -> None:
    poor, share = stranger(9), Share(stranger(9), 1)
    number = library.active("Alice", DATA, royalties=(Share(ALICE, 10**9 - 1), share))
    pot, alice = library.chain.free(TREASURY), library.chain.free(ALICE)
    library.use(number, EVE, 10**9)
    assert library.chain.free(TREASURY) - pot == 1
    assert library.chain.free(ALICE) - alice == 10**9 - 1
    assert library.chain.free(poor) == 0
    assert EXISTENTIAL_DEPOSIT > 1
    library.next()
