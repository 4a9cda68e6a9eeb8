"""One sweep's rows as the noun that flows on."""

import math
from dataclasses import dataclass

from xasnn_stream.assembly.accounting import span
from xasnn_stream.assembly.axes import NO_ROWS, Rows, UnusableError
from xasnn_stream.assembly.conditions import condition_at
from xasnn_stream.assembly.decoders import NotReady, Undecodable
from xasnn_stream.assembly.header import Header
from xasnn_stream.assembly.metadata import quantity
from xasnn_stream.assembly.segments import direction_of
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.assembly.table import Table
from xasnn_stream.spectrum import Accounting, Direction, Reason, Run, Spectrum

_MOST_LOG10 = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Which sweep it is, and what is known of it beside its rows.

    `at_s` is when it was taken, where no rows tell; NaN if nothing does.
    """

    sweep: int = 0
    direction: Direction = None
    progress: float | None = None
    final: bool = True
    complete: bool = True
    n_missed: int = 0
    at_s: float = math.nan


def spectrum(
    settings: AssemblySettings,
    header: Header,
    place: Place,
    rows: Rows,
    *,
    beside: dict[str, StreamLog],
    problem: Reason | None = None,
) -> Spectrum:
    """Return one sweep; with a `problem` it has no points.

    `beside` are the streams by role that conditions may be read from.
    """
    if not header.element or not header.edge:
        text = (
            f"the start document of run {header.uid} names no element and edge where "
        )
        problem = Reason("no_edge", text + f"profile {settings.profile} looks for them")
    if problem is not None:
        rows = Rows(NO_ROWS.energy_ev, {}, rows.event, rows.time)
    at_s = header.time if math.isnan(place.at_s) else place.at_s
    time = span(rows.time, (at_s, at_s))
    offsets = _offsets(settings, header)
    return Spectrum(
        run=Run(
            uid=header.uid,
            scan_id=header.scan_id,
            sweep=place.sweep,
            direction=place.direction or direction_of(rows.energy_ev),
            progress=place.progress,
            final=place.final,
            complete=place.complete,
            source=header.source,
            access_tags=header.access_tags,
        ),
        profile=settings.profile,
        sample=header.sample,
        element=header.element,
        edge=header.edge,
        time=time,
        energy_ev=rows.energy_ev,
        channels=rows.channels,
        offsets={role: level for role, level in offsets.items() if level},
        scales=_scales(settings, header),
        mode=header.mode,
        e0_ev=header.e0_ev,
        conditions=_conditions(settings, header, sum(time) / 2, beside),
        accounting=Accounting(n_missed=place.n_missed),
        problem=problem,
        unknown_offsets=tuple(role for role in rows.channels if role not in offsets),
    )


def _offsets(settings: AssemblySettings, header: Header) -> dict[str, float]:
    """Return dark levels by role, those that the run does not say left out."""
    found = {
        role: quantity(header.facts, signal.offset)
        for role, signal in settings.signals.items()
    }
    return {role: level for role, level in found.items() if not math.isnan(level)}


def _scales(settings: AssemblySettings, header: Header) -> dict[str, float]:
    found = {
        role: signal.scale / _gain(quantity(header.facts, signal.gain_log10))
        for role, signal in settings.signals.items()
    }
    return {role: value for role, value in found.items() if value != 1.0}


def _gain(log10: float) -> float:
    """Return a gain; NaN for one that no amplifier has, and no number could hold."""
    return 10.0**log10 if abs(log10) <= _MOST_LOG10 else math.nan


def _conditions(
    settings: AssemblySettings,
    header: Header,
    at_s: float,
    beside: dict[str, StreamLog],
) -> dict[str, float]:
    found = {
        name: condition_at(
            condition, header.facts, _table(beside, condition.stream, at_s), at_s
        )
        for name, condition in settings.conditions.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _table(beside: dict[str, StreamLog], role: str, at_s: float) -> Table | None:
    if role not in beside or math.isnan(at_s):
        return None
    try:
        return beside[role].around(at_s)
    except (NotReady, Undecodable, UnusableError):
        return None  # a condition that cannot be read is none
