"""Threads that cannot die in silence."""

import logging
import threading
from collections.abc import Callable

from xasnn_stream.errors import XasnnError

logger = logging.getLogger(__name__)

Failed = Callable[[str, BaseException], None]
"""Called with the name of a thread and what ended it."""


def start_thread(
    name: str, target: Callable[[], None], failed: Failed
) -> threading.Thread:
    """Start `target` in a daemon thread `xasnn-<name>`; `failed` hears how it died."""

    def watched() -> None:
        try:
            target()
        except BaseException as error:  # whatever ends the thread must be heard of
            expected = isinstance(error, XasnnError)
            trace = None if expected else error
            logger.critical("thread xasnn-%s died: %s", name, error, exc_info=trace)
            failed(name, error)

    thread = threading.Thread(target=watched, name=f"xasnn-{name}", daemon=True)
    thread.start()
    return thread


def join_thread(thread: threading.Thread | None, timeout_s: float) -> bool:
    """Wait for a thread to end; False, with a line in the log, if it does not."""
    if thread is None:
        return True
    thread.join(max(timeout_s, 0.0))
    if thread.is_alive():
        logger.warning("%s did not end within %.1f s", thread.name, timeout_s)
        return False
    return True
