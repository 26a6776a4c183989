"""The quick part of the kit of hostile clients and peers; `python -m tests.hostile` has it all."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.hostile import peer_attacks, rpc_attacks
from tests.hostile.victim import Victim
from tests.support.devnet import DevnetUnderTest

QUICK = {
    "requests": rpc_attacks.hostile_requests,
    "frames": rpc_attacks.websocket_frames,
    "subscriptions": rpc_attacks.too_many_subscriptions,
}


@pytest.mark.parametrize("name", QUICK)
def test_a_hostile_client_gets_its_refusals_and_the_node_goes_on(
    devnet: DevnetUnderTest, name: str
) -> None:
    result = rpc_attacks.run_attack(Victim(devnet, "full"), QUICK[name])
    assert result.wrong == []


@pytest.mark.slow
def test_hostile_strangers_and_peers_are_left_and_the_node_goes_on(
    own_devnet: Callable[..., DevnetUnderTest],
) -> None:
    net = own_devnet("--validators", "1", "--interval-ms", "2000")
    victim = Victim(net, "full")
    attacks: tuple[Any, ...] = (peer_attacks.garbage_at_the_door, peer_attacks.bad_peers)
    for attack in attacks:
        assert rpc_attacks.run_attack(victim, attack).wrong == []
