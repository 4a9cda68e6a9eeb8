"""Fly scans whose file grows while stream datums tell of new rows: up and down in one.

`primary` has no events. A PandA writes encoder, counters and its own clock at equal
steps of the encoder, nothing between sweeps.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xasnn_stream.simulation.documents.beam import rates
from xasnn_stream.simulation.documents.sample import (
    Sample,
    directions,
    sample_of,
    shares,
)
from xasnn_stream.simulation.documents.truth import Generated, Order
from xasnn_stream.simulation.documents.writing import BEGAN_S, RunWriter
from xasnn_stream.spectrum import FloatArray

HC_EV_A, D_SPACING_A, PULSES_PER_DEG = 12398.42, 3.1356, 200_000.0
ANGLE_OFFSET_DEG = -0.21
POINTS, POINT_S, TURN_S = 2000, 0.0015, 1.2
FLUSH_S = 0.5
FLUX = 2e6
"""Counts of i0 per point."""

CHUNK = 1024
KELVIN = 423.0
TIME, ENCODER = "pcap-ts_trig", "inenc-1-val"
COUNTERS = ("counter-1-out", "counter-2-out", "counter-3-out", "counter-4-out")


def generate(order: Order) -> Generated:
    """Return one run of `order.sweeps` sweeps and write its file, whole."""
    rng = np.random.default_rng(order.seed)
    sample = sample_of(order.element)
    run = RunWriter(rng, _start(order, sample), BEGAN_S)
    columns = _columns(order, sample, rng)
    path = order.directory / "panda" / f"{run.new_uid()}.h5"
    _write(path, columns)
    _tell(run, path, columns)
    ways = zip(directions(order), shares(order), strict=True)
    truth = [
        sample.truth(
            run.uid, sweep, way, order.mode, float(share), {"temperature_k": KELVIN}
        )
        for sweep, (way, share) in enumerate(ways)
    ]
    return Generated(run.documents, truth, [path])


def _start(order: Order, sample: Sample) -> dict[str, Any]:
    return {
        "scan_id": 512,
        "plan_type": "generator",
        "plan_name": "fly_sweep",
        "element": sample.element,
        "edge": sample.edge,
        "mode": order.mode,
        "sample": {"name": f"{sample.element}/C", "temperature": KELVIN},
        "mono": {
            "pulses_per_deg": PULSES_PER_DEG,
            "d_spacing": str(D_SPACING_A),
            "angle_offset": ANGLE_OFFSET_DEG,
        },
        "number_of_sweeps": order.sweeps,
        "detectors": ["panda1"],
        "motors": ["turbo_slit_x"],
    }


def _columns(
    order: Order, sample: Sample, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Return what the PandA captured, `(rows,)` each, in order of acquisition."""
    up = _positions(sample)
    ways = [up if way == "up" else up[::-1] for way in directions(order)]
    encoder = np.concatenate(ways)
    angle = np.radians(encoder / PULSES_PER_DEG + ANGLE_OFFSET_DEG)
    energy = HC_EV_A / (2.0 * D_SPACING_A * np.sin(angle))
    within_s = POINT_S * np.arange(POINTS)
    begins_s = (POINTS * POINT_S + TURN_S) * np.arange(order.sweeps)
    time_s = 0.8 + (begins_s[:, None] + within_s).ravel()
    share = np.repeat(shares(order), POINTS)
    seen = rates(sample, energy, time_s, share, order.noise, rng)
    chambers = (seen.i0, seen.it, seen.ir, seen.fluorescence)
    counts = {key: FLUX * c for key, c in zip(COUNTERS, chambers, strict=True)}
    return {TIME: time_s, ENCODER: encoder, **counts}


def _positions(sample: Sample) -> FloatArray:
    """Return the encoder's whole counts on the way up in energy, in equal steps."""
    limits = np.array(sample.limits_ev)
    angle = np.degrees(np.arcsin(HC_EV_A / (2.0 * D_SPACING_A * limits)))
    first, last = (angle - ANGLE_OFFSET_DEG) * PULSES_PER_DEG
    return np.rint(np.linspace(first, last, POINTS))


def _write(path: Path, columns: dict[str, FloatArray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver="latest") as file:
        for name, values in columns.items():
            file.create_dataset(name, data=values, maxshape=(None,), chunks=(CHUNK,))


def _tell(run: RunWriter, path: Path, columns: dict[str, FloatArray]) -> None:
    """Describe the stream, and say every `FLUSH_S` how far the file has grown."""
    descriptor = run.descriptor(
        "primary", {name: _key(name) for name in columns}, device="panda1"
    )
    resources: list[str] = []
    time_s = columns[TIME]
    told = flushes = 0
    while told < len(time_s):
        elapsed_s = (flushes + 1) * FLUSH_S
        run.time_s = BEGAN_S + elapsed_s
        captured = int(np.searchsorted(time_s, elapsed_s))
        if captured > told:
            resources = resources or [_resource(run, path, name) for name in columns]
            for resource in resources:
                run.stream_datum(resource, flushes, descriptor, told, captured)
            told = captured
        flushes += 1
    # None of them are events of the RunEngine's, but it counts them.
    run.stop(num_events={"primary": told})


def _resource(run: RunWriter, path: Path, name: str) -> str:
    parameters = {"dataset": f"/{name}", "chunk_shape": [CHUNK]}
    uri = f"file://localhost{path}"
    return run.stream_resource("application/x-hdf5", uri, name, parameters)


def _key(name: str) -> dict[str, Any]:
    return {
        "source": f"mock+ca://panda1-{name}",
        "dtype": "number",
        "dtype_numpy": "<f8",
        "shape": [1],
        "external": "STREAM:",
    }
