"""`gristmill chain state`: any storage value by its name, decoded by the metadata."""

import json
from typing import Any, Final

import click

from chain.cli.console import pairs
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.chain_client import parse_hex, to_hex
from chain.wallet.decoding import Decoder, read_map_keys
from chain.wallet.errors import BadContent, WrongUse
from chain.wallet.metadata import Module, StorageItem

LIMIT_MAX: Final = 1000
"""Entries of a map shown at once; the node's page."""


@click.command(cls=NodeCommand)
@click.argument("item")
@click.argument("keys", nargs=-1)
@click.option("--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash.")
@click.option("--limit", type=click.IntRange(1, LIMIT_MAX), default=100, show_default=True)
@click.option("--raw", is_flag=True, help="Show the bytes, not what they mean.")
@click.pass_obj
def state(
    session: NodeSession,
    item: str,
    keys: tuple[str, ...],
    at: str,
    limit: int,
    raw: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Read storage ITEM (Module.Item) for KEYS; a map without keys is listed."""
    module, found = session.chain.metadata.storage(item)
    height, block_hash = session.chain.find_block(at)
    key = session.encoder.storage_key(module, found, list(keys))
    if len(keys) == len(found.hashers):
        content = session.chain.storage(key, block_hash)
        entries = [{"keys": list(keys), "value": _value(session, found, content, raw=raw)}]
    else:
        if keys:
            raise WrongUse(f"{item} takes {len(found.hashers)} keys, or none to list them all")
        entries = _list(session, found, key, block_hash, limit=limit, raw=raw)
    name = f"{module.name}.{found.name}"
    fields = {
        "item": name,
        "entries": entries,
        "block": {"height": height, "hash": to_hex(block_hash)},
    }
    session.console.answer("chain.state/1", fields, _lines(module, found, entries))


def _list(
    session: NodeSession,
    item: StorageItem,
    prefix: bytes,
    block_hash: bytes,
    *,
    limit: int,
    raw: bool,
) -> list[dict[str, Any]]:
    page = session.rpc.call("state_getKeysPaged", to_hex(prefix), limit, None, to_hex(block_hash))
    if not isinstance(page, list):
        raise BadContent("the node's page of keys is not a list")
    entries = []
    for text in page[:limit]:
        key = parse_hex(text)
        names = read_map_keys(session.chain.metadata, item, key[len(prefix) :])
        content = session.chain.storage(key, block_hash)
        entries.append({"keys": names, "value": _value(session, item, content, raw=raw)})
    return entries


def _value(session: NodeSession, item: StorageItem, content: bytes | None, *, raw: bool) -> Any:
    if content is None:
        if item.is_optional:
            return None
        content = item.default
    if raw:
        return to_hex(content)
    return Decoder(session.chain.metadata).decode(item.value_type, content)


def _lines(module: Module, item: StorageItem, entries: list[dict[str, Any]]) -> list[str]:
    name = f"{module.name}.{item.name}"
    return pairs(
        (" ".join([name, *(str(key) for key in entry["keys"])]), json.dumps(entry["value"]))
        for entry in entries
    )
