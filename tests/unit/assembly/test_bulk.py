"""How much of what documents say is kept, in memory and not in their number."""

import numpy as np
import pytest

from xasnn_stream.assembly.bulk import bulk
from xasnn_stream.assembly.files import Files
from xasnn_stream.assembly.held import MOST_VALUES, Held
from xasnn_stream.assembly.references import MAX_VALUES, References
from xasnn_stream.assembly.settings import Stream
from xasnn_stream.assembly.streams import MAX_EXTERNAL, StreamLog

LONG = "x" * 8_000


@pytest.mark.parametrize(
    "value",
    [
        LONG,
        {"data": {"x": [1, LONG]}},
        {LONG: 1},
        {"a": {"b": {"c": {"d": {"e": {"f": [0.0] * 1_000}}}}}},
        [[1.0], *[[2.0]] * 1_000],
        {"data": np.zeros((10, 100))},
    ],
    ids=["text", "behind a number", "a key", "deep", "lists", "array"],
)
def test_whatever_holds_a_thousand_numbers_counts_as_a_thousand(value):
    assert 1_000 <= bulk(value, 10_000) <= 2_020


def test_a_value_that_holds_itself_is_counted_only_so_far():
    endless = {}
    endless["again"] = [endless]

    assert 1_000 < bulk(endless, 1_000) < 1_010


def test_early_documents_are_held_by_what_they_hold():
    held = Held()
    huge = {"data": {"x": [1, "y" * (8 * MOST_VALUES // 2)]}}

    assert held.put(("s", "run_start", "a"), "event", huge, 0.0) == []
    gone = held.put(("s", "run_start", "b"), "event", huge, 1.0)

    assert [parent for parent, _ in gone] == [("s", "run_start", "a")]
    assert held.take(("s", "run_start", "a")) == []
    assert len(held.take(("s", "run_start", "b"))) == 1


def test_datums_of_a_run_have_a_bound_in_memory():
    references = References(Files())
    large = {"x": "z" * (8 * MAX_VALUES // 3)}
    datums = [{"datum_id": f"r/{i}", "resource": "r"} for i in range(4)]

    kept = [references.add_datum(datum | {"datum_kwargs": large}) for datum in datums]

    assert kept == [True, True, False, False]
    assert references.add_datum(datums[3])  # a small one still has room


def test_the_same_datum_once_more_takes_no_more_memory():
    references = References(Files())
    large = {"x": "z" * (8 * MAX_VALUES // 3)}
    datum = {"datum_id": "r/0", "resource": "r", "datum_kwargs": large}

    assert [references.add_datum(datum) for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("wrong", [{"datum_id": "d" * 201}, {"resource": "r" * 201}])
def test_no_long_text_names_a_datum(wrong):
    datum = {"datum_id": "r/0", "resource": "r", "datum_kwargs": {}}

    assert not References(Files()).add_datum(datum | wrong)


def test_of_a_resource_only_what_is_read_is_kept():
    references = References(Files())
    huge = "x" * (8 * MAX_VALUES)
    resource = {"uid": "r", "spec": "XSP3", "resource_path": "a.h5", "run_start": "run"}

    assert references.add_resource(resource | {"notes": huge})
    kept = references.resource("r")
    assert kept == {"uid": "r", "spec": "XSP3", "resource_path": "a.h5"}

    assert not references.add_resource(resource | {"uid": "s", "spec": huge})
    assert not references.add_resource(resource | {"uid": "u" * 201})


def log_of(*wanted):
    return StreamLog("primary", Stream("primary"), wanted, References(Files()))


def test_keys_in_files_that_nobody_reads_have_a_bound():
    log = log_of("it", "i0")

    for n in range(10):
        keys = [f"k{n}-{i}" for i in range(1_000)]
        log.describe({key: {"external": "FILESTORE:"} for key in keys})
    log.describe({"it": {"external": "FILESTORE:", "shape": [4]}, "i0": {}})

    assert len(log.external) == MAX_EXTERNAL + 1
    assert log.external["it"] == {"external": "FILESTORE:", "shape": [4]}


def test_what_a_descriptor_says_at_length_is_not_kept():
    log = log_of("it")

    log.describe({"it": {"external": "FILESTORE:", "notes": "x" * 1_000_000}})

    assert log.external == {"it": {}}


def test_no_long_text_of_an_event_is_kept_as_the_name_of_a_datum():
    log = log_of("it")
    log.describe({"it": {"external": "FILESTORE:"}})

    assert log.put(1, 0.0, {"it": "d" * 201})

    assert "it" not in log.event_table(1).columns
