"""`gristmill validator`: the keys that a validator signs with, on its node and on the chain.

    init       keys in the node's home              the node finds them there by itself
    keys register   Session.set_keys, proved        act from the next election on
    keys rotate     new keys, then register         the old ones act until the new ones do

The account that owns the stake signs the registration; its key never comes near the node.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.cli.stake_show import validator_state
from chain.cli.staking import send_staking
from chain.config import NodeConfig
from chain.identity import create_identity
from chain.keychain import find_key_directories, next_key_directory
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import BadContent, NotFound, WrongUse
from chain.wallet.ss58 import encode_address
from chain.wallet.stake_view import read_stake
from runtime.possession import prove_possession

F = TypeVar("F", bound=Callable[..., Any])

validator = LazyGroup(
    "validator",
    places={
        "init": Place("chain.cli.validator:init", "Make the keys that a node signs with."),
        "keys": Place("chain.cli.validator:keys", "Register and change a validator's keys."),
        "status": Place("chain.cli.validator:status", "Show a validator: keys, stake, duty."),
    },
    help="Make, register and change the keys of a validator.",
)

keys = LazyGroup(
    "keys",
    places={
        "register": Place("chain.cli.validator:register", "Register a node's newest keys."),
        "rotate": Place("chain.cli.validator:rotate", "Make new keys and register them."),
    },
    help="Register and change a validator's keys.",
)


def node_keys(function: F) -> F:
    """Add --node-home, the directory of the node that signs, and --keys, as the node has it."""
    home = click.option(
        "--node-home", required=True, metavar="DIR", help="Home of the node that will sign."
    )
    return home(keys_option(function))


keys_option = click.option(
    "--keys", "keys_dir", metavar="DIR", help="The node's --keys, when they are not in its home."
)


@click.command(cls=NodeCommand)
@node_keys
@click.option("--account", required=True, metavar="WHO", help="The account that owns the stake.")
@click.pass_obj
def init(session: NodeSession, node_home: str, keys_dir: str | None, account: str) -> None:
    """Make random consensus and VRF keys for ACCOUNT in a node's home.

    The node may be running (with --validator): it finds them by itself. Register them next, with
    `gristmill validator keys register`.
    """
    base = _keys_path(node_home, keys_dir)
    if find_key_directories(base):
        raise WrongUse(
            f"there are validator keys in {base} already",
            "gristmill validator keys rotate makes new ones",
        )
    made = _make_keys(session, base, session.party(account).public)
    _tell(session, base, made)


@click.command(cls=NodeCommand)
@node_keys
@send_options
@click.pass_obj
def register(session: NodeSession, /, node_home: str, keys_dir: str | None, **options: Any) -> None:
    """Register the newest keys of a node's home on the chain, with proof that it holds them.

    They act from the next election on. A deposit of 0.01 GRIST is held while they are registered.
    """
    base = _keys_path(node_home, keys_dir)
    directories = find_key_directories(base)
    if not directories:
        raise NotFound(f"there are no validator keys in {base}", "gristmill validator init")
    _register(session, load_keys(directories[-1] / KEY_FILE), options)


@click.command(cls=NodeCommand)
@node_keys
@send_options
@click.pass_obj
def rotate(session: NodeSession, /, node_home: str, keys_dir: str | None, **options: Any) -> None:
    """Make new keys beside the old ones, and register them.

    The running node keeps signing with the old keys until the chain lets the new ones act; nothing
    has to be stopped, and nothing unbonds. The old keys stay in the home: what they signed can be
    punished until their window ends.
    """
    base = _keys_path(node_home, keys_dir)
    directories = find_key_directories(base)
    if not directories:
        raise NotFound(f"there are no validator keys in {base}", "gristmill validator init")
    account = load_keys(directories[-1] / KEY_FILE).account
    if options["dry_run"]:
        raise WrongUse("new keys cannot be tried out", "leave out --dry-run")
    made = _make_keys(session, base, account)
    session.console.note(f"New keys are in {find_key_directories(base)[-1]}.")
    _register(session, made, options)


@click.command(cls=NodeCommand)
@click.argument("who", required=False)
@click.option("--node-home", metavar="DIR", help="Home of its node, to compare the keys.")
@keys_option
@click.pass_obj
def status(
    session: NodeSession, who: str | None, node_home: str | None, keys_dir: str | None
) -> None:
    """Show a validator: whether it is in the set, with which keys, and what keeps it out."""
    local = [] if node_home is None else _local_keys(_keys_path(node_home, keys_dir))
    if node_home is None and keys_dir is not None:
        raise WrongUse("--keys says where the keys of a node are", "give its --node-home too")
    if who is None and local:
        public, label = local[-1].account, encode_address(local[-1].account)
    else:
        party = session.signer(who)
        public, label = party.public, party.label
    address = encode_address(public)
    stake = read_stake(session.rpc, public)
    acting = _find(session.rpc.call("gristmill_v1_validators"), address)
    row = _find(session.rpc.call("gristmill_v1_stakingValidators"), address)
    registered = (stake.account.get("sessionKeys") or {}).get("consensusKey")
    fields = {
        "address": address,
        "name": label,
        "state": "none" if row is None else validator_state(row),
        "bonded": stake.account.get("bonded"),
        "power": "0" if row is None else row.get("power"),
        "points": 0 if row is None else row.get("points"),
        "missed": 0 if row is None else row.get("missed"),
        "acting_key": None if acting is None else acting.get("consensusKey"),
        "registered_key": registered,
        "local_keys": [
            {"consensus_key": to_hex(one.consensus_key), "use": _use(one, acting, registered)}
            for one in local
        ],
    }
    words = ("state", "power", "points", "missed", "acting_key", "registered_key")
    rows = [("validator", f"{address}  {label}")]
    rows += [(word.replace("_", " "), str(fields[word])) for word in words]
    rows += [("key here", f"{to_hex(one.consensus_key)} {_use(one, acting, registered)}")
             for one in local]  # fmt: skip
    session.console.answer("validator.status/1", fields, pairs(rows))


def _keys_path(node_home: str, keys_dir: str | None) -> Path:
    """Give the directory where the node looks for its keys, by the same two options."""
    home = Path(node_home).expanduser().absolute()
    if not home.is_dir():
        raise WrongUse(f"{home} does not exist", "give the --node-home of a node")
    chosen = Path(keys_dir).expanduser().absolute() if keys_dir else Path()
    return NodeConfig(home=home, keys=chosen).keys_path


def _make_keys(session: NodeSession, base: Path, account: bytes) -> ValidatorKeys:
    """Make the next keys below a key directory, journal first."""
    base.mkdir(exist_ok=True, mode=0o700)
    directory = next_key_directory(base)
    directory.mkdir(exist_ok=True, mode=0o700)
    made = ValidatorKeys(account, os.urandom(32), os.urandom(32))
    create_identity(directory, made, session.chain.identity.genesis_hash)
    return made


def _register(session: NodeSession, made: ValidatorKeys, options: dict[str, Any]) -> None:
    """Send set_keys for keys, signed by their account."""
    if options["signer"] is None:
        options["signer"] = encode_address(made.account)
    if session.signer(options["signer"]).public != made.account:
        raise WrongUse(
            f"the keys were made for {encode_address(made.account)}, which has to sign",
            "sign with that account, or make keys for another in another home",
        )
    proof = prove_possession(
        genesis_hash=session.chain.identity.genesis_hash,
        account=made.account,
        consensus_seed=made.consensus_seed,
        vrf_seed=made.vrf_seed,
    )
    args = {
        "keys": {"consensus": to_hex(made.consensus_key), "vrf": to_hex(made.vrf_key)},
        "proof": to_hex(proof),
    }
    send_staking(session, "Session.set_keys", args, options)


def _local_keys(base: Path) -> list[ValidatorKeys]:
    return [load_keys(directory / KEY_FILE) for directory in find_key_directories(base)]


def _use(one: ValidatorKeys, acting: dict[str, Any] | None, registered: str | None) -> str:
    """Return what a key in a node's home is for at the moment."""
    key = to_hex(one.consensus_key)
    if acting is not None and acting.get("consensusKey") == key:
        return "acts" if key == registered else "acts until the next election"
    return "registered, acts once elected" if key == registered else "not registered"


def _find(answer: Any, address: str) -> dict[str, Any] | None:
    if not isinstance(answer, list):
        raise BadContent("the node's list of validators has another form")
    return next((row for row in answer if row.get("address") == address), None)


def _tell(session: NodeSession, base: Path, made: ValidatorKeys) -> None:
    fields = {
        "account": encode_address(made.account),
        "consensus_key": to_hex(made.consensus_key),
        "vrf_key": to_hex(made.vrf_key),
        "file": str(base / KEY_FILE),
    }
    lines = pairs((name.replace("_", " "), value) for name, value in fields.items())
    session.console.answer("node.key/1", fields, lines)
