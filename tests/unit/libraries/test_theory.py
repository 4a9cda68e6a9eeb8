from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from xasnn_stream.errors import LibraryError
from xasnn_stream.libraries.theory import broadened, bulk, monotone, on_energies
from xasnn_stream.library import library_of


def test_interpolation_is_that_of_the_reference(pt_contents):
    energy = pt_contents.numbers("raw_e_1.00")
    mu = pt_contents.numbers("raw_mu_1.00")[:5]
    at = np.linspace(energy[0], energy[-1], 997)
    expected = PchipInterpolator(energy, mu, axis=1)(at)
    np.testing.assert_allclose(monotone(energy, mu, at), expected, atol=1e-13)


def test_rows_of_the_library_are_what_the_program_gave(pt_contents):
    library = library_of(pt_contents)
    shift = pt_contents.index["calibration"]["Pt"]["energy_shift_eV"]
    row = library.rows(1.0)[library.bulk_site]
    stored = pt_contents.arrays["mu"][row]
    computed = bulk(pt_contents, library.x - shift)
    within = library.x > pt_contents.arrays["x_valid"][row, 0]
    np.testing.assert_allclose(computed[within], stored[within], atol=1e-6)
    # The tail below is another formula, of the same size.
    np.testing.assert_allclose(computed, stored, atol=0.003)


def test_below_what_was_computed_a_lorentzian_tail_falls_off():
    energy, mu = np.array([-10.0, -5.0, 0.0, 5.0]), np.array([0.1, 0.2, 0.5, 1.0])
    found = on_energies(energy, mu, 0.0, np.array([-40.0, -20.0, -10.0, 50.0]))
    np.testing.assert_allclose(found, [0.025, 0.05, 0.1, 1.0])


@pytest.mark.parametrize(("gaussian", "lorentzian"), [(4.0, 0.0), (0.0, 3.0)])
def test_a_step_is_broadened_to_the_width_asked_for(gaussian, lorentzian):
    x = np.arange(-200.0, 200.0, 0.1)
    step = (x > 0).astype(float)
    slope = np.gradient(broadened(step, 0.1, gaussian, lorentzian), x)
    wide = x[slope >= slope.max() / 2]
    assert wide[-1] - wide[0] == pytest.approx(gaussian + lorentzian, abs=0.25)
    assert np.sum(slope) * 0.1 == pytest.approx(1.0, abs=0.01)


def test_a_library_without_the_crystal_cannot_be_held_against_a_foil(pt_contents):
    index = {**pt_contents.index, "bulk_site": "elsewhere"}
    with pytest.raises(LibraryError, match="no row of the crystal"):
        bulk(replace(pt_contents, index=index), np.zeros(1))
