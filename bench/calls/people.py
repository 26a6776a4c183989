"""Who reports, who is known, who pays for whom, and the table of work."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from bench.stages import Stage, call, stages, vote
from runtime.balances import MintCause
from runtime.market.budgets import organisation_account
from runtime.market.oracle.nouns import CLASSES_MAX, REPORTERS_MAX, ClassPrice
from runtime.market.work_units import DEV_CLASSES, Framework, HardwareClass, Program
from runtime.market.work_units.module import PROGRAMS_MAX, ROWS_MAX
from runtime.market.work_units.nouns import FIELDS_MAX, TERMS_MAX, OpsTerm, ParamField
from runtime.primitives import AccountId
from tests.support.governance import GRIST, as_root
from tests.support.jobs import ANN, Market
from tests.support.newsroom import DOLLAR, Newsroom
from tests.support.runtime import Chain, person, stranger

ALICE, BOB = person("Alice"), person("Bob")
MEMBERS: Final = 63
"""All members of an organisation but the last."""


class Desk:
    """A chain at whose open block things are done."""

    def __init__(self, name: str = "dev") -> None:
        self.chain = Chain.start(name)
        self.chain.open()

    def done(self, who: AccountId, path: str, *arguments: Any) -> None:
        """Run a call that must be done."""
        call(self, who, path, *arguments).run()


@stages(
    "Budgets.create",
    "Budgets.set_member",
    "Budgets.remove_member",
    "Budgets.withdraw",
    "Budgets.set_owner",
    "Budgets.close",
)
def budgets() -> Iterator[Stage]:
    """Play: an organisation of the longest name takes its last member, loses it, and is closed."""
    desk, bob = Desk("plain"), BOB
    yield call(desk, ALICE, "Budgets.create", "n" * 32)
    desk.done(ALICE, "Budgets.create", "n" * 32)
    assert desk.chain.apply(desk.chain.transfer(organisation_account(0), 1_000 * GRIST), BOB)
    for number in range(MEMBERS):
        desk.done(ALICE, "Budgets.set_member", 0, stranger(number), GRIST, GRIST)
    new = (0, bob, 100 * GRIST, 150 * GRIST)
    yield call(desk, ALICE, "Budgets.set_member", *new)
    desk.done(ALICE, "Budgets.set_member", *new)
    yield call(desk, ALICE, "Budgets.withdraw", 0, GRIST)
    yield call(desk, ALICE, "Budgets.set_owner", 0, bob)
    yield call(desk, ALICE, "Budgets.remove_member", 0, bob)
    desk.done(ALICE, "Budgets.remove_member", 0, bob)
    for number in range(MEMBERS):
        desk.done(ALICE, "Budgets.remove_member", 0, stranger(number))
    yield call(desk, ALICE, "Budgets.close", 0)


@stages("Credits.buy", "Credits.expire")
def credits_() -> Iterator[Stage]:
    """Credits are bought where old ones must be dropped first, at a price that is known."""
    room = Newsroom()
    room.all_say(DOLLAR)
    held = room.chain.runtime.market.credits
    call(room, BOB, "Credits.buy", 100 * GRIST).run()
    held.holdings[BOB] = replace(held.holdings[BOB], expires=0)
    yield call(room, BOB, "Credits.buy", 100 * GRIST)
    yield call(room, ALICE, "Credits.expire", BOB)


@stages(
    "Oracle.admit",
    "Oracle.join",
    "Oracle.report, of every class",
    "Oracle.report",
    "Oracle.leave",
    "Oracle.take_bond",
    "Oracle.remove",
    "Oracle.resume",
)
def oracle() -> Iterator[Stage]:
    """Play: the last of all reporters comes, reports what all others did, and goes."""
    room = Newsroom(REPORTERS_MAX - 1)
    last = stranger(77)
    room.chain.runtime.balances.mint(MintCause.GENESIS, last, 50_000 * GRIST)
    yield vote(room, "Oracle.admit", last)
    as_root(room.chain, "Oracle", "admit", last)
    yield call(room, last, "Oracle.join")
    call(room, last, "Oracle.join").run()
    room.people.append(last)
    classes = tuple(ClassPrice(number, DOLLAR) for number in range(CLASSES_MAX))
    room.all_say(DOLLAR, classes=classes)
    room.pass_blocks(50)
    yield call(room, last, "Oracle.report", DOLLAR + 1, classes, case="of every class")
    yield call(room, last, "Oracle.report", DOLLAR + 1, ())
    yield call(room, last, "Oracle.leave")
    yield vote(room, "Oracle.remove", last)
    call(room, last, "Oracle.leave").run()
    told = room.oracle
    told.reporters[last] = replace(told.reporters[last], leaves=1)
    yield call(room, last, "Oracle.take_bond")
    told.feeds[0] = replace(told.feeds[0], is_asleep=True)
    yield vote(room, "Oracle.resume", 0)


@stages("Reputation.confirm_stake")
def reputation() -> Iterator[Stage]:
    """Play: a provider shows what it has at stake."""
    yield call(Market(), ANN.id, "Reputation.confirm_stake")


@stages("WorkUnits.set_class", "WorkUnits.set_program", "WorkUnits.set_framework")
def work_units() -> Iterator[Stage]:
    """Play: a vote copies a table that is full."""
    desk = Desk()
    units = desk.chain.runtime.market.work_units
    for entry in DEV_CLASSES:
        units.classes[0, entry.class_id] = entry
    for number in range(100, 100 + ROWS_MAX - len(DEV_CLASSES)):
        one = HardwareClass(number, f"class {number}".ljust(32), 1, 10**9, 10**9, 10**9, True)  # noqa: FBT003 -- a field
        units.classes[0, number] = one
    field = ParamField(0, 1, 2)
    terms = (OpsTerm(1, (field,) * FIELDS_MAX),) * TERMS_MAX
    programs = [Program(bytes((n,)) * 32, 8, terms, True) for n in range(1, PROGRAMS_MAX + 1)]  # noqa: FBT003 -- a field
    for program in programs[1:]:
        units.programs[0, program.digest] = program
    images = [Framework(bytes((n,)) * 32, "r" * 32, 10**6) for n in range(1, ROWS_MAX + 1)]
    for image in images[1:]:
        units.frameworks[0, image.image] = image
    yield vote(desk, "WorkUnits.set_class", replace(DEV_CLASSES[0], is_open=False))
    yield vote(desk, "WorkUnits.set_program", programs[0], True)  # noqa: FBT003 -- as the call has it
    yield vote(desk, "WorkUnits.set_framework", images[0])
