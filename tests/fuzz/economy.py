"""A search for profit: strategies of a coalition, at random and then uphill.

The coalition owns a provider, a requester, a delegator and a staker in a market where others have
put money down: behind providers, on data, into the insurance and the treasury. A strategy is a list
of calls and of blocks that pass; its worth is what the coalition owns in the end beyond what it
began with. Nobody pays it for work and nothing is minted for it, so whatever it gains above one
grain a call (for what is rounded) it takes from somebody by a rule that is wrong.

Bounties and forfeits that others pay because they did wrong are not counted: that is honest pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from ext import hashing, store
from runtime.balances import INSURANCE, TREASURY, MoveCause
from runtime.executive import Executive
from runtime.frame.call import DispatchClass
from runtime.frame.errors import InvalidTransaction
from runtime.frame.origins import Signed
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import Verification
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.market.terms import audit_draws, cheat_report
from runtime.staking.nouns import STAKED
from tests.fuzz.wise import Wise
from tests.support import electorate
from tests.support.bazaar import Bazaar
from tests.support.jobs import CPU, GRIST, PROVIDERS, Key, key, spec_of
from tests.support.runtime import Chain
from tests.support.runtime import spec_of as chain_spec

COALITION = tuple(key(f"coalition {number}") for number in range(4))
MEMBERS = tuple(one.id for one in COALITION)
BYSTANDER = key("bystander")
BLOCKS_MAX = 40
BEST_MAX = 12
HONEST_PAY = (MoveCause.BOUNTY, MoveCause.REPORT, MoveCause.FORFEIT)

Op = tuple[str, int, bytes]
"""("call", member, bytes of the call), ("blocks", count, b"") or ("wash", price, b"")."""


@dataclass
class Base:
    """The world before any strategy: everything that a chain begins a strategy from."""

    entries: tuple[tuple[bytes, bytes], ...]
    height: int
    parent_hash: bytes


@cache
def base() -> Base:
    """A market with money in it, once."""
    fair = Bazaar(providers=3, verifiers=3)
    runtime = fair.runtime
    electorate.raise_limits(runtime, era_reward=0)
    for who, amount in ((BYSTANDER.id, 200_000), *((member, 50_000) for member in MEMBERS)):
        fair.mint(who, amount * GRIST)
    fair.mint(TREASURY, 10_000 * GRIST)
    fair.mint(INSURANCE, 10_000 * GRIST)
    for one in PROVIDERS[:3]:
        fair.done(BYSTANDER, "Providers", "delegate", one.id, 5_000 * GRIST)
    fair.done(BYSTANDER, "Datasets", "signal", 0, 500 * GRIST)
    own = COALITION[0]
    terms = Terms((ClassCapacity(CPU, 50),), b"here", hashing.blake2b_256(own.seed), own.id, 0)
    fair.done(own, "Providers", "register", terms, None)
    fair.done(own, "Providers", "deposit_security", 20_000 * GRIST)
    fair.next(3)
    fair.chain.close()
    chain = fair.chain
    return Base(tuple(chain.state.entries()), chain.height, chain.parent_hash)


class Attempt:
    """One strategy on a copy of the world."""

    def __init__(self) -> None:
        start = base()
        self.chain = Chain(
            store.State.from_entries(start.entries),
            _executive(),
            chain_spec("test"),
            start.height,
            start.parent_hash,
        )
        self.chain.open()
        self.postings: list[Any] = []
        self.chain.runtime.ctx.journal = self.postings
        self.before = self.worth()
        self.ops = 0
        self.done = 0

    def worth(self) -> int:
        """What the coalition owns: free, held, and shares of others' pools."""
        runtime, total = self.chain.runtime, 0
        for who in MEMBERS:
            record = runtime.ctx.state.account(who)
            total += record[4] + record[5] if record else 0
        delegations = runtime.market.providers.delegations
        owners = [place for place, _ in delegations.items() if place[1] in MEMBERS]
        total += sum(runtime.market.providers.backing(*place) for place in owners)
        return total

    def run(self, strategy: Sequence[Op]) -> int:
        """Give the gain beyond a grain an operation; positive is a find."""
        for kind, number, data in strategy:
            self.ops += 1
            if kind == "call":
                self.call(MEMBERS[number], data)
            elif kind == "blocks":
                self.blocks(number)
            else:
                self.wash(number)
        gain = self.worth() - self.before - self.honest_pay()
        self.chain.runtime.ctx.journal = None
        return gain - self.ops

    def honest_pay(self) -> int:
        """What others paid the coalition because they did wrong."""
        return sum(
            one.amount
            for one in self.postings
            if one.target in MEMBERS
            and one.source not in MEMBERS
            and type(one.cause) is MoveCause
            and one.cause in HONEST_PAY
        )

    def call(self, who: bytes, data: bytes) -> bool:
        executive = self.chain.executive
        try:
            call = executive.decode_call(data)
        except InvalidTransaction:
            return False
        outcome = executive.run_call(call, who)
        executive.ctx.waiver = 255
        self.done += not outcome
        return not outcome

    def blocks(self, count: int) -> None:
        chain = self.chain
        for _ in range(count):
            root = chain.executive.finalize_block().state_root
            chain.state.commit(chain.overlay)
            chain.height += 1
            chain.parent_hash = hashing.blake2b_256(chain.parent_hash + root)
            chain.open()

    def wash(self, price: int) -> None:
        """Buy from itself: submit, offer, start, complete, accept."""
        jobs, provider, requester = self.chain.runtime.market.jobs, COALITION[0], COALITION[1]
        number = jobs.job_count
        spec = spec_of(max_price=price)
        encode = self.chain.call
        self.call(provider.id, encode("Providers", "set_offer", CPU, max(price // 1_100, 1)))
        if not self.call(requester.id, encode("Jobs", "submit", spec, provider.id, None, None)):
            return
        if (job := jobs.find(number)) is None or job.provider != provider.id:
            return
        self._finish(number, provider, requester)

    def _finish(self, number: int, provider: Key, requester: Key) -> None:
        jobs, encode = self.chain.runtime.market.jobs, self.chain.call
        job = jobs.jobs[number]
        state = bytes(32)
        receipt = JobReceipt(
            self.chain.runtime.ctx.block.genesis_hash, number, job.attempt, 0, bytes(32), state,
            state, 0, bytes(32),
        )  # fmt: skip
        self.call(provider.id, encode("Jobs", "start", number, receipt, requester.sign(receipt)))
        self.call(provider.id, encode("Jobs", "complete", number, bytes(32), b"s" * 32, 1_000))
        self.call(requester.id, encode("Jobs", "accept", number))


@cache
def _executive() -> Executive:
    return Executive()


class Search:
    """Strategies by a seed: some at random, then those that gained most, changed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"economy {seed}")
        self.best: list[tuple[int, int, list[Op]]] = []
        self.tried = 0
        self.ops = 0
        self.done = 0
        self.finds: list[tuple[int, list[Op]]] = []
        attempt = Attempt()
        runtime = attempt.chain.runtime
        entries = [
            entry
            for entry in runtime.dispatcher.entries()
            if entry.dispatch_class is not DispatchClass.MANDATORY and entry.origin is Signed
        ]
        outsiders = (BYSTANDER.id, *(one.id for one in PROVIDERS[:3]), TREASURY)
        words = [*MEMBERS, *MEMBERS, *outsiders, bytes(32)]
        self.entries = entries
        self.encode = attempt.chain.call
        self.market = [e for e in entries if e.module_name in MONEY]
        self.wise = Wise(self.random, words, entries, runtime)

    def run(self, count: int) -> None:
        """Try so many strategies."""
        for _ in range(count):
            strategy = self._climb() if self.best and self.random.random() < 0.6 else self._draw()
            attempt = Attempt()
            gain = attempt.run(strategy)
            self.tried += 1
            self.ops += attempt.ops
            self.done += attempt.done
            if gain > 0:
                self.finds.append((gain, strategy))
            self._remember(gain + attempt.ops, attempt.done, strategy)

    def _remember(self, gain: int, done: int, strategy: list[Op]) -> None:
        """Keep what gained most, and of equals what did most: it is nearer to something."""
        known = [*self.best, (gain, done, strategy)]
        self.best = sorted(known, key=lambda one: (-one[0], -one[1]))[:BEST_MAX]

    def _op(self) -> Op:
        random = self.random
        choice = random.random()
        if choice < 0.12:
            return "blocks", random.choice((1, 1, 2, 8, 9, 17)), b""
        if choice < 0.17:
            return "wash", random.choice((GRIST, 100 * GRIST, 3_000 * GRIST)), b""
        if choice < 0.6:
            return "call", random.randrange(len(MEMBERS)), self._known()
        entry = random.choice(self.market if random.random() < 0.8 else self.entries)
        return "call", random.randrange(len(MEMBERS)), self.wise.call(entry)

    def _known(self) -> bytes:
        """A call that somebody makes who knows the market."""
        random, encode = self.random, self.encode
        honest, member = random.choice(PROVIDERS[:3]).id, random.choice(MEMBERS)
        amount = random.choice((GRIST, 10 * GRIST, 999 * GRIST + 1, 5_000 * GRIST))
        behind, number = random.choice((honest, MEMBERS[0])), random.randrange(3)
        shares = random.choice((1, 10**6, amount * 500_000, amount * 10**6))
        choices: tuple[tuple[Any, ...], ...] = (
            ("Providers", "delegate", behind, amount),
            ("Providers", "delegate", behind, amount),
            ("Providers", "undelegate", behind, shares),
            ("Providers", "withdraw_delegated", behind),
            ("Providers", "deposit_security", amount),
            ("Providers", "unbond_security", amount),
            ("Providers", "withdraw_security"),
            ("Providers", "claim_deposit", behind),
            ("Providers", "sponsor", behind),
            ("Datasets", "signal", 0, amount),
            ("Datasets", "unsignal", 0, amount),
            ("Datasets", "free_signal", 0, member),
            ("Datasets", "claim_fees", 0),
            ("Datasets", "bond", amount),
            ("Datasets", "attest", 0, bytes(32)),
            ("Staking", "bond", amount, STAKED),
            ("Staking", "bond_extra", amount),
            ("Staking", "unbond", amount),
            ("Staking", "rebond", amount),
            ("Staking", "withdraw_unbonded", 0),
            ("Credits", "buy", amount),
            ("Jobs", "cancel", number),
            ("Disputes", "challenge", number, 0),
            ("Disputes", "abandon", number),
            ("Vesting", "offer", member, amount, 1, 0, 16, 4, random.choice((None, member))),
            ("Vesting", "accept", number),
            ("Vesting", "revoke", member, number),
            ("Vesting", "withdraw_offer", number),
            ("Referenda", "refund_submission_deposit", number),
            ("Balances", "transfer_allow_death", member, amount),
        )
        module, name, *arguments = random.choice(choices)
        return encode(module, name, *arguments)

    def _draw(self) -> list[Op]:
        strategy = [self._op() for _ in range(self.random.randrange(4, 24))]
        return self._shorten(strategy)

    def _climb(self) -> list[Op]:
        strategy = list(self.random.choice(self.best)[2])
        for _ in range(self.random.choice((1, 1, 2, 4))):
            place = self.random.randrange(len(strategy) + 1)
            way = self.random.randrange(4)
            if way == 0 and len(strategy) > 2:
                del strategy[place - 1]
            elif way == 1 and strategy:
                strategy[place - 1] = self._op()
            elif way == 2 and strategy:
                strategy.insert(place, self.random.choice(strategy))
            else:
                strategy.insert(place, self._op())
        return self._shorten(strategy)

    def _shorten(self, strategy: list[Op]) -> list[Op]:
        """Let no more blocks pass than there is time for."""
        left, kept = BLOCKS_MAX, []
        for op in strategy[:40]:
            if op[0] == "blocks":
                if op[1] > left:
                    continue
                left -= op[1]
            kept.append(op)
        return kept


MONEY = ("Providers", "Datasets", "Credits", "Budgets", "Staking", "Disputes", "Jobs", "Vesting",
         "Verification", "Referenda", "ConvictionVoting", "Balances", "Oracle")  # fmt: skip
"""Modules that hold money of others."""


def cheating_grid() -> tuple[int, list[str]]:
    """Judge the best cheat for every price, bond and plan; gives how many, and those that pay.

    A bond is two to three prices, half of it at least the provider's own. Audits draw as many
    checkpoints as the chain draws; replicas are compared in full. What only its requester looks at
    is not here: there `needed` says how often it has to look.
    """
    count, paying = 0, []
    prices = [10**e * m for e in range(6, 16) for m in (1, 3, 9)]
    shares = (100, 101, 110, 125, 150, 200, 300)
    for price in prices:
        for percent in shares:
            own = price * percent // 100
            for checkpoints in (1, 2, 3, 8, 32, 100, 256, 1_000, 4_096):
                for way, replicas in WAYS:
                    if way is Verification.AUDIT and audit_draws(price, own) > checkpoints:
                        continue
                    count += 1
                    report = cheat_report(
                        way, price, own, bond=own, checkpoints=checkpoints, replicas=replicas
                    )
                    if not report.loses:
                        paying.append(
                            f"{way.name} {replicas}: P {price}, own {own}, m {checkpoints}"
                        )
    return count, paying


WAYS = (
    (Verification.AUDIT, 1),
    (Verification.REPLICATION, 2),
    (Verification.REPLICATION, 3),
    (Verification.REPLICATION, 5),
)
