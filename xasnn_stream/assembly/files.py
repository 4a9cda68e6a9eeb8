"""Which files documents may name, and where they are on this machine.

Documents from a network may name any file, so only those below folders that the
deployment named are read. Documents that the user gave as a file may name any.
"""

import errno
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from xasnn_stream.assembly.decoders.decoder import Undecodable, regular_size
from xasnn_stream.errors import UsageError

_LONGEST = 4096
_DEEPEST = 16
"""Folders of a path that are looked for beside documents."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files that may be read.

    `roots` are the folders they are below, None for everywhere; `renamed` says where
    folders are here that documents know by another name. A file is waited for
    `timeout_s` seconds after the end of its run. With `beside`, the folder that the
    documents themselves are in, a file that is not where it was written is looked for
    there: recordings are moved with their files.
    """

    roots: Sequence[Path] | None = ()
    renamed: Mapping[str, Path] = field(default_factory=dict[str, Path])
    timeout_s: float = 60.0
    beside: Path | None = None

    def path_of(self, resource: Mapping[str, Any]) -> Path:
        """Return where the file of a Resource or StreamResource is.

        Links and `..` are resolved first. The file need not be there yet: ask again
        then, a relative name may come to be below another root. Raises Undecodable if
        it is no regular file, not below a root, or if the document names none.
        """
        named = _named(resource)
        try:
            found = [path.resolve() for path in self._candidates(named)]
        except (OSError, RuntimeError, ValueError) as error:
            raise Undecodable(f"{named[:200]!r} names no file: {error}") from error
        allowed = [path for path in found if self._allows(path)]
        if not allowed:
            raise Undecodable(
                f"{named[:200]} is not under a --data-root{self._advice()}"
            )
        return next((path for path in allowed if _is_there(path)), allowed[0])

    def _candidates(self, named: str) -> Iterator[Path]:
        plain = posixpath.normpath(named)
        for old in sorted(self.renamed, key=len, reverse=True):
            below = posixpath.relpath(plain, old) if plain.startswith("/") else ".."
            if below.split("/")[0] != "..":
                yield self.renamed[old] / below
        if named.startswith("/") or not self.roots:
            yield Path(named)
            yield from self._moved(plain)
        else:
            yield from (root / named for root in self.roots)

    def _moved(self, plain: str) -> Iterator[Path]:
        """Yield where a file may be below `beside`, with less and less of its path."""
        if self.beside is not None:
            parts = Path(plain).parts[-_DEEPEST:]
            tails = (parts[first:] for first in range(len(parts)))
            yield from (self.beside.joinpath(*tail) for tail in tails if tail[0] != "/")

    def _allows(self, path: Path) -> bool:
        return self.roots is None or any(
            path.is_relative_to(root.resolve()) for root in self.roots
        )

    def _advice(self) -> str:
        if self.roots:
            return (
                f" ({', '.join(map(str, self.roots))}); OLD=DIR says where OLD is here"
            )
        return "; there is none, so no files are read"


def data_roots(texts: Sequence[str]) -> tuple[tuple[Path, ...], dict[str, Path]]:
    """Return the roots, and the renamed folders, that `DIR` or `OLD=DIR` say.

    Raises UsageError for a DIR that is no folder, or an OLD that is no absolute path.
    """
    roots: list[Path] = []
    renamed: dict[str, Path] = {}
    for text in texts:
        old, separator, new = ("", "", text) if Path(text).is_dir() else _split(text)
        if separator and not old.startswith("/"):
            raise UsageError(f"--data-root {text}: {old!r} is no absolute path")
        folder = Path(new).expanduser()
        if not new or not folder.is_dir():
            raise UsageError(f"--data-root {text}: there is no folder {new!r}")
        roots.append(folder.resolve())
        if separator:
            renamed[posixpath.normpath(old)] = folder.resolve()
    return tuple(roots), renamed


def _split(text: str) -> tuple[str, str, str]:
    old, separator, new = text.partition("=")
    return (old, separator, new) if separator else ("", "", text)


def _is_there(path: Path) -> bool:
    """Whether there is such a file; Undecodable if it is no regular one, or cannot be.

    Why one cannot be looked at, as in a folder of somebody else's, is told by reading it.
    """
    try:
        regular_size(path, path.stat())
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Undecodable(f"{path.name[:80]!r} is too long a name") from error
        return False
    return True


def _named(resource: Mapping[str, Any]) -> str:
    """Return the path in a Resource or StreamResource, absolute or relative."""
    uri = resource.get("uri")
    if uri is not None:
        return _path_in(uri)
    root, path = resource.get("root", ""), resource.get("resource_path")
    if not isinstance(path, str) or not path or not isinstance(root, str | None):
        raise Undecodable("a resource names no file: it has no resource_path")
    # An absolute path stands for itself, whatever root is given with it.
    return _plain(posixpath.join(root or "", path))


def _path_in(uri: Any) -> str:
    try:
        parts = urlsplit(uri) if isinstance(uri, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("file", "") or not parts.path:
        raise Undecodable(f"{str(uri)[:200]!r} is no file: only file:// URIs are read")
    # The host is that of the writer, whose disk both may see.
    return _plain(unquote(parts.path) if parts.scheme else str(uri))


def _plain(path: str) -> str:
    if len(path) > _LONGEST or not path.isprintable():
        raise Undecodable(f"{path[:80]!r} cannot be the name of a file")
    return path
