import numpy as np
import pytest
import torch

from xasnn_stream.physics.exafs.fourier import estimate_noise, xftf, xftr
from xasnn_stream.physics.exafs.wavenumber import uniform_grid
from xasnn_stream.physics.settings import BackTransform, Transform

K = uniform_grid(301, 0.05)
HANNING = Transform(kmin=3.0, kmax=12.0, window="hanning")
SHELL_R = 2.5


def wave(distance=SHELL_R, amplitude=1.0):
    """Return χ of one distance, its amplitude falling as k⁻²: k²χ is even."""
    return (amplitude * torch.sin(2 * K * distance) / K.clamp(min=0.5) ** 2).unsqueeze(
        0
    )


def noisy(count=1):
    generator = torch.Generator().manual_seed(0)
    shape = (count, len(K))
    return wave() + 0.01 * torch.randn(shape, generator=generator, dtype=torch.float64)


def larch_group(chi):
    larch = pytest.importorskip("larch")
    return larch.Group(k=K.numpy(), chi=chi.numpy())


def test_a_wave_peaks_at_its_distance_with_half_its_windowed_sum():
    found = xftf(K, wave(), HANNING)
    mag = found.chir_mag[0]
    step = float(found.r[1])
    assert found.r[mag.argmax()].item() == pytest.approx(SHELL_R, abs=step)
    # k²χ is a sine of amplitude one: at its R half of the window's integral over √π.
    expected = 0.5 * found.kwin.sum().item() * 0.05 / np.sqrt(np.pi)
    assert mag.max().item() == pytest.approx(expected, rel=5e-3)


def test_transforms_are_linear():
    together = xftf(K, 2 * wave() - wave(3.1), HANNING).chir
    apart = 2 * xftf(K, wave(), HANNING).chir - xftf(K, wave(3.1), HANNING).chir
    assert torch.allclose(together, apart, atol=1e-14)


def test_a_shell_comes_back_in_q():
    forward = xftf(
        K, wave() + wave(5.0), Transform(kmin=2.0, kmax=14.0, window="hanning")
    )
    back = xftr(forward.r, forward.chir, BackTransform(rmin=1.5, rmax=3.5, dr=0.2))
    inner = (back.q > 4) & (back.q < 12)
    expected = torch.sin(2 * back.q * SHELL_R)
    # What the window in R cuts off the shell's wings is a few per cent.
    assert (back.chiq[0].real - expected)[inner].abs().max() < 0.08


@pytest.mark.parametrize("kweight", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["kaiser", "hanning", "parzen", "welch", "sine"])
def test_forward_and_back_transforms_are_larchs(kweight, name):
    larch = pytest.importorskip("larch.xafs")
    chi, group = noisy(), larch_group(noisy()[0])
    kws = {"kmin": 2.5, "kmax": 13.2, "kweight": kweight, "dk": 1.0, "window": name}
    larch.xftf(group, **kws)
    forward = xftf(K, chi, Transform(**kws))
    scale = np.abs(group.chir).max()
    np.testing.assert_allclose(forward.r.numpy(), group.r, atol=1e-12)
    np.testing.assert_allclose(forward.chir[0].numpy(), group.chir, atol=1e-12 * scale)
    back_kws = {"rmin": 1.2, "rmax": 3.1, "dr": 0.3, "window": name, "rw": 1}
    larch.xftr(group, **back_kws)
    back = xftr(forward.r, forward.chir, BackTransform(**back_kws))
    scale = np.abs(group.chiq).max()
    np.testing.assert_allclose(back.q.numpy(), group.q, atol=1e-12)
    np.testing.assert_allclose(back.chiq[0].numpy(), group.chiq, atol=1e-12 * scale)


def test_defaults_are_larchs():
    larch = pytest.importorskip("larch.xafs")
    group = larch_group(noisy()[0])
    larch.xftf(group)
    larch.xftr(group)
    forward = xftf(K, noisy(), Transform())
    back = xftr(forward.r, forward.chir, BackTransform())
    np.testing.assert_allclose(forward.chir[0].numpy(), group.chir, atol=1e-12)
    np.testing.assert_allclose(back.chiq[0].numpy(), group.chiq, atol=1e-11)


def test_each_row_may_have_its_own_kmax():
    chi = noisy().expand(3, -1)
    ends = torch.tensor([9.0, 11.5, 14.0], dtype=torch.float64)
    together = xftf(K, chi, HANNING, ends)
    for row, end in enumerate(ends.tolist()):
        alone = xftf(K, chi[:1], Transform(kmin=3.0, kmax=end, window="hanning"))
        assert torch.allclose(together.chir[row], alone.chir[0], atol=1e-15)


def test_single_precision_agrees_with_double():
    double = xftf(K, noisy(), Transform()).chir
    single = xftf(K, noisy().float(), Transform()).chir
    assert single.dtype == torch.complex64
    assert (single - double).abs().max() < 3e-6 * double.abs().max()


def test_noise_is_larchs():
    estimate = pytest.importorskip("larch.xafs.estimate_noise")
    group = larch_group(noisy()[0])
    estimate.estimate_noise(group)
    found = estimate_noise(K, noisy())
    assert found.epsilon_k.item() == pytest.approx(group.epsilon_k, rel=1e-10)
    assert found.epsilon_r.item() == pytest.approx(group.epsilon_r, rel=1e-10)
    assert found.kmax_suggest.item() == pytest.approx(group.kmax_suggest, abs=1e-9)


def test_noise_in_r_is_that_put_in():
    # With a window of one and no k-weight, white noise has in χ(R) the same size at
    # every R: kstep/√π·σ·√(n/2) in the real and the imaginary part.
    generator = torch.Generator().manual_seed(1)
    chi = 0.01 * torch.randn((200, len(K)), generator=generator, dtype=torch.float64)
    flat = Transform(kmin=0.0, kmax=15.0, kweight=0, dk=0.1, window="hanning")
    found = estimate_noise(K, chi, settings=flat)
    expected = 0.05 / np.sqrt(np.pi) * 0.01 * np.sqrt(len(K) / 2)
    # 490 components per row, correlated in fives, and 200 rows: one per cent.
    assert found.epsilon_r.mean().item() == pytest.approx(expected, rel=0.02)


def test_rows_that_reach_less_far_are_judged_by_what_they_have():
    larch = pytest.importorskip("larch")
    estimate = pytest.importorskip("larch.xafs.estimate_noise")
    points = 221
    chi = noisy().clone()
    chi[:, points:] = 0.0
    group = larch.Group(k=K[:points].numpy(), chi=chi[0, :points].numpy())
    estimate.estimate_noise(group)
    reached = (torch.arange(len(K)) < points).expand(1, -1)
    found = estimate_noise(K, chi, reached)
    assert found.epsilon_r.item() == pytest.approx(group.epsilon_r, rel=1e-10)
