"""What an account has at stake, as the node tells it and people read it: amounts, eras, dates."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chain.wallet.amounts import show_amount
from chain.wallet.chain_client import parse_int
from chain.wallet.client import RpcClient
from chain.wallet.errors import BadContent, WalletError
from chain.wallet.ss58 import encode_address


@dataclass(frozen=True, slots=True)
class StakeView:
    """An account's stake and the staking of its chain, as `gristmill_v1_staking*` answer."""

    account: dict[str, Any]
    chain: dict[str, Any]

    def grains(self, name: str) -> int:
        """Return an amount of the account in grains."""
        return parse_int(self.account.get(name))

    @property
    def unlocking(self) -> list[dict[str, Any]]:
        """What is unbonding, part by part."""
        chunks = self.account.get("unlocking")
        return chunks if isinstance(chunks, list) else []

    @property
    def unbonding(self) -> int:
        """All that is unbonding, in grains."""
        return sum(parse_int(chunk.get("value")) for chunk in self.unlocking)


def read_stake(rpc: RpcClient, public: bytes, at: str | None = None) -> StakeView:
    """Ask a node for the stake of a 32-byte account, newest or after a block by its 0x hash."""
    account, chain = rpc.batch(
        [
            ("gristmill_v1_stakingAccount", (encode_address(public), at)),
            ("gristmill_v1_staking", (at,)),
        ]
    )
    for answer in (account, chain):
        if isinstance(answer, WalletError):
            raise answer
        if not isinstance(answer, dict):
            raise BadContent("the node's answer about staking has another form")
    return StakeView(account, chain)


def show_time(time_ms: int) -> str:
    """Return a time as people and programs read it: 2026-11-24 20:31:05 UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def show_share(parts: int) -> str:
    """Return parts of 10^9 as a percentage: 5 %."""
    whole, rest = divmod(parts, 10_000_000)
    fraction = f"{rest:07d}".rstrip("0")
    return f"{whole}.{fraction} %" if fraction else f"{whole} %"


def describe_chunk(chunk: dict[str, Any]) -> str:
    """Return one unbonding part in words: how much, when it is free, and what holds it back."""
    value, free = parse_int(chunk.get("value")), parse_int(chunk.get("free") or 0)
    amount, era = show_amount(value), chunk.get("era")
    block = f"block {chunk.get('height')}, about {show_time(parse_int(chunk.get('timeMs')))}"
    held_by = chunk.get("heldBy")
    if held_by == "elections":
        return (
            f"{amount}, unbonded until era {era}, but elections failed and it still stands behind "
            f"validators: free in era {chunk.get('freeEra')} at the earliest ({block})"
        )
    if held_by == "booking":
        return (
            f"{amount}, unbonded until era {era}, but nobody withdraws while a report is being "
            f"booked: free at the earliest at {block}"
        )
    if held_by == "report":
        rest = f"{show_amount(value - free)} liable for an open report, at least until {block}"
        if free:
            return f"{amount}, of it {show_amount(free)} free: stake withdraw takes that; {rest}"
        return f"{amount}, unbonded until era {era}, but {rest}"
    if chunk.get("isDue"):
        return f"{amount}, free since era {era}: stake withdraw takes it"
    return f"{amount}, free in era {era} ({block})"


def describe_risk(view: StakeView) -> str:
    """Return what open reports may take, and what stays bonded for them until they are decided."""
    text = show_amount(view.grains("atRisk"))
    if view.grains("atRisk") or view.grains("liable"):
        text += " as reported now"
    if view.grains("liable"):
        text += f"; {show_amount(view.grains('liable'))} stay bonded"
    return text


def describe_jail(view: StakeView) -> str | None:
    """Return until when the account is jailed, None if it is not."""
    if view.account.get("isTombstoned"):
        return "for ever: it was proven to sign twice"
    until = view.account.get("jailedUntilEra")
    return None if until is None else f"until era {until}; then stake unjail"


def stake_rows(view: StakeView) -> list[tuple[str, str]]:
    """Return what an account has at stake as (name, value) lines."""
    account = view.account
    rows = [("role", describe_role(account))]
    rows.append(("bonded", show_amount(view.grains("bonded"))))
    rows.append(("active", show_amount(view.grains("active"))))
    rows += [("unbonding", describe_chunk(chunk)) for chunk in view.unlocking]
    if view.grains("withdrawable"):
        rows.append(("withdrawable", show_amount(view.grains("withdrawable"))))
    rows.append(("at risk", describe_risk(view)))
    rows.append(("rewards due", show_amount(view.grains("rewardsDue"))))
    rows.append(("rewards, this era", f"about {show_amount(view.grains('rewardsExpected'))}"))
    payee = account.get("payee")
    if isinstance(payee, dict):
        rows.append(("rewards go to", str(payee.get("address") or payee.get("kind"))))
    rows += [("backs", str(target)) for target in account.get("targets") or ()]
    jail = describe_jail(view)
    if jail is not None:
        rows.append(("jailed", jail))
    era, last = view.chain.get("era"), view.chain.get("eraLastHeight")
    rows.append(("era", f"{era}, until block {last}"))
    return rows


def describe_role(account: dict[str, Any]) -> str:
    """Return what an account does with its stake."""
    role = str(account.get("role"))
    if role == "validator":
        blocked = ", takes no new nominators" if account.get("blocked") else ""
        return f"validator, commission {show_share(parse_int(account.get('commission')))}{blocked}"
    return role


def describe_figures(view: StakeView) -> str:
    """Return in one sentence or two what a refusal of staking is about: sums, eras, dates."""
    bonded = view.grains("bonded")
    if not bonded:
        nominator = show_amount(parse_int(view.chain.get("minNominatorBond")))
        validator = show_amount(parse_int(view.chain.get("minValidatorBond")))
        return f"nothing is bonded; it takes {nominator} to nominate and {validator} to validate"
    parts = [f"bonded are {show_amount(bonded)}, active {show_amount(view.grains('active'))}"]
    parts += [f"unbonding {describe_chunk(chunk)}" for chunk in view.unlocking]
    if view.grains("liable"):
        parts.append(f"{show_amount(view.grains('liable'))} are liable for an open report")
    if view.account.get("role") != "idle":
        word = "minValidatorBond" if view.account.get("role") == "validator" else "minNominatorBond"
        least = show_amount(parse_int(view.chain.get(word)))
        parts.append(f"a {view.account.get('role')} keeps at least {least} active, or chills first")
    jail = describe_jail(view)
    if jail is not None:
        parts.append(f"jailed {jail}")
    return "; ".join(parts) + f"; now is era {view.chain.get('era')}"
