"""Elections: who validates in the next era, found in bounded steps over the era's last epoch.

    CANDIDATES    who stands, not jailed and with session keys, each backing itself
    VOTERS        nominators, paid what they are owed, and their targets by number
    SCALING       only where more than a share of the stake vests: that counts for less
    LOADING       pages of voters go to the election of the core
    ROUNDS        seats are filled, by sequential Phragmen
    EXPOSURES     what stands behind each winner, page by page
    ASSIGNMENTS   what became of each voter's stake, for its rewards
    READY         at the era's last block the set changes, as far as the churn limit allows

Each phase has a share of the epoch and does in a block what is needed to end in time, but a
constant at least: with epochs long enough a block's work does not depend on how many vote. All that
a phase needs is in the state. The open election is kept in memory by the digest of what is put to
the vote; a node that starts anew loads it again and arrives at the same bytes.

Money that vests votes here as it does nowhere else, but in all for a quarter of what counts at
most: beyond that each such stake is cut alike, and so are the exposures and rewards that follow.

Voters stand in the order of the map of nominators, which no change of stake disturbs; whoever comes
after the walk has passed its place votes in the next era.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from ext import election, hashing
from runtime import weights
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId, Bytes, Hash, Weight
from runtime.session import Session, ValidatorRecord
from runtime.staking.ballot import (
    CLEARED_PER_BLOCK,
    EXPOSED_PER_BLOCK,
    ID_BYTES,
    LOADED_PER_BLOCK,
    ROUNDS_PER_BLOCK,
    ROWS_PER_PAGE,
    VOTERS_PER_BLOCK,
    Page,
    Phase,
    PhaseBegun,
    Progress,
    Rows,
    Standing,
    counted_vesting,
    last_place,
    names_on,
    pack_vesting,
    scale_page,
    share_of,
    stakes_on,
    walk_share,
)
from runtime.staking.churn import cap_powers, limit_churn, power_of
from runtime.staking.module import Staking
from runtime.staking.nouns import PAGE_SIZE, SEATS_MIN, ValidatorPrefs
from runtime.staking.numbers import VESTING_SHARE


class Elections(Module, index=14, events=(PhaseBegun,)):
    """Who validates in the next era, found in bounded steps over the era's last epoch."""

    progress: StorageValue[Progress] = stored(default=Progress())
    standing: StorageMap[U32, Annotated[tuple[Standing, ...], Most(ROWS_PER_PAGE)]] = stored(
        default=(), hasher=Hasher.TWOX_64_CONCAT
    )
    candidates: StorageValue[Bytes] = stored(default=b"")
    mark: StorageValue[Hash] = stored(default=bytes(32))
    voter_pages: StorageMap[U32, Page] = stored(default=b"", hasher=Hasher.TWOX_64_CONCAT)
    vesting_pages: StorageMap[U32, Bytes] = stored(default=b"", hasher=Hasher.TWOX_64_CONCAT)
    winners: StorageValue[Annotated[tuple[AccountId, ...], Most(election.SEATS_MAX)]] = stored(
        default=()
    )
    kept_pages: StorageValue[U32] = stored(default=0)

    def __init__(self, ctx: Context, session: Session, staking: Staking) -> None:
        super().__init__(ctx)
        self.session = session
        self.staking = staking
        self._open: OpenElection | None = None
        self._numbers: tuple[bytes, dict[bytes, int]] = (b"", {})
        self._steps = {
            Phase.CANDIDATES: self._gather_candidates,
            Phase.VOTERS: self._gather_voters,
            Phase.SCALING: self._scale,
            Phase.LOADING: self._load,
            Phase.ROUNDS: self._fill_seats,
            Phase.EXPOSURES: self._write_exposures,
            Phase.ASSIGNMENTS: self._write_assignments,
        }

    # Hooks

    def on_initialize(self) -> Weight:
        """Begin with the last epoch of an era, then do this block's share."""
        if not self.staking.is_enabled:
            return 0
        if self.staking.is_last_epoch_start():
            self.winners = ()
            self._move_to(Phase.CANDIDATES, Progress(era=self.staking.active_era + 1))
        progress = self.progress
        if progress.phase in (Phase.IDLE, Phase.READY):
            return self._forget_pages() if self.kept_pages else 0
        return self._work(progress)

    def on_finalize(self) -> None:
        """At the end of an era let the set change, or keep it where the election failed."""
        if not self.staking.is_enabled or not self.staking.is_era_end():
            return
        progress = self.progress
        era = self.staking.active_era + 1
        total = None
        if progress.phase is Phase.READY and progress.era == era:
            total = self._change_set(era)
        if total is None:
            self.staking.fail_election(era)
        else:
            self.staking.finish_election(era, total)
        self.progress = Progress()
        self.candidates, self.mark, self.winners = b"", bytes(32), ()
        self._open = None

    def invariants(self) -> Iterator[Check]:
        """Check that what is put to the vote is what was counted."""
        progress, ids = self.progress, self.candidates
        if progress.phase in (Phase.IDLE, Phase.CANDIDATES, Phase.READY):
            return
        names = [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]
        is_counted = len(names) == progress.candidates and names == sorted(dict.fromkeys(names))
        yield Check("candidates ascend and are counted", is_counted)
        pages = [self.voter_pages[number] for number in range(progress.pages)]
        yield Check("pages are there and not empty", all(pages))
        voters = [name for page in pages for name in names_on(page)]
        yield Check("voters are counted", len(voters) == progress.voters)
        yield Check("nobody votes twice", len(dict.fromkeys(voters)) == len(voters))
        if progress.phase not in (Phase.VOTERS, Phase.SCALING):
            stake = sum(stake for page in pages for stake in stakes_on(page))
            most = progress.stake - progress.vesting + progress.counted
            is_scaled = most - progress.voters <= stake <= most + progress.voters
            yield Check("what vests counts for its share", is_scaled)
        is_winning = all(winner in names for winner in self.winners)
        yield Check("winners are candidates", is_winning)

    # Pacing

    def _work(self, progress: Progress) -> Weight:
        """Do the share of this block, of as many phases as have to be over with it."""
        length = self.session.epoch_blocks()
        place = (self.ctx.block.height - 1) % length
        weight = 0
        while progress.phase is not Phase.READY:
            phase = progress.phase
            left = last_place(phase, length) - place + 1
            weight += self._steps[phase](progress, max(left, 1))
            progress = self.progress
            if progress.phase in (phase, Phase.READY) or last_place(progress.phase, length) > place:
                break
        return weight

    def _move_to(self, phase: Phase, progress: Progress) -> None:
        self.progress = replace(progress, phase=phase)
        self.emit(PhaseBegun(progress.era, phase))

    # CANDIDATES

    def _gather_candidates(self, progress: Progress, left: int) -> Weight:
        """Meet some candidates; when all are met, number them by account."""
        staking = self.staking
        share = walk_share(staking.counter_for_validators, progress.met, left)
        entries = staking.validators.walk(limit=share, after=progress.cursor)
        found = []
        for who, _ in entries:
            stake = staking.active_stake(who)
            if stake and not staking.is_jailed(who) and self.session.has_keys(who):
                found.append(Standing(who, stake, staking.vesting_part(who, stake)))
        pages = progress.pages
        for at in range(0, len(found), ROWS_PER_PAGE):
            self.standing[pages] = tuple(found[at : at + ROWS_PER_PAGE])
            pages += 1
        progress = replace(
            progress,
            cursor=entries[-1][0] if entries else progress.cursor,
            met=progress.met + len(entries),
            candidates=progress.candidates + len(found),
            pages=pages,
        )
        if len(entries) < share or left == 1:
            self._number_candidates(progress)
        else:
            self.progress = progress
        return len(entries) * weights.ELECTION_CANDIDATE

    def _number_candidates(self, progress: Progress) -> None:
        """Write all candidates ascending, and the page in which each votes for itself."""
        met: list[Standing] = []
        for number in range(progress.pages):
            met += self.standing[number]
            del self.standing[number]
        met.sort(key=lambda one: one.who)
        self.candidates = b"".join(one.who for one in met)
        seats = self.staking.validator_count
        self.mark = hashing.blake2b_256(self._head(seats))
        rows = Rows()
        for number, one in enumerate(met):
            rows.add(one.who, one.stake, one.vesting, [number])
        fresh = Progress(era=progress.era, candidates=len(met), seats=seats)
        self._move_to(Phase.VOTERS, self._add_rows(fresh, rows))

    def _head(self, seats: int) -> bytes:
        """Give what the election is opened with: seats and candidates."""
        ids = self.candidates
        names = [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]
        return election.encode_snapshot(seats, names, [])

    # VOTERS

    def _gather_voters(self, progress: Progress, left: int) -> Weight:
        """Meet some nominators: pay what they are owed, and write whom they back with what."""
        staking = self.staking
        share = walk_share(staking.counter_for_nominators, progress.met, left)
        entries = staking.nominators.walk(limit=share, after=progress.cursor)
        numbers = self._candidate_numbers()
        rows = Rows()
        for who, nominations in entries:
            staking.settle_if_paying(who)
            named = sorted(numbers[target] for target in nominations.targets if target in numbers)
            stake = staking.active_stake(who)
            if named and stake and who not in numbers:
                rows.add(who, stake, staking.vesting_part(who, stake), named)
        progress = replace(
            self._add_rows(progress, rows),
            cursor=entries[-1][0] if entries else progress.cursor,
            met=progress.met + len(entries),
        )
        if len(entries) < share or left == 1:
            self._close_vote(progress)
        else:
            self.progress = progress
        return len(entries) * weights.ELECTION_VOTER

    def _close_vote(self, progress: Progress) -> None:
        """Say how much of what vests counts, when all that is put to the vote is known."""
        share = VESTING_SHARE.read(self.ctx)
        counted = counted_vesting(progress.stake, progress.vesting, share)
        progress = replace(progress, counted=counted)
        if counted == progress.vesting:
            self._move_to(Phase.LOADING, progress)
        else:
            self.mark = hashing.blake2b_256(self._head(progress.seats))
            self._move_to(Phase.SCALING, progress)

    def _candidate_numbers(self) -> dict[bytes, int]:
        """Give the number of each candidate; kept in memory for the next block."""
        ids = self.candidates
        if self._numbers[0] != ids:
            names = [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]
            self._numbers = (ids, {name: number for number, name in enumerate(names)})
        return self._numbers[1]

    def _add_rows(self, progress: Progress, found: Rows) -> Progress:
        """Put rows to the vote, on pages of their own."""
        mark, pages, rows = self.mark, progress.pages, found.rows
        for at in range(0, len(rows), ROWS_PER_PAGE):
            page = b"".join(rows[at : at + ROWS_PER_PAGE])
            self.voter_pages[pages] = page
            self.vesting_pages[pages] = pack_vesting(found.vesting[at : at + ROWS_PER_PAGE])
            mark = hashing.blake2b_256(mark + page)
            pages += 1
        self.mark = mark
        self.kept_pages = max(self.kept_pages, pages)
        return replace(
            progress,
            pages=pages,
            voters=progress.voters + len(rows),
            stake=progress.stake + found.stake,
            vesting=progress.vesting + sum(found.vesting),
        )

    # SCALING

    def _scale(self, progress: Progress, left: int) -> Weight:
        """Let what vests count for less, on some pages, and put those to the vote instead."""
        share = share_of(progress.pages - progress.scaled, left, LOADED_PER_BLOCK)
        scaled = min(progress.pages, progress.scaled + share)
        mark = self.mark
        for number in range(progress.scaled, scaled):
            page, packed = self.voter_pages[number], self.vesting_pages[number]
            if packed:
                page = scale_page(page, packed, progress.counted, progress.vesting)
                self.voter_pages[number] = page
            mark = hashing.blake2b_256(mark + page)
        self.mark = mark
        done = scaled - progress.scaled
        progress = replace(progress, scaled=scaled)
        if scaled == progress.pages:
            self._move_to(Phase.LOADING, progress)
        else:
            self.progress = progress
        return done * weights.ELECTION_PAGE

    # LOADING and ROUNDS

    def _load(self, progress: Progress, left: int) -> Weight:
        """Give some pages to the core."""
        share = share_of(progress.pages - progress.loaded, left, LOADED_PER_BLOCK)
        loaded = min(progress.pages, progress.loaded + share)
        done = loaded - progress.loaded
        self._election(progress, loaded)
        progress = replace(progress, loaded=loaded)
        if loaded == progress.pages:
            self._move_to(Phase.ROUNDS, progress)
        else:
            self.progress = progress
        return done * weights.ELECTION_PAGE

    def _fill_seats(self, progress: Progress, left: int) -> Weight:
        """Fill some seats."""
        seats = min(progress.seats, progress.candidates)
        before = self.winners
        filled = min(seats, len(before) + share_of(seats - len(before), left, ROUNDS_PER_BLOCK))
        winners = self._election(progress, progress.pages, filled).winners[:filled]
        if winners[: len(before)] != before:
            raise AssertionError("the election does not lead to the winners that it had")
        self.winners = tuple(AccountId(winner) for winner in winners)
        if filled == seats:
            self._move_to(Phase.EXPOSURES, progress)
        return (filled - len(before)) * weights.ELECTION_ROUND

    def _election(self, progress: Progress, pages: int, rounds: int = 0) -> election.Election:
        """Give the open election with at least so many pages loaded and seats filled."""
        mark = self.mark
        opened = self._open
        if opened is None or opened.mark != mark:
            opened = self._open = OpenElection(mark, election.Election(self._head(progress.seats)))
        while opened.pages < pages:
            opened.election.append(self.voter_pages[opened.pages])
            opened.pages += 1
        if rounds and opened.pages == progress.pages and opened.election.digest != mark:
            raise AssertionError("the pages are not those that were put to the vote")
        missing = rounds - len(opened.election.winners)
        if missing > 0:
            opened.election.advance(missing)
        return opened.election

    # EXPOSURES

    def _write_exposures(self, progress: Progress, left: int) -> Weight:
        """Write some pages of what stands behind the winners."""
        held = self._election(progress, progress.pages, len(self.winners))
        winners = self.winners
        seats = range(progress.seat, len(winners))
        behind = sum(held.count_behind(seat) for seat in seats) - progress.start
        pages = len(seats) + max(behind, 0) // PAGE_SIZE
        done, share = 0, share_of(pages, left, EXPOSED_PER_BLOCK)
        while progress.seat < len(winners) and (done < share or left == 1):
            progress = self._write_page(progress, held, winners[progress.seat])
            done += 1
        if progress.seat == len(winners):
            self._move_to(Phase.ASSIGNMENTS, progress)
        else:
            self.progress = progress
        return done * weights.ELECTION_EXPOSURE

    def _write_page(
        self, progress: Progress, held: election.Election, winner: AccountId
    ) -> Progress:
        """Write the next page of a winner, or its overview when there is none."""
        exposures, seat = self.staking.exposures, progress.seat
        if not progress.start:
            # Every candidate's own vote is on the first pages, so it is the first behind it.
            ((_, own),), _ = held.support(seat, 0, 1)
            progress = replace(progress, own=own, start=1)
        entries, after = held.support(seat, progress.start, PAGE_SIZE)
        if entries:
            others = sorted((AccountId(who), amount) for who, amount in entries)
            exposures.append_page(progress.era, winner, progress.page, others)
            progress = replace(
                progress,
                start=after,
                page=progress.page + 1,
                others=progress.others + sum(amount for _, amount in others),
                nominators=progress.nominators + len(others),
            )
        if after < held.count_behind(seat):
            return progress
        exposures.write_overview(
            progress.era,
            winner,
            own=progress.own,
            others=progress.others,
            nominator_count=progress.nominators,
            prefs=self._prefs_of(winner),
        )
        return replace(progress, seat=seat + 1, start=0, page=0, own=0, others=0, nominators=0)

    def _prefs_of(self, winner: AccountId) -> ValidatorPrefs:
        """Give what a winner asks; of one that stopped meanwhile, what it asked last."""
        if winner in self.staking.validators:
            return self.staking.validators[winner]
        mark = self.staking.commission_marks.find(winner)
        return ValidatorPrefs(mark.current if mark else 0, blocked=True)

    # ASSIGNMENTS

    def _write_assignments(self, progress: Progress, left: int) -> Weight:
        """Write what became of the stakes of some voters, candidates aside."""
        first = progress.candidates + progress.assigned
        rest = progress.voters - first
        done = min(rest, share_of(rest, left, VOTERS_PER_BLOCK))
        held = self._election(progress, progress.pages, len(self.winners))
        for who, parts in held.parts(first, done):
            if parts:
                backings = [(AccountId(winner), amount) for winner, amount in parts]
                self.staking.write_assignment(progress.era, AccountId(who), backings)
        progress = replace(progress, assigned=progress.assigned + done)
        if done == rest:
            self._move_to(Phase.READY, progress)
        else:
            self.progress = progress
        return done * weights.ELECTION_ASSIGNMENT

    # READY

    def _change_set(self, era: int) -> int | None:
        """Let the winners validate, within the churn limit; gives all stake that is exposed.

        That is their own, and of winners who cannot sit: they are paid, too, for blocks that they
        sign. None if too few can. Where the spec has scheduled a set for this block, that one acts.
        """
        staking, session = self.staking, self.session
        stakes: dict[AccountId, int] = {}
        exposed = 0
        for who in self.winners:
            overview = staking.exposures.overview(era, who)
            exposed += overview.total if overview is not None else 0
            if overview is not None and not staking.is_jailed(who) and session.has_keys(who):
                stakes[who] = overview.total
        members = {member.account: member for member in session.queued_set}
        if len(stakes) < max(1, min(SEATS_MIN, len(members))):
            return None
        if session.scheduled_at == self.ctx.block.height:
            return exposed
        before = {member.account: member for member in self._set_before()}
        following = limit_churn(
            {who: member.power for who, member in before.items()},
            cap_powers({who: power_of(stake) for who, stake in stakes.items()}),
            urgent=[
                *(who for who in before if who not in members),
                *(who for who in members if staking.is_jailed(who)),
            ],
        )
        members = {**before, **members}
        seated = []
        for who, power in following.items():
            member = session.seat(who, power) or replace(members[who], power=power)
            seated.append(member)
            if who not in stakes:
                self._keep(who, era)
        session.replace_set(tuple(seated))
        return exposed

    def _set_before(self) -> tuple[ValidatorRecord, ...]:
        """Give the set that this block found: who was taken out for an offence meanwhile counts.

        The limits of offences and of churn are one and the same third of it.
        """
        session = self.session
        is_changed = session.changed_at == self.ctx.block.height
        return session.next_set if is_changed else session.queued_set

    def _keep(self, who: AccountId, era: int) -> None:
        """Let who has to stay be slashable as before, without any reward."""
        if self.staking.exposures.overview(era, who) is None:
            self.staking.exposures.carry(who, source=era - 1, era=era, is_rewarded=False)

    # Inside

    def _forget_pages(self) -> Weight:
        """Forget some pages of the last vote, the last first."""
        least = max(0, self.kept_pages - CLEARED_PER_BLOCK)
        done = self.kept_pages - least
        for number in range(least, self.kept_pages):
            del self.voter_pages[number]
            del self.vesting_pages[number]
        self.kept_pages = least
        return done * weights.ERA_ENTRY


@dataclass
class OpenElection:
    """The open election of the core, and how many pages it has: a cache, never an input."""

    mark: bytes
    election: election.Election
    pages: int = 0
