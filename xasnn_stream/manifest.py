"""What a model's folder says of itself, read without its weights."""

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xasnn_stream.errors import ModelError

MANIFEST, RECIPE, CARD = "manifest.json", "recipe.yaml", "card.md"
"""Files of every model folder."""

SCHEMA = "xasnn.model/1"

_MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a manifest of another form raises."""


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """What everyone must know of a model; `document` is the manifest as written.

    `sha256`, over the manifest's bytes, is the model's: `files` holds the hashes of the
    rest. `units` and `domain` (lowest and highest believable value) are by descriptor.
    Of a folder that reads several edges this is one `part` of it, such as `Pd_K`:
    `document` then holds the part's own entries at its top. Else `part` is empty.
    """

    folder: Path
    sha256: str
    name: str
    element: str
    edge: str
    descriptors: tuple[str, ...]
    units: Mapping[str, str]
    domain: Mapping[str, tuple[float, float]]
    files: Mapping[str, str]
    document: dict[str, Any]
    part: str = ""


def read_manifest(folder: str | Path) -> Manifest:
    """Read the manifest of a model folder; ModelError if it is missing or another kind.

    Of a folder that reads several edges the manifest is that of the first.
    """
    path = Path(folder) / MANIFEST
    with reading(path):
        return _manifest(path, *_document(path), part="")


def read_parts(folder: str | Path) -> tuple[Manifest, ...]:
    """Read a manifest per edge a model folder reads; ModelError as `read_manifest`."""
    path = Path(folder) / MANIFEST
    with reading(path):
        document, sha256 = _document(path)
        parts: list[dict[str, Any]] = document.get("parts") or [{}]
        manifests = [
            _manifest(path, document | part, sha256, edge_part(part)) for part in parts
        ]
        if len({manifest.part for manifest in manifests}) < len(manifests):
            raise ValueError("an edge has two parts")
        return tuple(manifests)


def read_part(folder: str | Path, part: str) -> Manifest:
    """Read the manifest of the one edge that is meant, which `part` names: `Pd_K`.

    `part` is empty where the folder reads one edge only.

    Raises
    ------
    ModelError
        If the folder is no model, or `part` is not, or not enough, to choose an edge.
    """
    manifests = read_parts(folder)
    of = {f"{found.element}_{found.edge}": found for found in manifests}
    if part in of:
        return of[part]
    if not part and len(manifests) == 1:
        return manifests[0]
    name = manifests[0].name
    choices = " or ".join(f"{name}#{each}" for each in of)
    if part:
        raise ModelError(f"{name} has no part {part}; name {choices}")
    raise ModelError(f"{name} reads more than one edge: name {choices}")


def edge_part(document: Mapping[str, Any]) -> str:
    """Return what a part of a manifest is called, `Pd_K`; empty if it is none."""
    return f"{document['element']}_{document['edge']}" if document else ""


def write_manifest(
    folder: Path, document: dict[str, Any], files: Iterable[str]
) -> None:
    """Write a manifest with the hashes of the named files of its folder."""
    document["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _document(path: Path) -> tuple[dict[str, Any], str]:
    """Return a manifest as written and the hash of its bytes."""
    contents = path.read_bytes()
    document = json.loads(contents)
    if document.get("schema") != SCHEMA:
        raise ModelError(
            f"{path.parent} is not a model folder: schema of {MANIFEST} is not {SCHEMA}"
        )
    return document, hashlib.sha256(contents).hexdigest()


def _manifest(path: Path, document: dict[str, Any], sha256: str, part: str) -> Manifest:
    names = tuple(str(name) for name in document["descriptors"])
    return Manifest(
        folder=path.parent,
        sha256=sha256,
        name=str(document["name"]),
        element=str(document["element"]),
        edge=str(document["edge"]),
        descriptors=names,
        units={name: str(document["units"][name]) for name in names},
        domain={name: _pair(document["domain"][name]) for name in names},
        files=dict(document["files"].items()),
        document=document,
        part=part,
    )


@contextmanager
def reading(path: Path, *malformed: type[Exception]) -> Generator[None, None, None]:
    """Say in one ModelError what is wrong with a file of a model folder that is read.

    `malformed` are errors of a file's own format, beside those any content may raise.
    """
    try:
        yield
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise _not_a_model(path, f"it lacks {path.name}") from error
    except OSError as error:
        problem = f"{path.name} cannot be read ({error.strerror})"
        raise _not_a_model(path, problem) from error
    except (*_MALFORMED, *malformed) as error:
        raise _not_a_model(path, f"{path.name} is damaged ({error!r})") from error


def _not_a_model(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"{path.parent} is not a model folder: {problem}; restore the file or train again"
    )


def _pair(bounds: list[float]) -> tuple[float, float]:
    low, high = bounds
    return float(low), float(high)
