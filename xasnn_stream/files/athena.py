"""Athena projects: Perl's assignments, or the JSON of newer versions, gzipped or not."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xasnn_stream.errors import FileError
from xasnn_stream.files.header import facts_of
from xasnn_stream.files.table import Table
from xasnn_stream.spectrum import FloatArray

_TOKEN = re.compile(
    r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\[(?:[^\[\]'"]|'(?:[^'\\]|\\.)*'"""
    r"""|"(?:[^"\\]|\\.)*")*\])|([^\s,()]+)"""
)
_ESCAPED = re.compile(r"\\(.)")
_END = re.compile(r"^1;", re.MULTILINE)
"""The last line of Perl."""
_REFERENCE = re.compile(r"^\s*Ref\b")
_ABSENT = ("", "0", "none", "0.0")

Record = tuple[str, Mapping[str, str], Mapping[str, FloatArray]]
"""Group name, parameters, arrays."""


def is_athena(text: str) -> bool:
    """Return whether a text is an Athena project of either form."""
    head = text[:2000]
    return "Athena project file" in head or (
        head.lstrip().startswith("{") and '"_____' in head
    )


def read_athena(text: str, where: str) -> list[Table]:
    """Read every μ(E) of a project; a reference tied to a scan comes with it.

    Raises
    ------
    FileError
        If the project is damaged or holds no μ(E).
    """
    try:
        json_form = text.lstrip().startswith("{")
        records = list(_json_records(text) if json_form else _perl_records(text))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(f"{where} is a damaged Athena project: {error}") from error
    absorption = [record for record in records if _is_absorption(record)]
    if not records:
        raise FileError(f"{where} is an Athena project without a single whole group")
    if not absorption:
        raise FileError(
            f"{where}: of {len(records)} groups of this Athena project none is a "
            "readable μ(E)"
        )
    references = {
        parameters.get("referencegroup", ""): arrays
        for _, parameters, arrays in absorption
        if _REFERENCE.match(parameters.get("label", ""))
    }
    notes: tuple[str, ...] = ()
    if others := len(records) - len(absorption):
        notes += (f"groups of the project that are no readable μ(E): {others}",)
    if not json_form and not _END.search(text):
        notes += ("the project breaks off; groups may be missing",)
    return [_table(record, references, notes) for record in absorption]


def _table(
    record: Record,
    references: Mapping[str, Mapping[str, FloatArray]],
    notes: tuple[str, ...],
) -> Table:
    group, parameters, arrays = record
    columns = {"energy": arrays["x"], "mu": arrays["y"]}
    i0 = arrays.get("i0")
    if i0 is not None and len(i0) == len(arrays["x"]):
        columns["i0"] = i0
    reference = references.get(parameters.get("tag", group))
    if reference is not None and np.array_equal(reference["x"], arrays["x"]):
        columns["mu_ref"] = reference["y"]
    shift = parameters.get("bkg_eshift", "0")
    if _is_other_than_zero(shift):
        notes = (f"the project's energy shift of {shift} eV is not applied", *notes)
    label = parameters.get("label", "").strip() or group
    facts = replace(facts_of(parameters), sample=label, mode=_mode(parameters))
    return Table(label, columns, facts, notes=notes)


def _is_absorption(record: Record) -> bool:
    _, parameters, arrays = record
    x, y = arrays.get("x"), arrays.get("y")
    if x is None or y is None or x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        return False
    is_other = any(
        parameters.get(flag, "0") not in _ABSENT for flag in ("is_chi", "is_rsp")
    )
    return parameters.get("is_xmu", "1") not in _ABSENT and not is_other


def _mode(parameters: Mapping[str, str]) -> str | None:
    """Return fluorescence where μ was made without a logarithm of two channels."""
    has_formula = parameters.get("denominator", "") not in ("", "1")
    logarithm = parameters.get("ln", parameters.get("mu_str", ""))
    if not has_formula:
        return None
    is_transmission = logarithm == "1" or "ln(" in logarithm
    return "transmission" if is_transmission else "fluorescence"


def _is_other_than_zero(text: str) -> bool:
    try:
        return float(text) != 0
    except ValueError:
        return False


def _perl_records(text: str) -> Iterator[Record]:
    """Yield the whole groups; one that breaks off is not read."""
    found = dict[str, str]()
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("$old_group", "@args", "@x", "@y", "@i0"):
            found[key.strip()[1:]] = value
        elif line.startswith("[record]"):
            tokens = _tokens(found.pop("args", ""))
            group = "".join(_tokens(found.pop("old_group", "")))
            arrays = {name: _numbers(_tokens(v)) for name, v in found.items()}
            yield group, dict(zip(tokens[::2], tokens[1::2], strict=False)), arrays
            found = {}


def _numbers(values: Any) -> FloatArray:
    """Return an array, an empty one where anything is no number."""
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError):
        return np.empty(0)


def _tokens(text: str) -> list[str]:
    """Return a Perl list's elements, quotes removed; lists within stay text."""
    tokens: list[str] = []
    for match in _TOKEN.finditer(text.strip().rstrip(";")):
        single, double, nested, bare = match.groups()
        quoted = single if single is not None else double
        plain = nested if quoted is None else _ESCAPED.sub(r"\1", quoted)
        tokens.append(bare if plain is None else plain)
    return tokens


def _json_records(text: str) -> Iterator[Record]:
    project: dict[str, Any] = json.loads(text)
    for group, record in project.items():
        if group.startswith("_____") or not isinstance(record, dict):
            continue
        args = record.get("args", {})
        if isinstance(args, list):
            args = dict(zip(args[::2], args[1::2], strict=False))
        arrays = {
            name: _numbers(record[name])
            for name in ("x", "y", "i0")
            if record.get(name)
        }
        yield group, {str(key): str(value) for key, value in args.items()}, arrays
