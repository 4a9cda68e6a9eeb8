"""The schema of an estimate, from the dataclasses it is made of."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from xasnn_stream.estimate import SCHEMA, Estimate
from xasnn_stream.schema.words import WORDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_BESIDE = "arrays"
"""The field that travels beside the document, not in it."""

_PLAIN: Mapping[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    # What is not finite is null.
    float: {"type": ["number", "null"]},
    NoneType: {"type": "null"},
}


def estimate_schema() -> dict[str, Any]:
    """Return the schema of the document `xasnn.estimate/1`."""
    definitions: dict[str, Any] = {}
    document = _object(Estimate, definitions)
    said = {"const": SCHEMA, "description": "name and version of this form"}
    document["properties"] = {"schema": said, **document["properties"]}
    document["properties"]["time"] = {
        "type": "object",
        "description": WORDS["Estimate.time"],
        "properties": {
            "start": {**_PLAIN[float], "description": "of the first event (epoch s)"},
            "end": {**_PLAIN[float], "description": "of the last event (epoch s)"},
        },
        "required": ["start", "end"],
    }
    document["required"] = ["schema", *document["required"]]
    title = "xasnn-stream estimate"
    return {"$schema": DIALECT, "title": title, **document, "$defs": definitions}


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a dataclass; adding fields is free, so others may come."""
    hints = get_type_hints(kind)
    properties = {
        field.name: {
            **_of(hints[field.name], definitions),
            "description": WORDS[f"{kind.__name__}.{field.name}"],
        }
        for field in fields(kind)
        if field.name != _BESIDE
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type's JSON form."""
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if is_dataclass(hint) and isinstance(hint, type):
        definitions.setdefault(hint.__name__, {})
        definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return _either([_of(argument, definitions) for argument in arguments])
    if origin is tuple:
        return _tuple(arguments, definitions)
    # What remains are mappings from names.
    return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}


def _either(choices: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = choices
    if others == [_PLAIN[NoneType]] and isinstance(kind := first.get("type"), str):
        return {**first, "type": [kind, "null"]}
    if others == [_PLAIN[NoneType]] and first == _PLAIN[float]:
        return first
    return {"anyOf": choices}


def _tuple(arguments: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if arguments[-1] is Ellipsis:
        return {"type": "array", "items": _of(arguments[0], definitions)}
    items = [_of(argument, definitions) for argument in arguments]
    count = len(items)
    return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
