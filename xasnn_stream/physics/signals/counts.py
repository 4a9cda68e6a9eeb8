"""From readings of detectors to absorption: dark level, gain, dead time, sums, sign.

Every function works on `batch x points` tensors of any device; fluorescence detectors
are `batch x points x channels`.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from xasnn_stream.errors import UsageError

DeadTime = Literal["none", "done_by_detector", "icr_ocr"]

USED, DEAD, SATURATED, NOT_FINITE = range(4)
CHANNEL_REASONS = ("used", "dead", "saturated", "not_finite")
"""Names of the codes that `channel_doubts` returns."""

PLATEAU = 5
"""Consecutive readings at the highest or lowest value; a counter that is not saturated
does not repeat itself so often."""
_FEW_COUNTS = 50.0
"""A channel that never counts more repeats itself by chance and is not saturated."""
_DEAD_BELOW = 0.01
"""Of the median channel: less is a channel that does not see the sample."""


def dark_and_gain(
    readings: Tensor, dark: Tensor | float = 0.0, gain: Tensor | float = 1.0
) -> Tensor:
    """Return the signal (readings - dark) / gain.

    `dark` is in units of the readings, `gain` in readings per unit of signal (V/A of an
    amplifier); both are numbers or broadcast against `readings`.
    """
    return (readings - dark) / gain


def dead_time(
    roi: Tensor, how: DeadTime, icr: Tensor | None = None, ocr: Tensor | None = None
) -> Tensor:
    """Return the counts a detector without dead time would have counted.

    `icr_ocr`: roi·icr/ocr, the incoming (fast) over the outgoing (slow) rate of the same
    channel. `done_by_detector` and `none` return `roi`: correcting twice is as wrong as
    not at all. NaN where a channel reports incoming but no outgoing counts, or counts
    without any rates.

    Raises
    ------
    UsageError
        If the name is unknown or `icr_ocr` lacks a rate.
    """
    if how in ("none", "done_by_detector"):
        return roi
    if how != "icr_ocr":
        known = "none, done_by_detector or icr_ocr"
        raise UsageError(f"dead time is {known}, not {how!r}")
    if icr is None or ocr is None:
        raise UsageError(
            "dead time icr_ocr needs the rates icr and ocr of each channel"
        )
    factor = torch.where(ocr > 0, icr / ocr, torch.nan)
    return torch.where((icr == 0) & (ocr == 0) & (roi == 0), roi, roi * factor)


def transmission(i0: Tensor, it: Tensor) -> Tensor:
    """Return μ·t = ln(I0/It); not finite where a reading is not positive.

    With It and Ir it is that of the reference foil behind the sample.
    """
    return torch.log(i0 / it)


def fluorescence(i0: Tensor, fluorescence_yield: Tensor) -> Tensor:
    """Return If/I0, proportional to μ for thin or dilute samples."""
    return fluorescence_yield / i0


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """Counts of all used channels, `batch x points`, and why others are not in it.

    `codes` (`batch x channels`) are `USED` or the reason, see `CHANNEL_REASONS`.
    """

    counts: Tensor
    codes: Tensor


def sum_channels(
    channels: Tensor, valid: Tensor, corrected: Tensor | None = None
) -> Summed:
    """Add the channels of a detector that work.

    `channels` is `batch x points x channels`. What is added is `corrected`, alike, where
    given: corrected for dead time, readings of a saturated channel do not stand still any
    more. A row without a channel left sums to zero.
    """
    added = channels if corrected is None else corrected
    codes = channel_doubts(channels, valid)
    broken = (~added.isfinite() & valid.unsqueeze(-1)).any(1) & (codes == USED)
    codes = torch.where(broken, NOT_FINITE, codes)
    used = (codes == USED).unsqueeze(1)
    return Summed(torch.where(used, added, 0.0).sum(-1), codes)


def channel_doubts(channels: Tensor, valid: Tensor) -> Tensor:
    """Return a code of `CHANNEL_REASONS` for every channel, `batch x channels`.

    Dead is a channel whose mean is below 1 % of the median channel's, or which never
    changes; saturated one that stands still at its highest reading.
    """
    inside = valid.unsqueeze(-1)
    counts = torch.where(inside, channels, 0.0)
    bad = (~counts.isfinite()).any(1)
    counts = counts.nan_to_num(0.0, 0.0, 0.0)
    mean = counts.sum(1) / valid.sum(-1, keepdim=True).clamp(min=1)
    typical = mean.median(-1, keepdim=True).values
    low = counts.masked_fill(~inside, torch.inf).amin(1)
    high = counts.masked_fill(~inside, -torch.inf).amax(1)
    still = (valid.sum(-1, keepdim=True) > 1) & (low == high)
    at_top = _longest((counts == high.unsqueeze(1)) & inside)
    codes = torch.zeros_like(mean, dtype=torch.long)
    codes[(at_top >= PLATEAU) & (high > _FEW_COUNTS)] = SATURATED
    codes[still | (mean <= _DEAD_BELOW * typical)] = DEAD
    codes[bad] = NOT_FINITE
    return codes


def upright(mu: Tensor, edge_step: Tensor) -> tuple[Tensor, Tensor]:
    """Turn spectra over whose edge goes down: μ, and which rows were turned, `batch`.

    `edge_step` (`batch`) is the signed step that `normalize` found about the tabulated
    edge. A file that holds ln(It/I0) is upside down; its e0 is found anew afterwards.
    """
    inverted = edge_step < 0
    return torch.where(inverted.unsqueeze(-1), -mu, mu), inverted


def _longest(at_end: Tensor) -> Tensor:
    """Return the longest run of True along the points of `batch x points x channels`."""
    position = torch.arange(1, at_end.shape[1] + 1, device=at_end.device).reshape(
        1, -1, 1
    )
    interrupted = torch.where(at_end, 0, position).cummax(1).values
    return torch.where(at_end, position - interrupted, 0).amax(1)
