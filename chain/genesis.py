"""The first block of a chain, from its spec: the same bytes on every machine."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Final

from chain.errors import ConfigError
from chain.storage.genesis import Genesis
from consensus.header import ZERO_HASH, ConsensusFields, NextEpoch, make_genesis_header
from consensus.rounds import PROFILES, TimeoutProfile
from consensus.types import BLOCK_BYTES_MAX, Validator, ValidatorSet
from runtime.frame.errors import SpecError
from runtime.genesis import ChainSpec, build_genesis, load_spec

SHIPPED: Final = ("dev", "local", "test", "bench", "public")
"""Specs that come with the program, by name."""

CARRIED_BYTES_MAX: Final = BLOCK_BYTES_MAX - (512 << 10)
"""Transactions of a block that peers can send each other; the rest of 2 MiB is for evidence, the
last commit and the header of the largest set."""

SPEC_BYTES_MAX: Final = 16 << 20
"""A larger file is no chain spec."""


@dataclass(frozen=True, slots=True)
class ChainStart:
    """A chain as its spec describes it, and its block 0."""

    spec: ChainSpec
    genesis: Genesis
    profile: TimeoutProfile

    @property
    def hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        return self.genesis.hash


def read_spec(chain: str) -> str:
    """Give the text of a spec by the name of a shipped one or by path; raises ConfigError."""
    if chain in SHIPPED:
        return resources.files("genesis").joinpath(f"{chain}.toml").read_text(encoding="utf-8")
    try:
        path = Path(chain).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"the chain spec {chain} lies in a home that is not known") from error
    try:
        if path.stat().st_size > SPEC_BYTES_MAX:
            raise ConfigError(f"{path} is too large to be a chain spec")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the chain spec {path} cannot be read ({error.strerror}); give one of "
            f"{', '.join(SHIPPED)} or the path of a spec file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the chain spec {path} is not UTF-8 text") from error


def load_chain(chain: str) -> ChainSpec:
    """Give the checked spec of a chain by name or path; raises ConfigError."""
    try:
        return load_spec(read_spec(chain))
    except SpecError as error:
        raise ConfigError(f"the chain spec is wrong: {error}") from error


def check_carried(spec: ChainSpec) -> None:
    """Raise ConfigError when blocks may be larger than validators can send each other.

    One validator alone sends nobody anything: benchmarks do with larger blocks.
    """
    allowed = spec.params.block_bytes_max
    if len(spec.validators) > 1 and allowed > CARRIED_BYTES_MAX:
        raise ConfigError(
            f"the chain spec allows blocks of {allowed} bytes (limits.block_bytes_max), and "
            f"validators can send each other {CARRIED_BYTES_MAX}: a full block would never be "
            f"decided; lower it to {CARRIED_BYTES_MAX}, or have a single validator"
        )


def start_chain(text: str) -> ChainStart:
    """Build block 0 and its state from the text of a spec; raises ConfigError."""
    try:
        spec = load_spec(text)
    except SpecError as error:
        raise ConfigError(f"the chain spec is wrong: {error}") from error
    check_carried(spec)
    built = build_genesis(spec)
    members = [Validator(v.account, v.consensus_key, v.vrf_key, v.power) for v in built.validators]
    validators = ValidatorSet(0, tuple(sorted(members, key=lambda member: member.account)))
    epoch = NextEpoch(0, 1, built.randomness, built.epoch_blocks)
    fields = ConsensusFields(
        evidence_root=ZERO_HASH,
        last_commit_hash=ZERO_HASH,
        validators_hash=validators.hash(),
        next_validators_hash=validators.hash(),
        params_hash=built.params_hash,
        receipts_root=ZERO_HASH,
        totals=built.totals,
    )
    header = make_genesis_header(
        state_root=built.state_root,
        extrinsics_root=ZERO_HASH,
        time_ms=built.time_ms,
        set_id=0,
        consensus=fields,
        next_epoch=epoch,
    )
    profile = replace(PROFILES[spec.timeouts], interval_ms=spec.params.block_interval_ms)
    return ChainStart(spec, Genesis(header, built.entries, validators, epoch, text), profile)
