import itertools
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chain.devnet.layout import NodeSite, save_devnet
from chain.devnet.processes import (
    check_ports,
    is_alive,
    send_signal,
    spawn,
    stop,
)
from chain.devnet.tails import last_lines, read_tails
from chain.devnet.wiping import wipe
from chain.wallet.errors import WalletError
from tests.support.devnet import wait_until
from tests.unit.devnet.test_layout import make_devnet

PATIENCE = 60
"""Seconds that an interpreter may need until its first word."""
WAITING = "import signal; print('here', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAITING


def make_site(tmp_path, program=WAITING, name="alice"):
    log = tmp_path / f"{name}.log"
    return NodeSite(
        name, "validator", 0, 0, str(tmp_path), str(log), [sys.executable, "-c", program]
    )


def spawn_and_hear(site):
    """Start a process and wait for its first word: its signals are set by then."""
    started = spawn(site)
    log = Path(site.log)
    wait_until(
        lambda: bool(log.read_text()) or not is_alive(started), PATIENCE, lambda: "it says nothing"
    )
    assert log.read_text(), "it ended without a word"
    return started


def test_a_process_is_started_with_its_log_and_stopped(tmp_path):
    site = spawn_and_hear(make_site(tmp_path))
    assert is_alive(site)
    assert stop([site]) == []
    assert not is_alive(site)


def test_a_process_that_ignores_the_request_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("chain.devnet.processes.STOP_S", 0)
    site = spawn_and_hear(make_site(tmp_path, STUBBORN))
    assert stop([site]) == ["alice"]
    assert not is_alive(site)


def test_a_reused_pid_is_nobody_of_ours():
    stranger = NodeSite("x", "validator", 0, 0, "", "", [], pid=os.getpid(), started=1)
    assert not is_alive(stranger)
    assert not send_signal(stranger, signal.SIGKILL)
    assert not is_alive(replace(stranger, pid=0, started=0))


def test_a_taken_port_is_named_with_its_node():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        site = NodeSite("alice", "validator", port, 0, "", "", [])
        with pytest.raises(WalletError, match=f"port {port} of alice is taken"):
            check_ports([site])
    check_ports([site])


def test_settings_of_the_user_do_not_reach_the_nodes(tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_RPC_PORT", "1")
    monkeypatch.setenv("GRISTMILL_CORE", "native")
    program = "import os; print(sorted(n for n in os.environ if n.startswith('GRISTMILL_')))"
    site = spawn(make_site(tmp_path, program))
    os.waitid(os.P_PID, site.pid, os.WEXITED | os.WNOWAIT)
    assert last_lines(tmp_path / "alice.log", 1) == ["['GRISTMILL_CORE']"]
    assert not is_alive(site)


def test_a_devnet_is_deleted_with_what_it_made_and_nothing_else(tmp_path):
    save_devnet(make_devnet(tmp_path, nodes=[make_site(tmp_path)]))
    for name in ("nodes/alice", "logs", "mine"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "spec.toml").write_text("")
    assert wipe(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert not wipe(tmp_path)


def test_logs_are_followed_line_by_line_through_a_restart(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("one\ntwo\n")
    writes = iter(["three\nhal", "f\n", None, ""])

    def wait(_seconds):
        text = next(writes)
        if text is None:
            log.write_text("anew\n")
        else:
            with log.open("a") as file:
                file.write(text)

    found = list(itertools.islice(read_tails({"a": log}, 1, follow=True, wait=wait), 4))
    assert found == [("a", "two"), ("a", "three"), ("a", "half"), ("a", "anew")]
