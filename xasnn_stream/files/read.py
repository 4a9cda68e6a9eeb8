"""A file of any known format as its scans: what it is, is told by its content."""

import gzip
import stat
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from xasnn_stream.errors import FileError
from xasnn_stream.files.assign import NAME_THEM, ColumnsError, scans_of
from xasnn_stream.files.athena import is_athena, read_athena
from xasnn_stream.files.hdf5 import MAGIC, read_hdf5
from xasnn_stream.files.numpy_file import NPY, ZIP, read_numpy
from xasnn_stream.files.scan import Scan
from xasnn_stream.files.spec import is_spec, read_spec
from xasnn_stream.files.table import Table
from xasnn_stream.files.text import decode, read_text

_GZIP = b"\x1f\x8b"
_MAX_BYTES = 500_000_000

_BINARY: tuple[tuple[bytes, Callable[[bytes, str], list[Table]]], ...] = (
    (MAGIC, read_hdf5),
    (NPY, read_numpy),
)
_TEXT: tuple[tuple[Callable[[str], bool], Callable[[str, str], list[Table]]], ...] = (
    (is_athena, read_athena),
    (is_spec, read_spec),
    (lambda _: True, read_text),
)
"""Formats by how their content begins or looks; the first that fits reads the file."""


def read_content(path: Path) -> bytes:
    """Return a file's bytes, gzip undone.

    Raises
    ------
    FileError
        If there is no such file, or it is a pipe, empty, truncated or too large.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise FileError(f"{path} is a folder; name the files in it")
        # Nobody may ever write into a pipe.
        if not stat.S_ISREG(kind):
            raise FileError(f"{path} is a pipe or a device; name a file")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise FileError(f"{path} is larger than {_MAX_BYTES // 10**6} MB")
    if content.startswith(_GZIP):
        content = _unzip(path)
    if not content.strip(b"\0 \t\r\n"):
        raise FileError(f"{path} is empty")
    return content


def read_tables(path: Path, content: bytes | None = None) -> list[Table]:
    """Read a file's tables; FileError says in one sentence why it has none."""
    content = read_content(path) if content is None else content
    where = str(path)
    for magic, reader in _BINARY:
        if content.startswith(magic):
            return reader(content, where)
    if content.startswith(ZIP):
        if path.suffix.lower() == ".npz" or b".npy" in content[:200]:
            return read_numpy(content, where)
        raise FileError(f"{where} is a zip archive or a spreadsheet; export it as CSV")
    text = decode(content, where)
    for fits, reader in _TEXT:
        if fits(text):
            return reader(text, where)
    raise AssertionError("column text fits everything")


def read_scans(
    path: Path,
    columns: Mapping[str, str] | None = None,
    content: bytes | None = None,
    advice: str = NAME_THEM,
) -> list[Scan]:
    """Read a file's scans.

    `columns` names energy and channels by column, as `--columns` does; `advice` says how
    the caller's user names them. Tables without absorption are passed over where the
    file has others, and a note says so.

    Raises
    ------
    FileError
        In one sentence: what was found and what to do.
    """
    scans: list[Scan] = []
    failed: list[FileError] = []
    for table in read_tables(path, content):
        try:
            scans += scans_of(table, str(path), columns)
        except ColumnsError as error:
            failed.append(FileError(f"{error}; {advice}"))
        except FileError as error:
            failed.append(error)
    if not scans:
        raise failed[0] if failed else FileError(f"{path} holds no scan")
    if failed:
        note = f"{len(failed)} tables of this file are no absorption scans"
        scans = [replace(scan, notes=(*scan.notes, note)) for scan in scans]
    return scans


def _unzip(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} is truncated or damaged gzip: {error}") from error
    if len(content) > _MAX_BYTES:
        raise FileError(f"{path} unpacks to more than {_MAX_BYTES // 10**6} MB")
    return content
