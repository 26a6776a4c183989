"""The door of an agent: data, weights and receipts over plain HTTP, all of it checked by who reads.

    GET  /data/<root>       the leaves of a dataset
    GET  /weights/<state>   the weights of a model
    GET  /receipts/<job>    the receipt that the provider offers to sign, in its envelope
    POST /receipts/<job>    the same envelope with the requester's signature

An envelope is MessagePack: {"receipt": SCALE bytes, "provider": signature, "requester": signature
or nil}. A door trusts nobody: what it takes it checks, and it gives nothing that is secret.
"""

import http.client
import http.server
import threading
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgpack

from chain.errors import GristmillError
from chain.market.content import (
    DATA_BYTES_MAX,
    DataDirectory,
    DataMissing,
    DataSpoiled,
    check_content,
    check_weights,
)
from chain.seams import Clock, SystemClock
from runtime.market.jobs.receipts import SIGNATURE_BYTES, JobReceipt
from runtime.market.trainer import WEIGHTS_BYTES_MAX

ENVELOPE_BYTES_MAX: Final = 1_024
"""A receipt has 214 bytes, two signatures 128; the rest is names."""

TIMEOUT_S: Final = 10.0
"""Seconds that a peer has for a request or an answer."""

VISITORS_MAX: Final = 16
"""Requests that a door answers at once; each has a thread, and nobody else gets one."""

CLOSING_S: Final = 0.05
"""Seconds that a door takes to notice that it is to close."""

VISIT_S: Final = 60.0
"""Seconds after which a visitor has to make room for another; a whole dataset takes a few."""


class BadEnvelope(GristmillError):
    """Bytes that are no envelope of a receipt; ask who sent them."""


class PeerSilent(GristmillError):
    """A peer that does not answer, or has not what was asked for; try another."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A receipt with the signatures that it has so far, 64 bytes each."""

    receipt: JobReceipt
    provider: bytes
    requester: bytes | None = None

    def encode(self) -> bytes:
        """Give the MessagePack bytes."""
        packed: bytes = msgpack.packb(
            {
                "receipt": JobReceipt.wire.encode(self.receipt),
                "provider": self.provider,
                "requester": self.requester,
            }
        )
        return packed


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope; raises BadEnvelope for whatever is not one."""
    if len(data) > ENVELOPE_BYTES_MAX:
        raise BadEnvelope(f"an envelope has at most {ENVELOPE_BYTES_MAX} bytes")
    try:
        fields: Any = msgpack.unpackb(data, strict_map_key=True)
        if not isinstance(fields, dict) or {*fields} != {"provider", "receipt", "requester"}:
            raise BadEnvelope("an envelope holds receipt, provider and requester")
        receipt = JobReceipt.wire.decode(_checked(fields["receipt"], None))
    except (ValueError, msgpack.UnpackException) as error:
        raise BadEnvelope(f"this is no envelope: {error}") from error
    provider = _checked(fields["provider"], SIGNATURE_BYTES)
    requester = fields["requester"]
    if requester is not None:
        requester = _checked(requester, SIGNATURE_BYTES)
    return Envelope(receipt, provider, requester)


def _checked(value: Any, length: int | None) -> bytes:
    if not isinstance(value, bytes) or (length is not None and len(value) != length):
        raise BadEnvelope("a field of the envelope is not the bytes that it should be")
    return value


class Desk:
    """The receipts that an agent offers, and those that came back; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offers: dict[int, Envelope] = {}
        self._signed: dict[int, Envelope] = {}

    def offer(self, envelope: Envelope) -> None:
        """Let the requester sign this receipt; it stands in for what was offered before."""
        with self._lock:
            self._offers[envelope.receipt.job] = envelope

    def withdraw(self, job: int) -> None:
        """Offer nothing of a job any more."""
        with self._lock:
            self._offers.pop(job, None)
            self._signed.pop(job, None)

    def offered(self, job: int) -> Envelope | None:
        """Give what is offered of a job."""
        with self._lock:
            return self._offers.get(job)

    def bring_back(self, envelope: Envelope) -> bool:
        """Take a receipt that the requester signed; only the one that is offered counts."""
        with self._lock:
            offered = self._offers.get(envelope.receipt.job)
            is_ours = offered is not None and offered.receipt == envelope.receipt
            if is_ours and envelope.requester is not None:
                self._signed[envelope.receipt.job] = envelope
            return is_ours

    def signed(self, job: int) -> Envelope | None:
        """Give the receipt of a job that came back signed."""
        with self._lock:
            return self._signed.get(job)


class DoorServer(http.server.ThreadingHTTPServer):
    """A server with a thread for each of a few visitors; who comes when it is full is sent away.

    A visitor that has stayed too long, byte by byte, makes room for the next.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        visit: type[http.server.BaseHTTPRequestHandler],
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._visitors: dict[Any, float] = {}
        super().__init__(address, visit)

    @property
    def visitors(self) -> int:
        """How many are inside."""
        with self._lock:
            return len(self._visitors)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a visitor a thread, if there is one."""
        with self._lock:
            is_let_in = self._make_room()
            if is_let_in:
                self._visitors[request] = self._clock.elapsed()
        if is_let_in:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a visitor, and let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._visitors.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a visitor that went away in the middle."""

    def _make_room(self) -> bool:
        """Whether there is room; who has stayed longest leaves if that was too long."""
        if len(self._visitors) < VISITORS_MAX:
            return True
        oldest = min(self._visitors, key=self._visitors.__getitem__)
        if self._clock.elapsed() - self._visitors[oldest] < VISIT_S:
            return False
        del self._visitors[oldest]
        self.shutdown_request(oldest)
        return True


class Door:
    """An HTTP server for a data directory and a desk, in threads of its own.

    It is on the loopback unless another address is named.
    """

    def __init__(
        self,
        data: DataDirectory,
        desk: Desk,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        clock: Clock | None = None,
    ) -> None:
        self.data = data
        self.desk = desk
        self.host = host
        door = self

        class Visit(http.server.BaseHTTPRequestHandler):
            """One request."""

            timeout = TIMEOUT_S
            server_version = "gristmill"
            sys_version = ""

            def do_GET(self) -> None:
                """Give a file or a receipt."""
                _reply(self, *door.find(self))

            def do_POST(self) -> None:
                """Take a signed receipt."""
                _reply(self, *door.take(self))

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
                """Say nothing: the chain tells what matters."""

        self.server = DoorServer((host, port), Visit, clock or SystemClock())
        self.port = int(self.server.server_address[1])
        self._thread = threading.Thread(
            target=self.server.serve_forever, args=(CLOSING_S,), daemon=True
        )

    @property
    def url(self) -> str:
        """Where the door is."""
        return f"http://{self.host}:{self.port}"

    def open(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self.server.shutdown()
        self.server.server_close()

    def find(self, visit: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """Give what a path names."""
        kind, _, name = visit.path.strip("/").partition("/")
        try:
            if kind == "data":
                return 200, b"".join(self.data.read(_parse_hash(name)))
            if kind == "weights":
                return 200, self.data.read_weights(_parse_hash(name))
            if kind == "receipts" and name.isascii() and name.isdecimal() and len(name) < 11:
                envelope = self.desk.offered(int(name))
                if envelope is not None:
                    return 200, envelope.encode()
        except (DataMissing, DataSpoiled, ValueError):
            pass
        return 404, b"there is nothing of that name here"

    def take(self, visit: http.server.BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """Take an envelope."""
        length = visit.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and int(length) <= ENVELOPE_BYTES_MAX):
            return 413, b"an envelope is short, and says how long it is"
        try:
            envelope = read_envelope(visit.rfile.read(int(length)))
        except BadEnvelope as error:
            return 400, str(error).encode()
        if not self.desk.bring_back(envelope):
            return 409, b"that receipt is not offered"
        return 200, b"taken"


def _reply(visit: http.server.BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    try:
        visit.send_response(status)
        visit.send_header("Content-Type", "application/octet-stream")
        visit.send_header("Content-Length", str(len(content)))
        visit.end_headers()
        visit.wfile.write(content)
    except OSError:
        visit.close_connection = True


def _parse_hash(text: str) -> bytes:
    if len(text) != 64:
        raise ValueError("a hash has 64 hexadecimal digits")
    return bytes.fromhex(text)


class Peer:
    """Somebody else's door."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host, port = None, 0
        if host is None or not url.startswith("http://"):
            raise PeerSilent(f"{url} is no door: write http://HOST:PORT")
        self.url = url
        self._host, self._port = host, port

    def data(self, root: bytes) -> list[bytes]:
        """Fetch the leaves of a dataset. Raises PeerSilent and DataSpoiled."""
        return check_content(root, self._ask("GET", f"/data/{root.hex()}", DATA_BYTES_MAX))

    def weights(self, state: bytes) -> bytes:
        """Fetch weights. Raises PeerSilent and DataSpoiled."""
        path = f"/weights/{state.hex()}"
        return check_weights(state, self._ask("GET", path, WEIGHTS_BYTES_MAX))

    def receipt(self, job: int) -> Envelope | None:
        """Fetch the receipt that is offered of a job, if there is one. Raises BadEnvelope."""
        try:
            return read_envelope(self._ask("GET", f"/receipts/{job}", ENVELOPE_BYTES_MAX))
        except PeerSilent:
            return None

    def bring(self, envelope: Envelope) -> None:
        """Bring a signed receipt back. Raises PeerSilent."""
        path = f"/receipts/{envelope.receipt.job}"
        self._ask("POST", path, ENVELOPE_BYTES_MAX, envelope.encode())

    def _ask(self, method: str, path: str, size_max: int, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read(size_max + 1)
        except (OSError, http.client.HTTPException) as error:
            raise PeerSilent(f"{self.url} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != 200 or len(content) > size_max:
            raise PeerSilent(f"{self.url} has no {path}: it answers {answer.status}")
        return content


def fetch_data(data: DataDirectory, peers: list[Peer], root: bytes) -> list[bytes]:
    """Give the leaves of a dataset from a directory, or from the first peer that has it.

    What a peer gave is kept. Raises DataMissing when nobody has it.
    """
    if root in data:
        return data.read(root)
    for peer in peers:
        try:
            leaves = peer.data(root)
        except (PeerSilent, DataSpoiled):
            continue
        data.write(leaves)
        return leaves
    raise DataMissing(f"neither {data.path} nor {len(peers)} peers have {root.hex()}")


def fetch_weights(data: DataDirectory, peers: list[Peer], state: bytes) -> bytes:
    """Give the weights of a state in the same way. Raises DataMissing."""
    try:
        return data.read_weights(state)
    except DataMissing:
        pass
    for peer in peers:
        try:
            weights = peer.weights(state)
        except (PeerSilent, DataSpoiled):
            continue
        data.write_weights(weights)
        return weights
    raise DataMissing(f"neither {data.path} nor {len(peers)} peers have weights {state.hex()}")
