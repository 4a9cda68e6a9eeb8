import pytest

from xasnn_stream.errors import SourceError, UsageError
from xasnn_stream.sources.open import check_store, open_source
from xasnn_stream.sources.selection import Selection
from xasnn_stream.telemetry.counters import Counters


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost:1", "unknown kind of source"),
        ("zmq://localhost", "needs host and port"),
        ("zmq://:5578", "needs host and port"),
        ("zmq://localhost:port", "needs host and port"),
        ("handover://localhost", "as in handover://127.0.0.1:5568"),
        ("handover://localhost:5570?prefix=a", "no option prefix"),
        ("databroker:", "the name of a catalog"),
        ("databroker://localhost:8000", "the name of a catalog"),
        ("zmq://no host:5578", "no address"),
        ("zmq://[::1:5578", "Invalid IPv6"),
        ("tiled+http://secret@[::1/raw", "Invalid IPv6"),
        ("tiled+http://localhost:99999/raw", "a port that can be one"),
        ("zmq://localhost:5578?codec=pickle", "auto, msgpack or json"),
        ("zmq://localhost:5578?hwm=3", "no option hwm"),
        ("zmq://localhost:5578?prefix=a%20b", "cannot hold a space"),
        ("tiled+http://:secret@localhost:8000/raw", "XASNN_TILED_API_KEY"),
        ("tiled+http://localhost:8000/raw?api_key=secret", "XASNN_TILED_API_KEY"),
        ("no/such/file.jsonl", "No such file"),
        (".", "a folder"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(url, says):
    with pytest.raises(SourceError, match=says) as refused:
        open_source(url, Counters())

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://user:secret@x",
        "zmq://127.0.0.1:5568",
        "handover://127.0.0.1:5570",
        "databroker:",
        "-",
        "tiled+http://",
        "tiled+http://[::1/raw",
        "tiled+http://127.0.0.1:99999/raw",
        "tiled+http://:secret@127.0.0.1:8000/raw",
        "tiled+http://secret@127.0.0.1:8000/raw",
    ],
)
def test_what_is_no_store_of_runs_is_refused_unopened(url):
    with pytest.raises(UsageError) as refused:
        check_store(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["tiled+http://127.0.0.1:8000/raw", "databroker:archive", "runs/later.jsonl"]
)
def test_a_store_of_runs_need_not_be_there_yet(url):
    check_store(url)


@pytest.mark.parametrize("url", ["zmq://localhost:5578", "handover://localhost:5570"])
def test_runs_of_a_live_source_cannot_be_chosen(url):
    with pytest.raises(SourceError, match="is live"):
        open_source(url, Counters(), Selection(uids=("a",)))
