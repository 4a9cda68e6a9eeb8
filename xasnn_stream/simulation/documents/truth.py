"""What is asked of a beamline, what comes of it, and what is true about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xasnn_stream.spectrum import FloatArray

Direction = Literal["up", "down"]
Mode = Literal["transmission", "fluorescence"]
Documents = list[tuple[str, dict[str, Any]]]

NOISE = 2e-5
"""Relative rms of readings by default: a thousandth of an edge step is seen."""


@dataclass(frozen=True, slots=True)
class Order:
    """What shall be measured.

    `noise` is the relative rms of every reading, `seed` what numpy's generators take.
    `directory` takes the files that documents refer to, and must be there.
    """

    directory: Path
    seed: Sequence[int] = (0,)
    sweeps: int = 4
    element: str = "Pt"
    mode: Mode = "transmission"
    noise: float = NOISE


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """One sweep as it truly was.

    `energy_ev` rises whatever the direction; `mu` and `mu_reference` (of the foil
    behind the sample) are `(points,)` of it and straight between its points. In
    fluorescence `mu` is known up to a factor, that of gains and solid angles.
    """

    run: str
    sweep: int
    direction: Direction
    mode: Mode
    energy_ev: FloatArray
    mu: FloatArray
    mu_reference: FloatArray
    conditions: Mapping[str, float]

    @property
    def step(self) -> float:
        """Roughly the edge step: what μ spans."""
        return float(np.ptp(self.mu))

    def mu_at(self, energy_ev: FloatArray) -> FloatArray:
        """Return μ at energies within the sweep, in any order."""
        return np.interp(energy_ev, self.energy_ev, self.mu)

    def reference_at(self, energy_ev: FloatArray) -> FloatArray:
        """Return the foil's μ at energies within the sweep, in any order."""
        return np.interp(energy_ev, self.energy_ev, self.mu_reference)


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """Documents in the order of a RunEngine, and the truth of every sweep in them.

    `files` are what the documents refer to. Those of `late` lie under another name
    (the value) and are to be renamed when they shall come.
    """

    documents: Documents
    truth: list[Truth]
    files: list[Path] = field(default_factory=list[Path])
    late: Mapping[Path, Path] = field(default_factory=dict[Path, Path])
