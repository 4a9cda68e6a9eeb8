import httpx
import numpy as np
import pytest

from xasnn_stream.sources.external import MAX_VALUES, fetch_arrays


class Http:
    def __init__(self, arrays) -> None:
        self.arrays = arrays
        self.asked: list[str] = []

    def get(self, link, **kwargs):
        self.asked.append(link)
        array = self.arrays[link]
        request = httpx.Request("GET", f"http://localhost/{link}")
        if isinstance(array, int):
            return httpx.Response(array, request=request)
        return httpx.Response(200, content=array.tobytes(), request=request)


class Node:
    def __init__(self, http, key, array) -> None:
        self.context = type("Context", (), {"http_client": http})
        self.item = {"links": {"full": key}}
        self.shape = getattr(array, "shape", (3,))
        self.dtype = getattr(array, "dtype", np.dtype("f8"))


@pytest.fixture
def stored():
    """A function that stores a run of one stream with arrays outside its events."""

    def store(arrays, rows, events=()):
        http = Http(arrays)
        run = {"primary": {k: Node(http, k, a) for k, a in arrays.items()}}
        keys = {k: {"external": "STREAM:", "shape": [10**12]} for k in arrays}
        documents = [
            ("start", {"uid": "run"}),
            ("descriptor", {"uid": "d", "name": "primary", "data_keys": keys}),
            *(("event", event | {"descriptor": "d"}) for event in events),
        ]
        for key in arrays:
            span = {"start": 0, "stop": rows}
            documents += [
                ("stream_resource", {"uid": f"r-{key}", "data_key": key}),
                (
                    "stream_datum",
                    {
                        "uid": f"s-{key}",
                        "stream_resource": f"r-{key}",
                        "descriptor": "d",
                        "indices": span,
                    },
                ),
            ]
        return run, [*documents, ("stop", {"run_start": "run"})], http

    return store


def of(documents, name):
    return [doc for found, doc in documents if found == name]


def test_rows_of_an_array_become_events(stored):
    run, documents, _ = stored({"energy": np.arange(3.0), "i0": np.arange(3) * 2}, 3)

    found = fetch_arrays(run, documents)

    assert [name for name, _ in found] == ["start", "descriptor", "event_page", "stop"]
    (page,) = of(found, "event_page")
    assert page["seq_num"] == [1, 2, 3]
    assert page["data"] == {"energy": [0.0, 1.0, 2.0], "i0": [0, 2, 4]}
    assert np.isnan(page["time"]).all()
    (descriptor,) = of(found, "descriptor")
    assert "external" not in descriptor["data_keys"]["energy"]


def test_long_runs_come_in_several_pages(stored):
    run, documents, _ = stored({"energy": np.arange(25_000.0)}, 25_000)

    pages = of(fetch_arrays(run, documents), "event_page")

    assert [len(page["seq_num"]) for page in pages] == [10_000, 10_000, 5_000]
    assert pages[-1]["seq_num"][-1] == 25_000
    assert pages[-1]["data"]["energy"][-1] == 24_999.0


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
def test_records_of_one_event_become_columns(stored, shape):
    records = np.zeros(shape, [("timestamp", "<f8"), ("i0", "<i4")])
    records["i0"] = np.arange(4).reshape(shape)
    run, documents, _ = stored({"apb_stream": records}, 1)

    found = fetch_arrays(run, documents)

    (page,) = of(found, "event_page")
    assert page["data"]["i0"][0].tolist() == [0, 1, 2, 3]
    assert page["data"]["timestamp"][0].tolist() == [0.0] * 4
    (descriptor,) = of(found, "descriptor")
    assert set(descriptor["data_keys"]) == {"timestamp", "i0"}


def test_values_are_added_to_events_that_are_there(stored):
    events = [
        {"seq_num": number, "time": 5.0, "data": {"temperature": 300.0 + number}}
        for number in (1, 2)
    ]
    run, documents, _ = stored({"i0": np.array([7.0, 8.0])}, 2, events)

    found = fetch_arrays(run, documents)

    assert [e["data"] for e in of(found, "event")] == [
        {"temperature": 301.0, "i0": 7.0},
        {"temperature": 302.0, "i0": 8.0},
    ]
    assert not of(found, "event_page")
    assert events[0]["data"] == {"temperature": 301.0}, "what was stored is changed"


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_what_the_server_cannot_give_stays_in_its_file_and_is_asked_once(
    stored, status, caplog
):
    run, documents, http = stored({"energy": np.arange(3.0), "i0": status}, 3)

    found = fetch_arrays(run, documents)

    assert [doc["data_key"] for doc in of(found, "stream_resource")] == ["i0"]
    assert [doc["uid"] for doc in of(found, "stream_datum")] == ["s-i0"]
    (page,) = of(found, "event_page")
    assert set(page["data"]) == {"energy"}
    assert http.asked == ["energy", "i0"]
    assert "primary/i0 cannot be read through the server" in caplog.text


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b", "c"]),
        np.zeros(5),
        np.broadcast_to(0.0, (3, MAX_VALUES)),
        np.broadcast_to(0.0, (10**12,)),
    ],
)
def test_texts_and_what_is_too_large_stay_outside(stored, array):
    run, documents, _ = stored({"image": array}, 3)

    assert fetch_arrays(run, documents) == documents


def test_frames_stay_outside_without_being_asked_for(stored):
    run, documents, http = stored({"image": np.zeros((3, 8, 8))}, 3)

    assert fetch_arrays(run, documents) == documents
    assert http.asked == []


def test_a_run_without_files_is_as_it_was(stored):
    run, documents, http = stored({}, 0, [{"seq_num": 1, "data": {"i0": 1.0}}])

    assert fetch_arrays(run, documents) is documents
    assert http.asked == []


@pytest.mark.parametrize(
    "strange", [{}, {"primary": {}}, {"primary": {"i0": object()}}]
)
def test_a_run_that_is_not_stored_as_its_documents_say_is_as_it_was(stored, strange):
    _, documents, _ = stored({"i0": np.arange(3.0)}, 3)

    assert fetch_arrays(strange, documents) == documents
