"""Text without a header: rows of numbers between spaces, tabs, commas or semicolons."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from xasnn_stream.assembly.decoders.decoder import (
    Columns,
    NotReady,
    Undecodable,
    content,
)
from xasnn_stream.spectrum import FloatArray

MAX_BYTES = 2**26
"""Of a file of text, which takes many times its size while it is read."""

_SEPARATORS = bytes.maketrans(b",;\t\r", b"    ")
_MAX_LINE = 2**14
_MAX_FIELDS = 1_000


def headerless(
    path: Path, parameters: Mapping[str, Any], data_key: Mapping[str, Any]
) -> Columns:
    """Read a table, with the names that the descriptor's dtype gives its columns.

    Without names it is one array, `rows` or `rows x columns`.
    """
    names = field_names(data_key)
    if names:
        return dict(zip(names, numbers(path, len(names)).T, strict=True))
    table = numbers(path)
    return {"": table[:, 0] if table.shape[1] == 1 else table}


def numbers(
    path: Path,
    *widths: int,
    converters: Mapping[int, Callable[[str], float]] | None = None,
) -> FloatArray:
    """Return a file's numbers, `rows x columns`; lines that begin with # are none.

    All rows have as many numbers as the first, one of `widths` if any are given.
    `converters` read the columns they are given for.

    Raises
    ------
    NotReady
        If the file is not there, has no row, or ends within one.
    Undecodable
        If rows differ, or hold what is no number.
    """
    text = content(path, MAX_BYTES).translate(_SEPARATORS)
    lines = [
        line for line in text.split(b"\n") if line.strip() and line.lstrip()[:1] != b"#"
    ]
    if not lines:
        raise NotReady(f"{path} has no rows yet")
    if max(map(len, lines)) > _MAX_LINE:
        raise Undecodable(f"{path} has lines that are longer than any row of numbers")
    width = len(lines[0].split())
    if len(lines[-1].split()) < (width if len(lines) > 1 else min(widths, default=1)):
        raise NotReady(f"{path} ends within a row")
    if len(lines) == 1 and not widths and not text.endswith(b"\n"):
        raise NotReady(f"{path} may end within its only row")
    if width > _MAX_FIELDS or (widths and width not in widths):
        wanted = " or ".join(map(str, widths)) or f"at most {_MAX_FIELDS}"
        raise Undecodable(f"{path} has {width} numbers in a row instead of {wanted}")
    try:
        return np.loadtxt(
            lines,
            dtype=np.float64,
            ndmin=2,
            encoding="latin-1",
            converters={k: v for k, v in (converters or {}).items() if k < width},
        )
    except (ValueError, OverflowError) as error:
        # What numpy advises behind it is for whoever wrote the call.
        why = str(error).split(";")[0]
        raise Undecodable(f"{path} is no table of numbers: {why}") from error


def field_names(data_key: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the fields of a structured dtype, None if it is none."""
    for key in ("dtype_numpy", "dtype_descr"):
        described = data_key.get(key)
        if not isinstance(described, list | tuple):
            continue
        fields = cast(Sequence[Any], described)
        names = [
            cast(Sequence[Any], field)[0]
            for field in fields
            if isinstance(field, list | tuple) and field
        ]
        if 0 < len(names) == len(fields) <= _MAX_FIELDS and _are_names(names):
            return tuple(names)
    return None


def _are_names(names: Sequence[Any]) -> bool:
    return all(isinstance(n, str) and n for n in names) and len(set(names)) == len(
        names
    )
