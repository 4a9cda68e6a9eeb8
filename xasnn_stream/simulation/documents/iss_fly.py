"""Fly scans that bring everything at the end, in files, each of its own clock.

No `primary`: one stream a device, each one event page of one row with a reference. The
energy is the angle of an unsigned encoder, signals are negative microvolts on offsets.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.simulation.documents import pizzabox
from xasnn_stream.simulation.documents.beam import Rates, rates
from xasnn_stream.simulation.documents.sample import (
    Sample,
    directions,
    sample_of,
    shares,
)
from xasnn_stream.simulation.documents.trajectory import (
    Trajectory,
    sweep_at,
    trajectory,
)
from xasnn_stream.simulation.documents.truth import Generated, Order
from xasnn_stream.simulation.documents.writing import BEGAN_S, RunWriter
from xasnn_stream.simulation.documents.xspress import rois_file
from xasnn_stream.spectrum import FloatArray

HC_EV_A, D_SPACING_A, PULSES_PER_DEG = 12398.42, 3.1356, 360_000
"""Of the beamline's energy law; what the start document says of d is not the same."""

ANGLE_OFFSET_DEG = 0.63781
APB, ENCODER, XSPRESS, TRIGGER = "apb_stream", "pb9_enc1", "xs_stream", "apb_trigger_xs"
APB_HZ, ENCODER_HZ, FRAME_HZ, DUTY_CYCLE = 1005.0, 2300.0, 100.0, 0.8
APB_PADDING, ENCODER_PADDING = 250, 3
OFFSETS_MV = {"ch1": 12.34, "ch2": -7.21, "ch3": 3.05, "ch4": 21.9}
GAINS_LOG10 = {"ch1": 7.0, "ch2": 7.0, "ch3": 7.0, "ch4": 8.0}
I0_A = 2.2e-7
COUNTS_PER_FRAME = 3e5
LEAD_S, CLOSING_S = 2.0, 3.0
"""From the start document to the flight, and from its end until files are closed."""

HEATER_C = 300.05
CONDITIONS = {
    "temperature_k": HEATER_C + 273.15,
    "hydrogen_flow": 4.99,
    "potential_v": -0.12,
}


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """What happens while the monochromator flies."""

    order: Order
    sample: Sample
    path: Trajectory
    rng: np.random.Generator

    def ticks(self, hertz: float, early_s: float, late_s: float) -> FloatArray:
        """Return a box's seconds: it begins before the flight and ends behind it."""
        return np.arange(-early_s, self.path.duration_s + late_s, 1.0 / hertz)

    def seen(self, time_s: FloatArray, noise: float) -> Rates:
        """Return what detectors see at seconds from the beginning."""
        energy = self.path.energy(time_s)
        share = shares(self.order)[sweep_at(time_s, self.order.sweeps).astype(int)]
        return rates(self.sample, energy, time_s, share, noise, self.rng)


def generate(order: Order) -> Generated:
    """Return one run of `order.sweeps` half cycles and write its files."""
    rng = np.random.default_rng(order.seed)
    sample = sample_of(order.element)
    flight = Flight(order, sample, trajectory(sample, order.sweeps), rng)
    run = RunWriter(rng, _start(order, sample), BEGAN_S)
    began_s = BEGAN_S + LEAD_S
    run.time_s = began_s + flight.path.duration_s + CLOSING_S
    files = _files(run, flight, began_s)
    _collect(run, order, files)
    run.stop()
    ways = zip(directions(order), shares(order), strict=True)
    truth = [
        sample.truth(run.uid, sweep, way, order.mode, float(share), CONDITIONS)
        for sweep, (way, share) in enumerate(ways)
    ]
    return Generated(run.documents, truth, list(files.values()))


def _start(order: Order, sample: Sample) -> dict[str, Any]:
    fluorescent = order.mode == "fluorescence"
    return {
        "scan_id": 190_433,
        "plan_name": "fly",
        "experiment": "fly_scan",
        "name": f"{sample.element} on C {sample.element}-{sample.edge} 0001",
        "sample_name": f"{sample.element}/C",
        "comment": "simulated",
        "element": sample.element,
        "edge": sample.edge,
        "e0": str(sample.edge_ev),
        "trajectory_filename": "simulated.txt",
        "angle_offset": str(ANGLE_OFFSET_DEG),
        "angle_offset_deg": str(np.degrees(ANGLE_OFFSET_DEG)),
        "mono_d_spacing": "3.1354951",
        "mono_encoder_resolution": str(1 / PULSES_PER_DEG),
        **{f"{channel}_offset": value for channel, value in OFFSETS_MV.items()},
        **{f"{channel}_amp_gain": value for channel, value in GAINS_LOG10.items()},
        "reference_foil": sample.element,
        "plot_hint": "$5/$1" if fluorescent else "$2/$1",
        "detectors": _detectors(order),
        # Of a heater, in degrees Celsius, which nothing here says.
        "sample_heater_1_T_rb": HEATER_C,
        "gc_mfc_h2_rb": CONDITIONS["hydrogen_flow"],
        "potentiostat_v": CONDITIONS["potential_v"],
    }


def _detectors(order: Order) -> dict[str, Any]:
    boxes: dict[str, Any] = {"Pizzabox Encoder": {"config": {}}, "APB": {"config": {}}}
    if order.mode == "fluorescence":
        config = {"frame_rate": FRAME_HZ, "duty_cycle": DUTY_CYCLE}
        boxes["Xspress3"] = {"config": config}
    return boxes


def _files(run: RunWriter, flight: Flight, began_s: float) -> dict[str, Path]:
    """Write what the devices write; return the files by stream."""
    root, day = flight.order.directory / "raw", "2026/11/22"
    files = {
        APB: root / "apb" / day / f"{run.new_uid()}.bin",
        ENCODER: root / "encpb" / day / f"en_{run.new_uid()[:8]}",
    }
    pizzabox.write(files[APB], _analog(flight, began_s))
    pizzabox.write(files[ENCODER], _encoder(flight, began_s))
    if flight.order.mode == "fluorescence":
        files[XSPRESS] = root / "xspress3" / day / f"{run.new_uid()}.h5"
        files[TRIGGER] = root / "apb" / day / f"{run.new_uid()}.bin"
        rise_s = flight.ticks(FRAME_HZ, 0.05, 0.3) + 0.0037
        fall_s = rise_s + DUTY_CYCLE / FRAME_HZ
        edges = pizzabox.trigger_bytes(began_s + rise_s, began_s + fall_s)
        pizzabox.write(files[TRIGGER], edges)
        # The last pulse comes when the detector listens no more.
        rois_file(files[XSPRESS], _counts(flight, rise_s[:-1], fall_s[:-1]))
    return files


def _analog(flight: Flight, began_s: float) -> bytes:
    time_s = flight.ticks(APB_HZ, 0.21, 0.4)
    seen = flight.seen(time_s, flight.order.noise)
    fluorescence = seen.fluorescence
    currents = I0_A * np.stack([seen.i0, seen.it, seen.ir, fluorescence], axis=1)
    gains = 10.0 ** np.array(list(GAINS_LOG10.values()))
    offsets = np.array(list(OFFSETS_MV.values()))
    microvolts = -currents * gains * 1e6 + offsets * 1e3
    # Sent twice: a row's time comes again with the row.
    again = np.sort(np.append(np.arange(len(time_s)), [700, 1201]))
    return pizzabox.analog_bytes(
        began_s + time_s[again], microvolts[again], APB_PADDING
    )


def _encoder(flight: Flight, began_s: float) -> str:
    time_s = flight.ticks(ENCODER_HZ, 0.33, 0.2) + 0.00017
    energy = flight.path.energy(time_s)
    angle = np.degrees(np.arcsin(HC_EV_A / (2.0 * D_SPACING_A * energy)))
    # Counts fall as the angle grows, and are negative all over the range.
    position = np.rint(-(angle + ANGLE_OFFSET_DEG) * PULSES_PER_DEG).astype(np.int64)
    return pizzabox.encoder_text(began_s + time_s, position, ENCODER_PADDING)


def _counts(flight: Flight, rise_s: FloatArray, fall_s: FloatArray) -> FloatArray:
    """Return counts per frame: the mean of what is seen while its pulse lasts."""
    within = (np.arange(16) + 0.5) / 16
    time_s = rise_s[:, None] + (fall_s - rise_s)[:, None] * within
    seen = flight.seen(time_s.ravel(), 0.0).fluorescence.reshape(time_s.shape)
    noise = 1.0 + flight.order.noise * flight.rng.normal(size=len(rise_s))
    return COUNTS_PER_FRAME * seen.mean(axis=1) * noise


def _collect(run: RunWriter, order: Order, files: dict[str, Path]) -> None:
    """Describe every stream, then refer to the files, then one page each."""
    for stream, path in files.items():
        run.descriptor(stream, _data_keys(stream, path))
    root = order.directory
    data: dict[str, dict[str, str]] = {}
    for stream, path in files.items():
        below = str(path.relative_to(root))
        if stream == XSPRESS:
            data[stream] = _rois(run, root, below)
        else:
            spec = {APB: "APB", TRIGGER: "APB_TRIGGER"}
            # The analog box names its files in full, though it names a root.
            where = below if stream == ENCODER else str(path)
            name = spec.get(stream, "PIZZABOX_ENC_FILE_TXT_PD")
            data[stream] = {stream: run.resource(name, str(root), where)[0]}
    for stream, references in data.items():
        run.page(stream, references, *references)


def _rois(run: RunWriter, root: Path, path: str) -> dict[str, str]:
    """Refer to four regions of interest of as many channels, in one file."""
    channels = range(1, 5)
    datums = [{"data_type": "roi", "channel": c, "roi_num": 1} for c in channels]
    ids = run.resource("XSP3", str(root), path, datums)
    return {f"xs_ch{c:02d}_roi01": one for c, one in zip(channels, ids, strict=True)}


def _data_keys(stream: str, path: Path) -> dict[str, Any]:
    """Return data keys as the devices give them: shapes that promise nothing true."""
    external = {"dtype": "array", "external": "FILESTORE:"}
    if stream == XSPRESS:
        keys = [f"xs_ch{c:02d}_roi01" for c in range(1, 5)]
        shape = {"shape": [100_000], "dims": ["frames"]}
        return {key: {"source": "Xspress3", **shape, **external} for key in keys}
    key: dict[str, Any] = {"source": stream.upper(), "shape": [-1, -1], **external}
    if stream == APB:
        text = str(path.with_suffix(".txt"))
        key |= {"source": "APB", "filename_bin": str(path), "filename_txt": text}
    else:
        key["filename"] = str(path)
    return {stream: key}
