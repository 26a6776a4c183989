"""Errors of the runtime, by who is to blame.

CallError            the signer      writes undone, fee kept, number in the receipt
InvalidTransaction   the sender      never enters a block
InvalidBlock         the proposer    block refused
SpecError            the operator    a chain spec that cannot be used; names key and remedy
LedgerFault          a module of ours  the step is rolled back, the module's outflows freeze
DeclarationError     a programmer    raised while the runtime is imported
"""

from enum import IntEnum
from typing import ClassVar, Final


class DispatchFault(IntEnum):
    """Failures that belong to no module, by Substrate's number in DispatchError."""

    OTHER = 0
    CANNOT_LOOKUP = 1
    BAD_ORIGIN = 2
    MODULE = 3
    EXHAUSTED = 10
    CORRUPTION = 11


class DeclarationError(TypeError):
    """A module, call, event or error is declared wrongly; the sentence says where."""


class CallError(Exception):
    """A call cannot be done; the docstring of the subclass tells the signer what to do next.

    Subclasses are declared with `index=`, their number on the wire within the module.
    """

    index: ClassVar[int]
    module_index: ClassVar[int]
    encoded: ClassVar[bytes]
    """The SCALE DispatchError of the receipt; set when the module is declared."""

    def __init_subclass__(cls, *, index: int, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if not 0 <= index <= 255:
            raise DeclarationError(f"{cls.__name__}: the index of an error is one byte")
        if not cls.__doc__:
            raise DeclarationError(f"{cls.__name__}: an error's docstring says what to do next")
        cls.index = index
        ERRORS_BY_FILE.setdefault(cls.__module__, []).append(cls)


ERRORS_BY_FILE: Final[dict[str, list[type[CallError]]]] = {}
"""Errors in order of declaration by the Python file that holds them; modules claim theirs."""


class BadOrigin(Exception):
    """The origin of a call is not the one that the call demands."""

    encoded: ClassVar[bytes] = bytes((DispatchFault.BAD_ORIGIN,))


class LedgerFault(Exception):
    """A step changed money by something else than its postings; `difference` is in grains."""

    encoded: ClassVar[bytes] = bytes((DispatchFault.CORRUPTION,))

    def __init__(self, module_index: int, difference: int) -> None:
        super().__init__(f"module {module_index} moved {difference} grains without a posting")
        self.module_index = module_index
        self.difference = difference


class Reason(IntEnum):
    """Why a transaction cannot be in a block, by Substrate's number."""

    CALL = 0
    PAYMENT = 1
    FUTURE = 2
    STALE = 3
    BAD_PROOF = 4
    ANCIENT_BIRTH_BLOCK = 5
    EXHAUSTS_RESOURCES = 6
    CUSTOM = 7
    BAD_MANDATORY = 8
    MANDATORY_VALIDATION = 9
    BAD_SIGNER = 10


class InvalidTransaction(Exception):
    """A transaction that may not enter a block; `reason` is for programs, the text for people."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class InvalidBlock(Exception):
    """A block that breaks a rule; the sentence names the rule."""


class SpecError(ValueError):
    """A chain spec that cannot be used: `key` is where, `remedy` what to write instead."""

    def __init__(self, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{key}: {problem}; {remedy}")
        self.key = key
        self.problem = problem
        self.remedy = remedy


CONTAINED: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""Bugs of a module that a step survives: it is rolled back and the chain goes on.

Running out of memory or stack is not among them: that depends on the machine, so the node stops.
"""
