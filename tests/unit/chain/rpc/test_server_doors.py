"""Who gets into the server, and how far: hostile bytes, origins, limits, faults of ours."""

import json
from functools import partial

import pytest
import trio
import trio.testing
from wsproto.events import Message as WsMessage
from wsproto.events import RejectConnection

from chain.errors import StorageError
from chain.rpc.limits import CallBudget, RpcLimits
from tests.support.fake_node import FakeNode
from tests.support.rpc_client import PATIENCE, Client, run, status_of


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


def test_connections_over_the_limit_are_told_so() -> None:
    async def test(client: Client) -> None:
        async with await client.open(), await client.open():
            await trio.testing.wait_all_tasks_blocked()
            assert status_of(await client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) == 503

    run(test, RpcLimits(connections_max=2))


def test_a_budget_of_calls_is_per_address_and_spares_loopback() -> None:

    budget = CallBudget(2)
    assert [budget.take("10.0.0.1", 0.0) for _ in range(3)] == [True, True, False]
    assert budget.take("10.0.0.2", 0.0)
    assert budget.take("10.0.0.1", 31.0)
    assert all(budget.take("127.0.0.1", 0.0) for _ in range(100))
