"""Transfers at a steady rate, and proof on the chain that each was included exactly once.

A crowd of accounts that are derived from the development phrase sends in turn, each through one
node only, so that its nonces arrive in order. What a second needs is signed in one go and handed
over in batches; what was accepted is then looked for in every finalized block.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from chain.devnet.layout import NodeSite
from chain.wallet.accounts import dev_account
from chain.wallet.amounts import GRAINS_PER_GRIST
from chain.wallet.chain_client import Block, ChainClient, parse_hex, to_hex
from chain.wallet.client import ALREADY_IMPORTED, BATCH_MAX, RpcClient, RpcError
from chain.wallet.derivation import KeyPair, derive
from chain.wallet.encoding import Encoder
from chain.wallet.errors import WalletError
from chain.wallet.extrinsic import Draft, choose_era, decode_extrinsic, sign_draft
from chain.wallet.follow import finalized_blocks, follow
from chain.wallet.ss58 import encode_address

SENDERS: Final = 48
"""Accounts that send: with 64 pooled transactions each, a halt of 15 s at rate 200 finds room."""

FUND: Final = 1_000 * GRAINS_PER_GRIST
"""Grains every sender gets: fees of many thousand transfers."""

AMOUNT: Final = 1_000
"""Grains of one transfer; senders pay each other, so that they stay funded."""

LIFETIME: Final = 256
"""Blocks a transfer lives; long enough to outlast a halt, short enough to be refused in the end."""

PATIENCE_S: Final = 60
"""Seconds without a block after which the load gives up."""

STEP_S: Final = 0.1
"""Seconds between two looks at the head; the resolution of the latencies."""

SETTLE_BLOCKS: Final = 20
"""Blocks after the last transfer within which all must be included."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a load; times are seconds from handing over to seeing it final."""

    sent: int
    refused: int
    included: int
    duplicated: int
    missing: int
    failed: int
    seconds: float
    rate: float
    first_block: int
    last_block: int
    latency_p50: float
    latency_p99: float
    refusals: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether everything accepted was included exactly once and nothing was refused."""
        return not (self.duplicated or self.missing or self.refused or self.failed)


@dataclass(slots=True)
class Sender:
    """One account of the crowd with its next nonce and the node it speaks to."""

    pair: KeyPair
    node: int
    nonce: int = 0
    is_lost: bool = False
    """Whether a transfer was refused, so that the next nonce must be asked for."""


class Load:
    """One run against the nodes of a devnet."""

    def __init__(
        self,
        sites: Sequence[NodeSite],
        *,
        rate: int,
        crowd: str = "Load",
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clients = [ChainClient(RpcClient(site.url)) for site in sites]
        self.rate = rate
        self.now = now
        self.wait = wait
        count = max(min(SENDERS, rate), 1)
        self.senders = [
            Sender(derive(f"//{crowd}//{number}"), number % len(self.clients))
            for number in range(count)
        ]
        self.sent_at: dict[bytes, float] = {}
        self.final_at: list[float] = []
        self.start_height = 0
        self.refusals: Counter[str] = Counter()
        self.encoder = Encoder(self.clients[0].metadata)

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            client.rpc.close()

    def prepare(self) -> None:
        """Fund the senders that need it, in one transaction of //Alice, and learn the nonces."""
        chain = self.clients[0]
        poor = [one for one in self.senders if chain.account(one.pair.public).free < FUND // 2]
        if poor:
            calls = [self._transfer(one.pair.public, FUND) for one in poor]
            batch = self.encoder.encode_call("Utility.batch_all", {"calls": calls})
            self._send_and_wait(dev_account("Alice"), batch)
        for sender in self.senders:
            sender.nonce = chain.next_nonce(sender.pair.public)

    def run(self, seconds: int, tell: Callable[[str], None]) -> Report:
        """Send for that many seconds, then look for every transfer on the chain."""
        self.start_height, _ = self.clients[0].finalized()
        self.final_at = []
        start = self.now()
        turns = itertools.cycle(self.senders)
        with ThreadPoolExecutor(max_workers=len(self.clients)) as pool:
            for second in range(seconds):
                batches = self._sign(turns)
                self._sleep_until(start + second)
                list(pool.map(self._submit, range(len(self.clients)), batches))
                tell(f"{second + 1} s: {len(self.sent_at)} sent, {self.refusals.total()} refused")
        self._sleep_until(start + seconds)
        return self._look(self.now() - start)

    def run_forever(self, tell: Callable[[str], None]) -> None:
        """Send until stopped, without looking; a node that is down is passed over."""
        turns = itertools.cycle(self.senders)
        for second in itertools.count():
            start = self.now()
            try:
                batches = self._sign(turns)
            except WalletError as error:
                tell(f"{second} s: {error.message}")
                # The node that is asked for nonces and anchor is down; another one answers.
                self.clients.append(self.clients.pop(0))
                batches = []
            for node, extrinsics in enumerate(batches):
                self._pass_over(node, extrinsics)
            self.sent_at.clear()
            self.refusals.clear()
            self.wait(max(start + 1 - self.now(), 0))

    def _pass_over(self, node: int, extrinsics: Sequence[tuple[Sender, bytes]]) -> None:
        """Submit to a node that may be down; its senders ask for their nonces again then."""
        try:
            self._submit(node, extrinsics)
        except WalletError:
            for sender, _ in extrinsics:
                sender.is_lost = True

    def _find_nonces(self) -> None:
        """Ask for the next nonce of every sender that lost its count."""
        for sender in self.senders:
            if sender.is_lost:
                sender.nonce = self.clients[0].next_nonce(sender.pair.public)
                sender.is_lost = False

    def _sign(self, turns: Iterator[Sender]) -> list[list[tuple[Sender, bytes]]]:
        """Return a second's worth of signed transfers with their senders, by node."""
        batches: list[list[tuple[Sender, bytes]]] = [[] for _ in self.clients]
        self._find_nonces()
        draft = self._draft()
        for _ in range(self.rate):
            sender = next(turns)
            receiver = self.senders[(self.senders.index(sender) + 1) % len(self.senders)]
            call = self.encoder.encode_call(
                "Balances.transfer_keep_alive",
                {"dest": encode_address(receiver.pair.public), "value": str(AMOUNT)},
            )
            signed = sign_draft(replace(draft, call=call, nonce=sender.nonce), sender.pair)
            sender.nonce += 1
            batches[sender.node].append((sender, signed))
        return batches

    def _draft(self) -> Draft:
        """Return what all transfers of a second share, anchored at the finalized head."""
        chain = self.clients[0]
        height, _ = chain.finalized()
        identity = chain.identity
        era = choose_era(height, LIFETIME)
        birth = era.birth(height)
        return Draft(
            call=b"",
            era=era,
            nonce=0,
            tip=0,
            genesis_hash=identity.genesis_hash,
            anchor_hash=chain.block_hash(birth) if birth else identity.genesis_hash,
            spec_version=identity.spec_version,
            transaction_version=identity.transaction_version,
        )

    def _submit(self, node: int, extrinsics: Sequence[tuple[Sender, bytes]]) -> None:
        rpc = self.clients[node].rpc
        for start in range(0, len(extrinsics), BATCH_MAX):
            part = extrinsics[start : start + BATCH_MAX]
            handed = self.now()
            answers = rpc.batch([("author_submitExtrinsic", (to_hex(one),)) for _, one in part])
            for (sender, _), answer in zip(part, answers, strict=True):
                if isinstance(answer, WalletError):
                    sender.is_lost = True
                    # A sender that asked for its nonce again may sign what the pool has already.
                    if not (isinstance(answer, RpcError) and answer.rpc_code == ALREADY_IMPORTED):
                        self.refusals[answer.message] += 1
                else:
                    self.sent_at[parse_hex(answer, 32)] = handed

    def _observe(self) -> None:
        """Note when blocks became final, as seen from here."""
        height, _ = self.clients[0].finalized()
        new = height - self.start_height - len(self.final_at)
        self.final_at += [self.now()] * new

    def _look(self, took: float) -> Report:
        """Read finalized blocks until every transfer was seen, or long enough after the last."""
        chain = self.clients[0]
        seen: Counter[bytes] = Counter()
        latencies: list[float] = []
        failed, last, first = 0, self.start_height, 0
        final = self.start_height + len(self.final_at)
        for block in finalized_blocks(chain, self.start_height + 1, self.wait, PATIENCE_S):
            if block.height - self.start_height > len(self.final_at):
                self._observe()
            hashes = [decode_extrinsic(content).hash for content in block.extrinsics]
            ours = [one for one in hashes if one in self.sent_at]
            seen.update(ours)
            if ours:
                first, last = first or block.height, block.height
                failed += self._count_failures(block, hashes)
                moment = self.final_at[block.height - self.start_height - 1]
                latencies += [max(moment - self.sent_at[one], 0.0) for one in ours]
            if len(seen) == len(self.sent_at) or block.height >= final + SETTLE_BLOCKS:
                break
        latencies.sort()
        return Report(
            sent=len(self.sent_at) + self.refusals.total(),
            refused=self.refusals.total(),
            included=len(seen),
            duplicated=sum(count - 1 for count in seen.values()),
            missing=len(self.sent_at) - len(seen),
            failed=failed,
            seconds=round(took, 3),
            rate=round(len(self.sent_at) / took, 1) if took else 0.0,
            first_block=first,
            last_block=last,
            latency_p50=_quantile(latencies, 50),
            latency_p99=_quantile(latencies, 99),
            refusals=dict(self.refusals.most_common(5)),
        )

    def _count_failures(self, block: Block, hashes: Sequence[bytes]) -> int:
        failed = 0
        for event in self.clients[0].events(block.hash):
            index = event["extrinsic"]
            is_failure = event["event"] == "System.ExtrinsicFailed"
            failed += bool(is_failure and hashes[index] in self.sent_at)
        return failed

    def _transfer(self, public: bytes, grains: int) -> dict[str, object]:
        args = {"dest": encode_address(public), "value": str(grains)}
        return {"call": "Balances.transfer_keep_alive", "args": args}

    def _send_and_wait(self, pair: KeyPair, call: bytes) -> None:
        chain = self.clients[0]
        height, _ = chain.finalized()
        draft = chain.draft(call, pair.public)
        extrinsic_hash = chain.submit(sign_draft(draft, pair))
        inclusion = follow(
            chain,
            extrinsic_hash,
            start=height + 1,
            death=draft.era.death(height),
            wait=self.wait,
            patience_s=PATIENCE_S,
        )
        if inclusion.error is not None:
            raise WalletError(f"the senders could not be funded: {inclusion.error[0]}")

    def _sleep_until(self, moment: float) -> None:
        while True:
            self._observe()
            left = moment - self.now()
            if left <= 0:
                return
            self.wait(min(left, STEP_S))


def _quantile(ordered: Sequence[float], percent: int) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)], 3)
