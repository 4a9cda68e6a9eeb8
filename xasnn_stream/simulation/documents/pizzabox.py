"""Files of pizza boxes: an analog box with eight inputs, an encoder's, a trigger's."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.spectrum import FloatArray

TICK_S = 8.0051232e-9
IntArray = NDArray[np.int64]


def analog_bytes(time_s: FloatArray, microvolts: FloatArray, padding: int) -> bytes:
    """Return rows of ten int32: eight inputs in µV, seconds, ticks.

    Parameters
    ----------
    time_s
        Epoch seconds, `(rows,)`.
    microvolts
        `(rows, inputs)` of at most eight inputs; the others read zero.
    padding
        Rows of zeros behind the last: the box writes as many rows as it was promised.
    """
    rows = np.zeros((len(time_s) + padding, 10), np.int64)
    measured = rows[: len(time_s)]
    measured[:, : microvolts.shape[1]] = np.rint(microvolts)
    measured[:, 8:] = _seconds_and_ticks(time_s)
    return rows.astype("<i4").tobytes()


def trigger_bytes(rise_s: FloatArray, fall_s: FloatArray) -> bytes:
    """Return rows of three int32: transition (1 up, 0 down), seconds, ticks."""
    edges = np.stack([rise_s, fall_s], axis=1).ravel()
    rows = np.zeros((len(edges), 3), np.int64)
    rows[::2, 0] = 1
    rows[:, 1:] = _seconds_and_ticks(edges)
    return rows.astype("<i4").tobytes()


def encoder_text(time_s: FloatArray, position: IntArray, padding: int) -> str:
    """Return lines `seconds nanoseconds count index state`.

    Counts are the position modulo 2²⁴, without sign. `padding` lines of zeros stand
    before the first.
    """
    seconds = np.floor(time_s).astype(np.int64)
    nanoseconds = np.rint((time_s - seconds) * 1e9).astype(np.int64)
    counts = position & 0xFFFFFF
    rows = zip(seconds, nanoseconds, counts, strict=True)
    lines = [f"{s} {ns} {c} {n} 0" for n, (s, ns, c) in enumerate(rows)]
    return "\n".join(["0 0 0 0 0"] * padding + lines) + "\n"


def write(path: Path, content: bytes | str) -> None:
    """Write a file and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _seconds_and_ticks(time_s: FloatArray) -> IntArray:
    seconds = np.floor(time_s)
    ticks = np.rint((time_s - seconds) / TICK_S)
    return np.stack([seconds, ticks], axis=1).astype(np.int64)
