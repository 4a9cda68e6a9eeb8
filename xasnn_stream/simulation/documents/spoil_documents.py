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
    owners,
    streams,
    sweeps_of,
)
from xasnn_stream.simulation.documents.truth import Documents, Generated

DONE_BEFORE_ABORT = 0.85
LOST_EVENTS = range(100, 105)
WINDOW = 12
"""Documents so close to each other may change their order."""

PAGE = 50
WRONG_E0_EV = 100.0
TERA = 10**12


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
    return _only_the_first(generated, [start, (stop[0], ended)])


def _only_the_first(generated: Generated, documents: Documents) -> Spoilt:
    """Return what shows as one sweep, for the others cannot be told."""
    first, *others = sweeps_of(generated, first_run(generated))
    return Spoilt(documents, frozenset([first]), frozenset(others))


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
    """Reverse stretches of documents between descriptors, starts and stops."""
    documents: Documents = []
    stretch: Documents = []
    for name, doc in [*generated.documents, ("", {})]:
        if name not in ("start", "descriptor", "stop", "") and len(stretch) < WINDOW:
            stretch.append((name, doc))
            continue
        documents += stretch[::-1]
        stretch = []
        if name in ("start", "descriptor", "stop"):
            documents.append((name, doc))
        elif name:
            stretch = [(name, doc)]
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


def wrong_shape(generated: Generated) -> Spoilt:
    """Promise arrays of 10¹² values."""

    def change(doc: Doc) -> Doc:
        keys = {
            key: {**data_key, "shape": [TERA]} if data_key["shape"] else data_key
            for key, data_key in doc["data_keys"].items()
        }
        return {**doc, "data_keys": keys}

    return Spoilt(changed(generated, ("descriptor",), change))


def wrong_e0(generated: Generated) -> Spoilt:
    """Let the start document say that the edge is elsewhere."""

    def change(doc: Doc) -> Doc:
        if "XDI" not in doc:
            return {**doc, "e0": str(float(doc["e0"]) + WRONG_E0_EV)}
        scan = dict(doc["XDI"]["Scan"])
        scan["edge_energy"] += WRONG_E0_EV
        user = {**doc["XDI"]["_user"], "e0": scan["edge_energy"]}
        return {**doc, "XDI": {**doc["XDI"], "Scan": scan, "_user": user}}

    return _in_start(generated, change)


def no_element(generated: Generated) -> Spoilt:
    """Leave the element out of the start document."""

    def change(doc: Doc) -> Doc:
        doc.pop("element", None)
        if "XDI" in doc:
            xdi = {key: v for key, v in doc["XDI"].items() if key != "Element"}
            kafka = {key: v for key, v in doc["BMM_kafka"].items() if key != "element"}
            doc |= {"XDI": xdi, "BMM_kafka": kafka}
        return doc

    return _in_start(generated, change)


def sead(generated: Generated) -> Spoilt:
    """Measure absorption at one energy over time, with the same metadata around it."""

    def change(doc: Doc) -> Doc:
        mono = {**doc["XDI"]["Mono"], "direction": "fixed in energy"}
        xdi = {**doc["XDI"], "_kind": "sead", "Mono": mono}
        return {**doc, "plan_name": "count measurement it", "XDI": xdi}

    return _in_start(generated, change)


def _in_start(generated: Generated, change: Any) -> Spoilt:
    sweeps = sweeps_of(generated, first_run(generated))
    return Spoilt(changed(generated, ("start",), change), frozenset(sweeps))


def unknown_format(generated: Generated) -> Spoilt:
    """Name a format of files that nobody knows."""
    unknown = {"spec": "NOBODY_KNOWS", "mimetype": "application/x-nobody-knows"}
    return _referring(generated, unknown)


def outside_root(generated: Generated) -> Spoilt:
    """Name a file that is none of the beamline's, and is there."""
    passwords = {"resource_path": "/etc/passwd", "uri": "file://localhost/etc/passwd"}
    return _referring(generated, passwords)


def _referring(generated: Generated, new: dict[str, str]) -> Spoilt:
    def change(doc: Doc) -> Doc:
        return doc | {key: value for key, value in new.items() if key in doc}

    kinds = ("resource", "stream_resource")
    return _only_the_first(generated, changed(generated, kinds, change))


def no_energy(generated: Generated) -> Spoilt:
    """Leave out what the energy is known from, wherever it is written."""
    names = streams(generated.documents)
    axes = {"dcm_energy", "mono_energy", "energy", "inenc-1-val", "pb9_enc1"}
    kinds = ("descriptor", "event", "event_page", "stream_resource", "stream_datum")
    dropped = {
        doc["uid"]
        for name, doc in generated.documents
        if name == "stream_resource" and doc["data_key"] in axes
    }

    def change(doc: Doc) -> Doc | None:
        of_axis = names.get(doc.get("descriptor", ""), doc.get("name")) in axes
        resource = doc.get("stream_resource", doc["uid"])
        if of_axis or (isinstance(resource, str) and resource in dropped):
            return None
        for part in ("data_keys", "data", "timestamps"):
            if part in doc:
                doc[part] = {k: v for k, v in doc[part].items() if k not in axes}
        return doc

    documents = changed(generated, kinds, change)
    if generated.files:
        return _only_the_first(generated, documents)
    sweeps = sweeps_of(generated, first_run(generated))
    return Spoilt(documents, frozenset(sweeps))
