"""Stored runs of a Tiled server, as the documents they were made of.

The server must offer the `application/json-seq` export of Bluesky runs, which gives
back start, stop and descriptors as stored, and per event `seq_num`, `time` and values;
the events' uids are made up anew. Arrays in files come as values of events, too, as far
as the server can read them.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from xasnn_stream.errors import InvalidSourceError, SourceError
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.external import fetch_arrays
from xasnn_stream.sources.selection import Selection
from xasnn_stream.sources.store import StoredRun, UnreadableRunError
from xasnn_stream.telemetry.counters import Counters

API_KEY = "XASNN_TILED_API_KEY"

_SERVER_ERROR = 500
_NO_EXPORTER = (
    "the server cannot export runs as documents; add to its configuration: "
    "media_types: {BlueskyRun: {application/json-seq: "
    "bluesky_tiled_plugins.exporters:json_seq_exporter}}"
)


class TiledStore:
    """The runs below one folder of a Tiled server, in the order stored.

    `server` is its address, or `databroker:NAME`, as a profile of Tiled's client names
    it. One request fetches a whole run; the client's own timeouts bound it. Raises
    `SourceError` if the server cannot be opened.
    """

    def __init__(self, server: str, folder: str) -> None:
        scheme = "" if is_named(server) else "tiled+"
        self.address = f"{scheme}{server}/{folder}".rstrip("/")
        self._client, self._folder = _open(server, folder)

    def finished_runs(
        self, since: float | None = None, until: float | None = None
    ) -> Iterator[StoredRun]:
        """Yield the runs that have a stop and started in the time given (epoch)."""
        from tiled.queries import Comparison

        with self._asking():
            runs = self._folder
            if since is not None:
                runs = runs.search(Comparison("ge", "start.time", math.floor(since)))
            if until is not None:
                runs = runs.search(Comparison("le", "start.time", math.ceil(until)))
            found = iter(runs.values())
        while True:
            with self._asking():
                run = next(found, None)
                if run is None:
                    return
                stored = self._finished(run)
            if stored is not None:
                yield stored

    def finished_run(self, uid: str) -> StoredRun | None:
        """Return one run, None if it is not there or has no stop yet."""
        with self._asking():
            try:
                run = self._folder[uid]
            except KeyError:
                return None
            found = self._finished(run)
        # What a network calls a uid may be the path of something else.
        return found if found and found.start.get("uid") == uid else None

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._client.context.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except _failures() as error:
            raise SourceError(f"{self.address}: {error!r}") from error

    def _finished(self, run: Any) -> StoredRun | None:
        if not hasattr(run, "documents"):
            return None
        start, stop = run.metadata.get("start"), run.metadata.get("stop")
        if not (start and stop):
            return None
        return StoredRun(dict(start), partial(self._documents, run))

    def _documents(self, run: Any) -> list[tuple[str, dict[str, Any]]]:
        import httpx

        try:
            documents = [(str(name), dict(doc)) for name, doc in run.documents()]
            return fetch_arrays(run, documents)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status == httpx.codes.NOT_ACCEPTABLE:
                raise SourceError(f"{self.address}: {_NO_EXPORTER}") from error
            if status >= _SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
                # The server's state, not the run's: another time it may give it.
                raise SourceError(f"{self.address}: {error}") from error
            raise _unreadable(run, error) from error
        except httpx.HTTPError as error:
            raise SourceError(f"{self.address}: {error}") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Not the documents of a run, though the server says so.
            raise _unreadable(run, error) from error


class TiledSource:
    """The finished runs of a Tiled store that are selected, once.

    `receive` may take longer than its timeout: as long as the request it is in.
    """

    can_wait = True

    def __init__(
        self,
        server: str,
        folder: str,
        counters: Counters,
        selection: Selection | None = None,
    ) -> None:
        self._store = TiledStore(server, folder)
        self.address = self._store.address
        self._intake = Intake(self.address, counters)
        self._intake.connected(True)
        self._selection = selection or Selection()
        self._runs = self._selected()
        self._documents: Iterator[tuple[str, dict[str, Any]]] = iter(())
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether the last selected run was received."""
        return self._exhausted

    @property
    def connected(self) -> bool:
        """Whether there is more to read."""
        return not self._exhausted

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None at the end; SourceError if that fails."""
        while not self._exhausted:
            for name, doc in self._documents:
                document = self._intake.accept(name, doc)
                if document is not None:
                    return document
            self._next_run()
        return None

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._exhausted = True
        self._intake.connected(False)
        self._store.close()

    def _next_run(self) -> None:
        """Fetch the documents of the next run; a run that cannot be read is counted."""
        run = next(self._runs, None)
        if run is None:
            self._exhausted = True
            self._intake.connected(False)
            return
        try:
            self._documents = iter(run.documents())
        except UnreadableRunError as error:
            self._intake.reject("body", str(error))

    def _selected(self) -> Iterator[StoredRun]:
        wanted = self._selection
        for run in self._named() if wanted.uids else self._in_time():
            # The server narrowed the search; the exact comparison is the selection's.
            if wanted.takes(run.start):
                yield run

    def _in_time(self) -> Iterator[StoredRun]:
        return self._store.finished_runs(self._selection.since, self._selection.until)

    def _named(self) -> Iterator[StoredRun]:
        for uid in self._selection.uids:
            run = self._store.finished_run(uid)
            if run is None:
                raise SourceError(f"{self.address} holds no run {uid} that is over")
            yield run


def _failures() -> tuple[type[Exception], ...]:
    """Return what the client raises when server, key or answer is not as it should be."""
    import httpx

    http = (httpx.HTTPError, httpx.InvalidURL)
    return (*http, KeyError, TypeError, ValueError, RuntimeError)


def _unreadable(run: Any, error: Exception) -> UnreadableRunError:
    return UnreadableRunError(f"run {run.metadata['start'].get('uid')}: {error!r}")


def is_named(server: str) -> bool:
    """Whether a server is given by the name of a catalog, not by its address."""
    return server.startswith("databroker:")


def _open(server: str, folder: str) -> tuple[Any, Any]:
    """Return the server's root client and the client of the folder."""
    # Registers the clients of Bluesky runs; slow to import, so only when needed.
    import bluesky_tiled_plugins  # noqa: F401
    import httpx

    try:
        root = _from_profile(server) if is_named(server) else _from_address(server)
        try:
            return root, root[folder] if folder else root
        except KeyError:
            root.context.close()
            raise SourceError(f"the Tiled server {server} has no {folder!r}") from None
    # RuntimeError is how the client says that the server wants a key.
    except (httpx.HTTPError, ValueError, RuntimeError) as error:
        raise SourceError(
            f"cannot open the Tiled server {server}: {error}; "
            f"is it running, and is {API_KEY} its key?"
        ) from error


def _from_address(server: str) -> Any:
    from tiled.client import from_uri

    return from_uri(server, api_key=os.environ.get(API_KEY))


def _from_profile(server: str) -> Any:
    from tiled.client import from_profile
    from tiled.profiles import load_profiles

    name = server.partition(":")[2]
    profiles = load_profiles()
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise InvalidSourceError(
            f"{server}: Tiled knows no catalog of that name here, only: {known}; "
            "`tiled profile create` makes one known"
        )
    _, profile = profiles[name]
    key = os.environ.get(API_KEY)
    # A profile holds no key; without ours the client has its own ways. A catalog that is
    # read without a server wants none.
    given = {"api_key": key} if key and "uri" in profile else {}
    return from_profile(name, **given)
