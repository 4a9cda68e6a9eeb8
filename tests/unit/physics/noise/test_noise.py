import numpy as np
import pytest
import torch

from xasnn_stream.physics.align import bin_means
from xasnn_stream.physics.noise.points import (
    bin_noise,
    local_noise,
    outliers,
    point_noise,
)
from xasnn_stream.physics.ragged import stack

SIGMA = 2e-3
DRAWS = 400


def noisy(energy, smooth, draws=40, sigma: float | np.ndarray = SIGMA):
    rng = np.random.default_rng(5)
    curve = smooth + sigma * rng.normal(size=(draws, len(energy)))
    axis = torch.from_numpy(energy).expand(draws, -1)
    return axis, torch.from_numpy(curve), torch.ones(draws, len(energy)).bool()


@pytest.mark.parametrize("grid", ["uniform", "growing"])
def test_white_noise_is_read_from_the_curve(grid):
    energy = np.arange(0.0, 300.0, 0.5)
    if grid == "growing":  # as equal steps of k
        energy = np.linspace(0, 8, 600) ** 2 * 3.81
    smooth = 1 + 0.1 * np.sin(energy / 12) * np.exp(-energy / 100)
    axis, curve, valid = noisy(energy, smooth)
    found = point_noise(axis, curve, valid, torch.full((40,), 10.0))
    # Medians of several hundred residuals scatter by 4 %; their mean by less.
    assert found.mean().item() == pytest.approx(SIGMA, rel=0.05)
    assert ((found / SIGMA - 1).abs() < 0.2).all()


def test_glitches_and_what_lies_below_are_disregarded():
    energy = np.arange(0.0, 300.0, 0.5)
    smooth = np.where(energy < 50, np.sin(energy * 3), 1.0)
    smooth[[200, 260, 330, 400]] += 0.5
    axis, curve, valid = noisy(energy, smooth)
    found = point_noise(axis, curve, valid, torch.full((40,), 55.0))
    assert found.mean().item() == pytest.approx(SIGMA, rel=0.1)


def test_a_cubic_has_no_noise():
    energy = np.sort(np.random.default_rng(1).uniform(0, 100, 80))
    curve = 1 + energy / 50 - (energy / 70) ** 2 + (energy / 90) ** 3
    axis, values, valid = noisy(energy, curve, draws=1, sigma=0.0)
    assert point_noise(axis, values, valid, torch.zeros(1)).item() < 1e-12


def test_padding_is_no_data():
    rng = np.random.default_rng(8)
    energies = [np.arange(0.0, 100.0, 0.5), np.arange(0.0, 40.0, 0.5)]
    curves = [rng.normal(size=len(energy)) for energy in energies]
    energy, valid = stack(energies)
    curve, _ = stack(curves)
    together = point_noise(energy, curve, valid, torch.full((2,), 5.0))
    axis, short = stack([energies[1]])[0], stack([curves[1]])[0]
    alone = point_noise(axis, short, torch.ones(1, 80).bool(), torch.tensor([5.0]))
    assert together[1].item() == pytest.approx(alone.item(), rel=1e-12)


@pytest.mark.parametrize("spacing", [0.05, 0.1, 0.25, 0.4, 0.5])
def test_noise_of_bins_is_that_of_rebinned_white_noise(spacing):
    energy = np.arange(0.0, 60.0, spacing)
    axis, curve, valid = noisy(energy, 0.0, draws=DRAWS)
    at = torch.arange(10.0, 50.0, 1.0).double().expand(DRAWS, -1)
    measured = bin_means(at, axis, curve, valid, 1.0).square().mean().sqrt().item()
    noise = torch.full((DRAWS,), SIGMA).double()
    predicted = bin_noise(at, axis, valid, noise, 1.0).square().mean().sqrt().item()
    # At half the width the end points count half: 0.61 σ against the rule's 0.71.
    assert predicted == pytest.approx(measured, rel=0.17)


@pytest.mark.parametrize("spacing", [0.7, 1.0, 2.0, 5.0])
def test_noise_of_interpolated_bins_is_on_the_safe_side(spacing):
    energy = np.arange(0.0, 60.0, spacing)
    axis, curve, valid = noisy(energy, 0.0, draws=DRAWS)
    at = torch.arange(10.0, 50.0, 1.0).double().expand(DRAWS, -1)
    measured = bin_means(at, axis, curve, valid, 1.0).square().mean().sqrt().item()
    noise = torch.full((DRAWS,), SIGMA).double()
    predicted = bin_noise(at, axis, valid, noise, 1.0).square().mean().sqrt().item()
    # Interpolation between two points averages them, which the rule leaves out.
    assert measured < predicted < 1.4 * measured


def rising(energy):
    """An edge of 5 eV width at 100 eV with some fine structure."""
    x = energy - 100
    return 0.5 + np.arctan(x / 2.5) / np.pi + 0.05 * np.sin(x / 6) * np.exp(-x / 200)


def found_at(curve, energy, sigma=1e-3):
    axis, values, valid = noisy(energy, curve, draws=1, sigma=sigma)
    noise, e0 = torch.tensor([sigma]), torch.tensor([100.0])
    return energy[outliers(axis, values, valid, noise, e0)[0].numpy()]


def test_a_smooth_edge_has_no_outliers():
    energy = np.arange(0.0, 300.0, 0.5)
    assert not len(found_at(rising(energy), energy))


@pytest.mark.parametrize("at", [40.0, 130.0, 250.0])
def test_a_glitch_is_an_outlier(at):
    energy = np.arange(0.0, 300.0, 0.5)
    found = found_at(rising(energy) + 0.05 * (energy == at), energy)
    assert at in found
    # Its neighbours are compared with it.
    assert all(abs(found - at) <= 1.0)


def test_a_jump_is_seen_from_both_sides():
    energy = np.arange(0.0, 300.0, 0.5)
    found = found_at(rising(energy) + 0.05 * (energy >= 150), energy)
    assert found.tolist() == [149.5, 150.0]


def test_a_step_within_the_noise_is_not_seen():
    energy = np.arange(0.0, 300.0, 0.5)
    glitched = rising(energy) + 0.05 * (energy == 150)
    assert not len(found_at(glitched, energy, sigma=2e-2))


@pytest.mark.parametrize("spacing", [0.25, 0.5, 1.0, 2.0, 3.0])
def test_points_too_coarse_for_the_curve_are_no_outliers(spacing):
    energy = np.arange(0.0, 300.0, spacing)
    assert not len(found_at(rising(energy), energy, sigma=1e-4))


def stepped(draws=400):
    """White noise that grows fivefold where a scan's counting time drops."""
    energy = np.r_[np.arange(-100.0, 50, 0.5), np.arange(50.0, 400, 0.5)]
    level = np.where(energy < 150, SIGMA, 5 * SIGMA)
    smooth = 0.5 + np.arctan(energy) / np.pi + 0.05 * np.sin(energy / 12)
    axis, curve, valid = noisy(energy, smooth, draws=draws, sigma=level)
    return axis, curve, valid, torch.from_numpy(level)


def test_local_noise_follows_the_noise_along_a_scan():
    axis, curve, valid, level = stepped()
    found = local_noise(axis, curve, valid, torch.zeros(len(axis)))
    away = (axis[0] - 150).abs() > 25
    ratio = found.square().mean(0).sqrt() / level
    # The clipped mean square of 31 correlated residuals is right to some per cent.
    assert ((ratio[away] - 1).abs() < 0.06).all()
    # The first and the last block have half as many.
    assert ((found / level)[:, away].std(0) < 0.4).all()
    assert (found / level)[:, 100:400].std(0).mean() < 0.25


def test_local_noise_disregards_the_edge_and_glitches():
    axis, curve, valid, level = stepped(draws=1)
    e0 = torch.zeros(1, dtype=axis.dtype)
    blind = local_noise(axis, curve - curve + smooth_edge(axis), valid)
    seeing = local_noise(axis, curve - curve + smooth_edge(axis), valid, e0)
    near = axis[0].abs() < 5
    assert seeing[0, near].max() < 0.1 * blind[0, near].max()
    spoiled = curve.clone()
    spoiled[0, 300::100] += 1.0
    found = local_noise(axis, spoiled, valid, e0)
    away = (axis[0] - 150).abs() > 25
    assert (found[0, away] < 3 * level[away]).all()


def smooth_edge(axis):
    return 0.5 + torch.atan(axis / 0.5) / np.pi


def test_local_noise_does_not_see_padding_and_needs_seventeen_points():
    axis, curve, _, _ = stepped(draws=3)
    valid = torch.ones_like(curve, dtype=torch.bool)
    valid[1, 500:] = False
    valid[2, 16:] = False
    curve[1, 500:], curve[2, 16:] = 1e9, 1e9
    found = local_noise(axis, curve, valid)
    alone = local_noise(axis[1:2, :500], curve[1:2, :500], valid[1:2, :500])
    torch.testing.assert_close(found[1, :480], alone[0, :480], rtol=1e-9, atol=0.0)
    assert found[2].isnan().all()
    assert found[0].isfinite().all()
