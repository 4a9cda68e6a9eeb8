"""Faults of documents: what comes late, twice, in another order, or never."""

from typing import Any

import event_model

from xasnn_stream.simulation.documents.spoilt import (
    CARRIERS,
    Doc,
    Spoilt,
    changed,
    first_run,
    main_stream,
    of_main_stream,
    only_the_first,
    owners,
    streams,
    sweeps_of,
)
from xasnn_stream.simulation.documents.truth import Documents, Generated

DONE_BEFORE_ABORT = 0.85
LOST_EVENTS = range(100, 105)
WINDOW = 12
"""Documents so close to each other may change their order."""

BESIDE = ("baseline", "temperature_monitor")
"""Streams beside the signals."""

PAGE = 50


def missing_stop(generated: Generated) -> Spoilt:
    """Leave out the stop of the last run."""
    documents = generated.documents[:-1]
    sweeps = sweeps_of(generated, generated.truth[-1].run)
    kinds = {name for name, _ in documents}
    if "event_page" in kinds:
        hit = sweeps
    elif "stream_datum" in kinds or len(sweeps) == 1:
        hit = sweeps[-1:]
    else:
        hit = []  # a sweep an event: each was whole when it came
    return Spoilt(documents, frozenset(hit))


def abort(generated: Generated) -> Spoilt:
    """End the first run before its end."""
    return _ended_early(generated, "abort", "Run aborted by the user")


def fail(generated: Generated) -> Spoilt:
    """Let the first run fail before its end."""
    return _ended_early(generated, "fail", "FailedStatus: the shutter did not open")


def _ended_early(generated: Generated, status: str, reason: str) -> Spoilt:
    is_main = of_main_stream(generated)
    sweeps = sweeps_of(generated, first_run(generated))
    carriers = [doc for name, doc in generated.documents if name in CARRIERS]
    counted = [_last(doc) for doc in carriers if is_main(doc)]
    if len(sweeps) == 1:
        kept, gone = int(DONE_BEFORE_ABORT * max(counted)), []
    else:
        kept = max(counted) * (len(sweeps) - 1) // len(sweeps)
        gone = sweeps[-1:]

    def change(doc: Doc) -> Doc | None:
        if "exit_status" in doc:
            counts = {**doc["num_events"], main_stream(generated.documents): kept}
            doc |= {"exit_status": status, "reason": reason, "num_events": counts}
            return doc
        return doc if not is_main(doc) or _last(doc) <= kept else None

    documents = changed(generated, ("event", "stream_datum", "stop"), change)
    return Spoilt(documents, frozenset(sweeps) - frozenset(gone), frozenset(gone))


def _last(doc: Doc) -> int:
    return doc["seq_num"] if "seq_num" in doc else doc["indices"]["stop"]


def abort_before_files(generated: Generated) -> Spoilt:
    """End the run before its flyers were collected: there is no stream."""
    start, stop = generated.documents[0], generated.documents[-1]
    ended: Doc = {**stop[1], "exit_status": "abort", "num_events": {}}
    return only_the_first(generated, [start, (stop[0], ended)])


def late_descriptor(generated: Generated) -> Spoilt:
    """Let the description of the signals come behind the first of them."""
    main = main_stream(generated.documents)
    documents = list(generated.documents)
    place = next(
        n
        for n, (name, doc) in enumerate(documents)
        if name == "descriptor" and doc["name"] == main
    )
    descriptor = documents.pop(place)
    stop = next(n for n, (name, _) in enumerate(documents) if name == "stop")
    documents.insert(min(place + WINDOW, stop), descriptor)
    return Spoilt(documents)


def lost_descriptor(generated: Generated) -> Spoilt:
    """Lose the description of the signals."""
    main = main_stream(generated.documents)
    lost = changed(
        generated, ("descriptor",), lambda doc: None if doc["name"] == main else doc
    )
    return Spoilt(lost, frozenset(sweeps_of(generated, first_run(generated))))


def lost_events(generated: Generated) -> Spoilt:
    """Lose events of the first run: a few points of its sweep, or its second sweep."""
    sweeps = sweeps_of(generated, first_run(generated))
    numbers = LOST_EVENTS if len(sweeps) == 1 else range(2, 3)
    is_main = of_main_stream(generated)

    def change(doc: Doc) -> Doc | None:
        return None if is_main(doc) and doc["seq_num"] in numbers else doc

    hit = sweeps if len(sweeps) == 1 else sweeps[1:2]
    return Spoilt(changed(generated, ("event",), change), frozenset(hit))


def duplicated(generated: Generated) -> Spoilt:
    """Send every third document that carries data twice."""
    documents: Documents = []
    carried = 0
    for name, doc in generated.documents:
        documents.append((name, doc))
        carried += name in CARRIERS
        if name in CARRIERS and carried % 3 == 1:
            documents.append((name, dict(doc)))
    return Spoilt(documents)


def disorder(generated: Generated) -> Spoilt:
    """Reverse stretches of documents with data, or about files, of the signals.

    Baselines and monitors keep their places: a condition is known as its readings come.
    """
    names = streams(generated.documents)
    beside = {uid for uid, name in names.items() if name in BESIDE}
    documents = list(generated.documents)
    moved = [
        place
        for place, (name, doc) in enumerate(documents)
        if name not in ("start", "descriptor", "stop")
        and doc.get("descriptor") not in beside
    ]
    runs = owners(documents)
    for run in dict.fromkeys(runs):
        own = [place for place in moved if runs[place] == run]
        for first in range(0, len(own), WINDOW):
            places = own[first : first + WINDOW]
            stretch = [generated.documents[place] for place in reversed(places)]
            for place, document in zip(places, stretch, strict=True):
                documents[place] = document
    return Spoilt(documents)


def event_pages(generated: Generated) -> Spoilt:
    """Send events in pages."""
    documents: Documents = []
    waiting: list[Any] = []
    for name, doc in [*generated.documents, ("", {})]:
        others = waiting and doc.get("descriptor") != waiting[-1]["descriptor"]
        if waiting and (others or name != "event" or len(waiting) == PAGE):
            page = event_model.pack_event_page(*waiting)
            documents.append(("event_page", dict(page)))
            waiting = []
        if name == "event":
            waiting.append(doc)
        elif name:
            documents.append((name, doc))
    return Spoilt(documents)


def interleaved(generated: Generated) -> Spoilt:
    """Let all runs happen at once."""
    by_run: dict[str, Documents] = {}
    named = zip(generated.documents, owners(generated.documents), strict=True)
    for document, run in named:
        by_run.setdefault(run, []).append(document)
    longest = max(map(len, by_run.values()))
    return Spoilt(
        [
            documents[row]
            for row in range(longest)
            for documents in by_run.values()
            if row < len(documents)
        ]
    )
