"""The server over WebSocket: subscriptions, handshakes, fragments, readers that do not read."""

import re
from dataclasses import replace

import pytest
import trio
import trio.testing
from wsproto.events import AcceptConnection, CloseConnection
from wsproto.events import Message as WsMessage
from wsproto.utilities import RemoteProtocolError

from chain.rpc.limits import RpcLimits
from tests.support.rpc_client import Client, run, status_of


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
