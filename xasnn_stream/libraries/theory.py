"""Computed spectra on other energies: interpolation, tail, broadening; numpy alone."""

import numpy as np

from xasnn_stream.errors import LibraryError
from xasnn_stream.library import Contents, library_of
from xasnn_stream.library.alloys import is_alloy
from xasnn_stream.spectrum import FloatArray

GAUSSIAN_FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))


def monotone(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """Interpolate without overshoot: piecewise cubic Hermite (Fritsch, Butland 1984).

    `x` (`points`) ascends, `y` is `... x points`, `at` (`energies`) within `x`; the
    slopes are weighted harmonic means of the neighbouring secants, as in SciPy's
    `PchipInterpolator`.
    """
    width = np.diff(x)
    secant = np.diff(y) / width
    slope = np.zeros_like(y)
    before, after = secant[..., :-1], secant[..., 1:]
    w1, w2 = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    same = before * after > 0
    safe_before, safe_after = np.where(same, before, 1.0), np.where(same, after, 1.0)
    mean = (w1 + w2) / (w1 / safe_before + w2 / safe_after)
    slope[..., 1:-1] = np.where(same, mean, 0.0)
    slope[..., 0] = _end(width[0], width[1], secant[..., 0], secant[..., 1])
    slope[..., -1] = _end(width[-1], width[-2], secant[..., -1], secant[..., -2])
    left = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(width) - 1)
    h, t = width[left], (at - x[left]) / width[left]
    return (
        (1 + 2 * t) * (1 - t) ** 2 * y[..., left]
        + t * (1 - t) ** 2 * h * slope[..., left]
        + t**2 * (3 - 2 * t) * y[..., left + 1]
        + t**2 * (t - 1) * h * slope[..., left + 1]
    )


def _end(
    width: float, next_width: float, secant: FloatArray, next_secant: FloatArray
) -> FloatArray:
    """One-sided three-point slope, kept to the sign and three times the secant."""
    slope = (2 * width + next_width) * secant - width * next_secant
    slope = slope / (width + next_width)
    slope = np.where(np.sign(slope) != np.sign(secant), 0.0, slope)
    turning = np.sign(secant) != np.sign(next_secant)
    steep = np.abs(slope) > 3 * np.abs(secant)
    return np.where(turning & steep, 3 * secant, slope)


def on_energies(
    energy: FloatArray, mu: FloatArray, fermi: float, at: FloatArray
) -> FloatArray:
    """Return spectra (`... x points` on `energy`) at other energies, `... x energies`.

    Below what was computed, the tail of a Lorentzian edge at `fermi`: μ falls with
    1/(fermi - energy). Above, the last value continues.
    """
    inside = monotone(energy, mu, np.clip(at, energy[0], energy[-1]))
    tail = (fermi - energy[0]) / np.where(at < energy[0], fermi - at, 1.0)
    return np.where(at < energy[0], mu[..., :1] * tail, inside)


def broadened(
    mu: FloatArray, step: float, gaussian_ev: float, lorentzian_ev: float
) -> FloatArray:
    """Convolve a spectrum (`energies`, every `step` eV) with a Voigt profile.

    Its Fourier transform times exp(-2π²σ²f² - π|f|Γ), full widths at half maximum given;
    a straight line between the ends is taken off before and added again.
    """
    count = len(mu)
    padded = np.concatenate((np.full(count, mu[0]), mu, np.full(count, mu[-1])))
    line = np.linspace(padded[0], padded[-1], len(padded))
    frequency = np.fft.rfftfreq(len(padded), step)
    sigma = gaussian_ev / GAUSSIAN_FWHM_PER_SIGMA
    damping = 2 * (np.pi * sigma * frequency) ** 2 + np.pi * frequency * lorentzian_ev
    smooth = np.fft.irfft(np.fft.rfft(padded - line) * np.exp(-damping), len(padded))
    return (smooth + line)[count : 2 * count]


def bulk(contents: Contents, at: FloatArray) -> FloatArray:
    """Return the computed spectrum of the crystal as the program gave it.

    Parameters
    ----------
    at
        Energies as computed, in eV relative to the tabulated edge, `energies`.

    Raises
    ------
    LibraryError
        If there is no pure crystal in it, or a field is missing.
    """
    if is_alloy(contents):
        raise LibraryError(
            f"{contents.path} holds sites of alloys: no pure crystal to hold against a foil"
        )
    library = library_of(contents)
    scales = [s for s in library.scales if library.bulk_site in library.rows(s)]
    if not scales:
        raise LibraryError(f"{contents.path} has no row of the crystal's own site")
    scale = min(scales, key=lambda s: abs(s - 1.0))
    tabulated = float(contents.index["calibration"][library.element]["E0_tabulated"])

    def raw(name: str) -> FloatArray:
        return contents.numbers(contents.raw(name, scale))

    offset = float(raw("Eabs_offset")) - tabulated
    keys = contents.field(contents.raw("key", scale)).astype(str).tolist()
    mu = raw("mu")[keys.index(library.bulk_site)]
    return on_energies(raw("e") + offset, mu, float(raw("fermi")) + offset, at)
