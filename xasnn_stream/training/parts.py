"""From a recipe for several edges to one model folder: a part per edge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from xasnn_stream.engine.model import WEIGHTS, Model, load_model
from xasnn_stream.errors import UsageError
from xasnn_stream.library import Library, read_library
from xasnn_stream.manifest import CARD, RECIPE, write_manifest
from xasnn_stream.training.alloy_card import write_alloy_card
from xasnn_stream.training.alloy_samples import errors_from_lattice, evaluate_alloy
from xasnn_stream.training.build import (
    Progress,
    fit_model,
    manifest_of,
    with_possible_descriptors,
)
from xasnn_stream.training.card import FIGURE
from xasnn_stream.training.joint_scores import (
    EdgeScores,
    common_alloys,
    edge_scores,
    joint_scores,
)
from xasnn_stream.training.recipe import Recipe, copy_recipe, read_recipe, recipe_parts

_COMMON = ("schema", "name", "seed", "versions", "files")
"""Of a manifest, what all parts share."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One edge of a model: its recipe and library, and what became of it."""

    name: str
    recipe: Recipe
    library: Library
    manifest: dict[str, Any]

    def loaded(self, folder: Path) -> Model:
        """Return the part as it was written."""
        return load_model(folder, part=self.name)

    def scores(self, folder: Path, partner: str, alloys: tuple[str, ...]) -> EdgeScores:
        """Return estimates of alloys it never saw."""
        model = self.loaded(folder)
        return edge_scores(model, self.recipe, self.library, partner, alloys)


def train_parts(recipe_path: Path, output: Path, progress: Progress) -> Path:
    """Train a model per edge of an alloy and write them as one folder; return it.

    The folder's manifest is that of the first part, with all of them under `parts`.

    Raises
    ------
    UsageError, LibraryError
        If the recipe or a library cannot be used.
    """
    names = recipe_parts(recipe_path)
    if len(names) != 2:
        raise UsageError(f"{recipe_path}: an alloy has two parts, not {len(names)}")
    parts: list[Part] = []
    tensors: dict[str, Tensor] = {}
    for name in names:
        part, found = _trained(recipe_path, name, progress)
        parts.append(part)
        tensors |= {f"{name}.{key}": tensor for key, tensor in found.items()}
    output.mkdir(parents=True, exist_ok=True)
    copy_recipe(recipe_path, output / RECIPE)
    (output / WEIGHTS).write_bytes(
        save({name: tensor.contiguous() for name, tensor in tensors.items()})
    )
    manifest = _manifest(parts)
    write_manifest(output, manifest, (WEIGHTS, RECIPE))
    # The model is evaluated as loaded from disk: the card describes what is shipped.
    for part, written in zip(parts, manifest["parts"], strict=True):
        progress(f"{part.name} metrics", 0.0)
        rows = evaluate_alloy(part.loaded(output), part.recipe, part.library)
        written["metrics"] = list(rows)
        written["from_lattice"] = errors_from_lattice(part.recipe, part.library)
    first, second = parts
    alloys = common_alloys(first.recipe, second.recipe)
    scores = (
        first.scores(output, second.library.element, alloys),
        second.scores(output, first.library.element, alloys),
    )
    manifest["joint"] = joint_scores(*scores, len(alloys))
    write_alloy_card(output, manifest, first.recipe.limits, scores)
    write_manifest(output, manifest, (WEIGHTS, RECIPE, CARD, FIGURE))
    return output


def _trained(
    recipe_path: Path, name: str, progress: Progress
) -> tuple[Part, dict[str, Tensor]]:
    recipe = read_recipe(recipe_path, name)
    library = read_library(recipe.library)
    recipe = with_possible_descriptors(recipe, library)
    trained = fit_model(
        recipe, library, lambda stage, share: progress(f"{name} {stage}", share)
    )
    manifest = manifest_of(recipe, library, trained)
    # A pure metal has no unlike neighbours: half of its estimates would be below none.
    manifest["bounded"] = list(recipe.descriptors)
    _publish_left_out(manifest["calibration"])
    return Part(name, recipe, library, manifest), trained.tensors


def _publish_left_out(calibration: dict[str, Any]) -> None:
    """Let intervals be those of left-out particles, however few.

    The sites of alloys are a small sample of those that are: mixtures of known ones, which
    bound the intervals of other models, say too little of a real alloy.
    """
    calibration["quantiles"] = calibration["left_out"]
    calibration["method"] = "conformal: left-out particles and alloys, one weight each"


def _manifest(parts: list[Part]) -> dict[str, Any]:
    own = [
        {key: value for key, value in part.manifest.items() if key not in _COMMON}
        for part in parts
    ]
    return parts[0].manifest | {"parts": own}
