import dataclasses

import pytest
import torch

from xasnn_stream.uncertainty.novelty import (
    DOUBTED_FROM,
    EITHER_SIGN,
    FILTERS,
    LEADING,
    MAX_EDGE_SHIFT_EV,
    ROUGHNESS,
    TESTS,
    doubted,
    edge_shift_score,
    fit_novelty,
    misfit_covariance,
    novelty_tests,
)

X = torch.arange(-10.0, 91.0, dtype=torch.float64)
RMS = 0.01
LINE = 0.25 * torch.exp(-0.5 * ((X - 2) / 2).square())
SHAPES = torch.stack(
    (
        LINE,
        0.1 * torch.cos(X / 7),
        -0.1 * torch.exp(-X.clamp(min=0) / 10),
        (X > 0).to(X.dtype),
        X.clamp(min=0) / 100,
    )
)
"""Of every filter, in their order."""


def curves(count, seed=0):
    """Draw smooth differences: three modes of a tenth each."""
    modes = torch.stack([torch.sin(X / length) for length in (5.0, 9.0, 17.0)])
    rng = torch.Generator().manual_seed(seed)
    weights = 0.1 * torch.randn(count, 3, generator=rng, dtype=torch.float64)
    return weights @ modes


@pytest.fixture(scope="module")
def space():
    return fit_novelty(curves(2000), misfit_covariance(X, RMS, 4.0), SHAPES)


def silent(count=1):
    return torch.zeros(count, dtype=torch.float64)


def score(space, difference, noise):
    return novelty_tests(space, difference, noise)[:, :2].amax(-1)


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


@pytest.mark.parametrize("flaw", EITHER_SIGN)
def test_a_normalization_is_wrong_in_both_directions(space, flaw):
    base = curves(50, seed=4)
    shape, test = SHAPES[FILTERS.index(flaw)], TESTS.index(flaw)
    for sign in (-1, 1):
        found = novelty_tests(space, base + 0.3 * sign * shape, silent(50))[:, test]
        assert found.mean().item() == pytest.approx(0.3, abs=0.02)


def test_a_single_bin_that_fits_to_no_other_is_a_glitch(space):
    base = curves(20, seed=4)
    test = TESTS.index("glitch")
    spoiled = base.clone()
    spoiled[:, 40] += 0.05
    before, after = (
        novelty_tests(space, d, silent(20))[:, test] for d in (base, spoiled)
    )
    assert (after > 2 * before).all()


def test_the_glitch_is_the_largest_standardized_misfit_to_all_other_bins(space):
    deviation = curves(1, seed=5) + 0.01 * torch.cos(3 * X)
    covariance = space.vectors * space.values @ space.vectors.T
    covariance = covariance + ROUGHNESS**2 * torch.eye(len(X), dtype=X.dtype)
    left = (deviation - space.mean)[0]
    wanted = []
    for i in range(len(X)):
        others = torch.arange(len(X)) != i
        across = covariance[i, others]
        weights = torch.linalg.solve(covariance[others][:, others], across)
        spread = (covariance[i, i] - weights @ across).sqrt()
        wanted.append(((left[i] - weights @ left[others]) / spread).abs().item())
    found = novelty_tests(space, deviation, silent())[0, TESTS.index("glitch")]
    assert found.item() == pytest.approx(max(wanted), rel=1e-6)


def test_each_test_is_measured_from_what_is_typical_to_its_own_limit(space):
    base = curves(5, seed=4)
    plain = novelty_tests(space, base, silent(5))
    typical = torch.linspace(-0.1, 0.3, len(TESTS), dtype=X.dtype)
    limits = torch.linspace(2.0, 4.0, len(TESTS), dtype=X.dtype)
    limited = dataclasses.replace(space, typical=typical, limits=limits)
    found = novelty_tests(limited, base, silent(5))
    torch.testing.assert_close(found * (limits - typical) + typical, plain)


def test_one_test_is_enough_for_a_doubt_before_it_is_novel():
    tests = torch.tensor([[0.2, 0.2], [0.2, DOUBTED_FROM + 0.01], [-3.0, 1.1]])
    assert doubted(tests).tolist() == [False, True, True]


@pytest.mark.parametrize("expected", [0.0, -0.5])
def test_an_edge_is_doubted_from_the_same_shift_as_by_the_engine(space, expected):
    usual = torch.tensor(expected, dtype=X.dtype)
    at = dataclasses.replace(space, edge_shift=usual)
    away = torch.tensor([0.0, 1.4, -1.4, 1.6, -1.6, float("nan")], dtype=X.dtype)
    score = edge_shift_score(at, usual + away)
    assert (score > DOUBTED_FROM).tolist() == [False, False, False, True, True, False]
    assert score[0] == score[-1] == 0
    farthest = edge_shift_score(at, usual + MAX_EDGE_SHIFT_EV)
    assert farthest.item() == pytest.approx(DOUBTED_FROM)


def test_leading_and_rest_share_the_mahalanobis_distance(space):
    theory, misfit = curves(2000), misfit_covariance(X, RMS, 4.0)
    deviation = curves(1, seed=5)[0] + 0.02 * torch.cos(X / 3)
    noise = torch.tensor([0.004], dtype=torch.float64)
    mean = theory.mean(0)
    covariance = (theory - mean).T @ (theory - mean) / 2000 + misfit
    noisy = covariance + (noise**2 + ROUGHNESS**2) * torch.eye(len(X))
    distance = (deviation - mean) @ torch.linalg.solve(noisy, deviation - mean)
    found = novelty_tests(space, deviation.unsqueeze(0), noise)[0].square()
    parts = found[0] * LEADING + found[1] * (len(X) - LEADING)
    assert parts.item() == pytest.approx(distance.item(), rel=1e-6)


def test_draws_with_misfit_and_noise_are_typical(space):
    rng = torch.Generator().manual_seed(9)
    noise = 0.003
    factor = torch.linalg.cholesky(misfit_covariance(X, RMS, 4.0))
    drawn = curves(500, seed=3)
    shape = drawn.shape
    drawn = drawn + torch.randn(shape, generator=rng, dtype=X.dtype) @ factor.T
    rough = (noise**2 + ROUGHNESS**2) ** 0.5
    drawn = drawn + rough * torch.randn(shape, generator=rng, dtype=X.dtype)
    found = novelty_tests(space, drawn, silent(500) + noise)
    # Mean squares of standard normals have the mean one.
    assert found[:, :2].square().mean(0).tolist() == pytest.approx([1, 1], abs=0.05)
    # The largest of 101 standard normals is 2.5 on average if they are independent.
    assert 2.0 < found[:, 2].mean().item() < 2.8


def test_a_white_line_raises_the_score_the_more_the_higher(space):
    line = LINE / LINE.max()
    base = curves(50, seed=4)
    test = TESTS.index("white_line")
    scores = [
        novelty_tests(space, base + height * line, silent(50))[:, test].mean().item()
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
