"""Which run a document belongs to, and what becomes of it there."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from xasnn_stream.assembly.accounting import MAX_ROWS
from xasnn_stream.assembly.collect import Collector
from xasnn_stream.assembly.decoders import Undecodable
from xasnn_stream.assembly.header import with_configuration
from xasnn_stream.assembly.held import Early, Held, Key
from xasnn_stream.assembly.metadata import uid_in, whole
from xasnn_stream.assembly.orphans import Orphans
from xasnn_stream.assembly.pages import unrolled, unrolled_datums
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.telemetry.counters import Counters

Doc = Mapping[str, Any]

_MAX_CHILDREN = 10_000
"""Descriptors and resources of one run."""

_PARENTS = {
    "descriptor": "run_start",
    "event": "descriptor",
    "event_page": "descriptor",
    "resource": "run_start",
    "datum": "resource",
    "datum_page": "resource",
    "stream_resource": "run_start",
    "stream_datum": "stream_resource",
    "stop": "run_start",
}
"""Where a document names the one it belongs to."""

_HAVE_CHILDREN = ("descriptor", "resource", "stream_resource")


@dataclass(slots=True, eq=False)
class Route:
    """What is known of a run; `run` is None if no profile took it.

    `touched_s` is when its last document was assembled, `received_s` when its newest
    row was received, None once a partial spectrum told of it. `released` runs have had
    their incomplete final spectra. With its `stop`, received at `stopped_s`, a run is
    over: until `late_until_s` documents, and then files, are waited for (`waited`).
    """

    key: Key
    run: OpenRun | None
    touched_s: float
    sweeps: Collector | None = None
    received_s: float | None = None
    released: bool = False
    stop: Doc | None = None
    stopped_s: float = 0.0
    late_until_s: float = 0.0
    waited: bool = False
    children: list[Key] = field(default_factory=lambda: list[Key]())


@dataclass(frozen=True, slots=True)
class _Child:
    """A descriptor or resource: its run, and the logs of its stream."""

    route: Route
    logs: tuple[StreamLog, ...] = ()


class Router:
    """Finds the run of every document; what has none yet is held for a while."""

    def __init__(self, counters: Counters, patience: Patience) -> None:
        self.routes: dict[Key, Route] = {}
        self.orphans = Orphans()
        self._counters = counters
        self._patience = patience
        self._children: dict[Key, _Child] = {}
        self._held = Held()
        self._receivers = {
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "resource": self._resource,
            "datum": self._datum,
            "datum_page": self._datum_page,
            "stream_resource": self._stream_resource,
            "stream_datum": self._stream_datum,
            "stop": self._stop,
        }

    def open(self, key: Key, route: Route) -> Iterator[Route]:
        """Open a run; yield it for every document that came before its start."""
        self.routes[key] = route
        yield from self._late(key)

    def receive(
        self, name: str, doc: Doc, source: str, now_s: float, finished: Collection[Key]
    ) -> Iterator[Route]:
        """Take one document; yield the run that it, or one it had to precede, changed."""
        if name not in self._receivers:
            return
        named = doc.get(_PARENTS[name])
        parent = (source, named) if isinstance(named, str) else None
        if parent is None and name in ("resource", "stream_resource"):
            # Old documents do not name their run: it is one of those that are open.
            for key in [key for key in self.routes if key[0] == source]:
                yield from self._given(name, doc, key, now_s)
            return
        if parent is None or (name in ("descriptor", "stop") and not uid_in(named)):
            self.reject("invalid", source)
        elif parent in self.routes or parent in self._children:
            yield from self._given(name, doc, parent, now_s)
        elif parent not in finished:
            for of, early in self._held.put(parent, name, doc, now_s):
                self._orphan(of, early)

    def event(self, doc: Doc, source: str, now_s: float) -> Route | None:
        """Take an event, if its descriptor came: what nearly all documents are.

        Returns its run; None for one that `receive` has to deal with.
        """
        descriptor = doc.get("descriptor")
        if not isinstance(descriptor, str):
            return None
        child = self._children.get((source, descriptor))
        if child is None:
            return None
        child.route.touched_s = now_s
        if not self._event(doc, child.route, child.logs, now_s):
            self.reject("invalid", source)
        return child.route

    def forget(self, key: Key) -> Route:
        """Let go of a run."""
        route = self.routes.pop(key)
        for child in route.children:
            self._children.pop(child, None)
        return route

    def expire(self, now_s: float) -> None:
        """Give up documents whose run did not come in time."""
        for of, early in self._held.expired(now_s - self._patience.late_s):
            self._orphan(of, early)

    def reject(self, reason: str, source: str) -> None:
        """Count a document that cannot be used."""
        self._counters.add("documents_rejected_total", source=source, reason=reason)

    def _given(self, name: str, doc: Doc, parent: Key, now_s: float) -> Iterator[Route]:
        child = self._children.get(parent)
        route = child.route if child is not None else self.routes[parent]
        route.touched_s = now_s
        logs = child.logs if child is not None else ()
        if not self._receivers[name](doc, route, logs, now_s):
            self.reject("invalid", parent[0])
            return
        yield route
        if name in _HAVE_CHILDREN:
            yield from self._late((parent[0], str(doc.get("uid"))))

    def _late(self, parent: Key) -> Iterator[Route]:
        """Give out what was held for a document that has come now."""
        for early in self._held.take(parent):
            yield from self._given(early.name, early.doc, parent, early.received_s)

    def _adopt(self, doc: Doc, route: Route, logs: tuple[StreamLog, ...] = ()) -> bool:
        uid = doc.get("uid")
        if not isinstance(uid, str):
            return False
        key = (route.key[0], uid)
        if key in self._children:
            return True  # the same once more
        if len(route.children) >= _MAX_CHILDREN:
            return False
        route.children.append(key)
        self._children[key] = _Child(route, logs)
        return True

    def _descriptor(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        if route.run is not None:
            logs = tuple(route.run.logs_named(doc.get("name")))
            said = doc.get("configuration")
            with_configuration(route.run.header, said, route.run.settings)
        for log in logs:
            log.describe(doc.get("data_keys"))
        return self._adopt(doc, route, logs)

    def _event(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        sweeps = route.sweeps
        if sweeps is None or not logs:
            return True
        seq_num, data = whole(doc.get("seq_num")) or 0, doc.get("data")
        if not 0 < seq_num <= MAX_ROWS or not isinstance(data, Mapping):
            return False
        route.received_s = now_s
        kept = True
        for log in logs:
            if sweeps.note(log, seq_num):
                kept &= log.put(seq_num, doc.get("time"), cast(Doc, data))
        return kept

    def _event_page(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        events = unrolled(doc)
        if events is None:
            return False
        kept = [self._event(event, route, logs, now_s) for event in events]
        return all(kept)

    def _resource(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        taken = route.run is None or route.run.references.add_resource(doc)
        return taken and self._adopt(doc, route)

    def _datum(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        return route.run is None or route.run.references.add_datum(doc)

    def _datum_page(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        datums = unrolled_datums(doc)
        if datums is None:
            return False
        kept = [self._datum(datum, route, logs, now_s) for datum in datums]
        return all(kept)

    def _stream_resource(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        if route.run is not None:
            route.run.references.add_resource(doc)
        return self._adopt(doc, route)

    def _stream_datum(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        run, descriptor = route.run, doc.get("descriptor")
        if run is None:
            return True
        child = self._children.get((route.key[0], str(descriptor)))
        if child is None:
            return False
        resource = run.references.resource(str(doc.get("stream_resource")))
        try:
            for log in child.logs:
                if resource is not None:
                    log.add_stream_resource(resource)
                log.add_stream_datum(doc)
        except Undecodable:
            return False
        route.received_s = now_s
        return True

    def _stop(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        if route.stop is None:
            route.stop, route.stopped_s = doc, now_s
            route.late_until_s = now_s + self._patience.late_s
        return True

    def _orphan(self, parent: Key, early: Early) -> None:
        """Tell of a document whose run did not come; by name, if it has one."""
        source, uid = parent
        named = _PARENTS[early.name] == "run_start"
        self.orphans.put(source, uid if named and uid_in(uid) else None)
        self.reject("orphan", source)
