"""The schema of a profile, from the classes that check one."""

from typing import Any

from xasnn_stream.profile.files import EXTENDS
from xasnn_stream.profile.model import ProfileModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REPLACED_WHOLE = ("RuleModel",)
"""Sections in lists, which a profile that extends another one gives whole."""


def profile_schema() -> dict[str, Any]:
    """Return the schema of a profile's file.

    A file that extends another one may leave out any key, so none is required of it;
    `xasnn-stream check` tells what is missing after all.
    """
    schema = ProfileModel.model_json_schema(by_alias=True)
    for name, section in schema["$defs"].items():
        if name not in _REPLACED_WHOLE:
            section.pop("required", None)
    schema.pop("required", None)
    extends = {
        "type": "string",
        "minLength": 1,
        "description": "name or path of the profile that this one changes: sections are "
        "merged, lists and values replaced, and null takes a key away",
    }
    schema["properties"] = {EXTENDS: extends, **schema["properties"]}
    _untitle(schema)
    return {"$schema": DIALECT, "title": "xasnn-stream profile", **schema}


def _untitle(schema: Any) -> None:
    """Leave out the titles that pydantic makes of names: they say nothing."""
    if isinstance(schema, list):
        for item in schema:
            _untitle(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for item in schema.values():
            _untitle(item)
