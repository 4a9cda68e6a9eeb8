from dataclasses import replace

import numpy as np
import pytest
import torch

from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.exafs.fourier import xftf
from xasnn_stream.physics.exafs.wavenumber import above_edge_ev, wavenumber
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Background, Transform

E0 = 8979.0
STEP = 1.4
SHELL_R, AMPLITUDE, SIGMA2 = 2.6, 3.0, 0.006
SETTINGS = Background(kweight=2)
EVERY_SETTING = (
    Background(), SETTINGS, Background(kweight=0), Background(kweight=3, clamp_lo=1.0),
    Background(rbkg=1.4, kmax=11.0, kmin=0.5), Background(nclamp=0, win="kaiser", dk=2.0),
    Background(nknots=9, kstep=0.04),
)  # fmt: skip


def shell(k):
    """Return χ(k) of one shell without phase shifts."""
    decay = np.exp(-2 * SIGMA2 * k**2) / np.maximum(k, 0.5)
    return AMPLITUDE / SHELL_R**2 * decay * np.sin(2 * k * SHELL_R)


def axis(e0=E0, kmax=14.0, step_k=0.05, before=-150.0):
    near = np.arange(before, 20.0, 1.0)
    k = np.arange(2.35, kmax, step_k)
    return e0 + np.r_[near, above_edge_ev(torch.tensor(k)).numpy()]


def spectrum(energy, e0=E0, step=STEP):
    """Return μ: a smooth background under a shell, the edge a step at e0."""
    relative = energy - e0
    k = wavenumber(torch.tensor(relative)).numpy().clip(min=0)
    smooth = 1 - 2e-4 * relative + 0.02 * np.sin(relative / 180.0)
    above = step * (smooth + shell(k) * np.minimum(k / 2, 1))
    return 0.3 - 1e-4 * relative + np.where(relative >= 0, above, 0.0)


def batch(*rows, e0=E0, step=STEP):
    energy, valid = stack([row[0] for row in rows])
    mu, _ = stack([row[1] for row in rows])
    at = torch.full((len(rows),), e0, dtype=torch.float64)
    return energy, mu, valid, at, torch.full_like(at, step)


def two():
    """Return two scans of different grids and lengths."""
    short, long = axis(kmax=11.7, step_k=0.07), axis()
    return batch((short, spectrum(short)), (long, spectrum(long)))


def noisy(count, seed=0):
    """Return one grid and spectra on it that differ by noise."""
    generator = torch.Generator().manual_seed(seed)
    energy = torch.tensor(axis())
    shape = (count, len(energy))
    noise = 2e-3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    mu = torch.tensor(spectrum(energy.numpy())) + noise
    at = torch.full((count,), E0, dtype=torch.float64)
    return energy, mu, at, torch.linspace(0.8, 2.0, count, dtype=torch.float64)


def singly(energy, mu, e0, step, settings, kmax=None):
    """Return the result of rows that know nothing of a common grid."""
    every = torch.ones_like(mu, dtype=torch.bool)
    return autobk(energy.expand(len(mu), -1), mu, every, e0, step, settings, kmax)


def test_the_fine_structure_of_a_shell_is_recovered():
    found = autobk(*two(), SETTINGS)
    for row in range(2):
        k, chi = found.k.numpy(), found.chi[row].numpy()
        inner = (k > 3) & (k < found.kmax[row].item() - 1)
        weighted, expected = k**2 * chi, k**2 * shell(k)
        # The spline takes what a shell has below rbkg, a few per cent of its peak.
        error = np.abs(weighted - expected)[inner].max()
        assert error < 0.04 * np.abs(expected).max()


def test_a_shell_peaks_in_r_where_it_is_with_its_amplitude():
    found = autobk(*two(), SETTINGS)
    transform = Transform(kmin=3.0, kmax=10.5, window="hanning")
    transformed = xftf(found.k, found.chi, transform)
    truth = xftf(found.k, torch.tensor(shell(found.k.numpy())).unsqueeze(0), transform)
    mag, expected = transformed.chir_mag, truth.chir_mag[0]
    spacing = float(transformed.r[1])
    for row in range(2):
        place = float(transformed.r[mag[row].argmax()])
        assert place == pytest.approx(SHELL_R, abs=1.5 * spacing)
        assert float(mag[row].max()) == pytest.approx(float(expected.max()), rel=0.02)


def test_components_below_rbkg_are_taken():
    energy, mu, at, step = noisy(1)
    settings = Background(nclamp=0)
    found = autobk(energy, mu, None, at, step, settings)
    transform = Transform(kmin=0.0, kmax=float(found.kmax), kweight=1, dk=0.1,
                          window="hanning")  # fmt: skip
    mag = xftf(found.k, found.chi, transform).chir_mag[0]
    below = mag[: int(0.7 / 0.0307)].max()
    assert below < 0.03 * mag.max()


@pytest.mark.parametrize("settings", EVERY_SETTING, ids=repr)
def test_a_common_grid_gives_what_rows_give(settings):
    energy, mu, at, step = noisy(24)
    at[::3] = energy[energy > E0][0]
    mu[4, 3] = torch.nan
    limit = torch.tensor([torch.nan, 9.0, 0.0] * 8, dtype=torch.float64)
    for kmax in (None, limit):
        common = autobk(energy, mu, None, at, step, settings, kmax)
        rows = singly(energy, mu, at, step, settings, kmax)
        assert (common.chi - rows.chi).abs().max() < 1e-9
        assert torch.equal(common.reached, rows.reached)
        assert torch.equal(common.kmax, rows.kmax)
        assert (common.bkg - rows.bkg).nan_to_num().abs().max() < 1e-9


def test_few_rows_of_a_grid_seen_for_the_first_time_give_the_same():
    energy, mu, at, step = noisy(20)
    energy = energy + 0.37
    few = autobk(energy, mu[:2], None, at[:2] + 0.37, step[:2], SETTINGS)
    many = autobk(energy, mu, None, at + 0.37, step, SETTINGS)
    assert (few.chi - many.chi[:2]).abs().max() < 1e-9


def test_rows_of_a_batch_do_not_touch_each_other():
    energy, mu, valid, e0, step = two()
    together = autobk(energy, mu, valid, e0, step, SETTINGS)
    alone = autobk(
        energy[:1, : int(valid[0].sum())], mu[:1, : int(valid[0].sum())],
        valid[:1, : int(valid[0].sum())], e0[:1], step[:1], SETTINGS,
    )  # fmt: skip
    count = alone.chi.shape[-1]
    assert torch.allclose(together.chi[0, :count], alone.chi[0], atol=1e-12)
    assert together.chi[0, count:].abs().sum() == 0
    assert not together.reached[0, count:].any()
    mu[1, 200] = torch.nan
    spoiled = autobk(energy, mu, valid, e0, step, SETTINGS)
    assert spoiled.chi[1].isnan().any()
    assert torch.equal(spoiled.chi[0], together.chi[0])


@pytest.mark.parametrize("batch", [6, 20, 40])
def test_order_of_rows_does_not_matter(batch):
    energy, mu, at, step = noisy(batch)
    at[::2] = energy[energy > E0][2]
    order = torch.randperm(batch, generator=torch.Generator().manual_seed(1))
    # No other test has had matrices made for these.
    settings = Background(rbkg=1.0 + batch / 1000)
    straight = autobk(energy, mu, None, at, step, settings)
    mixed = autobk(energy, mu[order], None, at[order], step[order], settings)
    rows = energy.expand(batch, -1)
    ragged = autobk(rows, mu, None, at, step, settings)
    assert torch.allclose(ragged.chi, straight.chi, atol=1e-9)
    # A second call may have seen rows enough of a grid to build its matrix.
    assert torch.allclose(mixed.chi, straight.chi[order], atol=1e-9)


@pytest.mark.parametrize("settings", [SETTINGS, Background(clamp_lo=1.0, kweight=3)])
@pytest.mark.parametrize("common", [True, False])
def test_chi_depends_neither_on_units_nor_offset_nor_line_energy(settings, common):
    energy, mu, at, step = noisy(20)

    def chi(shift=0.0, scale=1.0, offset=0.0):
        values = scale * mu + offset, at + shift, scale * step
        if common:
            return autobk(energy + shift, values[0], None, *values[1:], settings).chi
        return singly(energy + shift, *values, settings).chi

    expected = chi()
    assert (chi(scale=1000.0) - expected).abs().max() < 1e-8
    assert (chi(scale=-0.01) - expected).abs().max() < 1e-8
    assert (chi(offset=5.0) - expected).abs().max() < 1e-8
    # Energies of 9 keV hold 2e-12 eV, k near e0 the square root of what is lost.
    assert (chi(shift=250.0) - expected).abs().max() < 1e-6


def test_single_precision_agrees_with_double():
    energy, mu, at, step = noisy(20)
    double = autobk(energy, mu, None, at, step, SETTINGS)
    single = autobk(energy, mu.float(), None, at, step.float(), SETTINGS)
    rows = singly(energy, mu.float(), at, step.float(), SETTINGS)
    peak = (double.chi * double.k**2).abs().max()
    for found in (single, rows):
        assert found.chi.dtype == found.bkg.dtype == torch.float32
        # Rounding of μ to 6e-8 grows by k² to 196.
        assert ((found.chi - double.chi) * double.k**2).abs().max() < 3e-4 * peak


def test_the_background_is_mu_where_no_spline_is():
    energy, mu, valid, e0, step = two()
    found = autobk(energy, mu, valid, e0, step, replace(SETTINGS, kmax=10.0))
    relative = energy - e0.unsqueeze(-1)
    outside = (relative < 0) | (relative > float(above_edge_ev(torch.tensor(10.2))))
    assert torch.equal(found.bkg[outside], mu[outside])
    inner = (relative > 30) & (relative < 350)
    chi = ((mu - found.bkg) / step.unsqueeze(-1))[inner]
    expected = shell(wavenumber(relative[inner]).numpy())
    np.testing.assert_allclose(
        chi.numpy(), expected, atol=0.04 * np.abs(expected).max()
    )


def test_chi_ends_before_a_limit_of_its_own():
    energy, mu, valid, e0, step = two()
    limit = torch.tensor([torch.nan, 8.0], dtype=torch.float64)
    found = autobk(energy, mu, valid, e0, step, SETTINGS, limit)
    expected = autobk(energy, mu, valid, e0, step, replace(SETTINGS, kmax=8.0))
    assert found.kmax[1].item() == 8.0
    assert found.k[found.reached[1]].max().item() == pytest.approx(8.0)
    assert torch.equal(
        found.chi[1, found.reached[1]], expected.chi[1, expected.reached[1]]
    )
    assert found.kmax[0].item() == pytest.approx(11.7, abs=0.08)


@pytest.mark.parametrize("common", [True, False])
def test_a_scan_too_short_for_its_knots_has_no_chi(common):
    energy = E0 + np.r_[np.arange(-100.0, 0.0, 5.0), 0.0, 2.0, 4.0, 400.0]
    good = axis()
    rows = [(energy, spectrum(energy)), (good, spectrum(good))]
    if common:
        axis_, mu = torch.tensor(energy), torch.tensor(rows[0][1]).expand(20, -1)
        at = torch.full((20,), E0, dtype=torch.float64)
        found = autobk(axis_, mu, None, at, torch.ones_like(at), SETTINGS)
    else:
        found = autobk(*batch(*rows), SETTINGS)
        assert found.reached[1].any()
        assert found.chi[1].isfinite().all()
    assert found.chi[0].isnan().all()
    assert not found.reached[0].any()
    assert found.kmax[0].isnan()
    assert torch.allclose(found.bkg[0, : len(energy)], torch.tensor(rows[0][1]))


def test_more_knots_than_components_are_still_solved():
    energy, mu, at, step = noisy(20)
    transform = Transform(kmin=0.0, kmax=14.0, dk=0.1, window="hanning")

    def left_below(found):
        mag = xftf(found.k, found.chi, transform).chir_mag
        return mag[:, : int(0.9 / 0.0307)].square().sum()

    few = left_below(autobk(energy, mu, None, at, step, SETTINGS))
    many = replace(SETTINGS, nknots=25)
    assert left_below(autobk(energy, mu, None, at, step, many)) < few
    assert left_below(singly(energy, mu, at, step, many)) < few


def test_a_row_without_e0_has_no_chi():
    energy, mu, at, step = noisy(20)
    at[3] = torch.nan
    common = autobk(energy, mu, None, at, step, SETTINGS)
    rows = singly(energy, mu, at, step, SETTINGS)
    for found in (common, rows):
        assert found.chi[3].isnan().all()
        assert found.kmax[3].isnan()
        assert found.chi[:3].isfinite().all()


def test_an_e0_between_points_is_taken():
    energy, mu, at, step = noisy(20)
    between = autobk(energy, mu, None, at + 0.4, step, SETTINGS)
    beside = autobk(energy, mu, None, at, step, SETTINGS)
    assert between.chi.isfinite().all()
    # k moves by 0.05/k: the wave by its slope, 2R times that.
    moved = (
        (between.chi - beside.chi[:, : between.chi.shape[1]])[:, 100:260].abs().max()
    )
    assert 0 < moved < 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives():
    energy, mu, at, step = noisy(20)
    everywhere = autobk(energy, mu, None, at, step, SETTINGS)
    moved = [part.to("cuda") for part in (energy, mu, at, step)]
    common = autobk(moved[0], moved[1], None, *moved[2:], SETTINGS)
    rows = singly(*moved, SETTINGS)
    for found in (common, rows):
        assert (found.chi.cpu() - everywhere.chi).abs().max() < 1e-9
