"""Documents of every shape, assembled by the shipped profile of its name.

The bars: μ(E) within 0.02 eV and 0.1 % of the step, every sweep, direction and condition,
and of every fault what the table of faults says, as far as assembly decides it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.profile import load_profile
from xasnn_stream.simulation.documents import SHAPES
from xasnn_stream.simulation.documents.faults import FAULTS, spoil
from xasnn_stream.simulation.documents.shapes import generate
from xasnn_stream.simulation.documents.spoilt import Key, Spoilt
from xasnn_stream.simulation.documents.truth import Truth
from xasnn_stream.spectrum import FloatArray, Spectrum
from xasnn_stream.telemetry.counters import Counters

SHIFT_EV, OF_STEP = 0.02, 1e-3
FILE_TIMEOUT_S, AGE_S = 5.0, 1e5

ASSEMBLED = ("no_edge", "no_signal", "no_file", "unreadable_file")
"""Reasons that assembly gives; the engine has the others."""

CASES = [
    (fault, shape)
    for fault, known in FAULTS.items()
    for shape in known.shapes
    if shape != "sim-step"  # as bmm-step, but slower to make
]


@dataclass
class Clock:
    """Seconds that pass when told to."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def _assembled(shape: str, spoilt: Spoilt, directory: Path) -> dict[Key, Spectrum]:
    """Return the final spectra by run and sweep; late files come after the documents."""
    clock = Clock()
    assembler = Assembler(
        [load_profile(shape).assembly],
        Counters(),
        clock=clock,
        files=Files([directory], {}, FILE_TIMEOUT_S),
    )
    spectra: list[Spectrum] = []
    for name, doc in spoilt.documents:
        clock.now_s += 0.001
        spectra += assembler.receive(name, doc, "test")
    for path, hidden in spoilt.late.items():
        hidden.rename(path)
    for seconds in (1.0, 1.0, FILE_TIMEOUT_S, AGE_S, AGE_S):
        clock.now_s += seconds
        spectra += assembler.release_idle_runs()
    found = {(s.run.uid, s.run.sweep): s for s in spectra}
    assert len(found) == len(spectra), "a sweep came twice"
    return found


def _net(spectrum: Spectrum, role: str) -> FloatArray:
    raw = spectrum.channels[role] - spectrum.offsets.get(role, 0.0)
    return raw * spectrum.scales.get(role, 1.0)


def _assert_true(spectrum: Spectrum, truth: Truth) -> None:
    """Fail unless a sweep is what was measured."""
    energy = spectrum.energy_ev
    # A thousandth is noise; what is left of it is a shift of energies.
    mu = np.log(_net(spectrum, "i0") / _net(spectrum, "it"))
    off = mu - truth.mu_at(energy)
    slope = (truth.mu_at(energy + 0.05) - truth.mu_at(energy - 0.05)) / 0.1
    shift_ev = -(off @ slope) / (slope @ slope)
    assert abs(shift_ev) < SHIFT_EV
    assert np.abs(off).max() < OF_STEP * truth.step
    foil = np.log(_net(spectrum, "it") / _net(spectrum, "ir"))
    assert np.abs(foil - truth.reference_at(energy)).max() < OF_STEP * truth.step
    assert spectrum.run.direction == truth.direction
    assert spectrum.run.final
    assert spectrum.conditions == pytest.approx(dict(truth.conditions), abs=1e-3)


@pytest.mark.parametrize("sweeps", [1, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_sweep_of_a_shape_is_found_and_true(
    shape: str, sweeps: int, tmp_path: Path
) -> None:
    generated = generate(shape, directory=tmp_path, sweeps=sweeps)
    found = _assembled(shape, Spoilt(generated.documents), tmp_path)

    assert len(found) == sweeps
    for truth in generated.truth:
        spectrum = found[truth.run, truth.sweep]
        assert spectrum.problem is None
        assert spectrum.run.complete
        assert (spectrum.element, spectrum.edge) == ("Pt", "L3")
        assert spectrum.sample is not None
        _assert_true(spectrum, truth)
        # Almost all of the way, and no rest at its ends.
        assert np.ptp(spectrum.energy_ev) > 560.0


@pytest.mark.parametrize("shape", ["bmm-step", "sim-quick", "dls-fly"])
def test_fluorescence_is_read_where_the_run_says_so(shape: str, tmp_path: Path) -> None:
    generated = generate(shape, directory=tmp_path, sweeps=2, mode="fluorescence")
    found = _assembled(shape, Spoilt(generated.documents), tmp_path)

    for truth in generated.truth:
        spectrum = found[truth.run, truth.sweep]
        assert spectrum.mode == "fluorescence"
        counts = _net(spectrum, "if")
        mu = (counts.sum(1) if counts.ndim == 2 else counts) / _net(spectrum, "i0")
        mu *= np.median(truth.mu_at(spectrum.energy_ev) / mu)
        off = np.abs(mu - truth.mu_at(spectrum.energy_ev)).max()
        assert off < OF_STEP * truth.step


@pytest.mark.parametrize(("fault", "shape"), CASES)
def test_of_every_fault_comes_what_the_table_says(
    fault: str, shape: str, tmp_path: Path
) -> None:
    generated = generate(shape, directory=tmp_path)
    spoilt = spoil(fault, shape, generated)
    found = _assembled(shape, spoilt, tmp_path)

    for truth in generated.truth:
        key = (truth.run, truth.sweep)
        outcome, reason = FAULTS[fault].expected(spoilt, key)
        _CHECKS[outcome](found.pop(key, None), truth, reason)
    assert found == {}


def _measured(spectrum: Spectrum | None, truth: Truth, _: str) -> None:
    assert spectrum is not None
    assert spectrum.run.complete
    assert spectrum.problem is None
    _assert_true(spectrum, truth)


def _flagged(spectrum: Spectrum | None, truth: Truth, reason: str) -> None:
    assert spectrum is not None
    assert spectrum.problem is None
    if reason != "saturated":
        _assert_true(spectrum, truth)


def _rejected(spectrum: Spectrum | None, _: Truth, reason: str) -> None:
    assert spectrum is not None
    if reason in ASSEMBLED:
        assert spectrum.problem is not None
        assert spectrum.problem.code == reason
    else:
        assert spectrum.problem is None


def _lost(spectrum: Spectrum | None, *_: object) -> None:
    assert spectrum is None or not spectrum.run.complete


def _nothing(spectrum: Spectrum | None, *_: object) -> None:
    assert spectrum is None


_CHECKS: dict[str, Callable[[Spectrum | None, Truth, str], None]] = {
    "measured": _measured,
    "flagged": _flagged,
    "rejected": _rejected,
    "lost": _lost,
    "ignored": _nothing,
    "absent": _nothing,
}


def test_a_run_that_lost_the_name_of_a_file_is_incomplete(tmp_path: Path) -> None:
    generated = generate("dls-fly", directory=tmp_path, sweeps=2)
    documents = [
        (name, doc)
        for name, doc in generated.documents
        if name != "stream_resource" or doc["data_key"] != "counter-2-out"
    ]
    (spectrum,) = _assembled("dls-fly", Spoilt(documents), tmp_path).values()
    assert spectrum.problem is not None
    assert spectrum.problem.code == "no_signal"
    assert not spectrum.run.complete
