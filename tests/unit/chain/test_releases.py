"""Which versions a node has, and what a chain does at the block where another begins."""

import shutil
import sys
from dataclasses import replace

import pytest
import trio

from chain.audit.rehearsal import rehearse
from chain.audit.replay import ReplayOptions, replay
from chain.audit.source import open_source
from chain.config import NodeConfig
from chain.errors import ConfigError, VersionMissing
from chain.pool import PoolRefused, Refusal
from chain.releases import Releases, hash_sources, load_drill, open_releases
from ext import hashing, signing
from runtime.system import ScheduledVersion
from runtime.versions import VERSIONS, Due, Migration, VersionTable
from tests.support.lab import Lab, wait_for_height
from tests.support.solo import Solo
from tests.support.upgrades import DRILL_DIRECTORY, HEIGHT, begin_scheduled, drill

CONTENT = hashing.blake2b_256(b"what was voted for")


@pytest.fixture
def scheduled(monkeypatch):
    begin_scheduled(monkeypatch)


def solo_at(home, height, releases=None):
    solo = Solo(home, options={"keep_blocks": 0}, releases=releases or drill())
    solo.steps(height - solo.chain.height)
    return solo


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# ---- the content hash


def test_the_content_hash_is_over_names_and_contents_of_sources(tmp_path):
    files = {"runtime/a.py": "a = 1\n", "runtime/deep/b.py": "", "ext/c.pyx": "c"}
    first = hash_sources(write(tmp_path / "1", files), ("runtime", "ext"))
    again = dict(reversed(files.items())) | {"ext/c.so": "machine", "chain/d.py": "not hashed"}
    again["runtime/published.py"] = "the list of hashes"
    assert hash_sources(write(tmp_path / "2", again), ("runtime", "ext")) == first
    for number, change in enumerate(
        (
            {"runtime/a.py": "a = 2\n"},
            {"runtime/e.py": ""},
            {"ext/c.pyx": "cc"},
            {"ext/f.h": "int f;"},
        )
    ):
        other = hash_sources(write(tmp_path / f"o{number}", files | change), ("runtime", "ext"))
        assert other != first
    renamed = {("runtime/z.py" if name == "runtime/a.py" else name): t for name, t in files.items()}
    assert hash_sources(write(tmp_path / "r", renamed), ("runtime", "ext")) != first


def test_two_drafts_of_a_version_have_two_hashes(tmp_path):
    copy = tmp_path / "draft"
    shutil.copytree(DRILL_DIRECTORY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    first = load_drill(copy).content_hash(load_drill(copy).table.newest)
    other = tmp_path / "other"
    shutil.copytree(copy, other, ignore=shutil.ignore_patterns("__pycache__"))
    (other / "versions.py").write_text((copy / "versions.py").read_text() + "\n# another draft\n")
    assert load_drill(other).content_hash(load_drill(other).table.newest) != first
    assert first == drill().content_hash(drill().table.newest)


def test_the_hash_of_a_published_version_stays_when_sources_are_patched():
    published = replace(VERSIONS.newest, content_hash=CONTENT)
    releases = Releases(VersionTable([published]))
    assert releases.content_hash(published) == CONTENT
    assert releases.require(Due(1, CONTENT), 7) is published


# ---- what a node has


def test_a_version_that_is_not_there_is_one_sentence():
    with pytest.raises(VersionMissing) as missing:
        Releases().require(Due(2, CONTENT), 120)
    assert str(missing.value) == (
        "block 120 has runtime version 2, and this release knows versions up to 1: install a "
        f"release with version 2, content hash 0x{CONTENT.hex()}, and start again; the chain "
        "below it is kept"
    )


def test_a_version_of_other_content_is_not_the_one_that_was_voted_for():
    with pytest.raises(VersionMissing, match=f"block 9 has runtime version 2 .*{CONTENT.hex()}"):
        drill().require(Due(2, CONTENT), 9)
    newest = drill().table.newest
    assert drill().require(Due(2, drill().content_hash(newest)), 9) is newest
    assert drill().require(Due(1, bytes(32)), 9).version == 1


def test_a_scheduled_version_is_warned_of_while_there_is_time():
    coming = ScheduledVersion(2, drill().content_hash(drill().table.newest), 50)
    due = Due(1, bytes(32), coming)
    assert "block 50 has runtime version 2" in Releases().warning(due)
    assert drill().warning(due) == ""
    assert Releases().warning(Due(1, bytes(32))) == ""


def test_rules_from_a_directory_are_for_development_chains(tmp_path):
    config = NodeConfig(drill_rules=DRILL_DIRECTORY)
    assert open_releases(config, "Development").table.newest.version == 2
    assert open_releases(NodeConfig(), "Live").table is VERSIONS
    for chain_type in ("Live", "Local"):
        with pytest.raises(ConfigError, match="Development"):
            open_releases(config, chain_type)
    with pytest.raises(ConfigError, match=r"has no versions\.py"):
        load_drill(tmp_path)
    (tmp_path / "versions.py").write_text("VERSIONS = ()\nfrom runtime.versions import Rules\n"
                                          "VERSIONS = (Rules(5, 'a gap'),)\n")  # fmt: skip
    with pytest.raises(ConfigError, match="without a gap"):
        load_drill(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["VERSIONS = (", "import runtime.nothing", "VERSIONS = nobody", "RULES = ()", "VERSIONS = 1",
     "VERSIONS = 1 // 0", "VERSIONS = {}['a']", "VERSIONS = 'a'"],
)  # fmt: skip
def test_rules_that_cannot_be_loaded_are_one_sentence_and_can_be_mended(tmp_path, text):
    (tmp_path / "versions.py").write_text(text)
    before = set(sys.modules)
    with pytest.raises(ConfigError, match="cannot be used"):
        load_drill(tmp_path)
    if text != "VERSIONS = 'a'":
        assert set(sys.modules) == before
        (tmp_path / "versions.py").write_text("VERSIONS = ()  # nothing more, for the moment")
        assert load_drill(tmp_path).table.newest == VERSIONS.newest


# ---- a chain across the boundary


@pytest.mark.usefixtures("scheduled")
def test_blocks_are_built_imported_and_replayed_across_the_boundary(tmp_path):
    solo = solo_at(tmp_path, HEIGHT + 3)
    solo.submit(solo.transfer("Alice", "Bob", 10**9))
    assert len(solo.step().decided.block.extrinsics) == 3
    assert [solo.judge.executive_at(at).rules.version for at in (1, 4, 5, 9)] == [1, 1, 2, 2]
    solo.chain.index()
    solo.close()
    source = open_source(tmp_path)
    try:
        report = replay(source, ReplayOptions(releases=drill(), invariant_blocks=1))
        assert (report.finding, report.height) == (None, HEIGHT + 4)
        with pytest.raises(VersionMissing, match=f"block {HEIGHT} has"):
            replay(source)
    finally:
        source.close()


@pytest.mark.usefixtures("scheduled")
def test_what_signed_the_old_version_cannot_be_in_the_new(tmp_path):
    solo = solo_at(tmp_path, HEIGHT - 2)
    raw = solo.transfer("Alice", "Bob", 10**9, nonce=1)
    solo.submit(raw)
    old = solo.judge.signature_item(solo.judge.decode(raw))
    waiting = solo.pool.prepare(solo.transfer("Alice", "Bob", 10**9, nonce=2))
    solo.step()
    solo.pool.on_new_version()
    assert len(solo.pool) == 0
    with pytest.raises(PoolRefused, match="rules are changing"):
        solo.pool.admit(waiting, is_signature_good=True)
    again = solo.pool.prepare(solo.transfer("Bob", "Alice", 10**9))
    with pytest.raises(PoolRefused) as refused:
        solo.pool.admit(again, is_signature_good=False)
    assert refused.value.kind is Refusal.INVALID, "a peer that sends it is not to blame"
    new = solo.judge.signature_item(solo.judge.decode(raw))
    assert (signing.verify(*old), signing.verify(*new)) == (True, False)
    solo.close()


@pytest.mark.usefixtures("scheduled")
def test_a_node_without_the_version_stops_before_it_and_goes_on_when_it_has_it(tmp_path):
    solo = solo_at(tmp_path, HEIGHT - 1, Releases())
    with pytest.raises(VersionMissing, match=f"block {HEIGHT} has"):
        solo.step()
    assert solo.chain.height == HEIGHT - 1
    solo.close()
    solo = solo_at(tmp_path, HEIGHT + 1)
    assert solo.chain.height == HEIGHT + 1
    solo.close()


@pytest.mark.usefixtures("scheduled")
def test_a_whole_node_stops_by_itself_and_continues_after_its_update(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        node = lab.build("alice")
        with pytest.RaisesGroup(VersionMissing, allow_unwrapped=True, flatten_subgroups=True):
            await node.run()
        assert node.chain.height == HEIGHT - 1
        assert not node.chain.blocks.block(HEIGHT)
        node.close()
        lab.hub.nodes.pop("alice", None)
        with pytest.raises(VersionMissing, match=f"block {HEIGHT} has runtime version 2"):
            lab.build("alice")
        async with lab.running("alice", drill_rules=str(DRILL_DIRECTORY)) as [alice]:
            await wait_for_height(alice, HEIGHT + 2)
            face = alice.face
            versions = [face.rules(at).version for at in (HEIGHT - 1, HEIGHT, None)]
            assert versions == [1, 2, 2]
            head = face.head().number
            core = face.runtime_call("Core_version", b"", head)
            assert core != face.runtime_call("Core_version", b"", 1)
            metadata = face.runtime_call("Metadata_metadata", b"", HEIGHT)
            assert b"Guestbook" in metadata

    trio.run(test)


# ---- rehearsal


def rehearsed(home, releases, version=2, **options):
    source = open_source(home)
    try:
        return rehearse(source.database(), version, releases, **options)
    finally:
        source.close()


def test_an_upgrade_is_rehearsed_on_a_copy(tmp_path):
    solo = solo_at(tmp_path, 3, Releases())
    root = solo.chain.state.root
    solo.chain.index()
    solo.close()
    report = rehearsed(tmp_path, drill(), blocks=4)
    assert report.findings == []
    assert (report.before, report.version, report.height, report.blocks) == (1, 2, 4, 4)
    assert report.migrations == ("open the guestbook",)
    assert [(item, value) for item, _, value in report.changes] == [
        ("Guestbook.OpenedAt", (4).to_bytes(4, "little"))
    ]
    solo = solo_at(tmp_path, 3, Releases())
    assert solo.chain.state.root == root, "nothing was written"
    solo.close()


def test_a_rehearsal_finds_what_would_go_wrong(tmp_path):
    solo_at(tmp_path, 2, Releases()).close()

    def count_up(runtime):
        runtime.modules[-1].opened_at += 1

    def fail(runtime):
        raise KeyError(runtime.spec_version)

    for run, words in ((count_up, "is not idempotent"), (fail, "cannot be made")):
        newest = replace(drill().table.newest, migrations=(Migration("careless", run, 1),))
        report = rehearsed(tmp_path, Releases(VERSIONS.with_more([newest])))
        assert any(words in finding for finding in report.findings), report.findings


def test_only_the_next_version_is_rehearsed(tmp_path):
    solo_at(tmp_path, 1, Releases()).close()
    for version, releases in ((1, drill()), (3, drill()), (2, Releases())):
        with pytest.raises(ConfigError, match="cannot be rehearsed"):
            rehearsed(tmp_path, releases, version)
