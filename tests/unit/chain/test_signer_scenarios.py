"""What EIP-3076 asks of a validator that takes over interchange files, in our terms.

A slot is a height with a round and a step; two blocks of a slot are two votes of a position; there
are no surround votes, since the lock rule is the machine's. Source: the scenarios of
eth-clients/slashing-protection-interchange-tests, of which each name here has the meaning.
"""

import json
from dataclasses import dataclass

import pytest

from chain.errors import ConfigError
from chain.identity import create_identity
from chain.interchange import import_interchange
from chain.keyfile import ValidatorKeys
from chain.signer import SigningRefused, open_signer
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Proposal, Vote
from tests.support.consensus import GENESIS, h

OURS = [ValidatorKeys(h("account"), h("consensus", n), h("vrf", n)) for n in range(2)]
LISTEN = 10


@dataclass(frozen=True)
class Sign:
    """A request and whether it must succeed; `key` is which of our two."""

    height: int
    succeeds: bool
    round: int = 0
    kind: int = PREVOTE
    block: bytes = h("A")
    key: int = 0


@dataclass(frozen=True)
class Take:
    """A file with positions of our keys (key, height, round, kind), and whether it is taken."""

    positions: tuple
    succeeds: bool = True
    genesis: bytes = GENESIS


@dataclass(frozen=True)
class Watch:
    """Two epochs pass in which nobody signs with our keys."""


B = h("B")
A_FLOOR = Take(((0, 81, 0, PREVOTE),))
SCENARIOS = {
    "single validator, import only": [A_FLOOR],
    "single validator, single block": [A_FLOOR, Watch(), Sign(81, succeeds=False)],
    "single validator, single block, sign above": [A_FLOOR, Watch(), Sign(82, succeeds=True)],
    "single validator, single block, sign below": [A_FLOOR, Watch(), Sign(80, succeeds=False)],
    "single validator, multiple blocks": [
        Take(((0, 81, 0, PREVOTE), (0, 85, 0, PREVOTE), (0, 83, 0, PREVOTE))), Watch(),
        *(Sign(height, succeeds=False) for height in (0, 81, 82, 84, 85)), Sign(86, succeeds=True),
    ],
    "single validator, out of order blocks": [
        Take(((0, 95, 0, PREVOTE), (0, 5, 0, PREVOTE), (0, 80, 0, PREVOTE))), Watch(),
        Sign(90, succeeds=False), Sign(95, succeeds=False), Sign(96, succeeds=True),
    ],
    "single validator, two blocks, no signing root": [
        Take(((0, 10, 0, PREVOTE), (0, 20, 0, PREVOTE))), Watch(),
        Sign(20, succeeds=False), Sign(20, succeeds=False, block=B), Sign(21, succeeds=True),
    ],
    "single validator, resign block": [
        Sign(30, succeeds=True), Sign(30, succeeds=True), Sign(30, succeeds=False, block=B),
        Sign(30, succeeds=True), Sign(30, succeeds=False, block=B),
    ],
    "single validator, genesis: the first position of all": [
        Sign(1, succeeds=True, kind=1), Sign(1, succeeds=True), Sign(1, succeeds=False, block=NIL),
    ],
    "single validator, import, then listening, then signing": [
        A_FLOOR, Sign(90, succeeds=False), Watch(), Sign(90, succeeds=True),
    ],
    "multiple interchanges, single validator, single message gap": [
        Take(((0, 40, 0, PREVOTE),)), Take(((0, 42, 0, PREVOTE),)), Watch(),
        Sign(41, succeeds=False), Sign(42, succeeds=False), Sign(43, succeeds=True),
    ],
    "multiple interchanges, blocks out of order: the older file changes nothing": [
        Take(((0, 40, 0, PREVOTE),)), Watch(), Sign(50, succeeds=True), A_FLOOR, Watch(),
        Take(((0, 45, 0, PREVOTE),)), Sign(82, succeeds=True), Sign(81, succeeds=False),
    ],
    "multiple interchanges, single validator, fail iff imported": [
        Sign(20, succeeds=True), Take(((0, 40, 0, PREVOTE),)), Watch(),
        Sign(21, succeeds=False), Sign(40, succeeds=False), Sign(41, succeeds=True),
    ],
    "multiple interchanges, overlapping validators": [
        Take(((0, 40, 0, PREVOTE), (1, 30, 0, PREVOTE))),
        Take(((1, 50, 0, PREVOTE), (0, 20, 0, PREVOTE))), Watch(),
        Sign(40, succeeds=False), Sign(41, succeeds=True),
        Sign(50, succeeds=False, key=1), Sign(51, succeeds=True, key=1),
    ],
    "multiple validators, same slot blocks: each key has its own floor": [
        Take(((0, 40, 0, PREVOTE),)), Watch(), Sign(40, succeeds=False),
        Sign(40, succeeds=True, key=1), Sign(40, succeeds=False, key=1, block=B),
    ],
    "multiple validators, multiple blocks": [
        Take(((0, 40, 0, PREVOTE), (1, 3, 0, PREVOTE), (0, 41, 0, PREVOTE), (1, 40, 0, PREVOTE))),
        Watch(), Sign(41, succeeds=False), Sign(42, succeeds=True), Sign(40, succeeds=False, key=1),
        Sign(41, succeeds=True, key=1),
    ],
    "duplicate pubkey, not slashable": [
        Take(((0, 40, 0, PREVOTE), (0, 41, 0, PREVOTE))), Watch(), Sign(42, succeeds=True),
    ],
    "duplicate pubkey, slashable block: the same position twice": [
        Take(((0, 40, 0, PREVOTE), (0, 40, 0, PREVOTE))), Watch(), Sign(40, succeeds=False),
        Sign(41, succeeds=True),
    ],
    "wrong genesis validators root": [
        Take(((0, 40, 0, PREVOTE),), succeeds=False, genesis=h("another chain")),
        Sign(1, succeeds=True),
    ],
    "slashable import: what was signed in the file's past still binds": [
        Sign(45, succeeds=True), Take(((0, 40, 0, PREVOTE),)), Sign(45, succeeds=False, block=B),
        Sign(44, succeeds=False), Sign(46, succeeds=True),
    ],
    "steps of a round and rounds of a height ascend above an import": [
        Take(((0, 40, 2, PREVOTE),)), Watch(),
        Sign(40, succeeds=False, round=1, kind=PRECOMMIT),
        Sign(40, succeeds=False, round=2, kind=1),
        Sign(40, succeeds=False, round=2), Sign(40, succeeds=True, round=2, kind=PRECOMMIT),
        Sign(40, succeeds=True, round=3, kind=1), Sign(40, succeeds=False, round=2, kind=PRECOMMIT,
                                                       block=B),
    ],
    "a key that listens after an import does not sign above it either": [
        A_FLOOR, Sign(82, succeeds=False), Sign(9_999, succeeds=False),
    ],
}  # fmt: skip


class Home:
    """Two keys with their journals; each step is another process."""

    def __init__(self, base):
        self.base = base
        for number, keys in enumerate(OURS):
            directory = self.directory(number)
            directory.mkdir(parents=True, exist_ok=True)
            create_identity(directory, keys, GENESIS)

    def directory(self, number):
        return self.base / str(number + 1) if number else self.base

    def play(self, step):
        match step:
            case Take():
                self.take(step)
            case Watch():
                self.watch()
            case Sign():
                self.sign(step)

    def take(self, step):
        entries = [
            {"consensus_key": OURS[key].consensus_key.hex(), "height": h_, "round": r, "kind": k}
            for key, h_, r, k in step.positions
        ]
        text = json.dumps(
            {"gristmill_interchange": 2, "genesis_hash": step.genesis.hex(), "keys": entries}
        )
        if step.succeeds:
            import_interchange(self.base, GENESIS, text, listen_blocks=LISTEN)
            return
        with pytest.raises(ConfigError):
            import_interchange(self.base, GENESIS, text, listen_blocks=LISTEN)

    def watch(self):
        for number in range(len(OURS)):
            signer = open_signer(self.directory(number), GENESIS)
            signer.on_tip(10_000)
            signer.on_tip(10_000 + LISTEN)
            signer.close()

    def sign(self, step):
        signer = open_signer(self.directory(step.key), GENESIS)
        try:
            if step.succeeds:
                self.ask(signer, step)
                return
            with pytest.raises(SigningRefused):
                self.ask(signer, step)
        finally:
            signer.close()

    def ask(self, signer, step):
        if step.kind == 1:
            message = Proposal(step.height, step.round, step.block, NO_ROUND, 0)
        else:
            message = Vote(step.kind, step.height, step.round, step.block, NO_ROUND, 0)
        signer.sign(message, set_id=0, record=b"")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_of_the_interchange_standard_ends_as_it_must(tmp_path, name):
    home = Home(tmp_path / "keys")
    for step in SCENARIOS[name]:
        home.play(step)
