import json
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from xasnn_stream.errors import UsageError
from xasnn_stream.results import ResultLog
from xasnn_stream.telemetry.counters import METRICS, Counters
from xasnn_stream.web.app import Views, build_app
from xasnn_stream.web.server import WebServer


class Daemon:
    """What the interface sees of a daemon."""

    def __init__(self, log):
        self.log = log
        self.counters = Counters()
        self.reasons = []
        self.deaths = []
        self.refreshed = 0
        views = Views(
            log,
            self.counters,
            lambda: self.reasons,
            lambda: {"version": "x"},
            self.tick,
        )
        self.server = WebServer(
            build_app(views), "127.0.0.1:0", lambda *death: self.deaths.append(death)
        )

    def tick(self):
        self.refreshed += 1

    def get(self, path):
        try:
            url = self.server.url + path
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def daemon(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    daemon = Daemon(log)
    yield daemon
    assert daemon.server.stop(10)
    log.close()
    assert not daemon.deaths


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


def test_the_page_shows_values_and_escapes_what_others_wrote(daemon, make_estimate):
    hostile = make_estimate("a", sample="<script>alert(1)</script>")
    daemon.log.append([hostile, make_estimate("b", rejected=True)], [0.1] * 2, "cpu")
    code, page = daemon.get("/")
    assert code == 200
    assert "9.1 (8.3–9.8)" in page
    assert "rejected: I0 is zero everywhere" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_status_is_json(daemon):
    assert json.loads(daemon.get("/api/status")[1]) == {"version": "x"}


def test_nothing_can_be_changed_over_http(daemon):
    for path in ("/", "/api/status", "/api/history", "/metrics"):
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
