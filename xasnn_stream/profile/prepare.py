"""From the names of profiles to resident engines."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xasnn_stream.errors import ModelError, ProfileError
from xasnn_stream.profile.load import Profile, load_profile
from xasnn_stream.shipped import model_folder

if TYPE_CHECKING:
    from xasnn_stream.engine.resident import Engine


def load_profiles(
    names: Sequence[str], overrides: Mapping[str, object]
) -> list[Profile]:
    """Return profiles in order of preference; ProfileError if a name stands twice."""
    profiles = [load_profile(name, overrides) for name in names]
    seen = [profile.name for profile in profiles]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise ProfileError(f"given more than once: {', '.join(twice)}")
    return profiles


def load_engines(
    profiles: Sequence[Profile], reference: str | None
) -> "dict[str, Engine]":
    """Return a warmed-up engine per profile.

    `reference` is the file of a foil (a column of it after `#`). ModelError or
    FoilError say what is wrong with a model folder or the foil.
    """
    from xasnn_stream.engine.foil import read_foil
    from xasnn_stream.engine.resident import Engine

    foil = read_foil(reference) if reference is not None else None
    engines = {
        profile.name: Engine.load(model_folder(profile.model), profile.engine, foil)
        for profile in profiles
    }
    for engine in engines.values():
        engine.warm_up()
    return engines


def descriptors_by_model(profiles: Sequence[Profile]) -> dict[str, list[str]]:
    """Return what each model of these profiles estimates; ModelError if unreadable."""
    descriptors: dict[str, list[str]] = {}
    for profile in profiles:
        path = model_folder(profile.model) / "manifest.json"
        try:
            manifest = json.loads(path.read_text("utf-8"))
            descriptors[manifest["name"]] = list(manifest["descriptors"])
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"cannot read {path}: {error!r}") from error
    return descriptors
