"""Weights of calls and steps, in picoseconds on the reference machine.

Measured, not guessed: `python -m bench.weights` goes through the Python modules on the native store
with the worst inputs (new accounts, dying accounts), the share of the state root included; takes
the least of the repeats; scales it to a core on which libsodium verifies a signature in 53.5
microseconds; and adds a quarter. What runs natively costs a tenth of it; a node on the slow core of
the others must still keep up.
"""

from typing import Final

from runtime.primitives import Weight

MICROSECOND: Final = 1_000_000
"""Picoseconds in a microsecond."""

EXTRINSIC_BASE: Final[Weight] = 75 * MICROSECOND
"""Signature (53.5), decoding, fee, nonce, receipt, commit (5): what any transaction costs."""

BLOCK_BASE: Final[Weight] = 260 * MICROSECOND
"""Hooks of an empty block, and its root (203)."""

TRANSFER: Final[Weight] = 16 * MICROSECOND
"""The sender dies, its dust is moved, the receiver is new (12.8); between the living 2."""

BURN: Final[Weight] = 18 * MICROSECOND
"""The burner dies, and three running totals change (13.3)."""

REMARK: Final[Weight] = 2 * MICROSECOND
"""Nothing but the call (0.9)."""

REMARK_WITH_EVENT: Final[Weight] = 5 * MICROSECOND
"""The call and its event (3.4), the hash aside."""

REMARK_PER_BYTE: Final[Weight] = 1_900
"""Reading a byte of a remark and hashing it for its event (1.5 nanoseconds)."""

BATCH: Final[Weight] = 6 * MICROSECOND
"""The frame of a batch (4.0), the calls in it aside."""

BATCH_ITEM: Final[Weight] = 3 * MICROSECOND
"""Reading a call of a batch, checkpoint and event around it (2.0)."""

INHERENT: Final[Weight] = 51 * MICROSECOND
"""Reading and comparing an inherent, counting the author, the receipt (40.5)."""

COMMIT_FLAG: Final[Weight] = 9 * MICROSECOND
"""Counting a validator that did not sign: a map entry read and written (6.9)."""

OFFENCE: Final[Weight] = 200 * MICROSECOND
"""Checking and recording an offence, jailing, the case, an item on the wheel (150)."""

DEADLINE_ITEM: Final[Weight] = 24 * MICROSECOND
"""Taking an item off the wheel, and seeing that it is of another turn (18.7); its work is prepaid
by who put it there."""

DEADLINE_PUT_BACK: Final[Weight] = 400 * MICROSECOND
"""Undoing an item whose module may not pay, and placing it again (204 to 355)."""

PARAMETER: Final[Weight] = 60 * MICROSECOND
"""Checking bounds and writing value and era of a parameter."""

REFERENDUM_SUBMIT: Final[Weight] = 600 * MICROSECOND
"""Reading and judging a call, a hold, an item for the wheel, a status of four kilobytes (380)."""

REFERENDUM_STEP: Final[Weight] = 600 * MICROSECOND
"""A status read and written, a deposit moved, an item of the wheel exchanged (420)."""

VOTE: Final[Weight] = 6_000 * MICROSECOND
"""Looking twice at 64 delegators and what each voted itself, a freeze, a status (2,500)."""

DELEGATE: Final[Weight] = 8_000 * MICROSECOND
"""Adding a delegation to 32 votes that go on, and looking at each of them again (2,800)."""

TREASURY_STEP: Final[Weight] = 120 * MICROSECOND
"""A payment or a grant read and written, money moved, an item for the wheel."""

SET_KEYS: Final[Weight] = 700 * MICROSECOND
"""Verifying a signature and a VRF proof, and writing three entries and a hold (554)."""

PURGE_KEYS: Final[Weight] = 75 * MICROSECOND
"""Deleting three entries and releasing a hold (59)."""

VEST: Final[Weight] = 300 * MICROSECOND
"""16 grants and a ring read and written (212), a freeze, a hold moved, an item for the wheel."""

EMISSION_ERA: Final[Weight] = 300 * MICROSECOND
"""Opening an era: 28 eras of burned fees read, a budget computed, a share minted (213)."""

STAKE: Final[Weight] = 300 * MICROSECOND
"""A ledger, a hold and a place in a list (60), three eras behind 16 validators settled (180)."""

VALIDATE: Final[Weight] = 350 * MICROSECOND
"""The ledger, a list and the preferences (98), three eras settled."""

NOMINATE: Final[Weight] = 360 * MICROSECOND
"""The ledger, somebody displaced and put on the wheel (110), three eras settled."""

NOMINATE_TARGET: Final[Weight] = 6 * MICROSECOND
"""Looking up a validator, and writing its name (5)."""

KICK: Final[Weight] = 80 * MICROSECOND
"""A nominator sent away that had nobody else: off the list, and on the wheel (62)."""

ERA_VALIDATOR: Final[Weight] = 150 * MICROSECOND
"""Paying a validator into its stake, and setting its nominators' part aside (121)."""

ERA_ENTRY: Final[Weight] = 6 * MICROSECOND
"""Forgetting an entry of an old era."""

SLASH_PAGE: Final[Weight] = 15_000 * MICROSECOND
"""Charging 64 nominators who lose all and leave their list: ledger, hold, wheel (11,600)."""

SLASH_BOOKING: Final[Weight] = 600 * MICROSECOND
"""Making 64 nominators liable, or no longer (430)."""

ELECTION_CANDIDATE: Final[Weight] = 30 * MICROSECOND
"""Meeting a candidate: jail, keys and stake are looked up."""

ELECTION_VOTER: Final[Weight] = 120 * MICROSECOND
"""Meeting a nominator: it is paid what it is owed, and 16 names become numbers."""

ELECTION_PAGE: Final[Weight] = 100 * MICROSECOND
"""Giving a page of 64 voters to the core."""

ELECTION_ROUND: Final[Weight] = 5_000 * MICROSECOND
"""Filling a seat with 20,000 voters of 16 names each."""

ELECTION_EXPOSURE: Final[Weight] = 500 * MICROSECOND
"""Splitting the stakes of 64 voters, and writing a page of an exposure."""

ELECTION_ASSIGNMENT: Final[Weight] = 150 * MICROSECOND
"""Writing what became of a voter's stake, behind 16 validators."""
