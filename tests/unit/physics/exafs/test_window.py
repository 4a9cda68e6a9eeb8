import numpy as np
import pytest
import torch

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.exafs.wavenumber import uniform_grid
from xasnn_stream.physics.exafs.window import window
from xasnn_stream.physics.settings import WINDOWS

STEP = 0.05
LARCH_KNOWS = ("kaiser", "hanning", "parzen", "welch", "gaussian", "sine")


def one(name, low, high, dx=1.0, dx2=None, points=300):
    grid = uniform_grid(points, STEP)
    ends = (torch.tensor([end], dtype=torch.float64) for end in (low, high))
    return window(grid, *ends, dx, dx2, name)[0]


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_is_larchs(name, monkeypatch):
    xafsft = pytest.importorskip("larch.xafs.xafsft")
    # larch names fhanning and bessel, and refuses them: its list lacks their letters.
    short = tuple(known[:3] for known in WINDOWS)
    monkeypatch.setattr(xafsft, "FT_WINDOWS_SHORT", short)
    rng = np.random.default_rng(0)
    for _ in range(60):
        points = int(rng.integers(100, 400))
        x = STEP * np.arange(points)
        low = round(rng.uniform(0.5, 0.4 * x[-1]), 2)
        high = round(rng.uniform(low + 2.5, x[-1] + 1), 2)
        dx, dx2 = rng.choice([0.0, 0.1, 0.5, 1.0]), rng.choice([0.0, 0.1, 0.5, 1.0])
        expected = xafsft.ftwindow(x, low, high, dx, dx2, window=name)
        found = one(name, low, high, float(dx), float(dx2), points)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["hanning", "parzen", "sine"])
def test_a_window_rises_to_one_and_falls_to_zero(name):
    shape = one(name, 3.0, 11.0)
    assert shape.max().item() == pytest.approx(1.0)
    assert shape[: int(2.4 / STEP)].abs().max() == 0
    assert shape[int(11.6 / STEP) :].abs().max() == 0
    # Symmetric about the middle of its range, whose ends are grid points.
    at = int(7.0 / STEP)
    assert torch.allclose(shape[: 2 * at + 1], shape[: 2 * at + 1].flip(0), atol=1e-9)


def test_a_hanning_ramp_is_half_up_in_its_middle():
    shape = one("hanning", 3.0, 11.0)
    assert shape[int(3.0 / STEP)].item() == pytest.approx(0.5, abs=1e-3)
    assert shape[int(11.0 / STEP)].item() == pytest.approx(0.5, abs=1e-3)


def test_rows_of_one_call_are_those_of_several():
    grid = uniform_grid(300, STEP)
    low = torch.tensor([2.0, 3.0, 3.5], dtype=torch.float64)
    high = torch.tensor([14.0, 9.0, 11.3], dtype=torch.float64)
    points = torch.tensor([300, 200, 220])
    for name in WINDOWS:
        together = window(grid, low, high, 1.0, 0.5, name, points)
        for row in range(3):
            alone = window(
                grid[: points[row]],
                low[row : row + 1],
                high[row : row + 1],
                1.0,
                0.5,
                name,
            )
            assert torch.equal(together[row, : points[row]], alone[0])
            assert together[row, points[row] :].abs().sum() == 0


def test_three_letters_name_a_window():
    assert torch.equal(one("Han", 3.0, 11.0), one("hanning", 3.0, 11.0))


def test_an_unknown_window_is_named_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"unknown window 'blackman': use one of kaiser"
    ):
        one("blackman", 3.0, 11.0)
