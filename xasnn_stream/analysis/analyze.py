"""Measured files in, estimates out: one result per scan, one sentence per failure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xasnn_stream.analysis.absorption import choose_mode, rough_mu
from xasnn_stream.analysis.foils import foil_for
from xasnn_stream.analysis.settings import SHORT_NOTE, reaches_far, settings_for
from xasnn_stream.analysis.shipped_models import model_for, shipped_models
from xasnn_stream.analysis.sweep import Origin, origin_of, sweep_of
from xasnn_stream.analysis.which_edge import Edge, edge_of, told_edge
from xasnn_stream.engine.foil import Foil, read_foil
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.errors import FileError, UsageError
from xasnn_stream.estimate import Estimate
from xasnn_stream.files.read import read_content, read_scans
from xasnn_stream.files.scan import Scan
from xasnn_stream.manifest import Manifest, read_part, read_parts
from xasnn_stream.shipped import model_part
from xasnn_stream.spectrum import FloatArray, Spectrum

if TYPE_CHECKING:
    from xasnn_stream.engine.resident import Engine

_BATCH = 64
"""Scans of one file that are estimated together."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to analyze, and what the caller knows better than the files.

    `foils` are files, with `#column` or `#scan` where needed, one per edge; `columns`
    maps energy and channels to columns. `model` is a shipped one or a folder, and may
    name its edge as `NAME#Pd_K`.
    """

    files: tuple[Path, ...]
    foils: tuple[str, ...] = ()
    model: str | None = None
    element: str | None = None
    edge: str | None = None
    mode: str | None = None
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The estimate of one scan; `notes` are sentences about what was assumed.

    `energy_ev` and `mu` are the scan's as measured, `(points,)`; `settings` how it was
    normalized.
    """

    file: Path
    scan: str
    estimate: Estimate
    notes: tuple[str, ...]
    energy_ev: FloatArray
    mu: FloatArray
    model: Manifest
    settings: EngineSettings


@dataclass(frozen=True, slots=True)
class Failure:
    """Why scans of a file have no estimate, in one sentence."""

    file: Path
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A scan that a model can read."""

    scan: Scan
    spectrum: Spectrum
    model: Manifest
    settings: EngineSettings
    notes: tuple[str, ...]
    foil: Foil | None


_Key = tuple[Path, str, str]
"""A model's folder, its part and the hash of the settings: what an engine is made of."""


def analyze(request: Request) -> Iterator[Result | Failure]:
    """Yield a result or a failure for every scan of every file, in order.

    Torch is loaded when the first scan is ready for it, so that mistakes are told soon.

    Raises
    ------
    FoilError, ModelError, UsageError
        If the foil, the model or the edge that was named cannot be used at all.
    """
    told = told_edge(request.element, request.edge)
    given = _named_models(request.model)
    foils = [read_foil(foil) for foil in request.foils]
    engines = dict[_Key, "Engine"]()
    for file in request.files:
        try:
            tasks, failures = _tasks(request, file, told, given, foils)
        except FileError as error:
            yield Failure(file, str(error))
            continue
        for task, estimate in _estimated(tasks, engines):
            yield _result(file, task, estimate)
        for text, scans in failures.items():
            yield Failure(file, f"{file}: {text}{_of_scans(scans)}")


def _named_models(name: str | None) -> Sequence[Manifest]:
    """Return what a model reads, one manifest per edge; none without a name."""
    if name is None:
        return ()
    folder, part = model_part(name)
    return (read_part(folder, part),) if part else read_parts(folder)


def _tasks(
    request: Request,
    file: Path,
    told: tuple[str | None, str | None],
    given: Sequence[Manifest],
    foils: Sequence[Foil],
) -> tuple[list[_Task], dict[str, list[str]]]:
    """Return what can be estimated, and the sentences for the rest with their scans."""
    content = read_content(file)
    origin = origin_of(file, content)
    tasks: list[_Task] = []
    failures: dict[str, list[str]] = {}
    for index, scan in enumerate(read_scans(file, request.columns, content)):
        try:
            tasks.append(_task(request, scan, index, origin, told, given, foils))
        except UsageError as error:
            failures.setdefault(str(error), []).append(scan.name)
    return tasks, failures


def _of_scans(names: Sequence[str]) -> str:
    """Return which scans a sentence is about, where a file may hold several."""
    if len(names) > 1:
        return f" ({len(names)} scans)"
    return f" (scan {names[0]})" if names[0] else ""


def _task(
    request: Request,
    scan: Scan,
    index: int,
    origin: Origin,
    told: tuple[str | None, str | None],
    given: Sequence[Manifest],
    foils: Sequence[Foil],
) -> _Task:
    if len(given) == 1 and not any((*told, scan.facts.element, scan.facts.edge)):
        told = given[0].element, given[0].edge
    mode, mode_note = (request.mode, "") if request.mode else choose_mode(scan)
    edge = edge_of(scan, mode, told, given or shipped_models())
    model = _reading(given, edge) if given else model_for(edge.element, edge.edge)
    foil = foil_for(foils, model)
    spectrum = sweep_of(scan, index, origin, mode, edge)
    curves = [scan.energy_ev] if foil is None else [scan.energy_ev, foil.energy_ev]
    far = all(reaches_far(energy, model.element, model.edge) for energy in curves)
    lost = spectrum.accounting.n_missed - scan.left_out
    gaps = f"{lost} rows without a number in a channel left out" if lost else ""
    notes = (*scan.notes, gaps, edge.note, mode_note, "" if far else SHORT_NOTE)
    kept = tuple(note for note in notes if note)
    return _Task(scan, spectrum, model, settings_for(mode, far), kept, foil)


def _reading(given: Sequence[Manifest], edge: Edge) -> Manifest:
    """Return the part that reads an edge; the first, which refuses it, if none does."""
    named = (edge.element, edge.edge)
    return next((m for m in given if (m.element, m.edge) == named), given[0])


def _estimated(
    tasks: Sequence[_Task],
    engines: dict[_Key, "Engine"],
) -> Iterator[tuple[_Task, Estimate]]:
    """Yield estimates in the order of the tasks, batch by batch."""
    for start in range(0, len(tasks), _BATCH):
        batch = tasks[start : start + _BATCH]
        groups = dict[_Key, list[int]]()
        for k, task in enumerate(batch):
            model = task.model
            key = (model.folder, model.part, task.settings.profile_sha256)
            groups.setdefault(key, []).append(k)
        estimates = dict[int, tuple[_Task, Estimate]]()
        for key, chosen in groups.items():
            if key not in engines:
                engines[key] = _engine(batch[chosen[0]])
            found = engines[key].estimate([batch[k].spectrum for k in chosen])
            note = engines[key].foil_note
            for k, estimate in zip(chosen, found, strict=True):
                notes = (*batch[k].notes, note) if note else batch[k].notes
                estimates[k] = replace(batch[k], notes=notes), estimate
        yield from (estimates[k] for k in range(len(batch)))


def _engine(task: _Task) -> "Engine":
    from xasnn_stream.engine.resident import Engine

    model = task.model
    return Engine.load(model.folder, task.settings, task.foil, part=model.part)


def _result(file: Path, task: _Task, estimate: Estimate) -> Result:
    return Result(
        file=file,
        scan=task.scan.name,
        estimate=estimate,
        notes=task.notes,
        energy_ev=task.scan.energy_ev,
        mu=rough_mu(task.scan, task.settings.mode),
        model=task.model,
        settings=task.settings,
    )
