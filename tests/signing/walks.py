"""Random lives of a key: requests, crashes, restores, copies, resets; held against the oracle.

Two kinds of life. `walk_journal` gives one journal requests, and crashes at every step of a write;
every answer must be the oracle's. `walk_world` has a chain that goes on, and copies of the key: old
journals put back in place, whole homes that go back, homes copied to another computer that run at
the same time, journals lost and reset, floors carried as files. There the oracle only forbids: no
two signatures for one position, whoever made them. The world is what a node has around its signer:
every commit is looked at before the next height, the peers' votes of the running height are heard
by whoever is just back, and a vote is heard by the other homes before they sign again, except in
`ask_together`. There homes are asked in the same moment, of which no more than one may sign: the
others were copied to another computer and have not watched for two epochs, or are clones on one
computer to which a commit has shown, when they were started, that somebody else signs.
"""

import os
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from chain.errors import StorageError
from chain.identity import create_identity, reset_journal
from chain.interchange import export_interchange, import_interchange
from chain.keyfile import ValidatorKeys
from chain.signer import (
    DOPPELGANGER_COMMITS,
    JOURNAL_FILE,
    GateView,
    PeerHeight,
    Signer,
    SigningRefused,
    decode_state,
)
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.journal import SigningJournal
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PROPOSAL, Proposal, Vote
from tests.signing.oracle import Journal, Ledger
from tests.support.consensus import GENESIS, consensus_seed, h, make_team, vrf_seed

TEAM = make_team([1, 1, 1, 1])
OWN = 0
SET = TEAM.validators
KEYS = ValidatorKeys(
    SET[OWN].account, consensus_seed(TEAM.numbers[OWN]), vrf_seed(TEAM.numbers[OWN])
)
BLOCKS = (h("A"), h("B"), NIL)
LISTEN_BLOCKS = 8
POINTS = ("journal.write.first", "journal.write.second", "journal.write.sync")
COMPUTERS = tuple(bytes([number]) * 16 for number in (1, 2, 3))


@dataclass
class Counts:
    """What happened in some lives."""

    sequences: int = 0
    requests: int = 0
    signed: int = 0
    crashes: int = 0
    restores: int = 0
    doubles: int = 0
    wrong: int = 0


def open_at(directory, place):
    """Open the key as a process on that computer does."""
    journal = SigningJournal.open(
        directory / JOURNAL_FILE, genesis_hash=GENESIS, public_key=KEYS.consensus_key
    )
    return Signer(KEYS, journal, GENESIS, place=place)


def draw_message(chance, height):
    """A message at a height; round 0 more often than not."""
    round_ = chance.choice((0, 0, 0, 1, 1, 2, 3))
    kind = chance.choice((1, 2, 2, 3, 3))
    if kind == PROPOSAL:
        return Proposal(height, round_, chance.choice(BLOCKS[:2]), NO_ROUND, OWN)
    return Vote(kind, height, round_, chance.choice(BLOCKS), NO_ROUND, OWN)


def position_of(message):
    return (message.height, message.round, message.kind)


def bytes_of(message):
    return message.sign_bytes(GENESIS, SET.set_id)


def make_home(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    create_identity(directory, KEYS, GENESIS)


class JournalWalk:
    """One journal, one process after another, with crashes at any step of a write."""

    def __init__(self, chance, directory, counts):
        make_home(directory)
        self.chance, self.directory, self.counts = chance, directory, counts
        self.oracle, self.ledger, self.wrong = Journal(), Ledger(), []
        self.signer = open_at(directory, COMPUTERS[0])

    def ask(self, message):
        """One request, now and then in a new process, or with a fault somewhere in the write."""
        if self.chance.random() < 0.1:
            self.restart()
        chance, position, request = self.chance, position_of(message), bytes_of(message)
        self.counts.requests += 1
        if chance.random() < 0.25:
            durable.arm(chance.choice(POINTS), chance.choice(tuple(Fault)))
        record = chance.randbytes(chance.randrange(99))
        try:
            self.signer.sign(message, set_id=SET.set_id, record=record)
        except SigningRefused:
            if False not in self.oracle.may_sign(position, request):
                self.wrong.append(f"{position} was refused")
            self.oracle.refuse(position, request)
        except (SimulatedCrash, StorageError):
            self.counts.crashes += 1
            self.oracle.sign(position, request, is_done=False)
            self.restart()
        else:
            self.counts.signed += 1
            if True not in self.oracle.may_sign(position, request):
                self.wrong.append(f"{position} was signed")
            self.oracle.sign(position, request, is_done=True)
            self.ledger.release(position, request)
        finally:
            durable.disarm()

    def restart(self):
        """End the process and begin another."""
        self.signer.close()
        self.signer = open_at(self.directory, COMPUTERS[0])


def walk_journal(chance, directory, counts, *, steps=24):
    """One journal; gives what was wrong, a sentence each."""
    walk = JournalWalk(chance, directory, counts)
    height = 1
    for _ in range(steps):
        height += chance.choice((0, 0, 0, 1))
        walk.ask(draw_message(chance, max(1, height - chance.choice((0, 0, 0, 0, 1)))))
        if not walk.oracle.states:
            break
    walk.signer.close()
    doubles = walk.ledger.double
    counts.sequences += 1
    counts.doubles += len(doubles)
    counts.wrong += len(walk.wrong)
    return walk.wrong + [f"{position} was signed twice" for position in doubles]


class Life:
    """One home of the key on one computer: its signer while it runs, and copies of its past."""

    def __init__(self, directory, place, *, is_copy=False):
        self.directory, self.place, self.is_copy = directory, place, is_copy
        self.is_clone = is_copy and place == COMPUTERS[0]
        self.is_shown = False
        """Whether a commit showed a clone, at its start, that somebody else signs."""
        self.watched = 0
        """Blocks that were decided while it ran."""
        self.signer = None
        self.looked = 0
        self.backups = []

    @property
    def journal(self):
        return self.directory / JOURNAL_FILE

    @property
    def state(self):
        return decode_state(SigningJournal.peek(
            self.journal, genesis_hash=GENESIS, public_key=KEYS.consensus_key
        ))  # fmt: skip

    @property
    def may_sign(self):
        """Whether the rules let it sign before it hears the others."""
        has_watched = self.watched >= LISTEN_BLOCKS
        return has_watched or not self.is_copy or (self.is_clone and not self.is_shown)

    def stop(self):
        if self.signer is not None:
            self.signer.close()
            self.signer = None


class World:
    """A chain, the homes of one key, and all that was said under it."""

    def __init__(self, chance, base, counts):
        self.chance, self.counts = chance, counts
        self.ledger = Ledger()
        self.tip = 0
        self.commits = {}
        self.votes = []
        make_home(base / "0")
        self.base = base
        self.lives = [Life(base / "0", COMPUTERS[0])]

    def play(self, steps):
        weighted = [
            (self.ask, 12), (self.ask_together, 6), (self.decide, 4), (self.start, 4),
            (self.stop, 1), (self.back_up, 3), (self.restore, 3), (self.copy, 2), (self.lose, 1),
            (self.carry, 1),
        ]  # fmt: skip
        acts, weights = zip(*weighted, strict=True)
        for _ in range(steps):
            self.chance.choices(acts, weights)[0](self.chance.choice(self.lives))
        for life in self.lives:
            life.stop()

    def start(self, life):
        """What a node does before it signs: the last commits, and the votes that peers hold."""
        if life.signer is not None or not life.journal.exists():
            return
        floor_height = life.state.floor[0]
        life.is_shown = life.is_shown or any(
            height > floor_height and self.commits[height].signed_flags(len(SET))[OWN]
            for height in range(max(1, self.tip - DOPPELGANGER_COMMITS + 1), self.tip + 1)
        )
        life.signer = open_at(life.directory, life.place)
        life.signer.begin(listen_blocks=LISTEN_BLOCKS)
        life.looked = max(0, self.tip - DOPPELGANGER_COMMITS)
        self.look(life)
        for vote in self.votes:
            if life.signer.on_vote(vote, SET):
                life.signer.listen(listen_blocks=LISTEN_BLOCKS)

    def stop(self, life):
        life.stop()

    def look(self, life):
        """Look at the commits that are new to this node, as its gate does at every height."""
        new = [(self.commits[n], SET) for n in range(life.looked + 1, self.tip + 1)]
        life.looked = self.tip
        life.signer.on_commits(new, listen_blocks=LISTEN_BLOCKS)

    def ask(self, life):
        """The machine wants a signature at the height after the tip."""
        signed = self.sign_with(life, draw_message(self.chance, self.tip + 1))
        if signed is not None:
            self.tell(signed, life)

    def ask_together(self, _life):
        """All are asked before anybody hears the others."""
        running = [life for life in self.lives if life.signer is not None]
        if sum(life.may_sign for life in running) > 1:
            return
        message = draw_message(self.chance, self.tip + 1)
        blocks = self.chance.sample(BLOCKS[:2], 2)
        messages = [replace(message, block_id=blocks[n % 2]) for n in range(len(running))]
        said = [
            (self.sign_with(life, one), life) for life, one in zip(running, messages, strict=True)
        ]
        for signed, life in said:
            if signed is not None:
                self.tell(signed, life)

    def sign_with(self, life, message):
        """Give what one home signs, None when its gate is shut or the request too low."""
        if life.signer is None:
            return None
        self.counts.requests += 1
        peers = tuple(PeerHeight(index, self.tip + 1) for index in (1, 2, 3))
        view = GateView(self.tip + 1, SET, peers, is_syncing=False, is_commit_known=False,
                        is_finality_covered=True, is_state_restored=True)  # fmt: skip
        if life.signer.refusals(view):
            return None
        try:
            signed = life.signer.sign(message, set_id=SET.set_id, record=b"")
        except SigningRefused:
            return None
        self.counts.signed += 1
        self.ledger.release(position_of(signed), bytes_of(signed))
        self.votes.append(signed)
        return signed

    def tell(self, signed, life):
        """Let the other homes hear a vote."""
        for other in self.lives:
            if other is not life and other.signer is not None and other.signer.on_vote(signed, SET):
                other.signer.listen(listen_blocks=LISTEN_BLOCKS)

    def decide(self, _life):
        """The others decide; our precommit is in the commit if there was one for the block."""
        ours = [vote for vote in self.votes if vote.kind == PRECOMMIT and vote.block_id != NIL]
        signers = (0, 1, 2) if ours and self.chance.random() < 0.7 else (1, 2, 3)
        block, round_ = (ours[-1].block_id, ours[-1].round) if ours else (BLOCKS[0], 0)
        self.tip += 1
        self.commits[self.tip] = TEAM.commit(self.tip, block, signers=signers, round_=round_)
        self.votes.clear()
        for life in self.lives:
            if life.signer is not None:
                life.watched += 1
                life.signer.on_tip(self.tip)
                self.look(life)

    def back_up(self, life):
        life.backups = [*life.backups, life.journal.read_bytes()][-3:]

    def restore(self, life):
        """Put an old journal back where it was: the one fault that only others can tell."""
        if life.backups:
            self.counts.restores += 1
            life.stop()
            life.is_shown = False
            life.journal.write_bytes(self.chance.choice(life.backups))

    def copy(self, life):
        """Copy a home, running or not; mostly to another computer."""
        if len(self.lives) == len(COMPUTERS):
            return
        place = COMPUTERS[len(self.lives) if self.chance.random() < 0.6 else 0]
        if life.state.floor == (0, 0, 0):
            return
        target = Life(self.base / str(len(self.lives)), place, is_copy=True)
        self.counts.restores += 1
        shutil.copytree(life.directory, target.directory)
        self.lives.append(target)

    def lose(self, life):
        """Lose the journal, and make it anew as the operator is told to."""
        self.counts.restores += 1
        life.stop()
        life.watched = 0
        life.is_clone = False
        life.journal.unlink()
        with suppress(StorageError):
            reset_journal(life.directory, GENESIS, tip_height=self.tip,
                          listen_blocks=LISTEN_BLOCKS, is_understood=True)  # fmt: skip

    def carry(self, life):
        """Carry a floor, new or old, from one home to another."""
        other = self.chance.choice(self.lives)
        life.stop()
        other.stop()
        text = export_interchange(life.directory, GENESIS)
        self.counts.restores += 1
        import_interchange(other.directory, GENESIS, text, listen_blocks=LISTEN_BLOCKS)


def walk_world(chance, base, counts, *, steps=40):
    """Many homes of one key; gives the positions that were signed twice, a sentence each."""
    world = World(chance, base, counts)
    try:
        world.play(steps)
    finally:
        for life in world.lives:
            life.stop()
    counts.sequences += 1
    counts.doubles += len(world.ledger.double)
    return [f"{position} was signed twice" for position in world.ledger.double]


def run_sequence(seed, number, base, counts):
    """One sequence of either kind; gives what was wrong."""
    chance = random.Random(f"signing {seed} {number}")
    walk = walk_world if number % 2 else walk_journal
    directory = Path(base) / str(os.getpid())
    try:
        return walk(chance, directory, counts)
    finally:
        durable.disarm()
        shutil.rmtree(directory, ignore_errors=True)
