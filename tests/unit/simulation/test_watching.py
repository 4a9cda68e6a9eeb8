import queue
import time

import pytest

from xasnn_stream.client import Result
from xasnn_stream.errors import DocumentError
from xasnn_stream.simulation.watching import Audience


class Feed:
    """A subscription fed by hand; iteration ends in silence, as the real one's."""

    def __init__(self):
        self.results = queue.Queue()

    def __iter__(self):
        try:
            while True:
                item = self.results.get(timeout=0.05)
                if isinstance(item, Exception):
                    raise item
                yield item
        except queue.Empty:
            return


@pytest.fixture
def watched():
    feed, seen = Feed(), []
    audience = Audience(feed, lambda number, sighting: seen.append((number, sighting)))
    audience.start()
    yield feed, audience, seen
    audience.close()


def _result(uid, *, complete=True):
    estimate = {"run": {"uid": uid, "complete": complete}, "verdict": "ok"}
    return Result("final.sim-step", 1, None, 0.0, 0.05, "cpu", estimate, {}, False)


def _announce(audience, uid, cn1):
    audience.documents("start", {"uid": uid, "simulation": {"truth": {"cn1": cn1}}})


def test_results_are_joined_with_the_truth_announced(watched):
    feed, audience, seen = watched
    for uid, cn1 in (("a", 9.0), ("b", 8.0)):
        _announce(audience, uid, cn1)
        audience.documents("stop", {"run_start": uid, "time": time.time()})
    feed.results.put(_result("b"))
    feed.results.put(_result("a"))

    assert audience.wait(5.0)
    audience.close()
    assert [(number, s.truth["cn1"]) for number, s in seen] == [(2, 8.0), (1, 9.0)]
    sightings = audience.sightings()
    assert list(sightings) == ["a", "b"]
    assert all(0 <= s.stop_to_feed_s < 5 for s in sightings.values())
    assert sightings["a"].latency_s == 0.05


def test_runs_of_others_and_incomplete_results_are_not_counted(watched):
    feed, audience, seen = watched
    _announce(audience, "a", 9.0)
    feed.results.put(_result("stranger"))
    feed.results.put(_result("a", complete=False))

    assert not audience.wait(0.3)
    assert seen == []
    assert audience.sightings()["a"].estimate is None


def test_what_goes_wrong_while_listening_reaches_whoever_waits(watched):
    feed, audience, _ = watched
    _announce(audience, "a", 9.0)
    feed.results.put(DocumentError("not a result"))

    with pytest.raises(DocumentError, match="not a result"):
        audience.wait(5.0)
