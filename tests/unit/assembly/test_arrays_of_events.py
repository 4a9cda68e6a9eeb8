"""Events that hold a whole sweep each, as arrays of whatever shape."""

import math
from dataclasses import replace

import numpy as np
import pytest

from xasnn_stream.assembly import streams
from xasnn_stream.assembly.settings import Condition, Segment, Signal

from .bench import Bench
from .documents import SETTINGS, descriptor, event, start, stop

POINTS = 5
ROLES = ("i0", "it", "ir")
SWEEPS = replace(
    SETTINGS,
    signals={**SETTINGS.signals, "if": Signal("if", optional=True)},
    segment=Segment("per_event"),
)


def arrays(**changes):
    energy = 11500.0 + np.arange(POINTS)
    readings = {"energy": energy, "i0": energy + 1, "it": energy + 2, "ir": energy + 3}
    return readings | changes


def assembled(*sweeps, settings=SWEEPS, beside=()):
    events = [event(i + 1, **data) for i, data in enumerate(sweeps)]
    documents = [start(), descriptor(), *beside, *events, stop(n_events=len(sweeps))]
    return Bench(settings).receive(documents)


@pytest.mark.parametrize("shape", [(1, POINTS), (1, 1, POINTS), (POINTS, 1)], ids=str)
def test_axes_of_one_are_none(shape):
    packed = {key: column.reshape(shape) for key, column in arrays().items()}
    (found,) = assembled(packed)
    (expected,) = assembled(arrays())
    np.testing.assert_array_equal(found.energy_ev, expected.energy_ev)
    for role in ROLES:
        np.testing.assert_array_equal(found.channels[role], expected.channels[role])
    assert (found.time, found.problem) == (expected.time, None)


def test_a_detector_keeps_its_elements():
    elements = np.ones((POINTS, 3))
    (found,) = assembled(arrays(**{"if": elements}))
    assert found.channels["if"].shape == (POINTS, 3)


@pytest.mark.parametrize("key", ["energy", "i0", "it"])
def test_several_values_where_one_is_needed_are_no_signal(key):
    several = np.ones((POINTS, 2))
    spoilt, good = assembled(arrays(**{key: several}), arrays())
    assert spoilt.problem is not None
    assert spoilt.problem.code == "no_signal"
    assert f"several values under '{key}'" in spoilt.problem.text
    assert good.problem is None


def test_several_values_of_a_channel_that_may_be_absent_are_left_out():
    (found,) = assembled(arrays(ir=np.ones((POINTS, 2))))
    assert found.problem is None
    assert set(found.channels) == {"i0", "it"}


def test_rows_in_which_nothing_is_a_number_were_never_filled():
    padded = {
        key: np.concatenate((column, [math.nan] * 3))
        for key, column in arrays().items()
    }
    (found,) = assembled(padded)
    np.testing.assert_array_equal(found.energy_ev, arrays()["energy"])
    assert found.channels["it"].shape == (POINTS,)


def test_a_reading_that_is_no_number_is_kept_as_one():
    readings = arrays()["it"].copy()
    readings[2] = math.nan
    (found,) = assembled(arrays(it=readings))
    assert found.energy_ev.size == POINTS
    assert np.isnan(found.channels["it"][2])


@pytest.mark.parametrize(
    "useless", [{"it": [1.0] * (POINTS - 1)}, {"i0": [math.nan] * POINTS}]
)
def test_an_event_of_no_use_has_its_time_and_conditions(useless):
    heater = Condition(stream="heater", key="degrees")
    settings = replace(SWEEPS, conditions={"temperature_k": heater})
    readings = [
        event(seq_num, stream="heater", time=time, degrees=degrees)
        for seq_num, time, degrees in [(1, 100.0, 300.0), (2, 104.0, 700.0)]
    ]
    for (_, doc), time in zip(readings, (100.0, 104.0), strict=True):
        doc["time"] = time
    beside = [descriptor(stream="heater"), *readings]
    found, _ = assembled(arrays(**useless), arrays(), settings=settings, beside=beside)
    assert found.problem is not None
    assert found.problem.code == "no_signal"
    assert found.time == (101.0, 101.0)
    assert found.conditions == {"temperature_k": pytest.approx(400.0)}


@pytest.mark.parametrize(
    "segment",
    [Segment("turning_points", min_points=2), Segment("fixed_count", points=60)],
)
@pytest.mark.parametrize("events", [1, 4, 8])
def test_events_of_many_rows_are_cut_where_energies_say(segment, events):
    up = 11500.0 + np.arange(60.0)
    energy = np.concatenate([up, up[::-1], up, up[::-1]])
    parts = np.split(energy, events)
    sweeps = [{"energy": part, **dict.fromkeys(ROLES, part)} for part in parts]
    settings = replace(SWEEPS, segment=segment)
    found = assembled(*sweeps, settings=settings)
    np.testing.assert_array_equal([s.energy_ev for s in found], energy.reshape(4, 60))
    assert [s.accounting.n_missed for s in found] == [0] * 4
    assert all(s.run.complete for s in found)


def test_an_event_that_is_lost_is_one_that_is_missing():
    up = 11500.0 + np.arange(60.0)
    sweeps = [
        {"energy": part, **dict.fromkeys(ROLES, part)} for part in (up, up[::-1]) * 2
    ]
    documents = [start(), descriptor()]
    documents += [event(i + 1, **data) for i, data in enumerate(sweeps) if i != 1]
    bench = Bench(replace(SWEEPS, segment=Segment("turning_points", min_points=2)))
    found = bench.receive([*documents, stop(n_events=4)])
    assert sum(s.accounting.n_missed for s in found) == 1
    assert bench.counters.value("rows_missed_total") == 1
    assert not any(s.run.complete for s in found[1:])


@pytest.mark.parametrize(("wanted", "numbers"), [("up", [0, 2]), ("down", [1, 3])])
def test_events_in_a_direction_that_is_not_wanted_are_left_out(wanted, numbers):
    down = {key: column[::-1] for key, column in arrays().items()}
    settings = replace(SWEEPS, segment=Segment("per_event", direction=wanted))
    found = assembled(arrays(), down, arrays(), down, settings=settings)
    assert [s.run.sweep for s in found] == numbers
    assert [s.run.direction for s in found] == [wanted, wanted]
    assert all(s.run.complete for s in found)


def test_an_event_there_is_no_room_for_is_lost_and_no_failure(monkeypatch):
    monkeypatch.setattr(streams, "MAX_VALUES", 5 * POINTS)
    long = {key: np.repeat(column, 3) for key, column in arrays().items()}
    found = assembled(arrays(), long)
    assert [(s.run.sweep, s.run.complete) for s in found] == [(0, True), (1, False)]
    assert found[1].problem is not None
    assert found[1].problem.code == "incomplete"
