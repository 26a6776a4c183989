"""The smaller commands of datasets: made, read from pictures, priced, given away, vouched for."""

import gzip

import pytest

from chain.cli import dataset_keep
from chain.market.content import DataDirectory
from chain.market.rows import make_clusters, read_csv, read_rows, shuffle
from chain.wallet.chain_client import to_hex
from ext import hashing
from runtime.balances import HoldReason
from runtime.market.datasets import module, registry
from runtime.market.datasets.nouns import ATTESTER_ERAS, SIGNAL_ERAS, DatasetState
from tests.support.datasets import Data, content
from tests.support.governance import GRIST
from tests.support.runtime import person
from tests.unit.cli.live_mill import Mill
from tests.unit.cli.schema import check

DATA = Data(content(1, 40))
SAMPLE = "028e2ca8b1396b7cbcd1e8187f7e97dbecbbc8ad516359d223d2f4231ae70454"
"""The hash of the rows that everybody gets who asks for no others."""


def by(name):
    return ("--from", f"//{name}", "--yes", "--json")


@pytest.fixture
def mill(node):
    return Mill(node)


@pytest.fixture
def sold(mill):
    """A chain on which Alice sells data."""
    mill.library.chain.open()
    mill.library.active("Alice", DATA)
    mill.library.chain.close()
    mill.live.catch_up()
    return mill


def held(mill, name, reason=HoldReason.DEPOSIT):
    return mill.library.chain.look().balances.held(person(name), reason)


# Rows


def test_a_sample_is_the_same_for_everybody_and_can_be_trained_on(gristmill, tmp_path):
    found = check(gristmill("dataset", "sample", tmp_path / "one", "--json").out)
    text = (tmp_path / "one" / "rows.csv").read_text()
    assert (found["rows"], found["classes"], found["features"]) == (512, 4, 63)
    assert hashing.blake2b_256(text.encode()).hex() == SAMPLE
    made = shuffle(make_clusters(b"town", rows=512, classes=4, spread=128), b"order")
    assert [row[-1] for row in read_csv(text)] == [row[-1] for row in made]
    shown = gristmill("dataset", "sample", tmp_path / "two")
    assert shown.out == f"{tmp_path}/two/rows.csv: 512 rows of 63 numbers, in 4 classes\n"
    assert (tmp_path / "two" / "rows.csv").read_text() == text


def test_a_sample_is_made_as_it_is_asked_for(gristmill, tmp_path):
    options = ("--rows", 40, "--classes", 3, "--spread", 9, "--seed", "mine")
    assert gristmill("dataset", "sample", tmp_path, *options).code == 0
    rows = read_csv((tmp_path / "rows.csv").read_text())
    assert len(rows) == 40
    assert {row[-1] for row in rows} == {1, 2, 3}
    blocked = tmp_path / "file"
    blocked.write_text("x")
    done = gristmill("dataset", "sample", blocked / "below")
    assert (done.code, "cannot be written" in done.err) == (77, True)


def idx(kind, sizes, body):
    head = kind.to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in sizes)
    return head + bytes(body)


def test_pictures_become_rows_of_the_trainer(gristmill, mill, tmp_path):
    pictures, labels = tmp_path / "pictures", tmp_path / "labels"
    pictures.write_bytes(idx(0x0803, [20, 4, 4], (n * 7 % 256 for n in range(320))))
    labels.write_bytes(idx(0x0801, [20], (n % 10 for n in range(20))))
    form = ("--format", "idx", "--labels", labels)
    found = check(gristmill("dataset", "add", pictures, *form, *by("Alice")).out)
    assert (found["leafCount"], found["size"]) == (2, 2_048)
    kept = DataDirectory(tmp_path / "home" / "data").read(bytes.fromhex(found["root"][2:]))
    rows = read_rows(kept)
    assert [row[-1] for row in rows] == [1 + n % 10 for n in range(20)]
    assert rows[0][:2] == bytes((0x80, 0x87)), "dark is -128"
    assert mill.module.datasets[0].state is DatasetState.ACTIVE


def test_pictures_and_their_classes_come_together_and_unpacked(gristmill, mill, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(idx(0x0801, [1], b"\x01"))
    assert "--labels is for --format idx" in gristmill(
        "dataset", "add", file, "--format", "idx", *by("Alice")
    ).err  # fmt: skip
    assert "--labels is for --format idx" in gristmill(
        "dataset", "add", file, "--labels", file, *by("Alice")
    ).err  # fmt: skip
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"x"))
    form = ("--format", "idx", "--labels", file)
    done = gristmill("dataset", "add", packed, *form, *by("Alice"))
    assert "no IDX file" in done.err
    assert "gunzip it first" in done.err
    assert mill.module.commit_count == 0


# What an owner does, and what it owes others


def test_a_price_and_a_bond_are_changed_by_the_owner(gristmill, sold):
    assert gristmill("dataset", "price", 0, "2.5", *by("Alice")).code == 0
    assert gristmill("dataset", "bond", 0, 70, *by("Alice")).code == 0
    dataset = sold.module.datasets[0]
    assert (dataset.price, dataset.bond) == (2_500_000_000, 570 * GRIST)
    assert "Datasets.NotOwner" in gristmill("dataset", "price", 0, 1, *by("Bob")).err


def test_a_dataset_is_given_to_somebody_who_takes_it(gristmill, sold):
    assert "Datasets.NotHeir" in gristmill("dataset", "take", 0, *by("Bob")).err
    assert gristmill("dataset", "give", 0, "//Bob", *by("Alice")).code == 0
    assert gristmill("dataset", "take", 0, *by("Bob")).code == 0
    assert sold.module.datasets[0].owner == person("Bob")
    assert (held(sold, "Alice"), held(sold, "Bob")) == (0, 500 * GRIST)


def test_a_missed_challenge_is_reported_for_a_reward(gristmill, sold):
    era = sold.era
    while era + 1 not in check(gristmill("dataset", "show", 0, "--json").out)["dataset"]["missed"]:
        sold.live.block()
    assert gristmill("dataset", "report-miss", 0, era + 1, *by("Eve")).code == 0
    dataset = sold.module.datasets[0]
    assert (dataset.misses, dataset.bond) == ((era + 1,), 490 * GRIST)
    again = gristmill("dataset", "report-miss", 0, era + 1, *by("Eve"))
    assert "Datasets.AlreadyReported" in again.err


def test_a_signal_that_was_taken_back_is_freed_when_its_eras_are_over(gristmill, sold):
    sold.set_eras(SIGNAL_ERAS)
    for verb in ("signal", "unsignal"):
        assert gristmill("dataset", verb, 0, 25, *by("Bob")).code == 0
    assert held(sold, "Bob", HoldReason.CURATION) == 25 * GRIST
    assert gristmill("dataset", "free", 0, *by("Bob")).code != 0
    sold.until(sold.module.signals[0, person("Bob")].due)
    assert gristmill("dataset", "free", 0, "//Bob", *by("Eve")).code == 0
    assert held(sold, "Bob", HoldReason.CURATION) == 0


def test_a_signal_takes_what_it_earned(gristmill, sold):
    assert gristmill("dataset", "signal", 0, 25, *by("Bob")).code == 0
    assert "Datasets.NothingHeld" in gristmill("dataset", "claim", 0, *by("Bob")).err
    sold.library.chain.open()
    sold.library.use(0, person("Dave"), 50 * GRIST)
    sold.library.chain.close()
    before = sold.free(person("Bob"))
    assert gristmill("dataset", "claim", 0, *by("Bob")).code == 0
    assert 4 * GRIST < sold.free(person("Bob")) - before < 5 * GRIST, "less the fee"


def test_stake_is_noted_for_later_uses(gristmill, sold):
    done = gristmill("dataset", "note-stake", "--dry-run", *by("Bob"))
    assert done.code == 0
    assert check(done.out)["success"]


def test_who_attests_puts_money_behind_it_until_it_leaves(gristmill, sold, tmp_path):
    statement = tmp_path / "statement"
    statement.write_text("I saw it being made")
    attester = ("dataset", "attester")
    sold.set_eras(ATTESTER_ERAS)
    assert gristmill(*attester, "bond", 5_000, *by("Charlie")).code == 0
    assert gristmill(*attester, "attest", 0, statement, *by("Charlie")).code == 0
    shown = check(gristmill("dataset", "show", 0, "--json").out)["dataset"]["attestations"]
    assert [one["digest"] for one in shown] == [to_hex(hashing.blake2b_256(statement.read_bytes()))]
    assert gristmill(*attester, "retract", 0, *by("Charlie")).code == 0
    assert sold.module.attestations[0] == ()
    assert gristmill(*attester, "leave", *by("Charlie")).code == 0
    assert gristmill(*attester, "withdraw", *by("Charlie")).code != 0
    sold.until(sold.library.chain.height + 3 * 8)
    assert gristmill(*attester, "withdraw", *by("Charlie")).code == 0
    assert held(sold, "Charlie", HoldReason.DEPOSIT) == 0


def test_a_commit_that_went_stale_is_dropped_and_made_again(gristmill, mill, tmp_path, monkeypatch):
    def stop(*_):
        raise dataset_keep.NodeUnreachable("the node is gone")

    file = tmp_path / "data.bin"
    file.write_bytes(DATA.raw)
    wait = dataset_keep._wait_until
    monkeypatch.setattr(dataset_keep, "_wait_until", stop)
    assert gristmill("dataset", "add", file, *by("Alice")).code != 0
    for place in (dataset_keep, module, registry):
        monkeypatch.setattr(place, "REVEAL_MAX", 30)
    mill.until(mill.library.chain.height + 31)
    monkeypatch.setattr(dataset_keep, "_wait_until", wait)
    assert check(gristmill("dataset", "add", file, *by("Alice")).out)["id"] == 0
    assert mill.module.commit_count == 2
    assert held(mill, "Alice") == 500 * GRIST, "the first deposit came back"
