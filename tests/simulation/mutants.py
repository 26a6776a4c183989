"""Bugs planted on purpose: a simulator that does not see them proves nothing about the real code.

Each says which tool is expected to see it. The benign ones are no bugs, and why is said too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.simulation.batches import BATCHES
from tests.simulation.network import Net
from tests.simulation.node import Habits
from tests.simulation.parts import Parts, Patch, load_parts
from tests.simulation.scripts import SCRIPTS
from tests.simulation.walk import STROLLS, Walk

MACHINE, VOTES, RECORD, STANDING = (
    "consensus.machine", "consensus.votes", "consensus.record", "chain.standing",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug; `tool` is script, walk or net, or benign with the reason."""

    name: str
    tool: str
    patches: tuple[Patch, ...] = ()
    habits: Habits = field(default_factory=Habits)
    reason: str = ""
    weather: tuple[str, ...] = ()
    """The kinds of weather in which a network shows it; all when empty."""


def _machine(old: str, new: str) -> tuple[Patch, ...]:
    return (Patch(MACHINE, old, new),)


def _votes(old: str, new: str) -> tuple[Patch, ...]:
    return (Patch(VOTES, old, new),)


MUTANTS = (
    Mutant(
        "a fresh block against the lock (L23)", "walk",
        _machine(
            "            and (self.locked is None or self.locked[0] == proposal.block_id)\n", ""
        ),
    ),
    Mutant(
        "an old polka releases the lock (L29)", "script",
        _machine(
            "            or self.locked[1] <= proposal.valid_round\n", "            or True\n"
        ),
    ),
    Mutant(
        "a re-proposal without its polka (L28)", "walk",
        _machine(
            "self.votes.find_quorum(PREVOTE, proposal.valid_round, proposal.block_id)\n", "True\n"
        ),
    ),
    Mutant(
        "certificates at one half", "script",
        _votes(
            "not certificate.has_quorum(self.validators)",
            "2 * self.validators.power_of(dict.fromkeys(certificate.signers()))"
            " <= self.validators.total_power",
        ),
    ),
    Mutant(
        "a certificate counts a signer twice", "walk",
        _votes(
            "not certificate.has_quorum(self.validators)",
            "not self.validators.has_quorum(self.validators.power_of(certificate.signers()))",
        ),
    ),
    Mutant(
        "a quorum is one half", "walk",
        _votes(
            "if self.validators.has_quorum(power)",
            "if 2 * power > self.validators.total_power",
        ),
    ),
    Mutant(
        "a quorum is two thirds exactly", "script",
        _votes(
            "if self.validators.has_quorum(power)",
            "if 3 * power >= 2 * self.validators.total_power",
        ),
    ),
    Mutant(
        "a polka mixes valid rounds", "script",
        (
            Patch(
                VOTES,
                "        powers[value] = powers.get(value, 0) + power\n",
                "        mixed = (vote.block_id, -1)\n"
                "        powers[mixed] = powers.get(mixed, 0) + power\n",
            ),
            Patch(
                VOTES,
                "            if (vote.block_id, vote.valid_round) == value\n        ]\n",
                "            if vote.block_id == value[0]\n        ]\n",
            ),
        ),
    ),
    Mutant(
        "the lock is not in the journal", "net",
        _machine("self.locked, self.valid, tuple(self.own)", "None, self.valid, tuple(self.own)"),
    ),
    Mutant(
        "the polka is not in the journal", "net",
        _machine("self.locked, self.valid, tuple(self.own)", "self.locked, None, tuple(self.own)"),
    ),
    Mutant(
        "own messages are not in the journal", "net",
        _machine("self.locked, self.valid, tuple(self.own)", "self.locked, self.valid, ()"),
    ),
    Mutant(
        "the step is not in the journal", "net",
        _machine("self.height, self.round, int(self.step),", "self.height, self.round, 0,"),
    ),
    Mutant("nothing is persisted", "net", habits=Habits(persists=False), weather=("crashes",)),
    Mutant(
        "said before it is persisted", "net", habits=Habits(persists_first=False),
        weather=("crashes",),
    ),
    Mutant(
        "locked bodies are not durable", "net", habits=Habits(keeps_bodies=False),
        weather=("blackout after blackout", "blackouts"),
    ),
    Mutant("validity is not checked", "walk", habits=Habits(checks_validity=False)),
    Mutant(
        "an invalid block becomes final", "script",
        _machine(
            "        return verdict is not None and verdict.is_valid\n",
            "        return verdict is not None\n",
        ),
    ),
    Mutant(
        "no skipping of rounds (L55)", "script",
        _machine("        if later is None:\n", "        if later != -2:\n"),
    ),
    Mutant(
        "the valid value is not updated (L42)", "net",
        _machine("                self.valid = (block_id, self.round, polka)\n", ""),
    ),
    Mutant(
        "a polka after the precommit is ignored (L36)", "script",
        _machine(
            'if self.step is Step.PROPOSE or ("polka", self.round) in self._once:',
            'if self.step is not Step.PREVOTE or ("polka", self.round) in self._once:',
        ),
    ),
    Mutant(
        "only the present round decides (L49)", "script",
        _machine("in self.votes.rounds(PRECOMMIT):", "in [self.round]:"),
    ),
    Mutant(
        "anybody's block is fresh", "script",
        _machine("            and verdict.proposer_idx == proposal.index\n", ""),
    ),
    Mutant(
        "anybody proposes", "script",
        _machine(
            "        if proposal.index != self.proposer(proposal.round):\n            return\n", ""
        ),
    ),
    Mutant(
        "a new round forgets the lock", "walk",
        _machine(
            "        self.round, self.step = round_, Step.PROPOSE\n",
            "        self.round, self.step, self.locked = round_, Step.PROPOSE, None\n",
        ),
    ),
    Mutant(
        "a polka for nil unlocks (older CometBFT prose)", "script",
        _machine(
            "            return False\n        self._vote(PRECOMMIT, NIL, NO_ROUND)\n",
            "            return False\n        self.locked = None\n"
            "        self._vote(PRECOMMIT, NIL, NO_ROUND)\n",
        ),
    ),
    Mutant(
        "timers of another round count", "script",
        _machine(
            "if (timer.height, timer.round) != (self.height, self.round) or self.is_decided:",
            "if timer.height != self.height or self.is_decided:",
        ),
    ),
    Mutant(
        "polkas are not gossiped", "script",
        (Patch(STANDING, "certificate = machine.valid[2]\n", "certificate = None\n"),),
    ),
    Mutant(
        "votes are not gossiped", "net",
        (Patch(STANDING, "tuple(votes[: limits.VOTES_MAX])", "()"),),
    ),
    Mutant(
        "only an equivocator's first vote counts", "benign",
        _votes("if len(held) >= VOTES_EACH_MAX or any(", "if len(held) >= 1 or any("),
        reason="a quorum that needs the other vote comes as a certificate; only evidence is lost",
    ),
    Mutant(
        "rounds far ahead are not noted", "benign",
        _votes(
            "self._far[vote.index] = max(self._far.get(vote.index, -1), vote.round)\n", "pass\n"
        ),
        reason="anti-entropy brings the votes again once they are near",
    ),
)  # fmt: skip
"""Every bug there is to see."""


def _scripts(mutant: Mutant, parts: Parts) -> Iterator[tuple[str, Callable[[], object]]]:
    if mutant.habits == Habits():
        for name, script in SCRIPTS.items():
            yield name, lambda script=script: script(parts)


def _walks(mutant: Mutant, parts: Parts, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    names = list(STROLLS)
    for seed in range(count):
        name = names[seed % len(names)]
        yield f"{name}, seed {seed}", Walk(seed, STROLLS[name], parts, mutant.habits).run


def _nets(mutant: Mutant, parts: Parts, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    names = [name for name in mutant.weather or BATCHES if not BATCHES[name].may_fork]
    for seed in range(count):
        name = names[seed % len(names)]
        yield f"{name}, seed {seed}", Net(seed, BATCHES[name], parts, mutant.habits).run


def find_symptom(mutant: Mutant, tool: str, count: int) -> str | None:
    """Where a tool first sees the bug within so many seeds, and what; None when it does not."""
    parts = load_parts(mutant.patches)
    if tool == "script":
        histories = _scripts(mutant, parts)
    else:
        histories = (_walks if tool == "walk" else _nets)(mutant, parts, count)
    for name, run in histories:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - wrong code may fail in any way
            return f"{name}: {type(error).__name__} {error}"
    return None
