"""Whether an account may be drawn is what the runtime says; the reasons are those of its record."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from chain.market.draws import Chances, find_chances
from runtime.primitives import AccountId
from tests.support.verification import GRIST, PROVIDER, REQUESTER, SET, Bench


@pytest.fixture
def bench() -> Bench:
    """A bench with four verifiers, old enough to be drawn."""
    bench = Bench(4)
    bench.until(61)
    return bench


def chances(bench: Bench, who: AccountId, job: int | None = None) -> Chances:
    market = SimpleNamespace(verification=bench.module, jobs=bench.jobs)
    runtime: Any = SimpleNamespace(
        market=market, session=bench.runtime.session, parameters=bench.runtime.parameters,
        ctx=bench.runtime.ctx,
    )  # fmt: skip
    return find_chances(runtime, who, job)


def change(bench: Bench, **fields: Any) -> None:
    bench.module.verifiers[SET[0]] = replace(bench.module.verifiers[SET[0]], **fields)


def test_a_verifier_in_order_may_be_drawn_among_others(bench: Bench) -> None:
    assert chances(bench, SET[0]) == Chances(
        may_be_drawn=True, others=3, epoch=bench.epoch - 2, reasons=()
    )


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"bond": 4_999 * GRIST}, "its bond of 4999000000000 grains is below the least of 5000000"),
        ({"since": 2}, "its bond was last added to in epoch 2, and what is judged now was"),
        ({"out_until": 2}, "sits out until era 2"),
        ({"leaving": 61}, "its notice has run out"),
    ],
)
def test_each_obstacle_has_its_sentence_and_keeps_it_out(
    bench: Bench, fields: dict[str, int], sentence: str
) -> None:
    change(bench, **fields)
    found = chances(bench, SET[0])
    assert (found.may_be_drawn, found.others) == (False, 3)
    (reason,) = found.reasons
    assert sentence in reason


@pytest.mark.parametrize(
    "fields", [{"bond": 5_000 * GRIST}, {"since": 1}, {"out_until": 1}, {"leaving": 62}]
)
def test_what_just_is_no_obstacle_keeps_nobody_out(bench: Bench, fields: dict[str, int]) -> None:
    change(bench, **fields)
    assert chances(bench, SET[0]).may_be_drawn


def test_who_never_joined_and_who_validates_no_more_is_told(bench: Bench) -> None:
    assert [reason[:24] for reason in chances(bench, PROVIDER).reasons] == [
        "it is no verifier: `gris", "it is no validator, or s",
    ]  # fmt: skip
    bench.runtime.session.validators = SET[1:]
    (reason,) = chances(bench, SET[0]).reasons
    assert reason.startswith("it is no validator, or sits in jail")


def test_who_is_bound_to_a_party_is_out_of_that_job_alone(bench: Bench) -> None:
    number = bench.job()
    bench.providers.owners[PROVIDER] = SET[0]
    found = chances(bench, SET[0], number)
    assert not found.may_be_drawn
    (reason,) = found.reasons
    assert reason.endswith(f"a party of job {number}")
    assert chances(bench, SET[0]).may_be_drawn
    assert chances(bench, SET[1], number).may_be_drawn
    del bench.providers.owners[PROVIDER]
    assert chances(bench, SET[0], number).may_be_drawn
    assert REQUESTER not in SET


def test_a_panel_knows_the_bonds_of_the_epoch_of_its_result(bench: Bench) -> None:
    number = bench.audited()
    epoch = bench.epoch - 1
    bench.module.audits[number] = replace(bench.audit(number), epoch=epoch)
    change(bench, since=epoch)
    assert chances(bench, SET[0], number).may_be_drawn
    change(bench, since=epoch + 1)
    assert not chances(bench, SET[0], number).may_be_drawn


def test_a_job_that_is_not_there_is_an_error(bench: Bench) -> None:
    with pytest.raises(KeyError):
        chances(bench, SET[0], 77)
