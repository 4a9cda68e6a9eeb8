"""Points that leave a spectrum and are no part of it: found, explained, left out.

A Hampel filter that knows how finely a scan resolves what can be there: a point is
compared with a quartic through its neighbours and with what these leave of it. Near an
edge, where a few coarse points may be a real peak, a point is a glitch only if I0 has
one there too.
"""

# torch's stubs leave these functions untyped:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from xasnn_stream.physics.edge import find_e0
from xasnn_stream.physics.flaws import (
    Windows,
    bend,
    best_jump,
    edge_step,
    inner,
    may_be_sharp,
    near_edges,
    stands_out,
    typical,
    windows,
)
from xasnn_stream.physics.order import mask

NONE, SPIKE, DETECTOR, I0, INSTRUMENT = range(5)
REASONS = ("none", "spike", "detector", "i0", "instrument")
"""Names of the codes: nothing to compare with; only in μ; I0 has one too, and it did not
divide out; the reference channel has one too."""

_HALF, _LONGEST, _REACH = 6, 3, 3
_SIGMA, _SIGMA_WITH_I0, _SEEN_SIGMA = 5.5, 4.0, 6.0
"""A defect over what remains: to be a glitch, where I0 has one, and to be one in I0."""
_LEAST, _PLAIN, _LEAST_AT_EDGE = 0.008, 0.005, 0.02
"""Of the edge step: what clean measured spectra stay below, what they stay below where a
defect is as plain as `_PLAIN_SIGMA`, and on the rise, where the energy's jitter counts."""
_PLAIN_SIGMA = 10.0
_SCREEN_SIGMA, _SCREEN = 3.0, 0.5
_PASSES = 4
_MOST = 0.05
"""Of a row's points; where more leave the curve, they are not what is wrong with it."""
_WIDEST_EV, _WIDEST_AT_EV = 5.0, 30.0
"""Across a group of points left out together, at 30 eV above e0, growing as the root of
the energy as fine structure does; what lies between is not lost."""


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
    """Find isolated points, up to three beside each other, that leave a spectrum.

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
    reason = torch.zeros_like(valid, dtype=torch.long)
    place = torch.arange(valid.shape[-1], device=valid.device).expand(valid.shape)
    rows, total = torch.arange(len(mu), device=mu.device), valid.sum(-1)
    searched = len(mu) > 0 and valid.shape[-1] > 2 * _HALF
    for _ in range(_PASSES if searched else 0):
        part = _Part(energy, norm, valid, log_i0, foil, e0)
        now = _search(part, others)
        changed = (now != NONE).any(-1)
        if not bool(changed.any()):
            break
        reason[rows.unsqueeze(-1), place] = torch.maximum(
            reason[rows.unsqueeze(-1), place], torch.where(valid, now, NONE)
        )
        rows, e0 = rows[changed], e0[changed]
        valid, energy, norm, log_i0, foil, place = mask(
            now[changed] == NONE,
            *(t[changed] for t in (valid, energy, norm, log_i0, foil, place)),
        )
    found = reason != NONE
    too_many = found.sum(-1) > _MOST * total
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


def _search(part: _Part, others: Sequence[float]) -> Tensor:
    """Return the codes of points that leave the curve in one pass, `batch x points`."""
    bent = bend(part.energy, part.norm)
    used = inner(part.valid)
    noise = typical(bent, used & (part.energy > part.e0.unsqueeze(-1)))
    noise = torch.where(noise.isnan(), typical(bent, used), noise)
    near = near_edges(part.energy, part.e0, others)
    sharp = may_be_sharp(part.energy, part.valid, near)
    in_i0 = _leaves(part.energy, part.log_i0, used)
    size = bent.abs()
    screen = torch.maximum(
        _SCREEN_SIGMA * noise, torch.full_like(noise, _SCREEN * _PLAIN)
    )
    highest = functional.max_pool1d(size, 3, 1, 1)
    candidate = (size > screen.unsqueeze(-1)) & used & (size >= highest)
    ends = part.valid & ~used
    candidate = (candidate | ends) & (~sharp | in_i0)
    cut = windows(part.energy, part.norm, bent, part.valid, candidate, _HALF)
    code = torch.zeros_like(part.valid, dtype=torch.long)
    if not len(cut.row):
        return code
    open_ = torch.ones(len(cut.row), dtype=torch.bool, device=code.device)
    # Without three points beside it a jump bends into any curve.
    a_jump = best_jump(cut, _REACH).ratio > _SIGMA
    for length in range(1, _LONGEST + 1):
        group, ratio, size = _best(cut, length)
        where = cut.index.gather(-1, group)
        row = cut.row.unsqueeze(-1)
        evidence = in_i0[row, where].any(-1)
        apart = ~near[row, where].any(-1)
        allowed = apart | ((length == 1) & (evidence | ~sharp[row, where].any(-1)))
        limit = torch.where(evidence & apart, _SIGMA_WITH_I0, _SIGMA)
        least = torch.where(ratio > _PLAIN_SIGMA, _PLAIN, _LEAST)
        least = torch.where(apart, least, _LEAST_AT_EDGE)
        glitch = open_ & (ratio > limit) & (size > least) & allowed
        glitch = glitch & _narrow(part, cut, group) & ~((length > 1) & a_jump)
        open_ = open_ & ~glitch
        pick = glitch.nonzero().squeeze(-1)
        code[cut.row[pick].unsqueeze(-1), where[pick]] = _explain(
            part, cut, group, evidence, pick
        ).unsqueeze(-1)
    return code


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
    above = (low - part.e0[cut.row]).abs() / _WIDEST_AT_EV
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
