from typing import final

@final
class Tree:
    @property
    def account_total(self) -> int: ...
    @property
    def hash_count(self) -> int: ...
