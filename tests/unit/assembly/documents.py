"""Documents of step scans, and the settings that read them."""

import itertools
from typing import Any

from xasnn_stream.assembly.settings import (
    AssemblySettings,
    Condition,
    Energy,
    Lookup,
    Quantity,
    Rule,
    Signal,
)

Named = tuple[str, dict[str, Any]]

SETTINGS = AssemblySettings(
    profile="step",
    match=(Rule("plan_name", any_of=("xas",)),),
    element=Lookup(("element",)),
    edge=Lookup(("edge",)),
    sample=Lookup(("sample",)),
    energy=Energy("energy"),
    signals={
        "i0": Signal("i0", offset=Quantity(("dark.i0",))),
        "it": Signal("it", offset=Quantity(default=3.0)),
        "ir": Signal("ir", optional=True),
    },
    conditions={"temperature_k": Condition(Quantity(("heater.temperature",)))},
)


def start(uid: str = "run", **changes: Any) -> Named:
    doc = {
        "uid": uid,
        "time": 100.0,
        "scan_id": 7,
        "plan_name": "xas",
        "element": "Pt",
        "edge": "L3",
        "sample": "Pt/C",
        "num_points": 4,
        "dark": {"i0": 2.0},
        "heater": {"temperature": 573.0},
        "tiled_access_tags": ["team"],
    }
    return "start", doc | changes


def descriptor(uid: str = "run", stream: str = "primary") -> Named:
    doc = {"uid": f"{uid}-{stream}", "run_start": uid, "name": stream}
    return "descriptor", doc


def event(
    seq_num: int, uid: str = "run", stream: str = "primary", **data: Any
) -> Named:
    readings = {"energy": 11500.0 + seq_num, "i0": 1e5, "it": 5e4, "ir": 2e4}
    doc = {
        "uid": f"{uid}-{seq_num}",
        "descriptor": f"{uid}-{stream}",
        "seq_num": seq_num,
        "time": 100.0 + seq_num,
        "data": readings | data,
        "timestamps": {},
    }
    return "event", doc


def stop(uid: str = "run", n_events: int = 4, **changes: Any) -> Named:
    doc = {
        "uid": f"{uid}-stop",
        "run_start": uid,
        "time": 200.0,
        "exit_status": "success",
        "num_events": {"primary": n_events},
    }
    return "stop", doc | changes


def scan(uid: str = "run", n_events: int = 4, **data: Any) -> list[Named]:
    """A whole run; `data` changes the readings of all its events."""
    events = [event(i + 1, uid, **data) for i in range(n_events)]
    return [start(uid), descriptor(uid), *events, stop(uid, n_events)]


def interleaved(*runs: list[Named]) -> list[Named]:
    rounds = itertools.zip_longest(*runs)
    return [named for turn in rounds for named in turn if named is not None]
