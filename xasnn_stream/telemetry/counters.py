"""What the daemon counts: one table of metrics, one thread-safe place for their values.

Names carry no `xasnn_` prefix here; whoever exposes them adds it. Labels are bounded: a
label with listed values accepts no others, and no label ever holds a run's uid.
"""

import bisect
import itertools
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0)
_BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0)
_STD = (0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)

DOCUMENT_NAMES = (
    "start",
    "descriptor",
    "event",
    "event_page",
    "resource",
    "datum",
    "datum_page",
    "stream_resource",
    "stream_datum",
    "stop",
)
"""The documents of Bluesky's event model; any other name is rejected."""

REJECTIONS = (
    "multipart",
    "oversized",
    "frame",
    "name",
    "pickle",
    "body",
    "invalid",
    "orphan",
)
"""Why a document was rejected.

`frame`: not `prefix name body`; `name`: unknown document name; `body`: undecodable;
`invalid`: lacks what the event model requires; `orphan`: belongs to no open run.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table.

    `labels` maps a label's name to all values it may take; an empty tuple leaves the
    values open (addresses, sinks, queues: as many as the deployment names).
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


def _by_name(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: Mapping[str, Metric] = _by_name(
    Metric(
        "documents_received_total",
        "counter",
        "Documents received, by document name.",
        {"source": (), "name": DOCUMENT_NAMES},
    ),
    Metric(
        "documents_missed_total",
        "counter",
        "Documents discarded because the queue was full and the source cannot wait.",
        {"source": ()},
    ),
    Metric(
        "rows_missed_total",
        "counter",
        "Event rows that never came, found missing by sequence numbers at a run's end.",
        {"source": ()},
    ),
    Metric(
        "documents_rejected_total",
        "counter",
        "Frames or documents that could not be used, by reason.",
        {"source": (), "reason": REJECTIONS},
    ),
    Metric("runs_ignored_total", "counter", "Runs that no profile matched."),
    Metric(
        "runs_recovered_total",
        "counter",
        "Runs whose complete result came from the backfill, not from a live source.",
    ),
    Metric(
        "runs_incomplete",
        "gauge",
        "Runs heard of that have no complete result, or not yet.",
    ),
    Metric(
        "runs_forgotten_total",
        "counter",
        "Open runs let go without a result: stored, but their stop was not read.",
    ),
    Metric(
        "sweeps_total",
        "counter",
        "Sweeps assembled: complete, with rows or their end missing, or unusable.",
        {"outcome": ("complete", "gapped", "unusable")},
    ),
    Metric(
        "stage_duration_seconds",
        "histogram",
        "Time a stage of the pipeline took for one batch.",
        {"stage": ()},
        _SECONDS,
    ),
    Metric(
        "result_latency_seconds",
        "histogram",
        "From the receipt of a sweep's last document to its result in the log.",
        buckets=_SECONDS,
    ),
    Metric("queue_depth", "gauge", "Items waiting in a queue.", {"queue": ()}),
    Metric("queue_capacity", "gauge", "Items a queue can hold.", {"queue": ()}),
    Metric("batch_size", "histogram", "Spectra per engine batch.", buckets=_BATCH),
    Metric(
        "estimates_total",
        "counter",
        "Final estimates, by verdict.",
        {"verdict": ("ok", "caution", "outside", "rejected")},
    ),
    Metric(
        "descriptor_std",
        "histogram",
        "Standard deviation of a descriptor, in the descriptor's unit.",
        {"descriptor": ()},
        _STD,
    ),
    Metric("sink_pending", "gauge", "Results a sink has yet to deliver.", {"sink": ()}),
    Metric("sink_errors_total", "counter", "Failed deliveries.", {"sink": ()}),
    Metric(
        "sink_refused_total",
        "counter",
        "Results a sink refused for good; they are in the log only.",
        {"sink": ()},
    ),
    Metric(
        "source_connected",
        "gauge",
        "1 while a source has a peer to receive from, else 0.",
        {"source": ()},
    ),
    Metric(
        "last_document_timestamp_seconds",
        "gauge",
        "Epoch seconds at which the last document was received.",
    ),
    Metric(
        "model_info",
        "gauge",
        "Always 1; the models in use.",
        {"name": (), "sha256": ()},
    ),
    Metric("build_info", "gauge", "Always 1; the package version.", {"version": ()}),
    Metric(
        "device_memory_bytes",
        "gauge",
        "Memory this process holds on its compute device.",
        {"device": ()},
    ),
)
"""Every metric there is; an undeclared name is an error."""


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
