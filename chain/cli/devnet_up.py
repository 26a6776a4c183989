"""`gristmill devnet up`: start, wait, show the table, then one line a block."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from chain.cli.command import Command
from chain.cli.devnet import base_option, base_path, tell_commands
from chain.cli.session import Session
from chain.devnet.layout import (
    Devnet,
    NodeSite,
    check_counts,
    devnet_path,
    load_devnet,
    save_devnet,
)
from chain.devnet.processes import is_alive, spawn, stop
from chain.devnet.spec import NOMINATORS_MAX, check_spec_kept, find_validators, write_spec
from chain.devnet.up import Beat, Plan, plan_devnet, read_chain, start_nodes, wait_ready, watch
from chain.devnet.wiping import wipe
from chain.genesis import read_spec
from chain.wallet.amounts import show_amount
from chain.wallet.errors import NotFound, WrongUse

_ERASE_LINE: Final = "\r\x1b[K"
"""Back to the beginning of the line and clear it."""


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `devnet up` was asked for; zero means not asked."""

    validators: int | None
    nominators: int
    candidates: int
    full_nodes: int
    spec: str
    interval_ms: int | None
    epoch_blocks: int | None
    era_epochs: int | None
    changes: tuple[str, ...]
    port_base: int | None
    fresh: bool
    wait: bool
    blocks: int
    seconds: int
    traffic: int


@click.command(cls=Command)
@click.option("--validators", type=int, help="Nodes that vote; the spec's number (4) if not given.")
@click.option("--nominators", type=click.IntRange(0, NOMINATORS_MAX), default=0, show_default=True,
              help="Accounts whose stake backs the validators, //Nominator//1 and on.")  # fmt: skip
@click.option("--candidates", type=int, default=0, show_default=True,
              help="Nodes that validate once a key made in their home is elected.")  # fmt: skip
@click.option("--full-nodes", type=int, default=1, show_default=True, help="Nodes that follow.")
@click.option("--spec", default="dev", show_default=True, help="Chain spec: a name or a file.")
@click.option("--interval-ms", type=click.IntRange(0, 60_000), help="Time between blocks.")
@click.option("--epoch-blocks", type=click.IntRange(2, 14_400), help="Blocks of an epoch.")
@click.option("--era-epochs", type=click.IntRange(1, 1000), help="Epochs of an era.")
@click.option("--set", "changes", multiple=True, metavar="NAME=NUMBER",
              help="Set a number of the spec, like unbonding_eras=4. Repeatable.")  # fmt: skip
@click.option("--port-base", type=int, help="First of a block of ports, not 9944 and 30333.")
@click.option("--fresh", is_flag=True, help="Delete the chain of an earlier devnet first.")
@click.option("--wait", is_flag=True, help="Return when it is ready; the nodes stay up.")
@click.option("--blocks", type=click.IntRange(0), default=0, help="Stop after so many blocks.")
@click.option("--seconds", type=click.IntRange(0), default=0, help="Stop after so many seconds.")
@click.option("--traffic", type=click.IntRange(0, 1000), default=0,
              help="Send so many transfers a second.")  # fmt: skip
@base_option
@click.pass_obj
def up(session: Session, /, base: str, **given: Any) -> None:
    """Start a devnet: four validators and one full node, ready in seconds.

    Stays and shows every block until Ctrl-C or `gristmill devnet down`.
    """
    options = UpOptions(**given)
    if options.wait and (options.blocks or options.seconds):
        raise WrongUse("--wait leaves the nodes running; --blocks and --seconds stop them")
    path = base_path(base)
    net = _prepare(session, path, options)
    begun = time.monotonic()
    with _ended_by_signals(), _stopping(session, path, keep=options.wait):
        session.console.note(f"Starting {len(net.nodes)} nodes.")
        net = start_nodes(net, net.nodes)
        save_devnet(net)
        wait_ready(net.nodes, session.console.note)
        net = read_chain(net)
        if options.traffic:
            net = replace(net, helpers=[spawn(_traffic_site(net, options.traffic))])
        save_devnet(net)
        _tell_ready(session, net, time.monotonic() - begun)
        if not options.wait:
            _follow(session, net, options)


def _prepare(session: Session, path: Path, options: UpOptions) -> Devnet:
    with contextlib.suppress(NotFound):
        old = load_devnet(path)
        running = [site.name for site in old.nodes if is_alive(site)]
        if running and not options.fresh:
            raise WrongUse(
                f"a devnet is running in {path}: {', '.join(running)}",
                "gristmill devnet down stops it, --fresh replaces it",
            )
    if options.fresh:
        wipe(path)
    given = 1 if options.validators is None else options.validators
    check_counts(given, options.full_nodes, options.candidates)
    path.mkdir(parents=True, exist_ok=True)
    spec = path / "spec.toml"
    text = write_spec(
        read_spec(options.spec),
        validators=options.validators,
        interval_ms=options.interval_ms,
        nominators=options.nominators,
        settings=_read_settings(options),
    )
    check_spec_kept(spec, text, has_chain=(path / "nodes").is_dir())
    spec.write_text(text)
    count = options.validators or len(find_validators(text))
    plan = Plan(path, count, options.full_nodes, options.port_base, options.candidates)
    net = plan_devnet(plan, spec)
    if session.console.verbosity:
        tell_commands(session, net.nodes)
    return net


def _read_settings(options: UpOptions) -> dict[str, int]:
    """Return the numbers of the chain spec that were asked for."""
    given = {"epoch_blocks": options.epoch_blocks, "era_epochs": options.era_epochs}
    settings = {name: number for name, number in given.items() if number is not None}
    for change in options.changes:
        name, equals, text = change.partition("=")
        if not (equals and text.isascii() and text.isdecimal() and len(text) < 20):
            raise WrongUse(f"{change!r} sets nothing", "write --set NAME=NUMBER")
        settings[name.strip().replace("-", "_")] = int(text)
    return settings


def _tell_ready(session: Session, net: Devnet, took: float) -> None:
    console = session.console
    if console.is_json:
        members = [
            {
                "name": site.name,
                "role": site.role,
                "url": site.url,
                "p2p_port": site.p2p_port,
                "pid": site.pid,
                "log": site.log,
            }
            for site in net.nodes
        ]
        fields = {
            "event": "ready",
            "base": net.base,
            "genesis_hash": net.genesis_hash,
            "nodes": members,
            "accounts": net.accounts,
            "seconds": round(took, 3),
        }
        console.answer("devnet.up/1", fields)
        return
    rows = [(s.name, s.role, s.url, s.p2p_port, _relative(s.log)) for s in net.nodes]
    lines = console.table(("name", "role", "rpc", "p2p", "log"), rows)
    funded = [(a["name"], a["address"], show_amount(int(a["free"]))) for a in net.accounts]
    lines += ["", *console.table(("account", "address", "balance"), funded)]
    lines += ["", f"Ready in {took:.1f} s. Genesis {net.genesis_hash}."]
    lines += [f"Everything is in {_relative(str(devnet_path(Path(net.base))))}.", ""]
    console.answer("devnet.up/1", {}, lines)


def _follow(session: Session, net: Devnet, options: UpOptions) -> None:
    """Show a line a block until enough blocks or seconds, or until the nodes are gone."""
    end = time.monotonic() + options.seconds if options.seconds else None
    first = None
    for beat in watch(Path(net.base)):
        first = beat.height if first is None else first
        _tell_beat(session, beat)
        is_enough = options.blocks and beat.lowest - first >= options.blocks
        if is_enough or (end is not None and time.monotonic() >= end):
            break
    if session.console.is_live:
        click.echo()


def _tell_beat(session: Session, beat: Beat) -> None:
    console = session.console
    if console.is_live:
        click.echo(f"{_ERASE_LINE}{beat.line()}", nl=False)
        sys.stdout.flush()
    elif console.is_json or not console.is_quiet:
        shown = {**asdict(beat), "event": "block"}
        shown["rate"] = round(beat.rate, 1)
        shown["seconds_per_block"] = round(beat.seconds_per_block, 3)
        console.answer("devnet.up/1", shown, [beat.line()])
        sys.stdout.flush()


@contextlib.contextmanager
def _stopping(session: Session, path: Path, *, keep: bool) -> Iterator[None]:
    """Stop the nodes at the end, or after a failure; `keep` leaves them when all went well."""
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not (keep and is_done):
            with contextlib.suppress(NotFound):
                net = load_devnet(path)
                running = [site for site in (*net.helpers, *net.nodes) if is_alive(site)]
                if running:
                    session.console.note(f"Stopping {len(running)} processes.")
                    stop(running)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the devnet in order, as Ctrl-C does."""
    old = {word: signal.signal(word, _interrupt) for word in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for word, handler in old.items():
            signal.signal(word, handler)


def _interrupt(*_unused: object) -> NoReturn:
    raise KeyboardInterrupt


def _traffic_site(net: Devnet, rate: int) -> NodeSite:
    command = [sys.executable, "-m", "chain.cli.main", "devnet", "load", "--base", net.base]
    command += ["--rate", str(rate), "--forever"]
    log = str(Path(net.base) / "logs" / "traffic.log")
    return NodeSite("traffic", "sender", 0, 0, net.base, log, command)


def _relative(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
