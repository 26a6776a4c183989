"""What an operator can set: one table of options with bounds, and where each value came from.

    flags  >  environment GRISTMILL_*  >  ./gristmill.toml  >  user's gristmill.toml  >  defaults

In files the options of a node stand in the table `[node]`; other tables belong to other commands.
An option that does not exist, or a value out of its bounds, is a ConfigError of one sentence.
"""

# ruff: noqa: RUF009 - each option is declared by a call that holds its bounds

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from chain.errors import ConfigError
from chain.log import Level
from runtime.toml import BadToml, parse_toml

ENVIRONMENT_PREFIX = "GRISTMILL_"
"""An option `rpc_port` is GRISTMILL_RPC_PORT in the environment and --rpc-port as a flag."""

FILE_BYTES_MAX = 1 << 20
"""A configuration file is a page or two; more is a wrong file."""

ITEMS_MAX = 256
"""Most entries of one list option, such as boot nodes."""

ARCHIVE = 0
"""The value of `keep_blocks` that keeps the state of every height."""

KEEP_BLOCKS_MIN = 256
"""A pruning node answers for at least so many heights below its tip."""

Raw: TypeAlias = str | int | bool | Sequence[str]
"""A value as a flag, the environment or a file gives it."""


def _option(
    default: Any, text: str, *, minimum: int = 0, maximum: int = 1 << 62,
    choices: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """Declare one option: its default, a sentence of help, and what is allowed."""
    bounds = {"help": text, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Everything a node is told from outside; numbers are checked, paths are absolute."""

    home: Path = _option(Path("gristmill-data"), "directory of keys, database and journals")
    chain: str = _option("dev", "chain spec: dev, local, test, or the path of a spec file")
    name: str = _option("gristmill-node", "name shown to people, at most 64 characters")
    validator: bool = _option(default=False, text="sign proposals and votes with the keys in home")
    keys: Path = _option(Path(), "directory of the validator keys; home/keys when not given")
    p2p_host: str = _option("0.0.0.0", "address to accept peers at")  # noqa: S104 - peers come from anywhere
    p2p_port: int = _option(30333, "port to accept peers at; 0 takes a free one", maximum=65535)
    p2p_external: str = _option("", "host and port that others can dial, when behind a NAT")
    bootnodes: tuple[str, ...] = _option((), "addresses to begin with, each ending in /p2p/ID")
    reserved: tuple[str, ...] = _option((), "addresses that are always dialled")
    peers_in_max: int = _option(40, "inbound peers", maximum=1024)
    peers_out_max: int = _option(10, "outbound peers", maximum=256)
    rpc_host: str = _option("127.0.0.1", "address of the RPC server")
    rpc_port: int = _option(9944, "port of the RPC server; 0 takes a free one", maximum=65535)
    rpc_external: bool = _option(default=False, text="let other machines use the RPC server")
    rpc_methods: str = _option("auto", "which methods to offer", choices=("auto", "safe", "unsafe"))
    rpc_cors: tuple[str, ...] = _option((), "origins of web pages that may call, besides defaults")
    rpc_hosts: tuple[str, ...] = _option((), "values of Host that are served, besides defaults")
    rpc_rate_limit: int = _option(0, "calls a minute of one address; 0 is no limit")
    rpc_connections_max: int = _option(256, "connections at once", minimum=1, maximum=65535)
    rpc_request_bytes_max: int = _option(
        1 << 20, "bytes of one request", minimum=1024, maximum=1 << 26
    )
    rpc_batch_max: int = _option(50, "requests in one batch", minimum=1, maximum=10_000)
    rpc_subscriptions_max: int = _option(
        256, "subscriptions of one connection", minimum=1, maximum=65535
    )
    metrics_host: str = _option("127.0.0.1", "address of the metrics page")
    metrics_port: int = _option(
        -1, "port of the metrics page; -1 is none", minimum=-1, maximum=65535
    )
    keep_blocks: int = _option(
        KEEP_BLOCKS_MIN, "heights whose state is kept; 0 keeps all (archive)"
    )
    account_index: bool = _option(default=False, text="index extrinsics by account, for histories")
    flush_blocks: int = _option(
        64, "blocks between two flushes of the state to flat records", minimum=1, maximum=10_000
    )
    free_space_bytes_min: int = _option(2 << 30, "blocks are refused below this much free space")
    pool_count_max: int = _option(5_000, "transactions in the pool", minimum=1, maximum=1_000_000)
    pool_bytes_max: int = _option(
        32 << 20, "bytes of transactions in the pool", minimum=1024, maximum=1 << 34
    )
    pool_sender_max: int = _option(64, "transactions of one sender in the pool", minimum=1)
    checkpoint: str = _option("", "HEIGHT:HASH of a block that is known to be final")
    sync: str = _option(
        "blocks", "how a node without a chain joins one", choices=("blocks", "snapshot")
    )
    snapshot_interval_epochs: int = _option(
        0, "epochs between two snapshots that joining nodes may take; 0 makes none",
        maximum=1_000_000,
    )  # fmt: skip
    trust_genesis: bool = _option(default=False, text="sync from genesis without a checkpoint")
    log_level: str = _option(
        "info", "least level that is logged", choices=("debug", "info", "warning", "error")
    )
    log_file: Path = _option(Path(), "file for the log; standard error when not given")
    memory_bytes_max: int = _option(0, "address space limit; 0 is none")
    files_max: int = _option(4096, "open files limit", minimum=128, maximum=1 << 20)
    drill_rules: Path = _option(
        Path(), "directory with further runtime versions; for drills on Development chains only"
    )
    clock_offset_ms: int = _option(
        0, "moves the wall clock, for drills only", minimum=-86_400_000, maximum=86_400_000
    )

    @property
    def is_archive(self) -> bool:
        """Whether the state of every height is kept."""
        return self.keep_blocks == ARCHIVE

    @property
    def database_path(self) -> Path:
        """The directory of the LevelDB database."""
        return self.home / "db"

    @property
    def finality_path(self) -> Path:
        """The finality journal."""
        return self.home / "finality.journal"

    @property
    def snapshots_path(self) -> Path:
        """The directory of the snapshots that peers may take."""
        return self.home / "snapshots"

    @property
    def keys_path(self) -> Path:
        """The directory of validator keys and of the signing journal."""
        return self.keys if self.keys != Path() else self.home / "keys"

    @property
    def level(self) -> Level:
        """The least level that is logged."""
        return Level[self.log_level.upper()]

    def check(self) -> None:
        """Raise ConfigError when options that are fine alone do not go together."""
        if not 0 < len(self.name) <= 64 or not self.name.isprintable():
            raise ConfigError(
                "the node's name has 1 to 64 printable characters; give another --name"
            )
        if self.keep_blocks != ARCHIVE and self.keep_blocks < KEEP_BLOCKS_MIN:
            raise ConfigError(
                f"keep-blocks is 0 (archive) or at least {KEEP_BLOCKS_MIN}, not {self.keep_blocks}"
            )
        if self.sync == "snapshot" and self.is_archive:
            raise ConfigError(
                "an archive keeps the state of every height, and a snapshot has one; leave out "
                "--archive, or join with --sync blocks"
            )
        if self.rpc_host not in _LOOPBACK and not self.rpc_external:
            raise ConfigError(
                f"rpc-host {self.rpc_host} can be reached from other machines; "
                "add --rpc-external if you mean that"
            )
        if self.rpc_external and self.rpc_methods == "unsafe" and self.validator:
            raise ConfigError(
                "a validator does not offer unsafe RPC methods to other machines; "
                "use --rpc-methods safe"
            )
        _ = self.parsed_checkpoint

    @property
    def parsed_checkpoint(self) -> tuple[int, bytes] | None:
        """The (height, 32-byte hash) of the checkpoint, or None; raises ConfigError."""
        if not self.checkpoint:
            return None
        height, _, digest = self.checkpoint.partition(":")
        try:
            block_id = bytes.fromhex(digest.removeprefix("0x"))
        except ValueError:
            block_id = b""
        if not (_NUMBER.fullmatch(height) and len(block_id) == 32):
            raise ConfigError("a checkpoint is written HEIGHT:HASH with 64 hexadecimal digits")
        return int(height), block_id


_NUMBER = re.compile(r"[0-9]{1,10}")
"""A height: u32."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

OPTIONS: dict[str, Field[Any]] = {option.name: option for option in fields(NodeConfig)}
"""Every option by name; `metadata` has help, minimum, maximum and choices."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration and, for each option, the source it came from, for `config show --origin`."""

    config: NodeConfig
    origins: Mapping[str, str]


def load_config(
    *, flags: Mapping[str, Raw | None], environment: Mapping[str, str],
    files: Sequence[Path] = (),
) -> Resolved:  # fmt: skip
    """Merge flags, environment and files (the first file wins) over the defaults.

    Flags that are None were not given. Raises ConfigError with one sentence.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = dict.fromkeys(OPTIONS, "default")
    for path in reversed(files):
        for name, raw in _read_file(path).items():
            values[name] = _parse(name, raw, str(path))
            origins[name] = str(path)
    for name in OPTIONS:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            values[name] = _parse(name, environment[variable], variable)
            origins[name] = variable
    for name, given in flags.items():
        if given is not None:
            values[name] = _parse(name, given, "--" + name.replace("_", "-"))
            origins[name] = "flag"
    config = NodeConfig(**values)
    config.check()
    return Resolved(config, origins)


def _read_file(path: Path) -> dict[str, Raw]:
    """Give the `[node]` table of a TOML file, empty when there is no such file."""
    if not path.is_file():
        return {}
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than any configuration; is it the right file?")
    try:
        document = parse_toml(path.read_text(encoding="utf-8"))
    except (BadToml, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    table = document.get("node", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: node is a table, written [node]")
    return {name.replace("-", "_"): raw for name, raw in table.items()}


def _parse(name: str, raw: Raw, source: str) -> Any:
    """Give the checked value of an option; raises ConfigError naming the source."""
    option = OPTIONS.get(name)
    if option is None:
        raise ConfigError(f"{source}: there is no option {name}; see `gristmill node run --help`")
    default = option.default
    if isinstance(default, bool):
        return _parse_flag(raw, source)
    if isinstance(default, int):
        return _parse_number(raw, option, source)
    if isinstance(default, tuple):
        return _parse_list(raw, source)
    if not isinstance(raw, str) or "\0" in raw:
        raise ConfigError(f"{source} is a text, not {raw!r}")
    if isinstance(default, Path):
        return _parse_path(raw, source) if raw else Path()
    choices = option.metadata["choices"]
    if choices and raw not in choices:
        raise ConfigError(f"{source} is one of {', '.join(choices)}, not {raw!r}")
    return raw


def _parse_path(raw: str, source: str) -> Path:
    """Give an absolute path; `~` is somebody's home, if that somebody is known."""
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(f"{source} begins with a home that is not known: {raw!r}") from error


def _parse_flag(raw: Raw, source: str) -> bool:
    """Read yes or no."""
    if isinstance(raw, bool):
        return raw
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if not isinstance(raw, str) or raw.lower() not in known:
        raise ConfigError(f"{source} is true or false, not {raw!r}")
    return known[raw.lower()]


def _parse_number(raw: Raw, option: Field[Any], source: str) -> int:
    """Read a whole number within the bounds of its option."""
    text = str(raw) if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        raise ConfigError(f"{source} is a whole number, not {raw!r}")
    minimum, maximum = option.metadata["minimum"], option.metadata["maximum"]
    if not minimum <= int(text) <= maximum:
        raise ConfigError(f"{source} lies between {minimum} and {maximum}, not at {text}")
    return int(text)


def _parse_list(raw: Raw, source: str) -> tuple[str, ...]:
    """Read a list, or a text with commas."""
    if isinstance(raw, str):
        items = [item.strip() for item in raw.split(",") if item.strip()]
    elif isinstance(raw, Sequence) and all(isinstance(item, str) for item in raw):
        items = list(raw)
    else:
        raise ConfigError(f"{source} is a list of texts, not {raw!r}")
    if len(items) > ITEMS_MAX:
        raise ConfigError(f"{source} has at most {ITEMS_MAX} entries, not {len(items)}")
    return tuple(items)
