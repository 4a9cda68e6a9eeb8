import numpy as np
import pytest
import torch

from xasnn_stream.edges import edge_window
from xasnn_stream.physics.normalization.edge import find_e0, half_step
from xasnn_stream.physics.normalization.slope import derivative
from xasnn_stream.physics.ragged import stack


def found(*pairs, window=None):
    energy, valid = stack([energy for energy, _ in pairs])
    mu, _ = stack([mu for _, mu in pairs])
    if window is not None:
        window = tuple(torch.full((len(pairs),), bound) for bound in window)
    return find_e0(energy, mu, valid, window)


@pytest.mark.parametrize("e0", [5465.0, 8979.0, 24350.0])
@pytest.mark.parametrize("spacing", [0.25, 0.5, 1.0, 2.0])
def test_e0_is_the_measured_point_at_the_inflection(edge, e0, spacing):
    spectrum = edge(e0=e0, spacing=spacing, width=2.0)
    e0 = found((spectrum.energy, spectrum.mu)).item()
    # The point at the arctangent's centre, or its neighbour: smoothing is on a grid of
    # its own, which for points finer than the core-hole width may prefer that one.
    assert abs(e0 - spectrum.e0) <= (spacing if spacing < 0.5 else 0.0)


def test_e0_ignores_gain_and_offset(edge):
    spectrum = edge(width=2.0)
    plain = found((spectrum.energy, spectrum.mu))
    changed = found((spectrum.energy, 40.0 * spectrum.mu - 7.0))
    assert torch.equal(plain, changed)


def test_a_single_point_that_rises_more_steeply_is_not_the_edge(edge):
    spectrum = edge(width=2.0)
    mu = spectrum.mu.copy()
    mu[300] += 0.6 * spectrum.step
    assert np.gradient(mu).argmax() == 299
    assert found((spectrum.energy, mu)).item() == spectrum.e0


def test_e0_keeps_to_its_window(edge):
    spectrum = edge(width=2.0)
    second = edge(e0=spectrum.e0 + 120, width=2.0, step=3.0, start=-270, stop=280)
    mu = spectrum.mu + second.mu
    pair = (spectrum.energy, mu)
    assert found(pair).item() == spectrum.e0 + 120
    e0 = found(pair, window=(spectrum.e0 - 30, spectrum.e0 + 30)).item()
    assert e0 == spectrum.e0


def test_no_admissible_point_gives_nan(edge):
    spectrum = edge()
    assert found((spectrum.energy, spectrum.mu), window=(1.0, 2.0)).isnan().all()


def test_a_scan_of_too_few_points_has_no_edge_and_does_not_disturb_others(edge):
    spectrum = edge(width=2.0)
    whole = (spectrum.energy, spectrum.mu)
    for points in (1, 2, 6):
        short = (spectrum.energy[:points], spectrum.mu[:points])
        together = found(whole, short)
        assert together[0].item() == spectrum.e0
        assert together[1].isnan()
        assert found(short).isnan().all()


@pytest.mark.parametrize("width", [1.0, 4.0])
def test_the_half_step_is_where_half_of_the_step_is_reached(edge, width):
    first = edge(width=width, bend=0.0)
    second = edge(e0=first.e0 + 10.25, width=width, bend=0.0)
    energy, valid = stack([first.energy, second.energy[:-150]])
    flat, _ = stack(
        [
            0.5 + np.arctan((spectrum.energy - spectrum.e0) / width) / np.pi
            for spectrum in (first, second)
        ]
    )
    e0 = torch.tensor([first.e0, second.e0]).double()
    at = half_step(energy, flat[:, : energy.shape[1]], valid, e0 + 2)
    torch.testing.assert_close(at, e0, rtol=0, atol=0.01)
    alone = half_step(energy[0], flat[:1], None, e0[:1])
    assert alone.item() == at[0].item()


def test_the_half_step_nearest_the_edge_counts_and_none_gives_nan():
    energy = torch.arange(10.0).double().expand(2, -1)
    flat = torch.tensor([[0, 0, 1, 0, 0, 0, 1, 1, 1, 1], [1] * 9 + [0]]).double()
    valid = torch.ones_like(flat, dtype=torch.bool)
    at = half_step(energy, flat, valid, torch.tensor([6.0, 6.0]).double())
    assert at[0].item() == 5.5
    assert at[1].isnan()


@pytest.mark.parametrize(
    ("name", "energy", "kept"),
    [
        ("above the edge only", lambda e: e[200:], slice(200, None)),
        ("below the edge only", lambda e: e[:120], slice(None, 120)),
        ("in keV", lambda e: e / 1000, slice(None)),
    ],
)
def test_a_scan_without_the_edge_has_none_near_the_tabulated_one(
    edge, name, energy, kept
):
    spectrum = edge(width=2.0)
    window = edge_window(spectrum.e0)
    pair = (energy(spectrum.energy), spectrum.mu[kept])
    assert found(pair, window=window).isnan().all(), name
    # Without a window there always is a steepest point, as larch finds one.
    assert found(pair).isfinite().all()


def test_the_edge_of_an_inverted_spectrum_is_not_where_it_falls(edge):
    spectrum = edge(width=2.0)
    e0 = found((spectrum.energy, -spectrum.mu))
    assert abs(e0.item() - spectrum.e0) > 20


def test_neighbours_in_a_batch_do_not_move_e0(edge):
    spectra = [
        edge(e0=8979.0 + k, spacing=spacing, width=1.0 + k, stop=200.0 + 30 * k)
        for k, spacing in enumerate((0.25, 0.5, 1.0, 2.0, 0.3, 0.7))
    ]
    pairs = [(spectrum.energy, spectrum.mu) for spectrum in spectra]
    together = found(*pairs)
    alone = torch.cat([found(pair) for pair in pairs])
    assert torch.equal(together, alone)


def test_the_derivative_of_a_line_is_its_slope_on_any_grid():
    rng = np.random.default_rng(0)
    energies = [np.cumsum(rng.uniform(0.2, 3, n)) for n in (30, 12)]
    energy, valid = stack(energies)
    mu, _ = stack([2.0 - 0.7 * energy for energy in energies])
    slope = derivative(energy, mu, valid)
    torch.testing.assert_close(slope[valid], torch.full_like(slope[valid], -0.7))
    assert (slope[~valid] == 0).all()
