"""A recipe: everything that decides what a trained model will be, from one YAML file."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.instrument import Nuisances
from xasnn_stream.physics.white_line import WhiteLine

SCHEMA = "xasnn.recipe/1"
_MIN_MEMBERS = 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Input:
    """The grid of the difference spectrum, eV relative to the foil's edge."""

    start: float
    stop: float
    step: float


@dataclass(frozen=True, slots=True)
class Mixtures:
    """How training structures are put together; shares are probabilities."""

    max_sites: int
    particles: float
    max_particles: int
    scaled: float
    bulk: float


@dataclass(frozen=True, slots=True)
class NoveltyRecipe:
    """Theory–experiment misfit of a foil and its correlation length; alarm level."""

    foil_misfit_rms: float
    length_ev: float
    level: float
    white_line: WhiteLine


@dataclass(frozen=True, slots=True)
class Fit:
    """Sizes and optimization of the ensemble.

    `architecture` is one of `networks.architectures`. What a member never sees is one of
    `folds` parts of the training particles; with `folds` 0 it is what a bootstrap of the
    particles left out.
    """

    architecture: str
    pool: int
    members: int
    folds: int
    hidden: int
    depth: int
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    beta: float
    ridge: float


@dataclass(frozen=True, slots=True)
class CalibrationRecipe:
    """Draws per left-out particle and the levels intervals are calibrated at."""

    draws: int
    levels: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The whole recipe; `library` is resolved against the recipe's own folder."""

    schema: str
    name: str
    library: Path
    seed: int
    input: Input
    descriptors: tuple[str, ...]
    held_out: tuple[str, ...]
    duplicates: dict[str, str]
    mixtures: Mixtures
    nuisances: Nuisances
    novelty: NoveltyRecipe
    fit: Fit
    calibration: CalibrationRecipe
    limits: tuple[str, ...]


def read_recipe(path: str | Path, part: str = "") -> Recipe:
    """Read a recipe.

    Of a recipe for several edges `part` names the one that is meant, as `Pd_K`: its keys
    go before the common ones. A recipe for one edge has no parts, and none is looked for.

    Raises
    ------
    UsageError
        If the file cannot be read, or listing every missing, unknown or mistyped key.
    """
    path = Path(path)
    data = _loaded(path)
    parts = data.pop("parts", None) if isinstance(data, dict) else None
    if parts is not None:
        data |= _keys_of(path, parts, part)
    mistakes: list[str] = []
    recipe = _build(Recipe, data, "", mistakes)
    if isinstance(data, dict) and data.get("schema") != SCHEMA:
        mistakes.append(f"schema: expected {SCHEMA}")
    if not mistakes and recipe.fit.members < _MIN_MEMBERS:
        mistakes.append(f"fit.members: at least {_MIN_MEMBERS}, for their spread")
    if mistakes:
        raise UsageError(f"{path}: " + "; ".join(mistakes))
    return replace(recipe, library=(path.parent / recipe.library).resolve())


def recipe_parts(path: str | Path) -> tuple[str, ...]:
    """Return the parts of a recipe for several edges, none of one for a single edge.

    UsageError if the file cannot be read.
    """
    data = _loaded(Path(path))
    parts = data.get("parts") if isinstance(data, dict) else None
    return tuple(parts) if isinstance(parts, dict) else ()


def copy_recipe(source: Path, target: Path) -> None:
    """Copy a recipe, its libraries named as seen from the copy's folder."""
    if source.resolve() == target.resolve():
        return
    text = source.read_text(encoding="utf-8")
    for name in reversed(list(_library_names(yaml.compose(text)))):
        library = (source.parent / name.value).resolve()
        there = os.path.relpath(library, target.parent.resolve())
        start, end = name.start_mark.index, name.end_mark.index
        text = text[:start] + json.dumps(there) + text[end:]
    target.write_text(text, encoding="utf-8")


def _library_names(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Yield where a recipe names a library, in the order of the text."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "library" and isinstance(value, yaml.ScalarNode):
                yield value
            yield from _library_names(value)


def _loaded(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{path} is not a readable recipe: {error}") from error


def _keys_of(path: Path, parts: Any, part: str) -> dict[str, Any]:
    if not isinstance(parts, dict) or not isinstance(parts.get(part), dict):
        known = ", ".join(map(str, parts)) if isinstance(parts, dict) else "no mapping"
        raise UsageError(f"{path}: no part {part or 'named'}; its parts: {known}")
    return parts[part]


def _build(kind: type[T], data: Any, where: str, mistakes: list[str]) -> T:
    if not isinstance(data, dict):
        mistakes.append(f"{where.rstrip('.') or 'recipe'}: expected a mapping")
        return None  # type: ignore[return-value] - the caller raises
    names = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    mistakes += [f"{where}{key}: unknown key" for key in data if key not in names]
    mistakes += [f"{where}{key}: missing" for key in names if key not in data]
    values = {
        name: _convert(annotation, data[name], f"{where}{name}", mistakes)
        for name, annotation in names.items()
        if name in data
    }
    return kind(**values) if len(values) == len(names) else None  # type: ignore


def _convert(annotation: Any, value: Any, where: str, mistakes: list[str]) -> Any:
    if is_dataclass(annotation):
        return _build(annotation, value, f"{where}.", mistakes)  # type: ignore[arg-type]
    origin = get_origin(annotation)
    try:
        if origin is tuple:
            if not isinstance(value, list):
                raise TypeError("expected a list")
            items = get_args(annotation)
            kinds = [items[0]] * len(value) if items[-1] is Ellipsis else items
            return tuple(kind(item) for kind, item in zip(kinds, value, strict=True))
        if isinstance(origin, type) and issubclass(origin, dict):
            return dict(value)
        return annotation(value)
    except (TypeError, ValueError) as error:
        mistakes.append(f"{where}: {error}")
        return None
