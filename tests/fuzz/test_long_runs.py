"""The long runs, for a moment: they go through, and see what is planted."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.emission.module import Emission
from runtime.market.providers import pools
from tests.fuzz.calls import Broken, Everybody, nothing_contained
from tests.fuzz.economy import COALITION, MEMBERS, Attempt, Search, cheating_grid
from tests.fuzz.histories import Differs, History
from tests.support.jobs import GRIST, PROVIDERS


def fail(*_: Any) -> None:
    raise KeyError("planted")


def test_everybody_calls_and_a_bug_in_a_call_or_a_hook_comes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody = Everybody(5)
    alice, bob = everybody.wise.words[-8:-6]
    with nothing_contained():
        while everybody.sent < 40:
            everybody.step()
        assert sum(everybody.calls.values()) > 30
        with monkeypatch.context() as patch:
            entry = next(e for e in everybody.entries_all if e.info.name == "transfer_allow_death")
            patch.setattr(entry, "method", fail)
            with pytest.raises(KeyError, match="planted"):
                everybody.fair.attempt(alice, "Balances", "transfer_allow_death", bob, GRIST)
        monkeypatch.setattr(Emission, "on_initialize", fail)
        with pytest.raises((KeyError, Broken)):
            everybody.fair.chain.open()


def test_a_history_is_the_same_in_all_ways_and_a_difference_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, again, other = (History(seed) for seed in (3, 3, 4))
    for history in (first, again, other):
        history.run(3)
    assert first.transitions > 10
    assert 0 < first.failed < first.transitions
    assert first.digest == again.digest != other.digest
    honest = first.plain.execute_block

    def one_grain_off(*args: Any) -> Any:
        result = honest(*args)
        return replace(result, weight_used=result.weight_used + 1)

    monkeypatch.setattr(first.plain, "execute_block", one_grain_off)
    with pytest.raises(Differs, match="block 4"):
        first.block()


def test_a_history_that_is_replayed_to_another_root_is_seen() -> None:
    history = History(3)
    history.run(2)
    context, extrinsics, _ = history.blocks[1]
    history.blocks[1] = (context, extrinsics, bytes(32))
    with pytest.raises(Differs, match="replayed"):
        history.replay()


def test_money_that_a_rule_gives_away_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(1)
    search.run(3)
    assert (search.tried, search.finds) == (3, [])
    attempt = Attempt()
    call = attempt.chain.call("Providers", "delegate", PROVIDERS[0].id, 100 * GRIST)
    strategy = [("call", 2, call), ("blocks", 1, b""), ("wash", 100 * GRIST, b"")]
    assert attempt.run(strategy) <= 0
    assert attempt.done > 1
    honest = pools.worth
    monkeypatch.setattr(pools, "worth", lambda pool, shares: honest(pool, shares) * 11 // 10)
    assert Attempt().run([*strategy]) > GRIST
    assert tuple(one.id for one in COALITION) == MEMBERS


def test_no_cheat_pays_on_the_grid() -> None:
    count, paying = cheating_grid()
    assert count > 1_000
    assert paying == []
