"""A grain made or lost at any place of the market that posts money, as in the older modules.

The step is undone, the module whose code ran is frozen, people go on paying each other, what the
frozen module had to do is put back, and when it is forgiven all goes on; all invariants hold.
"""

from collections.abc import Callable
from functools import cache

import pytest

from runtime.balances import Balances
from runtime.executive import Executive
from runtime.frame.dispatch import Reading
from runtime.frame.origins import Signed
from runtime.primitives import AccountId
from tests.support.branches import Place, Tree, grow
from tests.support.disputes import CHALLENGER, PROVIDER, REQUESTER, Court
from tests.support.fault_market import SCRIPTS
from tests.support.faults import GRIST, find_sites
from tests.support.runtime import Chain, person, stranger
from tests.unit.runtime.market import test_attacks as attacks
from tests.unit.runtime.market import test_canaries as canaries
from tests.unit.runtime.market import test_dataset_duplicates as duplicates
from tests.unit.runtime.market import test_juries as juries

SILENT: dict[tuple[str, str], str] = {}
"""Places that no block can come by, and why."""


def unseated() -> None:
    """A jury is appealed from, and nobody can sit in the next one."""
    court = Court()
    pool = tuple(stranger(number) for number in range(40))
    for who in pool:
        court.fund(who, 10 * GRIST)
    court.verification.pool = (*pool, PROVIDER, CHALLENGER, REQUESTER)
    for number in juries.PARAMETERS:
        is_short = number in {juries.JURY_COMMIT, juries.JURY_REVEAL}
        number.begin(court.runtime.ctx, number.low if is_short else number.default)
    juries.test_an_appeal_that_cannot_be_seated_leaves_the_verdict(court)


def copied() -> None:
    """A dataset is found to be a copy."""
    library = duplicates.with_copy()
    duplicates.test_a_shifted_copy_is_found_leaf_by_leaf_and_loses_everything(library)


def acquitted() -> None:
    """Nobody shows that a dataset is a copy."""
    duplicates.test_what_the_wheel_did_not_do_anybody_does(duplicates.with_copy())


ALL: dict[str, Callable[[], None]] = {
    **SCRIPTS,
    "unseated": unseated,
    "copied": copied,
    "acquitted": acquitted,
    "unread": attacks.test_a_panel_that_passes_a_canary_unread_loses_a_tenth_and_nobody_is_paid_for_the_fault,  # noqa: E501  # it has this name
    "refunded": canaries.test_canaries_cost_insurance_a_thousandth_of_it_an_era,
}


@cache
def grown(name: str) -> Tree:
    """A script with branches at all places of the market that no script before it came by."""
    earlier = list(ALL)[: list(ALL).index(name)]
    known = {place for other in earlier for place in grown(other).visited}
    return grow(ALL[name], lambda place: place in known or not place.site.is_of_market)


@pytest.mark.parametrize("name", ALL)
def test_a_grain_made_or_lost_in_the_market_is_undone_and_its_module_pays_nothing(
    name: str,
) -> None:
    assert grown(name).problems == []
    assert grown(name).visited, "a script that comes by nothing new is of no use"


def test_scripts_come_by_every_place_of_the_market_that_posts_money() -> None:
    seen = {place.site for name in ALL for place in grown(name).visited}
    sites = [site for site in find_sites() if site.is_of_market]
    assert len(sites) > 90
    silent = [site for site in sites if (site.path, site.function) in SILENT]
    assert [str(site) for site in sites if site not in seen and site not in silent] == []
    assert [str(site) for site in silent if site in seen] == [], "these are not silent"
    assert {(site.path, site.function) for site in silent} == set(SILENT), "these are gone"


def test_the_wheel_and_calls_were_both_struck() -> None:
    depths = {place.depth for name in ALL for place in grown(name).visited}
    assert {1, 2} <= depths


def burn() -> None:
    """Somebody burns money."""
    chain = Chain.start("plain")
    chain.open()
    chain.apply(chain.call("Balances", "burn", GRIST, True), person("Alice"))
    chain.close()


def is_no_burn(place: Place) -> bool:
    return place.site.function != "burn"


def test_a_burn_comes_to_no_harm_in_a_sound_chain() -> None:
    tree = grow(burn, is_no_burn)
    assert [place.site.function for place in tree.visited] == ["burn"]
    assert tree.problems == []


def test_a_module_that_broke_the_books_and_still_pays_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Balances, "check_outflows", lambda _: None)
    problems = grow(burn, is_no_burn).problems
    assert len(problems) == 2
    assert all("the module still pays" in problem for problem in problems)


def test_a_grain_that_no_step_is_undone_for_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Executive, "run_call", _run_call_unchecked)
    problems = grow(burn, is_no_burn).problems
    assert len(problems) == 2
    assert all("the block is refused" in problem for problem in problems)


def _run_call_unchecked(executive: Executive, call: Reading, signer: AccountId) -> bytes:
    """Run a call without looking at the books afterwards."""
    ctx, (entry, arguments, _) = executive.ctx, call
    ctx.checkpoint()
    ctx.acting = entry.module_index
    entry.method(Signed(signer), *arguments)
    ctx.commit()
    return b""
