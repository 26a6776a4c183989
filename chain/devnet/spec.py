"""The chain spec of a devnet: a published one, with more validators and nominators, other paces.

The text is edited, not written anew, so that everything else in it stays as its authors wrote it.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from chain.wallet.accounts import VALIDATOR_NAMES, dev_nominator, dev_validator
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import BadContent, WrongUse
from chain.wallet.ss58 import encode_address
from runtime.staking.ballot import VOTERS_PER_BLOCK
from runtime.toml import BadToml, parse_toml

NOMINATORS_MAX: Final = 500
"""Nominators of a generated genesis; more would only make its file long."""

TARGETS_EACH: Final = 2
"""Validators that a generated nominator backs: enough for the election to have a choice."""

_NUMBER: Final = r"(?m)^({name}\s*=\s*)\d+"
_TABLE: Final = re.compile(r"(?m)^(?=\[)")
_DEFAULT_STAKE: Final = "100000"
_DEFAULT_AMOUNT: Final = "1000000"


def find_validators(text: str) -> list[str]:
    """Return the labels of the validators of a spec, in its order."""
    return [str(entry.get("label")) for entry in _entries(text)]


def write_spec(
    text: str,
    *,
    validators: int | None,
    interval_ms: int | None,
    nominators: int = 0,
    settings: Mapping[str, int] | None = None,
) -> str:
    """Return a spec with so many validators and nominators, and numbers set by their names.

    `interval_ms` is the time between blocks. Nominators need a spec with a [staking] table.
    """
    numbers = dict(settings or {})
    if interval_ms is not None:
        numbers["block_interval_ms"] = interval_ms
    text = _with_validators(text, validators)
    for name, number in _staking_numbers(text, numbers).items():
        numbers.setdefault(name, number)
    for name, number in numbers.items():
        text = _set_number(text, name, number)
    return _with_nominators(text, nominators)


def _staking_numbers(text: str, numbers: Mapping[str, int]) -> dict[str, int]:
    """Return what staking needs with these numbers: seats for all, lists that fit an epoch."""
    if not _has_staking(text):
        return {}
    staking = tomllib.loads(text)["staking"]
    wanted = {"seats": max(staking["seats"], len(_active(text)))}
    if "epoch_blocks" in numbers:
        room = VOTERS_PER_BLOCK * max(1, numbers["epoch_blocks"] // 4)
        wanted["candidates_max"] = min(staking["candidates_max"], room // 4)
        wanted["voters_max"] = min(staking["voters_max"], room - wanted["candidates_max"])
    return {name: number for name, number in wanted.items() if number != staking[name]}


def _with_validators(text: str, validators: int | None) -> str:
    labels = find_validators(text)
    unknown = [label for label in labels if label not in VALIDATOR_NAMES]
    if unknown:
        raise WrongUse(
            f"the validator {unknown[0]!r} of the chain spec has no development keys",
            "a devnet needs a spec whose validators are " + ", ".join(VALIDATOR_NAMES),
        )
    if validators is None or validators in (len(_active(text)), len(labels)):
        return text
    if validators > len(labels):
        spare = [name for name in VALIDATOR_NAMES if name not in labels]
        added = spare[: validators - len(labels)]
        return _append(text, _validator_tables(text, added))
    return _keep_first(text, validators)


def _with_nominators(text: str, count: int) -> str:
    if not count:
        return text
    if not _has_staking(text):
        raise WrongUse(
            "the chain spec has no [staking] table, so nobody can nominate",
            "take a spec with staking, like dev, or leave out --nominators",
        )
    if not 0 < count <= NOMINATORS_MAX:
        raise WrongUse(f"a devnet has at most {NOMINATORS_MAX} nominators")
    labels = [str(entry["label"]) for entry in _active(text)]
    each = min(TARGETS_EACH, len(labels))
    tables = []
    for number in range(1, count + 1):
        label = f"Nominator {number}"
        targets = [labels[(number - 1 + step) % len(labels)] for step in range(each)]
        listed = ", ".join(f'"{target}"' for target in targets)
        tables.append(_account_table(label, dev_nominator(number).public, "1000"))
        tables.append(
            f'[[nominators]]\nlabel = "{label}"\n'
            f'stake = "{_stake_of(text)}"\ntargets = [{listed}]\n'
        )
    return _append(text, tables)


def _set_number(text: str, name: str, number: int) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise WrongUse(f"{name!r} is not the name of a setting", "write it as the chain spec does")
    text, count = re.subn(_NUMBER.format(name=name), rf"\g<1>{number}", text)
    if count != 1:
        raise WrongUse(
            f"the chain spec does not set {name} to a number, once",
            "name a number of its tables, like epoch_blocks",
        )
    return text


def _has_staking(text: str) -> bool:
    return isinstance(tomllib.loads(text).get("staking"), dict)


def _active(text: str) -> list[dict[str, Any]]:
    """Return those who validate from the first block."""
    return [entry for entry in _entries(text) if entry.get("power") or entry.get("stake")]


def _stake_of(text: str) -> str:
    """Return the stake that a validator of the spec begins with."""
    stakes = [str(entry["stake"]) for entry in _entries(text) if entry.get("stake")]
    return stakes[0] if stakes else _DEFAULT_STAKE


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
        found = parse_toml(text).get("validators")
    except BadToml as error:
        raise BadContent(f"the chain spec is not TOML: {error}") from None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise BadContent("the chain spec has no [[validators]]")
    return found


def _keep_first(text: str, count: int) -> str:
    """Drop the validators after the first `count`, and what might name them."""
    kept, seen = [], 0
    for part in _TABLE.split(text):
        if part.startswith(("[[schedule]]", "[[nominators]]")):
            continue
        if part.startswith("[[validators]]"):
            seen += 1
            if seen > count:
                continue
        kept.append(part)
    return "".join(kept)


def _append(text: str, tables: list[str]) -> str:
    return text.rstrip("\n") + "\n\n" + "\n".join(tables)


def _validator_tables(text: str, names: list[str]) -> list[str]:
    """Return the tables of more validators, each with stake (or power) and money for fees."""
    funded = {str(entry.get("account")) for entry in tomllib.loads(text).get("accounts", [])}
    weight = f'stake = "{_stake_of(text)}"' if _has_staking(text) else "power = 1"
    tables = []
    for name in names:
        keys = dev_validator(name)
        tables.append(
            "[[validators]]\n"
            f'label = "{name}"\n'
            f'account = "{encode_address(keys.account.public)}"\n'
            f'consensus_key = "{to_hex(keys.consensus.public)}"\n'
            f'vrf_key = "{to_hex(keys.vrf.public)}"\n'
            f"{weight}\n"
        )
        if encode_address(keys.account.public) not in funded:
            tables.append(_account_table(name, keys.account.public, _DEFAULT_AMOUNT))
    return tables


def _account_table(label: str, public: bytes, amount: str) -> str:
    address = encode_address(public)
    return f'[[accounts]]\nlabel = "{label}"\naccount = "{address}"\namount = "{amount}"\n'
