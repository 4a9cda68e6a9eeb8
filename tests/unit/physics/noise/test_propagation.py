"""Propagated noise against the exact Jacobian and against many noisy draws."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.noise.propagation import propagate_normalized, total_step_std
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

SETTINGS = (
    Normalization(),
    Normalization(nvict=1, nnorm=3, pre1=-120.0, pre2=-40.0, norm1=40.0),
    Normalization(nnorm=0, norm2=200.0),
)
DRAWS = 1000
SCATTER = 5 / (2 * DRAWS) ** 0.5
"""Five standard errors of a standard deviation from so many draws, relative."""


@pytest.fixture
def one(edge):
    """Energy and μ of one spectrum, `1 x points`, and noise that differs by point."""
    of = edge(width=2.0)
    energy, mu = (torch.from_numpy(x).unsqueeze(0) for x in (of.energy, of.mu))
    generator = torch.Generator().manual_seed(3)
    sigma = 0.01 + 0.03 * torch.rand(mu.shape, dtype=mu.dtype, generator=generator)
    return energy, mu, torch.ones_like(mu, dtype=torch.bool), sigma


@pytest.mark.parametrize("settings", SETTINGS)
def test_variances_are_those_of_the_exact_jacobian(one, settings):
    energy, mu, valid, sigma = one
    result = normalize(energy, mu, valid, settings)

    def curves(values):
        again = normalize(energy, values.unsqueeze(0), valid, settings, result.e0)
        return torch.cat((again.edge_step.unsqueeze(-1), again.norm, again.flat), -1)[0]

    jacobian = torch.autograd.functional.jacobian(curves, mu[0])
    expected = (jacobian.square() @ sigma[0].square()).sqrt()
    noise = propagate_normalized(energy, mu, valid, sigma, result, settings)
    found = torch.cat((noise.step, noise.norm[0], noise.flat[0]))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.03])
def test_predicted_is_observed_over_many_draws(one, level):
    energy, mu, _, _ = one
    generator = torch.Generator().manual_seed(4)
    sigma = torch.full((DRAWS, mu.shape[1]), level * 1.3, dtype=mu.dtype)
    mu = mu + sigma * torch.randn(sigma.shape, dtype=mu.dtype, generator=generator)
    e0 = torch.full((DRAWS,), 8979.0, dtype=mu.dtype)
    rows = energy.expand(mu.shape), mu, torch.ones_like(mu, dtype=torch.bool)
    result = normalize(*rows, SETTINGS[0], e0)
    noise = propagate_normalized(*rows, sigma, result, SETTINGS[0])
    for predicted, values in (
        (noise.step, result.edge_step),
        (noise.norm, result.norm),
        (noise.flat, result.flat),
    ):
        ratio = predicted.square().mean(0).sqrt() / values.std(0)
        assert ((ratio - 1).abs() < SCATTER).all()


def test_the_edge_step_is_noisier_than_a_point_of_many_averaged(one):
    energy, mu, valid, _ = one
    sigma = torch.full_like(mu, 0.01)
    result = normalize(energy, mu, valid, SETTINGS[0])
    noise = propagate_normalized(energy, mu, valid, sigma, result, SETTINGS[0])
    expected = 0.01 * result.edge_step_per_mu.norm(dim=-1)
    torch.testing.assert_close(noise.step, expected, rtol=1e-9, atol=0.0)
    behind = energy > result.e0.unsqueeze(-1) + 50
    # Far behind the edge the step's own error comes on top of the point's.
    assert (noise.norm[behind] > 0.01 / result.edge_step).all()


def test_a_common_grid_gives_what_rows_give(one):
    energy, mu, _, sigma = one
    generator = torch.Generator().manual_seed(5)
    sigma = sigma * torch.tensor([[1.0], [0.5], [2.0], [3.0], [0.1]]).double()
    mu = mu + sigma * torch.randn(sigma.shape, dtype=mu.dtype, generator=generator)
    e0 = torch.tensor([8979.0, 8980.0, 8979.0, 8981.0, 8979.0]).double()
    rows = energy.expand(mu.shape), mu, torch.ones_like(mu, dtype=torch.bool)
    each = normalize(*rows, SETTINGS[0], e0)
    apart = propagate_normalized(*rows, sigma, each, SETTINGS[0])
    common = propagate_normalized(energy[0], mu, None, sigma, each, SETTINGS[0])
    for name in ("step", "norm", "flat"):
        first, second = getattr(apart, name), getattr(common, name)
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-14)


def test_a_row_without_an_edge_has_no_noise_and_spoils_no_other(one):
    energy, mu, valid, sigma = one
    pair, noise = mu.expand(2, -1), sigma.expand(2, -1)
    e0 = torch.tensor([torch.nan, 8979.0]).double()
    for axis, data in ((energy[0], None), (energy.expand(2, -1), None)):
        result = normalize(axis, pair, data, SETTINGS[0], e0)
        found = propagate_normalized(axis, pair, data, noise, result, SETTINGS[0])
        alone = normalize(energy, mu, valid, SETTINGS[0], e0[1:])
        expected = propagate_normalized(energy, mu, valid, sigma, alone, SETTINGS[0])
        assert found.step[0].isnan()
        torch.testing.assert_close(found.flat[1:], expected.flat, rtol=1e-9, atol=1e-14)


def test_padding_and_single_precision_change_nothing(one, edge):
    energy, mu, valid, sigma = one
    longer = edge(stop=600.0, width=2.0)
    energies, joint = stack([energy[0].numpy(), longer.energy])
    curves, _ = stack([mu[0].numpy(), longer.mu])
    noise, _ = stack([sigma[0].numpy(), np.full(len(longer.energy), 0.01)])
    result = normalize(energies, curves, joint, SETTINGS[0])
    padded = propagate_normalized(energies, curves, joint, noise, result, SETTINGS[0])
    alone = normalize(energy, mu, valid, SETTINGS[0])
    expected = propagate_normalized(energy, mu, valid, sigma, alone, SETTINGS[0])
    torch.testing.assert_close(padded.step[:1], expected.step, rtol=1e-9, atol=0.0)
    flat = padded.flat[:1, : mu.shape[1]]
    torch.testing.assert_close(flat, expected.flat, rtol=1e-9, atol=1e-14)
    single = propagate_normalized(energy, mu.float(), valid, sigma, alone, SETTINGS[0])
    assert single.flat.dtype == torch.float32
    torch.testing.assert_close(single.flat, expected.flat.float(), rtol=1e-5, atol=0.0)


def test_noise_scales_with_mu_and_norm_does_not(one):
    energy, mu, valid, sigma = one
    found = []
    for scale in (1.0, 250.0):
        values = scale * mu + 3.0
        result = normalize(energy, values, valid, SETTINGS[0])
        found.append(
            propagate_normalized(
                energy, values, valid, scale * sigma, result, SETTINGS[0]
            )
        )
    torch.testing.assert_close(found[0].step * 250, found[1].step, rtol=1e-8, atol=0.0)
    torch.testing.assert_close(found[0].flat, found[1].flat, rtol=1e-8, atol=1e-12)


def test_noise_and_spread_of_the_step_add_in_quadrature():
    step, noise = torch.tensor([2.0, -2.0]), torch.tensor([0.03, 0.03])
    total = total_step_std(step, noise, torch.tensor([0.02, 0.02]))
    torch.testing.assert_close(total, torch.tensor([0.05, 0.05]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives(one):
    energy, mu, valid, sigma = one
    axis, curve, data, noise = (part.cuda() for part in one)
    here = normalize(energy, mu, valid, SETTINGS[0])
    there = normalize(axis, curve, data, SETTINGS[0])
    expected = propagate_normalized(energy, mu, valid, sigma, here, SETTINGS[0])
    found = propagate_normalized(axis, curve, data, noise, there, SETTINGS[0])
    torch.testing.assert_close(found.flat.cpu(), expected.flat, rtol=1e-9, atol=1e-14)
