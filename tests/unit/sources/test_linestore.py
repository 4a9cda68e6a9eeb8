import json

import pytest

from xasnn_stream.errors import SourceError
from xasnn_stream.sources import linestore
from xasnn_stream.sources.linestore import JSONLinesStore


def run(uid, began=1.0, events=2):
    yield ["start", {"uid": uid, "time": began}]
    yield ["descriptor", {"uid": f"d{uid}", "run_start": uid, "name": "primary"}]
    for n in range(events):
        yield ["event", {"uid": f"e{uid}{n}", "descriptor": f"d{uid}", "seq_num": n}]
    yield ["stop", {"uid": f"s{uid}", "run_start": uid}]


def text(documents):
    return "".join(json.dumps(document) + "\n" for document in documents)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "documents.jsonl"


@pytest.fixture
def store(path):
    return JSONLinesStore(str(path))


def uids(store, since=None):
    return [run.start["uid"] for run in store.finished_runs(since)]


def test_only_runs_that_are_over_are_given(path, store):
    path.write_text(text([*run("a"), *list(run("open"))[:-1]]))
    assert uids(store) == ["a"]
    assert store.finished_run("open") is None
    assert store.finished_run("unknown") is None


def test_files_of_blueskys_own_writer_are_stores_as_well(path, store):
    path.write_text(text({"name": name, "doc": doc} for name, doc in run("a")))
    (stored,) = store.finished_runs()
    assert [name for name, _ in stored.documents()] == [name for name, _ in run("a")]


def test_what_is_added_is_seen_at_the_next_look(path, store):
    *most, stop = run("b")
    path.write_text(text([*run("a"), *most]) + json.dumps(stop))
    assert uids(store) == ["a"], "the last line is still being written"
    with path.open("a") as file:
        file.write("\n")
    assert uids(store) == ["a", "b"]
    indexed = store._indexed
    assert indexed == path.stat().st_size
    with path.open("a") as file:
        file.write(text(run("c")))
    assert uids(store) == ["a", "b", "c"]


def test_a_run_has_its_own_documents_only(path, store):
    a, b = list(run("a")), list(run("b"))
    mixed = [d for pair in zip(a, b, strict=True) for d in pair]
    path.write_text(text(mixed) + "no document\n" + text(run("c")))
    for uid, whole in (("a", a), ("b", b), ("c", list(run("c")))):
        stored = store.finished_run(uid)
        assert stored is not None
        assert [list(d) for d in stored.documents()] == whole


def test_runs_are_chosen_by_their_start(path, store):
    path.write_text(text([*run("a", 10.0), *run("b", 20.0)]))
    assert uids(store, since=20.0) == ["b"]


def test_of_too_many_runs_the_first_are_forgotten(path, store, monkeypatch):
    monkeypatch.setattr(linestore, "MAX_RUNS", 2)
    *most, stop = run("open")
    path.write_text(text([*most, *run("a"), *run("b"), stop]))
    assert uids(store) == ["a", "b"]
    assert store.finished_run("open") is None
    with path.open("a") as file:
        file.write(text(run("c")))
    assert uids(store) == ["b", "c"]


def test_a_run_that_was_recorded_twice_is_one_from_the_first_start_on(path, store):
    whole = list(run("a"))
    path.write_text(text([*whole, *whole[:-1]]))
    assert uids(store) == ["a"]
    path.write_text(text([*whole[:2], *whole]))
    stored = store.finished_run("a")
    assert stored is not None
    assert [list(d) for d in stored.documents()] == [*whole[:2], *whole]


def test_a_start_time_too_large_for_a_float_is_still_one(path, store):
    path.write_text(text(run("a", 10**400)))
    assert uids(store, since=20.0) == ["a"]


def test_a_file_that_was_replaced_is_read_anew(path, store):
    path.write_text(text([*run("a"), *run("b")]))
    assert uids(store) == ["a", "b"]
    path.write_text(text(run("c")))
    assert uids(store) == ["c"]


def test_a_file_that_is_not_there_is_an_error_that_names_it(store):
    with pytest.raises(SourceError, match=r"documents\.jsonl: No such file"):
        list(store.finished_runs())


def test_a_line_longer_than_any_document_is_passed_over(path, store, monkeypatch):
    monkeypatch.setattr(linestore, "MAX_BYTES", 100)
    path.write_text(text(run("a")) + "x" * 1000 + "\n" + text(run("b")))
    assert uids(store) == ["a", "b"]
