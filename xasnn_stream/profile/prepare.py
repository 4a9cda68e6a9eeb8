"""From the names of profiles to resident engines."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xasnn_stream.errors import ProfileError
from xasnn_stream.profile.load import Profile, load_profile
from xasnn_stream.shipped import model_part

if TYPE_CHECKING:
    from xasnn_stream.engine.resident import Engine


logger = logging.getLogger(__name__)


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
    """Return a warmed-up engine per profile; what it found odd in the foil is logged.

    `reference` is the file of a foil (a column of it after `#`). ModelError or
    FoilError say what is wrong with a model folder or the foil.
    """
    from xasnn_stream.engine.foil import read_foil
    from xasnn_stream.engine.resident import Engine

    foil = read_foil(reference) if reference is not None else None
    engines = dict[str, Engine]()
    for profile in profiles:
        folder, part = model_part(profile.model)
        engines[profile.name] = Engine.load(folder, profile.engine, foil, part=part)
    for engine in engines.values():
        if engine.foil_note:
            logger.warning("%s", engine.foil_note)
        engine.warm_up()
    return engines
