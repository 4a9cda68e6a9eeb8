"""Documents as bytes, without pickle unless a deployment allows it.

On the wire a document is one frame, `prefix name body` with single spaces between, as
Bluesky's 0MQ publisher sends it; the body is msgpack or JSON. Arrays of numbers travel
in msgpack as an extension type; `msgpack_numpy`'s form of them is understood as well.
Objects are never restored, whatever a publisher sends, not even from pickle.
"""

import json
import math
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Literal, cast

import msgspec
import numpy as np

from xasnn_stream.errors import DocumentError

Codec = Literal["auto", "msgpack", "json"]

MAX_BYTES = 32 * 2**20
"""Larger frames or lines are rejected: no document of a scan comes near."""

ARRAY_EXTENSION = 78
"""Extension type of an array: msgpack of `[dtype, shape, bytes]`, C order."""

_NUMERIC = frozenset("biuf")
_DTYPE = re.compile("[<>=|]?[biuf][0-9]{1,2}")
# What msgspec would let pass: an integer no float can hold, half a character.
_ODD_JSON = re.compile(rb"[0-9]{20}|\\u[dD][89a-fA-F]")
_MOST_EMPTY = 2**16
_ND_KEY = b"\xc4\x02nd"  # the key b"nd" as msgpack_numpy writes it


class FrameError(DocumentError):
    """Bytes that are no document; `reason` is the label they are counted under."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def encode_document(doc: dict[str, Any]) -> bytes:
    """Return a document as msgpack; numpy scalars become numbers.

    A serializer for `bluesky.callbacks.zmq.Publisher`, in whose process an error would
    abort the plan: arrays of anything but numbers become lists, and what no document
    should hold becomes its text.
    """
    return _ENCODER.encode(doc)


def encode_frame(name: str, doc: dict[str, Any], prefix: bytes = b"") -> bytes:
    """Return the frame that carries one document."""
    return b" ".join([prefix, name.encode(), encode_document(doc)])


def encode_line(name: str, doc: dict[str, Any]) -> bytes:
    """Return `["name", {…}]` and a newline; NaN is kept as the literal NaN.

    Arrays and sets become lists, dates text; TypeError for what JSON cannot hold.
    """
    return json.dumps([name, doc], default=_jsonable).encode() + b"\n"


def decode_frame(
    frame: bytes,
    codec: Codec = "auto",
    prefix: bytes = b"",
    *,
    allow_pickle: bool = False,
) -> tuple[str, dict[str, Any]] | None:
    """Return name and document of a frame, None if it has another prefix.

    An empty `prefix` accepts every prefix. FrameError if it is no document.
    """
    if len(frame) > MAX_BYTES:
        raise FrameError("oversized", f"a frame of {len(frame)} bytes")
    parts = frame.split(b" ", 2)
    if len(parts) != 3:
        raise FrameError("frame", f"not 'prefix name body': {frame[:40]!r}")
    if prefix and parts[0] != prefix:
        return None
    try:
        name = parts[1].decode("ascii")
    except UnicodeDecodeError:
        raise FrameError("name", f"document name {parts[1][:40]!r}") from None
    return name, decode_document(parts[2], codec, allow_pickle=allow_pickle)


def decode_document(
    body: bytes, codec: Codec = "auto", *, allow_pickle: bool = False
) -> dict[str, Any]:
    """Return the document in a msgpack or JSON body; FrameError if there is none.

    `auto` tells them apart by the first byte, as both begin with a map. Pickle is
    recognised, and opened only if the deployment said so.
    """
    # As msgpack this would be an empty map with something behind it.
    if body[:1] == b"\x80" and len(body) > 1:
        doc = _decode_pickle(body, allow_pickle)
    elif codec == "json" or (codec == "auto" and body.lstrip()[:1] == b"{"):
        doc = _decode_json(body)
    else:
        doc = _decode_msgpack(body)
    if not isinstance(doc, dict):
        raise FrameError("body", f"the body is a {type(doc).__name__}, not a map")
    return cast(dict[str, Any], doc)


def decode_line(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return name and document of one line; FrameError if it holds none.

    A line is `["name", {…}]`, as of suitcase-jsonl, or `{"name": …, "doc": {…}}`, as of
    Bluesky's JSONLinesWriter, which TiledWriter's backups are of.
    """
    pair = _decode_json(line)
    match pair:
        case [str(name), dict(doc)] | {"name": str(name), "doc": dict(doc)}:
            return name, cast(dict[str, Any], doc)
        case _:
            raise FrameError("frame", f'not ["name", {{…}}]: {line[:40]!r}')


def _decode_json(text: bytes) -> Any:
    odd = _ODD_JSON.search(text)
    if odd is None:
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            return msgspec.json.decode(text)
    try:  # msgspec has no literals for NaN and Infinity; Python's own writer has
        found = json.loads(text, parse_int=_integer)
        if odd is not None:
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise FrameError("body", f"undecodable JSON: {error}") from None
    return found


def _integer(text: str) -> float:
    return int(text) if len(text) < 20 else float(text)


def _decode_msgpack(body: bytes) -> Any:
    try:
        doc = _DECODER.decode(body)
        return _restore(doc) if _ND_KEY in body else doc
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise FrameError("body", f"undecodable msgpack: {error}") from None


def _decode_pickle(body: bytes, allowed: bool) -> Any:
    if not allowed:
        raise FrameError(
            "pickle",
            "the publisher sends pickle, Bluesky's default, which is not opened; give "
            "it serializer=xasnn_stream.sources.codec.encode_document (or "
            "msgpack.packb), or start this with --allow-pickle ADDRESS if you trust "
            "everybody who reaches that address",
        )
    from xasnn_stream.sources.unpickle import unpickle

    try:
        return unpickle(body)
    except ValueError as error:
        raise FrameError("pickle", f"refused in a pickle: {error}") from None


def _encode_extra(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        return str(value)
    if value.dtype.kind not in _NUMERIC:
        return value.tolist()
    packed = [value.dtype.str, value.shape, value.tobytes()]
    return msgspec.msgpack.Ext(ARRAY_EXTENSION, msgspec.msgpack.encode(packed))


def _decode_extra(code: int, data: memoryview) -> Any:
    if code != ARRAY_EXTENSION:
        raise ValueError(f"unknown extension type {code}")
    dtype, shape, raw = msgspec.msgpack.decode(data, type=tuple[str, list[int], bytes])
    return _array(dtype, shape, raw)


def _array(dtype: Any, shape: Any, raw: Any) -> np.ndarray:
    """Return a read-only array whose size is bounded by the bytes that came."""
    kind = _numeric(dtype)
    longest = len(raw) or _MOST_EMPTY  # of no elements there may be any number of rows
    if (
        math.prod(shape) * kind.itemsize != len(raw)
        or min(shape, default=0) < 0
        or max(shape, default=0) > longest
    ):
        raise ValueError(f"{len(raw)} bytes are no array {dtype} {shape}"[:200])
    return np.frombuffer(raw, kind).reshape(shape)


def _numeric(dtype: Any) -> np.dtype:
    # numpy would read more into a text than a type: it parses expressions.
    if not (isinstance(dtype, str) and _DTYPE.fullmatch(dtype)):
        raise TypeError(f"arrays of {str(dtype)[:40]!r} are not accepted, only numbers")
    return np.dtype(dtype)


def _restore(value: Any) -> Any:
    """Return plain data with msgpack_numpy's arrays and scalars restored."""
    if isinstance(value, list):
        return [_restore(item) for item in value]
    if not isinstance(value, dict):
        return value
    if b"nd" not in value:
        return {key: _restore(item) for key, item in value.items()}
    dtype, raw = value.get(b"type"), value.get(b"data")
    if isinstance(dtype, bytes):
        dtype = dtype.decode("ascii")
    if not isinstance(raw, bytes):
        raise ValueError("an array without data")
    if value[b"nd"]:
        return _array(dtype, value.get(b"shape"), raw)
    return _array(dtype, [1], raw)[0].item()


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return list(cast(Collection[Any], value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"a document cannot hold a {type(value).__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_extra)
_DECODER = msgspec.msgpack.Decoder(ext_hook=_decode_extra)
