"""`gristmill light`: answers of a node that is not trusted, proved before they are shown."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.light.client import LightClient, Refused
from chain.light.trust import (
    DAY_MS,
    FOREVER_MS,
    TRUST_DAYS,
    Trust,
    load_trusted,
    parse_checkpoint,
    parse_genesis,
    save_trusted,
    trust_path,
)
from chain.seams import SystemClock
from chain.wallet.amounts import show_amount
from chain.wallet.chain_client import account_key, decode_events, parse_account, parse_hex, to_hex
from chain.wallet.client import RpcClient
from chain.wallet.errors import WrongUse
from chain.wallet.metadata import decode_metadata
from consensus.light import trust_genesis
from consensus.types import Header

F = TypeVar("F", bound=Callable[..., Any])

STALE_MS: Final = 60_000
"""A newest block older than this is worth a warning: the node may hide newer ones."""

light = LazyGroup(
    "light",
    places={
        "head": Place("chain.cli.light:head", "Prove the newest block a node shows."),
        "balance": Place("chain.cli.light:balance", "Prove what an account owns."),
        "receipt": Place("chain.cli.light:receipt", "Prove a transaction and its events."),
        "totals": Place("chain.cli.light:totals", "Prove the issuance, by cause."),
    },
    help="Prove what a node says that you do not trust.",
)


def trust_options(function: F) -> F:
    """Add the options that say what is trusted."""
    for option in reversed(
        (
            click.option("--chain", metavar="TEXT", help="Trust the first block of a chain spec."),
            click.option("--genesis", metavar="HASH", help="Trust the first block by its hash."),
            click.option(
                "--checkpoint", metavar="HEIGHT:HASH", help="Trust a block that is final."
            ),
            click.option(
                "--trust-days",
                type=click.IntRange(1, 3_650),
                help=f"How long a block is trusted; {TRUST_DAYS} unless the chain spec says.",
            ),
            click.option(
                "--trust-genesis", is_flag=True, help="Trust the first block, however old."
            ),
            click.option(
                "--witness", multiple=True, metavar="URL",
                help="Compare the block with another node's. Repeatable.",
            ),
        )
    ):  # fmt: skip
        function = option(function)
    return function


class LightSession:
    """One run: a client of the node, and the file that its newest block is kept in."""

    def __init__(self, session: NodeSession, given: dict[str, Any]) -> None:
        self._console = session.console
        self._witnesses: tuple[str, ...] = given["witness"]
        self._clock = SystemClock()
        self.client = LightClient(session.rpc, make_trust(given), now_ms=self._clock.now_ms)
        self._path = trust_path(
            Path(session.settings["home"]).expanduser(), self.client.genesis_hash
        )
        stored = load_trusted(self._path)
        if stored is not None:
            self.client.remember(stored)

    def finish(self, header: Header) -> dict[str, Any]:
        """Ask the witnesses, keep what was verified, and give what an answer says of its block."""
        for url in self._witnesses:
            with RpcClient(url) as witness:
                self.client.check_witness(witness, header)
        if self.client.newest.height:
            save_trusted(self._path, self.client.newest)
        age_ms = max(0, self._clock.now_ms() - header.time_ms)
        if header.number == self.client.newest.height and age_ms > STALE_MS:
            self._console.warn(
                f"block {header.number} is {age_ms // 1000} s old: the chain stands still, or the "
                "node hides newer blocks"
            )
        return {
            "height": header.number,
            "hash": to_hex(header.block_id),
            "time_ms": header.time_ms,
            "age_ms": age_ms,
        }


def make_trust(given: dict[str, Any]) -> Trust:
    """Give what the options say is trusted; raises WrongUse or ConfigError."""
    genesis_hash = parse_genesis(given["genesis"]) if given["genesis"] else None
    checkpoint = parse_checkpoint(given["checkpoint"]) if given["checkpoint"] else None
    days = given["trust_days"] or TRUST_DAYS
    trust = Trust(genesis_hash, days * DAY_MS, None, checkpoint)
    if given["chain"]:
        trust = _of_spec(given, trust)
    return trust.lasting() if given["trust_genesis"] else trust


def _of_spec(given: dict[str, Any], trust: Trust) -> Trust:
    """Give the trust in the first block of a chain spec."""
    loader = importlib.import_module("chain.genesis")
    start = loader.start_chain(loader.read_spec(given["chain"]))
    if trust.genesis_hash not in (None, start.hash):
        raise WrongUse("--chain and --genesis are two chains", "give one of them")
    params, period_ms = start.spec.params, trust.period_ms
    if given["trust_days"] is None:
        bound_ms = params.unbonding_blocks * params.block_interval_ms
        period_ms = bound_ms * 2 // 3 if start.spec.chain_type == "Live" else FOREVER_MS
    first = trust_genesis(start.genesis.header, start.genesis.validators)
    return Trust(start.hash, period_ms, first, trust.checkpoint)


def _block_line(block: dict[str, Any]) -> tuple[str, str]:
    return "block", f"#{block['height']}  {block['hash']}"


@click.command(cls=NodeCommand)
@trust_options
@click.pass_obj
def head(session: NodeSession, /, **given: Any) -> None:
    """Prove the newest block that the node shows, by the signatures of validators."""
    run = LightSession(session, given)
    found = run.client.head()
    block = run.finish(found.header)
    signers, members = len(found.commit.signers()), len(found.validators)
    fields = {
        "block": block,
        "genesis_hash": to_hex(run.client.genesis_hash),
        "signers": signers,
        "validators": members,
        "set_id": found.validators.set_id,
        "state_root": to_hex(found.header.state_root),
    }
    rows = [
        _block_line(block),
        ("genesis", fields["genesis_hash"]),
        ("signed", f"by {signers} of {members} validators of set {found.validators.set_id}"),
        ("state", fields["state_root"]),
        ("age", f"{block['age_ms'] / 1000:.1f} s"),
    ]
    session.console.answer("light.head/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("who")
@trust_options
@click.pass_obj
def balance(session: NodeSession, /, who: str, **given: Any) -> None:
    """Prove what an account owns: a key name, an address, or //Alice."""
    party = session.party(who)
    run = LightSession(session, given)
    header, values = run.client.values([account_key(party.public)])
    state = parse_account(values[0])
    block = run.finish(header)
    fields = {
        "address": party.address,
        "block": block,
        "exists": values[0] is not None,
        "free": str(state.free),
        "frozen": str(state.frozen),
        "nonce": state.nonce,
        "reserved": str(state.reserved),
    }
    rows = [("account", f"{party.address}  {party.label}")]
    rows += [(word, show_amount(getattr(state, word))) for word in ("free", "reserved", "frozen")]
    rows += [("nonce", str(state.nonce)), _block_line(block)]
    rows.append(("proof", "present" if fields["exists"] else "absent: the account does not exist"))
    session.console.answer("light.balance/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("tx", metavar="TXHASH")
@trust_options
@click.pass_obj
def receipt(session: NodeSession, /, tx: str, **given: Any) -> None:
    """Prove that a transaction is in a decided block, and which events it left.

    Events are read by the rules of this release, not by what the node says of them.
    """
    name = parse_hex(tx, 32)
    run = LightSession(session, given)
    found = run.client.receipt(name)
    metadata = importlib.import_module("runtime.metadata")
    rules = importlib.import_module("runtime.versions").NEWEST
    events = decode_events(decode_metadata(metadata.metadata_v14(rules)), found.receipt)
    shown = [{"event": one["event"], "fields": one["fields"]} for one in events]
    is_done = any(one["event"] == "System.ExtrinsicSuccess" for one in shown)
    if is_done == any(one["event"] == "System.ExtrinsicFailed" for one in shown):
        raise Refused("the receipt does not say whether the transaction succeeded")
    block = run.finish(found.header)
    fields = {
        "block": block,
        "events": shown,
        "extrinsic": to_hex(found.extrinsic),
        "hash": to_hex(name),
        "index": found.index,
        "success": is_done,
    }
    rows = [
        ("transaction", to_hex(name)),
        _block_line(block),
        ("index", str(found.index)),
        ("result", "success" if is_done else "failed; the fee was paid"),
    ]
    rows += [("event", one["event"]) for one in shown]
    session.console.answer("light.receipt/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@trust_options
@click.pass_obj
def totals(session: NodeSession, /, **given: Any) -> None:
    """Prove how much money there is and where it came from, by header and by storage."""
    run = LightSession(session, given)
    prove = importlib.import_module("chain.light.totals").prove_totals
    header, found = prove(run.client)
    block = run.finish(header)
    minted = {one.cause.name.lower(): one.amount for one in found.minted}
    burned = {one.cause.name.lower(): one.amount for one in found.burned}
    held = {name: getattr(found, name) for name in ("staked", "escrowed", "treasury", "insurance")}
    fields = {
        "block": block,
        "burned": {name: str(amount) for name, amount in burned.items()},
        "issuance": str(found.issuance),
        "minted": {name: str(amount) for name, amount in minted.items()},
        **{name: str(amount) for name, amount in held.items()},
    }
    rows = [("issuance", show_amount(found.issuance))]
    rows += [(f"minted, {name}", show_amount(amount)) for name, amount in minted.items()]
    rows += [(f"burned, {name}", show_amount(amount)) for name, amount in burned.items()]
    rows += [(name, show_amount(amount)) for name, amount in held.items()]
    session.console.answer("light.totals/1", fields, pairs([*rows, _block_line(block)]))
