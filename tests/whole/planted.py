"""Looking for planted bugs: each in a process of its own, with the harness that is to see it.

    bug ── planted in a fork ──> schedules of its harness, one after the other ──> the first symptom

What was seen once must be seen again: `kept.txt` lists it, and a run of all bugs that sees fewer
fails.
"""

# ruff: noqa: T201 - a command that prints

import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from tests.property import test_runtime_balances, test_runtime_jobs
from tests.property import test_runtime_staking as staking
from tests.simulation.batches import BATCHES
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.network import Net
from tests.simulation.parts import load_parts
from tests.simulation.scripts import SCRIPTS
from tests.simulation.walk import STROLLS, Walk
from tests.support import evasion
from tests.whole.bugs import BUGS, Bug
from tests.whole.garble import Fuzz
from tests.whole.oath import Oath
from tests.whole.plan import draw_plan
from tests.whole.plant import planted
from tests.whole.run import play_seed

SCHEDULES_MAX: Final = 2_000
"""Schedules after which a bug counts as unseen."""

SECONDS_MAX: Final = 300.0
"""Seconds of work after which it does, too."""

PATIENCE: Final = 6
"""How much longer than its work a search may take on a machine that does much else."""

SEEN_MIN: Final = 36
"""Fewest bugs that must be seen in all, of forty or more."""

KEPT: Final = Path(__file__).with_name("kept.txt")
"""The bugs that were seen when the list was last written, one a line."""

COST_ONLY: Final = (
    "no skipping of rounds (L55)",
    "the valid value is not updated (L42)",
    "a polka after the precommit is ignored (L36)",
    "only the present round decides (L49)",
    "timers of another round count",
    "polkas are not gossiped",
    "votes are not gossiped",
    "the polka is not in the journal",
    "locked bodies are not durable",
    "the step is not in the journal",
)
"""Bugs of the machine that cost progress and no safety."""

LARGE: Final = 6
"""Validators of the networks that are left out in the search for bugs, because they cost most."""

Schedules = Iterator[tuple[str, Callable[[], object]]]
"""Names of schedules and what plays them; a symptom is what that raises."""


@dataclass(frozen=True, slots=True)
class Case:
    """A bug of either list."""

    name: str
    area: str
    harness: str
    is_critical: bool
    bug: Bug | Mutant


@dataclass(frozen=True, slots=True)
class Sight:
    """What came of looking for a bug."""

    symptom: str
    schedules: int
    seconds: float


def list_cases() -> list[Case]:
    """Give every planted bug there is to see."""
    cases = [Case(bug.name, bug.area, bug.harness, bug.is_critical, bug) for bug in BUGS]
    for mutant in MUTANTS:
        if mutant.tool != "benign":
            is_kept = "journal" in mutant.name or "persist" in mutant.name
            area = "journal" if is_kept else "consensus"
            critical = mutant.name not in COST_ONLY
            cases.append(Case(mutant.name, area, mutant.tool, critical, mutant))
    return cases


def find_schedules(case: Case) -> Schedules:
    """Give the schedules of a bug's harness, in an order that is always the same."""
    if isinstance(case.bug, Mutant):
        return _machine_schedules(case.bug)
    if case.harness == "whole":
        return _whole(case.bug.needs)
    return HARNESSES[case.harness]()


def _machine_schedules(mutant: Mutant) -> Schedules:
    parts = load_parts(mutant.patches)
    if mutant.tool == "script":
        for name, script in SCRIPTS.items():
            yield name, lambda script=script: script(parts)
        return
    kinds: dict[str, Any] = dict(STROLLS)
    if mutant.tool == "net":
        names = mutant.weather or tuple(BATCHES)
        kinds = {name: BATCHES[name] for name in names if not BATCHES[name].may_fork}
    make: Any = Walk if mutant.tool == "walk" else Net
    for seed in range(SCHEDULES_MAX):
        name = list(kinds)[seed % len(kinds)]
        yield f"{name}, seed {seed}", make(seed, kinds[name], parts, mutant.habits).run


def _whole(needs: tuple[str, ...]) -> Schedules:
    """Schedules in which all happens without which the bug cannot show; small networks first."""
    for seed in range(1, SCHEDULES_MAX):
        plan = draw_plan(seed)
        kinds = {name for fault in plan.faults for name in (fault.kind, f"lie {fault.how}")}
        if kinds.issuperset(needs) and len(plan.names) < LARGE:
            yield f"seed {seed}", lambda seed=seed: _raise(play_seed(seed).violation)


def _raise(violation: AssertionError | None) -> None:
    if violation is not None:
        raise violation


def _seeded(make: Callable[[int], Any], name: str) -> Callable[[], Schedules]:
    def schedules() -> Schedules:
        for seed in range(1, SCHEDULES_MAX):
            yield f"{name} {seed}", lambda seed=seed: make(seed)

    return schedules


def _stateful(machine: Any, name: str) -> Callable[[], Schedules]:
    """Hypothesis draws the schedules; each of ours is ten of its examples from another seed."""

    def play(seed: int) -> None:
        chosen = settings(
            max_examples=10, stateful_step_count=50, deadline=None, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        kind = type(f"{machine.__name__}{seed}", (machine,), {})
        run_state_machine_as_test(seeded(seed)(kind), settings=chosen)

    return _seeded(play, name)


HARNESSES: Final[dict[str, Callable[[], Schedules]]] = {
    "oath": _seeded(lambda seed: Oath(seed).run(), "oath"),
    "garble": _seeded(lambda seed: Fuzz(seed).run(), "garble"),
    "evasion": _seeded(lambda seed: evasion.walk(seed, 800), "evasion"),
    "bonds": _stateful(staking.Bonds, "bonds"),
    "money": _stateful(test_runtime_balances.Money, "money"),
    "jobs": _seeded(lambda seed: test_runtime_jobs.Walk(seed).run(), "jobs"),
}
"""What looks for bugs, by name."""


def look_for(case: Case) -> Sight:
    """Plant a bug here and look for it; the caller is a process that ends then."""
    begun, schedules = time.process_time(), 0
    changes = () if isinstance(case.bug, Mutant) else case.bug.changes
    with planted(changes):
        for name, play in find_schedules(case):
            schedules += 1
            try:
                play()
            except Exception as error:  # noqa: BLE001 - wrong code may fail in any way
                what = f"{name}: {type(error).__name__} {error}".replace("\n", " ")
                return Sight(what, schedules, time.process_time() - begun)
            if time.process_time() - begun > SECONDS_MAX:
                break
    return Sight("", schedules, time.process_time() - begun)


def look_apart(case: Case) -> Sight:
    """Look for a bug in a forked process, and end it when it takes far too long."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(look_for(case)), daemon=True)
    process.start()
    theirs.close()
    sight = Sight("", 0, 0.0)
    try:
        if ours.poll(PATIENCE * SECONDS_MAX):
            sight = ours.recv()
    except EOFError:
        sight = Sight("the process ended", 1, 0.0)
    process.kill()
    process.join()
    return sight


def run_mutants(part: str = "", *, is_kept: bool = False) -> int:
    """Look for every planted bug and report; 1 when too few, or fewer than before, were seen."""
    seen: list[str] = []
    cases = [case for case in list_cases() if part in case.name or part == case.harness]
    for case in cases:
        sight = look_apart(case)
        if sight.symptom:
            seen.append(case.name)
        verdict = f"seen: {sight.symptom[:110]}" if sight.symptom else "NOT SEEN"
        grade = "critical" if case.is_critical else "costly"
        print(
            f"{case.area:9} {grade:8} {case.harness:7} {case.name:62}"
            f" {sight.schedules:5} schedules {sight.seconds:6.1f} s  {verdict}",
            flush=True,
        )
    if is_kept:
        KEPT.write_text("".join(f"{name}\n" for name in seen))
    problems = find_problems(cases, seen, is_whole=not part)
    print(f"{len(seen)} of {len(cases)} planted bugs seen")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def read_kept() -> list[str]:
    """Give the names of the bugs that must be seen."""
    return KEPT.read_text().splitlines()


def find_problems(cases: list[Case], seen: list[str], *, is_whole: bool) -> list[str]:
    """Say what is wrong with what was seen; a list of some bugs is not held against the number."""
    problems = [
        f"critical to safety and not seen: {case.name}"
        for case in cases
        if case.is_critical and case.name not in seen
    ]
    names = {case.name for case in cases}
    kept = [name for name in read_kept() if is_whole or name in names]
    problems += [f"seen before and not now: {name}" for name in kept if name not in seen]
    if is_whole and len(seen) < SEEN_MIN:
        problems.append(f"{len(seen)} bugs seen, {SEEN_MIN} are due")
    return problems
