"""One run while its documents come in: its streams, and what they make together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from xasnn_stream.assembly.accounting import MAX_ROWS
from xasnn_stream.assembly.axes import (
    NO_ROWS,
    Rows,
    UnusableError,
    clock_of,
    clocked,
    is_one_stream,
    rows_of,
    wanted,
)
from xasnn_stream.assembly.columns import numbers, one_per_row
from xasnn_stream.assembly.decoders import NotReady
from xasnn_stream.assembly.files import Files
from xasnn_stream.assembly.header import Header, roles
from xasnn_stream.assembly.metadata import whole
from xasnn_stream.assembly.references import References
from xasnn_stream.assembly.settings import AssemblySettings, Stream
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.sweeps import Place, spectrum
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import FloatArray, Reason, Spectrum

Doc = Mapping[str, Any]

CONDITIONS_WITHIN_S = 5.0
"""A sweep waits no longer for a reading behind it, by the times in documents."""


@dataclass(slots=True)
class OpenRun:
    """A run that a profile took: its header, and a log of each stream by its role.

    `made` are the numbers of the sweeps that were handed on.
    """

    settings: AssemblySettings
    header: Header
    files: Files
    references: References = field(init=False)
    logs: dict[str, StreamLog] = field(init=False)
    axis: StreamLog = field(init=False)
    """The stream with a row per point: that of the energy, or of the signals."""
    made: set[int] = field(default_factory=lambda: set[int]())

    def __post_init__(self) -> None:
        self.references = References(self.files)
        conditions = self.settings.conditions.values()
        self.logs = {
            role: StreamLog(
                self.header.streams[role],
                self.settings.streams.get(role, Stream(role)),
                wanted(self.settings, self.header, role),
                self.references,
                frozenset(c.key for c in conditions if c.stream == role),
            )
            for role in roles(self.settings)
        }
        energy, signals = self.settings.energy, self.settings.signals.values()
        named = (signal.stream for signal in signals if signal.stream)
        role = next(named, energy.stream) if energy.shared else energy.stream
        self.axis = self.logs[role]

    def logs_named(self, name: Any) -> list[StreamLog]:
        """Return the logs of a stream by its name in documents."""
        if not isinstance(name, str):
            return []
        return [log for log in self.logs.values() if log.name == name]

    @property
    def has_announced_rows(self) -> bool:
        """Whether as many rows came as the start document announced."""
        announced = self.header.num_points
        return announced is not None and self.axis.count() >= announced

    @property
    def progress(self) -> float | None:
        """The fraction of the announced rows that came, None if none were announced."""
        announced = self.header.num_points
        return min(1.0, self.axis.count() / announced) if announced else None

    def lacks(self, stop: Doc) -> bool:
        """Whether events are missing of those the stop document says there are."""
        return any(
            not log.growing and log.rows.missing(announced(stop, log.name)) > 0
            for log in self.logs.values()
        )

    def missing(self, stop: Doc | None) -> int:
        """Return how many rows of energies and signals are known to be missing."""
        if is_one_stream(self.settings):
            return self.axis.missing(announced(stop, self.axis.name))
        return sum(
            log.missing(announced(stop, log.name))
            for role, log in self.logs.items()
            if self._is_read(role)
        )

    def awaits_condition(self, at_s: float) -> bool:
        """Whether a condition that is interpolated may soon have a reading behind a time.

        Decided by the times in documents, so that it is the same in a replay.
        """
        newest = max(log.newest_s for log in self.logs.values())
        if newest > at_s + CONDITIONS_WITHIN_S:
            return False
        logs = (
            self.logs[condition.stream]
            for condition in self.settings.conditions.values()
            if condition.stream and condition.interp == "linear"
        )
        return any(log.described and log.newest_s < at_s for log in logs)

    def rows(self, table: Table) -> Rows:
        """Return energies and channels of a table of the axis.

        Raises UnusableError if it has none, NotReady if energies that stand elsewhere
        did not come yet.
        """
        return rows_of(table, self.settings, self.header, self._shared())

    def everything(self, stop: Doc | None) -> tuple[Rows, int]:
        """Return all rows of the run, of whatever streams, and how many are missing."""
        if is_one_stream(self.settings):
            return self.rows(self.axis.table()), self.missing(stop)
        tables: dict[str, Table] = {}
        for role, log in self.logs.items():
            if not self._is_read(role):
                continue
            if log.count():
                tables[role] = log.table()
            elif not log.settings.optional:
                raise UnusableError(self.no_events(log))
        rows, unread = clocked(tables, self.settings, self.header)
        return rows, self.missing(stop) + unread

    def no_events(self, log: StreamLog) -> Reason:
        """Say that a stream has none."""
        text = f"run {self.header.uid} has no events in stream {log.name!r}"
        return Reason("no_signal", text)

    def spectrum(
        self, place: Place, rows: Rows = NO_ROWS, problem: Reason | None = None
    ) -> Spectrum:
        """Return one sweep of this run; a final one counts as made."""
        if place.final:
            self.made.add(place.sweep)
        rows = rows.filled()
        if self.settings.segment.kind == "turning_points":
            rows = rows.with_energy()
        return spectrum(
            self.settings, self.header, place, rows, beside=self.logs, problem=problem
        )

    def _is_read(self, role: str) -> bool:
        """Whether a stream has energies, signals or a clock, not conditions alone."""
        energy = self.settings.energy
        signals = [
            signal
            for name, signal in self.settings.signals.items()
            if not self._is_slow_beside(name)
        ]
        read = {energy.stream, *(signal.stream or energy.stream for signal in signals)}
        return role in read | {clock_of(self.settings, r).pulses for r in read}

    def _is_slow_beside(self, name: str) -> bool:
        """Whether a channel is not read, and its clock would thin the others."""
        mode = self.header.mode or self.settings.default_mode
        return mode == "transmission" and name in ("if", "icr", "ocr")

    def _shared(self) -> FloatArray | None:
        """Return the energies that stand in a stream of their own, None without one."""
        energy = self.settings.energy
        if not energy.shared:
            return None
        log = self.logs[energy.stream]
        if not log.count():
            raise NotReady(f"stream {log.name!r} with the energies did not come")
        found = one_per_row(numbers(log.table().columns.get(energy.key)))
        if found is None:
            text = f"run {self.header.uid} has no energies under {energy.key!r}"
            raise UnusableError(Reason("no_signal", text))
        return found


def announced(stop: Doc | None, stream: str) -> int | None:
    """Return how many events the stop document says the stream has, `MAX_ROWS` at most."""
    num_events = stop.get("num_events") if stop is not None else None
    if not isinstance(num_events, Mapping):
        return None
    found = whole(cast(Doc, num_events).get(stream, 0))
    return None if found is None else min(found, MAX_ROWS)
