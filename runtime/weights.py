"""Weights of calls and steps, in picoseconds on the reference machine.

Measured, not guessed: through the Python modules on the native store with the worst inputs (new
accounts, dying accounts), the share of the state root included, least of seven repeats; scaled to a
core on which libsodium verifies a signature in 53.5 microseconds; and a quarter added. What runs
natively costs a tenth of it; a node on the slow core of the others must still keep up.
"""

from typing import Final

from runtime.primitives import Weight

MICROSECOND: Final = 1_000_000
"""Picoseconds in a microsecond."""

EXTRINSIC_BASE: Final[Weight] = 75 * MICROSECOND
"""Signature (53.5), decoding, fee, nonce and receipt (6): what any transaction costs."""

BLOCK_BASE: Final[Weight] = 260 * MICROSECOND
"""Hooks of an empty block, and its root (205)."""

TRANSFER: Final[Weight] = 15 * MICROSECOND
"""The sender dies, its dust is moved, the receiver is new (12.0); between the living 3.2."""

BURN: Final[Weight] = 18 * MICROSECOND
"""The burner dies, and three running totals change (14.0)."""

REMARK: Final[Weight] = 2 * MICROSECOND
"""Nothing but the call (0.9)."""

REMARK_WITH_EVENT: Final[Weight] = 4 * MICROSECOND
"""The call and its event (2.7), the hash aside."""

REMARK_PER_BYTE: Final[Weight] = 1_500
"""Hashing a byte of a remark for its event (1.1 nanoseconds)."""

BATCH: Final[Weight] = 3 * MICROSECOND
"""The frame of a batch (2.0), the calls in it aside."""

BATCH_ITEM: Final[Weight] = 2 * MICROSECOND
"""Checkpoint and event around a call of a batch (1.0)."""

INHERENT: Final[Weight] = 32 * MICROSECOND
"""Reading and comparing an inherent, counting the author, the receipt (25)."""

COMMIT_FLAG: Final[Weight] = 6 * MICROSECOND
"""Counting a validator that did not sign: a map entry read and written (4)."""

OFFENCE: Final[Weight] = 20 * MICROSECOND
"""Checking and recording an offence (15.4)."""

DEADLINE_ITEM: Final[Weight] = 8 * MICROSECOND
"""Taking an item off the wheel (6.2); its work is prepaid by who put it there."""
