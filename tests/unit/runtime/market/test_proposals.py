"""Votes on the market: what a call would refuse when it runs, nobody has to vote on before."""

from typing import Any

import pytest

from runtime.frame.errors import CallError
from runtime.market.oracle.nouns import NotReporter
from runtime.market.verification.nouns import AlreadyManager, NotManager, UnknownVendor
from tests.support.governance import Polls, as_root
from tests.support.runtime import person

VENDOR = b"v" * 32
BOB = person("Bob")


@pytest.fixture
def polls() -> Polls:
    return Polls()


def refused(polls: Polls, error: type[CallError], module: str, name: str, *call: Any) -> None:
    """A proposal is refused when it is submitted, by just what its call would say."""
    proposal = ("Inline", polls.chain.call(module, name, *call))
    polls.refused(error, "Eve", "Referenda", "submit", proposal, ("After", 0))
    assert as_root(polls.chain, module, name, *call) is error


def taken(polls: Polls, module: str, name: str, *call: Any) -> None:
    """A proposal is taken, and its call done as if the vote was won."""
    index = polls.submit(polls.chain.call(module, name, *call))
    assert polls.state(index) == "Ongoing"
    assert as_root(polls.chain, module, name, *call) is None


def test_a_manager_is_proposed_once_and_struck_off_only_while_named(polls: Polls) -> None:
    refused(polls, NotManager, "Verification", "name_manager", BOB, False)
    taken(polls, "Verification", "name_manager", BOB, True)
    refused(polls, AlreadyManager, "Verification", "name_manager", BOB, True)
    taken(polls, "Verification", "name_manager", BOB, False)
    refused(polls, NotManager, "Verification", "name_manager", BOB, False)
    polls.next()


def test_a_vendor_is_proposed_once_and_struck_off_only_while_listed(polls: Polls) -> None:
    refused(polls, UnknownVendor, "Verification", "name_vendor", VENDOR, False)
    taken(polls, "Verification", "name_vendor", VENDOR, True)
    refused(polls, UnknownVendor, "Verification", "name_vendor", VENDOR, True)
    taken(polls, "Verification", "name_vendor", VENDOR, False)
    polls.next()


def test_nobody_votes_on_removing_a_reporter_that_is_none(polls: Polls) -> None:
    refused(polls, NotReporter, "Oracle", "remove", BOB)
