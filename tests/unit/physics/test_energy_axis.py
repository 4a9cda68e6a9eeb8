"""Shifts of the energy axis, and whether their uncertainty is honest."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.energy_axis import shift_against

E0 = 8979.0
DRAWS = 400
RATIO = 4 / (2 * DRAWS) ** 0.5
"""Four standard errors of a standard deviation of so many draws, relative."""


def foil(relative):
    """Flattened μ of a metal: an edge, a white line and oscillations."""
    rise = 0.5 + np.arctan(relative / 1.8) / np.pi
    white = 0.25 * np.exp(-(((relative - 8) / 5) ** 2))
    above = np.clip(relative, 0, None)
    waves = np.sin(5 * np.sqrt(above / 3.81)) * (above / (above + 8)) ** 2
    return rise + white + 0.1 * waves


def grid(step=0.4):
    near = np.arange(-30.0, 40.0, step)
    return np.concatenate(
        (np.arange(-150.0, -30.0, 5.0), near, np.arange(40, 400, 2.5))
    )


def drawn(noise, shift, draws=DRAWS, step=0.4):
    """Return energies, noisy curves, validity, noise and e0 of shifted scans."""
    relative = grid(step)
    rng = np.random.default_rng(2)
    flat = foil(relative - shift) + noise * rng.normal(size=(draws, len(relative)))
    energy = torch.from_numpy(E0 + relative).expand(draws, -1)
    return (
        energy,
        torch.from_numpy(flat),
        torch.ones(energy.shape, dtype=torch.bool),
        torch.full((draws,), noise).double(),
        torch.full((draws,), E0 + shift).double(),
    )


def standard(step=0.25):
    energy, flat, valid, _, e0 = drawn(0.0, 0.0, 1, step)
    return energy, flat, valid, e0


@pytest.mark.parametrize("noise", [1e-3, 0.01, 0.03])
@pytest.mark.parametrize("shift", [0.3, -4.2])
def test_the_stated_uncertainty_is_the_scatter_of_the_shift(noise, shift):
    found, std = shift_against(*drawn(noise, shift), *standard())
    assert std.mean() / found.std() == pytest.approx(1, abs=RATIO)
    # Four standard errors of the mean, and what a standard of points leaves.
    error = (found.mean() - shift).abs().item()
    assert error < 4 * found.std().item() / DRAWS**0.5 + 1e-3


def test_noise_of_the_standard_is_part_of_the_uncertainty():
    scans, ref = drawn(0.01, 0.5, 3), drawn(0.01, 0.0, 3)
    _, alone = shift_against(*scans, *ref[:3], ref[4])
    _, both = shift_against(*scans, *ref[:3], ref[4], ref[3])
    torch.testing.assert_close(both, alone * 2**0.5)


def test_gain_and_offset_left_by_normalization_do_not_move_the_axis():
    energy, flat, *rest = drawn(0.0, 1.7, 1)
    plain, _ = shift_against(energy, flat, *rest, *standard())
    changed, _ = shift_against(energy, 1.04 * flat - 0.02, *rest, *standard())
    torch.testing.assert_close(changed, plain, rtol=0, atol=1e-6)
    assert plain.item() == pytest.approx(1.7, abs=2e-3)


def test_scans_of_other_lengths_do_not_disturb_each_other():
    energy, flat, valid, noise, e0 = drawn(0.01, 1.0, 4)
    alone, _ = shift_against(energy, flat, valid, noise, e0, *standard())
    cut = valid.clone()
    cut[1, 200:] = False  # ends at e0 + 20
    cut[2, 15:] = False  # ends before the edge
    found, std = shift_against(energy, flat, cut, noise, e0, *standard())
    torch.testing.assert_close(found[[0, 3]], alone[[0, 3]], rtol=0, atol=1e-9)
    assert found[1].item() == pytest.approx(1.0, abs=5 * std[1].item())
    assert found[2].isnan()
    assert std[2].isnan()
