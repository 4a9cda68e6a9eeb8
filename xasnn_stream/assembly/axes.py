"""From the tables of a run's streams to energies and channels, row by row."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.clocks import times, together
from xasnn_stream.assembly.columns import numbers, one_per_row
from xasnn_stream.assembly.energy import energies
from xasnn_stream.assembly.header import Header
from xasnn_stream.assembly.metadata import quantity
from xasnn_stream.assembly.settings import AssemblySettings, Clock, Energy, Stream
from xasnn_stream.assembly.signals import channel
from xasnn_stream.assembly.table import IntArray, Table
from xasnn_stream.spectrum import FloatArray, Reason


class UnusableError(Exception):
    """Nothing can be made of a run, for a reason; the only argument is a `Reason`."""

    @property
    def reason(self) -> Reason:
        """Why."""
        return cast(Reason, self.args[0])


_OF_ELEMENTS = ("if", "icr", "ocr")
"""Roles of channels that may have several values in a row: a detector's elements."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Energies (eV) and channels by role, `(rows,)` or `(rows, elements)`.

    `event` numbers the rows as they were taken, `time` is in epoch seconds, NaN where it
    is not known.
    """

    energy_ev: FloatArray
    channels: Mapping[str, FloatArray]
    event: IntArray
    time: FloatArray

    def __len__(self) -> int:
        return len(self.event)

    def part(self, first: int, last: int) -> "Rows":
        """Return rows `first` to `last`, the latter excluded."""
        part = slice(first, last)
        channels = {role: values[part] for role, values in self.channels.items()}
        return Rows(self.energy_ev[part], channels, self.event[part], self.time[part])

    def filled(self) -> "Rows":
        """Return the rows without those that were never filled.

        They are at zero energy, or hold no number at all.
        """
        keep = self.energy_ev != 0.0
        if np.isnan(self.energy_ev).any():
            readings = (self.energy_ev, *self.channels.values())
            numbers_in = [np.isfinite(r).reshape(len(self), -1) for r in readings]
            keep &= np.column_stack(numbers_in).any(axis=1)
        return self if keep.all() else self._kept(keep)

    def with_energy(self) -> "Rows":
        """Return the rows without those that have no energy."""
        return self._kept(np.isfinite(self.energy_ev))

    def _kept(self, keep: NDArray[np.bool_]) -> "Rows":
        channels = {role: values[keep] for role, values in self.channels.items()}
        return Rows(self.energy_ev[keep], channels, self.event[keep], self.time[keep])

    def then(self, other: "Rows") -> "Rows":
        """Return these rows and others behind them; a channel both must have."""
        if not len(self):
            return other
        roles = [role for role in self.channels if role in other.channels]
        return Rows(
            np.concatenate((self.energy_ev, other.energy_ev)),
            {
                role: np.concatenate((self.channels[role], other.channels[role]))
                for role in roles
            },
            np.concatenate((self.event, other.event)),
            np.concatenate((self.time, other.time)),
        )


NO_ROWS = Rows(np.empty(0), {}, np.empty(0, int), np.empty(0))


def wanted(settings: AssemblySettings, header: Header, role: str) -> tuple[str, ...]:
    """Return the columns that a profile reads of a stream."""
    columns: list[str] = []
    if settings.energy.stream == role:
        columns.append(settings.energy.key)
    for name, signal in settings.signals.items():
        if (signal.stream or settings.energy.stream) == role:
            columns += header.keys[name]
    columns += [c.key for c in settings.conditions.values() if c.stream == role]
    clock = clock_of(settings, role)
    columns += [name for name in (clock.column, clock.fraction) if name]
    if any(stream.clock.pulses == role for stream in settings.streams.values()):
        columns += ["timestamp", "transition"]
    return tuple(dict.fromkeys(columns))


def clock_of(settings: AssemblySettings, role: str) -> Clock:
    """Return the clock of a stream: that of its events unless the profile says more."""
    return settings.streams.get(role, Stream(role)).clock


def is_one_stream(settings: AssemblySettings) -> bool:
    """Whether rows of energy and signals belong together by their numbers."""
    energy = settings.energy
    streams = {signal.stream or energy.stream for signal in settings.signals.values()}
    return energy.shared or streams <= {energy.stream}


def rows_of(
    table: Table,
    settings: AssemblySettings,
    header: Header,
    shared: FloatArray | None = None,
) -> Rows:
    """Return energies and channels of a table that holds both.

    `shared` are energies that stand elsewhere, one per row. Raises UnusableError if what is
    not optional is not there.
    """
    found = channels_of(table, settings, header, role="")
    energy = _energies(table, settings, header) if shared is None else shared
    if len(energy) != len(table):
        text = f"run {header.uid}: {len(energy)} energies for {len(table)} readings"
        raise UnusableError(Reason("no_signal", text))
    clock = clock_of(settings, settings.energy.stream)
    time = table.time
    if clock.kind != "event" and clock.column in table.columns:
        time = times(table, clock, header.time, None)
    return Rows(energy, found, table.event, time)


def clocked(
    tables: Mapping[str, Table], settings: AssemblySettings, header: Header
) -> tuple[Rows, int]:
    """Return energies and channels of streams that have clocks of their own.

    They are interpolated to the times of the slowest with a channel; see
    `clocks.together`. With them comes how many energies are behind the last reading, if
    they span a sweep: then a file of readings ended early.
    """
    axis = settings.energy.stream
    energy = _energies(tables[axis], settings, header)
    series: list[tuple[FloatArray, dict[str, FloatArray]]] = []
    for role, table in tables.items():
        values = channels_of(table, settings, header, role=role)
        if role == axis:
            values["energy"] = energy
        if values:
            series.append((_times(role, tables, settings, header), values))
    time, columns = together(series, smooth=("energy",))
    if not len(time):
        raise UnusableError(_apart(series, header))
    found = columns.pop("energy")
    (at_s,) = (at_s for at_s, values in series if "energy" in values)
    unread = energy[(at_s > time[-1]) & np.isfinite(energy)]
    segment = settings.segment
    span_ev = max(segment.min_span_ev, segment.hysteresis_ev)
    is_sweep = len(unread) > 0 and np.ptp(unread) > span_ev
    rows = Rows(found, columns, np.arange(1, len(time) + 1), time)
    return rows, len(unread) if is_sweep else 0


def channels_of(
    table: Table, settings: AssemblySettings, header: Header, role: str
) -> dict[str, FloatArray]:
    """Return the channels in a table, by role; those of one stream if it is named.

    Raises UnusableError if one that is not optional has no number.
    """
    found: dict[str, FloatArray] = {}
    columns = {
        name: values
        for name, column in table.columns.items()
        if (values := numbers(column)) is not None
    }
    for name, signal in settings.signals.items():
        if role and (signal.stream or settings.energy.stream) != role:
            continue
        values = channel(signal, header.keys[name], columns)
        single = values if name in _OF_ELEMENTS else one_per_row(values)
        if single is not None and np.isfinite(single).any():
            found[name] = single
        elif not signal.optional and len(table):
            keys = ", ".join(map(repr, header.keys[name] or (signal.key,)))
            raise UnusableError(_useless(values, header, keys))
    return found


def _energies(table: Table, settings: AssemblySettings, header: Header) -> FloatArray:
    energy = settings.energy
    _require_law(energy, header)
    readings = numbers(table.columns.get(energy.key))
    single = one_per_row(readings)
    if single is None or not np.isfinite(single).any():
        raise UnusableError(_useless(readings, header, repr(energy.key)))
    return energies(single, energy, header.facts)


def _require_law(energy: Energy, header: Header) -> None:
    """Raise UnusableError if a constant of the energy law is nowhere to be found."""
    law = energy.bragg
    if law is None:
        return
    for constant in (law.counts_per_degree, law.d_spacing, law.offset_deg):
        if math.isnan(quantity(header.facts, constant)):
            paths = " or ".join(map(repr, constant.paths))
            text = f"run {header.uid} has no number under {paths}, which energies need"
            raise UnusableError(Reason("no_signal", text))


def _apart(
    series: Sequence[tuple[FloatArray, Mapping[str, FloatArray]]], header: Header
) -> Reason:
    """Say from when to when, in s from the start of the run, streams have rows."""
    spans: list[str] = []
    for at_s, columns in series:
        known = at_s[np.isfinite(at_s)] - header.time
        span = f"{known.min():.1f} to {known.max():.1f} s" if len(known) else "never"
        spans.append(f"{', '.join(columns)} {span}")
    text = "streams have no time in common; seconds after its start: "
    return Reason("no_clock", f"run {header.uid}: {text}{'; '.join(spans)}")


def _times(
    role: str,
    tables: Mapping[str, Table],
    settings: AssemblySettings,
    header: Header,
) -> FloatArray:
    clock = clock_of(settings, role)
    columns = [name for name in (clock.column, clock.fraction) if name]
    absent = [name for name in columns if name not in tables[role].columns]
    if absent or (clock.pulses and clock.pulses not in tables):
        missing = ", ".join(map(repr, absent)) or f"stream {clock.pulses!r}"
        text = f"run {header.uid}: stream {role!r} has no clock, {missing} is missing"
        raise UnusableError(Reason("no_clock", text))
    return times(tables[role], clock, header.time, tables.get(clock.pulses))


def _useless(readings: FloatArray | None, header: Header, keys: str) -> Reason:
    text = f"no event of run {header.uid} has a number under {keys}"
    if readings is not None and one_per_row(readings) is None:
        text = f"run {header.uid} has several values under {keys} for each point"
    return Reason("no_signal", text)
