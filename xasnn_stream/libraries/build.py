"""Computing a site library: one folder per calculation, which is there when it is done.

A calculation runs in a hidden folder that gets its name only when its spectrum has been
read and found good, so whatever ends a build, also the machine, loses no more than what
was running. A calculation is done if its folder holds the input that would be written
today and a spectrum.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xasnn_stream.errors import FeffError, UsageError
from xasnn_stream.libraries.collect import Spectra
from xasnn_stream.libraries.feff.inputs import (
    AFTER_POTENTIALS,
    ALL_MODULES,
    INPUT,
    feff_input,
)
from xasnn_stream.libraries.feff.output import SPECTRUM, Computed, read_spectrum
from xasnn_stream.libraries.feff.program import Program, last_words, run_program
from xasnn_stream.libraries.feff.settings import Settings
from xasnn_stream.libraries.recipe import LibraryRecipe, Plan, Site, crystal_cluster

Progress = Callable[[str, int, int], None]
"""Called with what is computed, how many calculations are done, and of how many."""

POTENTIALS = (
    *("pot.bin", "apot.bin", "phase.bin", "xsect.dat", "xsect.bin", "emesh.bin"),
    *("emesh.dat", "config.dat", "vtot.dat", "wscrn.dat"),
)
"""What a calculation with frozen potentials takes from the crystal's, as far as there."""

_CRYSTAL = "crystal"


@contextmanager
def working_in(work: Path) -> Iterator[None]:
    """Hold a folder of calculations for one build.

    Raises
    ------
    UsageError
        If another build is at work there.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another build is at work in {work}") from None
        yield


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """One calculation: its folder, its input, and where its potentials come from."""

    folder: Path
    text: str
    potentials: Path | None


@dataclass(frozen=True, slots=True)
class Built:
    """Spectra by (lattice scale, site), and why others are missing."""

    spectra: Spectra
    failures: tuple[str, ...]


def build(
    recipe: LibraryRecipe,
    plan: Plan,
    work: Path,
    program: Program | None,
    timeout_s: float,
    progress: Progress,
) -> Built:
    """Compute all that is not computed yet; without a program take what is there.

    Raises
    ------
    LibraryError
        If the program ignores multiple scattering: every spectrum would be wrong.
    FeffError
        If the crystal, which all others need, cannot be computed.
    """
    spectra: Spectra = {}
    failures: list[str] = []
    total = len(recipe.scales) * len(plan.sites)
    for done, (scale, site) in enumerate(
        (scale, site) for scale in recipe.scales for site in plan.sites.values()
    ):
        progress(f"scale {scale:g}, {site.particle} {site.atom}", done, total)
        try:
            spectra[scale, site.name] = _site(
                recipe, plan, scale, site, work, program, timeout_s
            )
        except _MissingError as error:
            failures.append(f"{error}")
        except FeffError as error:
            if site.name == plan.bulk:
                raise
            failures.append(f"scale {scale:g}, {site.particle} {site.atom}: {error}")
    progress("all", total, total)
    return Built(spectra, tuple(failures))


class _MissingError(Exception):
    """A spectrum that is not there, where nothing may be computed."""


def _site(
    recipe: LibraryRecipe,
    plan: Plan,
    scale: float,
    site: Site,
    work: Path,
    program: Program | None,
    timeout_s: float,
) -> tuple[Computed, ...]:
    chosen = recipe.settings_at(scale)
    jobs = _jobs(recipe, plan, scale, site, chosen, work / f"{scale:g}")
    return tuple(_spectrum(job, program, timeout_s) for job in jobs)


def _jobs(
    recipe: LibraryRecipe,
    plan: Plan,
    scale: float,
    site: Site,
    chosen: Settings,
    folder: Path,
) -> Iterator[_Job]:
    """Yield the calculations of a site, one for each part of the settings."""
    is_crystal = site.name == plan.bulk
    atoms = crystal_cluster() if is_crystal else site.seen.positions
    frozen = chosen.frozen and not is_crystal
    title = f"{recipe.element} {recipe.edge} {site.particle} {site.atom} {scale:g}"
    for number, part in enumerate(chosen.parts):
        text = feff_input(
            title,
            recipe.element,
            recipe.edge,
            atoms * recipe.lattice_a * scale,
            chosen,
            part,
            AFTER_POTENTIALS if frozen else ALL_MODULES,
        )
        name = _CRYSTAL if is_crystal else site.name
        potentials = folder / f"{_CRYSTAL}-{number}" if frozen else None
        yield _Job(folder / f"{name}-{number}", text, potentials)


def _spectrum(job: _Job, program: Program | None, timeout_s: float) -> Computed:
    if _is_done(job):
        return read_spectrum(job.folder / SPECTRUM)
    if program is None:
        raise _MissingError(f"{job.folder}: not computed yet")
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    for left in job.folder.parent.glob(f".{job.folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    # A program that outlived its build may still write: never into the same folder.
    running = job.folder.with_name(f".{job.folder.name}.{os.getpid()}")
    running.mkdir()
    if job.potentials is not None:
        for name in POTENTIALS:
            if (job.potentials / name).exists():
                shutil.copy(job.potentials / name, running)
    (running / INPUT).write_text(job.text)
    run_program(program, running, timeout_s)
    if not (running / SPECTRUM).exists():
        raise FeffError(
            f"{program.name} left no {SPECTRUM} in {running}: {last_words(running)}"
        )
    found = read_spectrum(running / SPECTRUM)
    shutil.rmtree(job.folder, ignore_errors=True)
    running.rename(job.folder)
    return found


def _is_done(job: _Job) -> bool:
    """Whether a calculation with this very input is there."""
    try:
        same = (job.folder / INPUT).read_text() == job.text
    except OSError:
        return False
    return same and (job.folder / SPECTRUM).exists()
