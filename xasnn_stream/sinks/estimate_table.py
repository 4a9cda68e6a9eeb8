"""The table `estimates`: an estimate flattened into columns, one row per id.

The column `document` holds the whole estimate as JSON; the others are what one filters
and plots by. Columns per descriptor are `<name>_value`, `<name>_std`, ….
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from xasnn_stream.results import Delivery

_FIXED = (
    ("id", pa.string()),
    ("seq", pa.int64()),
    ("sweep", pa.int64()),
    ("direction", pa.string()),
    ("progress", pa.float64()),
    ("complete", pa.bool_()),
    ("verdict", pa.string()),
    ("reasons", pa.string()),
    ("time_start", pa.float64()),
    ("time_end", pa.float64()),
)
_PER_DESCRIPTOR = (
    "value",
    "std",
    "std_model",
    "std_noise",
    "std_ambiguity",
    "low",
    "high",
)
_QUALITY = ("e0_ev", "e0_shift_ev", "edge_step", "noise", "n_points", "n_masked")
_NOVELTY = ("score", "threshold")
_SIZE = ("atoms", "diameter")


def schema(descriptors: Iterable[str]) -> pa.Schema:
    """Return the columns of a table for a model with these descriptors."""
    numbers = [
        *(f"{name}_{part}" for name in descriptors for part in _PER_DESCRIPTOR),
        *(f"quality_{name}" for name in _QUALITY),
        *(f"novelty_{name}" for name in _NOVELTY),
        *(f"size_{name}_{part}" for name in _SIZE for part in ("value", "low", "high")),
    ]
    return pa.schema(
        [
            *_FIXED,
            *((name, pa.float64()) for name in numbers),
            ("size", pa.string()),
            ("conditions", pa.string()),
            ("document", pa.string()),
        ]
    )


def fitting(columns: Iterable[str], descriptors: Iterable[str]) -> pa.Schema:
    """Return the schema of a table that has `columns`, perhaps of an earlier model.

    What a row has no column for is left to its `document`.
    """
    types = {field.name: field.type for field in schema(descriptors)}
    return pa.schema([(name, types.get(name, pa.float64())) for name in columns])


def rows(deliveries: Sequence[Delivery], columns: pa.Schema) -> pa.Table:
    """Return deliveries as rows; what a delivery lacks is null."""
    return pa.Table.from_pylist([_row(d) for d in deliveries], schema=columns)


def _row(delivery: Delivery) -> dict[str, Any]:
    estimate = delivery.estimate
    run = estimate["run"]
    row: dict[str, Any] = {
        "id": estimate["id"],
        "seq": delivery.seq,
        "sweep": run["sweep"],
        "direction": run["direction"],
        "progress": run["progress"],
        "complete": run["complete"],
        "verdict": estimate["verdict"],
        "reasons": "; ".join(reason["text"] for reason in estimate["reasons"]),
        "time_start": estimate["time"]["start"],
        "time_end": estimate["time"]["end"],
        "conditions": json.dumps(estimate["conditions"]),
        "document": json.dumps(estimate),
    }
    for name, descriptor in estimate["descriptors"].items():
        low, high = descriptor["interval"] or (None, None)
        parts = descriptor | {"low": low, "high": high}
        row |= {f"{name}_{part}": parts[part] for part in _PER_DESCRIPTOR}
    row |= {f"quality_{name}": estimate["quality"][name] for name in _QUALITY}
    row |= {f"novelty_{name}": estimate["novelty"][name] for name in _NOVELTY}
    return row | _size(estimate.get("size"))


def _size(size: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is known of atoms and diameter (angstrom), and in words of both."""
    if size is None:
        return {}
    row = {"size": size["text"]}
    for name in _SIZE:
        low, high = size[name]["interval"]
        parts = {"value": size[name]["value"], "low": low, "high": high}
        row |= {f"size_{name}_{part}": number for part, number in parts.items()}
    return row
