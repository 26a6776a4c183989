"""The task that feeds the consensus machine and obeys it.

    network --hear_*--> judged --> inbox --> machine.handle --> wishes, obeyed in order
    timers, builder, validator ----^                              |
                     own messages, signed, come back the same way '

One task owns the machine. What must be durable is durable before the next wish is looked at. Work
that takes long (building, executing, fetching) runs beside it and comes back as news. Block sync
takes the chain over with `suspended()`; the machine then starts at the new tip.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from chain.ballots import BallotJudge
from chain.engine import Ledger, Voices
from chain.errors import InvalidBlock
from chain.gate import Gate
from chain.jobs import Jobs
from chain.keychain import Keys
from chain.log import Log
from chain.network.interface import PeerId, TaskStatus, Verdict
from chain.network.messages import Claim, ConsensusStatus
from chain.seams import Clock
from chain.signer import SigningRefused
from chain.standing import build_status, find_lacking
from consensus.evidence import height_of
from consensus.inputs import (
    CertificateArrived,
    HeightStarted,
    Input,
    ProposalArrived,
    VoteArrived,
)
from consensus.machine import Machine
from consensus.outputs import (
    Accuse,
    Broadcast,
    BuildBlock,
    Finalize,
    Output,
    Save,
    SetTimer,
    Sign,
    ValidateBlock,
)
from consensus.record import OWN_MAX, Record
from consensus.rounds import STRAGGLER_MS, TimeoutProfile
from consensus.types import (
    NIL,
    PRECOMMIT,
    PROPOSAL,
    Block,
    Certificate,
    Commit,
    Decision,
    Evidence,
    Proposal,
    ValidatorSet,
    Vote,
)

INBOX_MAX: Final = 4_096
"""News waiting for the machine; past it the network's are dropped, and anti-entropy repairs it."""

ACCUSATIONS_MAX: Final = 256
"""Misbehaviour of the running height that waits for its end: two kinds of every validator."""

CLAIM_SECONDS: Final = 5.0
"""How often a validator says which peer speaks for it; at once when a new one says so to it."""


class Driver:
    """Runs consensus for one node; `signer` is None for a node that only watches."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        voices: Voices,
        clock: Clock,
        profile: TimeoutProfile,
        signer: Keys | None,
        listen_blocks: int,
        log: Log,
        on_decided: Callable[[Decision], None],
    ) -> None:
        self.ledger = ledger
        self.voices = voices
        self.machine = Machine(profile)
        self.gate = Gate(ledger, signer, listen_blocks=listen_blocks, clock=clock, log=log)
        self._clock = clock
        self._profile = profile
        self._signer = signer
        self._log = log
        self._on_decided = on_decided
        self.on_fork: Callable[[Decision], None] = lambda _: None
        self._send, self._inbox = trio.open_memory_channel[Input](INBOX_MAX)
        self._jobs = Jobs(
            ledger=ledger,
            voices=voices,
            machine=self.machine,
            signer=signer,
            clock=clock,
            log=log,
            tell=self._send.send,
        )
        self._own: deque[Input] = deque()
        self._unsigned: list[Proposal | Vote] = []
        self._accusations: list[Evidence] = []
        self._judge = BallotJudge(ledger, self.machine)
        self._lock = trio.Lock()
        self._next_at = 0.0
        self._straggle_until = 0.0
        self._wake = trio.Event()
        self._claim_wanted = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._is_running = False
        self._is_adopting = False
        self.decided_ms: deque[int] = deque(maxlen=1_024)
        """Milliseconds from a block's time to its finality here, newest last: for the metrics."""

    # ---- life

    async def run(self, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        """Decide heights until cancelled; raises StorageError when the disk fails."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.gate.on_start()
            async with self._lock:
                await self._start_height()
            task_status.started()
            nursery.start_soon(self._tell_status)
            nursery.start_soon(self._claim)
            nursery.start_soon(self._pace)
            self._is_running = True
            try:
                async for news in self._inbox:
                    async with self._lock:
                        await self._feed(news)
            finally:
                self._is_running = False

    @asynccontextmanager
    async def suspended(self) -> AsyncIterator[None]:
        """Hold the machine still while block sync extends the chain, then start at the new tip."""
        async with self._lock:
            before = self.ledger.tip.number
            self.gate.is_syncing = True
            try:
                yield
            finally:
                self.gate.is_syncing = False
            if self.ledger.tip.number != before:
                self.gate.on_tip(self.ledger.tip.number)
                await self._start_height()

    async def _start_height(self) -> None:
        """Begin the height above the tip, where the journal stands if it knows that height.

        Not at start-up alone: a chain that was lost and came back reaches the journal's height by
        decisions or block sync, and the key must not have forgotten there what it locked on.
        """
        height = self.ledger.tip.number + 1
        validators = self.ledger.validators_at(height)
        randomness = self.ledger.randomness_at(height)
        if validators is None or randomness is None:
            raise AssertionError(f"the chain does not know who decides height {height}")
        self._own.clear()
        self._unsigned.clear()
        due, self._accusations = self._accusations, []
        for evidence in due:
            await self._accuse(evidence)
        self._next_at = self._straggle_until = 0.0
        index, begins = self.gate.choose_key(self.machine, validators)
        if begins:
            self._claim_wanted.set()
        news = HeightStarted(height, validators, randomness, index)
        record = None if index is None else self._find_record(height)
        is_new_here = self._signer is None or self._signer.floor[0] < height
        self.gate.on_height(is_restored=is_new_here or record is not None)
        now_ms = self._clock.now_ms()
        if record is None:
            await self._obey(self.machine.handle(news, now_ms))
        else:
            await self._obey(self.machine.resume(news, record, now_ms))
        await self._drain()

    def _find_record(self, height: int) -> Record | None:
        if self._signer is None or not self._signer.record:
            return None
        record = Record.decode(self._signer.record)
        return record if record.height == height else None

    async def _pace(self) -> None:
        """Start the next height when its time has come and the stragglers had theirs."""
        while True:
            if not self._is_settled:
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            ready_at = self._next_at
            if not self._has_all_precommits():
                ready_at = max(ready_at, self._straggle_until)
            delay = ready_at - trio.current_time()
            if delay <= 0:
                async with self._lock:
                    if self._is_settled:
                        await self._start_height()
                continue
            self._wake = trio.Event()
            with trio.move_on_after(delay):
                await self._wake.wait()

    @property
    def _is_settled(self) -> bool:
        """Whether the machine's height is decided, and its block is the tip."""
        return self.machine.is_decided and self.ledger.tip.number == self.machine.height

    def _has_all_precommits(self) -> bool:
        return len(self.machine.last_commit_votes()) == len(self.machine.validators)

    # ---- the machine

    async def _feed(self, news: Input) -> None:
        if self.gate.has_forked:
            return
        await self._obey(self.machine.handle(news, self._clock.now_ms()))
        await self._drain()
        if self.machine.is_decided:
            self._wake.set()

    async def _drain(self) -> None:
        while self._own:
            await self._obey(self.machine.handle(self._own.popleft(), self._clock.now_ms()))

    async def _obey(self, wishes: list[Output]) -> None:
        for wish in wishes:
            match wish:
                case Sign():
                    await self._sign(wish)
                case Save():
                    await self._save(wish.record)
                case Broadcast():
                    await self.voices.send_certificate(wish.certificate)
                case Accuse():
                    await self._accuse(wish.evidence)
                case Finalize():
                    await self._finalize(wish)
                case _:
                    self._start_job(wish)

    def _start_job(self, wish: BuildBlock | ValidateBlock | SetTimer) -> None:
        """Begin what takes long; it comes back as news."""
        if self._nursery is None:
            raise AssertionError("the driver is not running")
        match wish:
            case BuildBlock():
                self._nursery.start_soon(self._jobs.build, wish)
            case ValidateBlock():
                self._nursery.start_soon(self._jobs.validate, wish)
            case SetTimer():
                self._nursery.start_soon(self._jobs.wait, wish)

    async def _sign(self, wish: Sign) -> None:
        signer = self._signer
        if signer is None:
            return
        if not self.gate.is_open(self.machine):
            self._unsigned = [*self._unsigned, wish.message][-OWN_MAX:]
            return
        binds = wish.message.kind in (PROPOSAL, PRECOMMIT) and wish.message.block_id != NIL
        if binds and not await self._save_body(wish.message.block_id):
            return
        try:
            message = await trio.to_thread.run_sync(self._sign_now, signer, wish)
        except SigningRefused as refusal:
            self._log.warning("signing_refused", reason=str(refusal))
            return
        if isinstance(message, Proposal):
            self._own.append(ProposalArrived(message))
            block = self.ledger.candidate(message.block_id)
            if block is not None:
                await self.voices.send_proposal(message, block)
        else:
            self._own.append(VoteArrived(message))
            await self.voices.send_votes((message,))

    async def _retry_signing(self) -> None:
        """Sign what the gate held back at this height, now that it may have opened."""
        if self._unsigned and not self.machine.is_decided and self.gate.is_open(self.machine):
            messages, self._unsigned = self._unsigned, []
            record = self.machine.record().encode()
            await self._obey([Sign(message, record) for message in messages])
            await self._drain()

    def _sign_now(self, signer: Keys, wish: Sign) -> Proposal | Vote:
        set_id = self.machine.validators.set_id
        message = wish.message
        if isinstance(message, Proposal):
            return signer.sign(message, set_id=set_id, record=wish.record)
        return signer.sign(message, set_id=set_id, record=wish.record)

    async def _save_body(self, block_id: bytes) -> bool:
        """Make a body durable that may have to be shown again; False when it is not here."""
        if self.ledger.candidate(block_id) is None:
            self._log.warning("body_missing", block=block_id.hex())
            return False
        await self.ledger.save_candidate(block_id)
        return True

    async def _save(self, record: bytes) -> None:
        if self._signer is not None and self.gate.is_open(self.machine):
            if self.machine.valid is not None:
                await self._save_body(self.machine.valid[0])
            await trio.to_thread.run_sync(self._signer.save, record)

    async def _accuse(self, evidence: Evidence) -> None:
        """Prove misbehaviour; what happened at the running height can be proved once it is over.

        Its time is the decided block's, and nobody can judge it before that is known.
        """
        if height_of(evidence) > self.ledger.tip.number:
            self._accusations = [*self._accusations, evidence][-ACCUSATIONS_MAX:]
            return
        if self.ledger.accuse(evidence):
            self._log.warning("misbehaviour_seen", kind=evidence.kind)
            await self.voices.send_evidence(evidence)

    async def _finalize(self, wish: Finalize) -> None:
        """Store a decided block; one whose body fell out of memory comes back as a decision."""
        block = self.ledger.candidate(wish.block_id)
        if block is None:
            self._log.warning("decided_block_dropped", block=wish.block_id.hex())
            return
        commit = Commit.from_votes(wish.commit.votes, self.machine.validators)
        await self.ledger.finalize(block, commit, wish.polka)
        self._settle(Decision(block, commit, wish.polka))

    def _settle(self, decision: Decision) -> None:
        """Tell the node of a decided block and set the pace of the next height."""
        header = decision.block.header
        now_ms = self._clock.now_ms()
        self.decided_ms.append(max(0, now_ms - header.time_ms))
        self.gate.on_tip(header.number)
        until_next_ms = max(0, header.time_ms + self._profile.interval_ms - now_ms)
        now = trio.current_time()
        self._next_at = now + until_next_ms / 1_000
        self._straggle_until = now + STRAGGLER_MS / 1_000
        self._on_decided(decision)
        self._wake.set()

    # ---- what peers say

    async def hear_proposal(self, peer: PeerId, proposal: Proposal, block: Block | None) -> Verdict:
        """Judge a proposal, and keep the block that came with it."""
        del peer
        if not self._judge.is_known(proposal):
            verdict, validators = await self._judge.judge((proposal,))
            if validators is None:
                return verdict
        if block is not None and not self._keep(proposal, block):
            return Verdict.REJECT
        if not self.machine.holds(proposal):
            self._enqueue(ProposalArrived(proposal))
        return Verdict.ACCEPT

    async def hear_votes(self, peer: PeerId, votes: Sequence[Vote]) -> Verdict:
        """Judge votes of one message; those that the machine does not hold reach it."""
        del peer
        fresh = [vote for vote in votes if not self._judge.is_known(vote)]
        for height in dict.fromkeys(vote.height for vote in fresh):
            some = [vote for vote in fresh if vote.height == height]
            verdict, validators = await self._judge.judge(some)
            if verdict is Verdict.REJECT:
                return verdict
            if validators is not None:
                self._look_for_our_key(some, validators)
        good = [vote for vote in votes if self._judge.is_known(vote)]
        for vote in good:
            if not self.machine.holds(vote):
                self._enqueue(VoteArrived(vote))
        return Verdict.ACCEPT if good else Verdict.IGNORE

    def _look_for_our_key(self, votes: Sequence[Vote], validators: ValidatorSet) -> None:
        """Shut the gate when somebody else signs with our key; our own task tells the journal.

        Whoever brought the vote may be cut off, and a failing disk is the node's concern.
        """
        foreign = [vote for vote in votes if self.gate.on_vote(vote, validators)]
        if foreign and self._nursery is not None and self._is_running:
            self._nursery.start_soon(self.gate.listen)

    async def hear_certificate(self, peer: PeerId, certificate: Certificate) -> Verdict:
        """Judge a polka or commit whole."""
        del peer
        first = certificate.first
        if first.height != self.machine.height:
            return Verdict.IGNORE
        if self.machine.holds_quorum(certificate):
            return Verdict.ACCEPT
        validators = self.machine.validators
        good = await trio.to_thread.run_sync(
            certificate.verify, validators, self.ledger.genesis_hash
        )
        if not good:
            return Verdict.REJECT
        self._enqueue(CertificateArrived(certificate))
        return Verdict.ACCEPT

    async def hear_status(self, peer: PeerId, status: ConsensusStatus) -> Verdict:
        """Note where a peer stands and send it what it lacks."""
        self.gate.nearness.on_peer_height(peer, status.height)
        if status.height < self.machine.height:
            decision = self.ledger.decision(status.height)
            if decision is not None:
                await self.voices.answer(peer, decision=decision)
        elif status.height == self.machine.height:
            lacking = find_lacking(self.machine, status)
            proposals = [
                (proposal, block)
                for proposal in lacking.proposals
                if (block := self.ledger.candidate(proposal.block_id)) is not None
            ]
            if proposals or lacking.votes or lacking.certificate is not None:
                await self.voices.answer(
                    peer,
                    proposals=proposals,
                    votes=lacking.votes,
                    certificate=lacking.certificate,
                )
        return Verdict.ACCEPT

    async def hear_claim(self, peer: PeerId, claim: Claim) -> Verdict:
        """Note which validator speaks through a peer, or farther away."""
        if not self.machine.height:
            return Verdict.IGNORE
        nearness = self.gate.nearness
        was_claimed = nearness.is_claimed(peer)
        now_ms = self._clock.now_ms()
        verdict = nearness.on_claim(peer, claim, self.machine.validators, now_ms)
        if nearness.is_claimed(peer) and not was_claimed:
            self._claim_wanted.set()
        return verdict

    async def hear_decision(self, peer: PeerId, decision: Decision) -> Verdict:
        """Adopt the next block when a peer proves that it was decided without us.

        Our own task does it, one at a time: whoever brought it may be cut off on the way, and a
        failing disk is the node's concern and not the network's.
        """
        if not self._is_running or self._nursery is None or self._is_adopting:
            return Verdict.IGNORE
        is_next = decision.height == self.ledger.tip.number + 1
        if not is_next and not self._is_rival(decision):
            return Verdict.IGNORE
        self._is_adopting = True
        verdicts: list[Verdict] = []
        is_done = trio.Event()
        self._nursery.start_soon(self._adopt, peer, decision, verdicts, is_done)
        await is_done.wait()
        return verdicts[0] if verdicts else Verdict.IGNORE

    async def _adopt(
        self, peer: PeerId, decision: Decision, verdicts: list[Verdict], is_done: trio.Event
    ) -> None:
        try:
            async with self._lock:
                verdicts.append(await self._judge_decision(peer, decision))
        finally:
            self._is_adopting = False
            is_done.set()

    async def _judge_decision(self, peer: PeerId, decision: Decision) -> Verdict:
        if not self.gate.has_forked and self._is_rival(decision):
            self._halt(decision)
            return Verdict.IGNORE
        is_next = decision.height == self.ledger.tip.number + 1
        if not is_next or not self.machine.height or self.gate.has_forked:
            return Verdict.IGNORE
        try:
            await self.ledger.adopt(decision)
        except InvalidBlock as error:
            if error.field == "parent_hash":
                self._halt(decision)
                return Verdict.IGNORE
            self._log.warning("decision_refused", peer=peer, reason=error.reason)
            return Verdict.REJECT
        self._settle(decision)
        await self._start_height()
        return Verdict.ACCEPT

    def _is_rival(self, decision: Decision) -> bool:
        """Whether the right set decided another block at a height that was decided here."""
        commit, block_id = decision.commit, decision.block.block_id
        ours = self.ledger.decision(decision.height)
        validators = self.ledger.validators_at(decision.height)
        if ours is None or validators is None or ours.block.block_id == block_id:
            return False
        if (commit.height, commit.block_id) != (decision.height, block_id):
            return False
        return commit.verify(validators, self.ledger.genesis_hash)

    def _halt(self, decision: Decision) -> None:
        """Stop for good: a commit of the right set is for another block than ours, or parent.

        More than a third of the power is guilty, and only people can say which side goes on.
        """
        self.gate.has_forked = True
        self._log.error(
            "conflicting_finality",
            height=decision.height,
            block=decision.block.block_id.hex(),
            parent=decision.block.header.parent_hash.hex(),
            tip=self.ledger.tip.block_id.hex(),
        )
        self.on_fork(decision)

    async def hear_evidence(self, peer: PeerId, evidence: Evidence) -> Verdict:
        """Judge evidence; what is good and new waits for a block."""
        del peer
        return Verdict.ACCEPT if self.ledger.accuse(evidence) else Verdict.IGNORE

    def on_peer_gone(self, peer: PeerId) -> None:
        """Forget what a peer claimed."""
        self.gate.nearness.on_peer_gone(peer)

    def _keep(self, proposal: Proposal, block: Block) -> bool:
        if block.block_id != proposal.block_id:
            return False
        is_wanted = proposal.height >= self.machine.height
        if is_wanted and self.ledger.candidate(block.block_id) is None:
            self.ledger.keep_candidate(block)
        return True

    def _enqueue(self, news: Input) -> None:
        try:
            self._send.send_nowait(news)
        except trio.WouldBlock:
            self._judge.forget()
            self._log.warning("inbox_full", dropped=type(news).__name__)

    # ---- what we say without being asked

    async def _tell_status(self) -> None:
        while True:
            await trio.sleep(self._profile.status_ms / 1_000)
            await self.voices.send_status(build_status(self.machine))
            async with self._lock:
                await self._retry_signing()

    async def _claim(self) -> None:
        signer = self._signer
        while signer is not None:
            index = self.machine.index
            if index is not None:
                height, time_ms = self.machine.height, self._clock.now_ms()
                peer = self.voices.local_peer
                signed = signer.sign_status(peer=peer.encode(), height=height, time_ms=time_ms)
                await self.voices.send_claim(Claim(index, peer, height, time_ms, signed))
            status_seconds = self._profile.status_ms / 1_000
            await trio.sleep(status_seconds)
            if self.gate.is_open(self.machine):
                with trio.move_on_after(CLAIM_SECONDS - status_seconds):
                    await self._claim_wanted.wait()
            self._claim_wanted = trio.Event()
