import pytest
import trio

from chain.config import load_config
from chain.errors import ConfigError, StorageError
from chain.genesis import read_spec
from chain.twin import NobodyNoticed, Twin, run_twin
from chain.wallet.accounts import dev_validator
from tests.support.lab import PATIENCE, Lab, wait_for_height


def test_two_votes_of_copied_keys_are_noticed_and_their_proof_is_in_a_block(tmp_path):
    async def scenario():
        lab = Lab(tmp_path)
        victims = {name: dev_validator(name) for name in ("bob",)}
        async with (
            lab.running("alice", "bob", "charlie", "dave") as nodes,
            lab.running("twin", validator=False) as [copy],
        ):
            seeds = {
                name: {keys.consensus.public: keys.consensus.seed} for name, keys in victims.items()
            }
            with trio.fail_after(PATIENCE):
                found = await Twin(copy, seeds).run()
            assert list(found) == ["bob"]
            alice = nodes[0].chain.blocks
            for name, seen in found.items():
                assert seen.height < seen.recorded_at
                await wait_for_height(nodes[0], seen.recorded_at)
                assert alice.has_offence((1, victims[name].account.public, seen.height))

    trio.run(scenario)


def make_config(tmp_path, chain):
    log_file = str(tmp_path / "twin.log")
    flags = {"home": str(tmp_path / "home"), "chain": str(chain), "log_file": log_file}
    return load_config(flags=flags, environment={}).config


def test_nobody_votes_twice_on_a_live_chain(tmp_path):
    path = tmp_path / "live.toml"
    path.write_text(read_spec("bench").replace('"Development"', '"Live"'))
    with pytest.raises(ConfigError, match="live"):
        run_twin(make_config(tmp_path, path), {"bob": tmp_path}, patience_s=1)


def test_a_home_without_a_key_has_no_twin(tmp_path):
    with pytest.raises(ConfigError, match="no validator key"):
        run_twin(make_config(tmp_path, "dev"), {"bob": tmp_path}, patience_s=1)


def test_of_several_errors_that_end_a_twin_a_failing_disk_is_told(tmp_path, monkeypatch):
    async def fail(*_):
        disk = ExceptionGroup("a task", [StorageError("the disk is gone")])
        raise ExceptionGroup("the node", [NobodyNoticed("it stopped"), disk])

    monkeypatch.setattr("chain.twin._run_beside", fail)
    with pytest.raises(StorageError, match="the disk is gone"):
        run_twin(make_config(tmp_path, "dev"), {}, patience_s=1)
