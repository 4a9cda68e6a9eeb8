import numpy as np
import pytest

from xasnn_stream.library import form
from xasnn_stream.simulation.absorption import (
    absorption,
    form_sample,
    normalized_spectrum,
)
from xasnn_stream.simulation.nuisances import (
    AS_COMPUTED,
    NO_SCAN_ERROR,
    NO_THEORY_ERROR,
    Condition,
    Scan,
    Theory,
)
from xasnn_stream.simulation.plans import edge_regions

EDGE_EV = 11564.0


def _normalize(energy, mu):
    """Pre-edge line -150 to -30 eV, post-edge line 150 to 400 eV, flattened."""
    x = energy - EDGE_EV
    before, behind = (x < -30.5), (x >= 150) & (x <= 400)
    mu = mu - np.polynomial.Polynomial.fit(x[before], mu[before], 1)(x)
    post = np.polynomial.Polynomial.fit(x[behind], mu[behind], 1)
    step = post(0.0)
    return x, mu / step - np.where(x > 0, post(x) / step - 1.0, 0.0)


def _scanned(library, formed, scan, theory=NO_THEORY_ERROR):
    energy = np.concatenate([region.energies_ev for region in edge_regions(EDGE_EV)])
    absorber = absorption(library, formed, EDGE_EV, theory=theory, scan=scan)
    return _normalize(energy, np.array([absorber.at(e) for e in energy]))


def test_without_errors_the_librarys_spectrum_comes_back(library):
    formed = form(library, "to38")
    x, normalized = _scanned(library, formed, NO_SCAN_ERROR)
    window = (x > -10) & (x < 90)

    expected = np.interp(x[window], library.x, formed.mu)
    # 0.1 % is the curvature of the background that a straight pre-edge cannot follow.
    assert np.abs(normalized[window] - expected).max() < 0.002


@pytest.mark.parametrize(("step", "slope"), [(0.012, 0.0), (-0.01, 0.01)])
def test_drawn_errors_survive_normalization(library, step, slope):
    formed = form(library, "cubo55")
    x, clean = _scanned(library, formed, NO_SCAN_ERROR)
    _, wrong = _scanned(library, formed, Scan(0.0, step, slope))
    window = (x > 10) & (x < 90)

    expected = step * clean[window] + slope * x[window] / 100
    assert np.abs(wrong[window] - clean[window] - expected).max() < 3e-4


def test_sample_and_foil_are_normalized_alike(library):
    """The shape beyond the library must not give structure away."""
    excess = {}
    for particle in ("bulk", "to38"):
        formed = form(library, particle)
        x, normalized = _scanned(library, formed, NO_SCAN_ERROR)
        window = (x > 10) & (x < 90)
        expected = np.interp(x[window], library.x, formed.mu)
        excess[particle] = np.mean(normalized[window] - expected)

    assert excess["bulk"] == pytest.approx(excess["to38"], abs=1e-4)


def test_a_shift_moves_the_edge(library):
    formed = form(library, "bulk")
    still = absorption(
        library, formed, EDGE_EV, theory=NO_THEORY_ERROR, scan=NO_SCAN_ERROR
    )
    moved = absorption(
        library, formed, EDGE_EV, theory=NO_THEORY_ERROR, scan=Scan(0.6, 0.0, 0.0)
    )

    assert moved.at(EDGE_EV + 2.6) == pytest.approx(still.at(EDGE_EV + 2.0), abs=1e-9)


def test_the_amplitude_scales_the_difference_from_bulk(library):
    x = np.arange(0.0, 90.0, 0.5)
    bulk, particle = form(library, "bulk"), form(library, "to38")
    plain = normalized_spectrum(library, particle, NO_THEORY_ERROR, AS_COMPUTED, x)
    reference = normalized_spectrum(library, bulk, NO_THEORY_ERROR, AS_COMPUTED, x)
    half = normalized_spectrum(library, particle, Theory(1.0, 0.0, 0.5), AS_COMPUTED, x)

    assert np.abs((half - reference) - (plain - reference) / 2).max() < 1e-9


def test_disorder_damps_the_oscillation(library):
    x = np.arange(40.0, 90.0, 0.5)
    bulk = form(library, "bulk")
    cold = normalized_spectrum(library, bulk, NO_THEORY_ERROR, AS_COMPUTED, x)
    hot = normalized_spectrum(library, bulk, NO_THEORY_ERROR, Condition(0.004, 0.0), x)

    # exp(-2 k² Δσ²) is 0.92 to 0.83 over this range.
    assert 0.80 < np.std(hot) / np.std(cold) < 0.95


def test_the_pre_edge_is_clean(library):
    x = np.arange(-150.0, -30.0, 1.0)
    bulk = form(library, "bulk")
    spectrum = normalized_spectrum(library, bulk, NO_THEORY_ERROR, AS_COMPUTED, x)

    assert np.abs(spectrum).max() < 2e-3


def test_a_contraction_shortens_the_bonds_and_keeps_the_neighbours(library):
    relaxed = form_sample(library, [("to38", 1.0)])
    contracted = form_sample(library, [("to38", 1.0)], 0.005)

    assert contracted.cn == pytest.approx(relaxed.cn)
    assert contracted.r1 / relaxed.r1 == pytest.approx(0.995, abs=1e-4)


def test_a_particle_at_one_scale_only_is_not_contracted(library):
    assert form_sample(library, [("cubo147", 1.0)], 0.005).r1 == pytest.approx(
        form(library, "cubo147").r1
    )
