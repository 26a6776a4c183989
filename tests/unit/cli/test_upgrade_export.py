"""An export over an upgrade: every block is read by the metadata of its own version."""

import json

from chain.wallet.chain_client import to_hex
from chain.wallet.derivation import derive
from runtime.metadata import metadata_v14
from runtime.transaction import IMMORTAL, encode_transaction
from runtime.versions import VERSIONS
from tests.support.upgrades import drill

RULES = drill().table.newest
WRITE = RULES.make_runtime(2).dispatcher.encode("Guestbook", "write", b"here")
SIGNED = encode_transaction(
    signer=derive("//Alice").public, signature=bytes(64), era=IMMORTAL, nonce=0, tip=0, call=WRITE
)


def test_a_call_is_read_by_the_rules_of_its_block_and_each_version_is_asked_once(
    gristmill, node, tmp_path
):
    chain = node.chain
    chain.metadata = metadata_v14(VERSIONS.newest)
    chain.blocks = [[], [SIGNED], [SIGNED], [SIGNED]]
    chain.versions = dict.fromkeys((2, 3), (2, metadata_v14(RULES)))
    result = gristmill("export", "txs", "--json")
    assert (result.code, result.err) == (0, "")
    lines = (tmp_path / "export" / "txs.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["call"] for row in rows] == [None, "Guestbook.write", "Guestbook.write"]
    assert rows[0]["args"] == {"bytes": to_hex(WRITE)}, "version 1 had no guestbook"
    assert chain.asked.count("state_getMetadata") == 2
