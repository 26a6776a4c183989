"""The one door to the compiled core: bytes, not business.

`from ext import scale, hashing, signing, store, dispatch, election, trainer` gives the native
modules, or their plain Python twins when the environment says `GRISTMILL_CORE=reference`. The
choice is explicit and made once, at import; a missing native build is an error, never a silent
fall back.
`vrf` comes from the same door and has no twin: it is one plain file over whichever `signing` lives.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING

CORE = os.environ.get("GRISTMILL_CORE", "native")
"""Which implementation is live: `native` or `reference`."""

if CORE not in ("native", "reference"):
    raise ImportError(f"GRISTMILL_CORE is {CORE!r}; set it to 'native' or 'reference'")

_MODULES = ("scale", "hashing", "signing", "store", "dispatch", "election", "trainer")


def _open(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"ext.{CORE}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ext.{CORE}.{name}":
            raise
        raise ImportError(
            f"the compiled core has no {name}; build it with `make setup`, or choose the plain one"
            " with GRISTMILL_CORE=reference"
        ) from error


if TYPE_CHECKING:
    from ext import vrf
    from ext.reference import (  # noqa: TC004  # bound below
        dispatch,
        election,
        hashing,
        scale,
        signing,
        store,
        trainer,
    )
else:
    for _name in _MODULES:
        globals()[_name] = sys.modules[f"ext.{_name}"] = _open(_name)
    vrf = importlib.import_module("ext.vrf")

__all__ = [
    "CORE",
    "dispatch",
    "election",
    "hashing",
    "scale",
    "signing",
    "store",
    "trainer",
    "vrf",
]
