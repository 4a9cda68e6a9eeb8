"""One calculation: a folder that is there when the calculation is done.

It runs in a hidden folder that gets its name only when its result has been read and
found good, so whatever ends a build, also the machine, loses no more than what was
running. It is done if its folder holds the input that would be written today and a
result.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from xasnn_stream.errors import FeffError, LibraryError, UsageError, XasnnError
from xasnn_stream.libraries.feff.inputs import FMS_CARD, INPUT
from xasnn_stream.libraries.feff.program import LOG, Program, last_words, run_program

POTENTIALS = (
    *("pot.bin", "apot.bin", "phase.bin", "xsect.dat", "xsect.bin", "emesh.bin"),
    *("emesh.dat", "config.dat", "vtot.dat", "wscrn.dat"),
)
"""What a calculation with frozen potentials takes from the crystal's, as far as there."""

_EXAFS_ALONE = re.compile(r"Feff ?(?:6L|8L)[^\s]*(?: \(EXAFS\))?", re.IGNORECASE)
"""How programs without multiple scattering introduce themselves."""

T = TypeVar("T")


class MissingError(Exception):
    """A result that is not there, where nothing may be computed."""


@dataclass(frozen=True, slots=True)
class Job:
    """A calculation: its folder, its input, what it leaves, whose potentials it takes.

    `result` is a pattern of file names.
    """

    folder: Path
    text: str
    result: str
    potentials: Path | None = None


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


def result_of(
    job: Job, program: Program | None, timeout_s: float, read: Callable[[Path], T]
) -> T:
    """Return what `read` finds in the folder of a calculation, computed if need be.

    Raises
    ------
    MissingError
        If it is not computed and there is no program to do it.
    FeffError
        If the program fails.
    LibraryError
        If its result cannot be used.
    """
    if _is_done(job):
        return read(job.folder)
    if program is None:
        raise MissingError(f"{job.folder}: not computed yet")
    running = _prepared(job)
    run_program(program, running, timeout_s)
    if not any(running.glob(job.result)):
        raise _no_result(job, program, running)
    found = read(running)
    shutil.rmtree(job.folder, ignore_errors=True)
    running.rename(job.folder)
    return found


def _no_result(job: Job, program: Program, folder: Path) -> XasnnError:
    """Return the error about a program that ended well and left nothing."""
    printed = (folder / LOG).read_text(errors="replace")
    exafs = _EXAFS_ALONE.search(printed)
    if exafs is not None and FMS_CARD.search(job.text):
        return LibraryError(
            f"{program.name} is {exafs[0]}: it has no full multiple scattering (FMS) and "
            f"cannot compute XANES; it said: {last_words(folder)}"
        )
    return FeffError(
        f"{program.name} left no {job.result} in {folder}: {last_words(folder)}"
    )


def _is_done(job: Job) -> bool:
    """Whether a calculation with this very input is there."""
    try:
        same = (job.folder / INPUT).read_text() == job.text
    except OSError:
        return False
    return same and any(job.folder.glob(job.result))


def _prepared(job: Job) -> Path:
    """Return a fresh hidden folder with the input and the potentials it needs."""
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
    return running
