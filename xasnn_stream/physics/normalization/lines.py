"""Pre-edge line and post-edge polynomial of a batch, as operators that act on μ."""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from xasnn_stream.physics.grid import Grid
from xasnn_stream.physics.normalization.polynomial import MAX_DEGREE, Fit
from xasnn_stream.physics.normalization.ranges import (
    line_degree,
    post_edge_range,
    pre_edge_range,
)
from xasnn_stream.physics.ragged import index_nearest
from xasnn_stream.physics.settings import Normalization


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """What is fitted below and above the edge: all that does not depend on μ.

    `power` is E^nvict (`batch x points`), `ranges` are pre1, pre2, norm1, norm2 and
    nnorm, each `batch`.
    """

    at_e0: Tensor
    line: Fit
    power: Tensor
    curve: Fit
    ranges: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]

    def per_mu(self) -> Tensor:
        """Return ∂(edge step)/∂μ, `batch x points`."""
        at_step = self.curve.row(self.at_e0)
        return at_step - self.line.weigh(at_step / self.power) * self.power


def fit_lines(
    energy: Tensor,
    valid: Tensor,
    settings: Normalization,
    e0: Tensor,
    limits: tuple[Tensor, Tensor] | None,
) -> Lines:
    """Prepare the fits of a batch; arguments as for `normalize`."""
    if limits is None:
        end = energy.masked_fill(~valid, -torch.inf).amax(-1)
        limits = (energy[:, 0] - e0, end - e0)
    at_e0 = index_nearest(energy, valid, e0)
    below = pre_edge_range(energy, e0, at_e0, settings, limits[0])
    above = post_edge_range(e0, settings, limits[1])
    highest = 2 if settings.nnorm is None else min(settings.nnorm, MAX_DEGREE)
    return Lines(
        at_e0,
        line_below(energy, valid, e0, *below),
        (energy / e0.unsqueeze(-1)) ** settings.nvict,
        curve_above(energy, valid, e0, *above, highest),
        (*below, *above),
    )


def line_below(
    energy: Tensor, valid: Tensor, e0: Tensor, pre1: Tensor, pre2: Tensor
) -> Fit:
    """Prepare the fit of the line from `pre1` to `pre2`, eV relative to e0, `batch`."""
    degree = line_degree(energy, valid, e0, pre1, pre2)
    return Fit(energy, valid, e0 + pre1, e0 + pre2, degree, highest=1)


def curve_above(
    energy: Tensor,
    valid: Tensor,
    e0: Tensor,
    norm1: Tensor,
    norm2: Tensor,
    degree: Tensor,
    highest: int = MAX_DEGREE,
) -> Fit:
    """Prepare the fit of the polynomial from `norm1` to `norm2`, eV relative to e0.

    No `degree` is above `highest`.
    """
    return Fit(energy, valid, e0 + norm1, e0 + norm2, degree, highest)


@dataclass(frozen=True, slots=True, eq=False)
class GridLines:
    """`Lines` of one grid and one e0, acting on μ of any number of spectra.

    `weights` (`6 x points`) times μ are the coefficients of the rows of `basis`; `at_e0`
    is the index of e0, `at_edge` the last four rows there, `ranges` as of `Lines` (`5`),
    `per_mu` is `points`.
    """

    at_e0: int
    at_edge: Tensor
    weights: Tensor
    per_mu: Tensor
    ranges: Tensor


def places_of(
    e0: Tensor, limits: tuple[Tensor, Tensor] | None
) -> list[tuple[float, tuple[float, float] | None]]:
    """Return e0 and limits of every row, to be compared."""
    edges: list[float] = e0.tolist()
    if limits is None:
        return [(edge, None) for edge in edges]
    low: list[float] = limits[0].expand_as(e0).tolist()
    high: list[float] = limits[1].expand_as(e0).tolist()
    return list(zip(edges, zip(low, high, strict=True), strict=True))


@lru_cache(maxsize=64)
def basis(grid: Grid, nvict: int, dtype: torch.dtype) -> Tensor:
    """Return what pre-edge line (two rows) and post-edge polynomial are made of.

    `6 x points`: 1 and u over E^nvict, then 1, u, u² and u³; u is energy scaled to ±1.
    """
    centre, half = _span(grid)
    u = (grid.energy - centre) / half
    power = (grid.energy / centre) ** nvict
    rows = [1 / power, u / power, *(u**n for n in range(MAX_DEGREE + 1))]
    return torch.stack(rows).to(dtype)


@lru_cache(maxsize=256)
def grid_lines(
    grid: Grid,
    settings: Normalization,
    e0: float,
    limits: tuple[float, float] | None,
    dtype: torch.dtype,
) -> GridLines:
    """Prepare the fits on one grid with its edge at `e0`; `limits` relative to it, eV."""
    energy, valid = grid.rows(1)
    at = energy.new_tensor([e0])
    bounds = limits and (energy.new_tensor(limits[:1]), energy.new_tensor(limits[1:]))
    lines = fit_lines(energy, valid, settings, at, bounds)
    centre, half = _span(grid)
    power = (grid.energy / centre) ** settings.nvict
    below = lines.line.coefficients(centre, half)[0] * power
    curve = lines.curve.coefficients(centre, half)[0]
    curve = pad(curve, (0, 0, 0, MAX_DEGREE + 1 - len(curve)))
    rows = basis(grid, settings.nvict, grid.energy.dtype)
    above = curve - (curve @ rows[:2].T) @ below
    return GridLines(
        at_e0=int(lines.at_e0),
        at_edge=rows[2:, int(lines.at_e0)].to(dtype),
        weights=torch.cat((below, above)).to(dtype),
        per_mu=lines.per_mu()[0].to(dtype),
        ranges=torch.cat([value.to(energy.dtype) for value in lines.ranges]),
    )


def _span(grid: Grid) -> tuple[float, float]:
    low, high = float(grid.energy[0]), float(grid.energy[-1])
    return 0.5 * (low + high), 0.5 * (high - low)
