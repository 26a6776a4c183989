"""Beacon: the randomness of each epoch, made of one VRF output per block.

    R(e+2) = blake2b_256("rnd" || R(e+1) || e+2 as u64 big-endian || entropy of each block of e)

Whoever samples with R(e) must have committed before epoch e-1 ended. The proposer of an epoch's
last block can withhold it, which biases R by one bit for each proposal it gives up.
"""

from collections.abc import Iterator

from ext import hashing
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, Hash, Weight
from runtime.session import Session


class Beacon(Module, index=11):
    """The randomness of each epoch, made of one VRF output per block."""

    randomness: StorageValue[Hash] = stored()
    next_randomness: StorageValue[Hash] = stored()
    entropies: StorageMap[U32, Hash] = stored(default=bytes(32), hasher=Hasher.TWOX_64_CONCAT)

    def __init__(self, ctx: Context, session: Session) -> None:
        super().__init__(ctx)
        self.session = session

    def genesis(self, *, randomness: bytes, next_randomness: bytes) -> None:
        """Begin with the randomness of epochs 0 and 1, 32 bytes each."""
        self.randomness = randomness
        self.next_randomness = next_randomness

    def on_initialize(self) -> Weight:
        """Keep this block's entropy in its place of the epoch; places are used again and again."""
        block = self.ctx.block
        self.entropies[(block.height - 1) % self.session.epoch_blocks()] = block.entropy
        return 0

    def on_finalize(self) -> None:
        """After an epoch's last block, step on: what was next is now for the next block."""
        if not self.session.is_epoch_end():
            return
        epoch = self.session.current_index
        parts = [self.entropies[place] for place in range(self.session.epoch_blocks())]
        seed = b"rnd" + self.next_randomness + (epoch + 2).to_bytes(8, "big") + b"".join(parts)
        self.randomness = self.next_randomness
        self.next_randomness = hashing.blake2b_256(seed)

    def invariants(self) -> Iterator[Check]:
        """No more entropies are kept than an epoch has blocks."""
        places = [place for place, _ in self.entropies.items()]
        is_bounded = all(place < self.session.epoch_blocks() for place in places)
        yield Check("entropies have a place in the epoch", is_bounded)
