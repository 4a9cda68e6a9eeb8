"""A mistake of ours costs one run, never the others."""

import pytest

from xasnn_stream.assembly import header, run, streams
from xasnn_stream.assembly.as_a_whole import AsAWhole

from .documents import descriptor, event, interleaved, scan, start, stop

_FAILING = "failing"


@pytest.fixture(autouse=True)
def _expected(caplog):
    """The log tells of the failure, with its traceback, as it should."""
    caplog.set_level("CRITICAL")


def failing(function, fails_for):
    def replaced(self, *args, **kwargs):
        if fails_for(self):
            raise RuntimeError("what nobody thought of")
        return function(self, *args, **kwargs)

    return replaced


def _of_run(collector):
    return collector.run.header.uid == _FAILING


def _of_log(log):
    return log.rows.highest >= 2


@pytest.mark.parametrize("method", ["note", "advance", "finish"])
def test_a_run_that_makes_assembly_fail_is_rejected_alone(bench, monkeypatch, method):
    monkeypatch.setattr(AsAWhole, method, failing(getattr(AsAWhole, method), _of_run))

    found = bench.receive(interleaved(scan(_FAILING), scan("good")))

    told = {s.run.uid: s for s in found}
    assert len(found) == 2
    problem = told[_FAILING].problem
    assert problem is not None
    assert problem.code == "failed"
    assert "what nobody thought of" in problem.text
    assert told[_FAILING].run.complete
    assert told["good"].problem is None
    assert len(told["good"].energy_ev) == 4
    assert bench.sweeps("unusable") == 1


def test_a_run_whose_rows_cannot_be_counted_ends_all_the_same(bench, monkeypatch):
    uid = _FAILING
    missing = failing(run.OpenRun.missing, lambda run: run.header.uid == uid)
    monkeypatch.setattr(run.OpenRun, "missing", missing)

    found = bench.receive([*scan(uid), *scan("good")])

    assert [s.run.uid for s in found] == [uid, "good"]
    assert found[1].problem is None


def test_a_run_that_fails_in_silence_is_released_once(bench, monkeypatch):
    whole = failing(run.OpenRun.missing, lambda run: True)
    monkeypatch.setattr(run.OpenRun, "missing", whole)
    bench.receive([start(), descriptor(), event(1)])

    bench.now_s = 100.0
    first = bench.assembler.release_idle_runs()
    bench.now_s = 200.0

    assert [s.problem.code for s in first] == ["failed"]
    assert not first[0].run.complete
    assert bench.assembler.release_idle_runs() == []
    assert [s.run.complete for s in bench.receive([stop()])] == [True]


def test_partial_spectra_of_others_are_shown(bench, monkeypatch):
    so_far = failing(AsAWhole.so_far, _of_run)
    monkeypatch.setattr(AsAWhole, "so_far", so_far)
    bench.receive(interleaved(scan(_FAILING)[:-1], scan("good")[:-1]))

    shown = bench.assembler.partials({"zmq://a"})

    assert [spectrum.run.uid for spectrum, _ in shown] == ["good"]


def test_documents_that_fail_are_counted(bench, monkeypatch):
    put = failing(streams.StreamLog.put, _of_log)
    monkeypatch.setattr(streams.StreamLog, "put", put)

    (spectrum,) = bench.receive(scan())

    assert spectrum.problem is not None
    assert bench.rejected("failed") == 1  # those behind it are left out


def test_a_run_that_cannot_be_begun_is_counted(bench, monkeypatch):
    def fails(*_):
        raise RecursionError("what nobody thought of")

    monkeypatch.setattr(header, "look_up", fails)

    assert bench.receive(scan()) == []
    assert bench.rejected("failed") == 1
    assert bench.counters.value("runs_ignored_total") == 1
    assert bench.assembler.take_orphans() == []
