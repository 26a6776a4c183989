"""`gristmill dataset add` and `prove`: what needs the data itself, and more than one transaction.

    file -> leaves -> data directory -> commit -> ten blocks -> reveal -> first challenge -> answer

A run that was cut short is taken up where it was: the salt is computed from the key and the root,
so the same command finds its own commit, or its dataset, on the chain.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.agents import open_door, serve_option
from chain.cli.console import pairs
from chain.cli.dataset import find_dataset
from chain.cli.dataset_sending import (
    Sender,
    data_option,
    from_option,
    open_directory,
    show_leaves,
)
from chain.cli.governance import ask_dict
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.passwords import password_options
from chain.cli.staking import parse_share
from chain.market.content import DATA_BYTES_MAX
from chain.market.door import Desk
from chain.market.rows import BadRows, make_leaves, read_csv, read_idx
from chain.market.view import ChainReader
from chain.wallet.amounts import parse_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import (
    BadContent,
    NodeUnreachable,
    NotFound,
    TryAgain,
    WalletError,
    WrongUse,
)
from chain.wallet.follow import POLL_S
from ext import hashing
from runtime.market.datasets.nouns import OPENINGS, REVEAL_MAX, REVEAL_MIN
from runtime.market.datasets.registry import commitment_of
from runtime.market.trees import DATA_LEAF_BYTES, split_leaves
from runtime.primitives import AccountId

WAIT_BLOCKS_MAX: Final = 20_000
"""Blocks after which waiting for a challenge gives up: far more than two epochs of any chain."""

SALT_TAG: Final = b"gm-salt"
"""What the salt of a commit is hashed from first."""

LOST_RACES: Final = ("Datasets.AlreadyAnswered", "Datasets.NoChallenge")
"""Refusals of an answer that somebody else gave, or that came a block too late."""

ENDED: Final = ("Revoked", "Delisted", "Duplicate")
"""States in which nothing is asked any more."""

GZIP: Final = b"\x1f\x8b"
"""What a compressed file begins with: pictures are often offered so."""

FORMATS: Final = ("raw", "csv", "idx")
"""What a file may be: bytes as they are, or rows of numbers in either of two forms."""

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.command(cls=NodeCommand)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--price", metavar="GRIST", default="0", show_default=True, help="For each use.")
@click.option("--bond", metavar="GRIST", default="500", show_default=True, help="What it risks.")
@click.option(
    "--licence", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file whose hash becomes the licence.",
)  # fmt: skip
@click.option(
    "--royalty", metavar="WHO=PERCENT", multiple=True, help="Who is paid; again for more."
)
@click.option("--parent", metavar="N=PERCENT", multiple=True, help="A dataset it was made of.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="raw", show_default=True,
    help="csv: rows for the reference trainer, the class in the last column. "
    "idx: pictures for it, as MNIST has them, their classes in --labels.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Of pictures the IDX file with their classes.",
)  # fmt: skip
@data_option
@from_option
@yes_option
@password_options
@click.pass_obj
def add(
    session: NodeSession, /, file: Path, form: str, labels: Path | None, **options: Any
) -> None:
    """Register FILE as a dataset: commit, wait, reveal, and answer the first challenge.

    The leaves are kept in the data directory, from which `dataset prove` answers later. Shares of
    royalties and parents are 100 % together; without any, the owner is paid. The command may be
    given again when it was cut short.
    """
    terms = _read_terms(session, options)
    leaves, size = _read_leaves(file, form, labels)
    directory = open_directory(session, options["directory"])
    root = directory.write(leaves)
    rows = [
        ("file", str(file)),
        ("root", to_hex(root)),
        ("size", f"{size} bytes, {len(leaves)} leaves"),
        ("price", f"{show_amount(int(terms['price']))} a use"),
        ("bond", show_amount(parse_amount(options["bond"]))),
    ]
    for line in pairs(rows):
        session.console.note(line)
    if not session.console.ask("Register it?", assume=options["yes"]):
        raise WalletError("nothing was registered")
    sender = Sender(session, options)
    number = _find_own(session, sender, root)
    if number is None:
        bond = str(parse_amount(options["bond"]))
        number = _register(session, sender, root, {**terms, "size": size}, bond)
    found = find_dataset(session, number)
    if found["state"] == "Pending":
        _answer_first(session, sender, number, leaves)
    fields = {"id": number, "root": to_hex(root), "leafCount": len(leaves), "size": size}
    lines = [f"dataset {number} is active; keep it so: gristmill dataset prove {number} --watch"]
    session.console.answer("dataset.add/1", fields, lines)


@click.command(cls=NodeCommand)
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@click.option("--watch", is_flag=True, help="Go on answering, until the dataset owes nothing.")
@click.option("--eras", type=click.IntRange(1), help="Stop watching after so many answers.")
@serve_option
@data_option
@from_option
@password_options
@click.pass_obj
def prove(
    session: NodeSession,
    /,
    *,
    number: int,
    watch: bool,
    eras: int | None,
    serve: str | None,
    **options: Any,
) -> None:
    """Answer the open challenge of dataset NUMBER out of the data directory.

    An answer costs no fee; the owner pays the era's rent with it. With --watch it goes on, also
    when the node is away for a while, and shows the leaves that are drawn where somebody says that
    the dataset is a copy. What was revoked can still be challenged, and is watched over until its
    bond is taken. With --serve others may fetch the data here, as at a provider's door.
    """
    found = find_dataset(session, number)
    directory = open_directory(session, options["directory"])
    leaves = directory.read(bytes.fromhex(found["root"][2:]))
    keeper = Keeper(session, Sender(session, options), number, leaves)
    with open_door(session, directory, Desk(), serve):
        if watch:
            keeper.watch(eras)
        else:
            keeper.answer_now(found)
    rows = [f"answered {_era_name(era)}" for era in keeper.answered]
    rows += [f"shown in case {case}" for case in keeper.cases]
    fields = {"id": number, "answered": keeper.answered, "cases": keeper.cases}
    session.console.answer("dataset.prove/1", fields, rows or ["it was answered already"])


class Keeper:
    """Answers for a dataset: the challenge of each era, and those who say that it is a copy."""

    def __init__(
        self, session: NodeSession, sender: Sender, number: int, leaves: Sequence[bytes]
    ) -> None:
        self._session = session
        self._sender = sender
        self._reader = ChainReader(session.chain)
        self._number = number
        self._leaves = leaves
        self._is_told = False
        self.answered: list[int | None] = []
        self.cases: list[int] = []

    def answer_now(self, found: dict[str, Any]) -> None:
        """Answer the challenge that is open; TryAgain when there is none."""
        challenge = found["challenge"]
        if challenge is None:
            raise TryAgain("nothing is asked of it now", "--watch waits for the next challenge")
        if not challenge["isAnswered"]:
            _answer(self._sender, self._number, challenge, self._leaves)
            self.answered.append(challenge["era"])

    def watch(self, eras: int | None) -> None:
        """Answer until the dataset owes nothing any more, or so many times."""
        while eras is None or len(self.answered) < eras:
            try:
                found = find_dataset(self._session, self._number)
                if self._is_over(found):
                    return
                self._look(found)
            except NotFound:
                self._note(f"dataset {self._number} is gone: it did not answer in time")
                return
            except (NodeUnreachable, TryAgain) as error:
                self._note(f"{error.message}; trying again")
            sys.stderr.flush()
            time.sleep(POLL_S)

    def _is_over(self, found: dict[str, Any]) -> bool:
        """Whether nothing is asked any more: a dataset that ended is still liable with its bond."""
        if found["state"] not in ENDED:
            return False
        if not self._is_told:
            self._is_told = True
            self._note(f"dataset {self._number} has ended: {found['state']}")
            if parse_int(found["bond"]):
                self._note(
                    "somebody may still say that it is a copy, until its bond is taken: "
                    f"gristmill dataset withdraw {self._number}"
                )
        return not parse_int(found["bond"]) and not found["cases"]

    def _look(self, found: dict[str, Any]) -> None:
        """Answer what is asked in this block."""
        challenge = found["challenge"]
        if challenge is not None and not challenge["isAnswered"]:
            _answer(self._sender, self._number, challenge, self._leaves)
            self.answered.append(challenge["era"])
            self._note(f"answered {_era_name(challenge['era'])}")
        for case in found["openCases"]:
            if self._must_show(case, found["height"]):
                count = show_leaves(self._sender, self._reader, case["id"], self._leaves)
                self.cases += [case["id"]] if count else []
                self._note(f"{count} leaves shown in case {case['id']}")

    def _must_show(self, case: dict[str, Any], height: int) -> bool:
        """Whether a case asks this dataset for leaves that can still be shown."""
        is_asked = case["later"] == self._number and case["indices"] is not None
        is_whole = parse_int(case["opened"]) == (1 << OPENINGS) - 1
        return is_asked and not is_whole and height + 1 < case["openingEnds"]

    def _note(self, sentence: str) -> None:
        self._session.console.note(sentence)


def _register(
    session: NodeSession, sender: Sender, root: bytes, terms: dict[str, Any], bond: str
) -> int:
    """Commit to a root unless that was done, reveal it, and return the dataset's number."""
    genesis = session.chain.identity.genesis_hash
    salt = hashing.blake2b_256(SALT_TAG + sender.pair.seed + genesis + root)
    mark = commitment_of(root, AccountId(sender.party.public), salt)
    committed = _commit_height(session, sender, mark)
    if committed is not None and session.chain.finalized()[0] >= committed + REVEAL_MAX:
        session.console.note("the commit of an earlier run is void; its deposit comes back")
        sender.send("Datasets.drop_commit", {"commitment": to_hex(mark)})
        committed = None
    if committed is None:
        committed = sender.send("Datasets.commit", {"commitment": to_hex(mark)}).height
    session.console.note(f"the root can be revealed from block {committed + REVEAL_MIN} on")
    _wait_until(session, committed + REVEAL_MIN)
    args = {"root": to_hex(root), "salt": to_hex(salt), "terms": terms, "bond": bond}
    inclusion = sender.send("Datasets.reveal", args)
    for event in inclusion.events:
        if event["event"] == "Datasets.Registered":
            return int(event["fields"]["id"])
    raise BadContent(f"block {inclusion.height} does not say which number the dataset has")


def _answer_first(
    session: NodeSession, sender: Sender, number: int, leaves: Sequence[bytes]
) -> None:
    """Wait for the first challenge of a dataset and answer it."""
    start, _ = session.chain.finalized()
    while True:
        found = find_dataset(session, number)
        if found["state"] != "Pending":
            return
        if found["challenge"] is not None:
            _answer(sender, number, found["challenge"], leaves)
            return
        height, _ = session.chain.finalized()
        if height > start + WAIT_BLOCKS_MAX:
            raise TryAgain("the first challenge does not come", "give the same command again")
        time.sleep(POLL_S)


def _answer(
    sender: Sender, number: int, challenge: dict[str, Any], leaves: Sequence[bytes]
) -> None:
    """Show the drawn leaves; somebody else's answer is as good."""
    answers = [
        {
            "leaf": to_hex(leaves[index]),
            "path": [to_hex(node) for node in hashing.merkle_proof(leaves, index)],
        }
        for index in challenge["indices"]
    ]
    try:
        sender.send("Datasets.prove", {"id": number, "answers": answers})
    except WalletError as error:
        if not any(name in error.message for name in LOST_RACES):
            raise


def _commit_height(session: NodeSession, sender: Sender, mark: bytes) -> int | None:
    """Return when a root was committed that is not revealed yet, None when it was not."""
    module, item = session.chain.metadata.storage("Datasets.Commits")
    key = session.encoder.storage_key(module, item, [sender.party.address, to_hex(mark)])
    content = session.chain.storage(key)
    return None if content is None else int.from_bytes(content[:4], "little")


def _find_own(session: NodeSession, sender: Sender, root: bytes) -> int | None:
    """Return the number of the signer's dataset with a root that has not ended."""
    found = ask_dict(session, "gristmill_v1_datasets", sender.party.address, None)
    for row in found["datasets"]:
        if row["root"] == to_hex(root) and row["state"] not in ENDED:
            return int(row["id"])
    return None


def _wait_until(session: NodeSession, height: int) -> None:
    """Wait until the next block after the newest final one is at least this high."""
    while session.chain.finalized()[0] + 1 < height:
        time.sleep(POLL_S)


def _read_terms(session: NodeSession, options: dict[str, Any]) -> dict[str, Any]:
    licence: Path | None = options["licence"]
    digest = bytes(32) if licence is None else hashing.blake2b_256(licence.read_bytes())
    royalties = [_split(text) for text in options["royalty"]]
    parents = [_split(text) for text in options["parent"]]
    for name, _ in parents:
        if not name.isdecimal():
            raise WrongUse(f"{name!r} is not the number of a dataset", "write 7=25")
    return {
        "licence": to_hex(digest),
        "price": str(parse_amount(options["price"])),
        "royalties": [
            {"account": session.party(name).address, "share": share} for name, share in royalties
        ],
        "parents": [{"dataset": int(name), "share": share} for name, share in parents],
    }


def _split(text: str) -> tuple[str, int]:
    name, _, percent = text.rpartition("=")
    if not name:
        raise WrongUse(f"{text!r} does not say who gets how much", "write //Bob=12.5")
    return name, parse_share(percent)


def _read_leaves(file: Path, form: str, labels: Path | None) -> tuple[list[bytes], int]:
    """Return the leaves of a file and how many bytes they hold without padding."""
    if (labels is not None) != (form == "idx"):
        raise WrongUse("--labels is for --format idx, which needs it", "give both or neither")
    if form == "raw" and file.stat().st_size > DATA_BYTES_MAX:
        raise WrongUse("a dataset has at most 1 GiB", "split the file into several")
    content = file.read_bytes()
    if form == "raw":
        leaves, size = split_leaves(content), len(content)
    else:
        leaves = make_leaves(_read_rows(file, content, labels))
        size = len(leaves) * DATA_LEAF_BYTES
    if not leaves:
        raise WrongUse(f"{file} is empty", "a dataset has at least one byte")
    if size > DATA_BYTES_MAX:
        raise WrongUse("a dataset has at most 1 GiB", "split the file into several")
    return leaves, size


def _read_rows(file: Path, content: bytes, labels: Path | None) -> list[bytes]:
    """Return the rows of a table, or of pictures with their classes."""
    try:
        if labels is None:
            return read_csv(content.decode())
        return read_idx(content, labels.read_bytes())
    except (BadRows, UnicodeDecodeError) as error:
        hint = "gunzip it first" if content[:2] == GZIP else ""
        raise WrongUse(f"{file} is no table of rows: {error}", hint) from None


def _era_name(era: int | None) -> str:
    return "the first challenge" if era is None else f"the challenge of era {era}"
