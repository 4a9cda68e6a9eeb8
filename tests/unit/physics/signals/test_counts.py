"""Readings become signals: dark level, gain, dead time, sums of channels, sign."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.signals.counts import (
    CHANNEL_REASONS,
    channel_doubts,
    dark_and_gain,
    dead_time,
    fluorescence,
    sum_channels,
    transmission,
    upright,
)

MEASURED = Path(__file__).parents[5] / "shared" / "xas-data"
ROW = torch.ones((1, 200), dtype=torch.bool)


def counts(mean: float, channels: int = 4) -> torch.Tensor:
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.poisson(mean, (1, 200, channels)).astype(float))


def test_dark_and_gain_give_the_current():
    readings = torch.tensor([[3.0, 5.0]])
    assert dark_and_gain(readings, 1.0, 2.0).tolist() == [[1.0, 2.0]]


def test_transmission_reference_and_fluorescence():
    i0, it, ir = (torch.tensor([[value]]) for value in (8.0, 4.0, 1.0))
    assert transmission(i0, it).item() == pytest.approx(np.log(2))
    assert transmission(it, ir).item() == pytest.approx(np.log(4))
    assert fluorescence(i0, it).item() == 0.5


def test_zero_intensity_is_not_finite_and_never_an_error():
    assert not transmission(torch.zeros(1, 2), torch.ones(1, 2)).isfinite().any()


def test_the_three_names_of_dead_time():
    roi, icr, ocr = counts(100), counts(2000), counts(1000)
    assert dead_time(roi, "none") is roi
    assert dead_time(roi, "done_by_detector", icr, ocr) is roi
    torch.testing.assert_close(dead_time(roi, "icr_ocr", icr, ocr), roi * icr / ocr)


def test_a_channel_without_any_counts_stays_zero_and_one_that_reports_none_is_nan():
    zero, some = torch.zeros(1, 1), torch.ones(1, 1)
    assert dead_time(zero, "icr_ocr", zero, zero).item() == 0
    assert dead_time(some, "icr_ocr", some, zero).isnan().all()
    assert dead_time(some, "icr_ocr", zero, zero).isnan().all()


def test_a_wrong_name_or_a_missing_rate_is_refused():
    roi = counts(10)
    with pytest.raises(UsageError, match="icr_ocr"):
        dead_time(roi, "paralyzable")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="rates"):
        dead_time(roi, "icr_ocr", roi)


def test_dead_saturated_and_broken_channels_are_left_out_with_their_reason():
    channels = counts(1000, channels=5)
    channels[..., 1] = 0
    channels[..., 2] = channels[..., 2].clamp(max=1000)
    channels[:, 10:17, 2] = 1000
    channels[..., 3] *= 1e-3
    channels[:, 7, 4] = torch.nan
    summed = sum_channels(channels, ROW)
    names = [CHANNEL_REASONS[code] for code in summed.codes[0].tolist()]
    assert names == ["used", "dead", "saturated", "dead", "not_finite"]
    assert torch.equal(summed.counts, channels[..., 0])


@pytest.mark.parametrize("mean", [0.5, 3, 20, 300, 1e5])
def test_good_channels_are_all_used_however_few_they_count(mean):
    assert not channel_doubts(counts(mean, channels=12), ROW).any()


def test_points_beyond_a_row_do_not_count():
    channels, valid = counts(1000), ROW.clone()
    valid[:, 100:] = False
    channels[:, 100:] = torch.nan
    assert not channel_doubts(channels, valid).any()


def test_an_edge_that_goes_down_is_turned_over():
    mu = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    turned, inverted = upright(mu, torch.tensor([1.0, -1.0]))
    assert turned.tolist() == [[0, 1], [0, 1]]
    assert inverted.tolist() == [False, True]


@pytest.mark.measured
def test_the_dead_time_of_a_measured_four_channel_detector():
    raw = gzip.decompress((MEASURED / "raw/repeats/Cr2O3.000.gz").read_bytes()).decode()
    table = np.loadtxt(raw.strip().splitlines()[18:])
    parsed = MEASURED / "spectra/Cr2O3/000.csv.gz"
    text = gzip.decompress(parsed.read_bytes()).decode()
    names = next(line for line in text.splitlines() if "columns" in line)
    column = names.split(":")[1].split().index("if")
    expected = np.loadtxt(parsed, delimiter=",")[:, column]
    roi, slow, fast = (
        torch.from_numpy(table[None, :, first : first + 4]) for first in (3, 7, 11)
    )
    corrected = dead_time(roi, "icr_ocr", fast, slow)
    valid = torch.ones((1, len(table)), dtype=torch.bool)
    summed = sum_channels(corrected, valid)
    assert not summed.codes.any()
    np.testing.assert_allclose(summed.counts[0], expected, rtol=1e-4)
