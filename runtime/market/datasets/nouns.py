"""The words of datasets: what one is, who answers, signals, attests and challenges; its numbers."""

from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Most, Record
from runtime.frame.parameters import Parameter, Unit
from runtime.market.nouns import DATASETS_MAX
from runtime.market.trees import BRANCH_MOST, DATA_LEAF_BYTES
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U8,
    U16,
    U32,
    U64,
    U128,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)
from runtime.wire import Array, Primitive, Wire

GRIST: Final = GRAINS_PER_GRIST
"""Grains in a GRIST."""

BOND_MIN: Final = Parameter(
    "datasets.bond_min", 500 * GRIST, low=100 * GRIST, high=5_000 * GRIST, step=100 * GRIST,
    unit=Unit.GRAINS, docs="Least bond of a dataset, held from its owner.",
)  # fmt: skip
"""A miss costs two hundredths of it: ten times the era's rent, so that forgetting is dearer."""

RENT: Final = Parameter(
    "datasets.rent", GRIST, low=GRIST // 10, high=10 * GRIST, step=GRIST, unit=Unit.GRAINS,
    docs="What a dataset costs its owner each era, for the treasury.",
)  # fmt: skip
"""A place among 20,000 that nobody uses is given up; the fee of an answer is far below it."""

PLACES: Final = Parameter(
    "datasets.places", 20_000, low=1_000, high=50_000, step=5_000, unit=Unit.COUNT,
    docs="Datasets that may be registered and not ended at the same time.",
)  # fmt: skip
"""Each answers once an era: 20,000 answers fit in two hours of blocks with half their room."""

ANSWER_BLOCKS: Final = Parameter(
    "datasets.answer_blocks", 600, low=100, high=3_600, step=300, unit=Unit.BLOCKS,
    docs="How long after an era begins its challenge may be answered; at most an epoch.",
)  # fmt: skip
"""Ten minutes: long enough to restart a node, too short to buy the data back from somebody."""

MISS_SLASH: Final = Parameter(
    "datasets.miss_slash", 20_000_000, low=5_000_000, high=100_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the bond that an unanswered challenge costs.",
)  # fmt: skip
"""2 %: one lapse is a lesson, three are the end."""

BOUNTY_SHARE: Final = Parameter(
    "datasets.bounty_share", 200_000_000, low=50_000_000, high=300_000_000, step=50_000_000,
    unit=Unit.PERBILL,
    docs="Part of a slashed bond for who reported the miss or proved the duplicate.",
)  # fmt: skip
"""A fifth: it pays to look, and an owner who reports itself still loses four fifths."""

CURATION_SHARE: Final = Parameter(
    "datasets.curation_share", 100_000_000, low=0, high=200_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of each use's fee for those who signal on the dataset.",
)  # fmt: skip
"""A tenth, as the oldest curation market pays: worth a search for good data, and no burden on it.
An owner may signal on its own data and have the tenth back, at the risk of the same slash."""

SIGNAL_MIN: Final = Parameter(
    "datasets.signal_min", 10 * GRIST, low=GRIST, high=1_000 * GRIST, step=50 * GRIST,
    unit=Unit.GRAINS, docs="Least signal on a dataset.",
)  # fmt: skip
"""Pays for the entry that a signal is."""

SIGNAL_ERAS: Final = Parameter(
    "datasets.signal_eras", 14, low=2, high=90, step=14, unit=Unit.ERAS,
    docs="How long a signal that was taken back can still be slashed.",
)  # fmt: skip
"""Two weeks: nobody leaves between seeing a challenge prepared and its being opened."""

CURATION_SLASH: Final = Parameter(
    "datasets.curation_slash", 500_000_000, low=100_000_000, high=1_000_000_000,
    step=100_000_000, unit=Unit.PERBILL,
    docs="Part of each signal that is burned when the dataset is proven to be a duplicate.",
)  # fmt: skip
"""Half: a curator who looked badly loses much, and only the owner, who knew, loses all."""

ATTESTER_BOND: Final = Parameter(
    "datasets.attester_bond", 5_000 * GRIST, low=1_000 * GRIST, high=50_000 * GRIST,
    step=1_000 * GRIST, unit=Unit.GRAINS, docs="Bond without which no attestation counts.",
)  # fmt: skip
"""Ten bonds of a dataset: who vouches for many has more to lose than who offers one."""

ATTESTER_ERAS: Final = Parameter(
    "datasets.attester_eras", 28, low=2, high=90, step=14, unit=Unit.ERAS,
    docs="How long the bond of an attester that leaves can still be slashed.",
)  # fmt: skip
"""As long as stake unbonds."""

ATTESTER_SLASH: Final = Parameter(
    "datasets.attester_slash", 200_000_000, low=50_000_000, high=1_000_000_000,
    step=50_000_000, unit=Unit.PERBILL,
    docs="Part of an attester's bond that a proven duplicate costs which it attested.",
)  # fmt: skip
"""A fifth: after one mistake its bond is too small, and nothing it said counts until it is full."""

CASE_DEPOSIT: Final = Parameter(
    "datasets.case_deposit", 500 * GRIST, low=100 * GRIST, high=5_000 * GRIST,
    step=100 * GRIST, unit=Unit.GRAINS, docs="Deposit of who says that a dataset is a duplicate.",
)  # fmt: skip
"""As much as the least bond: a false challenge costs as much as a true one takes."""

CASE_BLOCKS: Final = Parameter(
    "datasets.case_blocks", 3_600, low=300, high=86_400, step=3_600, unit=Unit.BLOCKS,
    docs="How long each side of a duplicate challenge has; at most an era.",
)  # fmt: skip
"""An hour for sixteen pieces of four leaves."""

RETIRE_ERAS: Final = Parameter(
    "datasets.retire_eras", 28, low=2, high=90, step=14, unit=Unit.ERAS,
    docs="How long after its end the bond of a dataset stays, for challenges.",
)  # fmt: skip
"""As long as stake unbonds: whoever sold a copy cannot leave before it is found."""

REQUESTER_STAKE: Final = Parameter(
    "datasets.requester_stake", 1_000 * GRIST, low=100 * GRIST, high=10_000 * GRIST,
    step=500 * GRIST, unit=Unit.GRAINS,
    docs="Stake by which a requester counts as one of the five that emission for data takes.",
)  # fmt: skip
"""Five of them for 28 eras are 5,000 GRIST that nobody else may count meanwhile."""

REQUESTER_ERAS: Final = Parameter(
    "datasets.requester_eras", 28, low=1, high=90, step=14, unit=Unit.ERAS,
    docs="How long a requester must have had that stake.",
)  # fmt: skip
"""As long as stake unbonds: the same money cannot stand for two requesters within it."""

PARAMETERS: Final = (
    BOND_MIN, RENT, PLACES, ANSWER_BLOCKS, MISS_SLASH, BOUNTY_SHARE, CURATION_SHARE, SIGNAL_MIN,
    SIGNAL_ERAS, CURATION_SLASH, ATTESTER_BOND, ATTESTER_ERAS, ATTESTER_SLASH, CASE_DEPOSIT,
    CASE_BLOCKS, RETIRE_ERAS, REQUESTER_STAKE, REQUESTER_ERAS,
)  # fmt: skip
"""The numbers of datasets."""

REVEAL_MIN: Final = 10
"""Blocks between commit and reveal: whoever reads a root in a reveal comes too late to claim it."""

REVEAL_MAX: Final = 1_000
"""Blocks until a commit is void: nobody keeps early places for roots of later."""

COMMIT_DEPOSIT: Final = 5 * GRIST
"""Held for a commit, until it is revealed or void and dropped: what pays for its entry."""

PROBES: Final = 4
"""Leaves of a challenge. Of data that lacks a tenth of its leaves it finds 34 % an era, of data
that lacks a hundredth 70 % in thirty eras; see `possession.compute_detection`."""

MISSES_MAX: Final = 3
"""Reported misses within MISS_ERAS that end a dataset."""

MISS_ERAS: Final = 14
"""Eras for which answers are remembered, and within which misses count together."""

ENTRY_EPOCHS: Final = 2
"""The first challenge is of the second epoch after the reveal: not known when it was revealed."""

ROYALTIES_MAX: Final = 16
"""Accounts among which a fee is split: what settling a job can pay without another limit."""

PARENTS_MAX: Final = 4
"""Datasets that a dataset may name as what it was made of."""

ATTESTATIONS_MAX: Final = 8
"""Attestations of one dataset."""

CASES_MAX: Final = 4
"""Duplicate challenges that may be open against one dataset: a friendly one keeps nobody out."""

OPENINGS: Final = 64
"""Leaves that are drawn for a duplicate challenge."""

EQUAL_MIN: Final = 39
"""Equal leaves of the 64 that make a duplicate: 60 %, rounded up."""

PIECE_MAX: Final = 4
"""Leaves in one call: with their branches at most 7 KiB."""

REQUESTERS_MAX: Final = 128
"""Requesters of a dataset in an era whose fees count for emission."""

LOG_MAX: Final = 256
"""Jobs of a dataset in an era that its log names; more are only counted."""

LOG_ERAS: Final = 28
"""Eras for which uses are kept."""

REQUESTERS_MIN: Final = 5
"""Requesters with stake that a dataset needs in an era to weigh anything."""

FEE_CAP: Final = 100_000_000
"""Part of a dataset's fees in an era, of 10^9, up to which one requester counts: a tenth."""

UNATTESTED: Final = 500_000_000
"""What a dataset weighs that nobody attested, of 10^9: half."""

COMMIT_TAG: Final = b"gm-dataset"
"""What the hash of a commit begins with."""

POSSESSION_TAG: Final = b"gm-possession"
"""What the draw of a challenge begins with."""

DUPLICATE_TAG: Final = b"gm-duplicate"
"""What the draw of a duplicate challenge begins with."""

LeafBytes = Annotated[
    bytes,
    Wire(scale.fixed_bytes(DATA_LEAF_BYTES), Array(Primitive("u8"), DATA_LEAF_BYTES), "Leaf"),
]
"""A leaf as it is: 1,024 raw bytes."""

Path = Annotated[tuple[Hash, ...], Most(BRANCH_MOST)]
"""Siblings of a leaf, upwards."""


class DatasetState(IntEnum):
    """Where a dataset stands; from REVOKED on it is sold to no new job."""

    PENDING = 0
    ACTIVE = 1
    REVOKED = 2
    DELISTED = 3
    DUPLICATE = 4


class EndReason(IntEnum):
    """Why a dataset ended."""

    BY_OWNER = 0
    MISSES = 1
    NO_BOND = 2
    EARLIER_COMMIT = 3
    EQUAL_LEAVES = 4
    LEAVES_NOT_SHOWN = 5


class Share(Record):
    """A leaf of a royalty tree: an account and its part of each fee, of 10^9."""

    account: AccountId
    share: U32


class ParentShare(Record):
    """A branch of a royalty tree: a dataset among whose accounts this part, of 10^9, is split."""

    dataset: U32
    share: U32


ShareList = Annotated[tuple[Share, ...], Most(ROYALTIES_MAX)]
"""A royalty tree that was flattened: accounts ascending, shares sum to 10^9; empty: the owner."""


class Terms(Record):
    """What is offered: bytes of data, licence digest, grains a use, and who is paid.

    The shares of `royalties` and `parents` sum to 10^9 together; without any all goes to the owner
    of the time of the use. A parent's share goes to the accounts that its own tree names now: the
    tree is flattened at registration, whatever becomes of the parent later.
    """

    size: U64
    licence: Hash
    price: Balance
    royalties: ShareList
    parents: Annotated[tuple[ParentShare, ...], Most(PARENTS_MAX)]


class Commit(Record):
    """A root that was promised: when, before and after which others, and what is held for it."""

    height: BlockNumber
    order: U32
    deposit: Balance


class Dataset(Record):
    """A dataset: whose it is, what it is, what it costs, and whether it is still there.

    `order` is the number of its commit: of two that are alike the lower is the earlier. `epoch` is
    the one it was revealed in. `since` is the era in which it became active, `rent_era` the first
    whose rent is not paid. Bit k of `proofs` says whether the challenge of era `proof_era` - k was
    answered; `misses` are the eras of reported misses. `cases` counts open duplicate challenges.
    `heir` may take it over, if not zero. `ended` is the height of its end.
    """

    owner: AccountId
    root: Hash
    size: U64
    licence: Hash
    price: Balance
    royalties: ShareList
    state: DatasetState
    committed: BlockNumber
    order: U32
    epoch: U32
    bond: Balance
    since: U32
    rent_era: U32
    proof_era: U32
    proofs: U16
    misses: Annotated[tuple[U32, ...], Most(MISSES_MAX)]
    cases: U8
    heir: AccountId
    ended: BlockNumber

    @property
    def leaf_count(self) -> int:
        """Leaves of 1,024 bytes, the last padded."""
        return -(-self.size // DATA_LEAF_BYTES)

    @property
    def is_live(self) -> bool:
        """Whether it has a place: it is active, or may still become so."""
        return self.state <= DatasetState.ACTIVE


class Answer(Record):
    """A drawn leaf and its siblings; which leaf it is, the draw says."""

    leaf: LeafBytes
    path: Path


AnswerList = Annotated[tuple[Answer, ...], Most(PROBES)]
"""Drawn leaves, in the order of the draw."""


class OpenedLeaf(Record):
    """A leaf of the later dataset: which of the 64 drawn it is, the leaf, its siblings."""

    place: U8
    leaf: LeafBytes
    path: Path


class MatchedLeaf(Record):
    """The same leaf in the earlier dataset: which of the 64, where it stands there, siblings."""

    place: U8
    index: U32
    leaf: LeafBytes
    path: Path


OpenedList = Annotated[tuple[OpenedLeaf, ...], Most(PIECE_MAX)]
"""A piece of the openings."""

MatchedList = Annotated[tuple[MatchedLeaf, ...], Most(PIECE_MAX)]
"""A piece of the matches."""


class Curation(Record):
    """All signals on a dataset: the grains, what each earned so far, and what the pot has of it.

    `index` is what a grain of signal earned, times 10^18. `loss` is the part of each signal, of
    10^9, that a proven duplicate costs.
    """

    signal: Balance
    index: U128
    kept: Balance
    loss: U32


class Signal(Record):
    """Who signals how much since which index, and what is leaving until when."""

    amount: Balance
    index: U128
    leaving: Balance
    due: BlockNumber


class Attester(Record):
    """An attester's bond; `due` is when one that leaves may take it, zero while it serves."""

    bond: Balance
    due: BlockNumber


class Attestation(Record):
    """Who vouches for where a dataset comes from, and the digest of what it says."""

    attester: AccountId
    digest: Hash
    height: BlockNumber


AttestationList = Annotated[tuple[Attestation, ...], Most(ATTESTATIONS_MAX)]
"""Attestations of one dataset, oldest first."""


class Case(Record):
    """A duplicate challenge: of `later` 64 leaves are drawn, shown, and found again in `earlier`.

    Drawn with the randomness of epoch `draw_epoch`, zeros until then. Bits of `opened` are leaves
    that were shown, of `matched` those found again.
    """

    earlier: U32
    later: U32
    challenger: AccountId
    deposit: Balance
    draw_epoch: U32
    seed: Hash
    opening_ends: BlockNumber
    matching_ends: BlockNumber
    opened: U64
    matched: U64

    @property
    def is_opened(self) -> bool:
        """Whether every drawn leaf was shown."""
        return self.opened == (1 << OPENINGS) - 1


class Verdict(IntEnum):
    """How a duplicate challenge ended."""

    EQUAL = 0
    NOT_SHOWN = 1
    NOT_EQUAL = 2
    MOOT = 3


class Use(Record):
    """What a requester paid for a dataset in an era, in how many jobs, and if its stake counts."""

    fee: Balance
    jobs: U32
    is_standing: Flag


class EraUse(Record):
    """What all paid for a dataset in an era; `requesters` and `standing` count accounts."""

    fees: Balance
    jobs: U32
    requesters: U16
    standing: U16


class JobUse(Record):
    """A line of a dataset's log: the job, who asked for it, and the fee."""

    job: U32
    requester: AccountId
    fee: Balance


PriceList = Annotated[tuple[Balance, ...], Most(DATASETS_MAX)]
"""Grains a use of each dataset of a job."""


class Standing(Record):
    """Since which era an account has the stake that counts, and when it was looked at last."""

    since: U32
    seen: U32


NO_CURATION: Final = Curation(0, 0, 0, 0)
"""Nobody signals."""

NO_SIGNAL: Final = Signal(0, 0, 0, 0)
"""Does not signal."""

NO_ATTESTER: Final = Attester(0, 0)
"""Attests nothing."""

NO_USE: Final = EraUse(0, 0, 0, 0)
"""Nobody used it."""
