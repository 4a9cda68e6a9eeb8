import json
import math
import os
import threading
from types import SimpleNamespace

from xasnn_stream.sources import jsonlines, selection
from xasnn_stream.sources.open import open_source
from xasnn_stream.sources.selection import RunFilter, Selection
from xasnn_stream.telemetry.counters import Counters


def received(path, chosen=None):
    counters = Counters()
    source = open_source(str(path), counters, chosen)
    documents = []
    while not source.exhausted:
        document = source.receive(1.0)
        if document is not None:
            documents.append((document.name, document.doc))
    source.close()
    return documents, counters


def test_bad_lines_are_counted_and_the_others_read(tmp_path):
    path = tmp_path / "documents.jsonl"
    path.write_text(
        '["start", {"uid": "a"}]\n'
        "not json\n"
        "\n"
        '{"start": 1}\n'
        '["strat", {"uid": "a"}]\n'
        '["event", {"data": {"it": NaN}}]\n'
        '["stop", {"run_start": "a"}]'
    )

    documents, counters = received(path)

    assert [name for name, _ in documents] == ["start", "event", "stop"]
    assert math.isnan(documents[1][1]["data"]["it"])
    for reason in ("body", "frame", "name"):
        assert counters.value("documents_rejected_total", reason=reason) == 1


def test_a_line_without_end_is_skipped_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlines, "MAX_BYTES", 1000)
    monkeypatch.setattr(jsonlines, "_CHUNK", 64)
    path = tmp_path / "documents.jsonl"
    path.write_text("x" * 5000 + '\n["start", {"uid": "a"}]\n')

    documents, counters = received(path)

    assert documents == [("start", {"uid": "a"})]
    assert counters.value("documents_rejected_total", reason="oversized") == 1


def test_a_pipe_is_read_as_it_fills_and_ends_with_its_writer(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    go_on = threading.Event()

    def write():
        with path.open("w") as pipe:
            pipe.write('["start", {"uid": "a"}]\n["st')
            pipe.flush()
            go_on.wait(5)
            pipe.write('op", {"run_start": "a"}]\n')

    writer = threading.Thread(target=write)
    writer.start()
    source = open_source(str(path), Counters())
    first = source.receive(5)
    assert source.receive(0.01) is None
    assert not source.exhausted
    go_on.set()
    second = source.receive(5)
    assert source.receive(5) is None
    writer.join(5)
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == ("start", "stop")
    assert source.exhausted
    source.close()


def test_a_pipe_nobody_writes_to_yet_holds_nobody_up(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opened = []
    opening = threading.Thread(
        target=lambda: opened.append(open_source(str(path), Counters())), daemon=True
    )
    opening.start()
    opening.join(2)
    assert opened, "opening waits for a writer"
    (source,) = opened
    assert source.receive(0.05) is None
    assert not source.exhausted
    path.write_text('["start", {"uid": "a"}]\n')
    assert source.receive(5).doc == {"uid": "a"}
    assert source.receive(5) is None
    assert source.exhausted
    source.close()


def test_what_is_remembered_of_skipped_runs_is_bounded(monkeypatch):
    monkeypatch.setattr(selection, "REMEMBERED", 10)
    runs = RunFilter(Selection(uids=("wanted",)))
    for n in range(100):
        assert not runs.takes("start", {"uid": f"{n}"})
        assert not runs.takes("descriptor", {"uid": f"d{n}", "run_start": f"{n}"})
        assert not runs.takes("stream_datum", {"uid": f"s{n}", "descriptor": f"d{n}"})
        assert not runs.takes("stop", {"uid": f"e{n}", "run_start": f"{n}"})
    assert runs.takes("start", {"uid": "wanted"})
    assert len(runs._skipped) == 10


def test_only_the_runs_selected_are_read(tmp_path):
    path = tmp_path / "documents.jsonl"
    lines = []
    for uid, began in (("a", 10.0), ("b", 20.0), ("c", 30.0)):
        lines += [
            ["start", {"uid": uid, "time": began}],
            ["descriptor", {"uid": f"d{uid}", "run_start": uid}],
            ["event", {"uid": f"e{uid}", "descriptor": f"d{uid}"}],
            ["stop", {"uid": f"s{uid}", "run_start": uid}],
        ]
    path.write_text("\n".join(map(json.dumps, lines)))

    def starts(chosen):
        documents, _ = received(path, chosen)
        assert len(documents) % 4 == 0
        return [doc["uid"] for name, doc in documents if name == "start"]

    assert starts(Selection(uids=("b",))) == ["b"]
    assert starts(Selection(since=20.0)) == ["b", "c"]
    assert starts(Selection(until=20.0)) == ["a", "b"]
    assert starts(Selection(since=15, until=25)) == ["b"]
    assert starts(Selection(wanted=lambda start: start["uid"] != "b")) == ["a", "c"]


def test_a_dash_is_standard_input(monkeypatch):
    reading, writing = os.pipe()
    stdin = SimpleNamespace(fileno=lambda: reading)
    monkeypatch.setattr("xasnn_stream.sources.jsonlines.sys.stdin", stdin)
    os.write(writing, b'["start", {"uid": "a"}]\n')
    os.close(writing)

    documents, _ = received("-")

    assert documents == [("start", {"uid": "a"})]
    os.close(reading)
