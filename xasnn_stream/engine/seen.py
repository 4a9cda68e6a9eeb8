"""A batch as physics sees it: curves, their edges, and these normalized."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xasnn_stream.physics.normalization.normalize import Normalized
from xasnn_stream.physics.normalization.ranges import Reach, reach

BELOW_EDGE_EV, ABOVE_EDGE_EV = 10.0, 20.0
"""Where a spectrum bends most, so that points must be close: rise and white line."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Absorption of a batch; `energy`, `mu`, `valid` are `batch x points`, `e0` `batch`."""

    energy: Tensor
    mu: Tensor
    valid: Tensor
    e0: Tensor

    def reach(self, next_edge_ev: float | None) -> Reach:
        """Return how far each curve is of this edge alone."""
        return reach(self.energy, self.valid, self.e0, next_edge_ev)

    def spacing(self) -> Tensor:
        """Return how far apart points about the edge are, eV, `batch`.

        The mean over places there of the gap each is in; NaN without points.
        """
        at, gap = self.energy - self.e0.unsqueeze(-1), self.energy.diff()
        near = (at[:, 1:] > -BELOW_EDGE_EV) & (at[:, :-1] < ABOVE_EDGE_EV)
        gap = torch.where(self.valid[:, 1:] & near, gap, 0.0)
        return gap.square().sum(-1) / gap.sum(-1)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A normalized batch with its edge position and noise.

    `rough` is normalized μ before it was denoised, `batch x points`.
    `position` (eV), `half_step` (where μ rises through half its step near e0, eV, NaN
    where it does not), `noise` of one point and `step_error`, both in units of the edge
    step, and `foreseen` (the step is that of a scan that was not finished) are `batch`.
    `point_noise` (`batch x points`) is that of each point: of its counts where these are
    known, and then `excess` (`batch`, else NaN) is how often larger the spectrum's own is.
    """

    curves: Curves
    normalized: Normalized
    rough: Tensor
    position: Tensor
    half_step: Tensor
    noise: Tensor
    point_noise: Tensor
    excess: Tensor
    step_error: Tensor
    foreseen: Tensor


def moved(seen: Seen, by: Tensor) -> Seen:
    """Return a batch with its energies lower by some eV, `batch`; all else stays."""
    of = seen.curves
    e0 = of.e0 - by
    return replace(
        seen,
        curves=replace(of, energy=of.energy - by.unsqueeze(-1), e0=e0),
        normalized=replace(seen.normalized, e0=e0),
        position=seen.position - by,
        half_step=seen.half_step - by,
    )
