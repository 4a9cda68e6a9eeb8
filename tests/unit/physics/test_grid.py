"""Many spectra on one grid: the same numbers as each on its own, sooner."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.grid import grid_of
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Normalization

BATCH = 40
CURVES = ("edge_step", "norm", "flat", "pre_edge", "post_edge", "edge_step_per_mu")
RANGES = ("e0", "pre1", "pre2", "norm1", "norm2", "nnorm")
SETTINGS = (
    Normalization(),
    Normalization(pre1=-120, pre2=-30, norm1=50, norm2=380, nnorm=3, nvict=3),
)


@pytest.fixture
def noisy(edge):
    """Return a function: one grid, and a batch of noisy spectra on it."""

    def make(noise, **changes):
        spectrum = edge(width=2.0, **changes)
        draws = np.random.default_rng(1).normal(size=(BATCH, len(spectrum.mu)))
        mu = spectrum.mu + noise * spectrum.step * draws
        return torch.from_numpy(spectrum.energy), torch.from_numpy(mu)

    return make


def rows(energy, mu):
    return energy.expand_as(mu), mu, torch.ones_like(mu, dtype=torch.bool)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.01, 0.03, 0.1, 0.5])
@pytest.mark.parametrize("spacing", [0.5, 2.0])
def test_e0_is_the_same_point_as_of_each_spectrum_alone(noisy, noise, spacing):
    energy, mu = noisy(noise, spacing=spacing)
    alone = find_e0(*rows(energy, mu))
    assert torch.equal(find_e0(energy, mu), alone)
    # At half a step of noise the edge is anywhere, and few spectra share a matrix.
    assert noise < 0.5 or len(alone.unique()) > 20


@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_e0_in_a_window_is_the_same_point_as_of_each_spectrum_alone(noisy, noise):
    energy, mu = noisy(noise, stop=200.0)
    low = torch.linspace(8900.0, 9300.0, BATCH, dtype=torch.float64)
    window = (low, low + 40)
    alone = find_e0(*rows(energy, mu), window)
    together = find_e0(energy, mu, window=window)
    torch.testing.assert_close(together, alone, rtol=0, atol=0, equal_nan=True)
    assert 0 < alone.isnan().sum() < BATCH


@pytest.mark.parametrize("points", [2, 3, 12, 19, 20, 25])
def test_a_short_grid_has_the_e0_of_each_spectrum_alone(noisy, points):
    energy, mu = noisy(0.01, spacing=5.0)
    energy, mu = energy[20 : 20 + points], mu[:, 20 : 20 + points]
    together, alone = find_e0(energy, mu), find_e0(*rows(energy, mu))
    torch.testing.assert_close(together, alone, rtol=0, atol=0, equal_nan=True)
    assert alone.isnan().all() == (points < 7)


@pytest.mark.parametrize("settings", SETTINGS, ids=["auto", "given"])
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.3])
def test_curves_are_those_of_each_spectrum_alone(noisy, settings, noise):
    energy, mu = noisy(noise)
    together = normalize(energy, mu, None, settings)
    alone = normalize(*rows(energy, mu), settings)
    for name in CURVES:
        torch.testing.assert_close(
            getattr(together, name),
            getattr(alone, name),
            rtol=1e-9,
            atol=1e-9,
            msg=name,
        )
    for name in RANGES:
        assert torch.equal(getattr(together, name), getattr(alone, name)), name


def test_limits_and_given_edges_are_kept_row_by_row(noisy):
    energy, mu = noisy(0.01)
    e0 = torch.tensor([8979.0, 8979.25, 8981.0, 8970.0]).double().repeat(10)
    limits = (torch.full((BATCH,), -100.0), torch.linspace(150, 300, 8).repeat(5))
    together = normalize(energy, mu, None, SETTINGS[0], e0, limits)
    alone = normalize(*rows(energy, mu), SETTINGS[0], e0, limits)
    for name in CURVES:
        torch.testing.assert_close(
            getattr(together, name),
            getattr(alone, name),
            rtol=1e-9,
            atol=1e-9,
            msg=name,
        )
    assert len(together.norm2.unique()) == 8


def test_single_precision_keeps_its_type_and_its_digits(noisy):
    energy, mu = noisy(0.01)
    double = normalize(energy, mu, None, SETTINGS[0])
    for result in (
        normalize(energy, mu.float(), None, SETTINGS[0], double.e0),
        normalize(*rows(energy, mu.float()), SETTINGS[0], double.e0),
    ):
        for name in CURVES:
            assert getattr(result, name).dtype == torch.float32
            # 6e-8 per operation, and cancellation of the pre-edge against μ.
            torch.testing.assert_close(
                getattr(result, name).double(),
                getattr(double, name),
                rtol=2e-5,
                atol=2e-5,
                msg=name,
            )


def test_gradients_pass_through_normalization_on_one_grid(noisy):
    energy, mu = noisy(0.01)
    points = mu.clone().requires_grad_(True)
    result = normalize(energy, points, None, SETTINGS[1])
    (found,) = torch.autograd.grad(result.edge_step.sum(), points)
    expected = normalize(energy, mu, None, SETTINGS[1]).edge_step_per_mu
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_order_of_spectra_does_not_matter(noisy):
    energy, mu = noisy(0.03)
    order = torch.randperm(BATCH, generator=torch.Generator().manual_seed(0))
    plain = normalize(energy, mu, None, SETTINGS[0])
    mixed = normalize(energy, mu[order], None, SETTINGS[0])
    torch.testing.assert_close(mixed.flat, plain.flat[order], rtol=0, atol=1e-11)


def test_grids_are_told_apart_by_their_energies():
    energy = torch.arange(100.0, dtype=torch.float64)
    assert grid_of(energy) == grid_of(energy.clone())
    assert hash(grid_of(energy)) == hash(grid_of(energy.clone()))
    assert grid_of(energy) != grid_of(energy + 1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("settings", SETTINGS, ids=["auto", "given"])
def test_a_cuda_device_gives_the_processors_numbers(noisy, settings):
    energy, mu = noisy(0.01)
    on_cpu = normalize(energy, mu, None, settings)
    for arguments in (
        (energy.cuda(), mu.cuda(), None),
        tuple(part.cuda() for part in rows(energy, mu)),
    ):
        on_gpu = normalize(*arguments, settings)
        assert torch.equal(on_gpu.e0.cpu(), on_cpu.e0)
        for name in CURVES:
            torch.testing.assert_close(
                getattr(on_gpu, name).cpu(), getattr(on_cpu, name), rtol=1e-9, atol=1e-9
            )
