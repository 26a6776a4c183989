"""The well-known development accounts and validator keys, all from the published phrase.

They protect nothing: whoever reads this file owns them. Genesis refuses them on a live chain.
"""

from dataclasses import dataclass
from typing import Final

from chain.wallet.derivation import KeyPair, derive
from chain.wallet.errors import NotFound
from chain.wallet.ss58 import encode_address

DEV_NAMES: Final = ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie")
"""The funded development accounts, in the order of the table that the devnet prints."""


VALIDATOR_NAMES: Final = (
    *DEV_NAMES, "Grace", "Heidi", "Ivan", "Judy", "Kim", "Leo", "Mia", "Nina", "Olivia", "Peggy",
)  # fmt: skip
"""The validators of a devnet, in the order in which it takes them; sixteen is what it runs."""


@dataclass(frozen=True, slots=True)
class DevValidator:
    """The four keys of one development validator; each is a 32-byte seed with its public key."""

    name: str
    account: KeyPair
    consensus: KeyPair
    vrf: KeyPair
    node: KeyPair


def dev_account(name: str) -> KeyPair:
    """Return the key pair of `//Name` for a development name, in any case: alice, Alice."""
    return derive(f"//{_canonical(name)}")


def dev_address(name: str) -> str:
    """Return the SS58 address of a development account."""
    return encode_address(dev_account(name).public)


def dev_validator(name: str) -> DevValidator:
    """Return the keys of a development validator: //Alice, and //consensus, //vrf, //node below."""
    path = f"//{_canonical(name, VALIDATOR_NAMES)}"
    return DevValidator(
        name=name.lower(),
        account=derive(path),
        consensus=derive(f"{path}//consensus"),
        vrf=derive(f"{path}//vrf"),
        node=derive(f"{path}//node"),
    )


def dev_nominator(number: int) -> KeyPair:
    """Return the account of a devnet's nominator by its number, from 1 on: //Nominator//1."""
    return derive(f"//Nominator//{number}")


def _canonical(name: str, names: tuple[str, ...] = DEV_NAMES) -> str:
    word = name.removeprefix("//").capitalize()
    if word not in names:
        raise NotFound(
            f"there is no development account {name!r}",
            "the development accounts are " + ", ".join(names),
        )
    return word
