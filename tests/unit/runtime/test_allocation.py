"""The table of the first allocation: what is refused, and what genesis makes of it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext import store
from runtime.balances import TREASURY, FreezeReason
from runtime.frame.context import NO_BLOCK
from runtime.frame.errors import SpecError
from runtime.genesis import build_genesis
from runtime.runtime import Runtime
from runtime.spec import load_spec
from runtime.vesting.allocation import Curve, find_early_era, unlocked_by
from runtime.vesting.curves import Grant
from tests.support.runtime import ROOT

GRIST = 10**9
TEXT = (ROOT / "genesis/public.toml").read_text()
SPEC = load_spec(TEXT)


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, count)


def test_the_public_buckets_are_the_published_ones():
    shares = {bucket.name: bucket.share for bucket in SPEC.allocation.buckets}
    assert shares == {
        "community": 400_000_000,
        "treasury": 150_000_000,
        "team": 180_000_000,
        "investors": 120_000_000,
        "ecosystem": 150_000_000,
    }
    curves = {bucket.name: bucket.curve for bucket in SPEC.allocation.buckets}
    assert curves["team"] == Curve(365, 1_460, 1)
    assert curves["investors"] == Curve(365, 1_095, 1)
    assert curves["treasury"] == Curve(0, 1_825, 1)
    assert SPEC.issued == 615_000_000 * GRIST


def test_what_is_unlocked_year_by_year_is_the_published_curve():
    team = [entry for entry in SPEC.allocation.allocations if entry.bucket == "team"]
    years = [0, 364, 365, 730, 1_095, 1_459, 1_460]
    millions = [amount // GRIST for amount in unlocked_by(team, years)]
    assert millions[:5] == [0, 0, 45_000_000, 90_000_000, 135_000_000]
    assert millions[5] < millions[6] == 180_000_000


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("share = 400000000", "share = 400000001", "buckets:"),
        ('amount = "100000000"', 'amount = "99999999.999999999"', "buckets[2].share:"),
        ('amount = "100000000"', 'amount = "100000001"', "emission.rights:"),
        ('rights = "385000000"', 'rights = "384999999"', "buckets[0].share:"),
        ('bucket = "team"', 'bucket = "friends"', "allocations[1].bucket:"),
        ('name = "investors"', 'name = "team"', "buckets:"),
        ("has_rights = true\n", "", "buckets:"),
        ("has_accounts = true", "has_accounts = false", "buckets:"),
        ("is_insider = true\n", 'is_insider = true\nis_rich = "yes"\n', "buckets[2].is_rich:"),
        ("is_insider = true\n", "is_insider = 1\n", "buckets[2].is_insider:"),
        ('account = "treasury"', 'account = "treasure"', "allocations[0].account:"),
        ('amount = "100000000"', 'amount = "0.0001"', "allocations[1].amount:"),
        (
            'amount = "100000000"\n',
            'amount = "100000000"\ncliff_eras = 364\nduration_eras = 1460\n',
            "allocations[1].duration_eras:",
        ),
        (
            'amount = "100000000"\n',
            'amount = "100000000"\ncliff_eras = 365\nduration_eras = 1459\n',
            "allocations[1].duration_eras:",
        ),
        ('amount = "100000000"\n', 'amount = "100000000"\ncliff_eras = 5\n',
         "allocations[1].cliff_eras:"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused_by_its_key(old, new, key):
    with pytest.raises(SpecError, match=re.escape(key)):
        load_spec(changed(old, new))


def test_the_sentence_says_from_which_era_on_it_is_early():
    early = 'amount = "100000000"\ncliff_eras = 365\nduration_eras = 1459\n'
    with pytest.raises(SpecError, match="in era 365 it unlocks more than was published for team"):
        load_spec(changed('amount = "100000000"\n', early))


@given(
    curve=st.builds(
        lambda cliff, more, step: Curve(cliff, cliff + more, step),
        st.integers(0, 40), st.integers(1, 60), st.integers(1, 20),
    ),
    published=st.builds(
        lambda cliff, more: Curve(cliff, cliff + more, 1), st.integers(0, 40), st.integers(1, 60)
    ),
)  # fmt: skip
def test_the_first_early_era_is_found_and_no_later_one(curve, published):
    found = find_early_era(curve, published)
    above = [
        era for era in range(120)
        if curve.unlocked(10**18, era) > published.unlocked(10**18, era)
    ]  # fmt: skip
    assert found == (above[0] if above else None)


@given(
    amount=st.integers(1, 10**17), cliff=st.integers(0, 50), more=st.integers(1, 50),
    step=st.integers(1, 20), era_blocks=st.integers(1, 500), era=st.integers(0, 120),
)  # fmt: skip
def test_the_curve_of_the_table_is_the_one_of_the_grant(amount, cliff, more, step, era_blocks, era):
    curve = Curve(cliff, cliff + more, step)
    made = Grant(0, amount, 1, cliff * era_blocks, (cliff + more) * era_blocks,
                 step * era_blocks, TREASURY, None, 0, 0)  # fmt: skip
    assert made.unlocked(1 + era * era_blocks) == curve.unlocked(amount, era)


@pytest.fixture(scope="module")
def public() -> Runtime:
    """The runtime on the first state of the public chain."""
    runtime = Runtime()
    overlay = store.State.from_entries(build_genesis(SPEC).entries).overlay()
    runtime.ctx.enter(overlay, NO_BLOCK)
    return runtime


def test_genesis_mints_and_locks_what_the_table_says(public):
    assert public.balances.total_issuance == 615_000_000 * GRIST
    assert public.vesting.locked_total == 600_000_000 * GRIST
    frozen = {}
    for entry in SPEC.allocation.allocations:
        frozen[entry.account] = public.balances.freezes[entry.account]
        assert [(one.id, one.amount) for one in frozen[entry.account]] == [
            (FreezeReason.VESTING, entry.amount)
        ]
    assert public.balances.spendable(TREASURY, keep_alive=False) == 0
    assert all(check.holds for check in public.invariants())


def test_treasury_and_ecosystem_are_passive_and_nobody_else(public):
    passive = {
        label for account, label in SPEC.labels.items() if public.vesting.is_passive(account)
    }
    assert passive == {"Treasury", "Example Ecosystem 1"}


def test_the_treasury_unlocks_a_part_each_era(public):
    public.ctx.enter(public.ctx.state, replace(NO_BLOCK, height=1 + 43_200))
    assert public.vesting.locked(TREASURY) == 150_000_000 * GRIST - (
        150_000_000 * GRIST * 43_200 // (1_825 * 43_200)
    )


def test_a_spec_without_a_table_has_none():
    spec = load_spec((ROOT / "genesis/dev.toml").read_text())
    assert (spec.allocation.buckets, spec.allocation.total) == ((), 0)


def test_a_chain_with_a_tail_divides_what_genesis_mints():
    """There is no greatest supply; the buckets divide the first one."""
    tail = changed('supply = "cap"', 'supply = "tail"\nterminal_rate = 20000000')
    tail = tail.replace('max_supply = "1000000000"\n', "")
    tail = re.sub(r'rights = "385000000".*\n', "", tail)
    with pytest.raises(SpecError, match="buckets"):
        load_spec(tail)
    parts = {"400000000": "15", "150000000": "150", "180000000": "180", "120000000": "120"}
    for old, amount in parts.items():
        tail = tail.replace(f"share = {old}", f"share = {int(amount) * 10**9 // 615}")
    with pytest.raises(SpecError, match="sum to 99999999"):
        load_spec(tail)
