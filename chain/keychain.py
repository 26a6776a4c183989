"""All keys of one validator, each with its journal: the one that the set of a height names signs.

    keys/validator.key  sign.journal        the first
    keys/2/validator.key  sign.journal      after a rotation, and so on

A rotation makes a new directory while the node runs; the node opens it before the next height. The
chain then decides by its set which key acts, so no moment has two. Old keys stay: what they signed
can be punished until their window ends, and their journals say what that was.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from chain.errors import ConfigError, GristmillError
from chain.keyfile import KEY_FILE
from chain.log import Log
from chain.signer import (
    GateView,
    Message,
    Position,
    Refusal,
    Signer,
    SigningRefused,
    open_signer,
)
from consensus.types import Commit, Proposal, ValidatorSet, Vote

FIRST_NUMBER: Final = 2
"""Number of the directory of the second key; the first lies in the key directory itself."""

KEYS_MAX: Final = 256
"""Rotations that a key directory can hold: one a month for twenty years."""


def key_directory(base: Path, number: int) -> Path:
    """Return the directory of a key by its number, from 1 on."""
    return base if number < FIRST_NUMBER else base / str(number)


def find_key_directories(base: Path) -> list[Path]:
    """Return the directories that hold a key, the oldest first; a gap ends the list."""
    found = []
    for number in range(1, KEYS_MAX + 1):
        directory = key_directory(base, number)
        if not (directory / KEY_FILE).exists():
            break
        found.append(directory)
    return found


def next_key_directory(base: Path) -> Path:
    """Return the directory for the next key; raises ConfigError when there were too many."""
    count = len(find_key_directories(base))
    if count == KEYS_MAX:
        raise ConfigError(f"{base} holds {KEYS_MAX} keys already; move it away and begin anew")
    return key_directory(base, count + 1)


class Keychain:
    """The open keys of a node that may validate; it may have none yet."""

    def __init__(self, base: Path, genesis_hash: bytes, log: Log) -> None:
        self._base = base
        self._genesis_hash = genesis_hash
        self._log = log
        self._signers: list[Signer] = []
        self._active: Signer | None = None
        self._refused: dict[Path, str] = {}
        try:
            for directory in find_key_directories(base):
                self._open(directory)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._signers)

    def choose(self, validators: ValidatorSet) -> int | None:
        """Let the key that this set names sign from now on; give its index, None without one.

        Looks on the disk for a key that was made meanwhile.
        """
        self._find_new()
        for signer in reversed(self._signers):
            index = validators.find_key(signer.consensus_key)
            if index is not None:
                if signer is not self._active and len(self._signers) > 1:
                    self._log.info("key_changed", key=signer.consensus_key)
                self._active = signer
                return index
        return None

    @property
    def consensus_key(self) -> bytes:
        """The public key of votes, 32 bytes; empty before there is a key."""
        return b"" if self._active is None else self._active.consensus_key

    @property
    def floor(self) -> Position:
        """The last (height, round, kind) that the acting key signed for."""
        return (0, 0, 0) if self._active is None else self._active.floor

    @property
    def record(self) -> bytes:
        """The machine's record as last saved; empty before the first."""
        return b"" if self._active is None else self._active.record

    def refusals(self, view: GateView) -> tuple[Refusal, ...]:
        """Give every reason not to sign at this moment; empty when the key may."""
        if self._active is None:
            return (Refusal.NOT_A_VALIDATOR,)
        return self._active.refusals(view)

    def save(self, record: bytes) -> None:
        """Make the machine's record durable without signing; raises StorageError."""
        if self._active is not None:
            self._active.save(record)

    def sign(self, message: Message, *, set_id: int, record: bytes) -> Message:
        """Journal and sign with the acting key; raises SigningRefused or StorageError."""
        return self._acting().sign(message, set_id=set_id, record=record)

    def prove_vrf(self, *, randomness: bytes, height: int) -> bytes:
        """Give the 80-byte proof that a header of this height carries."""
        return self._acting().prove_vrf(randomness=randomness, height=height)

    def sign_status(self, *, peer: bytes, height: int, time_ms: int) -> bytes:
        """Sign that the acting key's validator is that peer, now."""
        return self._acting().sign_status(peer=peer, height=height, time_ms=time_ms)

    def begin(self, *, listen_blocks: int) -> bool:
        """Let the keys that were moved listen; gives whether there are any."""
        return True in [signer.begin(listen_blocks=listen_blocks) for signer in self._signers]

    def on_commits(
        self, commits: Sequence[tuple[Commit, ValidatorSet]], *, listen_blocks: int
    ) -> None:
        """Look for signatures of any of the keys that no journal here knows."""
        for signer in self._signers:
            signer.on_commits(commits, listen_blocks=listen_blocks)

    def on_vote(self, vote: Vote | Proposal, validators: ValidatorSet) -> bool:
        """Hear a verified message; one of our own that we never signed shuts its key at once."""
        return True in [signer.on_vote(vote, validators) for signer in self._signers]

    def listen(self, *, listen_blocks: int) -> None:
        """Make durable which keys listen from now on; raises StorageError."""
        for signer in self._signers:
            signer.listen(listen_blocks=listen_blocks)

    def on_tip(self, height: int) -> None:
        """Count a block towards the end of listening."""
        for signer in self._signers:
            signer.on_tip(height)

    def close(self) -> None:
        """Release the journals and their locks."""
        for signer in self._signers:
            signer.close()
        self._signers = []
        self._active = None

    def _acting(self) -> Signer:
        if self._active is None:
            raise SigningRefused("there is no key here that could sign")
        return self._active

    def _open(self, directory: Path) -> None:
        signer = open_signer(directory, self._genesis_hash)
        self._signers.append(signer)
        if self._active is None:
            self._active = signer

    def _find_new(self) -> None:
        """Open the next key if somebody made it; one that cannot be opened stops nobody."""
        directory = key_directory(self._base, len(self._signers) + 1)
        if not (directory / KEY_FILE).exists():
            return
        try:
            self._open(directory)
        except GristmillError as error:
            if self._refused.get(directory) != str(error):
                self._refused[directory] = str(error)
                self._log.error("key_refused", directory=str(directory), reason=str(error))
            return
        self._log.info("key_found", key=self._signers[-1].consensus_key, directory=str(directory))


Keys: TypeAlias = Signer | Keychain
"""What a driver signs with: a keychain in a node, a single key where nothing rotates."""
