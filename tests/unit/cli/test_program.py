import importlib
import json
import os
import re
import subprocess
import sys

import click
import pytest

from chain.cli import main
from chain.cli.lazy import LazyGroup
from tests.unit.cli import schema

HEAVY = {
    "libp2p",
    "trio",
    "rich",
    "multiaddr",
    "plyvel",
    "asyncio",
    "http.client",
    "ext",
    "runtime",
}


def walk(command, path=()):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name))


COMMANDS = list(walk(main.cli))
LEAVES = [(path, command) for path, command in COMMANDS if not isinstance(command, click.Group)]


def test_every_summary_in_a_help_page_is_kept_by_its_command():
    groups = [command for _, command in COMMANDS if isinstance(command, LazyGroup)]
    assert len(groups) > 8
    for group in groups:
        for name, place in group.places.items():
            assert place.summary.endswith("."), name


@pytest.mark.parametrize(
    ("path", "command"), LEAVES, ids=lambda v: " ".join(v) if isinstance(v, tuple) else ""
)
def test_every_command_has_json_a_docstring_and_kebab_case_options(path, command):
    options = [p for p in command.params if isinstance(p, click.Option)]
    spellings = [word for option in options for word in (*option.opts, *option.secondary_opts)]
    assert "--json" in spellings, path
    assert command.help, path
    for word in spellings:
        assert re.fullmatch(r"-[a-z]|--[a-z0-9]+(-[a-z0-9]+)*", word), (path, word)
    for option in options:
        assert len([word for word in option.opts if word.startswith("--")]) == 1, (
            path,
            option.opts,
        )


@pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else ""
)
def test_every_help_page_is_printed(gristmill, path, command):
    result = gristmill(*path, "--help")
    assert result.code == 0
    assert result.out.startswith("Usage: gristmill")


def test_the_names_of_schemas_are_those_of_their_files():
    files = sorted(schema.SCHEMAS.glob("*.json"))
    assert len(files) > 30
    for path in files:
        document = json.loads(path.read_text())
        const = document.get("properties", {}).get("schema", {}).get("const")
        assert const in (None, f"gristmill.{path.stem}/1")


def test_every_schema_that_the_program_names_exists():
    sources = [importlib.import_module(f"chain.cli.{path.stem}").__file__
               for path in schema.SCHEMAS.parent.glob("*.py")]  # fmt: skip
    text = "".join(open(path).read() for path in sources)  # noqa: PTH123, SIM115 - many small reads
    named = set(re.findall(r'"([a-z.-]+)/1"', text)) - {"gristmill.tx", "gristmill.manifest"}
    assert named
    missing = [name for name in named if not (schema.SCHEMAS / f"{name}.json").exists()]
    assert missing == []


@pytest.mark.parametrize(
    "args", [["key", "--help"], ["--help"], ["key", "show", "//Alice"], ["version"]]
)
def test_a_command_without_a_node_imports_neither_network_nor_runtime(args):
    program = (
        "import sys\n"
        "from chain.cli.main import run\n"
        f"code = run({args!r})\n"
        f"heavy = sorted({HEAVY!r} & set(sys.modules))\n"
        "print(code, heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "0 []"


def test_a_command_that_asks_a_node_imports_no_network_stack():
    program = (
        "import sys\n"
        "from chain.cli.main import run\n"
        "code = run(['chain', 'info', '--url', 'http://127.0.0.1:1', '-q'])\n"
        f"heavy = sorted(({HEAVY!r} - {{'http.client'}}) & set(sys.modules))\n"
        "print(code, heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "69 []"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["nonsense"], 2),
        (["key", "nonsense"], 2),
        (["key", "show"], 2),
        (["key", "show", "--nonsense", "x"], 2),
        (["key", "show", "nobody"], 66),
        (["account", "balance", "//Alice", "--url", "nonsense"], 2),
        (["devnet", "status", "--base", "nowhere"], 66),
        (["devnet", "up", "--validators", "0"], 2),
    ],
)  # fmt: skip
def test_an_error_is_one_line_with_its_status_and_one_document_with_json(gristmill, args, code):
    plain = gristmill(*args)
    assert (plain.code, plain.out) == (code, "")
    lines = plain.err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2
    with_json = gristmill(*args, "--json")
    assert with_json.code == code
    assert schema.faults(json.loads(with_json.err), schema.load("error")) == []


def test_a_fault_of_ours_is_one_line_without_a_trace_and_70(gristmill, monkeypatch):
    def fail(*_unused):
        secret = "bottom drive"  # noqa: S105 - what a trace with locals would show
        raise RuntimeError(secret)

    monkeypatch.setattr("chain.cli.version.program_version", fail)
    result = gristmill("version")
    assert result.code == 70
    assert "bottom" not in result.err
    monkeypatch.setenv("GRISTMILL_DEBUG", "1")
    shown = gristmill("version")
    assert "Traceback" in shown.err


def test_an_interrupted_command_exits_130(gristmill, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("chain.cli.version.program_version", interrupt)
    assert gristmill("version").code == 130


def test_a_reader_that_goes_away_ends_the_program_with_141():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "chain.cli.main", "config", "show"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_setting_comes_from_flag_environment_near_file_far_file_or_default(
    gristmill, monkeypatch, tmp_path
):
    def url(*flags):
        found = gristmill("config", "show", "--json", *flags)
        assert found.code == 0, found.err
        by_name = {one["name"]: one for one in schema.check(found.out)["settings"]}
        return by_name["url"]["value"], by_name["url"]["origin"]

    assert url() == ("http://127.0.0.1:9944", "default")
    far = tmp_path / "config" / "gristmill" / "config.toml"
    far.parent.mkdir(parents=True)
    far.write_text('url = "http://far:1"\n')
    assert url() == ("http://far:1", str(far))
    near = tmp_path / "gristmill.toml"
    near.write_text('url = "http://near:1"\n[node]\nrpc_port = 1\n')
    assert url() == ("http://near:1", str(near))
    monkeypatch.setenv("GRISTMILL_URL", "http://environment:1")
    assert url() == ("http://environment:1", "GRISTMILL_URL")


@pytest.mark.parametrize(
    "text", ["nonsense", 'color = "x"', "url = 5", 'json = "yes"', "[other]\nx = 1", "\x00"]
)
def test_a_setting_that_cannot_be_used_exits_78(gristmill, tmp_path, text):
    (tmp_path / "gristmill.toml").write_text(text)
    assert gristmill("config", "show").code == 78


def test_json_can_be_asked_for_before_the_command_or_by_the_environment(gristmill, monkeypatch):
    assert schema.check(gristmill("--json", "version").out)
    monkeypatch.setenv("GRISTMILL_JSON", "1")
    assert schema.check(gristmill("version").out)
    failed = gristmill("key", "show", "nobody")
    assert json.loads(failed.err)["error"]["code"] == "not_found"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_names_the_program(gristmill, shell):
    script = gristmill("completion", shell).out
    assert "_GRISTMILL_COMPLETE" in script
