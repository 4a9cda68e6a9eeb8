"""Scans as one batch for physics, and the account of what was found in each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.signals.counts import SATURATED, channel_doubts
from xasnn_stream.physics.signals.order import finite, mask, order
from xasnn_stream.reduction.signal import Signal
from xasnn_stream.spectrum import FloatArray, Reason

_HIGHEST_EV = 200_000.0
"""Above every edge; energies beyond, as those below zero, are a broken row's."""


@dataclass(slots=True)
class Account:
    """What was found in one scan and done about it; filled in from stage to stage."""

    signal: Signal
    problem: Reason | None = None
    flags: list[Reason] = field(default_factory=lambda: list[Reason]())
    done: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())

    def flag(self, code: str, text: str) -> None:
        """Add a flag."""
        self.flags.append(Reason(code, text))

    def refuse(self, code: str, text: str) -> None:
        """Say why the scan is unusable; the first reason stays."""
        self.problem = self.problem or Reason(code, text)

    @property
    def edge_name(self) -> str | None:
        """The edge as people write it: `Pt L3`."""
        edge = self.signal.edge
        return f"{edge.element} {edge.edge}" if edge else None

    @property
    def tabulated_ev(self) -> float:
        """The edge's tabulated energy, NaN where the edge is unknown."""
        edge = self.signal.edge
        if edge is None:
            return float("nan")
        return edge_energy_ev(edge.element, edge.edge) or float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """A batch; tensors are `batch x points`, energies (eV) ascending, a row per account.

    `i0`, `reference` and `transmission` are NaN in rows that have none; `noise` is one
    standard deviation of a point of μ before it was smoothed, NaN before it was read.
    `measured` is that μ, None where it was not smoothed.
    """

    accounts: tuple[Account, ...]
    energy: Tensor
    mu: Tensor
    valid: Tensor
    i0: Tensor
    reference: Tensor
    transmission: Tensor
    noise: Tensor
    measured: Tensor | None = None

    @property
    def count(self) -> Tensor:
        """Points of each row, `batch`."""
        return self.valid.sum(-1)

    @property
    def end(self) -> Tensor:
        """Highest energy of each row, `batch`, eV."""
        return self.energy.masked_fill(~self.valid, -torch.inf).amax(-1)

    @property
    def tabulated(self) -> Tensor:
        """Tabulated energy of each row's edge (eV), NaN where unknown, `batch`."""
        energies = [account.tabulated_ev for account in self.accounts]
        return torch.tensor(energies, dtype=torch.float64)

    @property
    def mu_range(self) -> tuple[Tensor, Tensor]:
        """Highest and lowest μ of each row, each `batch`."""
        inside = self.mu.masked_fill
        high, low = inside(~self.valid, -torch.inf), inside(~self.valid, torch.inf)
        return high.amax(-1), low.amin(-1)

    def rows(self, chosen: Sequence[int]) -> "Curves":
        """Return some rows."""
        tensors = {name: getattr(self, name)[list(chosen)] for name in _TENSORS}
        accounts = tuple(self.accounts[row] for row in chosen)
        measured = None if self.measured is None else self.measured[list(chosen)]
        return Curves(accounts, **tensors, measured=measured)

    def kept(self, keep: Tensor) -> "Curves":
        """Return the batch with only the points to keep, `batch x points`."""
        valid, *others = mask(
            keep, self.valid, *(getattr(self, name) for name in _MASKED)
        )
        return replace(self, valid=valid, **dict(zip(_MASKED, others, strict=True)))

    def usable(self) -> "Curves":
        """Return the rows without a problem."""
        return self.rows(
            [row for row, account in enumerate(self.accounts) if not account.problem]
        )


_MASKED = ("energy", "mu", "i0", "reference", "transmission", "noise")
_TENSORS = ("valid", *_MASKED)


def curves_of(accounts: Sequence[Account]) -> Curves:
    """Put scans into one batch: finite, ascending, each energy once.

    What was left out, turned round or merged is in the accounts.
    """
    signals = [account.signal for account in accounts]
    energy, valid = stack([signal.energy_ev for signal in signals])
    mu, i0, reference, transmission = (
        stack([_or_nan(signal, name) for signal in signals])[0]
        for name in ("mu", "i0", "reference", "transmission")
    )
    good = finite(energy, valid, mu) & (energy > 0) & (energy < _HIGHEST_EV)
    lost = (valid & ~good).sum(-1).tolist()
    valid, energy, mu, i0, reference, transmission = mask(
        good, valid, energy, mu, i0, reference, transmission
    )
    ordered = order(energy, valid, mu, i0, reference, transmission)
    curves = Curves(
        tuple(accounts),
        ordered.energy,
        ordered.curves[0],
        ordered.valid,
        *ordered.curves[1:],
        noise=torch.full_like(mu, torch.nan),
    )
    for account, n_lost, turned, back, merged in zip(
        accounts,
        lost,
        ordered.reversed.tolist(),
        ordered.back_steps.tolist(),
        ordered.merged.tolist(),
        strict=True,
    ):
        _say(account, n_lost, turned, back, merged)
    _tell_saturated(accounts)
    return curves


def _tell_saturated(accounts: Sequence[Account]) -> None:
    """Flag scans of which a channel stands still at its highest reading."""
    for name in ("i0", "detector"):
        signals = [account.signal for account in accounts]
        readings, valid = stack([_or_nan(signal, name) for signal in signals])
        codes = channel_doubts(readings.unsqueeze(-1), valid).squeeze(-1)
        for account, code in zip(accounts, codes.tolist(), strict=True):
            if code == SATURATED:
                behind = "If" if account.signal.mode == "fluorescence" else "It"
                words = "I0" if name == "i0" else behind
                text = f"{words} stands still at its highest reading, as if saturated"
                account.flag("saturated", text)


def _or_nan(signal: Signal, name: str) -> FloatArray:
    found = getattr(signal, name)
    return np.full_like(signal.energy_ev, np.nan) if found is None else found


def _say(account: Account, lost: int, turned: bool, back: int, merged: int) -> None:
    lost += account.signal.left_out
    account.done |= {
        "left_out": lost,
        "reversed": turned,
        "back_steps": back,
        "merged_duplicates": merged,
    }
    if lost:
        text = f"{lost} row{'s' * (lost > 1)} without a finite signal left out"
        account.flag("not_finite", text)
    if turned:
        account.flag("reversed", "the scan ran downwards in energy")
    if back:
        times = f"{back} times" if back > 1 else "once"
        account.flag(
            "back_steps", f"the energy stepped back {times}; points are sorted"
        )
    if merged:
        readings = f"{merged} reading{'s' * (merged > 1)}"
        text = f"{readings} at an energy that had one already; averaged"
        account.flag("duplicates", text)
