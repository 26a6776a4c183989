"""Settings of the command line, each with where its value comes from.

A flag wins over the environment, that over ./gristmill.toml, that over the user's
$XDG_CONFIG_HOME/gristmill/config.toml, and that over the default.
"""

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chain.wallet.endpoint import DEFAULT_URL
from chain.wallet.errors import BadConfiguration

FILE_LENGTH_MAX: Final = 64 * 1024
"""Bytes of a configuration file."""

OTHER_TABLES: Final = ("node", "devnet")
"""Tables of the same file that belong to others and are not read here."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in files, its variable, its type and what it is for."""

    name: str
    kind: type[str] | type[bool]
    summary: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"GRISTMILL_{self.name.upper()}"


SETTINGS: Final = (
    Setting("url", str, "The RPC address of the node to ask."),
    Setting("home", str, "The directory of keys and other files of yours."),
    Setting("account", str, "The account that signs when --from is not given."),
    Setting("json", bool, "Print one JSON document instead of text."),
    Setting("quiet", bool, "Print no messages beside the result."),
    Setting("debug", bool, "Show the trace of an internal error."),
    Setting("password_file", str, "The file whose first line is the password of your keys."),
)
"""Everything that can be set outside the command line."""


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's value and its origin in words."""

    value: Any
    origin: str


class Settings:
    """The values in force; `settings["url"]` is one, `origin` says where it comes from."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name].value

    def origin(self, name: str) -> str:
        """Say where the value comes from."""
        return self._values[name].origin

    def override(self, name: str, value: Any, origin: str) -> None:
        """Let a flag win."""
        self._values[name] = Value(value, origin)


def load_settings(environment: Mapping[str, str], directory: Path) -> Settings:
    """Return the settings in force in a directory; BadConfiguration names what is wrong."""
    values = {name: Value(value, "default") for name, value in _defaults(environment).items()}
    config_home = Path(environment.get("XDG_CONFIG_HOME") or _home(environment) / ".config")
    for path in (config_home / "gristmill" / "config.toml", directory / "gristmill.toml"):
        for name, value in _read_file(path).items():
            values[name] = Value(value, str(path))
    for setting in SETTINGS:
        text = environment.get(setting.variable)
        if text:
            value = _parse(setting, text, setting.variable)
            values[setting.name] = Value(value, setting.variable)
    return Settings(values)


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or os.sep)


def _defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    data_home = environment.get("XDG_DATA_HOME") or _home(environment) / ".local" / "share"
    return {
        "url": DEFAULT_URL,
        "home": str(Path(data_home) / "gristmill"),
        "account": "",
        "json": False,
        "quiet": False,
        "debug": False,
        "password_file": "",
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_LENGTH_MAX:
            raise BadConfiguration(f"{path} is larger than {FILE_LENGTH_MAX} bytes")
        # Most commands find no file, and none of the runtime is loaded for them
        document = importlib.import_module("runtime.toml").parse_toml(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BadConfiguration(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadConfiguration(f"{path} is not TOML: {error}") from None
    known = {setting.name: setting for setting in SETTINGS}
    values = {}
    for name, value in document.items():
        if name in OTHER_TABLES and isinstance(value, dict):
            continue
        if name not in known:
            raise BadConfiguration(
                f"{path} sets {name!r}, which does not exist", f"it may set {', '.join(known)}"
            )
        values[name] = _check(known[name], value, str(path))
    return values


def _parse(setting: Setting, text: str, origin: str) -> Any:
    if setting.kind is str:
        return text
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise BadConfiguration(f"{origin} is {text!r}", "set it to 1 or 0")
    return words[text.lower()]


def _check(setting: Setting, value: Any, origin: str) -> Any:
    if type(value) is not setting.kind:
        wanted = "true or false" if setting.kind is bool else "a text"
        raise BadConfiguration(f"{origin} sets {setting.name} to {value!r}; it must be {wanted}")
    return value
