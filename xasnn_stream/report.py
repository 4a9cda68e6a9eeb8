"""What a result log holds, summed up; read while a daemon writes it."""

import json
import sqlite3
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from xasnn_stream.errors import UsageError
from xasnn_stream.results import LOG_NAME
from xasnn_stream.results.rows import OUTCOMES, PENDING

BUSY_S = 10.0


@dataclass(frozen=True, slots=True)
class Gapped:
    """A sweep whose first estimate lacked rows; `recovered` if the complete one came."""

    uid: str
    scan_id: int | None
    sweep: int
    sample: str | None
    n_missed: int
    published: float
    recovered: bool


@dataclass(slots=True)
class Share:
    """What one profile with one model made: results by verdict, reasons by code.

    `masked` is how many results left points out, `masked_points` how many points.
    """

    profile: str
    model: str
    model_sha256: str
    results: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    masked: int = 0
    masked_points: int = 0

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "profile": self.profile,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "results": self.results,
            "verdicts": dict(self.verdicts),
            "reasons": dict(self.reasons),
            "masked": {"results": self.masked, "points": self.masked_points},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of a log published since `since` (epoch seconds, None for all).

    `shares` count valid rows only; `void` is the number of incomplete rows that a
    complete one replaced. `latency_s` has the percentiles 50 and 95, None without rows.
    `pending` says how many rows each sink has yet to be served.
    """

    since: float | None
    until: float
    shares: Sequence[Share]
    gapped: Sequence[Gapped]
    void: int
    latency_s: tuple[float, float] | None
    pending: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        latency = self.latency_s
        return {
            "since": self.since,
            "until": self.until,
            "results": sum(share.results for share in self.shares),
            "verdicts": dict(sum_of(self.shares, "verdicts")),
            "reasons": dict(sum_of(self.shares, "reasons")),
            "models": [share.document() for share in self.shares],
            "incomplete": [asdict(gapped) for gapped in self.gapped],
            "void": self.void,
            "latency_s": latency and {"p50": latency[0], "p95": latency[1]},
            "sinks": {name: {"pending": n} for name, n in self.pending.items()},
        }


def sum_of(shares: Sequence[Share], what: str) -> Counter[str]:
    """Add up the `verdicts` or `reasons` of all shares, the most frequent first."""
    total = Counter[str]()
    for share in shares:
        total.update(getattr(share, what))
    return Counter(dict(total.most_common()))


def report(state: Path, since: float | None) -> Report:
    """Read the log in the folder `state` without disturbing who writes it.

    Raises
    ------
    UsageError
        If there is no log, or the file is none.
    """
    path = state / LOG_NAME
    if not path.is_file():
        raise UsageError(
            f"there is no result log in {state}; name the daemon's folder with --state"
        )
    try:
        with closing(_open_read_only(path)) as log:
            # One transaction, so that results and cursors are of the same moment.
            log.execute("BEGIN")
            return _read(log, since)
    # Damaged pages give rows of anything.
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a result log: {error!r}") from error


def _open_read_only(path: Path) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)


def _read(log: sqlite3.Connection, since: float | None) -> Report:
    shares: dict[tuple[str, str], Share] = {}
    gapped: list[Gapped] = []
    latencies = array("d")
    void = 0
    rows = log.execute(OUTCOMES, (since if since is not None else 0.0,))
    for published, latency_s, complete, text, replaced in rows:
        estimate = json.loads(text)
        if not complete:
            gapped.append(_gapped(estimate, published, recovered=bool(replaced)))
            void += replaced
        if not replaced:
            _count(shares, estimate)
            latencies.append(latency_s)
    return Report(
        since=since,
        until=time.time(),
        shares=tuple(shares.values()),
        gapped=tuple(gapped),
        void=void,
        latency_s=_percentiles(latencies),
        pending=dict(log.execute(PENDING)),
    )


def _count(shares: dict[tuple[str, str], Share], estimate: dict[str, Any]) -> None:
    made_by = estimate["provenance"]
    names = (made_by["profile"], made_by["model"], made_by["model_sha256"])
    share = shares.setdefault((names[0], names[2]), Share(*names))
    share.results += 1
    share.verdicts[estimate["verdict"]] += 1
    # A code once per result, however often it is given.
    share.reasons.update({reason["code"] for reason in estimate["reasons"]})
    points = estimate["quality"]["n_masked"]
    share.masked += points > 0
    share.masked_points += points


def _gapped(estimate: dict[str, Any], published: float, *, recovered: bool) -> Gapped:
    run = estimate["run"]
    return Gapped(
        uid=run["uid"],
        scan_id=run["scan_id"],
        sweep=run["sweep"],
        sample=estimate["sample"],
        n_missed=estimate["accounting"]["n_missed"],
        published=published,
        recovered=recovered,
    )


def _percentiles(values: "array[float]") -> tuple[float, float] | None:
    """Return the percentiles 50 and 95, each a value that occurred."""
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.5 * last)], ordered[round(0.95 * last)]
