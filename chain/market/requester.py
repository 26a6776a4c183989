"""A requester's side: receipts checked and signed, results fetched, wrong ones challenged.

    offered receipt ──> says what the chain says? ──> trained again: same state? ──> signed, back
    posted result   ──> weights by their hash ──> trained again: same end? ──> else: a dispute

What is signed is paid whatever comes, so a later receipt is signed only when this side has trained
up to its checkpoint and has the same state, or was told to trust the provider.
"""

from dataclasses import dataclass
from typing import Final

from chain.errors import GristmillError
from chain.market.attempts import begin_trace
from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.disputant import Challenger, Disputant, find_doubt, read_disputes
from chain.market.door import BadEnvelope, Envelope, Peer, PeerSilent, fetch_data, fetch_weights
from chain.market.training import Measure, Trace, measure
from chain.market.view import AgentChain
from chain.storage import durable
from ext import signing
from runtime.market.jobs.book import units_at
from runtime.market.jobs.module import is_first
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.market import Market
from runtime.market.nouns import Job, JobState
from runtime.market.trainer import BadParams, read_params

COSIGNED: Final = (JobState.MATCHED, JobState.RUNNING)
"""Where a provider has receipts to be signed."""

RESULTS: Final = (JobState.WINDOW, JobState.DISPUTED)
"""Where a result can be challenged."""


class ReceiptRefused(GristmillError):
    """A receipt that is not signed; the sentence says what of it is wrong."""


class NothingToDispute(GristmillError):
    """The result of a job cannot be challenged, or is right; the sentence says which."""


class ResultMissing(GristmillError):
    """A job has no result to be fetched; the sentence says why."""


def check_receipt(
    market: Market, number: int, job: Job, envelope: Envelope, *, genesis: bytes
) -> None:
    """Raise ReceiptRefused unless a receipt says of a job only what the chain says, too."""
    receipt = envelope.receipt
    expected = (
        ("chain", receipt.genesis, genesis),
        ("job", receipt.job, number),
        ("attempt", receipt.attempt, job.attempt),
        ("data", receipt.data_root, market.jobs.data_root(number)),
    )
    for field, told, known in expected:
        if told != known:
            raise ReceiptRefused(f"it is of another {field}")
    if not receipt.is_signed_by(job.provider, envelope.provider):
        raise ReceiptRefused("the provider of the job has not signed it")
    if job.state is not JobState.MATCHED:
        _check_progress(market, number, job, receipt)
    elif not is_first(job, receipt):
        raise ReceiptRefused("it is not the first receipt of an attempt")


def _check_progress(market: Market, number: int, job: Job, receipt: JobReceipt) -> None:
    """Raise ReceiptRefused unless a receipt goes on from the last one that was accepted."""
    spec, annex = market.jobs.spec(number), market.jobs.annexes[number]
    if not job.accepted < receipt.checkpoint <= spec.checkpoints:
        raise ReceiptRefused(
            f"checkpoint {receipt.checkpoint} is not between {job.accepted} and {spec.checkpoints}"
        )
    if receipt.checkpoint_in != job.accepted_state:
        raise ReceiptRefused("it does not begin where the last accepted one ended")
    if receipt.previous != annex.receipt:
        raise ReceiptRefused("it does not follow the last accepted one")
    most = units_at(spec, receipt.checkpoint)
    if not annex.units <= receipt.units <= most:
        raise ReceiptRefused(
            f"{receipt.units} units are not between the {annex.units} of the last one and {most}"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a job came to: weights by state, and how well they do on the data of the job.

    `is_final` says whether the result is paid; before that it may still be found wrong.
    """

    state: bytes
    weights: bytes
    measure: Measure
    is_final: bool


class RequesterAgent:
    """The requester of one job, one `tick` for each block: checks receipts and signs them."""

    def __init__(
        self,
        chain: AgentChain,
        data: DataDirectory,
        peers: list[Peer],
        number: int,
        *,
        is_trusting: bool = False,
    ) -> None:
        self.chain = chain
        self.data = data
        self.peers = peers
        self.number = number
        self.is_trusting = is_trusting
        self._traces: dict[int, Trace] = {}
        self._seen: dict[tuple[int, int], Envelope] = {}
        self._told: set[str] = set()

    def tick(self) -> None:
        """Look at the job, and sign what is offered and right."""
        market = self.chain.look().market
        job = market.jobs.find(self.number)
        if job is None or job.state not in COSIGNED or job.requester != self.chain.me:
            return
        for peer in self.peers:
            try:
                envelope = peer.receipt(self.number)
                if envelope is not None:
                    self._consider(market, job, peer, envelope)
            except (BadEnvelope, PeerSilent, ReceiptRefused) as error:
                self._say(f"a receipt at {peer.url} is not signed: {error}")

    # Inside

    def _consider(self, market: Market, job: Job, peer: Peer, envelope: Envelope) -> None:
        receipt = envelope.receipt
        self._watch_for_conflict(market, job, envelope)
        if job.state is JobState.RUNNING and receipt.checkpoint <= job.accepted:
            return
        check_receipt(market, self.number, job, envelope, genesis=self.chain.genesis)
        if job.state is JobState.RUNNING:
            self._check_work(market, job, receipt)
        signature = signing.sign(self.chain.pair.seed, receipt.message())
        peer.bring(Envelope(receipt, envelope.provider, signature))
        self._say(f"signed for checkpoint {receipt.checkpoint} of attempt {receipt.attempt}")

    def _check_work(self, market: Market, job: Job, receipt: JobReceipt) -> None:
        """Train up to the checkpoint of a receipt; raises ReceiptRefused for another state."""
        if self.is_trusting:
            return
        try:
            trace = self._trace_of(market, job)
        except (DataMissing, DataSpoiled) as error:
            raise ReceiptRefused(f"the work cannot be checked: {error}") from error
        while trace.done < receipt.checkpoint:
            trace.advance()
        if trace.state_before(receipt.checkpoint * trace.plan.steps_each) != receipt.checkpoint_out:
            raise ReceiptRefused(
                f"checkpoint {receipt.checkpoint} is not what the work comes to; "
                "challenge the result when it is posted"
            )
        self.data.write_weights(trace.weights_at(receipt.checkpoint))

    def _trace_of(self, market: Market, job: Job) -> Trace:
        trace = self._traces.get(job.attempt)
        if trace is None:
            trace = begin_trace(market, self.number, job, self.data, self.peers)
            self._traces = {job.attempt: trace}
        return trace

    def _watch_for_conflict(self, market: Market, job: Job, envelope: Envelope) -> None:
        """Keep two receipts that prove a fraud as files."""
        receipt, last = envelope.receipt, market.jobs.spec(self.number).checkpoints
        is_of_attempt = (receipt.job, receipt.attempt) == (self.number, job.attempt)
        if not is_of_attempt or receipt.checkpoint > last:
            return
        if not receipt.is_signed_by(job.provider, envelope.provider):
            return
        known = self._seen.setdefault((receipt.attempt, receipt.checkpoint), envelope)
        if not known.receipt.conflicts_with(receipt):
            return
        names = [self._keep(one) for one in (known, envelope)]
        self._say("the provider signed two receipts of one place: report " + " and ".join(names))

    def _keep(self, envelope: Envelope) -> str:
        """Keep a receipt as a file, and give its name."""
        self.data.path.mkdir(parents=True, exist_ok=True)
        name = f"receipt-{self.number}-{envelope.receipt.hash().hex()[:16]}"
        path = self.data.path / name
        durable.write_file(path, Envelope(envelope.receipt, envelope.provider).encode())
        return str(path)

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self.chain.tell(f"job {self.number}: {sentence}")


def find_result(market: Market, number: int, data: DataDirectory, peers: list[Peer]) -> Found:
    """Fetch what a job trained into a directory, and measure it on the data that it trained on.

    Raises ResultMissing without a result, DataMissing when nobody has the weights or the data.
    """
    job, result = market.jobs.find(number), market.jobs.result(number)
    if job is None or result is None:
        raise ResultMissing(f"job {number} has no result")
    try:
        params = read_params(market.jobs.spec(number).params)
    except BadParams as error:
        raise ResultMissing(f"job {number} is not of the reference trainer") from error
    weights = fetch_weights(data, peers, result.final_state)
    leaves = fetch_data(data, peers, market.jobs.data_root(number))
    is_final = job.state is JobState.SETTLED
    return Found(result.final_state, weights, measure(params, weights, leaves), is_final)


class DisputeAgent:
    """Who trained a job again and found another end: challenges the result, and plays it out."""

    def __init__(
        self, chain: AgentChain, data: DataDirectory, peers: list[Peer], number: int
    ) -> None:
        self.chain = chain
        self.number = number
        self.trace = self._train(data, peers)
        self._disputant = Disputant(Challenger(chain.me, self.trace))

    def doubt(self) -> int:
        """Give the checkpoint to challenge. Raises NothingToDispute when the result is right."""
        result = self.chain.look().market.jobs.result(self.number)
        doubt = None if result is None else find_doubt(self.trace, result)
        if doubt is None:
            raise NothingToDispute(
                f"the result of job {self.number} is what the job trains to; "
                "who challenges it loses the deposit"
            )
        return doubt

    def running(self) -> int | None:
        """Give the number of this account's dispute of the job, while there is one."""
        self.chain.look()
        for dispute, found in read_disputes(self.chain, self.number):
            if found.challenger == self.chain.me:
                return dispute
        return None

    def tick(self) -> None:
        """Make the moves that the state asks for."""
        self.chain.look()
        for move in self._disputant.moves(self.chain, self.number):
            if not self.chain.send_bytes(f"Disputes.{move.name}", move.call()):
                self._disputant.forget(move.dispute)

    def _train(self, data: DataDirectory, peers: list[Peer]) -> Trace:
        market = self.chain.look().market
        job = market.jobs.find(self.number)
        if job is None or job.state not in RESULTS:
            raise NothingToDispute(f"job {self.number} has no result that could be challenged")
        trace = begin_trace(market, self.number, job, data, peers)
        while not trace.is_whole:
            trace.advance()
        return trace
