"""Duplicate challenges by commands, on a chain that executes what they send, block by block."""

import socket

import pytest

from chain.cli import dataset_keep
from chain.market.content import DataDirectory
from chain.market.door import Desk, Door, Peer, PeerSilent
from chain.wallet.accounts import dev_address
from runtime.balances import HoldReason
from runtime.market.datasets.nouns import DatasetState
from tests.support.datasets import Data, content
from tests.support.governance import GRIST
from tests.support.runtime import person
from tests.unit.cli.live_mill import Mill
from tests.unit.cli.schema import check

ORIGINAL = Data(content(1, 40))
COPY = Data(b"".join(reversed(ORIGINAL.leaves)))
OTHER = Data(content(2, 40))
BY_EVE = ("--from", "//Eve", "--yes", "--json")


def held(mill, name):
    return mill.library.chain.look().balances.held(person(name), HoldReason.DEPOSIT)


@pytest.fixture
def mill(node):
    """A chain on which Alice sells data, and Bob the same in another order, and other data."""
    mill = Mill(node)
    mill.library.chain.open()
    mill.library.active("Alice", ORIGINAL)
    mill.library.active("Bob", COPY)
    mill.library.active("Bob", OTHER)
    mill.library.chain.close()
    mill.live.catch_up()
    mill.live.is_restless = False
    return mill


@pytest.fixture
def data(tmp_path):
    """The data of everybody, in one directory."""
    directory = DataDirectory(tmp_path / "home" / "data")
    for one in (ORIGINAL, COPY, OTHER):
        directory.write(one.leaves)
    return directory


def challenge(gristmill, later=1):
    done = gristmill("dataset", "challenge", 0, later, *BY_EVE)
    assert (done.code, done.err) == (0, "")
    (case,) = check(done.out)["cases"]
    return case


def until_drawn(mill, case):
    mill.until(mill.module.clock().epoch_start(mill.module.cases[case].draw_epoch))


def test_a_copy_is_challenged_shown_found_again_and_ended_by_commands_alone(gristmill, mill, data):
    case = challenge(gristmill)
    assert held(mill, "Eve") == 500 * GRIST
    waiting = gristmill("dataset", "open", case, "--from", "//Bob")
    assert (waiting.code, "are drawn when epoch" in waiting.err) == (75, True)
    assert gristmill("dataset", "match", case, "--from", "//Eve").code == 75
    found = check(gristmill("dataset", "case", case, "--json").out)
    assert (found["stage"], found["challenger"]) == ("waits to be drawn", dev_address("Eve"))
    until_drawn(mill, case)
    opened = check(gristmill("dataset", "open", case, "--from", "//Bob", "--json").out)
    assert opened["shown"] == 64
    again = check(gristmill("dataset", "open", case, "--from", "//Bob", "--json").out)
    assert again["shown"] == 0
    text = gristmill("dataset", "case", case).out
    assert "is dataset 1 a copy of 0?" in text
    assert "64 of 64" in text
    matched = check(gristmill("dataset", "match", case, "--from", "//Eve", "--json").out)
    assert (matched["found"], matched["is_copy"], matched["matched"]) == (39, True, None)
    assert mill.module.datasets[1].state is DatasetState.DUPLICATE
    assert held(mill, "Eve") == 0
    gone = gristmill("dataset", "case", case)
    assert (gone.code, f"there is no open case {case}" in gone.err) == (66, True)


def test_who_watches_over_a_dataset_shows_what_a_case_draws(gristmill, mill, data, monkeypatch):
    case = challenge(gristmill, later=2)
    find = dataset_keep.find_dataset

    def look(*arguments):
        mill.live.block()
        return find(*arguments)

    monkeypatch.setattr(dataset_keep, "find_dataset", look)
    era = mill.era
    done = gristmill("dataset", "prove", 2, "--watch", "--eras", 2, "--from", "//Bob", "--json")
    found = check(done.out)
    assert found["cases"] == [case]
    assert era + 1 in found["answered"]
    until_over(mill, case)
    assert mill.module.datasets[2].state is DatasetState.ACTIVE
    assert held(mill, "Eve") == 0, "half of the deposit is the owner's, half is burned"


def until_over(mill, case):
    while case in dict(mill.module.cases.items()):
        mill.live.block()


def test_the_other_side_waits_for_the_draw_and_for_the_leaves(
    gristmill, mill, data, monkeypatch, tmp_path
):
    case = challenge(gristmill)
    shown = []

    def sleep(_seconds):
        mill.live.block()
        found = mill.module.cases.find(case)
        if found is not None and found.seed != bytes(32) and not shown:
            shown.append(case)
            opened = gristmill("dataset", "open", case, "--from", "//Bob", "--json")
            assert opened.code == 0

    monkeypatch.setattr(dataset_keep.time, "sleep", sleep)
    door = Door(data, Desk())
    door.open()
    try:
        done = gristmill(
            "dataset", "match", case, "--watch", "--door", door.url, "--data", tmp_path / "mine",
            *BY_EVE[:2], "--json",
        )  # fmt: skip
    finally:
        door.close()
    assert shown == [case]
    assert check(done.out)["is_copy"] is True
    assert DataDirectory(tmp_path / "mine").read(ORIGINAL.root) == ORIGINAL.leaves


def test_other_data_are_no_copy_and_the_case_ends_by_hand_when_its_time_is_over(
    gristmill, mill, data, monkeypatch
):
    case = challenge(gristmill, later=2)
    until_drawn(mill, case)
    assert gristmill("dataset", "open", case, "--from", "//Bob").code == 0
    found = check(gristmill("dataset", "match", case, "--from", "//Eve", "--json").out)
    assert (found["found"], found["matched"], found["is_copy"]) == (0, 0, None)
    early = gristmill("dataset", "conclude", case, *BY_EVE)
    assert "Datasets.CaseNotOver" in early.err
    listeners = mill.library.runtime.deadlines._listeners
    monkeypatch.setitem(listeners, mill.library.module.index, lambda _: None)
    mill.until(mill.module.cases[case].matching_ends)
    assert check(gristmill("dataset", "case", case, "--json").out)["stage"] == "is over"
    assert gristmill("dataset", "conclude", case, *BY_EVE).code == 0
    assert mill.module.cases.find(case) is None


def test_a_challenge_that_the_chain_would_refuse_is_not_sent(gristmill, mill):
    done = gristmill("dataset", "challenge", 1, 0, *BY_EVE)
    assert "Datasets.NotLater" in done.err
    assert held(mill, "Eve") == 0


def test_who_serves_its_data_lets_others_fetch_them(gristmill, mill, data, monkeypatch):
    find, fetched = dataset_keep.find_dataset, []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def look(*arguments):
        mill.live.block()
        fetched.append(Peer(f"http://127.0.0.1:{port}").data(ORIGINAL.root))
        return find(*arguments)

    keep = ("dataset", "prove", 0, "--watch", "--eras", 1, "--from", "//Alice")
    found = dataset_keep.Keeper.watch

    def watch(keeper, eras):
        monkeypatch.setattr(dataset_keep, "find_dataset", look)
        found(keeper, eras)

    monkeypatch.setattr(dataset_keep.Keeper, "watch", watch)
    done = gristmill(*keep, "--serve", port)
    assert (done.code, done.err.splitlines()[0]) == (0, f"the door is http://127.0.0.1:{port}")
    assert fetched
    assert all(leaves == ORIGINAL.leaves for leaves in fetched)
    with pytest.raises(PeerSilent):
        Peer(f"http://127.0.0.1:{port}").data(ORIGINAL.root)
