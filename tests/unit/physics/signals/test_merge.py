"""Repeats are averaged by their noise; what is unlike them is left out, with its reason."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.glitches import find_glitches
from xasnn_stream.physics.signals.merge import REASONS, Merged, merge
from xasnn_stream.physics.signals.order import finite, mask, order

MEASURED = Path(__file__).parents[5] / "shared" / "xas-data"
E0 = 7112.0
GRID = np.arange(-100.0, 300.0, 0.5)


def spectrum(x: np.ndarray, amplitude: float = 0.1) -> np.ndarray:
    k = np.sqrt(np.maximum(x, 0) / 3.81)
    return 0.3 + np.arctan(x / 1.5) / np.pi + amplitude * np.sin(5 * k) / (1 + k)


def repeats(count: int, sigma: float = 2e-3, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        2 * (spectrum(GRID) + sigma * rng.normal(size=len(GRID))) for _ in range(count)
    ]


def merged(scans: list[np.ndarray], axes: list[np.ndarray] | None = None, **given):
    axes = axes or [GRID] * len(scans)
    energy, valid = stack([E0 + axis for axis in axes])
    mu, _ = stack(scans)
    return merge(energy, mu, valid, torch.full((len(scans),), E0).double(), **given)


def names(found: Merged) -> list[str]:
    return [REASONS[code] for code in found.reason.tolist()]


def test_repeats_that_differ_by_their_noise_are_all_used():
    for seed in range(10):
        assert set(names(merged(repeats(6, seed=seed)))) == {"used"}


def test_the_noise_of_the_average_is_what_it_scatters():
    truth = 2 * spectrum(GRID)
    apart, predicted, chi2 = [], [], []
    for seed in range(30):
        found = merged(repeats(5, seed=seed))
        apart.append(found.mu.numpy() - truth)
        predicted.append(found.noise.numpy())
        chi2.append(float(found.chi2))
    ratio = np.std(apart) / np.sqrt(np.mean(np.square(predicted)))
    assert ratio == pytest.approx(1, abs=0.05)
    assert np.mean(predicted) == pytest.approx(4e-3 / np.sqrt(5), rel=0.05)
    assert np.mean(chi2) == pytest.approx(1, abs=0.1)


def test_a_noisier_scan_weighs_less():
    quiet, loud = repeats(3, sigma=1e-3), repeats(1, sigma=2e-3, seed=9)
    found = merged(quiet + loud)
    assert set(names(found)) == {"used"}
    assert found.noise.mean() == pytest.approx(2e-3 / np.sqrt(3.25), rel=0.1)


@pytest.mark.parametrize("shift", [2.0, -1.0])
def test_a_shifted_scan_is_left_out_and_its_shift_is_told(shift):
    scans = repeats(5)
    scans[2] = scans[2] - 2 * spectrum(GRID) + 2 * spectrum(GRID - shift)
    found = merged(scans)
    assert names(found) == ["used", "used", "shifted", "used", "used"]
    assert found.shift[2] == pytest.approx(shift, rel=0.25)
    assert found.shift[[0, 1, 3, 4]].abs().max() < 0.1


def test_a_small_shift_is_told_and_used():
    scans = repeats(5)
    scans[2] = scans[2] - 2 * spectrum(GRID) + 2 * spectrum(GRID - 0.2)
    found = merged(scans)
    assert set(names(found)) == {"used"}
    assert found.shift[2] == pytest.approx(0.2, abs=0.05)


def test_a_noisy_a_different_and_an_aborted_scan_each_have_their_reason():
    scans = repeats(8)
    axes = [GRID] * 8
    scans[1] = repeats(1, sigma=2e-2, seed=7)[0]
    scans[4] = 2 * spectrum(GRID, amplitude=0.2) + (scans[4] - 2 * spectrum(GRID))
    axes[6], scans[6] = GRID[:400], scans[6][:400]
    found = merged(scans, axes)
    assert names(found) == [
        "used", "noisy", "used", "used", "different", "used", "aborted", "used",
    ]  # fmt: skip
    assert len(found.energy) == len(GRID)
    assert found.distance[6].isnan()


def test_what_drifts_without_harm_is_used_but_counted():
    scans = repeats(4)
    scans[0] = 1.05 * scans[0] + 0.3 + 1e-4 * GRID
    found = merged(scans)
    assert set(names(found)) == {"used"}
    assert found.scale[0] == pytest.approx(1.05, abs=0.01)
    assert found.chi2 > 10
    assert found.chi2_of_noise == pytest.approx(1, abs=0.2)


def test_at_least_two_scans_stay():
    scans = [
        scan - 2 * spectrum(GRID) + 2 * spectrum(GRID - shift)
        for scan, shift in zip(repeats(3), (0, 3, -2), strict=True)
    ]
    assert names(merged(scans)) == ["used", "shifted", "used"]
    assert names(merged(scans[:2])) == ["used", "used"]


def test_a_single_scan_is_its_own_average():
    scan = repeats(1)
    found = merged(scan)
    np.testing.assert_allclose(found.mu, scan[0])
    assert found.chi2.isnan()


def test_scans_of_other_grids_are_put_on_the_first_one():
    fine = np.arange(-90.0, 310.0, 0.37)
    scans = [*repeats(2, sigma=0), 2 * spectrum(fine)]
    found = merged(scans, [GRID, GRID, fine])
    inside = GRID[(GRID >= -90)]
    np.testing.assert_array_equal(found.energy, E0 + inside)
    np.testing.assert_allclose(found.mu, 2 * spectrum(inside), atol=2e-2)


def test_the_order_of_scans_does_not_matter():
    scans = repeats(6)
    scans[2] = scans[2] - 2 * spectrum(GRID) + 2 * spectrum(GRID - 2)
    there, back = merged(scans), merged(scans[::-1])
    torch.testing.assert_close(there.mu, back.mu)
    assert names(there) == names(back)[::-1]


def measured(name: str) -> dict[str, str]:
    """Merge a measured set of repeats; return the reason of every scan not used."""
    entries = json.loads((MEASURED / "manifest.json").read_text())
    entries = [entry for entry in entries if entry.get("set") == name]
    axes, curves = [], []
    for entry in entries:
        raw = (MEASURED / entry["file"]).read_bytes()
        text = (gzip.decompress(raw) if entry["file"].endswith("gz") else raw).decode()
        table = np.loadtxt(text.splitlines(), delimiter=",")
        axes.append(table[:, 0])
        curves.append(table[:, 1])
    energy, valid = stack(axes)
    mu, _ = stack(curves)
    ordered = order(*_finite(energy, valid, mu))
    energy, mu, valid = ordered.energy, ordered.curves[0], ordered.valid
    tabulated = edge_energy_ev(entries[0]["element"], entries[0]["edge"])
    near = torch.full_like(energy[:, 0], tabulated)
    e0 = find_e0(energy, mu, valid, (near - 25, near + 25)).nan_to_num(tabulated)
    glitches = find_glitches(energy, mu, valid, e0=e0)
    valid, energy, mu = mask(~glitches.found, valid, energy, mu)
    found = names(merge(energy, mu, valid, e0))
    ids = [entry["id"].split("/")[-1] for entry in entries]
    return {scan: why for scan, why in zip(ids, found, strict=True) if why != "used"}


def _finite(energy: torch.Tensor, valid: torch.Tensor, mu: torch.Tensor):
    valid, energy, mu = mask(finite(energy, valid, mu), valid, energy, mu)
    return energy, valid, mu


@pytest.mark.measured
def test_which_measured_repeats_are_left_out():
    assert measured("Cr2O3") == {
        "006": "aborted",
        "035": "aborted",
        "007": "shifted",
        "036": "shifted",
    }
    assert measured("Hg_control") == {}
    assert measured("As2O3_rt") == {}
    assert set(measured("bromoadamantane").values()) == {"shifted"}
    assert set(measured("Yb_iron")) == {"Yb_iron_02", "Yb_iron_03"}
