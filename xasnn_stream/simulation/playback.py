"""Measured spectra played back: their counts travel as if they were measured now.

A file is comma-separated columns, plain or gzipped, behind a header of `# key: value`
lines of which `# columns:` names the columns; `energy` (eV) is required.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.errors import UsageError
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
    header: Mapping[str, str]
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
    UsageError
        If the file cannot be read or lacks what is needed; says which columns it has.
    """
    header, table = _read_table(path)
    try:
        energy = table["energy"]
        if columns:
            counts = {channel: table[name] for channel, name in columns.items()}
            made = ""
        else:
            counts, made = _counts(table)
    except KeyError as error:
        raise UsageError(
            f"{path} has no column {error}; it has {', '.join(table)}"
        ) from error
    unknown = set(counts) - set(CHANNELS)
    if unknown or not {"i0", "it"} <= set(counts):
        raise UsageError(
            f"a playback needs channels i0 and it, may have ir; got {sorted(counts)}"
        )
    return Recording(path, header, energy, counts, made)


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
    header = recording.header
    element, edge = element or header.get("element"), edge or header.get("edge")
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
        sample=sample or header.get("sample") or recording.path.stem,
        dark=False,
        metadata={"playback": notes},
    )


def _counts(table: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], str]:
    if "i0" in table and "it" in table:
        return {name: table[name] for name in CHANNELS if name in table}, ""
    i0 = np.full(table["energy"].shape, MADE_I0)
    counts = {"i0": i0, "it": i0 * np.exp(-table["mu"])}
    made = f"i0 = {MADE_I0:g}, it = i0 exp(-mu)"
    if "mu_ref" in table:
        counts["ir"] = counts["it"] * np.exp(-table["mu_ref"])
        made += ", ir = it exp(-mu_ref)"
    return counts, made


def _read_table(path: Path) -> tuple[dict[str, str], dict[str, FloatArray]]:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        lines = content.decode().splitlines()
        header = dict(_key_value(line) for line in lines if line.startswith("#"))
        names = header["columns"].replace(",", " ").split()
        rows = [line for line in lines if line.strip() and not line.startswith("#")]
        values = np.loadtxt(rows, delimiter=",", ndmin=2)
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be played back: {error!r}; expected comma-separated "
            "numbers behind a line `# columns: energy i0 it`"
        ) from error
    if values.shape[1] != len(names):
        raise UsageError(f"{path} announces columns {names} but has {values.shape[1]}")
    return header, dict(zip(names, values.T, strict=True))


def _key_value(line: str) -> tuple[str, str]:
    key, _, value = line.lstrip("# ").partition(":")
    return key.strip(), value.strip()
