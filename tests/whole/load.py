"""Users of the simulated chain: payments, stakes, nonsense, at whichever node is up."""

import random
from typing import TYPE_CHECKING, Final

import trio

from chain.node import Node
from chain.pool import PoolRefused
from chain.wallet.derivation import KeyPair
from ext import signing
from runtime.runtime import Runtime
from runtime.transaction import IMMORTAL, encode_extra, encode_transaction, signing_payload
from tests.whole.ground import keys_of
from tests.whole.loop import ACTING

if TYPE_CHECKING:
    from tests.whole.world import World

PAYERS: Final = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
"""Accounts that have money at genesis."""

GRIST: Final = 10**9
"""Grains in a GRIST."""


class Users:
    """Sends something every now and then until the schedule is over."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = random.Random(f"users {world.plan.seed}")
        self._calls = Runtime().dispatcher

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await trio.sleep(self._world.plan.load * self._chance.uniform(0.2, 1.8))
            names = sorted(self._world.nodes)
            if names and self._world._nursery is not None:
                name = self._chance.choice(names)
                self._world._nursery.start_soon(self._send, name, self._world.nodes[name])

    async def _send(self, name: str, node: Node) -> None:
        ACTING.set(name)
        who = self._chance.choice(PAYERS)
        raw = self._sign(node, who, self._draw_call())
        try:
            with trio.move_on_after(1.0):
                await node.admission.submit(raw)
        except PoolRefused:
            pass

    def _draw_call(self) -> bytes:
        amount = self._chance.choice((1, GRIST, 50 * GRIST, 10**15))
        target = _account(self._chance.choice(PAYERS)).public
        module, name, *arguments = self._chance.choice(
            (
                ("Balances", "transfer_keep_alive", target, amount),
                ("Balances", "transfer_keep_alive", target, amount),
                ("Balances", "transfer_all", target, False),
                ("Staking", "bond_extra", amount),
                ("Staking", "unbond", amount),
                ("Staking", "bond", 20 * GRIST, ("Stash", None)),
                ("Staking", "nominate", (_account("Alice").public,)),
            )
        )
        encoded: bytes = self._calls.encode(module, name, *arguments)
        return encoded

    def _sign(self, node: Node, who: str, call: bytes) -> bytes:
        pair = _account(who)
        nonce = node.pool.next_nonce(pair.public)
        genesis_hash = node.start.hash
        payload = signing_payload(
            call=call,
            extra=encode_extra(era=IMMORTAL, nonce=nonce, tip=0),
            genesis_hash=genesis_hash,
            anchor_hash=genesis_hash,
            spec_version=node.judge.executive.rules.version,
        )
        return encode_transaction(
            signer=pair.public,
            signature=signing.sign(pair.seed, payload),
            era=IMMORTAL,
            nonce=nonce,
            tip=0,
            call=call,
        )


def _account(name: str) -> KeyPair:
    return keys_of(name).account
