"""The readings of one channel out of the columns of a stream.

Columns are chosen, put side by side and combined as the profile says. Offsets, gains and
logarithms are physics.
"""

import ast
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.columns import numbers
from xasnn_stream.assembly.metadata import at, texts
from xasnn_stream.assembly.settings import Signal
from xasnn_stream.errors import ProfileError
from xasnn_stream.spectrum import FloatArray

_ELEMENT = "{element}"
_IN_BRACES = re.compile(r"\{((?:[^{}]|\{element\})+)\}")
_LONGEST = 400  # characters; nesting is as deep at most, and walked by recursion
_LARGEST = 1e300  # of a number: a larger one may be no float

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}


def keys_of(signal: Signal, element: str, start: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the data keys of a signal in the run with this element and start document.

    Of a detector of several elements there is one each, without those excluded; of an
    expression one for every name in it, in the order of `columns_in`.
    """
    if signal.expression:
        keys = columns_in(signal.expression)
    else:
        listed = texts(at(start, signal.keys_from)) if signal.keys_from else ()
        keys = listed or signal.keys
        if len(keys) > 1:  # of a single key, elements are in the column: see `channel`
            keys = tuple(k for i, k in enumerate(keys) if i not in signal.exclude)
    return tuple(key.replace(_ELEMENT, element) for key in keys)


def columns_in(expression: str) -> tuple[str, ...]:
    """Return the columns that an expression names, in order and each once.

    >>> columns_in("{panda-i0} / (gain * 2) - gain")
    ('panda-i0', 'gain')

    Raises
    ------
    ProfileError
        If it is more than names, numbers, + - * / and parentheses, or names no column.
    """
    return tuple(_parsed(expression)[1])


def evaluate(expression: str, columns: Mapping[str, FloatArray]) -> FloatArray:
    """Return the expression's value in every row, NaN where that is no number.

    Columns are `(rows,)` or `(rows, elements)`; so is the result.

    Raises
    ------
    ProfileError
        As `columns_in`.
    KeyError
        If a column that the expression names is not there.
    """
    tree, names = _parsed(expression)
    values = {name: columns[name] for name in names}
    if any(column.ndim > 1 for column in values.values()):
        values = {n: c if c.ndim > 1 else c[:, None] for n, c in values.items()}
    with np.errstate(all="ignore"):
        found = _value(tree, {names[name]: column for name, column in values.items()})
    return np.where(np.isfinite(found), found, np.nan)


def channel(
    signal: Signal, keys: tuple[str, ...], columns: Mapping[str, NDArray[np.generic]]
) -> FloatArray | None:
    """Return the readings of a signal, `(rows,)`, or `(rows, elements)` of a detector.

    `keys` are those of `keys_of`. None where a column is absent, holds no numbers or is
    no such table.
    """
    found: list[FloatArray] = []
    for key in keys:
        column = numbers(columns.get(key))
        if column is None or column.ndim > 2:
            return None
        found.append(column)
    if not found:
        return None
    if signal.expression:
        return _combined(signal.expression, found)
    if len(found) > 1:
        return np.column_stack(found)
    if found[0].ndim > 1 and signal.exclude:
        kept = [i for i in range(found[0].shape[1]) if i not in signal.exclude]
        return found[0][:, kept]
    return found[0]


def _combined(expression: str, columns: list[FloatArray]) -> FloatArray | None:
    widths = {column.shape[1] for column in columns if column.ndim > 1}
    if len(widths) > 1:
        return None  # detectors of different numbers of elements cannot be combined
    return evaluate(expression, dict(zip(columns_in(expression), columns, strict=True)))


@lru_cache(maxsize=256)
def _parsed(expression: str) -> tuple[ast.expr, Mapping[str, str]]:
    """Return the expression's tree, and the identifier in it by the name of a column.

    Names in braces become identifiers that the expression does not hold itself.
    """
    if len(expression) > _LONGEST:
        raise _refused(expression[:40], f"it has more than {_LONGEST} characters")
    prefix = "column_"
    while prefix in expression:
        prefix += "_"
    braced: dict[str, str] = {}

    def identifier(match: re.Match[str]) -> str:
        return braced.setdefault(match[1], f"{prefix}{len(braced)}")

    plain = _IN_BRACES.sub(identifier, expression)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(expression, "it cannot be read") from None
    names = {used: name for name, used in braced.items()}
    found: dict[str, str] = {}
    for used in _identifiers(tree, expression):
        found.setdefault(names.get(used, used), used)
    if not found:
        raise _refused(expression, "it names no column")
    return tree, found


def _identifiers(node: ast.expr, expression: str) -> list[str]:
    """Return the identifiers of a tree from left to right, refusing any other syntax."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
            return _identifiers(left, expression) + _identifiers(right, expression)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _identifiers(operand, expression)
        case ast.Name(id=name):
            return [name]
        case ast.Constant(value=int() | float() as value) if _is_number(value):
            return []
        case _:
            raise _refused(expression, f"{ast.unparse(node)!r} is none of these")


def _is_number(value: float) -> bool:
    return not isinstance(value, bool) and abs(value) < _LARGEST


def _refused(expression: str, why: str) -> ProfileError:
    return ProfileError(
        f"expression {expression!r} may hold names of columns (in braces where they are"
        f" no plain words), numbers, + - * / and parentheses: {why}"
    )


def _value(node: ast.expr, columns: Mapping[str, FloatArray]) -> Any:
    match node:
        case ast.BinOp(left, op, right):
            return _OPERATORS[type(op)](_value(left, columns), _value(right, columns))
        case ast.UnaryOp(operand=operand):
            return -_value(operand, columns)
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=value):
            return np.float64(value)  # type: ignore[arg-type]
        case _:
            raise AssertionError("no such syntax is let through")
