"""What a model's folder says of itself, read without its weights."""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xasnn_stream.errors import ModelError

MANIFEST = "manifest.json"
SCHEMA = "xasnn.model/1"

_MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a manifest of another form raises."""


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """What everyone must know of a model; `document` is the manifest as written.

    `sha256`, over the manifest's bytes, is the model's: `files` holds the hashes of the
    rest. `units` and `domain` (lowest and highest believable value) are by descriptor.
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


def read_manifest(folder: str | Path) -> Manifest:
    """Read the manifest of a model folder; ModelError if it is missing or another kind."""
    path = Path(folder) / MANIFEST
    with reading(path):
        contents = path.read_bytes()
        document = json.loads(contents)
        if document.get("schema") != SCHEMA:
            raise ModelError(
                f"{folder} is not a model folder: schema of {MANIFEST} is not {SCHEMA}"
            )
        names = tuple(str(name) for name in document["descriptors"])
        return Manifest(
            folder=path.parent,
            sha256=hashlib.sha256(contents).hexdigest(),
            name=str(document["name"]),
            element=str(document["element"]),
            edge=str(document["edge"]),
            descriptors=names,
            units={name: str(document["units"][name]) for name in names},
            domain={name: _pair(document["domain"][name]) for name in names},
            files=dict(document["files"].items()),
            document=document,
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
