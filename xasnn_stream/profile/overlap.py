"""Which runs two profiles would both take."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from xasnn_stream.assembly.matching import choose, holds
from xasnn_stream.assembly.metadata import at
from xasnn_stream.assembly.settings import AssemblySettings, Rule
from xasnn_stream.profile.files import merged

_ANY = "any text"
_UNLIKE_TEXT = ((".*", ""), (".+", "x"), (r"\d+", "1"), ("\\", ""))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two profiles that would both take a run with these values at dotted paths.

    `shared` tells whether both ask about one of them; else a run needs what each asks
    for. `certain` is False where only regular expressions could tell, which nobody can
    compare for sure.
    """

    first: str
    second: str
    values: Mapping[str, Any]
    shared: bool
    certain: bool

    def __str__(self) -> str:
        said = ", ".join(f"{key}: {value}" for key, value in self.values.items())
        might = "would" if self.certain else "might"
        return (
            f"{self.first} and {self.second} {might} both take a run"
            f"{f' with {said}' if said else ''}; the one named first gets it"
        )


def overlaps(profiles: Sequence[AssemblySettings]) -> list[Overlap]:
    """Return the pairs of profiles that would take the same runs."""
    pairs = combinations(profiles, 2)
    return [found for one, other in pairs if (found := _overlap(one, other))]


def _overlap(one: AssemblySettings, other: AssemblySettings) -> Overlap | None:
    """Return a run that both would take, None if there is none.

    A rule asks about one value, so values can be looked for one by one.
    """
    wanted, refused = (*one.match, *other.match), (*one.reject, *other.reject)
    keys = sorted({rule.key for rule in (*wanted, *refused)})
    start: dict[str, Any] = {}
    told: dict[str, Any] = {}
    certain = True
    for key in keys:
        asked = [rule for rule in wanted if rule.key == key]
        forbidden = [rule for rule in refused if rule.key == key]
        for document in _documents(key, (*asked, *forbidden)):
            fits = all(holds(rule, document) for rule in asked)
            if fits and not any(holds(rule, document) for rule in forbidden):
                break
        else:
            if not any(rule.regex for rule in asked):
                return None
            certain = False
            continue
        start = merged(start, document)
        if asked and document:
            told[key] = at(document, key)
    both = choose(start, [one]) and choose(start, [other])
    if certain and not both:
        return None  # such as a key that must be absent, and one below it
    shared = bool({rule.key for rule in one.match} & {rule.key for rule in other.match})
    return Overlap(one.profile, other.profile, told, shared, certain)


def _documents(key: str, rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    """Yield start documents that differ in one value, the likely ones first."""
    for rule in rules:
        for value in rule.any_of or ():
            yield _nested(key, value)
    for rule in rules:
        if rule.regex is not None:
            for text in _examples(rule.regex):
                yield _nested(key, text)
    yield {}
    yield _nested(key, _ANY)


def _examples(regex: str) -> Iterator[str]:
    """Yield texts that simple expressions match: alternatives, with anything in them."""
    for alternative in regex.strip("()").split("|"):
        for pattern, text in _UNLIKE_TEXT:
            alternative = alternative.replace(pattern, text)
        if re.fullmatch(regex, alternative):
            yield alternative


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value
