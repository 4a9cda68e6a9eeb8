"""Which run a document belongs to, and what becomes of it there."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from xasnn_stream.assembly.accounting import MAX_ROWS
from xasnn_stream.assembly.collect import Collector
from xasnn_stream.assembly.decoders import Undecodable
from xasnn_stream.assembly.header import with_configuration
from xasnn_stream.assembly.held import Early, Held, Parent
from xasnn_stream.assembly.metadata import uid_in, whole
from xasnn_stream.assembly.orphans import Orphans
from xasnn_stream.assembly.pages import unrolled, unrolled_datums
from xasnn_stream.assembly.patience import Patience
from xasnn_stream.assembly.run import OpenRun
from xasnn_stream.assembly.spoilt import Spoilt
from xasnn_stream.assembly.streams import StreamLog
from xasnn_stream.telemetry.counters import Counters

logger = logging.getLogger(__name__)

Doc = Mapping[str, Any]
Key = tuple[str, str]
"""Source and uid of a run."""

_MAX_CHILDREN = 10_000
"""Descriptors and resources of one run."""

_RUN = "run_start"
_PARENTS = {
    "descriptor": (_RUN,),
    "event": ("descriptor",),
    "event_page": ("descriptor",),
    "resource": (_RUN,),
    "datum": ("resource",),
    "datum_page": ("resource",),
    "stream_resource": (_RUN,),
    "stream_datum": ("stream_resource", "descriptor"),
    "stop": (_RUN,),
}
"""Where a document names those it belongs to; the last says to which run and stream."""

_HAVE_CHILDREN = ("descriptor", "resource", "stream_resource")


@dataclass(slots=True, eq=False)
class Route:
    """What is known of a run; `run` is None if no profile took it.

    `touched_s` is when its last document was received, `received_s` when its newest
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
    children: list[Parent] = field(default_factory=lambda: list[Parent]())

    def spoil(self, error: Exception) -> None:
        """Give up a run that made this program fail, and say so once; others go on."""
        source, uid = self.key
        if self.run is not None and not isinstance(self.sweeps, Spoilt):
            logger.error("run %s of %s is given up", uid, source, exc_info=error)
            self.sweeps = Spoilt(self.run, error)


@dataclass(frozen=True, slots=True)
class _Child:
    """A descriptor or resource: its run, and the logs of its stream."""

    route: Route
    logs: tuple[StreamLog, ...] = ()


_Receiver = Callable[[Doc, Route, tuple[StreamLog, ...], float], bool]


class Router:
    """Finds the run of every document; what has none yet is held for a while."""

    def __init__(self, counters: Counters, patience: Patience) -> None:
        self.routes: dict[Key, Route] = {}
        self.orphans = Orphans()
        self._counters = counters
        self._patience = patience
        self._children: dict[Parent, tuple[_Child, ...]] = {}
        self._held = Held()
        self._told: set[tuple[str, str]] = set()
        self._receivers: Mapping[str, _Receiver] = {
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event_page,
            "resource": partial(self._resource, "resource"),
            "stream_resource": partial(self._resource, "stream_resource"),
            "datum": self._datum,
            "datum_page": self._datum_page,
            "stream_datum": self._stream_datum,
            "stop": self._stop,
        }

    def open(self, key: Key, route: Route) -> Iterator[Route]:
        """Open a run; yield it for every document that came before its start."""
        self.routes[key] = route
        source, uid = key
        yield from self._late((source, _RUN, uid))

    def receive(
        self, name: str, doc: Doc, source: str, now_s: float, finished: Collection[Key]
    ) -> Iterator[Route]:
        """Take one document; yield the run that it, or one it had to precede, changed."""
        if name not in self._receivers:
            return
        parents = _parents(name, doc, source)
        if not parents and name in ("resource", "stream_resource"):
            # Old documents do not name their run: it is one of those that are open.
            parents = tuple((of, _RUN, uid) for of, uid in self.routes if of == source)
            for run in parents:
                yield from self._given(name, doc, run, now_s)
            if not parents:
                self.reject("orphan", source)
            return
        runs = [uid for _, kind, uid in parents if kind == _RUN]
        if not parents or (name in ("descriptor", "stop") and not uid_in(runs[0])):
            self.reject("invalid", source)
        elif not any((source, uid) in finished for uid in runs):
            yield from self._placed(name, doc, parents, now_s)

    def event(self, doc: Doc, source: str, now_s: float) -> Route | None:
        """Take an event, if its descriptor came: what nearly all documents are.

        Returns its run; None for one that `receive` has to deal with.
        """
        descriptor = doc.get("descriptor")
        if not isinstance(descriptor, str):
            return None
        owners = self._children.get((source, "descriptor", descriptor))
        if owners is None:
            return None
        (child,) = owners
        child.route.touched_s = now_s
        self._take("event", doc, child, now_s)
        return child.route

    def forget(self, key: Key) -> Route:
        """Let go of a run."""
        route = self.routes.pop(key)
        for key_of in route.children:
            owners = self._children.pop(key_of)
            left = tuple(child for child in owners if child.route is not route)
            if left:
                self._children[key_of] = left
        return route

    def expire(self, now_s: float) -> None:
        """Give up documents whose run did not come in time."""
        for of, early in self._held.expired(now_s - self._patience.late_s):
            self._orphan(of, early)

    def reject(self, reason: str, source: str) -> None:
        """Count a document that cannot be used."""
        self._counters.add("documents_rejected_total", source=source, reason=reason)

    def _placed(
        self, name: str, doc: Doc, parents: tuple[Parent, ...], now_s: float
    ) -> Iterator[Route]:
        """Give out a document, or hold it for the first of its parents that is absent."""
        absent = next((of for of in parents if not self._owners(of)), None)
        if absent is None:
            yield from self._given(name, doc, parents[-1], now_s)
            return
        for of, early in self._held.put(absent, name, doc, now_s):
            self._orphan(of, early)

    def _given(
        self, name: str, doc: Doc, parent: Parent, now_s: float
    ) -> Iterator[Route]:
        for owner in self._owners(parent):
            owner.route.touched_s = now_s
            if self._take(name, doc, owner, now_s):
                yield owner.route
        if name in _HAVE_CHILDREN:
            yield from self._late((parent[0], name, str(doc.get("uid"))))

    def _take(self, name: str, doc: Doc, owner: _Child, now_s: float) -> bool:
        """Give a document to its run; False, and counted, if it cannot be used."""
        route = owner.route
        try:
            taken = self._receivers[name](doc, route, owner.logs, now_s)
        except Exception as error:  # whatever it is, it ends this run and no other
            route.spoil(error)
            self.reject("failed", route.key[0])
            return True
        if not taken:
            self._refuse(name, *route.key)
        return taken

    def _refuse(self, name: str, source: str, uid: str) -> None:
        """Count a document that says what cannot be; the first of a kind is told."""
        self.reject("invalid", source)
        if (source, name) not in self._told:
            self._told.add((source, name))
            text = "%s: %s of run %s lacks what it needs, or says what cannot be; more "
            logger.warning(text + "of this kind are only counted", source, name, uid)

    def _owners(self, parent: Parent) -> tuple[_Child, ...]:
        """Return what is known under a name: a run itself, or its descriptor or file.

        Runs may refer to the same file, each under a resource of the same uid.
        """
        source, kind, uid = parent
        if kind != _RUN:
            return self._children.get(parent, ())
        route = self.routes.get((source, uid))
        return (_Child(route),) if route is not None else ()

    def _late(self, parent: Parent) -> Iterator[Route]:
        """Give out what was held for a document that has come now."""
        if not self._owners(parent):
            return
        for early in self._held.take(parent):
            parents = _parents(early.name, early.doc, parent[0])
            yield from self._placed(early.name, early.doc, parents, early.received_s)

    def _adopt(
        self, kind: str, doc: Doc, route: Route, logs: tuple[StreamLog, ...] = ()
    ) -> bool:
        """Take a descriptor or resource for one of the run's; False if it is not."""
        uid = doc.get("uid")
        if not isinstance(uid, str):
            return False
        key = (route.key[0], kind, uid)
        owners = self._children.get(key, ())
        if any(owner.route is route for owner in owners):
            return True  # the same once more
        if owners and kind == "descriptor":
            return False  # its events would be those of another run
        if len(route.children) >= _MAX_CHILDREN:
            return False
        route.children.append(key)
        self._children[key] = (*owners, _Child(route, logs))
        return True

    def _descriptor(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        if route.run is not None:
            logs = tuple(route.run.logs_named(doc.get("name")))
        if not self._adopt("descriptor", doc, route, logs):
            return False
        if route.run is not None:
            said = doc.get("configuration")
            with_configuration(route.run.header, said, route.run.settings)
        for log in logs:
            log.describe(doc.get("data_keys"))
        return True

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
        self,
        kind: str,
        doc: Doc,
        route: Route,
        logs: tuple[StreamLog, ...],
        now_s: float,
    ) -> bool:
        taken = route.run is None or route.run.references.add_resource(doc)
        return taken and self._adopt(kind, doc, route)

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

    def _stream_datum(
        self, doc: Doc, route: Route, logs: tuple[StreamLog, ...], now_s: float
    ) -> bool:
        run = route.run
        if run is None:
            return True
        resource = run.references.resource(str(doc.get("stream_resource")))
        try:
            for log in logs:
                if resource is not None:
                    log.add_stream_resource(resource)
                log.growing.consume(doc)
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

    def _orphan(self, parent: Parent, early: Early) -> None:
        """Tell of a document whose run did not come; by name, if it has one."""
        source, kind, uid = parent
        named = kind == _RUN and uid_in(uid) is not None
        self.orphans.put(source, uid if named else None)
        self.reject("orphan", source)


def _parents(name: str, doc: Doc, source: str) -> tuple[Parent, ...]:
    """Return what a document belongs to, nothing if it does not name all of it."""
    kinds = _PARENTS[name]
    named = [(kind, doc.get(kind)) for kind in kinds]
    found = tuple((source, kind, uid) for kind, uid in named if isinstance(uid, str))
    return found if len(found) == len(kinds) else ()
