"""What can go wrong between a person and the chain, each with an exit code and what to do next.

    WalletError                 1  the operation failed (also: the chain said no)
    |- WrongUse                 2  an argument or a missing answer
    |- BadContent              65  bytes, a file or an answer that is not what it claims to be
    |- NotFound                66  no such file, key, block or item
    |- NodeUnreachable         69  nobody answers at the address of the node
    |- TryAgain                75  not yet: a timeout, a full pool, a node that is still syncing
    |- Denied                  77  a wrong password or a permission
    |- BadConfiguration        78  a setting that cannot be used

The command line prints the message and the hint, one line each, and exits with the number.
"""


class WalletError(Exception):
    """The operation failed; the message is one sentence and the hint says what to do next."""

    exit_code = 1
    """The status the command line exits with (the BSD sysexits numbers where one fits)."""
    code = "failed"
    """The word that names the kind in `--json` errors; scripts may match it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class WrongUse(WalletError):
    """An argument is wrong, or an answer is missing and nobody may be asked."""

    exit_code = 2
    code = "usage"


class BadContent(WalletError):
    """Bytes, a file or an answer is not what it claims to be."""

    exit_code = 65
    code = "bad_content"


class NotFound(WalletError):
    """The file, key, block or item does not exist."""

    exit_code = 66
    code = "not_found"


class NodeUnreachable(WalletError):
    """Nobody answers at the node's address."""

    exit_code = 69
    code = "unreachable"


class TryAgain(WalletError):
    """It did not happen yet; the same command may succeed later."""

    exit_code = 75
    code = "try_again"


class Denied(WalletError):
    """A password is wrong or a file may not be read."""

    exit_code = 77
    code = "denied"


class BadConfiguration(WalletError):
    """A setting cannot be used."""

    exit_code = 78
    code = "configuration"
