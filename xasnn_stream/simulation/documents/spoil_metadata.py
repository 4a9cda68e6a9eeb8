"""Faults of what documents say: of runs, of data, and of files."""

from collections.abc import Callable

from xasnn_stream.simulation.documents.spoilt import (
    CARRIERS,
    Doc,
    Spoilt,
    changed,
    first_run,
    only_the_first,
    streams,
    sweeps_of,
)
from xasnn_stream.simulation.documents.truth import Generated

WRONG_E0_EV = 100.0
TERA = 10**12


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


def _in_start(generated: Generated, change: Callable[[Doc], Doc]) -> Spoilt:
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
    return only_the_first(generated, changed(generated, kinds, change))


def no_energy(generated: Generated) -> Spoilt:
    """Leave out what the energy is known from, wherever it is written."""
    names = streams(generated.documents)
    axes = {"dcm_energy", "mono_energy", "energy", "inenc-1-val", "pb9_enc1"}
    kinds = (*CARRIERS, "descriptor", "stream_resource", "stop")
    dropped = {
        doc["uid"]
        for name, doc in generated.documents
        if name == "stream_resource" and doc["data_key"] in axes
    }

    def change(doc: Doc) -> Doc | None:
        named = doc.get("name") if "data_keys" in doc else ""
        of_axis = names.get(doc.get("descriptor", ""), named) in axes
        resource = doc.get("stream_resource", doc["uid"])
        if of_axis or (isinstance(resource, str) and resource in dropped):
            return None
        for part in ("data_keys", "data", "timestamps", "num_events"):
            if part in doc:
                doc[part] = {k: v for k, v in doc[part].items() if k not in axes}
        return doc

    documents = changed(generated, kinds, change)
    if generated.files:
        return only_the_first(generated, documents)
    sweeps = sweeps_of(generated, first_run(generated))
    return Spoilt(documents, frozenset(sweeps))
