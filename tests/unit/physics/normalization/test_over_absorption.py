"""Damped amplitudes: fluorescence against transmission, and thickness."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.physics.noise.points import point_noise
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.over_absorption import (
    LEAKAGE,
    TOO_DAMPED,
    TOO_THICK,
    damping,
    leakage_damping,
)
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

SPECTRA = Path(__file__).parents[5] / "shared" / "xas-data" / "spectra"
E0 = 7112.0


def waves(relative):
    above = np.clip(relative, 0, None)
    return 0.12 * np.sin(5 * np.sqrt(above / 3.81)) * np.exp(-above / 200)


def compared(factor=1.0, noise=0.0, standard_noise=0.0, draws=1, slow=0.0):
    relative = np.arange(-100.0, 500.0, 1.5)
    rng = np.random.default_rng(3)
    shape = (draws, len(relative))
    rise = (relative > 0).astype(float)
    bent = slow * np.clip(relative / 500, 0, None) ** 2
    flat = rise + bent + factor * waves(relative) + noise * rng.normal(size=shape)
    standard = rise + waves(relative) + standard_noise * rng.normal(size=shape)
    energy = torch.from_numpy(np.broadcast_to(E0 + relative, shape).copy())
    valid = torch.ones_like(energy, dtype=torch.bool)
    e0 = torch.full((draws,), E0).double()
    sigma = torch.full((draws,), standard_noise).double()
    return damping(
        energy,
        torch.from_numpy(flat),
        valid,
        e0,
        energy,
        torch.from_numpy(standard),
        valid,
        sigma,
    )


@pytest.mark.parametrize("factor", [1.0, 0.6, 0.2])
def test_the_factor_is_found_whatever_flattening_leaves(factor):
    found = compared(factor, slow=0.05)
    assert found.factor.item() == pytest.approx(factor, abs=1e-9)
    assert found.correlation.item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("noise", "standard_noise"), [(0.01, 0.0), (0.05, 0.0), (0.02, 0.02), (0.01, 0.025)]
)
def test_its_error_is_its_scatter_and_noise_of_the_standard_does_not_lower_it(
    noise, standard_noise
):
    draws = 400
    found = compared(0.7, noise, standard_noise, draws)
    scatter = found.factor.std().item()
    assert found.factor.mean().item() == pytest.approx(
        0.7, abs=4 * scatter / draws**0.5 + 0.01 * 0.7
    )
    # Four standard errors of a scatter; dividing by a noisy power adds a little.
    assert found.std.mean().item() == pytest.approx(scatter, rel=0.2)


def test_too_little_in_common_or_nothing_but_noise_gives_no_number():
    assert compared(standard_noise=1.0, noise=0.1).factor.isnan()
    energy = torch.arange(E0 - 100, E0 + 30).double()[None]
    ones = torch.ones_like(energy)
    found = damping(
        energy,
        ones,
        ones > 0,
        torch.tensor([E0]).double(),
        energy,
        ones,
        ones > 0,
        torch.tensor([0.01]).double(),
    )
    assert found.factor.isnan()
    assert found.std.isnan()


def test_a_leak_damps_thick_samples_as_its_formula_says():
    total = torch.linspace(0, 8, 400, dtype=torch.float64)
    measured = -(((-total).exp() + LEAKAGE) / (1 + LEAKAGE)).log()
    slope = (measured[2:] - measured[:-2]) / (total[2:] - total[:-2])
    torch.testing.assert_close(
        slope, leakage_damping(total)[1:-1], rtol=1e-3, atol=1e-4
    )
    assert leakage_damping(torch.tensor(TOO_THICK)).item() == pytest.approx(
        0.98, abs=2e-3
    )


def normalized(name):
    file = SPECTRA / f"{name}.csv"
    energy, mu = np.loadtxt(file, delimiter=",", usecols=(0, 1), unpack=True)
    grid, valid = stack([energy])
    found = normalize(grid, torch.from_numpy(mu)[None], valid, Normalization())
    noise = point_noise(grid, found.norm, valid, found.e0 + 8)
    return grid, found, valid, noise


@pytest.mark.measured
@pytest.mark.parametrize(
    ("name", "standard", "low", "high"),
    [
        ("zirconolite_Pristine", "zirconolite_Transmission", 0.6, 0.75),
        ("Fe73Ga27_302", "Fe_K_13BM2002", 0.1, 0.3),
        ("BMM_Fe-K-IronFoil", "Fe_K_13BM2002", 0.95, 1.05),
        ("Cu_K_13IDE2016", "BMM_Cu-K-CopperFoil", 0.95, 1.05),
    ],
)
def test_over_absorbed_samples_are_told_from_good_ones(name, standard, low, high):
    energy, found, valid, _ = normalized(name)
    axis, other, other_valid, noise = normalized(standard)
    result = damping(
        energy,
        found.flat,
        valid,
        found.e0,
        axis + (found.e0 - other.e0),
        other.flat,
        other_valid,
        noise,
    )
    assert low < result.factor.item() < high
    assert (result.factor.item() < TOO_DAMPED) == (high < TOO_DAMPED)
    assert result.std.item() < 0.05
    assert result.correlation.item() > 0.75
