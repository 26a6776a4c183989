"""`gristmill doctor`: whether this machine is fit, and whether the node is well."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from chain.cli.online import NodeCommand, NodeSession
from chain.cli.version import program_version
from chain.wallet.chain_client import parse_int
from chain.wallet.errors import BadContent, NodeUnreachable, WalletError

FREE_SPACE_MIN: Final = 2 << 30
"""Bytes of free disk below which a node refuses blocks."""

LIBRARIES: Final = {"pynacl": (1, 6, 2), "libp2p": (0, 8, 1), "plyvel": (1, 5, 1)}
"""The oldest versions without known faults (PyNaCl: CVE-2025-69277)."""

BLOCK_AGE_MS: Final = 60_000
"""Milliseconds after which the newest block is called old: a halt, or a wrong clock."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at; a failure that is not fatal is a warning."""

    name: str
    is_good: bool
    text: str
    is_fatal: bool = True


@click.command(cls=NodeCommand)
@click.option("--offline", is_flag=True, help="Look at this machine only.")
@click.pass_obj
def doctor(
    session: NodeSession,
    offline: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Check Python, the compiled core, libraries, disk and, unless --offline, the node."""
    found = [_python(), _core(), *_libraries(), _disk()]
    if not offline:
        found += _node(session)
    bad = [one for one in found if not one.is_good and one.is_fatal]
    marks = {(True, True): "ok ", (True, False): "ok ", (False, True): "BAD"}
    lines = [
        f"{marks.get((one.is_good, one.is_fatal), '?  ')}  {one.name}: {one.text}" for one in found
    ]
    fields = {"version": program_version(), "checks": [asdict(one) for one in found]}
    session.console.answer("doctor/1", {**fields, "is_good": not bad}, lines)
    if bad and all(one.name == "node" for one in bad):
        raise NodeUnreachable(f"node: {bad[0].text}", "gristmill devnet up starts a devnet")
    if bad:
        raise WalletError(f"{bad[0].name}: {bad[0].text}")


def _python() -> Diagnosis:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Diagnosis("python", sys.version_info >= (3, 11), text)


def _core() -> Diagnosis:
    """Say which implementation of the core is live; a missing build is fatal for a node."""
    chosen = os.environ.get("GRISTMILL_CORE", "native")
    try:
        importlib.import_module("ext")
    except ImportError as error:
        return Diagnosis("core", is_good=False, text=f"{chosen} cannot be loaded: {error}")
    return Diagnosis("core", is_good=True, text=f"{chosen} is live")


def _libraries() -> list[Diagnosis]:
    found = []
    for name, oldest in LIBRARIES.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Diagnosis(name, is_good=False, text="is not installed"))
            continue
        parts = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
        wanted = ".".join(str(part) for part in oldest)
        text = version if parts >= oldest else f"{version} is older than {wanted}"
        found.append(Diagnosis(name, is_good=parts >= oldest, text=text))
    return found


def _disk() -> Diagnosis:
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free >> 20} MiB are free here"
    return Diagnosis("disk", is_good=free >= FREE_SPACE_MIN, text=text, is_fatal=False)


def _node(session: NodeSession) -> list[Diagnosis]:
    """Say where the node stands, and whether its newest block is as old as a block may be."""
    try:
        status = session.rpc.call("gristmill_v1_status")
        if not isinstance(status, dict) or not isinstance(status.get("final"), dict):
            raise BadContent(f"{session.rpc.url} is not a node of this release")
        height, lag_ms = parse_int(status["final"].get("height")), parse_int(status.get("lagMs"))
    except WalletError as error:
        return [Diagnosis("node", is_good=False, text=error.message)]
    state = (
        "syncing" if status.get("isSyncing") else "ready" if status.get("isReady") else "not ready"
    )
    text = f"{state}, block {height} is final, {status.get('peers')} peers, at {session.rpc.url}"
    age = f"the newest block is {lag_ms / 1000:.1f} s old by the node's clock"
    return [
        Diagnosis("node", is_good=bool(status.get("isReady")), text=text),
        Diagnosis("finality", is_good=lag_ms < BLOCK_AGE_MS, text=age, is_fatal=False),
    ]
