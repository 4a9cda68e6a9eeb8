"""The reference foil of a series: measured once, through the devices, into a file."""

from pathlib import Path
from typing import Any

import numpy as np
from bluesky.run_engine import RunEngine

from xasnn_stream.simulation.beamline import Beamline


def measure_foil(engine: RunEngine, beamline: Beamline, path: Path) -> None:
    """Scan the beamline's foil and write `energy` (eV) and `mu` as columns.

    μ = ln(i0/it) of the readings less the dark levels measured before the scan. The
    scan's documents also go wherever the engine's go.
    """
    dark: dict[str, float] = {}
    rows: list[tuple[float, float, float]] = []

    def collect(name: str, document: Any) -> None:
        if name == "start":
            dark.update(document["dark"])
        elif name == "event":
            data = document["data"]
            rows.append((data["mono_energy"], data["i0"], data["it"]))

    engine(beamline.foil_scan(), collect)
    energy, i0, it = np.array(rows).T
    mu = np.log((i0 - dark["i0"]) / (it - dark["it"]))
    lines = [
        "# element: Pt",
        "# edge: L3",
        "# sample: Pt foil",
        "# columns: energy mu",
        *(f"{e:.4f},{m:.7f}" for e, m in zip(energy, mu, strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
