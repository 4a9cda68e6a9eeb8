"""Measured Pt: foils, nanoparticles and compounds, each with another laboratory's foil."""

from pathlib import Path

import numpy as np
import pytest

from tests.bench.measured_curves import mixed, normalized
from xasnn_stream.engine.foil import read_foil
from xasnn_stream.engine.resident import Engine
from xasnn_stream.files.read import read_scans
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_folder

SPECTRA = Path(__file__).parents[4] / "shared" / "xas-data" / "spectra"
FOIL_2001 = "Pt_L3_13IDC2001.csv"
FOIL_BMM = "BMM_Pt-L3-PtRu.csv#mu_ref"
PARTICLES = [f"PtNP_{load}wt_{t}K" for load in (10, 20) for t in (20, 150, 300)]
COMPOUNDS = [
    "BMM_Pt-L3-PtRu",
    "BMM_Pt-L3-PlatinumChloride",
    "BMM_Pt-L3-PotassiumHexaChloroPlatinate",
]

pytestmark = pytest.mark.measured


@pytest.fixture(scope="module")
def engine_with():
    """A function: the shipped profile's engine with a measured foil."""
    profile = load_profile("sim-step")

    def load(foil):
        reference = read_foil(str(SPECTRA / foil))
        return Engine.load(
            model_folder(profile.model), profile.engine, reference, device="cpu"
        )

    return load


@pytest.fixture
def measured(sweep):
    """A function: the sweep of a measured file, by a column of absorption."""

    def read(name, column="mu"):
        columns = read_scans(SPECTRA / f"{name}.csv")[0].columns
        mu = columns[column]
        good = np.isfinite(mu)
        return sweep(energy=columns["energy"][good], mu=mu[good], sample=name)

    return read


@pytest.mark.parametrize(
    ("sample", "column", "foil"),
    [
        ("Pt_L3_13IDC2001", "mu", FOIL_BMM),
        ("BMM_Pt-L3-PtRu", "mu_ref", FOIL_2001),
        ("BMM_Pt-L3-PlatinumChloride", "mu_ref", FOIL_2001),
    ],
)
def test_a_foil_against_another_laboratorys_is_bulk(
    engine_with, measured, sample, column, foil
):
    (estimate,) = engine_with(foil).estimate([measured(sample, column)])
    # Steps of two laboratories differ by up to half a percent, each worth 2.2 in cn1.
    assert estimate.descriptors["cn1"].value == pytest.approx(12.0, abs=1.0)
    # Their axes differ by 2.3 eV, and there is no channel to tell a shift from a state.
    assert [reason.code for reason in estimate.reasons] == ["foil_shift"]
    assert estimate.novelty.score < estimate.novelty.threshold


@pytest.mark.parametrize("foil", [FOIL_2001, FOIL_BMM])
def test_nanoparticles_are_not_novel_and_not_bulk(engine_with, measured, foil):
    estimates = engine_with(foil).estimate([measured(name) for name in PARTICLES])
    for name, estimate in zip(PARTICLES, estimates, strict=True):
        assert estimate.novelty.score < estimate.novelty.threshold, name
        # First-shell EXAFS amplitudes say 9.1 (10 wt%) and 9.8 (20 wt%); theory's misfit
        # is worth more than one neighbour.
        assert 7.5 < estimate.descriptors["cn1"].value < 11.5, name


@pytest.mark.parametrize("name", COMPOUNDS)
def test_a_compound_is_outside_with_the_foil_of_its_beamtime(
    engine_with, measured, name
):
    (estimate,) = engine_with(FOIL_BMM).estimate([measured(name)])
    assert estimate.verdict == "outside"


@pytest.mark.parametrize("name", COMPOUNDS)
def test_a_compound_is_never_ok_with_any_foil(engine_with, measured, name):
    (estimate,) = engine_with(FOIL_2001).estimate([measured(name)])
    assert estimate.verdict in ("outside", "caution")
    assert estimate.reasons


@pytest.mark.parametrize("metal", ["PtNP_10wt_300K", "PtNP_20wt_20K", "PtNP_20wt_150K"])
def test_a_fifth_of_a_chloride_in_a_metal_is_never_ok(engine_with, sweep, metal):
    names = [f"{metal}.csv", *(f"{name}.csv" for name in COMPOUNDS[1:]), FOIL_BMM]
    *curves, foil = normalized([str(SPECTRA / name) for name in names], "Pt", "L3")
    # The compounds are on the axis of this foil; the metal's edge is put at the foil's.
    particle, tetra, hexa = (curves[0].moved(foil.position), *curves[1:])
    sweeps = [
        sweep(energy=mix.energy_ev, mu=mix.mu, sample=metal)
        for compound in (tetra, hexa)
        for mix in (mixed(compound, particle, 0.2), mixed(compound, particle, 0.5))
    ]
    verdicts = [found.verdict for found in engine_with(FOIL_BMM).estimate(sweeps)]
    assert set(verdicts[:2]) <= {"caution", "outside"}
    assert verdicts[2:] == ["outside"] * 2
