"""One set of estimates against the truth, as the numbers of an evaluation's row."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from xasnn_stream.engine.model import LEVEL
from xasnn_stream.library import SHELL_BULK_CN
from xasnn_stream.training.scored import Scored
from xasnn_stream.uncertainty.metrics import (
    coverage,
    crps,
    mean,
    quantile,
    r2,
    spearman,
    standardized,
    winkler,
)

SHELLS = tuple(f"cn{i + 1}" for i in range(len(SHELL_BULK_CN)))
"""The descriptors that have a bulk value to be measured by."""

CONSTANT_SHARE, R1_LIMIT = 1 / 3, 0.01
"""r1 is resolved where its MAE is at most this share of the training mean's, and this
many angstrom."""

_PARTS = 3
_FAR = 0.95
_MIN_WIDTH = 1e-9


def errors(
    names: Sequence[str], truth: Tensor, value: Tensor, weight: Tensor
) -> dict[str, Any]:
    """Return the mean absolute error, also in units of the bulk coordination number."""
    mae = named(names, mean((value - truth).abs(), weight))
    relative = {
        name: round(error / SHELL_BULK_CN[SHELLS.index(name)], 6)
        for name, error in mae.items()
        if name in SHELLS and error is not None
    }
    scores: dict[str, Any] = {"mae": mae}
    if relative:
        scores["mae_over_bulk"] = sum(relative.values()) / len(relative)
        scores["rel_mae_bulk"] = relative
    return scores


def all_scores(scored: Scored) -> dict[str, Any]:
    """Return every metric of the estimates and of their intervals."""
    names, truth, value, weight = (
        scored.names,
        scored.truth,
        scored.value,
        scored.weight,
    )
    error = (value - truth).abs()
    centre, spread = standardized(truth, value, scored.std, weight)
    scores = errors(names, truth, value, weight) | {
        "rmse": named(names, mean(error.square(), weight).sqrt()),
        "median_error": named(names, quantile(error, 0.5, weight)),
        "p95_error": named(names, quantile(error, _FAR, weight)),
        "r2": named(names, r2(truth, value, weight)),
        "crps": named(names, crps(truth, value, scored.std, weight)),
        "z_mean": named(names, centre),
        "z_std": named(names, spread),
        "spearman_error_std": named(names, spearman(error, scored.std, weight)),
        "coverage": coverages(scored),
    }
    low, high = scored.intervals[LEVEL]
    scores["width90"] = named(names, quantile(high - low, 0.5, weight))
    scores["winkler90"] = named(names, winkler(truth, low, high, LEVEL, weight))
    return scores


def coverages(scored: Scored) -> dict[str, dict[str, float | None]]:
    """Return how often each level's interval holds the truth."""
    return {
        f"{level:g}": named(
            scored.names, coverage(scored.truth, low, high, scored.weight)
        )
        for level, (low, high) in scored.intervals.items()
    }


def coverage_by(scored: Scored) -> dict[str, list[dict[str, Any]]]:
    """Return coverage in thirds of the draws, by true cn1 and by noise.

    What does not vary is not divided.
    """
    by = {"noise": scored.noise}
    if "cn1" in scored.names:
        by["cn1"] = scored.truth[:, scored.names.index("cn1")]
    return {key: thirds for key, of in by.items() if (thirds := _thirds(scored, of))}


def _thirds(scored: Scored, of: Tensor) -> list[dict[str, Any]]:
    if float(of.max() - of.min()) < _MIN_WIDTH:
        return []
    column = of.unsqueeze(-1).double()
    inner = [
        float(quantile(column, part / _PARTS, scored.weight)[0])
        for part in range(1, _PARTS)
    ]
    ends = [float(of.min()), *inner, float(of.max())]
    thirds: list[dict[str, Any]] = []
    for k, (low, high) in enumerate(itertools.pairwise(ends)):
        above = of >= low if k == 0 else of > low
        rows = (above & (of <= high)).nonzero().squeeze(-1).tolist()
        if not rows:
            return []
        part = scored.only(rows)
        thirds.append(
            {
                "from": round(low, 6),
                "to": round(high, 6),
                "n": len(rows),
                "n_particles": len(set(part.owners)),
                "coverage": coverages(part),
            }
        )
    return thirds


def resolved(
    names: Iterable[str],
    mae: Mapping[str, float | None],
    baseline: Mapping[str, Mapping[str, Any]],
) -> dict[str, bool]:
    """Return which descriptors are known better than without reading the spectrum.

    cn2…cn4 must beat what the true cn1 tells of them, r1 a third of the training mean's
    error and 0.01 Å, everything else the training mean.
    """
    found: dict[str, bool] = {}
    for name in names:
        error, constant = mae[name], baseline["mean"]["mae"][name]
        known = baseline.get("from_cn1", {"mae": {}})["mae"].get(name)
        if error is None or constant is None:
            continue
        limit = constant if known is None else known
        if name == "r1":
            limit = min(CONSTANT_SHARE * constant, R1_LIMIT)
        found[name] = error < limit
    return found


def named(names: Iterable[str], values: Tensor) -> dict[str, float | None]:
    """Return rounded values by name; None stands for what is not a number."""
    return {
        name: None if value != value else round(value, 5)
        for name, value in zip(names, values.tolist(), strict=True)
    }
