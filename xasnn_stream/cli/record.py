"""`xasnn-stream record`: documents of any source as JSON lines."""

import argparse
import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack, closing
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.cli.run import add_pickle_argument
from xasnn_stream.errors import SinkError, SourceError, UsageError

if TYPE_CHECKING:
    from xasnn_stream.sources.document import Document

WAIT_S = 0.2
STDOUT = "-"
_INTERRUPTED = 130


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "record",
        help="write the documents of a source as JSON lines",
        description=(
            'Writes documents as lines ["start", {…}], which replay reads, until the '
            "source ends, Ctrl-C or SIGTERM. That is the end of recording a live "
            "source, so exit code 0; of a stored one it is an interruption, 130."
        ),
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="zmq://host:port, handover://host:port, tiled+http://host:port/path, "
        "databroker:NAME, a file of JSON lines, - for stdin",
    )
    parser.add_argument("file", metavar="FILE.jsonl", help="- for standard output")
    parser.add_argument(
        "--append", action="store_true", help="add to a file that is there already"
    )
    add_pickle_argument(parser)
    parser.set_defaults(run=record)


def record(arguments: argparse.Namespace) -> int:
    """Record until the source ends or a signal comes; counts go to standard error."""
    from xasnn_stream.sources.open import open_source, pickle_sources
    from xasnn_stream.telemetry.counters import Counters
    from xasnn_stream.telemetry.logging import set_up_logging

    set_up_logging("text")
    counters = Counters()
    trusted = pickle_sources([arguments.source], arguments.allow_pickle)
    _refuse_to_read_what_is_written(arguments.source, arguments.file)
    with ExitStack() as stack:
        allow_pickle = arguments.source in trusted
        source = stack.enter_context(
            closing(open_source(arguments.source, counters, allow_pickle=allow_pickle))
        )
        file = stack.enter_context(_open(arguments.file, append=arguments.append))
        signals = _heard_signals()
        print(f"recording {source.address}; Ctrl-C ends", file=sys.stderr)
        tally = _Tally()
        try:
            while not signals and not source.exhausted:
                document = source.receive(WAIT_S)
                if document is not None and (line := tally.count(document)):
                    _write(line, file)
        finally:
            rejected = counters.value("documents_rejected_total")
            print(tally.summary(int(rejected)), file=sys.stderr)
    if source.exhausted and rejected and not tally.written:
        raise SourceError(f"{arguments.source} holds no documents")
    return _INTERRUPTED if signals and source.can_wait else 0


class _Tally:
    """Counts documents while it makes lines of them."""

    def __init__(self) -> None:
        self._lines = Counter[str]()
        self._unwritable = 0

    def count(self, document: "Document") -> bytes | None:
        """Return the document's line; None, with a word at the first, without one."""
        from xasnn_stream.sources.codec import encode_line

        try:
            line = encode_line(document.name, document.doc)
        except (TypeError, ValueError, RecursionError) as error:
            if not self._unwritable:
                print(
                    f"{document.name} {document.doc.get('uid')} cannot be written: "
                    f"{error}; more like it are only counted",
                    file=sys.stderr,
                )
            self._unwritable += 1
            return None
        self._lines[document.name] += 1
        return line

    @property
    def written(self) -> int:
        """How many documents became lines."""
        return self._lines.total()

    def summary(self, rejected: int) -> str:
        """Say what was written, and what was not."""
        documents = ", ".join(f"{n} {name}" for name, n in self._lines.items())
        return (
            f"recorded {self._lines['start']} runs; documents: {documents or 'none'}; "
            f"rejected: {rejected + self._unwritable}"
        )


def _write(line: bytes, file: FileIO) -> None:
    try:
        # Unbuffered, line by line: who ends this process cuts none in two.
        while line:
            line = line[file.write(line) or 0 :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write on: {error.strerror}") from error


def _open(path: str, *, append: bool) -> FileIO:
    if path == STDOUT:
        return FileIO(sys.stdout.fileno(), "w", closefd=False)
    try:
        file = FileIO(path, "r+" if append and Path(path).exists() else "x+")
    except FileExistsError:
        raise UsageError(
            f"{path} is there already; name another file, or --append to add to it"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    if file.seek(0, os.SEEK_END):
        # What was cut in the middle of a line, by a power failure, stays alone in it.
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
    return file


def _refuse_to_read_what_is_written(source: str, file: str) -> None:
    both_exist = Path(source).exists() and Path(file).exists()
    if both_exist and Path(source).samefile(file):
        raise UsageError(f"{file} cannot be recorded into itself")


def _heard_signals() -> list[int]:
    """Return a list that grows with the first SIGINT or SIGTERM; a second one ends."""
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    return heard
