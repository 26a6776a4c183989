"""`gristmill key`: make, keep and use keys; nothing here needs a node."""

import sys
import time
from pathlib import Path
from typing import Final

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.passwords import password_options
from chain.cli.session import Passwords, Session, refuse_secret
from chain.wallet.derivation import (
    DEV_PHRASE,
    KeyPair,
    derive,
    is_dev_uri,
    make_phrase,
)
from chain.wallet.errors import BadContent, NotFound, WalletError, WrongUse
from chain.wallet.keyring import Party, read_keystore_file, write_private_file
from chain.wallet.keystore import (
    COST_LEGACY,
    COST_STRONG,
    FILE_LENGTH_MAX,
    Keystore,
    open_keystore,
    parse_keystore,
    seal_keystore,
)

_COSTS: Final = {"strong": COST_STRONG, "legacy": COST_LEGACY}
"""The words of --kdf."""

kdf_option = click.option(
    "--kdf",
    type=click.Choice(list(_COSTS)),
    default="strong",
    show_default=True,
    help="How hard to stretch the password; legacy is for older wallets.",
)
show_secret_option = click.option(
    "--show-secret", is_flag=True, help="Show the secret phrase or seed; only on a terminal."
)

key = LazyGroup(
    "key",
    places={
        "new": Place("chain.cli.key:new", "Make a new key."),
        "import": Place("chain.cli.key:import_", "Take in a key file, a phrase or a seed."),
        "export": Place("chain.cli.key:export", "Write a key file for another wallet."),
        "list": Place("chain.cli.key:list_", "List your keys."),
        "show": Place("chain.cli.key:show", "Show one account: address and public key."),
        "sign": Place("chain.cli.signing:sign", "Sign a message."),
        "verify": Place("chain.cli.signing:verify", "Check the signature of a message."),
        "multisig": Place("chain.cli.signing:multisig", "Compute the address of several keys."),
    },
    help="Make, keep and use keys.",
)


@click.command(cls=Command, has_keys=True)
@click.argument("name")
@click.option("--words", type=click.Choice(["12", "15", "18", "21", "24"]), default="12")
@kdf_option
@show_secret_option
@password_options
@click.pass_obj
def new(
    session: Session,
    name: str,
    words: str,
    kdf: str,
    show_secret: bool,  # noqa: FBT001 - click passes options by keyword
    password_file: str | None,
    password_stdin: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Make a new key called NAME and keep it encrypted."""
    _check_may_show(session, wanted=show_secret)
    if session.keyring.has(name):
        raise WrongUse(f"there is a key named {name!r} already", "choose another name")
    phrase = make_phrase(int(words))
    password = _new_password(session, password_file, from_stdin=password_stdin)
    path = _keep(session, name, derive(phrase), password, kdf=kdf)
    if show_secret:
        click.echo(f"phrase: {phrase}", err=True)
    else:
        session.console.note(
            f"The key is in {path}. Copy that file to a safe place: without it and its password "
            "the account is lost."
        )


@click.command("import", cls=Command, has_keys=True)
@click.argument("name")
@click.argument("source", required=False)
@kdf_option
@password_options
@click.pass_obj
def import_(
    session: Session,
    name: str,
    source: str | None,
    kdf: str,
    password_file: str | None,
    password_stdin: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Take in a key as NAME.

    SOURCE is a key file of polkadot-js, `-` to read a key file, phrase or seed from stdin, or a
    development path like //Alice. Without SOURCE the phrase or seed is asked for.
    """
    if session.keyring.has(name):
        raise WrongUse(f"there is a key named {name!r} already", "choose another name")
    if source == "-" and password_stdin:
        raise WrongUse("stdin cannot be both the key and its password", "use --password-file")
    found = _read_source(session, source)
    if isinstance(found, Keystore):
        passwords = Passwords(session, password_file, from_stdin=password_stdin)
        password = passwords.read("Password of the key file")
        pair = open_keystore(found, password)
    else:
        pair = derive(found)
        password = _new_password(session, password_file, from_stdin=password_stdin)
    _keep(session, name, pair, password, kdf=kdf)


@click.command(cls=Command, has_keys=True)
@click.argument("name")
@click.option("--out", metavar="FILE", help="Write to a new file of mode 0600, not to stdout.")
@click.option("--kdf", type=click.Choice(list(_COSTS)), help="Encrypt again, for older wallets.")
@show_secret_option
@password_options
@click.pass_obj
def export(
    session: Session,
    name: str,
    out: str | None,
    kdf: str | None,
    show_secret: bool,  # noqa: FBT001 - click passes options by keyword
    password_file: str | None,
    password_stdin: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Write the key file of NAME in the format of polkadot-js, still encrypted."""
    _check_may_show(session, wanted=show_secret)
    keystore = session.keyring.load(name)
    content = (session.keyring.directory / f"{name}.json").read_bytes()
    if kdf is not None or show_secret:
        passwords = Passwords(session, password_file, from_stdin=password_stdin)
        password = passwords.read(f"Password of {name}")
        pair = open_keystore(keystore, password)
        if show_secret:
            click.echo(f"seed: 0x{pair.seed.hex()}", err=True)
        if kdf is not None:
            content = _seal(pair, password, name, kdf)
    if out is not None:
        write_private_file(Path(out), content, replace=False)
    document = parse_keystore(content).document if out is None else None
    fields = {"name": name, "address": keystore.address, "file": out, "keystore": document}
    text = f"Wrote {out}." if out is not None else content.decode().rstrip("\n")
    session.console.answer("key.export/1", fields, [text])


@click.command("list", cls=Command, has_keys=True)
@click.pass_obj
def list_(session: Session) -> None:
    """List your keys with their addresses."""
    keys = []
    rows = []
    for name, found in session.keyring.all():
        if isinstance(found, WalletError):
            keys.append({"name": name, "address": None, "error": found.message})
            rows.append((name, found.message))
        else:
            keys.append({"name": name, "address": found.address, "error": None})
            rows.append((name, found.address))
    console = session.console
    if not keys:
        console.note("You have no keys yet; gristmill key new NAME makes one.")
    directory = str(session.keyring.directory)
    lines = console.table(("name", "address"), rows) if rows else []
    console.answer("key.list/1", {"keys": keys, "directory": directory}, lines)


@click.command(cls=Command, has_keys=True)
@click.argument("who")
@click.pass_obj
def show(session: Session, who: str) -> None:
    """Show the address and the public key of WHO: a key's name, an address or //Alice."""
    party = session.party(who)
    fields = {
        "name": party.label,
        "address": party.address,
        "public_key": "0x" + party.public.hex(),
        "is_development": party.dev_uri is not None,
        "has_key_file": _has_file(session, party),
    }
    session.console.answer(
        "key.show/1",
        fields,
        pairs(
            [
                ("name", party.label),
                ("address", party.address),
                ("public key", fields["public_key"]),
            ]
        ),
    )


def _has_file(session: Session, party: Party) -> bool:
    return any(
        isinstance(found, Keystore) and found.public == party.public
        for _, found in session.keyring.all()
    )


def _keep(session: Session, name: str, pair: KeyPair, password: str, *, kdf: str) -> Path:
    path = session.keyring.save(name, _seal(pair, password, name, kdf))
    party = Party(name, pair.public)
    fields = {
        "name": name,
        "address": party.address,
        "public_key": "0x" + pair.public.hex(),
        "file": str(path),
    }
    lines = pairs([("name", name), ("address", party.address)])
    session.console.answer("key.new/1", fields, lines)
    return path


def _seal(pair: KeyPair, password: str, name: str, kdf: str) -> bytes:
    when_ms = time.time_ns() // 1_000_000
    return seal_keystore(pair, password, name=name, when_ms=when_ms, cost=_COSTS[kdf])


def _new_password(session: Session, file: str | None, *, from_stdin: bool) -> str:
    return Passwords(session, file, from_stdin=from_stdin).read("New password", is_new=True)


def _check_may_show(session: Session, *, wanted: bool) -> None:
    if wanted and not (session.console.may_ask and sys.stdout.isatty()):
        raise WrongUse(
            "a secret is only shown on a terminal", "run the command yourself, without a pipe"
        )


def _read_source(session: Session, source: str | None) -> Keystore | str:
    if source is None:
        if not session.console.may_ask:
            raise WrongUse("nobody can be asked for the phrase", "give - and pipe it in")
        return str(click.prompt("Phrase or 0x seed", hide_input=True, err=True)).strip()
    if is_dev_uri(source):
        refuse_secret(source)
        return DEV_PHRASE + source
    if source != "-":
        refuse_secret(source)
        if source.startswith("0x"):
            raise WrongUse("a secret does not belong on the command line", "pipe it in and give -")
        return read_keystore_file(Path(source))
    content = sys.stdin.buffer.read(FILE_LENGTH_MAX + 1)
    if content.lstrip().startswith(b"{"):
        return parse_keystore(content)
    return _secret_text(content)


def _secret_text(content: bytes) -> str:
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise BadContent("what came from stdin is neither a key file nor text") from None
    if not text:
        raise NotFound("nothing came from stdin", "pipe in a phrase, a seed or a key file")
    return text


__all__ = ["export", "import_", "key", "list_", "new", "show"]
