"""How a chain with staking begins: the [staking] table, and who backs whom before any election.

A genesis nominator's stake is split equally over its targets; the first election does better. A
validator's first power is its own stake and its nominators' together, in whole GRIST.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runtime.arithmetic import split_exact
from runtime.frame.errors import SpecError
from runtime.frame.parameters import Parameter
from runtime.primitives import GRAINS_PER_GRIST, MONEY_MAX, AccountId
from runtime.section import Section
from runtime.staking.nouns import TARGETS_MAX, StakingParams
from runtime.staking.numbers import (
    CANDIDATES_MAX,
    COMMISSION_STEP,
    MIN_NOMINATOR_BOND,
    MIN_VALIDATOR_BOND,
    OFFLINE_WINDOW,
    SEATS,
    SLASH_DEFERRAL,
    VOTERS_MAX,
    election_room,
)

NOMINATORS_MAX: Final = 20_000
"""Nominators of a genesis; as many as an election is planned for."""


@dataclass(frozen=True, slots=True)
class Stake:
    """What an account has at stake from the beginning; a nominator names `targets`."""

    account: AccountId
    amount: int
    targets: tuple[AccountId, ...] = ()


@dataclass(frozen=True, slots=True)
class StakingRules:
    """The [staking] table: parameters, and what Substrate keeps apart from them."""

    params: StakingParams
    seats: int
    min_validator_bond: int
    min_nominator_bond: int


@dataclass(frozen=True, slots=True)
class StakingStart:
    """What genesis makes of staking: the rules, and all stakes, ascending by account."""

    rules: StakingRules
    validators: tuple[Stake, ...]
    nominators: tuple[Stake, ...]

    @property
    def total(self) -> int:
        """Grains at stake, all of them minted on top of what accounts have."""
        return sum(stake.amount for stake in (*self.validators, *self.nominators))

    def backings(self) -> dict[AccountId, list[tuple[AccountId, int]]]:
        """Give what each nominator has behind which validators, ascending by validator."""
        return {
            stake.account: [
                (target, value)
                for target, value in zip(
                    sorted(stake.targets),
                    split_exact(stake.amount, [1] * len(stake.targets)),
                    strict=True,
                )
                if value
            ]
            for stake in self.nominators
        }

    def exposed(self) -> dict[AccountId, list[tuple[AccountId, int]]]:
        """Give who stands behind each validator, ascending by nominator, in grains."""
        behind: dict[AccountId, list[tuple[AccountId, int]]] = {
            stake.account: [] for stake in self.validators
        }
        for nominator, parts in self.backings().items():
            for validator, value in parts:
                behind[validator].append((nominator, value))
        return behind

    def powers(self) -> dict[AccountId, int]:
        """Give the power of each validator in the first set."""
        behind = self.exposed()
        return {
            stake.account: (stake.amount + sum(value for _, value in behind[stake.account]))
            // GRAINS_PER_GRIST
            for stake in self.validators
        }


def read_staking(
    table: Section, *, era_epochs: int, epoch_blocks: int, unbonding_eras: int
) -> StakingRules:
    """Read [staking]; raises SpecError."""
    voters_max = _integer(table, "voters_max", VOTERS_MAX)
    candidates_max = _integer(table, "candidates_max", CANDIDATES_MAX)
    deferral = _integer(table, "slash_deferral_eras", SLASH_DEFERRAL)
    params = StakingParams(
        era_epochs,
        era_epochs * epoch_blocks,
        unbonding_eras,
        deferral,
        _integer(table, "offline_window", OFFLINE_WINDOW),
        voters_max,
        candidates_max,
        _integer(table, "commission_step", COMMISSION_STEP),
        table.amount("era_reward"),
    )
    rules = StakingRules(
        params,
        _integer(table, "seats", SEATS),
        _amount(table, "min_validator_bond", MIN_VALIDATOR_BOND),
        _amount(table, "min_nominator_bond", MIN_NOMINATOR_BOND),
    )
    table.finish()
    _check_rules(table, rules, epoch_blocks)
    return rules


def _integer(table: Section, name: str, parameter: Parameter) -> int:
    """Read a number that votes may change, inside their bounds."""
    return table.integer(name, parameter.low, parameter.high)


def _amount(table: Section, name: str, parameter: Parameter) -> int:
    """Read an amount that votes may change, inside their bounds."""
    amount = table.amount(name)
    if not parameter.low <= amount <= parameter.high:
        raise SpecError(
            table.key(name),
            f"{amount} grains are outside its bounds",
            f"use {parameter.low} to {parameter.high} grains",
        )
    return amount


def _check_rules(table: Section, rules: StakingRules, epoch_blocks: int) -> None:
    params = rules.params
    if params.slash_deferral_eras >= params.unbonding_eras:
        raise SpecError(
            table.key("slash_deferral_eras"),
            "a slash would be applied when the stake may be gone",
            f"use at most {params.unbonding_eras - 1}, or a longer unbonding",
        )
    room = election_room(epoch_blocks)
    if params.voters_max + params.candidates_max > room:
        raise SpecError(
            table.key("voters_max"),
            "an election of so many does not end within the last epoch, or has too many voters",
            f"let voters_max and candidates_max be {room} together, or use longer epochs",
        )
    if rules.min_nominator_bond > rules.min_validator_bond:
        raise SpecError(
            table.key("min_nominator_bond"),
            "it is above min_validator_bond",
            "use no more than a validator needs",
        )


def read_nominators(
    root: Section,
    rules: StakingRules,
    *,
    accounts: Mapping[str, AccountId],
    validators: Mapping[str, AccountId],
) -> tuple[Stake, ...]:
    """Read [[nominators]], who are named by the labels of their accounts; raises SpecError."""
    found: dict[AccountId, Stake] = {}
    for entry in root.items("nominators", NOMINATORS_MAX) if root.has("nominators") else []:
        label = entry.take("label", str, "write the label of one of the [[accounts]]")
        amount = entry.amount("stake")
        targets = entry.take("targets", list, "write a list of labels of [[validators]]")
        entry.finish()
        account = accounts.get(label)
        if account is None or account in found or label in validators:
            raise SpecError(
                entry.key("label"),
                f"{label!r} is no account, is there twice, or validates",
                "name one of the [[accounts]] that has no stake yet",
            )
        if amount < rules.min_nominator_bond:
            raise SpecError(
                entry.key("stake"), "it is under min_nominator_bond", "give it more stake"
            )
        known = [target for target in targets if target in validators]
        if not 1 <= len(targets) <= TARGETS_MAX or len(dict.fromkeys(known)) != len(targets):
            raise SpecError(
                entry.key("targets"),
                "it names nobody, somebody twice, or one who is no validator with stake",
                f"list 1 to {TARGETS_MAX} labels of [[validators]] with stake",
            )
        chosen = tuple(sorted(validators[target] for target in targets))
        found[account] = Stake(account, amount, chosen)
    return tuple(stake for _, stake in sorted(found.items()))


def check_start(start: StakingStart, *, issued: int) -> None:
    """Raise SpecError unless all stakes can be, beside `issued` grains of the accounts."""
    if issued + start.total > MONEY_MAX:
        raise SpecError("staking", "with the stakes there is more than can exist", "give less")
    for kind, stakes, count_max in (
        ("voters_max", start.nominators, start.rules.params.voters_max),
        ("candidates_max", start.validators, start.rules.params.candidates_max),
        ("seats", start.validators, start.rules.seats),
    ):
        if len(stakes) > count_max:
            raise SpecError(
                f"staking.{kind}", f"genesis has {len(stakes)}, which is more", "raise it"
            )
