"""A bazaar: every module of the market as it is wired, data on it, verifiers, and its books.

Nothing is faked: datasets answer their challenges, audits are drawn by the beacon, disputes are
fought to the last step. Every posting is kept, so that who got what for which cause can be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

from chain.market.training import Fraud, FraudKind, Trace
from runtime.balances import Posting
from runtime.frame.errors import CallError
from runtime.market.datasets.nouns import Answer, DatasetState
from runtime.market.datasets.nouns import Terms as DataTerms
from runtime.market.datasets.possession import has_answered
from runtime.market.datasets.registry import commitment_of
from runtime.market.disputes.nouns import MOVE, DisputeStage, StateAnswer
from runtime.market.nouns import JobSpec, Verification
from runtime.market.trainer import PROGRAM, TrainerParams
from runtime.market.trees import branch_of, tree_root
from runtime.market.verification.numbers import COMMIT_BLOCKS, REVEAL_BLOCKS
from runtime.market.verification.records import (
    Audit,
    AuditAnswer,
    AuditPhase,
    SaltedAnswer,
    audit_commitment,
)
from runtime.primitives import ZERO_HASH, AccountId
from tests.support.emission import public_table, rules_of
from tests.support.jobs import GRIST, Key, Market, key, spec_of
from tests.support.runtime import assert_refused, person
from tests.support.verification import LEAVES, PARAMS, PLAN, Attempt, cheated, honest, salt_of

OWNER = key("owner of data")
PANEL = tuple(person(name) for name in ("Alice", "Bob", "Charlie", "Dave"))
PRICE = 500 * GRIST
VERIFIER_BOND = 5_000 * GRIST
DATA_PRICE = 10 * GRIST
SKIPPED = Fraud(FraudKind.SKIP_WORK, 0)
SALT = bytes(32)


def trained(**changes: Any) -> JobSpec:
    """A job of the reference trainer on the bazaar's data, audited."""
    fields = {
        "program": PROGRAM,
        "params": TrainerParams.wire.encode(PARAMS),
        "verification": Verification.AUDIT,
        "datasets": (0,),
        "max_price": PRICE,
    }
    return spec_of(**{**fields, **changes})


class Bazaar(Market):
    """A chain with all of the market; every block is checked against all invariants."""

    def __init__(
        self,
        *,
        providers: int = 3,
        verifiers: int = 3,
        owner: Key = OWNER,
        is_emitting: bool = False,
    ) -> None:
        super().__init__(providers=providers, is_judged=True)
        market = self.market = self.runtime.market
        self.checks, self.disputes = market.verification, market.disputes
        self.data = market.datasets
        self.jobs.near = replace(self.jobs.near, datasets=self.data)
        market.settlement.datasets = market.rewards.datasets = self.data
        self.jobs.watchers.remove(self.watch)
        self.owner = owner
        self.postings: list[Posting] = []
        self.runtime.ctx.journal = self.postings
        for parameter in (COMMIT_BLOCKS, REVEAL_BLOCKS, MOVE):
            parameter.begin(self.runtime.ctx, parameter.low)
        if is_emitting:
            rules = rules_of(public_table(), issued=6_000_000 * GRIST)
            self.runtime.emission.genesis(rules=rules)
        for who in PANEL[:verifiers]:
            self.act(who, "Verification", "join", VERIFIER_BOND)
        self._sell_data()

    def _sell_data(self) -> None:
        """Register the data, and answer its first challenge."""
        who, root = self.owner, tree_root(LEAVES)
        self.mint(who.id, 10_000 * GRIST)
        self.done(who, "Datasets", "commit", commitment_of(root, who.id, SALT))
        self.next(10)
        terms = DataTerms(1_024 * len(LEAVES), ZERO_HASH, DATA_PRICE, (), ())
        self.done(who, "Datasets", "reveal", root, SALT, terms, 500 * GRIST)
        while self.data.datasets[0].state is not DatasetState.ACTIVE:
            self.next()

    # Time and calls

    def next(self, count: int = 1) -> None:
        """Make blocks; whoever has the data shows what is drawn of it."""
        for _ in range(count):
            super().next()
            self._show_leaves()

    def _show_leaves(self) -> None:
        dataset = self.data.datasets.find(0)
        challenge = None if dataset is None else self.data.find_challenge(0)
        if dataset is None or challenge is None:
            return
        if challenge.era is None or not has_answered(dataset, challenge.era):
            drawn = tuple(Answer(LEAVES[n], branch_of(LEAVES, n).path) for n in challenge.indices)
            self.done(self.owner, "Datasets", "prove", 0, drawn)

    def attempt(self, who: AccountId, module: str, name: str, *arguments: Any) -> bytes:
        """Run a call of an account; gives the encoded error, empty when it was done."""
        call = self.chain.executive.decode_call(self.chain.call(module, name, *arguments))
        outcome = self.chain.executive.run_call(call, who)
        self.runtime.ctx.waiver = 255
        return outcome

    def run(self, who: Key, module: str, name: str, *arguments: Any) -> bytes:
        return self.attempt(who.id, module, name, *arguments)

    def act(self, who: AccountId, module: str, name: str, *arguments: Any) -> None:
        outcome = self.attempt(who, module, name, *arguments)
        assert outcome == b"", f"{module}.{name}: {outcome.hex()}"

    def barred(self, error: type[CallError], who: Key, module: str, *call: Any) -> None:
        """A call of any module is refused by this error, and changes nothing."""
        assert_refused(self.chain, self.chain.call(module, *call), error, who.id)

    # Books

    def owned(self, who: AccountId) -> int:
        """All the money of an account, held or not."""
        record = self.runtime.ctx.state.account(who)
        return record[4] + record[5] if record else 0

    def posted(self, *causes: IntEnum, source: AccountId | None = None) -> int:
        """Everything that moved, was minted or was burned for these causes, from an account."""
        chosen = [
            entry
            for entry in self.postings
            if any(type(entry.cause) is type(cause) and entry.cause == cause for cause in causes)
        ]
        return sum(one.amount for one in chosen if source is None or one.source == source)

    # Work

    def take(self, id_: int, who: Key, price: int) -> None:
        """Let a provider have a job of a thousand units at a price, and start it."""
        units = self.jobs.spec(id_).units
        self.done(who, "Providers", "set_offer", self.jobs.spec(id_).class_id, price // units)
        buyer = next(one for one in self.keys() if one.id == self.job(id_).requester)
        self.done(buyer, "Jobs", "take_offer", id_, who.id)
        receipt = self.first_receipt(id_)
        self.done(who, "Jobs", "start", id_, receipt, buyer.sign(receipt))

    def keys(self) -> Sequence[Key]:
        """Everybody who may ask for work."""
        return (key("requester"), key("other"), *(key(f"provider {n}") for n in range(4)), OWNER)

    def post_result(self, id_: int, who: Key, trace: Trace) -> Attempt:
        """Let a provider say that it has trained this."""
        made = Attempt.of(trace, who.id)
        result = made.result()
        self.done(who, "Jobs", "complete", id_, result.commitments, result.final_state, 1_000)
        return made

    def trained_job(self, trace: Trace, who: Key, **changes: Any) -> tuple[int, Attempt]:
        """A job of the requester that a provider has posted the result of."""
        id_ = self.submit(trained(**changes))
        self.take(id_, who, PRICE)
        return id_, self.post_result(id_, who, trace)

    # Audits

    def audit(self, id_: int) -> Audit:
        audit: Audit = self.checks.audits[id_]
        return audit

    def wait_for_panel(self, id_: int) -> tuple[AccountId, ...]:
        """Go on until a panel is drawn, and give it."""
        while self.audit(id_).phase is AuditPhase.WAITING:
            self.next()
        return tuple(seat.who for seat in self.audit(id_).seats)

    def hear(self, id_: int, made: Attempt, said: Mapping[AccountId, Trace | None]) -> None:
        """A panel and the provider say what they have; a trace of None is silence."""
        audit = self.audit(id_)
        draws = audit.draws
        answers: dict[AccountId, list[AuditAnswer]] = {}
        for seat in audit.seats:
            trace = said.get(seat.who, honest())
            if trace is not None:
                answers[seat.who] = [
                    AuditAnswer(trace.state_before(c * PLAN.steps_each), trace.run_of(c).root)
                    for c in draws
                ]
        for who, given in answers.items():
            sealed = tuple(
                audit_commitment(id_, c, who, a.start, a.trace_root, salt_of(who, c))
                for c, a in zip(draws, given, strict=True)
            )
            self.act(who, "Verification", "commit", id_, sealed)
        while self.audit(id_).phase is AuditPhase.COMMITTING:
            self.next()
        disclosed = tuple(made.disclosure(c) for c in draws)
        self.act(self.job(id_).provider, "Verification", "disclose", id_, disclosed)
        for who, given in answers.items():
            opened = tuple(
                SaltedAnswer(a.start, a.trace_root, salt_of(who, c))
                for c, a in zip(draws, given, strict=True)
            )
            self.act(who, "Verification", "reveal", id_, opened)
        found = self.checks.audits.find(id_)
        if found is not None and found.round == audit.round:
            self.until(found.due)

    # Disputes

    def challenge(self, who: Key, id_: int, checkpoint: int = PLAN.checkpoints - 1) -> int:
        number: int = self.disputes.dispute_count
        self.done(who, "Disputes", "challenge", id_, checkpoint)
        return number

    def move(self, number: int, made: Attempt, who: Key, *, is_sham: bool = False) -> None:
        """Make the next move of a dispute; a sham agrees to nothing."""
        dispute, true = self.disputes.disputes[number], honest()
        asked, first = dispute.asked, made.first * PLAN.steps_each
        if dispute.stage is DisputeStage.ANSWER:
            opened = state_answer(made, asked)
            self.act(dispute.provider, "Disputes", "answer", number, asked, opened)
        elif dispute.stage is DisputeStage.REPLY:
            agrees = not is_sham and dispute.middle_state == true.state_at(first + asked)
            self.done(who, "Disputes", "reply", number, asked, agrees)
        else:
            witness = true.witness(first + dispute.high - 1)
            self.done(who, "Disputes", "prove", number, witness)

    def fight(self, number: int, made: Attempt, who: Key, *, is_sham: bool = False) -> None:
        """Play a dispute to its end."""
        while number in self.disputes.disputes:
            self.move(number, made, who, is_sham=is_sham)


def state_answer(made: Attempt, position: int) -> StateAnswer:
    """What opens a state of an attempt."""
    place, step = divmod(position - 1, PLAN.steps_each)
    states = made.trace.runs[made.first + place].states
    return StateAnswer(
        states[step], made.openings[place], branch_of(states, step), branch_of(made.leaves, place)
    )


__all__ = [
    "DATA_PRICE",
    "OWNER",
    "PANEL",
    "PRICE",
    "SKIPPED",
    "VERIFIER_BOND",
    "Bazaar",
    "cheated",
    "honest",
    "trained",
]
