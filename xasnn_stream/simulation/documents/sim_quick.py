"""Quick scans with one event a sweep: arrays in `primary`, a monitored temperature."""

from typing import Any

import numpy as np

from xasnn_stream.simulation.documents.beam import rates
from xasnn_stream.simulation.documents.sample import (
    Sample,
    directions,
    sample_of,
    shares,
)
from xasnn_stream.simulation.documents.truth import Direction, Generated, Order
from xasnn_stream.simulation.documents.writing import BEGAN_S, RunWriter
from xasnn_stream.spectrum import FloatArray

POINTS = 900
SWEEP_S = 0.5
FLUX, DARK = 4e8, 500.0
"""Counts per sweep's point of i0, and of every chamber in the dark."""

FIRST_K, KELVIN_PER_S = 300.0, 2.0
MONITOR, MONITORED = "temperature_monitor", "temperature"
MONITOR_EVERY_S = 0.7


def generate(order: Order) -> Generated:
    """Return one run of `order.sweeps` events, up and down in turn, while it heats."""
    rng = np.random.default_rng(order.seed)
    sample = sample_of(order.element)
    run = RunWriter(rng, _start(order, sample), BEGAN_S)
    run.descriptor("primary", _data_keys())
    run.descriptor(MONITOR, {MONITORED: _key("K", [])}, device=MONITORED)
    generated = Generated(run.documents, [])
    ways = zip(directions(order), shares(order), strict=True)
    over_s = 0.0
    for sweep, (direction, share) in enumerate(ways):
        _monitor(run, over_s, over_s + SWEEP_S)
        over_s += SWEEP_S
        run.time_s = BEGAN_S + over_s
        arrays = _arrays(order, sample, direction, over_s, float(share), rng)
        run.event("primary", arrays)
        conditions = {"temperature_k": _kelvin(over_s)}
        generated.truth.append(
            sample.truth(
                run.uid, sweep, direction, order.mode, float(share), conditions
            )
        )
    _monitor(run, over_s, over_s + MONITOR_EVERY_S)
    run.time_s = BEGAN_S + over_s + MONITOR_EVERY_S
    run.stop()
    return generated


def _start(order: Order, sample: Sample) -> dict[str, Any]:
    return {
        "scan_id": 7,
        "plan_type": "generator",
        "plan_name": "xas_quick_scan",
        "element": sample.element,
        "edge": sample.edge,
        "sample": f"{sample.element}/C",
        "mode": order.mode,
        "num_points": order.sweeps,
        "dark": {"i0": DARK, "it": DARK, "ir": DARK, "if": DARK},
    }


def _kelvin(time_s: float) -> float:
    return FIRST_K + KELVIN_PER_S * time_s


def _monitor(run: RunWriter, from_s: float, until_s: float) -> None:
    """Write the monitor's readings of a stretch of time, its end excluded."""
    first = int(np.ceil(from_s / MONITOR_EVERY_S - 1e-9))
    last = int(np.ceil(until_s / MONITOR_EVERY_S - 1e-9))
    for number in range(first, last):
        time_s = number * MONITOR_EVERY_S
        run.time_s = BEGAN_S + time_s
        run.event(MONITOR, {MONITORED: _kelvin(time_s)})


def _arrays(
    order: Order,
    sample: Sample,
    direction: Direction,
    over_s: float,
    share: float,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Return the arrays of one sweep that is over at a time, in order of acquisition."""
    energy = _energies(sample, rng)
    energy = energy[::-1] if direction == "down" else energy
    time_s = over_s - SWEEP_S + np.linspace(0.0, SWEEP_S, POINTS)
    seen = rates(sample, energy, time_s, share, order.noise, rng)
    return {
        "energy": energy,
        "i0": FLUX * seen.i0 + DARK,
        "it": FLUX * seen.it + DARK,
        "ir": FLUX * seen.ir + DARK,
        "if": FLUX * seen.fluorescence + DARK,
    }


def _energies(sample: Sample, rng: np.random.Generator) -> FloatArray:
    """Return energies up, dense about the edge, never twice the same."""
    low, high = sample.limits_ev
    edge = sample.edge_ev
    fractions = np.linspace(0.0, 1.0, POINTS) + rng.uniform(-2e-4, 2e-4, POINTS)
    return np.interp(
        fractions, [0.0, 0.2, 0.7, 1.0], [low, edge - 30.0, edge + 120.0, high]
    )


def _data_keys() -> dict[str, Any]:
    chambers = ("i0", "it", "ir", "if")
    return {
        "energy": _key("eV", [POINTS]),
        **{name: _key("counts", [POINTS]) for name in chambers},
    }


def _key(units: str, shape: list[int]) -> dict[str, Any]:
    dtype = "array" if shape else "number"
    return {"source": "SIM:quick", "dtype": dtype, "shape": shape, "units": units}
