"""What the staking commands share: sending a call of staking, and errors that add the figures.

The rules are the runtime's. Before a call is sent the node runs it; where it would be refused, the
refusal is told together with what is bonded, what is unbonding and when that is free, and nothing
is sent.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from chain.cli.online import NodeSession
from chain.cli.sending import read_send_options, send_call
from chain.wallet.dry_run import Outcome
from chain.wallet.errors import WalletError, WrongUse
from chain.wallet.stake_view import StakeView, describe_figures, read_stake

PERBILL: Final = 1_000_000_000
"""The whole, in the parts in which the chain writes commissions."""

PERCENT_DECIMALS: Final = 7
"""Decimals of a percentage that parts of 10^9 can hold."""

DESTINATIONS: Final = ("staked", "stash", "none")
"""Where rewards can go besides to another account."""

_PERCENT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,7}))?\s*%?", re.ASCII)


def send_staking(
    session: NodeSession, path: str, args: dict[str, Any], options: dict[str, Any]
) -> None:
    """Send a call of staking unless it would be refused; the refusal names the figures."""
    chosen = read_send_options(options)
    party = session.signer(chosen.signer)

    def check(outcome: Outcome) -> None:
        if outcome.error is not None:
            raise refusal(session, party.public, outcome.error)

    send_call(session, session.encoder.encode_call(path, args), chosen, check=check)


def refusal(session: NodeSession, public: bytes, error: tuple[str, str]) -> WalletError:
    """Return the error of a call that was not sent, with what is bonded and when it is free."""
    name, docs = error
    try:
        figures = describe_figures(read_stake(session.rpc, public))
    except WalletError:
        figures = ""
    hint = f"{docs} ({figures})" if figures else docs
    return WalletError(f"it would fail, so nothing was sent: {name}", hint)


def own_stake(session: NodeSession, signer: str | None) -> StakeView:
    """Return the stake of who signs."""
    return read_stake(session.rpc, session.signer(signer).public)


def parse_share(text: str) -> int:
    """Return the parts of 10^9 of a percentage like 5, 5% or 2.5 %; WrongUse for another text."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise WrongUse(f"{text!r} is not a percentage", "write 5 or 2.5%")
    whole, fraction = int(match[1]), match[2] or ""
    parts = whole * 10**PERCENT_DECIMALS + int(fraction.ljust(PERCENT_DECIMALS, "0"))
    if parts > PERBILL:
        raise WrongUse(f"{text!r} is more than the whole", "a commission is at most 100 %")
    return parts


def parse_payee(session: NodeSession, text: str) -> Any:
    """Return a destination of rewards: staked, stash, none, or an account."""
    word = text.lower()
    if word in DESTINATIONS:
        return word.capitalize()
    return {"Account": session.party(text).address}


def addresses(session: NodeSession, names: Sequence[str]) -> list[str]:
    """Return the addresses of parties, each once; WrongUse for one named twice."""
    found = [session.party(name).address for name in names]
    if len(set(found)) != len(found):
        raise WrongUse("somebody is named twice", "name each once")
    return found
