"""From a library's fields to site spectra in units of the normalized foil."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import LibraryError
from xasnn_stream.library.alloys import is_alloy, join
from xasnn_stream.library.contents import (
    Contents,
    library_files,
    read_contents,
    refusal,
)
from xasnn_stream.library.site_spectra import Library
from xasnn_stream.spectrum import FloatArray

_PER_ROW = ("mu", "site_id", "scale", "cn", "R1")
_SHELLS = 4


def read_library(
    path: str | Path, element: str | None = None, edge: str | None = None
) -> Library:
    """Read a library: a file, or the one of a folder that is of `element` and `edge`.

    In a folder, `<Element>_<edge>` goes before its variants.

    Sites of alloys are joined with those of the pure metal, which lies beside them.

    Raises
    ------
    LibraryError
        If files are missing, lack a field, or several libraries could be meant.
    """
    contents = read_contents(_chosen(Path(path), element, edge))
    if not is_alloy(contents):
        return library_of(contents)
    beside = f"{contents.element}_{contents.edge}{contents.path.suffix}"
    pure = library_of(read_contents(contents.path.with_name(beside)))
    units, _ = _foil_units(contents, pure.x)
    return join(contents, pure, units)


def _chosen(path: Path, element: str | None, edge: str | None) -> Path:
    if not path.is_dir():
        return path
    names = {
        file: (*file.stem.split("_", 2), "", "")[:3] for file in library_files(path)
    }
    meant = [
        file
        for file, (of, at, _) in names.items()
        if element in (None, of) and edge in (None, at)
    ]
    plain = [file for file in meant if not names[file][2]]
    chosen = plain or meant
    if len(chosen) == 1:
        return chosen[0]
    found = ", ".join(file.name for file in chosen or names)
    wanted = " ".join(filter(None, (element, edge)))
    if not chosen:
        raise LibraryError(f"{path} holds no library of {wanted}; it has {found}")
    raise LibraryError(f"{path} holds several libraries: {found}; name one of them")


def library_of(contents: Contents) -> Library:
    """Interpret the fields of a library of single-element particles.

    Raises
    ------
    LibraryError
        Naming the field that is missing or does not fit.
    """
    x, mu, site, scale, cn, r1 = _rows(contents)
    units, to_x = _foil_units(contents, x)
    try:
        index = contents.index
        bulk_site = str(index["bulk_site"])
        particles = {
            str(name): tuple((str(site), int(count)) for site, count in entry["sites"])
            for name, entry in index["particles"].items()
        }
    except KeyError as error:
        why = f"its index of particles has no field {error.args[0]}"
        raise refusal(contents.path, why) from error
    except (AttributeError, TypeError, ValueError) as error:
        why = f"its index of particles is of another form: {error}"
        raise refusal(contents.path, why) from error
    return Library(
        element=contents.element,
        edge=contents.edge,
        x=x,
        mu=mu * units,
        atomic=_atomic(contents, x, to_x) * units,
        site=site,
        scale=scale,
        cn=cn,
        r1=r1,
        particles=particles,
        bulk_site=bulk_site,
        sha256=contents.sha256,
    )


def _rows(
    contents: Contents,
) -> tuple[
    FloatArray, FloatArray, NDArray[np.str_], FloatArray, FloatArray, FloatArray
]:
    """Return x, mu, site, scale, cn and r1, all of fitting shapes and finite."""
    x = contents.numbers("x")
    mu, cn = contents.numbers("mu"), contents.numbers("cn")
    scale, r1 = np.round(contents.numbers("scale"), 4), contents.numbers("R1")
    site = contents.field("site_id").astype(str)
    rows = len(site)
    wanted = ((rows, len(x)), (rows,), (rows,), (rows, _SHELLS), (rows,))
    for name, array, shape in zip(
        _PER_ROW, (mu, site, scale, cn, r1), wanted, strict=True
    ):
        if array.shape != shape:
            why = f"{name} has the shape {array.shape} where {shape} fits x and site_id"
            raise refusal(contents.path, why)
    if rows == 0:
        raise refusal(contents.path, "it has no rows")
    steps = np.diff(x)
    if len(x) < 2 or steps.min() <= 0 or np.ptp(steps) > 1e-3 * steps.mean():
        raise refusal(contents.path, "x does not ascend in equal steps")
    return x, mu, site, scale, cn, r1


def _foil_units(contents: Contents, x: FloatArray) -> tuple[FloatArray, float]:
    """Return the factor that makes spectra those of the foil, and absolute energy → x."""
    calibration = _calibration(contents)
    try:
        amplitude = float(calibration["norm_amp"])
        slope = float(calibration["norm_slope_per_100eV"])
        to_x = float(calibration["energy_shift_eV"]) - float(
            calibration["E0_tabulated"]
        )
    except KeyError as error:
        why = f"its calibration of {contents.element} has no field {error.args[0]}"
        raise refusal(contents.path, why) from error
    except (TypeError, ValueError) as error:
        why = f"its calibration of {contents.element} is of another form: {error}"
        raise refusal(contents.path, why) from error
    return amplitude + slope * np.clip(x, 0, None) / 100, to_x


def _calibration(contents: Contents) -> Mapping[str, Any]:
    try:
        return contents.index["calibration"][contents.element]
    except (KeyError, TypeError) as error:
        why = f"its index of particles has no field calibration.{contents.element}"
        raise refusal(contents.path, why) from error


def _atomic(contents: Contents, x: FloatArray, to_x: float) -> FloatArray:
    """Return the atomic background on `x`, in the unit of the site spectra.

    That of the lattice scale nearest to one: the atom knows little of its lattice.
    """
    background = contents.numbers(contents.raw("mu0", 1.0))
    offset = contents.numbers(contents.raw("Eabs_offset", 1.0))
    absolute = contents.numbers(contents.raw("e", 1.0)) + offset
    if absolute.ndim > 1:
        absolute, background = absolute[0], background[0]
    return np.asarray(np.interp(x, absolute + to_x, background), float)
