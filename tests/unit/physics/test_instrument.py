import math

import numpy as np
import pytest
import torch

from xasnn_stream.physics.instrument import broaden, damp, distort_energy, resample

X = torch.arange(-25.0, 120.5, 0.5, dtype=torch.float64)


def tensor(*values):
    """Return one value as a scalar, several as a vector."""
    return torch.tensor(values, dtype=torch.float64).squeeze()


def peak(centre=40.0, sigma=4.0):
    return torch.exp(-0.5 * ((X - centre) / sigma) ** 2)


def moments(mu):
    area = mu.sum()
    centre = (mu * X).sum() / area
    return area.item(), centre.item(), ((mu * (X - centre) ** 2).sum() / area).item()


def test_broadening_keeps_area_and_centre_and_adds_widths_in_quadrature():
    area, centre, variance = moments(peak())
    fwhm = tensor(3.0)
    wide = broaden(peak(), X, fwhm)
    sigma2 = (3.0 / (2 * math.sqrt(2 * math.log(2)))) ** 2
    # The product of two Gaussians' transforms is exact on a grid this fine.
    assert moments(wide) == pytest.approx((area, centre, variance + sigma2), rel=1e-6)


def test_broadening_twice_is_broadening_by_both():
    once = broaden(broaden(peak(), X, tensor(3.0)), X, tensor(4.0))
    torch.testing.assert_close(once, broaden(peak(), X, tensor(5.0)), rtol=0, atol=1e-9)


def test_broadening_leaves_lines_and_no_width_leaves_everything():
    line = 0.3 + 0.01 * X
    inner = slice(20, -20)  # 10 eV from the ends, eight standard deviations
    torch.testing.assert_close(
        broaden(line, X, tensor(3.0))[inner], line[inner], rtol=0, atol=2e-4
    )
    torch.testing.assert_close(
        broaden(peak(), X, tensor(0.0)), peak(), rtol=0, atol=1e-12
    )


def test_broadening_spectra_together_is_broadening_each():
    both = torch.stack((peak(), peak(60.0)))
    widths = tensor(1.0, 3.0)
    together = broaden(both, X, widths)
    for row in range(2):
        torch.testing.assert_close(
            together[row], broaden(both[row], X, widths[row]), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize(("shift", "stretch"), [(0.6, 1.0), (0.0, 1.05), (-0.4, 1.03)])
def test_a_peak_moves_to_stretch_times_x_plus_shift(shift, stretch):
    moved = distort_energy(peak(), X, tensor(shift), tensor(stretch))
    _, centre, variance = moments(moved)
    assert centre == pytest.approx(stretch * 40.0 + shift, abs=1e-3)
    assert variance == pytest.approx((4.0 * stretch) ** 2, rel=1e-3)


def test_no_distortion_is_the_identity():
    same = distort_energy(peak(), X, tensor(0.0), tensor(1.0))
    torch.testing.assert_close(same, peak(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_resampling_reproduces_quadratics_inside(degree):
    at = tensor(*np.random.default_rng(0).uniform(-20, 110, 300))
    got = resample((X / 50) ** degree, X, at)
    torch.testing.assert_close(got, (at / 50) ** degree, rtol=0, atol=1e-12)


def test_resampling_misses_a_cubic_by_third_order():
    at = tensor(*np.random.default_rng(0).uniform(-20, 110, 300))
    missed = (resample((X / 50) ** 3, X, at) - (at / 50) ** 3).abs().max()
    # Keys' kernel errs by |t(1-t)(1-2t)|/2·h³·f‴/3 ≤ 0.1·h³ with f‴/6 = 50⁻³.
    assert missed < 0.1 * (0.5 / 50) ** 3


def test_beyond_the_grid_the_end_values_continue():
    got = resample(0.1 * X, X, tensor(-400.0, -25.0, 120.0, 300.0))
    torch.testing.assert_close(got, tensor(-2.5, -2.5, 12.0, 12.0))


def test_damping_is_the_debye_waller_factor_about_the_atom():
    atomic = 1 + 0.001 * X.clamp(min=0)
    chi = 0.1 * torch.sin(X / 5)
    sigma2 = 0.003
    damped = damp(atomic + chi, X, atomic, tensor(sigma2))
    # k² = E / 3.81: at 100 eV 26.2 Å⁻², exp(-2·26.2·0.003) = 0.854.
    index = int((X == 100).nonzero())
    ratio = ((damped - atomic) / chi)[index].item()
    assert ratio == pytest.approx(math.exp(-2 * 100 / 3.80998212 * sigma2), rel=1e-9)
    assert ratio == pytest.approx(0.854, abs=0.001)
    below = X <= 0
    torch.testing.assert_close(damped[below], (atomic + chi)[below])


def test_damping_leaves_an_atom_alone():
    atomic = 1 + 0.001 * X
    torch.testing.assert_close(damp(atomic, X, atomic, tensor(0.01)), atomic)
