"""What the start document says about a run, as a profile reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from xasnn_stream.assembly.metadata import (
    at,
    epoch_s,
    look_up,
    number,
    text,
    texts,
    whole,
)
from xasnn_stream.assembly.settings import AssemblySettings, Lookup, Quantity
from xasnn_stream.assembly.signals import keys_of

DESCRIPTOR = "descriptor."
"""Paths that begin so are of a descriptor's configuration."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the start document says.

    `facts` holds what was found at the paths of quantities, as nested mappings; `keys`
    the data keys of every signal, by role; `streams` the names of streams by their roles.
    """

    uid: str
    scan_id: int | None
    time: float
    source: str
    num_points: int | None
    access_tags: tuple[str, ...]
    sample: str | None
    element: str
    edge: str
    mode: str
    e0_ev: float | None
    facts: dict[str, Any]
    keys: Mapping[str, tuple[str, ...]]
    streams: Mapping[str, str]


def read_header(
    start: Mapping[str, Any], uid: str, settings: AssemblySettings, source: str
) -> Header:
    """Return what a start document says, as the profile reads it."""
    element = (look_up(start, settings.element) or "").capitalize()
    return Header(
        uid=uid,
        scan_id=whole(start.get("scan_id")),
        time=epoch_s(start.get("time")) or 0.0,
        source=source,
        num_points=whole(start.get("num_points")),
        access_tags=texts(start.get("tiled_access_tags")),
        sample=look_up(start, settings.sample),
        element=element,
        edge=(look_up(start, settings.edge) or "").upper(),
        mode=_mode(start, settings.mode),
        e0_ev=number(look_up(start, settings.e0)),
        facts=kept(start, settings),
        keys={
            role: keys_of(signal, element, start)
            for role, signal in settings.signals.items()
        },
        streams={role: _name(start, settings, role) for role in roles(settings)},
    )


def _mode(start: Mapping[str, Any], where: Lookup) -> str:
    """Return how the run was measured, empty if it does not say.

    A text that the profile does not translate is returned as it is: read as if the run
    had said nothing, a sweep in fluorescence would pass for one in transmission.
    """
    said = replace(where, default=None, values=None)
    return (
        look_up(start, replace(where, default=None))
        or look_up(start, said)
        or (where.default or "")
    )


def roles(settings: AssemblySettings) -> tuple[str, ...]:
    """Return the roles of all streams that a profile reads, the energy's first."""
    named = [settings.energy.stream]
    named += [s.stream or settings.energy.stream for s in settings.signals.values()]
    named += [c.stream for c in settings.conditions.values() if c.stream]
    named += [
        settings.streams[role].clock.pulses
        for role in tuple(named)
        if role in settings.streams and settings.streams[role].clock.pulses
    ]
    return tuple(dict.fromkeys(named))


def kept(document: Mapping[str, Any], settings: AssemblySettings) -> dict[str, Any]:
    """Return the numbers and texts of a document that quantities may ask for."""
    facts: dict[str, Any] = {}
    for path in _paths(settings):
        found = at(document, path)
        if number(found) is None and text(found) is None:
            continue
        _set(facts, path.split("."), found)
    return facts


def _set(facts: dict[str, Any], path: list[str], value: Any) -> None:
    """Put a value at a path; one that is in the way of another gives way."""
    *parents, last = path
    for parent in parents:
        below = facts.get(parent)
        if not isinstance(below, dict):
            below = facts[parent] = dict[str, Any]()
        facts = cast(dict[str, Any], below)
    facts[last] = value


def with_configuration(
    header: Header, configuration: Any, settings: AssemblySettings
) -> None:
    """Add what a descriptor's configuration says to the facts of a run."""
    if isinstance(configuration, Mapping):
        said = kept({DESCRIPTOR[:-1]: configuration}, settings)
        found = cast(dict[str, Any], said.get(DESCRIPTOR[:-1], {}))
        header.facts.setdefault(DESCRIPTOR[:-1], {}).update(found)


def _paths(settings: AssemblySettings) -> Iterator[str]:
    for quantity in _quantities(settings):
        yield from quantity.paths


def _quantities(settings: AssemblySettings) -> Iterator[Quantity]:
    for signal in settings.signals.values():
        yield from (signal.offset, signal.gain_log10)
    bragg = settings.energy.bragg
    if bragg is not None:
        yield from (bragg.counts_per_degree, bragg.d_spacing, bragg.offset_deg)
    for condition in settings.conditions.values():
        if condition.source is not None:
            yield condition.source


def _name(start: Mapping[str, Any], settings: AssemblySettings, role: str) -> str:
    stream = settings.streams.get(role)
    if stream is None:
        return role
    if not stream.by:
        return stream.name
    return stream.names.get(text(at(start, stream.by)) or "", stream.name)
