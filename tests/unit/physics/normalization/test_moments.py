"""Ragged batches by sums over points: the numbers of `normalize`, sooner."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.normalization.moments import normalize_by_moments
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

CURVES = ("edge_step", "norm", "flat", "pre_edge", "post_edge", "edge_step_per_mu")
RANGES = ("e0", "pre1", "pre2", "norm1", "norm2", "nnorm")
GIVEN = {"pre1": -120, "pre2": -30, "norm1": 50, "norm2": 380}


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


@pytest.mark.parametrize(
    "settings",
    [
        Normalization(),
        Normalization(e0=8979.25),
        Normalization(nvict=3),
        *(Normalization(**GIVEN, nnorm=degree) for degree in range(4)),
    ],
    ids=str,
)
def test_results_are_those_of_normalize(ragged, settings):
    quick, plain = (f(*ragged, settings) for f in (normalize_by_moments, normalize))
    valid = ragged[2]
    for name in RANGES:
        assert torch.equal(getattr(quick, name), getattr(plain, name)), name
    for name in CURVES:
        ours, theirs = getattr(quick, name), getattr(plain, name)
        if name != "edge_step":
            ours, theirs = ours[valid], theirs[valid]
        # Cubics continued far beyond the range they are fitted in.
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, msg=name)


def test_edges_and_limits_are_kept_row_by_row(ragged):
    e0 = torch.linspace(8978.0, 8982.0, 8).double()
    limits = (torch.full((8,), -100.0).double(), torch.linspace(45, 300, 8).double())
    for settings in (Normalization(), Normalization(**GIVEN, nnorm=2)):
        quick = normalize_by_moments(*ragged, settings, e0, limits)
        plain = normalize(*ragged, settings, e0, limits)
        torch.testing.assert_close(quick.edge_step, plain.edge_step, rtol=1e-9, atol=0)
        assert torch.equal(quick.norm2, plain.norm2)


def test_single_precision_keeps_its_type(ragged):
    energy, mu, valid = ragged
    quick = normalize_by_moments(energy, mu.float(), valid, Normalization())
    plain = normalize(energy, mu.float(), valid, Normalization())
    assert quick.flat.dtype == torch.float32
    torch.testing.assert_close(quick.flat[valid], plain.flat[valid], rtol=0, atol=1e-6)


def test_a_row_of_too_few_points_does_not_disturb_others(ragged):
    energy, mu, valid = (part.clone() for part in ragged)
    valid[3, 4:] = False
    valid[5, 30:] = False
    quick = normalize_by_moments(energy, mu, valid, Normalization())
    plain = normalize_by_moments(*ragged, Normalization())
    others = [0, 1, 2, 4, 6, 7]
    torch.testing.assert_close(quick.edge_step[others], plain.edge_step[others])
