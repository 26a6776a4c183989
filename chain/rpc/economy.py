"""Emission and vesting as people ask for them: what an era may mint, what is locked until when.

Amounts are decimal strings of grains, heights and eras numbers; null is what does not exist.
"""

from typing import Final

from chain.rpc.jsonrpc import Json, Method, MethodTable
from chain.rpc.params import ACCOUNT, AT
from chain.rpc.reading import RuntimeReader
from chain.rpc.view import NodeView
from runtime.emission.module import GATE_ERAS
from runtime.emission.nouns import EraRecord
from runtime.emission.schedule import Pool
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.vesting.curves import BUCKET_ERAS, Grant
from runtime.vesting.nouns import Offer

OFFERS_READ: Final = 1_000
"""Offers of the whole chain that an answer looks through: about ten milliseconds of the loop."""

OFFERS_SHOWN: Final = 100
"""Offers to or by an account that an answer lists; each holds money, so few people have many."""

ERAS_SHOWN: Final = 30
"""Newest eras that an answer about emission lists."""


class EconomyMethods:
    """What an era may mint and did, and what of an account is locked."""

    def __init__(self, node: NodeView) -> None:
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        table.add(Method("gristmill_v1_emission", self.emission, (AT,)))
        table.add(Method("gristmill_v1_vesting", self.vesting, (ACCOUNT, AT)))

    def emission(self, at: bytes | None) -> Json:
        """Give phase, gate, rights, breakers, and the newest eras with mints; null if none."""
        return self._reader.ask(at, lambda runtime, _: _emission(runtime))

    def vesting(self, who: bytes, at: bytes | None) -> Json:
        """Give an account's grants, locked rewards and offers, and when the next part unlocks.

        `offersComplete` is false when the chain has more offers than one answer looks through.
        """
        return self._reader.ask(at, lambda runtime, _: self._vesting(runtime, AccountId(who)))

    # Inside

    def _vesting(self, runtime: Runtime, who: AccountId) -> Json:
        vesting, height = runtime.vesting, runtime.ctx.block.height
        ring = vesting.rings[who]
        read = vesting.offers.walk(limit=OFFERS_READ + 1)
        offers = [
            {"id": number, **self._offer(offer)}
            for number, offer in read[:OFFERS_READ]
            if who in (offer.granter, offer.target)
        ]
        offers.sort(key=lambda offer: int(offer["id"]))
        return {
            "height": height,
            "era": runtime.parameters.era(),
            "eraBlocks": runtime.parameters.era_blocks,
            "locked": str(vesting.locked(who)),
            "isPassive": vesting.is_passive(who),
            "nextUnlock": vesting.due.find(who),
            "grants": [self._grant(grant, height) for grant in vesting.grants[who]],
            "rewards": [
                {"era": (ring.first + place) * BUCKET_ERAS, "amount": str(amount)}
                for place, amount in enumerate(ring.amounts)
                if amount and (ring.first + place) * BUCKET_ERAS > runtime.parameters.era()
            ],
            "offers": offers[:OFFERS_SHOWN],
            "offersComplete": len(read) <= OFFERS_READ and len(offers) <= OFFERS_SHOWN,
        }

    def _offer(self, offer: Offer) -> dict[str, Json]:
        return {
            "granter": self._reader.address(offer.granter),
            "target": self._reader.address(offer.target),
            "amount": str(offer.amount),
            "start": offer.start,
            "cliff": offer.cliff,
            "duration": offer.duration,
            "step": offer.step,
            "revoker": None if offer.revoker is None else self._reader.address(offer.revoker),
        }

    def _grant(self, grant: Grant, height: int) -> Json:
        return {
            "id": grant.id,
            "amount": str(grant.amount),
            "unlocked": str(grant.amount - grant.taken - grant.locked(height)),
            "locked": str(grant.locked(height)),
            "taken": str(grant.taken),
            "start": grant.start,
            "cliff": grant.cliff,
            "duration": grant.duration,
            "step": grant.step,
            "granter": self._reader.address(grant.granter),
            "revoker": None if grant.revoker is None else self._reader.address(grant.revoker),
            "revokedAt": grant.revoked_at or None,
            "nextUnlock": grant.next_unlock(height),
        }


def _emission(runtime: Runtime) -> Json:
    emission = runtime.emission
    if not emission.is_enabled:
        return None
    era = runtime.parameters.era()
    starts = (0, *emission.phase_starts)
    plan = emission.rules.plan
    shown = range(max(era - ERAS_SHOWN + 1, 0), era + 1)
    found = [(number, emission.records.find(number)) for number in shown]
    return {
        "era": era,
        "phase": plan.phases[len(starts) - 1].name.name.lower(),
        "starts": {
            phase.name.name.lower(): start
            for phase, start in zip(plan.phases, starts, strict=False)
        },
        "rights": str(plan.rights),
        "minted": str(emission.minted_total),
        "maxSupply": str(emission.rules.max_supply),
        "isTreasuryPaused": emission.treasury_paused,
        "gate": _gate(runtime, era, starts),
        "breakers": {
            pool.name.lower(): {
                "limit": str(emission.limits[pool]),
                "room": str(emission.mint_room(pool)),
                "waiting": emission.waiting_count(pool),
            }
            for pool in Pool
            if pool is not Pool.VALIDATION
        },
        "waiting": str(emission.waiting_total),
        "eras": [_era(number, record) for number, record in found if record is not None],
    }


def _gate(runtime: Runtime, era: int, starts: tuple[int, ...]) -> Json:
    """Give what ends the running phase, and how near it is; null for the last phase."""
    emission = runtime.emission
    phases, index = emission.rules.plan.phases, len(starts) - 1
    phase = phases[index]
    if not phase.eras_max:
        return None
    return {
        "next": phases[index + 1].name.name.lower(),
        "age": era - starts[-1],
        "erasMax": phase.eras_max,
        "ageMin": phase.gate_age,
        "burnedMin": str(phase.gate) if phase.gate else None,
        "burnedMean": str(emission.mean_burned(era, GATE_ERAS)),
        "streak": emission.gate_streak,
        "streakMin": GATE_ERAS,
    }


def _era(number: int, record: EraRecord) -> Json:
    allowed = (record.compute, record.data, record.validation, record.treasury)
    return {
        "era": number,
        "phase": record.phase.name.lower(),
        "budget": str(record.budget),
        "allowed": {pool.name.lower(): str(allowed[pool]) for pool in Pool},
        "minted": {pool.name.lower(): str(allowed[pool] - record.room(pool)) for pool in Pool},
    }
