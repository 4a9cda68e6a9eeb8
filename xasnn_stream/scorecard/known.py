"""Denoisers on noisy copies of spectra that are known."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.edges import edge_energy_ev, edge_window
from xasnn_stream.library import form, read_library
from xasnn_stream.physics.denoise.denoiser import Denoiser
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.scorecard.curve import Curve, read_curves
from xasnn_stream.scorecard.measures import decibels, mean_and_error, whiteness
from xasnn_stream.scorecard.score import WHITE_LINE_WITHIN_EV, XANES_EV, Score

MEASURED = (
    "Cu_K_13IDE2016",
    "Pt_L3_13IDC2001",
    "Au_L3_13IDE2016",
    "Fe_K_13BM2002",
    "Ni_K_13IDC2001_1",
    "Co_K_13IDC2001",
    "Fe2O3_rt_01",
    "BMM_Ni-K-NickelOxide",
    "BMM_Pt-L3-PlatinumChloride",
)
"""Files whose own noise is an order of magnitude below what is added to them."""

COMPUTED = ("ico55", "to38", "bulk")
"""Particles of the shipped library."""

_SEED = 20
_BELOW_EV = 100.0
"""Computed spectra begin 25 eV below the edge; a line continues them to here."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A spectrum without noise: `energy` (eV) and `mu`, `(points,)`; e0 and edge step."""

    name: str
    energy: Tensor
    mu: Tensor
    e0: float
    window: tuple[float, float]
    edge_step: float


def read_known(spectra: Path | None, library: Path) -> list[Known]:
    """Return the measured spectra there are in a folder, and computed ones.

    Raises
    ------
    FileError, LibraryError
        If a file that is there cannot be read.
    """
    curves = [
        curve
        for name in MEASURED
        if spectra is not None and (path := spectra / f"{name}.csv").is_file()
        for curve in read_curves(path)
    ]
    return [_known(curve) for curve in [*curves, *_computed(library)]]


def _computed(path: Path) -> list[Curve]:
    library = read_library(path)
    tabulated = edge_energy_ev(library.element, library.edge) or 0.0
    step = float(np.diff(library.x).mean())
    below = np.arange(-_BELOW_EV, library.x[0] - step / 2, step)
    energy = tabulated + np.concatenate((below, library.x))
    curves: list[Curve] = []
    for name in COMPUTED:
        rows = library.complete(1.0)
        if name in rows:
            mu = form(library, name).mu
            whole = np.concatenate((np.full(len(below), mu[0]), mu))
            title = f"{library.element} {name}, computed"
            curves.append(Curve(title, energy, whole, edge_window(tabulated)))
    return curves


def _known(curve: Curve) -> Known:
    order = np.argsort(curve.energy, kind="stable")
    energy = torch.tensor(curve.energy[order])
    mu = torch.tensor(curve.mu[order])
    known = Known(curve.name, energy, mu, 0.0, curve.window, 0.0)
    e0 = _e0(known, mu.unsqueeze(0))
    step = normalize(energy, mu.unsqueeze(0), None, Normalization(), e0).edge_step
    return replace(known, e0=float(e0), edge_step=float(step))


def _e0(known: Known, mu: Tensor) -> Tensor:
    low, high = (torch.full_like(mu[:, 0], end) for end in known.window)
    return find_e0(known.energy, mu, None, (low, high))


def score_known(
    spectra: list[Known], noise: float, copies: int, name: str, denoiser: Denoiser
) -> Score:
    """Score a denoiser on noisy copies, `noise` in edge steps.

    Gains are means over the spectra. So is the white line's bias but without its sign,
    for spectra of opposite bias shall not cancel; of the biases of e0, relative to that
    of the noisy copy, and of the edge step the largest is given.
    """
    found = [
        _score_one(each, noise, copies, denoiser, _SEED + number)
        for number, each in enumerate(spectra)
    ]

    def mean(field: str) -> float:
        return float(np.mean([getattr(score, field) for score in found]))

    def worst(field: str) -> tuple[float, float]:
        pairs = [getattr(score, field) for score in found]
        return max(pairs, key=lambda pair: abs(pair[0]))

    return Score(
        set=f"{len(spectra)} known, {noise:.1%} noise",
        method=name,
        spectra=sum(score.spectra for score in found),
        noise=mean("noise"),
        rmse=mean("rmse"),
        gain_db=mean("gain_db"),
        gain_xanes_db=mean("gain_xanes_db"),
        gain_exafs_db=float(np.nanmean([score.gain_exafs_db for score in found])),
        white_line=_pooled([score.white_line for score in found]),
        e0_ev=worst("e0_ev"),
        edge_step=worst("edge_step"),
        correlation=mean("correlation"),
        white=mean("white"),
    )


def _pooled(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean size over spectra, and its standard error from those of each."""
    values, errors = np.array(pairs).T
    return float(abs(values).mean()), float(np.sqrt((errors**2).sum()) / len(pairs))


def _score_one(
    known: Known, noise: float, copies: int, denoiser: Denoiser, seed: int
) -> Score:
    generator = torch.Generator().manual_seed(seed)
    sigma = noise * abs(known.edge_step)
    half = sigma * torch.randn(
        copies // 2, known.mu.numel(), generator=generator, dtype=torch.float64
    )
    # With each noise its negative: what is linear in noise cancels in a bias.
    added = torch.cat((half, -half))
    noisy = known.mu + added
    e0 = _e0(known, noisy)
    level = torch.full_like(e0, sigma)
    smooth = denoiser(known.energy, noisy, None, level, e0).mu
    before = (added / known.edge_step).square()
    after = ((smooth - known.mu) / known.edge_step).square()
    relative = known.energy - known.e0
    xanes = relative < XANES_EV
    everywhere = torch.ones_like(xanes)
    gains = [
        decibels(before[:, part].mean(), after[:, part].mean())
        for part in (everywhere, xanes, ~xanes)
    ]
    inside = (relative > 0) & (relative < WHITE_LINE_WITHIN_EV)
    at = int(known.mu.masked_fill(~inside, -torch.inf).argmax())
    moved = (smooth - known.mu)[:, at] / sigma
    truth = torch.full_like(e0, known.e0)
    step = normalize(known.energy, smooth, None, Normalization(), truth).edge_step
    correlation, white = whiteness(noisy - smooth, torch.full_like(noisy, sigma))
    pairs = 0.5 * (moved[: len(half)] + moved[len(half) :])
    return Score(
        known.name,
        "",
        len(noisy),
        float(before.mean().sqrt()),
        float(after.mean().sqrt()),
        *gains,
        white_line=mean_and_error(pairs),
        # Noise makes e0 jump between inflection points: what denoising adds to that.
        e0_ev=mean_and_error(_e0(known, smooth) - e0),
        edge_step=mean_and_error(step / known.edge_step - 1),
        correlation=correlation,
        white=white,
    )
