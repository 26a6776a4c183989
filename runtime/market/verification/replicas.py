"""Replication: the same job, done by several providers, who cannot copy from each other.

    first is complete -> all are, or time is up -> beacon draws a checkpoint -> each opens it

Each job posts its commitments when it is complete, sealed to its provider: their salts are hashes
of the provider and a secret. Only when all are posted is a checkpoint drawn at which they are
compared. More than two thirds of those asked for are a verdict: who is of another opinion, or opens
nothing, is convicted. Providers of one owner are one voice.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from runtime.frame.storage import StorageMap, stored
from runtime.market.nouns import Fault, JobState, Reason
from runtime.market.verification.canaries import Canaries
from runtime.market.verification.nouns import (
    AlreadyAnswered,
    GroupDrawn,
    GroupEnded,
    NoAudit,
    NotProvider,
    Outcome,
    ReplicaRevealed,
    SealDoesNotFit,
    WrongPhase,
)
from runtime.market.verification.numbers import REVEAL_BLOCKS
from runtime.market.verification.openings import read_disclosure
from runtime.market.verification.pool import BEACON_LAG_EPOCHS, TWOX
from runtime.market.verification.records import (
    Disclosure,
    Group,
    Replica,
    ReplicaPhase,
    SealedAnswer,
    seal_salt,
)
from runtime.primitives import U32, AccountId

GROUP: Final = b"g"
"""First byte of an item of the wheel that moves a group on; its number and turn follow."""


class Replicas(Canaries):
    """Groups of equal jobs, and how they are compared."""

    groups: StorageMap[U32, Group] = stored(hasher=TWOX)

    # What jobs tell

    def _note_replica(self, id_: int) -> None:
        """Learn that a job of a group is complete; the first one begins the wait for the others.

        One that comes when a checkpoint may be known already is left to its requester.
        """
        siblings = self.jobs.siblings(id_)
        if not siblings:
            self.jobs.leave_to_requester(id_)
            return
        number = siblings[0]
        group = self.groups.find(number) or self._begin_group(id_, siblings)
        if group.phase is not ReplicaPhase.RUNNING:
            self.jobs.leave_to_requester(id_)
            return
        self.jobs.open_case(id_)
        group = _with_replica(group, id_, is_complete=True)
        if all(replica.is_complete or replica.is_gone for replica in group.replicas):
            group = self._await_draw(number, group)
        self.groups[number] = group

    def _drop_replica(self, id_: int) -> None:
        """Learn that an attempt is over: it is compared with nothing any more."""
        siblings = self.jobs.siblings(id_)
        group = self.groups.find(siblings[0]) if siblings else None
        if group is None:
            return
        number, is_gone = siblings[0], self._is_over(id_)
        group = _with_replica(group, id_, is_complete=False, is_gone=is_gone)
        complete = [replica for replica in group.replicas if replica.is_complete]
        is_waiting = any(not r.is_complete and not r.is_gone for r in group.replicas)
        if group.phase is ReplicaPhase.RUNNING and complete and not is_waiting:
            group = self._await_draw(number, group)
        if all(replica.is_gone for replica in group.replicas):
            del self.groups[number]
        else:
            self.groups[number] = group

    # Calls

    def _open_replica(
        self, who: AccountId, id_: int, disclosure: Disclosure, secrets: tuple[bytes, bytes]
    ) -> None:
        siblings = self.jobs.siblings(id_)
        group = self.groups.find(siblings[0]) if siblings else None
        if group is None:
            raise NoAudit
        replica = next(replica for replica in group.replicas if replica.job == id_)
        is_open = group.phase is ReplicaPhase.REVEALING and self.ctx.block.height < group.due
        if not is_open or not replica.is_complete:
            raise WrongPhase
        job, spec, result = self._judged(id_)
        if job.provider != who:
            raise NotProvider
        if replica.opened:
            raise AlreadyAnswered
        _check_seals(who, disclosure, secrets)
        answer = read_disclosure(job, spec, result, group.checkpoint, disclosure)
        sealed = SealedAnswer(answer.start, answer.trace_root, result.final_state)
        number = siblings[0]
        self.emit(ReplicaRevealed(number, id_, sealed))
        group = _with_replica(group, id_, opened=(sealed,))
        if all(replica.opened for replica in group.replicas if replica.is_complete):
            self._conclude_group(number, group)
        else:
            self.groups[number] = group

    def _advance_group(self, number: int) -> bool:
        """Do what is due of a group; gives whether anything was."""
        group = self.groups.find(number)
        is_over = group is None or group.phase is ReplicaPhase.ENDED
        if group is None or is_over or self.ctx.block.height < group.due:
            return False
        self._move_group(number, group)
        return True

    # Steps

    def _do_group(self, number: int, turn: int) -> None:
        group = self.groups.find(number)
        if group is None or group.turn != turn:
            return
        if group.phase is not ReplicaPhase.REVEALING or self._has_room(len(group.replicas)):
            self._move_group(number, group)
        else:
            payload = GROUP + number.to_bytes(4, "little") + turn.to_bytes(2, "little")
            self._put(payload, self.ctx.block.height + 1)

    def _move_group(self, number: int, group: Group) -> None:
        """End a phase whose time is over."""
        if group.phase is ReplicaPhase.RUNNING:
            self.groups[number] = self._await_draw(number, group)
        elif group.phase is ReplicaPhase.WAITING:
            self._draw_group(number, group)
        elif group.phase is ReplicaPhase.REVEALING:
            self._conclude_group(number, group)

    def _begin_group(self, id_: int, siblings: Sequence[int]) -> Group:
        """Begin to wait: whoever has not even begun by now would be late in any case."""
        spec, blocks = self.jobs.spec(id_), self.session.epoch_blocks()
        due = self.ctx.block.height + spec.run_blocks + BEACON_LAG_EPOCHS * blocks
        replicas = tuple(
            Replica(job, is_complete=False, is_gone=self._is_over(job), opened=())
            for job in siblings
        )
        epoch = self.session.current_index
        group = Group(ReplicaPhase.RUNNING, 0, epoch, due, 0, replicas)
        return self._wake_group(siblings[0], group)

    def _await_draw(self, number: int, group: Group) -> Group:
        """Wait for a beacon of which nobody knew anything when the last result was posted."""
        epoch, blocks = self.session.current_index, self.session.epoch_blocks()
        due = 1 + (epoch + BEACON_LAG_EPOCHS) * blocks + number % blocks
        group = replace(group, phase=ReplicaPhase.WAITING, epoch=epoch, due=due)
        return self._wake_group(number, group)

    def _draw_group(self, number: int, group: Group) -> None:
        """Draw the checkpoint; it is one that every attempt has run itself."""
        ids = [replica.job for replica in group.replicas if replica.is_complete]
        if not ids:
            self.groups[number] = replace(group, phase=ReplicaPhase.ENDED)
            return
        first = max(self._judged(id_)[0].first_checkpoint for id_ in ids)
        count = self.jobs.spec(ids[0]).checkpoints - first
        seed = int.from_bytes(self._seed_of(b"gm-replicas", number, 0), "little")
        due = self.ctx.block.height + REVEAL_BLOCKS.read(self.ctx)
        checkpoint = first + seed % count
        group = replace(group, phase=ReplicaPhase.REVEALING, due=due, checkpoint=checkpoint)
        self.groups[number] = self._wake_group(number, group)
        self.emit(GroupDrawn(number, checkpoint, due))

    def _conclude_group(self, number: int, group: Group) -> None:
        """Compare what was opened, and act on it."""
        verdict, agreed = self._count_voices(group)
        asked = len(group.replicas)
        self.groups[number] = replace(group, phase=ReplicaPhase.ENDED)
        outcome = Outcome.NO_VERDICT if verdict is None else Outcome.PASSED
        self.emit(GroupEnded(number, outcome, agreed, asked))
        for replica in group.replicas:
            if not replica.is_complete:
                continue
            if verdict is None:
                self._leave_open(replica.job)
                self.jobs.close_case(replica.job)
            elif replica.opened == (verdict,):
                self.jobs.vindicate(replica.job, Reason.AUDIT_PASSED)
                self.jobs.close_case(replica.job)
            else:
                self.jobs.convict(
                    replica.job, Fault.WRONG_CHECKPOINT, Reason.OUTVOTED, challenger=None
                )

    def _count_voices(self, group: Group) -> tuple[SealedAnswer | None, int]:
        """Give what more than two thirds say, or None, and how many said what most said."""
        voices: list[tuple[AccountId, SealedAnswer]] = []
        for replica in group.replicas:
            if not replica.is_complete or not replica.opened:
                continue
            provider = self._judged(replica.job)[0].provider
            if not any(self.providers.share_owner(provider, other) for other, _ in voices):
                voices.append((provider, replica.opened[0]))
        said = [answer for _, answer in voices]
        best = max(said, key=said.count, default=None)
        agreed = said.count(best) if best is not None else 0
        return (best if 3 * agreed > 2 * len(group.replicas) else None), agreed

    # Inside

    def _is_over(self, id_: int) -> bool:
        job = self.jobs.find(id_)
        return job is None or job.state >= JobState.SETTLED

    def _wake_group(self, number: int, group: Group) -> Group:
        turn = (group.turn + 1) % (1 << 16)
        self._put(GROUP + number.to_bytes(4, "little") + turn.to_bytes(2, "little"), group.due)
        return replace(group, turn=turn)


def _check_seals(who: AccountId, disclosure: Disclosure, secrets: tuple[bytes, bytes]) -> None:
    """Raise SealDoesNotFit unless the provider's own secrets made both salts."""
    proofs = (disclosure.proof, disclosure.before)
    for proof, secret in zip(proofs, secrets, strict=True):
        if proof is not None and proof.opening.salt != seal_salt(who, secret):
            raise SealDoesNotFit


def _with_replica(group: Group, id_: int, **changes: object) -> Group:
    replicas = tuple(
        replace(replica, **changes) if replica.job == id_ else replica  # type: ignore[arg-type]  # the callers name fields
        for replica in group.replicas
    )
    return replace(group, replicas=replicas)
