"""Who is blamed for a transaction that a node refuses, above all around a change of the rules."""

import pytest
import trio

from chain.admission import Admission
from chain.blame import BANNED_BLOCKS, BANNED_MAX, TOLERANT_BLOCKS, Blame
from chain.log import silent_log
from chain.metrics import Metrics
from chain.network.interface import Verdict
from chain.pool import PoolRefused, Refusal, Stage
from chain.seams import SystemClock
from chain.version_watch import VersionWatch
from tests.support.solo import Solo
from tests.support.upgrades import HEIGHT, begin_scheduled, drill


@pytest.fixture
def make_solo(tmp_path):
    made = []

    def make(height):
        made.append(Solo(tmp_path / str(len(made)), releases=drill()))
        made[-1].steps(height)
        return made[-1]

    yield make
    for solo in made:
        solo.close()


def watch(solo):
    return VersionWatch(
        solo.chain, solo.releases, solo.pool, silent_log(SystemClock()), stop=lambda: None
    )


def forge(raw):
    """The same transaction with a signature that nobody made."""
    place = raw.index(b"\x01", 34) + 1
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def hear(solo, *batches, is_behind):
    """What admission tells a peer of each batch."""
    verdicts = []

    async def main():
        admission = Admission(
            solo.pool, Metrics(), announce=lambda _: True, is_behind=lambda: is_behind
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(admission.run)
            verdicts.extend([await admission.on_transactions("peer", batch) for batch in batches])
            nursery.cancel_scope.cancel()

    trio.run(main)
    return verdicts


def test_who_is_ahead_is_not_blamed_and_the_transaction_is_taken_after_the_switch(
    make_solo, monkeypatch
):
    begin_scheduled(monkeypatch)
    raw = make_solo(HEIGHT).transfer("Alice", "Bob", 10**9)
    solo = make_solo(HEIGHT - 2)
    versions = watch(solo)
    with pytest.raises(PoolRefused, match="rules are changing") as refused:
        solo.submit(raw)
    assert refused.value.kind is Refusal.INVALID
    assert hear(solo, [raw], is_behind=False) == [Verdict.IGNORE]
    versions.on_imported(solo.step())
    assert solo.submit(raw) is Stage.READY


def test_who_is_behind_is_not_blamed_after_the_switch(make_solo, monkeypatch):
    begin_scheduled(monkeypatch)
    solo = make_solo(HEIGHT - 2)
    versions = watch(solo)
    raw = solo.transfer("Alice", "Bob", 10**9)
    versions.on_imported(solo.step())
    assert hear(solo, [raw], is_behind=False) == [Verdict.IGNORE]


def test_a_schedule_that_is_made_while_the_node_runs_is_seen(make_solo, monkeypatch):
    begin_scheduled(monkeypatch)
    solo = make_solo(1)
    versions = watch(solo)
    solo.pool.blame = Blame()
    versions.on_imported(solo.step())
    assert solo.pool.blame.is_tolerant(2)


def test_a_node_that_is_behind_blames_nobody_and_takes_what_it_can(make_solo):
    solo = make_solo(1)
    good = solo.transfer("Alice", "Bob", 10**9)
    one, two = (forge(solo.transfer("Bob", "Alice", amount)) for amount in (10**9, 10**10))
    assert hear(solo, [one], [good], is_behind=True) == [Verdict.IGNORE, Verdict.ACCEPT]
    assert hear(solo, [two], is_behind=False) == [Verdict.REJECT]


def test_signatures_are_tolerated_only_around_the_change():
    blame = Blame()
    assert not blame.is_tolerant(0)
    blame.tolerate_around(1_000)
    near = [height for height in range(2_000) if blame.is_tolerant(height)]
    assert near == list(range(1_001 - TOLERANT_BLOCKS, 1_000 + TOLERANT_BLOCKS))


def test_bans_end_and_are_bounded():
    blame = Blame()
    blame.ban(b"first", 10)
    assert blame.is_banned(b"first", 10 + BANNED_BLOCKS)
    assert not blame.is_banned(b"first", 11 + BANNED_BLOCKS)
    for number in range(BANNED_MAX):
        blame.ban(b"%d" % number, 11)
    assert not blame.is_banned(b"first", 11)
    assert blame.is_banned(b"0", 11)
    blame.on_height(12 + BANNED_BLOCKS)
    assert not blame.is_banned(b"0", 11)
