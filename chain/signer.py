"""The keys of a validator, and the rules under which they sign.

    what the machine wants --> is the gate open? --> is it above the floor? --> journal, synced
                                    |                      |                         |
                                 refused               refused                   signature

The floor is the last (height, round, step) signed for. A request must lie strictly above it or be,
byte for byte, one that was signed at this height before, which gives the same signature again. The
journal has the request before the signature exists. A journal that was reset, imported, written on
another computer or overtaken by the key's own votes makes the key listen for two epochs before it
signs again.
"""

import enum
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from chain.errors import GristmillError
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.place import PLACE_BYTES, UNKNOWN, find_place
from chain.storage.journal import SigningJournal
from consensus.signbytes import VOTE_BYTES, status_bytes, vrf_alpha
from consensus.types import PRECOMMIT, Commit, Proposal, ValidatorSet, Vote
from ext import scale, signing, vrf

JOURNAL_FILE: Final = "sign.journal"
"""Name of the journal beside the key file."""

SIGNED_MAX: Final = 64
"""Own messages of the current height that can be signed again; twenty rounds and more."""

RECORD_BYTES_MAX: Final = 24_576
"""Longest record of the machine; what is left of the journal's payload holds the floor."""

DOPPELGANGER_COMMITS: Final = 10
"""Commits before the tip in which a signature of ours beyond the journal betrays another signer."""

Position = tuple[int, int, int]
"""(height, round, kind): the order in which a key signs."""

Message = TypeVar("Message", Proposal, Vote)


class SigningRefused(GristmillError):
    """The key does not sign this; the message says why. The machine goes on without."""


@dataclass(frozen=True, slots=True)
class SignerState:
    """What the journal holds.

    `listen_blocks` > 0 while the key only listens, counted from height `listen_from`, which is 0
    until the node has once been current. `record` is the machine's, opaque here. `place` is the
    computer that wrote this last; while a key that was moved listens, still the one it came from.
    """

    height: int
    round: int
    kind: int
    signed: tuple[bytes, ...]
    listen_blocks: int
    listen_from: int
    record: bytes
    place: bytes

    @property
    def floor(self) -> Position:
        """The last position signed for."""
        return (self.height, self.round, self.kind)

    def is_from_elsewhere(self, place: bytes) -> bool:
        """Whether another computer than `place` wrote this, as far as both have a name.

        Keys that have signed nothing yet may be made on one computer and used on another.
        """
        is_known = UNKNOWN not in (self.place, place)
        return is_known and self.place != place and self.floor > (0, 0, 0)


SIGNER_STATE = scale.record(
    SignerState,
    ("height", scale.U64),
    ("round", scale.U32),
    ("kind", scale.U8),
    ("signed", scale.vector(scale.fixed_bytes(VOTE_BYTES), SIGNED_MAX)),
    ("listen_blocks", scale.U32),
    ("listen_from", scale.U64),
    ("record", scale.var_bytes(RECORD_BYTES_MAX)),
    ("place", scale.fixed_bytes(PLACE_BYTES)),
)
"""The codec of the journal's payload."""

FRESH: Final = SignerState(0, 0, 0, (), 0, 0, b"", UNKNOWN)
"""The state of a journal that is made together with its key."""


class Refusal(enum.Enum):
    """Why the gate is shut; the value is a sentence for the log and the health report."""

    SYNCING = "the node is still fetching blocks"
    BEHIND_FINALITY = "the database lacks blocks that were final here before"
    BEHIND_JOURNAL = "the key signed for a later height than the chain has reached here"
    STATE_LOST = "the key signed at this height and its round state was not restored"
    COMMIT_KNOWN = "this height is decided already"
    NO_QUORUM_NEAR = "the peers at our height and we do not hold two thirds of the power"
    DOPPELGANGER = "the chain has votes of this key that this journal does not know"
    MOVED = "the signing journal was written on another computer, which may still sign"
    LISTENING = "the journal is new here, and the key listens for two epochs first"
    NOT_A_VALIDATOR = "the key is not in the validator set of this height"
    HEARING = "the node is just back and first hears what its key may have signed at this height"


@dataclass(frozen=True, slots=True)
class PeerHeight:
    """What a connected peer proved to be: a validator's index, and the height it works on."""

    index: int
    height: int


@dataclass(frozen=True, slots=True)
class GateView:
    """What the gate looks at when the machine wants to sign at `height` (our tip plus one)."""

    height: int
    validators: ValidatorSet
    peers: tuple[PeerHeight, ...]
    is_syncing: bool
    is_commit_known: bool
    is_finality_covered: bool
    """The database is not behind the finality journal."""
    is_state_restored: bool
    """The machine runs this height from its start here, or was loaded from the journal."""


def decide_gate(
    view: GateView,
    *,
    consensus_key: bytes,
    floor: Position,
    is_listening: bool,
    doppelganger_height: int | None,
    is_moved: bool = False,
) -> tuple[Refusal, ...]:
    """Give every reason not to sign, in a fixed order; empty when the key may sign.

    `HEARING` is not among them: it is the gate's own, see chain.gate.
    """
    own = view.validators.find_key(consensus_key)
    checks = (
        (view.is_syncing, Refusal.SYNCING),
        (not view.is_finality_covered, Refusal.BEHIND_FINALITY),
        (view.height < floor[0], Refusal.BEHIND_JOURNAL),
        (view.height == floor[0] and not view.is_state_restored, Refusal.STATE_LOST),
        (view.is_commit_known, Refusal.COMMIT_KNOWN),
        (not _has_quorum_near(view, own), Refusal.NO_QUORUM_NEAR),
        (doppelganger_height is not None, Refusal.DOPPELGANGER),
        (is_moved, Refusal.MOVED),
        (is_listening, Refusal.LISTENING),
        (own is None, Refusal.NOT_A_VALIDATOR),
    )
    return tuple(reason for holds, reason in checks if holds)


def _has_quorum_near(view: GateView, own: int | None) -> bool:
    """Whether we and the peers within one height of ours hold more than two thirds."""
    near = {
        peer.index: None
        for peer in view.peers
        if abs(peer.height - view.height) <= 1 and 0 <= peer.index < len(view.validators)
    }
    if own is not None:
        near[own] = None
    return view.validators.has_quorum(view.validators.power_of(near))


def find_doppelganger(
    commits: Iterable[tuple[Commit, ValidatorSet]], consensus_key: bytes, floor: Position
) -> int | None:
    """Give the highest height whose commit has our signature beyond the floor, or None.

    The caller gives the last `DOPPELGANGER_COMMITS` commits; a copy of the journal that was
    restored, or a second machine with this key, shows here.
    """
    found: int | None = None
    for commit, validators in commits:
        own = validators.find_key(consensus_key)
        if own is None or not commit.signed_flags(len(validators))[own]:
            continue
        if (commit.height, commit.round, PRECOMMIT) > floor:
            found = commit.height if found is None else max(found, commit.height)
    return found


class Signer:
    """An open key with its locked journal; made by `open_signer`.

    Signing waits for the disk and may run in a worker thread while votes are heard in another; one
    lock keeps the floor and the journal in step.
    """

    def __init__(
        self,
        keys: ValidatorKeys,
        journal: SigningJournal,
        genesis_hash: bytes,
        *,
        place: bytes = UNKNOWN,
    ) -> None:
        self.keys = keys
        self._place = place
        self.doppelganger_height: int | None = None
        self._heard_height: int | None = None
        self._journal = journal
        self._genesis_hash = genesis_hash
        self._lock = threading.RLock()
        self._state = decode_state(journal.payload)

    @property
    def consensus_key(self) -> bytes:
        """The public key of votes, 32 bytes."""
        return self.keys.consensus_key

    @property
    def floor(self) -> Position:
        """The last (height, round, kind) signed for."""
        return self._state.floor

    @property
    def record(self) -> bytes:
        """The machine's record as last saved; empty before the first."""
        return self._state.record

    @property
    def is_listening(self) -> bool:
        """Whether the key waits, for two epochs, to hear nobody else vote with it."""
        return self._state.listen_blocks > 0

    @property
    def is_moved(self) -> bool:
        """Whether another computer wrote this journal, and two epochs have not shown it silent."""
        return self._state.is_from_elsewhere(self._place)

    def choose(self, validators: ValidatorSet) -> int | None:
        """Give the key's index in a set, None when it is not there."""
        return validators.find_key(self.consensus_key)

    def refusals(self, view: GateView) -> tuple[Refusal, ...]:
        """Give every reason not to sign at this moment; empty when the key may."""
        return decide_gate(
            view,
            consensus_key=self.consensus_key,
            floor=self.floor,
            is_listening=self.is_listening,
            doppelganger_height=self.doppelganger_height,
            is_moved=self.is_moved,
        )

    def save(self, record: bytes) -> None:
        """Make the machine's record durable without signing; raises StorageError."""
        with self._lock:
            self._write(replace(self._state, record=record))

    def sign(self, message: Message, *, set_id: int, record: bytes) -> Message:
        """Journal the request and the record, then give the message with its signature.

        Raises SigningRefused for a position at or below the floor that was not signed byte for
        byte before, and while listening; StorageError when the journal fails, and then nothing is
        signed.
        """
        signed_bytes = message.sign_bytes(self._genesis_hash, set_id)
        with self._lock:
            self._journal_request(message, signed_bytes, record)
        return replace(message, signature=signing.sign(self.keys.consensus_seed, signed_bytes))

    def _journal_request(
        self, message: Proposal | Vote, signed_bytes: bytes, record: bytes
    ) -> None:
        """Make the request durable, or raise SigningRefused."""
        state = self._state
        if self.is_listening or self.is_moved or self.doppelganger_height is not None:
            raise SigningRefused("the key listens whether anybody else signs with it")
        if signed_bytes in state.signed:
            if record != state.record:
                self._write(replace(state, record=record))
            return
        position = (message.height, message.round, message.kind)
        if position <= state.floor:
            raise SigningRefused(
                f"the key signed for {_describe(state.floor)} and signs nothing else at "
                f"{_describe(position)}"
            )
        earlier = state.signed if message.height == state.height else ()
        signed = (*earlier, signed_bytes)[-SIGNED_MAX:]
        height, round_, kind = position
        self._write(SignerState(height, round_, kind, signed, 0, 0, record, self._place))

    def prove_vrf(self, *, randomness: bytes, height: int) -> bytes:
        """Give the 80-byte proof that a header of this height carries; no round enters it."""
        alpha = vrf_alpha(genesis_hash=self._genesis_hash, randomness=randomness, height=height)
        return vrf.prove(self.keys.vrf_seed, alpha)

    def sign_status(self, *, peer: bytes, height: int, time_ms: int) -> bytes:
        """Sign that this key's validator is that peer, now; no vote can be made of it."""
        signed_bytes = status_bytes(
            genesis_hash=self._genesis_hash, peer=peer, height=height, time_ms=time_ms
        )
        return signing.sign(self.keys.consensus_seed, signed_bytes)

    def begin(self, *, listen_blocks: int) -> bool:
        """Begin in this process: a key that was moved listens; gives whether it was.

        The journal keeps the other computer's name until the key has listened, so that a restart
        does not forget why. Raises StorageError.
        """
        with self._lock:
            if self.is_moved and not self.is_listening:
                state = self._state
                listening = raise_floor(state, state.floor, listen_blocks)
                self._write(replace(listening, place=state.place))
            return self.is_moved

    def on_commits(
        self, commits: Sequence[tuple[Commit, ValidatorSet]], *, listen_blocks: int
    ) -> None:
        """Look for a doppelganger in these commits; call it with every one before signing above.

        When one is found the floor rises above all it signed and the key starts to listen.
        """
        with self._lock:
            found = find_doppelganger(commits, self.consensus_key, self.floor)
            if found is not None:
                self._on_own_vote(found, listen_blocks)

    def on_vote(self, vote: Vote | Proposal, validators: ValidatorSet) -> bool:
        """Hear a verified message; gives whether it is one of our own that we never signed.

        The key is shut then, and `listen` makes that durable. Waits for no disk: what we sign is in
        the state before anybody can have heard it, so the newest state answers without the lock.
        """
        if validators.find_key(self.consensus_key) != vote.index:
            return False
        signed_bytes = vote.sign_bytes(self._genesis_hash, validators.set_id)
        if not self._is_foreign((vote.height, vote.round, vote.kind), signed_bytes):
            return False
        self._heard_height = max(vote.height, self._heard_height or 0)
        self.doppelganger_height = self._heard_height
        return True

    def listen(self, *, listen_blocks: int) -> None:
        """Make durable that the key listens, after `on_vote` shut it; raises StorageError."""
        with self._lock:
            if self._heard_height is not None:
                self._on_own_vote(self._heard_height, listen_blocks)
                self._heard_height = None

    def _is_foreign(self, position: Position, signed_bytes: bytes) -> bool:
        """Whether a message under our key cannot have come from this journal."""
        state = self._state
        if signed_bytes in state.signed:
            return False
        if position > state.floor or self.is_listening or self.is_moved:
            return True
        return position[0] == state.height and 0 < len(state.signed) < SIGNED_MAX

    def _on_own_vote(self, height: int, listen_blocks: int) -> None:
        """Raise the floor past a height somebody signed at with our key, and listen from anew."""
        floor = max(self.floor, (height + 1, 0, 0))
        self.doppelganger_height = height
        self._write(replace(raise_floor(self._state, floor, listen_blocks), place=self._place))

    def on_tip(self, height: int) -> None:
        """Count a block towards the end of listening; call it only while the node is current."""
        with self._lock:
            state = self._state
            if not state.listen_blocks:
                return
            if not state.listen_from:
                self._write(replace(state, listen_from=max(height, 1)))
            elif self._heard_height is None and height >= state.listen_from + state.listen_blocks:
                self.doppelganger_height = None
                self._write(replace(state, listen_blocks=0, listen_from=0, place=self._place))

    def close(self) -> None:
        """Release the journal and its lock."""
        self._journal.close()

    def _write(self, state: SignerState) -> None:
        """Make a state durable, then ours."""
        self._journal.write(SIGNER_STATE.encode(state))
        self._state = state


def raise_floor(state: SignerState, floor: Position, listen_blocks: int) -> SignerState:
    """Give the state with a floor at least this high, listening from the next current block."""
    height, round_, kind = max(state.floor, floor)
    return SignerState(height, round_, kind, (), max(listen_blocks, 1), 0, b"", state.place)


def decode_state(payload: bytes) -> SignerState:
    """Give what a journal's payload holds."""
    state: SignerState = SIGNER_STATE.decode(payload)
    return replace(state, signed=tuple(state.signed))


def _describe(position: Position) -> str:
    """Name a position in words."""
    height, round_, kind = position
    return f"height {height}, round {round_}, step {kind}"


def open_signer(directory: Path, genesis_hash: bytes) -> Signer:
    """Open a validator's key and lock its journal; raises ConfigError or StorageError."""
    keys = load_keys(directory / KEY_FILE)
    journal = SigningJournal.open(
        directory / JOURNAL_FILE, genesis_hash=genesis_hash, public_key=keys.consensus_key
    )
    return Signer(keys, journal, genesis_hash, place=find_place(keys.consensus_key))
