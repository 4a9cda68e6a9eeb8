"""Documents in, spectra out: routes documents to their runs and closes runs.

Nothing here raises, whatever documents come: they come from a network.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from xasnn_stream.assembly.accounting import MAX_ROWS
from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.metadata import uid_in, whole
from xasnn_stream.assembly.orphans import Orphan, Orphans
from xasnn_stream.assembly.pages import unrolled
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.assembly.run import OpenRun, finish, read_header, so_far
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.spectrum import Spectrum
from xasnn_stream.telemetry.counters import Counters

MAX_OPEN_RUNS = 256
"""Runs kept open; beyond it the one longest untouched is closed."""

_MAX_FINISHED = 10_000
_MAX_DESCRIPTORS = 1_000

Key = tuple[str, str]
"""Source and uid: the same run may come from two sources, and then is two."""


@dataclass(slots=True)
class _Route:
    """What is known of a run; `run` is None if no profile took it.

    `touched_s` is when its last document was assembled, `received_s` when its newest
    row was received, None once a partial spectrum told of it. `released` runs have had
    their incomplete final spectrum.
    """

    run: OpenRun | None
    touched_s: float
    received_s: float | None = None
    released: bool = False
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
    seconds and only decides how long silence is borne.
    """

    def __init__(
        self,
        settings: Sequence[AssemblySettings],
        counters: Counters,
        max_open_runs: int = MAX_OPEN_RUNS,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = tuple(settings)
        self._counters = counters
        self._max_open_runs = max_open_runs
        self._patience = patience or Patience()
        self._clock = clock
        self._received_s = 0.0
        self._routes: dict[Key, _Route] = {}
        self._streams: dict[Key, _Stream] = {}
        self._finished: OrderedDict[Key, None] = OrderedDict()
        self._orphans = Orphans()
        self._receivers = {
            "start": self._start,
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "stop": self._stop,
        }

    def receive(
        self,
        name: str,
        doc: Mapping[str, Any],
        source: str,
        received_s: float | None = None,
    ) -> list[Spectrum]:
        """Take one document; return the spectra it completes.

        A document that cannot be used is counted. Documents are never changed.
        `received_s` says when a row came, by default now.
        """
        receiver = self._receivers.get(name)
        if receiver is None:
            return []  # documents of external data; step scans have none
        self._received_s = self._clock() if received_s is None else received_s
        return receiver(doc, source)

    def is_open(self, uid: str, source: str) -> bool:
        """Whether a run is open that a profile took and that has no result yet."""
        route = self._routes.get((source, uid))
        return route is not None and route.run is not None and not route.released

    def partials(self, sources: Collection[str]) -> list[tuple[Spectrum, float]]:
        """Return what there is so far of the open runs of `sources` that grew.

        Each spectrum has `final=False` and comes with the time its newest row was
        received. Only runs with rows that no earlier call has told of are returned,
        the one that grew last first.
        """
        grown = [
            (route.received_s, route.run, route)
            for key, route in self._routes.items()
            if key[0] in sources and route.run and route.received_s is not None
        ]
        grown.sort(key=lambda item: item[0], reverse=True)
        for _, _, route in grown:
            route.received_s = None
        return [(so_far(run), received_s) for received_s, run, _ in grown]

    def release_idle_runs(self) -> list[Spectrum]:
        """Return incomplete spectra of runs whose end seems lost; see `Patience`.

        They stay open: should they go on after all, a complete spectrum follows at
        their stop, but no second incomplete one. After the longest patience they are
        closed.
        """
        now_s = self._clock()
        released: list[Spectrum] = []
        for key, route in list(self._routes.items()):
            silent_s = now_s - route.touched_s
            whole = route.run is not None and route.run.has_announced_rows
            if silent_s > self._patience.dead_s:
                released += self._close(key, None)
            elif not route.released and silent_s > self._patience.before_release(whole):
                released += self._release(key, route)
        return released

    def take_orphans(self) -> list[Orphan]:
        """Return what came of unknown runs since the last call, each run once."""
        return self._orphans.take()

    def forget_run(self, uid: str, source: str) -> None:
        """Let go of a run, open or finished, so that it may come again."""
        key = (source, uid)
        self._finished.pop(key, None)
        if key in self._routes:
            self._forget(key)

    def forget_open_runs(self, source: str) -> list[str]:
        """Let go of the runs of `source` that are open, without a result; counted.

        Returns their uids.
        """
        forgotten: list[str] = []
        for key in [key for key in self._routes if key[0] == source]:
            route = self._forget(key)
            if route.run is not None and not route.released:
                self._counters.add("runs_forgotten_total")
                forgotten.append(key[1])
        return forgotten

    def close_open_runs(self, source: str) -> list[Spectrum]:
        """Close all runs of `source` that are open; they are incomplete."""
        keys = [key for key in self._routes if key[0] == source]
        return [s for key in keys for s in self._close(key, None)]

    def _start(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        uid = uid_in(doc.get("uid"))
        if uid is None:
            return self._reject("invalid", source)
        key = (source, uid)
        if key in self._routes or key in self._finished:
            return []  # the same start once more
        released: list[Spectrum] = []
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
        uid, start = doc.get("uid"), uid_in(doc.get("run_start"))
        if not isinstance(uid, str) or start is None:
            return self._reject("invalid", source)
        route = self._routes.get((source, start))
        if route is None:
            return self._orphan(source, start)
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
            return self._orphan(source)
        stream.route.touched_s = self._clock()
        if stream.run is None:
            return []
        seq_num, data = whole(doc.get("seq_num")) or 0, doc.get("data")
        if not 0 < seq_num <= MAX_ROWS or not isinstance(data, Mapping):
            return self._reject("invalid", source)
        stream.route.received_s = self._received_s
        stream.run.put(seq_num, doc.get("time"), cast(Mapping[str, Any], data))
        return []

    def _event_page(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        events = unrolled(doc)
        if events is None:
            return self._reject("invalid", source)
        for event in events:
            self._event(event, source)
        return []

    def _stop(self, doc: Mapping[str, Any], source: str) -> list[Spectrum]:
        start = uid_in(doc.get("run_start"))
        if start is None:
            return self._reject("invalid", source)
        if (source, start) not in self._routes:
            return self._orphan(source, start)
        return self._close((source, start), doc)

    def _close(self, key: Key, stop: Mapping[str, Any] | None) -> list[Spectrum]:
        """Forget a run; return its final spectrum unless it was ignored or had it."""
        route = self._forget(key)
        self._finished[key] = None
        if len(self._finished) > _MAX_FINISHED:
            self._finished.popitem(last=False)
        return self._final(key, route, stop)

    def _release(self, key: Key, route: _Route) -> list[Spectrum]:
        """Return the incomplete final spectrum of a run that stays open."""
        spectra = self._final(key, route, None)
        route.released = True
        return spectra

    def _final(
        self, key: Key, route: _Route, stop: Mapping[str, Any] | None
    ) -> list[Spectrum]:
        if route.run is None or (route.released and stop is None):
            return []
        spectrum = finish(route.run, stop)
        if route.released and not spectrum.run.complete:
            return []  # a second incomplete one would tell nothing new
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

    def _orphan(self, source: str, uid: str | None = None) -> list[Spectrum]:
        """Reject a document whose run is unknown; silent if the run is just over."""
        if uid is not None and (source, uid) in self._finished:
            return []
        self._orphans.put(source, uid)
        return self._reject("orphan", source)

    def _reject(self, reason: str, source: str) -> list[Spectrum]:
        self._counters.add("documents_rejected_total", source=source, reason=reason)
        return []
