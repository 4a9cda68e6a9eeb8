import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq

from xasnn_stream.shipped import model_folder
from xasnn_stream.simulation.command import main
from xasnn_stream.simulation.experiment import MsgpackPublisher, experiment, run_plan
from xasnn_stream.simulation.playback import playback, read_recording
from xasnn_stream.sources.codec import decode_frame


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "measured.csv"
    rows = "\n".join(f"{11500 + i},{9 - i / 10},{5 - i / 7}" for i in range(12))
    path.write_text(f"# element: Pt\n# edge: L3\n# columns: energy i0 it\n{rows}\n")
    return path


@pytest.fixture
def receiver():
    """A bound subscriber in a proxy's place: its port, and what it receives of a run.

    It must be reading when the publisher connects, or it never subscribes.
    """
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as socket,
        ThreadPoolExecutor(1) as thread,
    ):
        socket.subscribe(b"")
        socket.rcvtimeo = 5000
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        yield port, thread.submit(_receive_run, socket)


def _receive_run(socket):
    documents = []
    while not documents or documents[-1][0] != "stop":
        decoded = decode_frame(socket.recv())
        assert decoded is not None
        documents.append(decoded)
    return documents


def test_published_and_recorded_documents_are_the_same(measured, receiver, tmp_path):
    port, run = receiver
    record = tmp_path / "documents.jsonl"
    code = main(
        [
            *("--publish", f"127.0.0.1:{port}", "--record", str(record)),
            *("playback", str(measured)),
        ]
    )
    published = run.result(timeout=10)
    recorded = [json.loads(line) for line in record.read_text().splitlines()]

    assert code == 0
    assert [name for name, _ in published] == [
        *("start", "descriptor"),
        *["event"] * 12,
        "stop",
    ]
    assert [[name, doc] for name, doc in published] == recorded


def test_closing_does_not_wait_for_a_proxy_that_is_gone():
    publisher = MsgpackPublisher("127.0.0.1:1")
    publisher("start", {"uid": "x"})
    before = time.monotonic()
    publisher.close()

    assert time.monotonic() - before < 5


def test_the_series_is_published_from_the_command_line(tmp_path, library_path):
    record, foil = tmp_path / "documents.jsonl", tmp_path / "foil.csv"
    code = main(
        [
            *("--record", str(record), "sim-step", "--scans", "1"),
            *("--library", str(library_path)),
            *("--model", str(model_folder("pt-l3-xanes")), "--foil", str(foil)),
        ]
    )
    starts = [
        doc
        for name, doc in map(json.loads, record.read_text().splitlines())
        if name == "start"
    ]

    assert code == 0
    assert [start["sample"] for start in starts] == ["Pt foil", "hemi111_13"]
    assert foil.exists()


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["playback", str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv cannot be read" in capsys.readouterr().err


def test_ctrl_c_ends_the_run_in_order(measured):
    documents = []

    def interrupt_at_the_fifth(name, document):
        documents.append((name, document))
        if len(documents) == 7:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    plan = playback(read_recording(measured))
    with experiment() as engine:
        engine.subscribe(interrupt_at_the_fifth)
        with pytest.raises(KeyboardInterrupt):
            run_plan(engine, plan)
    names = [name for name, _ in documents]

    assert names[-1] == "stop"
    assert documents[-1][1]["exit_status"] == "abort"
    assert 5 <= names.count("event") < 12
    assert signal.getsignal(signal.SIGINT) is handler
