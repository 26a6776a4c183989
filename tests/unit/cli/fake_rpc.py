"""A node in a thread that answers JSON-RPC as ours does, from a script and a little memory."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chain.wallet.chain_client import EVENTS_KEY, ISSUANCE_KEY, account_key, to_hex
from chain.wallet.cursor import encode_compact_number
from chain.wallet.derivation import derive
from chain.wallet.extrinsic import decode_extrinsic
from tests.unit.wallet.metadata_writer import write_metadata

FEE = 5_000_000
ALICE, BOB = derive("//Alice").public, derive("//Bob").public


def fake_hash(height):
    return "0x" + f"{height:064x}"


def account_bytes(free, nonce=0):
    start = nonce.to_bytes(4, "little") + bytes(12)
    return start + free.to_bytes(16, "little") + bytes(48)


class FakeChain:
    """Blocks by height; a submitted transaction is final in the next block, if it goes in."""

    def __init__(self):
        self.chain_type = "Development"
        self.metadata = write_metadata()
        self.blocks = [[], [b"\x10\4\3\0\7"], [b"\x10\4\3\0\7"]]
        self.events = {}
        self.versions = {}
        self.state = {
            account_key(ALICE): account_bytes(10**15, nonce=4),
            account_key(BOB): account_bytes(10**15),
            ISSUANCE_KEY: (2 * 10**15).to_bytes(16, "little"),
        }
        self.does_fail = False
        self.does_include = True
        self.refusal = None
        self.asked = []

    def answer(self, method, params):
        self.asked.append(method)
        handler = getattr(self, method, None)
        if handler is None:
            return {"error": {"code": -32601, "message": f"Method not found: {method}"}}
        return handler(*params)

    @property
    def height(self):
        return len(self.blocks) - 1

    def system_chain(self):
        return {"result": "Gristmill Devnet"}

    def system_chainType(self):  # noqa: N802 - the name is the method on the wire
        return {"result": self.chain_type}

    def system_name(self):
        return {"result": "gristmill-node"}

    def system_version(self):
        return {"result": "0.1.0"}

    def system_health(self):
        return {"result": {"peers": 3, "isSyncing": False, "shouldHavePeers": True}}

    def system_properties(self):
        return {"result": {"ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "GRIST"}}

    def system_accountNextIndex(self, _address):  # noqa: N802 - the name is the method on the wire
        return {"result": 4}

    def state_getRuntimeVersion(self, at=None):  # noqa: N802 - the name is the method on the wire
        number, _ = self.rules(at)
        return {"result": {"specName": "gristmill", "specVersion": number, "transactionVersion": 1}}

    def state_getMetadata(self, at=None):  # noqa: N802 - the name is the method on the wire
        return {"result": to_hex(self.rules(at)[1])}

    def rules(self, at):
        """Version and metadata of a block, of the newest where none is named."""
        return self.versions.get(at and int(at, 16), (1, self.metadata))

    def chain_getFinalizedHead(self):  # noqa: N802 - the name is the method on the wire
        if self.does_include is None:
            self.blocks.append([])
        return {"result": fake_hash(self.height)}

    def chain_getBlockHash(self, height=None):  # noqa: N802 - the name is the method on the wire
        height = self.height if height is None else height
        return {"result": fake_hash(height) if height <= self.height else None}

    def chain_getHeader(self, block_hash=None):  # noqa: N802 - the name is the method on the wire
        height = self.height if block_hash is None else int(block_hash, 16)
        return {"result": self.header(height) if height <= self.height else None}

    def chain_getBlock(self, block_hash=None):  # noqa: N802 - the name is the method on the wire
        height = self.height if block_hash is None else int(block_hash, 16)
        if height > self.height:
            return {"result": None}
        body = [to_hex(one) for one in self.blocks[height]]
        return {"result": {"block": {"header": self.header(height), "extrinsics": body}}}

    def header(self, height):
        return {
            "parentHash": fake_hash(max(height - 1, 0)),
            "number": hex(height),
            "stateRoot": fake_hash(7),
            "extrinsicsRoot": fake_hash(8),
            "digest": {"logs": []},
        }

    def state_getStorage(self, key, at=None):  # noqa: N802 - the name is the method on the wire
        raw = bytes.fromhex(key[2:])
        if raw == EVENTS_KEY:
            height = self.height if at is None else int(at, 16)
            return {"result": to_hex(self.events.get(height, b"\0"))}
        value = self.state.get(raw)
        return {"result": None if value is None else to_hex(value)}

    def state_getKeysPaged(self, prefix, limit, after=None, _at=None):  # noqa: N802 - the wire's
        keys = sorted(to_hex(key) for key in self.state if to_hex(key).startswith(prefix))
        return {"result": [key for key in keys if after is None or key > after][:limit]}

    def payment_queryInfo(self, _extrinsic):  # noqa: N802 - the name is the method on the wire
        return {"result": {"weight": {}, "class": "normal", "partialFee": str(FEE)}}

    def author_submitExtrinsic(self, text):  # noqa: N802 - the name is the method on the wire
        if self.refusal is not None:
            return {"error": self.refusal}
        content = bytes.fromhex(text[2:])
        if self.does_include:
            self.blocks.append([b"\x10\4\3\0\7", content])
            self.events[self.height] = self.outcome(content)
        elif self.does_include is False:
            self.does_include = None
        return {"result": to_hex(decode_extrinsic(content).hash)}

    def gristmill_v1_dryRun(self, text):  # noqa: N802 - the name is the method on the wire
        events = self.outcome(bytes.fromhex(text[2:]))
        result = "0x0001030502000000" if self.does_fail else "0x0000"
        return {"result": {"result": result, "events": to_hex(events)}}

    def gristmill_v1_status(self):
        final = {"height": self.height, "hash": fake_hash(self.height)}
        return {"result": {"final": final, "lagMs": 900, "peers": 3, "isReady": True}}

    def gristmill_v1_extrinsic(self, extrinsic_hash):
        for height, body in enumerate(self.blocks):
            for index, content in enumerate(body):
                if to_hex(decode_extrinsic(content).hash) == extrinsic_hash:
                    return {"result": {"height": height, "index": index}}
        return {"result": None}

    def gristmill_v1_history(self, _address, count=20, before=None):
        places = [(h, i) for h, body in enumerate(self.blocks) for i in range(len(body))]
        chosen = [one for one in places[::-1] if before is None or one < tuple(before)][:count]
        return {"result": [{"height": height, "index": index} for height, index in chosen]}

    def outcome(self, content):
        signer = decode_extrinsic(content).signed.signer
        fee = b"\6\0" + signer + FEE.to_bytes(16, "little") + bytes(16)
        if self.does_fail:
            events = [fee, b"\0\1" + b"\3\5\2\0\0\0" + b"\4"]
        else:
            moved = b"\5\2" + signer + BOB + (12_500_000_000).to_bytes(16, "little")
            events = [moved, fee, b"\0\0\4"]
        phase = b"\0\1\0\0\0"
        records = [phase + one + b"\0" for one in events]
        return encode_compact_number(len(records)) + b"".join(records)


class FakeNode:
    """The chain behind a real HTTP server on a free port; `url` is where it answers."""

    def __init__(self, port=0):
        chain = self.chain = FakeChain()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer; two would wait for each other, 40 ms a call

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if isinstance(request, list):
                    answers = [reply(one) for one in request]
                else:
                    answers = reply(request)
                body = json.dumps(answers).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_unused):
                pass

        def reply(one):
            outcome = chain.answer(one["method"], one["params"])
            return {"jsonrpc": "2.0", "id": one["id"], **outcome}

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
