"""Noise propagated to χ(k) and χ(R), against `autobk` itself and many noisy draws."""

from dataclasses import replace

import pytest
import torch

from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.exafs.fourier import HIGH_R, estimate_noise, xftf
from xasnn_stream.physics.noise import chi_propagation
from xasnn_stream.physics.noise.chi_propagation import (
    chi_of_mu,
    propagate_chi,
    propagate_chir,
)
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Background, Normalization, Transform

DRAWS = 600
SCATTER = 5 / (2 * DRAWS) ** 0.5
"""Five standard errors of a standard deviation from so many draws, relative."""

SETTINGS = (
    Background(),
    Background(kweight=2, clamp_lo=1.0, kmin=1.0),
    Background(rbkg=1.3, kmax=8.0, win="kaiser", dk=1.0),
)


@pytest.fixture
def foil(edge):
    """Energy (`points`), μ (`1 x points`), e0 and step of a spectrum with one shell."""
    of = edge(width=2.0, stop=500.0)
    energy, mu = torch.from_numpy(of.energy), torch.from_numpy(of.mu).unsqueeze(0)
    k = (0.2624683 * (energy - of.e0).clamp(min=0)).sqrt()
    wave = 0.3 * k * torch.exp(-((k / 5) ** 2)) * torch.sin(2 * 2.5 * k)
    e0, step = energy.new_tensor([of.e0]), energy.new_tensor([of.step])
    return energy, mu + of.step * wave, e0, step


def rows(energy, mu):
    return energy.expand(mu.shape), mu, torch.ones_like(mu, dtype=torch.bool)


def draws(mu, sigma, seed=6):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(DRAWS, mu.shape[1], dtype=mu.dtype, generator=generator)
    return mu + sigma * noise


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_matrix_does_to_mu_what_autobk_does(foil, settings):
    energy, mu, e0, step = foil
    expected = autobk(*rows(energy, mu), e0, step, settings)
    axis, _, valid = rows(energy, mu)
    of = chi_of_mu(axis, valid, e0, settings)
    found = (of.matrix @ mu.unsqueeze(-1)).squeeze(-1) / step
    # What is left: the weight of the clamps, which grows with what the fit leaves.
    peak = expected.chi.abs().max()
    assert (found - expected.chi).abs().max() < 1e-3 * peak
    torch.testing.assert_close(of.k, expected.k, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.03])
@pytest.mark.parametrize("settings", SETTINGS)
def test_predicted_is_observed_over_many_draws(foil, settings, level):
    energy, mu, e0, step = foil
    # Noise that falls with energy, as where counting times grow.
    sigma = level * step * torch.linspace(1.5, 0.5, len(energy)).double()
    many = draws(mu, sigma)
    sizes = e0.expand(DRAWS), step.expand(DRAWS)
    chi = autobk(*rows(energy, many), *sizes, settings).chi
    noise = propagate_chi(energy, mu, None, sigma.unsqueeze(0), e0, step, settings)
    ratio = noise.std[0] / chi.std(0)
    assert ((ratio - 1).abs() < SCATTER).all()


def test_the_error_of_the_edge_step_scales_all_of_chi(foil):
    energy, mu, e0, step = foil
    sigma = torch.where(energy < e0, 0.05, 1e-5)
    many = draws(mu, sigma)
    result = normalize(*rows(energy, many), Normalization(), e0.expand(DRAWS))
    chi = autobk(*rows(energy, many), result.e0, result.edge_step, Background()).chi
    clean = normalize(*rows(energy, mu), Normalization(), e0)
    noise = propagate_chi(
        energy, mu, None, sigma.unsqueeze(0), e0, clean.edge_step, Background(),
        step_per_mu=clean.edge_step_per_mu,
    )  # fmt: skip
    observed, peak = chi.std(0), chi.mean(0).abs()
    high = peak > 0.3 * peak.max()
    assert ((noise.std[0] / observed - 1).abs() < SCATTER)[high].all()
    known = propagate_chi(
        energy, mu, None, sigma.unsqueeze(0), e0, step, Background()
    )  # fmt: skip
    assert (known.std[0] < 0.3 * observed)[high].all()


def test_rows_give_what_a_common_grid_gives(foil, monkeypatch):
    energy, mu, e0, step = foil
    monkeypatch.setattr(chi_propagation, "_POINTS_AT_ONCE", 2 * len(energy))
    mu = draws(mu, 0.01 * step)[:5]
    sigma = 0.01 * (1 + torch.arange(5).double().unsqueeze(-1)).expand(mu.shape)
    e0 = e0 + torch.tensor([0.0, 1.0, 0.0, 2.0, 0.0]).double()
    kmax = torch.tensor([0.0, torch.nan, 7.0, 7.0, 0.0]).double()
    step = step.expand(5)
    slope = torch.full_like(mu, 1e-2)
    common = propagate_chi(
        energy, mu, None, sigma, e0, step, Background(), kmax, slope
    )  # fmt: skip
    axis, _, valid = rows(energy, mu)
    apart = propagate_chi(axis, mu, valid, sigma, e0, step, Background(), kmax, slope)
    torch.testing.assert_close(common.std, apart.std, rtol=1e-9, atol=1e-12)
    beyond = common.k > 7.0 + 1e-9
    assert (common.std[2:4, beyond] == 0).all()
    assert (common.std[0] > 0).all()


def test_padding_and_single_precision_change_nothing(foil):
    energy, mu, e0, step = foil
    axis, _, valid = rows(energy, mu)
    sigma = torch.full_like(mu, 0.01)
    expected = propagate_chi(axis, mu, valid, sigma, e0, step, Background())

    def longer(values, by):
        return torch.cat((values, torch.full((1, 40), by, dtype=values.dtype)), -1)

    padded = (
        longer(axis, axis[0, -1].item()),
        longer(mu, torch.nan),
        longer(valid, False),
        longer(sigma, torch.nan),
    )
    found = propagate_chi(*padded, e0, step, Background())
    torch.testing.assert_close(found.std, expected.std, rtol=1e-9, atol=1e-14)
    single = propagate_chi(
        axis, mu.float(), valid, sigma.float(), e0, step, Background()
    )  # fmt: skip
    assert single.std.dtype == torch.float32
    torch.testing.assert_close(single.std, expected.std.float(), rtol=1e-5, atol=0.0)


def test_a_row_without_an_edge_spoils_no_other(foil):
    energy, mu, e0, step = foil
    sigma = torch.full_like(mu, 0.01).expand(2, -1)
    pair, steps = mu.expand(2, -1), step.expand(2)
    edges = torch.cat((torch.full_like(e0, torch.nan), e0))
    expected = propagate_chi(energy, mu, None, sigma[:1], e0, step, Background())
    for axis in (energy, energy.expand(2, -1)):
        found = propagate_chi(axis, pair, None, sigma, edges, steps, Background())
        assert found.std[0].isnan().all()
        # The row without e0 counts k from the first point, which is farther.
        width = expected.std.shape[1]
        other, beyond = found.std[1:, :width], found.std[1:, width:]
        torch.testing.assert_close(other, expected.std, rtol=1e-9, atol=1e-14)
        assert (beyond == 0).all()


def test_a_scan_too_short_for_its_background_has_no_noise(foil):
    energy, mu, e0, step = foil
    axis, _, valid = rows(energy, mu)
    valid = axis < e0 + 3
    sigma = torch.full_like(mu, 0.01)
    found = propagate_chi(axis, mu, valid, sigma, e0, step, Background())
    assert found.std.isnan().all()


def test_chi_of_r_has_the_noise_of_its_draws_and_of_larchs_estimate(foil):
    energy, mu, e0, step = foil
    sigma = torch.full_like(mu, 0.01)
    wide = Transform(kmin=0.0, kmax=20.0, kweight=1, dk=4.0, rmax_out=31.0)
    noise = propagate_chir(energy, None, sigma, e0, step, Background(), wide)
    many = draws(mu, 0.01)
    sizes = e0.expand(DRAWS), step.expand(DRAWS)
    removed = autobk(*rows(energy, many), *sizes, Background())
    chir = xftf(removed.k, removed.chi, wide).chir
    r = noise.r
    for predicted, part in ((noise.real, chir.real), (noise.imaginary, chir.imag)):
        ratio = predicted[0, 20:] / part.std(0)[20:]
        assert ((ratio - 1).abs() < SCATTER).all()
    high = (r > HIGH_R[0]) & (r < HIGH_R[1])
    square = (noise.real.square() + noise.imaginary.square())[0, high].mean() / 2
    window = xftf(removed.k, removed.chi[:1], wide).kwin.sum() * wide.kstep / wide.kmax
    epsilon_r = estimate_noise(removed.k, removed.chi).epsilon_r.square().mean().sqrt()
    assert (square.sqrt() / window / epsilon_r).item() == pytest.approx(1, abs=0.03)


def test_a_k_weight_of_the_transform_is_no_matter_of_the_noise_of_chi(foil):
    energy, mu, e0, step = foil
    sigma = torch.full_like(mu, 0.01)
    once, twice = (
        propagate_chir(
            energy, None, sigma, e0, step, Background(), replace(Transform(), kweight=w)
        )
        for w in (1, 2)
    )
    # At most the largest k of the data lies between one k-weight and the next.
    kmax = (0.2624683 * (energy[-1] - e0[0])).sqrt()
    assert (twice.real <= 1.001 * kmax * once.real)[:, 50:].all()
