"""The chain spec of a devnet: a published one, with another number of validators or another pace.

The text is edited, not written anew, so that everything else in it stays as its authors wrote it.
"""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from chain.wallet.accounts import DEV_NAMES, dev_validator
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import BadContent, WrongUse
from chain.wallet.ss58 import encode_address

_INTERVAL: Final = re.compile(r"(?m)^(block_interval_ms\s*=\s*)\d+")
_TABLE: Final = re.compile(r"(?m)^(?=\[)")


def find_validators(text: str) -> list[str]:
    """Return the labels of the validators of a spec, in its order."""
    return [str(entry.get("label")) for entry in _entries(text)]


def write_spec(text: str, *, validators: int | None, interval_ms: int | None) -> str:
    """Return a spec with so many validators and that many milliseconds between blocks."""
    if interval_ms is not None:
        text, count = _INTERVAL.subn(rf"\g<1>{interval_ms}", text)
        if count != 1:
            raise BadContent("the chain spec does not set block_interval_ms once")
    labels = find_validators(text)
    unknown = [label for label in labels if label not in DEV_NAMES]
    if unknown:
        raise WrongUse(
            f"the validator {unknown[0]!r} of the chain spec has no development keys",
            "a devnet needs a spec whose validators are " + ", ".join(DEV_NAMES),
        )
    active = sum(1 for entry in _entries(text) if entry.get("power"))
    if validators is None or validators in (active, len(labels)):
        return text
    if validators > len(labels):
        spare = [name for name in DEV_NAMES if name not in labels]
        added = [_validator_table(name) for name in spare[: validators - len(labels)]]
        return text.rstrip("\n") + "\n\n" + "\n".join(added)
    return _keep_first(text, validators)


def check_spec_kept(path: Path, text: str, *, has_chain: bool) -> None:
    """Raise WrongUse if a chain exists that another spec began."""
    if not has_chain or not path.exists():
        return
    if path.read_text(encoding="utf-8") != text:
        raise WrongUse(
            "the chain in this directory was begun with other settings",
            "use the same settings to go on with it, or --fresh to begin anew",
        )


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        found = tomllib.loads(text).get("validators")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadContent(f"the chain spec is not TOML: {error}") from None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise BadContent("the chain spec has no [[validators]]")
    return found


def _keep_first(text: str, count: int) -> str:
    """Drop the validators after the first `count`, and later sets that might name them."""
    kept, seen = [], 0
    for part in _TABLE.split(text):
        if part.startswith("[[schedule]]"):
            continue
        if part.startswith("[[validators]]"):
            seen += 1
            if seen > count:
                continue
        kept.append(part)
    return "".join(kept)


def _validator_table(name: str) -> str:
    keys = dev_validator(name)
    return (
        "[[validators]]\n"
        f'label = "{name}"\n'
        f'account = "{encode_address(keys.account.public)}"\n'
        f'consensus_key = "{to_hex(keys.consensus.public)}"\n'
        f'vrf_key = "{to_hex(keys.vrf.public)}"\n'
        "power = 1\n"
    )
