import dataclasses

import pytest
import torch

from xasnn_stream.uncertainty.novelty import (
    LEADING,
    TESTS,
    doubted,
    fit_novelty,
    misfit_covariance,
    novelty_tests,
)

X = torch.arange(-10.0, 91.0, dtype=torch.float64)
RMS = 0.01
LINE = 0.25 * torch.exp(-0.5 * ((X - 2) / 2).square())


def curves(count, seed=0):
    """Draw smooth differences: three modes of a tenth each."""
    modes = torch.stack([torch.sin(X / length) for length in (5.0, 9.0, 17.0)])
    rng = torch.Generator().manual_seed(seed)
    weights = 0.1 * torch.randn(count, 3, generator=rng, dtype=torch.float64)
    return weights @ modes


@pytest.fixture(scope="module")
def space():
    return fit_novelty(curves(2000), misfit_covariance(X, RMS, 4.0), LINE)


def silent(count=1):
    return torch.zeros(count, dtype=torch.float64)


def score(space, difference, noise):
    return novelty_tests(space, difference, noise).amax(-1)


def test_the_misfit_is_a_stationary_smooth_curve():
    covariance = misfit_covariance(X, RMS, 4.0)
    assert covariance.diagonal().sqrt().tolist() == pytest.approx([RMS] * len(X))
    # Matérn 3/2 at one correlation length: (1 + √3)·exp(-√3) = 0.483.
    assert covariance[0, 4].item() / RMS**2 == pytest.approx(0.4834, abs=1e-4)
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_a_share_of_the_white_line_is_what_was_added(space):
    base = curves(50, seed=4)
    test = TESTS.index("white_line")
    before, after = (
        novelty_tests(space, base + share * LINE, silent(50))[:, test]
        for share in (0.0, 0.3)
    )
    # Linear, so exact whatever else is in the spectrum.
    assert (after - before).tolist() == pytest.approx([0.3] * 50, abs=1e-9)
    assert before.abs().max() < 0.05


def test_a_missing_white_line_is_not_novel(space):
    base = curves(50, seed=4)
    test = TESTS.index("white_line")
    assert (novelty_tests(space, base - 0.2 * LINE, silent(50))[:, test] < 0).all()


def test_each_test_is_measured_by_its_own_limit(space):
    wide = dataclasses.replace(space, limits=torch.tensor([2.0, 4.0, 0.1]).double())
    base = curves(5, seed=4)
    plain, limited = (novelty_tests(s, base, silent(5)) for s in (space, wide))
    torch.testing.assert_close(limited * wide.limits, plain)


def test_a_white_line_is_doubted_before_it_is_novel():
    tests = torch.tensor([[0.9, 0.9, 0.4], [0.9, 0.9, 0.6], [0.0, 1.1, 0.0]])
    assert doubted(tests).tolist() == [False, True, True]


def test_the_score_is_the_larger_of_two_shares_of_the_mahalanobis_distance(space):
    theory, misfit = curves(2000), misfit_covariance(X, RMS, 4.0)
    deviation = curves(1, seed=5)[0] + 0.02 * torch.cos(X / 3)
    noise = torch.tensor([0.004], dtype=torch.float64)
    mean = theory.mean(0)
    covariance = (theory - mean).T @ (theory - mean) / 2000 + misfit
    values, vectors = torch.linalg.eigh(covariance)
    terms = ((deviation - mean) @ vectors).square() / (values + noise**2)
    noisy = covariance + noise**2 * torch.eye(len(X))
    distance = (deviation - mean) @ torch.linalg.solve(noisy, deviation - mean)
    assert terms.sum().item() == pytest.approx(distance.item(), rel=1e-6)
    larger = max(terms[-LEADING:].mean().item(), terms[:-LEADING].mean().item())
    found = score(space, deviation.unsqueeze(0), noise)
    assert found.item() == pytest.approx(larger**0.5, rel=1e-6)


def test_draws_with_misfit_and_noise_score_one(space):
    rng = torch.Generator().manual_seed(9)
    noise = 0.003
    factor = torch.linalg.cholesky(misfit_covariance(X, RMS, 4.0))
    drawn = curves(500, seed=3)
    shape = drawn.shape
    drawn = drawn + torch.randn(shape, generator=rng, dtype=X.dtype) @ factor.T
    drawn = drawn + noise * torch.randn(shape, generator=rng, dtype=X.dtype)
    squares = score(space, drawn, silent(500) + noise).square()
    # Means of 12 and of 89 squared normals scatter about one by √(2/12) and √(2/89);
    # the larger of two such has the mean 1 + √(2/12 + 2/89) / √(2π) = 1.17.
    assert squares.mean().item() == pytest.approx(1.17, abs=0.05)


def test_a_white_line_raises_the_score_the_more_the_higher(space):
    line = LINE / LINE.max()
    base = curves(50, seed=4)
    scores = [
        score(space, base + height * line, silent(50)).mean().item()
        for height in (0.0, 0.05, 0.1, 0.2)
    ]
    assert scores == sorted(scores)
    assert scores[-1] > 3 * scores[0]


def test_declared_noise_lowers_the_score(space):
    strange = curves(1, seed=4) + 0.05 * torch.cos(X)
    scores = [
        score(space, strange, silent() + noise).item()
        for noise in (0.0, 0.002, 0.01, 0.05)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.5 * scores[0]


def test_each_spectrum_has_its_own_noise(space):
    both = curves(2, seed=6)
    levels = torch.tensor([0.0, 0.01], dtype=torch.float64)
    together = score(space, both, levels)
    for row in range(2):
        alone = score(space, both[row : row + 1], levels[row : row + 1])
        assert together[row].item() == pytest.approx(alone.item(), rel=1e-12)
