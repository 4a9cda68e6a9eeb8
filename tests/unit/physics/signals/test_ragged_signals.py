import numpy as np
import pytest
import torch

from xasnn_stream.physics.ragged import (
    index_at_or_below,
    index_nearest,
    interpolate,
    stack,
)
from xasnn_stream.physics.signals.single import (
    fluorescence,
    merge_duplicates,
    transmission,
)


def test_stacking_continues_short_rows_and_marks_them():
    values, valid = stack([np.array([1.0, 2.0, 3.0]), np.array([7.0])])
    assert values.tolist() == [[1, 2, 3], [7, 7, 7]]
    assert valid.tolist() == [[True, True, True], [True, False, False]]


def test_indices_on_ragged_rows():
    energy, valid = stack([np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 1.0])])
    value = torch.tensor([1.9, 9.0])
    assert index_at_or_below(energy, valid, value).tolist() == [1, 1]
    assert index_nearest(energy, valid, value).tolist() == [2, 1]
    assert index_at_or_below(energy, valid, torch.tensor([-1.0, -1.0])).tolist() == [
        0,
        0,
    ]


def test_interpolation_agrees_with_numpy_and_stops_at_the_data():
    rng = np.random.default_rng(2)
    x = [np.cumsum(rng.uniform(0.1, 2, n)) for n in (40, 7)]
    y = [rng.normal(size=n) for n in (40, 7)]
    at = np.linspace(-1, x[0][-1] + 1, 200)
    energy, valid = stack(x)
    values, _ = stack(y)
    result = interpolate(
        torch.from_numpy(at).expand(2, -1), energy, values, valid
    ).numpy()
    for row in range(2):
        expected = np.interp(at, x[row], y[row], left=np.nan, right=np.nan)
        np.testing.assert_allclose(result[row], expected, atol=1e-12)


def test_interpolation_includes_both_ends():
    x, valid = stack([np.array([1.0, 2.0, 5.0])])
    y = x**2
    at = torch.tensor([[1.0, 2.0, 5.0]]).double()
    assert interpolate(at, x, y, valid).tolist() == [[1.0, 4.0, 25.0]]


def test_absorption_from_readings():
    i0, it = np.array([1e6, 2e6]), np.array([1e6 / np.e, 2e6])
    np.testing.assert_allclose(transmission(i0, it), [1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(fluorescence(i0, it), [1 / np.e, 1.0])


def test_equal_energies_are_averaged_and_sorted():
    energy = np.array([3.0, 1.0, 2.0, 1.0])
    merged, first, second = merge_duplicates(
        energy, np.array([30.0, 10.0, 20.0, 14.0]), energy * 2
    )
    assert merged.tolist() == [1.0, 2.0, 3.0]
    assert first.tolist() == [12.0, 20.0, 30.0]
    assert second.tolist() == pytest.approx([2.0, 4.0, 6.0])


def test_energies_that_differ_by_encoder_noise_are_one():
    energy = np.array([5.0, 5.0 + 1e-6, 5.0 + 2e-3, 4.0, 4.0 - 5e-4])
    merged, curve = merge_duplicates(energy, np.array([1.0, 3.0, 7.0, 2.0, 6.0]))
    assert merged.tolist() == pytest.approx([4.0 - 2.5e-4, 5.0 + 5e-7, 5.002])
    assert curve.tolist() == pytest.approx([4.0, 2.0, 7.0])


def test_nothing_merges_to_nothing():
    merged, curve = merge_duplicates(np.array([]), np.array([]))
    assert len(merged) == len(curve) == 0
