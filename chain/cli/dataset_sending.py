"""What the commands share that hold the data of a dataset: where it lies, and how calls are sent.

What is sent is followed until it is final before anything else is made of it, so that a run that is
cut short leaves nothing half known: the same command goes on where the chain is.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.governance import refusal
from chain.cli.online import NodeSession
from chain.cli.sending import wait_for
from chain.cli.session import Passwords
from chain.market.cases import Finder, find_to_show
from chain.market.content import DataDirectory
from chain.market.view import ChainReader
from chain.wallet.chain_client import to_hex
from chain.wallet.derivation import KeyPair
from chain.wallet.dry_run import NONCE_AHEAD
from chain.wallet.errors import WalletError
from chain.wallet.extrinsic import sign_draft
from chain.wallet.follow import POLL_S, Inclusion
from runtime.market.datasets.nouns import PIECE_MAX, MatchedLeaf, OpenedLeaf

Piece = OpenedLeaf | MatchedLeaf
"""A leaf with its place in a case."""

CASE_RACES: Final = ("Datasets.AlreadyShown", "Datasets.UnknownCase")
"""Refusals of a piece that somebody else gave, or whose case ended with the piece before it."""

data_option = click.option(
    "--data", "directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Directory of data; by default `data` in your home of Gristmill.",
)  # fmt: skip
from_option = click.option(
    "--from", "signer", metavar="WHO", help="Who signs: a key's name or //Alice."
)


def open_directory(session: NodeSession, given: Path | None) -> DataDirectory:
    """Return the directory of data that was named, or the one in the user's home."""
    return DataDirectory(given or Path(session.settings["home"]).expanduser() / "data")


class Sender:
    """Signs with one key, asked for once, and follows each transaction to its end."""

    def __init__(self, session: NodeSession, options: dict[str, Any]) -> None:
        self.session = session
        self.party = session.signer(options["signer"])
        passwords = Passwords(
            session, options["password_file"], from_stdin=options["password_stdin"]
        )
        is_dev = session.chain.identity.is_dev
        self.pair: KeyPair = session.unlock(self.party, passwords, is_dev_chain=is_dev)

    def send(self, path: str, args: dict[str, Any]) -> Inclusion:
        """Return where a call came to rest; WalletError says why it was not sent, or undone."""
        return self.send_all(path, [args])[0]

    def send_all(self, path: str, calls: Sequence[dict[str, Any]]) -> list[Inclusion]:
        """Send calls behind each other at once, and return where each came to rest.

        The node tries the first before anything is sent. WalletError says why it was not sent, or
        which of them was undone.
        """
        session, chain = self.session, self.session.chain
        encoded = [session.encoder.encode_call(path, args) for args in calls]
        first = chain.draft(encoded[0], self.party.public)
        drafts = [
            replace(first, call=call, nonce=first.nonce + place)
            for place, call in enumerate(encoded)
        ]
        signed = [sign_draft(draft, self.pair) for draft in drafts]
        outcome = chain.dry_run(signed[0])
        if outcome.error not in (None, NONCE_AHEAD):
            raise refusal(session, outcome.error, self.party.address, None, None)
        height, _ = chain.finalized()
        hashes = [chain.submit(extrinsic) for extrinsic in signed]
        death = first.era.death(height)
        return [self._follow(path, one, height + 1, death) for one in hashes]

    def _follow(self, path: str, extrinsic_hash: bytes, start: int, death: int | None) -> Inclusion:
        inclusion = wait_for(self.session, extrinsic_hash, start, death)
        if inclusion.error is not None:
            raise WalletError(f"{path} failed: {inclusion.error[0]}", inclusion.error[1])
        self.session.console.note(f"{path} is in block {inclusion.height}")
        return inclusion


def show_leaves(sender: Sender, reader: ChainReader, number: int, leaves: Sequence[bytes]) -> int:
    """Show all drawn leaves of a case that were not shown yet; return how many that were."""

    def find() -> Sequence[Piece]:
        return find_to_show(reader.look().market.datasets, number, leaves)

    return _send_pieces(sender, "Datasets.open_leaves", number, find)


def match_leaves(sender: Sender, reader: ChainReader, number: int, finder: Finder) -> int:
    """Match shown leaves of a case that stand in the earlier data, as many as a copy must have.

    Returns how many.
    """

    def find() -> Sequence[Piece]:
        return finder.find_to_match(reader.look().market.datasets, number)

    return _send_pieces(sender, "Datasets.match", number, find)


def _send_pieces(
    sender: Sender, path: str, number: int, find: Callable[[], Sequence[Piece]]
) -> int:
    """Send what there is to send, piece by piece, until there is nothing; return how much it was.

    A piece that somebody else gave meanwhile is no reason to stop.
    """
    sent = 0
    while pieces := find():
        calls = [
            {"case": number, "pieces": [_fields(one) for one in pieces[start : start + PIECE_MAX]]}
            for start in range(0, len(pieces), PIECE_MAX)
        ]
        try:
            sender.send_all(path, calls)
        except WalletError as error:
            if not any(name in error.message for name in CASE_RACES):
                raise
            time.sleep(POLL_S)
            continue
        sent += len(pieces)
    return sent


def _fields(piece: Piece) -> dict[str, Any]:
    """Return a piece as the chain's metadata encodes it."""
    fields = {
        "place": piece.place,
        "leaf": to_hex(piece.leaf),
        "path": [to_hex(node) for node in piece.path],
    }
    return fields if isinstance(piece, OpenedLeaf) else {**fields, "index": piece.index}
