"""What an audit says when something stored is not what it must be."""


class Mismatch(Exception):
    """Something stored differs from what it must be; for a state, in which module and key.

    `height` is where it lies when that is not the block under comparison.
    """

    def __init__(
        self, what: str, *, module: str = "", key: bytes = b"", height: int | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.module = module
        self.key = key
        self.height = height
