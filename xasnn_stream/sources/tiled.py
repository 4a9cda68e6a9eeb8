"""Stored runs of a Tiled server, as the documents they were made of.

The server must offer the `application/json-seq` export of Bluesky runs, which gives
back start, stop and descriptors as stored, and per event `seq_num`, `time` and values;
the events' uids are made up anew.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

from xasnn_stream.errors import SourceError
from xasnn_stream.sources.document import Document, Intake
from xasnn_stream.sources.selection import Selection
from xasnn_stream.telemetry.counters import Counters

API_KEY = "XASNN_TILED_API_KEY"

_SERVER_ERROR = 500
_NO_EXPORTER = (
    "the server cannot export runs as documents; add to its configuration: "
    "media_types: {BlueskyRun: {application/json-seq: "
    "bluesky_tiled_plugins.exporters:json_seq_exporter}}"
)


class TiledSource:
    """The finished runs below one folder of a Tiled server, in the order stored.

    One request fetches a whole run, so `receive` may take longer than its timeout; the
    client's own timeouts bound it.
    """

    can_wait = True
    comes_again = False

    def __init__(
        self,
        server: str,
        folder: str,
        counters: Counters,
        selection: Selection | None = None,
    ) -> None:
        self.address = f"tiled+{server}/{folder}"
        self._intake = Intake(self.address, counters)
        self._selection = selection or Selection()
        self._client, self._folder = _open(server, folder)
        self._intake.connected(True)
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
        self._client.context.close()

    def _next_run(self) -> None:
        """Fetch the documents of the next run; a run that cannot be read is counted."""
        import httpx

        try:
            run = next(self._runs, None)
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{self.address}: {error!r}") from error
        if run is None:
            self._exhausted = True
            self._intake.connected(False)
            return
        try:
            documents = [(str(name), dict(doc)) for name, doc in run.documents()]
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            if status == httpx.codes.NOT_ACCEPTABLE:
                raise SourceError(f"{self.address}: {_NO_EXPORTER}") from error
            if status >= _SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
                # The server's state, not the run's: another time it may give it.
                raise SourceError(f"{self.address}: {error}") from error
            self._reject(run, error)
        except httpx.HTTPError as error:
            raise SourceError(f"{self.address}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            # Not the documents of a run, though the server says so.
            self._reject(run, error)
        else:
            self._documents = iter(documents)

    def _reject(self, run: Any, error: Exception) -> None:
        uid = run.metadata["start"].get("uid")
        self._intake.reject("body", f"run {uid}: {error!r}")

    def _selected(self) -> Iterator[Any]:
        """Yield the runs selected; a run being written is left to live sources."""
        for run in self._candidates():
            start, stop = run.metadata.get("start"), run.metadata.get("stop")
            if start and stop and self._selection.takes(start):
                yield run

    def _candidates(self) -> Iterator[Any]:
        from tiled.queries import Comparison

        wanted = self._selection
        if wanted.uids:
            for uid in wanted.uids:
                try:
                    yield self._folder[uid]
                except KeyError:
                    raise SourceError(f"{self.address} holds no run {uid}") from None
            return
        runs = self._folder
        # The server narrows the search; the exact comparison is the selection's.
        if wanted.since is not None:
            runs = runs.search(Comparison("ge", "start.time", math.floor(wanted.since)))
        if wanted.until is not None:
            runs = runs.search(Comparison("le", "start.time", math.ceil(wanted.until)))
        for run in runs.values():
            if hasattr(run, "documents"):
                yield run


def _open(server: str, folder: str) -> tuple[Any, Any]:
    """Return the server's root client and the client of the folder."""
    # Registers the clients of Bluesky runs; slow to import, so only when needed.
    import bluesky_tiled_plugins  # noqa: F401
    import httpx
    from tiled.client import from_uri

    try:
        root = from_uri(server, api_key=os.environ.get(API_KEY))
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
