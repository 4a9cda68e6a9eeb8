"""A batch of scans through cleaning, normalization, background and transform."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xasnn_stream.edges import next_edge_ev
from xasnn_stream.physics.exafs.background import BackgroundRemoved, autobk
from xasnn_stream.physics.exafs.fourier import ForwardTransformed, estimate_noise, xftf
from xasnn_stream.physics.exafs.wavenumber import wavenumber
from xasnn_stream.physics.noise.points import NOISE_FROM_EV
from xasnn_stream.physics.noise.propagation import propagate_normalized
from xasnn_stream.physics.normalization.edge import half_step
from xasnn_stream.physics.normalization.normalize import Normalized, normalize
from xasnn_stream.physics.normalization.ranges import NEXT_EDGE_MARGIN_EV
from xasnn_stream.physics.normalization.step_spread import step_spread
from xasnn_stream.physics.settings import Reduction
from xasnn_stream.reduction.amplitude import tell_amplitude
from xasnn_stream.reduction.checks import flag_numbers
from xasnn_stream.reduction.cleaning import edges, usable_curves
from xasnn_stream.reduction.curves import Account, Curves
from xasnn_stream.reduction.normalized_scan import NormalizedScan
from xasnn_stream.reduction.scatter import gap_at_edge
from xasnn_stream.reduction.short_scans import short_scans, with_short_scans
from xasnn_stream.reduction.signal import Signal
from xasnn_stream.reduction.standard_deviations import Errors, errors_of
from xasnn_stream.spectrum import FloatArray

if TYPE_CHECKING:
    from xasnn_stream.reduction.normalize_files import Request

_OVERLAP_EV = 100.0
"""An edge that follows sooner leaves no range above this one to fit."""


def reduce_signals(
    signals: Sequence[Signal], request: "Request"
) -> list[NormalizedScan]:
    """Return a result per signal, in their order."""
    accounts = [Account(signal) for signal in signals]
    curves = usable_curves(accounts, request)
    results = iter(reduce_curves(curves, request))
    return [
        refused(account) if account.problem else next(results) for account in accounts
    ]


def reduce_curves(curves: Curves, request: "Request") -> Iterator[NormalizedScan]:
    """Yield a result for every row of a cleaned batch."""
    if not curves.accounts:
        return
    reduced = _reduce(curves, request)
    for row, account in enumerate(curves.accounts):
        quality = {name: values[row] for name, values in reduced.quality.items()}
        flag_numbers(account, quality)
        signal = account.signal
        yield NormalizedScan(
            file=signal.file,
            scan=signal.scan,
            edge=account.edge_name,
            flags=tuple(account.flags),
            quality=quality,
            parameters=_parameters(reduced, row, request.settings),
            done=account.done,
            notes=signal.notes,
            arrays=_arrays(curves, reduced, row),
        )


def refused(account: Account) -> NormalizedScan:
    """Return the result of an unusable scan."""
    signal = account.signal
    return NormalizedScan(
        file=signal.file,
        scan=signal.scan,
        edge=account.edge_name,
        problem=account.problem,
        flags=tuple(account.flags),
        done=account.done,
        notes=signal.notes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Reduced:
    """The chain's results; `quality` holds a list of one number per row by name."""

    normalized: Normalized
    background: BackgroundRemoved
    transformed: ForwardTransformed
    errors: Errors
    quality: dict[str, list[float]]


def _reduce(curves: Curves, request: "Request") -> _Reduced:
    settings = request.settings
    energy, mu, valid = curves.energy, curves.mu, curves.valid
    e0 = edges(curves, settings.normalization)
    ends = _ends(curves, request.cleaning.others)
    limits = (energy[:, 0] - e0, torch.fmin(curves.end, ends) - e0)
    normalized = normalize(energy, mu, valid, settings.normalization, e0, limits)
    noise = propagate_normalized(
        energy, mu, valid, curves.noise, normalized, settings.normalization
    )
    fitted_step = normalized.edge_step
    normalized, step_std = with_short_scans(
        curves, normalized, noise.step, limits[1], settings.normalization
    )
    tell_amplitude(curves, normalized, settings.normalization)
    k_limit = wavenumber(ends - e0)
    background = autobk(
        energy, mu, valid, e0, normalized.edge_step, settings.background, k_limit
    )
    errors = errors_of(
        curves,
        normalized,
        noise,
        fitted_step,
        (settings.background, k_limit) if request.with_chi_std else None,
    )
    if bool((short := short_scans(limits[1], settings.normalization)).any()):
        background = _without_chi(background, short)
    transformed = xftf(background.k, background.chi, settings.transform)
    of_chi = estimate_noise(background.k, background.chi, background.reached)
    quality = {
        "e0_ev": e0,
        "e0_shift_ev": e0 - curves.tabulated,
        "half_step_ev": half_step(energy, normalized.flat, valid, e0),
        "edge_step": normalized.edge_step,
        "edge_step_std": step_std,
        "edge_step_spread": step_spread(
            energy, mu, valid, settings.normalization, e0, limits
        ),
        "noise": _typical_noise(curves, e0) / normalized.edge_step,
        "epsilon_k": of_chi.epsilon_k,
        "epsilon_r": of_chi.epsilon_r,
        "k_max": background.kmax,
        "edge_gap_ev": gap_at_edge(energy, valid, e0),
        "start_ev": limits[0],
        "end_ev": limits[1],
        "next_edge_ev": torch.where(ends < curves.end, ends, torch.nan),
        "n_points": curves.count,
    }
    lists = {name: values.tolist() for name, values in quality.items()}
    return _Reduced(normalized, background, transformed, errors, lists)


def _without_chi(background: BackgroundRemoved, rows: Tensor) -> BackgroundRemoved:
    """Take χ from rows that have no fine structure to speak of."""
    return replace(
        background,
        chi=background.chi.masked_fill(rows.unsqueeze(-1), torch.nan),
        reached=background.reached & ~rows.unsqueeze(-1),
        kmax=background.kmax.masked_fill(rows, torch.nan),
    )


def _typical_noise(curves: Curves, e0: Tensor) -> Tensor:
    """Return the noise of a point above the edge, `batch`, in the unit of μ."""
    above = curves.valid & (curves.energy > (e0 + NOISE_FROM_EV).unsqueeze(-1))
    return curves.noise.masked_fill(~above, torch.nan).nanmedian(-1).values


def _ends(curves: Curves, others: Sequence[str]) -> Tensor:
    """Return the energy (eV) before which ranges of each row end, `batch`.

    NaN where nothing follows, or so soon that both edges are seen as one.
    """
    found = list[float]()
    for account in curves.accounts:
        edge = account.signal.edge
        following = edge and next_edge_ev(edge.element, edge.edge, others)
        distance = (following or math.nan) - account.tabulated_ev
        if distance < _OVERLAP_EV:
            text = (
                f"another edge {distance:.0f} eV above overlaps: step and χ are of both"
            )
            account.flag("overlap", text)
            following = None
        found.append((following or math.nan) - NEXT_EDGE_MARGIN_EV)
    return torch.tensor(found, dtype=torch.float64)


def _parameters(reduced: _Reduced, row: int, settings: Reduction) -> dict[str, Any]:
    """Return the parameters as used, by the names of the command's options."""
    found = reduced.normalized
    used = {
        name: float(getattr(found, name)[row])
        for name in ("e0", "pre1", "pre2", "norm1", "norm2")
    }
    background, transform = settings.background, settings.transform
    k_max = float(reduced.background.kmax[row])
    return {
        **used,
        "nnorm": int(found.nnorm[row]),
        "nvict": settings.normalization.nvict,
        "rbkg": background.rbkg,
        "bkg_kmin": background.kmin,
        "bkg_kmax": k_max,
        "bkg_kweight": background.kweight,
        "nknots": background.nknots,
        "nclamp": background.nclamp,
        "clamp_lo": background.clamp_lo,
        "clamp_hi": background.clamp_hi,
        "kmin": transform.kmin,
        "kmax": min(transform.kmax, k_max),
        "kweight": transform.kweight,
        "dk": transform.dk,
        "window": transform.window,
        "rmax": transform.rmax_out,
    }


def _arrays(curves: Curves, reduced: _Reduced, row: int) -> dict[str, FloatArray]:
    count = int(curves.count[row])
    found, background = reduced.normalized, reduced.background
    along_energy = {
        "energy": curves.energy,
        "mu": curves.mu,
        "pre_edge": found.pre_edge,
        "post_edge": found.post_edge,
        "bkg": background.bkg,
        "norm": found.norm,
        "norm_std": reduced.errors.norm,
        "flat": found.flat,
        "flat_std": reduced.errors.flat,
    }
    arrays = {name: values[row, :count] for name, values in along_energy.items()}
    reached = background.reached[row]
    arrays |= {"k": background.k[reached], "chi": background.chi[row, reached]}
    if reduced.errors.chi is not None:
        arrays["chi_std"] = reduced.errors.chi[row, reached]
    has_chi = bool(reached.any())
    chir = reduced.transformed.chir[row]
    along_r = {
        "r": reduced.transformed.r,
        "chir_mag": chir.abs(),
        "chir_re": chir.real,
        "chir_im": chir.imag,
    }
    for name, values in along_r.items():
        arrays[name] = values if has_chi else values[:0]
    return {name: values.double().numpy() for name, values in arrays.items()}
