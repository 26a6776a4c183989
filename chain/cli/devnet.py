"""`gristmill devnet`: several nodes on this machine, each its own process."""

import importlib
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.command import Command
from chain.cli.lazy import LazyGroup, Place
from chain.cli.session import Session
from chain.wallet.errors import WalletError

BASE: Final = ".devnet"
"""The directory of a devnet, below the current one; git ignores it."""

devnet = LazyGroup(
    "devnet",
    places={
        "up": Place("chain.cli.devnet_up:up", "Start a devnet and watch it."),
        "down": Place("chain.cli.devnet:down", "Stop all nodes; keep their data."),
        "status": Place("chain.cli.devnet:status", "Show every node."),
        "logs": Place("chain.cli.devnet:logs", "Show what the nodes log."),
        "load": Place("chain.cli.devnet_load:load", "Send transfers and prove their inclusion."),
        "check": Place("chain.cli.devnet_load:check", "Prove that the devnet is one chain."),
        "kill": Place("chain.cli.devnet:kill", "Kill a node without warning."),
        "start": Place("chain.cli.devnet:start", "Start nodes that are down."),
        "misbehave": Place("chain.cli.devnet_misbehave:misbehave", "Break the rules on purpose."),
        "reset": Place("chain.cli.devnet:reset", "Stop all nodes and delete their data."),
    },
    help="Run several nodes on this machine.",
)


def base_option(function: Any) -> Any:
    """Add --base, the directory of the devnet."""
    return click.option(
        "--base", default=BASE, envvar="GRISTMILL_DEVNET_BASE", show_default=True, metavar="DIR",
        help="Directory of the devnet.",
    )(function)  # fmt: skip


def base_path(text: str) -> Path:
    """Return the absolute path of the devnet's directory."""
    return Path(text).expanduser().absolute()


@click.command(cls=Command)
@base_option
@click.pass_obj
def down(session: Session, base: str) -> None:
    """Stop all nodes in order; their data stays and `devnet start` goes on."""
    layout, processes = _modules("layout", "processes")
    net = layout.load_devnet(base_path(base))
    sites = [*net.helpers, *net.nodes]
    running = [site.name for site in sites if processes.is_alive(site)]
    killed = processes.stop(sites)
    fields = {"stopped": running, "killed": killed}
    text = f"Stopped {', '.join(running)}." if running else "Nothing was running."
    session.console.answer("devnet.down/1", fields, [text])
    for name in killed:
        session.console.warn(f"{name} did not stop in order and was killed")


@click.command(cls=Command)
@base_option
@click.pass_obj
def status(session: Session, base: str) -> None:
    """Show every node: running or not, height, peers and ports."""
    layout, nodes = _modules("layout", "nodes")
    net = layout.load_devnet(base_path(base))
    statuses = nodes.ask_all(net.nodes)
    rows = []
    members = []
    for site, one in zip(net.nodes, statuses, strict=True):
        state = one.reason or "ready"
        rows.append((one.name, one.role, state, one.height, one.peers, site.url, site.pid))
        members.append(
            {
                "name": one.name,
                "role": one.role,
                "state": state,
                "is_running": one.is_running,
                "height": one.height,
                "peers": one.peers,
                "url": site.url,
                "p2p_port": site.p2p_port,
                "pid": site.pid if one.is_running else None,
                "log": site.log,
            }
        )
    heads = ("name", "role", "state", "height", "peers", "rpc", "pid")
    fields = {"nodes": members, "genesis_hash": net.genesis_hash, "base": net.base}
    session.console.answer("devnet.status/1", fields, session.console.table(heads, rows))


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--lines", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@base_option
@click.pass_obj
def logs(
    session: Session,
    names: tuple[str, ...],
    lines: int,
    follow: bool,  # noqa: FBT001 - click passes options by keyword
    base: str,
) -> None:
    """Show the last lines that the nodes NAMES (or all) logged."""
    layout, tails = _modules("layout", "tails")
    net = layout.load_devnet(base_path(base))
    logs = {site.name: Path(site.log) for site in net.chosen(names)}
    for name, line in tails.read_tails(logs, lines, follow=follow):
        session.console.answer("devnet.logs/1", {"node": name, "line": line}, [f"{name:<8} {line}"])


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True)
@base_option
@click.pass_obj
def kill(session: Session, names: tuple[str, ...], base: str) -> None:
    """Kill the nodes NAMES without warning, as a power cut would."""
    layout, processes = _modules("layout", "processes")
    signals = importlib.import_module("signal")
    net = layout.load_devnet(base_path(base))
    chosen = net.chosen(names)
    killed = [site.name for site in chosen if processes.send_signal(site, signals.SIGKILL)]
    if not killed:
        raise WalletError("none of them was running", "gristmill devnet status shows the nodes")
    processes.stop(chosen, word=signals.SIGKILL)
    session.console.answer("devnet.kill/1", {"killed": killed}, [f"Killed {', '.join(killed)}."])


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--no-wait", is_flag=True, help="Do not wait until they answer.")
@base_option
@click.pass_obj
def start(
    session: Session,
    names: tuple[str, ...],
    no_wait: bool,  # noqa: FBT001 - click passes options by keyword
    base: str,
) -> None:
    """Start the nodes NAMES (or all) that are down, with the data they have."""
    layout, nodes, up, processes = _modules("layout", "nodes", "up", "processes")
    net = layout.load_devnet(base_path(base))
    # Who comes back is ready when it has what the others had: it learns only then that it is late.
    height = max(status.height for status in nodes.ask_all(net.nodes))
    chosen = net.chosen(names)
    waking = [site.name for site in chosen if not processes.is_alive(site)]
    if session.console.verbosity:
        tell_commands(session, [site for site in chosen if site.name in waking])
    net = up.start_nodes(net, chosen)
    layout.save_devnet(net)
    if not no_wait:
        up.wait_ready([net.node(name) for name in waking], session.console.note, height=height)
    text = f"Started {', '.join(waking)}." if waking else "All of them were running."
    session.console.answer("devnet.start/1", {"started": waking}, [text])


@click.command(cls=Command)
@base_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def reset(
    session: Session,
    base: str,
    yes: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Stop all nodes and delete the chain: databases, journals and logs."""
    wiping = _modules("wiping")[0]
    path = base_path(base)
    if not session.console.ask(f"Delete the devnet in {path}?", assume=yes):
        raise WalletError("nothing was deleted")
    removed = wiping.wipe(path)
    text = f"Removed the devnet in {path}." if removed else f"There was no devnet in {path}."
    session.console.answer("devnet.reset/1", {"base": str(path), "removed": removed}, [text])


def tell_commands(session: Session, sites: Any) -> None:
    """Print the command line of every node, so that each can be started by hand."""
    shlex = importlib.import_module("shlex")
    for site in sites:
        session.console.note(f"{site.name}: {shlex.join(site.command)}")


def _modules(*names: str) -> list[Any]:
    return [importlib.import_module(f"chain.devnet.{name}") for name in names]
