"""Calls on the command line: `balances.transfer_keep_alive --to ops --amount 12.5`.

The arguments, their order and their help come from the chain's metadata, so a new module needs no
new command. `--to` and `--amount` are what people say for `dest` and `value`.
"""

from collections.abc import Sequence
from typing import Final

from chain.cli.online import NodeSession
from chain.wallet.errors import WrongUse
from chain.wallet.metadata import Field, Metadata, Module, Variant

ALIASES: Final = {"to": "dest", "amount": "value"}
"""What people say, to what Substrate's calls name it."""


def encode_call(session: NodeSession, path: str, tokens: Sequence[str]) -> bytes:
    """Return the bytes of a call from `--name value` tokens; WrongUse says what is missing."""
    module, call = session.chain.metadata.call(path)
    given = _read_tokens(call, tokens)
    content = [bytes([module.index, call.index])]
    for field in call.fields:
        name = str(field.name)
        if name not in given:
            raise WrongUse(
                f"{module.name}.{call.name} needs {_flag(name)}",
                f"gristmill tx send {path} --help lists its arguments",
            )
        content.append(session.encoder.encode_text(field, given[name]))
    return b"".join(content)


def describe_arguments(metadata: Metadata, module: Module, call: Variant) -> list[str]:
    """Return the help of a call: its docstring and one line an argument."""
    lines = [f"{module.name}.{call.name}", "", f"  {call.docs or 'No description.'}", ""]
    lines += [
        f"  {_flag(str(field.name)):<24} {_describe_type(metadata, field)}" for field in call.fields
    ]
    if not call.fields:
        lines.append("  It takes no arguments.")
    return lines


def _read_tokens(call: Variant, tokens: Sequence[str]) -> dict[str, str]:
    names = {str(field.name) for field in call.fields}
    given: dict[str, str] = {}
    waiting = list(tokens)
    while waiting:
        token = waiting.pop(0)
        if not token.startswith("--"):
            raise WrongUse(f"{token!r} is not an argument of the call", "write --name value")
        word, equals, value = token[2:].partition("=")
        name = word.replace("-", "_")
        if name not in names:
            name = ALIASES.get(name, name)
        if name not in names:
            known = ", ".join(_flag(one) for one in sorted(names)) or "none"
            raise WrongUse(f"{call.name} has no argument --{word}", f"its arguments: {known}")
        if name in given:
            raise WrongUse(f"--{word} is given twice")
        if not equals:
            if not waiting:
                raise WrongUse(f"--{word} needs a value")
            value = waiting.pop(0)
        given[name] = value
    return given


def _flag(name: str) -> str:
    spoken = {value: key for key, value in ALIASES.items()}
    return "--" + spoken.get(name, name).replace("_", "-")


def _describe_type(metadata: Metadata, field: Field) -> str:
    name = metadata.type(field.type_id).name
    if field.is_amount:
        return "an amount in GRIST, like 12.5"
    if name in {"MultiAddress", "AccountId32"}:
        return "an account: a key's name, an address, or //Alice"
    if "RuntimeCall" in field.type_name or name == "RuntimeCall" or "Call" in field.type_name:
        return 'JSON: {"call": "Module.call", "args": {...}}, in a list for a vector'
    return field.type_name or name or "a value"
