"""Which models there are, read from their manifests alone."""

from xasnn_stream.errors import UsageError
from xasnn_stream.manifest import Manifest, read_manifest
from xasnn_stream.shipped import model_folders


def shipped_models() -> list[Manifest]:
    """Return what the models that come with the package say of themselves, by name."""
    return [read_manifest(folder) for folder in model_folders()]


def model_for(element: str, edge: str) -> Manifest:
    """Return the shipped model of an edge; UsageError if none is shipped."""
    models = shipped_models()
    for model in models:
        if (model.element, model.edge) == (element, edge):
            return model
    shipped = ", ".join(f"{m.element} {m.edge} ({m.name})" for m in models)
    raise UsageError(f"no model for {element} {edge}; shipped: {shipped or 'none'}")
