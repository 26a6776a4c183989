"""Registry: commits, datasets, their bonds, rent and ends; a part of Datasets."""

from dataclasses import replace
from typing import Final

from ext import hashing
from runtime.balances import TREASURY, Balances, BurnCause, HoldReason, MoveCause
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines, Lane
from runtime.frame.module import Part
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.datasets.events import (
    BadSize,
    DuplicateRoot,
    Ended,
    Lapsed,
    NoSuchCommit,
    NotOwner,
    Registered,
    RegistryFull,
    RentPaid,
    RevealTooEarly,
    RevealTooLate,
    UnknownDataset,
)
from runtime.market.datasets.nouns import (
    ANSWER_BLOCKS,
    BOND_MIN,
    COMMIT_TAG,
    MISS_SLASH,
    PLACES,
    RENT,
    REVEAL_MAX,
    REVEAL_MIN,
    Commit,
    Dataset,
    DatasetState,
    EndReason,
    Share,
    Terms,
)
from runtime.market.datasets.possession import Challenge, Clock, find_challenge
from runtime.market.datasets.royalties import flatten
from runtime.market.nouns import NOBODY
from runtime.market.trees import DATA_LEAF_BYTES, LEAVES_MAX
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Hash
from runtime.session import Session
from runtime.staking.module import Staking

TWOX: Final = Hasher.TWOX_64_CONCAT
"""Numbers that the chain gives out need no stronger hash."""

LAPSE_ITEM: Final = b"L"
"""What an item of the wheel begins with that looks whether a dataset answered its first."""


def commitment_of(root: bytes, owner: AccountId, salt: bytes) -> bytes:
    """Give the 32 bytes that commit an owner to a root, with a salt of 32 bytes."""
    return hashing.blake2b_256(COMMIT_TAG + root + owner + salt)


class Registry(Part):
    """Datasets and what is held for them."""

    numbers: Parameters
    balances: Balances
    deadlines: Deadlines
    beacon: Beacon
    session: Session
    staking: Staking

    commits: StorageMap[tuple[AccountId, Hash], Commit] = stored(
        hasher=(Hasher.BLAKE2_128_CONCAT, Hasher.BLAKE2_128_CONCAT)
    )
    commit_count: StorageValue[U32] = stored(default=0)
    datasets: StorageMap[U32, Dataset] = stored(hasher=TWOX)
    dataset_count: StorageValue[U32] = stored(default=0)
    live_count: StorageValue[U32] = stored(default=0)
    by_root: StorageMap[Hash, U32] = stored()

    # Functions for other modules

    def dataset(self, number: int) -> Dataset:
        """Give a dataset that is active or was; raises UnknownDataset."""
        found = self.datasets.find(number)
        if found is None:
            raise UnknownDataset
        return found

    def root(self, number: int) -> bytes:
        """Give the 32-byte root of a dataset, also of one that ended; raises UnknownDataset."""
        return self.dataset(number).root

    def leaf_count(self, number: int) -> int:
        """Give how many leaves a dataset has, also one that ended; raises UnknownDataset."""
        return self.dataset(number).leaf_count

    def clock(self) -> Clock:
        """Give the lengths by which challenges are timed."""
        return Clock(
            self.session.epoch_blocks(), self.numbers.era_blocks, ANSWER_BLOCKS.read(self.ctx)
        )

    def find_challenge(self, number: int, height: int | None = None) -> Challenge | None:
        """Give what a dataset must show in the running block, if anything.

        On the state that a block left, ask for the height of the next one. An era that was answered
        still has its challenge. Raises UnknownDataset.
        """
        at = self.ctx.block.height if height is None else height
        seeds = (self.beacon.randomness, self.beacon.next_randomness)
        return find_challenge(number, self.dataset(number), self.clock(), at, seeds)

    def tree_of(self, number: int) -> tuple[Share, ...]:
        """Give whom a dataset pays; without royalties its owner; raises UnknownDataset."""
        found = self.dataset(number)
        return found.royalties or (Share(found.owner, PERBILL),)

    # Registering

    def take_commit(self, who: AccountId, commitment: bytes) -> Commit:
        """Use a commit up and free its deposit; raises unless it may be revealed now."""
        commit = self.commits.find((who, commitment))
        if commit is None:
            raise NoSuchCommit
        age = self.ctx.block.height - commit.height
        if age < REVEAL_MIN:
            raise RevealTooEarly
        if age > REVEAL_MAX:
            raise RevealTooLate
        del self.commits[who, commitment]
        self.balances.release(who, HoldReason.DEPOSIT, commit.deposit)
        return commit

    def register(
        self, owner: AccountId, root: bytes, commit: Commit, terms: Terms, bond: int
    ) -> int:
        """Give a revealed root a number; raises when its terms, or the registry, forbid it."""
        if not 1 <= terms.size <= LEAVES_MAX * DATA_LEAF_BYTES:
            raise BadSize
        royalties = flatten(terms.royalties, terms.parents, self.tree_of)
        self._displace(owner, root, commit.order)
        if self.live_count >= PLACES.read(self.ctx):
            raise RegistryFull
        self.balances.hold(owner, HoldReason.DEPOSIT, bond)
        number, epoch = self.dataset_count, self.session.current_index
        self.dataset_count = number + 1
        self.datasets[number] = Dataset(
            owner=owner,
            root=root,
            size=terms.size,
            licence=terms.licence,
            price=terms.price,
            royalties=royalties,
            state=DatasetState.PENDING,
            committed=commit.height,
            order=commit.order,
            epoch=epoch,
            bond=bond,
            since=0,
            rent_era=0,
            proof_era=0,
            proofs=0,
            misses=(),
            cases=0,
            heir=NOBODY,
            ended=0,
        )
        self.by_root[root] = number
        self.live_count += 1
        until = self.clock().entry_closes(epoch)
        self.deadlines.schedule(
            height=until,
            lane=Lane.JOBS,
            module_index=self.index,
            payload=LAPSE_ITEM + number.to_bytes(4, "little"),
        )
        self.emit(Registered(number, owner, root, bond, until))
        return number

    def _displace(self, owner: AccountId, root: bytes, order: int) -> None:
        """Make room for a root: whoever committed it later gives way, without a slash.

        Raises DuplicateRoot when somebody committed it earlier. An owner may bring back what it
        revoked itself.
        """
        number = self.by_root.find(root)
        if number is None:
            return
        other = self.datasets[number]
        is_back = other.state is DatasetState.REVOKED and other.owner == owner
        if not is_back and other.order < order:
            raise DuplicateRoot
        if other.state is DatasetState.PENDING:
            self.lapse(number, other, lost=0)
        elif other.state is DatasetState.ACTIVE:
            self.end(number, other, DatasetState.DELISTED, EndReason.EARLIER_COMMIT)

    # Rent and ends

    def owned(self, number: int, who: AccountId) -> Dataset:
        """Give a dataset of this owner; raises UnknownDataset or NotOwner."""
        found = self.dataset(number)
        if found.owner != who:
            raise NotOwner
        return found

    def settle_rent(self, number: int, dataset: Dataset) -> Dataset:
        """Take the rent of an active dataset up to the running era; gives what it is then.

        From the owner's free money, else from the bond: below half the least bond it ends.
        """
        era = self.numbers.era()
        eras = era + 1 - dataset.rent_era
        if dataset.state is not DatasetState.ACTIVE or eras <= 0:
            return dataset
        due, owner = eras * RENT.read(self.ctx), dataset.owner
        from_bond = 0
        if self.balances.spendable(owner, keep_alive=True) >= due:
            self.balances.move(MoveCause.FEE_SHARE, owner, TREASURY, due, keep_alive=True)
        else:
            due = from_bond = min(due, dataset.bond)
            self.balances.take_held(
                MoveCause.FEE_SHARE, owner, HoldReason.DEPOSIT, TREASURY, from_bond
            )
        dataset = replace(dataset, rent_era=era + 1, bond=dataset.bond - from_bond)
        self.datasets[number] = dataset
        self.emit(RentPaid(number, due, from_bond))
        if 2 * dataset.bond < BOND_MIN.read(self.ctx):
            return self.end(number, dataset, DatasetState.DELISTED, EndReason.NO_BOND)
        return dataset

    def end(self, number: int, dataset: Dataset, state: DatasetState, reason: EndReason) -> Dataset:
        """End a dataset for new jobs; its bond stays. The root of a delisted one is free again."""
        if dataset.is_live:
            self.live_count -= 1
        ended = replace(dataset, state=state, heir=NOBODY, ended=self.ctx.block.height)
        self.datasets[number] = ended
        if state is DatasetState.DELISTED and self.by_root.find(dataset.root) == number:
            del self.by_root[dataset.root]
        self.emit(Ended(number, reason))
        return ended

    def lapse(self, number: int, dataset: Dataset, *, lost: int) -> None:
        """Forget a dataset that never was active, and give its bond back but for what is lost."""
        self.balances.burn_held(BurnCause.WORK_SLASH, dataset.owner, HoldReason.DEPOSIT, lost)
        self.balances.release(dataset.owner, HoldReason.DEPOSIT, dataset.bond - lost)
        del self.datasets[number]
        del self.by_root[dataset.root]
        self.live_count -= 1
        self.emit(Lapsed(number, lost))

    def lapse_if_late(self, number: int) -> None:
        """Forget a dataset whose first challenge is over, as a miss; else nothing happens."""
        found = self.datasets.find(number)
        if found is None or found.state is not DatasetState.PENDING:
            return
        if self.ctx.block.height >= self.clock().entry_closes(found.epoch):
            lost = -(-found.bond * MISS_SLASH.read(self.ctx) // PERBILL)
            self.lapse(number, found, lost=lost)
