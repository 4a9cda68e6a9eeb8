"""Faults of readings and of the files they are in."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import h5py
import numpy as np

from xasnn_stream.simulation.documents import dls_fly, iss_fly, pizzabox, trajectory
from xasnn_stream.simulation.documents.spoilt import (
    Doc,
    Spoilt,
    changed,
    first_run,
    of_main_stream,
    only_the_first,
    sweeps_of,
)
from xasnn_stream.simulation.documents.truth import Generated
from xasnn_stream.simulation.documents.writing import BEGAN_S

LATE = ".not-yet"
KEPT_OF_FILE = 0.6
PADDING = 3000
NAN_POINTS = 3
SATURATED_UV, TOO_BRIGHT = -3.3e6, 1.6
"""Where an input stands still, and how much more light there is."""

I0 = ("I0", "i0", "counter-1-out")
IT = ("It", "it", "counter-2-out")
ENERGY = ("dcm_energy", "mono_energy", "energy")


def late_file(generated: Generated) -> Spoilt:
    """Hide the first file until somebody renames it."""
    path = generated.files[0]
    hidden = path.rename(path.with_name(path.name + LATE))
    return Spoilt(generated.documents, late={path: hidden})


def missing_file(generated: Generated) -> Spoilt:
    """Remove the first file."""
    generated.files[0].unlink()
    return only_the_first(generated, generated.documents)


def truncated_file(generated: Generated) -> Spoilt:
    """Cut the first file in the middle of a row."""
    path = generated.files[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(KEPT_OF_FILE * len(content)) | 1])
    return only_the_first(generated, generated.documents)


def zero_rows(generated: Generated) -> Spoilt:
    """Lengthen the datasets by rows that nobody told of, and that hold nothing."""
    with h5py.File(generated.files[0], "r+") as file:
        for dataset in file.values():
            dataset.resize(len(dataset) + PADDING, axis=0)
    return Spoilt(generated.documents)


def saturated(generated: Generated) -> Spoilt:
    """Let more light in near the end of the first sweep than the chambers can read."""
    path = generated.files[0]
    rows = np.fromfile(path, "<i4").reshape(-1, 10)
    time_s = rows[:, 8] + rows[:, 9] * pizzabox.TICK_S
    over_s = BEGAN_S + iss_fly.LEAD_S + trajectory.REST_S + trajectory.SWEEP_S
    bright = (time_s > over_s - 0.3) & (time_s < over_s - 0.1)
    brighter = np.maximum(rows[bright, :2] * TOO_BRIGHT, SATURATED_UV)
    rows[bright, :2] = brighter.astype("<i4")
    path.write_bytes(rows.tobytes())
    first = sweeps_of(generated, first_run(generated))[0]
    return Spoilt(generated.documents, frozenset([first]))


def not_numbers(generated: Generated) -> Spoilt:
    """Make a few readings of the first sweep behind the sample NaN."""
    first = sweeps_of(generated, first_run(generated))[0]
    if generated.files:
        with h5py.File(generated.files[0], "r+") as file:
            _dataset(file, IT[2])[100 : 100 + NAN_POINTS] = np.nan
        return Spoilt(generated.documents, frozenset([first]))
    numbers = range(100, 100 + NAN_POINTS)

    def change(key: str, value: np.ndarray | float, number: int) -> np.ndarray | float:
        if key not in IT:
            return value
        if isinstance(value, np.ndarray):
            points = np.arange(len(value))
            return np.where(np.isin(points, numbers) & (number == 1), np.nan, value)
        return np.nan if number in numbers else value

    return Spoilt(_with_readings(generated, change), frozenset([first]))


def zero_point(generated: Generated) -> Spoilt:
    """Append a point of no energy and no light to the first sweep."""
    first = sweeps_of(generated, first_run(generated))[0]
    last = max(
        doc["seq_num"]
        for name, doc in generated.documents
        if name == "event" and of_main_stream(generated)(doc)
    )

    def change(key: str, value: np.ndarray | float, number: int) -> np.ndarray | float:
        if isinstance(value, np.ndarray):
            return np.append(value[:-1], 0.0) if number == 1 else value
        return 0.0 if number == last and key in (*I0, *IT, *ENERGY) else value

    return Spoilt(_with_readings(generated, change), frozenset([first]))


def inverted(generated: Generated) -> Spoilt:
    """Exchange what is before and what is behind the sample: μ has the other sign."""
    sweeps = frozenset(sweeps_of(generated, first_run(generated)))
    if generated.files:
        _exchange(generated.files[0])
        return Spoilt(generated.documents, sweeps)
    other = {**dict(zip(I0, IT, strict=True)), **dict(zip(IT, I0, strict=True))}
    is_main = of_main_stream(generated)

    def change(doc: Doc) -> Doc:
        if not is_main(doc):
            return doc
        data = doc["data"]
        return {**doc, "data": {k: data[other.get(k, k)] for k in data}}

    return Spoilt(changed(generated, ("event",), change), sweeps)


def _exchange(path: Path) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            first, second = (_dataset(file, name) for name in dls_fly.COUNTERS[:2])
            first[()], second[()] = second[()], first[()]
        return
    rows = np.fromfile(path, "<i4").reshape(-1, 10)
    rows[:, :2] = rows[:, 1::-1].copy()
    path.write_bytes(rows.tobytes())


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    return cast(h5py.Dataset, file[name])


def _with_readings(
    generated: Generated,
    change: Callable[[str, np.ndarray | float, int], np.ndarray | float],
) -> list[tuple[str, Doc]]:
    """Return the documents, every reading of the first run's signals changed.

    `change` gets a data key, its reading, and the number of the event.
    """
    is_main = of_main_stream(generated)

    def event(doc: Doc) -> Doc:
        if not is_main(doc):
            return doc
        number = doc["seq_num"]
        data = {key: change(key, value, number) for key, value in doc["data"].items()}
        return {**doc, "data": data}

    return changed(generated, ("event",), event)
