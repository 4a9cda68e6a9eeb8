"""What a row of the result log holds, and how it is written and read."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.estimate import Estimate

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run_uid TEXT NOT NULL,
    profile TEXT NOT NULL,
    complete INTEGER NOT NULL,
    prev INTEGER,
    published REAL NOT NULL,
    latency_s REAL NOT NULL,
    device TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    estimate TEXT NOT NULL,
    layout TEXT NOT NULL,
    buffers BLOB NOT NULL,
    waited_s REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS results_by_sweep
    ON results (run_uid, json_extract(estimate, '$.run.sweep'), complete);
CREATE TABLE IF NOT EXISTS runs (
    run_uid TEXT PRIMARY KEY, sweeps INTEGER, published REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_age ON runs (published);
CREATE TABLE IF NOT EXISTS complete_sweeps (
    run_uid TEXT, sweep INTEGER, PRIMARY KEY (run_uid, sweep)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (profile TEXT PRIMARY KEY, newest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""
"""`runs` and `complete_sweeps` outlive rows that are trimmed: what is in them has been
estimated, although it is no longer there. `sweeps` is NULL until a run has ended."""

OLDER = """
BEGIN;
INSERT OR IGNORE INTO complete_sweeps
    SELECT run_uid, json_extract(estimate, '$.run.sweep') FROM results WHERE complete;
INSERT OR IGNORE INTO runs
    SELECT run_uid, count(DISTINCT json_extract(estimate, '$.run.sweep')),
           max(published)
    FROM results GROUP BY run_uid;
DROP INDEX IF EXISTS results_by_run;
PRAGMA user_version = 1;
COMMIT;
"""
"""Brings a log to this form in which ends of runs were not written: all had ended."""

INSERT = """
INSERT INTO results (id, run_uid, profile, complete, prev, published, latency_s,
                     device, bytes, estimate, layout, buffers, waited_s)
VALUES (:id, :run_uid, :profile, :complete,
        (SELECT newest FROM topics WHERE profile = :profile), :published, :latency_s,
        :device, :bytes, :estimate, :layout, :buffers, :waited_s)
RETURNING seq
"""
NOTE_RUN = """
INSERT INTO runs (run_uid, published) VALUES (:run_uid, :published)
ON CONFLICT (run_uid) DO UPDATE SET published = excluded.published
"""
NOTE_SWEEP = "INSERT OR IGNORE INTO complete_sweeps VALUES (:run_uid, :sweep)"
NOTE_END = """
INSERT INTO runs (run_uid, sweeps, published) VALUES (?, ?, ?)
ON CONFLICT (run_uid) DO UPDATE SET sweeps = excluded.sweeps
"""
HAS_COMPLETE = """
SELECT sweeps <= (SELECT count(*) FROM complete_sweeps WHERE run_uid = runs.run_uid)
FROM runs WHERE run_uid = ?
"""
FORGET = (
    "DELETE FROM complete_sweeps WHERE run_uid IN"
    " (SELECT run_uid FROM runs WHERE published < ?)",
    "DELETE FROM runs WHERE published < ?",
)
DELIVERY = (
    "seq, prev, published, latency_s, device, waited_s, estimate, layout, buffers"
)

_SAME = """'$.provenance.profile_sha256', '$.provenance.model_sha256',
    '$.provenance.reference_sha256'"""
OUTCOMES = f"""
SELECT published, latency_s, complete, estimate, NOT complete AND EXISTS (
    SELECT 1 FROM results AS whole
    WHERE whole.run_uid = results.run_uid
      AND json_extract(whole.estimate, '$.run.sweep')
        = json_extract(results.estimate, '$.run.sweep')
      AND whole.complete = 1
      AND json_extract(whole.estimate, {_SAME}) = json_extract(results.estimate, {_SAME})
) FROM results WHERE published >= ? ORDER BY seq
"""  # noqa: S608 - a constant
"""What came of every sweep; last, whether a complete row of the same replaces it."""
PENDING = """
SELECT sink, (SELECT count(*) FROM results WHERE results.seq > cursors.seq)
FROM cursors ORDER BY sink
"""
"""How many rows each sink has yet to be served."""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """One row of the log: an estimate and how it came about.

    `prev` is the previous row of the same profile, None for its first; `latency_s` the
    time from receipt of the sweep's last document until it went into the log, and
    `waited_s` how much of it was spent waiting for the run's files.
    """

    seq: int
    prev: int | None
    published: float
    latency_s: float
    device: str
    estimate: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    waited_s: float = 0.0

    @property
    def profile(self) -> str:
        """Name of the profile the estimate was made with."""
        return self.estimate["provenance"]["profile"]

    def header(self) -> dict[str, Any]:
        """Everything but the arrays, as it goes over the wire."""
        return {
            "seq": self.seq,
            "prev": self.prev,
            "published": self.published,
            "latency_s": self.latency_s,
            "waited_s": self.waited_s,
            "device": self.device,
            "estimate": self.estimate,
        }


def row_of(
    estimate: Estimate, latency_s: float, waited_s: float, device: str
) -> dict[str, Any]:
    """Return a final estimate as what `INSERT` takes; ValueError for a partial one."""
    if estimate.id is None:
        raise ValueError("partial estimates do not belong in the result log")
    text = json.dumps(estimate.document(), allow_nan=False, separators=(",", ":"))
    layout, buffers = _pack(estimate.arrays.items())
    return {
        "id": estimate.id,
        "run_uid": estimate.run.uid,
        "sweep": estimate.run.sweep,
        "profile": estimate.provenance.profile,
        "complete": estimate.run.complete,
        "published": time.time(),
        "latency_s": latency_s,
        "waited_s": waited_s,
        "device": device,
        "bytes": len(text) + len(layout) + len(buffers),
        "estimate": text,
        "layout": layout,
        "buffers": buffers,
    }


def delivery_of(row: tuple[Any, ...]) -> Delivery:
    """Return the delivery that the columns `DELIVERY` of a row hold."""
    seq, prev, published, latency_s, device, waited_s, text, layout, buffers = row
    estimate, arrays = json.loads(text), _unpack(layout, buffers)
    return Delivery(seq, prev, published, latency_s, device, estimate, arrays, waited_s)


def _pack(arrays: Iterable[tuple[str, NDArray[Any]]]) -> tuple[str, bytes]:
    whole = [(name, np.ascontiguousarray(array)) for name, array in arrays]
    layout = [(name, array.dtype.str, array.shape) for name, array in whole]
    return json.dumps(layout), b"".join(array.tobytes() for _, array in whole)


def _unpack(layout: str, buffers: bytes) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    offset = 0
    for name, dtype, shape in json.loads(layout):
        count = int(np.prod(shape))
        flat = np.frombuffer(buffers, np.dtype(dtype), count, offset)
        arrays[name] = flat.reshape(shape)
        offset += flat.nbytes
    return arrays
