import json
import math
import pickle
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xasnn_stream.sources.codec import (
    MAX_BYTES,
    FrameError,
    decode_document,
    decode_frame,
    decode_line,
    encode_document,
    encode_frame,
    encode_line,
)


def numpy_form(array: np.ndarray) -> dict:
    """What msgpack_numpy writes for an array."""
    return {
        b"nd": True,
        b"type": array.dtype.str,
        b"kind": b"",
        b"shape": list(array.shape),
        b"data": array.tobytes(),
    }


def test_a_document_of_numbers_and_arrays_survives_msgpack():
    counts = np.arange(6, dtype="<u2").reshape(2, 3)
    doc = {
        "seq_num": np.int64(3),
        "data": {"i0": np.float64(0.1), "mca": counts, "dead": np.float32("nan")},
        "shape": (1, 2),
    }

    decoded = decode_document(encode_document(doc))

    assert decoded["seq_num"] == 3
    assert decoded["data"]["i0"] == 0.1
    assert math.isnan(decoded["data"]["dead"])
    assert decoded["data"]["mca"].dtype == counts.dtype
    np.testing.assert_array_equal(decoded["data"]["mca"], counts)
    assert decoded["shape"] == [1, 2]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([{"x": np.float64(1)}], dtype=object), [{"x": 1.0}]),
        (np.array([1j]), ["1j"]),
        (Path("a/b"), "a/b"),
    ],
    ids=["texts", "objects", "complex", "a path"],
)
def test_the_serializer_never_stops_a_plan(value, found):
    assert decode_document(encode_document({"data": value})) == {"data": found}


def test_plain_msgpack_and_json_of_other_publishers_are_told_apart():
    doc = {"uid": "a", "data": {"i0": 1.5}}

    assert decode_document(msgpack.packb(doc)) == doc
    assert decode_document(json.dumps(doc).encode()) == doc
    assert decode_document(b" \n" + json.dumps(doc).encode()) == doc


def test_json_with_not_a_number_keeps_it():
    doc = decode_document(b'{"it": NaN, "i0": Infinity}')

    assert math.isnan(doc["it"])
    assert doc["i0"] == math.inf


def test_json_with_whole_characters_and_numbers_too_large_is_read():
    doc = decode_document(
        b'{"sample": "\\ud83d\\ude00", "time": 1' + b"0" * 5000 + b"}"
    )

    assert doc == {"sample": "\N{GRINNING FACE}", "time": math.inf}
    assert decode_document(b'{"n": 9223372036854775807}') == {"n": 2**63 - 1}


def test_an_empty_array_keeps_its_shape():
    empty = np.zeros((0, 4096), "<f4")

    assert decode_document(encode_document({"mca": empty}))["mca"].shape == (0, 4096)


def test_arrays_of_msgpack_numpy_are_restored():
    mca = np.linspace(0, 1, 6).reshape(2, 3)
    scalar = {b"nd": False, b"type": "<f8", b"data": np.float64(2.5).tobytes()}
    body = msgpack.packb({"data": {"mca": numpy_form(mca), "list": [scalar]}})

    decoded = decode_document(body)

    np.testing.assert_array_equal(decoded["data"]["mca"], mca)
    assert decoded["data"]["list"] == [2.5]


@pytest.mark.parametrize(
    "changes",
    [
        {b"type": "|O", b"kind": b"O", b"data": pickle.dumps([1])},
        {b"type": [["a", "<f8"]], b"kind": b"V"},
        {b"shape": [10**12]},
        {b"shape": [-1, -2]},
        {b"shape": None},
        {b"shape": [10**12, 0], b"data": b""},
        {b"shape": [1] * 100 + [2]},
        {b"type": "f8,,"},
        {b"type": "(1,f8"},
        {b"type": "U1000000000"},
        {b"data": "text"},
    ],
)
def test_arrays_of_objects_or_of_another_size_are_refused(changes):
    form = numpy_form(np.zeros(2)) | changes

    with pytest.raises(FrameError) as refused:
        decode_document(msgpack.packb({"data": form}))

    assert refused.value.reason == "body"


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("pickle was opened",)


@pytest.mark.parametrize("codec", ["auto", "msgpack", "json"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_is_recognised_and_never_opened(codec, protocol):
    body = pickle.dumps({"uid": Bomb()}, protocol=protocol)

    with pytest.raises(FrameError, match=r"serializer=.*--allow-pickle") as refused:
        decode_document(body, codec)

    assert refused.value.reason == "pickle"


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        (b"", "auto"),
        (b"\x93\x01\x02\x03", "auto"),
        (b"[1, 2]", "json"),
        (b"{", "auto"),
        (b"\x81\xa1a" * 50_000, "auto"),
        (b'{"a":' * 50_000, "auto"),
        (b"\x81\xa1a\xc7\x01\x05x", "auto"),
        (b"\x81\xa1a\xc7\x01\x4ex", "auto"),
        (b'{"a": 1}', "msgpack"),
        (b'{"sample": "\\ud800"}', "json"),
        (b'{"sample": "\\uDFFF", "it": NaN}', "json"),
        (b'{"sample": "\xff"}', "json"),
        (b"\x81\xa1\xff\x01", "msgpack"),
    ],
)
def test_a_body_that_is_no_map_is_refused(body, codec):
    with pytest.raises(FrameError) as refused:
        decode_document(body, codec)

    assert refused.value.reason == "body"


def test_a_frame_has_the_form_bluesky_publishes():
    doc = {"uid": "a"}

    frame = encode_frame("start", doc, b"beamline")

    assert frame == b"beamline start " + encode_document(doc)
    assert decode_frame(frame) == ("start", doc)
    assert decode_frame(frame, prefix=b"beamline") == ("start", doc)
    assert decode_frame(frame, prefix=b"other") is None
    assert decode_frame(encode_frame("start", doc)) == ("start", doc)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "frame"),
        (b"GET /", "frame"),
        (b"GET / HTTP/1.1", "body"),
        (b" \xff\xfe {}", "name"),
        (bytes(MAX_BYTES + 1), "oversized"),
    ],
)
def test_garbage_is_refused_with_its_reason(frame, reason):
    with pytest.raises(FrameError) as refused:
        decode_frame(frame)

    assert refused.value.reason == reason


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_frame_error(noise):
    for body in (noise, b"{" + noise, b"\x82" + noise, b"\x81\xa1a\xc7\x10N" + noise):
        try:
            decoded = decode_document(body)
        except FrameError:
            continue
        assert isinstance(decoded, dict)


def test_a_line_keeps_numbers_exactly():
    doc = {"t": 0.1 + 0.2, "n": np.float64("nan"), "a": np.arange(3), "i": np.int32(7)}

    name, decoded = decode_line(encode_line("event", doc))

    assert name == "event"
    assert decoded["t"] == 0.1 + 0.2
    assert math.isnan(decoded["n"])
    assert decoded["a"] == [0, 1, 2]
    assert decoded["i"] == 7


def test_a_line_of_blueskys_own_writer_is_read(tmp_path):
    from bluesky.callbacks.json_writer import JSONLinesWriter

    JSONLinesWriter(str(tmp_path), "run.jsonl")("start", {"uid": "a", "time": 1.5})
    line = (tmp_path / "run.jsonl").read_bytes()
    assert decode_line(line) == ("start", {"uid": "a", "time": 1.5})


@pytest.mark.parametrize(
    "line", [b'{"uid": 1}', b'["start"]', b'["start", 1]', b"1", b'{"name": "start"}']
)
def test_a_line_that_is_no_pair_of_name_and_document_is_refused(line):
    with pytest.raises(FrameError) as refused:
        decode_line(line)

    assert refused.value.reason == "frame"
