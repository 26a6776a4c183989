"""The kinds of bad weather; a seed of the runner picks one, then everything in it."""

from dataclasses import replace

from tests.simulation.network import Weather
from tests.simulation.world import Society, digest, make_set

FOUR = dict.fromkeys(range(4), 1)
SEVEN = dict.fromkeys(range(7), 1)
WEIGHTED = {0: 4, 1: 7, 2: 3, 3: 6, 4: 2}


def make_changing_society(seed: int) -> Society:
    """A set that changes at every height: members leave, come back and change their weight."""

    def set_at(height: int):
        absent = height % 5
        powers = {n: 1 + (n + height // 2) % 3 for n in range(6) if n != absent}
        return make_set(powers, set_id=height)

    return Society(set_at, digest("randomness", seed))


STORM = Weather(partitions=True, loss=0.1)
BATCHES = {
    "clean": Weather(gst_ms=0, heights=10),
    "back to back": Weather(gst_ms=0, heights=20, interval_ms=0),
    "storm": STORM,
    "crashes": replace(STORM, crash=0.02),
    "blackouts": replace(STORM, blackouts=3),
    "blackout after blackout": replace(STORM, blackouts=12, crash=0.01),
    "equivocator": replace(STORM, byzantine=(1,), lies="equivocate"),
    "equivocator and crashes": replace(STORM, byzantine=(1,), lies="equivocate", crash=0.02),
    "withheld bodies": replace(STORM, byzantine=(2,), lies="equivocate", withheld=0.5),
    "twin": replace(STORM, byzantine=(2,), lies="twins", crash=0.01),
    "seven, two lie": replace(
        STORM, powers=SEVEN, byzantine=(1, 4), lies="equivocate", crash=0.01, heights=4
    ),
    "weighted, the heaviest lies": replace(
        STORM, powers=WEIGHTED, byzantine=(1,), lies="equivocate", crash=0.01, heights=4
    ),
    "skewed clocks": replace(STORM, skew_ms=1_000),
    "slow execution": replace(STORM, slow_ms=900),
    "changing sets": replace(
        STORM, powers=dict.fromkeys(range(6), 1), society=make_changing_society, heights=8
    ),
    "long halt": Weather(gst_ms=0, asleep_ms=1_000_000, end_ms=1_010_000, heights=3),
    "two twins fork and are blamed": Weather(
        byzantine=(1, 2), lies="twins", may_fork=True, gst_ms=6_000, end_ms=20_000, heights=3
    ),
}
"""By name; the order decides which seed gets which."""
