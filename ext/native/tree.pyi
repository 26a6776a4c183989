class Tree:
    """Accounts, the leaves of generic entries, and the tree above them; used from C only."""

    @property
    def account_total(self) -> int: ...
    @property
    def hash_count(self) -> int: ...
