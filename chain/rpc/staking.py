"""Staking as people ask for it, `gristmill_v1_staking*`: eras, stakes, exposures, rewards, reports.

Stock clients read the same storage by Substrate's names; here it is put together: what is bonded
and when it is free, what a report may cost, what an era will pay. Amounts are decimal strings of
grains; fractions are [numerator, denominator], exact.
"""

from collections.abc import Callable
from typing import Final

from chain.rpc.blocks import hex_of
from chain.rpc.jsonrpc import (
    INVALID_PARAMS,
    SERVER_ERROR,
    Json,
    Method,
    MethodTable,
    Param,
    RpcError,
)
from chain.rpc.params import ACCOUNT, AT, COUNT, HEIGHT, parse_account
from chain.rpc.reading import RuntimeReader
from chain.rpc.staking_account import describe_account
from chain.rpc.view import NodeView
from consensus.header import Header
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.staking import rewards
from runtime.staking.nouns import FOREVER
from runtime.staking.reports import ReportState, SlashReport
from runtime.staking.voter_list import ListKind

ERA: Final = Param("era", HEIGHT.parse, HEIGHT.schema, required=False)
"""An era by its number; the running one when absent."""

AFTER: Final = Param("after", parse_account, {"type": "string"}, required=False)
"""The last account of the page before."""

FROM: Final = Param("before", HEIGHT.parse, HEIGHT.schema, required=False)
"""The number of the last report of the page before."""

PAGE: Final = 100
"""Entries of a page when nobody says how many."""


class StakingMethods:
    """Who has what at stake, what it earned, and what it may cost."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        for name, handler, params in (
            ("staking", self.overview, (AT,)),
            ("stakingAccount", self.account, (ACCOUNT, AT)),
            ("stakingValidators", self.validators, (AT,)),
            ("stakingNominators", self.nominators, (COUNT.optional(), AFTER, AT)),
            ("stakingExposure", self.exposure, (ACCOUNT, ERA, AT)),
            ("stakingRewards", self.rewards, (ERA, AT)),
            ("stakingReports", self.reports, (COUNT.optional(), FROM, AT)),
        ):
            table.add(Method(f"gristmill_v1_{name}", handler, params))

    def overview(self, at: bytes | None) -> Json:
        """Say where staking stands: era, minimum bonds, lists, and the next election."""
        return self._read(at, self._overview)

    def account(self, who: bytes, at: bytes | None) -> Json:
        """Say what an account has bonded, when it is free, what is at risk, and what it earns."""
        return self._read(
            at,
            lambda runtime, header: describe_account(
                runtime, header, AccountId(who), ss58_prefix=self._node.chain.ss58_prefix
            ),
        )

    def validators(self, at: bytes | None) -> Json:
        """List candidates and members of the set with stake, commission, points and jail."""
        return self._read(at, self._validators)

    def nominators(self, count: int | None, after: bytes | None, at: bytes | None) -> Json:
        """List nominators by ascending stake with their targets; page on with the last one."""
        return self._read(at, lambda runtime, _: self._nominators(runtime, count or PAGE, after))

    def exposure(self, who: bytes, era: int | None, at: bytes | None) -> Json:
        """Give what stood behind a validator in an era, nominator by nominator; null if nothing."""
        return self._read(at, lambda runtime, _: self._exposure(runtime, AccountId(who), era))

    def rewards(self, era: int | None, at: bytes | None) -> Json:
        """Give an era's points, and what each validator and its nominators got for them."""
        return self._read(at, lambda runtime, _: self._rewards(runtime, era))

    def reports(self, count: int | None, before: int | None, at: bytes | None) -> Json:
        """List reported offences, newest first: evidence, fraction, amounts, and when they act."""
        return self._read(at, lambda runtime, _: self._reports(runtime, count or PAGE, before))

    # Inside

    def _read(self, at: bytes | None, ask: Callable[[Runtime, Header], Json]) -> Json:
        def ask_if_enabled(runtime: Runtime, header: Header) -> Json:
            if not runtime.staking.is_enabled:
                raise RpcError(SERVER_ERROR, "No staking", "this chain has a fixed validator set")
            return ask(runtime, header)

        return self._reader.ask(at, ask_if_enabled)

    def _overview(self, runtime: Runtime, header: Header) -> Json:
        staking, params = runtime.staking, runtime.staking.params
        era = staking.active_era
        return {
            "height": header.number,
            "era": era,
            "eraFirstHeight": runtime.parameters.era_start(era),
            "eraLastHeight": runtime.parameters.era_start(era + 1) - 1,
            "eraBlocks": params.era_blocks,
            "epochBlocks": runtime.session.epoch_blocks(),
            "blockIntervalMs": runtime.system.params.block_interval_ms,
            "seats": staking.validator_count,
            "minValidatorBond": str(staking.min_validator_bond),
            "minNominatorBond": str(staking.min_nominator_bond),
            "unbondingEras": params.unbonding_eras,
            "slashDeferralEras": params.slash_deferral_eras,
            "offlineWindow": params.offline_window,
            "eraReward": str(staking.era_reward(era)),
            "totalStake": str(staking.eras_total_stake[era]),
            "candidates": staking.counter_for_validators,
            "nominators": staking.counter_for_nominators,
            "openReports": runtime.slashing.open_reports,
            "bookingReports": staking.open_bookings,
            "election": _election(runtime),
        }

    def _validators(self, runtime: Runtime, _header: Header) -> Json:
        staking, session = runtime.staking, runtime.session
        era = staking.active_era
        powers = {member.account: member.power for member in session.current_set}
        points = dict(staking.eras_reward_points[era].individual)
        candidates = [who for who, _ in staking.validators.items()]
        rows: list[Json] = []
        for who in sorted(dict.fromkeys((*powers, *candidates))):
            overview = staking.exposures.overview(era, who)
            prefs = staking.validators.find(who)
            jail = staking.jailed_until[who]
            rows.append(
                {
                    "address": self._reader.address(who),
                    "isCandidate": prefs is not None,
                    "isActive": who in powers,
                    "power": str(powers.get(who, 0)),
                    "bonded": str(staking.active_stake(who)),
                    "exposedOwn": str(overview.own if overview else 0),
                    "exposedTotal": str(overview.total if overview else 0),
                    "nominators": overview.nominator_count if overview else 0,
                    "commission": prefs.commission if prefs else None,
                    "blocked": prefs.blocked if prefs else None,
                    "points": points.get(who, 0),
                    "missed": runtime.offline.misses_of(who),
                    "hasKeys": session.has_keys(who),
                    "jailedUntilEra": None if jail in (0, FOREVER) else jail,
                    "isTombstoned": jail == FOREVER,
                }
            )
        return rows

    def _nominators(self, runtime: Runtime, count: int, after: bytes | None) -> Json:
        staking = runtime.staking
        place = None
        if after is not None:
            place = (staking.active_stake(AccountId(after)), AccountId(after))
        rows: list[Json] = []
        for stake, who in runtime.voter_list.page(ListKind.VOTERS, after=place, limit=count):
            nominations = staking.nominators[who]
            rows.append(
                {
                    "address": self._reader.address(who),
                    "stake": str(stake),
                    "targets": [self._reader.address(target) for target in nominations.targets],
                    "submittedInEra": nominations.submitted_in,
                }
            )
        return rows

    def _exposure(self, runtime: Runtime, who: AccountId, era: int | None) -> Json:
        staking = runtime.staking
        era = staking.active_era if era is None else era
        overview = staking.exposures.overview(era, who)
        if overview is None:
            return None
        return {
            "era": era,
            "madeInEra": staking.exposures.made_in(era, who),
            "isRewarded": staking.exposures.is_rewarded(era, who),
            "total": str(overview.total),
            "own": str(overview.own),
            "commission": staking.exposures.prefs(era, who).commission,
            "nominators": [
                {"address": self._reader.address(entry.who), "value": str(entry.value)}
                for entry in staking.exposures.nominators(era, who)
            ],
        }

    def _rewards(self, runtime: Runtime, era: int | None) -> Json:
        staking = runtime.staking
        era = staking.active_era if era is None else era
        if era > staking.active_era:
            raise RpcError(INVALID_PARAMS, "Invalid params", f"era {era} has not begun")
        points = staking.eras_reward_points[era]
        is_over = era < staking.active_era
        reward = staking.era_reward(era)
        shares = dict(rewards.split_by_points(points, reward))
        paid = staking.eras_validator_reward.find(era)
        return {
            "era": era,
            "isOver": is_over,
            "reward": str(reward),
            "paid": None if paid is None else str(paid),
            "points": points.total,
            "validators": [
                {
                    "address": self._reader.address(who),
                    "points": count,
                    "share": str(shares[who]),
                    "isRewarded": staking.exposures.is_rewarded(era, who),
                    "commission": staking.exposures.prefs(era, who).commission,
                    "nominatorIndex": str(staking.eras_reward_index[era, who]),
                }
                for who, count in points.individual
            ],
        }

    def _reports(self, runtime: Runtime, count: int, before: int | None) -> Json:
        slashing = runtime.slashing
        last = slashing.report_count if before is None else min(before, slashing.report_count)
        return [
            self._report(runtime, number, slashing.reports[number])
            for number in range(last - 1, max(last - count, 0) - 1, -1)
        ]

    def _report(self, runtime: Runtime, number: int, report: SlashReport) -> Json:
        is_open = report.state is ReportState.DEFERRED
        fraction = runtime.slashing.fraction_of(report) if is_open else report.fraction
        return {
            "report": number,
            "kind": report.kind.name.lower(),
            "offender": self._reader.address(report.offender),
            "height": report.height,
            "era": report.era,
            "power": str(report.power),
            "totalPower": str(report.total_power),
            "evidenceHash": hex_of(report.evidence_hash),
            "reportedAt": report.reported_at,
            "applyAt": report.apply_at,
            "state": report.state.name.lower(),
            "fraction": [str(fraction.numerator), str(fraction.denominator)],
            "own": str(report.own),
            "nominators": str(report.nominators),
            "shortfall": str(report.shortfall),
            "burned": str(report.burned),
            "treasury": str(report.treasury),
        }


def _election(runtime: Runtime) -> Json:
    """Say where the election of the coming era stands; it is held in an era's last epoch."""
    progress = runtime.elections.progress
    next_era = runtime.staking.active_era + 1
    begins = runtime.parameters.era_start(next_era)
    return {
        "phase": progress.phase.name.lower(),
        "forEra": next_era,
        "beginsAt": begins - runtime.session.epoch_blocks(),
        "actsFrom": begins + 1,
    }
