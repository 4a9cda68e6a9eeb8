"""Documents as JSON lines, from a file or standard input."""

import os
import select
import sys
import time
from pathlib import Path

from xasnn_stream.errors import InvalidSourceError, SourceError
from xasnn_stream.sources.codec import MAX_BYTES, FrameError, decode_line
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.selection import RunFilter, Selection
from xasnn_stream.telemetry.counters import Counters

_CHUNK = 2**18
# Not to wait, deaf to signals, for the writer of a FIFO; `select` does, with a timeout.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class JSONLinesSource:
    """The lines of a file, a FIFO, or standard input (`-`), once, to the end."""

    can_wait = True

    def __init__(
        self, path: str, counters: Counters, selection: Selection | None = None
    ) -> None:
        self.address = "jsonl:stdin" if path == "-" else f"jsonl:{path}"
        if path != "-" and Path(path).is_dir():
            raise InvalidSourceError(
                f"cannot read documents from {path}: it is a folder"
            )
        try:
            self._file = sys.stdin.fileno() if path == "-" else os.open(path, _FLAGS)
        except OSError as error:
            raise InvalidSourceError(
                f"cannot read documents from {path}: {error.strerror}"
            ) from error
        self._owned = path != "-"
        self._intake = Intake(self.address, counters)
        self._intake.connected(True)
        self._filter = RunFilter(selection or Selection())
        self._pending = bytearray()
        self._scanned = 0
        self._skipping = False
        self._ended = False
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether the end was reached and every line received."""
        return self._exhausted

    @property
    def connected(self) -> bool:
        """Whether there is more to read."""
        return not self._exhausted

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None when none came within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while not self._exhausted:
            line = self._next_line()
            if line is None:
                if not self._read(max(0.0, deadline - time.monotonic())):
                    return None
                continue
            document = self._decode(line)
            if document is not None:
                return document
        return None

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._exhausted = True
        if self._owned:
            os.close(self._file)
            self._owned = False
            self._intake.connected(False)

    def _read(self, timeout_s: float) -> bool:
        """Append a chunk; False if none came in time."""
        if not select.select([self._file], [], [], timeout_s)[0]:
            return False
        try:
            chunk = os.read(self._file, _CHUNK)
        except OSError as error:
            raise SourceError(f"{self.address}: {error.strerror}") from error
        self._pending += chunk
        self._ended = not chunk
        return True

    def _next_line(self) -> bytes | None:
        """Return the next whole line, None if more must be read first."""
        end = self._pending.find(b"\n", self._scanned)
        if end < 0:
            if self._ended:
                return self._last_line()
            self._scanned = len(self._pending)
            if self._scanned > MAX_BYTES:
                self._skipping = True
                self._pending.clear()
                self._scanned = 0
            return None
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        self._scanned = 0
        return line

    def _last_line(self) -> bytes:
        line = bytes(self._pending)
        self._pending.clear()
        self._exhausted = True
        self._intake.connected(False)
        return line

    def _decode(self, line: bytes) -> Document | None:
        if self._skipping or len(line) > MAX_BYTES:
            self._skipping = False
            self._intake.reject("oversized", f"a line of more than {MAX_BYTES} bytes")
            return None
        if not line.strip():
            return None
        try:
            name, doc = decode_line(line)
        except FrameError as error:
            self._intake.reject(error.reason, str(error))
            return None
        if not self._filter.takes(name, doc):
            return None
        return self._intake.accept(name, doc)
