"""What an audit says when something stored is not what it must be."""


class Mismatch(Exception):
    """Something stored differs from what it must be; for a state, in which module and key."""

    def __init__(self, what: str, *, module: str = "", key: bytes = b"") -> None:
        super().__init__(what)
        self.what = what
        self.module = module
        self.key = key
