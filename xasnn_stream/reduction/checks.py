"""When a scan is unusable: range, edge step and scatter, with the reason.

Every limit is a named constant with its reason; the codes are those of the table of
flags in the documentation.
"""

import math
from collections.abc import Mapping

from xasnn_stream.reduction.curves import Account
from xasnn_stream.reduction.short_scans import PARTIAL_EV

MIN_POINTS = 30
"""Fewer cannot hold pre-edge, edge and post-edge; larch's e0 of 20 is 189 eV off."""

_MIN_PRE_EDGE_EV = 20.0
"""A line through less is an extrapolation: from e0 - 5 eV on larch's step is 73 % off."""

_MIN_POST_EDGE_EV = 10.0
"""With less the white line is not over, and nothing says how high the step is."""

_MAX_RANGE_EV = 5000.0
"""No absorption scan is longer; such energies are an encoder gone wrong."""

_SURELY_ANOTHER_EV = 1000.0
"""A scan that misses the edge by more was not meant for it."""

_BEFORE, _BEFORE_UNTOLD, _BEFORE_SIGMA, _MOST_BEFORE = 0.05, 0.02, 3.0, 0.15
"""What normalized μ may scatter before the edge, rms in edge steps: so much, and so many
times the noise of a point above it. Usable measured spectra scatter by 0.04 besides their
noise, most by 0.001; fine structure or a kink taken for an edge lies beyond. Where nobody
knows the edge, less is allowed."""
_LEAST_SHARE = 1e-6
"""Of all change of μ; a smaller step is of rounding, for no detector is so linear."""
_MOST_ABOVE = 0.3
"""What flattened μ may deviate from 1 from 60 eV above the edge on, rms. Usable measured
spectra stay below 0.1, noise included."""


def check_range(
    account: Account, count: int, low: float, high: float, rise: float
) -> None:
    """Refuse a scan of too few points, without absorption, or beside its edge.

    `low` and `high` are its first and last energy (eV), `rise` how much μ changes.
    """
    if not count:
        account.refuse("no_signal", "no point has a finite signal")
    elif count < MIN_POINTS:
        text = f"{count} different energies; at least {MIN_POINTS} are needed"
        account.refuse("too_few_points", text)
    elif not rise > 0:
        account.refuse("constant", "the absorption is the same at all energies")
    elif high - low > _MAX_RANGE_EV:
        text = f"energies from {low:.0f} to {high:.0f} are no absorption scan in eV"
        account.refuse("wrong_energy", text)
    elif not math.isnan(account.tabulated_ev):
        _check_edge_inside(account, low, high)


def _check_edge_inside(account: Account, low: float, high: float) -> None:
    edge, tabulated = account.signal.edge, account.tabulated_ev
    assert edge is not None  # noqa: S101 - only an edge is tabulated
    span = f"the scan runs from {low:.0f} to {high:.0f} eV, {edge.element} {edge.edge} "
    span += f"is at {tabulated:.0f} eV"
    if max(low - tabulated, tabulated - high) > _SURELY_ANOTHER_EV:
        account.refuse("wrong_energy", span)
    elif low > tabulated:
        account.refuse("no_pre_edge", span)
    elif high < tabulated:
        account.refuse("no_post_edge", span)


def check_edge(account: Account, e0: float, low: float, high: float) -> None:
    """Refuse a scan without an edge, or without enough on either side of it (eV)."""
    if math.isnan(e0):
        account.refuse("no_edge", "absorption rises nowhere near the edge")
    elif e0 - low < _MIN_PRE_EDGE_EV:
        text = f"{e0 - low:.0f} eV before the edge at {e0:.1f} eV; "
        account.refuse("no_pre_edge", f"{text}{_MIN_PRE_EDGE_EV:g} are needed")
    elif high - e0 < _MIN_POST_EDGE_EV:
        text = f"{high - e0:.0f} eV above the edge at {e0:.1f} eV; "
        account.refuse("no_post_edge", f"{text}{_MIN_POST_EDGE_EV:g} are needed")


def check_step(
    account: Account, share: float, before: float, above: float, noise: float
) -> None:
    """Refuse a scan whose normalized μ is not near 0 before and near 1 above the edge.

    `share` is the edge step's of all change of μ. `before` and `above` are the rms
    deviations, `above` and `noise`, that of a point, NaN for a scan too short.
    """
    if not share > _LEAST_SHARE:
        text = "no edge: what the ranges hold below and above makes no step upwards"
        account.refuse("no_edge", text)
        return
    if math.isnan(before):
        account.refuse("no_pre_edge", "no points to fit a line to before the edge")
        return
    least = _BEFORE if account.signal.edge else _BEFORE_UNTOLD
    most = least + _BEFORE_SIGMA * (0.0 if math.isnan(noise) else noise)
    if not before < min(most, _MOST_BEFORE):
        text = f"no edge stands out: below it μ scatters by {before:.2g} of the step"
        account.refuse("no_edge", text)
    elif above > _MOST_ABOVE:
        text = f"no edge stands out: above it μ scatters by {above:.2g} of the step"
        account.refuse("no_edge", text)


_NOISY = 0.02
"""Noise of a point, in edge steps: the step is then wrong by some percent."""
_SHORT_PRE_EDGE_EV = 50.0
"""Foils and alloys cut to 25 to 40 eV before the edge have steps off by up to 13 %, many
times what the noise of the line's points says."""
_GAP_EV = 8.0
"""Points farther apart about the edge leave its place and height to chance."""
_E0_FAR_EV = 15.0
"""Maxima of the derivative of oxides lie up to 20 eV above the tabulated edge, those of
metals within some eV of it."""
_OFF_EDGE_EV = 13.0
"""Half of the edge's rise lies within 10 eV of the maximum of the derivative in measured
spectra; farther off, the maximum is one of the fine structure."""


def flag_numbers(account: Account, quality: Mapping[str, float]) -> None:
    """Flag what the numbers of a normalized scan say."""
    if quality["noise"] > _NOISY:
        account.flag("noisy", f"noise of a point is {quality['noise']:.1%} of the step")
    shift = quality["e0_shift_ev"]
    if abs(shift) > _E0_FAR_EV:
        text = f"e0 is {shift:+.1f} eV from the tabulated edge"
        account.flag("e0_far", text)
    rise = quality["half_step_ev"]
    if abs(rise - quality["e0_ev"]) > _OFF_EDGE_EV:
        text = f"half of the step is reached at {rise:.0f} eV, far from e0: the energy "
        account.flag("off_edge", f"{text}axis is off, or e0; --e0 sets it")
    if -quality["start_ev"] < _SHORT_PRE_EDGE_EV:
        text = f"the scan starts {-quality['start_ev']:.0f} eV before the edge"
        account.flag("short_pre_edge", f"{text}: the step may be percents off")
    if quality["edge_gap_ev"] > _GAP_EV:
        text = f"points are {quality['edge_gap_ev']:.0f} eV apart at the edge"
        account.flag("gap", f"{text}: e0 and step are uncertain")
    if quality["end_ev"] < PARTIAL_EV:
        share = quality["edge_step_std"] / quality["edge_step"]
        text = f"the scan ends {quality['end_ev']:.0f} eV above the edge"
        account.flag("partial", f"{text}: its step is known to {share:.1%}")
    if math.isnan(quality["k_max"]):
        account.flag("no_exafs", "too short in k for a background: no χ(k)")
    if math.isfinite(quality["next_edge_ev"]):
        text = f"ranges end at {quality['next_edge_ev']:.0f} eV, before the next edge"
        account.flag("next_edge", f"{text}: k up to {quality['k_max']:.1f} 1/Å")
