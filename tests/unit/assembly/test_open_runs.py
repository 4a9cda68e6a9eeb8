"""Runs that fall silent, grow, come without a start, or are let go."""

import numpy as np

from xasnn_stream.assembly.patience import Patience

from .bench import Bench
from .documents import descriptor, event, scan, start, stop


def test_a_run_that_fell_silent_is_released_once_and_stays_open(bench):
    bench.receive(scan("silent")[:-2])
    bench.now_s = 60.0
    assert bench.assembler.release_idle_runs() == []
    bench.now_s = 61.0

    (released,) = bench.assembler.release_idle_runs()

    assert released.run.uid == "silent"
    assert released.run.final
    assert not released.run.complete
    assert released.accounting.n_missed == 0
    assert not bench.assembler.is_open("silent", "zmq://a")
    bench.now_s = 3600.0
    assert bench.assembler.release_idle_runs() == []
    assert bench.receive([event(4, "silent")]) == []
    (whole,) = bench.receive([stop("silent")])
    assert whole.run.complete
    assert len(whole.energy_ev) == 4
    assert (bench.sweeps("gapped"), bench.sweeps("complete")) == (1, 1)


def test_a_run_with_all_announced_rows_waits_only_shortly_for_its_stop(bench):
    bench.receive([*scan("whole")[:-1], *scan("short")[:-2]])
    bench.now_s = 5.5

    (released,) = bench.assembler.release_idle_runs()

    assert released.run.uid == "whole"
    assert not released.run.complete
    assert len(released.energy_ev) == 4


def test_a_released_run_that_ends_with_gaps_has_no_second_incomplete_spectrum(bench):
    lost_row = [named for i, named in enumerate(scan()) if i != 3]
    bench.receive(lost_row[:-1])
    bench.now_s = 61.0
    (released,) = bench.assembler.release_idle_runs()

    assert released.accounting.n_missed == 1
    assert bench.receive([stop()]) == []
    assert bench.sweeps("gapped") == 1


def test_a_run_that_never_goes_on_is_closed_at_last(bench):
    bench.receive(scan()[:-2])
    bench.now_s = 61.0
    assert len(bench.assembler.release_idle_runs()) == 1
    bench.now_s = 7 * 3600.0

    assert bench.assembler.release_idle_runs() == []
    assert bench.receive([stop()]) == []
    assert bench.sweeps("complete") == 0


def test_what_grew_is_told_as_partial_spectra_once(bench):
    *documents, last = scan()
    bench.receive(documents[:4])
    bench.receive(scan("stored")[:4], "tiled")

    ((partial, received_s),) = bench.assembler.partials({"zmq://a"})

    assert (partial.run.final, partial.run.complete) == (False, True)
    assert partial.run.progress == 0.5
    np.testing.assert_array_equal(partial.energy_ev, [11501, 11502])
    assert received_s == 0.0
    assert bench.assembler.partials({"zmq://a"}) == []
    bench.assembler.receive(*documents[5], "zmq://a", received_s=42.0)
    ((partial, received_s),) = bench.assembler.partials({"zmq://a"})
    assert (partial.run.complete, partial.accounting.n_missed) == (False, 1)
    assert received_s == 42.0
    bench.receive([last])
    assert bench.assembler.partials({"zmq://a"}) == []


def test_the_run_that_grew_last_is_told_first(bench):
    for now_s, uid in enumerate(("a", "b", "c")):
        bench.now_s = float(now_s)
        bench.receive(scan(uid)[:4])

    uids = [partial.run.uid for partial, _ in bench.assembler.partials({"zmq://a"})]

    assert uids == ["c", "b", "a"]


def test_unknown_runs_are_told_by_name_where_a_document_has_it(bench):
    bench.receive([event(1, "x"), event(2, "x"), descriptor("y"), stop("y")])
    assert bench.assembler.take_orphans() == []  # their start may come late
    bench.now_s += 1.0
    bench.assembler.release_idle_runs()

    orphans = bench.assembler.take_orphans()

    assert [(o.uid, o.again) for o in orphans] == [(None, False), ("y", False)]
    assert bench.assembler.take_orphans() == []
    bench.receive([stop("y")])
    bench.now_s += 1.0
    bench.assembler.release_idle_runs()
    assert [(o.uid, o.again) for o in bench.assembler.take_orphans()] == [("y", True)]


def test_a_run_that_is_let_go_can_come_again(bench):
    (first,) = bench.receive(scan())
    assert bench.receive(scan()) == []

    bench.assembler.forget_run("run", "zmq://a")

    (again,) = bench.receive(scan())
    assert again.run == first.run


def test_too_many_open_runs_close_the_one_longest_untouched():
    bench = Bench(max_open_runs=2)
    bench.receive([start("a"), descriptor("a")])
    bench.now_s = 1.0
    bench.receive([start("b")])
    bench.now_s = 2.0
    bench.receive([event(1, "a")])
    bench.now_s = 3.0

    (spectrum,) = bench.receive([start("c")])

    assert spectrum.run.uid == "b"
    assert not spectrum.run.complete


def test_open_runs_of_one_source_are_forgotten_on_request(bench):
    bench.receive(scan()[:-1], "stored")
    bench.receive(scan()[:-1], "live")

    assert bench.assembler.forget_open_runs("stored") == ["run"]

    (spectrum,) = bench.assembler.close_open_runs("live")
    assert spectrum.run.source == "live"
    assert bench.counters.value("runs_forgotten_total") == 1
    assert bench.sweeps("gapped") == 1


def test_open_runs_are_closed_as_incomplete_on_request(bench):
    bench.receive([*scan("a")[:-1], *scan("b")[:-1]])

    spectra = bench.assembler.close_open_runs("zmq://a")

    assert [s.run.uid for s in spectra] == ["a", "b"]
    assert not any(s.run.complete for s in spectra)
    assert all(len(s.energy_ev) == 4 for s in spectra)
    assert bench.assembler.close_open_runs("zmq://a") == []


def test_a_stop_read_late_waits_no_less_for_an_event_behind_it():
    bench = Bench(patience=Patience(late_s=0.5))
    documents = scan("a")
    first, last = documents[:-2], documents[-2:]
    bench.receive(first)
    bench.now_s = 9.0  # while assembly stood still, both were received

    found = [
        spectrum
        for received_s, (name, doc) in zip((1.0, 1.1), reversed(last), strict=True)
        for spectrum in bench.assembler.receive(name, doc, "zmq://a", received_s)
    ]

    assert [spectrum.run.complete for spectrum in found] == [True]
