"""Weights of calls and steps, in picoseconds on the reference machine.

Measured by `bench/weights.py` through the Python modules on the native store, worst-case inputs,
median of the repeats, doubled: a call may never take more than twice its weight.
"""

from typing import Final

from runtime.primitives import Weight

MICROSECOND: Final = 1_000_000
"""Picoseconds in a microsecond."""

SECOND: Final = 1_000_000 * MICROSECOND
"""Picoseconds in a second."""

EXTRINSIC_BASE: Final[Weight] = 65 * MICROSECOND
"""Signature check, decoding, fee, nonce, events: what any transaction costs."""

BLOCK_BASE: Final[Weight] = 500 * MICROSECOND
"""Hooks of an empty block, its inherents and its root."""

TRANSFER: Final[Weight] = 8 * MICROSECOND
"""Two accounts read and written, both hashed into the root; the second may be new."""

BURN: Final[Weight] = 8 * MICROSECOND
"""One account and two running totals."""

REMARK: Final[Weight] = 1 * MICROSECOND
"""Nothing but the call."""

REMARK_PER_BYTE: Final[Weight] = 2_000
"""Hashing a remark for its event."""

BATCH: Final[Weight] = 2 * MICROSECOND
"""The frame of a batch, the calls in it aside."""

BATCH_ITEM: Final[Weight] = 3 * MICROSECOND
"""Checkpoint and event around each call of a batch."""

INHERENT: Final[Weight] = 20 * MICROSECOND
"""Reading and comparing an inherent."""

OFFENCE: Final[Weight] = 30 * MICROSECOND
"""Recording one offence."""

DEADLINE_ITEM: Final[Weight] = 15 * MICROSECOND
"""Taking one item off the wheel; its work is prepaid by who put it there."""
