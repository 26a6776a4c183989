"""Hot calls: what `ext.dispatch` must know of the modules to run remarks and transfers by itself.

The modules stay the specification. Everything that the compiled run writes (heads of events,
errors, infos, limits) is taken from their declarations here, so that the two cannot drift apart; a
test compares whole blocks.
"""

from typing import Final

from ext import dispatch
from runtime import weights
from runtime.balances import EXISTENTIAL_DEPOSIT, FEE_POT, PROTECTED, TREASURY
from runtime.balances.nouns import (
    DustLost,
    Endowed,
    ExistentialDeposit,
    Expendability,
    InsufficientBalance,
    LiquidityRestrictions,
    ProtectedAccount,
    Transfer,
)
from runtime.fees import TransactionFeePaid
from runtime.frame.call import DispatchClass
from runtime.frame.outcome import FAILED_HEAD, SUCCESS_HEAD, encode_info
from runtime.primitives import REMARK_BYTES_MAX
from runtime.runtime import Runtime
from runtime.system import KilledAccount, NewAccount

HOT_CALLS: Final = (
    ("System", "remark"),
    ("Balances", "transfer_allow_death"),
    ("Balances", "transfer_keep_alive"),
)
"""The calls that are nearly all of a busy block; everything else is fast enough in Python."""


def make_rules(runtime: Runtime) -> dispatch.Rules:
    """Give the rules of this runtime's hot calls."""
    heads = {
        (entry.module_name, entry.info.name): bytes((entry.module_index, entry.info.index))
        for entry in runtime.dispatcher.entries()
    }
    remark, allow_death, keep_alive = (heads[name] for name in HOT_CALLS)
    return dispatch.Rules(
        existential_deposit=EXISTENTIAL_DEPOSIT,
        fee_pot=FEE_POT,
        treasury=TREASURY,
        protected=tuple(PROTECTED),
        remark=remark,
        transfer_allow_death=allow_death,
        transfer_keep_alive=keep_alive,
        extrinsic_weight=weights.EXTRINSIC_BASE,
        remark_weight=weights.REMARK,
        transfer_weight=weights.TRANSFER,
        remark_info=encode_info(weights.REMARK, DispatchClass.NORMAL),
        transfer_info=encode_info(weights.TRANSFER, DispatchClass.NORMAL),
        fee_paid=TransactionFeePaid.head,
        transferred=Transfer.head,
        new_account=NewAccount.head,
        endowed=Endowed.head,
        dust_lost=DustLost.head,
        killed_account=KilledAccount.head,
        success=SUCCESS_HEAD,
        failed=FAILED_HEAD,
        insufficient_balance=InsufficientBalance.encoded,
        liquidity_restrictions=LiquidityRestrictions.encoded,
        existential_deposit_error=ExistentialDeposit.encoded,
        expendability=Expendability.encoded,
        protected_account=ProtectedAccount.encoded,
        remark_length_max=REMARK_BYTES_MAX,
        rate_divisor=weights.MICROSECOND,
    )
