"""Datasets: signals and what they earn, attesters and what they risk."""

from itertools import pairwise

import pytest

from runtime.balances import CURATION_POT, TREASURY, BurnCause, HoldReason
from runtime.market.datasets import events as words
from runtime.market.datasets.nouns import (
    ATTESTATIONS_MAX,
    ATTESTER_BOND,
    ATTESTER_ERAS,
    CURATION_SHARE,
    SIGNAL_ERAS,
    Attestation,
)
from tests.support.datasets import Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import person, stranger

ALICE, BOB, CHARLIE, EVE = (person(name) for name in ("Alice", "Bob", "Charlie", "Eve"))
DATA = Data(content(1, 40))
DIGEST = b"d" * 32


@pytest.fixture
def library() -> Library:
    """A library in which Alice's dataset 0 is active."""
    library = Library()
    library.active("Alice", DATA)
    return library


def signalled(library: Library, who: bytes) -> int:
    return library.runtime.balances.held(who, HoldReason.CURATION)


# Signals


def test_a_tenth_of_each_fee_goes_to_curators_by_what_they_signal(library: Library) -> None:
    library.done("Bob", "signal", 0, 30 * GRIST)
    library.done("Charlie", "signal", 0, 10 * GRIST)
    assert (signalled(library, BOB), signalled(library, CHARLIE)) == (30 * GRIST, 10 * GRIST)
    alice = library.chain.free(ALICE)
    library.use(0, EVE, 100 * GRIST)
    assert library.chain.free(ALICE) - alice == 90 * GRIST
    assert library.chain.free(CURATION_POT) == 10 * GRIST
    bob, charlie = library.chain.free(BOB), library.chain.free(CHARLIE)
    library.done("Bob", "claim_fees", 0)
    library.done("Charlie", "claim_fees", 0)
    assert library.chain.free(BOB) - bob == 7_500_000_000
    assert library.chain.free(CHARLIE) - charlie == 2_500_000_000
    assert library.chain.free(CURATION_POT) == library.module.curation_kept == 0
    library.refused(words.NothingHeld, "Bob", "claim_fees", 0)
    library.next()


def test_without_a_signal_the_whole_fee_is_the_owner_s(library: Library) -> None:
    alice = library.chain.free(ALICE)
    library.use(0, EVE, 100 * GRIST)
    assert library.chain.free(ALICE) - alice == 100 * GRIST


def test_a_signal_earns_nothing_of_what_was_paid_before_it(library: Library) -> None:
    library.done("Bob", "signal", 0, 10 * GRIST)
    library.use(0, EVE, 100 * GRIST)
    library.done("Charlie", "signal", 0, 1_000 * GRIST)
    library.refused(words.NothingHeld, "Charlie", "claim_fees", 0)
    bob = library.chain.free(BOB)
    library.done("Bob", "signal", 0, 990 * GRIST)
    free = library.chain.free(BOB)
    assert free - bob == 10 * GRIST - 990 * GRIST, "what was earned is paid before more is put in"
    library.use(0, EVE, 100 * GRIST)
    library.done("Bob", "claim_fees", 0)
    assert library.chain.free(BOB) - free == 5 * GRIST
    library.next()


def test_crumbs_stay_in_the_pot_until_nobody_signals(library: Library) -> None:
    for who in ("Alice", "Bob", "Charlie"):
        library.done(who, "signal", 0, 10 * GRIST)
    library.use(0, EVE, 1_000)
    assert library.module.curation_kept == 100
    for who in ("Alice", "Bob", "Charlie"):
        library.done(who, "claim_fees", 0)
    assert library.module.curation_kept == 1
    pot = library.chain.free(TREASURY)
    for who in ("Alice", "Bob", "Charlie"):
        library.done(who, "unsignal", 0, 10 * GRIST)
    assert library.module.curation_kept == 0
    assert library.chain.free(TREASURY) - pot == 1
    library.next()


def test_a_signal_is_at_least_ten_and_on_an_active_dataset(library: Library) -> None:
    library.refused(words.SignalTooSmall, "Bob", "signal", 0, 10 * GRIST - 1)
    library.refused(words.UnknownDataset, "Bob", "signal", 9, 10 * GRIST)
    library.done("Bob", "signal", 0, 10 * GRIST)
    library.refused(words.SignalTooSmall, "Bob", "signal", 0, 0)
    library.done("Bob", "signal", 0, 1)
    library.refused(words.SignalTooSmall, "Bob", "unsignal", 0, 2)
    library.refused(words.NothingHeld, "Bob", "unsignal", 0, 10 * GRIST + 2)
    library.refused(words.NothingHeld, "Bob", "unsignal", 0, 0)
    library.done("Bob", "unsignal", 0, 1)
    library.done("Alice", "revoke", 0)
    library.refused(words.DatasetNotActive, "Bob", "signal", 0, 10 * GRIST)


def test_a_signal_taken_back_earns_no_more_and_is_free_after_its_eras(library: Library) -> None:
    SIGNAL_ERAS.begin(library.runtime.ctx, 2)
    library.done("Bob", "signal", 0, 100 * GRIST)
    library.done("Bob", "unsignal", 0, 40 * GRIST)
    assert signalled(library, BOB) == 100 * GRIST
    assert library.module.curations[0].signal == 60 * GRIST
    library.next(15)
    library.refused(words.NotDue, "Bob", "free_signal", 0, BOB)
    library.next()
    library.done("Eve", "free_signal", 0, BOB)
    assert signalled(library, BOB) == 60 * GRIST
    library.refused(words.NothingHeld, "Bob", "free_signal", 0, BOB)
    library.done("Bob", "unsignal", 0, 60 * GRIST)
    library.next(16)
    library.done("Bob", "free_signal", 0, BOB)
    assert dict(library.module.signals.items()) == {}
    library.next()


def test_more_that_is_taken_back_makes_what_was_leaving_wait_as_long(library: Library) -> None:
    SIGNAL_ERAS.begin(library.runtime.ctx, 2)
    library.done("Bob", "signal", 0, 100 * GRIST)
    library.done("Bob", "unsignal", 0, 40 * GRIST)
    library.next(8)
    library.done("Bob", "unsignal", 0, 60 * GRIST)
    library.next(8)
    library.refused(words.NotDue, "Bob", "free_signal", 0, BOB)
    library.next(8)
    library.done("Bob", "free_signal", 0, BOB)
    assert signalled(library, BOB) == 0


def test_the_share_of_curators_is_what_the_parameter_says(library: Library) -> None:
    CURATION_SHARE.begin(library.runtime.ctx, 200_000_000)
    library.done("Bob", "signal", 0, 10 * GRIST)
    library.use(0, EVE, 100 * GRIST)
    assert library.module.curation_kept == 20 * GRIST


# Attesters


def bonded(library: Library, *names: str) -> None:
    for name in names:
        library.done(name, "bond", 5_000 * GRIST)


def test_an_attestation_counts_while_its_attester_has_the_whole_bond(library: Library) -> None:
    library.refused(words.AttesterBondTooSmall, "Bob", "attest", 0, DIGEST)
    library.refused(words.AttesterBondTooSmall, "Bob", "bond", 5_000 * GRIST - 1)
    library.refused(words.ZeroAmount, "Bob", "bond", 0)
    bonded(library, "Bob")
    assert library.runtime.balances.held(BOB, HoldReason.SERVICE) == 5_000 * GRIST
    assert not library.module.is_attested(0)
    library.done("Bob", "attest", 0, DIGEST)
    made = Attestation(BOB, DIGEST, library.height)
    assert library.module.attestations[0] == (made,)
    assert library.module.is_attested(0)
    ATTESTER_BOND.begin(library.runtime.ctx, 6_000 * GRIST)
    assert not library.module.is_attested(0)
    library.done("Bob", "bond", 1_000 * GRIST)
    assert library.module.is_attested(0)
    library.next()


def test_an_attester_that_leaves_counts_no_more_and_is_paid_out_later(library: Library) -> None:
    ATTESTER_ERAS.begin(library.runtime.ctx, 2)
    library.refused(words.NothingHeld, "Bob", "leave")
    library.refused(words.NothingHeld, "Bob", "withdraw")
    bonded(library, "Bob")
    library.done("Bob", "attest", 0, DIGEST)
    library.done("Bob", "leave")
    assert not library.module.is_attested(0)
    library.refused(words.AttesterLeaving, "Bob", "leave")
    library.refused(words.AttesterLeaving, "Bob", "bond", GRIST)
    library.next(15)
    library.refused(words.NotDue, "Bob", "withdraw")
    library.next()
    library.done("Bob", "withdraw")
    assert library.runtime.balances.held(BOB, HoldReason.SERVICE) == 0
    library.next()


def test_an_owner_vouches_for_nothing_of_its_own(library: Library) -> None:
    bonded(library, "Alice")
    library.refused(words.OwnDataset, "Alice", "attest", 0, DIGEST)
    library.refused(words.UnknownDataset, "Alice", "attest", 5, DIGEST)


def test_an_attestation_is_made_anew_or_taken_back(library: Library) -> None:
    bonded(library, "Bob")
    library.refused(words.NotAttested, "Bob", "retract", 0)
    library.done("Bob", "attest", 0, DIGEST)
    library.done("Bob", "attest", 0, b"e" * 32)
    assert [entry.digest for entry in library.module.attestations[0]] == [b"e" * 32]
    library.done("Bob", "retract", 0)
    assert not library.module.is_attested(0)
    library.done("Alice", "revoke", 0)
    library.refused(words.DatasetNotActive, "Bob", "attest", 0, DIGEST)


def test_attestations_that_count_no_more_make_room_for_those_that_do(library: Library) -> None:
    library.module.attestations[0] = tuple(
        Attestation(stranger(n), DIGEST, 1) for n in range(ATTESTATIONS_MAX)
    )
    bonded(library, "Bob", "Charlie")
    library.done("Bob", "attest", 0, DIGEST)
    assert [entry.attester for entry in library.module.attestations[0]] == [BOB]
    many = tuple(Attestation(BOB, bytes((n,)) * 32, 1) for n in range(ATTESTATIONS_MAX))
    library.module.attestations[0] = many
    library.refused(words.TooManyAttestations, "Charlie", "attest", 0, DIGEST)


def test_a_proven_duplicate_costs_who_vouched_for_it_and_its_word(library: Library) -> None:
    bonded(library, "Bob", "Charlie")
    library.done("Bob", "attest", 0, DIGEST)
    library.done("Charlie", "attest", 0, DIGEST)
    library.done("Charlie", "leave")
    burned = library.runtime.balances.burned[BurnCause.WORK_SLASH]
    library.module.slash_attesters(0)
    lost = library.runtime.balances.burned[BurnCause.WORK_SLASH] - burned
    assert lost == 2 * 1_000 * GRIST, "whoever leaves can still be slashed"
    assert not library.module.is_attester(BOB)
    assert library.module.attestations[0] == ()
    library.next()


def test_indices_only_rise(library: Library) -> None:
    seen = []
    library.done("Bob", "signal", 0, 10 * GRIST)
    for amount in (1, 10**6, 10**12):
        library.use(0, EVE, amount)
        seen.append(library.module.curations[0].index)
    assert all(before <= after for before, after in pairwise(seen))
    library.next()
