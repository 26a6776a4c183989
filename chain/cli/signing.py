"""`gristmill key sign|verify|multisig`: what keys are for besides transactions."""

import sys
from pathlib import Path
from typing import Final

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.passwords import password_options
from chain.cli.session import Passwords, Session
from chain.wallet.errors import NotFound, WalletError, WrongUse
from chain.wallet.messages import MESSAGE_LENGTH_MAX, sign_message, verify_message
from chain.wallet.multisig import compute_multisig
from chain.wallet.ss58 import encode_address

_SIGNATURE_DIGITS: Final = 128
"""Hex digits of a 64-byte signature."""

message_options = (
    click.option("--hex", "is_hex", is_flag=True, help="The message is 0x and hex digits."),
    click.option("--file", "file", metavar="FILE", help="Read the message from a file."),
)


@click.command(cls=Command, has_keys=True)
@click.argument("message", required=False)
@click.option("--from", "signer", metavar="WHO", help="The key that signs: a name or //Alice.")
@message_options[0]
@message_options[1]
@password_options
@click.pass_obj
def sign(
    session: Session,
    message: str | None,
    signer: str | None,
    is_hex: bool,  # noqa: FBT001 - click passes options by keyword
    file: str | None,
    password_file: str | None,
    password_stdin: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Sign MESSAGE (`-` reads stdin) in the wrapper that no transaction can have."""
    party = session.signer(signer)
    if message == "-" and password_stdin:
        raise WrongUse("stdin cannot be both message and password", "use --password-file")
    content = _read_message(message, file, is_hex=is_hex)
    passwords = Passwords(session, password_file, from_stdin=password_stdin)
    pair = session.unlock(party, passwords, is_dev_chain=True)
    signature = "0x" + sign_message(pair, content).hex()
    fields = {"address": party.address, "signature": signature}
    session.console.answer("key.sign/1", fields, [signature])


@click.command(cls=Command, has_keys=True)
@click.argument("who")
@click.argument("signature")
@click.argument("message", required=False)
@message_options[0]
@message_options[1]
@click.pass_obj
def verify(
    session: Session,
    who: str,
    signature: str,
    message: str | None,
    is_hex: bool,  # noqa: FBT001 - click passes options by keyword
    file: str | None,
) -> None:
    """Check that SIGNATURE is WHO's over MESSAGE; exit 1 if it is not."""
    party = session.party(who)
    content = _read_message(message, file, is_hex=is_hex)
    try:
        raw = bytes.fromhex(signature.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) * 2 != _SIGNATURE_DIGITS:
        raise WrongUse("a signature is 0x and 128 hex digits")
    if not verify_message(party.public, content, raw):
        raise WalletError(f"the signature is not {party.label}'s over this message")
    fields = {"address": party.address, "valid": True}
    session.console.answer("key.verify/1", fields, [f"valid: signed by {party.address}"])


@click.command(cls=Command, has_keys=True)
@click.argument("who", nargs=-1, required=True)
@click.option("--threshold", type=int, required=True, help="How many of the keys must agree.")
@click.pass_obj
def multisig(session: Session, who: tuple[str, ...], threshold: int) -> None:
    """Compute the address that THRESHOLD of the keys WHO hold together."""
    members = [session.party(one) for one in who]
    public = compute_multisig([member.public for member in members], threshold)
    address = encode_address(public)
    fields = {
        "address": address,
        "public_key": "0x" + public.hex(),
        "threshold": threshold,
        "signatories": sorted(member.address for member in members),
    }
    lines = pairs([("address", address), ("threshold", f"{threshold} of {len(members)}")])
    session.console.answer("key.multisig/1", fields, lines)


def _read_message(message: str | None, file: str | None, *, is_hex: bool) -> bytes:
    if (message is None) == (file is None):
        raise WrongUse("give a message or --file, and only one of them")
    if file is not None:
        try:
            with Path(file).open("rb") as source:
                content = source.read(MESSAGE_LENGTH_MAX + 1)
        except OSError as error:
            raise NotFound(f"{file!r} cannot be read: {error.strerror}") from None
    elif message == "-":
        content = sys.stdin.buffer.read(MESSAGE_LENGTH_MAX + 1)
    else:
        content = str(message).encode()
    if not is_hex:
        return content
    try:
        return bytes.fromhex(content.decode().strip().removeprefix("0x"))
    except ValueError:
        raise WrongUse("the message is not hexadecimal") from None
