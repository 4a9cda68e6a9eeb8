"""What is done to the absorption of a batch before it is normalized, and what was found."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.engine.absorption import Absorption
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.reference import own_channels
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.settings import Rebinning
from xasnn_stream.physics.signals.glitches import find_glitches
from xasnn_stream.physics.signals.jumps import Jumps, Kind, find_jumps, repair
from xasnn_stream.physics.signals.rebin import Rebinned, rebin
from xasnn_stream.spectrum import FloatArray

_JUMP: dict[str, Kind] = {"transmission": "additive", "fluorescence": "factor"}
"""What a lost share of the beam does to μ."""


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """Absorption as it is read, and what left the curve before.

    `measured` is μ of the same points (or bins) before it was denoised, `batch x points`.
    `energy`, `glitches` and `doubted` are `batch x points` of the absorption as it came:
    `doubted` are glitches that the curve may not be itself without, because they are
    still in it or stand side by side. `masked` (`batch`) is how many were left out.
    """

    absorption: Absorption
    measured: Tensor
    energy: Tensor
    glitches: Tensor
    doubted: Tensor
    masked: Tensor
    jumps: Jumps
    is_rebinned: bool

    def moved(self, by: Tensor) -> "Cleaned":
        """Return the same with what is named at energies lower by some eV, `batch`."""
        by = by.unsqueeze(-1)
        jumps = replace(self.jumps, energy=self.jumps.energy - by)
        return replace(self, energy=self.energy - by, jumps=jumps)

    def masked_ev(self, row: int) -> tuple[float, ...]:
        """Return the energies of a row's points that were left out, eV, ascending."""
        left_out = self.glitches[row] & (self.masked[row] > 0)
        return tuple(self.energy[row, left_out].tolist())

    def kept_ev(self, row: int) -> FloatArray:
        """Return the energies at which a row was measured and not left out, eV."""
        kept = ~(self.glitches[row] & (self.masked[row] > 0))
        return self.energy[row, kept].numpy()

    def doubted_ev(self, row: int) -> tuple[float, ...]:
        """Return the energies of a row's glitches that are a reason for doubt, eV."""
        return tuple(self.energy[row, self.doubted[row]].tolist())


def clean(context: Context, absorption: Absorption) -> Cleaned:
    """Leave out what leaves the curves of a batch, as far as the profile says so."""
    of, cleaning = absorption, context.settings.cleaning
    e0 = context.curves(of.energy, of.mu, of.valid).e0
    others = context.other_edges_ev
    glitches = find_glitches(
        of.energy, of.mu, of.valid, of.i0, of.reference, e0, others
    ).found
    glitches = glitches | _in_reference(context, of)
    masked = torch.zeros_like(glitches[:, 0], dtype=torch.long)
    doubted = glitches
    if cleaning.deglitch and bool(glitches.any()):
        of, masked = of.keep(~glitches), glitches.sum(-1)
        doubted = _side_by_side(glitches)
    e0 = context.curves(of.energy, of.mu, of.valid).e0
    jumps = find_jumps(of.energy, of.mu, of.valid, e0, others)
    if cleaning.jumps == "repair":
        kind = _JUMP[context.settings.mode]
        of = replace(of, mu=repair(of.energy, of.mu, jumps, kind))
    if cleaning.rebin:
        of = _rebinned(of, e0)
    read = replace(of, mu=_denoised(cleaning.denoise, of, e0))
    return Cleaned(
        read, of.mu, absorption.energy, glitches, doubted, masked, jumps, cleaning.rebin
    )


def _in_reference(context: Context, of: Absorption) -> Tensor:
    """Return glitches of the sweeps' own reference channels, `batch x points`.

    They would move the energy axis, or the foil that is subtracted.
    """
    usable, _ = own_channels(context, of)
    if not bool(usable.any()):
        return torch.zeros_like(of.valid)
    mu = torch.where(usable.unsqueeze(-1), of.reference, of.mu)
    e0 = context.curves(of.energy, mu, of.valid).e0
    others = context.other_edges_ev
    found = find_glitches(of.energy, mu, of.valid, e0=e0, others=others).found
    return found & usable.unsqueeze(-1)


def _rebinned(of: Absorption, e0: Tensor) -> Absorption:
    """Return μ, also of foil and transmission, on bins, with the noise of bins as sigma."""

    def bins(curve: Tensor, noise: Tensor | None = None) -> Rebinned:
        return rebin(of.energy, curve, of.valid, e0, Rebinning(), noise)

    found = bins(of.mu, _noise(of, e0))
    return replace(
        of,
        energy=found.energy,
        mu=found.mu,
        valid=found.valid,
        i0=torch.full_like(found.mu, torch.nan),
        reference=bins(of.reference).mu,
        beside=bins(of.beside).mu,
        sigma=found.noise,
    )


def _noise(of: Absorption, e0: Tensor) -> Tensor:
    """Return σ of each point of μ, by counts where known, else from those around it."""
    known = (of.sigma.isfinite() | ~of.valid).all(-1, keepdim=True)
    return torch.where(known, of.sigma, local_noise(of.energy, of.mu, of.valid, e0))


def _denoised(name: str, of: Absorption, e0: Tensor) -> Tensor:
    """Return μ by a denoiser, `batch x points`."""
    if name == "none":
        return of.mu
    return DENOISERS[name](of.energy, of.mu, of.valid, _noise(of, e0), e0).mu


def _side_by_side(found: Tensor) -> Tensor:
    """Return which of the points in `found` have a neighbour there, `batch x points`."""
    padded = functional.pad(found, (1, 1))
    return found & (padded[:, :-2] | padded[:, 2:])
