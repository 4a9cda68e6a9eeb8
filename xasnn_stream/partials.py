"""The newest partial estimate of every run being measured: for eyes, never kept.

A partial estimate is overwritten by the next one of the same run and forgotten when
the final one of its sweep is in the log, or the run is over, so nothing here grows and
nobody waits for a slow reader.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xasnn_stream.estimate import Estimate

MAX_RUNS = 64
"""Runs kept; beyond it the one longest without news is forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """A partial estimate; `version` rises with everything published here."""

    version: int
    published: float
    latency_s: float
    device: str
    estimate: Estimate

    def header(self) -> dict[str, Any]:
        """Return the delivery that wraps it, without arrays; it has no `seq`."""
        return {
            "seq": None,
            "prev": None,
            "published": self.published,
            "latency_s": self.latency_s,
            "waited_s": 0.0,
            "device": self.device,
            "estimate": self.estimate.document(),
        }


class Partials:
    """What is being measured now; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._newest: OrderedDict[tuple[str, str], Partial] = OrderedDict()

    @property
    def version(self) -> int:
        """Version of what was published last, 0 before anything was."""
        return self._version

    def publish(
        self, estimates: Sequence[Estimate], latency_s: Sequence[float], device: str
    ) -> None:
        """Replace what is known of these runs."""
        with self._changed:
            for estimate, seconds in zip(estimates, latency_s, strict=True):
                key = _key(estimate)
                self._version += 1
                self._newest.pop(key, None)
                self._newest[key] = Partial(
                    self._version, time.time(), seconds, device, estimate
                )
                if len(self._newest) > MAX_RUNS:
                    self._newest.popitem(last=False)
            self._changed.notify_all()

    def end(self, finals: Sequence[Estimate]) -> None:
        """Forget sweeps that have their final estimate, and those before them."""
        with self._changed:
            for estimate in finals:
                partial = self._newest.get(_key(estimate))
                if partial and partial.estimate.run.sweep <= estimate.run.sweep:
                    del self._newest[_key(estimate)]

    def end_run(self, uid: str) -> None:
        """Forget a run that is over: what went on then became no sweep."""
        with self._changed:
            for key in [key for key in self._newest if key[1] == uid]:
                del self._newest[key]

    def since(self, version: int) -> list[Partial]:
        """Return what is newer than `version`, oldest first."""
        with self._changed:
            return [p for p in self._newest.values() if p.version > version]

    def wait(self, version: int, timeout_s: float) -> bool:
        """Wait until something newer was published; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._version > version, timeout_s)


def _key(estimate: Estimate) -> tuple[str, str]:
    return estimate.provenance.profile, estimate.run.uid
