"""When an estimate may be believed, and the reasons when not: one table of checks."""

from collections.abc import Callable, Iterator, Mapping

from xasnn_stream.engine.evidence import Evidence
from xasnn_stream.estimate import Verdict
from xasnn_stream.physics.normalization.over_absorption import TOO_THICK
from xasnn_stream.spectrum import Reason, Run
from xasnn_stream.uncertainty.novelty import DOUBTED_FROM, MAX_EDGE_SHIFT_EV

_COARSE_EV, _COARSER = 1.25, 1.25
"""Points so far apart about the edge, and so many times as far as the other curve's, do
not see it alike: 1.5 eV beside 0.5 eV move cn1 by a third on average."""

_NOVEL = {
    "leading": ("novel", "unlike every training spectrum"),
    "rest": ("distorted", "a structure no absorption spectrum of this edge has"),
    "glitch": ("spike", "a place that fits to no other, as of a glitch"),
    "white_line": (
        "white_line",
        "the white line is higher than a metal's, as of oxide",
    ),
    "chloride": ("unseen_phase", "light neighbours, as of a chloride"),
    "damped": ("damped", "damped as by self-absorption or harmonics"),
    "edge_step": ("normalization", "another edge step than the foil's"),
    "slope": ("normalization", "the post-edge is inclined against the foil's"),
}
_MOST_DAMPED = 0.97
"""Training has drawn self-absorption of 1 %, and no more."""
_MOST_EXCESS = 3.0
"""Noise over that of the counts; points too coarse for the curve account for a factor of
two."""

_NAMED = 3
"""Glitches named by their energy; of more only the number is said."""


def judge(evidence: Evidence) -> tuple[Verdict, tuple[Reason, ...]]:
    """Return the verdict and every reason that spoke against `ok`."""
    outside = tuple(_outside(evidence))
    caution = tuple(_caution(evidence))
    verdict: Verdict = "outside" if outside else "caution" if caution else "ok"
    return verdict, outside + caution


def unfinished(run: Run) -> Reason:
    """Return the reason every partial estimate has."""
    share = run.progress
    done = "the scan goes on" if share is None else f"{share:.0%} of the scan"
    return Reason("partial", f"{done}; the final estimate will differ")


def incomplete(n_missed: int) -> Reason:
    """Return the reason every estimate of a sweep with gaps has."""
    text = f"{n_missed} event rows are missing" if n_missed else "its end never came"
    return Reason("incomplete", text)


def _outside(evidence: Evidence) -> Iterator[Reason]:
    yield from _novel(evidence, lambda times: not times <= 1)
    if evidence.decisive in evidence.beyond_domain:
        yield _impossible(evidence.beyond_domain)
    shift = _far(evidence.edge_shift_ev, evidence.expected_shift_ev)
    if shift is not None and evidence.calibrated_axis:
        text = f"the edge is {shift:+.1f} eV from the foil's: not this metal"
        yield Reason("edge_shift", text)
    if evidence.gap is not None:
        low, high = evidence.gap
        text = f"no points from {low:.1f} to {high:.1f} eV, where the model reads"
        yield Reason("gap", text)


def _caution(evidence: Evidence) -> Iterator[Reason]:
    if not evidence.run.final:
        yield unfinished(evidence.run)
    yield from _novel(evidence, lambda times: DOUBTED_FROM < times <= 1)
    if not evidence.run.complete:
        yield incomplete(evidence.n_missed)
    if evidence.foil is None:
        text = "no foil of this beamtime: a computed one was subtracted; "
        yield Reason("no_foil", text + "name one with --reference (analyze: --foil)")
    if evidence.beyond_domain and evidence.decisive not in evidence.beyond_domain:
        yield _impossible(evidence.beyond_domain)
    shift = _far(evidence.edge_shift_ev, evidence.expected_shift_ev)
    if shift is not None and not evidence.calibrated_axis:
        text = f"the foil's edge is {-shift:+.1f} eV away, as of another beamtime; "
        yield Reason("foil_shift", text + "aligned on the sample's own edge")
    shift = _far(evidence.axis_shift_ev)
    if shift is not None:
        text = f"the energy axis is {shift:+.1f} eV from the foil's by the reference "
        yield Reason("axis_shift", text + "channel; corrected, but look at the mono")
    yield from _flaws(evidence)


def _flaws(evidence: Evidence) -> Iterator[Reason]:
    if evidence.foreseen_step_std is not None:
        text = (
            "too little behind the edge to measure its step: foreseen from what there "
        )
        known = f"is, to {evidence.foreseen_step_std:.1%}"
        yield Reason("short_post_edge", text + known)
    closer, wider = sorted(evidence.spacing)
    is_coarse = wider > _COARSE_EV and wider > _COARSER * closer
    if is_coarse and evidence.foil is not None:
        mine, theirs = evidence.spacing
        text = f"points about the edge are {mine:.1f} eV apart, the foil's {theirs:.1f}"
        yield Reason("coarse", text + " eV: measure both in the same, finer steps")
    if evidence.glitches:
        yield Reason("glitch", _glitches(evidence.glitches))
    if evidence.jumps:
        yield Reason("jump", _jumps(evidence.jumps))
    if evidence.elements:
        yield Reason("detector", _elements(evidence.elements))
    yield from _amplitudes(evidence)
    if evidence.excess is not None and evidence.excess > _MOST_EXCESS:
        text = f"noise is {evidence.excess:.1f} times that of the counts: "
        yield Reason(
            "excess_noise", text + "is counts_per_unit right, the beam steady?"
        )
    yield from _readings(evidence)
    if evidence.clipped:
        names = ", ".join(evidence.clipped)
        yield Reason("clipped", f"{names} stands still at its end, as if saturated")


def _readings(evidence: Evidence) -> Iterator[Reason]:
    if evidence.unknown_offsets:
        names = ", ".join(evidence.unknown_offsets)
        text = (
            f"the run does not say the dark level of {names} where the profile looks "
        )
        yield Reason("no_dark_level", text + "for it: taken as zero")
    if evidence.saturated:
        text = f"too strong for the detector: {_points(evidence.saturated)} above what "
        yield Reason("saturated", text + "the profile trusts")
    if evidence.weak:
        text = f"too weak for the detector: {_points(evidence.weak)} below what "
        yield Reason("low_signal", text + "the profile trusts")
    if evidence.named_shift_ev is not None:
        text = f"the run names an edge {evidence.named_shift_ev:+.1f} eV from the "
        yield Reason("wrong_e0", text + "tabulated one; not used, but look at its plan")


def _points(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} points of {role}" for role, count in counts.items())


def _amplitudes(evidence: Evidence) -> Iterator[Reason]:
    if evidence.damping is not None:
        factor, std = evidence.damping
        if factor + 2 * std < _MOST_DAMPED:
            text = f"fine structure is {factor:.3f} ± {std:.3f} of that in transmission"
            yield Reason("over_absorption", f"{text}: over-absorbed")
    if evidence.thickness is not None and evidence.thickness > TOO_THICK:
        text = f"an edge step of {evidence.thickness:.1f}: so thick that leaks and "
        yield Reason("thick", text + "harmonics damp the spectrum")


def _elements(elements: tuple[tuple[int, str], ...]) -> str:
    named = ", ".join(f"{k} ({why})" for k, why in elements)
    return f"elements of the fluorescence detector were left out: {named}"


def _novel(evidence: Evidence, fires: Callable[[float], bool]) -> Iterator[Reason]:
    """Yield what tests say that fire, of each code what speaks most."""
    found: dict[str, Reason] = {}
    for test, times in sorted(evidence.novelty.items(), key=lambda item: -item[1]):
        code, text = _NOVEL[test]
        if fires(times) and code not in found:
            found[code] = Reason(code, f"{text}: {times:.2f} of the limit")
    yield from found.values()


def _glitches(energies: tuple[float, ...]) -> str:
    named = ", ".join(f"{energy:.1f}" for energy in energies[:_NAMED])
    more = f" and {len(energies) - _NAMED} more" if len(energies) > _NAMED else ""
    return f"glitch or jump: points leave the curve at {named}{more} eV"


def _jumps(jumps: tuple[tuple[float, float], ...]) -> str:
    named = ", ".join(f"{size:+.2g} at {energy:.1f} eV" for energy, size in jumps)
    return f"the curve jumps, in edge steps by {named}: was the beam lost?"


def _impossible(names: tuple[str, ...]) -> Reason:
    return Reason("beyond_domain", f"no metal has such a value of {', '.join(names)}")


def _far(shift: float | None, expected: float = 0.0) -> float | None:
    """Return a shift if it is known and too far from what is expected."""
    if shift is None or abs(shift - expected) <= MAX_EDGE_SHIFT_EV:
        return None
    return shift
