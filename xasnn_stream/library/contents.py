"""What a library's files say, as they say it: npz or HDF5, a file or a folder.

A library of an element and edge is `<Element>_<edge>.npz` with a `particles.json` beside
it, or an HDF5 file that holds both. A name may go on, `<Element>_<edge>_<variant>`: the
same sites under another theory, or other kinds of sites. A `<variant>_calibration.json`
beside it takes the place of the calibration in `particles.json`.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.errors import LibraryError
from xasnn_stream.library.hdf5 import HDF5_ENDINGS, PARTICLES_FILE, read_hdf5
from xasnn_stream.spectrum import FloatArray

PATHS_ENDING = "_paths"
"""How the names of files of scattering paths end, which are no site spectra."""

_NPZ = ".npz"
_ENDINGS = (_NPZ, *HDF5_ENDINGS)
_MALFORMED = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)
"""What reading files of another form raises."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """The fields of a library, unchanged.

    `arrays` are those of the npz file; `index` is `particles.json`, its `calibration`
    the one that belongs to this library. `sha256` is over the bytes of all files read.
    """

    path: Path
    element: str
    edge: str
    variant: str
    arrays: Mapping[str, NDArray[Any]]
    index: Mapping[str, Any]
    sha256: str

    def field(self, name: str) -> NDArray[Any]:
        """Return one array.

        Raises
        ------
        LibraryError
            Naming the array if the file does not have it.
        """
        try:
            return self.arrays[name]
        except KeyError:
            raise refusal(self.path, f"it has no field {name}") from None

    def numbers(self, name: str) -> FloatArray:
        """Return one array as finite numbers.

        Raises
        ------
        LibraryError
            Naming the array if it is missing or holds anything else.
        """
        found = self.field(name)
        try:
            values = np.asarray(found, float)
        except (TypeError, ValueError) as error:
            raise refusal(self.path, f"{name} holds no numbers") from error
        if not np.isfinite(values).all():
            raise refusal(self.path, f"{name} holds values that are not finite")
        return values

    def raw(self, name: str, scale: float) -> str:
        """Return the field of the program's own `name` at the nearest lattice scale.

        `name` is `e`, `mu`, `mu0`, `key`, `Eabs_offset` or `fermi`.
        """
        start = "raw_mu0_"
        scales = [
            key.removeprefix(start) for key in self.arrays if key.startswith(start)
        ]
        nearest = min(scales, key=lambda at: abs(float(at) - scale), default="1.00")
        return f"raw_{name}_{nearest}"


def refusal(path: Path, why: str) -> LibraryError:
    """Return the error about a file that cannot be used as a library."""
    return LibraryError(
        f"{path} is not a training library: {why}; expected <Element>_<edge>{_NPZ} with "
        f"{PARTICLES_FILE} beside it, or an HDF5 file of `library build`"
    )


def library_files(path: str | Path) -> tuple[Path, ...]:
    """Return the library files a path means: the file itself, or all of a folder.

    Raises
    ------
    LibraryError
        If there are none.
    """
    path = Path(path)
    if not path.is_dir():
        return (path,)
    found = sorted(
        file
        for file in path.iterdir()
        if file.suffix in _ENDINGS
        and not file.name.startswith(".")
        and not file.stem.endswith(PATHS_ENDING)
        and file.is_file()
    )
    if not found:
        endings = ", ".join(_ENDINGS)
        raise LibraryError(f"{path} holds no library: no file that ends in {endings}")
    return tuple(found)


def read_contents(path: str | Path) -> Contents:
    """Read one library file without interpreting it.

    Raises
    ------
    LibraryError
        If a file is missing or unreadable.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content)
        if path.suffix in HDF5_ENDINGS:
            arrays, index = read_hdf5(content)
        else:
            if not zipfile.is_zipfile(io.BytesIO(content)):
                raise LibraryError("it is no npz archive, or part of one")
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays, index = {name: stored[name] for name in stored.files}, None
        element, edge, variant = _named(path)
        if index is None:
            beside = path.parent / PARTICLES_FILE
            index = _json(beside, digest)
            own = path.parent / f"{variant}_calibration.json"
            if variant and own.exists():
                index = {**index, "calibration": _json(own, digest)["calibration"]}
    except LibraryError as error:
        raise refusal(path, str(error)) from error
    except _MALFORMED as error:
        raise refusal(path, _told(error)) from error
    return Contents(path, element, edge, variant, arrays, index, digest.hexdigest())


def _named(path: Path) -> tuple[str, str, str]:
    element, _, rest = path.stem.partition("_")
    edge, _, variant = rest.partition("_")
    if not (element and edge):
        raise LibraryError(f"its name {path.name} tells no element and edge")
    return element, edge, variant


def _json(path: Path, digest: Any) -> dict[str, Any]:
    content = path.read_bytes()
    digest.update(content)
    loaded = json.loads(content)
    if not isinstance(loaded, dict):
        raise LibraryError(f"{path.name} is no mapping")
    return cast("dict[str, Any]", loaded)


def _told(error: Exception) -> str:
    return f"no field {error}" if isinstance(error, KeyError) else str(error)
