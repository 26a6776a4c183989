"""What a command works with: the console, the settings, the node, the keys and the passwords."""

import sys
from functools import cached_property
from pathlib import Path
from typing import Final

import click

from chain.cli.console import Console
from chain.cli.settings import Settings
from chain.wallet.accounts import DEV_NAMES, dev_account
from chain.wallet.derivation import KeyPair, derive
from chain.wallet.errors import Denied, NotFound, WrongUse
from chain.wallet.keyring import Keyring, Party
from chain.wallet.keystore import PASSWORD_LENGTH_MAX, open_keystore

_NOBODY_HINT: Final = "give --password-file, GRISTMILL_PASSWORD_FILE or --password-stdin"


class Session:
    """One run of one command."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self.console = console
        self.settings = settings

    @cached_property
    def keyring(self) -> Keyring:
        """The user's key files."""
        return Keyring(Path(self.settings["home"]).expanduser() / "keys")

    def close(self) -> None:
        """Close what was opened; a session without a node opened nothing."""

    def party(self, text: str) -> Party:
        """Return the account that a name, an address or //Alice stands for; never a secret."""
        refuse_secret(text)
        return self.keyring.find_party(text)

    def resolve(self, text: str) -> bytes:
        """Return the 32-byte public key of a party."""
        return self.party(text).public

    def signer(self, text: str | None) -> Party:
        """Return the party that signs: --from, or the account of the settings."""
        name = text or self.settings["account"]
        if not name:
            raise WrongUse("nobody is named to sign", "give --from, or set GRISTMILL_ACCOUNT")
        return self.party(name)

    def unlock(self, party: Party, passwords: "Passwords", *, is_dev_chain: bool) -> KeyPair:
        """Return the key pair of a party; development keys only where `is_dev_chain`."""
        if party.dev_uri is not None:
            return self._derive_dev(party.dev_uri, is_dev_chain=is_dev_chain)
        for name, keystore in self.keyring.all():
            if isinstance(keystore, Exception) or keystore.public != party.public:
                continue
            if keystore.is_weak:
                self.console.warn(
                    f"the key file {name} stretches its password less than today's; "
                    f"gristmill key import rewrites it"
                )
            return open_keystore(keystore, passwords.read(f"Password of {name}"))
        for name in DEV_NAMES:
            if dev_account(name).public == party.public:
                return self._derive_dev(f"//{name}", is_dev_chain=is_dev_chain)
        raise NotFound(
            f"there is no key file for {party.label}",
            "only its owner can sign: gristmill key list shows your keys",
        )

    def _derive_dev(self, uri: str, *, is_dev_chain: bool) -> KeyPair:
        if not is_dev_chain:
            raise Denied(
                f"{uri} is a published key and this is not a development chain",
                "sign with a key of your own: gristmill key new",
            )
        return derive(uri)


class Passwords:
    """Where a password comes from: a flag's file, stdin, the settings' file, or a question."""

    def __init__(self, session: Session, file: str | None, *, from_stdin: bool) -> None:
        self.session = session
        self.from_stdin = from_stdin
        self.file = file or ("" if from_stdin else session.settings["password_file"])
        if file and from_stdin:
            raise WrongUse("a password comes from a file or from stdin, not from both")

    def read(self, question: str, *, is_new: bool = False) -> str:
        """Return the password; ask twice for a new one. WrongUse where nobody can answer."""
        if self.from_stdin:
            password = _first_line(sys.stdin.readline(PASSWORD_LENGTH_MAX + 2))
        elif self.file:
            password = self._from_file(Path(self.file))
        elif self.session.console.may_ask:
            password = click.prompt(
                question,
                hide_input=True,
                confirmation_prompt=is_new,
                err=True,
                default="",
                show_default=False,
            )
        else:
            raise WrongUse("a password is needed and nobody can be asked", _NOBODY_HINT)
        if is_new and not password:
            raise WrongUse("an empty password protects nothing", "choose another")
        return password

    def _from_file(self, path: Path) -> str:
        try:
            with path.open(encoding="utf-8") as file:
                return _first_line(file.readline(PASSWORD_LENGTH_MAX + 2))
        except FileNotFoundError:
            raise NotFound(f"the password file {str(path)!r} does not exist") from None
        except (OSError, UnicodeDecodeError):
            raise Denied(f"the password file {str(path)!r} cannot be read") from None


def refuse_secret(text: str) -> None:
    """Raise WrongUse for what looks like a phrase or a ///password on the command line."""
    if len(text.split()) >= 12 or "///" in text or (text.startswith("0x") and "//" in text):
        raise WrongUse(
            "a secret does not belong on the command line, where others can read it",
            "gristmill key import NAME - reads it from stdin, gristmill key import NAME asks",
        )


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].rstrip("\r")
