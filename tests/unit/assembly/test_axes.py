"""Axes: energies and channels of streams that have clocks of their own."""

import math
from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.assembly.axes import UnusableError, clocked
from xasnn_stream.assembly.header import read_header
from xasnn_stream.assembly.settings import (
    AssemblySettings,
    Bragg,
    Clock,
    Energy,
    Lookup,
    Quantity,
    Signal,
    Stream,
)
from xasnn_stream.assembly.table import Table

BEGAN = 1.7e9

LAW = Bragg(
    counts_per_degree=Quantity(default=1e4),
    d_spacing=Quantity(default=3.1356),
    offset_deg=Quantity(("angle_offset",), default=math.nan),
)
SETTINGS = AssemblySettings(
    profile="fly",
    match=(),
    element=Lookup(("element",)),
    edge=Lookup(("edge",)),
    sample=Lookup(("sample",)),
    energy=Energy("count", "encoder", bragg=LAW),
    signals={
        "i0": Signal("i0", stream="chambers"),
        "it": Signal("it", stream="chambers"),
    },
    streams={
        "chambers": Stream("chambers", clock=Clock("column", column="at")),
        "encoder": Stream("encoder", clock=Clock("column", column="at")),
    },
)


def header(**facts):
    start = {"time": BEGAN, "element": "Pt", "edge": "L3"} | facts
    return read_header(start, "run", SETTINGS, "source")


def table(at_s, **columns) -> Table:
    at_s = BEGAN + np.asarray(at_s, dtype=float)
    n = len(at_s)
    return Table({"at": at_s, **columns}, np.ones(n, dtype=int), np.full(n, BEGAN))


def tables(encoder_s=0.0):
    at_s = np.arange(0.0, 10.0, 0.01)
    position = np.arange(0.0, 10.0, 0.1) + encoder_s
    chambers = table(at_s, i0=np.cos(at_s), it=np.sin(at_s))
    return {
        "chambers": chambers,
        "encoder": table(position, count=1e5 + 100 * position),
    }


def test_readings_stay_as_they_are_and_a_slow_encoder_is_brought_to_them():
    rows, unread = clocked(tables(), SETTINGS, header(angle_offset=0.5))

    assert unread == 0
    at_s = rows.time - BEGAN
    degrees = (1e5 + 100 * at_s) / 1e4 + 0.5
    energy = LAW.hc / (2 * 3.1356 * np.sin(np.radians(degrees)))
    assert len(rows) == 991
    assert rows.channels["i0"] == pytest.approx(np.cos(at_s), abs=1e-6)
    assert rows.energy_ev == pytest.approx(energy, abs=1e-3)


@pytest.mark.parametrize("facts", [{}, {"angle_offset": "n/a"}])
def test_a_law_that_lacks_a_constant_gives_no_energies_that_look_like_any(facts):
    with pytest.raises(UnusableError) as raised:
        clocked(tables(), SETTINGS, header(**facts))

    reason = raised.value.reason
    assert reason.code == "no_signal"
    text = "run run has no number under 'angle_offset', which energies need"
    assert reason.text == text


def test_streams_that_never_met_say_when_they_were():
    with pytest.raises(UnusableError) as raised:
        clocked(tables(encoder_s=3600.0), SETTINGS, header(angle_offset=0.5))

    reason = raised.value.reason
    assert reason.code == "no_clock"
    assert "energy 3600.0 to 3609.9 s" in reason.text
    assert "i0, it 0.0 to 10.0 s" in reason.text


@pytest.mark.parametrize(("until_s", "n_unread"), [(5.0, 49), (9.0, 9), (9.5, 0)])
def test_energies_of_a_sweep_behind_the_last_reading_are_told(until_s, n_unread):
    found = tables()
    found["chambers"] = found["chambers"].rows(0, round(until_s * 100) + 1)
    segment = replace(SETTINGS.segment, min_span_ev=0.0, hysteresis_ev=5.0)

    rows, unread = clocked(
        found, replace(SETTINGS, segment=segment), header(angle_offset=0.5)
    )

    assert rows.time[-1] - BEGAN == pytest.approx(until_s)
    assert unread == n_unread


def test_a_rest_behind_the_last_reading_is_nothing_that_is_missing():
    found = tables()
    found["chambers"] = found["chambers"].rows(0, 501)
    counts = found["encoder"].columns["count"]
    counts[51:] = counts[51]

    assert clocked(found, SETTINGS, header(angle_offset=0.5))[1] == 0
