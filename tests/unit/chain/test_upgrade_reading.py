"""Reading over an upgrade: states, tables and audits take the rules of the block that they read."""

import json
from types import SimpleNamespace

import pytest

from chain.audit.emission import prove_emission
from chain.audit.export import ExportPlan, export_table
from chain.audit.replay import ReplayOptions
from chain.audit.slashes import list_slashes
from chain.audit.source import open_source
from chain.audit.supply import prove_supply
from chain.errors import VersionMissing
from chain.rpc.reading import RuntimeReader
from tests.support.solo import Solo
from tests.support.upgrades import HEIGHT, begin_scheduled, drill

LAST = HEIGHT + 2


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A chain whose block HEIGHT begins version 2; Bob writes into its guestbook in the next."""
    path = tmp_path_factory.mktemp("upgraded")
    with pytest.MonkeyPatch.context() as patch:
        begin_scheduled(patch)
        solo = Solo(path, options={"keep_blocks": 0}, releases=drill())
        solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
        solo.steps(HEIGHT)
        guestbook = solo.judge.executive.runtime.dispatcher
        solo.submit(solo.sign("Bob", guestbook.encode("Guestbook", "write", b"here")))
        solo.steps(LAST - HEIGHT)
        solo.close()
        yield path


@pytest.fixture
def source(home):
    opened = open_source(home)
    yield opened
    opened.close()


def modules(runtime):
    return {module.name: module for module in runtime.modules}


def test_a_state_is_read_by_the_rules_of_its_block(home):
    solo = Solo(home, options={"keep_blocks": 0}, releases=drill())
    node = SimpleNamespace(
        rules=lambda height: solo.judge.executive_at(height).rules,
        storage=solo.chain.get,
    )
    reader = RuntimeReader(node)
    seen = {}
    for height in (HEIGHT, HEIGHT - 1, LAST, 1):
        runtime = reader.at(height)
        book = modules(runtime).get("Guestbook")
        blocks = None if book is None else book.blocks
        seen[height] = (runtime.spec_version, runtime.ctx.spec_version, blocks)
    again = reader.at(LAST)
    assert again is reader.at(HEIGHT), "each version has one runtime"
    solo.close()
    assert seen == {1: (1, 1, None), HEIGHT - 1: (1, 1, None), HEIGHT: (2, 2, 1), LAST: (2, 2, 3)}


def rows_of(source, directory, **options):
    plan = ExportPlan("txs", "jsonl", options.pop("first", 1), None, directory)
    manifest = export_table(source, plan, **options)
    text = (directory / manifest["file"]).read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("first", [1, HEIGHT + 1])
def test_a_table_reads_calls_by_the_rules_of_their_block(source, tmp_path, first):
    rows = rows_of(source, tmp_path, first=first, releases=drill())
    written = (HEIGHT + 1, "Guestbook", "write", True)
    moved = (1, "Balances", "transfer_keep_alive", True)
    found = [(row["height"], row["module"], row["call"], row["success"]) for row in rows]
    assert found == ([moved, written] if first == 1 else [written])


def test_a_release_without_the_rules_of_a_block_makes_no_table_of_it(source, tmp_path):
    with pytest.raises(VersionMissing, match=f"block {HEIGHT} has runtime version 2"):
        rows_of(source, tmp_path)


def test_audits_read_the_events_of_every_version_that_the_replay_knows(source):
    options = ReplayOptions(releases=drill())
    supply = prove_supply(source, options)
    assert (supply.what, supply.height) == ("", LAST)
    emission = prove_emission(source, options)
    assert (emission.what, emission.replay.height) == ("", LAST)
    slashes = list_slashes(source, drill())
    assert (slashes.findings, slashes.height) == ([], LAST)
