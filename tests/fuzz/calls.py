"""Everybody on one chain: every call of every module, in any order, all invariants each block.

The crowd of the market is there, and beside it people who stake, vote, spend the treasury, grant,
vest, batch and transfer. Most know what they do; some send whatever the types of a call let pass.
Votes are enacted as they would be, after the judge has let them through. Whatever is sent is done,
or refused by a name; nothing of a module may raise anything else, in a call or in a hook.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from ext import hashing, signing
from runtime import executive as executive_module
from runtime.balances import TREASURY
from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.executive import OTHER_ERROR
from runtime.frame.call import DispatchClass
from runtime.frame.dispatch import CallEntry
from runtime.frame.errors import (
    BadOrigin,
    CallError,
    DispatchFault,
    InvalidTransaction,
)
from runtime.frame.origins import Root
from runtime.governance import proposals as proposals_module
from runtime.governance.votes import SplitVote, StandardVote
from runtime.market.datasets.nouns import Answer
from runtime.market.datasets.nouns import Terms as DataTerms
from runtime.market.datasets.possession import has_answered
from runtime.market.datasets.registry import commitment_of
from runtime.market.disputes.nouns import CLOCK, JURY_COMMIT, JURY_REVEAL
from runtime.market.jobs.numbers import (
    BIDDING_BLOCKS,
    OPEN_BLOCKS,
    PART_BLOCKS,
    PAUSE_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
)
from runtime.market.trees import branch_of
from runtime.possession import prove_possession
from runtime.primitives import ZERO_HASH, AccountId
from runtime.session_keys import SessionKeys
from runtime.staking.nouns import STAKED, ValidatorPrefs
from tests.fuzz.wise import Wise
from tests.support import electorate
from tests.support.bazaar import OWNER, SALT
from tests.support.crowd import BACKER, EVERYBODY, Crowd
from tests.support.jobs import GRIST, OTHER, PROVIDERS, REQUESTER
from tests.support.runtime import GENESIS_HASH, person, stranger
from tests.support.verification import LEAVES

PEOPLE = tuple(person(name) for name in ("Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"))
STAKERS = tuple(electorate.named("staker", number) for number in range(6))
VOTERS = (*PEOPLE, *STAKERS)
STOPS = {("System", "schedule_version")}
"""Calls of Root that are not made here: a version that this program has not ends the chain."""


SHORT = (
    BIDDING_BLOCKS, REVEALING_BLOCKS, START_BLOCKS, OPEN_BLOCKS, PART_BLOCKS, PAUSE_BLOCKS,
    CLOCK, JURY_COMMIT, JURY_REVEAL,
)  # fmt: skip
"""Times that are as short as a vote can make them, so that jobs and disputes come to an end."""


class Broken(AssertionError):
    """A call or a hook ended in a way that has no name."""


def _hook_failed(module: int, which: int) -> Any:
    """Stand where a failed hook is told of."""
    raise Broken(f"the hook {'on_finalize' if which else 'on_initialize'} of module {module}")


@contextlib.contextmanager
def nothing_contained() -> Iterator[None]:
    """Let bugs come out where they are, instead of being undone and survived."""
    with (
        mock.patch.object(executive_module, "CONTAINED", ()),
        mock.patch.object(proposals_module, "CONTAINED", ()),
        mock.patch.object(executive_module, "HookFailed", _hook_failed),
    ):
        yield


class Everybody(Crowd):
    """All of them, at random by a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        runtime = self.fair.runtime
        self.entries_all = [
            entry
            for entry in runtime.dispatcher.entries()
            if entry.dispatch_class is not DispatchClass.MANDATORY
        ]
        words = [*EVERYBODY, OTHER.id, *VOTERS, TREASURY, stranger(1), stranger(2), bytes(32)]
        self.senders = [*EVERYBODY, OTHER.id, *VOTERS, stranger(1)]
        self.wise = Wise(self.random, words, self.entries_all, runtime)
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.commits: dict[bytes, AccountId] = {}
        self.offences: list[tuple[int, AccountId]] = []
        self.owners = {
            "Budgets": (OTHER.id,),
            "Credits": (OTHER.id, REQUESTER.id),
            "Datasets": (OWNER.id, BACKER.id),
            "Providers": tuple(one.id for one in PROVIDERS),
            "Verification": PEOPLE,
            "Oracle": PEOPLE,
        }
        self.fair._show_leaves = self._show_leaves  # type: ignore[method-assign]  # may be frozen
        chain = self.fair.chain
        self._context, chain.context = chain.context, self._weather  # type: ignore[method-assign]  # to be absent, and to offend
        self.asleep = -1
        for number in SHORT:
            number.begin(runtime.ctx, number.low)
        for who in STAKERS:
            electorate.endow(runtime, who, 60_000)
        for who in PEOPLE:
            electorate.endow(runtime, who, 50_000)

    def _ways(self) -> Iterator[tuple[int, Callable[[], None]]]:
        yield from super()._ways()
        yield 14, self.stake
        yield 4, self.register_keys
        yield 7, self.propose
        yield 12, self.vote
        yield 10, self.enact
        yield 6, self.spend
        yield 5, self.vest
        yield 6, self.pay
        yield 5, self.batch
        yield 40, self.send_wise
        yield 4, self.sell_data
        yield 3, self.keep_budget

    def _show_leaves(self) -> None:
        """The owner of the data shows what is drawn of it, unless a vote has frozen the money."""
        dataset, challenge = self.fair.data.datasets.find(0), self.fair.data.find_challenge(0)
        if dataset is None or challenge is None:
            return
        if challenge.era is None or not has_answered(dataset, challenge.era):
            drawn = (Answer(LEAVES[n], branch_of(LEAVES, n).path) for n in challenge.indices)
            self.call(OWNER.id, "Datasets", "prove", 0, tuple(drawn))

    # Outcomes

    def call(self, who: AccountId, module: str, name: str, *arguments: Any) -> bool:
        """A call of the market, counted like all."""
        self.sent += 1
        is_done = super().call(who, module, name, *arguments)
        self.calls[f"{module}.{name}{' done' if is_done else ''}"] += 1
        return is_done

    def send(self, who: AccountId, data: bytes) -> bool | None:
        """Send a call, with or without a fee; None when it is no call at all."""
        chain = self.fair.chain
        try:
            call = chain.executive.decode_call(data)
        except InvalidTransaction:
            return None
        self.sent += 1
        if self.random.random() < 0.3:
            try:
                chain.apply(data, who)
            except InvalidTransaction:
                return None
            outcome = chain.executive.last_error
        else:
            outcome = chain.executive.run_call(call, who)
            self.fair.runtime.ctx.waiver = 255
        self._judge(call.entry, outcome)
        return not outcome

    def _judge(self, entry: CallEntry, outcome: bytes) -> None:
        name = f"{entry.module_name}.{entry.info.name}"
        refusals = (DispatchFault.MODULE, DispatchFault.BAD_ORIGIN)
        if outcome and outcome[0] not in refusals:
            kind = "a bug" if outcome == OTHER_ERROR else outcome.hex()
            raise Broken(f"{name} ends in {kind}")
        self.calls[f"{name}{'' if outcome else ' done'}"] += 1

    def try_call(self, who: AccountId, module: str, name: str, *arguments: Any) -> bool | None:
        return self.send(who, self.fair.chain.call(module, name, *arguments))

    # Staking

    def stake(self) -> None:
        random, staking = self.random, self.fair.runtime.staking
        who = random.choice((*STAKERS, *PEOPLE))
        ledger = staking.ledger_of(who)
        if ledger is None:
            self.try_call(who, "Staking", "bond", random.randrange(5, 40_000) * GRIST, STAKED)
            return
        standing = sorted(v for v, _ in staking.validators.items())
        part = random.choice((ledger.active, ledger.active // 2, ledger.total // 3, 7 * GRIST))
        some = tuple(random.sample(standing, min(len(standing), random.randrange(1, 5))))
        prefs = ValidatorPrefs(random.choice((0, 10**8, 10**9)), blocked=random.random() < 0.1)
        payee = random.choice((STAKED, ("Stash", None), ("Account", random.choice(VOTERS))))
        name, *arguments = random.choice(
            (
                ("bond_extra", 100 * GRIST),
                ("unbond", part),
                ("rebond", part),
                ("withdraw_unbonded", 0),
                ("withdraw_unbonded", 0),
                ("nominate", some),
                ("nominate", some),
                ("validate", prefs),
                ("validate", prefs),
                ("chill",),
                ("set_payee", payee),
                ("kick", (random.choice(STAKERS),)),
                ("unjail",),
            )
        )
        self.try_call(who, "Staking", name, *arguments)

    def register_keys(self) -> None:
        """Name keys with the proof that they are held, or give them back."""
        who = self.random.choice((*STAKERS, *PEOPLE))
        if self.random.random() < 0.1:
            self.try_call(who, "Session", "purge_keys")
            return
        seeds = [hashing.blake2b_256(tag + who + self._salt()) for tag in (b"c", b"v")]
        keys = SessionKeys(*(signing.public_key(seed) for seed in seeds))
        proof = prove_possession(
            genesis_hash=GENESIS_HASH, account=who, consensus_seed=seeds[0], vrf_seed=seeds[1]
        )
        self.try_call(who, "Session", "set_keys", keys, proof)

    def _salt(self) -> bytes:
        return bytes((self.random.randrange(3),))

    # Votes

    def _root_calls(self) -> list[CallEntry]:
        return [
            entry
            for entry in self.entries_all
            if entry.origin is Root and (entry.module_name, entry.info.name) not in STOPS
        ]

    def _proposal(self) -> bytes | None:
        """A call of Root that a judge lets through."""
        proposals = self.fair.runtime.referenda.proposals
        for _ in range(6):
            data = self._vote_call()
            try:
                proposals.judge(data)
            except (CallError, BadOrigin):
                continue
            return data
        return None

    def _vote_call(self) -> bytes:
        random, chain = self.random, self.fair.chain
        if random.random() < 0.5:
            return self.wise.call(random.choice(self._root_calls()))
        who, other = random.choice(VOTERS), random.choice(VOTERS)
        amount = random.choice((GRIST, 20 * GRIST, 150 * GRIST))
        declared = self.fair.runtime.parameters.declared
        name = self.wise.parameter()
        bounds = declared[name].parameter
        value = random.choice((bounds.low, bounds.high, bounds.default, bounds.low + 1))
        choices: tuple[tuple[Any, ...], ...] = (
            ("Treasury", "spend", amount, who),
            ("Treasury", "grant", who, other, (amount, amount // 2)),
            ("Treasury", "stream", who, amount, random.randrange(1, 9)),
            ("Treasury", "envelope", who, amount),
            ("Treasury", "stop", random.randrange(12), random.random() < 0.5),
            ("Parameters", "set", name, value),
            ("Slashing", "cancel_deferred_slash", random.randrange(4), b"why not"),
            ("Safety", "unfreeze", random.choice(self.fair.runtime.modules).index),
        )
        module, call, *arguments = random.choice(choices)
        return chain.call(module, call, *arguments)

    def propose(self) -> None:
        random = self.random
        data = self._proposal()
        if data is None or len(data) > 100:
            return
        moment = random.choice((("After", 0), ("After", 3), ("At", self.fair.height + 30)))
        self.try_call(random.choice(VOTERS), "Referenda", "submit", ("Inline", data), moment)

    def vote(self) -> None:
        random = self.random
        count = self.fair.runtime.referenda.referendum_count
        poll, any_poll = max(count - random.randrange(1, 6), 0), random.randrange(count + 1)
        who, balance = random.choice(VOTERS), random.choice((GRIST, 5_000 * GRIST, 40_000 * GRIST))
        side = random.choice((0x80, 0x80, 0)) | random.choice((0, 1, 1, 3, 6))
        votes = (
            ("Standard", StandardVote(side, balance)),
            ("Standard", StandardVote(side, balance)),
            ("Split", SplitVote(balance, balance // 2)),
        )
        module, name, *arguments = random.choice(
            (
                ("Referenda", "place_decision_deposit", poll),
                ("Referenda", "place_decision_deposit", poll),
                ("Referenda", "refund_decision_deposit", any_poll),
                ("Referenda", "refund_submission_deposit", any_poll),
                ("Referenda", "nudge_referendum", poll),
                *[("ConvictionVoting", "vote", poll, random.choice(votes))] * 6,
                ("ConvictionVoting", "remove_vote", any_poll),
                ("ConvictionVoting", "delegate", 0, random.choice(VOTERS), 1, balance),
                ("ConvictionVoting", "undelegate", 0),
                ("ConvictionVoting", "unlock", 0, random.choice(VOTERS)),
                ("ConvictionVoting", "lock", balance),
            )
        )
        self.try_call(who, module, name, *arguments)

    def enact(self) -> None:
        """Enact what a vote could have decided."""
        data = self._proposal()
        if data is None:
            return
        self.sent += 1
        entry = self.fair.chain.executive.decode_call(data).entry
        outcome = self.fair.runtime.referenda.proposals.run(data, hashing.blake2b_256(data))
        self._judge(entry, outcome)

    # Money

    def spend(self) -> None:
        """Curators release what was granted."""
        random, number = self.random, self.random.randrange(12)
        who = random.choice(VOTERS)
        treasury = self.fair.runtime.treasury
        found = treasury.grants.find(number) or treasury.envelopes.find(number)
        if found is not None and random.random() < 0.8:
            who = found.curator
        name, *arguments = random.choice(
            (
                ("accept_curator", number),
                ("release_milestone", number),
                ("grant_bounty", number, bytes(32), random.choice(VOTERS), GRIST),
            )
        )
        self.try_call(who, "Treasury", name, *arguments)

    def vest(self) -> None:
        random = self.random
        who, other, number = random.choice(VOTERS), random.choice(VOTERS), random.randrange(20)
        height = self.fair.height
        terms = random.choice(((height, 0, 20, 4), (1, 4, 8, 4), (height + 5, 10, 10, 10)))
        revoker = random.choice((None, who))
        offer = self.fair.runtime.vesting.offers.find(number)
        name, *arguments = random.choice(
            (
                ("vest",),
                ("vest_other", other),
                ("offer", other, random.choice((GRIST, 50 * GRIST)), *terms, revoker),
                ("offer", other, 7 * GRIST, *terms, revoker),
                ("accept", number),
                ("accept", number),
                ("decline", number),
                ("withdraw_offer", number),
                ("revoke", other, number),
                ("collect", other, number),
            )
        )
        if offer is not None and random.random() < 0.8:
            who = {"accept": offer.target, "decline": offer.target}.get(name, offer.granter)
        self.try_call(who, "Vesting", name, *arguments)

    def pay(self) -> None:
        random = self.random
        who, other, amount = (
            random.choice(VOTERS),
            random.choice(self.wise.words),
            self.wise.amount(),
        )
        name, *arguments = random.choice(
            (
                ("transfer_allow_death", other, amount),
                ("transfer_keep_alive", other, amount),
                ("transfer_all", other, True),
                ("burn", min(amount, GRIST), True),
            )
        )
        self.try_call(who, "Balances", name, *arguments)

    def batch(self) -> None:
        """Batches of calls that know what they do, in batches."""
        random, chain = self.random, self.fair.chain
        calls = [self.wise.call(random.choice(self.entries_all)) for _ in range(3)]
        calls.append(chain.call("Balances", "transfer_keep_alive", random.choice(VOTERS), GRIST))
        for _ in range(random.choice((1, 1, 2, 3, 4))):
            random.shuffle(calls)
            calls = [chain.call("Utility", random.choice(("batch", "batch_all")), calls)]
        self.send(random.choice(self.senders), calls[0])

    def send_wise(self) -> None:
        """Calls of every kind as often, by whom they may concern."""
        for _ in range(3):
            entry = self.random.choice(self.entries_all)
            whose = self.owners.get(entry.module_name, VOTERS)
            near = self.random.random() < 0.6
            who = self.random.choice(whose if near else self.senders)
            self.send(who, self.wise.call(entry))

    # Others of the market

    def sell_data(self) -> None:
        """Commit to data, reveal it, and do with it what owners do."""
        random = self.random
        who, number = random.choice((OWNER.id, BACKER.id)), random.randrange(4)
        root = random.choice(self.wise.words)
        if self.commits and random.random() < 0.4:
            root, who = random.choice(list(self.commits.items()))
            terms = DataTerms(1_024 * random.choice((1, 6, 32)), ZERO_HASH, GRIST, (), ())
            self.try_call(who, "Datasets", "reveal", root, SALT, terms, 500 * GRIST)
            return
        commitment = commitment_of(root, who, SALT)
        name, *arguments = random.choice(
            (
                ("commit", commitment),
                ("commit", commitment),
                ("drop_commit", commitment),
                ("set_price", number, 2 * GRIST),
                ("add_bond", number, 10 * GRIST),
                ("offer_owner", number, random.choice((OWNER.id, BACKER.id))),
                ("accept_owner", number),
                ("challenge", number, number + 1),
                ("report_miss", number, self.fair.height // 8),
                ("withdraw_bond", number),
            )
        )
        if self.try_call(who, "Datasets", name, *arguments) and name == "commit":
            self.commits[root] = who

    def keep_budget(self) -> None:
        """The owner of an organisation lets others spend, and hands it on and back."""
        random = self.random
        who, other = random.choice((OTHER.id, BACKER.id)), random.choice((BACKER.id, OTHER.id))
        number = random.randrange(3)
        name, *arguments = random.choice(
            (
                ("create", "other lab"),
                ("set_member", number, other, GRIST, 10 * GRIST),
                ("remove_member", number, BACKER.id),
                ("withdraw", number, GRIST),
                ("set_owner", number, other),
                ("close", number),
            )
        )
        self.try_call(who, "Budgets", name, *arguments)

    # Blocks

    def _weather(self, **changes: Any) -> Any:
        """The next block: some are absent, and now and then one is proved to have voted twice."""
        block, random = self._context(), self.random
        if random.random() < 0.05:
            self.asleep = random.choice((-1, -1, *range(len(block.last_commit))))
        absent = tuple(
            place != self.asleep and random.random() < 0.97
            for place, _ in enumerate(block.last_commit)
        )
        changes = {"last_commit": absent, **changes}
        if random.random() < 0.01 and block.height > 4:
            session, at = self.fair.chain.look().session, block.height - 1
            members = {one.account: one.power for one in session.current_set}
            who = random.choice(sorted(members))
            if (at, who) not in self.offences:
                self.offences.append((at, who))
                changes["misbehaviour"] = (
                    Misbehaviour(
                        kind=MisbehaviourKind.DUPLICATE_VOTE,
                        account=who,
                        height=at,
                        time_ms=self.fair.chain.spec.time_ms + at * 1_000,
                        power=members[who],
                        total_power=sum(members.values()),
                        evidence_hash=bytes(32),
                    ),
                )
        return self._context(**changes)


def run_history(seed: int, calls: int) -> Everybody:
    """Go on until so many calls were sent; raises AssertionError naming the seed."""
    everybody = Everybody(seed)
    with nothing_contained():
        try:
            while everybody.sent < calls:
                everybody.step()
        except Exception as error:
            height = everybody.fair.height
            raise AssertionError(f"calls, seed {seed}, height {height}: {error!r}") from error
    return everybody
