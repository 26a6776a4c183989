"""Every figure of docs/staking.md is computed again with the code of the chain."""

import re
import tomllib
from fractions import Fraction

import pytest

from runtime.market import terms
from runtime.primitives import GRAINS_PER_GRIST
from runtime.staking import fractions, rewards
from runtime.staking.nouns import AUTHOR_POINTS, SIGNER_POINTS, TARGETS_MAX, ExposureOverview
from tests.examples.console import ROOT

TEXT = (ROOT / "docs" / "staking.md").read_text()
FLAT = " ".join(TEXT.replace("\n> ", " ").split())
DEV = tomllib.loads((ROOT / "genesis" / "dev.toml").read_text())
BEHIND = ExposureOverview(200_000 * GRAINS_PER_GRIST, 100_000 * GRAINS_PER_GRIST, 2, 1)


def grist(grains: int) -> str:
    value = Fraction(grains, GRAINS_PER_GRIST)
    return f"{float(value):,.9f}".rstrip("0").rstrip(".")


def percent(ratio: fractions.Ratio) -> str:
    """A fraction cut after four decimals of a percent, as the tables have it."""
    cut = ratio.numerator * 1_000_000 // ratio.denominator
    return f"{cut / 10_000:.4f}".rstrip("0").rstrip(".") + " %"


def rows_of(heading: str) -> list[list[str]]:
    """The rows of the table that begins with this heading."""
    lines = TEXT[TEXT.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


POWERS = {
    "1 of 100 equal validators": (1, 100),
    "1 of 100": (1, 100),
    "1 of 10": (1, 10),
    "1 of 7": (1, 7),
    "1 of 4": (1, 4),
    "2 of 7": (2, 7),
    "3 of 9, or any third": (3, 9),
    "a third": (1, 3),
    "all but one of 5": (4, 5),
}


@pytest.mark.parametrize(
    ("heading", "cost"),
    [("offenders", fractions.equivocation), ("away together", fractions.offline)],
)
def test_the_tables_say_what_offences_cost(heading, cost) -> None:
    rows = rows_of(heading)
    assert len(rows) >= 5
    for who, share, pays in rows:
        power, total = POWERS[who]
        assert percent(fractions.make_ratio(power, total)) == share, who
        assert percent(cost(power, total)) == pays, who


def test_the_example_of_rewards_is_what_is_paid() -> None:
    points = rewards.EraRewardPoints(4_000, tuple((bytes([n]) * 32, 1_000) for n in range(4)))
    shares = rewards.split_by_points(points, 100 * GRAINS_PER_GRIST)
    share = shares[0][1]
    own, others = rewards.divide(share, 50_000_000, BEHIND)
    index = rewards.reward_index(others, BEHIND)
    one = 50_000 * GRAINS_PER_GRIST * index // rewards.INDEX_SCALE
    assert f"four validators with equal points: {grist(share)} each" in FLAT
    assert f"together {grist(own)} GRIST. The nominators share {grist(others)};" in FLAT
    assert f"100,000 gets {grist(one)} GRIST" in FLAT
    assert f"{AUTHOR_POINTS} for making a block, and {SIGNER_POINTS} a block" in FLAT


def test_the_example_of_job_fees_is_what_is_paid() -> None:
    deposit = terms.split_fee(1_400 * GRAINS_PER_GRIST, 0).stakers
    parts = {rewards.fee_part(deposit, era) for era in range(1, rewards.FEE_ERAS + 1)}
    assert len(parts) == 1
    part = parts.pop()
    share = rewards.part_by_stake(part, BEHIND.total, 4 * BEHIND.total)
    own, others = rewards.divide(share, 50_000_000, BEHIND)
    one = 50_000 * GRAINS_PER_GRIST * rewards.reward_index(others, BEHIND) // rewards.INDEX_SCALE
    assert terms.FEE_SHARES[-1] == 15
    assert "15 % of the protocol fee" in FLAT
    assert f"Of these {grist(deposit)} are for stake, {grist(part)} in each" in FLAT
    assert f"equal stake have {grist(share)} each. That of above keeps {grist(own)} GRIST" in FLAT
    assert f"of its nominators gets {grist(one)} GRIST an era" in FLAT
    assert rewards.FEE_ERAS == 7
    assert "over the seven eras after it" in FLAT


def test_the_example_of_a_slash_is_what_is_taken() -> None:
    fraction = fractions.equivocation(1, 4)
    due = fractions.charge(own=BEHIND.own, total=BEHIND.total, owed=0, fraction=fraction)
    half = 50_000 * GRAINS_PER_GRIST
    part = fractions.Split(due, BEHIND.total - BEHIND.own).next([half, half])[0]
    assert f"{percent(fraction)} of 200,000 are {grist(due.amount)} GRIST" in FLAT
    assert f"all of its own {grist(due.own)}, and {grist(due.nominators)} of the" in FLAT
    assert f"100,000 pays {grist(part)} GRIST" in FLAT


def test_the_figures_of_the_development_chain_are_those_of_its_spec() -> None:
    staking, limits = DEV["staking"], DEV["limits"]
    assert f"{staking['seats']} seats, at least" in FLAT
    for name, words in (
        ("min_validator_bond", "to validate"),
        ("min_nominator_bond", "to nominate"),
    ):
        assert f"{int(staking[name]):,} GRIST {words}" in FLAT
    assert f"unbonding {limits['unbonding_eras']} eras" in FLAT
    assert f"slashes deferred {staking['slash_deferral_eras']} era" in FLAT
    assert f"last {staking['offline_window']} blocks is jailed" in FLAT
    assert f"The era pays {staking['era_reward']} GRIST" in FLAT
    assert f"{limits['epoch_blocks'] * limits['era_epochs']} on a devnet" in FLAT
    assert f"up to {TARGETS_MAX} validators" in FLAT


def test_every_command_of_the_page_exists() -> None:
    listed = (ROOT / "docs" / "cli.md").read_text()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL):
        for line in block.splitlines():
            words = line.split()
            names = {" ".join(words[:count]) for count in (3, 4)}
            assert any(f"# {name}\n" in listed for name in names), line
