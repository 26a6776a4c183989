"""Every figure of docs/market.md is made again by the code of the chain, to the grain."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from runtime.balances import BurnCause, HoldReason, MintCause
from runtime.frame.parameters import PERBILL
from runtime.market import terms
from runtime.market.nouns import Fault, Reason, Verification
from runtime.market.reputation import DISCOUNT_MAX, DISCOUNT_STAKE, STAKE_ERAS
from runtime.market.rewards import SHARE_MAX
from runtime.market.settlement import SECURITY_SHARE
from runtime.market.terms import CheatReport, cheat_report
from runtime.market.waterfalls import AttemptFailed, FeePaid, JobSettled
from tests.support.runtime import ROOT
from tests.support.settlement import CHALLENGER, GRIST, OWNER, PROVIDER, REQUESTER, Mill, make_spec

TEXT = (ROOT / "docs/market.md").read_text()

PRICE, DATA = 960 * GRIST, 40 * GRIST
UNITS, UNIT_PRICE = 28_800, 30_000_000
BOND = 3 * PRICE
AUDIT = terms.audit_fee(1, 3, PRICE, 32)
DONE_AUDIT = 3 * PRICE // 32


def grist(grains: int) -> str:
    """An amount as the page shows it: GRIST, all decimals that are not zero."""
    sign, grains = ("-" if grains < 0 else ""), abs(grains)
    return f"{sign}{grains // GRIST:,}.{grains % GRIST:09}".rstrip("0").rstrip(".")


def tables() -> list[list[list[str]]]:
    """The tables of the page as cells, their heads left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")]
        found.append([row for row in rows[2:] if len(row) > 1])
    return found


def examples() -> list[str]:
    """The quoted lines: formulas and examples, each in one line."""
    blocks = re.findall(r"(?:^> .*\n)+", TEXT, re.MULTILINE)
    return [" ".join(line.removeprefix("> ") for line in block.splitlines()) for block in blocks]


# The job of the page


def mill() -> Mill:
    """A chain with the people of the page, and an insurance that wants every premium."""
    found = Mill()
    balances = found.runtime.balances
    for who in (PROVIDER, OWNER, CHALLENGER):
        balances.mint(MintCause.GENESIS, who, GRIST)
    balances.mint(MintCause.GENESIS, REQUESTER, 10**6 * GRIST)
    balances.hold(REQUESTER, HoldReason.ESCROW, 10**5 * GRIST)
    found.units.price = UNIT_PRICE
    found.dataset(1, DATA, OWNER)
    return found


def pay_verifiers(found: Mill) -> None:
    """Three verifiers did a checkpoint again."""
    found.runtime.balances.burn_held(BurnCause.OWNER, REQUESTER, HoldReason.ESCROW, DONE_AUDIT)


@cache
def settled() -> JobSettled:
    """The job, audited and paid."""
    found = mill()
    spec, job = found.job(PRICE, make_spec([1], units=UNITS, steps=28_800 // 10), audit_fee=AUDIT)
    pay_verifiers(found)
    job = replace(
        job,
        reason=Reason.AUDIT_PASSED,
        audit_left=AUDIT - DONE_AUDIT,
        escrow=job.escrow - DONE_AUDIT,
    )
    return found.settle(spec, job)


@cache
def failed(fault: Fault) -> AttemptFailed:
    """The same job, late after 8 checkpoints, or found to be false."""
    found = mill()
    is_late = fault is Fault.LATE
    spec, job = found.job(
        PRICE, make_spec([1], units=UNITS), audit_fee=AUDIT, accepted=8 if is_late else 0
    )
    if not is_late:
        pay_verifiers(found)
        job = replace(job, audit_left=AUDIT - DONE_AUDIT, escrow=job.escrow - DONE_AUDIT)
    found.providers.lock(1, PROVIDER, BOND // 2, BOND // 2)
    return found.fail(spec, job, fault, None if is_late else CHALLENGER)[1]


def fee_rows(fee: FeePaid) -> list[list[str]]:
    return [
        ["fee: burned", grist(fee.burned)],
        ["fee: treasury", grist(fee.treasury)],
        ["fee: insurance", grist(fee.insurance)],
        ["fee: stakers", grist(fee.stakers)],
    ]


def bond_rows(told: AttemptFailed) -> list[list[str]]:
    return [
        ["slash", grist(told.slash)],
        ["for a dearer provider, into the escrow", grist(told.extra)],
        ["fees and audits that the requester lost", grist(told.fees)],
        ["the challenger's bounty", grist(told.bounty)],
        ["insurance", grist(told.insurance)],
        ["burned", grist(told.burned)],
        ["given back to the provider and its backers", grist(told.bond - told.slash)],
    ]


def class_row(
    name: str, verification: Verification, price: int, checkpoints: int, replicas: int = 1
) -> list[str]:
    report = report_of(verification, price, checkpoints, replicas)
    caught, needed = report.caught, report.needed
    return [
        name,
        grist(price),
        grist(report.bond),
        f"{checkpoints:,}",
        f"{report.draws} x {report.seats}" if report.draws else "none",
        f"{report.wrong:,}",
        f"{caught.above:,} / {caught.below:,}" if caught.above else "0",
        fraction(needed.above, needed.below),
        grist(-report.loss if report.loses else report.loss),
    ]


def fraction(above: int, below: int) -> str:
    for prime in (2, 3, 5):
        while not above % prime and not below % prime:
            above, below = above // prime, below // prime
    return f"{above:,} / {below:,}"


def report_of(
    verification: Verification, price: int, checkpoints: int, replicas: int = 1
) -> CheatReport:
    """The report for the smallest bond that there is: twice the price, half of it own money."""
    return cheat_report(
        verification, price, price, bond=2 * price, checkpoints=checkpoints, replicas=replicas
    )


def class_rows() -> list[list[str]]:
    audit, replication = Verification.AUDIT, Verification.REPLICATION
    return [
        class_row("audit, small", audit, 100 * GRIST, 32),
        class_row("audit, middle", audit, 5_000 * GRIST, 100),
        class_row("audit, large", audit, 50_000 * GRIST, 1_024),
        class_row("replication by 3", replication, 100 * GRIST, 32, 3),
        class_row("acceptance", Verification.ACCEPTANCE, 100 * GRIST, 32),
    ]


def test_a_settled_job_is_shared_as_the_page_says() -> None:
    told = settled()
    assert tables()[0] == [
        ["held at the end", grist(told.escrow)],
        ["provider, and those who back it", grist(told.earned)],
        ["owners and curators of the data", grist(told.royalties)],
        *fee_rows(told.fee),
        ["back to the requester", grist(told.left)],
    ]
    escrow = PRICE + DATA + terms.protocol_fee(PRICE + DATA) + AUDIT
    assert escrow - DONE_AUDIT == told.escrow
    assert (
        f"Example. A job of {grist(PRICE)} GRIST with data of {grist(DATA)} GRIST and 32 "
        "checkpoints, of which one is drawn for 3 verifiers: the fee is "
        f"{grist(terms.protocol_fee(PRICE + DATA))}, the audit fee {grist(AUDIT)}, and "
        f"{grist(escrow)} GRIST are held."
    ) in examples()


def test_what_faults_cost_is_as_the_page_says() -> None:
    costs = {row[0]: row[1] for row in tables()[1]}
    assert costs["late, or gone"] == "half of the share that is undone"
    assert terms.bond_slash(Fault.LATE, 100, left=1, whole=1) == 50
    assert costs["a wrong checkpoint"] == "all of it"
    assert terms.bond_slash(Fault.WRONG_CHECKPOINT, 100, left=1, whole=32) == 100
    assert SECURITY_SHARE == 300_000_000
    assert any("30 % of the security stake" in cost for cost in costs.values())


def test_two_failures_are_shared_as_the_page_says() -> None:
    late, wrong = failed(Fault.LATE), failed(Fault.WRONG_CHECKPOINT)
    columns = [
        [
            ["held when it failed", grist(told.escrow)],
            ["provider, and those who back it", grist(told.earned)],
            ["owners and curators of the data", grist(told.royalties)],
            *fee_rows(told.fee),
            ["stays for the next attempt", grist(told.left)],
            *bond_rows(told),
        ]
        for told in (late, wrong)
    ]
    rows = [[*first, second[1]] for first, second in zip(*columns, strict=True)]
    assert tables()[2] == rows
    assert UNITS * UNIT_PRICE == 864 * GRIST


def test_the_cheats_of_the_page_are_worth_what_it_says() -> None:
    assert tables()[3] == class_rows()


def discounted() -> str:
    split = terms.split_fee(20 * GRIST, terms.DISCOUNT_MAX)
    return (
        f"Example. With the whole discount the fee of 20 GRIST is {grist(split.total)}: "
        f"{grist(split.burned)} are burned, {grist(split.treasury)} go to the treasury, "
        f"{grist(split.insurance)} to insurance, {grist(split.stakers)} to the stakers."
    )


def served() -> str:
    earned = terms.earned_by_units(50 * GRIST, 270, whole=1_000, first=0, checkpoints=32)
    return (
        "Example. A job of 50 GRIST for 1,000 units, of which 270 are signed for: "
        f"{grist(earned)} GRIST are paid, and a fee of {grist(terms.protocol_fee(earned))} GRIST."
    )


def recycled() -> str:
    fee = terms.split_fee(terms.protocol_fee(PRICE + DATA), 0)
    earned = terms.emission_cap(fee, terms.RECYCLED_MULTIPLE, price=PRICE, base=PRICE)
    return (
        f"Example. The job of above pays a fee of {grist(fee.total)} GRIST, of which nobody gets "
        f"{grist(fee.irrecoverable)} back. Unchecked it earns {grist(earned)} GRIST at most. Who "
        "buys from himself, and owns all stake that there is, gets these and the stakers' "
        f"{grist(fee.stakers)} GRIST: he is {grist(fee.total - earned - fee.stakers)} GRIST "
        "poorer. "
        f"Checked and counted it earns {grist(settled().emission)}: but then "
        f"{grist(UNITS * UNIT_PRICE)} GRIST worth of work were really done, and strangers were "
        f"paid {grist(DONE_AUDIT)} GRIST to see that."
    )


def least_bond() -> str:
    needed = report_of(Verification.AUDIT, 100 * GRIST, 32).bond_needed
    return (
        f"Example. At a price of 100 GRIST and one draw, an own bond of {grist(needed)} "
        "GRIST is the least at which cheating loses. The rules ask for 100."
    )


def self_report() -> str:
    split = terms.split_slash(300 * GRIST, extra=0, fees=0, has_bounty=True)
    return (
        f"Example. A bond of 300 GRIST, 150 of it own: the bounty is {grist(split.bounty)} at "
        f"most, and {grist(150 * GRIST - split.bounty)} are lost."
    )


@pytest.mark.parametrize("example", [discounted, served, recycled, least_bond, self_report])
def test_an_example_of_the_page_comes_out_as_it_says(example: Callable[[], str]) -> None:
    assert example() in examples()


def test_the_page_names_the_numbers_that_the_code_has() -> None:
    assert f"{terms.FEE_PERCENT} % of (price + dataset fees)" in TEXT
    assert terms.FEE_SHARES == (50, 20, 15, 15)
    assert "85 % of the\nfee" in TEXT
    assert f"m is {terms.RECYCLED_MULTIPLE / PERBILL}" in TEXT
    assert f"at most {SHARE_MAX.default // 10**7} % of the pool" in TEXT
    assert f"{DISCOUNT_STAKE.default // GRIST:,} GRIST at stake" in TEXT
    assert f"there for {STAKE_ERAS.default} eras, pays a tenth less" in TEXT
    assert DISCOUNT_MAX.default == DISCOUNT_MAX.high == terms.DISCOUNT_MAX == PERBILL // 5
    assert f"{terms.INSURANCE_PERCENT} % of the rest insures" in TEXT
    assert f"at most {terms.COVER_PREMIUMS} times" in " ".join(TEXT.split())
    assert terms.COVER_PERCENT == 10
    assert f"drawn = {terms.MARGIN_PERCENT / 100} x price" in TEXT
    assert f"/ 0.{terms.CAUGHT_PERCENT}," in TEXT
    assert f"x {terms.AUDIT_MARKUP_PERCENT / 100}, rounded up" in TEXT
    assert f"{terms.RERUN_PERCENT / 100} x the reference price" in TEXT
    assert terms.BOUNTY_PERCENT == 20
    assert terms.COLLUDING_PERCENT == 33
