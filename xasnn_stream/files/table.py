"""What every format is read into first: named columns, and what the header says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xasnn_stream.spectrum import FloatArray

NO_TEXT: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says of a scan; None where it says nothing.

    `mode` is `transmission`, `fluorescence`, or `reference` where the sample stood in the
    foil's place; `e0_ev` is the edge energy the scan was planned about, `d_spacing`
    (angstrom) that of the monochromator, `start` in epoch seconds.
    """

    element: str | None = None
    edge: str | None = None
    sample: str | None = None
    mode: str | None = None
    temperature_k: float | None = None
    e0_ev: float | None = None
    d_spacing: float | None = None
    start: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of one length, each `(points,)`, in order of acquisition.

    `named` is False where the file has no names and columns are called `1`, `2`, …
    `units` maps columns to units where the file states them. `left_out` counts rows that
    were no rows of numbers.
    """

    name: str
    columns: Mapping[str, FloatArray]
    facts: Facts = field(default_factory=Facts)
    units: Mapping[str, str] = field(default_factory=lambda: NO_TEXT)
    named: bool = True
    left_out: int = 0
    notes: tuple[str, ...] = ()
