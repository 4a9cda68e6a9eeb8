"""The background fit on one energy grid and e0 as matrices, kept for the next batch.

There all that `background_fit` does is linear in μ but for the weight of the clamps,
which acts along a few directions: χ of a batch is one matrix product and a correction
per direction. Building the matrices costs as much as some spectra one by one, so they
are built for grids that come again.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.physics.exafs.background_fit import (
    BASE_WEIGHT,
    clamps_of,
    coefficients,
    components_of,
    place_knots,
    solve_base,
)
from xasnn_stream.physics.exafs.spline import (
    basis,
    evaluate,
    second_derivatives,
    segments,
)
from xasnn_stream.physics.settings import Background

_WORTHWHILE_ROWS = 16
"""Rows of a grid and e0 that are to be seen before its matrices are built."""

_KEPT_BYTES = 256 * 2**20
_COUNTED_GRIDS = 1024
_NEGLIGIBLE = 1e-14
"""Share of |F W χ|² that left out components may have: it only sets a weight."""


@dataclass(frozen=True, slots=True, eq=False)
class AtBase:
    """What `reweight` needs, and what it moves; all `rows` first."""

    chi: Tensor
    coefficients: Tensor
    clamped: Tensor
    size: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """χ and background of the points `first` to `stop` of a grid.

    `matrix` (`points x outputs`) gives, of (μ - μ(e0))/edge step, χ, the spline's
    coefficients, the rotated clamps and the components left below rbkg, as many of each
    as `sizes` says; `chi_step` and `coefficients_step` (`clamped x …`) are what the
    clamps' weight moves; `functions` (`coefficients x points`) is the spline on the
    points. `kmax` is NaN where the grid is too short for its knots.
    """

    first: int
    stop: int
    kmax: float
    matrix: Tensor
    sizes: tuple[int, int, int, int]
    chi_step: Tensor
    coefficients_step: Tensor
    spread: Tensor
    components: int
    functions: Tensor

    def at_base(self, mu: Tensor, edge_step: Tensor) -> AtBase:
        """Solve at the clamps' base weight; `mu` is `rows x points` of the whole grid."""
        offset, step = mu[:, self.first : self.first + 1], edge_step.unsqueeze(-1)
        values = (mu[:, self.first : self.stop] - offset) / step
        chi, found, clamped, left = (values @ self.matrix).split(self.sizes, -1)
        return AtBase(chi, found, clamped, left.square().sum(-1))

    def moved(
        self, base: AtBase, move: Tensor, mu: Tensor, edge_step: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return χ (`rows x nk`) and μ₀ of the whole grid, moved by `reweight`."""
        chi = torch.addmm(base.chi, move, self.chi_step, alpha=-1)
        found = torch.addmm(base.coefficients, move, self.coefficients_step)
        bkg = mu.clone()
        if not math.isnan(self.kmax):
            smooth = (found @ self.functions).mul_(edge_step.unsqueeze(-1))
            smooth += mu[:, self.first : self.first + 1]
            bkg[:, self.first : self.stop] = smooth
        return chi, bkg

    @property
    def nbytes(self) -> int:
        """Memory held."""
        parts = self.matrix, self.chi_step, self.coefficients_step, self.functions
        return sum(part.nbytes for part in parts)


def _build(
    energy: Tensor, e0: float, settings: Background, kmax: float | None
) -> Operator:
    """Return the matrices of a grid, `(points,)` float64, for an e0 (eV)."""
    row = energy.unsqueeze(0)
    limit = None if kmax is None else row.new_tensor([kmax])
    knots = place_knots(
        row,
        torch.ones_like(row, dtype=torch.bool),
        row.new_tensor([e0]),
        settings,
        limit,
    )
    first, count = int(knots.first), int(knots.inside.sum())
    points = knots.k[:, :count], knots.inside[:, :count]
    if not bool(knots.usable):
        return _unusable(first, count, len(knots.grid), energy)
    unit = torch.eye(count, dtype=energy.dtype, device=energy.device)
    second = second_derivatives(points[0], unit, points[1])
    spline = evaluate(segments(knots.grid, *points), unit, second).T.unsqueeze(0)
    fit = solve_base(knots, settings)
    below, clamped = (
        part(spline, knots, settings) for part in (components_of, clamps_of)
    )
    found = coefficients(fit, torch.cat((below, BASE_WEIGHT * clamped), 1))
    on_grid = fit.functions.dense(fit.system.shape[-1])
    chi = spline - on_grid @ found
    clamped = fit.rotation.mT @ clamps_of(chi, knots, settings)
    left = _compressed(below[0] - fit.system[0, : below.shape[1]] @ found[0])
    functions = basis(points[0], knots.knots, knots.functions)
    functions = functions.dense(fit.system.shape[-1])
    outputs = chi[0], found[0], clamped[0], left
    sizes = len(outputs[0]), len(outputs[1]), len(outputs[2]), len(left)
    return Operator(
        first, first + count, float(knots.kmax), torch.cat(outputs).T.contiguous(), sizes,
        (on_grid @ fit.step)[0].T.contiguous(), fit.step[0].T.contiguous(),
        fit.spread[0], 2 * int(knots.components),
        functions[0].T.contiguous(),
    )  # fmt: skip


def _compressed(rows: Tensor) -> Tensor:
    """Return fewer rows with the same sum of squares of their products."""
    values, directions = torch.linalg.eigh(rows @ rows.T)
    return directions[:, values > _NEGLIGIBLE * values[-1]].T @ rows


def _unusable(first: int, count: int, grid: int, energy: Tensor) -> Operator:
    nothing, none = energy.new_zeros(1, 1), energy.new_zeros(1)
    matrix = energy.new_full((count, grid + 3), torch.nan)
    return Operator(
        first, first + count, torch.nan, matrix, (grid, 1, 1, 1),
        nothing.expand(1, grid), nothing, none, 1, nothing.expand(1, count),
    )  # fmt: skip


class OperatorCache:
    """Operators of grids that came again, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Operator] = OrderedDict()
        self._seen: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self._bytes = 0

    def get(
        self,
        energy: Tensor,
        e0: float,
        settings: Background,
        kmax: float | None,
        rows: int,
        dtype: torch.dtype,
    ) -> Operator | None:
        """Return the operator for `rows` more spectra, None while there were too few."""
        if math.isnan(e0):
            return None
        grid = energy.detach().cpu().numpy().tobytes()
        key = (grid, energy.device, dtype, e0, settings, kmax)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            seen = self._seen.pop(key, 0) + rows
            self._seen[key] = seen
            if len(self._seen) > _COUNTED_GRIDS:
                self._seen.popitem(last=False)
        if seen < _WORTHWHILE_ROWS:
            return None
        return self._keep(key, _cast(_build(energy, e0, settings, kmax), dtype))

    def _keep(self, key: tuple[object, ...], operator: Operator) -> Operator:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = operator
                self._bytes += operator.nbytes
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                _, forgotten = self._kept.popitem(last=False)
                self._bytes -= forgotten.nbytes
        return operator


def _cast(operator: Operator, dtype: torch.dtype) -> Operator:
    return Operator(
        operator.first, operator.stop, operator.kmax, operator.matrix.to(dtype),
        operator.sizes, operator.chi_step.to(dtype), operator.coefficients_step.to(dtype),
        operator.spread.to(dtype), operator.components, operator.functions.to(dtype),
    )  # fmt: skip
