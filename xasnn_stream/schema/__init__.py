"""JSON Schemas of a profile, which people write, and an estimate, which programs read.

Both are made from the classes themselves; what is committed below `docs/schemas` is
what this makes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from xasnn_stream.schema.estimate import estimate_schema
from xasnn_stream.schema.page import page
from xasnn_stream.schema.profile import profile_schema

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "profile": profile_schema,
    "estimate": estimate_schema,
}
"""Functions that make a schema, by its name."""


def schema(name: str) -> dict[str, Any]:
    """Return the schema of `profile` or `estimate`."""
    return SCHEMAS[name]()


_INTRO: Mapping[str, str] = {
    "profile": "Made by `xasnn-stream schema profile --markdown`. "
    "[Profiles](../profiles.md) leads through\nthem; `profiles/template.yaml` shows "
    "every key in its place.",
    "estimate": "Made by `xasnn-stream schema estimate --markdown`. Fields may be "
    "added; those here stay.",
}


def markdown(name: str) -> str:
    """Return the schema of `profile` or `estimate` as a page for people."""
    return page(schema(name), _INTRO[name])
