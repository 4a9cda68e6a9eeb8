"""How well μ(E) is recovered from documents of every shape: `python -m tests.bench.shapes`.

A line per shape and mode, worst of all sweeps: how far energies are off (eV), and how far
μ is from the truth, in edge steps, as it stands and without that shift. Fluorescence is
known up to a factor.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.files import Files
from xasnn_stream.errors import UsageError
from xasnn_stream.profile import load_profile
from xasnn_stream.simulation.documents.shapes import SHAPES, generate
from xasnn_stream.simulation.documents.truth import Truth
from xasnn_stream.spectrum import FloatArray, Spectrum
from xasnn_stream.telemetry.counters import Counters

SEEDS = 3
SWEEPS = 6


def main() -> int:
    """Print the table; 1 if a sweep is missing, or wrong in direction or conditions."""
    print(
        f"{'shape':10s} {'mode':13s} sweeps  energy/eV  max|dmu|/step  without shift"
        "     rms"
    )
    wrong = 0
    for shape in SHAPES:
        for mode in ("transmission", "fluorescence"):
            try:
                found = [
                    row for seed in range(SEEDS) for row in measured(shape, mode, seed)
                ]
            except UsageError:
                continue  # the shape has no such mode
            shift, raw, left, rms = np.abs(np.array(found)).max(0)
            wanted = SEEDS * SWEEPS
            wrong += len(found) != wanted
            print(
                f"{shape:10s} {mode:13s} {len(found):2d}/{wanted:2d}   {shift:8.4f}"
                f"  {raw:13.1e}  {left:13.1e} {rms:.1e}"
            )
    return int(wrong > 0)


def measured(shape: str, mode: str, seed: int) -> Iterator[tuple[float, ...]]:
    """Yield the errors of every sweep that came back as what it was."""
    profile = load_profile(shape)
    with tempfile.TemporaryDirectory() as folder:
        made = generate(
            shape, directory=Path(folder), sweeps=SWEEPS, seed=seed, mode=mode
        )
        assembler = Assembler(
            [profile.assembly], Counters(), files=Files(None, {}, timeout_s=10.0)
        )
        spectra = [
            spectrum
            for name, doc in made.documents
            for spectrum in assembler.receive(name, doc, "bench")
        ]
    for truth in made.truth:
        for spectrum in spectra:
            if is_of(spectrum, truth):
                yield errors(spectrum, truth)


def is_of(spectrum: Spectrum, truth: Truth) -> bool:
    """Return whether a spectrum is a sweep, complete, of its direction and conditions."""
    run = spectrum.run
    return (
        (run.uid, run.sweep, run.direction) == (truth.run, truth.sweep, truth.direction)
        and run.complete
        and spectrum.problem is None
        and all(
            abs(spectrum.conditions.get(name, np.nan) - value) < 1e-3
            for name, value in truth.conditions.items()
        )
    )


def errors(spectrum: Spectrum, truth: Truth) -> tuple[float, ...]:
    """Return shift (eV), largest error of μ with and without it, and rms without it."""
    energy = spectrum.energy_ev
    known = (energy >= truth.energy_ev[0]) & (energy <= truth.energy_ev[-1])
    order = np.argsort(energy[known])
    energy = energy[known][order]
    mu, true = absorption(spectrum, truth)[known][order], truth.mu_at(energy)
    slope = np.gradient(true, energy, edge_order=1)
    terms = np.stack((slope, np.ones_like(true), true), 1)
    terms = terms[:, : 2 if truth.mode == "transmission" else 3]
    usable = np.isfinite(terms).all(1)
    found = np.linalg.lstsq(terms[usable], (mu - true)[usable], rcond=None)[0]
    rest = (mu - true - terms @ np.where(np.arange(len(found)), found, 0.0))[usable]
    left = (mu - true - terms @ found)[usable]
    step = truth.step
    return (
        -float(found[0]),
        float(np.abs(rest).max() / step),
        float(np.abs(left).max() / step),
        float(left.std() / step),
    )


def absorption(spectrum: Spectrum, truth: Truth) -> FloatArray:
    """Return μ of the readings, without the engine."""

    def net(role: str) -> FloatArray:
        raw = spectrum.channels[role] - spectrum.offsets.get(role, 0.0)
        return raw * spectrum.scales.get(role, 1.0)

    if truth.mode == "transmission":
        return np.log(net("i0") / net("it"))
    counts = net("if")
    mu = (counts.sum(1) if counts.ndim > 1 else counts) / net("i0")
    scale = np.polyfit(truth.mu_at(spectrum.energy_ev), mu, 1)[0]
    return mu / scale


if __name__ == "__main__":
    sys.exit(main())
