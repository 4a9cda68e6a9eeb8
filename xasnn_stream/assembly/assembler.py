"""Documents in, spectra out: opens runs, gives them their documents, closes them.

Nothing here raises, whatever documents come: they come from a network, and a program
that ended would read the same ones again when it starts. A run that makes it fail after all
has a rejected result.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from xasnn_stream.assembly.collect import collector
from xasnn_stream.assembly.files import Files
from xasnn_stream.assembly.header import read_header
from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.metadata import uid_in
from xasnn_stream.assembly.orphans import Orphan
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.assembly.routing import Key, Route, Router
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.spectrum import RunEnded, Spectrum
from xasnn_stream.telemetry.counters import Counters

logger = logging.getLogger(__name__)

MAX_OPEN_RUNS = 256
"""Runs kept open; beyond it the one longest untouched is closed."""

_MAX_FINISHED = 10_000

T = TypeVar("T")


class Assembler:
    """The open runs of all sources; used by one thread.

    `settings` are the profiles in order of preference, `max_open_runs` bounds what is
    kept: beyond it, the run longest untouched is closed as incomplete. `clock` gives
    seconds and only decides how long silence, and files, are waited for. `files` says
    which files documents may name; none by default.
    """

    def __init__(
        self,
        settings: Sequence[AssemblySettings],
        counters: Counters,
        max_open_runs: int = MAX_OPEN_RUNS,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        files: Files | None = None,
    ) -> None:
        self._settings = tuple(settings)
        self._counters = counters
        self._max_open_runs = max_open_runs
        self._patience = patience or Patience()
        self._clock = clock
        self._files = files or Files(roots=(), renamed={}, timeout_s=0.0)
        self._router = Router(counters, self._patience)
        self._finished: OrderedDict[Key, None] = OrderedDict()
        self._ended: list[RunEnded] = []

    def receive(
        self,
        name: str,
        doc: Mapping[str, Any],
        source: str,
        received_s: float | None = None,
    ) -> list[Spectrum]:
        """Take one document; return the spectra it completes.

        A document that cannot be used is counted. Documents are never changed.
        `received_s` says when it came, by default now.
        """
        now_s = self._clock() if received_s is None else received_s
        if name == "event":
            route = self._router.event(doc, source, now_s)
            if route is not None:
                return self._served(route, now_s)
        if name == "start":
            return self._start(doc, source, now_s)
        spectra: list[Spectrum] = []
        for route in self._router.receive(name, doc, source, now_s, self._finished):
            spectra += self._served(route, now_s)
        return spectra

    def is_open(self, uid: str, source: str) -> bool:
        """Whether a run is open that a profile took and that has no result yet."""
        route = self._router.routes.get((source, uid))
        return route is not None and route.run is not None and not route.released

    @property
    def waits(self) -> bool:
        """Whether runs that are over wait for their files."""
        return any(route.stop is not None for route in self._router.routes.values())

    def take_ended(self) -> list[RunEnded]:
        """Return the runs that ended since the last call; their spectra came before."""
        ended, self._ended = self._ended, []
        return ended

    def partials(self, sources: Collection[str]) -> list[tuple[Spectrum, float]]:
        """Return what there is so far of the open runs of `sources` that grew.

        Each spectrum has `final=False` and comes with the time its newest row was
        received. Only runs with rows that no earlier call has told of are returned,
        the one that grew last first.
        """
        grown = [
            (route.received_s, route.sweeps.so_far, route)
            for key, route in self._router.routes.items()
            if key[0] in sources and route.sweeps and route.received_s is not None
        ]
        grown.sort(key=lambda item: item[0], reverse=True)
        for _, _, route in grown:
            route.received_s = None
        return [
            (spectrum, received_s)
            for received_s, so_far, route in grown
            for spectrum in _tried(route, so_far) or []
        ]

    def release_idle_runs(self, now_s: float | None = None) -> list[Spectrum]:
        """Return spectra of runs whose end seems lost, or that waited for long enough.

        Those whose end seems lost (see `Patience`) stay open: should they go on after
        all, complete spectra follow at their stop, but no second incomplete ones. After
        the longest patience they are closed. A run that is over and waits for files is
        asked again whether they are there. `now_s` is up to when documents were taken,
        by default up to now: of those received later, any may be what is waited for.
        """
        now_s = self._clock() if now_s is None else now_s
        self._router.expire(now_s)
        released: list[Spectrum] = []
        for key, route in list(self._router.routes.items()):
            if route.stop is not None:
                released += self._close_when_whole(key, route, now_s)
                continue
            silent_s = now_s - route.touched_s
            whole = bool(_tried(route, partial(_has_announced_rows, route)))
            if silent_s > self._patience.dead_s:
                released += self._close(key, None)
            elif not route.released and silent_s > self._patience.before_release(whole):
                released += self._release(route)
        return released

    def take_orphans(self, now_s: float | None = None) -> list[Orphan]:
        """Return what came of unknown runs since the last call, each run once.

        Documents whose run may still come, too late, are held for a while first;
        `now_s` as for `release_idle_runs`.
        """
        self._router.expire(self._clock() if now_s is None else now_s)
        return self._router.orphans.take()

    def forget_run(self, uid: str, source: str) -> None:
        """Let go of a run, open or finished, so that it may come again."""
        key = (source, uid)
        self._finished.pop(key, None)
        if key in self._router.routes:
            self._router.forget(key)

    def forget_open_runs(self, source: str) -> list[str]:
        """Let go of the runs of `source` that are open, without a result; counted.

        Returns their uids.
        """
        forgotten: list[str] = []
        for key in self._of(source):
            route = self._router.forget(key)
            if route.sweeps is not None and not route.released:
                self._counters.add("runs_forgotten_total")
                forgotten.append(key[1])
        return forgotten

    def close_open_runs(self, source: str, *, wait: bool = False) -> list[Spectrum]:
        """Close all runs of `source` that are open; those without a stop are incomplete.

        With `wait`, those that wait for their files stay open until they have them.
        """
        spectra: list[Spectrum] = []
        for key in self._of(source):
            route = self._router.routes[key]
            if wait and route.stop is not None:
                route.late_until_s = 0.0
                spectra += self._close_when_whole(key, route, self._clock())
            else:
                spectra += self._close(key, route.stop)
        return spectra

    def _of(self, source: str) -> list[Key]:
        return [key for key in self._router.routes if key[0] == source]

    def _start(
        self, doc: Mapping[str, Any], source: str, now_s: float
    ) -> list[Spectrum]:
        uid = uid_in(doc.get("uid"))
        if uid is None:
            self._router.reject("invalid", source)
            return []
        key = (source, uid)
        if key in self._router.routes or key in self._finished:
            return []  # the same start once more
        spectra: list[Spectrum] = []
        while len(self._router.routes) >= self._max_open_runs:
            longest = min(self._router.routes.items(), key=lambda kr: kr[1].touched_s)
            spectra += self._close(longest[0], longest[1].stop)
        route = Route(key, None, now_s)
        try:
            route.run = self._opened(doc, uid, source)
        except Exception:  # whatever it is, it ends this run and no other
            logger.exception("run %s of %s cannot be begun", uid, source)
            self._router.reject("failed", source)
        if route.run is not None:
            route.sweeps = collector(route.run)
        else:
            self._counters.add("runs_ignored_total")
        for served in self._router.open(key, route):
            spectra += self._served(served, now_s)
        return spectra

    def _opened(
        self, start: Mapping[str, Any], uid: str, source: str
    ) -> OpenRun | None:
        """Return a run as the profile reads it that takes it, None if none does."""
        settings = choose(start, self._settings)
        if settings is None:
            return None
        header = read_header(start, uid, settings, source)
        return OpenRun(settings, header, self._files)

    def _served(self, route: Route, now_s: float) -> list[Spectrum]:
        """Return what a run can tell after one of its documents, received at `now_s`.

        What came in time may be read late: it is no reason to wait any less for others.
        """
        spectra: list[Spectrum] = []
        if route.sweeps is not None:
            spectra = self._count(route, _tried(route, route.sweeps.advance) or [])
        if route.stop is not None and route.key in self._router.routes:
            spectra += self._close_when_whole(route.key, route, now_s)
        return spectra

    def _close_when_whole(self, key: Key, route: Route, now_s: float) -> list[Spectrum]:
        """Close a run whose stop came, unless documents or files may still come."""
        if route.run is None or route.sweeps is None or route.stop is None:
            return self._close(key, route.stop)
        lacks = partial(route.run.lacks, route.stop)
        if now_s < route.late_until_s and _tried(route, lacks):
            return []
        patient = now_s < route.stopped_s + self._files.timeout_s
        spectra, waits = self._rest_of(route, route.stop, patient=patient)
        waited_s = max(0.0, now_s - max(route.stopped_s, route.late_until_s))
        if route.waited:
            spectra = [replace(spectrum, waited_s=waited_s) for spectrum in spectra]
        found = self._count(route, spectra)
        route.waited |= waits
        if not waits:
            self._forget(key, route)
        return found

    def _close(self, key: Key, stop: Mapping[str, Any] | None) -> list[Spectrum]:
        """Forget a run; return the spectra that are left, without waiting for more."""
        route = self._router.routes[key]
        spectra, _ = self._rest_of(route, stop)
        found = self._count(route, spectra)
        self._forget(key, route)
        return found

    def _release(self, route: Route) -> list[Spectrum]:
        """Return the incomplete final spectra of a run that stays open."""
        spectra, _ = self._rest_of(route, None)
        found = self._count(route, spectra)
        route.released = True
        return found

    def _rest_of(
        self, route: Route, stop: Mapping[str, Any] | None, *, patient: bool = False
    ) -> tuple[list[Spectrum], bool]:
        """Return the spectra that are left of a run, and whether it waits for more.

        Rows that are missing are counted once, however many sweeps they may be of.
        """
        if route.run is None or route.sweeps is None:
            return [], False
        rest = _tried(route, partial(route.sweeps.finish, stop, patient=patient))
        spectra, waits = rest or route.sweeps.finish(stop, patient=False)
        if not waits and not route.released:
            missed = _tried(route, partial(route.run.missing, stop)) or 0
            self._counters.add("rows_missed_total", missed, source=route.key[0])
        return spectra, waits

    def _forget(self, key: Key, route: Route) -> None:
        """Let go of a run for good; tell of its end if that came."""
        self._router.forget(key)
        self._finished[key] = None
        if len(self._finished) > _MAX_FINISHED:
            self._finished.popitem(last=False)
        if route.run is not None and route.stop is not None:
            run, (source, uid) = route.run, key
            ended = RunEnded(uid, run.settings.profile, source, len(run.made))
            self._ended.append(ended)

    def _count(self, route: Route, spectra: list[Spectrum]) -> list[Spectrum]:
        """Return what is new among spectra, counted by outcome."""
        if route.released:
            # A second incomplete one would tell nothing new.
            spectra = [spectrum for spectrum in spectra if spectrum.run.complete]
        for spectrum in spectra:
            outcome = "complete" if spectrum.run.complete else "gapped"
            if spectrum.problem is not None:
                outcome = "unusable"
            self._counters.add("sweeps_total", outcome=outcome)
        return spectra


def _has_announced_rows(route: Route) -> bool:
    return route.run is not None and route.run.has_announced_rows


def _tried(route: Route, attempt: Callable[[], T]) -> T | None:
    """Return what a run gives when asked; None if that fails, which ends the run."""
    try:
        return attempt()
    except Exception as error:  # whatever it is, it ends this run and no other
        route.spoil(error)
        return None
