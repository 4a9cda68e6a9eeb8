"""Pictures of a library: its site spectra, how they differ from bulk, bulk and foil."""

from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.errors import UsageError
from xasnn_stream.libraries.foil_fit import FoilFit
from xasnn_stream.library import Contents, library_of
from xasnn_stream.library.alloys import is_alloy
from xasnn_stream.spectrum import FloatArray

_SEEN_EV = (-12.0, 100.0)
"""Where theory is more than a tail, and what networks see."""


def draw_library(
    contents: Contents, folder: Path, against: FoilFit | None
) -> list[Path]:
    """Draw a library into a folder; return the files.

    Raises
    ------
    UsageError
        If the folder cannot be written.
    """
    x, mu, reference, number, label = _curves(contents)
    stem = contents.path.stem
    figures = {
        f"{stem}-sites.png": _coloured(x, mu, number, label, "µ of every site"),
        f"{stem}-differences.png": _coloured(
            x, mu - reference, number, label, "µ of every site less that of the crystal"
        ),
    }
    if against is not None:
        figures[f"{stem}-foil.png"] = _against(against)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(folder / name, dpi=150)
    except OSError as error:
        raise UsageError(f"--plot {folder}: {error.strerror}") from error
    return [folder / name for name in figures]


def _curves(
    contents: Contents,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, str]:
    """Return x, mu, what is subtracted, the number that colours, and its name."""
    if is_alloy(contents):
        other = contents.field("cn_au")
        mu = contents.field("mu").astype(float)
        gold = other[:, 0].astype(float)
        x = contents.field("x").astype(float)
        return x, mu, mu.mean(0), gold, "gold atoms among the nearest neighbours"
    library = library_of(contents)
    scale = min(library.scales, key=lambda s: abs(s - 1.0))
    rows = library.rows(scale)
    at = np.array(list(rows.values()))
    bulk = rows.get(library.bulk_site)
    reference = library.mu[at].mean(0) if bulk is None else library.mu[bulk]
    label = f"cn1 (lattice scale {scale:g})"
    return library.x, library.mu[at], reference, library.cn[at, 0], label


def _coloured(
    x: FloatArray, curves: FloatArray, number: FloatArray, label: str, title: str
) -> Any:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    seen = (x >= _SEEN_EV[0]) & (x <= _SEEN_EV[1])
    order = np.argsort(-number, kind="stable")
    lines = [np.stack((x[seen], curve[seen]), -1) for curve in curves[order]]
    norm = Normalize(float(number.min()), max(float(number.max()), 1.0))
    colours = colormaps["viridis"](norm(number[order]))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.7))
    axes.autoscale()
    axes.set(xlabel="energy − edge / eV", ylabel="normalized µ", title=title)
    figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label=label)
    return figure


def _against(fit: FoilFit) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(fit.x, fit.measured, color="#0072b2", label=fit.foil)
    axes.plot(fit.x, fit.fitted, "--", color="#d55e00", label="computed crystal")
    axes.plot(fit.x, fit.fitted - fit.measured, color="#999999", label="difference")
    axes.legend()
    axes.set(
        xlabel="energy − tabulated edge / eV",
        ylabel="flattened µ",
        title=f"R = {fit.r_factor:.4f}, rms {fit.rms:.3f}",
    )
    return figure
