"""What must always hold in staking, at any cost: for tests and audits, never for consensus."""

from collections.abc import Iterator

from runtime.balances import HoldReason
from runtime.frame.module import Check
from runtime.staking.eras import Eras
from runtime.staking.numbers import MIN_NOMINATOR_BOND, MIN_VALIDATOR_BOND
from runtime.staking.rewards import FEE_ERAS, fee_part
from runtime.staking.voter_list import ListKind


def invariants_of(staking: Eras) -> Iterator[Check]:
    """Yield every invariant of the module that these are parts of."""
    yield from _ledgers(staking)
    yield from _lists(staking)
    yield from _exposures(staking)
    yield from _positions(staking)


def _ledgers(staking: Eras) -> Iterator[Check]:
    ledgers = dict(staking.ledger.items())
    held = {
        who: hold.amount
        for who, holds in staking.balances.holds.items()
        for hold in holds
        if hold.id == HoldReason.STAKE
    }
    totals = {who: ledger.total for who, ledger in ledgers.items()}
    yield Check("what is held as stake is the total of each ledger", held == totals)
    yield Check(
        "bonded are exactly those with a ledger", {*totals} == {*dict(staking.bonded.items())}
    )
    for who, ledger in ledgers.items():
        parts = ledger.active + sum(chunk.value for chunk in ledger.unlocking)
        yield Check(f"{who.hex()}: total is active and chunks", ledger.total == parts > 0)
        eras = [chunk.era for chunk in ledger.unlocking]
        is_ordered = eras == sorted(set(eras)) and all(c.value for c in ledger.unlocking)
        yield Check(f"{who.hex()}: chunks are one an era, ascending", is_ordered)


def _lists(staking: Eras) -> Iterator[Check]:
    validators, nominators = dict(staking.validators.items()), dict(staking.nominators.items())
    is_counted = (staking.counter_for_validators, staking.counter_for_nominators) == (
        len(validators),
        len(nominators),
    )
    yield Check("validators and nominators are counted", is_counted)
    yield Check("nobody is both", not validators.keys() & nominators.keys())
    for kind, members, least in (
        (ListKind.CANDIDATES, validators, min(MIN_VALIDATOR_BOND.low, staking.min_validator_bond)),
        (ListKind.VOTERS, nominators, min(MIN_NOMINATOR_BOND.low, staking.min_nominator_bond)),
    ):
        places = staking.voter_list.page(kind, limit=len(members) + 1)
        expected = sorted((staking.active_stake(who), who) for who in members)
        yield Check(f"{kind.name}: the list is the active stakes", places == expected)
        yield Check(
            f"{kind.name}: the least minimum is at stake", not places or places[0][0] >= least
        )
    forever = [who for who in validators if staking.is_tombstoned(who)]
    yield Check("who is jailed for ever does not validate", not forever)
    yield Check("nominators name somebody", all(entry.targets for entry in nominators.values()))


def _exposures(staking: Eras) -> Iterator[Check]:
    for (era, validator), overview in staking.eras_stakers_overview.items():
        if era < staking.pruned_eras or era > staking.active_era:
            continue
        place = f"era {era}, {validator.hex()}"
        pages = [entry for _, entry in staking.eras_stakers_paged.walk(era, validator, limit=999)]
        others = [entry for page in pages for entry in page.others]
        whole = overview.own + sum(entry.value for entry in others)
        yield Check(f"{place}: the exposure is the sum of its parts", overview.total == whole)
        is_counted = (overview.page_count, overview.nominator_count) == (len(pages), len(others))
        yield Check(f"{place}: pages and nominators are counted", is_counted)
        for page in pages:
            total = sum(entry.value for entry in page.others)
            yield Check(f"{place}: a page is the sum of its parts", page.page_total == total)


def _positions(staking: Eras) -> Iterator[Check]:
    era = staking.active_era
    in_force = staking.eras_assigned_in[era]
    stints = {
        (who, backing.validator): backing.value
        for who, position in staking.positions.items()
        for stint in position.stints
        if stint.era == in_force
        for backing in stint.backings
    }
    exposed = {
        (entry.who, validator): entry.value
        for validator in staking.exposures.validators(era)
        if staking.exposures.made_in(era, validator) == in_force
        for entry in staking.exposures.nominators(era, validator)
    }
    yield Check("positions say what exposures say", stints == exposed)
    owed = sum(staking.eras_owed.values())
    kept = sum(v for e, v in staking.eras_owed.items() if e >= staking.pruned_eras)
    yield Check("the pot owes what the eras owe", staking.pot_owed in (owed, kept))
    left = sum(
        amount - sum(fee_part(amount, k) for k in range(1, min(era - past, FEE_ERAS + 1)))
        for past, amount in staking.fee_deposits.items()
    )
    yield Check("the stakers are owed what is left of the deposits", staking.fees_owed == left)
