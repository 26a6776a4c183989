"""An adversary who wants to keep what slashing takes, and a book-keeper who knows what is due.

The adversary owns six validators and five nominators. It unbonds, rebonds, withdraws, chills,
nominates others, bonds more, validates again, reports itself and has reports called off, in any
order, on a chain whose elections are real; four honest validators keep it going. With a deferral
of three eras a report may be decided after everything that unbonded before it could be withdrawn.

The book-keeper notes what stood behind everybody when each era began, and computes from that alone,
in rational numbers, what each report costs and each payer owes. Nothing that happens afterwards may
change it: whatever the adversary did, what is due is paid, to the grain.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from chain.events import EventReader
from ext import hashing
from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.executive import Executive
from runtime.primitives import AccountId
from runtime.session_keys import SessionKeys
from runtime.staking.nouns import STAKED, ValidatorPrefs
from runtime.staking.reports import EQUIVOCATIONS, OffenceKind, ReportState
from tests.support import electorate
from tests.support.runtime import Chain, person

GRIST = 10**9
ERA_BLOCKS = 8
EPOCH_BLOCKS = 4
CORRELATION_ERAS = 7
EVIDENCE_ERAS = 2
EVIDENCE_BLOCKS = EVIDENCE_ERAS * ERA_BLOCKS
HONEST = [person(name) for name in ("Alice", "Bob", "Charlie", "Dave")]
MALLORY = [electorate.named("mallory", number) for number in range(6)]
HELPERS = [electorate.named("helper", number) for number in range(5)]
ADVERSARY = [*MALLORY, *HELPERS]
ANYWAY = ("unbond", "rebond", "withdraw_unbonded", "withdraw_unbonded", "bond_extra", "chill")
AS_VALIDATOR = ("validate", "validate", "validate", "unjail", "nominate")
AS_NOMINATOR = ("nominate", "nominate", "nominate", "nominate")
PROVED = tuple(kind for kind in OffenceKind if kind is not OffenceKind.OFFLINE)


@dataclass
class Exposed:
    """What stood behind a validator when an era began."""

    own: int
    others: dict[AccountId, int]

    @property
    def total(self) -> int:
        return self.own + sum(self.others.values())


@dataclass
class Due:
    """A report as the book-keeper sees it."""

    kind: OffenceKind
    offender: AccountId
    height: int
    era: int
    power: int
    total_power: int
    is_cancelled: bool = False
    own: int = 0
    nominators: int = 0
    owed: dict[AccountId, int] = field(default_factory=dict)


class Bookkeeper:
    """Exposures by era, reports, and payments; computes what is due from nothing else."""

    def __init__(self) -> None:
        self.exposed: dict[int, dict[AccountId, Exposed]] = {}
        self.dues: list[Due] = []
        self.charged: dict[tuple[int, AccountId], int] = {}
        self.payments: list[tuple[int, AccountId, int]] = []
        self.known: set[tuple[int, AccountId, int]] = set()

    def fraction(self, due: Due) -> Fraction:
        """What a report costs by all reports that stand now."""
        standing = [other for other in self.dues if not other.is_cancelled]
        if due.kind is OffenceKind.OFFLINE:
            alike = [o for o in standing if o.kind is OffenceKind.OFFLINE and o.era == due.era]
            share = power_of(alike) / due.total_power
            cost = Fraction(21, 100) * share * (share - Fraction(1, 10))
            return max(Fraction(1, 10_000), min(Fraction(7, 100), cost))
        if due.kind not in EQUIVOCATIONS:
            return Fraction(1)
        near = [
            o
            for o in standing
            if o.kind is not OffenceKind.OFFLINE and abs(o.era - due.era) <= CORRELATION_ERAS
        ]
        return max(Fraction(1, 20), min(Fraction(1), (3 * power_of(near) / due.total_power) ** 2))

    def fix(self, due: Due, fraction: Fraction) -> None:
        """Say what a report that is applied now takes, beyond earlier ones of the same era."""
        exposed = self.exposed[due.era].get(due.offender)
        if exposed is None:
            return
        place = (due.era, due.offender)
        before = self.charged.get(place, 0)
        after = max(before, int(fraction * exposed.total))
        self.charged[place] = after
        due.own = min(after, exposed.own) - min(before, exposed.own)
        due.nominators = after - before - due.own

    def exposure_of(self, who: AccountId, era: int) -> int:
        """All that somebody had at stake in an era."""
        return sum(
            exposed.own * (validator == who) + exposed.others.get(who, 0)
            for validator, exposed in self.exposed[era].items()
        )

    def paid_since_snapshot(self, who: AccountId, era: int) -> int:
        """What somebody paid since the walk of the election for an era began."""
        start = era * ERA_BLOCKS - EPOCH_BLOCKS
        return sum(paid for height, payer, paid in self.payments if payer == who and height > start)


def power_of(dues: list[Due]) -> Fraction:
    """The power of the different offenders."""
    powers: dict[AccountId, int] = {}
    for due in dues:
        powers[due.offender] = max(powers.get(due.offender, 0), due.power)
    return Fraction(sum(powers.values()))


class Evasion:
    """One history; `seed` makes all of its choices."""

    def __init__(self, seed: int) -> None:
        self.noise = random.Random(seed)
        self.books = Bookkeeper()
        self.events = EventReader()
        self.pending: list[Misbehaviour] = []
        self.log: deque[str] = deque(maxlen=40)
        self.refused: Counter[tuple[str, bytes]] = Counter()
        self.chain = electorate.start(EPOCH_BLOCKS, 2, Executive())
        runtime = self.chain.open()
        self.deferral_eras = self.noise.choice((1, 3))
        electorate.raise_limits(
            runtime, era_reward=0, slash_deferral_eras=self.deferral_eras, unbonding_eras=4
        )
        runtime.system.params = replace(
            runtime.system.params, evidence_age_blocks=EVIDENCE_BLOCKS, evidence_age_ms=1_000
        )
        for number, who in enumerate(MALLORY):
            electorate.add_candidate(runtime, who, 15_000 + 4_000 * number)
            electorate.endow(runtime, who, 100_000)
        for who in HELPERS:
            electorate.add_voter(runtime, who, self.noise.randrange(100, 9_000), MALLORY[:3])
            electorate.endow(runtime, who, 20_000)
        self.note_era()

    @property
    def staking(self) -> Any:
        return self.chain.runtime.staking

    @property
    def height(self) -> int:
        return self.chain.height + 1

    # Steps

    def step(self) -> None:
        """Do one thing of the adversary's choice."""
        choice = self.noise.random()
        if choice < 0.3:
            self.block()
        elif choice < 0.38:
            self.report()
        elif choice < 0.39:
            self.report_absence()
        elif choice < 0.41:
            self.cancel()
        else:
            self.call()

    def block(self) -> None:
        """Close the block and open the next, with the evidence that waits."""
        self.log.append(f"block {self.height}: {len(self.pending)} reports")
        self.chain.executive.finalize_block()
        if self.height % ERA_BLOCKS == 0:
            self.check_invariants()
        self.chain.state.commit(self.chain.overlay)
        self.chain.height += 1
        self.chain.parent_hash = hashing.blake2b_256(self.chain.parent_hash)
        before = self.due_now()
        for number, fraction in before:
            self.books.fix(self.books.dues[number], fraction)
        pending, self.pending = tuple(self.pending), []
        count = self.chain.look().slashing.report_count
        self.chain.open(misbehaviour=pending)
        self.read_payments()
        if (self.height - 1) % ERA_BLOCKS == 0:
            self.note_era()
        assert self.chain.runtime.slashing.report_count == count + len(pending)
        for one in pending:
            self.note_report(OffenceKind(one.kind), one.account, one.height, one.power)

    def report(self) -> None:
        """Put evidence of an old offence of a validator of the adversary into the next block."""
        who, kind = self.noise.choice(MALLORY), self.noise.choice(PROVED)
        height = self.noise.randrange(max(1, self.height + 1 - EVIDENCE_BLOCKS), self.height + 1)
        era = max(height - 2, 0) // ERA_BLOCKS
        exposed = self.books.exposed[era].get(who)
        key = (int(kind), who, height)
        if exposed is None or key in self.books.known or len(self.pending) >= 4:
            return
        self.books.known.add(key)
        self.log.append(f"report {kind.name} of {name(who)} at {height}")
        self.pending.append(
            Misbehaviour(
                kind=MisbehaviourKind(kind),
                account=who,
                height=height,
                time_ms=self.chain.spec.time_ms + height * 1_000,
                power=max(1, exposed.total // GRIST),
                total_power=self.total_power(era),
                evidence_hash=bytes(32),
            )
        )

    def report_absence(self) -> None:
        """Let a validator of the adversary be found offline."""
        who, era = self.noise.choice(MALLORY), self.staking.exposure_era(self.height)
        exposed = self.books.exposed[era].get(who)
        if exposed is None:
            return
        self.log.append(f"absence of {name(who)} at {self.height}")
        power = max(1, exposed.total // GRIST)
        self.chain.runtime.slashing.report(
            kind=OffenceKind.OFFLINE,
            offender=who,
            height=self.height,
            power=power,
            total_power=self.total_power(era),
            evidence_hash=bytes(32),
        )
        self.note_report(OffenceKind.OFFLINE, who, self.height, power)

    def cancel(self) -> None:
        """Let a vote call a report off, and the offender come back."""
        slashing = self.chain.runtime.slashing
        waiting = [
            number
            for number, due in enumerate(self.books.dues)
            if slashing.reports[number].state is ReportState.DEFERRED
        ]
        if not waiting:
            return
        number = self.noise.choice(waiting)
        self.log.append(f"cancel {number}")
        due = self.books.dues[number]
        due.is_cancelled = True
        slashing.cancel(number, b"")
        if not self.chain.runtime.session.barred[due.offender]:
            who = due.offender
            keys = SessionKeys(*self.session_keys(who))
            self.chain.runtime.session.register(who, keys)

    def session_keys(self, who: AccountId) -> tuple[bytes, bytes]:
        keys = self.chain.runtime.session.keys.find(who)
        assert keys is not None
        return keys.consensus, keys.vrf

    def call(self) -> None:
        """Call something of Staking; it may be refused."""
        who = self.noise.choice(ADVERSARY)
        name_, arguments = self.choose_call(who)
        chain = self.chain
        data = chain.call("Staking", name_, *arguments)
        error = chain.executive.run_call(chain.executive.decode_call(data), who)
        self.refused[name_, error[1:3]] += 1
        self.log.append(f"{name(who)} {name_}: {error.hex() or 'done'}")

    def choose_call(self, who: AccountId) -> tuple[str, tuple[Any, ...]]:
        ledger = self.staking.ledger_of(who)
        if ledger is None:
            return "bond", (self.noise.randrange(10, 20_000) * GRIST, STAKED)
        amount = self.noise.choice(
            (ledger.active, ledger.active // 2, ledger.total // 3, 7 * GRIST + 1)
        )
        names = [*ANYWAY, *(AS_VALIDATOR if who in MALLORY else AS_NOMINATOR)]
        name_ = self.noise.choice(names)
        if name_ in ("unbond", "rebond", "bond_extra"):
            return name_, (amount,)
        if name_ == "withdraw_unbonded":
            return name_, (0,)
        if name_ == "nominate":
            standing = [v for v in (*MALLORY, *HONEST) if v in self.staking.validators]
            targets = self.noise.sample(standing, self.noise.randrange(1, 5))
            return name_, (tuple(targets),)
        if name_ == "validate":
            return name_, (ValidatorPrefs(0, blocked=False),)
        return name_, ()

    # What the book-keeper hears

    def note_era(self) -> None:
        """Note what stands behind everybody in the era that begins."""
        era, exposures = self.staking.active_era, self.staking.exposures
        self.books.exposed[era] = {
            validator: Exposed(
                exposures.overview(era, validator).own,
                {entry.who: entry.value for entry in exposures.nominators(era, validator)},
            )
            for validator in exposures.validators(era)
        }

    def total_power(self, era: int) -> int:
        return sum(exposed.total for exposed in self.books.exposed[era].values()) // GRIST

    def note_report(self, kind: OffenceKind, who: AccountId, height: int, power: int) -> None:
        """Note a report, and see that nothing of what it may cost has left before it came."""
        books, era = self.books, max(height - 2, 0) // ERA_BLOCKS
        record = self.chain.runtime.slashing.reports[len(books.dues)]
        assert (record.kind, record.offender, record.era) == (kind, who, era)
        books.dues.append(Due(kind, who, height, era, power, self.total_power(era)))
        exposed = books.exposed[era][who]
        for payer in (who, *exposed.others):
            there = self.stake(payer) + books.paid_since_snapshot(payer, era)
            assert there >= books.exposure_of(payer, era), f"{name(payer)} took stake away before"

    def due_now(self) -> list[tuple[int, Fraction]]:
        """The reports that the next block begins to apply, with what they cost by now."""
        slashing = self.chain.look().slashing
        return [
            (number, self.books.fraction(due))
            for number, due in enumerate(self.books.dues)
            if not due.is_cancelled
            and slashing.reports[number].state is ReportState.DEFERRED
            and slashing.reports[number].apply_at <= self.height
        ]

    def read_payments(self) -> None:
        """Compare who paid in the hooks of the open block with what is due."""
        for event in self.events.decode(self.chain.executive._receipts[0]):
            if event.name == "SlashPaid":
                self.note_payment(**event.fields)
            elif event.name == "SlashApplied":
                self.check_applied(event.fields["report"])

    def note_payment(self, report: int, who: bytes, due: int, paid: int) -> None:
        books, payer = self.books, AccountId(who)
        entry = books.dues[report]
        entry.owed[payer] = entry.owed.get(payer, 0) + due
        books.payments.append((self.height, payer, paid))
        if paid < due:
            everything = books.exposure_of(payer, entry.era)
            given = books.paid_since_snapshot(payer, entry.era)
            assert given >= everything, f"{name(payer)} kept {everything - given} grains"
            assert self.stake(payer) == 0 or paid == 0

    def check_applied(self, number: int) -> None:
        """Compare a report that is done with what the book-keeper says."""
        due = self.books.dues[number]
        record = self.chain.runtime.slashing.reports[number]
        assert (record.own, record.nominators) == (due.own, due.nominators), f"report {number}"
        others = sum(part for who, part in due.owed.items() if who != due.offender)
        assert due.owed.get(due.offender, 0) == due.own
        assert others == due.nominators
        exposed = self.books.exposed[due.era].get(due.offender)
        whole = sum(exposed.others.values()) if exposed else 0
        for who, part in due.owed.items():
            if who != due.offender and exposed is not None:
                share = Fraction(due.nominators * exposed.others[who], whole)
                assert abs(part - share) < 3
        paid = record.own + record.nominators - record.shortfall
        assert record.burned + record.treasury == paid

    # What must hold

    def stake(self, who: AccountId) -> int:
        ledger = self.staking.ledger_of(who)
        return ledger.total if ledger else 0

    def check_invariants(self) -> None:
        broken = [c.sentence for c in self.chain.runtime.invariants() if not c.holds]
        assert broken == [], broken

    def finish(self) -> None:
        """Let everything that was reported be decided, and see that nobody is liable any more."""
        for _ in range((self.deferral_eras + 2) * ERA_BLOCKS):
            self.block()
        runtime = self.chain.runtime
        states = {record.state for record in runtime.slashing.reports.values()}
        assert states <= {ReportState.APPLIED, ReportState.CANCELLED}
        assert dict(runtime.staking.liable.items()) == {}
        self.check_invariants()


def name(who: AccountId) -> str:
    """What an account of the adversary is called."""
    for kind, accounts in (("mallory", MALLORY), ("helper", HELPERS), ("honest", HONEST)):
        if who in accounts:
            return f"{kind} {accounts.index(who)}"
    return who.hex()


def walk(seed: int, steps: int) -> Evasion:
    """Go through a history of so many steps; raises AssertionError naming the seed."""
    history = Evasion(seed)
    try:
        for _ in range(steps):
            history.step()
        history.finish()
    except AssertionError as error:
        tail = "\n".join(history.log)
        raise AssertionError(f"seed {seed}: {error}\n{tail}") from error
    return history


__all__ = ["Chain", "Evasion", "walk"]
