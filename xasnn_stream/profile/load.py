"""Reads, checks and resolves profiles."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.errors import ProfileError
from xasnn_stream.profile.files import read_profile, read_value
from xasnn_stream.profile.hints import hint
from xasnn_stream.profile.model import ProfileModel
from xasnn_stream.profile.streams import unknown_streams

_ELSEWHERE = {
    "cleaning.excluded": "elements are left out by exclude of the signal, as in "
    "signals.if.exclude"
}
"""What to write instead of keys that no hint would lead away from."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A resolved profile; `sha256` is over all its values, overrides applied."""

    name: str
    sha256: str
    assembly: AssemblySettings
    engine: EngineSettings
    model: str


def load_profile(
    name_or_path: str, overrides: Mapping[str, object] | None = None
) -> Profile:
    """Return the profile of a name in `profiles/` or of a path to a YAML file.

    `overrides` maps dotted keys to values, as in `{"normalization.nnorm": 1}`.
    ProfileError lists every mistake.
    """
    profile, mistakes = _resolve(name_or_path, overrides or {})
    if profile is None:
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        raise ProfileError(f"profile {name_or_path} is not valid:{lines}")
    return profile


def check_profile(
    name_or_path: str, overrides: Mapping[str, object] | None = None
) -> list[str]:
    """Return all mistakes of a profile, one sentence each; none if it is valid."""
    return _resolve(name_or_path, overrides or {})[1]


def parse_overrides(settings: Sequence[str]) -> dict[str, object]:
    """Return `key=value` texts as overrides; values are read as YAML.

    >>> parse_overrides(["normalization.nnorm=1"])
    {'normalization.nnorm': 1}
    """
    overrides: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise ProfileError(f"--set {setting} is not key=value")
        try:
            overrides[key] = read_value(value)
        except ProfileError as error:
            raise ProfileError(f"--set {setting}: {error}") from None
    return overrides


def _resolve(
    name_or_path: str, overrides: Mapping[str, object]
) -> tuple[Profile | None, list[str]]:
    try:
        values = read_profile(name_or_path)
        for key, value in overrides.items():
            _override(values, key, value)
    except ProfileError as error:
        return None, [str(error)]
    mistakes = unknown_streams(values)
    try:
        model = ProfileModel.model_validate(values)
    except ValidationError as error:
        return None, [*map(_sentence, error.errors()), *mistakes]
    mistakes += model.contradictions()
    if mistakes:
        return None, mistakes
    canonical = json.dumps(
        model.model_dump(mode="json", by_alias=True),
        sort_keys=True,
        separators=(",", ":"),
    )
    sha256 = hashlib.sha256(canonical.encode()).hexdigest()
    profile = Profile(
        model.name, sha256, model.assembly(), model.engine(sha256), model.model
    )
    return profile, []


def _override(values: Any, key: str, value: object) -> None:
    """Set a dotted key; parts that are numbers are positions in lists."""
    *parents, last = key.split(".")
    target = values
    try:
        for part in parents:
            if isinstance(target, list):
                target = target[int(part)]
            else:
                target = target.setdefault(part, {})
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise ProfileError(f"--set {key}: the profile has no such place") from None


def _sentence(mistake: ErrorDetails) -> str:
    """Return where the mistake is, what it is, and the nearest name if it is a key."""
    where = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        *parents, name = mistake["loc"]
        if where in _ELSEWHERE:
            return f"{where}: unknown key; {_ELSEWHERE[where]}"
        return f"{where}: unknown key{hint(str(name), _keys_at(parents))}"
    if mistake["type"] == "missing":
        return f"{where}: is required"
    if mistake["type"] == "model_type":
        return f"{where}: must be a section of keys, not {mistake['input']!r}"
    text = mistake["msg"].removeprefix("Value error, ")
    if not where:
        return text
    if mistake["type"] == "value_error":
        return f"{where}: {text}"
    return f"{where}: {text[:1].lower()}{text[1:]}, not {mistake['input']!r}"


def _keys_at(location: Sequence[int | str]) -> list[str]:
    """Return the keys allowed at a place of the profile."""
    model: type[BaseModel] | None = ProfileModel
    for part in location:
        field = model.model_fields.get(str(part)) if model else None
        if field is not None:
            model = next(_models_in(field.annotation), None)
    return list(model.model_fields) if model else []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
