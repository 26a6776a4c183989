"""Any history of fees, faults and waiting gives the score that a model has that halves on time."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.market.nouns import Fault
from runtime.market.reputation import (
    COUNTERPARTIES_MAX,
    GROWTH,
    HALF_LIFE_ERAS,
    StakeSource,
)
from tests.support.providers import P, Yard
from tests.support.runtime import stranger

FRIENDS = [stranger(number) for number in range(COUNTERPARTIES_MAX + 6)]
fees = st.tuples(st.just("fee"), st.integers(0, len(FRIENDS) - 1), st.integers(1, 10**18))
waits = st.tuples(st.just("wait"), st.integers(1, 200), st.just(0))
faults = st.tuples(st.just("fault"), st.sampled_from(list(Fault)), st.just(0))
crowds = st.tuples(st.just("crowd"), st.integers(1, 10**15), st.just(0))
looks = st.tuples(st.just("look"), st.just(0), st.just(0))


class Model:
    """Fees by counterparty in the units of the running period, halved when one ends."""

    def __init__(self, era: int) -> None:
        self.era = era
        self.fees: dict[Any, int] = {}
        self.score = 0

    def wait(self) -> None:
        self.era += 1
        if self.era % HALF_LIFE_ERAS == 0:
            self.fees = {who: held // 2 for who, held in self.fees.items() if held // 2}
            self.score //= 2

    def add(self, who: Any, amount: int) -> None:
        amount *= GROWTH[self.era % HALF_LIFE_ERAS]
        if who not in self.fees and len(self.fees) == COUNTERPARTIES_MAX:
            least = min(self.fees.values())
            first = next(one for one, held in self.fees.items() if held == least)
            if least < amount:
                rest = {(who if one == first else one): held for one, held in self.fees.items()}
                self.fees = {**rest, who: amount}
        else:
            self.fees[who] = self.fees.get(who, 0) + amount
        self.cap()

    def fail(self, fault: Fault) -> None:
        is_bad = fault >= Fault.WRONG_CHECKPOINT
        self.fees = {} if is_bad else {who: 2 * held // 3 for who, held in self.fees.items()}
        self.cap()

    def cap(self) -> None:
        most = sum(self.fees.values()) // 20
        self.score = sum(min(held, most) for held in self.fees.values())

    def now(self) -> int:
        return self.score // GROWTH[self.era % HALF_LIFE_ERAS]


@given(st.lists(st.one_of(fees, fees, waits, crowds, faults, looks), max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_scores_are_those_of_a_model_that_halves_on_time(
    steps: list[tuple[str, Any, int]],
) -> None:
    yard = Yard()
    yard.reputation.is_staked = lambda who: who != P  # type: ignore[method-assign]  # they all have
    model = Model(yard.era)
    for step, one, amount in steps:
        if step == "fee":
            yard.reputation.note_settled(P, FRIENDS[one], amount)
            model.add(FRIENDS[one], amount)
        elif step == "crowd":
            for number, who in enumerate(FRIENDS):
                yard.reputation.note_settled(P, who, one + number)
                model.add(who, one + number)
        elif step == "wait":
            for _ in range(one):
                yard.skip(1)
                model.wait()
        elif step == "fault":
            yard.reputation.note_fault(P, FRIENDS[0], one)
            model.fail(one)
        else:
            yard.reputation.note_dispute_lost(P)
        assert yard.reputation.score(P) == model.now()
    assert all(check.holds for check in yard.reputation.invariants())


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 999, 1_000, 5_000]))))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_only_who_had_enough_at_each_look_and_looked_in_time_has_staked(
    looks: list[tuple[int, int]],
) -> None:
    yard, staked = Yard(), 0
    yard.reputation.stakes[:] = [StakeSource(lambda _: staked * 10**9, lambda: 28)]
    since: int | None = None
    last = 0
    for eras, amount in looks:
        yard.skip(eras)
        staked, era = amount, yard.era
        if amount < 1_000:
            since = None
        elif since is None or era - last >= 28:
            since = era
        last = era
        yard.reputation.note_requester(P, is_failed=False)
        assert yard.reputation.is_staked(P) == (since is not None and era - since >= 28)
