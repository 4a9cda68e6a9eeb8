"""SPEC files: many scans, each with `#S`, its names in `#L`, its date in `#D`."""

import re
from collections.abc import Sequence
from dataclasses import replace

from xasnn_stream.errors import FileError
from xasnn_stream.files.column_names import Names
from xasnn_stream.files.table import Table
from xasnn_stream.files.text import lines_of, read_table

_SCAN = re.compile(r"^#S\s+(\d+)", re.MULTILINE)


def is_spec(text: str) -> bool:
    """Return whether a text holds SPEC scans."""
    return _SCAN.search(text) is not None and "\n#L" in text.replace("\r", "\n")


def read_spec(text: str, where: str) -> list[Table]:
    """Read all scans that hold numbers.

    Raises
    ------
    FileError
        If none does.
    """
    lines = lines_of(text)
    starts = [number for number, line in enumerate(lines) if _SCAN.match(line)]
    head = lines[: starts[0]]
    tables: list[Table] = []
    failed: list[FileError] = []
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        number = lines[start].split()[1]
        try:
            table = read_table(
                [*head, *lines[start:stop]], f"{where}, scan {number}", number, _names
            )
        except FileError as error:
            failed.append(error)
        else:
            tables.append(table if len(starts) > 1 else replace(table, name=""))
    if not tables:
        raise failed[0]
    return tables


def _names(head: Sequence[str], width: int, separator: str | None) -> Names:
    """Return the names of the last `#L`, which two blanks separate."""
    del separator
    label = next((line[2:].strip() for line in reversed(head) if line[:2] == "#L"), "")
    for cut in (re.split(r"\s{2,}|\t", label), label.split()):
        if len(cut) == width:
            return cut, {}
    return [], {}
