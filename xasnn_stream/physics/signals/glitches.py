"""Points that leave a spectrum and are no part of it: found, explained, left out.

A Hampel filter that knows how finely a scan resolves what can be there: a point is
compared with a quartic through its neighbours and with what these leave of it. Near an
edge, where a few coarse points may be a real peak, a point is a glitch only if I0 has
one there too, or if its neighbours would have to show the peak and do not.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.signals.flaws import (
    Windows,
    bend,
    best_jump,
    edge_step,
    inner,
    may_be_sharp,
    near_edges,
    stands_out,
    surely_alone,
    typical,
    windows,
)
from xasnn_stream.physics.signals.order import mask

NONE, SPIKE, DETECTOR, I0, INSTRUMENT = range(5)
REASONS = ("none", "spike", "detector", "i0", "instrument")
"""Names of the codes: nothing to compare with; only in μ; I0 has one too, and it did not
divide out; the reference channel has one too."""

_HALF, _LONGEST, _REACH = 6, 3, 3
_SIGMA, _GROUP_SIGMA, _SIGMA_WITH_I0, _SEEN_SIGMA = 5.5, 8.0, 4.0, 6.0
"""A defect over what remains: to be a glitch of one point, of several, which explain more
of any curve, where I0 has one, and to be one in I0."""
_LEAST, _PLAIN, _LEAST_AT_EDGE = 0.008, 0.005, 0.02
"""Of the edge step: what clean measured spectra stay below, what they stay below where a
defect is as plain as `_PLAIN_SIGMA`, and on the rise, where the energy's jitter counts."""
_PLAIN_SIGMA = 10.0
_SCREEN_SIGMA, _SCREEN = 3.0, 0.5
_PASSES = 4
_MOST = 0.05
"""Of a row's points; where more leave the curve, they are not what is wrong with it."""
_TOGETHER = (1, 2, 4, 8)
"""Points averaged: a glitch of a fast scan spreads over many."""
_WIDEST_EV, _DENSE_EV, _FINE_AT_EV = 5.0, 1.0, 30.0
"""Across points left out together, so that what lies between is not lost, and between
averages, so that fine structure is smooth: both at 30 eV above e0, growing as the root of
the energy as fine structure does."""


@dataclass(frozen=True, slots=True, eq=False)
class Glitches:
    """Points to leave out.

    `found` and `reason` (codes, see `REASONS`) are `batch x points`; `too_many`
    (`batch`) marks rows so full of them that none is left out.
    """

    found: Tensor
    reason: Tensor
    too_many: Tensor


def find_glitches(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor,
    i0: Tensor | None = None,
    mu_reference: Tensor | None = None,
    e0: Tensor | None = None,
    others: Sequence[float] = (),
) -> Glitches:
    """Find narrow groups of points that leave a spectrum.

    Up to three beside each other; of scans finer than 0.05 per angstrom up to 24.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`; energies in eV, strictly ascending, all finite.
    i0, mu_reference
        Readings of I0 and absorption of the reference channel, for the evidence they
        give; `batch x points`. A row of NaN has none.
    e0
        Edge energies, `batch`; found where not given. Give the tabulated edge or an e0
        bounded by it: a glitch may be steeper than the edge.
    others
        Further edges within the scans, eV.

    Rows of fewer than 13 points are not searched.
    """
    mu = mu.double()
    e0 = find_e0(energy, mu, valid) if e0 is None else e0
    norm = mu / edge_step(energy, mu, valid, e0).unsqueeze(-1)
    log_i0 = torch.full_like(mu, torch.nan) if i0 is None else i0.double().log()
    foil = (
        torch.full_like(mu, torch.nan)
        if mu_reference is None
        else mu_reference.double()
    )
    whole = _Part(energy, norm, valid, log_i0, foil, e0)
    reason = torch.zeros_like(valid, dtype=torch.long)
    for together in _TOGETHER:
        if len(mu) and valid.shape[-1] // together > 2 * _HALF:
            reason = _passes(whole, reason, together, others)
    found = reason != NONE
    too_many = found.sum(-1) > _MOST * valid.sum(-1)
    found = found & ~too_many.unsqueeze(-1)
    return Glitches(found, torch.where(found, reason, NONE), too_many)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Spectra as they are in one pass; all `batch x points`, `e0` `batch`."""

    energy: Tensor
    norm: Tensor
    valid: Tensor
    log_i0: Tensor
    foil: Tensor
    e0: Tensor


def _passes(
    whole: _Part, reason: Tensor, together: int, others: Sequence[float]
) -> Tensor:
    """Return the codes after passes over averages of so many points, until none is new."""
    every = torch.arange(reason.shape[-1], device=reason.device).expand_as(reason)
    rows = torch.arange(len(reason), device=reason.device)
    for _ in range(_PASSES):
        curves = (whole.energy, whole.norm, whole.log_i0, whole.foil, every)
        valid, energy, norm, log_i0, foil, place = mask(
            reason[rows] == NONE, *(t[rows] for t in (whole.valid, *curves))
        )
        part = _Part(energy, norm, valid, log_i0, foil, whole.e0[rows])
        averaged = _averaged(part, together)
        if together > 1 and not bool(_dense(averaged).any()):
            break
        now = _search(averaged, others, together).repeat_interleave(together, -1)
        now = functional.pad(now, (0, reason.shape[-1] - now.shape[-1]))
        now = torch.where(valid, now, NONE)
        changed = (now != NONE).any(-1)
        if not bool(changed.any()):
            break
        new = torch.zeros_like(now).scatter_reduce(-1, place, now, "amax")
        reason = reason.index_copy(0, rows, torch.maximum(reason[rows], new))
        rows = rows[changed]
    return reason


def _averaged(part: _Part, together: int) -> _Part:
    """Return the averages of so many points beside each other."""
    if together == 1:
        return part
    whole = part.valid.shape[-1] // together * together
    energy, norm, log_i0, foil = (
        each[:, :whole].unflatten(-1, (-1, together)).mean(-1)
        for each in (part.energy, part.norm, part.log_i0, part.foil)
    )
    valid = part.valid[:, :whole].unflatten(-1, (-1, together)).all(-1)
    return _Part(energy, norm, valid, log_i0, foil, part.e0)


def _dense(part: _Part) -> Tensor:
    """Return where points are close enough to see fine structure as smooth."""
    gaps = part.energy.diff()
    wider = torch.maximum(functional.pad(gaps, (1, 0)), functional.pad(gaps, (0, 1)))
    far = (part.energy - part.e0.unsqueeze(-1)).abs() / _FINE_AT_EV
    return part.valid & (wider < _DENSE_EV * far.clamp(min=1).sqrt())


@dataclass(frozen=True, slots=True, eq=False)
class _Where:
    """What is known of points: near an edge, perhaps sharp, a glitch of I0."""

    near: Tensor
    sharp: Tensor
    in_i0: Tensor


def _search(part: _Part, others: Sequence[float], together: int) -> Tensor:
    """Return the codes of points that leave the curve in one pass, `batch x points`."""
    bent, used = bend(part.energy, part.norm), inner(part.valid)
    near = near_edges(part.energy, part.e0, others)
    noise = typical(bent, used).nan_to_num(0.0)
    sharp = may_be_sharp(part.energy, part.valid, near)
    sharp = sharp & ~surely_alone(part.energy, part.norm, part.valid, noise)
    where = _Where(near, sharp, _leaves(part.energy, part.log_i0, used))
    candidate = _candidates(part, bent, used) & (~sharp | where.in_i0)
    if together > 1:
        candidate = candidate & _dense(part) & ~near
    cut = windows(part.energy, part.norm, bent, part.valid, candidate, _HALF)
    code = torch.zeros_like(part.valid, dtype=torch.long)
    if len(cut.row):
        _mark(code, part, cut, where)
    return code


def _candidates(part: _Part, bent: Tensor, used: Tensor) -> Tensor:
    """Return points worth a window: off their neighbours, or at an end of the scan."""
    noise = typical(bent, used & (part.energy > part.e0.unsqueeze(-1)))
    noise = torch.where(noise.isnan(), typical(bent, used), noise)
    screen = (_SCREEN_SIGMA * noise).clamp(min=_SCREEN * _PLAIN).unsqueeze(-1)
    size = bent.abs()
    highest = functional.max_pool1d(size, 3, 1, 1)
    return ((size > screen) & used & (size >= highest)) | (part.valid & ~used)


def _mark(code: Tensor, part: _Part, cut: Windows, where: _Where) -> None:
    """Write the codes of the windows' glitches, the shortest that explains each."""
    open_ = torch.ones(len(cut.row), dtype=torch.bool, device=code.device)
    # Without three points beside it a jump bends into any curve.
    a_jump = best_jump(cut, _REACH).ratio > _SIGMA
    row = cut.row.unsqueeze(-1)
    for length in range(1, _LONGEST + 1):
        group, ratio, size = _best(cut, length)
        at = cut.index.gather(-1, group)
        evidence = where.in_i0[row, at].any(-1)
        apart = ~where.near[row, at].any(-1)
        resolved = ~where.sharp[row, at].any(-1)
        allowed = apart | ((length == 1) & (evidence | resolved))
        alone = _SIGMA if length == 1 else _GROUP_SIGMA
        limit = torch.where(evidence & apart, _SIGMA_WITH_I0, alone)
        least = torch.where(ratio > _PLAIN_SIGMA, _PLAIN, _LEAST)
        least = torch.where(apart, least, _LEAST_AT_EDGE)
        glitch = open_ & (ratio > limit) & (size > least) & allowed
        glitch = glitch & _narrow(part, cut, group) & ~((length > 1) & a_jump)
        open_ = open_ & ~glitch
        pick = glitch.nonzero().squeeze(-1)
        found = _explain(part, cut, group, evidence, pick).unsqueeze(-1)
        code[row[pick], at[pick]] = found.expand(-1, length)


def _best(cut: Windows, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the group of points that explains each window best.

    Its places (`windows x length`), how far it stands out and its size, `windows`.
    """
    width = cut.values.shape[-1]
    first = torch.arange(-_REACH, _REACH - length + 2, device=cut.at.device)
    within = torch.arange(length, device=cut.at.device)
    groups = cut.at.reshape(-1, 1, 1) + first.reshape(1, -1, 1) + within
    inside = ((groups >= 0) & (groups < width)).all(-1)
    groups = groups.clamp(0, width - 1)
    rest = cut.rest(cut.values)
    which = torch.arange(len(cut.row), device=cut.at.device).reshape(-1, 1, 1)
    off = rest[which, groups]
    among = cut.smooth[which.unsqueeze(-1), groups.unsqueeze(-1), groups.unsqueeze(-2)]
    # A place outside of the window stands for itself, so that every system is regular.
    alone = torch.eye(length).to(among)
    among = torch.where(inside[..., None, None], among, alone)
    height = torch.linalg.solve(among, off.unsqueeze(-1)).squeeze(-1)
    explained = (height * off).sum(-1).masked_fill(~inside, -1.0)
    gain, best = explained.max(-1)
    chosen = groups.gather(1, best.reshape(-1, 1, 1).expand(-1, 1, length)).squeeze(1)
    size = (gain.clamp(min=0) / length).sqrt()
    remaining = rest.square().sum(-1) - gain
    freedom = width - 5 - length
    return chosen, stands_out(size, remaining, freedom, cut.noise), size


def _narrow(part: _Part, cut: Windows, group: Tensor) -> Tensor:
    """Return whether fine structure between the points beside a group is not lost."""
    if group.shape[-1] == 1:
        return torch.ones_like(cut.row, dtype=torch.bool)
    last = cut.index.shape[-1] - 1
    before = cut.index.gather(-1, (group[:, :1] - 1).clamp(min=0)).squeeze(-1)
    after = cut.index.gather(-1, (group[:, -1:] + 1).clamp(max=last)).squeeze(-1)
    low, high = part.energy[cut.row, before], part.energy[cut.row, after]
    above = (low - part.e0[cut.row]).abs() / _FINE_AT_EV
    return high - low < _WIDEST_EV * above.clamp(min=1).sqrt()


def _leaves(energy: Tensor, curve: Tensor, used: Tensor) -> Tensor:
    """Return where a curve without an edge has a glitch, `batch x points`."""
    bent = bend(energy, curve)
    noise = typical(bent, used).nan_to_num(torch.inf)
    return (bent.abs() > _SEEN_SIGMA * noise.unsqueeze(-1)) & used & (bent != 0)


def _explain(
    part: _Part, cut: Windows, group: Tensor, evidence: Tensor, pick: Tensor
) -> Tensor:
    """Return the codes of the groups of the windows in `pick`."""
    row, group = cut.row[pick], group[pick]
    foil = part.foil[row.unsqueeze(-1), cut.index[pick]]
    known = foil.isfinite().all(-1)
    smooth = cut.smooth[pick]
    column = torch.zeros_like(cut.values[pick]).scatter(-1, group, 1.0).unsqueeze(-1)
    defect = (smooth @ column).squeeze(-1)
    mine = (defect * cut.values[pick]).sum(-1)
    foil = foil.nan_to_num(0.0)
    at = (defect * foil).sum(-1)
    gain = at.square() / (defect * column.squeeze(-1)).sum(-1)
    rest = (smooth @ foil.unsqueeze(-1)).square().sum((-1, -2)) - gain
    ratio = stands_out(gain.sqrt(), rest, foil.shape[-1] - 6, torch.zeros_like(gain))
    # A spike of It alone is in both as well, turned over: ln(I0/It) and ln(It/Ir).
    seen = known & (ratio > _SEEN_SIGMA) & (mine * at > 0)
    compared = known | part.log_i0[row].isfinite().any(-1)
    code = torch.where(compared, DETECTOR, SPIKE)
    code = torch.where(evidence[pick], I0, code)
    return torch.where(seen, INSTRUMENT, code)
