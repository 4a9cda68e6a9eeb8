"""What the HTTP interface may see of a daemon."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from xasnn_stream.partials import Partials
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import Counters


@dataclass(frozen=True, slots=True)
class Views:
    """What the interface shows; the callables answer at once, from any thread.

    `waits_for` says why the daemon is not ready (nothing when it is), `status` is a
    JSON object, `refresh` brings gauges up to date before they are read.
    """

    log: ResultLog
    counters: Counters
    waits_for: Callable[[], list[str]]
    status: Callable[[], dict[str, Any]]
    refresh: Callable[[], None]
    partials: Partials = field(default_factory=Partials)


def snapshot(views: Views) -> dict[str, Any]:
    """Return how things are at this moment, as JSON: `status` and what is counted.

    `last_document` is epoch seconds, None before the first; `missed` counts documents
    discarded here and event rows that never came.
    """
    views.refresh()
    counters = views.counters
    series = {one.metric.name: one.values for one in counters.snapshot()}

    def by_label(name: str) -> dict[str, float]:
        return {key[0]: value for key, value in series[name].items()}  # type: ignore

    return {
        **views.status(),
        "waits_for": views.waits_for(),
        "newest": views.log.newest,
        "now": time.time(),
        "last_document": counters.value("last_document_timestamp_seconds") or None,
        "connected": {k: bool(v) for k, v in by_label("source_connected").items()},
        "queues": by_label("queue_depth"),
        "pending": by_label("sink_pending"),
        "missed": {
            "documents": counters.value("documents_missed_total"),
            "rows": counters.value("rows_missed_total"),
        },
        "verdicts": by_label("estimates_total"),
    }
