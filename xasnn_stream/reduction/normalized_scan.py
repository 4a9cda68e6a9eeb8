"""What `normalize` finds of one scan, and how it is written for programs and people."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.spectrum import FloatArray, Reason

ENERGY_COLUMNS = (
    "energy",
    "mu",
    "pre_edge",
    "post_edge",
    "bkg",
    "norm",
    "flat",
    "norm_std",
    "flat_std",
)
K_COLUMNS = ("k", "chi", "chi_std")
R_COLUMNS = ("r", "chir_mag", "chir_re", "chir_im")
TABLES = {"norm": ENERGY_COLUMNS, "chi": K_COLUMNS, "chir": R_COLUMNS}
"""Arrays of one scan by the file they are written to; each is of one length."""

_SHOWN = (
    "energy",
    "norm",
    "norm_std",
    "flat",
    "flat_std",
    "k",
    "chi",
    "chi_std",
    "r",
    "chir_mag",
)
"""Arrays of a JSON line."""


@dataclass(frozen=True, slots=True, eq=False)
class NormalizedScan:
    """One scan, normalized; or why it could not be.

    `problem` is set where nothing can be computed that means anything: then there are
    no `arrays`. `flags` say what was found and how it was treated. `quality`,
    `parameters` and `done` are plain numbers, NaN where unknown, and lists and mappings
    of them; `arrays` are of the columns of `TABLES`, `chi_std` only if asked for.
    """

    file: Path
    scan: str
    edge: str | None
    problem: Reason | None = None
    flags: tuple[Reason, ...] = ()
    quality: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    parameters: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    done: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, FloatArray] = field(
        default_factory=lambda: dict[str, FloatArray]()
    )

    def document(self, with_arrays: bool) -> dict[str, Any]:
        """Return the scan as a JSON document; what is not finite is None."""
        problem = self.problem
        document = {
            "file": str(self.file),
            "scan": self.scan or None,
            "edge": self.edge,
            "problem": None if problem is None else _reason(problem),
            "quality": {
                **self.quality,
                "flags": [flag.code for flag in self.flags],
                "reasons": [_reason(flag) for flag in self.flags],
            },
            "parameters": self.parameters,
            "done": self.done,
            "notes": list(self.notes),
        }
        if with_arrays and problem is None:
            document["arrays"] = {
                name: self.arrays[name] for name in _SHOWN if name in self.arrays
            }
        return _plain(document)


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "text": reason.text}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, None for NaN and infinities."""
    if isinstance(value, np.ndarray):
        return [each if math.isfinite(each) else None for each in value.tolist()]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
