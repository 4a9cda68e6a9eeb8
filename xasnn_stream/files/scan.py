"""One scan of a file: energies and channels by role."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xasnn_stream.files.table import Facts
from xasnn_stream.spectrum import FloatArray

ROLES = ("i0", "it", "if", "ir", "mu", "mu_reference")
"""Channels of a scan: counts before and behind the sample, fluorescence, behind the
reference foil; or absorption as the file gives it, of the sample and of the foil."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One scan: `energy_ev` and `channels` by role, each `(points,)`, as acquired.

    `name` is the scan's within its file, "" where the file holds one. `columns` are all
    columns under the names of the file. `left_out` counts rows that were not readable;
    `notes` are sentences about what was assumed.
    """

    name: str
    energy_ev: FloatArray
    channels: Mapping[str, FloatArray]
    columns: Mapping[str, FloatArray]
    facts: Facts
    left_out: int = 0
    notes: tuple[str, ...] = field(default=())
