"""What the soak's figures mean, on made-up courses."""

import random

from tests.soak.slopes import fit
from tests.soak.watch import Course


def line(per_hour: float, *, noise: float = 0.0, seed: int = 1) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [(10.0 * n, 100 + per_hour * n / 360 + chance.gauss(0, noise)) for n in range(720)]


def test_a_straight_line_is_measured_exactly() -> None:
    slope = fit(line(4.0))
    assert abs(slope.per_hour - 4.0) < 1e-6
    assert slope.margin < 1e-6


def test_noise_without_growth_may_be_flat_nineteen_times_of_twenty() -> None:
    flat = sum(fit(line(0.0, noise=3.0, seed=seed)).may_be_flat for seed in range(200))
    assert 180 <= flat <= 200


def test_growth_is_seen_through_noise() -> None:
    assert not fit(line(4.0, noise=1.0)).may_be_flat


def test_a_walk_that_only_wanders_is_given_a_wider_interval() -> None:
    chance = random.Random(3)
    value, walk = 0.0, []
    for n in range(720):
        value += chance.gauss(0, 0.1)
        walk.append((10.0 * n, value))
    plain = [(x, chance.gauss(0, 1)) for x, _ in walk]
    assert fit(walk).margin > 3 * fit(plain).margin


def test_two_samples_say_nothing() -> None:
    assert fit([(0.0, 1.0), (1.0, 2.0)]).may_be_flat


def course(**samples: list[tuple[float, float]]) -> Course:
    flat = [(10.0 * n, 50.0) for n in range(720)]
    made = Course("alice", 1, "")
    made.memory = samples.get("memory", flat)
    made.files = samples.get("files", flat)
    made.tasks = samples.get("tasks", flat)
    return made


def test_a_node_that_grows_or_stands_still_is_named() -> None:
    assert course().judge() == []
    assert course(memory=line(0.5)).judge() == []
    assert "memory" in course(memory=line(2.0)).judge()[0]
    assert "open files" in course(files=line(1.0)).judge()[0]
    assert "tasks" in course(tasks=line(1.0)).judge()[0]
    late = course()
    late.gap_max = 11.0
    assert late.judge() == ["no block for 11.0 s"]
