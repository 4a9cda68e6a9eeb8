"""Rows that end before their post-edge range does: the step that they will have."""

from dataclasses import replace

import torch
from torch import Tensor

from xasnn_stream.engine.seen import Seen
from xasnn_stream.physics.align import edge_position
from xasnn_stream.physics.normalization.edge import half_step
from xasnn_stream.physics.normalization.partial import partial_step
from xasnn_stream.physics.settings import Normalization

LEAST_POST_EDGE_EV = 100.0
"""Of the post-edge range: a line through less swings the edge step by tens of percent."""


def foresee(seen: Seen, settings: Normalization, limits: tuple[Tensor, Tensor]) -> Seen:
    """Give rows that end early the step that the whole scan will have, and its error.

    They are not flattened: the slope above the edge has not been measured either. Where
    the profile leaves the post-edge range to the data, no row ends early.
    """
    if settings.norm1 is None:
        return seen
    early = limits[1] < settings.norm1 + LEAST_POST_EDGE_EV
    if not bool(early.any()):
        return seen
    of, old = seen.curves, seen.normalized
    last = (of.e0 + limits[1]).unsqueeze(-1)
    arrived = of.valid & (of.energy <= last)
    sigma = seen.noise * old.edge_step.abs()
    step, std = partial_step(of.energy, of.mu, arrived, settings, of.e0, sigma)
    early = early & step.isfinite()
    scale = torch.where(early, old.edge_step / step, 1.0)
    norm = old.norm * scale.unsqueeze(-1)
    flat = torch.where(early.unsqueeze(-1), norm, old.flat)
    step = torch.where(early, step, old.edge_step)
    return replace(
        seen,
        normalized=replace(old, edge_step=step, norm=norm, flat=flat),
        rough=seen.rough * scale.unsqueeze(-1),
        position=edge_position(of.energy, flat, of.valid, of.e0),
        half_step=half_step(of.energy, flat, of.valid, of.e0),
        noise=seen.noise * scale.abs(),
        point_noise=seen.point_noise * scale.abs().unsqueeze(-1),
        step_error=torch.where(early, (std / step).abs(), seen.step_error),
        foreseen=early,
    )
