"""Which profile takes a run."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xasnn_stream.assembly.metadata import at
from xasnn_stream.assembly.settings import AssemblySettings, Rule


def choose(
    start: Mapping[str, Any], profiles: Sequence[AssemblySettings]
) -> AssemblySettings | None:
    """Return the first profile that takes the run with this start document.

    It must fit all rules of `match`, and none of `reject`.
    """
    for profile in profiles:
        fits = all(holds(rule, start) for rule in profile.match)
        if fits and not any(holds(rule, start) for rule in profile.reject):
            return profile
    return None


def holds(rule: Rule, start: Mapping[str, Any]) -> bool:
    """Return whether everything the rule asks for holds."""
    value = at(start, rule.key)
    if rule.exists is not None and (value is not None) != rule.exists:
        return False
    if rule.any_of is not None and not _among(value, rule.any_of):
        return False
    if rule.regex is not None:
        return isinstance(value, str) and re.fullmatch(rule.regex, value) is not None
    return True


def _among(value: Any, allowed: tuple[Any, ...]) -> bool:
    if not isinstance(value, str | int | float | bool):
        return False
    # True == 1 in Python; in a document they are different things.
    return any(
        value == item and isinstance(value, bool) == isinstance(item, bool)
        for item in allowed
    )
