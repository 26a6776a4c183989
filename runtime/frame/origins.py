"""Who calls: the type of a call's first argument is the permission that the call demands."""

from runtime.primitives import AccountId


class Signed:
    """An account that signed the transaction and pays for it."""

    __slots__ = ("who",)

    def __init__(self, who: AccountId) -> None:
        self.who = who


class Root:
    """The chain itself, by a vote or an upgrade; no transaction has this origin."""

    __slots__ = ()


class Inherent:
    """The proposer of a block, in an unsigned extrinsic that every validator checks."""

    __slots__ = ()


Origin = Signed | Root | Inherent
"""Any origin."""

ROOT = Root()
"""The one instance; origins without content need no second."""

INHERENT = Inherent()
"""The one instance."""
