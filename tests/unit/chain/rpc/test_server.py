"""The server on real loopback sockets, inside one trio loop: what it serves and what it refuses."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.events import Message as WsMessage
from wsproto.utilities import RemoteProtocolError

from chain.errors import StorageError
from chain.log import silent_log
from chain.rpc.limits import CallBudget, RpcLimits
from chain.rpc.server import RpcServer
from chain.rpc.view import Refused
from chain.seams import SystemClock
from tests.support.fake_node import FakeNode

Test = Callable[["Client"], Awaitable[None]]

PATIENCE = 60
"""Seconds for an answer that comes."""


class Client:
    """Speaks to the server under test."""

    def __init__(self, node: FakeNode, port: int) -> None:
        self.node = node
        self.port = port

    async def open(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, read to the end."""
        async with await self.open() as stream:
            await stream.send_all(data)
            out = b""
            with trio.move_on_after(PATIENCE):
                while chunk := await stream.receive_some(65536):
                    out += chunk
            return out

    async def http(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        given = {"host": "127.0.0.1", "connection": "close", "content-length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        out = await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        top, _, rest = out.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), fields, rest

    async def call(self, name: str, *params: object) -> dict[str, object]:
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
        _, _, body = await self.http(
            "POST", "/", json.dumps(request).encode(), content_type="application/json"
        )
        answer: dict[str, object] = json.loads(body)
        return answer

    @asynccontextmanager
    async def websocket(self, **headers: str) -> AsyncIterator["Socket"]:
        async with await self.open() as stream:
            socket = Socket(stream)
            extra = [(name.encode(), value.encode()) for name, value in headers.items()]
            await socket.send(Request(host="127.0.0.1", target="/", extra_headers=extra))
            yield socket


class Socket:
    """The client's end of a WebSocket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.text = ""

    async def send(self, event: Event) -> None:
        await self.stream.send_all(self.ws.send(event))

    async def receive(self) -> Event:
        with trio.fail_after(PATIENCE):
            while True:
                for event in self.ws.events():
                    return event
                self.ws.receive_data(await self.stream.receive_some(65536) or None)

    async def ask(self, name: str, *params: object) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
        await self.send(WsMessage(data=json.dumps(request)))

    async def hear(self) -> dict[str, object]:
        while True:
            event = await self.receive()
            if isinstance(event, TextMessage):
                self.text += event.data
                if event.message_finished:
                    answer: dict[str, object] = json.loads(self.text)
                    self.text = ""
                    return answer
            assert not isinstance(event, CloseConnection | RejectConnection), event

    async def hear_for_ever(self) -> None:
        while True:
            await self.hear()


def run(test: Test, limits: RpcLimits | None = None, *, allow_unsafe: bool = False) -> None:
    """Run a test against a server of its own."""

    async def main() -> None:
        node = FakeNode()
        server = RpcServer(
            node, limits or RpcLimits(), silent_log(SystemClock()), allow_unsafe=allow_unsafe
        )
        with trio.fail_after(2 * PATIENCE):
            async with trio.open_nursery() as nursery:
                listeners = await nursery.start(partial(server.serve, "127.0.0.1", 0))
                await test(Client(node, listeners[0].socket.getsockname()[1]))
                nursery.cancel_scope.cancel()

    trio.run(main)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


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


def test_a_subscription_hears_its_id_before_its_first_notification() -> None:
    async def test(client: Client) -> None:
        async with client.websocket() as socket:
            assert isinstance(await socket.receive(), AcceptConnection)
            await socket.ask("chain_subscribeFinalizedHeads")
            identity = (await socket.hear())["result"]
            first = await socket.hear()
            assert first["method"] == "chain_finalizedHead"
            assert first["params"]["subscription"] == identity
            client.node.add_block()
            second = await socket.hear()
            assert second["params"]["result"]["number"] == "0x1"
            await socket.ask("chain_unsubscribeFinalizedHeads", identity)
            assert (await socket.hear())["result"] is True
            await socket.ask("chain_unsubscribeFinalizedHeads", identity)
            assert (await socket.hear())["result"] is False

    run(test)


def test_a_watched_extrinsic_is_followed_to_finality() -> None:
    async def test(client: Client) -> None:
        async with client.websocket() as socket:
            await socket.receive()
            await socket.ask("author_submitAndWatchExtrinsic", "0x0404")
            assert isinstance((await socket.hear())["result"], str)
            steps = [(await socket.hear())["params"]["result"] for _ in range(3)]
            block = "0x" + client.node.head().block_id.hex()
            assert steps == ["ready", {"inBlock": block}, {"finalized": block}]

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


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET /../x HTTP/1.1\r\nHost: localhost:9944\r\nConnection: close\r\n\r\n", 404),
        (b"DELETE / HTTP/1.1\r\nHost: [::1]:9944\r\nConnection: close\r\n\r\n", 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2000000\r\n\r\n" + b" " * 1_100_000,
            413,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nTRANSFER\r\n\r\n".replace(
                b"TRANSFER", b"transfer-encoding: chunked"
            ),
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost:1@evil.example\r\n\r\n", 403),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n", 413),
    ],
)
def test_hostile_bytes_get_a_numbered_refusal_and_the_server_goes_on(
    data: bytes, status: int
) -> None:
    async def test(client: Client) -> None:
        assert status_of(await client.raw(data)) == status
        assert (await client.call("system_chain"))["result"] == "Fake"

    run(test)


UPGRADE = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
KEYED = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    "data",
    [
        UPGRADE + b"Connection: Upgrade\r\n\r\n",
        UPGRADE + b"Connection: close\r\n" + KEYED + b"\r\n",
        UPGRADE + b"Connection: Upgrade\r\nSec-WebSocket-Version: 99\r\n\r\n",
        UPGRADE + b"Connection: Upgrade, \xff\r\n" + KEYED + b"\r\n",
        UPGRADE + b"Connection: Upgrade\r\nSec-WebSocket-Extensions: \xfc\r\n" + KEYED + b"\r\n",
        UPGRADE.replace(b"GET", b"POST") + b"Connection: Upgrade\r\n" + KEYED + b"\r\n",
    ],
    ids=["no key", "no upgrade", "version", "connection", "extensions", "method"],
)
def test_a_bad_websocket_handshake_is_refused_and_the_server_goes_on(data: bytes) -> None:
    async def test(client: Client) -> None:
        assert status_of(await client.raw(data)) == 400
        assert (await client.call("system_chain"))["result"] == "Fake"

    run(test)


@pytest.mark.parametrize("member", ["id", "method"])
def test_half_a_character_is_refused_and_the_server_goes_on(member: str) -> None:
    async def test(client: Client) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": "x"} | {member: "\ud800"}
        _, _, body = await client.http(
            "POST", "/", json.dumps(request).encode(), content_type="application/json"
        )
        assert json.loads(body)["error"]["code"] == -32700
        async with client.websocket() as socket:
            await socket.receive()
            await socket.send(WsMessage(data=json.dumps(request)))
            assert (await socket.hear())["error"]["data"].startswith("a text has half")

    run(test)


def test_a_mistake_of_ours_ends_the_connection_that_met_it_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_node: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr("chain.rpc.server.health", fail)

    async def test(client: Client) -> None:
        assert await client.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        assert (await client.call("system_chain"))["result"] == "Fake"

    run(test)


@pytest.mark.parametrize("way", ["probe", "websocket"])
def test_a_failing_disk_is_not_the_connections_alone(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def fail(_node: object) -> None:
        raise StorageError("the disk")

    monkeypatch.setattr(FakeNode, "peers", fail)

    async def test(client: Client) -> None:
        if way == "probe":
            await client.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await trio.sleep_forever()
        async with client.websocket() as socket:
            await socket.receive()
            await socket.ask("system_health")
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        run(test)
    assert caught.group_contains(StorageError)


def test_fragments_of_a_message_count_in_bytes() -> None:
    async def test(client: Client) -> None:
        async with client.websocket() as socket:
            await socket.receive()
            for _ in range(251):
                await socket.send(WsMessage(data="\N{GRINNING FACE}", message_finished=False))
            event = await socket.receive()
            assert isinstance(event, CloseConnection)
            assert event.code == 1009

    run(test, RpcLimits(request_bytes_max=1_000))


def test_who_waits_to_be_told_to_go_on_is_told() -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    )

    async def test(client: Client) -> None:
        async with await client.open() as stream:
            await stream.send_all(head)
            with trio.fail_after(PATIENCE):
                assert (await stream.receive_some(64)).startswith(b"HTTP/1.1 100 ")
                await stream.send_all(b"{}")
                assert status_of(await stream.receive_some(4096)) == 200

    run(test)


def test_large_answers_that_nobody_reads_share_a_room_and_small_ones_do_not_need_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chain.rpc.server.health", lambda _node: "x" * (11 << 20))
    question = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def test(client: Client) -> None:
        deaf = [await client.open() for _ in range(5)]
        statuses = []
        for stream in deaf:
            await stream.send_all(question)
            statuses.append(status_of(await stream.receive_some(13)))
        assert statuses == [200, 200, 503, 503, 503]
        assert (await client.call("system_chain"))["result"] == "Fake"
        for stream in deaf:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await client.http("GET", "/health"))[0] == 200

    run(test)


def test_a_websocket_that_does_not_read_is_not_read_either() -> None:
    async def test(client: Client) -> None:
        client.node.chain = replace(client.node.chain, name="x" * (7 << 20))
        async with client.websocket() as socket:
            await socket.receive()
            for _ in range(6):
                await socket.ask("system_chain")
            await trio.testing.wait_all_tasks_blocked(0.05)
            _, _, page = await client.http("GET", "/metrics")
            begun = re.search(rb'started{method="system_chain"} (\d)', page)
            assert begun is not None
            assert int(begun[1]) < 6
            for _ in range(6):
                assert len(str((await socket.hear())["result"])) == 7 << 20

    run(test)


def test_a_form_of_a_web_page_cannot_post() -> None:
    async def test(client: Client) -> None:
        assert (await client.http("POST", "/", b"{}", content_type="text/plain"))[0] == 415
        assert (await client.http("POST", "/", b"{}"))[0] == 415

    run(test)


def test_only_listed_origins_may_call_and_read() -> None:
    async def test(client: Client) -> None:
        call = partial(client.http, "POST", "/", b"{}", content_type="application/json")
        status, headers, _ = await call(origin="https://evil.example")
        assert (status, "access-control-allow-origin" in headers) == (403, False)
        assert (await call(origin="http://localhost:3000@evil.example"))[0] == 403
        status, headers, _ = await call(origin="http://localhost:3000")
        assert status == 200
        assert headers["access-control-allow-origin"] == "http://localhost:3000"
        async with client.websocket(origin="https://evil.example") as socket:
            event = await socket.receive()
            assert isinstance(event, RejectConnection)
            assert event.status_code == 403

    run(test)


def test_too_many_subscriptions_are_refused_and_the_others_go_on() -> None:
    async def test(client: Client) -> None:
        async with client.websocket() as socket:
            await socket.receive()
            codes: list[object] = []
            for _ in range(4):
                await socket.ask("chain_subscribeNewHeads")
                while "method" in (answer := await socket.hear()):
                    pass
                codes.append(answer.get("error", {}).get("code"))
            assert codes == [None, None, None, -32006]

    run(test, RpcLimits(subscriptions_max=3))


def test_connections_over_the_limit_are_told_so() -> None:
    async def test(client: Client) -> None:
        async with await client.open(), await client.open():
            await trio.testing.wait_all_tasks_blocked()
            assert status_of(await client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) == 503

    run(test, RpcLimits(connections_max=2))


def test_a_message_too_large_or_binary_closes_the_websocket() -> None:
    async def test(client: Client) -> None:
        for message, code in ((WsMessage(data="x" * 2_000), 1009), (WsMessage(data=b"x"), 1003)):
            async with client.websocket() as socket:
                await socket.receive()
                await socket.send(message)
                event = await socket.receive()
                assert isinstance(event, CloseConnection)
                assert event.code == code

    run(test, RpcLimits(request_bytes_max=1_000))


def test_a_reader_that_does_not_read_is_closed_and_costs_nobody_else_anything() -> None:
    async def test(client: Client) -> None:
        async with client.websocket() as socket:
            await socket.receive()
            for _ in range(20):
                await socket.ask("chain_subscribeNewHeads")
                while "method" in await socket.hear():
                    pass
            for _ in range(600):
                client.node.add_block()
                await trio.lowlevel.checkpoint()
            assert (await client.call("system_chain"))["result"] == "Fake"
            with pytest.raises((AssertionError, trio.BrokenResourceError, RemoteProtocolError)):
                await socket.hear_for_ever()

    run(test, RpcLimits(queue_max=4, answer_seconds=0.2))


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


def test_a_budget_of_calls_is_per_address_and_spares_loopback() -> None:

    budget = CallBudget(2)
    assert [budget.take("10.0.0.1", 0.0) for _ in range(3)] == [True, True, False]
    assert budget.take("10.0.0.2", 0.0)
    assert budget.take("10.0.0.1", 31.0)
    assert all(budget.take("127.0.0.1", 0.0) for _ in range(100))
