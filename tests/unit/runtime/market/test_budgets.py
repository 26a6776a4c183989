"""Budgets of organisations: who may spend what, and whose money it is."""

from typing import Any

import pytest

from runtime.balances import HoldReason
from runtime.balances.nouns import InsufficientBalance
from runtime.frame.origins import Signed
from runtime.market import budgets as words
from runtime.market.budgets import DEPOSIT, MEMBERS_MAX, Budgets, organisation_account
from tests.support.runtime import Chain, assert_refused, person, stranger

ALICE, BOB, CHARLIE = person("Alice"), person("Bob"), person("Charlie")
GRIST = 10**9


@pytest.fixture
def chain() -> Chain:
    found = Chain.start("plain")
    found.open()
    done(found, ALICE, "create", "lab")
    assert found.apply(found.transfer(organisation_account(0), 1_000 * GRIST), BOB)
    done(found, ALICE, "set_member", 0, BOB, 100 * GRIST, 150 * GRIST)
    return found


def budgets(chain: Chain) -> Budgets:
    return chain.runtime.market.budgets


def done(chain: Chain, who: Any, name: str, *arguments: Any) -> None:
    assert chain.apply(chain.call("Budgets", name, *arguments), who)


def refused(chain: Chain, error: Any, who: Any, name: str, *arguments: Any) -> None:
    assert_refused(chain, chain.call("Budgets", name, *arguments), error, who)


def test_an_organisation_pays_for_its_members_up_to_their_caps(chain: Chain) -> None:
    found = budgets(chain)
    assert found.charge(0, BOB, 60 * GRIST) == organisation_account(0)
    with pytest.raises(words.OverBudget):
        found.charge(0, BOB, 40 * GRIST + 1)
    found.charge(0, BOB, 40 * GRIST)
    for _ in range(60):
        chain.close()
        chain.open()
    with pytest.raises(words.OverBudget):
        found.charge(0, BOB, 50 * GRIST + 1)
    found.charge(0, BOB, 50 * GRIST)
    with pytest.raises(words.NotMember):
        found.charge(0, CHARLIE, 1)
    with pytest.raises(words.NoOrganisation):
        found.charge(1, BOB, 1)
    chain.close()


def test_what_a_job_gives_back_can_be_spent_again(chain: Chain) -> None:
    found = budgets(chain)
    found.charge(0, BOB, 100 * GRIST)
    found.refund(0, BOB, 30 * GRIST)
    found.charge(0, BOB, 30 * GRIST)
    for _ in range(60):
        chain.close()
        chain.open()
    found.refund(0, BOB, 100 * GRIST)
    assert found.members[0, BOB].spent == 0
    found.charge(0, BOB, 100 * GRIST)
    found.refund(0, CHARLIE, 5)
    chain.close()


def test_only_the_owner_decides_and_takes_money_out(chain: Chain) -> None:
    refused(chain, words.NotOwner, BOB, "withdraw", 0, GRIST)
    refused(chain, words.NotOwner, BOB, "set_member", 0, BOB, 10**18, 10**18)
    refused(chain, words.NotOwner, BOB, "close", 0)
    refused(chain, words.NoOrganisation, ALICE, "withdraw", 1, GRIST)
    refused(chain, InsufficientBalance, ALICE, "withdraw", 0, 1_001 * GRIST)
    refused(chain, words.BadName, ALICE, "create", "")
    before = chain.free(ALICE)
    budgets(chain).withdraw(Signed(ALICE), 0, 100 * GRIST)
    assert chain.free(ALICE) - before == 100 * GRIST
    chain.close()


def test_an_organisation_ends_when_nobody_uses_it_and_its_money_comes_back(chain: Chain) -> None:
    found = budgets(chain)
    refused(chain, words.StillInUse, ALICE, "close", 0)
    found.charge(0, BOB, GRIST)
    refused(chain, words.NotMember, ALICE, "remove_member", 0, CHARLIE)
    done(chain, ALICE, "remove_member", 0, BOB)
    refused(chain, words.StillInUse, ALICE, "close", 0)
    found.refund(0, BOB, GRIST)
    before = chain.free(ALICE)
    found.close(Signed(ALICE), 0)
    assert chain.free(ALICE) - before == 1_000 * GRIST + DEPOSIT
    assert chain.free(organisation_account(0)) == 0
    assert not chain.runtime.balances.held(ALICE, HoldReason.DEPOSIT)
    refused(chain, words.NoOrganisation, ALICE, "close", 0)
    chain.close()


def test_an_organisation_goes_to_a_member_with_its_deposit(chain: Chain) -> None:
    refused(chain, words.NotMember, ALICE, "set_owner", 0, CHARLIE)
    done(chain, ALICE, "set_owner", 0, BOB)
    balances = chain.runtime.balances
    assert balances.held(ALICE, HoldReason.DEPOSIT) == 0
    assert balances.held(BOB, HoldReason.DEPOSIT) == DEPOSIT
    refused(chain, words.NotOwner, ALICE, "withdraw", 0, GRIST)
    done(chain, BOB, "withdraw", 0, GRIST)
    chain.close()


def test_an_organisation_has_at_most_64_members(chain: Chain) -> None:
    for number in range(MEMBERS_MAX - 1):
        done(chain, ALICE, "set_member", 0, stranger(number), 1, 1)
    refused(chain, words.TooManyMembers, ALICE, "set_member", 0, stranger(99), 1, 1)
    done(chain, ALICE, "set_member", 0, BOB, 5, 5)
    assert budgets(chain).organisations[0].members == MEMBERS_MAX
    chain.close()
