"""Documents in, spectra out: routes documents to their runs and closes runs.

Nothing here raises, whatever documents come: they come from a network.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.metadata import whole
from xasnn_stream.assembly.run import OpenRun, finish, read_header
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters

MAX_OPEN_RUNS = 256
MAX_IDLE_S = 600.0
"""A run of which nothing came for this long is closed: its stop was lost."""

_MAX_FINISHED = 10_000
_MAX_DESCRIPTORS = 1_000

Key = tuple[str, str]
"""Source and uid: the same run may come from two sources, and then is two."""


@dataclass(slots=True)
class _Route:
    """What is known of a run; `run` is None if no profile took it."""

    run: OpenRun | None
    touched_s: float
    descriptors: list[Key] = field(default_factory=lambda: list[Key]())


@dataclass(frozen=True, slots=True)
class _Stream:
    """Where the events of a descriptor go; `run` is None where nobody wants them."""

    route: _Route
    run: OpenRun | None


class Assembler:
    """The open runs of all sources; used by one thread.

    `settings` are the profiles in order of preference, `max_open_runs` bounds what is
    kept: beyond it, the run longest untouched is closed as incomplete. `clock` gives
    seconds and only decides about `max_idle_s`.
    """

    def __init__(
        self,
        settings: Sequence[AssemblySettings],
        counters: Counters,
        max_open_runs: int = MAX_OPEN_RUNS,
        max_idle_s: float = MAX_IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = tuple(settings)
        self._counters = counters
        self._max_open_runs = max_open_runs
        self._max_idle_s = max_idle_s
        self._clock = clock
        self._routes: dict[Key, _Route] = {}
        self._streams: dict[Key, _Stream] = {}
        self._finished: OrderedDict[Key, None] = OrderedDict()
        self._receivers = {
            "start": self._start,
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "stop": self._stop,
        }

    def receive(self, name: str, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        """Take one document; return the spectra it completes.

        A document that cannot be used is counted. Documents are never changed.
        """
        receiver = self._receivers.get(name)
        if receiver is None:
            return []  # documents of external data; step scans have none
        return receiver(doc, source)

    def release_idle_runs(self) -> list[Spectrum]:
        """Close runs of which nothing came for `max_idle_s`; they are incomplete."""
        oldest_s = self._clock() - self._max_idle_s
        idle = [key for key, r in self._routes.items() if r.touched_s < oldest_s]
        return [s for key in idle for s in self._close(key, None)]

    def forget_open_runs(self, source: str) -> None:
        """Let go of the runs of `source` that are open, without a result; counted."""
        for key in [key for key in self._routes if key[0] == source]:
            if self._forget(key).run is not None:
                self._counters.add("runs_forgotten_total")

    def close_open_runs(self) -> list[Spectrum]:
        """Close all runs that are open; they are incomplete."""
        return [s for key in list(self._routes) for s in self._close(key, None)]

    def _start(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        uid = doc.get("uid")
        if not isinstance(uid, str) or not uid:
            return self._reject("invalid", source)
        key = (source, uid)
        if key in self._routes or key in self._finished:
            return []  # the same start once more
        released = self.release_idle_runs()
        while len(self._routes) >= self._max_open_runs:
            longest = min(self._routes, key=lambda k: self._routes[k].touched_s)
            released += self._close(longest, None)
        settings = choose(doc, self._settings)
        run = None
        if settings is None:
            self._counters.add("runs_ignored_total")
        else:
            run = OpenRun(settings, read_header(doc, uid, settings, source))
        self._routes[key] = _Route(run, self._clock())
        return released

    def _descriptor(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        uid, start = doc.get("uid"), doc.get("run_start")
        if not isinstance(uid, str) or not isinstance(start, str):
            return self._reject("invalid", source)
        route = self._routes.get((source, start))
        if route is None:
            return self._orphan((source, start))
        run = route.run
        wanted = run is not None and doc.get("name") == run.settings.energy.stream
        key = (source, uid)
        if key not in self._streams and len(route.descriptors) < _MAX_DESCRIPTORS:
            route.descriptors.append(key)
            self._streams[key] = _Stream(route, run if wanted else None)
        return []

    def _event(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        descriptor = doc.get("descriptor")
        if not isinstance(descriptor, str):
            return self._reject("invalid", source)
        stream = self._streams.get((source, descriptor))
        if stream is None:
            return self._reject("orphan", source)
        stream.route.touched_s = self._clock()
        if stream.run is None:
            return []
        seq_num, data = whole(doc.get("seq_num")), doc.get("data")
        if not seq_num or not isinstance(data, Mapping):
            return self._reject("invalid", source)
        stream.run.put(seq_num, doc.get("time"), cast(Mapping[str, Any], data))
        return []

    def _event_page(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        events = _unrolled(doc)
        if events is None:
            return self._reject("invalid", source)
        for event in events:
            self._event(event, source)
        return []

    def _stop(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        start = doc.get("run_start")
        if not isinstance(start, str):
            return self._reject("invalid", source)
        if (source, start) not in self._routes:
            return self._orphan((source, start))
        return self._close((source, start), doc)

    def _close(self, key: Key, stop: Mapping[str, Any] | None) -> list[Spectrum]:
        """Forget a run and return its final spectrum, nothing if it was ignored."""
        route = self._forget(key)
        self._finished[key] = None
        if len(self._finished) > _MAX_FINISHED:
            self._finished.popitem(last=False)
        if route.run is None:
            return []
        spectrum = finish(route.run, stop)
        outcome = "complete" if spectrum.run.complete else "gapped"
        if spectrum.problem is not None:
            outcome = "unusable"
        self._counters.add("sweeps_total", outcome=outcome)
        missed = spectrum.accounting.n_missed
        self._counters.add("rows_missed_total", missed, source=key[0])
        return [spectrum]

    def _forget(self, key: Key) -> _Route:
        route = self._routes.pop(key)
        for descriptor in route.descriptors:
            self._streams.pop(descriptor, None)
        return route

    def _orphan(self, run: Key) -> list[Spectrum]:
        """Reject a document whose run is unknown; silent if the run is just over."""
        return [] if run in self._finished else self._reject("orphan", run[0])

    def _reject(self, reason: str, source: str) -> list[Spectrum]:
        self._counters.add("documents_rejected_total", source=source, reason=reason)
        return []


def _unrolled(page: Mapping[str, Any]) -> Iterator[dict[str, Any]] | None:
    """Return the events of an event page, None if its columns do not fit together."""
    seq_nums, times = _column(page.get("seq_num")), _column(page.get("time"))
    data = page.get("data")
    if seq_nums is None or times is None or not isinstance(data, Mapping):
        return None
    columns = {
        key: _column(values) for key, values in cast(Mapping[str, Any], data).items()
    }
    lengths = {-1 if c is None else len(c) for c in (times, *columns.values())}
    if lengths != {len(seq_nums)}:
        return None
    filled = {key: column for key, column in columns.items() if column is not None}
    return (
        {
            "descriptor": page.get("descriptor"),
            "seq_num": seq_num,
            "time": times[row],
            "data": {key: column[row] for key, column in filled.items()},
        }
        for row, seq_num in enumerate(seq_nums)
    )


def _column(values: Any) -> Sequence[Any] | None:
    if hasattr(values, "tolist"):
        values = values.tolist()
    return cast(Sequence[Any], values) if isinstance(values, list | tuple) else None
