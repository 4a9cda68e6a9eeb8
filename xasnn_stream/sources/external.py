"""Arrays that a stored run keeps outside its events, read through the server.

The files behind them are where they were written; the server can read them, and this
machine need not. They come as data of events, as if they had never been in files.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

MAX_VALUES = 2**25
"""Numbers of one array; larger ones, and frames, stay where they are."""

_ROWS_PER_PAGE = 10_000
_TIMEOUT_S = 60.0

Documents = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An array of `rows` events: its columns by name, each with a value per event."""

    key: str
    columns: Mapping[str, Any]
    rows: int


def fetch_arrays(run: Any, documents: Documents) -> Documents:
    """Return a run's documents with its external arrays as data of events.

    `run` is the client of the stored run. An array the server cannot give stays
    external, with the documents that refer to its file.
    """
    resources = {
        doc.get("uid"): doc for name, doc in documents if name == "stream_resource"
    }
    if not resources:
        return documents
    streams = {
        doc.get("uid"): doc.get("name")
        for name, doc in documents
        if name == "descriptor"
    }
    fetched: dict[Any, list[_Fetched]] = {}
    done = set[Any]()
    for name, doc in documents:
        resource = resources.get(doc.get("stream_resource"))
        if name != "stream_datum" or resource is None:
            continue
        stream = streams.get(doc.get("descriptor"))
        array = _fetch(run, stream, resource.get("data_key"), _rows(doc))
        if array is not None:
            fetched.setdefault(doc.get("descriptor"), []).append(array)
            done |= {resource.get("uid"), doc.get("uid")}
    kept = [
        (name, doc)
        for name, doc in documents
        if not (name in ("stream_resource", "stream_datum") and doc.get("uid") in done)
    ]
    return list(_with_arrays(kept, fetched))


def _fetch(run: Any, stream: Any, key: Any, rows: int) -> _Fetched | None:
    """Return an array of a stream, None if the server has none that can be used."""
    import httpx

    try:
        node = run[stream][key]
        frames = sum(n != 1 for n in node.shape[1:]) > 1
        if frames or np.prod(node.shape, dtype=object) > MAX_VALUES:
            return None
        columns = _columns(key, _read(node), rows)
    # What a server answers for a file it cannot read, or a node that is no array.
    except (httpx.HTTPError, AttributeError, KeyError, TypeError, ValueError) as error:
        text = "%s/%s cannot be read through the server (%s); its file is tried here"
        log.warning(text, stream, key, str(error)[:200])
        return None
    return None if columns is None else _Fetched(key, columns, rows)


def _read(node: Any) -> np.ndarray:
    """Return the array of a node, asked for once.

    The client itself would ask for the best part of a minute, as of a server in trouble,
    though what is missing is a file.
    """
    answer = node.context.http_client.get(
        node.item["links"]["full"],
        headers={"Accept": "application/octet-stream"},
        timeout=_TIMEOUT_S,
    )
    answer.raise_for_status()
    return np.frombuffer(answer.content, node.dtype).reshape(node.shape)


def _columns(key: str, array: np.ndarray, rows: int) -> dict[str, Any] | None:
    """Return lists of `rows` values, None for frames and for what holds no numbers.

    A run with one row for an array has the whole of it in that row.
    """
    if rows == 1 and array.shape != (1,):
        array = array.reshape([n for n in array.shape if n != 1] or [1])[np.newaxis]
    elif array.ndim > 1:
        array = array.reshape(array.shape[0], *[n for n in array.shape[1:] if n != 1])
    names = array.dtype.names
    fields = {name: array[name] for name in names} if names else {key: array}
    if array.ndim > 2 or len(array) != rows:
        return None
    if any(field.dtype.kind not in "iuf" for field in fields.values()):
        return None
    # Single numbers as such; arrays stay arrays.
    return {n: f.tolist() if f.ndim == 1 else list(f) for n, f in fields.items()}


def _with_arrays(
    documents: Documents, fetched: Mapping[Any, Sequence[_Fetched]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield documents with arrays in the events they belong to, or in pages of events."""
    with_events = {doc.get("descriptor") for name, doc in documents if name == "event"}
    for name, doc in documents:
        if name == "descriptor":
            yield name, _described(doc, fetched.get(doc.get("uid"), ()))
        elif name == "event":
            yield name, _filled(doc, fetched.get(doc.get("descriptor"), ()))
        else:
            if name == "stop":
                for uid, arrays in fetched.items():
                    if uid not in with_events:
                        yield from _pages(uid, arrays)
            yield name, doc


def _described(doc: dict[str, Any], arrays: Sequence[_Fetched]) -> dict[str, Any]:
    """Return a descriptor whose fetched keys are no longer external."""
    keys = dict(doc.get("data_keys") or {})
    for array in arrays:
        said = {k: v for k, v in keys.pop(array.key, {}).items() if k != "external"}
        keys.update(dict.fromkeys(array.columns, said))
    return doc | {"data_keys": keys}


def _filled(event: dict[str, Any], arrays: Sequence[_Fetched]) -> dict[str, Any]:
    """Return an event with its values of the arrays, which count events from 1."""
    row = event.get("seq_num", 0) - 1
    values = {
        name: column[row]
        for array in arrays
        if 0 <= row < array.rows
        for name, column in array.columns.items()
    }
    return event | {"data": {**(event.get("data") or {}), **values}}


def _pages(
    descriptor: str, arrays: Sequence[_Fetched]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield pages of events of a stream that has none; nobody knows their times."""
    rows = min(array.rows for array in arrays)
    for first in range(0, rows, _ROWS_PER_PAGE):
        part = slice(first, min(first + _ROWS_PER_PAGE, rows))
        numbers = list(range(part.start + 1, part.stop + 1))
        yield (
            "event_page",
            {
                "uid": [f"event-{descriptor}-{number}" for number in numbers],
                "descriptor": descriptor,
                "seq_num": numbers,
                "time": [float("nan")] * len(numbers),
                "data": {
                    name: column[part]
                    for array in arrays
                    for name, column in array.columns.items()
                },
                "timestamps": {},
            },
        )


def _rows(datum: Mapping[str, Any]) -> int:
    indices = datum.get("indices") or {}
    return indices.get("stop", 0) - indices.get("start", 0)
