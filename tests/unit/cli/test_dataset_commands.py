"""The commands of datasets on a chain that executes what they send, block by block."""

import pytest

from chain.cli import dataset_keep
from chain.market.content import DataDirectory
from chain.wallet.accounts import dev_address
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import NodeUnreachable
from ext import hashing
from runtime.balances import HoldReason
from runtime.market.datasets.nouns import RETIRE_ERAS, DatasetState, Share
from runtime.market.trees import DATA_LEAF_BYTES
from tests.support.datasets import Data, content
from tests.support.governance import GRIST
from tests.support.runtime import person
from tests.unit.cli.live_mill import Mill
from tests.unit.cli.schema import check

ALICE, BOB = dev_address("Alice"), dev_address("Bob")
BY_ALICE = ("--from", "//Alice", "--yes", "--json")
DATA = Data(content(1, 40))


@pytest.fixture
def mill(node):
    return Mill(node)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA.raw)
    return path


def add(gristmill, file, *options):
    return gristmill("dataset", "add", file, *options, *BY_ALICE)


def test_a_file_becomes_an_active_dataset(gristmill, mill, file, tmp_path):
    licence = tmp_path / "licence"
    licence.write_text("do as you like")
    options = ("--price", "2.5", "--bond", "600", "--licence", licence)
    done = add(gristmill, file, *options, "--royalty", "//Bob=12.5", "--royalty", "//Alice=87.5")
    assert (done.code, done.err) == (0, "")
    found = check(done.out)
    root = to_hex(DATA.root)
    assert (found["id"], found["root"], found["leafCount"]) == (0, root, 40)
    dataset = mill.module.datasets[0]
    assert (dataset.state, dataset.owner) == (DatasetState.ACTIVE, person("Alice"))
    assert (dataset.price, dataset.bond) == (2_500_000_000, 600 * GRIST)
    assert dataset.licence == hashing.blake2b_256(b"do as you like")
    shares = (Share(person("Alice"), 875_000_000), Share(person("Bob"), 125_000_000))
    assert dataset.royalties == tuple(sorted(shares, key=lambda one: one.account))
    assert dataset.size == len(DATA.raw)
    kept = DataDirectory(tmp_path / "home" / "data")
    assert kept.read(DATA.root) == DATA.leaves


def test_a_run_that_was_cut_short_is_taken_up_where_it_was(gristmill, mill, file, monkeypatch):
    def stop(*_):
        raise NodeUnreachable("the node is gone")

    wait = dataset_keep._wait_until
    monkeypatch.setattr(dataset_keep, "_wait_until", stop)
    assert add(gristmill, file).code != 0
    assert len(list(mill.module.commits.items())) == 1
    monkeypatch.setattr(dataset_keep, "_wait_until", wait)
    answer = dataset_keep._answer_first
    monkeypatch.setattr(dataset_keep, "_answer_first", stop)
    assert add(gristmill, file).code != 0
    assert mill.module.datasets[0].state is DatasetState.PENDING
    monkeypatch.setattr(dataset_keep, "_answer_first", answer)
    assert check(add(gristmill, file).out)["id"] == 0
    assert mill.module.datasets[0].state is DatasetState.ACTIVE
    assert (mill.module.commit_count, mill.module.dataset_count) == (1, 1)
    assert check(add(gristmill, file).out)["id"] == 0, "nothing is left to do"
    assert (mill.module.commit_count, mill.module.dataset_count) == (1, 1)


def test_rows_of_a_table_become_leaves_of_the_trainer(gristmill, mill, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("".join(f"{n},{n * 7 % 5},{n % 3}\n" for n in range(40)))
    found = check(add(gristmill, table, "--format", "csv").out)
    assert (found["leafCount"], found["size"]) == (3, 3 * DATA_LEAF_BYTES)
    assert mill.module.datasets[0].leaf_count == 3
    table.write_text("not,a\ntable")
    wrong = add(gristmill, table, "--format", "csv")
    assert wrong.code != 0
    assert "no table of rows" in wrong.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--royalty", "//Bob"), "does not say who gets how much"),
        (("--royalty", "//Bob=120"), "more than the whole"),
        (("--parent", "x=100"), "not the number of a dataset"),
    ],
)
def test_shares_that_say_nothing_are_refused_before_anything_is_sent(
    gristmill, mill, file, options, sentence
):
    done = add(gristmill, file, *options)
    assert done.code != 0
    assert sentence in done.err
    assert mill.module.commit_count == 0


def test_what_the_chain_would_refuse_is_not_sent(gristmill, mill, file):
    done = add(gristmill, file, "--bond", "1")
    assert done.code != 0
    assert "Datasets.BondTooSmall" in done.err
    assert mill.module.dataset_count == 0
    empty = file.with_name("empty")
    empty.write_bytes(b"")
    assert "is empty" in add(gristmill, empty).err


def test_the_open_challenge_is_answered_once(gristmill, mill, file):
    add(gristmill, file)
    while mill.library.chain.look() and mill.module.find_challenge(0) is None:
        mill.live.block()
    era = mill.library.runtime.parameters.era()
    found = check(gristmill("dataset", "prove", 0, "--from", "//Alice", "--json").out)
    assert (found["answered"], found["cases"]) == ([era], [])
    assert mill.module.datasets[0].proof_era == era
    mill.library.data[0] = DATA
    mill.library.chain.open()
    mill.library.next_era()
    mill.library.prove(0)
    mill.library.chain.close()
    mill.live.catch_up()
    again = gristmill("dataset", "prove", 0, "--from", "//Alice", "--json")
    assert check(again.out)["answered"] == []
    while mill.module.find_challenge(0, mill.library.chain.height + 1) is not None:
        mill.live.block()
    assert "nothing is asked of it now" in gristmill("dataset", "prove", 0, *BY_ALICE[:2]).err


def test_watching_answers_era_after_era_through_a_silence_of_the_node(
    gristmill, mill, file, monkeypatch
):
    add(gristmill, file)
    first, find, asked = mill.module.datasets[0].proof_era, dataset_keep.find_dataset, []

    def hiccup(*arguments):
        asked.append(arguments)
        mill.live.block()
        if len(asked) % 5 == 0:
            raise NodeUnreachable("nobody answers")
        return find(*arguments)

    monkeypatch.setattr(dataset_keep, "find_dataset", hiccup)
    done = gristmill("dataset", "prove", 0, "--watch", "--eras", 3, "--from", "//Alice", "--json")
    assert check(done.out)["answered"] == [first + 1, first + 2, first + 3]
    assert mill.module.datasets[0].misses == ()


def test_watching_ends_when_a_dataset_that_ended_has_given_its_bond_back(
    gristmill, mill, file, monkeypatch
):
    add(gristmill, file)
    mill.set_eras(RETIRE_ERAS)
    assert gristmill("dataset", "revoke", 0, *BY_ALICE).code == 0
    assert mill.module.datasets[0].state is DatasetState.REVOKED
    find, looks = dataset_keep.find_dataset, []

    def look(*arguments):
        looks.append(arguments)
        mill.live.block()
        if len(looks) == 4:
            mill.until(mill.module.datasets[0].ended + 2 * 8)
            mill.library.chain.open()
            mill.library.done("Alice", "withdraw_bond", 0)
            mill.library.chain.close()
        return find(*arguments)

    monkeypatch.setattr(dataset_keep, "find_dataset", look)
    done = gristmill("dataset", "prove", 0, "--watch", "--from", "//Alice")
    assert done.code == 0
    assert "dataset 0 has ended: Revoked" in done.err
    assert "gristmill dataset withdraw 0" in done.err
    assert mill.module.datasets[0].bond == 0
    assert len(looks) == 4


def test_data_that_is_not_in_the_directory_is_not_proven(gristmill, mill, file, tmp_path):
    add(gristmill, file)
    done = gristmill("dataset", "prove", 0, "--data", tmp_path / "other", "--from", "//Alice")
    assert done.code != 0
    assert DATA.root.hex() in done.err


def test_money_is_put_behind_a_dataset_and_taken_back(gristmill, mill, file):
    add(gristmill, file)
    by_bob = ("--from", "//Bob", "--yes", "--json")
    assert gristmill("dataset", "signal", 0, 25, *by_bob).code == 0
    balances = mill.library.chain.look().balances
    assert balances.held(person("Bob"), HoldReason.CURATION) == 25 * GRIST
    assert gristmill("dataset", "unsignal", 0, 25, *by_bob).code == 0
    signal = mill.module.signals[0, person("Bob")]
    assert (signal.amount, signal.leaving) == (0, 25 * GRIST)
    refused = gristmill("dataset", "signal", 0, 1, *by_bob)
    assert "Datasets.SignalTooSmall" in refused.err


def test_a_dataset_is_shown_with_its_challenge_and_who_stands_behind_it(gristmill, mill, file):
    add(gristmill, file, "--price", "3", "--royalty", "//Bob=100")
    gristmill("dataset", "signal", 0, 25, "--from", "//Bob", "--yes", "--json")
    while mill.module.find_challenge(0, mill.library.chain.height + 1) is None:
        mill.live.block()
    shown = gristmill("dataset", "show", 0).out
    for line in ("0, Active", "3 GRIST a use", "may use it", "100 % to", "signal 25 GRIST by"):
        assert line in shown, line
    found = check(gristmill("dataset", "show", 0, "--json").out)["dataset"]
    assert found["owner"] == ALICE
    assert len(found["challenge"]["indices"]) == 4
    assert found["isSold"] is True
    missing = gristmill("dataset", "show", 7)
    assert "there is no dataset 7" in missing.err


def test_the_list_names_all_or_those_of_an_owner(gristmill, mill, file):
    add(gristmill, file)
    mill.library.chain.open()
    mill.library.active("Bob", Data(content(2, 9)))
    mill.library.chain.close()
    mill.live.catch_up()
    found = check(gristmill("dataset", "list", "--json").out)
    assert [(row["id"], row["owner"]) for row in found["datasets"]] == [(1, BOB), (0, ALICE)]
    assert (found["count"], found["live"]) == (2, 2)
    mine = check(gristmill("dataset", "list", "--owner", "//Bob", "--json").out)
    assert [row["id"] for row in mine["datasets"]] == [1]
    assert gristmill("dataset", "list").out.splitlines()[1].startswith("1        Active")


def test_misses_cases_and_attestations_are_told(gristmill, mill):
    library = mill.library
    library.chain.open()
    library.active("Alice", DATA)
    library.active("Bob", Data(content(2, 9)))
    library.done("Charlie", "bond", 5_000 * GRIST)
    library.done("Charlie", "attest", 1, b"d" * 32)
    era = library.era
    library.next_era()
    library.prove(1)
    library.done("Eve", "challenge", 0, 1)
    library.until(library.module.clock().epoch_start(library.module.cases[0].draw_epoch))
    library.chain.close()
    mill.live.catch_up()
    found = check(gristmill("dataset", "show", 0, "--json").out)["dataset"]
    assert era + 1 in found["missed"]
    assert found["refusal"] == "DatasetNotProven"
    later = check(gristmill("dataset", "show", 1, "--json").out)["dataset"]
    assert [case["later"] for case in later["openCases"]] == [1]
    assert len(later["openCases"][0]["indices"]) == 64
    assert later["attestations"][0]["counts"] is True
    assert later["weight"] == "0"
    text = gristmill("dataset", "show", 1).out
    assert "is dataset 1 a copy of 0?" in text
    assert "attested by" in text
