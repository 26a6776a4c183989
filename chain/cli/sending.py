"""From a call to a finished transaction: show, ask, sign, submit, follow, tell.

What is shown before the question is decoded from the very bytes that will be signed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from chain.cli.console import pairs
from chain.cli.online import NodeSession
from chain.cli.passwords import password_options
from chain.cli.session import Passwords
from chain.wallet.amounts import parse_amount, show_amount
from chain.wallet.chain_client import to_hex
from chain.wallet.client import RpcError
from chain.wallet.dry_run import NONCE_AHEAD, Outcome, describe_failure
from chain.wallet.errors import WalletError
from chain.wallet.extrinsic import (
    ERA_PERIOD,
    Draft,
    assemble,
    decode_extrinsic,
    describe_call,
    sign_draft,
)
from chain.wallet.follow import Inclusion, follow
from chain.wallet.keyring import Party

PATIENCE_S: Final = 60
"""Seconds without a new finalized block after which following gives up."""

F = TypeVar("F", bound=Callable[..., Any])

Check = Callable[[Outcome], None]
"""Looks at what a call would do and raises WalletError to keep it back."""

Tell = Callable[[NodeSession, bytes, Inclusion], None]
"""Tells what became of a transaction, and raises WalletError if the chain undid its call."""


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How to send: who signs, the tip in grains, the lifetime in blocks, what to skip."""

    signer: str | None
    tip: int
    period: int
    nonce: int | None
    is_confirmed: bool
    is_dry_run: bool
    may_wait: bool
    password_file: str | None
    password_stdin: bool


def send_options(function: F) -> F:
    """Add the options of everything that sends; the command gets them by keyword."""
    for option in (
        click.option("--from", "signer", metavar="WHO", help="Who signs: a key's name or //Alice."),
        click.option("--tip", default="0", metavar="GRIST", help="Pay this much more to go first."),
        click.option(
            "--lifetime",
            type=int,
            default=ERA_PERIOD,
            show_default=True,
            help="Blocks until it expires, a power of two; 0 is for ever.",
        ),
        click.option("--nonce", type=int, help="The number of the account's transaction."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Show what would happen; send nothing."),
        click.option("--no-wait", is_flag=True, help="Do not wait for finality."),
        password_options,
    ):
        function = option(function)
    return function


def read_send_options(given: dict[str, Any]) -> SendOptions:
    """Return the options that `send_options` added."""
    return SendOptions(
        signer=given["signer"],
        tip=parse_amount(given["tip"]),
        period=given["lifetime"],
        nonce=given["nonce"],
        is_confirmed=given["yes"],
        is_dry_run=given["dry_run"],
        may_wait=not given["no_wait"],
        password_file=given["password_file"],
        password_stdin=given["password_stdin"],
    )


def send_call(
    session: NodeSession,
    call: bytes,
    options: SendOptions,
    *,
    check: Check | None = None,
    tell: Tell | None = None,
) -> None:
    """Send a call and tell what became of it; WalletError if it failed.

    `check` sees what the call would do before it is sent, and raises to keep it back. `tell` tells
    the end in its own way.
    """
    party = session.signer(options.signer)
    chain = session.chain
    draft = chain.draft(
        call, party.public, period=options.period, nonce=options.nonce, tip=options.tip
    )
    fee = chain.fee(assemble(draft, party.public, bytes(64)))
    for line in summarize(session, party, draft, fee):
        session.console.note(line)
    if not options.is_dry_run:
        agreed = session.console.ask("Sign and send it?", assume=options.is_confirmed)
        if not agreed:
            raise WalletError("nothing was sent")
    passwords = Passwords(session, options.password_file, from_stdin=options.password_stdin)
    pair = session.unlock(party, passwords, is_dev_chain=chain.identity.is_dev)
    extrinsic = sign_draft(draft, pair)
    if options.is_dry_run:
        tell_dry_run(session, extrinsic)
        return
    if check is not None:
        _try_first(session, extrinsic, check)
    height, _ = chain.finalized()
    extrinsic_hash = chain.submit(extrinsic)
    session.console.note(f"Sent {to_hex(extrinsic_hash)}.")
    if not options.may_wait:
        tell_sent(session, extrinsic_hash)
        return
    death = draft.era.death(height)
    inclusion = wait_for(session, extrinsic_hash, height + 1, death)
    (tell or tell_inclusion)(session, extrinsic, inclusion)


def _try_first(session: NodeSession, extrinsic: bytes, check: Check) -> None:
    """Let `check` see the outcome, where the node can tell it: not behind a waiting transaction."""
    try:
        outcome = session.chain.dry_run(extrinsic)
    except RpcError:
        return
    if outcome.error != NONCE_AHEAD:
        check(outcome)


def wait_for(
    session: NodeSession, extrinsic_hash: bytes, start: int, death: int | None
) -> Inclusion:
    """Follow a transaction from block `start` to finality."""
    return follow(
        session.chain,
        extrinsic_hash,
        start=start,
        death=death,
        wait=time.sleep,
        patience_s=PATIENCE_S,
    )


def summarize(session: NodeSession, party: Party, draft: Draft, fee: int) -> list[str]:
    """Return what the signer should read before signing."""
    identity = session.chain.identity
    decoded = describe_call(session.chain.metadata, draft.call, for_people=True)
    lifetime = f"{draft.era.period} blocks" if draft.era.period else "for ever"
    rows = [("call", decoded["call"])]
    rows += [(f"  {name}", _short(value)) for name, value in decoded["args"].items()]
    rows += [
        ("chain", f"{identity.name} (genesis {to_hex(draft.genesis_hash)[:18]}…)"),
        ("from", f"{party.address}  {party.label}"),
        ("nonce", str(draft.nonce)),
        ("fee", show_amount(fee)),
        ("tip", show_amount(draft.tip)),
        ("valid", lifetime),
    ]
    return pairs(rows)


def tell_sent(session: NodeSession, extrinsic_hash: bytes) -> None:
    """Answer with the hash alone."""
    text = to_hex(extrinsic_hash)
    session.console.answer("tx.sent/1", {"hash": text}, [text])


def tell_inclusion(session: NodeSession, extrinsic: bytes, inclusion: Inclusion) -> None:
    """Answer with block, events and fee; raise WalletError if the chain undid the call."""
    fields = inclusion_fields(session, extrinsic, inclusion)
    session.console.answer(
        "tx.result/1", fields, inclusion_lines(session, fields["hash"], inclusion)
    )
    check_done(inclusion)


def inclusion_fields(
    session: NodeSession, extrinsic: bytes, inclusion: Inclusion
) -> dict[str, Any]:
    """Return what became of a transaction, for JSON."""
    decoded = decode_extrinsic(extrinsic)
    call = describe_call(session.chain.metadata, decoded.call)
    error = inclusion.error
    return {
        "hash": to_hex(decoded.hash),
        "call": call["call"],
        "args": call["args"],
        "block": {
            "height": inclusion.height,
            "hash": to_hex(inclusion.block_hash),
            "index": inclusion.index,
        },
        "fee": None if inclusion.fee is None else str(inclusion.fee),
        "events": [{"event": e["event"], "fields": e["fields"]} for e in inclusion.events],
        "success": error is None,
        "error": None if error is None else {"name": error[0], "docs": error[1]},
    }


def inclusion_lines(session: NodeSession, extrinsic_hash: str, inclusion: Inclusion) -> list[str]:
    """Return what became of a transaction, for people."""
    rows = [
        ("block", f"#{inclusion.height} {to_hex(inclusion.block_hash)} (final)"),
        ("hash", extrinsic_hash),
    ]
    if inclusion.fee is not None:
        rows.append(("fee", show_amount(inclusion.fee)))
    return pairs(rows) + event_lines(session, inclusion)


def check_done(inclusion: Inclusion) -> None:
    """Raise WalletError if the chain undid the call."""
    if inclusion.error is not None:
        name, docs = inclusion.error
        raise WalletError(
            f"the call failed in block {inclusion.height} and was undone, the fee is paid: {name}",
            docs,
        )


def event_lines(session: NodeSession, inclusion: Inclusion) -> list[str]:
    """Return one line an event, amounts with their unit."""
    events = session.chain.events(inclusion.block_hash, for_people=True)
    chosen = [event for event in events if event["extrinsic"] == inclusion.index]
    return ["events", *(f"  {event_line(event)}" for event in chosen)]


def event_line(event: dict[str, Any]) -> str:
    """Return an event in one line: Balances.Transfer from=... to=... amount=..."""
    shown = {name: value for name, value in event["fields"].items() if name != "dispatch_info"}
    if isinstance(shown.get("dispatch_error"), dict):
        shown["dispatch_error"] = describe_failure(shown["dispatch_error"])[0]
    fields = " ".join(f"{name}={_short(value)}" for name, value in shown.items())
    return f"{event['event']} {fields}".rstrip()


def tell_dry_run(session: NodeSession, extrinsic: bytes) -> None:
    """Answer with what the transaction would do in the next block; nothing is sent."""
    outcome = session.chain.dry_run(extrinsic)
    error = None if outcome.error is None else {"name": outcome.error[0], "docs": outcome.error[1]}
    fields = {
        "success": outcome.error is None,
        "error": error,
        "fee": None if outcome.fee is None else str(outcome.fee),
        "events": [{"event": e["event"], "fields": e["fields"]} for e in outcome.events],
        "changes": [
            {"address": c.address, "free_before": str(c.before), "free_after": str(c.after)}
            for c in outcome.changes
        ],
    }
    lines = [
        f"{c.address}  {show_amount(c.before)} -> {show_amount(c.after)}" for c in outcome.changes
    ]
    verdict = "It would succeed." if outcome.error is None else f"It would fail: {outcome.error[0]}"
    if outcome.fee is not None:
        lines.append(f"fee {show_amount(outcome.fee)}")
    session.console.answer("tx.dry-run/1", fields, [verdict, *lines])
    if outcome.error is not None:
        raise WalletError(f"it would fail: {outcome.error[0]}", outcome.error[1])


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else click.unstyle(str(value))
    return text if len(text) <= 160 else f"{text[:150]}… ({len(text)} characters)"
