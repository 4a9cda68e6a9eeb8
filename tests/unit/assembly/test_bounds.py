"""What documents may say of themselves, and what is not believed."""

import math

import pytest

from xasnn_stream.assembly.accounting import MAX_ROWS

from .documents import event, scan, start, stop


@pytest.mark.parametrize(
    "uid",
    [
        *("x" * 201, "a\x00b", "\ud800", "", None, 7),
        # In an address these lead elsewhere.
        *("a/b", "..", ".", "?x=1", "#f", "%2e%2e", "a\\b"),
    ],
)
def test_what_can_be_no_uid_is_rejected_and_not_kept(bench, uid):
    bench.receive([start(uid), ("descriptor", {"uid": "d", "run_start": uid})])
    bench.receive([("stop", {"uid": "s", "run_start": uid})])

    assert bench.rejected("invalid") == 3
    assert bench.assembler.take_orphans() == []
    assert bench.assembler.close_open_runs("zmq://a") == []


@pytest.mark.parametrize("seq_num", [0, -1, MAX_ROWS + 1, 2**53, 1.5, "1", None])
def test_an_event_with_an_impossible_number_is_rejected_and_no_gap(bench, seq_num):
    wrong = event(1)
    wrong[1]["seq_num"] = seq_num
    documents = scan()

    (spectrum,) = bench.receive([*documents[:-1], wrong, documents[-1]])

    assert bench.rejected("invalid") == 1
    assert spectrum.run.complete
    assert spectrum.accounting.n_missed == 0


def test_no_more_rows_are_missed_than_a_run_can_have(bench):
    (spectrum,) = bench.receive([*scan()[:-1], stop(n_events=2**53)])

    assert not spectrum.run.complete
    assert spectrum.accounting.n_missed == MAX_ROWS - 4
    assert bench.counters.value("rows_missed_total") == MAX_ROWS - 4


@pytest.mark.parametrize(
    ("sample", "kept"),
    [
        ("x" * 1_000_000, "x" * 200),
        ("Pt \ud800", "Pt ?"),
        ("\x1b[2JPt\nfoil\x00", "[2JPt foil"),
        ("\x00\n", None),
        ("\u00e9 \u2082", "\u00e9 \u2082"),
    ],
)
def test_a_sample_name_is_short_and_can_be_sent(bench, sample, kept):
    (spectrum,) = bench.receive([start(sample=sample), *scan()[1:]])

    assert spectrum.sample == kept


@pytest.mark.parametrize("time", [1e308, -1e300, 1.7e12, math.nan, "soon", None])
def test_a_time_no_calendar_can_show_is_none(bench, time):
    documents = [(name, doc | {"time": time}) for name, doc in scan()]
    documents[0][1]["time"] = 100.0

    (spectrum,) = bench.receive(documents)

    assert spectrum.time == (100.0, 100.0)


def test_access_tags_that_can_be_none_are_left_out(bench):
    tags = ["team", "x" * 201, "\ud800", "", 7, *map(str, range(200))]

    (spectrum,) = bench.receive([start(tiled_access_tags=tags), *scan()[1:]])

    assert spectrum.run.access_tags == ("team", *map(str, range(99)))
