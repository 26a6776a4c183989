"""The chain spec: everything that makes one chain different from another, as TOML.

Every value is checked before anything is built; the error names the key and says what to write.
Keys of validators are public; no spec ever holds a secret.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final

from runtime.balances import EXISTENTIAL_DEPOSIT, PROTECTED
from runtime.block import VALIDATORS_MAX
from runtime.emission.reading import EmissionRules, read_emission
from runtime.fees import PRICES, FeeSchedule
from runtime.frame.errors import SpecError
from runtime.frame.parameters import Parameter, PlacedParameter, Track
from runtime.governance.start import Holders, read_votes
from runtime.governance.tracks import SLASH_VOTE, TRACKS, slash_vote_fits
from runtime.market.work_units.reading import NO_WORK, WorkStart, read_work
from runtime.primitives import MONEY_MAX, AccountId
from runtime.runtime import Runtime
from runtime.section import Section
from runtime.session import ValidatorRecord
from runtime.staking.numbers import deferral_max
from runtime.staking.start import (
    Stake,
    StakingRules,
    StakingStart,
    check_start,
    read_nominators,
    read_staking,
)
from runtime.system import BLOCK_BYTES_MAX, BLOCK_WEIGHT_MAX, ChainParams
from runtime.toml import BadToml, parse_toml
from runtime.vesting.allocation import (
    NO_TABLE,
    AllocationTable,
    check_sums,
    read_allocations,
)
from runtime.weights import MICROSECOND

SPEC_CHARACTERS_MAX: Final = 4 << 20
"""Longest spec; a public genesis of ten thousand accounts has about one million characters."""

ACCOUNTS_MAX: Final = 100_000
"""Most accounts of a genesis."""

POWER_TOTAL_MAX: Final = 1 << 60
"""Keeps three times the power of a set inside 64 bits."""

CHAIN_TYPES: Final = ("Development", "Local", "Live")
"""What Substrate clients know."""

TIMEOUT_PROFILES: Final = ("devnet", "test", "public")
"""Names of the timeout tables of consensus."""

EVIDENCE_MARGIN_ERAS: Final = 2
"""Unbonding must outlast evidence by more than this, or offenders could leave before it counts."""

_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """An account that has money from the beginning: a label for people, and grains."""

    label: str
    account: AccountId
    amount: int


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """A checked chain spec; `schedule` is of later validator sets by epoch.

    `labels` name validators and funded accounts for people; `seed` makes the first randomness;
    `parameters` are the values that are not the defaults. Without `staking` the set is fixed;
    without `votes` GRIST votes.
    """

    id: str
    name: str
    chain_type: str
    time_ms: int
    seed: bytes
    timeouts: str
    era_epochs: int
    params: ChainParams
    fees: FeeSchedule
    validators: tuple[ValidatorRecord, ...]
    schedule: dict[int, tuple[ValidatorRecord, ...]]
    accounts: tuple[GenesisAccount, ...]
    labels: dict[AccountId, str]
    parameters: dict[str, int] = field(default_factory=dict)
    emission: EmissionRules | None = None
    allocation: AllocationTable = NO_TABLE
    work: WorkStart = NO_WORK
    staking: StakingStart | None = None
    votes: Holders | None = None

    @property
    def issued(self) -> int:
        """Grains that genesis mints."""
        staked = 0 if self.staking is None else self.staking.total
        given = sum(entry.amount for entry in self.accounts)
        return given + staked + self.allocation.total

    def amounts(self) -> list[tuple[AccountId, int]]:
        """Give what genesis mints for whom: accounts, then allocations."""
        accounts = [(entry.account, entry.amount) for entry in self.accounts]
        return accounts + [(entry.account, entry.amount) for entry in self.allocation.allocations]


def load_spec(text: str) -> ChainSpec:
    """Read a chain spec; raises SpecError naming the key and the remedy."""
    if len(text) > SPEC_CHARACTERS_MAX:
        raise SpecError("spec", "it is too long", f"use at most {SPEC_CHARACTERS_MAX} characters")
    try:
        root = Section(parse_toml(text), "")
    except BadToml as error:
        raise SpecError("spec", f"it is not TOML: {error}", "correct that line") from error
    chain = Section(root.take("chain", dict, "write a [chain] table"), "chain")
    identity = (
        chain.text("id", _IDENTIFIER, "use up to 32 small letters, digits and hyphens"),
        chain.text("name", re.compile(r"[ -~]{1,64}"), "use up to 64 printable characters"),
        chain.choice("chain_type", CHAIN_TYPES),
        chain.integer("time_ms", 0, 1 << 50),
        chain.bytes_32("seed"),
        chain.choice("timeouts", TIMEOUT_PROFILES),
    )
    chain.finish()
    limits = _read_limits(Section(root.take("limits", dict, "write it"), "limits"))
    fees = _read_fees(Section(root.take("fees", dict, "write a [fees] table"), "fees"))
    rules = _read_rules(root, *limits)
    labelled, stakes = _read_validators(root, rules)
    accounts = _read_accounts(root)
    staking = _read_start(root, rules, stakes, accounts)
    if staking is not None:
        labelled = _with_powers(labelled, staking)
    _check_powers(labelled, is_live=identity[2] == "Live")
    schedule = _read_schedule(root, labelled)
    parameters = _read_parameters(root)
    _check_slash_track(rules, parameters)
    emission = root.table("emission")
    allocation = read_allocations(root)
    votes = read_votes(root)
    work = root.table("work")
    root.finish()
    labels = {entry.account: entry.label for entry in allocation.allocations}
    labels.update({entry.account: entry.label for entry in accounts})
    labels.update({record.account: label for label, record in labelled.items()})
    validators = tuple(sorted(_initial(labelled), key=lambda record: record.account))
    spec = ChainSpec(
        *identity,
        *limits,
        fees,
        validators,
        schedule,
        accounts,
        labels,
        parameters,
        staking=staking,
    )
    started = NO_WORK if work is None else read_work(work)
    spec = replace(spec, allocation=allocation, work=started, votes=votes)
    if emission is not None:
        spec = replace(spec, emission=read_emission(emission, issued=spec.issued))
    _check_allocation(spec)
    return spec


def _check_allocation(spec: ChainSpec) -> None:
    """Raise SpecError unless the buckets hold what is minted, and what may be."""
    rights, ceiling = 0, spec.issued
    if spec.emission is not None and not spec.emission.plan.has_tail:
        rights, ceiling = spec.emission.plan.rights, spec.emission.max_supply
    given = spec.issued - spec.allocation.total
    check_sums(spec.allocation, given=given, rights=rights, max_supply=ceiling)


def _read_rules(root: Section, era_epochs: int, params: ChainParams) -> StakingRules | None:
    table = root.table("staking")
    if table is None:
        return None
    era_blocks = era_epochs * params.epoch_blocks
    rules = read_staking(
        table,
        era_epochs=era_epochs,
        epoch_blocks=params.epoch_blocks,
        unbonding_eras=params.unbonding_blocks // era_blocks,
    )
    latest = deferral_max(
        unbonding_eras=rules.params.unbonding_eras,
        evidence_eras=params.evidence_age_blocks // era_blocks,
    )
    if rules.params.slash_deferral_eras > latest:
        raise SpecError(
            table.key("slash_deferral_eras"),
            "a report of old evidence would be applied when its exposures are forgotten",
            f"use at most {latest}, or younger evidence",
        )
    return rules


def _read_start(
    root: Section,
    rules: StakingRules | None,
    stakes: dict[str, Stake],
    accounts: tuple[GenesisAccount, ...],
) -> StakingStart | None:
    """Put the stakes of validators and nominators together, and check them as a whole."""
    if rules is None:
        return None
    funded = {entry.account for entry in accounts}
    for label, stake in stakes.items():
        if stake.account not in funded:
            raise SpecError(
                "accounts", f"{label} has a stake and nothing to pay fees with", "give it some"
            )
    nominators = read_nominators(
        root,
        rules,
        accounts={entry.label: entry.account for entry in accounts},
        validators={label: stake.account for label, stake in stakes.items()},
    )
    ordered = tuple(sorted(stakes.values(), key=lambda stake: stake.account))
    start = StakingStart(rules, ordered, nominators)
    check_start(start, issued=sum(entry.amount for entry in accounts))
    return start


def _with_powers(
    labelled: dict[str, ValidatorRecord], start: StakingStart
) -> dict[str, ValidatorRecord]:
    """Give the validators with the powers that their stakes make."""
    powers = start.powers()
    return {
        label: replace(record, power=powers.get(record.account, record.power))
        for label, record in labelled.items()
    }


def _check_powers(labelled: dict[str, ValidatorRecord], *, is_live: bool) -> None:
    powers = [record.power for record in labelled.values()]
    if not any(powers) or sum(powers) > POWER_TOTAL_MAX:
        raise SpecError("validators", "their powers sum to 0 or above 2^60", "use small powers")
    if is_live and 3 * max(powers) > sum(powers):
        raise SpecError(
            "validators",
            "one of them has more than a third of the power",
            "spread it: a live chain must not stop with one validator",
        )


def _read_limits(limits: Section) -> tuple[int, ChainParams]:
    interval_ms = limits.integer("block_interval_ms", 0, 60_000)
    bytes_max = limits.integer("block_bytes_max", BLOCK_BYTES_MAX.low, 64 << 20)
    weight_least = BLOCK_WEIGHT_MAX.low // MICROSECOND
    weight_us = limits.integer("block_weight_max_us", weight_least, 60_000_000)
    epoch_blocks = limits.integer("epoch_blocks", 2, 14_400)
    era_epochs = limits.integer("era_epochs", 1, 1_000)
    unbonding_eras = limits.integer("unbonding_eras", 1, 1_000)
    evidence_eras = limits.integer("evidence_age_eras", 1, 1_000)
    limits.finish()
    if evidence_eras + EVIDENCE_MARGIN_ERAS >= unbonding_eras:
        raise SpecError(
            "limits.evidence_age_eras",
            f"{evidence_eras} + {EVIDENCE_MARGIN_ERAS} is not less than unbonding_eras",
            f"use at most {unbonding_eras - EVIDENCE_MARGIN_ERAS - 1}, or a longer unbonding",
        )
    era_blocks = era_epochs * epoch_blocks
    age_blocks, unbonding_blocks = evidence_eras * era_blocks, unbonding_eras * era_blocks
    if unbonding_blocks >= 1 << 31:
        raise SpecError("limits.unbonding_eras", "it is beyond all heights", "use fewer eras")
    return era_epochs, ChainParams(
        interval_ms,
        bytes_max,
        weight_us * MICROSECOND,
        epoch_blocks,
        age_blocks,
        age_blocks * interval_ms,
        unbonding_blocks,
    )


def _read_fees(fees: Section) -> FeeSchedule:
    schedule = FeeSchedule(
        fees.amount("base"),
        fees.amount("per_byte"),
        fees.amount("rate_floor"),
        fees.amount("rate_ceiling"),
    )
    fees.finish()
    for parameter, value in zip(PRICES, schedule.prices(), strict=True):
        if not parameter.low <= value <= parameter.high:
            raise SpecError(
                parameter.name,
                f"{value} grains are outside its bounds",
                f"use {parameter.low} to {parameter.high} grains",
            )
    return schedule


def _read_parameters(root: Section) -> dict[str, int]:
    """Read values of parameters that are not the defaults, each inside its bounds."""
    if not root.has("parameters"):
        return {}
    table = Section(root.take("parameters", dict, "write a [parameters] table"), "parameters")
    values: dict[str, int] = {}
    for name, declared in sorted(Runtime().parameters.declared.items()):
        if table.has(name) and not isinstance(declared.parameter, PlacedParameter):
            values[name] = table.integer(name, declared.parameter.low, declared.parameter.high)
    table.finish()
    return values


def _check_slash_track(rules: StakingRules | None, values: dict[str, int]) -> None:
    """Raise SpecError unless a vote can cancel a reported slash, however late it is decided."""
    if rules is None:
        return

    def period(part: Parameter) -> int:
        return values.get(part.name, part.default)

    deferral = rules.params.slash_deferral_eras
    if not slash_vote_fits(deferral, period):
        length = sum(period(part) for part in SLASH_VOTE)
        raise SpecError(
            f"parameters.{TRACKS[Track.SLASHES].decide.name}",
            f"a vote on a slash may take {length} thousandths of an era, its deferral is {deferral}"
            " eras",
            "shorten the periods of track.slashes, or raise slash_deferral_eras",
        )


def _read_validators(
    root: Section, rules: StakingRules | None
) -> tuple[dict[str, ValidatorRecord], dict[str, Stake]]:
    """Read the validators, and the stakes of those that have one instead of a power, by label."""
    validators: dict[str, ValidatorRecord] = {}
    stakes: dict[str, Stake] = {}
    for entry in root.items("validators", VALIDATORS_MAX):
        label = _label(entry)
        if label in validators:
            raise SpecError(entry.key("label"), f"{label} is there twice", "use another label")
        account = entry.account("account")
        keys = entry.public_key("consensus_key"), entry.public_key("vrf_key")
        power = 0
        if entry.has("stake"):
            stakes[label] = _read_stake(entry, account, rules)
        else:
            power = entry.integer("power", 0, POWER_TOTAL_MAX)
        validators[label] = ValidatorRecord(account, *keys, power)
        entry.finish()
    for part in ("account", "consensus_key", "vrf_key"):
        if len({getattr(record, part) for record in validators.values()}) != len(validators):
            raise SpecError("validators", f"two share their {part}", "give each its own keys")
    return validators, stakes


def _read_stake(entry: Section, account: AccountId, rules: StakingRules | None) -> Stake:
    """Read the stake of a validator; raises SpecError when it cannot have one, or one so small."""
    if rules is None or entry.has("power"):
        raise SpecError(
            entry.key("stake"),
            "there is no [staking] table, or a power too",
            "write the power on chains without staking, else the stake alone",
        )
    amount = entry.amount("stake")
    if amount < rules.min_validator_bond:
        raise SpecError(entry.key("stake"), "it is under min_validator_bond", "give it more")
    return Stake(account, amount)


def _initial(validators: dict[str, ValidatorRecord]) -> list[ValidatorRecord]:
    """Give those who validate from the first block; power 0 is for later sets only."""
    return [record for record in validators.values() if record.power]


def _read_schedule(
    root: Section, validators: dict[str, ValidatorRecord]
) -> dict[int, tuple[ValidatorRecord, ...]]:
    """Read later sets: each names validators, with the power that it gives to each."""
    schedule: dict[int, tuple[ValidatorRecord, ...]] = {}
    for entry in root.items("schedule", 1_000) if root.has("schedule") else []:
        epoch = entry.integer("epoch", 1, 1 << 31)
        labels = entry.take("validators", list, "write a list of labels of [[validators]]")
        power = entry.integer("power", 1, 1 << 53)
        entry.finish()
        if not labels or epoch in schedule or not _are_known(labels, validators):
            raise SpecError(
                entry.place, "it repeats an epoch or names nobody", "list known validators"
            )
        chosen = [validators[label] for label in dict.fromkeys(labels)]
        schedule[epoch] = tuple(
            ValidatorRecord(record.account, record.consensus_key, record.vrf_key, power)
            for record in sorted(chosen, key=lambda record: record.account)
        )
    return schedule


def _are_known(labels: list[object], validators: dict[str, ValidatorRecord]) -> bool:
    return all(isinstance(label, str) and label in validators for label in labels)


def _read_accounts(root: Section) -> tuple[GenesisAccount, ...]:
    accounts: list[GenesisAccount] = []
    for entry in root.items("accounts", ACCOUNTS_MAX):
        account = GenesisAccount(_label(entry), entry.account("account"), entry.amount("amount"))
        if account.amount < EXISTENTIAL_DEPOSIT or account.account in PROTECTED:
            raise SpecError(
                entry.key("amount"),
                "the account is the chain's own, or gets less than 0.001 GRIST",
                "give an account of a person at least the existential deposit",
            )
        accounts.append(account)
        entry.finish()
    if len({entry.account for entry in accounts}) != len(accounts):
        raise SpecError("accounts", "an account is there twice", "add the amounts up")
    if sum(entry.amount for entry in accounts) > MONEY_MAX:
        raise SpecError("accounts", "they have more than can exist", "give less")
    return tuple(accounts)


def _label(entry: Section) -> str:
    return entry.text(
        "label", re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}"), "use up to 32 letters and digits"
    )
