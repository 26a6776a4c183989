"""The signing gate of a running node: what we know of the peers, put before the signer's rules.

Nothing is signed unless we and the validators near our height hold two thirds of the power. Who is
near is told by signed claims: of peers, and of validators farther away (chain.nearness).

Whether somebody else has our key is asked of all that comes: every commit that the chain gains,
however it came, and every vote. A node that begins waits for a moment after it is near: at the
height that is being decided no commit can tell yet, but the peers hold our votes and send them.
"""

from functools import partial
from typing import Final

import trio

from chain.engine import Ledger
from chain.keychain import Keys
from chain.log import Log
from chain.nearness import Nearness
from chain.seams import Clock
from chain.signer import DOPPELGANGER_COMMITS, GateView, Refusal
from consensus.machine import Machine
from consensus.types import Proposal, ValidatorSet, Vote

HEARING_SECONDS: Final = 1.0
"""How long a node that begins hears its peers before it signs: five exchanges of what is held."""

MOVED_REMEDY: Final = (
    "the signing journal was written on another computer, so the key listens for two epochs; if "
    "the other one will never sign again and this is its newest journal, stop this node and run "
    "`gristmill node signer adopt` before its next start"
)
"""What the log says of a key that was moved, and what to do."""


class Gate:
    """Decides, each time the machine wants to sign, whether this node may."""

    def __init__(
        self, ledger: Ledger, signer: Keys | None, *, listen_blocks: int, clock: Clock, log: Log
    ) -> None:
        self.is_syncing = False
        self.has_forked = False
        self._ledger = ledger
        self._signer = signer
        self._listen_blocks = listen_blocks
        self._clock = clock
        self._log = log
        self.nearness = Nearness(ledger)
        self._is_restored = True
        self._reasons: tuple[Refusal, ...] = ()
        self._looked_height = 0
        self._hears = False
        self._hears_until: float | None = None

    @property
    def reasons(self) -> tuple[Refusal, ...]:
        """Why the gate was shut when it was last asked; empty when it was open."""
        return self._reasons

    def on_start(self) -> None:
        """Look for votes of our key that our journal does not know, here and at the peers."""
        if self._signer is None:
            return
        if self._signer.begin(listen_blocks=self._listen_blocks):
            self._log.warning("key_moved", reason=MOVED_REMEDY)
        self._looked_height = 0
        self._look_back()
        self._hears = self._ledger.tip.number > 0 or self._signer.floor > (0, 0, 0)
        self._hears_until = None

    def _look_back(self) -> None:
        """Look for a doppelganger in the commits that the chain gained since the last look.

        Those that we helped to make are below the floor; those that came by block sync or from a
        peer may show what a journal that was put back does not know.
        """
        tip = self._ledger.tip.number
        count = min(tip - self._looked_height, DOPPELGANGER_COMMITS)
        self._looked_height = tip
        if self._signer is not None and count > 0:
            commits = self._ledger.last_commits(count)
            self._signer.on_commits(commits, listen_blocks=self._listen_blocks)

    def choose_key(
        self, machine: Machine, validators: ValidatorSet
    ) -> tuple[int | None, bool]:  # fmt: skip
        """Let our key in a set act; give its index, None without one, and whether it begins now.

        One that begins may have come while the node ran, with a journal older than its last votes.
        """
        if self._signer is None:
            return None, False
        before = self._signer.consensus_key
        index = self._signer.choose(validators)
        was_member = bool(machine.height) and machine.index is not None
        begins = index is not None and not (was_member and self._signer.consensus_key == before)
        if begins:
            self.on_start()
        self._look_back()
        return index, begins

    def on_tip(self, height: int) -> None:
        """Count a decided block while the node is current."""
        if self._signer is not None and height and not self.is_syncing:
            self._signer.on_tip(height)

    def on_height(self, *, is_restored: bool) -> None:
        """Note whether the machine knows all that it did at the height it begins."""
        self._is_restored = is_restored

    def on_vote(self, ballot: Proposal | Vote, validators: ValidatorSet) -> bool:
        """Hear a verified ballot of a peer; gives whether it closed the gate, see `listen`."""
        return self._signer is not None and self._signer.on_vote(ballot, validators)

    async def listen(self) -> None:
        """Make durable that the key listens; raises StorageError."""
        if self._signer is not None:
            listen = partial(self._signer.listen, listen_blocks=self._listen_blocks)
            await trio.to_thread.run_sync(listen)

    def is_open(self, machine: Machine) -> bool:
        """Say whether the key may sign at the machine's height now; a change is logged."""
        if self._signer is None or self.has_forked:
            return False
        near = self.nearness.find(machine.validators, machine.height, self._clock.now_ms())
        reasons = self._signer.refusals(
            GateView(
                height=machine.height,
                validators=machine.validators,
                peers=near,
                is_syncing=self.is_syncing,
                is_commit_known=self._ledger.tip.number >= machine.height,
                is_finality_covered=self._ledger.is_finality_covered,
                is_state_restored=self._is_restored,
            )
        )
        if not reasons and self._is_hearing():
            reasons = (Refusal.HEARING,)
        if reasons != self._reasons:
            self._reasons = reasons
            self._log.info("signing_gate", reasons=" ".join(reason.name for reason in reasons))
        return not reasons

    def _is_hearing(self) -> bool:
        """Whether a node that begins was near for too short a time to hear of its own votes."""
        if not self._hears:
            return False
        now = self._clock.elapsed()
        if self._hears_until is None:
            self._hears_until = now + HEARING_SECONDS
        self._hears = now < self._hears_until
        return self._hears
