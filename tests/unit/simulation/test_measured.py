"""The documented table of measured spectra is what the shipped model says."""

from pathlib import Path

import pytest

from xasnn_stream.engine.foil import read_foil
from xasnn_stream.engine.resident import Engine
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.measured import (
    CASES,
    FOILS,
    METALS,
    PROFILE,
    exafs_truths,
    table_row,
)
from xasnn_stream.simulation.playback import read_recording
from xasnn_stream.spectrum import Run, Spectrum

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "xas-data"
PAGE = ROOT / "docs" / "measured-spectra.md"

pytestmark = pytest.mark.measured


def sweep(case, element):
    """The spectrum a playback of the case's file is assembled to."""
    recording = read_recording(DATA / "spectra" / case.file, case.columns)
    return Spectrum(
        run=Run("run", 1, 0, "up", 1.0, final=True, complete=True, source="file"),
        profile=PROFILE,
        sample=case.name,
        element=element,
        edge="L3",
        time=(0.0, 1.0),
        energy_ev=recording.energy_ev,
        channels=recording.counts,
    )


@pytest.mark.parametrize(
    "foil", FOILS, ids=lambda foil: f"{foil.element}-{foil.laboratory}"
)
def test_every_documented_row_is_what_the_model_says(foil):
    model = model_folder(METALS[foil.element].model)
    reference = read_foil(str(DATA / "spectra" / foil.file))
    engine = Engine.load(model, load_profile(PROFILE).engine, reference, "cpu")
    cases = [case for case in CASES if foil in case.foils]
    truths = exafs_truths(DATA)
    documented = PAGE.read_text()
    sweeps = [sweep(case, foil.element) for case in cases]
    for case, estimate in zip(cases, engine.estimate(sweeps), strict=True):
        row = table_row(case, foil, estimate.document(), truths)
        assert row in documented
