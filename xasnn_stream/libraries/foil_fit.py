"""What stands between computed spectra and measured ones, fitted on one foil.

measured(x) = (amplitude + slope · max(x, 0) / 100 eV) · B[theory](x / stretch - shift),

x in eV relative to the tabulated edge and B a Voigt profile. Shift, broadening and,
where asked for, stretch are found by damped least squares, amplitude and slope solve a
linear problem at each of their values. Fitted over E0 - 15 … + 100 eV (below, theory is
an extrapolated tail); R = Σ (measured - fitted)² / Σ measured².
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.errors import FoilError, LibraryError
from xasnn_stream.libraries.theory import broadened
from xasnn_stream.spectrum import FloatArray

Theory = Callable[[FloatArray], FloatArray]
"""A computed spectrum: from eV relative to the tabulated edge to μ."""

LOW_EV, HIGH_EV, STEP_EV = -15.0, 100.0, 0.25
_MARGIN_EV = 30.0
_REACH_EV = 12.0
"""How far from where the edges agree the shift is looked for."""
_SCAN_EV = 0.5
_MOST_STEPS = 60
_ENOUGH = 1e-10
_EDGE_EV = 15.0


@dataclass(frozen=True, slots=True)
class Correction:
    """What is done to theory: energies and widths (FWHM) in eV; slope per 100 eV."""

    shift_ev: float
    gaussian_ev: float
    lorentzian_ev: float
    amplitude: float
    slope_per_100ev: float
    stretch: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class FoilFit:
    """Theory against one foil: curves on `x` (`energies`), eV from the tabulated edge.

    `inflection_ev` is the maximum of the measured first derivative, relative to the
    tabulated edge; the fit's shift less this puts x = 0 at the foil's own edge.
    """

    foil: str
    correction: Correction
    r_factor: float
    rms: float
    inflection_ev: float
    x: FloatArray
    measured: FloatArray
    fitted: FloatArray

    def document(self) -> dict[str, Any]:
        """Return the numbers as plain values for JSON."""
        return {
            "foil": self.foil,
            **asdict(self.correction),
            "r_factor": self.r_factor,
            "rms": self.rms,
            "inflection_ev": self.inflection_ev,
            "energy_shift_ev": self.correction.shift_ev - self.inflection_ev,
        }


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFoil:
    """A foil, normalized and flattened: `flat` (`energies`) on `x`, eV from the edge."""

    name: str
    x: FloatArray
    flat: FloatArray


def read_measured(path: str, element: str, edge: str) -> MeasuredFoil:
    """Read, normalize and flatten a foil, every foil over the same ranges.

    Raises
    ------
    FoilError
        If it cannot be read, or does not cover the range that is fitted.
    """
    import torch

    from xasnn_stream.engine.foil import read_foil
    from xasnn_stream.physics.normalization.normalize import normalize
    from xasnn_stream.physics.settings import Normalization

    foil = read_foil(path)
    tabulated = edge_energy_ev(element, edge)
    if tabulated is None:
        raise LibraryError(f"{element} {edge} is no tabulated edge")
    ranges = Normalization(pre1=-150.0, pre2=-30.0, norm1=100.0, norm2=500.0, nnorm=2)
    energy = torch.from_numpy(foil.energy_ev)
    result = normalize(energy, torch.from_numpy(foil.mu)[None], None, ranges)
    e0 = float(result.e0[0])
    if not abs(e0 - tabulated) < _EDGE_EV:
        raise FoilError(
            f"{path} has its edge at {e0:.1f} eV, where {element} {edge} is at "
            f"{tabulated:.1f}; is it this foil?"
        )
    measured = foil.energy_ev - tabulated
    if measured[0] > LOW_EV or measured[-1] < HIGH_EV:
        raise FoilError(
            f"{path} reaches from {measured[0]:.0f} to {measured[-1]:.0f} eV about "
            f"the edge; {LOW_EV:.0f} to {HIGH_EV:.0f} are needed"
        )
    x = np.arange(LOW_EV, HIGH_EV + STEP_EV / 2, STEP_EV)
    return MeasuredFoil(foil.name, x, np.interp(x, measured, result.flat[0].numpy()))


def fit_foil(theory: Theory, foil: MeasuredFoil, with_stretch: bool = False) -> FoilFit:
    """Fit everything to a foil."""
    start = _best_shift(theory, foil)
    nonlinear = np.array([start, 1.0, 1.0, 1.0])
    free = np.array([True, True, True, with_stretch])
    nonlinear = _least_squares(lambda p: _model(theory, foil, p)[1], nonlinear, free)
    return _result(theory, foil, nonlinear)


def check_foil(theory: Theory, foil: MeasuredFoil, fitted: Correction) -> FoilFit:
    """Hold a fitted correction against another foil; only its energy axis is free.

    Energy axes of laboratories differ by 2 eV; everything else keeps its value.
    """
    start = _best_shift(theory, foil)
    widths = (fitted.gaussian_ev, fitted.lorentzian_ev, fitted.stretch)
    scale = _scale(foil.x, fitted.amplitude, fitted.slope_per_100ev)

    def residual(shift: FloatArray) -> FloatArray:
        return _shifted(theory, foil.x, float(shift[0]), *widths) * scale - foil.flat

    shift = _least_squares(residual, np.array([start]), np.array([True]))
    correction = Correction(
        float(shift[0]),
        fitted.gaussian_ev,
        fitted.lorentzian_ev,
        fitted.amplitude,
        fitted.slope_per_100ev,
        fitted.stretch,
    )
    return _against(foil, residual(shift) + foil.flat, correction)


def corrected(theory: Theory, x: FloatArray, correction: Correction) -> FloatArray:
    """Return theory as the foil's laboratory would measure it, on even steps of `x`."""
    spectrum = _shifted(
        theory,
        x,
        correction.shift_ev,
        correction.gaussian_ev,
        correction.lorentzian_ev,
        correction.stretch,
    )
    return spectrum * _scale(x, correction.amplitude, correction.slope_per_100ev)


def _scale(x: FloatArray, amplitude: float, slope: float) -> FloatArray:
    return amplitude + slope * np.clip(x, 0, None) / 100


def _shifted(
    theory: Theory,
    x: FloatArray,
    shift: float,
    gaussian: float,
    lorentzian: float,
    stretch: float,
) -> FloatArray:
    step = float(x[1] - x[0])
    more = np.arange(1, round(_MARGIN_EV / step) + 1) * step
    wide = np.concatenate((x[0] - more[::-1], x, x[-1] + more))
    spectrum = broadened(theory(wide / stretch - shift), step, gaussian, lorentzian)
    return spectrum[len(more) : len(more) + len(x)]


def _model(
    theory: Theory, foil: MeasuredFoil, nonlinear: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return amplitude and slope that fit best, and the residual that is left."""
    shift, gaussian, lorentzian, stretch = nonlinear
    spectrum = _shifted(theory, foil.x, shift, abs(gaussian), abs(lorentzian), stretch)
    design = np.stack((spectrum, spectrum * np.clip(foil.x, 0, None) / 100), -1)
    linear, *_ = np.linalg.lstsq(design, foil.flat)
    return np.asarray(linear, float), np.asarray(design @ linear - foil.flat, float)


def _best_shift(theory: Theory, foil: MeasuredFoil) -> float:
    """Return the shift of least residual among even steps about where edges agree."""
    wide = np.arange(-80.0, 120.0, STEP_EV)
    start = _rise(foil.x, foil.flat) - _rise(wide, theory(wide))
    shifts = start + np.arange(-_REACH_EV, _REACH_EV + _SCAN_EV / 2, _SCAN_EV)
    left = [
        np.square(_model(theory, foil, np.array([s, 1.0, 1.0, 1.0]))[1]).sum()
        for s in shifts
    ]
    return float(shifts[int(np.argmin(left))])


def _rise(x: FloatArray, mu: FloatArray) -> float:
    """Return where a spectrum first reaches half of its mean value above the edge."""
    half = np.median(mu[-len(mu) // 4 :]) / 2
    return float(x[int(np.argmax(mu > half))])


def _least_squares(
    residual: Callable[[FloatArray], FloatArray], start: FloatArray, free: Any
) -> FloatArray:
    """Levenberg–Marquardt over the free parameters with a numerical Jacobian."""
    at, left = start.copy(), residual(start)
    damping, index = 1e-3, np.flatnonzero(free)
    for _ in range(_MOST_STEPS):
        columns = []
        for i in index:
            moved = at.copy()
            moved[i] += 1e-4
            columns.append((residual(moved) - left) / 1e-4)
        jacobian = np.stack(columns, -1)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ left
        trial = at.copy()
        ridge = damping * np.diag(np.diag(normal) + 1e-12)
        trial[index] -= np.linalg.solve(normal + ridge, gradient)
        after = residual(trial)
        gained = left @ left - after @ after
        if gained > 0:
            at, left, damping = trial, after, damping / 5
            if gained < _ENOUGH * (left @ left):
                break
        else:
            damping *= 5
            if damping > 1e12:
                break
    return at


def _result(theory: Theory, foil: MeasuredFoil, nonlinear: FloatArray) -> FoilFit:
    (amplitude, slope), left = _model(theory, foil, nonlinear)
    shift, gaussian, lorentzian, stretch = (float(value) for value in nonlinear)
    correction = Correction(
        shift, abs(gaussian), abs(lorentzian), float(amplitude), float(slope), stretch
    )
    return _against(foil, left + foil.flat, correction)


def _against(foil: MeasuredFoil, fitted: FloatArray, correction: Correction) -> FoilFit:
    left = fitted - foil.flat
    return FoilFit(
        foil=foil.name,
        correction=correction,
        r_factor=float(left @ left / (foil.flat @ foil.flat)),
        rms=float(np.sqrt(np.mean(left**2))),
        inflection_ev=float(foil.x[int(np.argmax(np.gradient(foil.flat, foil.x)))]),
        x=foil.x,
        measured=foil.flat,
        fitted=fitted,
    )
