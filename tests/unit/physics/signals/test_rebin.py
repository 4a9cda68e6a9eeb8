"""Rebinning agrees with larch; every bin has its noise, and says if it is interpolated."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Rebinning
from xasnn_stream.physics.signals.rebin import rebin

E0 = 8979.0


def fine_scan(
    spacing: float = 0.3, start: float = -150.0, stop: float = 700.0
) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(start, stop, spacing)
    k = np.sqrt(np.maximum(x, 0) / 3.81)
    mu = 0.5 + np.arctan(x / 1.5) / np.pi + 0.1 * np.sin(5 * k) / (1 + k) - 1e-4 * x
    return E0 + x, mu


def rebinned(*scans, noise=None, **settings):
    energy, valid = stack([energy for energy, _ in scans])
    mu, _ = stack([mu for _, mu in scans])
    e0 = torch.full_like(energy[:, 0], E0)
    return rebin(energy, mu, valid, e0, Rebinning(**settings), noise)


@pytest.mark.parametrize("method", ["boxcar", "centroid"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pre1": -100.0, "pre2": -20.0, "pre_step": 5.0},
        {"xanes_step": 1.0, "exafs1": 40.0, "exafs2": 400.0, "exafs_kstep": 0.1},
    ],
    ids=str,
)
def test_bins_agree_with_larch(method, settings):
    larch = pytest.importorskip("larch")
    rebin_xafs = pytest.importorskip("larch.xafs.rebin_xafs").rebin_xafs
    scans = [fine_scan(), fine_scan(4.7, -63.0), fine_scan(0.11, -45.0, 300.0)]
    ours = rebinned(*scans, method=method, **settings)
    parameters = asdict(Rebinning(method=method, **settings))
    for row, (energy, mu) in enumerate(scans):
        group = larch.Group(energy=energy, mu=mu, e0=E0, __name__="scan")
        rebin_xafs(group, **parameters)
        inside = ours.valid[row]
        # The constants of k and E differ in the eighth digit.
        assert ours.energy[row][inside].tolist() == pytest.approx(
            group.rebinned.energy, abs=1e-4
        )
        assert ours.mu[row][inside].tolist() == pytest.approx(
            group.rebinned.mu, abs=1e-7
        )


@pytest.mark.parametrize("method", ["boxcar", "centroid"])
def test_the_noise_of_a_bin_is_what_it_scatters(method):
    energy, mu = fine_scan()
    rng = np.random.default_rng(1)
    sigma, draws = 2e-3, 400
    scans = [(energy, mu + sigma * rng.normal(size=len(mu))) for _ in range(draws)]
    found = rebinned(*scans, method=method)
    observed, predicted = found.mu.std(0), found.noise.square().mean(0).sqrt()
    # 400 draws tell a bin's scatter to 3.5 %, 500 bins together to far less.
    assert (observed / predicted).mean() == pytest.approx(1, abs=0.03)
    assert (observed / predicted).std() < 0.08
    # A bin of 2 eV averages seven points.
    assert predicted[10] == pytest.approx(sigma / np.sqrt(6.7), rel=0.1)


def test_given_noise_is_propagated_exactly():
    energy, mu = fine_scan()
    sigma = torch.from_numpy(1e-3 * (1 + (energy - energy[0]) / 100))[None]
    found = rebinned((energy, mu), noise=sigma)
    middle = int((found.energy[0] - E0 - 600).abs().argmin())
    spacing = found.energy[0, middle + 1] - found.energy[0, middle]
    expected = 1e-3 * 8.5 / np.sqrt(float(spacing) / 0.3)
    assert found.noise[0, middle] == pytest.approx(expected, rel=0.05)


def test_bins_with_too_few_points_are_interpolated_and_say_so():
    energy, mu = fine_scan(spacing=4.0)
    found = rebinned((energy, mu))
    at = found.energy[0][found.valid[0]].numpy()
    few = found.interpolated[0][found.valid[0]].numpy()
    assert few[(at > E0 - 30) & (at < E0 + 200)].all()
    np.testing.assert_allclose(
        found.mu[0][found.valid[0]].numpy()[few],
        np.interp(at[few], energy, mu),
        atol=1e-12,
    )
    assert not rebinned(fine_scan(0.1)).interpolated.any()


def test_an_interpolated_bin_is_as_noisy_as_the_points_it_lies_between():
    energy, mu = fine_scan(spacing=4.0)
    sigma = torch.full((1, len(energy)), 1e-3, dtype=torch.float64)
    found = rebinned((energy, mu), noise=sigma)
    noise = found.noise[found.interpolated]
    assert noise.max() <= 1e-3
    assert noise.min() >= 1e-3 / np.sqrt(2) - 1e-9


def test_rows_are_independent_and_short_ones_end_early():
    scans = [fine_scan(), fine_scan(stop=200.0)]
    both = rebinned(*scans)
    for row, scan in enumerate(scans):
        alone = rebinned(scan)
        inside = both.valid[row]
        assert inside.sum() == alone.valid.sum()
        torch.testing.assert_close(
            both.mu[row][inside], alone.mu[0], rtol=0, atol=1e-12
        )
    assert both.valid.sum(-1)[0] > both.valid.sum(-1)[1]


def test_a_scan_that_ends_before_the_edge_has_only_its_first_region():
    found = rebinned(fine_scan(stop=-40.0))
    assert found.valid.any()
    assert (found.energy[found.valid] <= E0 - 40).all()
    assert found.mu[found.valid].isfinite().all()


def test_what_continues_a_short_row_is_finite():
    found = rebinned(fine_scan(), fine_scan(stop=300.0))
    assert not bool(found.valid[1].all())
    assert bool(found.mu.isfinite().all())
    assert bool(found.noise.isfinite().all())
