"""Requests that no honest client sends, each with what may come back: a status, or a code."""

import json
from dataclasses import dataclass

CLOSED = 0
"""In place of a status: the connection may just be closed."""

LONG = 10 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class Case:
    """Raw bytes, and the statuses or JSON-RPC codes that are right answers to them."""

    name: str
    data: bytes
    statuses: tuple[int, ...]
    codes: tuple[int | None, ...] = ()


def head(*lines: str, verb: str = "POST / HTTP/1.1", host: str = "Host: localhost") -> bytes:
    return "\r\n".join([verb, *([host] if host else []), *lines, "", ""]).encode("latin-1")


def http(name: str, data: bytes, *statuses: int) -> Case:
    return Case(name, data, statuses)


def get(name: str, *lines: str, status: int, verb: str = "GET /health HTTP/1.1",
        host: str = "Host: localhost") -> Case:  # fmt: skip
    return Case(name, head(*lines, "Connection: close", verb=verb, host=host), (status,))


def post(name: str, body: bytes, *codes: int | None, status: int = 200, **headers: str) -> Case:
    given = {"Content-Type": "application/json", "Connection": "close"} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    lines = [f"{key}: {value}" for key, value in given.items() if value]
    return Case(name, head(*lines, f"Content-Length: {len(body)}") + body, (status,), codes)


def call(name: str, document: object, *codes: int | None, **options: int) -> Case:
    return post(name, json.dumps(document).encode(), *codes, **options)


def request(**members: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": "system_chain"} | members


HEADS = (
    get("host of another site", status=403, host="Host: evil.example"),
    get("no host", status=400, host=""),
    get("empty host", status=403, host="Host: "),
    get("two hosts", "Host: evil.example", status=400),
    get("host with a user", status=403, host="Host: localhost@evil.example"),
    get("host with a port and a user", status=403, host="Host: localhost:1@evil.example"),
    get("host below localhost", status=403, host="Host: localhost.evil.example"),
    get("host of bytes", status=403, host="Host: \xff\xfe"),
    get("host with a strange port", status=403, host="Host: localhost:port"),
    get("folded header", "X: a", " b", status=200),
    get("header without a colon", "nonsense", status=400),
    get("header with a zero byte", "X: a\0b", status=400),
    get("header name with a space", "X Y: a", status=400),
    get("one long header", "X: " + "a" * 40_000, status=431),
    get("many headers", *(f"X{n}: a" for n in range(5_000)), status=431),
    get("unknown verb", verb="BREW / HTTP/1.1", status=405),
    get("trace", verb="TRACE / HTTP/1.1", status=405),
    get("connect", verb="CONNECT evil.example:80 HTTP/1.1", status=405),
    get("path upwards", verb="GET /../../etc/passwd HTTP/1.1", status=404),
    get("path encoded upwards", verb="GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", status=404),
    get("path of another site", verb="GET http://evil.example/health HTTP/1.1", status=404),
    http("version of the future", head(verb="GET / HTTP/9.9"), 200, 400, 505),
    http("no version", b"GET /\r\n\r\n", 400, CLOSED),
    http("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 403, 505),
    http("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    http("nothing but noise", bytes(range(256)) * 8 + b"\r\n\r\n", 400, 431),
    http("a line without end", b"G" * 40_000, 400, 414, 431, CLOSED),
)

BODIES = (
    http("two lengths", head("Content-Length: 2", "Content-Length: 3") + b"{}", 400),
    http("negative length", head("Content-Length: -1") + b"{}", 400),
    http("length in words", head("Content-Length: two") + b"{}", 400),
    http("length and chunks", head("Content-Length: 2", "Transfer-Encoding: chunked") + b"{}", 400),
    http("unknown encoding", head("Transfer-Encoding: gzip") + b"{}", 400, 501),
    http("announced too much", head("Content-Length: 1048577"), 413),
    http("announced ten gigabytes", head(f"Content-Length: {LONG}"), 413),
    http("length of forty digits", head("Content-Length: " + "9" * 40), 400, 413),
    http("bad chunk", head("Transfer-Encoding: chunked") + b"zz\r\n", 400),
    http("huge chunk", head("Transfer-Encoding: chunked") + b"F" * 30 + b"\r\n", 400, 413),
    http("too many chunks", head("Transfer-Encoding: chunked") + b"800\r\n" + b" " * 2048 + b"\r\n"
         + b"".join(b"800\r\n" + b" " * 2048 + b"\r\n" for _ in range(600)), 413),
    post("no content type", b"{}", status=415, Content_Type=""),
    post("a form", b"{}", status=415, Content_Type="application/x-www-form-urlencoded"),
    post("plain text", b"{}", status=415, Content_Type="text/plain"),
    post("almost JSON", b"{}", status=415, Content_Type="application/jsonp"),
    post("page of another site", b"{}", status=403, Origin="https://evil.example"),
    post("page of no site", b"{}", status=403, Origin="null"),
    post("page with a user", b"{}", status=403, Origin="http://localhost:3000@evil.example"),
    post("page below localhost", b"{}", status=403, Origin="http://localhost.evil.example"),
)  # fmt: skip

DOCUMENTS = (
    post("no body", b"", -32700),
    post("deep array", b"[" * 200_000, -32700),
    post("deep object", b'{"a":' * 100_000, -32700),
    post("deep and whole", b"[" * 65 + b"]" * 65, -32700),
    post("a million brackets", b"[" + b"[]," * 300_000 + b"[]]", -32600, -32700),
    post("a key twice", b'{"jsonrpc":"2.0","id":1,"id":2,"method":"system_chain"}', -32700),
    post("no number", b"[NaN]", -32700),
    post("infinite", b"[-Infinity]", -32700),
    post("endless number", b"[" + b"9" * 500_000 + b"]", -32700),
    post("endless fraction", b"[0." + b"9" * 500_000 + b"]", -32600),
    post("number beyond any", b'{"jsonrpc":"2.0","id":1e999,"method":"system_chain"}', -32700),
    post("half a character as id", b'{"jsonrpc":"2.0","id":"\\ud800","method":"x"}', -32700),
    post("half a character as method", b'{"jsonrpc":"2.0","id":1,"method":"\\udfff"}', -32700),
    post("no UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700),
    post("byte order mark", b"\xef\xbb\xbf{}", -32700),
    post("UTF-16", '{"id":1}'.encode("utf-16"), -32700),
    post("trailing words", b"{} {}", -32700),
    post("single quotes", b"{'id':1}", -32700),
    call("null", None, -32600),
    call("a text", "system_chain", -32600),
    call("a number", 7, -32600),
    call("empty batch", [], -32600),
    call("batch of batches", [[request()]], -32600),
    call("batch too large", [request()] * 51, -32600),
    call("no version", request(jsonrpc=None), -32600),
    call("another version", request(jsonrpc="1.0"), -32600),
    call("method that is a number", request(method=7), -32600),
    call("id that is an object", request(id={}), -32600),
    call("id that is true", request(id=True), -32600),
    call("params that are a text", request(params="x"), -32600),
    call("unknown method", request(method="x"), -32601),
    call("method of a megabyte", request(method="x" * 1_000_000), -32601),
    call("method with a new line and colours", request(method="x\r\n\x1b[31mERROR"), -32601),
    call("method of Python", request(method="__class__.__mro__"), -32601),
    call("unsafe method", request(method="author_rotateKeys"), -32601, None),
    call("parameters without end", request(params=[0] * 100_000), -32602, -32700),
    call("parameter that is not named", request(params={"x": 1}), -32602),
    call("a hundred thousand names", request(params={f"x{n}": n for n in range(50_000)}), -32602,
         -32700),
    call("a block before the first", request(method="chain_getBlockHash", params=[-1]), -32602),
    call("a block after the last", request(method="chain_getBlockHash", params=[2**31]), None,
         -32602),
    call("a height of forty digits", request(method="chain_getBlockHash", params=[10**39]), -32602),
    call("a hash of odd length", request(method="chain_getBlock", params=["0x123"]), -32602),
    call("a hash without end", request(method="chain_getBlock", params=["0x" + "00" * 400_000]),
         -32602),
    call("a path for a key", request(method="state_getStorage", params=["../../etc/passwd"]),
         -32602),
    call("an extrinsic of nothing", request(method="author_submitExtrinsic", params=["0x"]), 1002,
         1010, -32602),
    call("an extrinsic of a megabyte", request(method="author_submitExtrinsic",
         params=["0x" + "84" * 500_000]), 1002, 1010, -32602),
    call("fifty costly calls", [request(id=n, method="state_getMetadata") for n in range(50)],
         None, -32000),
)  # fmt: skip

HTTP_CASES = (*HEADS, *BODIES, *DOCUMENTS)

JUNK = (
    [], [None], [0], [-1], [2**63], [10**30], [1.5], [True], [""], ["0x"], ["0x" + "ff" * 31],
    ["0x" + "ff" * 32], ["0x" + "ff" * 100_000], ["\0\x1b[2J\n"], ["é" * 1_000], [[]], [{}],
    [[[[[[[]]]]]]], [["0x00"] * 1_000], [{"a": {"b": {"c": 1}}}], ["0x" + "00" * 32, -1],
    [0, "0x" + "ff" * 32], ["latest", "latest"], [None, None, None, None], {"x": 1},
)  # fmt: skip
"""Parameters that every method of the node is called with."""
