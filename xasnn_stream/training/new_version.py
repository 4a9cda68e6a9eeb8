"""A recalibrated model as a folder of its own: same weights, next version."""

import shutil
from pathlib import Path
from typing import Any

from xasnn_stream.engine.model import Model
from xasnn_stream.errors import UsageError
from xasnn_stream.manifest import CARD, RECIPE, read_manifest, write_manifest
from xasnn_stream.training.recalibrate import Recalibration, scaled_quantiles
from xasnn_stream.training.recipe import copy_recipe

METHOD = "conformal factors on the intervals of known samples"


def write_version(
    folder: Path, output: Path, model: Model, found: Recalibration, samples: list[str]
) -> Path:
    """Write a model folder with new intervals; return it.

    The manifest's `version` is raised, `calibration` replaced (the old quantiles stay
    under `before`), the metrics of the old intervals left out, the card told.

    Parameters
    ----------
    samples
        What the known samples were, for people.

    Raises
    ------
    UsageError
        If the output exists, or the model is one of several edges in a folder.
    """
    manifest = read_manifest(folder)
    if "parts" in manifest.document:
        raise UsageError(
            f"{folder} reads several edges; recalibrate models of one edge"
        )
    if output.exists():
        raise UsageError(f"{output} exists; name a folder that does not")
    document = _document(manifest.document, model, found, samples)
    output.mkdir(parents=True)
    for name in manifest.files:
        shutil.copyfile(folder / name, output / name)
    if RECIPE in manifest.files:
        copy_recipe(folder / RECIPE, output / RECIPE)
    card = (folder / CARD).read_text(encoding="utf-8")
    (output / CARD).write_text(_told(card, document), encoding="utf-8")
    write_manifest(output, document, manifest.files)
    return output


def _document(
    before: dict[str, Any], model: Model, found: Recalibration, samples: list[str]
) -> dict[str, Any]:
    names = model.descriptors
    old = before["calibration"]
    scaled = scaled_quantiles(model.quantiles, names, found)
    quantiles = {
        f"{level:g}": dict(zip(names, values.tolist(), strict=True))
        for level, values in scaled.items()
    }
    calibration = old | {
        "method": METHOD,
        "samples": samples,
        "n": found.n,
        "particles": found.n_samples,
        "n_particles": found.n_samples,
        "known_of": dict(found.known),
        "highest_level": dict(found.highest),
        "quantiles": quantiles,
        "before": {key: old[key] for key in ("method", "particles") if key in old}
        | {"quantiles": old["quantiles"]},
    }
    version = int(before.get("version", 1)) + 1
    return before | {"version": version, "calibration": calibration, "metrics": []}


def _told(card: str, document: dict[str, Any]) -> str:
    """Put what has changed before the card's first section."""
    calibration = document["calibration"]
    highest = calibration["highest_level"]
    unknown = [name for name in document["descriptors"] if name not in highest]
    kept = (
        f" Unchanged, for no sample told of them: {', '.join(unknown)}."
        if unknown
        else ""
    )
    lines = [
        f"Version {document['version']}: intervals recalibrated on {calibration['n']} "
        f"spectra of {calibration['n_particles']} known samples "
        f"({', '.join(calibration['samples'])}). Weights and values are those of the "
        "version before; every coverage and width below is of its intervals, not of "
        "these. `xasnn-stream evaluate` on this folder tells theirs.",
        f"Highest level so few samples support: {_levels(highest)}; wider intervals "
        f"have the same factor.{kept}",
    ]
    opening, mark, rest = card.partition("\n## ")
    return f"{opening.rstrip()}\n\n" + "\n\n".join(lines) + f"\n{mark}{rest}"


def _levels(highest: dict[str, float]) -> str:
    return ", ".join(f"{name} {level:.0%}" for name, level in highest.items())
