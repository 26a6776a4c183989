"""Write the references under docs/ from the program itself: cli.md, rpc.md and openrpc.json.

`make docs` runs this; a test compares the files with what this would write today.
"""

import inspect
import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import click  # noqa: E402 - the project's own packages are found by the line above

from chain.cli.command import shared_options  # noqa: E402 - as above
from chain.cli.main import cli  # noqa: E402 - as above
from chain.rpc.jsonrpc import Method, describe  # noqa: E402 - as above
from chain.rpc.methods import build_methods  # noqa: E402 - as above
from chain.rpc.view import NodeView  # noqa: E402 - as above

MADE = "<!-- Made by `make docs`; edit the docstrings, not this file. -->"

GROUPS = {
    "chain": "Blocks and headers",
    "state": "State",
    "system": "The node and its peers",
    "author": "Transactions",
    "payment": "Fees",
    "gristmill": "Gristmill's own",
    "rpc": "Discovery",
}
"""The groups of methods in the order of the document, by the first word of the name."""


def main() -> None:
    """Write every document."""
    for name, text in make_documents().items():
        (ROOT / "docs" / name).write_text(text)
        print(f"docs/{name}")


def make_documents() -> dict[str, str]:
    """Give the text of every generated document by its name under docs/."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    node = SimpleNamespace(chain=SimpleNamespace(node_version=version))
    # Only the names and docstrings of the handlers are read; none is called.
    methods = build_methods(cast("NodeView", node), allow_unsafe=True).methods()
    document = describe(methods, title="Gristmill node", version=version)
    return {
        "cli.md": "\n".join(_cli_lines()) + "\n",
        "rpc.md": "\n".join(_rpc_lines(methods)) + "\n",
        "openrpc.json": json.dumps(document, indent=2, sort_keys=True) + "\n",
    }


def _cli_lines() -> Iterator[str]:
    shared = shared_options()
    yield from ("# The command line", "", MADE, "")
    yield from (
        "`gristmill COMMAND --help` shows the same. The result goes to standard output, messages",
        "to standard error; [errors.md](errors.md) lists the exit codes. Every command takes:",
        "",
    )
    yield from _option_lines(shared)
    yield ""
    names = {name for option in shared for name in option.opts}
    context = click.Context(cli, info_name="gristmill")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is not None:
            yield from _command_lines(command, f"gristmill {name}", names, level=2)


def _command_lines(
    command: click.Command, path: str, shared: set[str], *, level: int
) -> Iterator[str]:
    yield from (f"{'#' * level} {path}", "")
    yield from (_sentences(command.help or ""), "")
    context = click.Context(command, info_name=path)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command_lines(inner, f"{path} {name}", shared, level=level + 1)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```text", f"{path} {usage}", "```", "")
    options = [
        one
        for one in command.params
        if isinstance(one, click.Option) and not shared & set(one.opts) and one.name != "help_"
    ]
    if options:
        yield from _option_lines(options)
        yield ""


def _option_lines(options: Sequence[click.Parameter]) -> Iterator[str]:
    yield from ("| option | meaning |", "|---|---|")
    for option in options:
        context = click.Context(click.Command("any"))
        record = option.get_help_record(context)
        if record is not None:
            flags, text = (part.replace("|", "\\|") for part in record)
            yield f"| `{flags}` | {_sentences(text)} |"


def _rpc_lines(methods: Sequence[Method]) -> Iterator[str]:
    yield from ("# The JSON-RPC interface", "", MADE, "")
    yield from (
        "One port, 9944 unless told otherwise, speaks JSON-RPC 2.0 over HTTP and WebSocket; the",
        "methods are Substrate's where they mean the same, so stock clients work.",
        "[openrpc.json](openrpc.json) says the same to programs, `rpc.discover` is the node's own",
        "word. Amounts are decimal strings of grains, hashes and bytes are `0x` and hex digits.",
        "Subscriptions need a WebSocket.",
        "",
    )
    for group, title in GROUPS.items():
        yield from (f"## {title}", "")
        for method in methods:
            if method.name.replace(".", "_").split("_")[0] == group:
                yield from _method_lines(method)
    left = [m.name for m in methods if m.name.replace(".", "_").split("_")[0] not in GROUPS]
    if left:
        raise SystemExit(f"scripts/make_docs.py has no group for {', '.join(left)}")


def _method_lines(method: Method) -> Iterator[str]:
    names = [one.name if one.required else f"{one.name}?" for one in method.params]
    yield from (f"### {method.name}({', '.join(names)})", "")
    text = inspect.getdoc(method.handler) or ""
    yield from (_sentences(text) + (" Unsafe." if method.unsafe else ""), "")
    if method.params:
        yield from ("| parameter | JSON |", "|---|---|")
        for one in method.params:
            yield f"| `{one.name}`{'' if one.required else ', optional'} | {_schema(one.schema)} |"
        yield ""


def _schema(schema: Any) -> str:
    text = json.dumps(dict(schema), sort_keys=True)
    return f"`{text}`".replace("|", "\\|")


def _sentences(text: str) -> str:
    """Join the lines of each paragraph; keep the paragraphs."""
    paragraphs = inspect.cleandoc(text).replace("\b\n", "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


if __name__ == "__main__":
    main()
