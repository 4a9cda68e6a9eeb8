import numpy as np
import pytest
import torch

from xasnn_stream.physics.exafs.spline import (
    basis,
    evaluate,
    second_derivatives,
    segments,
)
from xasnn_stream.physics.exafs.wavenumber import uniform_grid
from xasnn_stream.physics.ragged import stack

GRID = uniform_grid(300, 0.05)
KNOTS = [0.1] * 4 + [1.2, 2.0, 4.5, 6.0, 9.0, 11.0] + [14.5] * 4
FUNCTIONS = len(KNOTS) - 4


def sites(seed, points):
    """Return uneven points from 0 to 14.8."""
    steps = np.random.default_rng(seed).uniform(0.2, 1.8, points)
    return 14.8 * np.r_[0.0, steps[1:].cumsum()] / steps[1:].sum()


def interpolated(x, y, valid, at=GRID):
    return evaluate(segments(at, x, valid), y, second_derivatives(x, y, valid))


def test_a_cubic_is_reproduced_from_uneven_points():
    x, valid = stack([sites(0, 60), sites(1, 4), sites(2, 25)])

    def cubic(t):
        return 0.3 - 0.2 * t + 0.04 * t**2 - 0.003 * t**3

    found = interpolated(x, cubic(x), valid)
    assert torch.allclose(found, cubic(GRID).expand(3, -1), atol=1e-11)


def test_an_interpolating_spline_is_fitpacks():
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(3)
    xs = [sites(seed, points) for seed, points in enumerate((5, 6, 17, 80, 300))]
    ys = [np.sin(x) + 0.1 * rng.normal(size=len(x)) for x in xs]
    x, valid = stack(xs)
    y, _ = stack(ys)
    found = interpolated(x, y, valid)
    inside = GRID.numpy() <= 14.8
    for row, (sites_x, values) in enumerate(zip(xs, ys, strict=True)):
        expected = interpolate.UnivariateSpline(sites_x, values, s=0)(GRID.numpy())
        scale = np.abs(expected[inside]).max()
        difference = (found[row].numpy() - expected)[inside]
        assert np.abs(difference).max() < 1e-11 * scale, row


def test_rows_of_a_batch_do_not_touch_each_other():
    x, valid = stack([sites(0, 60), sites(1, 20)])
    y = torch.sin(x)
    alone = interpolated(x[1:, :20], y[1:, :20], valid[1:, :20])
    y[0, 3] = torch.nan
    together = interpolated(x, y, valid)
    assert together[0].isnan().any()
    assert torch.allclose(together[1], alone[0], atol=1e-14)


def test_basis_functions_add_up_to_one_and_are_not_negative():
    knots = torch.tensor([KNOTS], dtype=torch.float64)
    at = GRID[(GRID >= 0.1) & (GRID <= 14.5)]
    dense = basis(at, knots, torch.tensor([FUNCTIONS])).dense(FUNCTIONS)
    assert torch.allclose(dense.sum(-1), torch.ones_like(dense[..., 0]), atol=1e-14)
    assert dense.min() >= 0


def test_basis_functions_are_fitpacks_beyond_the_ends_too():
    interpolate = pytest.importorskip("scipy.interpolate")
    coefficients = np.random.default_rng(0).normal(size=FUNCTIONS)
    knots = torch.tensor([KNOTS, KNOTS], dtype=torch.float64)
    local = basis(GRID, knots, torch.tensor([FUNCTIONS, FUNCTIONS]))
    weights = torch.tensor(coefficients).expand(2, -1)
    expected = interpolate.splev(
        GRID.numpy(), (KNOTS, np.r_[coefficients, [0.0] * 4], 3)
    )
    np.testing.assert_allclose(local.combine(weights)[1].numpy(), expected, atol=1e-12)
    dense = local.dense(FUNCTIONS) @ weights[0]
    assert torch.allclose(dense, local.combine(weights), atol=1e-13)


def test_a_row_with_fewer_functions_has_zeros_for_the_others():
    few = [0.1] * 4 + [5.0] + [14.5] * 4
    row = few + [14.5] * (len(KNOTS) - len(few))
    knots = torch.tensor([KNOTS, row], dtype=torch.float64)
    dense = basis(GRID, knots, torch.tensor([FUNCTIONS, 5])).dense(FUNCTIONS)
    alone = basis(GRID, torch.tensor([few], dtype=torch.float64), torch.tensor([5]))
    assert torch.equal(dense[1, :, :5], alone.dense(5)[0])
    assert dense[1, :, 5:].abs().sum() == 0
