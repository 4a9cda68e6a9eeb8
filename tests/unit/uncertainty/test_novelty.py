import pytest
import torch

from xasnn_stream.uncertainty.novelty import (
    fit_novelty,
    misfit_covariance,
    novelty_score,
)

X = torch.arange(-10.0, 91.0, dtype=torch.float64)
RMS = 0.01


def curves(count, seed=0):
    """Draw smooth differences: three modes of a tenth each."""
    modes = torch.stack([torch.sin(X / length) for length in (5.0, 9.0, 17.0)])
    rng = torch.Generator().manual_seed(seed)
    weights = 0.1 * torch.randn(count, 3, generator=rng, dtype=torch.float64)
    return weights @ modes


@pytest.fixture(scope="module")
def space():
    return fit_novelty(curves(2000), misfit_covariance(X, RMS, 4.0))


def silent(count=1):
    return torch.zeros(count, dtype=torch.float64)


def test_the_misfit_is_a_stationary_smooth_curve():
    covariance = misfit_covariance(X, RMS, 4.0)
    assert covariance.diagonal().sqrt().tolist() == pytest.approx([RMS] * len(X))
    # Matérn 3/2 at one correlation length: (1 + √3)·exp(-√3) = 0.483.
    assert covariance[0, 4].item() / RMS**2 == pytest.approx(0.4834, abs=1e-4)
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_the_score_is_the_mahalanobis_distance_per_bin(space):
    theory, misfit = curves(2000), misfit_covariance(X, RMS, 4.0)
    deviation = curves(1, seed=5)[0] + 0.02 * torch.cos(X / 3)
    noise = torch.tensor([0.004], dtype=torch.float64)
    mean = theory.mean(0)
    covariance = (theory - mean).T @ (theory - mean) / 2000 + misfit
    covariance = covariance + noise**2 * torch.eye(len(X))
    distance = (deviation - mean) @ torch.linalg.solve(covariance, deviation - mean)
    found = novelty_score(space, deviation.unsqueeze(0), noise)
    assert found.item() == pytest.approx((distance / len(X)).sqrt().item(), rel=1e-6)


def test_draws_with_misfit_and_noise_score_one(space):
    rng = torch.Generator().manual_seed(9)
    noise = 0.003
    factor = torch.linalg.cholesky(misfit_covariance(X, RMS, 4.0))
    drawn = curves(500, seed=3)
    shape = drawn.shape
    drawn = drawn + torch.randn(shape, generator=rng, dtype=X.dtype) @ factor.T
    drawn = drawn + noise * torch.randn(shape, generator=rng, dtype=X.dtype)
    squares = novelty_score(space, drawn, silent(500) + noise).square()
    # A mean square per bin of one by construction; 500 x 101 terms scatter by 0.6 %.
    assert squares.mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_white_line_raises_the_score_the_more_the_higher(space):
    line = torch.exp(-0.5 * ((X - 2) / 2).square())
    base = curves(1, seed=4)
    scores = [
        novelty_score(space, base + height * line, silent()).item()
        for height in (0.0, 0.05, 0.1, 0.2)
    ]
    assert scores == sorted(scores)
    assert scores[-1] > 5 * scores[0]


def test_declared_noise_lowers_the_score(space):
    strange = curves(1, seed=4) + 0.05 * torch.cos(X)
    scores = [
        novelty_score(space, strange, silent() + noise).item()
        for noise in (0.0, 0.002, 0.01, 0.05)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.5 * scores[0]


def test_each_spectrum_has_its_own_noise(space):
    both = curves(2, seed=6)
    levels = torch.tensor([0.0, 0.01], dtype=torch.float64)
    together = novelty_score(space, both, levels)
    for row in range(2):
        alone = novelty_score(space, both[row : row + 1], levels[row : row + 1])
        assert together[row].item() == pytest.approx(alone.item(), rel=1e-12)
