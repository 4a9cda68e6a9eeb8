"""From a table to scans: roles, energies in eV, and the one sentence where it fails."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from xasnn_stream.errors import FileError
from xasnn_stream.files.roles import (
    columns_by_role,
    fluorescence_columns,
    numbered_pairs,
)
from xasnn_stream.files.scan import ROLES, Scan
from xasnn_stream.files.table import Table
from xasnn_stream.spectrum import FloatArray

HC_EV_A = 12398.419843320026
"""Photon energy times wavelength, eV Å (exact constants of the SI)."""

_KEV_BELOW = 150.0
"""A scan's energies below this are keV: nothing is scanned from 0 to 150 eV here."""

_AS_REFERENCE = "the header plots ln(It/Ir): the sample stood where the foil stands"

NAME_THEM = "say which is which with --columns energy=1,i0=2,it=3 (or mu=2)"
"""What to do about columns that cannot be told, where a scan is read."""

_SHOWN = 12
_LONGEST = 40
"""How many column names a message lists, and how many letters of each."""


class ColumnsError(FileError):
    """Which columns are meant cannot be told; what to do is for the caller to add."""

    def __init__(self, table: Table, problem: str) -> None:
        names = list(table.columns)
        shown = ", ".join(name[:_LONGEST] for name in names[:_SHOWN])
        shown += ", …" if len(names) > _SHOWN else ""
        has = f"the columns {shown}" if table.named else f"{len(names)} columns"
        super().__init__(f"{problem}; it has {has}")


def scans_of(
    table: Table, where: str, wanted: Mapping[str, str] | None = None
) -> list[Scan]:
    """Return the scans of a table: one, or one per pair of numbered chambers.

    `wanted` maps roles, and `energy`, to a column's name or number or a sum of such;
    then no other channel is looked for.

    Raises
    ------
    ColumnsError
        If energy or absorption cannot be told; says which columns there are.
    FileError
        If no energies in eV can be had from the column that holds them.
    """
    if wanted:
        return [_chosen(table, where, wanted)]
    if not table.named:
        return [_unnamed(table, where)]
    roles = columns_by_role(list(table.columns))
    energy, note = _energy(table, roles, where)
    channels, how = _channels(table, roles, energy)
    note = "; ".join(part for part in (note, how) if part)
    pairs = numbered_pairs(list(table.columns))
    if pairs:
        own = [
            (number, {"i0": table.columns[i0], "it": table.columns[it]})
            for number, i0, it in pairs
        ]
        return [_scan(table, n, energy, channels | pair, note) for n, pair in own]
    _need_absorption(table, channels, where)
    return [_scan(table, "", energy, channels, note)]


def _need_absorption(table: Table, channels: Collection[str], where: str) -> None:
    if "mu" not in channels and not ("i0" in channels and {"it", "if"} & set(channels)):
        raise ColumnsError(
            table, f"{where}: no absorption (mu, or i0 with it or if) among its columns"
        )


def _channels(
    table: Table, roles: Mapping[str, str], energy: FloatArray
) -> tuple[dict[str, FloatArray], str]:
    """Return channels by role, and a note where they are not columns as named."""
    columns, note = table.columns, ""
    channels = {role: columns[name] for role, name in roles.items() if role in ROLES}
    if "if" not in channels:
        signal, note = _fluorescence(table, energy)
        channels |= signal
    if table.facts.mode == "reference" and {"it", "ir"} <= set(channels):
        return {"i0": channels["it"], "it": channels["ir"]}, _AS_REFERENCE
    if "mu_reference" in channels and not {"mu", "it", "if"} & set(channels):
        channels["mu"] = channels.pop("mu_reference")
    return channels, note


def _scan(
    table: Table,
    number: str,
    energy: FloatArray,
    channels: Mapping[str, FloatArray],
    note: str,
) -> Scan:
    """Return the scan without rows that have no energy."""
    good = np.isfinite(energy)
    lost = int(np.count_nonzero(~good))
    notes = table.notes + ((note,) if note else ())
    if lost:
        notes += (f"{lost} row{'s' * (lost > 1)} without an energy left out",)
    return Scan(
        name=" ".join(part for part in (table.name, number) if part),
        energy_ev=energy[good],
        channels={role: values[good] for role, values in channels.items()},
        columns={name: values[good] for name, values in table.columns.items()},
        facts=table.facts,
        left_out=table.left_out + lost,
        notes=notes,
    )


def _chosen(table: Table, where: str, wanted: Mapping[str, str]) -> Scan:
    chosen = {role: _sum(table, text, where) for role, text in wanted.items()}
    given = chosen.pop("energy", None)
    _need_absorption(table, chosen, where)
    if given is None:
        energy, note = _energy(table, columns_by_role(list(table.columns)), where)
    else:
        energy, note = _as_ev(table, wanted["energy"], given, where)
    return _scan(table, "", energy, chosen, note)


def _unnamed(table: Table, where: str) -> Scan:
    """Take two columns without names as energy and absorption."""
    names = list(table.columns)
    energy, note = _as_ev(table, names[0], table.columns[names[0]], where)
    if len(names) != 2:
        raise ColumnsError(table, f"{where}: its columns have no names known here")
    steps = np.diff(energy[np.isfinite(energy)])
    if not (np.mean(steps > 0) > 0.9 or np.mean(steps < 0) > 0.9):
        raise ColumnsError(
            table,
            f"{where}: its columns have no names, and the first does not run like an "
            "energy",
        )
    taken = replace(
        table, notes=(*table.notes, "columns have no names: taken as energy and mu")
    )
    return _scan(taken, "", energy, {"mu": table.columns[names[1]]}, note)


def _energy(
    table: Table, roles: Mapping[str, str], where: str
) -> tuple[FloatArray, str]:
    if "energy" in roles:
        name = roles["energy"]
        return _as_ev(table, name, table.columns[name], where)
    if "angle" in roles:
        name = roles["angle"]
        return _from_angle(table, name, table.columns[name], where)
    raise ColumnsError(table, f"{where}: no energy among its columns")


def _as_ev(
    table: Table, name: str, values: FloatArray, where: str
) -> tuple[FloatArray, str]:
    """Return energies in eV, and a note where they were given otherwise."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2 or np.ptp(finite) == 0:
        raise ColumnsError(table, f"{where}: its column {name} does not move")
    if len(finite) > 2 and np.all(np.diff(finite) == 1.0) and finite[0] in (0.0, 1.0):
        raise FileError(
            f"{where}: its column {name} counts points or pixels from {finite[0]:g} to "
            f"{finite[-1]:g}; energies in eV are needed"
        )
    unit = table.units.get(name, "").lower()
    if unit.startswith("deg"):
        return _from_angle(table, name, values, where)
    if unit == "kev" or "kev" in name.lower() or np.max(finite) < _KEV_BELOW:
        return values * 1000.0, "energies were given in keV"
    return values, ""


def _from_angle(
    table: Table, name: str, values: FloatArray, where: str
) -> tuple[FloatArray, str]:
    """Return E = hc / (2 d sin θ) of Bragg angles in degrees."""
    spacing = table.facts.d_spacing
    if spacing is None:
        raise FileError(
            f"{where}: its column {name} is an angle, and the header names no "
            "Mono.d_spacing; add the line `# Mono.d_spacing: 3.1356` (Å) or energies"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = HC_EV_A / (2 * spacing * np.sin(np.radians(values)))
    if np.count_nonzero(np.isfinite(energy)) < 2:
        problem = f"{where}: the angles in its column {name} give no energies"
        raise ColumnsError(table, problem)
    return energy, f"energies from the angles in {name}, with d = {spacing:g} Å"


def _fluorescence(
    table: Table, energy: FloatArray
) -> tuple[dict[str, FloatArray], str]:
    """Return the sum of a detector's elements, if it can be told, and a note of it."""
    finite = energy[np.isfinite(energy)]
    span = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    found = fluorescence_columns(list(table.columns), table.facts.element, span)
    if not found:
        return {}, ""
    total = np.sum([table.columns[name] for name in found], axis=0)
    return {"if": total}, f"fluorescence is {' + '.join(found)}, as given"


def _sum(table: Table, text: str, where: str) -> FloatArray:
    """Return a column by name or number, or the sum of several."""
    names = list(table.columns)
    folded = {name.lower(): name for name in names}

    def column(part: str) -> FloatArray:
        if part.lower() in folded:
            return table.columns[folded[part.lower()]]
        if part.isdecimal() and 1 <= int(part) <= len(names):
            return table.columns[names[int(part) - 1]]
        raise ColumnsError(table, f"{where} has no column {part!r}")

    if text.lower() in folded:
        return column(text)
    return np.sum([column(part.strip()) for part in text.split("+")], axis=0)
