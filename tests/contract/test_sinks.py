"""Every sink keeps the same promises, whatever it writes to."""

import gc
import os
import secrets
import threading

import numpy as np
import pytest

from xasnn_stream import client
from xasnn_stream.address import tiled_address
from xasnn_stream.errors import SinkError
from xasnn_stream.results import ResultLog
from xasnn_stream.sinks import estimate_table
from xasnn_stream.sinks.feed import FeedSink
from xasnn_stream.sinks.follow import Follower
from xasnn_stream.sinks.tiled import MOST_AHEAD, TiledSink
from xasnn_stream.telemetry.counters import Counters

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("tiled_server"),
    pytest.mark.timeout(180),  # the first use of the Tiled client imports dask
]
DESCRIPTORS = {"pt-l3-xanes": ["cn1", "cn2"]}


@pytest.fixture
def tiled(tiled_server, monkeypatch):
    """The URL of a real Tiled server whose key is in the environment."""
    monkeypatch.setenv("XASNN_TILED_API_KEY", tiled_server.key)
    return tiled_server.url


class Tiled:
    """A Tiled sink and what a reader finds in Tiled."""

    def __init__(self, url):
        self.url = f"{url}/results-{secrets.token_hex(4)}"
        self.sink = TiledSink(self.url, DESCRIPTORS)

    def again(self):
        self.sink.close()
        self.sink = TiledSink(self.url, DESCRIPTORS)

    def received(self, uids):
        return [e for uid in uids for e in client.results(uid, url=self.url)]

    def close(self):
        self.sink.close()


class Feed:
    """A feed sink and what a subscriber that drops known ids receives."""

    def __init__(self):
        self.sink = FeedSink("tcp://127.0.0.1:*")
        self._subscription = client.subscribe(self.sink.address, timeout_s=0.5)
        waiting = threading.Thread(target=self._subscription.ready, args=(5,))
        waiting.start()
        while waiting.is_alive():
            self.sink.idle()
        self._known = {}

    def again(self):
        """A feed has no memory of its own."""

    def received(self, uids):
        for result in self._subscription:
            self._known.setdefault(result.estimate["id"], result.estimate)
        return [e for e in self._known.values() if e["run"]["uid"] in uids]

    def close(self):
        self._subscription.close()
        self.sink.close()


@pytest.fixture(params=["tiled", "feed"])
def end(request):
    in_tiled = request.param == "tiled"
    end = Tiled(request.getfixturevalue("tiled")) if in_tiled else Feed()
    yield end
    end.close()


@pytest.fixture
def in_tiled(tiled):
    end = Tiled(tiled)
    yield end
    end.close()


@pytest.fixture
def on_feed():
    end = Feed()
    yield end
    end.close()


@pytest.fixture
def log(tmp_path):
    log = ResultLog(tmp_path / "results.sqlite")
    yield log
    log.close()


def deliveries(log, *estimates):
    first = log.newest
    log.append(estimates, [0.01] * len(estimates), "cpu")
    return log.read(first, 1000)


def check_everything_arrives_as_it_was(end, log, make_estimate):
    estimates = [make_estimate(f"run-{n}", cn1=5.0 + n) for n in range(3)]
    end.sink.deliver(deliveries(log, *estimates))
    arrived = end.received(["run-0", "run-1", "run-2"])
    assert arrived == [estimate.document() for estimate in estimates]


def check_a_repeated_delivery_has_one_effect(end, log, make_estimate):
    rows = deliveries(log, make_estimate("a"), make_estimate("a", sweep=1))
    end.sink.deliver(rows[:1])
    end.sink.deliver(rows)
    end.again()  # as after a crash before the cursor was advanced
    end.sink.deliver(rows)
    arrived = end.received(["a"])
    assert [e["run"]["sweep"] for e in arrived] == [0, 1]


def check_a_rejected_result_is_a_result(end, log, make_estimate):
    rejected, fine = make_estimate("r", rejected=True), make_estimate("r", sweep=1)
    end.sink.deliver(deliveries(log, rejected))
    end.sink.deliver(deliveries(log, fine))
    arrived = end.received(["r"])
    assert [e["verdict"] for e in arrived] == ["rejected", "ok"]
    assert arrived[0]["reasons"] == rejected.document()["reasons"]


PROMISES = [
    check_everything_arrives_as_it_was,
    check_a_repeated_delivery_has_one_effect,
    check_a_rejected_result_is_a_result,
]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda p: p.__name__)
def test_check_sink(promise, end, log, make_estimate):
    promise(end, log, make_estimate)


def test_the_feed_carries_arrays_bit_by_bit_and_shows_gaps(on_feed, log, make_estimate):
    estimate = make_estimate("a")
    rows = deliveries(log, estimate, make_estimate("b"), make_estimate("c"))
    on_feed.sink.deliver([rows[0], rows[2]])
    first, third = on_feed._subscription
    assert first.topic == "final.sim-step"
    for name, array in estimate.arrays.items():
        np.testing.assert_array_equal(first.arrays[name], array)
    assert (first.seq, first.prev, first.gap) == (1, None, False)
    assert (third.seq, third.prev, third.gap) == (3, 2, True)


@pytest.fixture
def node():
    """A function that opens the container of a run's results."""
    from tiled.client import from_uri

    servers = []

    def opened(url, uid):
        address, path = tiled_address(url)
        servers.append(from_uri(address, api_key=os.environ["XASNN_TILED_API_KEY"]))
        return servers[-1][(*path, uid, "sim-step.pt-l3-xanes")]

    yield opened
    for server in servers:
        server.context.close()


def test_tiled_holds_spectra_by_sweep_on_the_profiles_grid(
    in_tiled, log, make_estimate, node
):
    last = make_estimate("s", sweep=3)
    in_tiled.sink.deliver(deliveries(log, last))
    in_tiled.again()
    in_tiled.sink.deliver(deliveries(log, make_estimate("s", sweep=1)))
    stored = node(in_tiled.url, "s")
    spectra, expected = stored["spectra"].read(), last.arrays["grid_spectra"]
    assert spectra.shape == (4, *expected.shape)
    np.testing.assert_array_equal(spectra[3], expected)
    np.testing.assert_array_equal(spectra[1], expected)
    assert np.isnan(spectra[[0, 2]]).all(), "sweeps without a result are unmeasured"
    np.testing.assert_array_equal(stored["energy"].read(), last.arrays["grid_energy"])
    assert stored["spectra"].metadata["channels"][2] == "difference"


def test_sweeps_of_a_new_run_delivered_together_keep_their_spectra(
    in_tiled, log, make_estimate, node
):
    sweeps = [make_estimate("t", sweep=n) for n in range(3)]
    in_tiled.sink.deliver(deliveries(log, *sweeps))
    spectra = node(in_tiled.url, "t")["spectra"].read()
    for stored, estimate in zip(spectra, sweeps, strict=True):
        np.testing.assert_array_equal(stored, estimate.arrays["grid_spectra"])


def test_a_sweep_far_beyond_all_others_takes_no_room(
    in_tiled, log, make_estimate, node
):
    far = MOST_AHEAD + 2
    sweeps = [make_estimate("far"), make_estimate("far", sweep=far)]
    in_tiled.sink.deliver(deliveries(log, *sweeps))
    stored = node(in_tiled.url, "far")
    assert stored["spectra"].shape[0] == 1
    assert list(stored["estimates"].read()["sweep"]) == [0, far]


def test_what_a_crash_left_unfinished_is_written_again(
    tiled, in_tiled, log, make_estimate, node, monkeypatch
):
    rows = deliveries(log, make_estimate("u", sweep=1))
    with monkeypatch.context() as patch:
        patch.setattr(estimate_table, "rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            in_tiled.sink.deliver(rows)
    stored = node(in_tiled.url, "u")
    stored["energy"].write(np.zeros(301))
    stored["spectra"].write(np.zeros((2, 3, 301)))
    in_tiled.again()
    in_tiled.sink.deliver(rows)
    assert stored["energy"].read()[0] == 11534.0
    assert np.isnan(stored["spectra"].read()[0]).all()
    assert stored["spectra"].read()[1, 0, 100] == pytest.approx(1 / 3)
    assert len(in_tiled.received(["u"])) == 1


def test_tiled_tells_what_a_result_was_made_of(in_tiled, log, make_estimate, node):
    in_tiled.sink.deliver(deliveries(log, make_estimate("m", complete=False)))
    stored = node(in_tiled.url, "m")
    (spec,) = stored.specs
    assert (spec.name, spec.version) == ("XASNNResult", "1.0")
    assert stored.metadata["raw_uid"] == "m"
    assert stored.metadata["raw_scan_id"] == 5
    assert stored.metadata["model_sha256"] == "a" * 64
    assert stored.metadata["status"] == "incomplete"
    row = stored["estimates"].read().iloc[0]
    ends = row[["cn1_low", "cn1_value", "cn1_high"]]
    np.testing.assert_allclose(ends.astype(float), [8.3, 9.1, 9.8])
    assert np.isnan(row["novelty_score"])


def test_the_complete_result_makes_the_incomplete_one_void(
    in_tiled, log, make_estimate, node
):
    gapped, whole = (make_estimate("v", complete=c, cn1=8 + c) for c in (False, True))
    in_tiled.sink.deliver(deliveries(log, gapped))
    assert len(in_tiled.received(["v"])) == 1
    in_tiled.sink.deliver(deliveries(log, whole))
    (valid,) = in_tiled.received(["v"])
    assert valid["descriptors"]["cn1"]["value"] == 9
    assert len(node(in_tiled.url, "v")["estimates"].read()) == 2
    assert node(in_tiled.url, "v").metadata["status"] == "complete"


def test_a_row_fits_a_table_made_for_other_descriptors(in_tiled, log, make_estimate):
    in_tiled.sink._descriptors = {"pt-l3-xanes": ["cn1"]}
    in_tiled.sink.deliver(deliveries(log, make_estimate("f")))
    in_tiled.again()
    in_tiled.sink.deliver(deliveries(log, make_estimate("f", sweep=1)))
    assert len(in_tiled.received(["f"])[1]["descriptors"]) == 2


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("key", ["wrong", None])
def test_a_wrong_or_missing_key_is_named_as_such(
    key, tiled, log, make_estimate, monkeypatch
):
    monkeypatch.delenv("XASNN_TILED_API_KEY")
    if key:
        monkeypatch.setenv("XASNN_TILED_API_KEY", key)
    sink = TiledSink(tiled, DESCRIPTORS)
    with pytest.raises(SinkError, match="XASNN_TILED_API_KEY"):
        sink.deliver(deliveries(log, make_estimate()))
    sink.close()
    gc.collect()  # Tiled's client leaves the connection of a refused key open


def test_a_follower_brings_the_whole_log_to_tiled(in_tiled, log, make_estimate):
    rows = deliveries(log, *(make_estimate(f"w{n}") for n in range(4)))
    counters, deaths = Counters(), []
    follower = Follower(
        in_tiled.sink, log, counters, lambda *death: deaths.append(death)
    )
    assert follower.stop(flush_s=20, timeout_s=5)
    assert log.cursor("tiled") == rows[-1].seq
    assert [
        e["run"]["uid"] for e in in_tiled.received([f"w{n}" for n in range(4)])
    ] == [f"w{n}" for n in range(4)]
    assert counters.value("sink_errors_total", sink="tiled") == 0
    assert not deaths


def test_results_of_an_unknown_run_are_an_error_that_says_so(tiled):
    from xasnn_stream.errors import SourceError

    with pytest.raises(SourceError, match="no results of run nowhere"):
        client.results("nowhere", url=tiled)
