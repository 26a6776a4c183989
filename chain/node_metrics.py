"""What the node measures of itself, under the names that Substrate's dashboards know."""

from collections.abc import Callable

from chain.importer import ImportedBlock
from chain.metrics import Metrics
from chain.seams import Clock


class NodeMeter:
    """A `chain.network.meter.NetworkMeter` over the node's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to a counter."""
        labels = {"kind": label} if label else {}
        self._metrics.counter(f"gristmill_network_{name}", "Network events.", **labels).add(amount)

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Add one duration to a histogram."""
        labels = {"kind": label} if label else {}
        found = self._metrics.histogram(f"gristmill_{name}", "Seconds.", **labels)
        found.observe(max(0.0, seconds))


class ChainMeter:
    """Counts decided blocks and transactions, and how late they are final."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._blocks = metrics.counter("gristmill_blocks_imported_total", "Blocks decided here.")
        self._extrinsics = metrics.counter(
            "gristmill_extrinsics_imported_total", "Extrinsics in blocks decided here."
        )
        self._weight = metrics.gauge("gristmill_block_weight_used", "Weight of the newest block.")
        self._latency = metrics.histogram(
            "gristmill_finality_seconds", "From a block's time to its finality here."
        )

    def on_imported(self, imported: ImportedBlock) -> None:
        """Count a decided block."""
        self._blocks.add()
        self._extrinsics.add(len(imported.decided.block.extrinsics))
        self._weight.set(imported.result.weight_used)
        header = imported.decided.block.header
        self._latency.observe(max(0, self._clock.now_ms() - header.time_ms) / 1000)


def add_gauges(metrics: Metrics, readings: dict[str, tuple[str, Callable[[], float]]]) -> None:
    """Make gauges that are read anew each time; a name may carry labels in braces."""
    gauges = []
    for name, (help_text, read) in readings.items():
        base, _, label = name.partition("{")
        labels = {}
        if label:
            key, _, value = label.rstrip("}").partition("=")
            labels[key] = value
        gauges.append((metrics.gauge(base, help_text, **labels), read))

    def refresh() -> None:
        for gauge, read in gauges:
            gauge.set(read())

    metrics.before_reading(refresh)
