"""Conditions that are read from streams while sweeps come."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xasnn_stream.assembly.conditions import condition_at
from xasnn_stream.assembly.settings import Condition, Segment
from xasnn_stream.assembly.streams import StreamLog

from .bench import Bench
from .documents import SETTINGS, descriptor, event, start, stop

POINTS = np.arange(5.0) + 11500
HEATER = Condition(stream="heater", key="degrees")
SWEEPS = replace(
    SETTINGS, segment=Segment("per_event"), conditions={"temperature_k": HEATER}
)


def sweep(seq_num, **data):
    channels = dict.fromkeys(("i0", "it", "ir"), POINTS)
    return event(seq_num, energy=POINTS, **channels, **data)


def reading(seq_num, time, degrees):
    name, doc = event(seq_num, stream="heater", degrees=degrees)
    return name, doc | {"time": time}


def conditions(spectra):
    return [s.conditions.get("temperature_k") for s in spectra]


def test_sweeps_wait_for_the_first_reading_of_a_stream_that_is_announced():
    bench = Bench(SWEEPS)
    early = [start(), descriptor(), descriptor(stream="heater"), sweep(1), sweep(2)]

    assert bench.receive(early) == []
    found = bench.receive([reading(1, 101.5, 300.0), reading(2, 103.0, 450.0)])

    assert conditions(found) == [pytest.approx(300.0), pytest.approx(350.0)]


def test_sweeps_wait_for_no_stream_that_was_not_announced():
    bench = Bench(SWEEPS)

    assert len(bench.receive([start(), descriptor(), sweep(1)])) == 1


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(0, 60), st.floats(-50, 50)),
        max_size=40,
    ),
    st.floats(-5, 65),
    st.sampled_from(["linear", "hold"]),
)
@settings(max_examples=200, deadline=None)
def test_the_readings_around_a_time_tell_what_all_do(readings, at_s, interp):
    """Whatever the order in which they come, and come again."""
    bench = Bench(SWEEPS)
    documents = [reading(n, float(time), value) for n, time, value in readings]
    bench.receive([start(), descriptor(), descriptor(stream="heater"), *documents])
    (route,) = bench.assembler._router.routes.values()
    assert route.run is not None
    log = route.run.logs["heater"]
    condition = replace(HEATER, interp=interp)

    nearby = condition_at(condition, {}, log.around(at_s), at_s)
    every = condition_at(condition, {}, log.table(), at_s)

    times = {log.rows.row(n)[0] for n in {n for n, *_ in readings}}
    if len(times) == len({n for n, *_ in readings}):  # else either of two is right
        assert nearby == (every if every is None else pytest.approx(every))


@pytest.mark.parametrize("stream", ["heater", "primary"])
def test_conditions_of_a_sweep_read_no_more_when_more_sweeps_came(stream, monkeypatch):
    read = []
    table_of = StreamLog._table_of

    def counted(log, numbers):
        read.append(len(numbers))
        return table_of(log, numbers)

    monkeypatch.setattr(StreamLog, "_table_of", counted)
    condition = replace(HEATER, stream=stream)
    bench = Bench(replace(SWEEPS, conditions={"temperature_k": condition}))
    beside = [descriptor(stream="heater")] if stream == "heater" else []
    documents = [start(), descriptor(), *beside]
    for n in range(1, 201):
        if beside:
            documents.append(reading(n, 100.0 + n, 300.0))
        documents.append(sweep(n, degrees=300.0))

    found = bench.receive([*documents, stop(n_events=200)])

    assert conditions(found) == [300.0] * 200
    assert max(read) <= 32
