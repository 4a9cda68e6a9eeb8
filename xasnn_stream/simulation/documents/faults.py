"""One table of everything that goes wrong at beamlines, and what shall come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents import spoil_documents as documents
from xasnn_stream.simulation.documents import spoil_metadata as metadata
from xasnn_stream.simulation.documents import spoil_readings as readings
from xasnn_stream.simulation.documents.spoilt import Key, Spoilt
from xasnn_stream.simulation.documents.truth import Generated

Outcome = Literal["measured", "flagged", "rejected", "lost", "ignored", "absent"]
"""What comes of a sweep.

`measured`: one complete estimate of what is true, whatever its verdict, but `rejected`.
`flagged`: the same, with the reason's code among its reasons. `rejected`: for the reason.
`lost`: no complete estimate until the stored run is read, and then as if there had been
no fault. `ignored`: its run is taken by no profile. `absent`: nothing, for it never was.
"""

STEPS = ("bmm-step", "sim-step")
EVENTS = (*STEPS, "sim-quick")
FILES = ("iss-fly", "dls-fly")
ALL = (*EVENTS, *FILES)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: which shapes have it, and the outcome of the sweeps it shows in.

    Others are measured, or absent where `apply` says so. `reason` is the code of the
    verdict.
    """

    text: str
    shapes: tuple[str, ...]
    apply: Callable[[Generated], Spoilt]
    outcome: Outcome = "measured"
    reason: str = ""

    def expected(self, spoilt: Spoilt, sweep: Key) -> tuple[Outcome, str]:
        """Return what shall come of a sweep, and the reason's code."""
        if sweep in spoilt.gone:
            return "absent", ""
        if sweep in spoilt.hit:
            return self.outcome, self.reason
        return "measured", ""


FAULTS: Mapping[str, Fault] = {
    "missing-stop": Fault(
        "the last run never ends", ALL, documents.missing_stop, "lost"
    ),
    "abort": Fault("a run is aborted", (*EVENTS, "dls-fly"), documents.abort),
    "fail": Fault("a run fails", (*EVENTS, "dls-fly"), documents.fail),
    "abort-before-files": Fault(
        "a flight is aborted before anything was collected",
        ("iss-fly",),
        documents.abort_before_files,
        "rejected",
        "no_signal",
    ),
    "interleaved": Fault("runs happen at once", STEPS, documents.interleaved),
    "late-descriptor": Fault(
        "data come before their description", ALL, documents.late_descriptor
    ),
    "lost-descriptor": Fault(
        "the description of the signals is lost", ALL, documents.lost_descriptor, "lost"
    ),
    "lost-events": Fault("events are lost", EVENTS, documents.lost_events, "lost"),
    "duplicated": Fault("documents come twice", ALL, documents.duplicated),
    "disorder": Fault("documents come in another order", ALL, documents.disorder),
    "event-pages": Fault("events come in pages", EVENTS, documents.event_pages),
    "late-file": Fault("a file comes late", FILES, readings.late_file),
    "missing-file": Fault(
        "a file never comes", FILES, readings.missing_file, "rejected", "no_file"
    ),
    "truncated-file": Fault(
        "a file stays shorter than it should be",
        FILES,
        readings.truncated_file,
        "rejected",
        "no_file",
    ),
    "outside-root": Fault(
        "documents name a file that is none of the beamline's",
        FILES,
        metadata.outside_root,
        "rejected",
        "unreadable_file",
    ),
    "unknown-format": Fault(
        "a file has a format that nobody knows",
        FILES,
        metadata.unknown_format,
        "rejected",
        "unreadable_file",
    ),
    "wrong-shape": Fault(
        "descriptions promise 10¹² values",
        ("sim-quick", *FILES),
        metadata.wrong_shape,
    ),
    "zero-rows": Fault(
        "a file is longer than what was measured", ("dls-fly",), readings.zero_rows
    ),
    "saturated": Fault(
        "chambers get too much light",
        ("iss-fly",),
        readings.saturated,
        "flagged",
        "saturated",
    ),
    "not-numbers": Fault(
        "readings are NaN",
        (*EVENTS, "dls-fly"),
        readings.not_numbers,
        "rejected",
        "not_finite",
    ),
    "zero-point": Fault("the last point is (0, 0)", EVENTS, readings.zero_point),
    "inverted": Fault(
        "i0 and it are exchanged", ALL, readings.inverted, "rejected", "no_step"
    ),
    "wrong-e0": Fault(
        "the run says that its edge is elsewhere",
        ("bmm-step", "iss-fly"),
        metadata.wrong_e0,
        "flagged",
        "wrong_e0",
    ),
    "no-element": Fault(
        "the run names no element", ALL, metadata.no_element, "rejected", "no_edge"
    ),
    "no-energy": Fault(
        "nothing tells the energy", ALL, metadata.no_energy, "rejected", "no_signal"
    ),
    "sead": Fault(
        "absorption at one energy over time",
        ("bmm-step",),
        metadata.sead,
        "ignored",
    ),
}


def spoil(name: str, shape: str, generated: Generated) -> Spoilt:
    """Return documents with a fault; it may change the files.

    Raises
    ------
    UsageError
        If there is no such fault, or the shape cannot have it.
    """
    if name not in FAULTS:
        raise UsageError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    fault = FAULTS[name]
    if shape not in fault.shapes:
        raise UsageError(
            f"{shape} cannot have the fault {name}; {', '.join(fault.shapes)} can"
        )
    return fault.apply(generated)
