"""Every shape, read by hand: what was measured is what the truth says."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import event_model
import h5py
import numpy as np
import pytest

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents import SHAPES
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.documents.truth import Generated, Truth

Make = Callable[..., Generated]

# Ten times the noise of a reading: μ is the logarithm of a ratio of two.
EXACT = 10 * 2e-5


def _docs(generated: Generated, name: str) -> list[dict[str, Any]]:
    return [doc for kind, doc in generated.documents if kind == name]


def _rows(generated: Generated, run: str, stream: str) -> dict[str, np.ndarray]:
    """Return the columns of a stream's events."""
    (descriptor,) = [
        doc["uid"]
        for doc in _docs(generated, "descriptor")
        if doc["run_start"] == run and doc["name"] == stream
    ]
    events = [e for e in _docs(generated, "event") if e["descriptor"] == descriptor]
    keys = events[0]["data"]
    return {key: np.array([event["data"][key] for event in events]) for key in keys}


def _off(truth: Truth, energy: np.ndarray, mu: np.ndarray) -> float:
    """Return how far μ is off, relative to the step."""
    return float(np.abs(mu - truth.mu_at(energy)).max()) / truth.step


def _goes(truth: Truth, energy: np.ndarray) -> bool:
    return (energy[-1] > energy[0]) == (truth.direction == "up")


@pytest.mark.parametrize("shape", SHAPES)
def test_documents_are_valid_and_begin_and_end_runs(make: Make, shape: str) -> None:
    documents = make(shape, sweeps=3).documents

    for name, doc in documents:
        kind = event_model.DocumentNames[name]
        event_model.schema_validators[kind].validate(doc)
    names = [name for name, _ in documents]
    assert names[0] == "start"
    assert names[-1] == "stop"
    assert names.count("start") == names.count("stop")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_sweep_has_its_own_truth(make: Make, shape: str) -> None:
    truth = make(shape, sweeps=3).truth

    assert [t.direction for t in truth] == ["up", "down", "up"]
    assert len({(t.run, t.sweep) for t in truth}) == 3
    assert np.abs(truth[0].mu - truth[1].mu).max() > 0.05
    assert all("temperature_k" in t.conditions for t in truth)


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"sim-step"}))
def test_a_seed_makes_the_same_documents_again(make: Make, shape: str) -> None:
    def text(seed: int) -> str:
        return str(make(shape, sweeps=2, seed=seed).documents)

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_shapes_of_one_seed_have_runs_of_their_own(make: Make) -> None:
    runs = {make(shape, sweeps=1).truth[0].run for shape in SHAPES}
    assert len(runs) == len(SHAPES)


def test_step_scans_hold_mu_at_the_readback_not_the_setpoint(make: Make) -> None:
    generated = make("bmm-step", sweeps=2)

    for truth in generated.truth:
        rows = _rows(generated, truth.run, "primary")
        mu = np.log(rows["I0"] / rows["It"])
        assert _off(truth, rows["dcm_energy"], mu) < EXACT
        assert _off(truth, rows["dcm_energy_setpoint"], mu) > 5 * EXACT
        assert _goes(truth, rows["dcm_energy"])


def test_fluorescence_of_step_scans_needs_no_division_by_the_dwell_time(
    make: Make,
) -> None:
    generated = make("bmm-step", sweeps=1, mode="fluorescence")
    (truth,) = generated.truth
    rows = _rows(generated, truth.run, "primary")

    mu = sum(rows[f"Pt{n}"] for n in range(1, 5)) / rows["I0"]
    factor = np.median(mu / truth.mu_at(rows["dcm_energy"]))
    assert _off(truth, rows["dcm_energy"], mu / factor) < 5 * EXACT
    assert np.ptp(rows["dwti_dwell_time"]) > 1.0


def test_the_simulated_beamline_holds_mu(make: Make) -> None:
    generated = make("sim-step", sweeps=2)

    for truth in generated.truth:
        rows = _rows(generated, truth.run, "primary")
        (dark,) = [
            doc["dark"] for doc in _docs(generated, "start") if doc["uid"] == truth.run
        ]
        mu = np.log((rows["i0"] - dark["i0"]) / (rows["it"] - dark["it"]))
        assert _off(truth, rows["mono_energy"], mu) < EXACT
        assert _goes(truth, rows["mono_energy"])


def test_an_event_of_a_quick_scan_is_a_sweep(make: Make) -> None:
    generated = make("sim-quick", sweeps=5)
    run = generated.truth[0].run
    rows = _rows(generated, run, "primary")
    dark = _docs(generated, "start")[0]["dark"]

    for truth in generated.truth:
        energy = rows["energy"][truth.sweep]
        i0, it = (rows[key][truth.sweep] - dark[key] for key in ("i0", "it"))
        assert _off(truth, energy, np.log(i0 / it)) < EXACT
        assert _goes(truth, energy)


def test_monitor_readings_bracket_every_quick_sweep(make: Make) -> None:
    generated = make("sim-quick", sweeps=5)
    monitor = [e for e in _docs(generated, "event") if "temperature" in e["data"]]
    sweeps = [e for e in _docs(generated, "event") if "energy" in e["data"]]
    times = [e["time"] for e in monitor]
    kelvins = [e["data"]["temperature"] for e in monitor]

    assert times[0] < sweeps[0]["time"]
    assert times[-1] > sweeps[-1]["time"]
    for truth, sweep in zip(generated.truth, sweeps, strict=True):
        between = np.interp(sweep["time"], times, kelvins)
        assert between == pytest.approx(truth.conditions["temperature_k"], abs=1e-6)


def _apb(path: Any) -> tuple[np.ndarray, np.ndarray]:
    rows = np.fromfile(path, "<i4").reshape(-1, 10)
    return rows[:, 8] + rows[:, 9] * 8.0051232e-9, rows[:, :8].astype(float)


def _encoder_energy(path: Any, start: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return times and energies, by the law as the beamline's users know it."""
    rows = np.loadtxt(path)
    rows = rows[rows[:, 0] > 0]
    count = rows[:, 2].astype(int)
    folded = np.where(count <= 0, count, -(count ^ 0xFFFFFE))
    theta = np.radians(folded / 360000 + float(start["angle_offset"]))
    energy = -12398.42 / (2 * 3.1356 * np.sin(theta))
    return rows[:, 0] + rows[:, 1] * 1e-9, energy


def test_fly_scans_of_several_clocks_hold_mu(make: Make) -> None:
    generated = make("iss-fly", sweeps=3)
    start = _docs(generated, "start")[0]
    apb, encoder = generated.files
    time_s, volts = _apb(apb)
    real = time_s > time_s[0] - 1e8
    enc_s, energy = _encoder_energy(encoder, start)
    overlap = real & (time_s > enc_s[0]) & (time_s < enc_s[-1])
    at = np.interp(time_s[overlap], enc_s, energy)
    volts = volts[overlap]
    dark = np.array([start[f"ch{n}_offset"] for n in (1, 2)]) * 1e3
    mu = -np.log((volts[:, 1] - dark[1]) / (volts[:, 0] - dark[0]))

    assert 0 < np.count_nonzero(~real) < 1000
    assert np.all(volts[:, :4] < 0.5e6)
    # The fold is a count low on average, +3 meV; a volt is read to a microvolt.
    turns = np.linspace(time_s[overlap][0], time_s[overlap][-1], 4)
    for truth in generated.truth:
        first, last = turns[truth.sweep] + 0.4, turns[truth.sweep + 1] - 0.4
        inside = (time_s[overlap] > first) & (time_s[overlap] < last)
        assert _off(truth, at[inside] - 0.003, mu[inside]) < 10 * EXACT
        assert _goes(truth, at[inside])


def test_frames_of_the_fluorescence_detector_belong_to_pulses(make: Make) -> None:
    generated = make("iss-fly", sweeps=1, mode="fluorescence")
    apb, encoder, frames, trigger = generated.files
    edges = np.fromfile(trigger, "<i4").reshape(-1, 3)
    pulse_s = (edges[:, 1] + edges[:, 2] * 8.0051232e-9).reshape(-1, 2).mean(axis=1)
    with h5py.File(frames) as file:
        rois = file["entry/instrument/detector/NDAttributes"]
        counts = sum(rois[f"CHAN{c}ROI1"][()] for c in range(1, 5))
    time_s, volts = _apb(apb)
    real = time_s > 0
    i0 = np.interp(pulse_s, time_s[real], 12.34e3 - volts[real, 0])
    enc_s, energy = _encoder_energy(encoder, _docs(generated, "start")[0])
    at = np.interp(pulse_s, enc_s, energy)[: len(counts)]
    (truth,) = generated.truth

    assert len(pulse_s) == len(counts) + 1
    mu = counts / i0[: len(counts)]
    inside = (at > truth.energy_ev[0] + 10) & (at < truth.energy_ev[-1] - 10)
    mu, at = mu[inside], at[inside]
    factor = np.median(mu / truth.mu_at(at))
    # i0 trembles within a pulse, and frames of some hundred counts are whole numbers.
    assert _off(truth, at, mu / factor) < 0.01


def test_a_growing_file_is_told_of_bit_by_bit(make: Make) -> None:
    generated = make("dls-fly", sweeps=3)
    mono = _docs(generated, "start")[0]["mono"]
    with h5py.File(generated.files[0]) as file:
        columns = {name: dataset[()] for name, dataset in file.items()}
    theta = columns["inenc-1-val"] / mono["pulses_per_deg"] + mono["angle_offset"]
    energy = 12398.42 / (2 * float(mono["d_spacing"]) * np.sin(np.radians(theta)))
    mu = np.log(columns["counter-1-out"] / columns["counter-2-out"])

    for truth in generated.truth:
        part = slice(2000 * truth.sweep, 2000 * (truth.sweep + 1))
        assert _off(truth, energy[part], mu[part]) < EXACT
        assert _goes(truth, energy[part])
    for resource in _docs(generated, "stream_resource"):
        told = [
            (d["indices"]["start"], d["indices"]["stop"])
            for d in _docs(generated, "stream_datum")
            if d["stream_resource"] == resource["uid"]
        ]
        assert len(told) > 10
        assert told[0][0] == 0
        assert all(a[1] == b[0] for a, b in pairwise(told))
        assert told[-1][1] == len(columns[resource["data_key"]])


def test_what_cannot_be_made_is_refused(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="no shape 'esrf'; there are bmm-step"):
        generate("esrf", directory=tmp_path)
    with pytest.raises(UsageError, match="no spectra of Xe"):
        generate("sim-quick", directory=tmp_path, element="Xe")
    with pytest.raises(UsageError, match="0 sweeps"):
        generate("sim-quick", directory=tmp_path, sweeps=0)
