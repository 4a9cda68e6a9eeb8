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
    """Where in the start document a text is: the first path that has one wins.

    `pattern` is a regular expression whose only group is taken from the text, as `L3`
    from `Pt_L3`; a text it does not match counts as absent. `values` translates texts,
    and then those not in it count as absent.
    """

    paths: tuple[str, ...] = ()
    default: str | None = None
    pattern: str | None = None
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number: that at the first dotted path with one, times `factor`, else `default`.

    Paths are of the start document; those that begin with `descriptor.` are of the
    configuration in the stream's descriptor.
    """

    paths: tuple[str, ...] = ()
    default: float = 0.0
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Clock:
    """When the rows of a stream were taken.

    `event`: rows are those of one event stream, and belong together by number.
    `column`: `column` holds the time, in units of `unit_s`. `split`: whole seconds in
    `column` and their fraction in `fraction`, in units of `unit_s`. `edges`: row i was
    taken during pulse i of the stream `pulses`, whose rows are edges (columns
    `timestamp` and `transition`, 1 rising and 0 falling): at its rise, fall or middle.
    Times that are not `epoch` seconds count from the start of the run.
    """

    kind: Literal["event", "column", "split", "edges"] = "event"
    column: str = ""
    fraction: str = ""
    unit_s: float = 1.0
    pulses: str = ""
    at: Literal["rise", "mid", "fall"] = "mid"
    epoch: bool = True


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of the run, under a name of the profile's own.

    `names` are the stream's name by the text at the dotted path `by` of the start
    document; `name` where there is no `by`, or none of its texts. `decoder` names the
    decoder of its files, None for that of their spec or mimetype. A run may lack an
    `optional` one.
    """

    name: str
    by: str = ""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    decoder: str | None = None
    clock: Clock = field(default_factory=Clock)
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Bragg:
    """E = hc / (2 d sin θ), θ = degrees(count) + offset, from the count of an encoder.

    θ/degree = sign * fold(count) / `counts_per_degree` + `offset_deg`, where `fold` is
    `none` or `xor24`: a count c > 0 is c - 2^24, of an unsigned 24-bit encoder. That is
    what beamlines write as -(c ^ 0xfffffe), but for the lowest bits.
    `sign` is -1 where energies rise with the count: folded counts are negative, and so
    are angles. `hc` is in eV Å, `d_spacing` in Å: with `offset_deg` they belong together.
    """

    counts_per_degree: Quantity
    d_spacing: Quantity
    hc: float = 12398.42
    offset_deg: Quantity = field(default_factory=Quantity)
    fold: Literal["none", "xor24"] = "none"
    sign: float = 1.0


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy axis: `key`, a column of `stream`, in `unit`, or through `bragg`.

    With `shared` the column is one array that is the axis of every sweep, in a stream
    of its own.
    """

    key: str
    stream: str = "primary"
    unit: Literal["eV", "keV"] = "eV"
    bragg: Bragg | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """One channel: column `key` of `stream`, by default that of the energy.

    `{element}` in a key stands for the run's element. A detector of several elements has
    one key each, `key` and `more`, or those in the list at the dotted path `keys_from` of
    the start document, where there is one; `exclude` are elements to leave out, counted
    from 0. `expression` makes the channel of columns that it names, with + - * / and
    numbers; `key` is then a name for messages only.

    A reading r stands for `(r - offset) * scale / 10**gain_log10`. A sweep may lack an
    `optional` signal.
    """

    key: str
    offset: Quantity = field(default_factory=Quantity)
    optional: bool = False
    more: tuple[str, ...] = ()
    stream: str = ""
    keys_from: str = ""
    exclude: tuple[int, ...] = ()
    expression: str = ""
    scale: float = 1.0
    gain_log10: Quantity = field(default_factory=Quantity)

    @property
    def keys(self) -> tuple[str, ...]:
        """The data keys of all elements."""
        return (self.key, *self.more)


@dataclass(frozen=True, slots=True)
class Segment:
    """How rows become sweeps.

    `per_run`: all of them are one. `per_event`: those of every event (an array), or of
    every event page row, are one; its number is `seq_num - 1`. `turning_points`: energies
    run up and down, and a sweep ends where they turn by more than `hysteresis_ev`.
    `fixed_count`: every `points` rows are one.

    `direction` keeps only sweeps up or down, with the numbers they have among all.
    `drop_first` and `drop_last` rows of a sweep, and those within `trim_ev` of a turning
    point, are left out. Sweeps of fewer than `min_points` rows at the ends of a run, or
    that span less than `min_span_ev`, are none: the way to the start, or a rest.
    """

    kind: Literal["per_run", "per_event", "turning_points", "fixed_count"] = "per_run"
    direction: Literal["both", "up", "down"] = "both"
    points: int = 0
    min_points: int = 2
    min_span_ev: float = 0.0
    hysteresis_ev: float = 5.0
    trim_ev: float = 0.0
    drop_first: int = 0
    drop_last: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A number that travels with every sweep: of the start document or of a stream.

    `source` finds it in the start document. Else it is column `key` of `stream`, a
    baseline or a monitor, at the middle of the sweep: between two readings interpolated
    (`linear`) or that of the earlier one (`hold`). `zero` is added to what is found.
    """

    source: Quantity | None = None
    stream: str = ""
    key: str = ""
    interp: Literal["linear", "hold"] = "linear"
    zero: float = 0.0


@dataclass(frozen=True, slots=True)
class AssemblySettings:
    """How one profile's documents become spectra.

    `mode` looks up how a run was measured, `default_mode` is how those were that do not
    say, `e0` looks up where (eV) a run says its edge is.
    """

    profile: str
    match: tuple[Rule, ...]
    element: Lookup
    edge: Lookup
    energy: Energy
    signals: Mapping[str, Signal]
    sample: Lookup = field(default_factory=Lookup)
    mode: Lookup = field(default_factory=Lookup)
    e0: Lookup = field(default_factory=Lookup)
    default_mode: str = "transmission"
    reject: tuple[Rule, ...] = ()
    streams: Mapping[str, Stream] = field(default_factory=dict[str, Stream])
    segment: Segment = field(default_factory=Segment)
    conditions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])
