"""Conditions: from the start document, or between the readings of a stream."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xasnn_stream.assembly.conditions import condition_at
from xasnn_stream.assembly.settings import Condition, Quantity
from xasnn_stream.assembly.table import Table

MONITOR = Condition(stream="furnace", key="t")


def monitor(time, values) -> Table:
    time = np.array(time, dtype=float)
    return Table({"t": np.array(values)}, np.arange(1, len(time) + 1), time)


def test_a_condition_of_the_start_document_is_brought_to_its_unit():
    celsius = Condition(Quantity(("XDI.Sample.temperature",)), zero=273.15)
    facts = {"XDI": {"Sample": {"temperature": ["300.0"]}}}

    assert condition_at(celsius, facts, None, 0.0) == pytest.approx(573.15)
    assert condition_at(celsius, {}, None, 0.0) is None


def test_between_two_readings_a_condition_is_interpolated():
    table = monitor([100, 200], [300, 400])

    assert condition_at(MONITOR, {}, table, 125.0) == pytest.approx(325.0)


def test_a_held_condition_is_that_of_the_earlier_reading():
    held = Condition(stream="gas", key="t", interp="hold")
    table = monitor([100, 200], [1, 2])

    found = [condition_at(held, {}, table, at_s) for at_s in (99, 100, 199, 200, 300)]

    assert found == [1, 1, 1, 2, 2]


def test_beyond_the_readings_the_outermost_hold():
    table = monitor([100, 200], [300, 400])

    assert condition_at(MONITOR, {}, table, 0.0) == 300
    assert condition_at(MONITOR, {}, table, 1e9) == 400


def test_readings_that_are_none_are_passed_over():
    table = monitor([100, 150, 200, np.nan], [300, np.nan, 400, 999])

    assert condition_at(MONITOR, {}, table, 150.0) == pytest.approx(350.0)


def test_readings_may_come_in_any_order():
    table = monitor([200, 100, 300], [400, 300, 500])

    assert condition_at(MONITOR, {}, table, 250.0) == pytest.approx(450.0)


def test_integers_in_arrays_of_one_are_readings():
    table = Table({"t": np.array([[300], [400]])}, np.array([1, 2]), np.array([0.0, 2]))

    assert condition_at(MONITOR, {}, table, 1.0) == 350.0


@pytest.mark.parametrize(
    "table",
    [
        None,
        monitor([], []),
        monitor([1, 2], [np.nan, np.nan]),
        monitor([1, 2], ["hot", "cold"]),
        monitor([1, 2], [[1, 2], [3, 4]]),
        Table({}, np.array([1]), np.array([1.0])),
    ],
    ids=["no stream", "no rows", "no numbers", "texts", "arrays", "no column"],
)
def test_a_condition_that_is_nowhere_is_none(table):
    assert condition_at(MONITOR, {}, table, 1.0) is None


def test_a_sweep_without_a_time_has_no_condition_of_a_stream():
    assert condition_at(MONITOR, {}, monitor([1, 2], [3, 4]), np.nan) is None


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(-1e3, 1e3)), min_size=1),
    st.floats(-10, 1010),
    st.sampled_from(["linear", "hold"]),
)
def test_a_condition_lies_within_its_readings(readings, at_s, interp):
    condition = Condition(stream="furnace", key="t", interp=interp)
    time, values = zip(*readings, strict=True)

    found = condition_at(condition, {}, monitor(time, values), at_s)

    assert found is not None
    assert min(values) - 1e-9 <= found <= max(values) + 1e-9
