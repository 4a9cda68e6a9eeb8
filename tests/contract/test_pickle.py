"""Pickle, the default of Bluesky's publisher: refused, or read where a flag says so."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky"),
]

WAIT_S = 20.0
PROFILE = "sim-step"


def test_blueskys_default_is_refused_with_both_remedies(measured, published, caplog):
    received, counters = published(measured.runs[0])

    assert received == []
    assert counters.value("documents_rejected_total", reason="pickle") >= 1
    (record,) = [r for r in caplog.records if "(pickle)" in r.getMessage()]
    assert "serializer=" in record.getMessage()
    assert "--allow-pickle ADDRESS" in record.getMessage()


def test_blueskys_default_is_read_where_it_is_allowed(measured, published):
    run = measured.runs[0]

    received, counters = published(run, trusted=True)

    assert [name for name, _ in received] == [name for name, _ in run]
    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_rejected_total", reason="pickle") == 0


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


def test_a_bomb_from_where_pickle_is_allowed_is_only_counted(
    measured, published, tmp_path
):
    trace = tmp_path / "went off"
    run = measured.runs[0]
    bomb = pickle.dumps({"uid": Bomb(trace)})
    serialized = iter([bomb, *[pickle.dumps(doc) for _, doc in run]])

    received, counters = published(
        [("start", {}), *run], trusted=True, serializer=lambda _: next(serialized)
    )

    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_rejected_total", reason="pickle") == 1
    assert not trace.exists()


def test_a_daemon_reads_pickle_from_the_address_it_was_told(
    measured, proxy, published, free_ports, tmp_path
):
    from xasnn_stream import client

    _, url = proxy
    feed = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    log = tmp_path / "daemon.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "xasnn_stream", "run", PROFILE),
                *("--source", url, "--allow-pickle", url, "--feed", feed),
                *("--http", "none", "--state", str(tmp_path)),
                *("--reference", str(measured.foil)),
            ],
            stderr=output,
        ) as process,
        client.subscribe(feed, timeout_s=WAIT_S) as subscription,
    ):
        try:
            assert subscription.ready(60), log.read_text()
            deadline = time.monotonic() + WAIT_S
            while "reading zmq" not in log.read_text():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            published(measured.runs[0], trusted=True)
            result = next(subscription)
        finally:
            process.terminate()
            process.wait(40)
    (expected,) = measured.estimates(measured.runs[0])
    assert result.estimate["id"] == expected["id"]
    assert result.estimate["descriptors"] == expected["descriptors"]
    assert "PICKLE IS OPENED" in log.read_text()
