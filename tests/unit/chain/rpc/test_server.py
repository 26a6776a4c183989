"""What the server answers on a real loopback socket: calls, a probe, what is not offered."""

import json

from chain.rpc.view import Refused
from tests.support.rpc_client import Client, run


def test_a_call_is_answered_over_http() -> None:
    async def test(client: Client) -> None:
        assert (await client.call("system_chain"))["result"] == "Fake"
        assert (await client.call("system_accountNextIndex", "0x" + "05" * 32))["result"] == 5

    run(test)


def test_headers_and_blocks_are_found_by_hash_and_by_number() -> None:
    async def test(client: Client) -> None:
        first = client.node.add_block()
        found = (await client.call("chain_getBlockHash", 1))["result"]
        assert found == "0x" + first.block_id.hex()
        assert (await client.call("chain_getBlockHash", "0x1"))["result"] == found
        assert (await client.call("chain_getBlockHash", [0, 1, 9]))["result"][1:] == [found, None]
        header = (await client.call("chain_getHeader", found))["result"]
        assert header["number"] == "0x1"
        assert len(header["digest"]["logs"]) == 2
        block = (await client.call("chain_getBlock", found))["result"]
        assert block["block"]["extrinsics"] == ["0x0404", "0x080407"]
        assert block["justifications"] == [[list(b"GRST"), list(b"commit")]]
        assert (await client.call("chain_getHeader", "0x" + "00" * 32))["result"] is None

    run(test)


def test_storage_is_read_paged_and_pruned_state_is_named() -> None:
    async def test(client: Client) -> None:
        client.node.state = {b"ab1": b"1", b"ab2": b"2", b"b": b"3"}
        assert (await client.call("state_getStorage", "0x616231"))["result"] == "0x31"
        keys = (await client.call("state_getKeysPaged", "0x6162", 1, "0x616231"))["result"]
        assert keys == ["0x616232"]
        for _ in range(150):
            client.node.add_block()
        genesis = "0x" + client.node.headers[0].block_id.hex()
        error = (await client.call("state_getStorage", "0x61", genesis))["error"]
        assert (error["code"], error["data"]) == (4003, "the state at 0 is gone")

    run(test)


def test_events_of_a_block_are_served_from_its_receipts() -> None:
    async def test(client: Client) -> None:
        client.node.add_block()
        key = "0x26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7"
        assert (await client.call("state_getStorage", key))["result"] == "0x04" + b"event".hex()

    run(test)


def test_a_refused_extrinsic_says_why_in_substrates_number_and_a_sentence() -> None:
    async def test(client: Client) -> None:
        client.node.refusal = Refused(1010, "the signature does not match")
        error = (await client.call("author_submitExtrinsic", "0x00"))["error"]
        assert error == {
            "code": 1010,
            "message": "Invalid Transaction",
            "data": "the signature does not match",
        }

    run(test)


def test_evidence_is_handed_in_and_refused_with_its_fault() -> None:
    async def test(client: Client) -> None:
        answers = [await client.call("gristmill_v1_submitEvidence", "0x0102") for _ in range(2)]
        assert [answer["result"] for answer in answers] == [{"isNew": True}, {"isNew": False}]
        client.node.refusal = Refused(1020, "the two votes say the same")
        error = (await client.call("gristmill_v1_submitEvidence", "0x0102"))["error"]
        assert error == {
            "code": 1020,
            "message": "Invalid Evidence",
            "data": "the two votes say the same",
        }

    run(test)


def test_a_subscription_over_http_is_refused_with_the_remedy() -> None:
    async def test(client: Client) -> None:
        error = (await client.call("chain_subscribeNewHeads"))["error"]
        assert "WebSocket" in error["message"]

    run(test)


def test_unsafe_methods_are_served_only_where_allowed() -> None:
    async def refused(client: Client) -> None:
        assert (await client.call("system_peers"))["error"]["code"] == -32601

    async def served(client: Client) -> None:
        assert (await client.call("system_peers"))["result"][0]["peerId"] == "other"

    run(refused)
    run(served, allow_unsafe=True)


def test_probes_tell_health_readiness_and_metrics() -> None:
    async def test(client: Client) -> None:
        status, _, body = await client.http("GET", "/health")
        assert (status, json.loads(body)["ready"]) == (200, True)
        assert (await client.http("GET", "/readiness"))[0] == 200
        client.node.ready = False
        assert (await client.http("GET", "/readiness"))[0] == 503
        assert (await client.http("HEAD", "/health"))[2] == b""
        _, _, metrics = await client.http("GET", "/metrics")
        assert b'gristmill_block_height{status="finalized"} 0' in metrics
        assert b"gristmill_rpc_connections 1" in metrics

    run(test)


def test_the_discovery_document_lists_every_method_that_is_offered() -> None:
    async def test(client: Client) -> None:
        names = set((await client.call("rpc_methods"))["result"]["methods"])
        document = (await client.call("rpc.discover"))["result"]
        described = {method["name"] for method in document["methods"]}
        assert described <= names
        assert all(method["summary"] for method in document["methods"])
        assert {"chain_getBlock", "state_getMetadata", "author_submitExtrinsic"} <= described

    run(test)


def test_a_node_without_an_account_index_says_so_instead_of_an_empty_history() -> None:
    async def test(client: Client) -> None:
        client.node.add_block()
        client.node.is_indexed = False
        error = (await client.call("gristmill_v1_history", "0x" + "05" * 32))["error"]
        assert error["message"] == "No account index"
        assert "--account-index" in error["data"]

    run(test)
