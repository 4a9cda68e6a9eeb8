"""HDF5: NeXus, and any group that holds an energy with absorption or counts beside it."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xasnn_stream.errors import FileError
from xasnn_stream.files.header import facts_of
from xasnn_stream.files.roles import has_absorption, role_of
from xasnn_stream.files.table import Facts, Table
from xasnn_stream.spectrum import FloatArray

MAGIC = b"\x89HDF\r\n\x1a\n"

_MAX_VALUES = 100_000_000
_MAX_TABLES = 10_000
_NAMELESS = ("data", "value", "values", "array", "raw")
"""Datasets called so are named after their group, as in NeXus."""

_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError)
"""What h5py raises on a damaged file."""

Columns = dict[str, FloatArray]


def read_hdf5(content: bytes, where: str) -> list[Table]:
    """Read every table of a file; frames (`frames x energy`) become one table each.

    Raises
    ------
    FileError
        If the file is damaged or holds no energy with something beside it.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            groups = list(_groups(file, h5py))
            near = _read(groups, _own, h5py)
            tables = [table for table in near if has_absorption(list(table.columns))]
            if not tables:
                tables = _read(_entries(file, groups), _all_below, h5py) or near
            found = [path for path, _ in _datasets(file, h5py)]
    except FileError as error:
        raise FileError(f"{where} {error}") from error
    except _DAMAGE as error:
        raise FileError(f"{where} is truncated or damaged HDF5: {error}") from error
    if not tables:
        shown = ", ".join(found[:12]) + (", …" if len(found) > 12 else "")
        raise FileError(
            f"{where} holds no energy with absorption or counts of the same length "
            f"beside it; its datasets are {shown or 'none'}"
        )
    return tables


def _members(group: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Return groups and datasets of a group, but no links to other files."""
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            continue
        member = group.get(name)
        if isinstance(member, h5py.Group | h5py.Dataset):
            yield name, member


def _read(
    groups: Sequence[tuple[str, Any]],
    datasets_of: Callable[[Any, Any], Mapping[str, Any]],
    h5py: Any,
) -> list[Table]:
    """Return the tables among the datasets of groups, `datasets_of` a group.

    FileError, without the file's name, as soon as they are too many or too large.
    """
    tables: list[Table] = []
    values = 0
    for path, group in groups:
        for table in _tables(path, datasets_of(group, h5py), _facts(group, h5py)):
            tables.append(table)
            values += sum(map(len, table.columns.values()))
            if len(tables) > _MAX_TABLES or values > _MAX_VALUES:
                raise FileError(
                    f"holds more than {_MAX_TABLES} spectra or {_MAX_VALUES} numbers"
                )
    return tables


def _groups(file: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Return every group once, however many links lead to it."""
    seen = set[int]()
    waiting = [("", file)]
    while waiting:
        path, group = waiting.pop(0)
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield path, group
        waiting += [
            (f"{path}/{name}".lstrip("/"), member)
            for name, member in _members(group, h5py)
            if isinstance(member, h5py.Group)
        ]


def _datasets(group: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    for path, each in _groups(group, h5py):
        for name, member in _members(each, h5py):
            if isinstance(member, h5py.Dataset):
                yield f"{path}/{name}".lstrip("/"), member


def _entries(file: Any, groups: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the groups of the first level, or the file where it has none."""
    first = [(path, group) for path, group in groups if path and "/" not in path]
    return first or [("", file)]


def _own(group: Any, h5py: Any) -> dict[str, Any]:
    return {
        name: member
        for name, member in _members(group, h5py)
        if isinstance(member, h5py.Dataset)
    }


def _all_below(group: Any, h5py: Any) -> dict[str, Any]:
    """Return all datasets of an entry by their own name, or their group's."""
    found: dict[str, Any] = {}
    for path, dataset in _datasets(group, h5py):
        *parents, name = path.split("/")
        if name in _NAMELESS and parents:
            name = parents[-1]
        found.setdefault(name, dataset)
    return found


def _tables(path: str, datasets: Mapping[str, Any], facts: Facts) -> Iterator[Table]:
    for name, dataset in datasets.items():
        if dataset.dtype.names and dataset.ndim == 1 and dataset.size <= _MAX_VALUES:
            yield Table(f"{path}/{name}".lstrip("/"), _fields(dataset), facts)
    numeric = {
        name: dataset
        for name, dataset in datasets.items()
        if dataset.dtype.kind in "fiu" and 0 < (dataset.size or 0) <= _MAX_VALUES
    }
    energy = next(
        (
            name
            for name, dataset in numeric.items()
            if dataset.ndim == 1 and role_of(name) in ("energy", "angle")
        ),
        None,
    )
    if energy is None:
        return
    points = numeric[energy].shape[0]
    units = {energy: _text(numeric[energy].attrs.get("units", ""))}
    flat = {
        name: np.asarray(dataset, np.float64)
        for name, dataset in numeric.items()
        if dataset.shape == (points,)
    }
    frames = {
        name: np.asarray(dataset, np.float64)
        for name, dataset in numeric.items()
        if dataset.ndim == 2 and dataset.shape[1] == points and role_of(name)
    }
    if frames:
        yield from _frames(path, flat, frames, facts, units)
    elif any(role_of(name) not in (None, "energy", "angle") for name in flat):
        yield Table(path, flat, facts, units)


def _frames(
    path: str, flat: Columns, frames: Columns, facts: Facts, units: Mapping[str, str]
) -> Iterator[Table]:
    """Return a table per frame of the datasets `frames x energy`."""
    count = min(len(values) for values in frames.values())
    for number in range(count):
        columns = flat | {name: values[number] for name, values in frames.items()}
        yield Table(f"{path}[{number}]", columns, facts, units)


def _fields(dataset: Any) -> Columns:
    records = dataset[()]
    return {
        name: np.asarray(records[name], np.float64)
        for name in dataset.dtype.names
        if records[name].ndim == 1 and records[name].dtype.kind in "fiu"
    }


def _facts(group: Any, h5py: Any) -> Facts:
    """Return what texts and numbers of a group, its children and attributes say."""
    pairs: dict[str, str] = {}
    for name, member in _members(group, h5py):
        if isinstance(member, h5py.Group):
            for child, dataset in _own(member, h5py).items():
                pairs |= _scalar(f"{name}.{child}", dataset)
            pairs |= {
                f"{name}.{key}": _text(value) for key, value in member.attrs.items()
            }
        else:
            pairs |= _scalar(name, member)
    return facts_of(pairs | {key: _text(value) for key, value in group.attrs.items()})


def _scalar(name: str, dataset: Any) -> dict[str, str]:
    if dataset.size != 1:
        return {}
    return {name: _text(np.asarray(dataset[()]).reshape(-1)[0])}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
