import json
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from xasnn_stream.errors import UsageError
from xasnn_stream.telemetry.metrics import METRICS
from xasnn_stream.web.app import build_app
from xasnn_stream.web.server import WebServer


def test_ready_is_503_with_every_reason_until_there_is_none(daemon):
    daemon.reasons = ["the model is being loaded", "zmq://x is not connected"]
    code, text = daemon.get("/readyz")
    assert (code, text.splitlines()) == (503, daemon.reasons)
    assert daemon.get("/healthz")[0] == 200
    daemon.reasons = []
    assert daemon.get("/readyz")[0] == 200


def test_history_continues_after_the_last_seq_seen(daemon, make_estimate):
    daemon.log.append([make_estimate(u) for u in "abc"], [0.1] * 3, "cpu")
    code, text = daemon.get("/api/history?since=1")
    answer = json.loads(text)
    assert code == 200
    assert answer["newest"] == 3
    assert [row["seq"] for row in answer["results"]] == [2, 3]
    assert answer["results"][0]["estimate"] == make_estimate("b").document()
    assert json.loads(daemon.get("/api/history?since=" + 18 * "9")[1])["results"] == []


@pytest.mark.parametrize("since", ["later", "-1", 30 * "9", 5000 * "9"])
def test_a_since_that_is_no_seq_is_refused(daemon, since):
    code, text = daemon.get(f"/api/history?since={since}")
    assert code == 400
    assert "seq" in json.loads(text)["error"]


def test_history_sends_as_many_as_asked_for_and_arrays_when_asked(
    daemon, make_estimate
):
    daemon.log.append([make_estimate(u) for u in "abc"], [0.1] * 3, "cpu")
    bare, drawn = (
        json.loads(daemon.get(f"/api/history?since=1&limit=1{more}")[1])["results"]
        for more in ("", "&arrays=1")
    )
    assert [row["seq"] for row in bare] == [row["seq"] for row in drawn] == [2]
    assert "arrays" not in bare[0]
    assert len(drawn[0]["arrays"]["grid_energy"]) == 301
    code, text = daemon.get("/api/history?limit=many")
    assert code == 400
    assert "limit" in json.loads(text)["error"]


def test_metrics_are_in_prometheus_form_with_right_types(daemon):
    daemon.counters.add("estimates_total", 3, verdict="ok")
    daemon.counters.set("queue_depth", 7, queue="documents")
    for seconds in (0.002, 0.2, 1e6):
        daemon.counters.observe("result_latency_seconds", seconds)
    code, text = daemon.get("/metrics")
    assert code == 200
    assert daemon.refreshed == 1
    families = {f.name: f for f in text_string_to_metric_families(text)}
    for metric in METRICS.values():
        family = families["xasnn_" + metric.name.removesuffix("_total")]
        assert family.type == metric.kind
    samples = {
        (s.name, *sorted(s.labels.values())): s.value
        for f in families.values()
        for s in f.samples
    }
    assert samples["xasnn_estimates_total", "ok"] == 3
    assert samples["xasnn_estimates_total", "rejected"] == 0
    assert samples["xasnn_queue_depth", "documents"] == 7
    assert samples["xasnn_result_latency_seconds_bucket", "0.25"] == 2
    assert samples["xasnn_result_latency_seconds_bucket", "+Inf"] == 3
    assert samples["xasnn_result_latency_seconds_count",] == 3


def test_status_is_json_with_what_is_counted(daemon):
    daemon.counters.add("estimates_total", 3, verdict="caution")
    code, text = daemon.get("/api/status")
    status = json.loads(text)
    assert code == 200
    assert daemon.refreshed == 1
    assert status["version"] == "x"
    assert status["last_document"] is None
    assert status["verdicts"] == {"ok": 0, "caution": 3, "outside": 0, "rejected": 0}


def test_nothing_can_be_changed_over_http(daemon):
    for path in ("/", "/api/status", "/api/history", "/api/stream", "/metrics"):
        url = daemon.server.url + path
        request = urllib.request.Request(url, b"{}", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 405
        refused.value.close()


@pytest.mark.parametrize("address", ["8765", "127.0.0.1:http", "127.0.0.1:99999"])
def test_a_malformed_address_names_the_option(daemon, address):
    with pytest.raises(UsageError, match="--http"):
        WebServer(build_app, address, lambda *_: None)


def test_an_address_in_use_names_the_option(daemon):
    with pytest.raises(UsageError, match="--http"):
        WebServer(build_app, daemon.server.url.removeprefix("http://"), lambda *_: None)
