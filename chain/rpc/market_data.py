"""Datasets as people and their owners' agents ask for them: terms, challenges, signals, cases.

Fields are those of the records in the state (`chain.rpc.records`); null is what does not exist.
"""

from typing import Any, Final

from chain.rpc.jsonrpc import Json, Method, MethodTable
from chain.rpc.params import ACCOUNT, AT, NUMBER
from chain.rpc.reading import RuntimeReader
from chain.rpc.records import merged, to_json
from chain.rpc.view import NodeView
from runtime.frame.declared import Record, camel_case
from runtime.frame.errors import CallError
from runtime.market.datasets import Datasets
from runtime.market.datasets.nouns import OPENINGS, DatasetState
from runtime.market.datasets.possession import has_answered, is_missed
from runtime.market.nouns import NOBODY
from runtime.primitives import ZERO_HASH
from runtime.runtime import Runtime

DATASETS_READ: Final = 2_000
"""Newest datasets that an answer looks through: some ten milliseconds of the loop."""

DATASETS_SHOWN: Final = 100
"""Datasets that an answer lists."""

CASES_READ: Final = 1_000
"""Open duplicate challenges that an answer looks through."""

SIGNALS_SHOWN: Final = 100
"""Signals that an answer lists."""


class MarketDataMethods:
    """What data there is, what it must show now, and who stands behind it."""

    def __init__(self, node: NodeView) -> None:
        self._reader = RuntimeReader(node)

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        table.add(Method("gristmill_v1_dataset", self.dataset, (NUMBER, AT)))
        table.add(Method("gristmill_v1_datasets", self.datasets, (ACCOUNT.optional(), AT)))

    def dataset(self, number: int, at: bytes | None) -> Json:
        """Give a dataset with its challenge, signals, attestations and cases; null if unknown.

        The challenge is what may be answered in the next block.
        """
        return self._reader.ask(at, lambda runtime, _: self._dataset(runtime, number))

    def datasets(self, owner: bytes | None, at: bytes | None) -> Json:
        """Give the newest datasets, those of an owner if one is named."""
        return self._reader.ask(at, lambda runtime, _: self._datasets(runtime, owner))

    def _datasets(self, runtime: Runtime, owner: bytes | None) -> Json:
        module, found = runtime.market.datasets, []
        last = module.dataset_count
        for number in range(last - 1, max(last - DATASETS_READ, 0) - 1, -1):
            dataset = module.datasets.find(number)
            if dataset is not None and owner in (None, dataset.owner):
                found.append(self._summary(runtime, number))
            if len(found) == DATASETS_SHOWN:
                break
        return {
            "height": runtime.ctx.block.height,
            "count": last,
            "live": module.live_count,
            "datasets": found,
        }

    def _dataset(self, runtime: Runtime, number: int) -> Json:
        module = runtime.market.datasets
        if module.datasets.find(number) is None:
            return None
        era = runtime.parameters.era(runtime.ctx.block.height)
        signals = module.signals.walk(number, limit=SIGNALS_SHOWN)
        cases = module.cases.walk(limit=CASES_READ)
        return {
            **self._summary(runtime, number),
            "height": runtime.ctx.block.height,
            "era": era,
            "challenge": _challenge(runtime, number),
            "missed": _missed(runtime, number),
            "uses": self._plain(module.era_totals[era, number]),
            "weight": str(module.weight_of(era, number)),
            "curation": self._plain(module.curations[number]),
            "signals": [self._row(one, curator=self._address(who)) for (_, who), one in signals],
            "attestations": [
                self._row(one, counts=module.is_attester(one.attester))
                for one in module.attestations[number]
            ],
            "openCases": [
                self._row(case, id=id_, indices=_drawn(module, id_))
                for id_, case in cases
                if number in (case.later, case.earlier)
            ],
        }

    def _summary(self, runtime: Runtime, number: int) -> dict[str, Json]:
        module = runtime.market.datasets
        dataset = module.datasets[number]
        written = to_json(dataset, self._address)
        if dataset.heir == NOBODY:
            written["heir"] = None
        more: dict[str, Json] = {
            "id": number,
            "leafCount": dataset.leaf_count,
            "isSold": _refusal(runtime, number) is None,
            "refusal": _refusal(runtime, number),
        }
        return merged(written, more)

    def _address(self, who: bytes) -> str:
        return self._reader.address(who)

    def _plain(self, record: Record) -> Json:
        return dict(to_json(record, self._address))

    def _row(self, record: Record, **more: Any) -> dict[str, Json]:
        return merged(more, to_json(record, self._address))


def _refusal(runtime: Runtime, number: int) -> str | None:
    """Give why no new job could use a dataset now, if none could."""
    try:
        runtime.market.datasets.quote((number,))
    except CallError as refusal:
        return type(refusal).__name__
    return None


def _challenge(runtime: Runtime, number: int) -> Json:
    """Give what the next block may answer; null when there is nothing, or nothing yet."""
    module = runtime.market.datasets
    challenge = module.find_challenge(number, runtime.ctx.block.height + 1)
    if challenge is None:
        return None
    is_answered = challenge.era is not None and has_answered(module.datasets[number], challenge.era)
    return {
        "era": challenge.era,
        "closes": challenge.closes,
        "indices": list(challenge.indices),
        "isAnswered": is_answered,
    }


def _missed(runtime: Runtime, number: int) -> Json:
    """Give the eras whose misses can be reported now."""
    module, height = runtime.market.datasets, runtime.ctx.block.height
    dataset, clock = module.datasets[number], module.clock()
    if dataset.state is not DatasetState.ACTIVE:
        return []
    now = clock.era(height)
    return [
        era
        for era in range(dataset.since + 1, now + 1)[-20:]
        if era not in dataset.misses and is_missed(dataset, clock, era, height + 1)
    ]


def _drawn(module: Datasets, number: int) -> Json:
    """Give the 64 leaves of the later dataset that were drawn; null before they are."""
    if module.cases[number].seed == ZERO_HASH:
        return None
    return [module.drawn_leaf(number, place) for place in range(OPENINGS)]


STATES: Final = tuple(camel_case(state.name.lower()) for state in DatasetState)
"""The states of datasets, as clients name them."""
