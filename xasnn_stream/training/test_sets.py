"""Test-set benchmarking: how much a model's error depends on which test set one asks.

The spread over test sets that were made in different ways is the part of the doubt that
no interval of the model contains: what incomplete training data cause.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from xasnn_stream.engine.model import LEVEL

SPLIT = "test sets"
CONDITION = "spread"
"""What the comparing row calls its split and its condition."""

_COMPARED = {"N1": None, "N1x2": "held-out"}
"""Conditions that make a test set, N1x2 of the held-out particles only."""

_KEPT = (
    "split",
    "library",
    "condition",
    "shapes",
    "n",
    "n_particles",
    "mae",
    "member_mae",
    "width90",
)


def across_test_sets(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row that compares all test sets among the rows; none if there is one.

    A test set is a split at N1, or at twice N1, of fcc particles or of mixtures. `sets`
    holds their scores, `mae` and `coverage` are means over sets, `spread` the standard
    deviations between them (n - 1), all per descriptor. `n_particles` is that of the
    largest set, for sets may share particles.
    """
    chosen = [row for row in rows if _is_test_set(row)]
    if len(chosen) < 2:
        return
    level = f"{LEVEL:g}"
    mae, mae_spread = _moments([row["mae"] for row in chosen])
    covered, covered_spread = _moments([row["coverage"][level] for row in chosen])
    yield {
        "model": chosen[0]["model"],
        "split": SPLIT,
        "condition": CONDITION,
        "shapes": "fcc",
        "n": sum(row["n"] for row in chosen),
        "n_particles": max(row["n_particles"] for row in chosen),
        "mae": mae,
        "coverage": {level: covered},
        "spread": {"mae": mae_spread, "coverage": {level: covered_spread}},
        "sets": [
            {key: row[key] for key in _KEPT if key in row}
            | {"coverage": row["coverage"][level]}
            for row in chosen
        ],
    }


def _is_test_set(row: Mapping[str, Any]) -> bool:
    if row["condition"] not in _COMPARED:
        return False
    only = _COMPARED[row["condition"]]
    of_particles = row["shapes"] == "fcc"
    of_mixtures = row["shapes"] == "all" and row["split"] in ("in-pool", "mixtures")
    return (of_particles or of_mixtures) and only in (None, row["split"])


def _moments(
    rows: list[dict[str, float]],
) -> tuple[dict[str, float], dict[str, float]]:
    names = list(rows[0])
    table = torch.tensor([[row[name] for name in names] for row in rows]).double()
    centre, spread = table.mean(0).tolist(), table.std(0).tolist()
    return (
        {name: round(value, 5) for name, value in zip(names, centre, strict=True)},
        {name: round(value, 5) for name, value in zip(names, spread, strict=True)},
    )
