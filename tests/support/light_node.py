"""A node's own RPC methods over a chain in one thread, and a liar in front of it."""

import json
from types import SimpleNamespace

import trio

from chain.node_view import NodeFace
from chain.rpc.jsonrpc import Call, RpcError, run_call
from chain.rpc.methods import build_methods
from chain.rpc.view import ChainView
from chain.wallet import client


def make_face(solo):
    """What RPC sees of a chain that runs in one thread."""
    view = ChainView(
        name="Solo", id="test", chain_type="Development", genesis_hash=solo.start.hash,
        ss58_prefix=42, token_symbol="GRIST", token_decimals=9,  # noqa: S106 - a token, no secret
        node_name="solo", node_version="0", peer_id="solo", listen_addresses=(),
        is_validator=False,
    )  # fmt: skip

    async def report(evidence):
        return solo.offences.add(evidence, tip=solo.chain.tip)

    sources = SimpleNamespace(chain=solo.chain, judge=solo.judge, pool=solo.pool, report=report)
    return NodeFace(view, sources)


class Answering:
    """Calls the handlers in place; answers go through JSON. `alter` changes one on its way.

    A chain that stands still gives the same answers, so those of a `like` node are taken over.
    """

    def __init__(self, solo, alter=None, *, like=None):
        self._solo = solo
        self._table = None if like is None else like._table
        self._known = {} if like is None else like._known
        self.alter = alter
        self.asked = []

    def call(self, method, *params):
        self.asked.append(method)
        question = json.dumps([self._solo.chain.height, method, params])
        if question not in self._known:
            self._known[question] = json.dumps(self._answer(method, params))
        answer = json.loads(self._known[question])
        return answer if self.alter is None else self.alter(method, len(self.asked), answer)

    def _answer(self, method, params):
        if self._table is None:
            self._table = build_methods(make_face(self._solo), allow_unsafe=False)
        found = self._table.find(method)
        try:
            return trio.run(run_call, Call(found, found.bind(list(params))))
        except RpcError as error:
            raise client.RpcError(error.code, str(error), error.data) from None


def alterations(answer, path=()):
    """Yield (where, answer with one thing changed) for each member and item in turn."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield (*path, name, "gone"), {k: v for k, v in answer.items() if k != name}
            for where, other in alterations(value, (*path, name)):
                yield where, {**answer, name: other}
        yield (*path, "more"), {**answer, "more": 1}
    elif isinstance(answer, list):
        for place, value in enumerate(answer):
            yield (*path, place, "gone"), answer[:place] + answer[place + 1 :]
            for where, other in alterations(value, (*path, place)):
                yield where, [*answer[:place], other, *answer[place + 1 :]]
        yield (*path, "more"), [*answer, answer[-1] if answer else "0x"]
    else:
        yield from _scalars(answer, path)


def _scalars(answer, path):
    if answer is None:
        yield (*path, "not null"), "0x00"
        return
    yield (*path, "null"), None
    if isinstance(answer, int):
        for other in (answer + 1, answer - 1, -answer - 1, str(answer) + "0"):
            yield (*path, str(other)), other
    elif answer.startswith("0x"):
        for place in sorted({2, len(answer) // 2, len(answer) - 1} - {len(answer)}):
            flipped = "0" if answer[place] != "0" else "1"
            yield (*path, f"digit {place}"), answer[:place] + flipped + answer[place + 1 :]
        yield (*path, "shorter"), answer[:-2] if len(answer) > 2 else "nothing"
        yield (*path, "longer"), answer + "00"
