"""Cases: what stays at stake while a report is open; a part of Slashing.

All reports of a validator in one era are one case. Its own exposure is liable from the first report
on; its nominators' is booked page by page, and until that is done nobody withdraws at all. When the
last report is decided, everything is given back the same way, the last page first.
"""

from dataclasses import replace
from typing import Final

from runtime.frame.module import Part
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId
from runtime.staking.fractions import Charge, Split
from runtime.staking.module import Staking
from runtime.staking.reports import Case

PAGES_PER_BLOCK: Final = 2
"""Pages of 64 nominators that a block books or gives back, and as many that it charges."""

TWOX: Final = Hasher.TWOX_64_CONCAT
"""How maps are hashed whose keys nobody can choose."""

NO_CASE: Final = Case(0, 0, is_queued=False, charged=0)
"""What is known of a validator in an era in which nobody reported it."""

CaseKey = tuple[int, AccountId]
"""The exposure era of the offences, and the offender."""


class Cases(Part):
    """The cases of Slashing, and the queue of those that have pages to book or give back."""

    staking: Staking

    cases: StorageMap[tuple[U32, AccountId], Case] = stored(default=NO_CASE, hasher=(TWOX, TWOX))
    booking_queue: StorageMap[U32, tuple[U32, AccountId]] = stored(hasher=TWOX)
    booking_first: StorageValue[U32] = stored(default=0)
    booking_next: StorageValue[U32] = stored(default=0)

    def _open_case(self, era: int, offender: AccountId) -> None:
        """Note one more open report; the first makes the exposure liable, its own part at once."""
        overview = self.staking.exposures.overview(era, offender)
        before = self.cases[era, offender]
        case = self.cases[era, offender] = replace(before, reports=before.reports + 1)
        if case.reports > 1 or overview is None:
            return
        self.staking.add_liable(offender, overview.own)
        if case.booked < overview.page_count:
            self.staking.open_booking()
            self._queue_case(era, offender)

    def _close_case(self, era: int, offender: AccountId) -> None:
        """Note one open report less; after the last one nobody is liable any more."""
        overview = self.staking.exposures.overview(era, offender)
        before = self.cases[era, offender]
        case = self.cases[era, offender] = replace(before, reports=before.reports - 1)
        if case.reports or overview is None:
            return
        self.staking.lower_liable(offender, overview.own)
        if case.booked < overview.page_count:
            self.staking.close_booking()
        if case.booked:
            self._queue_case(era, offender)

    def _queue_case(self, era: int, offender: AccountId) -> None:
        case = self.cases[era, offender]
        if not case.is_queued:
            self.cases[era, offender] = replace(case, is_queued=True)
            self.booking_queue[self.booking_next] = (era, offender)
            self.booking_next += 1

    def _book_pages(self) -> int:
        """Book or give back the next pages of the oldest queued cases; gives how many."""
        done = 0
        while done < PAGES_PER_BLOCK and self.booking_first != self.booking_next:
            era, offender = self.booking_queue[self.booking_first]
            if self._book_page(era, offender):
                done += 1
            else:
                del self.booking_queue[self.booking_first]
                self.booking_first += 1
                case = self.cases[era, offender]
                self.cases[era, offender] = replace(case, is_queued=False)
        return done

    def _book_page(self, era: int, offender: AccountId) -> bool:
        """Do the next page of a case; False when all of it is as it should be."""
        case, page_count = self.cases[era, offender], self._page_count(era, offender)
        exposures = self.staking.exposures
        if case.reports and case.booked < page_count:
            for entry in exposures.page(era, offender, case.booked).others:
                self.staking.add_liable(entry.who, entry.value)
            case = replace(case, booked=case.booked + 1)
            if case.booked == page_count:
                self.staking.close_booking()
        elif case.booked and not case.reports:
            case = replace(case, booked=case.booked - 1)
            for entry in exposures.page(era, offender, case.booked).others:
                self.staking.lower_liable(entry.who, entry.value)
        else:
            return False
        self.cases[era, offender] = case
        return True

    def _page_count(self, era: int, offender: AccountId) -> int:
        overview = self.staking.exposures.overview(era, offender)
        return overview.page_count if overview else 0

    def _part_of(
        self, who: AccountId, place: CaseKey, due: Charge, split: Split, pages: range
    ) -> int:
        """Give what an account owes on the pages that are not charged yet; for views."""
        is_booked = self.cases[place].booked == pages.stop
        if not due.nominators or (is_booked and who not in self.staking.liable):
            return 0
        for number in pages:
            others = self.staking.exposures.page(*place, number).others
            parts = split.next([entry.value for entry in others])
            for entry, part in zip(others, parts, strict=True):
                if entry.who == who:
                    return part
        return 0

    def _expected_liable(self, cases: dict[CaseKey, Case]) -> dict[AccountId, int]:
        """Give what is liable by the cases, per account; for invariants."""
        liable: dict[AccountId, int] = {}
        exposures = self.staking.exposures
        for (era, offender), case in cases.items():
            overview = exposures.overview(era, offender)
            if overview is not None and case.reports:
                liable[offender] = liable.get(offender, 0) + overview.own
            for number in range(case.booked):
                for entry in exposures.page(era, offender, number).others:
                    liable[entry.who] = liable.get(entry.who, 0) + entry.value
        return {who: amount for who, amount in liable.items() if amount}
