"""The noun that flows in: one sweep, as measured.

A run is not a spectrum: one run holds one or many sweeps. Channels are raw readings;
subtracting offsets, dividing and taking logarithms is physics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Direction = Literal["up", "down"] | None


@dataclass(frozen=True, slots=True)
class Run:
    """Which sweep of which run, and how much of it there is.

    `progress` is the fraction of the announced points that arrived, None if the
    length was never announced; `complete` is False only when rows are known to be
    missing (an aborted run without gaps is complete with `progress` < 1).
    """

    uid: str
    scan_id: int | None
    sweep: int
    direction: Direction
    progress: float | None
    final: bool
    complete: bool
    source: str
    access_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is not `ok`: a stable code for machines, a sentence for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Accounting:
    """How many sweeps were averaged into this one, and how many event rows are missing."""

    n_averaged: int = 1
    n_missed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """One sweep: energies, raw channels, conditions and origin.

    Parameters
    ----------
    energy_ev
        Monochromator energy in eV, shape `(points,)`, in order of acquisition.
    channels
        Raw readings by role (`i0`, `it`, `ir`, `if`), each of shape `(points,)`, or
        `(points, elements)` of a detector of several elements, with their incoming and
        outgoing rates `icr` and `ocr`; or absorption as it was stored, `mu` and perhaps
        `mu_reference`, where that is all.
    offsets
        Dark level of a channel by role, in the channel's own unit; absent means zero.
    unknown_offsets
        Channels whose dark level the run should say and does not; taken as zero.
    scales
        What a reading less its dark level is multiplied by, by role: the polarity and
        gain of the amplifier, and the unit; absent means one.
    mode
        How this run was measured, `transmission` or `fluorescence`; empty for the
        profile's mode.
    e0_ev
        Where the run says its edge is, None if it does not.
    waited_s
        How long the run's files were waited for after its end.
    time
        Epoch seconds of the first and the last event.
    problem
        Set by assembly when no usable signal could be found; such a sweep still flows,
        so that it ends in exactly one rejected estimate.
    """

    run: Run
    profile: str
    sample: str | None
    element: str
    edge: str
    time: tuple[float, float]
    energy_ev: FloatArray
    channels: Mapping[str, FloatArray]
    offsets: Mapping[str, float] = field(default_factory=lambda: dict[str, float]())
    conditions: Mapping[str, float] = field(default_factory=lambda: dict[str, float]())
    accounting: Accounting = field(default_factory=Accounting)
    problem: Reason | None = None
    scales: Mapping[str, float] = field(default_factory=lambda: dict[str, float]())
    mode: str = ""
    e0_ev: float | None = None
    waited_s: float = 0.0
    unknown_offsets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The end of a run: how many `sweeps` it holds, those that gave no result included.

    Sweeps are counted, not numbered: a profile may leave out those of one direction.
    """

    uid: str
    profile: str
    source: str
    sweeps: int
