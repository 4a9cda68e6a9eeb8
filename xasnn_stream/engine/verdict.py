"""When an estimate may be believed, and the reasons when not: one table of checks."""

from collections.abc import Iterator
from dataclasses import dataclass

from xasnn_stream.estimate import Verdict
from xasnn_stream.spectrum import Reason

_MAX_EDGE_SHIFT_EV = 1.5
"""A metal's edge moves less than this; more is another element, state or calibration."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict on one estimate is made of; shifts in eV, None if unknown."""

    complete: bool
    n_missed: int
    novelty: float
    threshold: float
    beyond_domain: tuple[str, ...]
    foil: str | None
    edge_shift_ev: float | None
    calibrated_axis: bool


def judge(evidence: Evidence) -> tuple[Verdict, tuple[Reason, ...]]:
    """Return the verdict and every reason that spoke against `ok`."""
    outside = tuple(_outside(evidence))
    caution = tuple(_caution(evidence))
    verdict: Verdict = "outside" if outside else "caution" if caution else "ok"
    return verdict, outside + caution


def _outside(evidence: Evidence) -> Iterator[Reason]:
    if not evidence.novelty <= evidence.threshold:
        text = f"unlike every training spectrum: novelty {evidence.novelty:.2f} above "
        yield Reason("novel", text + f"{evidence.threshold:.2f}")
    if evidence.beyond_domain:
        names = ", ".join(evidence.beyond_domain)
        yield Reason("beyond_domain", f"no metal has such a value of {names}")
    shift = _far(evidence)
    if shift is not None and evidence.calibrated_axis:
        text = f"the edge is {shift:+.1f} eV from the foil's: not this metal"
        yield Reason("edge_shift", text)


def _caution(evidence: Evidence) -> Iterator[Reason]:
    if not evidence.complete:
        missed = evidence.n_missed
        text = f"{missed} event rows are missing" if missed else "its end never came"
        yield Reason("incomplete", text)
    if evidence.foil is None:
        text = "no foil of this beamtime: a computed one was subtracted; "
        yield Reason("no_foil", text + "name one with --reference (analyze: --foil)")
    shift = _far(evidence)
    if shift is not None and not evidence.calibrated_axis:
        text = f"the foil's edge is {-shift:+.1f} eV away, as of another beamtime; "
        yield Reason("foil_shift", text + "aligned on the sample's own edge")


def _far(evidence: Evidence) -> float | None:
    """Return the edge shift if it is known and too large for a metal."""
    shift = evidence.edge_shift_ev
    return shift if shift is not None and abs(shift) > _MAX_EDGE_SHIFT_EV else None
