"""Slashing: a proven offence costs stake, later, and whatever its owners do meanwhile.

    report ──> jailed, out of the set, its exposure liable ──> deferral ──> applied
                                                         '── cancelled by vote

Who pays is fixed by the era whose election made the set of the offence's height: the offender first
with its own stake, then its nominators by what they had behind it. From the report on, nobody who
may have to pay withdraws more than what stays covers; while pages of nominators are being noted,
nobody withdraws at all. Money is taken from active stake, then from what is unbonding, into a pot;
when everybody has paid, half of it is burned and the rest goes to the treasury.

Fractions are computed when a report is applied, over all that was reported by then and not
cancelled. Of the reports of a validator in one era only the highest fraction counts.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ext import scale
from runtime import weights
from runtime.balances import SLASH_POT, TREASURY, Balances, BurnCause, MoveCause
from runtime.deadlines import LOOKAHEAD_MAX, Deadlines, Lane, WheelFull
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId, Balance, Weight
from runtime.session import Session, ValidatorRecord
from runtime.staking import fractions
from runtime.staking.cases import PAGES_PER_BLOCK, TWOX, CaseKey, Cases
from runtime.staking.fractions import NOTHING, Charge, Ratio, Split, charge
from runtime.staking.module import Staking
from runtime.staking.nouns import FOREVER, ExposureOverview
from runtime.staking.reports import (
    EQUIVOCATIONS,
    ERRORS,
    EVENTS,
    OffenceKind,
    Presence,
    Progress,
    Removals,
    ReportDecided,
    ReportState,
    Sentence,
    SlashApplied,
    SlashBegun,
    SlashCancelled,
    SlashPaid,
    SlashReport,
    SlashReported,
    UnknownReport,
    ValidatorRemoved,
)

CORRELATION_ERAS: Final = Parameter(
    "slashing.correlation_eras",
    7,
    low=1,
    high=28,
    step=7,
    unit=Unit.ERAS,
    docs="Equivocations at most this many eras apart are punished together.",
)
"""A week either way: an attack of several validators is one offence."""

BURN_SHARE: Final = Parameter(
    "slashing.burn_share",
    PERBILL // 2,
    low=PERBILL // 4,
    high=PERBILL,
    step=PERBILL // 10,
    unit=Unit.PERBILL,
    docs="Part of each slash that is burned; the treasury receives the rest.",
)
"""Half: nobody who votes on slashes gains by them more than the holders of all coins."""

OFFENDERS_MAX: Final = 400
"""More accounts than can be in the sets of one era: four sets of a hundred."""

WHEEL_TRIES: Final = 8
"""How often a later stretch of the wheel is tried when one is full; it has room for 524,288."""


class Slashing(Cases, Module, index=15, events=EVENTS, errors=ERRORS):
    """What proven offences cost, who pays it, and where it goes."""

    parameters = (CORRELATION_ERAS, BURN_SHARE)

    report_count: StorageValue[U32] = stored(default=0)
    reports: StorageMap[U32, SlashReport] = stored(hasher=TWOX)
    open_reports: StorageValue[U32] = stored(default=0)
    equivocators: StorageMap[tuple[U32, AccountId], Presence] = stored(hasher=(TWOX, TWOX))
    absentees: StorageMap[tuple[U32, AccountId], Presence] = stored(hasher=(TWOX, TWOX))
    convictions: StorageMap[AccountId, U32] = stored(default=0, hasher=TWOX)
    charging_queue: StorageMap[U32, U32] = stored(hasher=TWOX)
    charging_first: StorageValue[U32] = stored(default=0)
    charging_next: StorageValue[U32] = stored(default=0)
    progress: StorageValue[Progress | None] = stored(default=None)
    in_pot: StorageValue[Balance] = stored(default=0)
    removals: StorageValue[Removals] = stored(default=Removals(0, 0, 0))
    jailed_at: StorageValue[U32] = stored(default=0)

    def __init__(
        self,
        ctx: Context,
        *,
        balances: Balances,
        session: Session,
        deadlines: Deadlines,
        staking: Staking,
    ) -> None:
        super().__init__(ctx)
        self.balances = balances
        self.session = session
        self.deadlines = deadlines
        self.staking = staking
        deadlines.listen(self.index, self._on_deadline)

    # Reports

    def report(
        self,
        *,
        kind: OffenceKind,
        offender: AccountId,
        height: int,
        power: int,
        total_power: int,
        evidence_hash: bytes,
    ) -> None:
        """Record an offence of a height, jail the offender, and let its exposure be liable.

        Power is as of the offence. Nothing happens on a chain without staking. It never refuses:
        whoever calls has checked the offence.
        """
        if not self.staking.is_enabled:
            return
        era, now = self.staking.exposure_era(height), self.ctx.block.height
        number, apply_at = self.report_count, now + self._deferral_blocks()
        self.report_count += 1
        self.open_reports += 1
        self.reports[number] = SlashReport(
            kind=kind,
            offender=offender,
            height=height,
            era=era,
            power=power,
            total_power=total_power,
            evidence_hash=evidence_hash,
            reported_at=now,
            apply_at=apply_at,
            state=ReportState.DEFERRED,
            fraction=NOTHING,
            own=0,
            nominators=0,
            shortfall=0,
            burned=0,
            treasury=0,
        )
        self._open_case(era, offender)
        self._note_presence(kind, era, offender, power)
        self._wake_at(apply_at, number)
        self._punish(kind, offender)
        self.emit(SlashReported(number, kind, offender, height, era, evidence_hash, apply_at))

    @call(index=0, weight=weights.REFERENDUM_STEP)
    def cancel_deferred_slash(self, origin: Root, id_: U32, reason: Sentence) -> None:  # noqa: ARG002 - its type is the permission
        """Call a reported slash off before it is applied; only by vote, which says why."""
        self.cancel(id_, reason)

    def judge_cancel(self, number: int) -> AccountId:
        """Give whom a report accuses; raises what `cancel` would raise."""
        report = self.reports.find(number)
        if report is None:
            raise UnknownReport
        if report.state is not ReportState.DEFERRED:
            raise ReportDecided
        return report.offender

    def cancel(self, number: int, reason: bytes) -> None:
        """Call a report off; for votes only. Raises UnknownReport or ReportDecided.

        What was liable is given back. The offender may validate again if no other report says no.
        """
        self.judge_cancel(number)
        report = self.reports[number]
        self.reports[number] = replace(report, state=ReportState.CANCELLED)
        self.open_reports -= 1
        self._close_case(report.era, report.offender)
        self._forget_presence(report)
        self._pardon(report)
        self.emit(SlashCancelled(number, reason))

    def at_risk(self, who: AccountId) -> int:
        """Give what the open reports, as they stand, will take of an account; for views only.

        It goes through exposure pages, so it is no part of a block.
        """
        bond = self.staking.ledger_of(who)
        if bond is None:
            return 0
        due, charged = 0, dict[CaseKey, int]()
        for number, report in self.undecided():
            due += self._due_of(who, number, report, charged)
        return min(due, bond.total)

    def undecided(self) -> list[tuple[int, SlashReport]]:
        """Give the open reports in the order of their charging; reads no report before them."""
        queue = range(self.charging_first, self.charging_next)
        charging = [self.charging_queue[place] for place in queue]
        waiting: list[int] = []
        number = self.report_count
        while len(waiting) + len(charging) < self.open_reports:
            number -= 1
            if self.reports[number].state is ReportState.DEFERRED:
                waiting.append(number)
        waiting.sort(key=lambda number: (self.reports[number].apply_at, number))
        return [(number, self.reports[number]) for number in (*charging, *waiting)]

    def fraction_of(self, report: SlashReport) -> Ratio:
        """Give what a report costs by all that is reported now."""
        if report.kind is OffenceKind.OFFLINE:
            absent = self._powers(self.absentees, report.era, 0)
            return fractions.offline(absent, report.total_power)
        if report.kind not in EQUIVOCATIONS:
            return fractions.EVERYTHING
        offending = self._powers(self.equivocators, report.era, CORRELATION_ERAS.read(self.ctx))
        return fractions.equivocation(offending, report.total_power)

    # Hooks

    def on_initialize(self) -> Weight:
        """Go on booking, giving back and charging, a bounded number of pages a block.

        While outflows are frozen nobody is charged: that waits, and bookings go on.
        """
        weight = 0
        if self.booking_first != self.booking_next:
            weight += weights.SLASH_BOOKING * self._book_pages()
        if self.charging_first != self.charging_next and self.index not in self.ctx.frozen:
            weight += weights.SLASH_PAGE * self._charge_pages()
        return weight

    def on_finalize(self) -> None:
        """Let jailed validators leave the set, as far as a third of its power allows."""
        if not self.staking.is_enabled:
            return
        era = self.staking.active_era
        if self.jailed_at == self.ctx.block.height or self.removals.era != era:
            self._remove_jailed(era)

    def guards(self) -> Iterator[Check]:
        """Compare the pot with what open reports took."""
        record = self.ctx.state.account(SLASH_POT)
        money = record[4] if record else 0
        yield Check("the slash pot holds what is being charged", money == self.in_pot)
        progress = self.progress
        taken = progress.taken if progress else 0
        yield Check("only the report in progress has money in the pot", taken == self.in_pot)

    def invariants(self) -> Iterator[Check]:
        """Compare cases with reports, and the liable with cases."""
        reports = dict(self.reports.items())
        is_counted = sorted(reports) == list(range(self.report_count))
        yield Check("reports are numbered without a gap", is_counted)
        undecided: dict[tuple[int, AccountId], int] = {}
        for report in reports.values():
            if report.state in (ReportState.DEFERRED, ReportState.APPLYING):
                place = (report.era, report.offender)
                undecided[place] = undecided.get(place, 0) + 1
        yield Check("open reports are counted", self.open_reports == sum(undecided.values()))
        cases = dict(self.cases.items())
        counted = {place: case.reports for place, case in cases.items() if case.reports}
        yield Check("each case counts its open reports", counted == undecided)
        is_found = self._expected_liable(cases) == dict(self.staking.liable.items())
        yield Check("liable is what open cases may take", is_found)
        behind = [
            p for p, case in cases.items() if case.reports and case.booked < self._page_count(*p)
        ]
        yield Check("open bookings are counted", self.staking.open_bookings == len(behind))
        queued = sorted(place for _, place in self.booking_queue.items())
        expected = sorted(place for place, case in cases.items() if case.is_queued)
        yield Check("queued cases are in the queue once", queued == expected)

    # Inside: what is jailed and leaves the set

    def _punish(self, kind: OffenceKind, offender: AccountId) -> None:
        """Jail for ever, or for the next era when it was only absent."""
        if kind is OffenceKind.OFFLINE:
            self.staking.jail(offender, self.staking.active_era + 1)
        else:
            self.convictions[offender] += 1
            self.staking.jail(offender, FOREVER)
            self.session.bar(offender)
        self.jailed_at = self.ctx.block.height

    def _pardon(self, report: SlashReport) -> None:
        """Release an offender, unless another report keeps it jailed: then for that one's time."""
        staking, offender = self.staking, report.offender
        if report.kind is not OffenceKind.OFFLINE:
            self.convictions[offender] -= 1
        if self.convictions[offender]:
            return
        self.session.unbar(offender)
        until = staking.jailed_until[offender]
        left = self._absent_until(offender, min(until - 1, staking.active_era)) if until else 0
        if left == until:
            return
        staking.release_from_jail(offender)
        if left:
            staking.jail(offender, left)

    def _absent_until(self, offender: AccountId, era: int) -> int:
        """Give until when absences reported since an era jail somebody; 0 if there are none.

        Reports are numbered as they come, so those before the era are not read.
        """
        for number in reversed(range(self.report_count)):
            report = self.reports[number]
            reported_in = self.staking.era_of(report.reported_at)
            if reported_in < era:
                break
            is_absence = report.kind is OffenceKind.OFFLINE and report.offender == offender
            if is_absence and report.state is not ReportState.CANCELLED:
                return reported_in + 1
        return 0

    def _remove_jailed(self, era: int) -> None:
        """Take jailed members out of the set, the most powerful first, a third of it an era."""
        members = self.session.queued_set
        removals = self.removals
        if removals.era != era or not removals.base:
            removals = Removals(era, sum(member.power for member in members), 0)
        jailed = [m for m in members if self.staking.is_jailed(m.account)]
        staying = list(members)
        for member in sorted(jailed, key=_by_power):
            removed = removals.removed + member.power
            if 3 * removed <= removals.base and len(staying) > 1:
                staying.remove(member)
                removals = replace(removals, removed=removed)
                self.emit(ValidatorRemoved(member.account, member.power))
        self.removals = removals
        if len(staying) < len(members):
            self.session.replace_set(tuple(staying))

    # Inside: who was reported together

    def _note_presence(self, kind: OffenceKind, era: int, offender: AccountId, power: int) -> None:
        seen = self._book_of(kind)
        before = seen.find((era, offender)) or Presence(0, 0)
        seen[era, offender] = Presence(before.reports + 1, max(before.power, power))

    def _forget_presence(self, report: SlashReport) -> None:
        seen, place = self._book_of(report.kind), (report.era, report.offender)
        before = seen[place]
        if before.reports > 1:
            seen[place] = replace(before, reports=before.reports - 1)
        else:
            del seen[place]

    def _book_of(self, kind: OffenceKind) -> StorageMap[tuple[int, AccountId], Presence]:
        return self.absentees if kind is OffenceKind.OFFLINE else self.equivocators

    def _powers(
        self, seen: StorageMap[tuple[int, AccountId], Presence], era: int, reach: int
    ) -> int:
        """Give the power of all different accounts reported within so many eras either way."""
        powers: dict[AccountId, int] = {}
        for other in range(max(era - reach, 0), era + reach + 1):
            for (_, account), presence in seen.walk(other, limit=OFFENDERS_MAX):
                powers[account] = max(powers.get(account, 0), presence.power)
        return sum(powers.values())

    # Inside: how a report is applied

    def _deferral_blocks(self) -> int:
        params = self.staking.params
        return params.slash_deferral_eras * params.era_blocks

    def _wake_at(self, height: int, number: int) -> None:
        """Put a report on the wheel; where it is full, later."""
        for attempt in range(WHEEL_TRIES):
            try:
                self.deadlines.schedule(
                    height=max(height, self.ctx.block.height + 1) + attempt * LOOKAHEAD_MAX,
                    lane=Lane.SLASHES,
                    module_index=self.index,
                    payload=scale.U32.encode(number),
                )
            except WheelFull:
                continue
            return
        raise WheelFull

    def _on_deadline(self, payload: bytes) -> None:
        """Begin to apply a report whose time has come, at the fraction that holds now."""
        number = scale.U32.decode(payload)
        report = self.reports[number]
        if report.state is not ReportState.DEFERRED:
            return
        fraction = self.fraction_of(report)
        self.reports[number] = replace(report, state=ReportState.APPLYING, fraction=fraction)
        self.charging_queue[self.charging_next] = number
        self.charging_next += 1

    def _charge_pages(self) -> int:
        """Charge the next pages of the oldest report that is being applied; gives how many."""
        done = 0
        while done < PAGES_PER_BLOCK and self.charging_first != self.charging_next:
            number = self.charging_queue[self.charging_first]
            report = self.reports[number]
            overview = self.staking.exposures.overview(report.era, report.offender)
            done += 1
            if self.progress is None:
                self._begin(number, report, overview)
            elif overview is not None and self._owes_more(self.progress, overview):
                self._charge_page(number, report, overview, self.progress)
            else:
                self._finish(number, report, self.progress)
        return done

    def _owes_more(self, progress: Progress, overview: ExposureOverview) -> bool:
        return progress.after > progress.before and progress.page < overview.page_count

    def _begin(self, number: int, report: SlashReport, overview: ExposureOverview | None) -> None:
        """Fix what everybody owes beyond earlier slashes of this era, and charge the offender."""
        case = self.cases[report.era, report.offender]
        due = Charge(0, 0, 0)
        if overview is not None:
            due = charge(
                own=overview.own,
                total=overview.total,
                owed=case.charged,
                fraction=report.fraction,
            )
        self.cases[report.era, report.offender] = replace(case, charged=case.charged + due.amount)
        self.reports[number] = replace(report, own=due.own, nominators=due.nominators)
        self.emit(SlashBegun(number, report.fraction, due.amount))
        taken = self._take(number, report.offender, due.own)
        self.progress = Progress(0, due.before, due.after, 0, 0, taken)

    def _charge_page(
        self, number: int, report: SlashReport, overview: ExposureOverview, progress: Progress
    ) -> None:
        """Charge a page of nominators."""
        others = self.staking.exposures.page(report.era, report.offender, progress.page).others
        split = Split(
            Charge(0, progress.before, progress.after),
            overview.total - overview.own,
            passed=progress.passed,
            paid=progress.paid,
        )
        parts = split.next([entry.value for entry in others])
        taken = progress.taken
        for entry, part in zip(others, parts, strict=True):
            taken += self._take(number, entry.who, part)
        self.progress = replace(
            progress, page=progress.page + 1, passed=split.passed, paid=split.paid, taken=taken
        )

    def _take(self, number: int, who: AccountId, due: int) -> int:
        """Take stake of somebody into the pot; gives how much there was."""
        if not due:
            return 0
        taken = self.staking.take_stake(who, due)
        self.in_pot += taken
        self.emit(SlashPaid(number, who, due, taken))
        return taken

    def _finish(self, number: int, report: SlashReport, progress: Progress) -> None:
        """Burn a part of what came together, give the treasury the rest, and close the report."""
        burned = progress.taken * BURN_SHARE.read(self.ctx) // PERBILL
        rest = progress.taken - burned
        if burned:
            self.balances.destroy(BurnCause.SLASH, SLASH_POT, burned, keep_alive=False)
        if rest:
            self.balances.move(MoveCause.SLASH, SLASH_POT, TREASURY, rest, keep_alive=False)
        self.in_pot -= progress.taken
        self.progress = None
        del self.charging_queue[self.charging_first]
        self.charging_first += 1
        self.reports[number] = replace(
            report,
            state=ReportState.APPLIED,
            shortfall=report.own + report.nominators - progress.taken,
            burned=burned,
            treasury=rest,
        )
        self.open_reports -= 1
        self._close_case(report.era, report.offender)
        self.emit(SlashApplied(number, burned, rest))

    # Inside: for views

    def _due_of(
        self, who: AccountId, number: int, report: SlashReport, charged: dict[CaseKey, int]
    ) -> int:
        """Give what an account still owes for a report, after those before it in `charged`."""
        place = report.era, report.offender
        overview = self.staking.exposures.overview(*place)
        if overview is None:
            return 0
        exposed, progress = overview.total - overview.own, self.progress
        if progress is not None and number == self.charging_queue[self.charging_first]:
            due = Charge(0, progress.before, progress.after)
            split = Split(due, exposed, passed=progress.passed, paid=progress.paid)
            return self._part_of(who, place, due, split, range(progress.page, overview.page_count))
        is_waiting = report.state is ReportState.DEFERRED
        fraction = self.fraction_of(report) if is_waiting else report.fraction
        owed = charged.get(place, self.cases[place].charged)
        due = charge(own=overview.own, total=overview.total, owed=owed, fraction=fraction)
        charged[place] = owed + due.amount
        part = self._part_of(who, place, due, Split(due, exposed), range(overview.page_count))
        return part + (due.own if who == report.offender else 0)


def _by_power(member: ValidatorRecord) -> tuple[int, AccountId]:
    """Sort the most powerful first, equals by account."""
    return -member.power, member.account
