"""Two edges of one sample: bonds counted from both ends, bounds, errors."""

import numpy as np
import pytest

from xasnn_stream.bimetallic.reconcile import MOST_NEIGHBOURS, reconcile

SHARE_AU = 0.6
TRUE = np.array([3.9, 4.5, 5.6, 3.0])
"""Pd–Pd, Pd–Au, Au–Au, Au–Pd with 0.4 · 4.5 = 0.6 · 3.0."""

ERRORS = np.array([0.6, 0.8, 0.5, 0.3])
CORRELATED = np.diag(ERRORS) @ (
    np.eye(4)
    + np.array([[0, -0.6, 0, 0], [-0.6, 0, 0, 0], [0, 0, 0, 0.4], [0, 0, 0.4, 0]])
) @ np.diag(ERRORS)  # fmt: skip


def test_numbers_that_agree_are_left_alone():
    found = reconcile(TRUE, CORRELATED, SHARE_AU)
    np.testing.assert_allclose(found.values, TRUE, atol=1e-12)
    assert found.chi2 == pytest.approx(0.0, abs=1e-12)
    assert found.consistent
    assert found.share_b == pytest.approx(SHARE_AU)


def test_bonds_are_counted_alike_from_both_ends():
    found = reconcile(np.add(TRUE, [0.2, 0.9, -0.1, -0.2]), CORRELATED, SHARE_AU)
    _, pd_au, _, au_pd = found.values
    assert 0.4 * pd_au == pytest.approx(SHARE_AU * au_pd, abs=1e-12)


def test_the_less_certain_number_moves_more_and_takes_what_goes_with_it():
    found = reconcile(np.add(TRUE, [0.0, 0.9, 0.0, 0.0]), CORRELATED, SHARE_AU)
    moved = found.values - np.add(TRUE, [0.0, 0.9, 0.0, 0.0])
    assert abs(moved[1]) > abs(moved[3])
    # Errors of Pd–Pd and Pd–Au are opposite: as one is lowered the other rises.
    assert moved[1] < 0 < moved[0]


def test_it_is_the_minimum_under_every_bound():
    rng = np.random.default_rng(3)
    inverse = np.linalg.inv(CORRELATED)
    for share in (None, 0.0, 0.3, 1.0):
        values = rng.normal([0.2, 9.0, -0.5, 6.0], 2.0)
        found = reconcile(values, CORRELATED, share)
        trials = rng.uniform(0, 13, (200_000, 4))
        if share is not None:
            # Points of the plane of the equation, sampled along it.
            trials[:, 1] = share * trials[:, 1]
            trials[:, 3] = (1 - share) * trials[:, 1] / share if share else trials[:, 3]
            if share == 1.0:
                trials[:, 3] = 0.0
        allowed = (trials[:, :2].sum(1) <= 13) & (trials[:, 2:].sum(1) <= 13)
        off = trials[allowed] - values
        chi2 = np.einsum("ni,ij,nj->n", off, inverse, off).min()
        assert found.chi2 <= chi2
        off = found.values - values
        assert found.chi2 == pytest.approx(off @ inverse @ off, abs=1e-9)


def test_nothing_is_negative_and_no_atom_has_too_many_neighbours():
    rng = np.random.default_rng(5)
    for share in (None, 0.25, 0.5):
        for values in rng.normal(TRUE, 6.0, (40, 4)):
            found = reconcile(values, CORRELATED, share).values
            assert (found >= -1e-9).all()
            assert found[:2].sum() <= MOST_NEIGHBOURS + 1e-9
            assert found[2:].sum() <= MOST_NEIGHBOURS + 1e-9


def test_a_pure_metal_has_no_unlike_neighbours():
    found = reconcile(np.array([11.6, 0.4, 5.0, 5.0]), CORRELATED, 0.0)
    assert found.values[1] == pytest.approx(0.0, abs=1e-12)
    assert found.covariance[1, 1] == pytest.approx(0.0, abs=1e-12)


def test_without_a_composition_only_bounds_move_numbers():
    free = np.add(TRUE, [0.5, 1.5, -0.5, -0.5])
    found = reconcile(free, CORRELATED)
    np.testing.assert_array_equal(found.values, free)
    np.testing.assert_array_equal(found.covariance, CORRELATED)
    assert (found.chi2, found.share_b) == (0.0, pytest.approx(6.0 / 8.5))


def test_errors_shrink_and_cover_the_truth():
    rng = np.random.default_rng(7)
    drawn = rng.multivariate_normal(TRUE, CORRELATED, 2000)
    found = [reconcile(values, CORRELATED, SHARE_AU) for values in drawn]
    values = np.array([each.values for each in found])
    std = np.sqrt(np.diag(found[0].covariance))
    assert (std < ERRORS + 1e-12).all()
    covered = (np.abs(values - TRUE) <= 1.645 * std).mean(0)
    # 2000 draws of a 90 % interval: 0.7 points, four times that.
    np.testing.assert_allclose(covered, 0.9, atol=0.028)
    wrong = np.mean([not each.consistent for each in found])
    assert wrong == pytest.approx(0.01, abs=0.009)
    implied = np.array([each.share_b for each in found])
    spread = np.median([each.share_b_std for each in found])
    assert implied.std() == pytest.approx(spread, rel=0.1)


def test_a_composition_that_contradicts_the_edges_is_noticed():
    assert not reconcile(TRUE, CORRELATED / 4, 0.3).consistent


def test_no_unlike_neighbours_imply_no_composition():
    found = reconcile(np.array([11.0, 0.1, 11.0, -0.1]), CORRELATED)
    assert np.isnan([found.share_b, found.share_b_std]).all()
