"""The edge step of a scan that is not finished, and how little is known of it.

A line below the edge is subtracted as for a finished scan. What follows above it is
known beforehand only as far as spectra resemble each other: normalized μ is one, less a
slope, give or take a white line, an oscillation and the slope's own spread. That makes
the step a weighted mean of what has arrived (generalized least squares with the prior's
covariance), and its error what the prior leaves open, which nothing but more data can
reduce, with the noise of the points.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2
from xasnn_stream.physics.normalization.lines import fit_lines
from xasnn_stream.physics.ragged import integrate
from xasnn_stream.physics.settings import Normalization

FIRST_EV, LAST_EV = 3.0, 600.0
"""Range above e0 that is averaged over; below it lies the rise, which tells nothing."""
_K_STEP = 0.1
_ITERATIONS = 3


@dataclass(frozen=True, slots=True)
class Prior:
    """What normalized μ above the edge is like: means and standard deviations.

    Of 34 measured scans of foils of 13 elements and of nanoparticles, in edge steps:
    the rise still missing just above e0, white line and fine structure (both correlated
    over `coherence`, 1/angstrom), and slope and curvature per eV of what is not flattened.
    """

    missing: float = 0.2
    missing_ev: float = 10.0
    white_line: float = 0.9
    white_line_ev: float = 6.0
    fine_structure: float = 0.04
    fine_structure_ev: float = 500.0
    coherence: float = 1.0
    slope: float = -2.6e-4
    slope_std: float = 1.6e-4
    curvature_std: float = 2e-7


FOILS = Prior()


def partial_step(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    settings: Normalization,
    e0: Tensor,
    sigma: Tensor,
    prior: Prior = FOILS,
) -> tuple[Tensor, Tensor]:
    """Return the edge step from what has arrived, and its standard deviation, `batch`.

    It estimates the step that the whole scan will have. NaN where less than 3 eV above
    e0 has arrived. A white line taller than any metal's is not covered.

    Parameters
    ----------
    energy, mu, valid
        What has arrived, `batch x points`.
    settings
        Of the pre-edge line; what they say of the post-edge is not used.
    e0
        Edge energies, `batch`.
    sigma
        Noise of one point in units of μ, `batch`.
    """
    with torch.enable_grad():
        points = mu.detach().requires_grad_(True)
        binned, at = _above(energy, points, valid, settings, e0)
        seen = binned.detach()
        step, spread, weights = _estimate(seen, at, sigma, prior)
        total = (weights * binned.nan_to_num()).sum()
        (per_mu,) = torch.autograd.grad(total, points)
    variance = spread.square() + (sigma * per_mu.norm(dim=-1)).square()
    known = ~seen[:, 0].isnan()
    return torch.where(known, step, torch.nan), torch.where(
        known, variance.sqrt(), torch.nan
    )


def _above(
    energy: Tensor, mu: Tensor, valid: Tensor, settings: Normalization, e0: Tensor
) -> tuple[Tensor, Tensor]:
    """Return μ less the pre-edge line in bins of equal k, and the bins' middle (eV).

    `batch x bins`, NaN where a bin has not wholly arrived, and `bins`.
    """
    lines = fit_lines(energy, valid, settings, e0, None)
    above = mu - lines.line(mu * lines.power) / lines.power
    low, high = (edge / HC2_OVER_2M_EV_A2 for edge in (FIRST_EV, LAST_EV))
    k = torch.arange(low**0.5, high**0.5, _K_STEP, dtype=mu.dtype, device=mu.device)
    edges = HC2_OVER_2M_EV_A2 * k.square()
    area = integrate(e0.unsqueeze(-1) + edges, energy, above, valid)
    return area.diff() / edges.diff(), 0.5 * (edges[1:] + edges[:-1])


def _estimate(
    seen: Tensor, at: Tensor, sigma: Tensor, prior: Prior
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the step, what the prior leaves open of it, and the weights of the bins."""
    arrived = ~seen.isnan()
    values = seen.nan_to_num()
    mean = _mean(at, prior) * arrived
    both = arrived.unsqueeze(-1) & arrived.unsqueeze(-2)
    missing = torch.diag_embed((~arrived).to(values.dtype))
    covariance = torch.where(both, _covariance(at, prior), missing)
    step = values.sum(-1) / mean.sum(-1)
    weights = torch.zeros_like(values)
    for _ in range(_ITERATIONS):
        relative = (sigma / step.abs().clamp(min=1e-12)).square().clamp(max=1e6)
        noisy = covariance + torch.diag_embed(relative.unsqueeze(-1).expand_as(values))
        solved = torch.linalg.solve(noisy, mean.unsqueeze(-1)).squeeze(-1)
        weights = solved / (solved * mean).sum(-1, keepdim=True)
        step = (weights * values).sum(-1)
    open_ = (weights * (covariance @ weights.unsqueeze(-1)).squeeze(-1)).sum(-1)
    return step, step.abs() * open_.sqrt(), weights


def _mean(x: Tensor, prior: Prior) -> Tensor:
    rise = prior.missing * torch.exp(-(x / prior.missing_ev).square())
    return 1.0 - rise + prior.slope * x


def _covariance(x: Tensor, prior: Prior) -> Tensor:
    white = prior.white_line * torch.exp(-x / prior.white_line_ev)
    waves = prior.fine_structure * torch.exp(-x / prior.fine_structure_ev)
    k = (x / HC2_OVER_2M_EV_A2).sqrt()
    apart = (k.unsqueeze(-1) - k).abs() / prior.coherence
    slope, bend = prior.slope_std * x, prior.curvature_std * x.square()
    shapes = (_outer(white) + _outer(waves)) * torch.exp(-apart)
    return shapes + _outer(slope) + _outer(bend)


def _outer(amplitude: Tensor) -> Tensor:
    return amplitude.unsqueeze(-1) * amplitude
