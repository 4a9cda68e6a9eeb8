"""Which models there are, read from their manifests alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xasnn_stream.errors import ModelError, UsageError
from xasnn_stream.shipped import model_folder, shipped_folder


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model by what it reads; `domain` is each descriptor's believable range."""

    name: str
    folder: Path
    element: str
    edge: str
    domain: Mapping[str, tuple[float, float]]


def shipped_models() -> list[ModelEntry]:
    """Return the models that come with the package, by name."""
    folders = sorted(shipped_folder("models").glob("*/manifest.json"))
    return [read_entry(path.parent) for path in folders]


def named_model(name_or_path: str) -> ModelEntry:
    """Return a shipped model or one in a folder; ModelError if there is none."""
    return read_entry(model_folder(name_or_path))


def read_entry(folder: Path) -> ModelEntry:
    """Return what a model's manifest says of it; ModelError if it cannot be read."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
        return ModelEntry(
            name=manifest["name"],
            folder=folder,
            element=manifest["element"],
            edge=manifest["edge"],
            domain={
                name: (float(low), float(high))
                for name, (low, high) in manifest["domain"].items()
            },
        )
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ModelError(f"cannot read {path}: {error!r}") from error


def model_for(element: str, edge: str) -> ModelEntry:
    """Return the shipped model of an edge; UsageError if none is shipped."""
    models = shipped_models()
    for model in models:
        if (model.element, model.edge) == (element, edge):
            return model
    shipped = ", ".join(f"{m.element} {m.edge} ({m.name})" for m in models)
    raise UsageError(f"no model for {element} {edge}; shipped: {shipped or 'none'}")
