"""What a devnet is on disk: `devnet.json` beside the nodes' directories and logs.

    <base>/devnet.json   spec.toml   nodes/<name>/   logs/<name>.log

The file is the only thing that the commands share; anybody may read ports and accounts there.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from chain.wallet.accounts import VALIDATOR_NAMES
from chain.wallet.errors import BadContent, NotFound, WrongUse

SCHEMA: Final = "gristmill.devnet/1"
"""The format of the file; another number is another format."""

VALIDATORS_MAX: Final = len(VALIDATOR_NAMES)
"""Validators have development keys, and there are sixteen of those."""

FULL_NODES_MAX: Final = 10
"""Nodes without a vote; each takes 200 MB."""

RPC_PORT: Final = 9944
"""The RPC port of the first node; the others follow."""

P2P_PORT: Final = 30333
"""The peer-to-peer port of the first node; the others follow."""

P2P_OFFSET: Final = 50
"""Where the peer-to-peer ports begin after --port-base."""

_FILE_LENGTH_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class NodeSite:
    """One node: how to start it, where it listens, and its process while it runs."""

    name: str
    role: str
    rpc_port: int
    p2p_port: int
    home: str
    log: str
    command: list[str]
    pid: int = 0
    started: int = 0
    """The kernel's start time of the process, so that a reused pid is not taken for it."""

    @property
    def url(self) -> str:
        """The RPC address."""
        return f"http://127.0.0.1:{self.rpc_port}"


@dataclass(frozen=True, slots=True)
class Devnet:
    """All nodes of one base directory."""

    base: str
    spec: str
    nodes: list[NodeSite]
    helpers: list[NodeSite] = field(default_factory=list)
    """Processes beside the nodes: the sender of --traffic."""
    genesis_hash: str = ""
    accounts: list[dict[str, str]] = field(default_factory=list)

    def node(self, name: str) -> NodeSite:
        """Return a node or helper by its name; NotFound names the nodes."""
        for node in (*self.nodes, *self.helpers):
            if node.name == name:
                return node
        raise NotFound(
            f"the devnet has no node {name!r}",
            "its nodes: " + ", ".join(node.name for node in self.nodes),
        )

    def chosen(self, names: tuple[str, ...]) -> list[NodeSite]:
        """Return the named nodes, all of them where none is named."""
        return [self.node(name) for name in names] if names else list(self.nodes)


def devnet_path(base: Path) -> Path:
    """Return the path of `devnet.json`."""
    return base / "devnet.json"


def save_devnet(devnet: Devnet) -> None:
    """Write `devnet.json`, whole or not at all."""
    path = devnet_path(Path(devnet.base))
    document = asdict(devnet) | {"schema": SCHEMA}
    for node in document["nodes"]:
        node["url"] = f"http://127.0.0.1:{node['rpc_port']}"
    draft = path.with_suffix(".json.new")
    draft.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
    draft.replace(path)


def load_devnet(base: Path) -> Devnet:
    """Read `devnet.json`; NotFound where no devnet was started."""
    path = devnet_path(base)
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_FILE_LENGTH_MAX))
    except FileNotFoundError:
        raise NotFound(f"there is no devnet in {base}", "gristmill devnet up starts one") from None
    except (ValueError, RecursionError):
        raise BadContent(f"{path} is not JSON", "gristmill devnet reset removes it") from None
    try:
        return _read(document)
    except (KeyError, TypeError):
        raise BadContent(
            f"{path} is not a devnet file of this release", "gristmill devnet reset removes it"
        ) from None


def check_counts(validators: int, full_nodes: int, candidates: int = 0) -> None:
    """Raise WrongUse for a devnet that cannot be."""
    if not 1 <= validators <= VALIDATORS_MAX:
        raise WrongUse(f"a devnet has 1 to {VALIDATORS_MAX} validators")
    if not 0 <= candidates <= VALIDATORS_MAX - validators:
        raise WrongUse(f"a devnet has at most {VALIDATORS_MAX} validators and candidates")
    if not 0 <= full_nodes <= FULL_NODES_MAX:
        raise WrongUse(f"a devnet has at most {FULL_NODES_MAX} full nodes")


def node_names(validators: int, full_nodes: int, candidates: int = 0) -> list[tuple[str, str]]:
    """Return (name, role) of every node: alice, bob ... full, full2.

    A candidate is a node that validates once its key, which it does not have yet, is elected.
    """
    end = validators + candidates
    names = [(name.lower(), "validator") for name in VALIDATOR_NAMES[:validators]]
    names += [(name.lower(), "candidate") for name in VALIDATOR_NAMES[validators:end]]
    fulls = ["full", *(f"full{number}" for number in range(2, full_nodes + 1))]
    return names + [(name, "full") for name in fulls[:full_nodes]]


def node_ports(count: int, base: int | None) -> list[tuple[int, int]]:
    """Return (RPC, p2p) ports of every node: the usual blocks, or from a base on."""
    rpc, p2p = (RPC_PORT, P2P_PORT) if base is None else (base, base + P2P_OFFSET)
    if rpc <= 0 or p2p + count > 65536:
        raise WrongUse(f"the ports from {rpc} on do not exist", "choose --port-base below 65000")
    return [(rpc + index, p2p + index) for index in range(count)]


def _read(document: dict[str, Any]) -> Devnet:
    if document["schema"] != SCHEMA:
        raise KeyError("schema")
    sites = []
    for group in ("nodes", "helpers"):
        members = [{k: v for k, v in node.items() if k != "url"} for node in document[group]]
        sites.append([NodeSite(**node) for node in members])
    return Devnet(
        base=str(document["base"]),
        spec=str(document["spec"]),
        nodes=sites[0],
        helpers=sites[1],
        genesis_hash=str(document["genesis_hash"]),
        accounts=list(document["accounts"]),
    )
