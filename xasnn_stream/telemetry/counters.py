"""What the daemon counts: one thread-safe place for the values of all metrics."""

import bisect
import itertools
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from xasnn_stream.telemetry.metrics import METRICS, Kind, Metric


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values of one histogram series.

    `counts` holds observations per bucket (not cumulative), one more than the metric
    has bucket bounds: the last counts what lies above the largest bound.
    """

    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Series:
    """A metric with its values by label values, in the order of `metric.labels`."""

    metric: Metric
    values: Mapping[tuple[str, ...], float | Distribution]


class Counters:
    """The values of all metrics; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[tuple[str, ...], float]] = {}
        self._distributions: dict[str, dict[tuple[str, ...], list[float]]] = {}
        for metric in METRICS.values():
            values = (
                self._distributions if metric.kind == "histogram" else self._numbers
            )
            values[metric.name] = {}
            if all(metric.labels.values()):
                self._initialise(metric, {})

    def add(self, name: str, /, value: float = 1, **labels: str) -> None:
        """Add `value` >= 0 to a counter; KeyError or ValueError if undeclared."""
        if value < 0:
            raise ValueError(f"counter {name} cannot go down (by {value})")
        metric = _declared(name, "counter")
        with self._lock:
            key = self._key(metric, labels)
            self._numbers[name][key] += value

    def set(self, name: str, /, value: float, **labels: str) -> None:
        """Set a gauge; KeyError or ValueError if undeclared."""
        metric = _declared(name, "gauge")
        with self._lock:
            key = self._key(metric, labels)
            self._numbers[name][key] = float(value)

    def observe(self, name: str, /, value: float, **labels: str) -> None:
        """Add one observation to a histogram; a NaN counts as above every bound."""
        metric = _declared(name, "histogram")
        above = len(metric.buckets)
        bucket = (
            above if math.isnan(value) else bisect.bisect_left(metric.buckets, value)
        )
        with self._lock:
            key = self._key(metric, labels)
            series = self._distributions[name][key]
            series[bucket] += 1
            series[-1] += value if math.isfinite(value) else 0.0

    def value(self, name: str, /, **labels: str) -> float:
        """Return a counter's or gauge's value, summed over the labels not given."""
        metric = METRICS[name]
        wanted = [labels.get(label) for label in metric.labels]
        with self._lock:
            return sum(
                number
                for key, number in self._numbers[name].items()
                if all(w in (None, k) for w, k in zip(wanted, key, strict=True))
            )

    def snapshot(self) -> list[Series]:
        """Return a consistent copy of everything, in the order of the table."""
        with self._lock:
            return [
                Series(metric, self._copy(metric.name)) for metric in METRICS.values()
            ]

    def _copy(self, name: str) -> dict[tuple[str, ...], float | Distribution]:
        if name in self._numbers:
            return dict(self._numbers[name])
        return {
            key: Distribution(tuple(int(n) for n in series[:-1]), series[-1])
            for key, series in self._distributions[name].items()
        }

    def _key(self, metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
        missing = [label for label in metric.labels if label not in labels]
        if missing:
            raise ValueError(f"metric {metric.name} needs the labels {missing}")
        key = tuple([labels[label] for label in metric.labels])
        known = self._numbers.get(metric.name) or self._distributions.get(metric.name)
        if len(labels) != len(metric.labels) or not known or key not in known:
            self._initialise(metric, labels)
        return key

    def _initialise(self, metric: Metric, labels: Mapping[str, str]) -> None:
        """Start at zero all series that share the open label values given."""
        for label, value in labels.items():
            allowed = metric.labels.get(label)
            if allowed is None or (allowed and value not in allowed):
                raise ValueError(f"metric {metric.name} has no {label}={value!r}")
        choices = [
            allowed or (labels[label],) for label, allowed in metric.labels.items()
        ]
        for key in itertools.product(*choices):
            if metric.kind == "histogram":
                empty = [0.0] * (len(metric.buckets) + 2)
                self._distributions[metric.name].setdefault(key, empty)
            else:
                self._numbers[metric.name].setdefault(key, 0.0)


def _declared(name: str, kind: Kind) -> Metric:
    metric = METRICS[name]
    if metric.kind != kind:
        raise ValueError(f"metric {name} is a {metric.kind}, not a {kind}")
    return metric
