import math
import threading

import pytest

from xasnn_stream.telemetry.counters import Counters, Distribution
from xasnn_stream.telemetry.metrics import METRICS


def values(counters, name):
    (series,) = [s for s in counters.snapshot() if s.metric.name == name]
    return series.values


def test_metrics_with_known_labels_are_there_from_the_start():
    counters = Counters()

    assert values(counters, "estimates_total") == {
        ("ok",): 0,
        ("caution",): 0,
        ("outside",): 0,
        ("rejected",): 0,
    }
    assert values(counters, "runs_ignored_total") == {(): 0}
    assert values(counters, "result_latency_seconds")[()].count == 0


def test_a_source_seen_first_gets_all_its_reasons_at_zero():
    counters = Counters()

    counters.add("documents_rejected_total", source="zmq://a", reason="body")

    by_reason = values(counters, "documents_rejected_total")
    assert by_reason["zmq://a", "body"] == 1
    assert by_reason["zmq://a", "pickle"] == 0


def test_gauges_are_set_and_counters_add_up():
    counters = Counters()
    counters.set("queue_depth", 3, queue="documents")
    counters.set("queue_depth", 2, queue="documents")
    counters.add("sweeps_total", outcome="gapped")
    counters.add("sweeps_total", value=2, outcome="gapped")
    counters.add("sweeps_total", outcome="complete")

    assert counters.value("queue_depth", queue="documents") == 2
    assert counters.value("sweeps_total", outcome="gapped") == 3
    assert counters.value("sweeps_total") == 4


def test_observations_fall_into_buckets_up_to_their_bound():
    counters = Counters()
    for batch in (1, 2, 2.5, 5000, math.nan):
        counters.observe("batch_size", batch)

    seen = values(counters, "batch_size")[()]

    assert isinstance(seen, Distribution)
    assert seen.counts[:3] == (1, 1, 1)
    assert seen.counts[-1] == 2
    assert seen.count == 5
    assert seen.sum == 5005.5
    assert len(seen.counts) == len(METRICS["batch_size"].buckets) + 1


def test_what_is_not_declared_is_an_error():
    counters = Counters()

    with pytest.raises(KeyError):
        counters.add("documents_total")
    with pytest.raises(ValueError, match="is a counter, not a gauge"):
        counters.set("runs_ignored_total", 1)
    with pytest.raises(ValueError, match="has no reason='new'"):
        counters.add("documents_rejected_total", source="a", reason="new")
    with pytest.raises(ValueError, match="needs the labels"):
        counters.add("documents_rejected_total", source="a")
    with pytest.raises(ValueError, match="has no uid="):
        counters.add("runs_ignored_total", uid="a")
    with pytest.raises(ValueError, match="cannot go down"):
        counters.add("runs_ignored_total", -1)


def test_no_count_is_lost_between_threads():
    counters = Counters()

    def count():
        for _ in range(2000):
            counters.add("documents_missed_total", source="a")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counters.value("documents_missed_total") == 8000
