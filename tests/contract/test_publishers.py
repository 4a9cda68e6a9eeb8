"""However a run is published, the same estimate comes of it.

Bluesky's own publisher and proxy, with the serializers people give it.
"""

import functools
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import event_model
import msgpack
import msgpack_numpy
import msgspec
import orjson
import pytest

from xasnn_stream.cli.main import main
from xasnn_stream.sources.codec import encode_document

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky"),
]

WAIT_S = 20.0
PROFILE = "sim-step"
Named = tuple[str, dict[str, Any]]


def json_bytes(doc: dict[str, Any]) -> bytes:
    return json.dumps(doc, cls=event_model.NumpyEncoder).encode()


SERIALIZERS = {
    "ours": encode_document,
    "msgpack-numpy": functools.partial(msgpack.packb, default=msgpack_numpy.encode),
    "json": json_bytes,
    "orjson": functools.partial(orjson.dumps, option=orjson.OPT_SERIALIZE_NUMPY),
}
PLAIN_SERIALIZERS = {
    "msgpack": msgpack.packb,
    "msgspec": msgspec.msgpack.encode,
    "msgspec-json": msgspec.json.encode,
}


@pytest.mark.parametrize("prefix", [b"", b"bl-2"])
@pytest.mark.parametrize("name", SERIALIZERS)
def test_any_serializer_gives_the_same_estimate(measured, published, name, prefix):
    (run, _) = measured.runs
    options = f"?prefix={prefix.decode()}" if prefix else ""

    received, counters = published(
        run, prefix=prefix, options=options, serializer=SERIALIZERS[name]
    )

    assert measured.estimates(received) == measured.estimates(run)
    assert counters.value("documents_received_total") == len(run)


@pytest.mark.parametrize("name", PLAIN_SERIALIZERS)
def test_serializers_that_know_no_numpy_do_for_plain_documents(
    measured, published, name
):
    run = [(name, json.loads(json_bytes(doc))) for name, doc in measured.runs[0]]

    received, _ = published(run, serializer=PLAIN_SERIALIZERS[name])

    assert received == run
    assert measured.estimates(received) == measured.estimates(run)


def test_a_serializer_that_makes_text_fails_in_the_publisher(measured, published):
    """Nothing of it reaches us, so it is not ours to tell apart."""
    run = [(name, json.loads(json_bytes(doc))) for name, doc in measured.runs[0]]
    with pytest.raises(TypeError, match="bytes-like"):
        published(run, serializer=json.dumps)


def test_what_is_recorded_replays_as_the_same_estimate(
    measured, proxy, tmp_path, capsys
):
    into, url = proxy
    file = tmp_path / "recorded.jsonl"
    sender = threading.Thread(
        target=publish_and_end, args=(measured.runs[0], into, file)
    )
    sender.start()
    code = main(["record", url, str(file)])
    sender.join()

    assert code == 0
    summary = capsys.readouterr().err.splitlines()[-1]
    events = sum(name == "event" for name, _ in measured.runs[0])
    assert summary.endswith(f" {events} event, 1 stop; rejected: 0")
    options = ("--reference", str(measured.foil), "--json")
    assert main(["replay", PROFILE, str(file), *options]) == 0
    (replayed,) = map(json.loads, capsys.readouterr().out.splitlines())
    (expected,) = measured.estimates(measured.runs[0])
    assert replayed["id"] == expected["id"]
    assert replayed["descriptors"] == expected["descriptors"]


def publish_and_end(run: list[Named], into: str, file: Path) -> None:
    """Publish a run until it is in the file, then end the recording."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"tcp://{into}")
        deadline = time.monotonic() + WAIT_S
        while not _written(file, "descriptor") and time.monotonic() < deadline:
            for name, doc in run[:2]:
                socket.send(b" ".join([b"", name.encode(), encode_document(doc)]))
            time.sleep(0.5)
        for name, doc in run[2:]:
            socket.send(b" ".join([b"", name.encode(), encode_document(doc)]))
        while not _written(file, "stop") and time.monotonic() < deadline:
            time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)


def _written(file: Path, name: str) -> bool:
    return file.exists() and f'["{name}",' in file.read_text()
