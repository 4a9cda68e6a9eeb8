"""Measured spectra played back: their counts travel as if they were measured now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.errors import UsageError
from xasnn_stream.files.read import read_scans
from xasnn_stream.files.table import Facts
from xasnn_stream.simulation.beamline import build_station
from xasnn_stream.simulation.devices import CHANNELS
from xasnn_stream.simulation.plans import Plan, Region, xas_step_scan
from xasnn_stream.spectrum import FloatArray

MADE_I0 = 1e6
"""Counts of i0 where a file holds only μ."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A measured scan: energies (eV) and counts by channel, in order of acquisition.

    `made` says which counts are made from μ rather than measured, "" if none.
    """

    path: Path
    facts: Facts
    energy_ev: FloatArray
    counts: Mapping[str, FloatArray]
    made: str = ""


class RecordedCounts:
    """The photons of a recording: every exposure returns its next row."""

    def __init__(self, recording: Recording) -> None:
        self._counts = recording.counts
        self._row = 0

    def expose(
        self, energy_ev: float, dwell_s: float, beam: bool
    ) -> Mapping[str, float]:
        """Return the next row; the energy was set to the same row by the plan."""
        del energy_ev, dwell_s, beam
        row, self._row = self._row, self._row + 1
        return {channel: float(values[row]) for channel, values in self._counts.items()}


def read_recording(path: Path, columns: Mapping[str, str] | None = None) -> Recording:
    """Read a measured file.

    `columns` maps channels (`i0`, `it`, `ir`) to columns, and then only those are
    played: `{"i0": "it", "it": "ir"}` plays the foil behind a sample as if it were the
    sample. By default columns keep their names; a file without `it` gets counts made
    from its `mu` with a constant i0: it = i0 exp(-μ), ir = it exp(-mu_ref).

    Raises
    ------
    FileError
        If the file cannot be read, or its columns cannot be told.
    UsageError
        If it lacks what a playback needs.
    """
    scan, *others = read_scans(path, columns)
    if others:
        raise UsageError(f"{path} holds {1 + len(others)} scans; one can be played")
    channels = dict(scan.channels)
    counts, made = (channels, "") if columns else _counts(channels)
    unknown = set(counts) - set(CHANNELS)
    if unknown or not {"i0", "it"} <= set(counts):
        raise UsageError(
            f"a playback needs channels i0 and it, may have ir; got {sorted(channels)}"
        )
    return Recording(path, scan.facts, scan.energy_ev, counts, made)


def playback(
    recording: Recording,
    *,
    element: str | None = None,
    edge: str | None = None,
    sample: str | None = None,
) -> Plan:
    """Plan: the recording as one step scan; no dark levels, for counts are as they are.

    Element, edge and sample come from the file's header unless given.

    Raises
    ------
    UsageError
        If neither the header nor the caller names element and edge.
    """
    facts = recording.facts
    element, edge = element or facts.element, edge or facts.edge
    if not element or not edge:
        raise UsageError(f"{recording.path} names no element and edge; give them")
    station = build_station(
        RecordedCounts(recording),
        channels=tuple(recording.counts),
        readback_error_ev=0.0,
    )
    notes: dict[str, Any] = {"file": recording.path.name, "made": recording.made}
    return xas_step_scan(
        station,
        [Region(recording.energy_ev, 1.0)],
        element=element,
        edge=edge,
        sample=sample or facts.sample or recording.path.stem,
        dark=False,
        metadata={"playback": notes},
    )


def _counts(channels: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], str]:
    if "i0" in channels and "it" in channels:
        return {name: channels[name] for name in CHANNELS if name in channels}, ""
    if "mu" not in channels:
        return {}, ""
    i0 = np.full(channels["mu"].shape, MADE_I0)
    counts = {"i0": i0, "it": i0 * np.exp(-channels["mu"])}
    made = f"i0 = {MADE_I0:g}, it = i0 exp(-mu)"
    if "mu_reference" in channels:
        counts["ir"] = counts["it"] * np.exp(-channels["mu_reference"])
        made += ", ir = it exp(-mu_ref)"
    return counts, made
