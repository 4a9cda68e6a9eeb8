"""Moments as people type them on a command line."""

import argparse
import re
import time
from datetime import datetime

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_YEAR_9999_S = 253_370_764_800.0
_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def moment(text: str) -> float:
    """Return epoch seconds of `1795305600`, `2026-11-22T08:30`, or `8h` ago.

    For argparse: raises ArgumentTypeError for anything else.
    """
    seconds = _seconds(text)
    if seconds is None or not 0 <= seconds < _YEAR_9999_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither epoch seconds, nor a time like 2026-11-22T08:30, "
            "nor a time ago like 8h or 2d"
        )
    return seconds


def _seconds(text: str) -> float | None:
    if ago := _AGO.fullmatch(text):
        return time.time() - float(ago[1]) * _UNITS_S[ago[2]]
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
