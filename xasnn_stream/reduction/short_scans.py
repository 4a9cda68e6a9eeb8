"""Scans that end soon above the edge: a step from what has arrived, and its error."""

from dataclasses import replace

import torch
from torch import Tensor

from xasnn_stream.physics.normalization.normalize import Normalized
from xasnn_stream.physics.normalization.partial import partial_step
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.reduction.curves import Curves

PARTIAL_EV = 150.0
"""Above e0; a scan that ends sooner has too little fine structure to average over, and the
noise of its points is the least of its step's errors."""

NO_LINE_EV = 70.0
"""Above e0; a post-edge line within less is one of the fine structure: larch's step of Pt
is 12 % off at 60 eV. The step then is the mean of what has arrived."""


def short_scans(end_ev: Tensor, settings: Normalization) -> Tensor:
    """Return which rows end too soon for a post-edge line, `batch`.

    `end_ev` is where they end, eV above e0, `batch`. Given ranges are kept to.
    """
    given = (settings.norm1, settings.norm2, settings.nnorm)
    chosen = any(value is not None for value in given)
    return (end_ev < NO_LINE_EV) & (not chosen)


def with_short_scans(
    curves: Curves,
    found: Normalized,
    step_std: Tensor,
    end_ev: Tensor,
    settings: Normalization,
) -> tuple[Normalized, Tensor]:
    """Return the normalized batch and the steps' standard deviations, `batch`.

    Steps of scans that end before `PARTIAL_EV` are known as well as `partial_step` says;
    before `NO_LINE_EV` they are its own.
    """
    partial = end_ev < PARTIAL_EV
    if not bool(partial.any()):
        return found, step_std
    typical = curves.noise.nanmedian(-1).values
    step, std = partial_step(
        curves.energy, curves.mu, curves.valid, settings, found.e0, typical
    )
    step_std = torch.where(partial, std, step_std)
    short = short_scans(end_ev, settings)
    step = torch.where(short, step, found.edge_step)
    norm = found.norm * (found.edge_step / step).unsqueeze(-1)
    without_line = short.unsqueeze(-1)
    flat = torch.where(without_line, norm, found.flat)
    post_edge = torch.where(
        without_line, found.pre_edge + step.unsqueeze(-1), found.post_edge
    )
    found = replace(found, edge_step=step, norm=norm, flat=flat, post_edge=post_edge)
    return found, step_std
