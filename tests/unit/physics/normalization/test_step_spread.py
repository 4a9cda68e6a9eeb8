"""What the choice of fit ranges leaves open of the edge step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.step_spread import step_spread
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

DATA = Path(__file__).parents[5] / "shared" / "xas-data"
GIVEN = Normalization(pre1=-140, pre2=-40, norm1=40, norm2=380, nnorm=1)


def spread(*curves, settings=GIVEN, e0=8979.0):
    energy, valid = stack([energy for energy, _ in curves])
    mu, _ = stack([mu for _, mu in curves])
    return step_spread(
        energy, mu, valid, settings, torch.full((len(curves),), e0).double()
    )


def straight(stop=400.0, bend=0.0, wave=0.0):
    """A sharp edge between straight lines, with a parabola or a wave above it."""
    energy = 8979.0 + np.arange(-150.0, stop, 1.0)
    above = np.maximum(energy - 8979.0, 0)
    shape = 1.0 + bend * above**2 + wave * np.sin(above / 30)
    return energy, 0.3 - 2e-4 * (energy - 8979) + np.where(energy >= 8979, shape, 0.0)


def test_lines_that_are_straight_leave_nothing_open():
    assert spread(straight()).item() < 1e-9


def test_the_more_the_post_edge_bends_the_more_is_left_open():
    found = spread(straight(), straight(bend=-5e-7), straight(bend=-2e-6))
    assert found[0] < 1e-9 < 1e-3 < found[1] < found[2]
    assert found[2].item() == pytest.approx(4 * found[1].item(), rel=0.1)


def test_it_is_the_scatter_of_the_step_over_the_ranges_it_names(edge):
    spectrum = edge(width=2.0, bend=2e-6)
    energy, mu = spectrum.energy, spectrum.mu
    found = spread((energy, mu)).item()

    def step(**changes):
        given = {"pre1": -140, "pre2": -40, "norm1": 40, "norm2": 380, "nnorm": 1}
        settings = Normalization(e0=spectrum.e0, **given | changes)
        grid, valid = stack([energy])
        curve = torch.from_numpy(mu)[None]
        return normalize(grid, curve, valid, settings).edge_step.item()

    below = [step(), step(pre1=-105), step(pre2=-28), step(pre2=-52)]
    above = [
        step(),
        step(norm1=80),
        step(norm1=160),
        step(norm2=304),
        step(norm1=80, norm2=304),
        step(nnorm=2),
    ]
    expected = (np.var(below, ddof=1) + np.var(above, ddof=1)) ** 0.5 / below[0]
    assert found == pytest.approx(expected, rel=1e-9)


def test_neither_gain_nor_offset_nor_sign_change_it(edge):
    energy, mu = edge(width=2.0).energy, edge(width=2.0).mu
    found = spread((energy, mu), (energy, 70 * mu - 4), (energy, 5 - mu))
    torch.testing.assert_close(found, found[:1].expand(3), rtol=1e-8, atol=0)


def test_ranges_beyond_the_data_do_not_count():
    whole, short = straight(wave=0.05), straight(stop=120.0, wave=0.05)
    settings = Normalization(pre1=-140, pre2=-40, norm1=40, norm2=115, nnorm=1)
    assert spread(whole, settings=settings).item() == pytest.approx(
        spread(short, settings=settings).item(), rel=1e-6
    )
    few = (short[0][145:], short[1][145:])
    assert spread(few, settings=settings).isnan()


def test_a_common_grid_gives_the_same_and_keeps_the_type(edge):
    spectrum = edge(width=2.0)
    rng = np.random.default_rng(0)
    mu = torch.from_numpy(spectrum.mu + 0.01 * rng.normal(size=(9, len(spectrum.mu))))
    energy = torch.from_numpy(spectrum.energy)
    e0 = torch.tensor([8979.0, 8980.0, 8981.0]).double().repeat(3)
    limits = (torch.full((9,), -130.0).double(), torch.linspace(200, 390, 9).double())
    for bounds in (None, limits):
        one = step_spread(energy, mu, None, Normalization(), e0, bounds)
        each = step_spread(energy.expand_as(mu), mu, None, Normalization(), e0, bounds)
        torch.testing.assert_close(one, each, rtol=1e-9, atol=1e-12)
        single = step_spread(energy, mu.float(), None, Normalization(), e0, bounds)
        assert single.dtype == torch.float32


@pytest.mark.measured
def test_the_steps_of_clean_foils_are_open_by_a_percent_or_two():
    found = {}
    for entry in json.loads((DATA / "manifest.json").read_text()):
        if entry["category"] == "foils" and (entry.get("file") or "").endswith(".csv"):
            file = DATA / entry["file"]
            energy, mu = np.loadtxt(file, delimiter=",", usecols=(0, 1), unpack=True)
            grid, valid = stack([energy])
            curve = torch.from_numpy(mu)[None]
            e0 = normalize(grid, curve, valid, Normalization()).e0
            found[entry["id"]] = step_spread(
                grid, curve, valid, Normalization(), e0
            ).item()
    assert len(found) >= 15
    # The most, 2.5 %, of a V foil with 75 eV of pre-edge and a μ that falls by 40 %.
    assert all(0.001 < value < 0.03 for value in found.values()), found
    assert np.median(list(found.values())) < 0.015
