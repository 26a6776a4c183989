"""Proof of misbehaviour: built from what was seen, verified against the set of its height.

    kind                  proof                                             guilty
    1 duplicate vote      two votes, same kind, height, round, signer       the signer
    2 light client attack a commit that contradicts ours                    see `_attackers`
    3 duplicate proposal  two proposals, same height and round              the proposer
    4 amnesia             commit of v at r1, polka of v' at r1+1, vr<r1     who signed both
    5 conflicting commit  two certificates of one round, different blocks   who signed both

One validator's precommit for v at r1 and prevote for v' at r2 prove nothing; only pairs of
certificates do (a polka in between may have released the lock). Even among pairs, amnesia convicts
by itself only when r2 = r1 + 1: after a polka for v' in a round between, a correct node is locked
on v' and may prevote it whatever its valid round. With every certificate of a fork at hand, `blame`
takes the earliest polka for a value instead, which any fork has. No rule here can name a key that
followed the protocol: that is tested over forced forks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from consensus import leader
from consensus.errors import Malformed
from consensus.types import (
    NIL,
    PRECOMMIT,
    PREVOTE,
    Amnesia,
    Certificate,
    Commit,
    ConflictingCommit,
    DuplicateProposal,
    DuplicateVote,
    Evidence,
    Header,
    LightBlock,
    LightClientAttack,
    Proposal,
    ValidatorSet,
    Vote,
    encode_evidence,
    evidence_hash,
)


class ChainView(Protocol):
    """What must be known of the finalised chain to judge evidence; None when not kept any more."""

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that every vote signs."""

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set that voted at a height."""

    def randomness_at(self, height: int) -> bytes | None:
        """Give the 32 bytes of the epoch that a height belongs to."""

    def header_at(self, height: int) -> Header | None:
        """Give the finalised header of a height."""


@dataclass(frozen=True, slots=True)
class EvidenceWindow:
    """How long misbehaviour may be reported; both ages must be exceeded to expire."""

    max_age_blocks: int
    max_age_ms: int

    def is_expired(self, *, age_blocks: int, age_ms: int) -> bool:
        """Whether evidence of this age comes too late."""
        return age_blocks > self.max_age_blocks and age_ms > self.max_age_ms


@dataclass(frozen=True, slots=True)
class Offender:
    """One guilty validator, in the words that the runtime's offences take."""

    kind: int
    account: bytes
    height: int
    time_ms: int
    power: int
    total_power: int
    evidence_hash: bytes

    @property
    def key(self) -> tuple[int, bytes, int]:
        """What is punished once: kind, account, height."""
        return (self.kind, self.account, self.height)


def build_duplicate_vote(set_id: int, one: Vote, other: Vote) -> DuplicateVote:
    """Put two conflicting votes in byte order; raises Malformed when they do not conflict."""
    first, second = sorted((one, other), key=lambda vote: vote.encode())
    evidence = DuplicateVote(set_id, first, second)
    _check_pair_of_votes(evidence)
    return evidence


def build_duplicate_proposal(set_id: int, one: Proposal, other: Proposal) -> DuplicateProposal:
    """Put two conflicting proposals in byte order; raises Malformed when they do not conflict."""
    first, second = sorted((one, other), key=lambda proposal: proposal.encode())
    evidence = DuplicateProposal(set_id, first, second)
    _check_pair_of_proposals(evidence)
    return evidence


def build_from_certificates(
    set_id: int, one: Certificate, other: Certificate
) -> Amnesia | ConflictingCommit | None:
    """Give the evidence that two certificates of one height make, or None when they agree.

    Amnesia across more than one round is for `blame`; it does not convict by itself.
    """
    left, right = one.first, other.first
    if left.height != right.height or left.block_id == right.block_id:
        return None
    if NIL in (left.block_id, right.block_id):
        return None
    if (left.kind, left.round) == (right.kind, right.round):
        first, second = sorted((one, other), key=lambda certificate: certificate.encode())
        return ConflictingCommit(set_id, first, second)
    for commit, polka in ((one, other), (other, one)):
        if _is_forgotten(commit.first, polka.first):
            return Amnesia(set_id, commit, polka)
    return None


def blame(certificates: Sequence[Certificate]) -> tuple[int, ...]:
    """Give the indices, ascending, that the certificates of one height prove guilty.

    With every commit and polka of a fork in hand this names more than a third of the power. For
    amnesia only the earliest polka for a value counts: it is enough, and a later one may hold keys
    that the earlier one relocked.
    """
    guilty: dict[int, None] = {}
    for one in certificates:
        for other in certificates:
            evidence = build_from_certificates(0, one, other)
            if evidence is None or _has_earlier_polka(evidence, certificates):
                continue
            guilty.update(dict.fromkeys(_common_signers(one, other)))
    return tuple(sorted(guilty))


def accuse_fork(
    set_id: int, certificates: Sequence[Certificate]
) -> tuple[Amnesia | ConflictingCommit, ...]:
    """Give all evidence that the certificates of one height make and that convicts by itself."""
    found: dict[bytes, Amnesia | ConflictingCommit] = {}
    for place, one in enumerate(certificates):
        for other in certificates[place + 1 :]:
            evidence = build_from_certificates(set_id, one, other)
            if evidence is None or _has_gap(evidence) or not _common_signers(one, other):
                continue
            found[evidence_hash(evidence)] = evidence
    return tuple(found.values())


def _has_gap(evidence: Amnesia | ConflictingCommit) -> bool:
    """Whether rounds lie between commit and polka, so that only `blame` may judge them."""
    if isinstance(evidence, ConflictingCommit):
        return False
    return evidence.polka.first.round != evidence.commit.first.round + 1


def _has_earlier_polka(
    evidence: Amnesia | ConflictingCommit, certificates: Sequence[Certificate]
) -> bool:
    """Whether a polka for the forgetting value stands between the commit and the given polka."""
    if isinstance(evidence, ConflictingCommit):
        return False
    commit, polka = evidence.commit.first, evidence.polka.first
    return any(
        (other.first.kind, other.first.height, other.first.block_id)
        == (PREVOTE, polka.height, polka.block_id)
        and commit.round < other.first.round < polka.round
        for other in certificates
    )


def height_of(evidence: Evidence) -> int:
    """Give the height at which the misbehaviour happened."""
    match evidence:
        case DuplicateVote() | DuplicateProposal():
            return evidence.first.height
        case Amnesia():
            return evidence.commit.first.height
        case ConflictingCommit():
            return evidence.first.first.height
        case LightClientAttack():
            return evidence.conflicting.height


def verify_evidence(
    evidence: Evidence, view: ChainView, window: EvidenceWindow, *, tip: Header
) -> tuple[Offender, ...]:
    """Give who is guilty, ascending by account; raises Malformed unless everything is proved.

    `tip` is the parent of the block that would carry the evidence; its height and time are the
    present. The answer depends on finalised blocks only, so every node gives the same.
    """
    height = height_of(evidence)
    header = view.header_at(height)
    validators = view.validators_at(height)
    if height < 1 or height > tip.number:
        raise Malformed(f"evidence of height {height} does not fit a chain of {tip.number} blocks")
    if header is None or validators is None:
        raise Malformed(f"nothing is kept of height {height}, so its evidence cannot be judged")
    if window.is_expired(age_blocks=tip.number - height, age_ms=tip.time_ms - header.time_ms):
        raise Malformed(f"the evidence of height {height} comes too late")
    if evidence.set_id != validators.set_id:
        raise Malformed(f"height {height} was voted on by set {validators.set_id}")
    if isinstance(evidence, LightClientAttack):
        guilty = _verify_attack(evidence, view, header, validators)
    else:
        guilty = _verify_ballots(evidence, view, validators)
    if not guilty:
        raise Malformed("the evidence is sound but proves nobody guilty")
    name = evidence_hash(evidence)
    return tuple(
        Offender(
            kind=evidence.kind,
            account=validators[index].account,
            height=height,
            time_ms=header.time_ms,
            power=validators[index].power,
            total_power=validators.total_power,
            evidence_hash=name,
        )
        for index in guilty
    )


def _verify_ballots(
    evidence: DuplicateVote | DuplicateProposal | Amnesia | ConflictingCommit,
    view: ChainView,
    validators: ValidatorSet,
) -> tuple[int, ...]:
    """Give the guilty indices of evidence made of votes and certificates; raises Malformed."""
    genesis_hash = view.genesis_hash
    match evidence:
        case DuplicateVote():
            _check_pair_of_votes(evidence)
            _check_signed((evidence.first, evidence.second), validators, genesis_hash)
            return (evidence.first.index,)
        case DuplicateProposal():
            _check_pair_of_proposals(evidence)
            _check_turn(evidence.first, view, validators)
            _check_signed((evidence.first, evidence.second), validators, genesis_hash)
            return (evidence.first.index,)
        case Amnesia():
            _check_amnesia(evidence)
            _check_signed((evidence.commit, evidence.polka), validators, genesis_hash)
            return _common_signers(evidence.commit, evidence.polka)
        case ConflictingCommit():
            _check_pair_of_certificates(evidence)
            _check_signed((evidence.first, evidence.second), validators, genesis_hash)
            return _common_signers(evidence.first, evidence.second)


def _check_signed(
    signed: Iterable[Vote | Proposal | Certificate], validators: ValidatorSet, genesis_hash: bytes
) -> None:
    """Raise Malformed unless every part verifies against the set; certificates need a quorum."""
    if not all(part.verify(validators, genesis_hash) for part in signed):
        raise Malformed("a signature or a quorum in the evidence does not verify")


def _check_pair_of_votes(evidence: DuplicateVote) -> None:
    """Raise Malformed unless the two votes conflict and stand in byte order."""
    first, second = evidence.first, evidence.second
    place = (first.kind, first.height, first.round, first.index)
    if place != (second.kind, second.height, second.round, second.index):
        raise Malformed("the two votes differ in kind, height, round or signer")
    if (first.block_id, first.valid_round) == (second.block_id, second.valid_round):
        raise Malformed("the two votes say the same")
    if first.encode() >= second.encode():
        raise Malformed("the two votes do not stand in byte order")


def _check_pair_of_proposals(evidence: DuplicateProposal) -> None:
    """Raise Malformed unless the two proposals conflict and stand in byte order."""
    first, second = evidence.first, evidence.second
    if (first.height, first.round, first.index) != (second.height, second.round, second.index):
        raise Malformed("the two proposals differ in height, round or signer")
    if (first.block_id, first.valid_round) == (second.block_id, second.valid_round):
        raise Malformed("the two proposals say the same")
    if first.encode() >= second.encode():
        raise Malformed("the two proposals do not stand in byte order")


def _check_turn(proposal: Proposal, view: ChainView, validators: ValidatorSet) -> None:
    """Raise Malformed unless the signer was the proposer of that round."""
    randomness = view.randomness_at(proposal.height)
    if randomness is None:
        raise Malformed(f"the randomness of height {proposal.height} is not kept")
    turn = leader.proposer(validators, randomness, proposal.height, proposal.round)
    if turn != proposal.index:
        raise Malformed(f"validator {proposal.index} did not have the turn it proposed in")


def _check_pair_of_certificates(evidence: ConflictingCommit) -> None:
    """Raise Malformed unless the two certificates conflict and stand in byte order."""
    first, second = evidence.first.first, evidence.second.first
    if (first.kind, first.height, first.round) != (second.kind, second.height, second.round):
        raise Malformed("the two certificates differ in kind, height or round")
    if first.block_id == second.block_id or NIL in (first.block_id, second.block_id):
        raise Malformed("the two certificates are not for two different blocks")
    if evidence.first.encode() >= evidence.second.encode():
        raise Malformed("the two certificates do not stand in byte order")


def _check_amnesia(evidence: Amnesia) -> None:
    """Raise Malformed unless the polka forgets the commit and no round lies between them."""
    commit, polka = evidence.commit.first, evidence.polka.first
    if not _is_forgotten(commit, polka):
        raise Malformed("the polka does not forget the commit")
    if polka.round != commit.round + 1:
        raise Malformed("a polka in a round between may have released the lock")


def _is_forgotten(commit: Vote, polka: Vote) -> bool:
    """Whether a polka with this subject forgets a commit with that one."""
    return (
        commit.kind == PRECOMMIT
        and polka.kind == PREVOTE
        and commit.height == polka.height
        and commit.block_id != polka.block_id
        and NIL not in (commit.block_id, polka.block_id)
        and polka.valid_round < commit.round < polka.round
    )


def _common_signers(one: Certificate, other: Certificate) -> tuple[int, ...]:
    """Give the indices that voted in both, ascending."""
    return tuple(sorted(frozenset(one.signers()).intersection(other.signers())))


def _verify_attack(
    evidence: LightClientAttack, view: ChainView, ours: Header, validators: ValidatorSet
) -> tuple[int, ...]:
    """Give the guilty indices of our set at the attacked height; raises Malformed."""
    theirs = evidence.conflicting
    if theirs.header.block_id == ours.block_id:
        raise Malformed("the light block of the evidence is our own")
    if not 0 <= evidence.common_height < ours.number:
        raise Malformed("the common height of an attack lies below it")
    check_light_block(theirs, view.genesis_hash)
    if (evidence.commit.height, evidence.commit.block_id) != (ours.number, ours.block_id):
        raise Malformed("the commit beside the attack is not for our block of that height")
    if not evidence.commit.verify(validators, view.genesis_hash):
        raise Malformed("the commit beside the attack does not verify")
    return _attackers(theirs, evidence.commit, ours, validators)


def _attackers(
    theirs: LightBlock, commit: Commit, ours: Header, validators: ValidatorSet
) -> tuple[int, ...]:
    """Decide who is guilty of a contradicting light block.

    * Same parent, but a validator set that the parent does not lead to: no correct node signs that,
      so every signer that was in our set is guilty.
    * Another parent: a correct node precommits only on the parent it has finalised, so whoever
      signed both sides is guilty, whatever the rounds. Signers of the other side alone may be
      victims of an earlier fork, for which there is evidence of its own.
    * Same parent and set, same round: whoever signed both sides.
    * Same parent and set, different rounds: the commits alone prove nobody guilty; `Amnesia` does.
    """
    signed_theirs = _places(theirs.validators, theirs.commit, validators)
    both = tuple(index for index in signed_theirs if index in commit.signers())
    header = theirs.header
    if header.parent_hash != ours.parent_hash:
        return both
    derived = (
        header.set_id,
        header.consensus.validators_hash,
        header.consensus.next_validators_hash,
    )
    expected = (ours.set_id, ours.consensus.validators_hash, ours.consensus.next_validators_hash)
    if derived != expected:
        return signed_theirs
    return both if theirs.commit.round == commit.round else ()


def _places(
    signing_set: ValidatorSet, commit: Commit, judging_set: ValidatorSet
) -> tuple[int, ...]:
    """Give the places in our set of the keys that signed, ascending."""
    places = [judging_set.find_key(signing_set[index].consensus_key) for index in commit.signers()]
    return tuple(sorted(place for place in places if place is not None))


def check_light_block(block: LightBlock, genesis_hash: bytes) -> None:
    """Raise Malformed unless the parts of a light block belong together and a quorum signed.

    This says nothing about whether the set is the right one; `light` does.
    """
    header, commit, validators = block.header, block.commit, block.validators
    if validators.hash() != header.consensus.validators_hash:
        raise Malformed("the validator set does not hash to the header's validators hash")
    if block.next_validators.hash() != header.consensus.next_validators_hash:
        raise Malformed("the next set does not hash to the header's next validators hash")
    if header.set_id != validators.set_id:
        raise Malformed("the header names another set id than its validator set has")
    if not 0 <= header.proposer_idx < len(validators):
        raise Malformed("the header's proposer is not a member of its set")
    if commit.height != header.number or commit.block_id != header.block_id:
        raise Malformed("the commit is not for this header")
    commit.check(validators)
    if not commit.verify(validators, genesis_hash):
        raise Malformed("a signature in the commit does not verify")


POOL_ITEMS_MAX: Final = 256
"""Pending evidence beyond this is refused; eight blocks can carry it off."""


class EvidencePool:
    """Evidence that was verified and is not in a block yet, once for each offence.

    Pure: the caller verifies, stores and gossips. An item is dropped when every offence it proves
    has been recorded in a block.
    """

    def __init__(self) -> None:
        self._pending: dict[bytes, tuple[Evidence, tuple[Offender, ...]]] = {}
        self._recorded: dict[tuple[int, bytes, int], None] = {}

    def add(self, evidence: Evidence, offenders: Sequence[Offender]) -> bool:
        """Take verified evidence; False when it says nothing new or the pool is full."""
        name = evidence_hash(evidence)
        if name in self._pending or len(self._pending) >= POOL_ITEMS_MAX:
            return False
        known = dict(self._recorded)
        for _, others in self._pending.values():
            known.update(dict.fromkeys(offender.key for offender in others))
        if all(offender.key in known for offender in offenders):
            return False
        self._pending[name] = (evidence, tuple(offenders))
        return True

    def select(self, *, count_max: int, size_bytes_max: int) -> tuple[Evidence, ...]:
        """Give the items for a block, oldest offence first, within these bounds."""
        chosen: list[Evidence] = []
        room = size_bytes_max
        ordered = sorted(self._pending.items(), key=lambda item: (height_of(item[1][0]), item[0]))
        for _, (evidence, _) in ordered:
            size = len(encode_evidence(evidence))
            if len(chosen) < count_max and size <= room:
                chosen.append(evidence)
                room -= size
        return tuple(chosen)

    def on_recorded(self, offenders: Iterable[Offender]) -> None:
        """Note the offences that a finalised block carried, and drop what they make needless."""
        self._recorded.update(dict.fromkeys(offender.key for offender in offenders))
        for name, (_, others) in list(self._pending.items()):
            if all(offender.key in self._recorded for offender in others):
                del self._pending[name]

    def is_recorded(self, offender: Offender) -> bool:
        """Whether a block has carried this offence."""
        return offender.key in self._recorded

    def forget(self, window: EvidenceWindow, *, tip: Header, floor_height: int) -> None:
        """Drop what has expired, and records of offences below `floor_height`."""
        for name, (evidence, others) in list(self._pending.items()):
            age_blocks = tip.number - height_of(evidence)
            age_ms = tip.time_ms - others[0].time_ms
            if window.is_expired(age_blocks=age_blocks, age_ms=age_ms):
                del self._pending[name]
        self._recorded = {key: None for key in self._recorded if key[2] >= floor_height}

    def __len__(self) -> int:
        return len(self._pending)
