"""How well a series with known truth was read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

OXIDIZED = 0.3
"""From this share on an estimate must not be `ok`: no training spectrum is of an oxide."""


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

    None where no sweep had the number. Accuracy, `coverage` and `median_width` are those
    of the `metallic` sweeps, in truth without any oxide, whatever the verdict; the
    intervals are as published, their probability is `level`. `oxidized` sweeps have a
    share of at least 0.3 in truth, `oxidized_ok` of them were called ok; of the others
    the share `others_usable` was called ok or caution.
    """

    sweeps: int
    on_feed: int
    in_tiled: int
    verdicts: Mapping[str, int]
    metallic: int
    oxidized: int
    oxidized_ok: int
    others_usable: float | None
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
    metallic = [s for s in sightings if not s.truth.get("oxidized")]
    for sighting in metallic:
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
    oxidized, others = _verdicts_by_oxide(sightings)
    usable = [verdict in ("ok", "caution") for verdict in others]
    latencies = [s.latency_s for s in sightings if s.latency_s is not None]
    arrivals = [s.stop_to_feed_s for s in sightings if s.stop_to_feed_s is not None]
    return Summary(
        sweeps=len(sightings),
        on_feed=len(estimates),
        in_tiled=sum(s.in_tiled for s in sightings),
        verdicts={name: verdicts.count(name) for name in sorted(set(verdicts))},
        metallic=len(metallic),
        oxidized=len(oxidized),
        oxidized_ok=oxidized.count("ok"),
        others_usable=float(np.mean(usable)) if usable else None,
        median_error_cn1=_quantile(errors, 0.5),
        coverage_cn1=float(np.mean(covered)) if covered else None,
        median_width_cn1=_quantile(widths, 0.5),
        level=levels[0] if levels else None,
        latency_p50_s=_quantile(latencies, 0.5),
        latency_p95_s=_quantile(latencies, 0.95),
        stop_to_feed_p50_s=_quantile(arrivals, 0.5),
        stop_to_feed_p95_s=_quantile(arrivals, 0.95),
    )


def _verdicts_by_oxide(
    sightings: Sequence[Sighting],
) -> tuple[list[str], list[str]]:
    """Return the verdicts on sweeps that are oxidized in truth, and on the others."""
    oxidized: list[str] = []
    others: list[str] = []
    for sighting in sightings:
        found = oxidized if sighting.truth.get("oxidized", 0) >= OXIDIZED else others
        found.append(str((sighting.estimate or {}).get("verdict")))
    return oxidized, others


def _quantile(values: Sequence[float], probability: float) -> float | None:
    return float(np.quantile(values, probability)) if values else None
