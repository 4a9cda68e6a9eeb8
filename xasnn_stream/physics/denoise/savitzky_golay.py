"""Denoising by local polynomials on the measured, uneven grid (Savitzky and Golay).

Each point becomes the value of the least-squares quartic through the points around it.
The window follows the width of the narrowest feature (see `stretch`); where points are
too sparse for one to be outvoted by its neighbours, they stay as they are.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import torch
from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.grids import Kept, Rows, on_any_grid
from xasnn_stream.physics.denoise.stretch import natural_width, width

_DEGREE = 4
_HALF_WINDOW = 0.8
"""In natural widths at the edge."""
_HALF_WINDOW_IN_K = 0.4


def _build(x: Tensor, e0: float) -> Tensor:
    """Return the matrix, `points x points`, that smooths spectra on the grid `x`."""
    points = x.numel()
    half = width(x, _HALF_WINDOW * natural_width(e0), _HALF_WINDOW_IN_K)
    position = torch.arange(points, device=x.device)
    least = _DEGREE // 2
    first = torch.searchsorted(x, x - half).minimum(position - least)
    last = (torch.searchsorted(x, x + half, right=True) - 1).maximum(position + least)
    # The windows of the first and the last points lie on one side of them.
    first = first.clamp(min=0, max=points - 1 - _DEGREE)
    last = last.clamp(max=points - 1).maximum(first + _DEGREE)
    wide = int((last - first).max()) + 1
    index = first.unsqueeze(-1) + torch.arange(wide, device=x.device)
    inside = index <= last.unsqueeze(-1)
    index = index.clamp(max=points - 1)
    offset = torch.where(inside, x[index] - x.unsqueeze(-1), 0.0)
    offset = offset / offset.abs().amax(-1, keepdim=True)
    powers = torch.arange(_DEGREE + 1, device=x.device)
    design = offset.unsqueeze(-1) ** powers * inside.unsqueeze(-1)
    q, r = torch.linalg.qr(design)
    # The polynomial's value at offset zero is its constant: the first row of R⁻¹Qᵀ.
    constant = torch.zeros_like(r[:, :, :1])
    constant[:, 0] = 1.0
    weights = q @ torch.linalg.solve_triangular(r.mT, constant, upper=False)
    matrix = torch.zeros(points, points, dtype=x.dtype, device=x.device)
    return matrix.scatter_add_(-1, index, weights.squeeze(-1) * inside)


_operators = Kept(_build)


def _method(rows: Rows) -> Denoised:
    matrix: Tensor = _operators(rows)
    remains = (rows.noise.square() @ matrix.T.square()).sqrt()
    return Denoised(rows.mu @ matrix.T, remains)


savitzky_golay = on_any_grid(_method)
