from typing import final

__pyx_capi__: dict[str, object]

@final
class Tree:
    @property
    def account_total(self) -> int: ...
    @property
    def hash_count(self) -> int: ...
