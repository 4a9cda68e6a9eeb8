import time

import pytest

from xasnn_stream.partials import Partials
from xasnn_stream.pipeline import pipeline as module

from .acting import POINTS, Engine, Recorded, run_documents, uids, wait_until


@pytest.fixture(autouse=True)
def _chores_at_once(monkeypatch):
    monkeypatch.setattr(module, "CHORES_EVERY_S", 0.0)


@pytest.fixture
def partials():
    return Partials()


def newest(partials):
    return [p.estimate.run for p in partials.since(0)]


def test_a_live_run_is_shown_while_it_grows_and_no_more_when_it_is_over(
    pipeline_of, log, partials
):
    documents = list(run_documents("run"))
    source = Recorded(documents[:4], can_wait=False)
    pipeline_of(source, partials=partials)
    wait_until(lambda: [run.progress for run in newest(partials)] == [2 / POINTS])
    ((shown,),) = [partials.since(0)]
    assert (shown.estimate.id, shown.estimate.run.final) == (None, False)
    assert shown.device == "cpu"
    assert 0 < shown.latency_s < 10
    source.put(*documents[4:6])
    wait_until(lambda: [run.progress for run in newest(partials)] == [4 / POINTS])
    source.put(*documents[6:])
    assert log.wait(0, 10)
    wait_until(lambda: newest(partials) == [])
    assert uids(log) == ["run"]


def test_what_is_stored_is_not_shown_while_it_is_read(pipeline_of, log, partials):
    pipeline, _, _ = pipeline_of(Recorded(run_documents("run")), partials=partials)
    assert pipeline.finished.wait(10)
    assert (partials.version, uids(log)) == (0, ["run"])


def test_partial_spectra_wait_for_final_ones_and_only_the_newest_is_estimated(
    pipeline_of, log, partials, make_estimate
):
    class Busy(Engine):
        def __init__(self, make_estimate):
            super().__init__(make_estimate)
            self.progress = []

        def estimate(self, spectra):
            self.progress += [s.run.progress for s in spectra if not s.run.final]
            return super().estimate(spectra)

    engine = Busy(make_estimate)
    engine.open.clear()
    growing = list(run_documents("growing"))
    source = Recorded(run_documents("whole"), can_wait=False)
    pipeline_of(source, partials=partials, engine=engine)
    wait_until(lambda: source.waiting == 0)
    for document in growing[:-1]:
        source.put(document)
        time.sleep(0.02)
    source.put(*run_documents("second"))
    wait_until(lambda: source.waiting == 0)
    assert engine.progress in ([], [1.0]), "nothing but the first batch was begun"
    engine.open.set()
    wait_until(lambda: len(uids(log)) == 2)
    wait_until(lambda: [run.progress for run in newest(partials)] == [1.0])
    assert len(engine.progress) <= 2


def test_a_run_that_ended_while_its_partial_waited_is_not_shown_again(
    pipeline_of, log, partials, engine
):
    engine.open.clear()
    source = Recorded(run_documents("first"), can_wait=False)
    pipeline_of(source, partials=partials)
    wait_until(lambda: source.waiting == 0)
    documents = list(run_documents("run"))
    source.put(*documents[:-1])
    time.sleep(0.3)
    source.put(documents[-1])
    wait_until(lambda: source.waiting == 0)
    time.sleep(0.1)
    engine.open.set()
    wait_until(lambda: len(uids(log)) == 2)
    time.sleep(0.5)
    assert newest(partials) == []


def test_a_partial_is_gone_before_the_log_tells_of_its_final(
    pipeline_of, log, partials, monkeypatch
):
    append, shown = log.append, []

    def noting(*arguments):
        shown.append(newest(partials))
        return append(*arguments)

    monkeypatch.setattr(log, "append", noting)
    documents = list(run_documents("run"))
    source = Recorded(documents[:4], can_wait=False)
    pipeline_of(source, partials=partials)
    wait_until(lambda: [run.uid for run in newest(partials)] == ["run"])
    source.put(*documents[4:])
    wait_until(lambda: uids(log) == ["run"])
    assert shown == [[]]
