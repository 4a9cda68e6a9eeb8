"""Channels: which columns, and how they are put together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xasnn_stream.assembly.settings import Signal
from xasnn_stream.assembly.signals import channel, columns_in, evaluate, keys_of
from xasnn_stream.errors import ProfileError

ROWS = np.arange(1.0, 4.0)


def test_the_element_is_filled_into_keys():
    signal = Signal("{element}1", more=("{element}2", "{element}3"))

    assert keys_of(signal, "Pt", {}) == ("Pt1", "Pt2", "Pt3")


def test_keys_that_the_run_lists_come_before_those_of_the_profile():
    signal = Signal("{element}1", more=("{element}2",), keys_from="XDI._dtc")

    listed = {"XDI": {"_dtc": ["Fe1", "Fe2", "Fe4"]}}
    assert keys_of(signal, "Fe", listed) == ("Fe1", "Fe2", "Fe4")
    assert keys_of(signal, "Fe", {"XDI": {"_dtc": ["Fe8"]}}) == ("Fe8",)
    assert keys_of(signal, "Fe", {}) == ("Fe1", "Fe2")


def test_excluded_elements_are_left_out_counting_from_zero():
    signal = Signal("roi1", more=("roi2", "roi3"), exclude=(1,))
    keys = keys_of(signal, "Pt", {})
    columns = {"roi1": ROWS, "roi2": ROWS + 10, "roi3": ROWS + 20}

    assert keys == ("roi1", "roi3")
    assert channel(signal, keys, columns).T.tolist() == [
        [1.0, 2.0, 3.0],
        [21.0, 22.0, 23.0],
    ]


def test_elements_in_one_column_are_excluded_there():
    signal = Signal("rois", exclude=(0, 2))
    keys = keys_of(signal, "Pt", {})

    assert keys == ("rois",)
    found = channel(signal, keys, {"rois": np.array([[1, 2, 3], [4, 5, 6]])})
    assert found.tolist() == [[2.0], [5.0]]


def test_a_channel_of_one_key_is_its_column_as_floats():
    found = channel(Signal("i0"), ("i0",), {"i0": np.array([1, 2], dtype=np.int32)})

    assert found.dtype == np.float64
    assert found.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "column",
    [None, np.array(["1", "2"]), np.array([True, False]), np.zeros((2, 3, 4))],
    ids=["absent", "texts", "truth values", "images"],
)
def test_a_channel_without_numbers_is_none(column):
    columns = {} if column is None else {"i0": column}

    assert channel(Signal("i0"), ("i0",), columns) is None
    columns["i1"] = np.ones(2)
    assert channel(Signal("i1", more=("i0",)), ("i1", "i0"), columns) is None


def test_a_detector_with_every_element_excluded_is_no_channel():
    signal = Signal("a", more=("b",), exclude=(0, 1))

    assert keys_of(signal, "Pt", {}) == ()
    assert channel(signal, (), {"a": ROWS, "b": ROWS}) is None


def test_an_expression_makes_a_channel_of_its_columns():
    signal = Signal("i0", expression="({panda-a} + {panda-b}) / -2 * gain")
    columns = {"panda-a": ROWS, "panda-b": 3 * ROWS, "gain": np.full(3, 10.0)}
    keys = keys_of(signal, "Pt", {})

    assert keys == ("panda-a", "panda-b", "gain")
    assert channel(signal, keys, columns).tolist() == [-20.0, -40.0, -60.0]
    del columns["gain"]
    assert channel(signal, keys, columns) is None


def test_the_element_may_be_in_the_names_of_an_expression():
    signal = Signal("sum", expression="{{element}1} + {{element}2} - {{element}1}/2")
    keys = keys_of(signal, "Fe", {})

    assert keys == ("Fe1", "Fe2")
    found = channel(signal, keys, {"Fe1": ROWS, "Fe2": 10 * ROWS})
    assert found.tolist() == [10.5, 21.0, 31.5]


def test_an_expression_combines_every_element_of_a_detector():
    columns = {"rois": np.array([[1.0, 2.0], [3.0, 4.0]]), "live": np.array([0.5, 2.0])}

    assert evaluate("rois / live", columns).tolist() == [[2.0, 4.0], [1.5, 2.0]]


def test_detectors_of_different_size_cannot_be_combined():
    signal = Signal("x", expression="a + b")
    columns = {"a": np.ones((2, 3)), "b": np.ones((2, 4))}

    assert channel(signal, ("a", "b"), columns) is None


def test_where_an_expression_has_no_value_it_is_nan():
    found = evaluate(
        "a / b", {"a": np.array([1.0, 0.0, 4.0]), "b": np.array([0.0] * 2 + [2.0])}
    )

    assert np.isnan(found).tolist() == [True, True, False]


def test_names_of_an_expression_come_once_and_in_order():
    assert columns_in("{b c} - a * (2 - {b c}) + column_0") == ("b c", "a", "column_0")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("__import__('os').system('true')", "none of these"),
        ("a.b", "none of these"),
        ("a ** 2", "none of these"),
        ("log(a)", "none of these"),
        ("a if b else c", "none of these"),
        ("a + 'b'", "none of these"),
        ("a + True", "none of these"),
        ("(a := 1)", "none of these"),
        ("lambda: a", "none of these"),
        ("a +", "cannot be read"),
        ("{a", "cannot be read"),
        ("a\0", "cannot be read"),
        ("", "cannot be read"),
        ("2 * 3", "names no column"),
        ("a * 1e999", "none of these"),
        ("a * " + "9" * 350, "none of these"),
        ("-" * 1000 + "a", "more than 400 characters"),
    ],
)
def test_anything_else_is_refused_with_one_sentence(expression, why):
    with pytest.raises(ProfileError, match=why):
        columns_in(expression)


@given(st.text(alphabet="ab{}()+-*/. 1e", max_size=30))
def test_any_text_is_an_expression_or_refused(expression):
    try:
        names = columns_in(expression)
    except ProfileError:
        return
    assert evaluate(expression, dict.fromkeys(names, ROWS)).shape == ROWS.shape
