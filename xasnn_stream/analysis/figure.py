"""A figure of one result: spectrum over reference, difference, descriptors, verdict."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.analysis.analyze import Result
from xasnn_stream.errors import UsageError
from xasnn_stream.estimate import GRID_CHANNELS, Descriptor
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.wording import heading, with_interval

_SAMPLE, _FOIL, _RANGE = "#0072b2", "#d55e00", "#999999"
"""Told apart with any colour vision (Okabe and Ito); lines differ in style as well."""

_SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH_OF_TEXT = 60
_MEANING = {
    "ok": "ok: within what the model knows",
    "caution": "caution: read the reasons before you use it",
    "outside": "outside: the model does not know such a spectrum",
    "rejected": "rejected: nothing can be read from this scan",
}


def check_target(path: Path) -> None:
    """Refuse a figure that could not be written, before anything is computed.

    Raises
    ------
    UsageError
        If the folder is not there or the suffix is another.
    """
    import matplotlib  # noqa: F401 - told now if it is not installed

    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--plot {path}: the name must end in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: there is no folder {path.parent}")


def draw(result: Result, path: Path) -> None:
    """Draw a result into a file; UsageError if it cannot be written."""
    from matplotlib import rc_context

    try:
        # Names of files and samples are no formulas, and in any script.
        with rc_context({"text.parse_math": False}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure_of(result).savefig(path, dpi=150)
    except OSError as error:
        raise UsageError(
            f"--plot {path} cannot be written: {error.strerror}"
        ) from error


def figure_of(result: Result) -> Any:
    """Return the figure of a result; a rejected scan is shown as measured."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), layout="constrained")
    left, right = _split(figure, 1, 2, width_ratios=(1.55, 1.0))
    figure.suptitle(_title(result), fontsize=12, fontweight="bold")
    if "grid_spectra" in result.estimate.arrays:
        above, below = left.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        _spectrum(above, result)
        _difference(below, result)
    else:
        _measured(left.subplots(), result)
    _right(right, result)
    return figure


def _split(panel: Any, rows: int, columns: int, **ratios: Any) -> Any:
    return panel.subfigures(rows, columns, **ratios)


def _right(panel: Any, result: Result) -> None:
    from xasnn_stream.engine.model import LEVEL

    descriptors = result.estimate.descriptors
    if descriptors:
        top, rows, words = _split(panel, 3, 1, height_ratios=(1.0, 1.1, 0.9))
        _measured(top.subplots(), result, small=True)
        axes = np.atleast_1d(rows.subplots(len(descriptors), 1))
        for axis, (name, found) in zip(axes, descriptors.items(), strict=True):
            _descriptor(axis, name, found, result)
        rows.suptitle(f"estimate and {100 * LEVEL:g} % interval", fontsize=10)
    else:
        words = panel
    axis = words.subplots()
    axis.set_axis_off()
    verdict, reasons = _words(result)
    axis.text(0, 1, verdict, fontweight="bold", fontsize=9, va="top")
    axis.annotate(
        reasons, (0, 1), (0, -18), textcoords="offset points", fontsize=9, va="top"
    )


def _title(result: Result) -> str:
    estimate = result.estimate
    parts = [result.file.name, result.scan, f"{estimate.element} {estimate.edge}"]
    sample = estimate.sample
    if sample and sample not in (result.scan, result.file.name):
        parts.insert(1, sample)
    return " · ".join(part[:40] for part in parts if part)


def _spectrum(axis: Any, result: Result) -> None:
    energy, sample, foil, moved = _aligned(result)
    e0 = result.estimate.quality.e0_ev
    axis.plot(energy, sample, color=_SAMPLE, label="sample")
    if np.isfinite(foil).any():
        label = f"foil: {(result.estimate.provenance.reference or '')[:28]}"
        label += f"\nmoved by {moved:+.1f} eV onto the sample's edge"
        axis.plot(energy, foil, color=_FOIL, dashes=(5, 2), label=label)
    if e0 is not None:
        above = axis.get_xaxis_transform()
        axis.axvline(e0, color=_RANGE, lw=1, ls=":")
        axis.text(
            e0, 1.01, f"e0 = {e0:.1f} eV", ha="center", fontsize=9, transform=above
        )
    axis.set_ylabel("normalized μ(E)")
    axis.legend(loc="center right", frameon=False, fontsize=9)


def _difference(axis: Any, result: Result) -> None:
    energy, sample, foil, _ = _aligned(result)
    axis.axhline(0.0, color=_RANGE, lw=1)
    if np.isfinite(foil).any():
        axis.plot(energy, sample - foil, color=_SAMPLE)
    else:
        text = "no foil given: the model's computed foil was subtracted"
        axis.text(0.5, 0.6, text, ha="center", transform=axis.transAxes, fontsize=9)
        axis.set_ylim(-0.1, 0.1)
    axis.set_ylabel("sample − foil")
    axis.set_xlabel("energy / eV")
    axis.ticklabel_format(useOffset=False)


def _aligned(result: Result) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return energies, sample and foil with the foil's edge on the sample's, and the move.

    The model reads their difference so, with both edges in one place.
    """
    arrays = result.estimate.arrays
    energy = arrays["grid_energy"]
    curves = dict(zip(GRID_CHANNELS, arrays["grid_spectra"], strict=True))
    sample, foil = curves["mu_normalized"], curves["mu_reference"]
    known = np.isfinite(foil)
    if not known.any():
        return energy, sample, foil, 0.0
    at_sample, at_foil = _positions(energy, sample, foil)
    moved = at_sample - at_foil
    if not np.isfinite(moved):
        return energy, sample, foil, 0.0
    shifted = np.interp(
        energy - moved, energy[known], foil[known], left=np.nan, right=np.nan
    )
    return energy, sample, shifted, moved


def _positions(energy: FloatArray, *curves: FloatArray) -> list[float]:
    """Return where the edges of curves on one grid are, in eV; NaN if one has none."""
    # Imported here: `check_target` speaks before torch is loaded.
    from xasnn_stream.physics.align import edge_position
    from xasnn_stream.physics.normalization.edge import find_e0
    from xasnn_stream.physics.ragged import stack

    known = [np.isfinite(curve) for curve in curves]
    energies, valid = stack([energy[finite] for finite in known])
    values, _ = stack([c[finite] for c, finite in zip(curves, known, strict=True)])
    e0 = find_e0(energies, values, valid)
    return edge_position(energies, values, valid, e0).tolist()


def _measured(axis: Any, result: Result, small: bool = False) -> None:
    """Draw μ as measured, with e0 and the ranges the two lines were fitted in."""
    size = 8 if small else 10
    order = np.argsort(result.energy_ev)
    energy, mu = result.energy_ev[order], result.mu[order]
    axis.plot(energy, mu, color=_SAMPLE, lw=1)
    e0, used = result.estimate.quality.e0_ev, result.settings.normalization
    if e0 is not None and np.isfinite(mu).any():
        axis.axvline(e0, color=_RANGE, lw=1, ls=":")
        for low, high in ((used.pre1, used.pre2), (used.norm1, used.norm2)):
            if low is not None and high is not None:
                start, stop = max(e0 + low, energy[0]), min(e0 + high, energy[-1])
                axis.axvspan(start, stop, color=_RANGE, alpha=0.25, lw=0)
    axis.set_xlabel("energy / eV", fontsize=size)
    axis.set_ylabel("μ(E) as measured", fontsize=size)
    axis.tick_params(labelsize=size)
    axis.ticklabel_format(useOffset=False)
    axis.locator_params(axis="x", nbins=4 if small else 8)
    if small and used.pre1 is not None:
        axis.set_title("grey: ranges of the pre- and post-edge lines", fontsize=size)


def _descriptor(axis: Any, name: str, found: Descriptor, result: Result) -> None:
    low, high = found.interval or (found.value, found.value)
    first, last = result.model.domain.get(name, (low, high))
    span = max(last - first, high - low, 1e-6)
    # Values of a spectrum the model does not know are for inspection only.
    color = _RANGE if result.estimate.verdict == "outside" else _SAMPLE
    axis.hlines(0, low, high, color=color, lw=4, alpha=0.5, clip_on=False)
    axis.plot(found.value, 0, "o", color=color, ms=5, clip_on=False)
    axis.set_ylim(-1, 1)
    axis.set_xlim(min(first, low) - 0.04 * span, max(last, high) + 0.04 * span)
    axis.set_yticks([])
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=7, length=2)
    axis.locator_params(axis="x", nbins=5)
    written = result.estimate.document()["descriptors"][name]
    axis.set_title(heading(name, written), loc="left", fontsize=9, pad=2)
    axis.set_title(with_interval(written), loc="right", fontsize=9, pad=2)


def _words(result: Result) -> tuple[str, str]:
    """Return what the verdict means, and the reasons and notes."""
    estimate = result.estimate
    sentences = [reason.text for reason in estimate.reasons] + list(result.notes)
    lines = [textwrap.fill(f"· {text}", _WIDTH_OF_TEXT) for text in sentences]
    return _MEANING[estimate.verdict], "\n".join(lines)
