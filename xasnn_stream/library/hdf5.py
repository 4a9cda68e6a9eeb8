"""A library as one HDF5 file: the arrays of the npz form and the index of particles.

Arrays are datasets of the same names; the dataset `particles.json` is that file's text.
h5py is imported here alone, and only when it is needed.
"""

import importlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import LibraryError

SCHEMA = "xasnn.library/1"
HDF5_ENDINGS = (".h5", ".hdf5")

PARTICLES_FILE = "particles.json"


def write_library(
    path: str | Path, arrays: Mapping[str, NDArray[Any]], index: Mapping[str, Any]
) -> None:
    """Write a library as HDF5; the file appears whole or not at all.

    Parameters
    ----------
    path
        `<Element>_<edge>.h5`: the name tells the element and the edge.
    arrays, index
        The fields of the npz form and of `particles.json`; see `Contents`.

    Raises
    ------
    LibraryError
        If the name does not end as HDF5 files do.
    """
    h5py: Any = importlib.import_module("h5py")

    path = Path(path)
    if path.suffix not in HDF5_ENDINGS:
        raise LibraryError(
            f"{path}: a library is written as {' or '.join(HDF5_ENDINGS)}"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with h5py.File(unfinished, "w") as file:
            file.attrs["schema"] = SCHEMA
            for name, array in arrays.items():
                _write(file, name, np.asarray(array))
            file.create_dataset(
                PARTICLES_FILE, data=json.dumps(index, ensure_ascii=False)
            )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(file: Any, name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind == "U":
        array = np.strings.encode(cast("NDArray[np.str_]", array), "utf-8")
    packed = {"compression": "gzip", "shuffle": True} if array.ndim > 1 else {}
    file.create_dataset(name, data=array, **packed)


def read_hdf5(
    content: bytes,
) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """Return the arrays and the index of a file; None where the index lies beside it.

    Raises
    ------
    OSError, KeyError, ValueError, TypeError
        If the content is no such file.
    """
    h5py: Any = importlib.import_module("h5py")

    arrays: dict[str, NDArray[Any]] = {}
    index: dict[str, Any] | None = None
    with h5py.File(io.BytesIO(content), "r") as file:
        for name, dataset in file.items():
            if not isinstance(dataset, h5py.Dataset):
                continue
            if name == PARTICLES_FILE:
                index = json.loads(cast("bytes", dataset[()]))
            elif h5py.check_string_dtype(dataset.dtype) is not None:
                arrays[name] = np.asarray(dataset.asstr()[()], np.str_)
            else:
                arrays[name] = np.asarray(dataset[()])
    return arrays, index
