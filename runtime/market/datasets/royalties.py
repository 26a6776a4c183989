"""Royalty trees: accounts and parent datasets, flattened once into accounts; pure functions.

A parent's share is split among the accounts of the parent's own flat tree. As that was flattened in
the same way, a tree of any depth becomes one list, and paying it needs no walk.
"""

from collections.abc import Callable, Sequence

from runtime.arithmetic import split_exact
from runtime.balances import PROTECTED
from runtime.frame.parameters import PERBILL
from runtime.market.datasets.events import BadShares, TooManyRoyalties, WrongBeneficiary
from runtime.market.datasets.nouns import ROYALTIES_MAX, ParentShare, Share
from runtime.primitives import AccountId


def flatten(
    royalties: Sequence[Share],
    parents: Sequence[ParentShare],
    tree_of: Callable[[int], Sequence[Share]],
) -> tuple[Share, ...]:
    """Give accounts, ascending, with shares that sum to 10^9; none for a tree without branches.

    `tree_of` gives the flat tree of a parent. Raises BadShares, TooManyRoyalties or
    WrongBeneficiary.
    """
    if not royalties and not parents:
        return ()
    stated = [entry.share for entry in royalties] + [parent.share for parent in parents]
    if sum(stated) != PERBILL or not all(stated):
        raise BadShares
    totals: dict[AccountId, int] = {}
    for entry in (*royalties, *_inherited(parents, tree_of)):
        totals[entry.account] = totals.get(entry.account, 0) + entry.share
    if len(totals) > ROYALTIES_MAX:
        raise TooManyRoyalties
    if any(account in PROTECTED for account in totals):
        raise WrongBeneficiary
    return tuple(Share(account, share) for account, share in sorted(totals.items()) if share)


def split_fee(
    amount: int, shares: Sequence[Share], owner: AccountId
) -> tuple[tuple[AccountId, int], ...]:
    """Split a fee among the accounts of a flat tree, exactly; without a tree all is the owner's."""
    if not shares:
        return ((owner, amount),)
    parts = split_exact(amount, [entry.share for entry in shares])
    return tuple((entry.account, part) for entry, part in zip(shares, parts, strict=True))


def _inherited(
    parents: Sequence[ParentShare], tree_of: Callable[[int], Sequence[Share]]
) -> list[Share]:
    found = []
    for parent in parents:
        tree = tree_of(parent.dataset)
        parts = split_exact(parent.share, [entry.share for entry in tree])
        found += [Share(entry.account, part) for entry, part in zip(tree, parts, strict=True)]
    return found
