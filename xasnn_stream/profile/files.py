"""Finds and reads profiles, with those that they extend."""

from pathlib import Path
from typing import Any

import yaml

from xasnn_stream.errors import ProfileError
from xasnn_stream.profile.hints import hint
from xasnn_stream.shipped import shipped_folder

EXTENDS = "extends"
"""Key of the profile that another one changes."""
_TEMPLATE = "template"


def shipped_profiles() -> list[str]:
    """Return the names of the shipped profiles, without that of the template."""
    names = {path.stem for path in shipped_folder("profiles").glob("*.yaml")}
    return sorted(names - {_TEMPLATE})


def read_profile(name_or_path: str) -> dict[str, Any]:
    """Return the keys and values of a profile, those of the profiles it extends filled in.

    Sections are merged key by key; lists and single values replace what was there, and
    null takes a key away. A profile that says no name has that of its file.
    ProfileError says why a file cannot be read.
    """
    path = _find(name_or_path)
    return {"name": path.stem} | _resolved(path, ())


def read_value(text: str) -> Any:
    """Return a text read as YAML; ProfileError if it is none."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise ProfileError(_one_line(error)) from None
    except RecursionError:
        raise ProfileError("it is nested too deeply") from None


def _resolved(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    values = _read(path)
    if EXTENDS not in values:
        return values
    base = values.pop(EXTENDS)
    if not isinstance(base, str) or not base:
        raise ProfileError(f"extends: must be a name or path, not {base!r}")
    found = _find(base, path.parent)
    above = (*extending, path.resolve())
    if found.resolve() in above:
        names = " extends ".join(p.name for p in (*above, found))
        raise ProfileError(f"extends: profiles extend each other: {names}")
    inherited = _resolved(found, above)
    inherited.pop("name", None)
    return merged(inherited, values)


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return sections merged key by key; None takes a key away."""
    found = dict(base)
    for key, value in changes.items():
        below = found.get(key)
        if value is None and key in found:
            del found[key]
        elif isinstance(value, dict) and isinstance(below, dict):
            found[key] = merged(below, value)
        else:
            found[key] = value
    return found


def _find(name_or_path: str, beside: Path = Path()) -> Path:
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        return beside / name_or_path
    path = shipped_folder("profiles") / f"{name_or_path}.yaml"
    if name_or_path == _TEMPLATE:
        raise ProfileError(
            f"template is to be copied: it shows every key; it is {path}"
        )
    if not path.is_file():
        known = shipped_profiles()
        raise ProfileError(
            f"there is no profile {name_or_path!r}{hint(name_or_path, known)}; "
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
    except RecursionError:
        raise ProfileError(f"{path} is nested too deeply") from None
    if not isinstance(values, dict):
        raise ProfileError(f"{path} holds no keys and values")
    return {str(key): value for key, value in values.items()}


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
