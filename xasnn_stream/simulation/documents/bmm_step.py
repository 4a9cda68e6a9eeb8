"""Step scans with one event a point, one run a sweep: stream `primary` and a baseline.

Every second run goes down. Numbers come as text, scalars as lists of one, the keys of
the fluorescence detector after the element, in a device whose name has spaces.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from xasnn_stream.simulation.documents.beam import rates
from xasnn_stream.simulation.documents.sample import (
    Sample,
    directions,
    sample_of,
    shares,
)
from xasnn_stream.simulation.documents.truth import (
    Direction,
    Documents,
    Generated,
    Order,
)
from xasnn_stream.simulation.documents.writing import BEGAN_S, RunWriter
from xasnn_stream.simulation.plans import edge_regions
from xasnn_stream.spectrum import FloatArray

BETWEEN_RUNS_S = 20.0
OVERHEAD_S = 0.9
FOLLOWING_ERROR_EV = 0.05
"""Rms difference of the readback and the energy asked for."""

I0_NA = 120.0
COUNTS_PER_S = 2e5
SDD = "4-element SDD"
ELEMENTS = (0.9, 1.05, 1.0, 1.1)
"""Efficiencies of the detector's elements."""

FIRST_K, LAST_K = 330.0, 350.0


def generate(order: Order) -> Generated:
    """Return `order.sweeps` runs, up and down in turn, each warmer than the one before."""
    rng = np.random.default_rng(order.seed)
    sample = sample_of(order.element)
    kelvins = np.linspace(FIRST_K, LAST_K, order.sweeps)
    documents: Documents = []
    generated = Generated(documents, [])
    time_s = BEGAN_S
    ways = zip(directions(order), shares(order), kelvins, strict=True)
    for number, (direction, share, kelvin) in enumerate(ways):
        kelvin = round(float(kelvin), 1)
        start = _start(order, sample, number, direction, kelvin)
        run = RunWriter(rng, start, time_s)
        _measure(run, order, sample, direction, float(share), rng)
        documents += run.documents
        conditions = {"temperature_k": kelvin}
        generated.truth.append(
            sample.truth(run.uid, 0, direction, order.mode, float(share), conditions)
        )
        time_s = run.time_s + BETWEEN_RUNS_S
    return generated


def _start(
    order: Order, sample: Sample, number: int, direction: Direction, kelvin: float
) -> dict[str, Any]:
    name, element, edge = f"{sample.element}C", sample.element, sample.edge
    count = {"count": number + 1, "repetitions": order.sweeps}
    axes = ["dcm_energy", "dwti_dwell_time"]
    return {
        "scan_id": 40_100 + number,
        "plan_type": "generator",
        "plan_name": f"scan_nd xafs {order.mode}",
        "num_points": sum(len(r.energies_ev) for r in edge_regions(sample.edge_ev)),
        "detectors": ["Ic0", "Ic1", "Ic2", *([SDD] if _counted(order) else [])],
        # A set's order: an axis is not found by its place.
        "motors": axes[::-1],
        "hints": {"dimensions": [[[axis], "primary"] for axis in axes[::-1]]},
        "BMM_kafka": {
            "hint": "xafs",
            "filename": name,
            "element": element,
            "edge": edge,
            **count,
        },
        "XDI": {
            "_kind": "xafs",
            "_mode": [order.mode],
            "_comment": ["simulated"],
            "_dtc": _dtc(sample),
            "_filename": f"{name}.{number + 1:03d}",
            "_user": {"e0": sample.edge_ev, "mode": order.mode, "start": 1, **count},
            "Element": {"symbol": element, "edge": edge},
            "Mono": {
                "name": "Si(111)",
                "d_spacing": "3.1355071",
                "angle_offset": "16.058",
                "direction": "backward" if direction == "down" else "forward",
                "scan_type": "step",
            },
            "Scan": {"edge_energy": sample.edge_ev, "experimenters": ""},
            "Detector": {"deadtime_correction": "Xspress3"},
            "Facility": {"name": "NSLS-II", "current": "400.1", "energy": "3.0"},
            "Sample": {"name": name, "x": "1.234", "temperature": kelvin},
        },
    }


def _counted(order: Order) -> bool:
    return order.mode == "fluorescence"


def _dtc(sample: Sample) -> list[str]:
    return [f"{sample.element}{n}" for n in range(1, len(ELEMENTS) + 1)]


def _measure(
    run: RunWriter,
    order: Order,
    sample: Sample,
    direction: Direction,
    share: float,
    rng: np.random.Generator,
) -> None:
    roll = {"dcm_roll": _key("SIM:dcm_roll.RBV", "degrees"), "xafs_x": _key("SIM:x")}
    run.descriptor("baseline", roll)
    run.event("baseline", {"dcm_roll": -5.48, "xafs_x": 1.234})
    run.descriptor("primary", _data_keys(order, sample), hints=_hints(order, sample))
    for row in _rows(run, order, sample, direction, share, rng):
        run.event("primary", row)
    run.event("baseline", {"dcm_roll": -5.47, "xafs_x": 1.234})
    run.stop()


def _rows(
    run: RunWriter,
    order: Order,
    sample: Sample,
    direction: Direction,
    share: float,
    rng: np.random.Generator,
) -> Iterator[dict[str, float]]:
    """Yield a row per point, as time goes on."""
    setpoint, dwell = _grid(sample, direction)
    energy = setpoint + rng.normal(0.0, FOLLOWING_ERROR_EV, len(setpoint))
    time_s = np.cumsum(dwell + OVERHEAD_S)
    seen = rates(sample, energy, time_s, share, order.noise, rng)
    began_s = run.time_s
    # Amplifiers integrate over the dwell time, and the detector counts: none per second.
    chambers = I0_NA * dwell * np.stack([seen.i0, seen.it, seen.ir])
    counts = COUNTS_PER_S * dwell * seen.fluorescence
    for row in range(len(energy)):
        run.time_s = began_s + float(time_s[row])
        i0, it, ir = (float(value) for value in chambers[:, row])
        yield {
            "dcm_energy": float(energy[row]),
            "dcm_energy_setpoint": float(setpoint[row]),
            "dwti_dwell_time": float(dwell[row]),
            "dwti_dwell_time_setpoint": float(dwell[row]),
            "I0": i0,
            "It": it,
            "Ir": ir,
            **_elements(order, sample, float(counts[row])),
        }
    run.time_s += 1.0


def _grid(sample: Sample, direction: Direction) -> tuple[FloatArray, FloatArray]:
    """Return energies and dwell times in the order of the scan."""
    regions = edge_regions(sample.edge_ev, seconds_per_ev=1.0)
    energy = np.concatenate([region.energies_ev for region in regions])
    dwell = np.concatenate([np.full(len(r.energies_ev), r.dwell_s) for r in regions])
    # Longer where χ(k) is weak.
    dwell *= 1.0 + 2.0 * np.clip((energy - sample.edge_ev - 120.0) / 300.0, 0.0, 1.0)
    return (energy[::-1], dwell[::-1]) if direction == "down" else (energy, dwell)


def _elements(order: Order, sample: Sample, counts: float) -> dict[str, float]:
    if not _counted(order):
        return {}
    keys = zip(_dtc(sample), ELEMENTS, strict=True)
    return {key: counts * efficiency for key, efficiency in keys}


def _data_keys(order: Order, sample: Sample) -> dict[str, Any]:
    keys = {
        "dcm_energy": _key("SIM:energy.RBV", "eV"),
        "dcm_energy_setpoint": _key("SIM:energy", "eV"),
        "dwti_dwell_time": _key("SIM:dwell", "seconds"),
        "dwti_dwell_time_setpoint": _key("SIM:dwell", "seconds"),
        **{key: _key(f"SIM:{key}", "nA") for key in ("I0", "It", "Ir")},
    }
    if _counted(order):
        keys |= {key: _key(f"SIM:{key}", "counts") for key in _dtc(sample)}
    return keys


def _hints(order: Order, sample: Sample) -> Mapping[str, Any]:
    hints: dict[str, Any] = {name: {"fields": [name]} for name in ("I0", "It", "Ir")}
    if _counted(order):
        hints[SDD] = {"fields": _dtc(sample)}
    return hints


def _key(source: str, units: str = "") -> dict[str, Any]:
    return {
        "source": f"PV:{source}",
        "dtype": "number",
        "shape": [],
        "units": units,
        "precision": 4,
    }
