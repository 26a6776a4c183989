"""The smaller modules: sessions, beacon, authorship, offences, time, batches."""

from dataclasses import replace

import pytest

from consensus import beacon as consensus_beacon
from consensus.types import Validator, ValidatorSet
from consensus.valset import ValidatorSchedule
from ext import hashing
from runtime import authorship, offences, timestamp
from runtime.block import NextEpoch
from runtime.frame.dispatch import DEPTH_MAX
from runtime.frame.errors import InvalidBlock, InvalidTransaction
from runtime.session import NewSession, SetChanged, ValidatorRecord
from runtime.system import Remarked
from runtime.utility import BATCH_MAX, BatchCompleted, BatchInterrupted, ItemCompleted
from tests.support.runtime import Chain, assert_refused, genesis_of, offence, person, stranger

ALICE, BOB, EVE = person("Alice"), person("Bob"), person("Eve")
GRIST = 10**9


@pytest.fixture
def chain() -> Chain:
    return Chain.start("test")


# Session


def test_sets_of_the_schedule_act_two_blocks_later_as_consensus_counts(chain: Chain) -> None:
    """Consensus' own schedule, fed with our updates, agrees with our sets at every height."""
    first = ValidatorSet(
        0, tuple(Validator(*vars(v).values()) for v in genesis_of("test").validators)
    )
    schedule = ValidatorSchedule(1, first, first)
    sizes = []
    for _ in range(32):
        current = schedule.current
        result = chain.block()
        runtime = chain.look()
        assert runtime.session.validators == tuple(v.account for v in current.validators)
        sizes.append(len(current))
        schedule = schedule.advance(result.validator_updates)
    assert sizes == [4] * 9 + [3] * 8 + [4] * 15


def test_the_last_commit_is_read_by_the_set_of_its_block(chain: Chain) -> None:
    """Bob leaves for block 10, so block 10 still carries his flag and block 11 does not."""
    for _ in range(9):
        chain.block()
    chain.block(last_commit=(True, True, True, False))
    missed = dict(chain.look().authorship.misses.items())
    assert missed == {sorted((ALICE, BOB, person("Charlie"), person("Dave")))[3]: 1}
    chain.block(last_commit=(True, True, False))
    with pytest.raises(InvalidBlock, match="WrongCommit"):
        chain.block(last_commit=(True, True, True, True))


def test_epochs_open_with_an_event_and_announce_the_next(chain: Chain) -> None:
    announced = []
    for height in range(1, 14):
        result = chain.block()
        opened = NewSession((height - 1) // 4).encode() in result.receipts[0]
        assert opened == (result.next_epoch is not None) == ((height - 1) % 4 == 0)
        announced += [result.next_epoch] if result.next_epoch else []
    genesis = genesis_of("test")
    assert announced[0] == NextEpoch(1, 5, genesis.next_randomness, 4)
    assert [(epoch.epoch, epoch.start_height) for epoch in announced] == [
        (1, 5),
        (2, 9),
        (3, 13),
        (4, 17),
    ]


def test_a_set_cannot_become_illegal(chain: Chain) -> None:
    runtime = chain.open()
    members = runtime.session.queued_set
    twin = replace(members[1], vrf_key=members[0].vrf_key)
    for bad in ((), (members[0], members[0]), (members[0], twin), (replace(members[0], power=0),)):
        with pytest.raises(ValueError, match="validator"):
            runtime.session.replace_set(bad)
    runtime.session.replace_set(members)
    assert runtime.session.updates() == ()
    runtime.session.replace_set(members[:1])
    assert [update.power for update in runtime.session.updates()] == [0, 0, 0]
    assert runtime.ctx.events[-1] == SetChanged(1).encode()
    chain.close()


def test_a_change_of_keys_is_an_update(chain: Chain) -> None:
    runtime = chain.open()
    first, *rest = runtime.session.queued_set
    new = ValidatorRecord(first.account, b"c" * 32, b"v" * 32, 9)
    runtime.session.replace_set((new, *rest))
    assert [vars_of(update) for update in runtime.session.updates()] == [
        (first.account, b"c" * 32, b"v" * 32, 9)
    ]
    chain.close()


def vars_of(update: object) -> tuple[object, ...]:
    return tuple(getattr(update, name) for name in ("account", "consensus_key", "vrf_key", "power"))


# Beacon


def test_randomness_is_what_consensus_computes_from_the_same_entropies(chain: Chain) -> None:
    genesis = genesis_of("test")
    randomness = [genesis.randomness, genesis.next_randomness]
    for epoch in range(4):
        entropies = []
        for _ in range(4):
            runtime = chain.look()
            assert runtime.beacon.randomness == randomness[epoch]
            entropies.append(chain.context().entropy)
            chain.block()
        randomness.append(
            consensus_beacon.randomness_after_next(
                randomness_next=randomness[-1], epoch=epoch, entropies=entropies
            )
        )
    assert chain.look().beacon.next_randomness == randomness[5]


# Time and authors


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"time_ms": 0}, timestamp.TimeNotLater),
        ({"proposer": EVE}, authorship.UnknownAuthor),
        ({"last_commit": (True,)}, authorship.WrongCommit),
        ({"misbehaviour": (offence(kind=9),)}, offences.UnknownOffence),
        ({"misbehaviour": (offence(account=stranger(1)),)}, offences.UnknownValidator),
        ({"misbehaviour": (offence(height=2),)}, offences.OffenceNotPast),
        ({"misbehaviour": (offence(power=0),)}, offences.ImpossiblePower),
        ({"misbehaviour": (offence(power=5),)}, offences.ImpossiblePower),
    ],
)
def test_a_context_that_cannot_be_makes_the_block_invalid(
    chain: Chain, changes: dict[str, object], error: type[Exception]
) -> None:
    chain.block()
    before = chain.state.root
    with pytest.raises(InvalidBlock, match=error.__name__):
        chain.block(**changes)
    assert chain.state.root == before


def test_authors_are_counted(chain: Chain) -> None:
    for _ in range(8):
        chain.block()
    runtime = chain.look()
    assert sorted(runtime.authorship.authored.values()) == [2, 2, 2, 2]
    assert runtime.authorship.author in runtime.session.validators


# Offences


def test_an_offence_is_recorded_once_and_told_once(chain: Chain) -> None:
    chain.block()
    event = offences.Offence(1, BOB, 1).encode()
    other = offence(kind=3)
    first = chain.block(misbehaviour=(offence(), offence(evidence_hash=b"x" * 32), other))
    again = chain.block(misbehaviour=(offence(),))
    assert (first.receipts[2].count(event), again.receipts[2].count(event)) == (1, 0)
    runtime = chain.look()
    assert runtime.offences.count == 2
    record = runtime.offences.reports[offences.OffenceKey(1, BOB, 1)]
    assert (record.evidence_hash, record.reported_at) == (bytes(32), 2)


def test_an_old_offence_is_refused_only_by_blocks_and_time(chain: Chain) -> None:
    """In the test spec evidence lives 8 blocks and 2,000 ms; both must be over."""
    for _ in range(11):
        chain.block()
    now = chain.context().time_ms
    with pytest.raises(InvalidBlock, match="OffenceTooOld"):
        chain.block(misbehaviour=(offence(),))
    chain.block(misbehaviour=(offence(time_ms=now - 2_000),))


# Utility and System


def open_with(chain: Chain) -> None:
    chain.open()


def test_a_batch_stops_at_the_first_failure_and_keeps_what_was_done(chain: Chain) -> None:
    open_with(chain)
    calls = [
        chain.transfer(stranger(1), GRIST),
        chain.transfer(stranger(2), 1),
        chain.transfer(stranger(3), GRIST),
    ]
    assert chain.apply(chain.call("Utility", "batch", calls), ALICE)
    system = chain.runtime.system
    assert [system.has_account(stranger(i)) for i in (1, 2, 3)] == [True, False, False]
    receipt = chain.executive._receipts[-1]
    assert BatchInterrupted(1, bytes((3, 5, 3, 0, 0, 0))).encode() in receipt
    assert receipt.count(ItemCompleted().encode() + b"\x00") == 1
    chain.close()


def test_batch_all_does_everything_or_nothing(chain: Chain) -> None:
    open_with(chain)
    bad = [chain.transfer(stranger(1), GRIST), chain.transfer(stranger(2), 1)]
    assert not chain.apply(chain.call("Utility", "batch_all", bad), ALICE)
    assert not chain.runtime.system.has_account(stranger(1))
    assert chain.apply(chain.call("Utility", "batch_all", bad[:1]), ALICE)
    assert BatchCompleted().encode() in chain.executive._receipts[-1]
    chain.close()


def test_batches_nest_four_deep_and_no_deeper(chain: Chain) -> None:
    open_with(chain)
    call = chain.call("System", "remark", b"")
    for _ in range(DEPTH_MAX):
        call = chain.call("Utility", "batch", [call])
    assert chain.apply(call, ALICE)
    with pytest.raises(InvalidTransaction, match="nested"):
        chain.apply(chain.call("Utility", "batch", [call]), ALICE)
    chain.close()


def test_a_batch_weighs_what_is_in_it(chain: Chain) -> None:
    open_with(chain)
    remark = chain.call("System", "remark", b"")
    weigh = lambda call: chain.executive.decode_call(call).weight  # noqa: E731 -- a formula, not a function
    one, two = (weigh(chain.call("Utility", "batch", [remark] * n)) for n in (1, 2))
    nested = weigh(chain.call("Utility", "batch", [chain.call("Utility", "batch", [remark])]))
    assert two - one > weigh(remark)
    assert nested - one == one - (two - one) + (two - one) - weigh(remark)
    chain.close()


def test_a_batch_has_bounds(chain: Chain) -> None:
    open_with(chain)
    remark = chain.call("System", "remark", b"")
    with pytest.raises(InvalidTransaction, match=str(BATCH_MAX)):
        chain.apply(chain.call("Utility", "batch", [remark] * (BATCH_MAX + 1)), ALICE)
    half = chain.call("Utility", "batch", [remark] * BATCH_MAX)
    with pytest.raises(InvalidTransaction, match="1024"):
        chain.apply(chain.call("Utility", "batch", [half, half]), ALICE)
    chain.close()


def test_a_failing_inner_call_refuses_batch_all_without_a_trace(chain: Chain) -> None:
    open_with(chain)
    inner = chain.transfer(stranger(1), 1)
    error = chain.runtime.balances.errors[2]
    assert error.__name__ == "ExistentialDeposit"
    assert_refused(chain, chain.call("Utility", "batch_all", [inner]), error)


def test_a_remark_with_an_event_tells_its_hash(chain: Chain) -> None:
    open_with(chain)
    assert chain.apply(chain.call("System", "remark_with_event", b"hello"), ALICE)
    assert Remarked(ALICE, hashing.blake2b_256(b"hello")).encode() in chain.executive._receipts[-1]
    chain.close()
