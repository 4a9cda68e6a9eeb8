"""Reads runs again that have no complete result, from where runs are stored."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from xasnn_stream.assembly.matching import choose
from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.errors import SourceError
from xasnn_stream.results import ResultLog
from xasnn_stream.sources.document import Document, Source
from xasnn_stream.sources.open import open_source
from xasnn_stream.sources.selection import Selection
from xasnn_stream.telemetry.counters import Counters

logger = logging.getLogger(__name__)

LOOK_BACK_S = 7 * 24 * 3600.0
"""Runs that started longer ago are left alone."""
RETRY_S = 60.0


class Backfill:
    """A source of the stored runs at `url` that match a profile and lack a result.

    What it recovers has the same id as the live result would have had, so reading a run
    once too often changes nothing. A store that cannot be reached is tried again every
    minute; meanwhile the daemon works.
    """

    can_wait = True
    comes_again = True

    def __init__(
        self,
        url: str,
        settings: list[AssemblySettings],
        log: ResultLog,
        counters: Counters,
    ) -> None:
        self.address = f"backfill {url}"
        self._url = url
        self._settings = settings
        self._log = log
        self._counters = counters
        self._source: Source | None = None
        self._exhausted = False
        self._retry_at = 0.0

    @property
    def exhausted(self) -> bool:
        """Whether every run that lacked a result was read."""
        return self._exhausted

    @property
    def connected(self) -> bool:
        """Whether the store is open."""
        return self._source is not None

    def receive(self, timeout_s: float) -> Document | None:
        """Return the next document, None if there is none within `timeout_s`."""
        if self._exhausted or time.monotonic() < self._retry_at:
            time.sleep(timeout_s)
            return None
        try:
            if self._source is None:
                self._source = open_source(self._url, self._counters, self._missing())
            document = self._source.receive(timeout_s)
            self._exhausted = self._source.exhausted
        except SourceError as error:
            logger.warning("%s; recovery goes on in %.0f s", error, RETRY_S)
            self._retry_at = time.monotonic() + RETRY_S
            self.close()
            return None
        return document

    def close(self) -> None:
        """Close the store; may be called twice."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _missing(self) -> Selection:
        def wanted(start: Mapping[str, Any]) -> bool:
            uid = start.get("uid")
            if not isinstance(uid, str) or choose(start, self._settings) is None:
                return False
            if self._log.has_complete(uid):
                return False
            self._counters.add("runs_recovered_total")
            logger.info("run %s has no complete result; reading it again", uid)
            return True

        return Selection(since=time.time() - LOOK_BACK_S, wanted=wanted)
