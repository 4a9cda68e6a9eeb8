"""Denoisers take noise, not signal, whatever the grid, the row and the device."""

import math

import pytest
import torch

from xasnn_stream.physics.denoise.ladder import build, smooth
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Normalization

E0 = 9000.0
STEP = 2.0
METHODS = [name for name in DENOISERS if name != "none"]


def grid():
    """Energies of a step scan: 5 eV, 0.25 eV across the edge, 0.05 1/angstrom above."""
    k = torch.arange(2.8, 13.0, 0.05, dtype=torch.float64)
    return E0 + torch.cat(
        (
            torch.arange(-150.0, -20.0, 5.0, dtype=torch.float64),
            torch.arange(-20.0, 29.8, 0.25, dtype=torch.float64),
            3.81 * k.square(),
        )
    )


def spectrum(energy):
    """An edge of 2.5 eV width, a white line and one shell of fine structure."""
    x = energy - E0
    k = (x.clamp(min=0) / 3.81).sqrt()
    rise = 0.5 + torch.atan(x / 1.25) / math.pi
    line = 0.4 / (1 + ((x - 5) / 2.0) ** 2)
    shell = torch.sin(2 * 2.5 * k) * torch.exp(-0.012 * k**2) / (k + 1) ** 2
    # Near the edge a path is not yet an oscillation, whose period in energy would vanish.
    beyond = x.clamp(min=0).square() / (x.square() + 30**2)
    return 0.3 - x / 4000 + STEP * (rise + line + 0.5 * shell * beyond)


def denoise(name, mu, sigma, energy=None, valid=None):
    energy = grid() if energy is None else energy
    rows = torch.full((len(mu),), sigma, dtype=torch.float64)
    e0 = torch.full_like(rows, E0)
    return DENOISERS[name](energy, mu, valid, rows, e0)


def noisy(copies, sigma, seed=1):
    generator = torch.Generator().manual_seed(seed)
    clean = spectrum(grid())
    noise = torch.randn(copies, len(clean), generator=generator, dtype=torch.float64)
    return clean, clean + sigma * noise


@pytest.mark.parametrize(
    ("name", "least_db"), list(zip(METHODS, (5, 7.5, 7, 3.5), strict=True))
)
def test_noise_becomes_smaller_by_at_least_so_many_decibels(name, least_db):
    sigma = 0.01 * STEP
    clean, mu = noisy(40, sigma)
    error = (denoise(name, mu, sigma).mu - clean).square().mean()
    assert 10 * math.log10(sigma**2 / error) > least_db


@pytest.mark.parametrize(
    ("name", "most"),
    # A Lorentzian without any monochromator's width is the hardest white line there is.
    [("savitzky_golay", 0.1), ("whittaker", 0.15), ("gaussian_process", 0.2)],
)
def test_the_white_line_moves_by_less_than_its_noise(name, most):
    sigma = 0.01 * STEP
    clean, mu = noisy(64, sigma)
    both = torch.cat((mu, 2 * clean - mu))
    at = clean[: int((grid() < E0 + 20).sum())].argmax()
    bias = (denoise(name, both, sigma).mu - clean)[:, at].mean() / sigma
    assert abs(bias) < most


@pytest.mark.parametrize("name", ["savitzky_golay", "whittaker"])
def test_the_edge_step_is_not_moved(name):
    sigma = 0.01 * STEP
    clean, mu = noisy(64, sigma)
    both = torch.cat((mu, 2 * clean - mu))
    e0 = torch.full((len(both),), E0, dtype=torch.float64)
    smooth = denoise(name, both, sigma).mu
    steps = normalize(grid(), smooth, None, Normalization(), e0).edge_step
    truth = normalize(grid(), clean[None], None, Normalization(), e0[:1]).edge_step
    assert steps.mean().item() == pytest.approx(truth.item(), rel=1e-3)


@pytest.mark.parametrize("name", ["savitzky_golay", "whittaker", "gaussian_process"])
def test_what_is_said_to_remain_remains(name):
    sigma = 0.01 * STEP
    clean, mu = noisy(64, sigma)
    found = denoise(name, mu, sigma)
    spread = ((found.mu - clean) / found.std).square().mean().sqrt()
    assert 0.9 < spread < 1.2


@pytest.mark.parametrize("name", METHODS)
def test_a_common_grid_and_ragged_rows_give_the_same(name):
    _, mu = noisy(3, 0.02)
    common = denoise(name, mu, 0.02)
    energy = torch.cat((grid(), grid()[-1:].expand(7))).expand(3, -1)
    padded = torch.cat((mu, mu[:, -1:].expand(-1, 7)), -1)
    valid = torch.arange(energy.shape[-1]).expand(3, -1) < len(grid())
    ragged = denoise(name, padded, 0.02, energy, valid)
    torch.testing.assert_close(ragged.mu[:, :-7], common.mu, rtol=0, atol=1e-9)
    assert torch.equal(ragged.mu[:, -7:], padded[:, -7:])


@pytest.mark.parametrize("name", METHODS)
def test_a_row_depends_on_nothing_but_itself(name):
    _, mu = noisy(5, 0.02)
    together = denoise(name, mu, 0.02).mu
    alone = torch.cat([denoise(name, row[None], 0.02).mu for row in mu])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_units_do_not_matter(name):
    _, mu = noisy(3, 0.02)
    scaled = denoise(name, 1000 * mu, 20.0).mu
    torch.testing.assert_close(
        scaled / 1000, denoise(name, mu, 0.02).mu, rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("name", METHODS)
def test_noise_may_change_along_a_spectrum(name):
    energy = grid()
    generator = torch.Generator().manual_seed(4)
    clean = spectrum(energy)
    sigma = torch.where(energy < E0 + 100, 0.004, 0.04).double().expand(30, -1)
    draws = torch.randn(30, len(energy), generator=generator, dtype=torch.float64)
    mu = clean + sigma * draws
    e0 = torch.full((30,), E0, dtype=torch.float64)
    found = DENOISERS[name](energy, mu, None, sigma, e0)
    scaled = ((found.mu - clean) / sigma).square()
    quiet = energy < E0 + 80
    assert scaled[:, quiet].mean() < 1.0
    assert scaled[:, ~quiet].mean() < 0.5


@pytest.mark.parametrize("name", DENOISERS)
def test_a_row_without_edge_or_noise_comes_back_as_it_was(name):
    _, mu = noisy(3, 0.02)
    noise = torch.tensor([0.02, 0.0, math.nan], dtype=torch.float64)
    e0 = torch.tensor([math.nan, E0, E0], dtype=torch.float64)
    assert torch.equal(DENOISERS[name](grid(), mu, None, noise, e0).mu, mu)


@pytest.mark.parametrize("name", DENOISERS)
def test_single_precision_stays_single(name):
    _, mu = noisy(2, 0.02)
    found = denoise(name, mu.float(), 0.02).mu
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), denoise(name, mu, 0.02).mu, rtol=0, atol=2e-3
    )


@pytest.mark.parametrize("name", ["whittaker", "gaussian_process"])
def test_many_points_are_denoised_as_well(name):
    energy = torch.linspace(E0 - 100, E0 + 500, 800, dtype=torch.float64)
    clean = spectrum(energy)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, 800, generator=generator, dtype=torch.float64)
    found = denoise(name, clean + 0.02 * noise, 0.02, energy)
    error = (found.mu - clean).square().mean()
    assert 10 * math.log10(0.02**2 / error) > 7
    assert 0.9 < ((found.mu - clean) / found.std).square().mean().sqrt() < 1.2


def test_points_that_are_averaged_first_lose_nothing():
    energy = torch.linspace(E0 - 100, E0 + 500, 8000, dtype=torch.float64)
    clean = spectrum(energy)
    generator = torch.Generator().manual_seed(6)
    mu = clean + 0.02 * torch.randn(4, 8000, generator=generator, dtype=torch.float64)
    found = denoise("whittaker", mu, 0.02, energy)
    assert 10 * math.log10(0.02**2 / (found.mu - clean).square().mean()) > 15
    assert 0.9 < ((found.mu - clean) / found.std).square().mean().sqrt() < 1.2


def test_banded_solves_are_those_of_the_whole_matrix():
    u = torch.linspace(0, 12, 61, dtype=torch.float64) ** 1.2
    rungs = torch.tensor([1e-4, 1e-1, 10.0], dtype=torch.float64)
    ladder = build(u, rungs)
    identity = torch.eye(61, dtype=torch.float64)
    whole = smooth(ladder, identity)
    difference = identity
    for order in (1, 2, 3):
        difference = order * difference.diff(dim=0) / (u[order:] - u[:-order])[:, None]
    weight = (u[3:] - u[:-3]) / 3
    penalty = difference.T @ (weight[:, None] * difference)
    expected = torch.linalg.inv(identity + rungs[:, None, None] * penalty)
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(
        ladder.diagonal, expected.diagonal(dim1=1, dim2=2), rtol=0, atol=1e-9
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_a_gpu_gives_what_a_cpu_gives(name):
    _, mu = noisy(3, 0.02)
    rows = torch.full((3,), 0.02, dtype=torch.float64, device="cuda")
    e0 = torch.full_like(rows, E0)
    found = DENOISERS[name](grid().cuda(), mu.cuda(), None, rows, e0).mu.cpu()
    torch.testing.assert_close(found, denoise(name, mu, 0.02).mu, rtol=0, atol=1e-7)
