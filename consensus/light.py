"""Following the chain by headers and commits alone, from a block that is trusted.

    adjacent   untrusted = trusted + 1: its set is the one that the trusted header announces
    skipping   any later height: more than a third of the trusted next set signed it, which is at
               least one correct validator while fewer than a third are not
    either way more than two thirds of the untrusted header's own set signed

A skip that finds too few trusted signers is halved (`bisect`). Since a third of the set may lie to
one client, `find_divergence` compares what a primary proved with what a witness says and makes
evidence of a contradiction. Nothing here reads a clock or a socket: heights to fetch are yielded.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final

from consensus.errors import Malformed
from consensus.evidence import check_light_block
from consensus.types import Commit, Header, LightBlock, LightClientAttack, ValidatorSet

BISECTION_STEPS_MAX: Final = 256
"""More fetches than this for one target mean that the source does not mean to convince us."""


class TooLittleTrust(Malformed):
    """At most a third of the trusted power signed; a height in between may convince."""


class TrustExpired(Malformed):
    """The trusted block is older than the trusting period; a newer checkpoint is needed."""


@dataclass(frozen=True, slots=True)
class LightOptions:
    """What a light client is told from outside: the chain and how long to trust."""

    genesis_hash: bytes
    trusting_period_ms: int
    """Two thirds of the unbonding period: who signed is still punishable that long."""
    clock_drift_ms: int = 10_000
    """How far a header's time may lie ahead of our clock."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Two proofs of one height that contradict; one evidence item for each side's chain."""

    height: int
    common_height: int
    against_primary: LightClientAttack
    against_witness: LightClientAttack


def trust_genesis(header: Header, validators: ValidatorSet) -> LightBlock:
    """Make of block 0, which nobody signed, a trusted block to begin with; raises Malformed.

    The caller has compared the header's hash with the one that names the chain.
    """
    if header.number:
        raise Malformed(f"block {header.number} is not the first of a chain")
    if validators.hash() != header.consensus.next_validators_hash:
        raise Malformed("the validator set is not the one that the first block names")
    commit = Commit(0, 0, header.block_id, validators.set_id, b"", ())
    return LightBlock(header, commit, validators, validators)


def check_known(block: LightBlock, height: int, block_id: bytes, genesis_hash: bytes) -> None:
    """Raise Malformed unless a light block is whole and the one with this height and hash.

    For a checkpoint that somebody trusted named, and for what a proved header leads to.
    """
    if block.height != height or block.header.block_id != block_id:
        raise Malformed(
            f"block {block.height} is 0x{block.header.block_id.hex()}, not 0x{block_id.hex()} as "
            f"wanted for height {height}"
        )
    check_light_block(block, genesis_hash)


def verify_light_block(
    trusted: LightBlock, untrusted: LightBlock, options: LightOptions, *, now_ms: int
) -> None:
    """Raise Malformed unless `untrusted` follows from `trusted`; see the module for the rules.

    Raises TooLittleTrust when only the trusted signers are too few, TrustExpired when `trusted` is
    too old. The trusted block must have been verified before, or be a checkpoint.
    """
    _check_times(trusted, untrusted, options, now_ms=now_ms)
    if untrusted.height == trusted.height + 1:
        _check_adjacent(trusted, untrusted)
        check_light_block(untrusted, options.genesis_hash)
        return
    if untrusted.header.set_id < trusted.next_validators.set_id:
        raise Malformed("the set id of a later header does not decrease")
    check_light_block(untrusted, options.genesis_hash)
    _check_trusted_third(trusted, untrusted)


def _check_times(
    trusted: LightBlock, untrusted: LightBlock, options: LightOptions, *, now_ms: int
) -> None:
    """Raise unless heights and times ascend, trust has not expired, and no time lies ahead."""
    if untrusted.height <= trusted.height:
        raise Malformed(f"height {untrusted.height} does not come after {trusted.height}")
    if untrusted.header.time_ms <= trusted.header.time_ms:
        raise Malformed("the time of a later header is not later")
    if trusted.header.time_ms + options.trusting_period_ms <= now_ms:
        raise TrustExpired(
            f"the trusted block {trusted.height} is older than the trusting period; "
            "give a newer checkpoint"
        )
    if untrusted.header.time_ms >= now_ms + options.clock_drift_ms:
        raise Malformed("the header's time lies ahead of our clock")


def _check_adjacent(trusted: LightBlock, untrusted: LightBlock) -> None:
    """Raise Malformed unless the next header is the one that the trusted header announces."""
    header = untrusted.header
    if header.parent_hash != trusted.header.block_id:
        raise Malformed("the next header does not name the trusted block as its parent")
    if header.consensus.validators_hash != trusted.header.consensus.next_validators_hash:
        raise Malformed("the next header's set is not the one that the trusted header announces")


def _check_trusted_third(trusted: LightBlock, untrusted: LightBlock) -> None:
    """Raise TooLittleTrust unless more than a third of the trusted next power signed."""
    known = trusted.next_validators
    signers = untrusted.commit.signers()
    places = [known.find_key(untrusted.validators[index].consensus_key) for index in signers]
    power = known.power_of(place for place in places if place is not None)
    if not known.has_third(power):
        raise TooLittleTrust(f"{power} of {known.total_power} trusted power signed the header")


def bisect(
    trusted: LightBlock, target_height: int, options: LightOptions, *, now_ms: int
) -> Generator[int, LightBlock, tuple[LightBlock, ...]]:
    """Verify the block at `target_height`, yielding each height that must be fetched.

    Send the light block of the yielded height back in. Returns the verified blocks ascending, from
    `trusted` to the target: the least proof that somebody else can follow. Raises Malformed.
    """
    trace = [trusted]
    target = yield from _fetch(target_height)
    waiting = [target]
    steps = 1
    while waiting:
        candidate = waiting[-1]
        try:
            verify_light_block(trace[-1], candidate, options, now_ms=now_ms)
        except TooLittleTrust:
            steps += 1
            middle = (trace[-1].height + candidate.height) // 2
            if steps > BISECTION_STEPS_MAX:
                raise Malformed("the target needs more steps than an honest source takes") from None
            waiting.append((yield from _fetch(middle)))
        else:
            trace.append(waiting.pop())
    return tuple(trace)


def _fetch(height: int) -> Generator[int, LightBlock, LightBlock]:
    """Ask for a height and insist on getting it."""
    block = yield height
    if block.height != height:
        raise Malformed(f"asked for height {height}, got {block.height}")
    return block


def find_divergence(
    trace: Sequence[LightBlock], witness_blocks: Sequence[LightBlock], options: LightOptions
) -> Divergence | None:
    """Compare a verified trace with a witness's blocks of the same heights; None when equal.

    The witness's blocks after the first difference are not looked at. Raises Malformed when the
    witness's side is not even signed: the fault is the witness's, not the chain's.
    """
    for place, (block, other) in enumerate(zip(trace, witness_blocks, strict=True)):
        if block.height != other.height:
            raise Malformed(f"the witness answered height {other.height} for {block.height}")
        if block.header.block_id == other.header.block_id:
            continue
        if place == 0:
            raise Malformed("the witness does not share the trusted block")
        check_light_block(other, options.genesis_hash)
        common = trace[place - 1].height
        return Divergence(
            height=block.height,
            common_height=common,
            against_primary=_accuse(block, other, common),
            against_witness=_accuse(other, block, common),
        )
    return None


def _accuse(attack: LightBlock, correct: LightBlock, common_height: int) -> LightClientAttack:
    """Make the evidence that holds if `correct` is the chain's block."""
    return LightClientAttack(
        set_id=correct.validators.set_id,
        common_height=common_height,
        conflicting=attack,
        commit=correct.commit,
    )
