"""The words of session keys: what is registered, what was used, and why a key is refused."""

from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import OWN_PATH, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.possession import PROOF_BYTES
from runtime.primitives import GRAINS_PER_GRIST, AccountId, BlockNumber, Hash
from runtime.wire import Array, Composite, Field, Primitive, Sequence, Tuple, Wire

KEY_DEPOSIT: Final = GRAINS_PER_GRIST // 100
"""0.01 GRIST, held while keys are registered: they cost some hundred bytes of memory."""

NO_END: Final = (1 << 32) - 1
"""Until which height a key is bound that acts in a set, or whose owner equivocated."""

CONSENSUS_KIND: Final = b"cons"
"""Kind of the key that signs votes, proposals and statuses."""

VRF_KIND: Final = b"vrf "
"""Kind of the key that makes the randomness of headers."""

_KEY_MAX: Final = 32

_U8: Final = Primitive("u8")

KeyId = Annotated[
    tuple[bytes, bytes],
    Wire(
        scale.tuple_of(scale.fixed_bytes(4), scale.var_bytes(_KEY_MAX)),
        Tuple(
            (
                Composite(
                    ("sp_core", "crypto", "KeyTypeId"), (Field(None, Array(_U8, 4), "[u8; 4]"),)
                ),
                Sequence(_U8),
            )
        ),
        "(KeyTypeId, Vec<u8>)",
    ),
]
"""A session key as Substrate names it: kind, four bytes, and key, 32 bytes."""

ProofBytes = Annotated[bytes, Wire(scale.var_bytes(2 * PROOF_BYTES), Sequence(_U8), "Vec<u8>")]
"""A proof of possession in a call; only one of 144 bytes can be right."""


class SessionKeys(Record, path=(OWN_PATH, "opaque", "SessionKeys")):
    """The keys that a validator acts with: one signs, the other makes randomness."""

    consensus: Hash
    vrf: Hash

    def ids(self) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """Give both keys with their kinds."""
        return (CONSENSUS_KIND, self.consensus), (VRF_KIND, self.vrf)


class OldKey(Record):
    """A key that acts or acted in a set: whose it is, and the height from which it is free."""

    account: AccountId
    until: BlockNumber


class KeysSet(Event, index=17):
    """An account registered session keys; they act from the next epoch or election on."""

    account: AccountId
    keys: SessionKeys


class KeysPurged(Event, index=18):
    """An account took its session keys back; it is not elected without any."""

    account: AccountId


class InvalidProof(CallError, index=0):
    """Signature or VRF proof do not belong to keys, account and chain; make the proof again."""


class DuplicatedKey(CallError, index=2):
    """A key is somebody else's, was so lately, or is in another use; make new keys."""


class NoKeys(CallError, index=3):
    """The account has registered no session keys; register some with set_keys."""


class KeysBarred(CallError, index=64):
    """The account equivocated and never validates again; use another account."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of this file."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
