"""`gristmill devnet misbehave`: break the rules with real keys, to see what that costs."""

import importlib
import os
from pathlib import Path
from typing import Any

import click

from chain.cli.command import Command
from chain.cli.devnet import base_option, base_path
from chain.cli.session import Session
from chain.config import load_config
from chain.devnet import misbehave as drills
from chain.devnet.layout import Devnet, NodeSite, load_devnet, save_devnet
from chain.devnet.nodes import ask_all
from chain.devnet.processes import is_alive, stop
from chain.devnet.up import start_nodes, wait_ready
from chain.wallet.client import RpcClient, RpcError
from chain.wallet.errors import WrongUse

WINDOW_DEFAULT = 100
"""Blocks of an absence on a chain that does not tell its window."""


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True)
@click.option("--double-vote", is_flag=True, help="Sign two votes for one height, with its key.")
@click.option("--offline", is_flag=True, help="Stop it, let blocks pass, start it again.")
@click.option("--blocks", type=click.IntRange(1), help="Blocks to be away; a window if not given.")
@base_option
@click.pass_obj
def misbehave(
    session: Session,
    names: tuple[str, ...],
    double_vote: bool,  # noqa: FBT001 - click passes options by keyword
    offline: bool,  # noqa: FBT001 - click passes options by keyword
    blocks: int | None,
    base: str,
) -> None:
    """Let the validators NAMES misbehave, for real: their stake is at risk.

    --double-vote starts a second machine with the validators' keys. It joins the network and signs
    two votes of each for one height; the other nodes notice, and a block carries the evidence.

    --offline stops the validator until it has missed a whole window, and starts it again.
    """
    if double_vote == offline:
        raise WrongUse("say how: --double-vote or --offline, and only one of them")
    net = load_devnet(base_path(base))
    victims = drills.find_victims(net, names)
    if double_vote:
        if blocks is not None:
            raise WrongUse("--blocks goes with --offline")
        _vote_twice(session, net, victims)
    else:
        _be_absent(session, net, victims, blocks)


def _vote_twice(session: Session, net: Devnet, victims: list[NodeSite]) -> None:
    flags = drills.plan_twin(net)
    names = ", ".join(site.name for site in victims)
    session.console.note(f"A second machine joins with the keys of {names}.")
    sightings = _run_twin(flags, victims)
    found = [
        {"name": name, "height": seen.height, "recorded_at": seen.recorded_at}
        for name, seen in sorted(sightings.items())
    ]
    rows = [(one["name"], one["height"], one["recorded_at"]) for one in found]
    lines = session.console.table(("validator", "voted twice at", "evidence in block"), rows)
    session.console.answer("devnet.double-vote/1", {"votes": found}, lines)


def _run_twin(flags: dict[str, Any], victims: list[NodeSite]) -> Any:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")
    }
    config = load_config(flags=flags, environment=environment).config
    keys = {site.name: drills.keys_path(site) for site in victims}
    try:
        twin = importlib.import_module("chain.twin")
        return twin.run_twin(config, keys, patience_s=drills.PATIENCE_S)
    finally:
        drills.forget_twin(Path(flags["home"]))


def _be_absent(session: Session, net: Devnet, victims: list[NodeSite], blocks: int | None) -> None:
    names = {site.name for site in victims}
    others = [site for site in net.nodes if site.name not in names and is_alive(site)]
    if not others:
        raise WrongUse("no other node is running that could notice", "gristmill devnet start")
    count = blocks or _read_window(others[0].url)
    stop(victims)
    first = max(one.height for one in ask_all(others))
    session.console.note(f"Stopped {', '.join(sorted(names))} at #{first} for {count} blocks.")
    try:
        last = drills.wait_blocks(others, count)
    finally:
        net = start_nodes(net, victims)
        save_devnet(net)
    back = [site for site in net.nodes if site.name in names]
    wait_ready(back, session.console.note, height=last)
    fields = {"names": sorted(names), "first": first, "last": last}
    text = f"Away from #{first} to #{last}: {', '.join(sorted(names))}; running again."
    session.console.answer("devnet.offline/1", fields, [text])


def _read_window(url: str) -> int:
    """Return the blocks of the window in which missed ones are counted."""
    with RpcClient(url) as rpc:
        try:
            answer = rpc.call("gristmill_v1_staking")
        except RpcError:
            answer = None
    window = answer.get("offlineWindow") if isinstance(answer, dict) else None
    return window if isinstance(window, int) and window > 0 else WINDOW_DEFAULT
