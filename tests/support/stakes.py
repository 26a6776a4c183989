"""A small chain with stake behind its validators: what tests of slashing stand on.

Eras have eight blocks, a report is applied after one era, unbonding takes four. Exposures are
written by hand for era 0; nobody stands for election, so every election fails and carries them on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ext import hashing, store
from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.executive import Executive
from runtime.frame.context import NO_BLOCK
from runtime.frame.origins import Signed
from runtime.frame.parameters import PERBILL
from runtime.genesis import build_genesis
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.session import ValidatorRecord
from runtime.spec import GenesisAccount
from runtime.staking.nouns import (
    PAGE_SIZE,
    STAKED,
    ActiveEraInfo,
    StakingParams,
    ValidatorPrefs,
)
from runtime.staking.reports import SlashReport
from tests.support.runtime import Chain, spec_of, stranger

GRIST = 10**9
ERA_BLOCKS = 8
WINDOW = 20
FREE = 1_000 * GRIST
PREFS = ValidatorPrefs(0, blocked=False)


def validator(number: int) -> AccountId:
    return stranger(1_000 + number)


def nominator(number: int) -> AccountId:
    return stranger(2_000 + number)


@dataclass
class Backer:
    """A nominator: grains behind validators by their numbers, and idle stake beside them."""

    behind: Mapping[int, int]
    idle: int = 0


@dataclass
class Stakes(Chain):
    """The chain, and what a test asks of it."""

    owns: Sequence[int] = ()
    paid: list[Any] = field(default_factory=list)

    @staticmethod
    def begin(owns: Sequence[int], backers: Sequence[Backer] = (), **changes: int) -> "Stakes":
        """Validators with these own stakes in grains, and nominators behind them."""
        base = spec_of("dev")
        powers = [
            (own + sum(backer.behind.get(number, 0) for backer in backers)) // GRIST
            for number, own in enumerate(owns)
        ]
        accounts = [(validator(n), own + FREE) for n, own in enumerate(owns)]
        for number, backer in enumerate(backers):
            stake = sum(backer.behind.values()) + backer.idle
            accounts.append((nominator(number), stake + FREE))
        removable = {"staking": None} if hasattr(base, "staking") else {}
        spec = replace(
            base,
            era_epochs=2,
            params=replace(
                base.params,
                epoch_blocks=ERA_BLOCKS // 2,
                evidence_age_blocks=3 * ERA_BLOCKS,
                evidence_age_ms=3 * ERA_BLOCKS * 1_000,
                unbonding_blocks=4 * ERA_BLOCKS,
            ),
            validators=tuple(
                ValidatorRecord(validator(n), _key(b"vote", n), _key(b"vrf", n), power)
                for n, power in enumerate(powers)
            ),
            schedule={},
            accounts=tuple(GenesisAccount("", who, amount) for who, amount in accounts),
            emission=None,
            **removable,
        )
        chain = Stakes(
            store.State.from_entries(build_genesis(spec).entries), Executive(), spec, owns=owns
        )
        overlay = chain.state.overlay()
        chain.runtime.ctx.enter(overlay, NO_BLOCK)
        _set_up(chain.runtime, owns, backers, changes)
        chain.state.commit(overlay)
        return chain

    # Doing

    def blocks(self, count: int, **changes: Any) -> None:
        for _ in range(count):
            self.block(**changes)

    def to_height(self, height: int) -> None:
        self.blocks(height - self.height)

    def free_unbonded(self) -> None:
        """Let no exposure of the past keep unbonded stake, as if elections had been held."""
        runtime, overlay = self.look(), self.state.overlay()
        runtime.ctx.enter(overlay, runtime.ctx.block)
        staking = runtime.staking
        for era in range(staking.active_era + 1):
            staking.eras_oldest_exposure[era] = staking.active_era
        self.state.commit(overlay)

    def misbehave(self, *numbers: int, height: int | None = None, **changes: Any) -> None:
        """Make a block that reports these validators, of the last height if none is said."""
        self.block(misbehaviour=tuple(self.offence(n, height, **changes) for n in numbers))

    def offence(self, number: int, height: int | None = None, **changes: Any) -> Misbehaviour:
        at = self.height if height is None else height
        powers = {m.account: m.power for m in self.look().session.current_set}
        genesis = {m.account: m.power for m in self.spec.validators}
        power = powers.get(validator(number), genesis[validator(number)])
        report = Misbehaviour(
            kind=MisbehaviourKind.DUPLICATE_VOTE,
            account=validator(number),
            height=at,
            time_ms=self.spec.time_ms + at * 1_000,
            power=power,
            total_power=sum(genesis.values()),
            evidence_hash=hashing.blake2b_256(b"proof" + bytes((number, at % 256))),
        )
        return replace(report, **changes)

    def call_as(self, who: AccountId, module: str, name: str, *arguments: object) -> bytes:
        """Run a call in the open block, its fee aside; gives the error, empty when it was done."""
        data = self.call(module, name, *arguments)
        return self.executive.run_call(self.executive.decode_call(data), who)

    def done(self, who: AccountId, name: str, *arguments: object) -> None:
        """Run a call of Staking in a block of its own; it must be done."""
        self.open()
        assert self.call_as(who, "Staking", name, *arguments) == b""
        self.close()

    def refused(self, who: AccountId, name: str, *arguments: object) -> bytes:
        """Run a call of Staking that must be refused without a trace; gives the error."""
        self.open()
        before = self.runtime.ctx.state.root(), len(self.runtime.ctx.events)
        error = self.call_as(who, "Staking", name, *arguments)
        assert error
        assert (self.runtime.ctx.state.root(), len(self.runtime.ctx.events)) == before
        self.close()
        return error

    def votes(self, action: str, *arguments: Any) -> None:
        """Let a function of Slashing run in a block of its own, as a vote would."""
        self.open()
        getattr(self.runtime.slashing, action)(*arguments)
        self.close()

    def votes_parameter(self, name: str, value: int) -> None:
        """Set a parameter, whatever its pace."""
        self.open()
        self.runtime.parameters.values[name] = value
        self.close()

    # Asking

    def report(self, number: int = 0) -> SlashReport:
        return self.look().slashing.reports[number]

    def free(self, who: AccountId) -> int:
        self.look()
        return super().free(who)

    def stake(self, who: AccountId) -> int:
        """Everything at stake, unbonding parts too."""
        ledger = self.look().staking.ledger_of(who)
        return ledger.total if ledger else 0

    def set_numbers(self) -> list[int]:
        """The numbers of the validators in the set that is queued."""
        members = [m.account for m in self.look().session.queued_set]
        return [n for n in range(len(self.owns)) if validator(n) in members]


def _key(label: bytes, number: int) -> bytes:
    return hashing.blake2b_256(label + number.to_bytes(4, "little"))


def _set_up(
    runtime: Runtime, owns: Sequence[int], backers: Sequence[Backer], changes: Mapping[str, int]
) -> None:
    staking = runtime.staking
    params = {
        "era_epochs": 2,
        "era_blocks": ERA_BLOCKS,
        "unbonding_eras": 4,
        "slash_deferral_eras": 1,
        "offline_window": WINDOW,
        "voters_max": 1_000,
        "candidates_max": 100,
        "commission_step": PERBILL // 100,
        "era_reward": 0,
        **changes,
    }
    staking.params = StakingParams(**params)
    staking.validator_count = 100
    staking.active_era_info = ActiveEraInfo(0, None)
    staking.current_era = 0
    staking.eras_assigned_in[0] = 0
    for number, own in enumerate(owns):
        staking.bond(Signed(validator(number)), own, STAKED)
        others = sorted(
            (nominator(n), backer.behind[number])
            for n, backer in enumerate(backers)
            if backer.behind.get(number)
        )
        for page, start in enumerate(range(0, len(others), PAGE_SIZE)):
            staking.exposures.append_page(
                0, validator(number), page, others[start : start + PAGE_SIZE]
            )
        staking.exposures.write_overview(
            0,
            validator(number),
            own=own,
            others=sum(value for _, value in others),
            nominator_count=len(others),
            prefs=PREFS,
        )
    for number, backer in enumerate(backers):
        who, stake = nominator(number), sum(backer.behind.values()) + backer.idle
        staking.bond(Signed(who), stake, STAKED)
        staking.write_assignment(
            0, who, [(validator(n), value) for n, value in sorted(backer.behind.items())]
        )
