"""What a decoder is, how it fails, and how it opens a file that a document named."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import XasnnError

MAX_BYTES = 2**28
"""Of a file that is read whole: an hour of an electrometer at 1 kHz has 144 MB."""

Columns = Mapping[str, NDArray[np.generic]]

Decoder = Callable[[Path, Mapping[str, Any], Mapping[str, Any]], Columns]
"""Reads a file: its path, what resource and datum say, what the descriptor says.

Returns columns `(rows,)` or `(rows, …)` of as many rows, `{"": array}` for one without
a name. Raises NotReady or Undecodable, and nothing else, whatever the file holds.
"""


class NotReady(Exception):  # noqa: N818 - nothing is wrong: ask again
    """A file is not there yet, shorter than promised, or still being written."""


class Undecodable(XasnnError, ValueError):  # noqa: N818 - says it as plainly
    """A file is not what its documents say, or may not be read; asking again is no use."""


def content(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file of at most `max_bytes`.

    Raises
    ------
    NotReady
        If it is not there, is empty, or cannot be read at the moment.
    Undecodable
        If it is no regular file or too large.
    """
    try:
        regular_size(path, path.stat())
        with open(path, "rb", opener=_without_waiting) as file:
            size = regular_size(path, os.fstat(file.fileno()))
            if size > max_bytes:
                raise Undecodable(f"{path} has {size} bytes; {max_bytes} may be read")
            # A file that grows meanwhile is read up to where it ended.
            data = file.read(size)
    except OSError as error:
        raise NotReady(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, Undecodable):
            raise
        raise Undecodable(f"{str(path)!r} cannot be the name of a file") from error
    if not data:
        raise NotReady(f"{path} is empty")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; of a FIFO that came in its place, do not wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def regular_size(path: Path, found: os.stat_result) -> int:
    """Return the size of a regular file; Undecodable for a device, FIFO or folder."""
    if not stat.S_ISREG(found.st_mode):
        raise Undecodable(f"{path} is no regular file")
    return found.st_size


def whole_number(value: Any, low: int, high: int, what: str) -> int:
    """Return a whole number a document gives; Undecodable unless low <= it <= high."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not low <= value <= high
    ):
        shown = repr(value)[:40]
        raise Undecodable(f"{what} is {shown}, no whole number from {low} to {high}")
    return value
