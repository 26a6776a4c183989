"""What one account has at stake, put together for people: dates, risks, and rewards to come."""

from chain.rpc.blocks import hex_of
from chain.rpc.jsonrpc import Json
from chain.rpc.staking_unlocking import Unlocking
from chain.wallet import ss58
from consensus.header import Header
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.staking import rewards
from runtime.staking.eras import Eras
from runtime.staking.nouns import FOREVER, INDEX_SCALE, Backing, Position

NOTHING_YET = Position(0, ())
"""What an account has that no election ever saw as a nominator."""


def describe_account(runtime: Runtime, header: Header, who: AccountId, *, ss58_prefix: int) -> Json:
    """Say what an account has bonded, when it is free, what is at risk, and what it earns."""
    staking = runtime.staking
    bond = staking.ledger.find(who)
    nominations = staking.nominators.find(who)
    prefs = staking.validators.find(who)
    jail = staking.jailed_until[who]
    chunks = Unlocking(runtime, header, bond).rows() if bond else []
    return {
        "address": ss58.encode_address(who, ss58_prefix),
        "height": header.number,
        "era": staking.active_era,
        "role": "validator" if prefs else "nominator" if nominations else "idle",
        "bonded": str(bond.total if bond else 0),
        "active": str(bond.active if bond else 0),
        "unlocking": list(chunks),
        "withdrawable": str(sum(int(chunk["free"] or 0) for chunk in chunks)),
        "payee": _describe_payee(staking, who, ss58_prefix),
        "targets": [
            ss58.encode_address(target, ss58_prefix)
            for target in (nominations.targets if nominations else ())
        ],
        "commission": prefs.commission if prefs else None,
        "blocked": prefs.blocked if prefs else None,
        "sessionKeys": _describe_keys(runtime, who),
        "jailedUntilEra": None if jail in (0, FOREVER) else jail,
        "isTombstoned": jail == FOREVER,
        "liable": str(staking.liable[who]),
        "atRisk": str(runtime.slashing.at_risk(who)),
        "rewardsDue": str(_due(staking, who)),
        "rewardsExpected": str(_expected(staking, who)),
    }


def _describe_keys(runtime: Runtime, who: AccountId) -> Json:
    """Give the keys that are registered; they act from the next epoch or election on."""
    keys = runtime.session.next_keys.find(who)
    if keys is None:
        return None
    return {"consensusKey": hex_of(keys.consensus), "vrfKey": hex_of(keys.vrf)}


def _describe_payee(staking: Eras, who: AccountId, ss58_prefix: int) -> Json:
    if who not in staking.bonded:
        return None
    kind, account = staking.payee[who]
    address = None if account is None else ss58.encode_address(account, ss58_prefix)
    return {"kind": kind.lower(), "address": address}


def _due(staking: Eras, who: AccountId) -> int:
    """Give a nominator's rewards for eras that are over and that it was not paid for yet."""
    position = staking.positions.find(who) or NOTHING_YET
    total = 0
    for era in range(max(position.settled, staking.pruned_eras), staking.active_era):
        backings = _backings(staking, position, era)
        indices = [staking.eras_reward_index[era, entry.validator] for entry in backings]
        total += rewards.reward_of(backings, indices)
    return total


def _expected(staking: Eras, who: AccountId) -> int:
    """Give what the running era would pay if it ended with the points that there are now."""
    era = staking.active_era
    shares = dict(rewards.split_by_points(staking.eras_reward_points[era], staking.era_reward(era)))
    position = staking.positions.find(who) or NOTHING_YET
    total = 0
    for entry in _backings(staking, position, era):
        _, others = _divide(staking, era, entry.validator, shares)
        overview = staking.exposures.overview(era, entry.validator)
        if others and overview is not None:
            total += entry.value * rewards.reward_index(others, overview) // INDEX_SCALE
    return total + _divide(staking, era, who, shares)[0]


def _divide(
    staking: Eras, era: int, validator: AccountId, shares: dict[AccountId, int]
) -> tuple[int, int]:
    """Give a validator's own part of a share and that of its nominators."""
    overview = staking.exposures.overview(era, validator)
    share = shares.get(validator, 0)
    if overview is None or not share or staking.is_jailed(validator):
        return 0, 0
    if not staking.exposures.is_rewarded(era, validator):
        return 0, 0
    return rewards.divide(share, staking.exposures.prefs(era, validator).commission, overview)


def _backings(staking: Eras, position: Position, era: int) -> tuple[Backing, ...]:
    assigned_in = staking.eras_assigned_in.find(era)
    return () if assigned_in is None else rewards.backings_in(position, assigned_in)
