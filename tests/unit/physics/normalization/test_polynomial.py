"""Polynomials of a ragged batch beside numpy's, and their weights beside themselves."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.polynomial import Fit
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization


@pytest.fixture
def ragged(edge):
    """Noisy spectra of different lengths and spacings: energy, μ, validity."""
    rng = np.random.default_rng(5)
    spectra = [
        edge(width=2.0, spacing=0.6 + 0.2 * row, stop=60.0 + 45 * row)
        for row in range(8)
    ]
    noisy = [
        spectrum.mu + 0.01 * rng.normal(size=len(spectrum.mu)) for spectrum in spectra
    ]
    energy, valid = stack([spectrum.energy for spectrum in spectra])
    return energy, stack(noisy)[0], valid


LOW, HIGH = 9000.0, 9030.0
DEGREES = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


@pytest.fixture
def fit(ragged):
    energy, _, valid = ragged
    ends = (torch.full((8,), end).double() for end in (LOW, HIGH))
    return Fit(energy, valid, *ends, DEGREES)


def test_every_row_is_fitted_by_its_own_degree_as_by_numpy(ragged, fit):
    energy, mu, valid = ragged
    curve = fit(mu)
    for row, degree in enumerate(DEGREES.tolist()):
        x, y = (of[row, valid[row]].numpy() for of in (energy, mu))
        first = np.searchsorted(x, LOW, side="right") - 1
        stop = np.abs(x - HIGH).argmin()
        theirs = np.polynomial.Polynomial.fit(x[first:stop], y[first:stop], degree)
        near = slice(first - 20, stop)
        np.testing.assert_allclose(curve[row, near], theirs(x[near]), atol=1e-9)


def test_weights_times_values_are_what_is_fitted(ragged, fit):
    energy, mu, _ = ragged
    rng, at = np.random.default_rng(1), torch.arange(20, 28)
    curve = fit(mu)
    fitted = (fit.row(at) * mu).sum(-1)
    torch.testing.assert_close(fitted, curve.gather(1, at.unsqueeze(-1)).squeeze(-1))
    some = torch.from_numpy(rng.normal(size=energy.shape))
    some[:, 60:] = 0
    torch.testing.assert_close((fit.weigh(some) * mu).sum(-1), (some * curve).sum(-1))
    factors = fit.weights() @ mu.unsqueeze(-1)
    torch.testing.assert_close((fit.basis() @ factors).squeeze(-1), curve)
    u = (energy - 9000.0) / 50.0
    factors = (fit.coefficients(9000.0, 50.0) @ mu.unsqueeze(-1)).squeeze(-1)
    powers = torch.stack([u**n for n in range(4)], -1)
    torch.testing.assert_close((powers @ factors.unsqueeze(-1)).squeeze(-1), curve)


def test_a_row_of_too_few_points_does_not_disturb_others(ragged):
    energy, mu, valid = (part.clone() for part in ragged)
    valid[3, 4:] = False
    valid[5, 30:] = False
    cut = normalize(energy, mu, valid, Normalization())
    whole = normalize(*ragged, Normalization())
    others = [0, 1, 2, 4, 6, 7]
    torch.testing.assert_close(cut.edge_step[others], whole.edge_step[others])


def test_single_precision_is_computed_in_double_and_keeps_its_type(ragged):
    energy, mu, valid = ragged
    single = normalize(energy, mu.float(), valid, Normalization())
    double = normalize(energy, mu.float().double(), valid, Normalization())
    assert single.flat.dtype == torch.float32
    assert torch.equal(single.flat, double.flat.float())
