"""HDF5: one dataset, all columns of a PandA, the regions of interest of an xspress3."""

import ctypes
import errno
import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.decoders.decoder import (
    Columns,
    NotReady,
    Undecodable,
    regular_size,
    whole_number,
)

MAX_VALUES = 2**25
"""Numbers read at once, 256 MB: what a file holds may be far larger than the file."""

ATTRIBUTES = "entry/instrument/detector/NDAttributes"
AREA_DETECTOR = "entry/data/data"

_MAX_COLUMNS = 1_000
_MAX_STEPS = 100
_MAX_CHUNK_BYTES = 2**26
_MAX_STORED_BYTES = 2**21
"""Of one compressed piece: what it inflates to, 1032 times as much at most, is bounded
by nothing else, whatever the size it says it has.
"""
_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
_FILTERS = frozenset((_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF))

_ROI = re.compile(r"CHAN(\d{1,3})ROI(\d{1,3})")

_MAX_ATTEMPTS = 20
"""To read what a writer may be changing. Each waits twice as long as the one before,
from a nanosecond on: by itself the library would try a hundred times, so for ever."""

Parameters = Mapping[str, Any]


def dataset(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read the dataset that `dataset` (or `path`, `key`) names; one of records by field.

    Where none is named, it is that of an area detector. A datum that has a
    `point_number` is that point's frames, `frame_per_point` of them; else it is all.
    """
    named = next(
        (parameters[k] for k in ("dataset", "path", "key") if k in parameters),
        AREA_DETECTOR,
    )
    with opened(path) as file:
        found = dataset_at(file, named, path)
        first, last = _frames(parameters, rows_in(found), path)
        values = read_rows(found, first, last, path)
    if values.dtype.names is None:
        return {"": values}
    records = cast(Any, values)
    return {name: records[name] for name in values.dtype.names}


def panda(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read all one-dimensional datasets of numbers at the top of a file, by name.

    One that is a few rows ahead of the others is cut to the shortest.
    """
    if "dataset" in parameters:
        return dataset(path, parameters, data_key)
    with opened(path) as file:
        found = {name: node for name, node in _datasets(file, path) if node.ndim == 1}
        rows = min((len(node) for node in found.values()), default=0)
        if not rows:
            raise NotReady(f"{path} has no column with rows yet")
        return {name: read_rows(node, 0, rows, path) for name, node in found.items()}


def xspress3(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read the regions of interest, one number per frame.

    A datum that names `channel` and `roi_num` is one of them, without a name; else all
    come as `xs_ch01_roi01`…. The spectra themselves are not read: no columns.
    """
    kind = parameters.get("data_type")
    if not isinstance(kind, str | None):
        raise Undecodable(f"{path}: data_type of a datum is roi or spectrum")
    if kind == "spectrum":
        return {}
    if kind == "roi" or "roi_num" in parameters:
        channel, roi = (parameters.get(key, 1) for key in ("channel", "roi_num"))
        if not (isinstance(channel, int) and isinstance(roi, int)):
            raise Undecodable(f"{path}: channel and roi_num of a datum are numbers")
        name = f"{ATTRIBUTES}/CHAN{channel}ROI{roi}"
        with opened(path) as file:
            found = dataset_at(file, name, path)
            return {"": _flat(read_rows(found, 0, rows_in(found), path))}
    with opened(path) as file:
        group = _node(file, ATTRIBUTES, path)
        columns = {
            f"xs_ch{int(roi[1]):02d}_roi{int(roi[2]):02d}": _flat(
                read_rows(node, 0, rows_in(node), path)
            )
            for name, node in _datasets(group, path)
            if (roi := _ROI.fullmatch(name))
        }
    if not columns:
        raise NotReady(f"{path} has no regions of interest in {ATTRIBUTES} yet")
    rows = min(map(len, columns.values()))
    return {name: column[:rows] for name, column in columns.items()}


def _frames(parameters: Parameters, rows: int, path: Path) -> tuple[int, int]:
    """Return the first row of a datum, and the one behind its last."""
    if "point_number" not in parameters:
        return 0, rows
    each = whole_number(
        parameters.get("frame_per_point") or 1, 1, MAX_VALUES, "frame_per_point"
    )
    point = whole_number(parameters["point_number"], 0, MAX_VALUES, "point_number")
    if (point + 1) * each > rows:
        raise NotReady(f"{path} has {rows} of {(point + 1) * each} rows")
    return point * each, (point + 1) * each


def library() -> Any:
    """Return h5py, which has no types and which only runs with such files need."""
    return import_module("h5py")


@contextmanager
def opened(path: Path) -> Generator[Any]:
    """Open a file that somebody may still be writing, for reading only.

    What the library says of a file that is locked, short or torn is NotReady; what it
    does not recognise at all is Undecodable.
    """
    h5py = library()
    try:
        if not regular_size(path, path.stat()):
            raise NotReady(f"{path} is empty")
        with h5py.File(_open(path)) as f:
            # Behind the end of a file that is still being copied, or was cut short, the
            # library reads zeros.
            if (whole := f.id.get_filesize()) > (size := path.stat().st_size):
                raise NotReady(
                    f"{path} is cut short: {size} of {whole} bytes are there"
                )
            yield f
    except (NotReady, Undecodable):
        raise
    except OSError as error:
        if "signature not found" in str(error) and error.errno is None:
            raise Undecodable(f"{path} is no HDF5 file") from error
        waits = "locked by its writer" if error.errno == errno.EAGAIN else str(error)
        raise NotReady(f"{path} cannot be read: {waits}") from error
    except (KeyError, RuntimeError) as error:
        raise NotReady(f"{path} cannot be read: {error}") from error
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise Undecodable(f"{path} is damaged: {error}") from error


def _open(path: Path) -> Any:
    """Open a file without holding up its writer, nor being held up by what it wrote."""
    h5py = library()
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    access.set_file_locking(True, True)
    _attempts()(access.id, _MAX_ATTEMPTS)
    # SWMR lets a writer go on; of a file that no writer announced as such it is the
    # ordinary way to read.
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.h5f.open(os.fsencode(path), flags, fapl=access)


@cache
def _attempts() -> Any:
    """Return the library's function for a bound that h5py has no name for."""
    function = ctypes.CDLL(library().h5p.__file__).H5Pset_metadata_read_attempts
    function.argtypes = [ctypes.c_int64, ctypes.c_uint]
    return function


def dataset_at(file: Any, name: Any, path: Path) -> Any:
    """Return the dataset of numbers at a path within a file.

    NotReady if there is nothing of that name, Undecodable if it is none of numbers, or
    its numbers are in other files.
    """
    h5py = library()
    node = _node(file, name, path)
    if not isinstance(node, h5py.Dataset):
        raise Undecodable(f"{path}: {str(name)[:100]!r} is no dataset")
    _check(node, path)
    return node


def rows_in(node: Any) -> int:
    """Return how many rows a dataset has; one without dimensions has one."""
    return int(node.shape[0]) if node.shape else 1


def read_rows(node: Any, first: int, last: int, path: Path) -> NDArray[np.generic]:
    """Return rows of a dataset, the last excluded; Undecodable if they are too many."""
    per_row = int(np.prod(node.shape[1:], dtype=object)) if node.shape else 1
    if (last - first) * per_row * max(1, node.dtype.itemsize // 8) > MAX_VALUES:
        raise Undecodable(f"{path}: {node.name} holds more than {MAX_VALUES} numbers")
    if not node.shape:
        return np.asarray(node[()]).reshape(1)
    return cast(NDArray[np.generic], node[first:last])


def _flat(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _datasets(group: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the datasets of numbers that are in a group itself, by name."""
    h5py = library()
    if not isinstance(group, h5py.Group):
        raise Undecodable(f"{path}: {ATTRIBUTES} is no group")
    if len(group) > _MAX_COLUMNS:
        raise Undecodable(f"{path} has more than {_MAX_COLUMNS} datasets")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        node = group[name]
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "iuf":
            _check(node, path)
            yield name, node


def _node(file: Any, name: Any, path: Path) -> Any:
    """Return what is at a path within a file, never following it into another."""
    h5py = library()
    if not isinstance(name, str) or not name.strip("/") or "\0" in name:
        raise Undecodable(f"{path}: {str(name)[:100]!r} is no path within a file")
    node, steps = file, _steps(name)
    for _ in range(_MAX_STEPS):
        if not steps:
            return node
        if not isinstance(node, h5py.Group):
            raise Undecodable(f"{path}: {name[:100]!r} leads through a dataset")
        # The library would follow any link, wherever it leads.
        link = node.get(step := steps.pop(0), getlink=True)
        if link is None:
            raise NotReady(f"{path} has no {name[:100]!r} yet")
        if isinstance(link, h5py.ExternalLink):
            raise Undecodable(f"{path}: {name[:100]!r} leads into another file")
        if isinstance(link, h5py.SoftLink):
            steps = _steps(link.path) + steps
            node = file if link.path.startswith("/") else node
        else:
            node = node[step]
    raise Undecodable(f"{path}: {name[:100]!r} leads through too many links")


def _steps(name: str) -> list[str]:
    return [step for step in name.split("/") if step not in ("", ".")]


def _check(node: Any, path: Path) -> None:
    """Raise Undecodable for what cannot be read within bounds, or from this file."""
    where = f"{path}: {node.name}"
    kinds = [node.dtype[i].kind for i in range(len(node.dtype.names or ()))]
    if node.shape is None or any(k not in "iuf" for k in kinds or node.dtype.kind):
        raise Undecodable(f"{where} holds {node.dtype}, no numbers")
    if _overlap(node.dtype):
        raise Undecodable(f"{where} has records whose fields lie over each other")
    if node.external or _is_elsewhere(node, path):
        raise Undecodable(f"{where} has its numbers in other files")
    if node.chunks:
        _check_pieces(node, where)


def _overlap(dtype: np.dtype[Any]) -> bool:
    """Whether fields of a record reach into the next one, or beyond the record.

    So they do in a damaged file, where a number takes more room in memory than in the
    file; the library would write over what is behind.
    """
    fields = (dtype.fields or {}).values()
    places = [(int(offset), int(field.itemsize)) for field, offset, *_ in fields]
    end = 0
    for offset, size in sorted(places):
        if offset < end:
            return True
        end = offset + size
    return end > dtype.itemsize


def _check_pieces(node: Any, where: str) -> None:
    """Raise Undecodable if reading a piece of a dataset could take far more memory."""
    properties = node.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if not _FILTERS.issuperset(filters) or len(set(filters)) < len(filters):
        raise Undecodable(f"{where} is stored through filters {filters}; gzip is read")
    piece = int(np.prod(node.chunks, dtype=object)) * node.dtype.itemsize
    if piece > _MAX_CHUNK_BYTES:
        raise Undecodable(f"{where} is stored in pieces of {piece} bytes")
    if _DEFLATE not in filters and _LZF not in filters:
        return
    # What does not compress grows by less than this.
    longest = min(piece + piece // 100 + 1024, _MAX_STORED_BYTES)
    if node.id.get_storage_size() <= longest:
        return
    stored: list[Any] = []
    node.id.chunk_iter(stored.append)
    if max((each.size for each in stored), default=0) > longest:
        raise Undecodable(f"{where} has a compressed piece that is too long for it")


def _is_elsewhere(node: Any, path: Path) -> bool:
    """Whether a virtual dataset has parts that are not in files beside this one."""
    if not node.is_virtual:
        return False
    names = {source.file_name for source in node.virtual_sources()}
    return any(
        name != "." and (path.parent / name).resolve().parent != path.parent
        for name in names
    )
