"""What assembly needs to know of a profile: plain frozen data without pydantic."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Plain = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on one value of the start document; everything given must hold.

    `key` is a dotted path. `any_of` holds the values allowed, `regex` must match the
    whole text, `exists` asks for presence or absence.
    """

    key: str
    any_of: tuple[Plain, ...] | None = None
    regex: str | None = None
    exists: bool | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where in the start document a text is: the first path that has one wins."""

    paths: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy axis: `key` (a readback) in the events of `stream`."""

    key: str
    stream: str = "primary"
    unit: Literal["eV", "keV"] = "eV"


@dataclass(frozen=True, slots=True)
class Signal:
    """One channel, in the same events as the energy.

    `offset` is its dark level, or the dotted path of that level in the start document;
    a level that is not there means zero. A sweep may lack an `optional` signal. A
    detector of several elements has one key each, `key` and `more`.
    """

    key: str
    offset: float | str = 0.0
    optional: bool = False
    more: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The data keys of all elements."""
        return (self.key, *self.more)


@dataclass(frozen=True, slots=True)
class AssemblySettings:
    """How one profile's documents become spectra."""

    profile: str
    match: tuple[Rule, ...]
    element: Lookup
    edge: Lookup
    energy: Energy
    signals: Mapping[str, Signal]
    sample: Lookup = field(default_factory=Lookup)
    reject: tuple[Rule, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict[str, str])
