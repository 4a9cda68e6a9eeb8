"""How the C library treats memory that is given back: kept for what comes next.

Batches are computed in blocks of some megabytes that live for a moment. glibc returns
such a block to the system as soon as it is free, and the next one costs a page fault for
every 4 KiB of it: up to a third of the time of a batch.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
_KEPT_BYTES = 256 * 2**20
"""Free memory at the top of a heap that is not given back."""
_LARGEST_BYTES = 32 * 2**20
"""Blocks above are mapped one by one, as they always were; glibc allows no more."""


def keep_freed_memory() -> bool:
    """Let this process keep some memory it has freed; return whether that was possible.

    It is with glibc on Linux; elsewhere nothing is changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        and mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
    )
