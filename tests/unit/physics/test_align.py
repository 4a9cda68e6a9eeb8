import numpy as np
import pytest
import torch

from xasnn_stream.physics.align import bin_means, edge_position
from xasnn_stream.physics.ragged import stack


def rise(shift=0.0, spacing=0.5, width=1.5):
    relative = np.arange(-60.0, 80.0, spacing)
    flat = 0.5 + 0.5 * np.tanh((relative - shift) / width)
    return relative, flat


def position(relative, flat, e0=0.0):
    energy, valid = stack([relative])
    values, _ = stack([flat])
    return edge_position(
        energy, values, valid, torch.tensor([e0], dtype=torch.float64)
    ).item()


def test_the_edge_of_a_symmetric_rise_is_its_centre():
    # The 0.1 eV sum over the curve is exact by symmetry about a grid point.
    assert position(*rise()) == pytest.approx(0.0, abs=1e-9)


def test_the_edge_moves_exactly_with_the_axis():
    relative, flat = rise()
    plain = position(relative, flat)
    moved = position(relative + 1.7, flat, e0=1.7)
    assert moved - plain == pytest.approx(1.7, abs=1e-9)


@pytest.mark.parametrize("shift", [-0.37, 0.11, 0.8])
def test_the_edge_does_not_depend_on_the_grid_or_on_e0(shift):
    # e0 is a grid point, up to half a step from the edge; the position is not.
    fine = position(*rise(shift, spacing=0.1))
    assert fine == pytest.approx(shift, abs=0.01)
    for e0 in (-0.5, 0.0, 0.5):
        assert position(*rise(shift), e0=e0) == pytest.approx(fine, abs=0.01)


def test_noise_moves_the_edge_less_than_its_steepest_point():
    rng = np.random.default_rng(0)
    relative, flat = rise()
    positions = [
        position(relative, flat + 0.005 * rng.normal(size=len(flat))) for _ in range(60)
    ]
    # σ·√(step·width) over the slope: 0.005·√(0.5·2)/0.33 is 0.015 eV; a steepest point
    # jumps by 0.5 eV.
    assert np.std(positions) < 0.03


def test_an_edge_that_is_not_covered_has_no_position():
    relative, flat = rise()
    keep = relative > -10
    assert np.isnan(position(relative[keep], flat[keep]))


def test_bins_of_a_line_are_the_line_on_any_grid():
    rng = np.random.default_rng(3)
    energies = [np.cumsum(rng.uniform(0.1, 2, n)) for n in (90, 60)]
    energy, valid = stack(energies)
    values, _ = stack([1.5 - 0.3 * energy for energy in energies])
    at = torch.arange(5.0, 40.0).double().expand(2, -1)
    binned = bin_means(at, energy, values, valid, 1.0)
    torch.testing.assert_close(binned, 1.5 - 0.3 * at, rtol=0, atol=1e-12)


def test_a_bin_that_leaves_the_data_is_nan():
    energy, valid = stack([np.arange(0.0, 11.0)])
    at = torch.tensor([[0.0, 0.5, 9.5, 10.0]]).double()
    inside = bin_means(at, energy, energy, valid, 1.0).isfinite()
    assert inside.tolist() == [[False, True, True, False]]


def test_a_bin_averages_the_points_in_it():
    energy = np.arange(0.0, 20.0, 0.01)
    axis, valid = stack([energy])
    values, _ = stack([np.sin(2 * np.pi * energy)])
    at = torch.arange(2.0, 18.0).double().unsqueeze(0)
    # A whole period in every bin.
    assert bin_means(at, axis, values, valid, 1.0).abs().max().item() < 1e-3
