"""How large each part of a message may be; every number has its reason beside it."""

PROTOCOL_VERSION = 1
"""The version of every message here; a peer that speaks another is refused at the handshake."""

PEER_ID_LENGTH_MAX = 128
"""Characters of a peer's name; those of ed25519 keys have 52."""

BLOCK_BYTES_MAX = 2 * 1024 * 1024
"""The largest block (network design)."""

DECISION_BYTES_MAX = BLOCK_BYTES_MAX + 32 * 1024
"""A block with its commit and polka (consensus.types)."""

INLINE_BLOCK_BYTES_MAX = 512 * 1024
"""A proposal carries its block up to this; a larger one is pushed apart and served on request."""

HEADER_BYTES_MAX = 2048
"""No header is longer (consensus.header)."""

PROPOSAL_BYTES_MAX = 160
"""A signed proposal is 117 bytes."""

VOTE_BYTES_MAX = 160
"""A signed vote is 118 bytes."""

COMMIT_BYTES_MAX = 8192
"""A commit of 100 validators is 6.5 kB."""

CERTIFICATE_BYTES_MAX = 16_384
"""A certificate of 100 votes is 12 kB."""

VALIDATOR_SET_BYTES_MAX = 16_384
"""A set of 100 validators is 10.4 kB."""

EVIDENCE_BYTES_MAX = 65_536
"""What evidence a block may hold in all; one item is smaller."""

VOTES_MAX = 256
"""Votes in one message."""

TRANSACTIONS_MAX = 1024
"""Transactions in one batch."""

TRANSACTION_BYTES_MAX = 128 * 1024
"""The largest transaction that travels."""

HEADERS_MAX = 256
"""Headers in one page: the window of block sync."""

PAGE_BYTES_MAX = 1024 * 1024
"""What a page of blocks is filled up to; one block more may stand over (network design)."""

BLOCKS_MAX = 256
"""Blocks in one page."""

ADDRESSES_MAX = 32
"""Addresses in one answer of the peer exchange."""

ADDRESS_CHARACTERS_MAX = 256
"""A multiaddr with a peer id is about 90."""

STEPS_MAX = 2
"""The steps of a round: 0 propose, 1 prevote, 2 precommit."""

ROUNDS_MAX = 8
"""Rounds that a consensus status describes: the current one, its neighbours and the polka's."""

BITMAP_BYTES_MAX = 13
"""One bit a validator, 100 of them."""
