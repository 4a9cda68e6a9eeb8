"""numpy's files: arrays with named fields, named arrays of an archive, or plain columns."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from xasnn_stream.errors import FileError
from xasnn_stream.files.roles import role_of
from xasnn_stream.files.table import Table

NPY = b"\x93NUMPY"
ZIP = b"PK\x03\x04"

_MAX_BYTES = 500_000_000
"""Of all arrays of an archive, unpacked."""


def read_numpy(content: bytes, where: str) -> list[Table]:
    """Read `.npy` or `.npz`; nothing is ever unpickled.

    Raises
    ------
    FileError
        If the file is damaged, holds Python objects, or no columns.
    """
    try:
        _check_claims(content)
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        is_array = isinstance(loaded, np.ndarray)
        arrays = {"": loaded} if is_array else {n: loaded[n] for n in loaded.files}
    except Exception as error:
        # numpy says nowhere what a damaged header raises: tokenizer's errors, too.
        raise FileError(f"{where} is no numpy file of numbers: {error}") from error
    return [_of_array(loaded, where)] if is_array else _of_archive(arrays, where)


def _check_claims(content: bytes) -> None:
    """Raise ValueError where a small archive unpacks to much memory."""
    if content.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MAX_BYTES:
            raise ValueError(f"it unpacks to {size // 10**6} MB")


def _of_array(values: Any, where: str) -> Table:
    if values.dtype.names:
        return Table(
            "",
            {
                name: np.asarray(values[name], np.float64).reshape(-1)
                for name in values.dtype.names
                if values[name].dtype.kind in "fiu"
            },
        )
    if values.dtype.kind not in "fiu" or values.ndim != 2 or min(values.shape) < 2:
        raise FileError(
            f"{where} holds an array {values.shape} of {values.dtype}; expected two "
            "columns, energy and mu, or named fields"
        )
    if values.shape[0] < values.shape[1]:
        values = values.T
    columns = np.asarray(values, np.float64).T
    names = map(str, range(1, len(columns) + 1))
    return Table("", dict(zip(names, columns, strict=True)), named=False)


def _of_archive(arrays: Mapping[str, Any], where: str) -> list[Table]:
    numeric = {
        name: np.asarray(values, np.float64)
        for name, values in arrays.items()
        if values.dtype.kind in "fiu"
    }
    energy = next(
        (
            name
            for name, v in numeric.items()
            if v.ndim == 1 and role_of(name) == "energy"
        ),
        None,
    )
    if energy is None:
        shown = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise FileError(f"{where} holds no energy among its arrays: {shown or 'none'}")
    points = len(numeric[energy])
    flat = {
        name: values for name, values in numeric.items() if values.shape == (points,)
    }
    frames = {
        name: values
        for name, values in numeric.items()
        if values.ndim == 2 and values.shape[1] == points and role_of(name)
    }
    if not frames:
        return [Table("", flat)]
    count = min(len(values) for values in frames.values())
    return [
        Table(f"[{k}]", flat | {name: values[k] for name, values in frames.items()})
        for k in range(count)
    ]
