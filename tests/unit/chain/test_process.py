"""What a node does to its own process, and the page that Prometheus reads."""

import subprocess
import sys

import pytest
import trio

from chain.config import load_config
from chain.metrics import Metrics
from chain.serving import MetricsPage, allows_unsafe, make_limits

SCRIPT = """
import os, resource, sys
from chain.config import load_config
from chain.process import harden
harden(load_config(flags={"files_max": sys.argv[1]}, environment={}).config)
print(oct(os.umask(0)), resource.getrlimit(resource.RLIMIT_CORE)[0],
      resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def run(*flags, files="300"):
    return subprocess.run(
        [sys.executable, *flags, "-c", SCRIPT, files], capture_output=True, text=True, check=False
    )


def test_files_are_private_and_there_are_no_core_dumps():
    assert run().stdout.split() == ["0o77", "0", "300"]


def test_python_without_assertions_is_refused():
    done = run("-O")
    assert done.returncode == 1
    assert "its assertions stay on" in done.stderr


def config(**flags):
    return load_config(flags=flags, environment={}).config


def test_other_machines_get_safe_methods_only_unless_told_otherwise():
    assert allows_unsafe(config())
    assert not allows_unsafe(config(rpc_external=True))
    assert not allows_unsafe(config(rpc_methods="safe"))
    assert allows_unsafe(config(rpc_external=True, rpc_methods="unsafe"))


def test_the_limits_of_rpc_follow_the_options():
    limits = make_limits(
        config(rpc_hosts=("node.example",), rpc_cors=("https://a.example",), rpc_rate_limit="7")
    )
    assert limits.accepts_host("node.example:9944")
    assert not limits.accepts_host("evil.example")
    assert limits.accepts_origin("https://a.example")
    assert limits.calls_a_minute == 7
    assert make_limits(config()).calls_a_minute is None


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", b"404"),
        (b"garbage\r\n\r\n", b""),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", b""),
    ],
)
def test_the_metrics_page_answers_one_question(request_bytes, expected):
    metrics = Metrics()
    metrics.counter("gristmill_things_total", "Things.").add(3)

    async def ask():
        page = MetricsPage(metrics)
        async with trio.open_nursery() as nursery:
            [listener] = await nursery.start(page.serve, "127.0.0.1", 0)
            port = listener.socket.getsockname()[1]
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            with trio.fail_after(60):
                answer = b""
                try:
                    await stream.send_all(request_bytes)
                    async for part in stream:
                        answer += part
                except trio.BrokenResourceError:
                    pass
            nursery.cancel_scope.cancel()
            return answer

    answer = trio.run(ask)
    assert answer[9:12] == expected
    assert (b"gristmill_things_total 3" in answer) == (expected == b"200")
