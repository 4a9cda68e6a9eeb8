"""The counters as Prometheus reads them."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from xasnn_stream.telemetry.counters import Counters, Distribution, Series

PREFIX = "xasnn_"


def exposition(counters: Counters) -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(counters))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        for series in self._counters.snapshot():
            yield _family(series)

    def describe(self) -> Iterator[Metric]:
        """Name nothing: the registry is made for one scrape."""
        return iter(())


def _family(series: Series) -> Metric:
    metric = series.metric
    name, labels = PREFIX + metric.name.removesuffix("_total"), list(metric.labels)
    if metric.kind == "histogram":
        empty = HistogramMetricFamily(name, metric.help, labels=labels)
        return _histogram(series, empty)
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
    family = kinds[metric.kind](name, metric.help, labels=labels)
    for values, number in series.values.items():
        if not isinstance(number, Distribution):
            family.add_metric(values, number)
    return family


def _histogram(series: Series, family: HistogramMetricFamily) -> Metric:
    bounds = [*(str(bound) for bound in series.metric.buckets), "+Inf"]
    for values, held in series.values.items():
        if isinstance(held, Distribution):
            buckets = list(zip(bounds, accumulate(held.counts), strict=True))
            family.add_metric(values, buckets, held.sum)
    return family
