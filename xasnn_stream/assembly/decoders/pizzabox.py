"""Files of pizza boxes: electrometer and trigger binaries, encoder and ADC text.

Times are `seconds + ticks x 8.0051232 ns`, seconds of the epoch. What a file holds is
taken from the file; descriptors announce shapes that no file has.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.decoders.decoder import (
    Columns,
    NotReady,
    Undecodable,
    content,
    whole_number,
)
from xasnn_stream.assembly.decoders.text import field_names, numbers

TICK_S = 8.0051232e-9
CHANNELS = ("i0", "it", "ir", "iff", "aux1", "aux2", "aux3", "aux4")
ENCODER = ("ts_s", "ts_ns", "encoder", "index", "state")
ADC = ("ts_s", "ts_ns", "index", "adc", "adc2")
VOLT_PER_COUNT = 7.62939453125e-05
"""20 V over the 18 bits of the converter."""

_MAX_CHUNK = 10_000_000
Parameters = Mapping[str, Any]


def electrometer(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read rows of ten int32: eight channels, seconds, ticks.

    Columns: `timestamp` (s), and `CHANNELS` as they were digitised, int32 in µV.
    """
    rows = _int32_rows(path, len(CHANNELS) + 2)
    return _stamped(rows, CHANNELS)


def trigger(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read rows of three int32: transition (1 rising, 0 falling), seconds, ticks.

    Columns: `timestamp` (s), `transition`.
    """
    rows = _int32_rows(path, 3)
    if not np.isin(rows[:, 0], (0, 1)).all():
        raise Undecodable(f"{path} is no trigger file: transitions are 0 or 1")
    return _stamped(rows, ("transition",))


def binary(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read either binary, as the names in the descriptor's dtype say.

    The numbers alone do not tell them apart while a file is still being written.
    """
    names = field_names(data_key) or ()
    if "transition" in names:
        return trigger(path, parameters, data_key)
    if "i0" in names:
        return electrometer(path, parameters, data_key)
    raise Undecodable(
        f"{path}: the descriptor names no columns; name the stream's decoder in the "
        "profile: apb or apb_trigger"
    )


def encoder(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read lines of `ENCODER`: seconds, nanoseconds, count, index, state."""
    table = numbers(path, len(ENCODER))
    return _chunk(dict(zip(ENCODER, table.T, strict=True)), parameters)


def adc(path: Path, parameters: Parameters, data_key: Parameters) -> Columns:
    """Read lines of seconds, nanoseconds, index and one or two readings in hex.

    Columns: the first of `ADC`; readings in volts.
    """
    table = numbers(path, 4, 5, converters={3: _volts, 4: _volts})
    return _chunk(dict(zip(ADC, table.T, strict=False)), parameters)


def _int32_rows(path: Path, width: int) -> NDArray[np.int32]:
    data = content(path)
    if len(data) % (4 * width):
        raise NotReady(f"{path} ends within a row of {width} numbers")
    return np.frombuffer(data, "<i4").reshape(-1, width)


def _stamped(rows: NDArray[np.int32], names: Sequence[str]) -> Columns:
    columns = {"timestamp": rows[:, -2] + rows[:, -1] * TICK_S}
    return columns | {name: rows[:, i] for i, name in enumerate(names)}


def _volts(text: str) -> float:
    """Return a reading: the upper bits of a hexadecimal number, signed in 18 bits."""
    counts = int(text, 16) >> 8
    return (counts - 0x40000 if counts > 0x1FFFF else counts) * VOLT_PER_COUNT


def _chunk(columns: Columns, parameters: Parameters) -> Columns:
    """Return the rows that a datum is, where a resource is said to be in chunks."""
    if "chunk_num" not in parameters or "chunk_size" not in parameters:
        return columns
    size = whole_number(parameters["chunk_size"], 1, _MAX_CHUNK, "chunk_size")
    number = whole_number(parameters["chunk_num"], 0, _MAX_CHUNK, "chunk_num")
    part = slice(number * size, (number + 1) * size)
    return {name: column[part] for name, column in columns.items()}
