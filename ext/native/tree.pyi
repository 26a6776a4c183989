from typing import Self, final

__pyx_capi__: dict[str, object]

@final
class Tree:
    @property
    def account_total(self) -> int: ...
    @property
    def hash_count(self) -> int: ...

@final
class Builder:
    def __new__(cls, tree: Tree) -> Self: ...
