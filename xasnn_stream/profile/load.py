"""Reads, checks and resolves profiles."""

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from xasnn_stream.assembly.settings import AssemblySettings
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.errors import ProfileError
from xasnn_stream.profile.model import ProfileModel
from xasnn_stream.shipped import shipped_folder


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
            overrides[key] = yaml.load(value, _Loader)  # noqa: S506  (a SafeLoader)
        except yaml.YAMLError as error:
            raise ProfileError(f"--set {setting}: {_one_line(error)}") from None
    return overrides


def _resolve(
    name_or_path: str, overrides: Mapping[str, object]
) -> tuple[Profile | None, list[str]]:
    try:
        path = _find(name_or_path)
        values = _read(path)
        for key, value in overrides.items():
            _override(values, key, value)
        model = ProfileModel.model_validate({"name": path.stem} | values)
    except ProfileError as error:
        return None, [str(error)]
    except ValidationError as error:
        return None, [_sentence(mistake) for mistake in error.errors()]
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


def _find(name_or_path: str) -> Path:
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    folder = shipped_folder("profiles")
    path = folder / f"{name_or_path}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        raise ProfileError(
            f"there is no profile {name_or_path!r}{_hint(name_or_path, known)}; "
            f"known are: {', '.join(known) or 'none'}; or give the path of a YAML file"
        )
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506  (safe)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot read {path}: {_one_line(error)}") from None
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not YAML: {_one_line(error)}") from None
    if not isinstance(values, dict):
        raise ProfileError(f"{path} holds no keys and values")
    return {str(key): value for key, value in values.items()}


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
        return f"{where}: unknown key{_hint(str(name), _keys_at(parents))}"
    if mistake["type"] == "missing":
        return f"{where}: is required"
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


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, refusing a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)
