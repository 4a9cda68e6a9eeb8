"""Which models there are, read from their manifests alone."""

from xasnn_stream.errors import UsageError
from xasnn_stream.manifest import Manifest, read_manifest
from xasnn_stream.shipped import model_folders


def shipped_models() -> list[Manifest]:
    """Return what the models that come with the package say of themselves, by name.

    Those of one edge: a model of an alloy is used where it is named, for that a sample
    is an alloy no spectrum says.
    """
    models = [read_manifest(folder) for folder in model_folders()]
    return [model for model in models if not model.document.get("parts")]


def model_for(element: str, edge: str) -> Manifest:
    """Return the shipped model of an edge; UsageError if none is shipped."""
    models = shipped_models()
    for model in models:
        if (model.element, model.edge) == (element, edge):
            return model
    shipped = ", ".join(f"{m.element} {m.edge} ({m.name})" for m in models)
    raise UsageError(f"no model for {element} {edge}; shipped: {shipped or 'none'}")
