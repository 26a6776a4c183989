"""A crowd on the bazaar: everybody does what comes to mind, in any order, some of it nonsense.

The requester only asks for work; its friend asks, too, but for its organisation and with credits,
and challenges. Three providers are honest, a fourth cheats; validators verify, sit on juries and
report prices, one of them says what the provider said without looking. Calls that are refused must
be refused by name: whatever somebody sends, nothing breaks.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from chain.market.training import Trace
from ext import hashing
from runtime.balances import TREASURY
from runtime.frame.errors import DispatchFault, InvalidTransaction
from runtime.market.budgets import organisation_account
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.nouns import DisputeStage, JurorVote
from runtime.market.jobs import seal_bid
from runtime.market.jobs.backing import part_end
from runtime.market.jobs.endings import RESULT_STATES
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import Job, JobKind, JobState, Verification
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.market.verification.records import (
    AuditAnswer,
    AuditPhase,
    ReplicaPhase,
    SaltedAnswer,
    audit_commitment,
)
from runtime.primitives import AccountId
from tests.support.bazaar import OWNER, PANEL, SKIPPED, Bazaar, cheated, honest, state_answer
from tests.support.bazaar import trained as trained_spec
from tests.support.governance import as_root
from tests.support.jobs import (
    CPU,
    GRIST,
    OTHER,
    PROVIDERS,
    REQUESTER,
    Key,
    key,
    spec_of,
)
from tests.support.runtime import person
from tests.support.verification import PLAN, Attempt, salt_of
from tests.support.wild import Wild

BACKER = key("backer")
MANAGER = person("Eve")
REPORTERS = (*PANEL, MANAGER)
LAZY = PANEL[3]
CHEAT = PROVIDERS[3]
LIVE_MAX = 12
DOLLAR = 1_000_000
EVERYBODY = (BACKER.id, OWNER.id, *(who.id for who in PROVIDERS), *PANEL, MANAGER)
"""Who sends wild calls; not the requesters, of whom it is known what they earn, and by what."""


class Crowd:
    """Everybody on one chain, at random by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.fair = fair = Bazaar(providers=4, verifiers=4, is_emitting=True)
        self.jobs, self.outcomes = fair.jobs, Counter[str]()
        self.made: dict[tuple[int, int], Attempt] = {}
        self.sealed: dict[tuple[int, AccountId], int] = {}
        self.votes: dict[tuple[int, int, AccountId], JurorVote] = {}
        fair.mint(BACKER.id, 100_000 * GRIST)
        fair.mint(TREASURY, 1_000 * GRIST)
        for who in REPORTERS:
            as_root(fair.chain, "Oracle", "admit", who)
            fair.act(who, "Oracle", "join")
            fair.act(who, "Oracle", "report", DOLLAR, ())
        as_root(fair.chain, "Verification", "name_manager", MANAGER, True)
        fair.done(OTHER, "Budgets", "create", "lab")
        fair.done(OTHER, "Budgets", "set_member", 0, OTHER.id, 10**15, 10**15)
        fair.mint(organisation_account(0), 20_000 * GRIST)
        fair.done(OTHER, "Credits", "buy", 500 * GRIST)
        names = {module.name for module in fair.market.modules}
        entries = fair.runtime.dispatcher.entries()
        self.entries = [entry for entry in entries if entry.module_name in names]
        self.wild = Wild(self.random, [*EVERYBODY, OTHER.id, bytes(32), fair.data.root(0)])
        self.ways = tuple(self._ways())

    def _ways(self) -> Iterator[tuple[int, Callable[[], None]]]:
        yield 5, self.submit
        yield 3, self.offer
        yield 8, self.take
        yield 5, self.bid
        yield 6, self.reveal_bids
        yield 8, self.start
        yield 8, self.work
        yield 5, self.receipt
        yield 6, self.complete
        yield 6, self.close_part
        yield 2, self.end
        yield 2, self.conflict
        yield 9, self.verify
        yield 4, self.disclose
        yield 3, self.challenge
        yield 9, self.dispute
        yield 4, self.judge
        yield 2, self.back
        yield 3, self.report
        yield 1, self.fund
        yield 12, self.send_anything

    def step(self) -> None:
        """Let some things happen, then make a block."""
        weights = [weight for weight, _ in self.ways]
        for _ in range(self.random.randrange(3, 12)):
            self.random.choices([way for _, way in self.ways], weights)[0]()
        self.fair.next()

    # Calls

    def call(self, who: AccountId, module: str, name: str, *arguments: Any) -> bool:
        """A call is done, or refused by a name of some module."""
        outcome = self.fair.attempt(who, module, name, *arguments)
        assert not outcome or outcome[0] == DispatchFault.MODULE, f"{name}: {outcome.hex()}"
        self.outcomes[f"{module}.{name}{'' if outcome else ' done'}"] += 1
        return not outcome

    def send_anything(self) -> None:
        """Somebody sends calls that only their types vouch for."""
        fair = self.fair
        for _ in range(4):
            entry = self.random.choice(self.entries)
            try:
                call = fair.chain.executive.decode_call(self.wild.call(entry))
            except InvalidTransaction:
                continue
            outcome = fair.chain.executive.run_call(call, self.random.choice(EVERYBODY))
            fair.runtime.ctx.waiver = 255
            name = f"{entry.module_name}.{entry.info.name}"
            refusals = (DispatchFault.MODULE, DispatchFault.BAD_ORIGIN)
            assert not outcome or outcome[0] in refusals, f"{name}: {outcome.hex()}"
            self.outcomes[f"wild{'' if outcome else ' done'}"] += 1

    def live(self, *states: JobState) -> list[tuple[int, Job]]:
        found = [(k, job) for k, job in self.jobs.jobs.items() if job.state < JobState.SETTLED]
        return sorted((k, job) for k, job in found if not states or job.state in states)

    def pick(self, *states: JobState) -> tuple[int, Job] | None:
        """A job in one of these states, now and then any job at all."""
        found = self.live(*states) if self.random.random() < 0.95 else self.live()
        return self.random.choice(found) if found else None

    def buyer(self, job: Job) -> Key:
        return REQUESTER if job.requester == REQUESTER.id else OTHER

    # Requesters

    def submit(self) -> None:
        if len(self.live()) >= LIVE_MAX:
            return
        random = self.random
        changes = {
            "max_price": random.choice((GRIST, 8 * GRIST, 100 * GRIST, 500 * GRIST, 1_500 * GRIST)),
            "run_blocks": random.choice((10, 40)),
        }
        kind = random.choice((JobKind.TRAIN, JobKind.TRAIN, JobKind.INFER, JobKind.LABEL))
        data = random.choice(((), (0,)))
        spec = random.choice(
            (
                spec_of(kind=kind, datasets=data, **changes),
                trained_spec(**changes),
                trained_spec(**changes),
                trained_spec(**changes, verification=Verification.REPLICATION, replicas=3),
            )
        )
        offer = random.choice(PROVIDERS).id if random.random() < 0.3 else None
        if random.random() < 0.5:
            self.call(REQUESTER.id, "Jobs", "submit", spec, offer, None, None)
            return
        usd = random.choice((None, None, DOLLAR, 50 * DOLLAR))
        org = random.choice((None, 0)) if usd is None else None
        self.call(OTHER.id, "Jobs", "submit", spec, offer, usd, org)

    def take(self) -> None:
        if found := self.pick(JobState.OPEN):
            id_, job = found
            who = self.random.choice(PROVIDERS)
            price = self.random.choice((1, 2)) * max(job.price // 3_000, 1)
            self.call(who.id, "Providers", "set_offer", CPU, price)
            self.call(self.buyer(job).id, "Jobs", "take_offer", id_, who.id)

    def end(self) -> None:
        name = self.random.choice(("accept", "accept", "cancel", "advance"))
        if found := self.pick(*(RESULT_STATES if name == "accept" else ())):
            self.call(self.buyer(found[1]).id, "Jobs", name, found[0])

    # Providers

    def offer(self) -> None:
        """Stake moves, and providers come back that lost it or left."""
        who, random = self.random.choice(PROVIDERS), self.random
        if not self.fair.providers.tier(who.id):
            self.fair.mint(who.id, 50_000 * GRIST)
            terms = Terms(
                (ClassCapacity(CPU, 50),), b"here", hashing.blake2b_256(who.seed), who.id, 0
            )
            self.call(who.id, "Providers", "register", terms, None)
            self.call(who.id, "Providers", "stay")
            self.call(who.id, "Providers", "deposit_security", 20_000 * GRIST)
        name, *arguments = random.choice(
            (
                ("unbond_security", random.choice((GRIST, 3_000 * GRIST))),
                ("deposit_security", GRIST),
                ("withdraw_security",),
                ("withdraw_security",),
                ("leave",),
                ("stay",),
                ("retire", who.id),
                ("claim_deposit", who.id),
            )
        )
        self.call(who.id, "Providers", name, *arguments)

    def bid(self) -> None:
        if found := self.pick(JobState.OPEN, JobState.BIDDING):
            id_, who = found[0], self.random.choice(PROVIDERS)
            price = self.random.randrange(found[1].price * 11 // 10 + 1)
            if self.call(who.id, "Jobs", "commit_bid", id_, seal_bid(id_, who.id, price, who.seed)):
                self.sealed[id_, who.id] = price

    def reveal_bids(self) -> None:
        if found := self.pick(JobState.REVEALING, JobState.BIDDING):
            for who in PROVIDERS:
                price = self.sealed.get((found[0], who.id))
                if price is not None and self.random.random() < 0.8:
                    self.call(who.id, "Jobs", "reveal_bid", found[0], price, who.seed)

    def start(self) -> None:
        for id_, job in self.live(JobState.MATCHED):
            if self.random.random() < 0.7:
                receipt = self.fair.first_receipt(id_)
                signed = self.buyer(job).sign(receipt)
                self.call(job.provider, "Jobs", "start", id_, receipt, signed)

    def work(self) -> None:
        for id_, job in self.live(JobState.RUNNING, JobState.PAUSED):
            if self.random.random() < 0.9:
                self.call(job.provider, "Jobs", "heartbeat", id_)
                self.call(job.provider, "Jobs", "top_up", id_)

    def _receipt(self, id_: int, job: Job, checkpoint: int) -> JobReceipt:
        state = honest().state_at(min(checkpoint, PLAN.checkpoints) * PLAN.steps_each)
        first = self.fair.first_receipt(id_)
        annex = self.jobs.annexes[id_]
        return replace(
            first,
            checkpoint=checkpoint,
            checkpoint_out=state,
            units=annex.units + max(checkpoint - job.accepted, 0),
            previous=annex.receipt,
        )

    def receipt(self) -> None:
        if found := self.pick(JobState.RUNNING):
            id_, job = found
            receipt = self._receipt(id_, job, job.accepted + self.random.randrange(12))
            signed = self.buyer(job).sign(receipt) if self.random.random() < 0.8 else None
            self.call(job.provider, "Jobs", "post_receipt", id_, receipt, signed)

    def trace_of(self, who: AccountId) -> Trace:
        """What a provider comes to."""
        is_honest = who != CHEAT.id or self.random.random() < 0.3
        return honest() if is_honest else cheated(SKIPPED)

    def complete(self) -> None:
        if found := self.pick(JobState.RUNNING):
            id_, job = found
            made = Attempt.of(self.trace_of(job.provider), job.provider, job.first_checkpoint)
            result = (made.result().commitments, made.result().final_state, 1)
            if self.call(job.provider, "Jobs", "complete", id_, *result):
                self.made[id_, job.attempt] = made

    def close_part(self) -> None:
        """The result of a part is posted, of a run whose next part has its bond."""
        for id_, job in self.live(JobState.RUNNING):
            annex, number = self.jobs.annexes[id_], self.jobs.job_count
            left = max(annex.parts - annex.parts_closed, 1)
            end = part_end(job.first_checkpoint, job.end_checkpoint, left)
            trace = self.trace_of(job.provider)
            made = Attempt.of(trace, job.provider, job.first_checkpoint, end)
            result = (made.result().commitments, made.result().final_state, 1)
            if self.call(job.provider, "Jobs", "close_part", id_, *result):
                self.made[number, job.attempt] = made

    def conflict(self) -> None:
        """The cheat signs two receipts of one place; anybody may show them."""
        for id_, job in self.live(JobState.RUNNING, JobState.WINDOW):
            if job.provider == CHEAT.id and self.random.random() < 0.2:
                left = self._receipt(id_, job, 2)
                right = replace(left, checkpoint_out=b"x" * 32)
                proof = (left, CHEAT.sign(left), right, CHEAT.sign(right))
                who = self.random.choice((OTHER, BACKER, CHEAT))
                self.call(who.id, "Jobs", "report_conflict", *proof)

    # Verifiers

    def verify(self) -> None:
        for id_, audit in list(self.fair.checks.audits.items()):
            for seat in audit.seats:
                if self.random.random() < 0.5:
                    self._say(id_, seat.who, audit.phase)

    def _say(self, id_: int, who: AccountId, phase: AuditPhase) -> None:
        audit = self.fair.checks.audits.find(id_)
        if audit is None or audit.phase is not phase:
            return
        made, draws = self.made[id_, self.jobs.jobs[id_].attempt], audit.draws
        trace = made.trace if who == LAZY else honest()
        said = [AuditAnswer(trace.state_before(c * 2), trace.run_of(c).root) for c in draws]
        pairs = list(zip(draws, said, strict=True))
        if phase is AuditPhase.COMMITTING:
            hashes = tuple(
                audit_commitment(id_, c, who, a.start, a.trace_root, salt_of(who, c))
                for c, a in pairs
            )
            self.call(who, "Verification", "commit", id_, hashes)
        else:
            opened = tuple(SaltedAnswer(a.start, a.trace_root, salt_of(who, c)) for c, a in pairs)
            self.call(who, "Verification", "reveal", id_, opened)

    def disclose(self) -> None:
        """Providers open what was drawn, of audits and of groups."""
        checks = self.fair.checks
        for id_, audit in list(checks.audits.items()):
            if audit.phase is AuditPhase.REVEALING:
                job = self.jobs.jobs[id_]
                made = self.made[id_, job.attempt]
                opened = tuple(made.disclosure(c) for c in audit.draws)
                self.call(job.provider, "Verification", "disclose", id_, opened)
        for group in list(checks.groups.values()):
            if group.phase is ReplicaPhase.REVEALING and self.random.random() < 0.8:
                for replica in group.replicas:
                    self._open_replica(replica.job, group.checkpoint)

    def _open_replica(self, id_: int, drawn: int) -> None:
        job = self.jobs.jobs.find(id_)
        made = None if job is None else self.made.get((id_, job.attempt))
        if job is not None and made is not None and drawn >= made.first:
            who = job.provider
            secrets = salt_of(who, drawn), salt_of(who, drawn - 1) if drawn else bytes(32)
            opened = made.disclosure(drawn)
            self.call(who, "Verification", "disclose_replica", id_, opened, *secrets)

    # Disputes

    def challenge(self) -> None:
        if found := self.pick(*RESULT_STATES):
            who = self.random.choice((OTHER.id, BACKER.id, CHEAT.id, PROVIDERS[0].id))
            self.call(who, "Disputes", "challenge", found[0], self.random.randrange(33))

    def dispute(self) -> None:
        """Both sides make a move, as far as they care to."""
        for number, dispute in list(self.fair.disputes.disputes.items()):
            if number not in self.fair.disputes.disputes or self.random.random() < 0.2:
                continue
            made = self.made[dispute.job, dispute.attempt]
            asked, first = dispute.asked, made.first * PLAN.steps_each
            if dispute.stage is DisputeStage.ANSWER:
                opened = state_answer(made, asked)
                self.call(dispute.provider, "Disputes", "answer", number, asked, opened)
            elif dispute.stage is DisputeStage.REPLY:
                agrees = dispute.middle_state == honest().state_at(first + asked)
                self.call(dispute.challenger, "Disputes", "reply", number, asked, agrees)
            elif dispute.stage is DisputeStage.PROOF:
                witness = honest().witness(first + dispute.high - 1)
                self.call(dispute.challenger, "Disputes", "prove", number, witness)
            elif self.random.random() < 0.1:
                self.call(dispute.challenger, "Disputes", "abandon", number)

    def judge(self) -> None:
        """Jurors commit and reveal, and who lost appeals now and then."""
        for number, dispute in list(self.fair.disputes.disputes.items()):
            jury = self.fair.disputes.juries.find(number)
            if jury is None:
                continue
            for ballot in jury.ballots:
                place, who = (number, jury.level, ballot.juror), ballot.juror
                vote = self.votes.setdefault(
                    place, self.random.choice((JurorVote.RIGHT, JurorVote.WRONG))
                )
                parts = {"dispute": number, "level": jury.level, "juror": who, "vote": vote}
                if dispute.stage is DisputeStage.VOTE:
                    hash_ = ballot_hash(**parts, salt=bytes(32))
                    self.call(who, "Disputes", "cast_ballot", number, hash_)
                elif self.random.random() < 0.9:
                    self.call(who, "Disputes", "reveal_ballot", number, vote, bytes(32))
            if dispute.stage is DisputeStage.APPEAL and self.random.random() < 0.2:
                loser = dispute.provider if jury.is_guilty else dispute.challenger
                self.call(loser, "Disputes", "appeal", number)

    # Others

    def back(self) -> None:
        """Delegators, curators and attesters put money down, and take it back."""
        who, random = self.random.choice(PROVIDERS).id, self.random
        shares = self.fair.providers.delegations[who, BACKER.id].shares
        module, name, *arguments = random.choice(
            (
                ("Providers", "delegate", who, random.choice((GRIST, 4_000 * GRIST))),
                ("Providers", "undelegate", who, shares // 2),
                ("Providers", "withdraw_delegated", who),
                ("Datasets", "signal", 0, 50 * GRIST),
                ("Datasets", "unsignal", 0, 20 * GRIST),
                ("Datasets", "claim_fees", 0),
                ("Datasets", "free_signal", 0, BACKER.id),
                ("Datasets", "bond", 5_000 * GRIST),
                ("Datasets", "attest", 0, bytes(32)),
            )
        )
        self.call(BACKER.id, module, name, *arguments)

    def report(self) -> None:
        price = DOLLAR * self.random.randrange(95, 106) // 100
        for who in REPORTERS:
            if self.random.random() < 0.9:
                self.call(who, "Oracle", "report", price, ())

    def fund(self) -> None:
        """The second requester buys credits, and moves money of its organisation."""
        name, *arguments = self.random.choice(
            (("buy", 20 * GRIST), ("buy", 20 * GRIST), ("withdraw", 0, 100 * GRIST))
        )
        self.call(OTHER.id, "Credits" if name == "buy" else "Budgets", name, *arguments)
