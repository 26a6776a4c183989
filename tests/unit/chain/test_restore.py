"""A stopped node goes back, forward from an archive, and takes no chain that is not its own."""

from dataclasses import replace

import pytest

from chain.audit.replay import replay
from chain.audit.source import open_source
from chain.config import load_config
from chain.errors import ConfigError, InvalidBlock, StorageError
from chain.opening import check_trust, open_storage
from chain.restore import import_archive, rewind_node
from chain.storage.archive import export_archive
from tests.support.solo import FixedClock, Solo


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with ten blocks, and the archive of it."""
    path = tmp_path_factory.mktemp("restore")
    solo = Solo(path / "home")
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    solo.steps(10)
    solo.chain.index()
    solo.close()
    source = open_source(path / "home")
    export_archive(
        source.blocks(),
        path / "a.archive",
        genesis_hash=source.genesis_hash,
        spec_text=source.spec_text,
    )
    stored = list(source.blocks())
    source.close()
    return path, solo.start, stored


def config_for(home, **flags):
    flags = {"home": str(home), "chain": "test", "free_space_bytes_min": 0, **flags}
    return load_config(flags=flags, environment={}).config


def test_an_archive_becomes_a_node_that_audits_clean(made, tmp_path):
    path, _, stored = made
    heights = []
    config = config_for(tmp_path, keep_blocks=0, account_index=True)
    assert import_archive(config, path / "a.archive", progress=heights.append) == 10
    assert heights == list(range(1, 11))
    assert import_archive(config, path / "a.archive") == 10
    source = open_source(tmp_path)
    report = replay(source)
    source.close()
    assert (report.finding, report.height) == (None, 10)
    assert report.state_root == stored[-1].block.header.state_root


def test_an_interrupted_import_goes_on_where_it_was(made, tmp_path):
    path, start, stored = made
    bad = replace(stored[6], commit=stored[5].commit)
    broken = tmp_path / "broken.archive"
    export_archive(
        [*stored[:6], bad], broken, genesis_hash=start.hash, spec_text=start.genesis.spec_text
    )
    config = config_for(tmp_path / "home")
    with pytest.raises(InvalidBlock, match="commit"):
        import_archive(config, broken)
    assert import_archive(config, path / "a.archive") == 10


def test_an_archive_of_another_chain_or_fork_is_refused(made, tmp_path):
    path, start, stored = made
    with pytest.raises(ConfigError, match="right --chain"):
        import_archive(config_for(tmp_path / "dev", chain="dev"), path / "a.archive")
    fork = Solo(tmp_path / "fork", start=start)
    fork.step()
    fork.close()
    if fork.chain.tip.block_id != stored[0].block.block_id:
        with pytest.raises(StorageError, match="another block at height 1"):
            import_archive(config_for(tmp_path / "fork"), path / "a.archive")


def test_a_node_goes_back_and_forward_again(made, tmp_path):
    path, start, stored = made
    config = config_for(tmp_path)
    import_archive(config, path / "a.archive")
    rewind_node(config, 4, no_sign=False)
    chain = open_storage(config, start)
    assert chain.tip.block_id == stored[3].block.block_id
    assert chain.state.root == stored[3].block.header.state_root
    chain.close()
    assert import_archive(config, path / "a.archive") == 10
    with pytest.raises(StorageError, match="no height like 11"):
        rewind_node(config, 11, no_sign=True)


def test_a_checkpoint_must_be_the_block_that_is_here(made):
    path, start, stored = made
    home = path / "home"
    known = stored[4].block.block_id.hex()
    config = config_for(home, checkpoint=f"5:{known}")
    chain = open_storage(config, start)
    check_trust(config, start, chain, FixedClock())
    with pytest.raises(ConfigError, match="ask where the checkpoint came from"):
        check_trust(config_for(home, checkpoint=f"6:{known}"), start, chain, FixedClock())
    chain.close()


def test_a_live_chain_older_than_its_stakes_needs_a_reason_to_be_trusted(made):
    path, start, _ = made
    live = replace(start, spec=replace(start.spec, chain_type="Live"))
    config = config_for(path / "home")
    chain = open_storage(config, start)
    late = FixedClock(chain.tip.time_ms + 10**9)
    with pytest.raises(ConfigError, match="--trust-genesis"):
        check_trust(config, live, chain, late)
    check_trust(config, live, chain, FixedClock(chain.tip.time_ms + 1000))
    check_trust(config_for(path / "home", trust_genesis=True), live, chain, late)
    check_trust(config, start, chain, late)
    chain.close()
