"""What a transaction costs, where the money goes, and how the rate moves."""

import pytest

from runtime import weights
from runtime.balances import EXISTENTIAL_DEPOSIT, TREASURY, BurnCause, FreezeReason, MintCause
from runtime.executive import Executive
from runtime.fees import FeeReturned, FeesShared, FeeTotals, TransactionFeePaid
from runtime.frame.call import call
from runtime.frame.errors import BadOrigin, InvalidTransaction, Reason
from runtime.frame.module import Module
from runtime.frame.origins import Signed
from runtime.primitives import Flag
from runtime.runtime import Runtime
from tests.support.runtime import Chain, person, stranger

ALICE, BOB = person("Alice"), person("Bob")
GRIST = 10**9
REMARK = b"\x00\x00\x00"


@pytest.fixture
def chain() -> Chain:
    return Chain.start("plain")


def fee_of(chain: Chain, call: bytes, **changes: int) -> int:
    """The fee by the formula of the docstring, from the numbers of the spec."""
    raw = chain.sign(call, ALICE, **changes).raw
    weight = weights.EXTRINSIC_BASE + chain.executive.decode_call(call).weight
    schedule = chain.spec.fees
    rate = chain.runtime.fees.rate
    return schedule.base + len(raw) * schedule.per_byte + -(-weight * rate // 1_000_000)


def test_the_fee_is_base_length_weight_and_tip(chain: Chain) -> None:
    chain.open()
    before = chain.free(ALICE)
    fee = fee_of(chain, REMARK, tip=7)
    assert chain.apply(REMARK, ALICE, tip=7)
    assert before - chain.free(ALICE) == fee + 7
    receipt = chain.executive._receipts[-1]
    assert TransactionFeePaid(ALICE, fee + 7, 7).encode() in receipt
    chain.close()


def test_a_failed_call_pays_as_much(chain: Chain) -> None:
    chain.open()
    call = chain.transfer(BOB, 10**18)
    before, fee = chain.free(ALICE), fee_of(chain, call)
    assert not chain.apply(call, ALICE)
    assert before - chain.free(ALICE) == fee
    chain.close()


class Useful(Module, index=200):
    """A module whose call is worth its fee to others, unless it fails."""

    @call(index=0, weight=weights.REMARK)
    def serve(self, origin: Signed, is_useful: Flag) -> None:  # noqa: ARG002 - anybody may
        """Serve everybody."""
        self.ctx.waive_fee()
        if not is_useful:
            raise BadOrigin


def useful_chain() -> Chain:
    runtime = Runtime(add=lambda wired: (Useful(wired.ctx),))
    return Chain.start("plain", Executive(runtime))


@pytest.mark.parametrize("tip", [0, 9])
def test_the_fee_of_a_call_that_serves_others_comes_back_but_no_tip(tip: int) -> None:
    chain = useful_chain()
    chain.open()
    before, issuance = chain.free(ALICE), chain.runtime.balances.total_issuance
    fee = fee_of(chain, b"\xc8\x00\x01", tip=tip)
    assert chain.apply(b"\xc8\x00\x01", ALICE, tip=tip)
    assert before - chain.free(ALICE) == tip
    assert FeeReturned(ALICE, fee).encode() in chain.executive._receipts[-1]
    assert chain.apply(REMARK, ALICE)
    assert before - chain.free(ALICE) == tip + fee_of(chain, REMARK), "the next one pays"
    chain.close()
    assert chain.look().balances.total_issuance < issuance


def test_no_fee_comes_back_for_a_failure_or_out_of_a_batch() -> None:
    chain = useful_chain()
    chain.open()
    batch = b"\x01\x02\x08" + b"\xc8\x00\x01" + REMARK
    for data, is_done in ((b"\xc8\x00\x00", False), (batch, True)):
        before, fee = chain.free(ALICE), fee_of(chain, data)
        assert chain.apply(data, ALICE) is is_done
        assert before - chain.free(ALICE) == fee
    chain.close()


def test_half_is_burned_a_fifth_is_the_treasury_s_the_rest_and_tips_are_the_author_s(
    chain: Chain,
) -> None:
    chain.open(proposer=person("Dave"))
    issuance, author = chain.runtime.balances.total_issuance, chain.free(person("Dave"))
    fee = fee_of(chain, REMARK)
    assert chain.apply(REMARK, ALICE, tip=10)
    result = chain.close()
    runtime = chain.look()
    burned, treasury = -(-fee * 50 // 100), fee * 20 // 100
    share = fee - burned - treasury
    assert (
        runtime.balances.burned[BurnCause.FEE]
        == issuance - runtime.balances.total_issuance
        == burned
    )
    assert (chain.free(TREASURY), chain.free(person("Dave"))) == (treasury, author + share + 10)
    assert runtime.fees.totals == FeeTotals(burned, treasury, share, 10)
    assert FeesShared(person("Dave"), burned, treasury, share, 10).encode() in result.receipts[-1]


def test_an_author_without_an_account_leaves_a_small_share_to_the_treasury(chain: Chain) -> None:
    chain.open()
    record = chain.runtime.ctx.state.account(chain.runtime.ctx.block.proposer)
    chain.runtime.balances.move(
        0, chain.runtime.ctx.block.proposer, BOB, record[4], keep_alive=False
    )
    fee = fee_of(chain, REMARK)
    assert chain.apply(REMARK, ALICE)
    chain.close()
    chain.look()
    assert chain.free(TREASURY) == fee - -(-fee * 50 // 100)


@pytest.mark.parametrize(
    ("free", "frozen", "can_pay"),
    [
        (0, 0, True),
        (-1, 0, False),
        (10, EXISTENTIAL_DEPOSIT + 10, True),
        (10, EXISTENTIAL_DEPOSIT + 11, False),
    ],
    ids=["just", "a grain short", "freeze just kept", "freeze touched"],
)
def test_a_signer_must_keep_the_deposit_and_its_freezes(
    chain: Chain, free: int, frozen: int, can_pay: bool
) -> None:
    chain.open()
    who = stranger(1)
    fee = fee_of(chain, REMARK)
    chain.runtime.balances.mint(MintCause.GENESIS, who, fee + EXISTENTIAL_DEPOSIT + free)
    if frozen:
        chain.runtime.balances.freeze(who, FreezeReason.VOTE, frozen)
    before = chain.runtime.ctx.state.root()
    if can_pay:
        assert chain.apply(REMARK, who)
        chain.close()
        return
    with pytest.raises(InvalidTransaction, match="cannot pay") as caught:
        chain.apply(REMARK, who)
    assert caught.value.reason is Reason.PAYMENT
    assert chain.runtime.ctx.state.root() == before


@pytest.mark.parametrize(("nonce", "reason"), [(0, Reason.STALE), (2, Reason.FUTURE)])
def test_a_nonce_is_used_once_and_in_order(chain: Chain, nonce: int, reason: Reason) -> None:
    chain.open()
    assert chain.apply(REMARK, ALICE)
    before = chain.runtime.ctx.state.root()
    with pytest.raises(InvalidTransaction) as caught:
        chain.apply(REMARK, ALICE, nonce=nonce)
    assert caught.value.reason is reason
    assert chain.runtime.ctx.state.root() == before


def test_an_unknown_signer_cannot_pay(chain: Chain) -> None:
    chain.open()
    with pytest.raises(InvalidTransaction, match="cannot pay"):
        chain.apply(REMARK, stranger(9))


@pytest.mark.parametrize(
    ("used", "moved"),
    [(0, -8), (1, 8), (2, 8), (9, 8)],
    ids=["empty: an eighth down", "full: an eighth up", "full", "more than full counts as full"],
)
def test_the_rate_moves_by_at_most_an_eighth(chain: Chain, used: int, moved: int) -> None:
    chain.open()
    chain.runtime.fees.rate = 80_000
    full = chain.spec.params.block_weight_max
    chain.runtime.ctx.weight_used = used * full
    chain.close()
    assert chain.look().fees.rate == 80_000 + 80_000 // moved


def test_a_half_full_block_leaves_the_rate(chain: Chain) -> None:
    chain.open()
    chain.runtime.fees.rate = 80_000
    chain.runtime.ctx.weight_used = chain.spec.params.block_weight_max // 2
    chain.close()
    assert chain.look().fees.rate == 80_000


def test_the_rate_stays_between_floor_and_ceiling(chain: Chain) -> None:
    schedule = chain.spec.fees
    for limit, used in ((schedule.rate_floor, 0), (schedule.rate_ceiling, 1 << 60)):
        chain.open()
        chain.runtime.fees.rate = limit
        chain.runtime.ctx.weight_used = used
        chain.close()
        assert chain.look().fees.rate == limit


def test_a_risen_rate_raises_the_fee_of_the_next_block(chain: Chain) -> None:
    chain.open()
    low = fee_of(chain, REMARK)
    chain.runtime.ctx.weight_used = chain.spec.params.block_weight_max
    chain.close()
    chain.open()
    before = chain.free(ALICE)
    assert chain.apply(REMARK, ALICE)
    paid = before - chain.free(ALICE)
    assert low < paid == fee_of(chain, REMARK)


def test_every_error_of_the_signer_is_met_here() -> None:
    assert Chain.start().runtime.fees.errors == ()
