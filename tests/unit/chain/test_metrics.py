"""Metrics in the text form that Prometheus reads."""

import pytest

from chain.metrics import SERIES_MAX, Metrics


def test_the_text_form_is_what_prometheus_reads():
    metrics = Metrics()
    metrics.counter("a_total", "Things\nthat happened.", kind='say "hi"\\').add(3)
    metrics.gauge("b", "A level.").set(1.5)
    histogram = metrics.histogram("c_seconds", "How long.")
    for value in (0.0005, 0.15, 99.0):
        histogram.observe(value)
    text = metrics.render()
    assert "# HELP a_total Things\\nthat happened.\n# TYPE a_total counter\n" in text
    assert 'a_total{kind="say \\"hi\\"\\\\"} 3\n' in text
    assert "# TYPE b gauge\nb 1.5\n" in text
    assert 'c_seconds_bucket{le="0.001"} 1\n' in text
    assert 'c_seconds_bucket{le="0.2"} 2\n' in text
    assert 'c_seconds_bucket{le="10"} 2\n' in text
    assert 'c_seconds_bucket{le="+Inf"} 3\n' in text
    assert "c_seconds_count 3\n" in text
    assert metrics.values()["c_seconds_count"] == 3


def test_the_same_series_is_found_again_and_another_kind_is_refused():
    metrics = Metrics()
    metrics.counter("a_total", "A.", kind="x").add()
    metrics.counter("a_total", "A.", kind="x").add()
    assert metrics.values() == {'a_total{kind="x"}': 2}
    with pytest.raises(TypeError, match="is Counter"):
        metrics.gauge("a_total", "A.", kind="x")
    with pytest.raises(AssertionError, match="never goes down"):
        metrics.counter("a_total", "A.").add(-1)


def test_gauges_are_refreshed_before_they_are_read():
    metrics = Metrics()
    gauge = metrics.gauge("level", "A level.")
    metrics.before_reading(lambda: gauge.set(gauge.value + 1))
    assert metrics.values() == {"level": 1}
    assert "level 2\n" in metrics.render()


def test_labels_cannot_grow_without_end():
    metrics = Metrics()
    for number in range(SERIES_MAX):
        metrics.counter("a_total", "A.", peer=str(number))
    with pytest.raises(AssertionError, match="series"):
        metrics.counter("a_total", "A.", peer="one more")
