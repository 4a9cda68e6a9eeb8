"""What is known about a denoiser on a set of spectra."""

from dataclasses import dataclass

XANES_EV = 40.0
"""Above e0; beyond is EXAFS."""
WHITE_LINE_WITHIN_EV = 25.0
"""Above e0; the highest point up to here is the white line."""


@dataclass(frozen=True, slots=True)
class Score:
    """A denoiser on one set; NaN where the set cannot tell.

    RMSE is in edge steps; gains are 10 lg (mean squared error before / after), over all
    points, over those up to 40 eV above e0 and over those beyond. Biases are means over
    the spectra with their standard errors: of the white line in standard deviations of
    a point's noise, of e0 in eV, of the edge step relative. `correlation` is the largest
    of the mean autocorrelations of what was taken away, lags 1 to 10; `white` the share
    of spectra whose Ljung-Box test (10 lags) does not refute white noise at 1 %.
    """

    set: str
    method: str
    spectra: int
    noise: float
    rmse: float
    gain_db: float
    gain_xanes_db: float
    gain_exafs_db: float
    white_line: tuple[float, float]
    e0_ev: tuple[float, float]
    edge_step: tuple[float, float]
    correlation: float
    white: float


@dataclass(frozen=True, slots=True)
class Hallucination:
    """A denoiser on edges without fine structure, in noise.

    Of the highest |k² χ(k)| and of the highest |χ(R)| that noise makes, the 95th
    percentile of spectra, relative to that of the same spectra undenoised: what is
    below one was not invented. `bare` is the highest |χ(R)| of the edge without any
    noise, denoised, on the same scale.
    """

    method: str
    spectra: int
    chi_k: float
    chi_r: float
    bare: float
