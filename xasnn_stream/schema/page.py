"""A page of tables, one per section, out of a JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = ("| key | value | else | meaning |", "|---|---|---|---|")
_REFERENCE = "#/$defs/"


def page(schema: Mapping[str, Any], intro: str) -> str:
    """Return Markdown: a title, `intro`, and a table per section, in order of use."""
    lines = [f"# {schema['title']}", "", intro, "", *_table(schema)]
    for place, section in _below("", schema, schema["$defs"], set()):
        lines += ["", f"## {place}", "", section.get("description", ""), ""]
        lines += _table(section)
    return "\n".join(line.rstrip() for line in lines).replace("\n\n\n", "\n\n") + "\n"


def _below(
    place: str, section: Mapping[str, Any], known: Mapping[str, Any], seen: set[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the sections that a section's keys lead to, each where it is first met."""
    for key, field in section["properties"].items():
        for name, step in _sections(field):
            if name not in seen:
                seen.add(name)
                there = f"{place}{key}{step}"
                yield there, known[name]
                yield from _below(f"{there}.", known[name], known, seen)


def _sections(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the sections in a value, and how they are reached from it."""
    if "$ref" in field:
        yield field["$ref"].removeprefix(_REFERENCE), ""
    for choice in field.get("anyOf", ()):
        yield from _sections(choice)
    for inner, step in ((field.get("items"), "[]"), (_named(field), ".NAME")):
        if isinstance(inner, Mapping):
            yield from ((name, step + more) for name, more in _sections(inner))


def _named(field: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of what stands under names that people choose."""
    patterns = field.get("patternProperties", {})
    found = next(iter(patterns.values()), field.get("additionalProperties"))
    return found if isinstance(found, Mapping) else None


def _table(section: Mapping[str, Any]) -> list[str]:
    required = section.get("required", ())
    rows = [
        f"| `{key}` | {_kind(field)} | {_default(field, key in required)} | "
        f"{field['description']} |".replace("|  |", "| |")
        for key, field in section["properties"].items()
    ]
    return [*_HEAD, *rows]


def _default(field: Mapping[str, Any], required: bool) -> str:
    if required or field.get("default") is None or field["default"] in ([], {}):
        return ""
    return f"`{json.dumps(field['default'])}`"


def _kind(field: Mapping[str, Any]) -> str:
    """Say in words what may stand at a key."""
    if "anyOf" in field:
        kinds = dict.fromkeys(_kind(choice) for choice in field["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null")
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return "section"
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])}"
    if isinstance(field.get("items"), Mapping):
        return f"list of {_kind(field['items'])}"
    if (named := _named(field)) is not None:
        return f"{_kind(named)} by name"
    kinds = field.get("type", "value")
    named = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_WORDS.get(kind, kind) for kind in named)


_WORDS: Mapping[str, str] = {
    "string": "text",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "section",
}
