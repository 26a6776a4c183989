"""Is the devnet one chain? Same hashes, heights that advance, money that adds up.

The sums come from every account in the state of each node, not from what a module claims.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chain.devnet.layout import NodeSite
from chain.devnet.nodes import ask_all, block_hash_at
from chain.wallet.chain_client import (
    ACCOUNTS_PREFIX,
    ISSUANCE_KEY,
    ChainClient,
    parse_account,
    parse_hex,
    to_hex,
)
from chain.wallet.client import RpcClient
from chain.wallet.errors import WalletError

ADVANCE_S: Final = 30
"""Seconds within which a new block must be final."""

_STEP_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: a sentence, whether it holds, and details."""

    sentence: str
    is_good: bool
    details: str


def check(sites: Sequence[NodeSite], wait: Callable[[float], None] = time.sleep) -> list[Finding]:
    """Return the findings for the nodes that should run."""
    statuses = ask_all(sites)
    down = [f"{one.name}: {one.reason}" for one in statuses if one.reason]
    findings = [Finding("every node answers and is in step", not down, "; ".join(down))]
    answering = [
        site for site, one in zip(sites, statuses, strict=True) if one.is_running and not one.reason
    ]
    if not answering:
        return findings
    start = min(one.height for one in statuses if not one.reason)
    findings.append(_check_advance(answering, wait))
    findings.append(_check_hashes(answering, start))
    findings += [_check_money(site, start) for site in answering]
    return findings


def _check_advance(sites: Sequence[NodeSite], wait: Callable[[float], None]) -> Finding:
    before = {one.name: one.height for one in ask_all(sites)}
    now = before
    for _ in range(int(ADVANCE_S / _STEP_S)):
        wait(_STEP_S)
        now = {one.name: one.height for one in ask_all(sites)}
        if all(now[name] > height for name, height in before.items()):
            break
    stuck = [f"{name} stays at {height}" for name, height in before.items() if now[name] <= height]
    heights = ", ".join(f"{name} #{height}" for name, height in now.items())
    return Finding("heights advance", not stuck, "; ".join(stuck) or heights)


def _check_hashes(sites: Sequence[NodeSite], height: int) -> Finding:
    """Compare the newest height all have, and below it at doubling distances."""
    below = [height - (1 << power) for power in range(height.bit_length())]
    for one in [height, *(number for number in below if number > 0), 0]:
        hashes = {site.name: block_hash_at(site, one) for site in sites}
        if len(frozenset(hashes.values())) != 1:
            text = ", ".join(f"{n} {to_hex(h)[:14] if h else 'none'}" for n, h in hashes.items())
            return Finding(
                "no fork: all nodes have the same blocks", is_good=False, details=f"#{one}: {text}"
            )
    return Finding(
        "no fork: all nodes have the same blocks", is_good=True, details=f"up to #{height}"
    )


def _check_money(site: NodeSite, height: int) -> Finding:
    sentence = f"issuance is conserved on {site.name}"
    with RpcClient(site.url) as rpc:
        try:
            total, issuance, count = sum_accounts(ChainClient(rpc), height)
        except WalletError as error:
            return Finding(sentence, is_good=False, details=error.message)
    details = f"{count} accounts hold {total} grains at #{height}, issued {issuance}"
    return Finding(sentence, total == issuance, details)


def sum_accounts(chain: ChainClient, height: int) -> tuple[int, int, int]:
    """Return (grains in all accounts, issuance, number of accounts) after a block."""
    at = chain.block_hash(height)
    keys = chain.storage_keys(ACCOUNTS_PREFIX, at)
    calls = [("state_getStorage", (to_hex(key), to_hex(at))) for key in keys]
    total = 0
    for value in chain.rpc.batch(calls):
        if isinstance(value, WalletError):
            raise value
        state = parse_account(parse_hex(value))
        total += state.free + state.reserved
    issued = chain.storage(ISSUANCE_KEY, at) or bytes(16)
    return total, int.from_bytes(issued, "little"), len(keys)
