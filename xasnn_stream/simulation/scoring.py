"""How well a series with known truth was read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sweep of a series: its truth and what came back of it.

    `estimate` is the document on the feed and `in_tiled` whether the same one is
    stored; `latency_s` is the daemon's own figure, `stop_to_feed_s` the time from the
    stop document to its arrival here.
    """

    truth: Mapping[str, float]
    estimate: Mapping[str, Any] | None = None
    latency_s: float | None = None
    stop_to_feed_s: float | None = None
    in_tiled: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts, accuracy and coverage of `cn1`, and latencies (s) of a series.

    None where no sweep had the number. `coverage` and `median_width` are of the
    intervals as published, whose probability is `level`.
    """

    sweeps: int
    on_feed: int
    in_tiled: int
    verdicts: Mapping[str, int]
    median_error_cn1: float | None
    coverage_cn1: float | None
    median_width_cn1: float | None
    level: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    stop_to_feed_p50_s: float | None
    stop_to_feed_p95_s: float | None

    @property
    def complete(self) -> bool:
        """Whether every sweep has its result on the feed and in Tiled."""
        return self.sweeps == self.on_feed == self.in_tiled

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "complete": self.complete}


def summarize(sightings: Sequence[Sighting]) -> Summary:
    """Summarize a series; rejected sweeps count as sweeps but have no numbers."""
    estimates = [s.estimate for s in sightings if s.estimate is not None]
    verdicts = [str(estimate["verdict"]) for estimate in estimates]
    errors: list[float] = []
    widths: list[float] = []
    covered: list[bool] = []
    levels: list[float] = []
    for sighting in sightings:
        cn1 = (sighting.estimate or {}).get("descriptors", {}).get("cn1")
        if cn1 is None:
            continue
        truth = sighting.truth["cn1"]
        errors.append(abs(cn1["value"] - truth))
        if cn1["interval"] is not None:
            low, high = cn1["interval"]
            widths.append(high - low)
            covered.append(low <= truth <= high)
            levels.append(cn1["level"])
    latencies = [s.latency_s for s in sightings if s.latency_s is not None]
    arrivals = [s.stop_to_feed_s for s in sightings if s.stop_to_feed_s is not None]
    return Summary(
        sweeps=len(sightings),
        on_feed=len(estimates),
        in_tiled=sum(s.in_tiled for s in sightings),
        verdicts={name: verdicts.count(name) for name in sorted(set(verdicts))},
        median_error_cn1=_quantile(errors, 0.5),
        coverage_cn1=float(np.mean(covered)) if covered else None,
        median_width_cn1=_quantile(widths, 0.5),
        level=levels[0] if levels else None,
        latency_p50_s=_quantile(latencies, 0.5),
        latency_p95_s=_quantile(latencies, 0.95),
        stop_to_feed_p50_s=_quantile(arrivals, 0.5),
        stop_to_feed_p95_s=_quantile(arrivals, 0.95),
    )


def _quantile(values: Sequence[float], probability: float) -> float | None:
    return float(np.quantile(values, probability)) if values else None
