"""Cleaning of a batch: which scans are usable, and what is done to their points."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.edges import edge_window
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Normalization, Rebinning
from xasnn_stream.physics.signals.counts import upright
from xasnn_stream.physics.signals.rebin import rebin
from xasnn_stream.reduction.axis import with_axis_told
from xasnn_stream.reduction.checks import check_edge, check_range, check_step
from xasnn_stream.reduction.curves import Account, Curves, curves_of
from xasnn_stream.reduction.flaws import with_jumps_told, without_glitches
from xasnn_stream.reduction.scatter import scatter

if TYPE_CHECKING:
    from xasnn_stream.reduction.normalize_files import Request


def usable_curves(accounts: Sequence[Account], request: "Request") -> Curves:
    """Return the scans that can be normalized, cleaned; the others' accounts say why."""
    curves = curves_of(accounts)
    high, low = curves.mu_range
    for account, *numbers in zip(
        curves.accounts,
        curves.count.tolist(),
        curves.energy[:, 0].tolist(),
        curves.end.tolist(),
        (high - low).tolist(),
        strict=True,
    ):
        check_range(account, *numbers)
    curves = _upright(curves.usable(), request.settings.normalization)
    curves = _mended(curves.usable(), request)
    return _with_an_edge(curves.usable(), request.settings.normalization)


def _mended(curves: Curves, request: "Request") -> Curves:
    """Return the batch without glitches and jumps, its noise known, smoothed if asked."""
    if not curves.accounts:
        return curves
    cleaning, settings = request.cleaning, request.settings.normalization
    if cleaning.deglitch:
        e0 = _near_edge(curves, settings)
        curves = without_glitches(curves, e0, cleaning.others)
    curves = with_axis_told(curves, _windows(curves), request.foil, cleaning.align)
    e0 = _near_edge(curves, settings)
    step = normalize(curves.energy, curves.mu, curves.valid, settings, e0).edge_step
    curves = with_jumps_told(curves, e0, step, cleaning.others, cleaning.jumps)
    noise = local_noise(curves.energy, curves.mu, curves.valid, e0)
    curves = replace(curves, noise=noise)
    if cleaning.rebin:
        curves = _rebinned(curves, e0)
    if cleaning.denoise != "none":
        curves = _denoised(curves, _near_edge(curves, settings), cleaning.denoise)
    return curves


def _rebinned(curves: Curves, e0: Tensor) -> Curves:
    """Return the batch on bins; channels besides μ stay behind."""
    found = rebin(curves.energy, curves.mu, curves.valid, e0, Rebinning(), curves.noise)
    counts = found.valid.sum(-1).tolist()
    between = found.interpolated.sum(-1).tolist()
    for account, bins, some in zip(curves.accounts, counts, between, strict=True):
        account.done["rebinned"] = {"bins": bins, "interpolated": some}
    without = torch.full_like(found.mu, torch.nan)
    return Curves(
        curves.accounts,
        found.energy,
        found.mu,
        found.valid,
        i0=without,
        reference=without,
        transmission=without,
        noise=found.noise,
    )


def _denoised(curves: Curves, e0: Tensor, name: str) -> Curves:
    from xasnn_stream.physics.denoise.table import DENOISERS

    found = DENOISERS[name](curves.energy, curves.mu, curves.valid, curves.noise, e0)
    for account in curves.accounts:
        account.done["denoised"] = name
    return replace(curves, mu=found.mu, measured=curves.mu)


def edges(curves: Curves, settings: Normalization) -> Tensor:
    """Return e0 of every row (`batch`, eV): as given, else found near the table's.

    Found in μ as measured: smoothing may choose another inflection point.
    """
    if settings.e0 is not None:
        return torch.full_like(curves.mu[:, 0], settings.e0)
    mu = curves.mu if curves.measured is None else curves.measured
    return find_e0(curves.energy, mu, curves.valid, _windows(curves))


def _windows(curves: Curves) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest e0 of each row, each `batch`, eV."""
    windows = [_window(account) for account in curves.accounts]
    low, high = torch.tensor(windows, dtype=torch.float64).reshape(-1, 2).unbind(-1)
    return low, high


def _near_edge(curves: Curves, settings: Normalization) -> Tensor:
    """Return e0; where there is none, which is told later, the first energy."""
    e0 = edges(curves, settings)
    return torch.where(e0.isfinite(), e0, curves.energy[:, 0])


def _window(account: Account) -> tuple[float, float]:
    tabulated = account.tabulated_ev
    return edge_window(tabulated) if tabulated == tabulated else (-torch.inf, torch.inf)


def _upright(curves: Curves, settings: Normalization) -> Curves:
    """Turn over what has its edge upside down."""
    if not curves.accounts:
        return curves
    e0 = _near_edge(curves, settings)
    # A single spike among few points before the edge must not say which way it goes.
    smooth = functional.pad(curves.mu, (2, 2), "reflect").unfold(-1, 5, 1)
    smooth = smooth.median(-1).values
    step = normalize(curves.energy, smooth, curves.valid, settings, e0).edge_step
    mu, turned = upright(curves.mu, step)
    for account, is_turned in zip(curves.accounts, turned.tolist(), strict=True):
        account.done["inverted"] = is_turned
        if is_turned:
            account.flag("inverted", "absorption falls at the edge: its sign is turned")
    return replace(curves, mu=mu)


def _with_an_edge(curves: Curves, settings: Normalization) -> Curves:
    """Return the scans that have an edge with enough on both sides."""
    if not curves.accounts:
        return curves
    e0 = edges(curves, settings)
    for account, *numbers in zip(
        curves.accounts,
        e0.tolist(),
        curves.energy[:, 0].tolist(),
        curves.end.tolist(),
        strict=True,
    ):
        check_edge(account, *numbers)
    curves = curves.usable()
    if not curves.accounts:
        return curves
    e0 = edges(curves, settings)
    found = normalize(curves.energy, curves.mu, curves.valid, settings, e0)
    high, low = curves.mu_range
    share = found.edge_step / (high - low)
    numbers = (share, *scatter(curves.energy, curves.valid, found))
    for account, *of_row in zip(
        curves.accounts, *(each.tolist() for each in numbers), strict=True
    ):
        check_step(account, *of_row)
    return curves.usable()
