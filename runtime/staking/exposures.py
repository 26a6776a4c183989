"""Exposures: what stood behind each validator in each era, as the election for it decided.

Kept by era and validator: an overview, pages of nominators ascending by account, and the
preferences then. An exposure that outlives its era is not copied but pointed at (`carried`), so
that a report of any era finds who stood behind the offender.
"""

from collections.abc import Iterator

from runtime.frame.storage import StorageMap
from runtime.primitives import AccountId
from runtime.staking.nouns import (
    PAGE_SIZE,
    CarriedExposure,
    ExposureOverview,
    ExposurePage,
    IndividualExposure,
    ValidatorPrefs,
)

Overviews = StorageMap[tuple[int, AccountId], ExposureOverview]
Pages = StorageMap[tuple[int, AccountId, int], ExposurePage]
Carried = StorageMap[tuple[int, AccountId], CarriedExposure]
Preferences = StorageMap[tuple[int, AccountId], ValidatorPrefs]

EXPOSED_MAX = 256
"""More validators than an era can expose: a hundred seats, and who is carried beside them."""


class Exposures:
    """Reads and writes the exposures of Staking; the maps are the module's."""

    __slots__ = ("_carried", "_overviews", "_pages", "_prefs")

    def __init__(
        self, *, overviews: Overviews, pages: Pages, carried: Carried, prefs: Preferences
    ) -> None:
        self._overviews = overviews
        self._pages = pages
        self._carried = carried
        self._prefs = prefs

    # Writing, by the election

    def append_page(
        self, era: int, validator: AccountId, number: int, others: list[tuple[AccountId, int]]
    ) -> None:
        """Write page `number` (from 0 on): at most 64 (nominator, grains), ascending by account."""
        if not 1 <= len(others) <= PAGE_SIZE:
            raise ValueError(f"a page has 1 to {PAGE_SIZE} nominators, not {len(others)}")
        page_total = sum(value for _, value in others)
        entries = tuple(IndividualExposure(who, value) for who, value in others)
        self._pages[era, validator, number] = ExposurePage(page_total, entries)

    def write_overview(
        self,
        era: int,
        validator: AccountId,
        *,
        own: int,
        others: int,
        nominator_count: int,
        prefs: ValidatorPrefs,
    ) -> None:
        """Write what stands behind a validator in an era: its own grains and its nominators'."""
        page_count = -(-nominator_count // PAGE_SIZE)
        overview = ExposureOverview(own + others, own, nominator_count, page_count)
        self._overviews[era, validator] = overview
        self._prefs[era, validator] = prefs

    def write(
        self,
        era: int,
        validator: AccountId,
        own: int,
        others: list[tuple[AccountId, int]],
        prefs: ValidatorPrefs,
    ) -> None:
        """Write a whole exposure at once, nominators ascending by account; for a small one."""
        for number, first in enumerate(range(0, len(others), PAGE_SIZE)):
            self.append_page(era, validator, number, others[first : first + PAGE_SIZE])
        self.write_overview(
            era,
            validator,
            own=own,
            others=sum(value for _, value in others),
            nominator_count=len(others),
            prefs=prefs,
        )

    def carry(self, validator: AccountId, *, source: int, era: int, is_rewarded: bool) -> None:
        """Let the exposure of era `source` be that of `era` too; nothing happens if there is none.

        A pointer always leads to the era in which the exposure was made.
        """
        made, was_rewarded = self._made_in(source, validator)
        if (made, validator) in self._overviews and made != era:
            is_rewarded = is_rewarded and was_rewarded
            self._carried[era, validator] = CarriedExposure(made, is_rewarded)

    def carry_all(self, *, source: int, era: int) -> None:
        """Let all exposures of era `source` be those of `era`; what was written for it goes."""
        members = self.validators(source)
        self._overviews.clear(era, limit=EXPOSED_MAX)
        self._carried.clear(era, limit=EXPOSED_MAX)
        for validator in members:
            self.carry(validator, source=source, era=era, is_rewarded=True)

    # Reading

    def overview(self, era: int, validator: AccountId) -> ExposureOverview | None:
        """Give what stood behind a validator in an era, or None when it was not exposed."""
        return self._overviews.find((self._made_in(era, validator)[0], validator))

    def page(self, era: int, validator: AccountId, number: int) -> ExposurePage:
        """Give a page of an exposure; raises KeyError for one beyond its `page_count`."""
        return self._pages[self._made_in(era, validator)[0], validator, number]

    def prefs(self, era: int, validator: AccountId) -> ValidatorPrefs:
        """Give what a validator asked of nominators when its exposure was made."""
        return self._prefs[self._made_in(era, validator)[0], validator]

    def is_rewarded(self, era: int, validator: AccountId) -> bool:
        """Whether a validator is exposed in an era and not only kept by the churn limit."""
        return self._made_in(era, validator)[1] and self.overview(era, validator) is not None

    def made_in(self, era: int, validator: AccountId) -> int:
        """Give the era in which the exposure of an era was made."""
        return self._made_in(era, validator)[0]

    def validators(self, era: int) -> list[AccountId]:
        """Give all who are exposed in an era, ascending; at most a few more than there are seats.

        They are read from the state, so ask once an era.
        """
        made = [key[1] for key, _ in self._overviews.walk(era, limit=EXPOSED_MAX)]
        carried = [key[1] for key, _ in self._carried.walk(era, limit=EXPOSED_MAX)]
        return sorted(dict.fromkeys((*made, *carried)))

    def oldest_made(self, era: int) -> int:
        """Give the earliest era in which an exposure of this era was made."""
        entries = self._carried.walk(era, limit=EXPOSED_MAX)
        return min((entry.era for _, entry in entries), default=era)

    def nominators(self, era: int, validator: AccountId) -> Iterator[IndividualExposure]:
        """Yield the nominators of an exposure, page by page; for tests and small exposures."""
        overview = self.overview(era, validator)
        for number in range(overview.page_count if overview else 0):
            yield from self.page(era, validator, number).others

    def prune(self, era: int, limit: int) -> int:
        """Delete at most `limit` entries of an era; gives how many there were."""
        done = 0
        for entries in (self._pages, self._overviews, self._carried, self._prefs):
            done += entries.clear(era, limit=limit - done)
        return done

    def _made_in(self, era: int, validator: AccountId) -> tuple[int, bool]:
        carried = self._carried.find((era, validator))
        return (era, True) if carried is None else (carried.era, carried.is_rewarded)
