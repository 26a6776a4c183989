"""A chain under test behind the fake node: what is submitted is executed in the next block.

Whoever asks for the newest final block gets another one each time, so that waiting ends; of a chain
that is not restless only when something was sent.
"""

from chain.wallet.chain_client import EVENTS_KEY, to_hex
from chain.wallet.cursor import Cursor, encode_compact_number
from chain.wallet.ss58 import decode_account
from ext import hashing
from runtime.metadata import make_metadata
from runtime.transaction import decode_transaction
from tests.unit.cli.fake_rpc import fake_hash


class LiveChain:
    """Executes what a command sends."""

    def __init__(self, fake, chain):
        self.fake, self.chain = fake, chain
        self.waiting = []
        self.is_restless = True
        fake.metadata = make_metadata(chain.runtime)
        fake.blocks = [[] for _ in range(chain.height + 1)]
        fake.author_submitExtrinsic = self.submit
        fake.chain_getFinalizedHead = self.finalized
        fake.state_getStorage = self.storage
        fake.system_accountNextIndex = self.nonce
        fake.gristmill_v1_dryRun = self.dry_run

    def block(self):
        chain = self.chain
        self.catch_up()
        chain.open()
        sent, self.waiting = self.waiting, []
        for raw in sent:
            chain.executive.apply_transaction(decode_transaction(raw))
        result = chain.close()
        self.fake.blocks.append([b"\x10\4\3\0\7", b"\x10\4\3\0\7", *sent])
        self.fake.events[chain.height] = joined(result.receipts)

    def catch_up(self):
        """Let the node have the blocks that were made without it."""
        while len(self.fake.blocks) <= self.chain.height:
            self.fake.blocks.append([])

    def submit(self, text):
        content = bytes.fromhex(text[2:])
        self.waiting.append(content)
        return {"result": to_hex(hashing.blake2b_256(content))}

    def finalized(self):
        if self.is_restless or self.waiting:
            self.block()
        return {"result": fake_hash(self.chain.height)}

    def storage(self, key, at=None):
        raw = bytes.fromhex(key[2:])
        if raw == EVENTS_KEY:
            height = self.chain.height if at is None else int(at, 16)
            return {"result": to_hex(self.fake.events.get(height, b"\0"))}
        value = self.chain.state.overlay().get(raw)
        return {"result": None if value is None else to_hex(value)}

    def nonce(self, address):
        record = self.chain.state.overlay().account(decode_account(address))
        return {"result": record[0] if record else 0}

    def dry_run(self, text):
        chain = self.chain
        transaction = decode_transaction(bytes.fromhex(text[2:]))
        result, events = chain.executive.dry_run(
            chain.state.overlay(), chain.context(), transaction
        )
        return {"result": {"result": to_hex(result), "events": to_hex(events)}}


def joined(receipts):
    """All events of a block as one list, as a node serves them."""
    count, body = 0, b""
    for receipt in receipts:
        cursor = Cursor(receipt)
        count += cursor.compact()
        body += cursor.take(cursor.remaining)
    return encode_compact_number(count) + body
