"""The figures of docs/governance.md are those of the code."""

import re

from runtime.balances import nouns
from runtime.deadlines import PUT_BACK_BLOCKS, PUT_BACK_DOUBLINGS
from runtime.frame.parameters import PERBILL, Track
from runtime.governance.tracks import SLASH_VOTE, SUBMISSION_DEPOSIT, TRACKS, UNDECIDING_TIMEOUT
from runtime.governance.votes import LOCK_PERIOD, Conviction, compute_periods, compute_votes
from runtime.safety import PAUSE_ERAS_MAX
from runtime.staking.numbers import SLASH_DEFERRAL
from runtime.treasury.nouns import CURATOR_BOND, EXPIRY_ERAS, RATE_LIMIT, SMALL_SPEND
from tests.support.runtime import ROOT, spec_of

TEXT = (ROOT / "docs" / "governance.md").read_text()
GRIST = 10**9


def cells(first: str) -> list[str]:
    """The row of a table that begins with a word, without that word."""
    row = next(line for line in TEXT.split("\n") if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def percent(start: int, end: int) -> str:
    one, other = (f"{value * 100 / PERBILL:g}" for value in (start, end))
    return f"{one} %" if start == end else f"{one} -> {other} %"


def test_every_track_is_told_with_its_numbers() -> None:
    for track in Track:
        numbers = TRACKS[track]
        periods = (numbers.prepare, numbers.decide, numbers.confirm, numbers.enact)
        assert cells(track.name.lower()) == [
            f"{numbers.deposit.default // GRIST:,}",
            *(f"{period.default / 1000:g}" for period in periods),
            percent(numbers.approval_start.default, numbers.approval_end.default),
            percent(numbers.support_start.default, numbers.support_end.default),
        ]


def test_conviction_is_told_with_its_weights_and_times() -> None:
    votes = [f"{compute_votes(1_000, conviction):,}" for conviction in Conviction]
    eras = [str(compute_periods(c) * LOCK_PERIOD.default // 1_000) for c in Conviction]
    assert cells("votes for 1,000 GRIST") == votes
    assert cells("locked, eras") == eras


def test_other_figures_are_those_of_the_code() -> None:
    for figure in (
        f"up to {SMALL_SPEND.default // GRIST:,} GRIST",
        f"A deposit of {SUBMISSION_DEPOSIT.default // GRIST} GRIST",
        f"within {UNDECIDING_TIMEOUT.default // 1_000} eras",
        f"more than {RATE_LIMIT.default * 100 // PERBILL} % of the unlocked funds",
        f"after {EXPIRY_ERAS.default} eras it lapses",
        f"for {PAUSE_ERAS_MAX.default} eras at most",
        f"rested for {EXPIRY_ERAS.default} eras",
        f"put back, for {PUT_BACK_BLOCKS} blocks, then for twice as long each time",
        f"each time up to {PUT_BACK_BLOCKS << PUT_BACK_DOUBLINGS:,}",
    ):
        assert re.search(re.escape(figure).replace("\\ ", r"\s+"), TEXT), figure
    for name in ("dev", "local", "test"):
        spec = spec_of(name)
        periods = [spec.parameters[part.name] for part in SLASH_VOTE]
        assert (sum(periods), spec.staking.rules.params.slash_deferral_eras) == (600, 1)
    assert SLASH_DEFERRAL.default == 7
    assert CURATOR_BOND.default * 10 == PERBILL, "a tenth of the grant"
    assert nouns.TREASURY in nouns.PROTECTED
