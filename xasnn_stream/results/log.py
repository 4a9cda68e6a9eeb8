"""The log itself: append, follow, trim; one SQLite file, one writer."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from xasnn_stream.errors import UsageError
from xasnn_stream.estimate import Estimate, estimate_id
from xasnn_stream.results.rows import (
    DELIVERY,
    FORGET,
    HAS_COMPLETE,
    INSERT,
    NOTE_END,
    NOTE_RUN,
    NOTE_SWEEP,
    OLDER,
    SCHEMA,
    Delivery,
    delivery_of,
    row_of,
)
from xasnn_stream.spectrum import RunEnded

LOG_NAME = "results.sqlite"
"""Name of the log in a state folder."""
REMEMBERED_S = 14 * 24 * 3600.0
"""Which sweeps of a run were estimated is known for so long after its rows are trimmed."""

# synchronous=FULL: with NORMAL a power cut may undo the last commits after their rows
# were delivered, and the same seq would later name another result. One commit serves a
# whole micro-batch, so the price is one fsync per batch.
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
)


class ResultLog:
    """The log at `path`; created when absent, locked against a second process.

    Safe to use from any thread: one connection writes under a lock, every reading
    thread has a connection of its own.

    Raises
    ------
    UsageError
        If another process has this log open, the file is not a result log, or it
        cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_file = _lock(path)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        try:
            self._writer = _connect(path)
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._lock_file.close()
            raise UsageError(
                f"{path} is not a result log ({error}); move it away or name another "
                "folder with --state"
            ) from error
        self._grown = threading.Condition()
        self._newest = self._scalar("SELECT coalesce(max(newest), 0) FROM topics")
        self._bytes = self._scalar("SELECT coalesce(sum(bytes), 0) FROM results")

    def append(
        self,
        estimates: Sequence[Estimate],
        latency_s: Sequence[float],
        device: str,
        waited_s: Sequence[float] | None = None,
    ) -> list[int]:
        """Write final estimates in one commit and return their row numbers.

        An id that is already in the log is not written again, nor is the estimate of an
        incomplete sweep whose complete one is there; the row number of what is there
        is returned. `waited_s` is what of `latency_s` was spent waiting for files, none
        by default. Raises ValueError for a partial estimate, which has no id.
        """
        waits = [0.0] * len(estimates) if waited_s is None else waited_s
        rows = [
            row_of(estimate, seconds, waited, device)
            for estimate, seconds, waited in zip(
                estimates, latency_s, waits, strict=True
            )
        ]
        with self._write_lock, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            written = [
                self._insert(row, _id_if_complete(estimate))
                for row, estimate in zip(rows, estimates, strict=True)
            ]
            self._bytes += sum(
                row["bytes"] for row, (_, new) in zip(rows, written, strict=True) if new
            )
        newest = max((seq for seq, _ in written), default=0)
        with self._grown:
            self._newest = max(self._newest, newest)
            self._grown.notify_all()
        return [seq for seq, _ in written]

    def close_runs(self, ended: Sequence[RunEnded]) -> None:
        """Write in one commit how many sweeps runs hold that ended.

        Of a run that ends twice, live with gaps and then as it is stored, the last
        word counts.
        """
        now = time.time()
        ends = [(end.uid, end.sweeps, now) for end in ended]
        with self._write_lock, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(NOTE_END, ends)

    def read(self, after: int, limit: int) -> list[Delivery]:
        """Return up to `limit` rows with `seq` > `after`, oldest first."""
        rows = self._reader().execute(
            f"SELECT {DELIVERY} FROM results"  # noqa: S608 - a constant
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [delivery_of(row) for row in rows]

    def latest(self, limit: int) -> list[Delivery]:
        """Return the newest `limit` rows, newest first."""
        rows = self._reader().execute(
            f"SELECT {DELIVERY} FROM results ORDER BY seq DESC LIMIT ?",  # noqa: S608 - too
            (limit,),
        )
        return [delivery_of(row) for row in rows]

    def has_complete(self, run_uid: str) -> bool:
        """Whether a run has ended and all of its sweeps have a complete result.

        That stays so when rows are trimmed, for `REMEMBERED_S`.
        """
        row = self._reader().execute(HAS_COMPLETE, (run_uid,)).fetchone()
        return row is not None and bool(row[0])

    @property
    def newest(self) -> int:
        """The highest row number ever written, 0 for an empty log."""
        return self._newest

    def wait(self, after: int, timeout_s: float) -> bool:
        """Wait until a row beyond `after` was written; False when time ran out."""
        with self._grown:
            return self._grown.wait_for(lambda: self._newest > after, timeout_s)

    def cursor(self, sink: str) -> int:
        """Return up to which row `sink` was served, registering it when it is new."""
        with self._write_lock, self._writer:
            self._writer.execute("INSERT OR IGNORE INTO cursors VALUES (?, 0)", (sink,))
            return self._scalar("SELECT seq FROM cursors WHERE sink = ?", sink)

    def advance(self, sink: str, seq: int) -> None:
        """Note that `sink` was served every row up to `seq`; never goes back."""
        with self._write_lock, self._writer:
            self._writer.execute(
                "UPDATE cursors SET seq = max(seq, ?) WHERE sink = ?", (seq, sink)
            )

    def cursors(self) -> dict[str, int]:
        """Return every sink that was ever registered with its cursor."""
        return dict(self._reader().execute("SELECT sink, seq FROM cursors"))

    def trim(self, max_bytes: int) -> int:
        """Remove the oldest delivered rows until `max_bytes` are kept; return how many.

        A row that a registered sink has not been served stays, whatever the size. The
        file does not shrink, its free pages are used again.
        """
        if self._bytes <= max_bytes:
            return 0
        with self._write_lock, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            last = self._last_to_trim(self._bytes - max_bytes)
            freed = self._scalar(
                "SELECT coalesce(sum(bytes), 0) FROM results WHERE seq <= ?", last
            )
            gone = self._writer.execute("DELETE FROM results WHERE seq <= ?", (last,))
            for forget in FORGET:
                self._writer.execute(forget, (time.time() - REMEMBERED_S,))
        self._bytes -= freed
        return gone.rowcount

    def close(self) -> None:
        """Close every connection and release the lock; nothing else may follow."""
        with self._write_lock:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._lock_file.close()

    def _insert(self, row: dict[str, Any], complete_id: str) -> tuple[int, bool]:
        """Return the row number of what is there now, and whether it is new."""
        # Looked up first because a refused insert would use up a row number.
        known = self._writer.execute(
            "SELECT seq FROM results WHERE id IN (?, ?)", [row["id"], complete_id]
        )
        if (present := known.fetchone()) is not None:
            return present[0], False
        (seq,) = self._writer.execute(INSERT, row).fetchone()
        self._writer.execute(
            "INSERT INTO topics VALUES (?, ?)"
            " ON CONFLICT (profile) DO UPDATE SET newest = excluded.newest",
            (row["profile"], seq),
        )
        self._writer.execute(NOTE_RUN, row)
        if row["complete"]:
            self._writer.execute(NOTE_SWEEP, row)
        return seq, True

    def _prepare(self) -> None:
        """Create what is not there, and bring a log of an older form to this one."""
        self._writer.executescript(SCHEMA)
        if self._scalar("PRAGMA user_version"):
            return
        columns = self._writer.execute("PRAGMA table_info(results)").fetchall()
        if "waited_s" not in {name for _, name, *_ in columns}:
            self._writer.execute(
                "ALTER TABLE results ADD COLUMN waited_s REAL NOT NULL DEFAULT 0"
            )
        self._writer.executescript(OLDER)

    def _last_to_trim(self, surplus: int) -> int:
        delivered = self._scalar(
            "SELECT coalesce((SELECT min(seq) FROM cursors), ?)", self._newest
        )
        last = freed = 0
        for seq, size in self._writer.execute(
            "SELECT seq, bytes FROM results WHERE seq <= ? ORDER BY seq", (delivered,)
        ):
            if freed >= surplus:
                break
            last, freed = seq, freed + size
        return last

    def _scalar(self, query: str, *parameters: object) -> int:
        return self._writer.execute(query, parameters).fetchone()[0]

    def _reader(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self.path)
            connection.execute("PRAGMA query_only=ON")
            with self._write_lock:
                self._readers.append(connection)
        return connection


def _lock(path: Path) -> Any:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        # The kernel releases this lock however the process ends.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UsageError(
            f"{path} is in use by another process; stop it or name another folder "
            "with --state"
        ) from error
    except OSError as error:
        file.close()
        raise _unusable(path, error) from error
    return file


def _unusable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path.parent} cannot hold the result log ({error}); name another folder "
        "with --state"
    )


def _connect(path: Path) -> sqlite3.Connection:
    # Connections are closed by close(), which runs in another thread.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


def _id_if_complete(estimate: Estimate) -> str:
    """Return the id the same sweep has when nothing of it is missing."""
    made_by = estimate.provenance
    identity = estimate_id(
        replace(estimate.run, complete=True),
        made_by.profile_sha256,
        made_by.model_sha256,
        made_by.reference_sha256,
    )
    return identity or ""
