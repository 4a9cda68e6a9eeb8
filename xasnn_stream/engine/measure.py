"""The batched physics of the engine: absorption in, difference spectra out."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.engine.inference import Differences
from xasnn_stream.engine.seen import Curves, Seen
from xasnn_stream.engine.unfinished import foresee
from xasnn_stream.physics.align import bin_means, edge_position
from xasnn_stream.physics.instrument import MISFIT_LENGTH_EV
from xasnn_stream.physics.noise.points import (
    NOISE_FROM_EV,
    bin_noise,
    point_noise,
)
from xasnn_stream.physics.normalization.edge import half_step
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.ranges import Reach
from xasnn_stream.physics.ragged import interpolate
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.uncertainty.decomposition import White
from xasnn_stream.uncertainty.novelty import curves_of, misfit_covariance

_BETWEEN_SCANS = 0.001
"""Of the edge step, rms: what is left between foils of one metal from two laboratories
when resolution, thickness, step and slope are accounted for."""

_NO_NOISE = 1e-5
"""Of the edge step; a made curve has no noise, and noise has a logarithm. Noise that could
not be determined stays NaN, and the sweep is rejected."""


def see(
    of: Curves,
    settings: Normalization,
    limits: tuple[Tensor, Tensor],
    measured: Tensor | None = None,
    sigma: Tensor | None = None,
) -> Seen:
    """Normalize a batch within limits relative to e0 and estimate its noise.

    `measured` is μ before it was denoised (`batch x points`, None where it was not): its
    noise is what values are uncertain by. `sigma` (`batch x points`) is the noise of each
    point of μ where that is known: rows of NaN, as all without it, are asked themselves.
    Rows that end too early to be normalized get the step that they will have.
    """
    result = normalize(of.energy, of.mu, of.valid, settings, of.e0, limits)
    rough = result.norm
    if measured is not None:
        rough = rough + (measured - of.mu) / result.edge_step.unsqueeze(-1)
    low = of.e0 + NOISE_FROM_EV
    noise = point_noise(of.energy, rough, of.valid, low).clamp(min=_NO_NOISE)
    each, excess = (
        noise.unsqueeze(-1).expand_as(rough),
        torch.full_like(noise, torch.nan),
    )
    if sigma is not None:
        known = sigma / result.edge_step.abs().unsqueeze(-1)
        noise, each, excess = _known_noise(of, known.clamp(min=_NO_NOISE), noise)
    seen = Seen(
        curves=of,
        normalized=result,
        rough=rough,
        position=edge_position(of.energy, result.flat, of.valid, of.e0),
        half_step=half_step(of.energy, result.flat, of.valid, of.e0),
        noise=noise,
        point_noise=each,
        excess=excess,
        step_error=(each * result.edge_step_per_mu).norm(dim=-1),
        foreseen=torch.zeros_like(noise, dtype=torch.bool),
    )
    return foresee(seen, settings, limits)


def _known_noise(
    of: Curves, known: Tensor, own: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return typical noise and that of each point, and how often larger the own one is.

    `known`, `batch x points`, is in edge steps and NaN where it is not known; `own`
    (`batch`) is what the spectra say themselves.
    """
    above = of.valid & (of.energy > (of.e0 + NOISE_FROM_EV).unsqueeze(-1))
    typical = known.masked_fill(~above, torch.nan).nanmedian(-1).values
    has = (known.isfinite() | ~of.valid).all(-1) & typical.isfinite()
    each = torch.where((has.unsqueeze(-1) & of.valid), known, own.unsqueeze(-1))
    excess = torch.where(has, own / typical, torch.nan)
    return torch.where(has, typical, own), each, excess


def common_limits(sample: Reach, foil: Reach) -> tuple[Tensor, Tensor]:
    """Return the range both sample and foil cover: their steps must mean the same."""
    (low, high), (foil_low, foil_high) = sample.limits, foil.limits
    return torch.maximum(low, foil_low), torch.minimum(high, foil_high)


def without_shared_noise(sample: Seen, foil: Seen, shared: Tensor) -> tuple[Seen, Seen]:
    """Give the noise of the difference to the sample where both share readings.

    A sweep and its own reference channel both contain It, so their noise does not add in
    quadrature; it is read from the point-by-point difference. `shared` is `batch`.
    """
    points = min(sample.curves.energy.shape[1], foil.curves.energy.shape[1])
    of = sample.curves
    apart = sample.rough[:, :points] - foil.rough[:, :points]
    start = of.e0 + NOISE_FROM_EV
    joint = point_noise(of.energy[:, :points], apart, of.valid[:, :points], start)
    joint = joint.clamp(min=_NO_NOISE)
    return (
        _with_noise(sample, shared, joint),
        _with_noise(foil, shared, torch.zeros_like(joint)),
    )


def _with_noise(seen: Seen, rows: Tensor, noise: Tensor) -> Seen:
    """Give some rows another noise, the same at all points; both are `batch`."""
    each = torch.where(rows.unsqueeze(-1), noise.unsqueeze(-1), seen.point_noise)
    level = torch.where(rows, noise, seen.noise)
    return replace(seen, noise=level, point_noise=each)


@dataclass(frozen=True, slots=True, eq=False)
class OnGrid:
    """A batch on the model's grid: flattened μ and its noise, `batch x bins`.

    Bins the scan does not reach are NaN. `white` propagates the noise of the points,
    which neighbouring bins may share.
    """

    values: Tensor
    noise: Tensor
    white: White


def on_grid(seen: Seen, grid: Tensor, edge_at: float) -> OnGrid:
    """Return a batch on a grid with the edge at `edge_at`."""
    at = grid + (seen.position - edge_at).unsqueeze(-1)
    width = float(grid[1] - grid[0])
    of = seen.curves

    def binned(flat: Tensor) -> Tensor:
        return bin_means(at, of.energy, flat, of.valid, width)

    def white(jacobian: Tensor) -> Tensor:
        with torch.enable_grad():
            points = seen.normalized.flat.detach().requires_grad_(True)
            bins = binned(points)
            weights = [
                torch.autograd.grad(bins, points, row, retain_graph=True)[0]
                for row in jacobian.unbind(1)
            ]
        return (torch.stack(weights, 1) * seen.point_noise.unsqueeze(1)).norm(dim=-1)

    there = interpolate(at, of.energy, seen.point_noise, of.valid)
    noise = bin_noise(at, of.energy, of.valid, there, width)
    return OnGrid(binned(seen.normalized.flat), noise, white)


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """The model's own foil: `values` (`bins`) on `grid` (`bins`), edge at `edge_at`."""

    grid: Tensor
    values: Tensor
    edge_at: float


def subtract(
    sample: Seen, foil: Seen, has_foil: Tensor, is_own: Tensor, computed: Computed
) -> Differences:
    """Subtract the foil on the model's grid, with every error it brings.

    Rows where `has_foil` (`batch`) is False get the model's computed foil instead. Where
    the foil `is_own` (`batch`), measured in the same scan, it was seen as the sample was.
    """
    mine, theirs = (
        on_grid(seen, computed.grid, computed.edge_at) for seen in (sample, foil)
    )
    given = has_foil.unsqueeze(-1)
    foil_values = torch.where(given, theirs.values, computed.values)
    foil_noise = torch.where(given, theirs.noise, 0.0)
    foil_step = torch.where(has_foil, foil.step_error, 0.0).unsqueeze(-1)
    steps = (sample.step_error.unsqueeze(-1) * mine.values, foil_step * foil_values)
    between = misfit_covariance(computed.grid, _BETWEEN_SCANS, MISFIT_LENGTH_EV)
    apart = curves_of(between) * (has_foil & ~is_own)[:, None, None]

    def white(jacobian: Tensor) -> Tensor:
        of_foil = torch.where(given, theirs.white(jacobian), 0.0)
        return (mine.white(jacobian).square() + of_foil.square()).sqrt()

    return Differences(
        values=mine.values - foil_values,
        noise=(mine.noise.square() + foil_noise.square()).sqrt(),
        directions=torch.cat((torch.stack(steps, 1), apart), 1),
        edge_shift=torch.where(has_foil, sample.position - foil.position, torch.nan),
        white=white,
    )
