"""Opens pickle as far as documents are made of it: plain data and arrays of numbers.

Only for publishers a deployment trusts by name. Nothing outside the short list below is
looked up, and numpy's own restoring functions are replaced by checked ones, so a pickle
that names anything else is an error before it is anything else.
"""

import datetime
import io
import math
import pickle
import pickletools
from typing import Any, cast

import numpy as np

_NUMERIC = frozenset("biuf")


def unpickle(body: bytes) -> Any:
    """Return the plain data in a pickle.

    ValueError for anything that is not: other classes, functions, object arrays, bytes
    that are no pickle.
    """
    try:
        _check_claims(body)
        return _Unpickler(io.BytesIO(body)).load()
    except Exception as error:  # bytes from a network make pickle raise nearly anything
        raise ValueError(str(error) or type(error).__name__) from error


def _check_claims(body: bytes) -> None:
    """Raise ValueError where a few bytes claim to need much memory.

    Reading the opcodes alone already finds strings longer than the body.
    """
    for opcode, argument, _ in pickletools.genops(body):
        if opcode.name in ("PUT", "LONG_BINPUT") and cast(int, argument) > len(body):
            raise ValueError("a memo larger than the pickle")


class _Type:
    """Stands for a numpy dtype until it is known to be one of numbers."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = _numeric(np.dtype(code))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError("a type of another form")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray):
    """An array of numbers that was pickled with its state."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:  # type: ignore[override]
        version, shape, kind, by_columns, raw = state
        _check_size(kind.dtype, shape, raw)
        super().__setstate__((version, shape, kind.dtype, by_columns, raw))


def _reconstruct(*_: Any) -> _Array:
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _from_buffer(raw: Any, kind: _Type, shape: Any, order: Any) -> np.ndarray:
    _check_size(kind.dtype, shape, raw)
    return np.frombuffer(raw, kind.dtype).reshape(shape, order=order)


def _scalar(kind: _Type, raw: bytes) -> Any:
    _check_size(kind.dtype, (), raw)
    return np.frombuffer(raw, kind.dtype)[0].item()


def _check_size(dtype: np.dtype, shape: Any, raw: Any) -> None:
    if not isinstance(raw, bytes | bytearray):
        raise ValueError("an array without its bytes")
    if math.prod(shape) * dtype.itemsize != len(raw) or min(shape, default=0) < 0:
        raise ValueError(f"{len(raw)} bytes are no array {dtype} {shape}")


def _numeric(dtype: np.dtype) -> np.dtype:
    if dtype.kind not in _NUMERIC:
        raise ValueError(f"arrays of {dtype.str!r} are not accepted, only numbers")
    return dtype


_ALLOWED: dict[tuple[str, str], Any] = {
    ("builtins", "complex"): complex,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "set"): set,
    # Not itself: its instances take attributes, so a pickle could hide their methods.
    ("collections", "OrderedDict"): dict,
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
} | {
    ("datetime", name): getattr(datetime, name)
    for name in ("date", "datetime", "time", "timedelta", "timezone")
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        allowed = _ALLOWED.get((module_name, global_name))
        if allowed is None:
            raise ValueError(
                f"{module_name}.{global_name} is not what documents are made of"
            )
        return allowed
