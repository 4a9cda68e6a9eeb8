"""Which runs are known to lack a complete result, and when to look for them again."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_DELAY_S = 1.0
"""A store shows a run's stop some tenths of a second after the RunEngine sent it."""
LONGEST_DELAY_S = 60.0
GIVE_UP_S = 6 * 3600.0
"""A run whose stop was not stored for so long will not have one."""
READ_S = 600.0
"""A run that was read has its result by then, however long the queues are."""
OVERDUE_S = 10.0
"""A stop that is stored comes over a live source within this, or it is lost.

Longer than the assembler waits for the stop of a run with all its rows
(`Patience.whole_s`): first its incomplete result, at once, then the complete one.
"""
MAX_KNOWN = 1_000
NEVER = float("inf")


@dataclass(slots=True)
class _Search:
    since: float
    due: float
    delay: float = FIRST_DELAY_S


class Missing:
    """What pipeline and recovery tell each other; any thread may call any method.

    A run is *heard* while its documents are being assembled: its result is on the way.
    It is *known* once it is certain that a complete result is missing, until there is
    one. `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: set[str] = set()
        self._known: OrderedDict[str, _Search] = OrderedDict()
        self._scan = _Search(clock(), clock())
        self._asked = False

    # What the pipeline tells.

    def heard(self, uid: str) -> None:
        """Note that a run is being assembled."""
        with self._lock:
            self._heard.add(uid)

    def unheard(self, uid: str) -> None:
        """Note that a run is no longer being assembled, without a result."""
        with self._lock:
            self._heard.discard(uid)

    def complete(self, uid: str) -> bool:
        """Note that a run has its complete results; return whether they were missing."""
        with self._lock:
            self._heard.discard(uid)
            return self._known.pop(uid, None) is not None

    def incomplete(self, uid: str) -> None:
        """Note that a run is over as far as it is heard, and lacks complete results.

        It is looked for soon.
        """
        with self._lock:
            self._heard.discard(uid)
            self._expect(uid)

    def unknown(self, uid: str) -> None:
        """Note that a document named a run; it is looked for soon unless it is heard."""
        with self._lock:
            if uid not in self._heard:
                self._expect(uid)

    def over(self, uid: str) -> None:
        """Note that the stop of a run came: a known run is looked for soon."""
        with self._lock:
            if uid in self._known:
                self._expect(uid)

    def look(self) -> None:
        """Have all of the store looked at soon: something was lost that named no run."""
        with self._lock:
            self._asked = True
            self._scan.due = min(self._scan.due, self._clock() + self._scan.delay)

    # What recovery asks and tells.

    @property
    def count(self) -> int:
        """How many runs are known that have no complete result."""
        return len(self._known)

    @property
    def busy(self) -> bool:
        """Whether runs are heard, whose results are still to come."""
        return bool(self._heard)

    def due(self) -> list[str]:
        """Return the known runs to be looked for now."""
        with self._lock:
            now = self._clock()
            for search in self._known.values():
                if now - search.since > GIVE_UP_S:
                    search.due = NEVER
            return [uid for uid, s in self._known.items() if s.due <= now]

    def may_read(self, uid: str) -> bool:
        """Whether a run whose stop is stored may be read now.

        Not while it is to be left alone. A run that is heard should have had its stop:
        it may be read if it still is `OVERDUE_S` after the first time of asking.
        """
        with self._lock:
            if uid in self._heard and uid not in self._known:
                self._search(uid).due = self._clock() + OVERDUE_S
            search = self._known.get(uid)
            return search is None or search.due <= self._clock()

    def reading(self, uid: str) -> None:
        """Leave a run alone that is being read: its result will follow."""
        with self._lock:
            self._search(uid).due = self._clock() + READ_S

    def later(self, uid: str) -> None:
        """Look for a run again after a while, which doubles each time."""
        with self._lock:
            search = self._search(uid)
            search.due = self._clock() + search.delay
            search.delay = min(2 * search.delay, LONGEST_DELAY_S)

    def give_up(self, uid: str) -> None:
        """Never read a run again: the store has no more of it."""
        with self._lock:
            self._search(uid).due = NEVER

    def ignore(self, uid: str) -> None:
        """Forget a run that is no profile's."""
        with self._lock:
            self._known.pop(uid, None)

    def scan_due(self) -> bool:
        """Whether all of the store is to be looked at now."""
        return self._scan.due <= self._clock()

    def scan_begun(self) -> None:
        """Set the next time, as all of the store is being looked at.

        Scans that are asked for again and again come at growing distances.
        """
        with self._lock:
            longer = min(2 * self._scan.delay, LONGEST_DELAY_S)
            self._scan.delay = longer if self._asked else FIRST_DELAY_S
            self._scan.due = self._clock() + LONGEST_DELAY_S
            self._asked = False

    def everything_due(self) -> None:
        """Look once more for all that is neither given up nor being read."""
        with self._lock:
            now = self._clock()
            for search in (self._scan, *self._known.values()):
                if search.due - now <= LONGEST_DELAY_S:
                    search.due = now

    def _expect(self, uid: str) -> None:
        search = self._search(uid)
        if search.due != NEVER:
            search.due = self._clock() + FIRST_DELAY_S
            search.delay = FIRST_DELAY_S

    def _search(self, uid: str) -> _Search:
        search = self._known.get(uid)
        if search is None:
            now = self._clock()
            search = self._known[uid] = _Search(now, now + FIRST_DELAY_S)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return search
