"""Points come out finite, ascending and each energy once; what was done is counted."""

import numpy as np
import pytest
import torch

from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.order import finite, mask, order
from xasnn_stream.physics.signals.single import merge_duplicates


def rows(*values: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return stack([np.array(row, float) for row in values])


def test_masking_moves_points_to_the_front_without_holes():
    curve, valid = rows([1, 2, 3, 4], [5, 6, 7])
    keep = torch.tensor([[True, False, True, True], [False, True, True, True]])
    new, kept = mask(keep, valid, curve)
    assert new.tolist() == [[True, True, True, False], [True, True, False, False]]
    assert kept.tolist() == [[1, 3, 4, 4], [6, 7, 7, 7]]


def test_masking_takes_the_channels_of_a_point_with_it():
    curve, valid = rows([1, 2, 3])
    channels = torch.stack((curve, 10 * curve), -1)
    _, kept = mask(torch.tensor([[False, True, True]]), valid, channels)
    assert kept[0, :2].tolist() == [[2, 20], [3, 30]]


def test_a_row_may_lose_all_its_points():
    curve, valid = rows([1, 2, 3], [4, 5, 6])
    new, _ = mask(torch.tensor([[False] * 3, [True] * 3]), valid, curve)
    assert new.sum(-1).tolist() == [0, 3]


def test_a_point_with_any_value_that_is_no_number_is_not_finite():
    energy, valid = rows([1, np.nan, 3, 4, 5])
    mu, _ = rows([1, 1, np.inf, 1, 1])
    i0, _ = rows([1, 1, 1, np.nan, 1])
    assert finite(energy, valid, mu, i0).tolist() == [[True, False, False, False, True]]


def test_reversed_shuffled_and_ordered_scans_become_the_same():
    energy = np.arange(100.0, 150.0)
    mixed = np.random.default_rng(3).permutation(50)
    scans = [energy, energy[::-1], energy[mixed]]
    axis, valid = stack(scans)
    found = order(axis, valid, axis**2)
    assert (found.energy == torch.from_numpy(energy)).all()
    assert (found.curves[0] == found.energy**2).all()
    assert found.reversed.tolist()[:2] == [False, True]
    assert found.back_steps.tolist()[:2] == [0, 0]
    assert found.back_steps[2] > 10


def test_back_steps_and_merged_readings_are_counted():
    energy, valid = rows([1, 2, 3, 2.5, 4, 4, 4, 5], [1, 2, 3])
    curve, _ = rows([1, 2, 3, 7, 1, 2, 6, 5], [4, 5, 6])
    found = order(energy, valid, curve)
    assert found.energy[0][found.valid[0]].tolist() == [1, 2, 2.5, 3, 4, 5]
    assert found.curves[0][0][found.valid[0]].tolist() == [1, 2, 7, 3, 3, 5]
    assert found.readings[0].tolist() == [1, 1, 1, 1, 3, 1, 0, 0]
    assert found.back_steps.tolist() == [1, 0]
    assert found.merged.tolist() == [2, 0]
    assert found.curves[0][1, :3].tolist() == [4, 5, 6]


@pytest.mark.parametrize("seed", range(5))
def test_order_agrees_with_the_merging_of_single_scans(seed):
    rng = np.random.default_rng(seed)
    scans = [np.round(rng.uniform(0, 40, n), 0) for n in (30, 57)]
    values = [rng.normal(size=len(scan)) for scan in scans]
    energy, valid = stack(scans)
    curve, _ = stack(values)
    found = order(energy, valid, curve)
    for row, (scan, value) in enumerate(zip(scans, values, strict=True)):
        expected = merge_duplicates(scan, value)
        inside = found.valid[row]
        np.testing.assert_array_equal(found.energy[row][inside], expected[0])
        np.testing.assert_allclose(
            found.curves[0][row][inside], expected[1], atol=1e-15
        )
