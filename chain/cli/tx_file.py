"""`gristmill tx build|sign|submit|decode|dry-run`: a transaction as a file between machines.

The machine that signs needs no network. It decodes the call with the metadata of its own installed
release, never with what the file claims, and refuses a file for another runtime version.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.calls import encode_call
from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.passwords import password_options
from chain.cli.sending import tell_dry_run, tell_inclusion, tell_sent, wait_for
from chain.cli.session import Passwords, Session
from chain.cli.tx import CallCommand, tell_help
from chain.wallet.amounts import parse_amount, show_amount
from chain.wallet.chain_client import DEV_CHAIN_TYPES, parse_hex, parse_int, to_hex
from chain.wallet.cursor import Cursor
from chain.wallet.errors import BadContent, NotFound, WrongUse
from chain.wallet.extrinsic import (
    ERA_PERIOD,
    EXTRINSIC_LENGTH_MAX,
    Draft,
    assemble,
    decode_extrinsic,
    describe_call,
    read_era,
    sign_draft,
    verify_extrinsic,
)
from chain.wallet.keyring import write_private_file
from chain.wallet.metadata import METADATA_LENGTH_MAX, Metadata, decode_metadata
from chain.wallet.ss58 import decode_account, encode_address

FILE_SCHEMA: Final = "gristmill.tx/1"
"""The format of the file; another number is another format."""

FILE_LENGTH_MAX: Final = 4 * EXTRINSIC_LENGTH_MAX + 4096
"""Bytes of a transaction file: two hex copies of the largest call."""


@click.command(cls=CallCommand)
@click.argument("call", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--from", "signer", metavar="WHO", help="Who will sign.")
@click.option("--tip", default="0", metavar="GRIST", help="Pay this much more to go first.")
@click.option("--lifetime", type=int, default=ERA_PERIOD, show_default=True,
              help="Blocks until it expires, a power of two; 0 is for ever.")  # fmt: skip
@click.option("--nonce", type=int, help="The number of the account's transaction.")
@click.option("--out", metavar="FILE", help="Write to a file instead of stdout.")
@click.pass_context
def build(ctx: click.Context, /, call: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Write CALL with its --arguments as an unsigned transaction, to be signed elsewhere."""
    session: NodeSession = ctx.obj
    if ctx.meta["gristmill.help"]:
        tell_help(session, call)
        return
    party = session.signer(options["signer"])
    content = encode_call(session, call, arguments)
    draft = session.chain.draft(
        content,
        party.public,
        period=options["lifetime"],
        nonce=options["nonce"],
        tip=parse_amount(options["tip"]),
    )
    fee = session.chain.fee(assemble(draft, party.public, bytes(64)))
    document = _write_document(session, draft, party.public)
    document["fee_estimate"] = str(fee)
    _emit(session, document, options["out"])


@click.command(cls=Command, has_keys=True)
@click.argument("file")
@click.option("--from", "signer", metavar="WHO", help="Who signs, if not whom the file names.")
@click.option("--out", metavar="FILE", help="Write to a file instead of stdout.")
@click.option("--metadata", "metadata_file", metavar="FILE",
              help="0x metadata of the chain, if this release is not the chain's.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@password_options
@click.pass_obj
def sign(session: Session, /, file: str, **options: Any) -> None:
    """Sign the transaction in FILE; shows the decoded call first and needs no network."""
    document = read_document(file)
    draft, signer = _read_draft(document)
    party = session.signer(options["signer"] or signer)
    if party.address != signer:
        raise WrongUse(f"the transaction is for {signer}, not for {party.label}")
    metadata = _trusted_metadata(draft, options["metadata_file"])
    decoded = describe_call(metadata, draft.call, for_people=True)
    rows = [("call", decoded["call"])]
    rows += [(f"  {name}", str(value)[:160]) for name, value in decoded["args"].items()]
    rows += [
        ("genesis", to_hex(draft.genesis_hash)),
        ("from", party.address),
        ("nonce", str(draft.nonce)),
        ("tip", show_amount(draft.tip)),
        ("lifetime", f"{draft.era.period} blocks" if draft.era.period else "for ever"),
    ]
    for line in pairs(rows):
        session.console.note(line)
    if not session.console.ask("Sign it?", assume=options["yes"]):
        raise WrongUse("nothing was signed")
    passwords = Passwords(session, options["password_file"], from_stdin=options["password_stdin"])
    pair = session.unlock(party, passwords, is_dev_chain=_is_dev(document))
    extrinsic = sign_draft(draft, pair)
    document["extrinsic"] = to_hex(extrinsic)
    document["hash"] = to_hex(decode_extrinsic(extrinsic).hash)
    _emit(session, document, options["out"])


@click.command(cls=NodeCommand)
@click.argument("source", metavar="FILE|0xHEX|-")
@click.option("--no-wait", is_flag=True, help="Do not wait for finality.")
@click.pass_obj
def submit(
    session: NodeSession,
    source: str,
    no_wait: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Send a signed transaction and follow it to finality."""
    extrinsic = read_signed(source)
    decoded = decode_extrinsic(extrinsic)
    if decoded.signed is None:
        raise BadContent("only signed transactions can be sent")
    height, _ = session.chain.finalized()
    extrinsic_hash = session.chain.submit(extrinsic)
    if no_wait:
        tell_sent(session, extrinsic_hash)
        return
    death = decoded.signed.era.death(height)
    inclusion = wait_for(session, extrinsic_hash, height + 1, death)
    tell_inclusion(session, extrinsic, inclusion)


@click.command(cls=NodeCommand)
@click.argument("source", metavar="FILE|0xHEX|-")
@click.option("--offline", is_flag=True, help="Use this release's metadata; ask no node.")
@click.pass_obj
def decode(
    session: NodeSession,
    source: str,
    offline: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Show what a transaction says, and for a file whether its signature is right."""
    document = None if source.startswith("0x") else read_document(source)
    content = _call_source(source, document)
    metadata = _local_metadata() if offline else session.chain.metadata
    decoded = decode_extrinsic(content)
    signed = decoded.signed
    call = describe_call(metadata, decoded.call)
    is_valid = None
    if document is not None:
        is_valid = verify_extrinsic(decoded, _read_draft(document)[0])
    fields = {
        "hash": to_hex(decoded.hash),
        "length": decoded.length,
        "signer": None if signed is None else encode_address(signed.signer),
        "signature": None if signed is None else to_hex(signed.signature),
        "nonce": None if signed is None else signed.nonce,
        "tip": None if signed is None else str(signed.tip),
        "lifetime": None if signed is None else signed.era.period,
        "is_signature_valid": is_valid,
        **call,
    }
    rows = [(name, "" if value is None else str(value)) for name, value in fields.items()]
    session.console.answer("tx.decode/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("source", metavar="FILE|0xHEX|-")
@click.pass_obj
def dry_run(session: NodeSession, source: str) -> None:
    """Show what a signed transaction would do in the next block; nothing is sent."""
    tell_dry_run(session, read_signed(source))


def read_signed(source: str) -> bytes:
    """Return the signed transaction of a file, of 0x hex, or of stdin."""
    if source.startswith("0x"):
        return parse_hex(source)
    return _call_source(source, read_document(source))


def read_document(source: str) -> dict[str, Any]:
    """Return the checked JSON of a transaction file; `-` is stdin."""
    try:
        if source == "-":
            content = sys.stdin.buffer.read(FILE_LENGTH_MAX + 1)
        else:
            with Path(source).open("rb") as file:
                content = file.read(FILE_LENGTH_MAX + 1)
    except OSError as error:
        raise NotFound(f"{source!r} cannot be read: {error.strerror}") from None
    if len(content) > FILE_LENGTH_MAX:
        raise BadContent(f"a transaction file has at most {FILE_LENGTH_MAX} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise BadContent(
            f"{source!r} is not JSON", "gristmill tx build writes such files"
        ) from None
    if not isinstance(document, dict) or document.get("schema") != FILE_SCHEMA:
        raise BadContent(f"{source!r} is not a transaction file of the format {FILE_SCHEMA}")
    return document


def _call_source(source: str, document: dict[str, Any] | None) -> bytes:
    if document is None:
        return parse_hex(source)
    if document.get("extrinsic") is None:
        raise BadContent("the transaction is not signed yet", "gristmill tx sign FILE signs it")
    return parse_hex(document["extrinsic"])


def _write_document(session: NodeSession, draft: Draft, signer: bytes) -> dict[str, Any]:
    return {
        "schema": FILE_SCHEMA,
        "chain": session.chain.identity.name,
        "chain_type": session.chain.identity.chain_type,
        "signer": encode_address(signer),
        "decoded": describe_call(session.chain.metadata, draft.call),
        "call": to_hex(draft.call),
        "era": to_hex(draft.era.encode()),
        "nonce": draft.nonce,
        "tip": str(draft.tip),
        "genesis_hash": to_hex(draft.genesis_hash),
        "anchor_hash": to_hex(draft.anchor_hash),
        "spec_version": draft.spec_version,
        "transaction_version": draft.transaction_version,
        "extrinsic": None,
        "hash": None,
    }


def _read_draft(document: dict[str, Any]) -> tuple[Draft, str]:
    signer = document.get("signer")
    if not isinstance(signer, str):
        raise BadContent("the transaction file does not name its signer")
    decode_account(signer)
    cursor = Cursor(parse_hex(document.get("era")))
    era = read_era(cursor)
    cursor.finish()
    draft = Draft(
        call=parse_hex(document.get("call")),
        era=era,
        nonce=_within(document, "nonce", 32),
        tip=_within(document, "tip", 128),
        genesis_hash=parse_hex(document.get("genesis_hash"), 32),
        anchor_hash=parse_hex(document.get("anchor_hash"), 32),
        spec_version=_within(document, "spec_version", 32),
        transaction_version=_within(document, "transaction_version", 32),
    )
    return draft, signer


def _within(document: dict[str, Any], name: str, bits: int) -> int:
    value = parse_int(document.get(name))
    if not 0 <= value < 1 << bits:
        raise BadContent(f"the {name} of the transaction file does not fit {bits} bits")
    return value


def _is_dev(document: dict[str, Any]) -> bool:
    """Tell whether the file is for a development chain; a lie only misleads a published key."""
    return document.get("chain_type") in DEV_CHAIN_TYPES


def _trusted_metadata(draft: Draft, file: str | None) -> Metadata:
    if file is not None:
        try:
            with Path(file).open(encoding="ascii") as source:
                text = source.read(2 * METADATA_LENGTH_MAX + 4).strip()
        except (OSError, UnicodeDecodeError):
            raise NotFound(f"the metadata file {file!r} cannot be read") from None
        return decode_metadata(parse_hex(text))
    table = importlib.import_module("runtime.versions").VERSIONS
    rules = table.find(draft.spec_version)
    known = importlib.import_module("runtime.block").TRANSACTION_VERSION
    if rules is None or draft.transaction_version != known:
        raise BadContent(
            f"the transaction is for runtime {draft.spec_version}, "
            f"this release knows {table.newest.version}",
            "install the release of the chain, or give --metadata from a node that you trust",
        )
    return decode_metadata(importlib.import_module("runtime.metadata").metadata_v14(rules))


def _local_metadata() -> Metadata:
    return decode_metadata(importlib.import_module("runtime.metadata").metadata_v14())


def _emit(session: Session, document: dict[str, Any], out: str | None) -> None:
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    if out is None:
        click.echo(text)
        return
    write_private_file(Path(out), text.encode() + b"\n", replace=False)
    fields = {"file": out, "hash": document["hash"]}
    session.console.answer("tx.file/1", fields, [f"Wrote {out}."])
