"""Pages of events, as columns, back into single events."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast


def unrolled(page: Mapping[str, Any]) -> Iterator[dict[str, Any]] | None:
    """Return the events of an event page, None if its columns do not fit together."""
    seq_nums, times = _column(page.get("seq_num")), _column(page.get("time"))
    data = page.get("data")
    if seq_nums is None or times is None or not isinstance(data, Mapping):
        return None
    columns = {
        key: _column(values) for key, values in cast(Mapping[str, Any], data).items()
    }
    lengths = {-1 if c is None else len(c) for c in (times, *columns.values())}
    if lengths != {len(seq_nums)}:
        return None
    filled = {key: column for key, column in columns.items() if column is not None}
    return (
        {
            "descriptor": page.get("descriptor"),
            "seq_num": seq_num,
            "time": times[row],
            "data": {key: column[row] for key, column in filled.items()},
        }
        for row, seq_num in enumerate(seq_nums)
    )


def unrolled_datums(page: Mapping[str, Any]) -> Iterator[dict[str, Any]] | None:
    """Return the datums of a datum page, None if its columns do not fit together."""
    ids, kwargs = _column(page.get("datum_id")), page.get("datum_kwargs")
    if ids is None or not isinstance(kwargs, Mapping):
        return None
    columns = {k: _column(v) for k, v in cast(Mapping[str, Any], kwargs).items()}
    filled = {k: column for k, column in columns.items() if column is not None}
    if any(len(column) != len(ids) for column in filled.values()):
        return None
    return (
        {
            "datum_id": datum_id,
            "resource": page.get("resource"),
            "datum_kwargs": {key: column[row] for key, column in filled.items()},
        }
        for row, datum_id in enumerate(ids)
    )


def _column(values: Any) -> Sequence[Any] | None:
    if hasattr(values, "tolist"):
        values = values.tolist()
    return cast(Sequence[Any], values) if isinstance(values, list | tuple) else None
