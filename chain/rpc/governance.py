"""Governance as people ask for it, `gristmill_v1_*`: parameters, votes, the treasury, pauses.

Stock clients read votes by Substrate's names; here they are put together: what a vote has, what it
needs, and what will happen at which height if nothing changes. Amounts are decimal strings of
grains, parts are of 10^9, heights numbers; null is what will not come.
"""

from typing import Final

from chain.rpc.blocks import hex_of
from chain.rpc.jsonrpc import Json, Method, MethodTable, Param
from chain.rpc.params import ACCOUNT, AT, COUNT, HEIGHT
from chain.rpc.reading import RuntimeReader
from chain.rpc.view import NodeView
from consensus.header import Header
from ext import hashing
from runtime.frame.parameters import Parameter, Track
from runtime.governance.nouns import ReferendumStatus, Tally
from runtime.governance.tracks import TRACKS
from runtime.governance.votes import read_vote
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.treasury.nouns import EXPIRY_ERAS, RATE_LIMIT, GrantState

INDEX: Final = Param("index", HEIGHT.parse, HEIGHT.schema)
"""The number of a vote."""

BEFORE: Final = Param("before", HEIGHT.parse, HEIGHT.schema, required=False)
"""The number of the last vote of the page before."""

PAGE: Final = 20
"""Entries of a page when nobody says how many."""

PAYMENTS_SHOWN: Final = 100
"""Newest payments that the treasury's answer lists."""


class GovernanceMethods:
    """What votes may change, what they decide, and what the treasury does."""

    def __init__(self, node: NodeView) -> None:
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        for name, handler, params in (
            ("parameters", self.parameters, (AT,)),
            ("tracks", self.tracks, (AT,)),
            ("referenda", self.referenda, (COUNT.optional(), BEFORE, AT)),
            ("referendum", self.referendum, (INDEX, AT)),
            ("voter", self.voter, (ACCOUNT, AT)),
            ("treasury", self.treasury, (AT,)),
            ("safety", self.safety, (AT,)),
        ):
            table.add(Method(f"gristmill_v1_{name}", handler, params))

    def parameters(self, at: bytes | None) -> Json:
        """List every tunable: value, default, bounds, largest step, rest, unit, track, owner."""
        return self._reader.ask(at, self._parameters)

    def tracks(self, at: bytes | None) -> Json:
        """List the kinds of proposals with deposits, periods in blocks, and curves."""
        return self._reader.ask(at, lambda runtime, _: [_track(runtime, track) for track in Track])

    def referenda(self, count: int | None, before: int | None, at: bytes | None) -> Json:
        """List votes, newest first; page on with the number of the last one."""
        return self._reader.ask(at, lambda runtime, _: self._page(runtime, count or PAGE, before))

    def referendum(self, index: int, at: bytes | None) -> Json:
        """Give a vote: its call, tally, what it needs, and what will happen when; null if none."""
        return self._reader.ask(at, lambda runtime, _: self._referendum(runtime, index))

    def voter(self, who: bytes, at: bytes | None) -> Json:
        """Give an account's votes, delegations and locks, and when they end."""
        return self._reader.ask(at, lambda runtime, _: self._voter(runtime, AccountId(who)))

    def treasury(self, at: bytes | None) -> Json:
        """Give the treasury's funds, limit, payments with reasons, grants, streams, envelopes."""
        return self._reader.ask(at, lambda runtime, _: self._treasury(runtime))

    def safety(self, at: bytes | None) -> Json:
        """List modules that pay nothing: paused by vote, or frozen because their books broke."""
        return self._reader.ask(at, lambda runtime, _: _safety(runtime))

    # Inside

    def _parameters(self, runtime: Runtime, header: Header) -> Json:
        era = runtime.parameters.era(header.number)
        return [
            _parameter(runtime, declared.parameter, declared.owner, era)
            for _, declared in sorted(runtime.parameters.declared.items())
            if declared.parameter.is_there(runtime.ctx)
        ]

    def _page(self, runtime: Runtime, count: int, before: int | None) -> Json:
        last = runtime.referenda.referendum_count
        first = last if before is None else min(before, last)
        numbers = range(first - 1, max(first - count, 0) - 1, -1)
        return [self._referendum(runtime, number) for number in numbers]

    def _referendum(self, runtime: Runtime, index: int) -> Json:
        status = runtime.referenda.find_ongoing(index)
        if status is not None:
            return self._ongoing(runtime, index, status)
        summary = runtime.referenda.summaries.find(index)
        if summary is None:
            return None
        enactment = runtime.referenda.enactments.find(index)
        return {
            "index": index,
            "state": summary.verdict.name.lower(),
            "track": summary.track.name.lower(),
            "proposer": self._reader.address(summary.proposer),
            "proposal": None if enactment is None else hex_of(enactment.proposal),
            "proposalHash": hex_of(summary.proposal_hash),
            "submittedIn": hex_of(runtime.referenda.submitted_in[index]),
            "submittedAt": summary.submitted,
            "openedAt": summary.opened or None,
            "endedAt": summary.ended,
            "tally": _tally(summary.tally),
            "electorate": str(summary.electorate),
            "standing": None,
            "next": _times(enactsAt=summary.enact_at or None, enactedAt=summary.enacted_at or None),
            "error": hex_of(summary.error) if summary.error else None,
            "isBacked": True,
            "accused": self._accused(runtime, index),
        }

    def _ongoing(self, runtime: Runtime, index: int, status: ReferendumStatus) -> Json:
        deciding = status.deciding
        state = "preparing" if deciding is None else "deciding"
        if deciding is not None and deciding.confirming is not None:
            state = "confirming"
        return {
            "index": index,
            "state": "queued" if status.in_queue else state,
            "track": Track(status.track).name.lower(),
            "proposer": self._reader.address(status.submission_deposit.who),
            "proposal": hex_of(status.proposal[1]),
            "proposalHash": hex_of(hashing.blake2b_256(status.proposal[1])),
            "submittedIn": hex_of(runtime.referenda.submitted_in[index]),
            "submittedAt": status.submitted,
            "openedAt": None if deciding is None else deciding.since,
            "endedAt": None,
            "tally": _tally(status.tally),
            "electorate": str(runtime.referenda.electorate()),
            "standing": _standing(runtime, status),
            "next": _next(runtime, status),
            "error": None,
            "isBacked": status.decision_deposit is not None,
            "accused": self._accused(runtime, index),
        }

    def _accused(self, runtime: Runtime, index: int) -> Json:
        accused = runtime.referenda.accused.find(index)
        return None if accused is None else self._reader.address(accused)

    def _voter(self, runtime: Runtime, who: AccountId) -> Json:
        voting = runtime.voting
        tracks: list[Json] = []
        for track in Track:
            held = voting.load(who, track)
            if held.is_empty():
                continue
            target, delegation = held.target, held.delegation
            tracks.append(
                {
                    "track": track.name.lower(),
                    "votes": [_vote(runtime, index, vote) for index, vote in held.votes.items()],
                    "delegatesTo": None if target is None else self._reader.address(target),
                    "delegated": "0" if delegation is None else str(delegation.balance),
                    "conviction": None if delegation is None else int(delegation.conviction),
                    "behind": {
                        "votes": str(held.delegations.votes),
                        "grains": str(held.delegations.capital),
                    },
                    "prior": {"amount": str(held.prior.amount), "until": held.prior.until},
                }
            )
        steps = voting.lock_steps[who]
        return {
            "address": self._reader.address(who),
            "asset": "votes" if voting.votes.is_enabled else "grist",
            "available": str(voting.available(who)),
            "locked": str(steps[-1].amount if steps else 0),
            "standing": str(voting.standing[who]),
            "lockedSince": [{"since": step.since, "amount": str(step.amount)} for step in steps],
            "tracks": tracks,
        }

    def _treasury(self, runtime: Runtime) -> Json:
        treasury = runtime.treasury
        last = treasury.payment_count
        first = max(last - PAYMENTS_SHOWN, 0)
        return {
            "unlocked": str(treasury.unlocked_funds()),
            "room": str(treasury.room()),
            "limitPerEra": RATE_LIMIT.read(runtime.ctx),
            "expiryEras": EXPIRY_ERAS.read(runtime.ctx),
            "spent": str(treasury.spent_total),
            "monthlySpend": str(treasury.monthly_spend()),
            "waiting": last - treasury.first_waiting,
            "payments": [self._payment(runtime, number) for number in range(first, last)],
            "grants": [
                {
                    "id": number,
                    "beneficiary": self._reader.address(grant.beneficiary),
                    "curator": self._reader.address(grant.curator),
                    "tranches": [str(amount) for amount in grant.tranches],
                    "released": grant.released,
                    "bond": str(grant.bond),
                    "state": grant.state.name.lower(),
                }
                for number, grant in treasury.grants.items()
                if grant.state <= GrantState.ACTIVE
            ],
            "streams": [
                {
                    "id": number,
                    "beneficiary": self._reader.address(stream.beneficiary),
                    "perEra": str(stream.per_era),
                    "firstEra": stream.first_era,
                    "eras": stream.eras,
                    "paidEras": stream.paid_eras,
                }
                for number, stream in treasury.streams.items()
                if not stream.is_stopped
            ],
            "envelopes": [
                {
                    "id": number,
                    "curator": self._reader.address(envelope.curator),
                    "amount": str(envelope.amount),
                    "left": str(envelope.left),
                    "bond": str(envelope.bond),
                    "state": envelope.state.name.lower(),
                }
                for number, envelope in treasury.envelopes.items()
                if envelope.state <= GrantState.ACTIVE
            ],
        }

    def _payment(self, runtime: Runtime, number: int) -> Json:
        payment = runtime.treasury.payments[number]
        return {
            "id": number,
            "beneficiary": self._reader.address(payment.beneficiary),
            "amount": str(payment.amount),
            "paid": str(payment.paid),
            "reason": payment.reason.name.lower() if payment.left else None,
            "expiresAt": payment.expires,
            "original": hex_of(payment.original),
        }


def _parameter(runtime: Runtime, parameter: Parameter, owner: str, era: int) -> Json:
    free_from = runtime.parameters.free_from(parameter.name)
    return {
        "name": parameter.name,
        "value": str(parameter.read(runtime.ctx)),
        "default": str(parameter.default),
        "min": str(parameter.low),
        "max": str(parameter.high),
        "step": str(parameter.step),
        "cooldownEras": parameter.cooldown_eras,
        "freeInEras": max(free_from - era, 0),
        "unit": str(parameter.unit),
        "track": parameter.track.name.lower(),
        "owner": owner,
        "docs": parameter.docs,
    }


def _track(runtime: Runtime, track: Track) -> Json:
    terms = TRACKS[track].read(runtime.ctx)
    blocks = runtime.parameters.blocks_of
    return {
        "track": track.name.lower(),
        "number": int(track),
        "deposit": str(terms.deposit),
        "prepare": max(blocks(terms.prepare), 1),
        "decide": blocks(terms.decide),
        "confirm": max(blocks(terms.confirm), 1),
        "enact": max(blocks(terms.enact), 1),
        "approval": {"start": terms.approval.start, "end": terms.approval.end},
        "support": {"start": terms.support.start, "end": terms.support.end},
        "open": runtime.referenda.deciding_count[track],
        "waiting": len(runtime.referenda.track_queue[track]),
    }


def _tally(tally: Tally) -> Json:
    return {"ayes": str(tally.ayes), "nays": str(tally.nays), "support": str(tally.support)}


def _standing(runtime: Runtime, status: ReferendumStatus) -> Json:
    standing = runtime.referenda.standing(status, runtime.ctx.block.height)
    return {
        "approval": standing.approval,
        "approvalNeeded": standing.approval_needed,
        "support": standing.support,
        "supportNeeded": standing.support_needed,
        "isWinning": standing.is_winning,
    }


def _next(runtime: Runtime, status: ReferendumStatus) -> Json:
    """Say what will happen at which height if nobody votes any more."""
    referenda, height = runtime.referenda, runtime.ctx.block.height
    terms, blocks = referenda.terms(status.track), runtime.parameters.blocks_of
    if status.decision_deposit is None:
        return _times(timesOutAt=referenda.timeout_at(status.submitted))
    deciding = status.deciding
    opens = max(referenda.opens_at(status), height + 1) if deciding is None else deciding.since
    ends = opens + blocks(terms.decide)
    confirms = None if deciding is None else deciding.confirming
    if confirms is None:
        start = opens if deciding is None else height + 1
        wins = referenda.first_winning_from(status, opens, start, ends)
        confirms = None if wins is None else wins + max(blocks(terms.confirm), 1)
    return _times(
        opensAt=None if deciding else opens,
        endsAt=ends,
        confirmsAt=confirms,
        rejectsAt=None if confirms else ends,
        enactsAt=None if confirms is None else referenda.enacts_at(status, confirms),
    )


def _times(**known: int | None) -> Json:
    """Give all the heights of a vote's future, null where there is none."""
    names = ("timesOutAt", "opensAt", "endsAt", "confirmsAt", "rejectsAt", "enactsAt", "enactedAt")
    return {name: known.get(name) for name in names}


def _vote(runtime: Runtime, index: int, vote: tuple[str, object]) -> Json:
    balance, tally = read_vote(vote)
    is_over = runtime.referenda.summaries.find(index) is not None
    return {
        "index": index,
        "balance": str(balance),
        **{name: str(getattr(tally, name)) for name in ("ayes", "nays", "support")},
        "bindsUntil": runtime.voting.release_of(index, vote) if is_over else None,
    }


def _safety(runtime: Runtime) -> Json:
    names = runtime.safety.names
    return {
        "paused": [
            {"module": names.get(pause.module, ""), "number": pause.module, "until": pause.until}
            for pause in runtime.safety.pauses
        ],
        "frozen": [
            {
                "module": names.get(entry.module, ""),
                "number": entry.module,
                "since": entry.height,
                "made": str(entry.made),
                "lost": str(entry.lost),
            }
            for entry in runtime.balances.ledger_breaks
        ],
    }
