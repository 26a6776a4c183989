"""What tests of datasets share: data with leaves, a chain that has the module, its usual calls."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ext import hashing
from runtime.balances import HoldReason
from runtime.executive import Executive
from runtime.frame.errors import CallError
from runtime.market.datasets import Datasets
from runtime.market.datasets.nouns import (
    OPENINGS,
    PIECE_MAX,
    Answer,
    Dataset,
    MatchedLeaf,
    OpenedLeaf,
    ParentShare,
    Share,
    Terms,
)
from runtime.market.datasets.registry import commitment_of
from runtime.market.trees import DATA_LEAF_BYTES, split_leaves, tree_root
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from tests.support.governance import GRIST
from tests.support.runtime import Chain, assert_refused, person

BOND = 500 * GRIST
PRICE = 10 * GRIST
LICENCE = b"l" * 32


def content(seed: int, leaves: int) -> bytes:
    """Bytes that fill so many leaves, the last one not wholly; no two leaves are alike."""
    parts = [hashing.blake2b_256(bytes((seed, n % 256, n // 256))) * 32 for n in range(leaves)]
    return b"".join(parts)[:-100]


@dataclass
class Data:
    """Data in leaves, as its owner has it; `gone` are leaves that it lost."""

    raw: bytes
    gone: tuple[int, ...] = ()

    @cached_property
    def leaves(self) -> list[bytes]:
        return split_leaves(self.raw)

    @cached_property
    def root(self) -> bytes:
        return tree_root(self.leaves)

    def answer(self, index: int) -> Answer:
        leaf = bytes(DATA_LEAF_BYTES) if index in self.gone else self.leaves[index]
        return Answer(leaf, hashing.merkle_proof(self.leaves, index))

    def answers(self, indices: tuple[int, ...]) -> tuple[Answer, ...]:
        return tuple(self.answer(index) for index in indices)


def make_runtime() -> Runtime:
    """A runtime with the module, whether THE LIST has it or not."""
    plain = Runtime()
    if any(isinstance(module, Datasets) for module in plain.modules):
        return plain
    return Runtime(
        add=lambda r: (
            Datasets(r.ctx, r.parameters, r.balances, r.deadlines, r.beacon, r.session, r.staking),
        )
    )


class Library:
    """A chain with datasets; every block is checked against all invariants."""

    def __init__(self, name: str = "test") -> None:
        self.chain = Chain.start(name, Executive(make_runtime()))
        self.chain.open()
        found = [m for m in self.chain.runtime.modules if isinstance(m, Datasets)]
        self.module: Datasets = found[0]
        self.data: dict[int, Data] = {}

    @property
    def runtime(self) -> Runtime:
        return self.chain.runtime

    @property
    def height(self) -> int:
        return self.runtime.ctx.block.height

    @property
    def era(self) -> int:
        return self.runtime.parameters.era()

    def dataset(self, number: int) -> Dataset:
        return self.module.datasets[number]

    def next(self, count: int = 1) -> None:
        for _ in range(count):
            self.chain.close()
            self.chain.open()

    def until(self, height: int) -> None:
        self.next(height - self.height)

    def next_era(self) -> None:
        self.until(self.runtime.parameters.era_start(self.era + 1))

    def run(self, who: str, name: str, *arguments: Any) -> bytes:
        """Run a call of a person; gives the encoded error, empty when it was done."""
        encoded = self.chain.call("Datasets", name, *arguments)
        call = self.chain.executive.decode_call(encoded)
        result = self.chain.executive.run_call(call, person(who))
        self.runtime.ctx.waiver = 255
        return result

    def done(self, who: str, name: str, *arguments: Any) -> None:
        assert self.run(who, name, *arguments) == b""

    def refused(self, error: type[CallError], who: str, name: str, *arguments: Any) -> None:
        call = self.chain.call("Datasets", name, *arguments)
        assert_refused(self.chain, call, error, person(who))

    def commit(self, who: str, data: Data, salt: bytes = bytes(32)) -> None:
        self.done(who, "commit", commitment_of(data.root, person(who), salt))

    def reveal_arguments(
        self,
        data: Data,
        *,
        price: int = PRICE,
        royalties: tuple[Share, ...] = (),
        parents: tuple[ParentShare, ...] = (),
        bond: int = BOND,
    ) -> tuple[Any, ...]:
        terms = Terms(len(data.raw), LICENCE, price, royalties, parents)
        return ("reveal", data.root, bytes(32), terms, bond)

    def register(self, who: str, data: Data, **terms: Any) -> int:
        """Commit, wait and reveal; gives the number of the dataset, which is not active yet."""
        self.commit(who, data)
        self.next(10)
        number = self.module.dataset_count
        self.done(who, *self.reveal_arguments(data, **terms))
        self.data[number] = data
        return number

    def activate(self, number: int) -> None:
        """Answer the first challenge."""
        self.until(self.module.clock().entry_opens(self.dataset(number).epoch))
        self.prove(number)

    def active(self, who: str, data: Data, **terms: Any) -> int:
        number = self.register(who, data, **terms)
        self.activate(number)
        return number

    def answers(self, number: int) -> tuple[Answer, ...]:
        challenge = self.module.find_challenge(number)
        assert challenge is not None
        return self.data[number].answers(challenge.indices)

    def prove(self, number: int, who: str = "Alice") -> None:
        self.done(who, "prove", number, self.answers(number))

    def prove_eras(self, number: int, eras: int) -> None:
        """Answer the challenge of each of the next eras."""
        for _ in range(eras):
            self.next_era()
            self.prove(number)

    def use(self, number: int, requester: AccountId, amount: int, job: int = 1) -> None:
        """Let a job of a requester pay for a use, out of escrow that it puts down for it."""
        self.runtime.balances.hold(requester, HoldReason.ESCROW, amount)
        self.module.pay_use(number, job, requester, requester, amount)

    def show_all(self, case: int, data: Data, who: str = "Bob") -> None:
        """Show every drawn leaf of the later dataset."""
        indices = [self.module.drawn_leaf(case, place) for place in range(OPENINGS)]
        pieces = [
            OpenedLeaf(place, data.answer(index).leaf, data.answer(index).path)
            for place, index in enumerate(indices)
        ]
        for start in range(0, OPENINGS, PIECE_MAX):
            self.done(who, "open_leaves", case, tuple(pieces[start : start + PIECE_MAX]))

    def matches(self, case: int, earlier: Data, later: Data) -> list[MatchedLeaf]:
        """What of the drawn leaves can be found again in the earlier dataset."""
        found = []
        for place in range(OPENINGS):
            leaf = later.leaves[self.module.drawn_leaf(case, place)]
            if leaf in earlier.leaves:
                index = earlier.leaves.index(leaf)
                path = hashing.merkle_proof(earlier.leaves, index)
                found.append(MatchedLeaf(place, index, leaf, path))
        return found
