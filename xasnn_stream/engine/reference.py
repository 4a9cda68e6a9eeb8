"""What is subtracted from every row of a batch, and what its own channel tells."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.engine.absorption import Absorption
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.measure import see
from xasnn_stream.engine.seen import Curves, Seen
from xasnn_stream.physics.energy_axis import shift_against
from xasnn_stream.physics.ragged import widen

OWN_CHANNEL = "reference channel"
"""The foil's name in the provenance where a sweep brought its own."""


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """The foils of a batch: `curves` to subtract, and of which foil, None without one.

    Rows without a foil hold the sample itself, which is not to be used. `has_foil`,
    `is_own` (the sweep's own channel is subtracted) and `usable` (it shows the edge)
    are `batch`. `channels` are the sweeps' own channels, None if no sweep has one.
    """

    curves: Curves
    names: list[str | None]
    has_foil: Tensor
    is_own: Tensor
    usable: Tensor
    channels: Seen | None

    def axis_shift(self, foil: Seen) -> tuple[Tensor, Tensor]:
        """Return how far energies are above the foil's, and its standard deviation.

        By the sweep's own channel; eV, NaN where that is not known, both `batch`.
        """
        unknown = torch.full_like(foil.position, torch.nan)
        if self.channels is None:
            return unknown, unknown
        known = self.has_foil & self.usable & ~self.is_own
        mine, theirs = self.channels.curves, foil.curves
        shift, std = shift_against(
            mine.energy,
            self.channels.normalized.flat,
            mine.valid,
            self.channels.noise,
            mine.e0,
            theirs.energy,
            foil.normalized.flat,
            theirs.valid,
            theirs.e0,
            foil.noise,
        )
        return torch.where(known, shift, unknown), torch.where(known, std, unknown)


def references(context: Context, absorption: Absorption) -> References:
    """Choose for every row the sweep's own channel or the deployment's foil, or neither."""
    usable, channels = own_channels(context, absorption)
    given = context.reference
    own_first = given is None or context.settings.reference_first == "channel"
    is_own = usable if own_first else torch.zeros_like(usable)
    energy, valid = absorption.energy, absorption.valid
    mu = torch.where(is_own.unsqueeze(-1), absorption.reference, absorption.mu)
    if given is not None:
        foil = [torch.as_tensor(c).to(energy) for c in (given.energy_ev, given.mu)]
        row = [curve.expand(len(energy), -1) for curve in foil]
        there = torch.ones_like(row[0], dtype=torch.bool)
        energy, mu, valid = (
            _rows_of(is_own, mine, theirs)
            for mine, theirs in zip((energy, mu, valid), (*row, there), strict=True)
        )
    named = None if given is None else given.name
    return References(
        curves=context.curves(energy, mu, valid),
        names=[OWN_CHANNEL if own else named for own in is_own.tolist()],
        has_foil=is_own | (given is not None),
        is_own=is_own,
        usable=usable,
        channels=channels,
    )


def own_channels(
    context: Context, absorption: Absorption
) -> tuple[Tensor, Seen | None]:
    """Return which sweeps' own channels show the edge, and the channels if any are."""
    there = absorption.has_reference
    if not bool(there.any()):
        return there, None
    mu = torch.where(there.unsqueeze(-1), absorption.reference, absorption.mu)
    found = context.curves(absorption.energy, mu, absorption.valid)
    limits = found.reach(context.next_edge_ev).limits
    seen = see(found, context.settings.normalization, limits)
    quality = context.settings.quality
    near = (seen.half_step - context.edge_ev).abs() <= quality.max_e0_shift_ev
    usable = there & near & (seen.normalized.edge_step > quality.min_edge_step)
    return usable, seen


def _rows_of(first: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Take rows of `one` where `first` (`batch`), else of `other`, at a common width."""
    width = max(one.shape[-1], other.shape[-1])
    return torch.where(first.unsqueeze(-1), widen(one, width), widen(other, width))
