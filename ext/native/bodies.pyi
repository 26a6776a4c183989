from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, final

PAYLOAD_LENGTH_MAX: int
CORES: int

class SigningTerms(NamedTuple):
    height: int
    suffix: bytes
    find_anchor: Callable[[int], bytes | None]

@final
class Payloads: ...

@final
class Verification:
    def work(self) -> None: ...

def find_pool() -> ThreadPoolExecutor: ...
def forget_pool() -> None: ...
def signature_items(
    extrinsics: Sequence[bytes], terms: SigningTerms
) -> list[tuple[bytes, bytes, bytes]] | None: ...
def verify_block(extrinsics: Sequence[bytes], terms: SigningTerms) -> bool: ...
