"""Normalized scans as files: columns of text for people, JSON for programs."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xasnn_stream.errors import UsageError
from xasnn_stream.reduction.normalized_scan import TABLES, NormalizedScan

_UNSAFE = re.compile(r"[^\w.+-]+")
_LONGEST_NAME = 100


class Writer:
    """Writes normalized scans into a folder; names are those of their files and scans."""

    def __init__(self, folder: Path) -> None:
        """Make the folder; UsageError if that cannot be."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--output {folder} cannot be made: {error.strerror}"
            ) from error
        self._folder = folder
        self._taken = set[str]()

    def write(self, scan: NormalizedScan) -> Path:
        """Write a usable scan; return the path without its endings.

        `.norm.dat`, `.chi.dat` and `.chir.dat` hold columns below a header with all
        parameters, `.json` all of it. Files of an earlier call are replaced.

        Raises
        ------
        UsageError
            If the folder cannot be written into.
        """
        stem = self._folder / self._name(scan)
        document = scan.document(with_arrays=False)
        written = {
            f"{stem}.{kind}.dat": _table(scan, columns, document)
            for kind, columns in TABLES.items()
            if len(scan.arrays.get(columns[0], ()))
        }
        written[f"{stem}.json"] = json.dumps(scan.document(with_arrays=True)) + "\n"
        try:
            for path, text in written.items():
                Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"--output {self._folder} cannot be written: {error.strerror}"
            ) from error
        return stem

    def _name(self, scan: NormalizedScan) -> str:
        """Return a name no other scan of this writer has."""
        base = "-".join(part for part in (scan.file.stem, scan.scan) if part)
        base = _UNSAFE.sub("_", base)[:_LONGEST_NAME]
        name, number = base, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name.lower())
        return name


def _table(
    scan: NormalizedScan, columns: tuple[str, ...], document: Mapping[str, Any]
) -> str:
    lines = [f"# {line}" for line in _header(document)]
    there = [name for name in columns if name in scan.arrays]
    lines.append("# " + " ".join(there))
    rows = np.stack([scan.arrays[name] for name in there], axis=1)
    lines += [" ".join(f"{value:.9g}" for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def _header(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader of the columns must know, `key: value` as in XDI."""
    yield "xasnn-stream normalize"
    element, _, edge = (document["edge"] or "").partition(" ")
    if element:
        yield f"Element.symbol: {element}"
        yield f"Element.edge: {edge}"
    yield f"Source.file: {document['file']}"
    if document["scan"]:
        yield f"Source.scan: {document['scan']}"
    for part in ("parameters", "quality", "done"):
        for name, value in document[part].items():
            if name != "reasons":
                yield f"{part.capitalize()}.{name}: {json.dumps(value)}"
    for reason in document["quality"]["reasons"]:
        yield f"Note.{reason['code']}: {reason['text']}"
