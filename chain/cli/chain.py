"""`gristmill chain`: the chain as a node tells it."""

import json
from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import event_line
from chain.wallet.chain_client import Block, to_hex
from chain.wallet.decoding import Decoder
from chain.wallet.errors import WalletError, WrongUse
from chain.wallet.extrinsic import Extrinsic, decode_extrinsic, describe_call
from chain.wallet.ss58 import encode_address

chain = LazyGroup(
    "chain",
    places={
        "info": Place("chain.cli.chain:info", "Show which chain it is and how it moves."),
        "spec": Place("chain.cli.chain:spec", "Show versions, properties and constants."),
        "block": Place("chain.cli.chain:block", "Show a block with its transactions."),
        "state": Place("chain.cli.state:state", "Read storage by name."),
        "schedule": Place(
            "chain.cli.schedule:schedule", "Show how much may be minted, era by era."
        ),
        "versions": Place("chain.cli.upgrade:versions", "List the rules this release knows."),
        "rehearse-upgrade": Place(
            "chain.cli.upgrade:rehearse_upgrade", "Do an upgrade on a copy of a node's state."
        ),
        "events": Place("chain.cli.chain:events", "Show the events of a block."),
        "rpc": Place("chain.cli.chain:rpc", "Call any method of the node."),
    },
    help="Look at blocks, state and events.",
)


@click.command(cls=NodeCommand)
@click.pass_obj
def info(session: NodeSession) -> None:
    """Show which chain it is, its height, and how the node fares."""
    identity = session.chain.identity
    height, block_hash = session.chain.finalized()
    name, version, health = (
        session.rpc.call(method) for method in ("system_name", "system_version", "system_health")
    )
    peers = health.get("peers") if isinstance(health, dict) else None
    is_syncing = bool(isinstance(health, dict) and health.get("isSyncing"))
    fields = {
        "chain": identity.name,
        "chain_type": identity.chain_type,
        "genesis_hash": to_hex(identity.genesis_hash),
        "spec_version": identity.spec_version,
        "transaction_version": identity.transaction_version,
        "finalized": {"height": height, "hash": to_hex(block_hash)},
        "node": {
            "name": str(name),
            "version": str(version),
            "peers": peers,
            "is_syncing": is_syncing,
            "url": session.rpc.url,
        },
    }
    rows = [
        ("chain", f"{identity.name} ({identity.chain_type})"),
        ("genesis", to_hex(identity.genesis_hash)),
        ("finalized", f"#{height} {to_hex(block_hash)}"),
        ("runtime", f"{identity.spec_name} {identity.spec_version}"),
        ("node", f"{name} {version} at {session.rpc.url}"),
        ("peers", f"{peers}{', syncing' if is_syncing else ''}"),
    ]
    session.console.answer("chain.info/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.pass_obj
def spec(session: NodeSession) -> None:
    """Show the versions, the token and the constants of every module."""
    metadata, identity = session.chain.metadata, session.chain.identity
    properties = session.rpc.call("system_properties")
    decoder = Decoder(metadata)
    constants = {
        f"{module.name}.{one.name}": decoder.decode(one.type_id, one.value)
        for module in metadata.modules.values()
        for one in module.constants.values()
    }
    modules = {module.name: module.index for module in metadata.modules.values()}
    fields = {
        "chain": identity.name,
        "chain_type": identity.chain_type,
        "genesis_hash": to_hex(identity.genesis_hash),
        "spec_name": identity.spec_name,
        "spec_version": identity.spec_version,
        "transaction_version": identity.transaction_version,
        "properties": properties,
        "modules": modules,
        "constants": constants,
    }
    rows = [
        ("chain", f"{identity.name} ({identity.chain_type})"),
        ("genesis", to_hex(identity.genesis_hash)),
        ("runtime", f"{identity.spec_name} {identity.spec_version}"),
        ("transactions", f"version {identity.transaction_version}"),
        ("modules", " ".join(f"{name}={index}" for name, index in modules.items())),
    ]
    rows += [(name, json.dumps(value)) for name, value in constants.items()]
    session.console.answer("chain.spec/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("which", default="finalized")
@click.pass_obj
def block(session: NodeSession, which: str) -> None:
    """Show block WHICH (a height, a 0x hash, or `finalized`) with its transactions."""
    _, block_hash = session.chain.find_block(which)
    found = session.chain.block(block_hash)
    fields = describe_block(session, found)
    header = found.header
    rows = [
        ("block", f"#{found.height} {to_hex(block_hash)}"),
        ("parent", header.get("parentHash")),
        ("state", header.get("stateRoot")),
        ("extrinsics", header.get("extrinsicsRoot")),
        ("contains", f"{len(found.extrinsics)} extrinsics"),
    ]
    lines = pairs(rows) + [_extrinsic_line(one) for one in fields["extrinsics"]]
    session.console.answer("chain.block/1", fields, lines)


def describe_block(session: NodeSession, found: Block) -> dict[str, Any]:
    """Return a block with its extrinsics decoded."""
    decoded = [decode_extrinsic(content) for content in found.extrinsics]
    return {
        "height": found.height,
        "hash": to_hex(found.hash),
        "header": found.header,
        "extrinsics": [
            describe_extrinsic(session, index, one) for index, one in enumerate(decoded)
        ],
    }


def describe_extrinsic(session: NodeSession, index: int, one: Extrinsic) -> dict[str, Any]:
    """Return an extrinsic with its call decoded; a call of another release stays hex."""
    try:
        call = describe_call(session.chain.metadata, one.call)
    except WalletError:
        call = {"call": None, "args": {"bytes": to_hex(one.call)}}
    signed = one.signed
    return {
        "index": index,
        "hash": to_hex(one.hash),
        "signer": None if signed is None else encode_address(signed.signer),
        "nonce": None if signed is None else signed.nonce,
        "tip": None if signed is None else str(signed.tip),
        **call,
    }


@click.command(cls=NodeCommand)
@click.argument("which", default="finalized")
@click.pass_obj
def events(session: NodeSession, which: str) -> None:
    """Show the events of block WHICH (a height, a 0x hash, or `finalized`)."""
    height, block_hash = session.chain.find_block(which)
    found = session.chain.events(block_hash)
    shown = session.chain.events(block_hash, for_people=True)
    fields = {"height": height, "hash": to_hex(block_hash), "events": found}
    lines = [f"{_phase(event):<14} {event_line(event)}" for event in shown]
    session.console.answer("chain.events/1", fields, lines)


@click.command(cls=NodeCommand)
@click.argument("method")
@click.argument("params", nargs=-1)
@click.pass_obj
def rpc(session: NodeSession, method: str, params: tuple[str, ...]) -> None:
    """Call METHOD of the node with PARAMS, each JSON or plain text."""
    result = session.rpc.call(method, *(_read_param(one) for one in params))
    text = json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False)
    session.console.answer("chain.rpc/1", {"method": method, "result": result}, [text])


def _phase(event: dict[str, Any]) -> str:
    index = event["extrinsic"]
    return str(event["phase"]) if index is None else f"extrinsic {index}"


def _extrinsic_line(one: dict[str, Any]) -> str:
    args = " ".join(f"{name}={str(value)[:60]}" for name, value in one["args"].items())
    signer = one["signer"] or "inherent"
    return f"  {one['index']}  {signer}  {one['call']} {args}".rstrip()


def _read_param(text: str) -> Any:
    if text[:1] not in {"[", "{", '"'} and text not in {"true", "false", "null"}:
        return int(text) if text.isascii() and text.isdecimal() else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise WrongUse(f"{text[:40]!r} is not JSON") from None
