"""Ways through the documents of a run, for those who spoil them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xasnn_stream.simulation.documents.truth import Documents, Generated

Doc = dict[str, Any]
Key = tuple[str, int]
"""Run and sweep."""

CARRIERS = ("event", "event_page", "stream_datum")
"""Documents that bring data, or say that they are there."""


@dataclass(frozen=True, slots=True, eq=False)
class Spoilt:
    """What arrives of documents with a fault.

    `hit` are the sweeps it shows in, `gone` those that never came to be. Files of
    `late` lie under another name (the value) until somebody renames them.
    """

    documents: Documents
    hit: frozenset[Key] = frozenset()
    gone: frozenset[Key] = frozenset()
    late: Mapping[Path, Path] = field(default_factory=dict[Path, Path])


def sweeps_of(generated: Generated, run: str) -> list[Key]:
    """Return a run's sweeps in order."""
    return [(truth.run, truth.sweep) for truth in generated.truth if truth.run == run]


def first_run(generated: Generated) -> str:
    """Return the run that a fault is made in, where there are several."""
    return generated.truth[0].run


def owners(documents: Documents) -> list[str]:
    """Return the run of every document."""
    run_of: dict[str, str] = {}
    found: list[str] = []
    for name, doc in documents:
        parent = doc.get("run_start") or run_of.get(
            str(doc.get("descriptor") or doc.get("resource"))
        )
        run = str(doc["uid"] if name == "start" else parent)
        if name in ("descriptor", "resource", "stream_resource"):
            run_of[str(doc["uid"])] = run
        found.append(run)
    return found


def streams(documents: Documents) -> dict[str, str]:
    """Return the name of every descriptor's stream by the descriptor's id."""
    return {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}


def main_stream(documents: Documents) -> str:
    """Return the stream with the signals."""
    names = streams(documents).values()
    return "primary" if "primary" in names else "apb_stream"


def changed(
    generated: Generated, kinds: tuple[str, ...], change: Callable[[Doc], Doc | None]
) -> Documents:
    """Return all documents, those of the first run and of `kinds` changed.

    `change` returns what a document becomes, None to leave it out.
    """
    documents = generated.documents
    run = first_run(generated)
    found: Documents = []
    for (name, doc), owner in zip(documents, owners(documents), strict=True):
        if name in kinds and owner == run:
            new = change(dict(doc))
            if new is not None:
                found.append((name, new))
        else:
            found.append((name, doc))
    return found


def of_main_stream(generated: Generated) -> Callable[[Doc], bool]:
    """Return whether a document with a descriptor belongs to the stream of signals."""
    names = streams(generated.documents)
    main = main_stream(generated.documents)
    return lambda doc: names[doc["descriptor"]] == main


def only_the_first(generated: Generated, documents: Documents) -> Spoilt:
    """Return what shows as one sweep, for the others cannot be told."""
    first, *others = sweeps_of(generated, first_run(generated))
    return Spoilt(documents, frozenset([first]), frozenset(others))
