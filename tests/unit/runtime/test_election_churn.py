"""What leaves a set in one block: offenders and those who lost an election together."""

from ext import hashing
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from runtime.session import ValidatorRecord
from runtime.staking.reports import ValidatorRemoved
from tests.support.electorate import go_to, named, run_to, start, start_crowded
from tests.support.runtime import Chain

ERA = 8


def member(number: int, power: int) -> ValidatorRecord:
    """Somebody in the set whom nobody elects any more."""
    who = named("outgoing", number)
    consensus_key, vrf_key = (hashing.blake2b_256(kind + who) for kind in (b"c", b"v"))
    return ValidatorRecord(who, consensus_key, vrf_key, power)


def seated(*powers: int) -> tuple[Chain, tuple[ValidatorRecord, ...]]:
    """A chain with this set before its era's last block, whose election chose others."""
    chain = start()
    members = tuple(member(number, power) for number, power in enumerate(powers))
    chain.open().session.replace_set(members)
    chain.close()
    run_to(chain, ERA - 1)
    assert {one.account for one in chain.look().session.queued_set} == names_of(members)
    return chain, members


def names_of(members: tuple[ValidatorRecord, ...]) -> set[AccountId]:
    return {one.account for one in members}


def punish(runtime: Runtime, *offenders: ValidatorRecord) -> None:
    """Jail them in the open block, as a report does."""
    for offender in offenders:
        runtime.staking.jail(offender.account, 9)
    runtime.slashing.jailed_at = runtime.ctx.block.height


def test_a_third_leaves_at_an_election() -> None:
    chain, members = seated(*[10] * 9)
    chain.block()
    after = chain.look().session.queued_set
    stayed = [one for one in after if one.account in names_of(members)]
    assert sum(one.power for one in stayed) == 60


def test_offenders_and_losers_of_a_block_leave_as_one_third_and_offenders_first() -> None:
    chain, members = seated(*[10] * 9)
    runtime = chain.open()
    punish(runtime, *members[:3])
    result = chain.close()
    for offender in members[:3]:
        assert ValidatorRemoved(offender.account, 10).encode() in result.receipts[-1]
    after = chain.look().session.queued_set
    stayed = {one.account: one.power for one in after if one.account in names_of(members)}
    assert stayed == {one.account: 10 for one in members[3:]}
    assert len(after) == 6 + 4, "those elected come in"


def test_who_was_taken_out_in_the_block_is_not_let_in_again() -> None:
    chain, members = seated(25, 20, 5, 25, 25)
    runtime = chain.open()
    punish(runtime, *members[:3])
    chain.close()
    after = {one.account: one.power for one in chain.look().session.queued_set}
    assert members[0].account not in after
    assert members[2].account not in after
    assert after[members[1].account] == 20 - 3, "what of the third is left, of who has to wait"
    assert [after[one.account] for one in members[3:]] == [25, 25]


def test_the_stake_of_an_era_is_all_that_may_be_paid_by_it() -> None:
    """A winner whose keys went before it could sit is exposed: fees were shared out beyond all."""
    chain = start_crowded()
    go_to(chain, 7)
    runtime = chain.look()
    victim = runtime.elections.winners[0]
    has_keys = runtime.session.has_keys
    runtime.session.has_keys = lambda who: who != victim and has_keys(who)  # type: ignore[method-assign]  # as if purged
    go_to(chain, 10)
    staking = chain.look().staking
    paid = [who for who in staking.exposures.validators(1) if staking.exposures.is_rewarded(1, who)]
    assert victim in paid
    total = sum(staking.exposures.overview(1, who).total for who in paid)
    assert staking.eras_total_stake[1] == total
