"""Every metric of the daemon: one table.

Names carry no `xasnn_` prefix here; whoever exposes them adds it. Labels are bounded: a
label with listed values accepts no others, and no label ever holds a run's uid.
"""

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
    "failed",
)
"""Why a document was rejected.

`multipart`: a message of several frames; `oversized`: longer than any document; `frame`:
not `prefix name body`; `name`: unknown document name; `pickle`: not opened, or with more
than plain data in it; `body`: undecodable; `invalid`: lacks what the event model requires,
or says what cannot be; `orphan`: belongs to no open run; `failed`: made this program fail.
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
        "Documents discarded because a queue was full, here or in the RunEngine's "
        "process, and the source cannot wait.",
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
