import datetime
import pickle
import resource
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xasnn_stream.errors import UsageError
from xasnn_stream.sources.codec import FrameError, decode_document, decode_frame
from xasnn_stream.sources.open import open_source, pickle_sources
from xasnn_stream.sources.unpickle import unpickle
from xasnn_stream.telemetry.counters import Counters


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_documents_of_numpy_values_come_back_as_they_were(protocol):
    image = np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3))
    doc = {
        "data": {"i0": np.float64(0.1), "n": np.int32(7), "on": np.bool_(True)},
        "arrays": {"mca": np.linspace(0, 1, 5), "image": image, "none": np.zeros(0)},
        "shape": (1, 2),
        "tags": {"a"},
        "order": OrderedDict(a=1),
        "when": datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
    }

    decoded = decode_document(pickle.dumps(doc, protocol), allow_pickle=True)

    assert {k: decoded[k] for k in decoded if k != "arrays"} == {
        k: doc[k] for k in doc if k != "arrays"
    }
    assert type(decoded["data"]["n"]) is int
    for name, array in doc["arrays"].items():
        # numpy restores arrays of protocol 4 in the machine's own byte order.
        native = decoded["arrays"][name].dtype.newbyteorder("=")
        assert native == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(decoded["arrays"][name], array)


class Bomb:
    """Leaves a trace in `went_off` when it is restored."""

    def __init__(self, function, *arguments):
        self.pair = function, arguments

    def __reduce__(self):
        return self.pair


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_bomb_does_not_go_off_where_pickle_is_opened(tmp_path, protocol):
    trace = tmp_path / "went off"
    for bomb in (
        Bomb(open, str(trace), "w"),
        Bomb(exec, f"open({str(trace)!r}, 'w')"),
        Bomb(getattr, [], "append"),
        Bomb(np.save, str(trace), np.zeros(1)),
        Bomb(np.load, str(trace)),
        Bomb(bytearray, 10**12),
    ):
        body = pickle.dumps({"uid": bomb}, protocol)
        with pytest.raises(FrameError, match="not what documents are made of") as no:
            decode_document(body, allow_pickle=True)
        assert no.value.reason == "pickle"
    assert not list(tmp_path.iterdir())


def test_the_bomb_of_these_tests_is_real(tmp_path):
    trace = tmp_path / "went off"
    pickle.loads(  # noqa: S301 - our own bytes
        pickle.dumps(Bomb(exec, f"open({str(trace)!r}, 'w').close()"))
    )
    assert trace.exists()


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array(["a"]), np.zeros(1, "f8,i4"), np.array([1j])]
)
def test_only_arrays_of_numbers_are_restored(array):
    for protocol in (3, 4, 5):
        with pytest.raises(ValueError, match="only numbers"):
            unpickle(pickle.dumps({"a": array}, protocol))


def test_an_array_is_as_large_as_its_bytes():
    honest = pickle.dumps(np.arange(1000.0), 4)
    at = honest.index(pickle.BININT2 + (1000).to_bytes(2, "little"))
    for size in (999, 1001, 60000):
        lie = honest[: at + 1] + size.to_bytes(2, "little") + honest[at + 3 :]
        with pytest.raises(ValueError, match="8000 bytes are no array"):
            unpickle(lie)


def test_no_method_of_a_document_can_be_hidden():
    doc = OrderedDict(uid="a")
    doc.get = complex
    with pytest.raises(FrameError):
        decode_document(pickle.dumps(doc), allow_pickle=True)
    plain = decode_document(pickle.dumps(OrderedDict(uid="a")), allow_pickle=True)
    assert type(plain) is dict


@pytest.mark.parametrize(
    "claim",
    [
        b"}r\xff\xff\xff\x0f.",  # a memo of 2**28 entries
        b"}p999999999\n.",
        b"\x96" + (2**34).to_bytes(8, "little") + b".",  # so many bytes follow
        b"\x8e" + (2**34).to_bytes(8, "little") + b".",
    ],
)
def test_few_bytes_cannot_ask_for_much_memory(claim):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FrameError):
        decode_document(b"\x80\x05" + claim, allow_pickle=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000, "kilobytes"


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_frame_error(noise):
    good = pickle.dumps({"a": np.arange(3), "b": np.float64(1)})
    for body in (b"\x80\x04" + noise, good[: len(noise)] + noise, good[:-1] + noise):
        try:
            decoded = decode_document(body, allow_pickle=True)
        except FrameError:
            continue
        assert isinstance(decoded, dict)


def test_pickle_is_opened_from_the_address_that_is_allowed_and_no_other():
    here, there = "zmq://127.0.0.1:5568?prefix=a", "zmq://127.0.0.1:5569"
    urls = [here, there, "documents.jsonl", "tiled+http://127.0.0.1:8000/raw"]

    assert pickle_sources(urls, []) == frozenset()
    assert pickle_sources(urls, ["127.0.0.1:5568"]) == {here}
    assert pickle_sources(urls, ["zmq://127.0.0.1:5569"]) == {there}
    assert pickle_sources(urls, [here, there]) == {here, there}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "documents.jsonl", "5568", ""])
def test_an_address_that_is_none_of_the_sources_is_refused(address):
    with pytest.raises(UsageError, match=r"they are: 127\.0\.0\.1:5568"):
        pickle_sources(["zmq://127.0.0.1:5568", "documents.jsonl"], [address])


def test_a_source_warns_loudly_that_it_opens_pickle(caplog):
    open_source("zmq://127.0.0.1:1", Counters()).close()
    assert not caplog.records
    open_source("zmq://127.0.0.1:1", Counters(), allow_pickle=True).close()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "zmq://127.0.0.1:1: PICKLE IS OPENED" in record.getMessage()


def test_frames_hand_the_permission_on():
    frame = b" start " + pickle.dumps({"uid": "a"})
    assert decode_frame(frame, allow_pickle=True) == ("start", {"uid": "a"})
    with pytest.raises(FrameError, match="--allow-pickle"):
        decode_frame(frame)
