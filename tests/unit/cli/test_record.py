import contextlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import zmq

from xasnn_stream.cli.main import main
from xasnn_stream.sources.codec import encode_frame, encode_line

COMMAND = [sys.executable, "-m", "xasnn_stream", "record"]
DOCUMENTS = [
    ("start", {"uid": "a", "time": 1.25}),
    ("descriptor", {"uid": "d", "run_start": "a", "name": "primary"}),
    ("event", {"uid": "e", "data": {"i0": 0.1 + 0.2, "it": math.nan}}),
    ("stop", {"uid": "s", "run_start": "a"}),
]


@pytest.fixture(autouse=True)
def _handlers_are_put_back():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "stored.jsonl"
    path.write_bytes(b"".join(encode_line(*named) for named in DOCUMENTS))
    return path


def test_every_document_is_written_as_it_is_and_counted(stored, tmp_path, capsys):
    file = tmp_path / "copy.jsonl"
    with stored.open("ab") as more:
        more.write(b"garbage\n")

    assert main(["record", str(stored), str(file)]) == 0

    lines = b"".join(encode_line(*named) for named in DOCUMENTS)
    assert file.read_bytes() == lines
    assert b"NaN" in lines
    summary = capsys.readouterr().err.splitlines()[-1]
    assert summary == (
        "recorded 1 runs; documents: 1 start, 1 descriptor, 1 event, 1 stop; rejected: 1"
    )


def test_standard_output_gets_lines_and_nothing_else(stored):
    done = subprocess.run(
        [*COMMAND, "-", "-"],
        input=stored.read_bytes(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == stored.read_bytes()
    assert b"recorded 1 runs" in done.stderr


def test_a_file_that_is_there_is_only_added_to(stored, tmp_path, capsys):
    file = tmp_path / "copy.jsonl"
    assert main(["record", str(stored), str(file)]) == 0
    once = file.read_bytes()
    capsys.readouterr()

    assert main(["record", str(stored), str(file)]) == 2
    assert "--append" in capsys.readouterr().err
    assert file.read_bytes() == once

    assert main(["record", str(stored), str(file), "--append"]) == 0
    assert file.read_bytes() == once + once


def test_what_was_cut_in_the_middle_stays_alone_in_its_line(stored, tmp_path):
    file = tmp_path / "cut.jsonl"
    file.write_bytes(encode_line("start", {"uid": "old"}) + b'["event", {"ui')

    assert main(["record", str(stored), str(file), "--append"]) == 0

    lines = file.read_text().splitlines()
    assert lines[1] == '["event", {"ui'
    assert [json.loads(line)[0] for line in lines[2:]] == [n for n, _ in DOCUMENTS]


@pytest.mark.parametrize(
    ("source", "file", "says"),
    [
        ("nothing.jsonl", "new.jsonl", "nothing.jsonl"),
        ("stored.jsonl", "stored.jsonl", "into itself"),
        ("stored.jsonl", "no/folder/new.jsonl", "cannot write"),
        ("ftp://host", "new.jsonl", "unknown kind of source"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    stored, tmp_path, monkeypatch, capsys, source, file, says
):
    monkeypatch.chdir(tmp_path)
    before = stored.read_bytes()

    assert main(["record", source, file, "--append"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert stored.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["stored.jsonl"]


def test_a_full_disk_is_one_sentence(stored, capsys):
    if not os.path.exists("/dev/full"):
        pytest.skip("this machine has no /dev/full")
    assert main(["record", str(stored), "/dev/full", "--append"]) == 1
    assert "No space left" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_recording_what_is_live_ends_well_with_a_signal(tmp_path, number, capsys):
    file = tmp_path / "live.jsonl"
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        port = publisher.bind_to_random_port("tcp://127.0.0.1")

        def act():
            assert publisher.poll(5000)
            publisher.recv()
            # Bytes are no part of JSON: this one document cannot be kept.
            publisher.send(encode_frame("event", {"uid": "odd", "raw": b"\xff"}))
            for named in DOCUMENTS:
                publisher.send(encode_frame(*named))
            deadline = time.monotonic() + 5
            while '["stop"' not in file.read_text() and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(os.getpid(), number)

        acting = threading.Thread(target=act)
        acting.start()
        assert main(["record", f"zmq://127.0.0.1:{port}", str(file)]) == 0
        acting.join()
    assert file.read_bytes() == b"".join(encode_line(*named) for named in DOCUMENTS)
    err = capsys.readouterr().err
    assert "event odd cannot be written" in err
    assert err.splitlines()[-1].endswith("rejected: 1")


def test_recording_what_is_stored_can_be_interrupted(tmp_path):
    reader, writer = os.pipe()
    with (
        subprocess.Popen(
            [*COMMAND, "-", str(tmp_path / "cut.jsonl")],
            stdin=reader,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        io.FileIO(writer, "w") as lines,
    ):
        os.close(reader)
        lines.write(encode_line(*DOCUMENTS[0]))
        _wait_for(tmp_path / "cut.jsonl")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 130
        assert "recorded 1 runs" in process.stderr.read()


@pytest.mark.parametrize("after_s", [0.05, 0.2])
def test_a_kill_leaves_whole_lines_and_at_most_one_begun(tmp_path, after_s):
    file = tmp_path / "killed.jsonl"
    line = encode_line("event", {"uid": "e", "data": {"mca": list(range(5000))}})
    with subprocess.Popen([*COMMAND, "-", str(file)], stdin=subprocess.PIPE) as process:

        def feed():
            with contextlib.suppress(BrokenPipeError):
                while True:
                    process.stdin.write(line)

        feeding = threading.Thread(target=feed)
        feeding.start()
        _wait_for(file)
        time.sleep(after_s)
        process.kill()
        process.wait(10)
        feeding.join(10)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    *whole, begun = file.read_bytes().split(b"\n")
    assert whole
    assert set(whole) == {line.rstrip()}
    # The system may end a write of several pages at one of them.
    assert line.startswith(begun)


def _wait_for(file):
    deadline = time.monotonic() + 20
    while not (file.exists() and file.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_holds_no_documents_is_said(tmp_path, capsys):
    (tmp_path / "spectrum.txt").write_text("11500 1.0\n11501 1.1\n")
    code = main(["record", str(tmp_path / "spectrum.txt"), str(tmp_path / "out.jsonl")])
    assert code == 1
    assert "spectrum.txt holds no documents" in capsys.readouterr().err
