"""What claims are worth, and how many of them a node passes on."""

import pytest

from chain import nearness
from chain.nearness import AGAIN_MS, PASSED_ON_MS, Nearness
from chain.network.interface import Verdict
from chain.signer import PeerHeight
from tests.support.drivers import BASE_MS, TEAM, PaperLedger, claim_of


class Ears:
    """One node that hears claims."""

    def __init__(self):
        self.nearness = Nearness(PaperLedger())

    def hear(self, index, time_ms, *, through=None, height=1):
        claim = claim_of(TEAM, index, f"peer {index}", height, time_ms)
        peer = through or claim.peer
        return self.nearness.on_claim(peer, claim, TEAM.validators, BASE_MS)

    def near(self, now_ms=BASE_MS):
        return self.nearness.find(TEAM.validators, 1, now_ms)


@pytest.mark.parametrize("through", [None, "who passes on"])
def test_a_validator_is_passed_on_once_a_second_whoever_brings_its_claims(through):
    ears = Ears()
    verdicts = [
        ears.hear(1, BASE_MS + step * AGAIN_MS // 10, through=through) for step in range(30)
    ]
    assert verdicts.count(Verdict.ACCEPT) == 3
    assert verdicts.count(Verdict.IGNORE) == 27


def test_a_neighbours_claim_that_is_not_passed_on_counts_all_the_same():
    ears = Ears()
    assert ears.hear(1, BASE_MS) is Verdict.ACCEPT
    assert ears.hear(1, BASE_MS + 1, height=2) is Verdict.IGNORE
    assert ears.near() == (PeerHeight(1, 2),)


def test_a_neighbour_that_left_is_not_near_for_what_it_said_itself():
    ears = Ears()
    ears.hear(1, BASE_MS)
    ears.nearness.on_peer_gone("peer 1")
    assert ears.near() == ()
    assert ears.hear(1, BASE_MS + AGAIN_MS, through="who passes on") is Verdict.ACCEPT
    assert ears.near() == (PeerHeight(1, 1),)
    assert ears.near(BASE_MS + AGAIN_MS + PASSED_ON_MS + 1) == ()


def test_validators_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr(nearness, "KEYS_MAX", 2)
    ears = Ears()
    for index in range(3):
        ears.hear(index, BASE_MS, through="who passes on")
    assert ears.near() == (PeerHeight(1, 1), PeerHeight(2, 1))
