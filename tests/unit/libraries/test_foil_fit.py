from functools import partial

import numpy as np
import pytest

from xasnn_stream.errors import FoilError
from xasnn_stream.libraries.foil_fit import (
    HIGH_EV,
    LOW_EV,
    STEP_EV,
    Correction,
    MeasuredFoil,
    check_foil,
    corrected,
    fit_foil,
    read_measured,
)
from xasnn_stream.libraries.theory import bulk
from xasnn_stream.library import read_contents

X = np.arange(LOW_EV, HIGH_EV + STEP_EV / 2, STEP_EV)
TRUTH = Correction(2.3, 1.8, 0.9, 1.07, -0.03)


@pytest.fixture(scope="module")
def theory(pt_contents):
    return partial(bulk, pt_contents)


def made(theory, correction: Correction) -> MeasuredFoil:
    return MeasuredFoil("made", X, corrected(theory, X, correction))


def test_what_was_done_to_theory_is_found_again(theory):
    fit = fit_foil(theory, made(theory, TRUTH))
    found = fit.correction
    assert found.shift_ev == pytest.approx(TRUTH.shift_ev, abs=0.01)
    assert found.gaussian_ev == pytest.approx(TRUTH.gaussian_ev, abs=0.1)
    assert found.lorentzian_ev == pytest.approx(TRUTH.lorentzian_ev, abs=0.1)
    assert found.amplitude == pytest.approx(TRUTH.amplitude, abs=0.002)
    assert found.slope_per_100ev == pytest.approx(TRUTH.slope_per_100ev, abs=0.003)
    assert fit.r_factor < 1e-6
    np.testing.assert_allclose(fit.fitted, fit.measured, atol=0.003)


def test_a_stretch_is_found_if_asked_for(theory):
    stretched = Correction(1.0, 1.5, 0.5, 1.0, 0.0, stretch=1.04)
    foil = made(theory, stretched)
    assert fit_foil(theory, foil).correction.stretch == 1.0
    fit = fit_foil(theory, foil, with_stretch=True)
    assert fit.correction.stretch == pytest.approx(1.04, abs=0.003)
    assert fit.r_factor < fit_foil(theory, foil).r_factor / 10


def test_another_foil_is_free_in_its_energy_axis_alone(theory):
    fitted = fit_foil(theory, made(theory, TRUTH)).correction
    moved = Correction(-1.5, 1.8, 0.9, 1.07, -0.03)
    checked = check_foil(theory, made(theory, moved), fitted)
    assert checked.correction.shift_ev == pytest.approx(-1.5, abs=0.01)
    assert checked.correction.amplitude == fitted.amplitude
    assert checked.r_factor < 1e-6
    smaller = Correction(-1.5, 1.8, 0.9, 1.0, -0.03)
    assert check_foil(theory, made(theory, smaller), fitted).rms > 0.03


@pytest.mark.measured
@pytest.mark.parametrize(
    ("library", "foil", "shift", "r_factor", "rms"),
    [
        ("Pt_L3.npz", "Pt_L3_13IDC2001.csv", -0.4, 0.0011, 0.033),
        ("Pt_L3_alt.npz", "Pt_L3_13IDC2001.csv", -0.4, 0.0022, 0.045),
        ("Pt_L3.npz", "BMM_Pt-L3-PtRu.csv#mu_ref", 2.6, 0.0012, 0.032),
        ("Au_L3.npz", "Au_L3_13IDE2016.csv", 1.2, 0.0007, 0.024),
        ("Pd_K.npz", "Pd_K_PFref.csv", -33.8, 0.0005, 0.021),
    ],
)
def test_published_fits_to_measured_foils_are_reproduced(
    shared_libraries, measured_spectra, library, foil, shift, r_factor, rms
):
    contents = read_contents(shared_libraries / library)
    path = f"{measured_spectra}/{foil}"
    measured = read_measured(path, contents.element, contents.edge)
    fit = fit_foil(partial(bulk, contents), measured)
    assert fit.correction.shift_ev == pytest.approx(shift, abs=0.1)
    # To the digits given; the ranges of normalization, which are not, move rms by 0.001.
    assert fit.r_factor == pytest.approx(r_factor, abs=6e-5)
    assert fit.rms == pytest.approx(rms, abs=0.0015)


@pytest.mark.measured
def test_what_fits_one_laboratory_holds_in_another(shared_libraries, measured_spectra):
    contents = read_contents(shared_libraries / "Pt_L3.npz")
    theory = partial(bulk, contents)
    first = read_measured(str(measured_spectra / "Pt_L3_13IDC2001.csv"), "Pt", "L3")
    reference = measured_spectra / "BMM_Pt-L3-PtRu.csv"
    second = read_measured(f"{reference}#mu_ref", "Pt", "L3")
    fitted = fit_foil(theory, first)
    checked = check_foil(theory, second, fitted.correction)
    assert checked.rms < 1.1 * fit_foil(theory, second).rms
    # The energy axes of the two beamlines differ by 2 to 3 eV.
    apart = checked.correction.shift_ev - fitted.correction.shift_ev
    assert 2.0 < apart < 3.5


@pytest.mark.measured
def test_a_foil_of_another_edge_is_refused(measured_spectra):
    with pytest.raises(FoilError, match=r"edge at 11562.* Au L3 is at 11919"):
        read_measured(str(measured_spectra / "Pt_L3_13IDC2001.csv"), "Au", "L3")


def test_a_foil_that_ends_too_early_is_refused(tmp_path):
    energy = np.arange(11364.0, 11620.0, 1.0)
    mu = 0.5 + np.arctan((energy - 11564.0) / 2.5) / np.pi
    path = tmp_path / "short.csv"
    np.savetxt(path, np.stack((energy, mu), -1), header="energy mu", comments="# ")
    with pytest.raises(FoilError, match=r"reaches from -200 to 55 eV.*-15 to 100"):
        read_measured(str(path), "Pt", "L3")
