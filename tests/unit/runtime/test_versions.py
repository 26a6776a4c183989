"""Versions of the rules: who schedules one, where it begins, and what the block does in which."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.releases import load_drill
from ext import hashing
from runtime import system as words
from runtime.executive import Executive, make_inherents
from runtime.frame.errors import BadOrigin, DeclarationError, InvalidBlock, InvalidTransaction
from runtime.frame.parameters import Track
from runtime.metadata import metadata_v14, runtime_version
from runtime.published import PUBLISHED
from runtime.runtime import Runtime
from runtime.system import UPGRADE_NOTICE_BLOCKS, ScheduledVersion, Upgrade
from runtime.transaction import IMMORTAL, encode_extra, signing_payload
from runtime.versions import (
    NEWEST,
    VERSIONS,
    Migration,
    Rules,
    VersionTable,
    read_due,
    read_version_at,
)
from tests.support.governance import Polls, as_root, refused_as_root
from tests.support.runtime import GENESIS_HASH, ROOT, Chain, person

DRILL = load_drill(Path(ROOT) / "tests" / "support" / "drill_rules").table
SECOND = DRILL.newest
CONTENT = hashing.blake2b_256(b"sources of version 2")
SCHEDULE = ("System", "schedule_version")


@pytest.fixture
def chain() -> Chain:
    chain = Chain.start()
    chain.open()
    return chain


def schedule(chain: Chain) -> int:
    """Schedule version 2 as soon as it goes; gives the height. The block stays open."""
    height = chain.runtime.ctx.block.height + UPGRADE_NOTICE_BLOCKS
    assert as_root(chain, *SCHEDULE, 2, CONTENT, height) is None
    return height


def reach(chain: Chain, height: int) -> None:
    """Make blocks of version 1 up to a height, the open one first."""
    while chain.height < height:
        chain.close()
        if chain.height < height:
            chain.open()


def upgrade(chain: Chain, rules: Rules = SECOND) -> int:
    """Schedule version 2, and leave its first block open."""
    height = schedule(chain)
    reach(chain, height - 1)
    chain.executive = Executive(rules=rules)
    chain.open(spec_version=2)
    return height


def book(chain: Chain) -> Any:
    return chain.runtime.modules[-1]


def test_no_user_schedules_or_cancels(chain: Chain) -> None:
    for name, *arguments in (("schedule_version", 2, CONTENT, 100), ("cancel_version",)):
        call = chain.executive.decode_call(chain.call("System", name, *arguments))
        assert chain.executive.run_call(call, person("Alice")) == BadOrigin.encoded


def test_only_the_next_version_is_scheduled_and_not_too_soon(chain: Chain) -> None:
    first = chain.runtime.ctx.block.height + UPGRADE_NOTICE_BLOCKS
    for version in (0, 1, 3):
        refused_as_root(chain, words.SpecVersionNeedsToIncrease, *SCHEDULE, version, CONTENT, first)
    refused_as_root(chain, words.UpgradeTooSoon, *SCHEDULE, 2, CONTENT, first - 1)
    assert as_root(chain, *SCHEDULE, 2, CONTENT, first) is None
    assert chain.runtime.system.scheduled_version == ScheduledVersion(2, CONTENT, first)


def test_a_later_schedule_replaces_and_a_cancelled_one_never_begins(chain: Chain) -> None:
    refused_as_root(chain, words.NothingScheduled, "System", "cancel_version")
    height = schedule(chain)
    assert as_root(chain, *SCHEDULE, 2, bytes(32), height + 5) is None
    assert chain.runtime.system.scheduled_version == ScheduledVersion(2, bytes(32), height + 5)
    assert as_root(chain, "System", "cancel_version") is None
    reach(chain, height + 6)
    assert chain.look().system.spec_version == 1
    assert chain.runtime.system.upgrades == ()


def test_a_vote_schedules_on_the_track_of_upgrades_or_is_refused_when_submitted() -> None:
    polls = Polls()
    proposals = polls.runtime.referenda.proposals
    call = polls.chain.call(*SCHEDULE, 2, CONTENT, polls.height + 1_000)
    assert proposals.judge(call).track is Track.UPGRADE
    with pytest.raises(words.SpecVersionNeedsToIncrease):
        proposals.judge(polls.chain.call(*SCHEDULE, 3, CONTENT, polls.height + 1_000))
    with pytest.raises(words.NothingScheduled):
        proposals.judge(polls.chain.call("System", "cancel_version"))


def test_a_version_begins_with_its_block_and_migrations_run_in_it(chain: Chain) -> None:
    height = upgrade(chain)
    assert (book(chain).opened_at, book(chain).blocks) == (height, 1)
    chain.close()
    chain.open(spec_version=2)
    assert (book(chain).opened_at, book(chain).blocks) == (height, 2)
    chain.close()
    system = chain.look().system
    assert system.upgrades == (Upgrade(height, 2, CONTENT, 1),)
    assert (system.spec_version, system.scheduled_version) == (2, None)


def test_each_block_is_made_by_the_executive_of_its_version_only(chain: Chain) -> None:
    height = schedule(chain)
    old, new = chain.executive, Executive(rules=SECOND)
    reach(chain, height - 2)
    for executive, version in ((new, 1), (new, 2), (old, 2)):
        with pytest.raises(InvalidBlock, match="rules"):
            begin(chain, executive, version)
    chain.open()
    chain.close()
    for executive, version in ((old, 1), (old, 2), (new, 1)):
        with pytest.raises(InvalidBlock, match="rules"):
            begin(chain, executive, version)
    begin(chain, new, 2)


def begin(chain: Chain, executive: Executive, version: int) -> None:
    block = chain.context(spec_version=version)
    executive.initialize_block(chain.state.overlay(), block)


def test_without_all_of_its_migrations_there_is_no_block(chain: Chain) -> None:
    def fail(runtime: Runtime) -> None:
        runtime.system.chain_id = b"half done"
        raise KeyError("what the migration counted on")

    broken = replace(SECOND, migrations=(*SECOND.migrations, Migration("fail", fail, 1)))
    with pytest.raises(InvalidBlock, match="a migration failed"):
        upgrade(chain, broken)


def test_a_migration_that_makes_money_is_no_block(chain: Chain) -> None:
    def make_money(runtime: Runtime) -> None:
        state, alice = runtime.ctx.state, person("Alice")
        record = state.account(alice)
        assert record is not None
        state.set_account(alice, (*record[:4], record[4] + 1, *record[5:]))

    rich = replace(SECOND, migrations=(Migration("make money", make_money, 1),))
    upgrade(chain, rich)
    with pytest.raises(InvalidBlock, match="money"):
        chain.executive.finalize_block()


@pytest.mark.parametrize("rules", list(DRILL), ids=lambda rules: f"version {rules.version}")
def test_every_migration_listed_is_idempotent(chain: Chain, rules: Rules) -> None:
    if rules.version == VERSIONS.newest.version and not rules.migrations:
        assert rules.version == 1, "a version behind the first that does nothing says so here"
        return
    upgrade(chain, rules)
    root = chain.overlay.root()
    for migration in rules.migrations:
        migration.run(chain.runtime)
        assert chain.overlay.root() == root, migration.name


def test_a_call_of_a_later_version_cannot_be_read_before_it(chain: Chain) -> None:
    call = SECOND.make_runtime(2).dispatcher.encode("Guestbook", "write", b"hello")
    with pytest.raises(InvalidTransaction):
        chain.executive.decode_call(call)
    upgrade(chain)
    read = chain.executive.decode_call(call)
    assert chain.executive.run_call(read, person("Alice")) == b""
    assert book(chain).lines[person("Alice")] == b"hello"


@pytest.mark.parametrize("rules", list(DRILL), ids=lambda rules: f"version {rules.version}")
def test_signers_sign_the_version_of_the_block(chain: Chain, rules: Rules) -> None:
    transaction = chain.sign(chain.call("System", "remark", b"x"), person("Alice"))
    _, message, _ = Executive(rules=rules).signature_item(
        chain.state.overlay(), transaction,
        height=1, parent_hash=GENESIS_HASH, genesis_hash=GENESIS_HASH,
    )  # fmt: skip
    expected = signing_payload(
        call=transaction.call,
        extra=encode_extra(era=IMMORTAL, nonce=transaction.nonce, tip=transaction.tip),
        genesis_hash=GENESIS_HASH,
        anchor_hash=GENESIS_HASH,
        spec_version=rules.version,
    )
    assert message == expected


def test_what_is_due_is_read_from_the_state_alone(chain: Chain) -> None:
    height = schedule(chain)
    reach(chain, height - 1)
    assert read_due(chain.state, height).version == 2
    assert read_due(chain.state, height).content_hash == CONTENT
    early = read_due(chain.state, height - 1)
    assert (early.version, early.content_hash) == (1, bytes(32))
    assert early.next_ == ScheduledVersion(2, CONTENT, height)
    chain.executive = Executive(rules=SECOND)
    for _ in range(3):
        chain.open(spec_version=2)
        chain.close()
    due = read_due(chain.state, chain.height + 1)
    assert (due.version, due.content_hash, due.next_) == (2, CONTENT, None)
    versions = [read_version_at(chain.state, at) for at in (0, 1, height - 1, height, height + 2)]
    assert versions == [1, 1, 1, 2, 2]


def test_metadata_and_version_are_those_of_the_rules() -> None:
    assert b"Guestbook" in metadata_v14(SECOND)
    assert b"Guestbook" not in metadata_v14(NEWEST)
    assert runtime_version(2).spec_version == 2
    assert runtime_version(2).encode() in metadata_v14(SECOND)
    assert SECOND.module_list()[-1] == (200, "Guestbook")
    assert SECOND.module_list()[:-1] == NEWEST.module_list()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [Rules(1, "one"), Rules(3, "three")],
        [Rules(2, "two"), Rules(1, "one")],
        [Rules(1, "one", b"short")],
        [Rules(1, "one", CONTENT), Rules(2, "two", CONTENT)],
    ],
)
def test_a_table_has_no_gap_and_no_hash_twice(lines: list[Rules]) -> None:
    with pytest.raises(DeclarationError):
        VersionTable(lines)


def test_published_versions_stay_what_they_were() -> None:
    """A line that is published is never changed: add it here when it is."""
    assert dict(PUBLISHED) == {}
    assert all(rules.content_hash == PUBLISHED.get(rules.version) for rules in VERSIONS)
    assert [r.version for r in VERSIONS] == [1]


def test_inherents_repeat_the_version_of_the_block(chain: Chain) -> None:
    _, note = make_inherents(chain.runtime, chain.context(spec_version=7))
    assert note != make_inherents(chain.runtime, chain.context())[1]
