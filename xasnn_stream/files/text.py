"""Columns of numbers in text, however they are separated, named and commented."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from xasnn_stream.errors import FileError
from xasnn_stream.files.column_names import Names, names_above
from xasnn_stream.files.header import facts_of_lines
from xasnn_stream.files.table import Table

COMMENTS = ("#", "%", ";", "!", '"#')
_MAX_BYTES = 64_000_000
"""Of text; numbers as text take some twenty times their size while they are read."""
_SAMPLE = 60
_FEW_ROWS = 3
_MAX_SHARE_LEFT_OUT = 0.1
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[-+\d])")
_MISSING = ("", "-", "--")
_BLANK = " " * 100
_LONG_BLANK = re.compile(r"\s{101,}")
"""Shortened to `_BLANK` in a header: patterns take time as the square of a blank."""
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1a")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a row is cut: the separator (None: blanks) and the decimal sign."""

    separator: str | None
    decimal: str

    def numbers(self, line: str) -> list[float] | None:
        """Return a row's numbers, None if it holds anything else."""
        cells = [cell.strip() for cell in line.split(self.separator)]
        if cells and not cells[-1]:
            cells.pop()  # a separator at the end of the row
        if self.decimal == ",":
            if any("." in cell for cell in cells):
                return None
            cells = [cell.replace(",", ".") for cell in cells]
        return _floats(cells)


_DIALECTS = (
    Dialect(None, "."),
    Dialect(",", "."),
    Dialect(";", "."),
    Dialect(";", ","),
    Dialect("\t", "."),
    Dialect("\t", ","),
    Dialect(None, ","),
)
"""In the order they are tried; the first that reads the most rows wins."""


def decode(content: bytes, where: str) -> str:
    """Return a file's text: UTF-8, UTF-16 with a mark, or else Latin-1.

    Raises
    ------
    FileError
        If the content is binary, or more than is read here.
    """
    utf16 = _utf16(content)
    head = content[:65536] if utf16 is None else b""
    odd = sum(byte in _CONTROL for byte in head)
    if odd > 0.01 * len(head) or b"\0" in head:
        raise FileError(
            f"{where} is binary and none of the formats read here: column text, XDI, "
            "CSV, SPEC, Athena .prj, HDF5/NeXus, numpy"
        )
    if len(content) > _MAX_BYTES:
        raise FileError(
            f"{where} is text of {len(content) // 10**6} MB; at most "
            f"{_MAX_BYTES // 10**6} MB are read: cut it into files of some scans"
        )
    if utf16 is not None:
        return utf16
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _utf16(content: bytes) -> str | None:
    """Return the text of UTF-16 with a mark, else None."""
    if not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError:
        return None


def lines_of(text: str) -> list[str]:
    """Return lines, whichever way they end."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_text(text: str, where: str) -> list[Table]:
    """Read the one table of a text.

    Raises
    ------
    FileError
        If there are no rows of numbers, many rows are broken, or the header names
        another number of columns.
    """
    return [read_table(lines_of(text), where)]


def read_table(
    lines: Sequence[str],
    where: str,
    name: str = "",
    names: Callable[[Sequence[str], int, str | None], Names] = names_above,
) -> Table:
    """Read the table among lines: the rows of the commonest width, names above them."""
    dialect = _dialect(lines)
    rows: list[tuple[int, list[float]]] = []
    broken: list[int] = []
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith(COMMENTS):
            continue
        numbers = dialect.numbers(line)
        if numbers is None:
            broken.append(number)
        else:
            rows.append((number, numbers))
    width = _width(rows)
    table = [row for row in rows if len(row[1]) == width]
    if width < 2 or len(table) < 2:
        raise FileError(
            f"{where} holds no table of numbers; at least two columns, energy and "
            "absorption, are needed"
        )
    table = _behind_header(table, broken)
    first = table[0][0]
    broken += [number for number, row in rows if len(row) != width]
    left_out = sum(number > first for number in broken)
    if left_out > _MAX_SHARE_LEFT_OUT * len(table):
        raise FileError(
            f"{where}: {left_out} of {left_out + len(table)} rows are not {width} "
            f"numbers, for example {_shown(lines, broken, first)}"
        )
    head = [_LONG_BLANK.sub(_BLANK, line) for line in lines[:first] if line.strip()]
    try:
        found, units = names(head, width, dialect.separator)
    except ValueError as error:
        raise FileError(f"{where}: {error}") from error
    values = np.array([row for _, row in table], np.float64).T
    columns = dict(zip(found or map(str, range(1, width + 1)), values, strict=True))
    read = Table(name, columns, facts_of_lines(head), units, bool(found), left_out)
    if left_out:
        text = f"{left_out} row{'s' * (left_out > 1)} without {width} numbers left out"
        read = replace(read, notes=(text,))
    return read


def _behind_header(
    table: list[tuple[int, list[float]]], broken: Sequence[int]
) -> list[tuple[int, list[float]]]:
    """Leave out rows that stand within the header, as gains and offsets do.

    Two lines of words after at most a few rows are header still.
    """
    few = table[min(_FEW_ROWS, len(table) - 1)][0]
    words = [
        second
        for first, second in pairwise(broken)
        if second == first + 1 and second < few
    ]
    start = max(words, default=-1)
    return [row for row in table if row[0] > start]


def _shown(lines: Sequence[str], broken: Sequence[int], first: int) -> str:
    number = min(number for number in broken if number > first)
    return f"line {number + 1}: {lines[number].strip()[:40]!r}"


def _dialect(lines: Sequence[str]) -> Dialect:
    """Return the dialect that reads most of some lines from the file's middle and end."""
    body = [
        line
        for line in lines
        if line.strip() and not line.lstrip().startswith(COMMENTS)
    ]
    middle = len(body) // 2
    sample = body[middle : middle + _SAMPLE] + body[-_SAMPLE:]
    return max(_DIALECTS, key=lambda dialect: _readable(dialect, sample))


def _readable(dialect: Dialect, sample: Sequence[str]) -> int:
    rows = (dialect.numbers(line) for line in sample)
    return sum(row is not None and len(row) > 1 for row in rows)


def _width(rows: Sequence[tuple[int, list[float]]]) -> int:
    counts = Counter(len(row) for _, row in rows)
    return counts.most_common(1)[0][0] if counts else 0


def _floats(cells: Sequence[str]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        pass
    try:
        return [
            float("nan") if cell in _MISSING else float(_FORTRAN.sub("e", cell))
            for cell in cells
        ]
    except ValueError:
        return None
