"""Tracks: what each kind of proposal costs, how long it takes, and how many must want it.

    submitted   prepare   opened      decide                 confirm      enact
    |-----------|---------|--- approval and support needed fall ---|------|------> the call runs

The curves fall in a line from `start` at the opening to `end` at the end of the decision. Approval
is the part of ayes in ayes and nays, by conviction; support the part of all votable money that
said aye or abstained, without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runtime.frame.context import Context
from runtime.frame.parameters import PERBILL, Parameter, Track, Unit
from runtime.primitives import GRAINS_PER_GRIST

PERCENT: Final = PERBILL // 100
"""A hundredth of the whole."""

MAJORITY: Final = 50 * PERCENT
"""No vote can let a minority win."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What must be reached: `start` when the vote opens, `end` when its time is over; perbill."""

    start: int
    end: int

    def needed(self, elapsed: int, length: int) -> int:
        """Give the perbill needed after `elapsed` of `length` blocks; rounds up."""
        left = min(max(length - elapsed, 0), length)
        fall = max(self.start - self.end, 0)
        return self.end + -(-fall * left // max(length, 1))


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of a track in force: the deposit in grains, periods in thousandths of an era."""

    deposit: int
    prepare: int
    decide: int
    confirm: int
    enact: int
    approval: Curve
    support: Curve


@dataclass(frozen=True, slots=True)
class TrackNumbers:
    """The parameters of one track."""

    deposit: Parameter
    prepare: Parameter
    decide: Parameter
    confirm: Parameter
    enact: Parameter
    approval_start: Parameter
    approval_end: Parameter
    support_start: Parameter
    support_end: Parameter

    def all(self) -> tuple[Parameter, ...]:
        """Give them in the order of declaration."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def read(self, ctx: Context) -> Terms:
        """Give the numbers in the state that the context points at."""
        deposit, prepare, decide, confirm, enact, *curves = (p.read(ctx) for p in self.all())
        approval_start, approval_end, support_start, support_end = curves
        return Terms(
            deposit,
            prepare,
            decide,
            confirm,
            enact,
            Curve(approval_start, approval_end),
            Curve(support_start, support_end),
        )


def _track(
    track: Track,
    deposit_grist: int,
    periods: tuple[int, int, int, int],
    approval: tuple[int, int],
    support: tuple[int, int],
) -> TrackNumbers:
    """Declare the numbers of a track; its curves are given in tenths of a percent."""
    name = f"track.{track.name.lower()}"
    deposit = Parameter(
        f"{name}.deposit", deposit_grist * GRAINS_PER_GRIST,
        low=10 * GRAINS_PER_GRIST, high=1_000_000 * GRAINS_PER_GRIST,
        step=deposit_grist * GRAINS_PER_GRIST, unit=Unit.GRAINS, track=Track.UPGRADE,
        docs="What is held while the vote goes on; given back at its end.",
    )  # fmt: skip
    prepare, decide, confirm, enact = (
        Parameter(
            f"{name}.{part}",
            value,
            low=low,
            high=high,
            step=step,
            unit=Unit.MILLIERAS,
            track=Track.UPGRADE,
            docs=docs,
        )
        for part, value, low, high, step, docs in (
            ("prepare", periods[0], 10, 7_000, 500, "From submission to the opening of the vote."),
            ("decide", periods[1], 100, 28_000, 2_000, "From the opening to a decision at last."),
            ("confirm", periods[2], 10, 7_000, 500, "How long it must be winning without a break."),
            ("enact", periods[3], 0, 28_000, 1_000, "From approval to the call, at least."),
        )
    )
    curves = (
        Parameter(
            f"{name}.{part}",
            tenths * PERCENT // 10,
            low=low,
            high=high,
            step=5 * PERCENT,
            unit=Unit.PERBILL,
            track=Track.UPGRADE,
            docs=docs,
        )
        for part, tenths, low, high, docs in (
            ("approval_start", approval[0], MAJORITY, PERBILL, "Approval needed at the opening."),
            ("approval_end", approval[1], MAJORITY, 90 * PERCENT, "Approval needed at the end."),
            ("support_start", support[0], PERCENT // 10, MAJORITY, "Support needed at first."),
            ("support_end", support[1], PERCENT // 10, MAJORITY, "Support needed at the end."),
        )
    )
    return TrackNumbers(deposit, prepare, decide, confirm, enact, *curves)


TRACKS: Final = {
    Track.PARAMETERS: _track(
        Track.PARAMETERS, 1_000, (500, 7_000, 1_000, 1_000), (800, 500), (200, 10)
    ),
    Track.TREASURY_SMALL: _track(
        Track.TREASURY_SMALL, 200, (500, 5_000, 1_000, 500), (800, 500), (100, 5)
    ),
    Track.TREASURY_LARGE: _track(
        Track.TREASURY_LARGE, 2_000, (500, 14_000, 2_000, 1_000), (900, 600), (250, 20)
    ),
    Track.SLASHES: _track(Track.SLASHES, 1_000, (500, 4_000, 1_000, 500), (667, 667), (100, 100)),
    Track.UPGRADE: _track(
        Track.UPGRADE, 5_000, (1_000, 14_000, 2_000, 7_000), (900, 667), (250, 50)
    ),
    Track.SAFETY: _track(Track.SAFETY, 5_000, (50, 500, 50, 0), (800, 667), (100, 50)),
}
"""More power asks for more: money, time, approval, support. Safety is fast, for it can only pause;
a slash is to be judged before its deferral of seven eras is over."""

SLASH_VOTE: Final = tuple(
    getattr(TRACKS[Track.SLASHES], part) for part in ("prepare", "decide", "confirm", "enact")
)
"""The periods that a vote on a slash takes at most, one after another."""


def slash_vote_fits(deferral_eras: int, period: Callable[[Parameter], int]) -> bool:
    """Whether a vote on a slash, however late it is decided, is over before its deferral is."""
    return sum(period(part) for part in SLASH_VOTE) < deferral_eras * 1_000


SUBMISSION_DEPOSIT: Final = Parameter(
    "referenda.submission_deposit", 10 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=10_000 * GRAINS_PER_GRIST, step=10 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, track=Track.UPGRADE,
    docs="Held from who submits; the treasury's when nobody places the decision deposit in time.",
)  # fmt: skip
"""Pays for the room in the state that a proposal takes for ever."""

UNDECIDING_TIMEOUT: Final = Parameter(
    "referenda.undeciding_timeout", 14_000, low=1_000, high=28_000, step=7_000,
    unit=Unit.MILLIERAS, track=Track.UPGRADE,
    docs="How long a proposal may wait for its decision deposit.",
)  # fmt: skip
"""Two weeks to find somebody who backs it."""

DECIDING_MAX: Final = Parameter(
    "referenda.deciding_max", 10, low=1, high=50, step=5,
    unit=Unit.COUNT, track=Track.UPGRADE,
    docs="Votes of one track that are open at the same time; the others wait.",
)  # fmt: skip
"""As many as people can read about."""

PARAMETERS: Final = (
    SUBMISSION_DEPOSIT,
    UNDECIDING_TIMEOUT,
    DECIDING_MAX,
    *(parameter for numbers in TRACKS.values() for parameter in numbers.all()),
)
"""Every number of governance; to change one takes the slowest track."""
