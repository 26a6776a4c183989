"""Datasets: with sixteen royalties, eight attesters and whatever else a record may have."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from unittest.mock import patch

from bench.stages import Stage, call, hook, items, stages, stop_wheel
from runtime.balances import HoldReason, MintCause
from runtime.market.datasets import module as rules
from runtime.market.datasets import uses
from runtime.market.datasets.events import CaseEnded, Lapsed
from runtime.market.datasets.nouns import (
    ATTESTATIONS_MAX,
    ATTESTER_ERAS,
    EQUAL_MIN,
    MISSES_MAX,
    OPENINGS,
    PIECE_MAX,
    RETIRE_ERAS,
    ROYALTIES_MAX,
    SIGNAL_ERAS,
    DatasetState,
    EndReason,
    JobUse,
    OpenedLeaf,
    Share,
)
from runtime.market.datasets.registry import commitment_of
from runtime.market.datasets.uses import PRUNED_PER_BLOCK
from runtime.primitives import AccountId
from tests.support.datasets import Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import person, stranger

LEAVES: Final = 1_000
"""A megabyte. Of a dataset of a gigabyte a proof has ten hashes more, 3 microseconds a leaf."""

HEIRS: Final = tuple(sorted(stranger(4_000 + number) for number in range(ROYALTIES_MAX)))
ROYALTIES: Final = tuple(Share(who, 10**9 // ROYALTIES_MAX) for who in HEIRS)
DATA: Final = Data(content(1, LEAVES))
COPY: Final = Data(content(1, LEAVES)[:-200] + bytes(100))
"""The same data but for its last leaf: a duplicate with another root."""

ALICE, BOB, EVE = (person(name) for name in ("Alice", "Bob", "Eve"))


def library() -> Library:
    """Give a library whose numbers of eras are as low as they may be."""
    made = Library()
    for number in (SIGNAL_ERAS, ATTESTER_ERAS, RETIRE_ERAS):
        number.begin(made.runtime.ctx, number.low)
    return made


def attest(made: Library, number: int) -> None:
    """Let eight people vouch for a dataset."""
    bond = 5_000 * GRIST
    who = [stranger(5_000 + n) for n in range(ATTESTATIONS_MAX)]
    for one in who:
        made.runtime.balances.mint(MintCause.GENESIS, one, 2 * bond)
        run(made, one, "bond", bond)
        run(made, one, "attest", number, b"d" * 32)


def run(made: Library, who: AccountId, name: str, *arguments: object) -> None:
    """Run a call of any account, which must be done."""
    call(made, who, f"Datasets.{name}", *arguments).run()


@stages(
    "Datasets.commit",
    "Datasets.drop_commit",
    "Datasets.reveal, in the place of another",
    "Datasets.prove, the first time",
    "a dataset lapses",
)
def registration() -> Iterator[Stage]:
    """Play: a dataset with a full royalty tree takes the place of a later one."""
    made = library()
    sealed = commitment_of(DATA.root, ALICE, bytes(32))
    yield call(made, ALICE, "Datasets.commit", sealed)
    made.done("Alice", "commit", sealed)
    made.commit("Bob", DATA)
    with patch.object(rules, "REVEAL_MAX", 0):
        yield call(made, ALICE, "Datasets.drop_commit", sealed)
    made.next(9)
    made.done("Bob", *made.reveal_arguments(DATA))
    name, *terms = made.reveal_arguments(DATA, royalties=ROYALTIES)
    yield call(made, ALICE, f"Datasets.{name}", *terms, case="in the place of another")
    made.done("Alice", name, *terms)
    made.data[1] = DATA
    made.until(made.module.clock().entry_opens(made.dataset(1).epoch))
    yield call(made, EVE, "Datasets.prove", 1, made.answers(1), case="the first time")
    made.until(made.module.clock().entry_closes(made.dataset(1).epoch) - 2)
    while made.height < made.module.clock().entry_closes(made.dataset(1).epoch) - 1:
        made.next()
    yield items(made, "a dataset lapses", rules.WEIGHT_REVEAL, Lapsed)


def sold() -> Library:
    """Give a library in which Alice's dataset 0 is active, with all that it can have."""
    made = library()
    made.active("Alice", DATA, royalties=ROYALTIES)
    for who in HEIRS:
        made.runtime.balances.mint(MintCause.GENESIS, who, GRIST)
    return made


@stages(
    "Datasets.set_price",
    "Datasets.add_bond",
    "Datasets.offer_owner",
    "Datasets.accept_owner",
    "Datasets.prove",
    "Datasets.revoke",
    "Datasets.withdraw_bond",
    "Datasets.report_miss",
    "Datasets.report_miss, the last",
)
def ownership() -> Iterator[Stage]:
    """Play: a dataset is changed, handed over with its rent due, missed three times, and over."""
    made = sold()
    yield call(made, ALICE, "Datasets.set_price", 0, 20 * GRIST)
    yield call(made, ALICE, "Datasets.add_bond", 0, GRIST)
    yield call(made, ALICE, "Datasets.offer_owner", 0, BOB)
    made.done("Alice", "offer_owner", 0, BOB)
    made.next_era()
    made.next()
    yield call(made, BOB, "Datasets.accept_owner", 0)
    yield call(made, EVE, "Datasets.prove", 0, made.answers(0))
    yield call(made, ALICE, "Datasets.revoke", 0)
    era = made.era
    made.until(made.module.clock().closes(era))
    yield call(made, EVE, "Datasets.report_miss", 0, era)
    dataset = made.dataset(0)
    misses = tuple(range(100, 100 + MISSES_MAX - 1))
    made.module.datasets[0] = replace(dataset, misses=misses)
    made.next()
    with patch.object(rules, "with_miss", lambda one, at, _: replace(one, misses=(*misses, at))):
        yield call(made, EVE, "Datasets.report_miss", 0, era, case="the last")
    made.done("Alice", "revoke", 0)
    made.next(8 * RETIRE_ERAS.low)
    yield call(made, ALICE, "Datasets.withdraw_bond", 0)


@stages(
    "Datasets.signal",
    "Datasets.unsignal",
    "Datasets.free_signal",
    "Datasets.free_signal, of a duplicate",
    "Datasets.claim_fees",
    "Datasets.note_stake",
)
def signals() -> Iterator[Stage]:
    """Play: a curator of a dataset that earns is paid, adds to its signal, and takes it back."""
    made = sold()
    made.done("Bob", "signal", 0, 30 * GRIST)
    made.use(0, EVE, GRIST)
    yield call(made, BOB, "Datasets.signal", 0, 30 * GRIST)
    yield call(made, BOB, "Datasets.claim_fees", 0)
    yield call(made, BOB, "Datasets.unsignal", 0, 10 * GRIST)
    yield call(made, BOB, "Datasets.note_stake")
    made.done("Bob", "unsignal", 0, 10 * GRIST)
    made.next(8 * SIGNAL_ERAS.low)
    yield call(made, EVE, "Datasets.free_signal", 0, BOB)
    made.use(0, EVE, GRIST)
    module = made.module
    bond = made.dataset(0).bond
    made.runtime.balances.release(ALICE, HoldReason.DEPOSIT, bond)
    gone = replace(made.dataset(0), bond=0)
    module.end(0, gone, DatasetState.DUPLICATE, EndReason.EQUAL_LEAVES)
    module.curations[0] = replace(module.curations[0], loss=10**8)
    yield call(made, EVE, "Datasets.free_signal", 0, BOB, case="of a duplicate")


@stages(
    "Datasets.bond",
    "Datasets.attest",
    "Datasets.retract",
    "Datasets.leave",
    "Datasets.withdraw",
)
def attesters() -> Iterator[Stage]:
    """Play: the last of eight vouches for a dataset, and stops to."""
    made = sold()
    attest(made, 0)
    last = stranger(5_000)
    run(made, last, "retract", 0)
    run(made, BOB, "bond", 5_000 * GRIST)
    yield call(made, BOB, "Datasets.bond", GRIST)
    yield call(made, BOB, "Datasets.attest", 0, b"e" * 32)
    run(made, BOB, "attest", 0, b"e" * 32)
    yield call(made, BOB, "Datasets.retract", 0)
    yield call(made, BOB, "Datasets.leave")
    run(made, BOB, "leave")
    made.next(8 * ATTESTER_ERAS.low)
    yield call(made, BOB, "Datasets.withdraw")


@stages(
    "Datasets.challenge",
    "Datasets.open_leaves",
    "Datasets.match",
    "Datasets.match, the last",
    "Datasets.conclude_case",
)
def duplicates() -> Iterator[Stage]:
    """Play: a copy that eight vouch for is challenged, shown, and found out."""
    made = copied()
    yield call(made, EVE, "Datasets.challenge", 0, 1)
    made.done("Eve", "challenge", 0, 1)
    module = made.module
    made.until(module.clock().epoch_start(module.cases[0].draw_epoch))
    shown = [COPY.answer(module.drawn_leaf(0, place)) for place in range(PIECE_MAX)]
    pieces = tuple(OpenedLeaf(place, one.leaf, one.path) for place, one in enumerate(shown))
    yield call(made, BOB, "Datasets.open_leaves", 0, pieces)
    made.show_all(0, COPY)
    found = made.matches(0, DATA, COPY)
    yield call(made, EVE, "Datasets.match", 0, tuple(found[:PIECE_MAX]))
    for start in range(0, EQUAL_MIN - PIECE_MAX + 1, PIECE_MAX):
        made.done("Eve", "match", 0, tuple(found[start : start + PIECE_MAX]))
    start += PIECE_MAX
    rest = tuple(found[start : start + PIECE_MAX])
    yield call(made, EVE, "Datasets.match", 0, rest, case="the last")
    _hide_one(made)
    stop_wheel(made)
    made.until(module.cases[0].opening_ends)
    yield call(made, EVE, "Datasets.conclude_case", 0)


@stages("a duplicate is over")
def case_ends() -> Iterator[Stage]:
    """Play: the wheel ends a case of which one leaf was not shown."""
    made = copied()
    made.done("Eve", "challenge", 0, 1)
    made.until(made.module.clock().epoch_start(made.module.cases[0].draw_epoch))
    made.show_all(0, COPY)
    _hide_one(made)
    made.until(made.module.cases[0].opening_ends - 1)
    yield items(made, "a duplicate is over", rules.WEIGHT_VERDICT, CaseEnded)


@stages("uses are forgotten")
def forgetting() -> Iterator[Stage]:
    """Play: a block forgets as many uses of an old era as it may."""
    made = library()
    module = made.module
    for number in range(PRUNED_PER_BLOCK):
        module.job_log[0, 0, number] = JobUse(number, EVE, GRIST)
    with patch.object(uses, "LOG_ERAS", -1):
        yield hook(made, "uses are forgotten", module.on_initialize)


def copied() -> Library:
    """Give a library in which Bob sells a copy of what Alice sells, and eight vouch for it."""
    made = sold()
    made.active("Bob", COPY, royalties=ROYALTIES)
    attest(made, 1)
    return made


def _hide_one(made: Library) -> None:
    """Let the last leaf not have been shown."""
    case, last = made.module.cases[0], OPENINGS - 1
    made.module.cases[0] = replace(case, opened=case.opened & ~(1 << last))
    del made.module.openings[0, last]
