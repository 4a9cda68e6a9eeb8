import threading
import time

import pytest

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.pipeline import Limits
from xasnn_stream.sources.document import Document

from .acting import Recorded, run_documents, uids, wait_until


def test_every_matched_run_has_one_result_and_is_counted(pipeline_of, log):
    runs = [run_documents(f"run-{n}") for n in range(20)]
    ignored = run_documents("other", plan="count")
    pipeline, counters, deaths = pipeline_of(
        Recorded(d for documents in (*runs, ignored) for d in documents)
    )
    assert pipeline.finished.wait(20)
    assert uids(log) == [f"run-{n}" for n in range(20)]
    assert counters.value("estimates_total", verdict="ok") == 20
    assert counters.value("runs_ignored_total") == 1
    assert counters.value("documents_missed_total") == 0
    assert not deaths


def test_latency_counts_from_the_last_document(pipeline_of, log, engine):
    engine.open.clear()
    pipeline, _, _ = pipeline_of(Recorded(run_documents("run")))
    time.sleep(0.3)
    engine.open.set()
    assert pipeline.finished.wait(20)
    (delivery,) = log.read(0, 10)
    assert 0.25 < delivery.latency_s < 10


def test_sweeps_that_wait_share_a_batch_within_its_limit(pipeline_of, log, engine):
    engine.open.clear()
    documents = [d for n in range(10) for d in run_documents(f"run-{n}")]
    pipeline, _, _ = pipeline_of(
        Recorded(documents), limits=Limits(max_batch=4, max_wait_s=10.0)
    )
    engine.open.set()
    assert pipeline.finished.wait(20)
    assert engine.batches == [4, 4, 2]
    assert len(uids(log)) == 10


def test_a_lone_sweep_does_not_wait_for_company(pipeline_of, log):
    source = Recorded(run_documents("lone"), can_wait=False)
    pipeline_of(source, limits=Limits(max_batch=64, max_wait_s=0.02))
    assert log.wait(0, 5)
    assert log.read(0, 1)[0].latency_s < 2


def test_a_source_that_can_wait_loses_nothing_when_the_engine_is_slow(
    pipeline_of, log, engine
):
    engine.open.clear()
    documents = [d for n in range(40) for d in run_documents(f"run-{n}")]
    pipeline, counters, _ = pipeline_of(
        Recorded(documents), limits=Limits(document_queue=8, batch_queue=1, max_batch=1)
    )
    time.sleep(0.3)
    engine.open.set()
    assert pipeline.finished.wait(30)
    assert len(uids(log)) == 40
    assert counters.value("documents_missed_total") == 0


def test_a_live_source_discards_counts_and_the_run_is_marked_incomplete(
    pipeline_of, log, engine
):
    engine.open.clear()
    source = Recorded([], can_wait=False)
    limits = Limits(document_queue=30, batch_queue=1, max_batch=1, max_wait_s=0.0)
    pipeline, counters, _ = pipeline_of(source, limits=limits)
    for n in range(60):
        for document in run_documents(f"run-{n}"):
            source._documents.put(document)
    deadline = time.monotonic() + 10
    while not source._documents.empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    engine.open.set()
    time.sleep(0.3)
    for document in run_documents("last"):
        source._documents.put(document)
    deadline = time.monotonic() + 10
    while "last" not in uids(log) and time.monotonic() < deadline:
        time.sleep(0.01)
    missed = counters.value("documents_missed_total", source="test")
    assert missed > 0
    assert pipeline.stop(10)
    complete = {
        d.estimate["run"]["uid"]: d.estimate["run"]["complete"]
        for d in log.read(0, 1000)
    }
    assert complete["last"]
    assert False in complete.values(), "the run that was cut has a result that says so"


def test_stopping_closes_the_source_and_keeps_what_was_received(pipeline_of, log):
    source = Recorded([*run_documents("whole")], can_wait=False)
    for document in list(run_documents("open"))[:-1]:
        source._documents.put(document)
    pipeline, _, _ = pipeline_of(source)
    assert log.wait(0, 5)
    deadline = time.monotonic() + 5
    while not source._documents.empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pipeline.stop(10)
    assert source.closed.is_set()
    results = {d.estimate["run"]["uid"]: d for d in log.read(0, 10)}
    assert results["whole"].estimate["run"]["complete"]
    assert not results["open"].estimate["run"]["complete"]


def test_an_exhausted_file_without_a_stop_has_one_incomplete_result(pipeline_of, log):
    pipeline, counters, _ = pipeline_of(Recorded(list(run_documents("open"))[:-1]))
    assert pipeline.finished.wait(20)
    (delivery,) = log.read(0, 10)
    assert not delivery.estimate["run"]["complete"]
    assert counters.value("runs_forgotten_total") == 0


def test_a_store_that_is_interrupted_leaves_no_half_results(pipeline_of, log):
    source = Recorded(list(run_documents("open"))[:-1])
    received = source.receive
    source.receive = lambda t: received(t) if source._documents.qsize() > 1 else None
    pipeline, counters, _ = pipeline_of(source)
    deadline = time.monotonic() + 5
    while source._documents.qsize() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pipeline.stop(10)
    assert pipeline.finished.is_set()
    assert log.newest == 0
    assert counters.value("runs_forgotten_total") == 1


def test_what_a_stop_leaves_behind_is_counted(pipeline_of, engine, caplog):
    engine.open.clear()
    begun, honest = threading.Event(), engine.estimate
    engine.estimate = lambda spectra: (begun.set(), honest(spectra))[1]
    documents = [d for n in range(3) for d in run_documents(f"run-{n}")]
    pipeline, counters, _ = pipeline_of(
        Recorded(documents), limits=Limits(max_batch=1, max_wait_s=0.0)
    )
    assert begun.wait(5)
    deadline = time.monotonic() + 5
    while pipeline._estimation.batches.qsize() < 3 and time.monotonic() < deadline:
        time.sleep(0.01)  # one is with the engine; two and the end wait
    pipeline.show_queues()
    assert counters.value("queue_depth", queue="batches") == 3
    assert not pipeline.stop(0.2)
    engine.open.set()
    assert "0 documents, 2 sweeps" in caplog.text


def test_a_live_source_is_waited_for_until_its_handshake_settled(pipeline_of):
    source = Recorded([], can_wait=False)
    source.receive = lambda timeout_s: time.sleep(timeout_s)
    pipeline, _, _ = pipeline_of(source, Recorded([], address="file"))
    assert pipeline.waits_for() == ["test is not connected"]
    source.connected = True
    deadline = time.monotonic() + 5
    while "moment" not in str(pipeline.waits_for()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pipeline.waits_for() == ["test was connected a moment ago"]
    time.sleep(0.6)
    assert pipeline.waits_for() == []


@pytest.mark.parametrize("broken", ["engine", "source"])
def test_a_thread_that_dies_is_reported_and_nothing_hangs(
    pipeline_of, engine, broken, caplog
):
    source = Recorded(d for n in range(50) for d in run_documents(f"run-{n}"))
    if broken == "engine":
        engine.estimate = lambda spectra: 1 / 0
    else:
        source.receive = lambda timeout_s: 1 / 0
    pipeline, _, deaths = pipeline_of(source, limits=Limits(document_queue=4))
    deadline = time.monotonic() + 10
    while not deaths and time.monotonic() < deadline:
        time.sleep(0.01)
    ((thread, error),) = deaths
    assert thread.startswith(broken)
    assert isinstance(error, ZeroDivisionError)
    assert "died" in caplog.text
    assert pipeline.stop(10)
    assert not pipeline.finished.is_set()


def _failing_for(uid, estimate):
    def replaced(spectra):
        if any(s.run.uid == uid and s.problem is None for s in spectra):
            raise RuntimeError("what nobody thought of")
        return estimate(spectra)

    return replaced


def test_a_sweep_that_makes_the_engine_fail_is_rejected_alone(
    pipeline_of, engine, log, caplog
):
    caplog.set_level("CRITICAL")
    engine.estimate = _failing_for("run-3", engine.estimate)
    source = Recorded(d for n in range(6) for d in run_documents(f"run-{n}"))
    pipeline, _, deaths = pipeline_of(source)
    assert pipeline.finished.wait(10)
    verdicts = {d.estimate["run"]["uid"]: d.estimate["verdict"] for d in log.read(0, 9)}
    assert len(verdicts) == 6
    assert [uid for uid, v in verdicts.items() if v == "rejected"] == ["run-3"]
    assert not deaths


def test_a_device_that_is_broken_is_a_death_and_no_rejection(pipeline_of, engine, log):
    engine.estimate = _failing_for("run", engine.estimate)
    engine.warm_up = lambda: 1 / 0
    _, _, deaths = pipeline_of(Recorded(run_documents("run")))
    wait_until(lambda: deaths)
    assert isinstance(deaths[0][1], ZeroDivisionError)
    assert log.newest == 0


def test_an_engine_that_answers_too_little_is_a_death_not_a_mix_up(
    pipeline_of, engine, log
):
    honest = engine.estimate
    engine.estimate = lambda spectra: honest(spectra)[1:]
    _, _, deaths = pipeline_of(Recorded(run_documents("run")))
    deadline = time.monotonic() + 10
    while not deaths and time.monotonic() < deadline:
        time.sleep(0.01)
    assert deaths
    assert log.newest == 0


def test_what_waits_for_a_document_in_the_queue_outlives_a_stall(
    pipeline_of, log, monkeypatch
):
    first, second, *others = run_documents("late")
    receive = Assembler.receive

    def stalling(self, name, doc, source, received_s=None):
        if doc.get("uid") == "slow":
            time.sleep(1.2)
        return receive(self, name, doc, source, received_s)

    monkeypatch.setattr(Assembler, "receive", stalling)
    slow = next(iter(run_documents("slow", plan="count")))
    documents = (first, *others[:-1], slow, slow, second, others[-1])
    pipeline, counters, _ = pipeline_of(Recorded(documents))
    assert pipeline.finished.wait(20)
    assert counters.value("documents_rejected_total", reason="orphan") == 0
    (delivery,) = log.read(0, 10)
    assert delivery.estimate["run"]["complete"]


def test_a_store_that_keeps_the_queue_filled_delays_no_end_of_a_silent_run(
    pipeline_of, log, monkeypatch
):
    class Backlog(Recorded):
        exhausted = False

        def receive(self, timeout_s):
            return Document("event", {"descriptor": None}, time.monotonic())

    receive = Assembler.receive

    def slowly(self, name, doc, source, received_s=None):
        time.sleep(0.001 if source == "backlog" else 0.0)
        return receive(self, name, doc, source, received_s)

    monkeypatch.setattr(Assembler, "receive", slowly)
    live = Recorded(list(run_documents("silent"))[:-1], can_wait=False)
    backlog = Backlog([], address="backlog")
    pipeline, counters, _ = pipeline_of(
        live,
        backlog,
        limits=Limits(document_queue=100),
        patience=Patience(whole_s=0.1),
    )

    wait_until(lambda: uids(log) == ["silent"])

    pipeline.show_queues()
    assert counters.value("queue_depth", queue="documents") > 0
    assert counters.value("documents_missed_total") == 0
