"""One run while its documents come in, and the spectrum it becomes: a step scan."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from xasnn_stream.assembly.accounting import Rows, span
from xasnn_stream.assembly.metadata import (
    epoch_s,
    find,
    look_up,
    quantity,
    reading,
    texts,
    whole,
)
from xasnn_stream.assembly.settings import AssemblySettings, Signal
from xasnn_stream.spectrum import Accounting, FloatArray, Reason, Run, Spectrum

_EV_PER_UNIT = {"eV": 1.0, "keV": 1000.0}


@dataclass(frozen=True, slots=True)
class Header:
    """What the start document says about a run."""

    uid: str
    scan_id: int | None
    time: float
    source: str
    num_points: int | None
    access_tags: tuple[str, ...]
    sample: str | None
    element: str
    edge: str
    offsets: Mapping[str, float]
    conditions: Mapping[str, float]


@dataclass(slots=True)
class OpenRun:
    """A run that a profile took: its header and the rows so far.

    A row is the event's time, the energy, and the signals in the profile's order.
    """

    settings: AssemblySettings
    header: Header
    rows: Rows = field(default_factory=Rows)
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        signals = self.settings.signals.values()
        elements = [key for signal in signals for key in signal.keys]
        self.keys = (self.settings.energy.key, *elements)

    def put(self, seq_num: int, time: Any, data: Mapping[str, Any]) -> None:
        """Keep the readings of one event; what is missing or no number becomes NaN."""
        at_s = epoch_s(time)
        row = [math.nan if at_s is None else at_s]
        for key in self.keys:
            value = data.get(key)
            row.append(value if type(value) is float else reading(value))
        self.rows.put(seq_num, tuple(row))

    @property
    def has_announced_rows(self) -> bool:
        """Whether as many rows came as the start document announced."""
        announced = self.header.num_points
        return announced is not None and len(self.rows) >= announced


def read_header(
    start: Mapping[str, Any], uid: str, settings: AssemblySettings, source: str
) -> Header:
    """Return what a start document says, as the profile reads it."""
    offsets = {
        role: quantity(start, signal.offset)
        for role, signal in settings.signals.items()
    }
    conditions = {
        name: found * condition.scale + condition.zero
        for name, condition in settings.conditions.items()
        if condition.source and (found := find(start, condition.source)) is not None
    }
    return Header(
        uid=uid,
        scan_id=whole(start.get("scan_id")),
        time=epoch_s(start.get("time")) or 0.0,
        source=source,
        num_points=whole(start.get("num_points")),
        access_tags=texts(start.get("tiled_access_tags")),
        sample=look_up(start, settings.sample),
        element=(look_up(start, settings.element) or "").capitalize(),
        edge=(look_up(start, settings.edge) or "").upper(),
        offsets={role: value for role, value in offsets.items() if value},
        conditions=conditions,
    )


def finish(run: OpenRun, stop: Mapping[str, Any] | None) -> Spectrum:
    """Return the final spectrum of a run; without a stop document it is incomplete."""
    return _spectrum(run, stop, final=True)


def so_far(run: OpenRun) -> Spectrum:
    """Return the partial spectrum of a run: incomplete only if rows are known missing."""
    return _spectrum(run, None, final=False)


def _spectrum(run: OpenRun, stop: Mapping[str, Any] | None, *, final: bool) -> Spectrum:
    settings, header = run.settings, run.header
    columns = run.rows.columns(len(run.keys) + 1)
    energy_ev = columns[1] * _EV_PER_UNIT[settings.energy.unit]
    channels = _channels(settings.signals, columns[2:])
    n_missed = run.rows.missing(_announced(stop, settings.energy.stream))
    problem = _problem(run, energy_ev, channels)
    if problem is not None:
        energy_ev, channels = np.empty(0), {}
    stopped = epoch_s(stop.get("time")) if stop is not None else None
    return Spectrum(
        run=Run(
            uid=header.uid,
            scan_id=header.scan_id,
            sweep=0,
            direction=_direction(energy_ev),
            progress=_progress(len(run.rows), header.num_points),
            final=final,
            complete=n_missed == 0 and (stop is not None or not final),
            source=header.source,
            access_tags=header.access_tags,
        ),
        profile=settings.profile,
        sample=header.sample,
        element=header.element,
        edge=header.edge,
        time=span(columns[0], (header.time, stopped or header.time)),
        energy_ev=energy_ev,
        channels={r: c for r, c in channels.items() if np.isfinite(c).any()},
        offsets=header.offsets,
        conditions=header.conditions,
        accounting=Accounting(n_missed=n_missed),
        problem=problem,
    )


def _channels(
    signals: Mapping[str, Signal], columns: FloatArray
) -> dict[str, FloatArray]:
    """Return readings by role: `(points,)`, or `(points, elements)` of a detector.

    `columns` is `keys x points`, in the profile's order.
    """
    channels: dict[str, FloatArray] = {}
    first = 0
    for role, signal in signals.items():
        elements = columns[first : first + len(signal.keys)]
        channels[role] = elements.T if signal.more else elements[0]
        first += len(elements)
    return channels


def _announced(stop: Mapping[str, Any] | None, stream: str) -> int | None:
    """Return how many events the stop document says the stream has."""
    num_events = stop.get("num_events") if stop is not None else None
    if not isinstance(num_events, Mapping):
        return None
    return whole(num_events.get(stream, 0))  # type: ignore[reportUnknownMemberType]


def _problem(
    run: OpenRun, energy_ev: FloatArray, channels: Mapping[str, FloatArray]
) -> Reason | None:
    """Return why nothing can be made of the run, None if something can."""
    settings, header = run.settings, run.header
    uid, stream = header.uid, settings.energy.stream
    if not header.element or not header.edge:
        text = f"the start document of run {uid} names no element and edge where "
        return Reason("no_edge", text + f"profile {settings.profile} looks for them")
    if not len(run.rows):
        return Reason("no_signal", f"run {uid} has no events in stream {stream!r}")
    wanted = {settings.energy.key: energy_ev} | {
        signal.key: channels[role]
        for role, signal in settings.signals.items()
        if not signal.optional
    }
    absent = [key for key, column in wanted.items() if not np.isfinite(column).any()]
    if absent:
        text = (
            f"no event of run {uid} has a number under {', '.join(map(repr, absent))}"
        )
        return Reason("no_signal", text)
    return None


def _direction(energy_ev: FloatArray) -> Literal["up", "down"] | None:
    finite = energy_ev[np.isfinite(energy_ev)]
    if len(finite) < 2 or finite[0] == finite[-1]:
        return None
    return "up" if finite[-1] > finite[0] else "down"


def _progress(n_rows: int, num_points: int | None) -> float | None:
    return min(1.0, n_rows / num_points) if num_points else None
