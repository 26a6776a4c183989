"""How things are timed: what is compared takes turns, and the least and the median are kept."""

import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one thing over all rounds."""

    rounds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The round that was disturbed least."""
        return min(self.rounds)

    @property
    def median(self) -> float:
        """The round in the middle."""
        return statistics.median(self.rounds)


def seconds_of(act: Callable[[], object], *, is_alone: bool = False) -> float:
    """Time one call, the collector of cycles held back.

    What runs on one core alone is timed by the processor's clock of this process, which stands
    still while others use the core; what needs all cores is timed by the wall.
    """
    read = time.process_time if is_alone else time.perf_counter
    gc.collect()
    gc.disable()
    start = read()
    act()
    spent = read() - start
    gc.enable()
    return spent


def both_of(act: Callable[[], object], work: list[float]) -> float:
    """Time one call by the wall, and add what all cores worked for it to a list."""
    before = time.process_time()
    spent = seconds_of(act)
    work.append(time.process_time() - before)
    return spent


def take_turns(acts: dict[str, Callable[[], float]], rounds: int) -> dict[str, Times]:
    """Run every act once per round, in turn; each gives the seconds that count."""
    spent: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(rounds):
        names = list(acts)
        for name in names if number % 2 == 0 else reversed(names):
            spent[name].append(acts[name]())
    return {name: Times(tuple(rounds_)) for name, rounds_ in spent.items()}


def in_pieces(acts: Sequence[Callable[[], object]], least: list[float]) -> float:
    """Time acts one after the other, alone, and keep the least of each; gives their sum.

    What takes long is hardly ever left alone as a whole, what is short often is. A long baseline
    against a short act is therefore timed in pieces as short as the act, each of which is judged
    by its own best round: what disturbs a machine then weighs on both sides alike.
    """
    spent = [seconds_of(act, is_alone=True) for act in acts]
    least[:] = [min(pair) for pair in zip(least or spent, spent, strict=True)]
    return sum(least)


def work_apart(act: Callable[[], object], least: list[float]) -> float:
    """Time one call by what it and what the system worked for it, and keep the least of each.

    Gives their sum. Memory costs the system a hundred times as much in a round in which the host
    of a virtual machine must lend it first, whatever the call itself does; so the two are judged by
    their own best rounds.
    """
    gc.collect()
    gc.disable()
    before = resource.getrusage(resource.RUSAGE_SELF)
    act()
    after = resource.getrusage(resource.RUSAGE_SELF)
    gc.enable()
    spent = (after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
    least[:] = [min(pair) for pair in zip(least or spent, spent, strict=True)]
    return sum(least)


def ratio(of: Times, to: Times) -> float:
    """Divide least by least: what is disturbed in both stays out of it."""
    return of.least / to.least
