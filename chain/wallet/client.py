"""JSON-RPC to a node over one kept HTTP connection; nothing is trusted in the answer."""

import http.client
import itertools
import json
from collections.abc import Sequence
from typing import Any, Final, Self

from chain.wallet.endpoint import DEFAULT_URL, parse_url
from chain.wallet.errors import BadContent, NodeUnreachable, TryAgain, WalletError

ANSWER_LENGTH_MAX: Final = 64 << 20
"""Bytes of an answer; the longest is a page of blocks for an export."""

BATCH_MAX: Final = 50
"""Requests in one batch; the node's own limit."""

TIMEOUT_S: Final = 15
"""Seconds to wait for an answer; the node gives up a request after ten."""

ALREADY_IMPORTED: Final = 1013
"""The code for a transaction that the pool has already."""

_HINTS: Final = {
    1010: "gristmill tx dry-run shows what would happen",
    1012: "wait a minute, or change the transaction",
    ALREADY_IMPORTED: "it is already on its way: gristmill tx watch follows it",
    1014: "another transaction of this account has the same nonce; give a higher --tip",
    1016: "the node is busy; try again, or give a --tip",
    -32601: "the node is of another release, or this method is not open here",
    -32999: "the node limits requests; wait a moment",
}
"""What to do about the error codes of the node."""

_AGAIN: Final = (1012, 1016, -32999)
"""Codes after which the same request may succeed later."""

Call = tuple[str, Sequence[Any]]
"""A method and its parameters."""


class RpcError(WalletError):
    """The node answered with an error; `rpc_code` is its number and `reason` its details."""

    code = "rpc"

    def __init__(self, rpc_code: int, message: str, reason: Any = None) -> None:
        text = message if reason in (None, "") else f"{message}: {_reason_text(reason)}"
        super().__init__(text, _HINTS.get(rpc_code, ""))
        self.rpc_code = rpc_code
        self.reason = reason
        if rpc_code in _AGAIN:
            self.exit_code = TryAgain.exit_code


class RpcClient:
    """One HTTP connection to a node, reopened when the node closed it."""

    def __init__(self, url: str = DEFAULT_URL, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        end = parse_url(url)
        kind = http.client.HTTPSConnection if end.is_secure else http.client.HTTPConnection
        self._connection = kind(end.host, end.port, timeout=timeout_s)
        self._path = end.path
        self._ids = itertools.count(1)
        self._is_used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._is_used = False

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of one request; RpcError for an error answer."""
        request = self._request(method, params)
        answer = self._exchange(request)
        return _result_of(answer, request["id"])

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Return the results of many requests, in their order; an error is returned, not raised."""
        results: list[Any] = []
        for start in range(0, len(calls), BATCH_MAX):
            requests = [self._request(*call) for call in calls[start : start + BATCH_MAX]]
            answers = self._exchange(requests)
            if not isinstance(answers, list):
                return [*results, *(_outcome_of(answers, None) for _ in calls[start:])]
            by_id = {one.get("id"): one for one in answers if isinstance(one, dict)}
            results += [_outcome_of(by_id.get(one["id"]), one["id"]) for one in requests]
        return results

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    def _exchange(self, request: Any) -> Any:
        content = json.dumps(request).encode()
        while True:
            was_used, self._is_used = self._is_used, True
            try:
                return self._post(content)
            except TimeoutError:
                self.close()
                raise TryAgain(
                    f"the node at {self.url} did not answer in time", "it may be busy; try again"
                ) from None
            except (ConnectionError, http.client.HTTPException, OSError) as error:
                self.close()
                is_stale = isinstance(
                    error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError
                )
                if not (was_used and is_stale):
                    raise NodeUnreachable(
                        f"no node answers at {self.url} ({_os_reason(error)})",
                        "start one with gristmill devnet up, or name another with --url",
                    ) from None

    def _post(self, content: bytes) -> Any:
        self._connection.request(
            "POST", self._path, body=content, headers={"Content-Type": "application/json"}
        )
        response = self._connection.getresponse()
        body = response.read(ANSWER_LENGTH_MAX + 1)
        if len(body) > ANSWER_LENGTH_MAX:
            self.close()
            raise BadContent(f"the answer of the node is longer than {ANSWER_LENGTH_MAX} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise BadContent(
                f"{self.url} answered {response.status} {response.reason} without JSON",
                "this is not the RPC address of a node",
            ) from None


def _result_of(answer: Any, request_id: int | None) -> Any:
    outcome = _outcome_of(answer, request_id)
    if isinstance(outcome, WalletError):
        raise outcome
    return outcome


def _outcome_of(answer: Any, request_id: int | None) -> Any:
    if not isinstance(answer, dict):
        return BadContent("the node's answer is not a JSON-RPC answer")
    error = answer.get("error")
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        return RpcError(code if isinstance(code, int) else 0, _one_line(message), error.get("data"))
    if "result" not in answer or answer.get("id") != request_id:
        return BadContent("the node's answer does not belong to the request")
    return answer["result"]


def _reason_text(reason: Any) -> str:
    if isinstance(reason, dict):
        reason = reason.get("reason") or reason.get("message") or reason
    return _one_line(reason)


def _one_line(text: Any) -> str:
    """Return text of a stranger as one printable line of at most 400 characters."""
    words = str(text).split()
    return "".join(letter for letter in " ".join(words) if letter.isprintable())[:400]


def _os_reason(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return _one_line(reason).lower()
