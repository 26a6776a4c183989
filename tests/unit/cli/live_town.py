"""A town of agents behind the fake node: each look at the newest block makes another one."""

from chain.market.content import DataDirectory
from chain.market.door import Door
from chain.rpc.market import MarketMethods
from chain.rpc.market_data import MarketDataMethods
from chain.wallet.chain_client import to_hex
from chain.wallet.ss58 import decode_account, encode_address
from runtime.transaction import decode_transaction
from tests.support.runtime import GENESIS_HASH
from tests.unit.cli.fake_rpc import fake_hash
from tests.unit.cli.live_chain import LiveChain, joined


class Reader:
    """Answers from the newest state, whatever block is asked about."""

    def __init__(self, chain):
        self.chain = chain

    def ask(self, _at, answer):
        return answer(self.chain.look(), None)

    def address(self, who):
        return encode_address(bytes(who))


class LiveTown(LiveChain):
    """Executes what a command sends, together with what the town's agents send."""

    def __init__(self, fake, town):
        super().__init__(fake, town.chain)
        self.town, self.doors = town, []
        fake.state_getKeysPaged = self.keys
        fake.chain_getBlockHash = self.block_hash
        market = MarketMethods.__new__(MarketMethods)
        market._reader = Reader(town.chain)
        data = MarketDataMethods.__new__(MarketDataMethods)
        data._reader = market._reader
        fake.gristmill_v1_job = lambda number, at=None: {"result": market.job(number, at)}
        fake.gristmill_v1_jobs = lambda state=None, who=None, at=None: {
            "result": market.jobs(state, who and decode_account(who), at)
        }
        fake.gristmill_v1_provider = lambda who, at=None: {
            "result": market.provider(decode_account(who), at)
        }
        fake.gristmill_v1_credits = lambda who, at=None: {
            "result": market.credits(decode_account(who), at)
        }
        fake.gristmill_v1_organisation = lambda number, at=None: {
            "result": market.organisation(number, at)
        }
        for name in ("providers", "verifiers", "oracle"):
            answer = getattr(market, name)
            setattr(fake, f"gristmill_v1_{name}", lambda at=None, a=answer: {"result": a(at)})
        fake.gristmill_v1_workUnits = lambda at=None: {"result": market.work_units(at)}

    def block(self):
        self.catch_up()
        sent, self.waiting = self.waiting, []
        self.town.pool += [decode_transaction(raw) for raw in sent]
        self.town.block()
        self.fake.blocks.append([b"\x10\4\3\0\7", b"\x10\4\3\0\7", *sent])
        self.fake.events[self.chain.height] = joined(self.chain.last.receipts)

    def block_hash(self, height=None):
        height = self.chain.height if height is None else height
        if not height:
            return {"result": to_hex(GENESIS_HASH)}
        return {"result": fake_hash(height) if height <= self.chain.height else None}

    def keys(self, prefix, count, after=None, _at=None):
        start = None if after is None else bytes.fromhex(after[2:])
        keys = self.chain.state.keys(bytes.fromhex(prefix[2:]), start, count)
        return {"result": ["0x" + key.hex() for key in keys]}

    def open_door(self, name):
        """Let others in at the desk and the data of a provider; gives where."""
        door = Door(DataDirectory(self.town.path / name), self.town.desks[name])
        door.open()
        self.doors.append(door)
        return door.url

    def close(self):
        for door in self.doors:
            door.close()
