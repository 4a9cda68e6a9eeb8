"""Finding a FEFF and running it in a folder, for so long and no longer."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from xasnn_stream.errors import FeffError, UsageError

VARIABLE = "XASNN_FEFF"
NAMES = ("feff10", "feff9", "feff90", "feff84", "feff")
"""What a FEFF that can do XANES is called on the PATH."""

MODULES = (
    *("rdinp", "dmdw", "atomic", "pot", "ldos", "screen", "crpa", "opconsat", "xsph"),
    *("fms", "mkgtr", "path", "pathfinder", "genfmt", "ff2x", "sfconv"),
)
"""Programs a FEFF may be split into, in the order they run."""

FOR_XANES = ("rdinp", "pot", "xsph", "fms", "ff2x")
FOR_PATHS = ("rdinp", "pot", "xsph", "genfmt", "ff2x")
"""Modules without which there are no spectra, or no paths."""

_PREFIXES = ("", "feff8l_")
LOG = "feff.log"
_TAIL = 400


@dataclass(frozen=True, slots=True)
class Program:
    """A FEFF: what to run, one after the other, in the folder of an input."""

    commands: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Where it is, for people."""
        first = self.commands[0]
        return str(first if len(self.commands) == 1 else first.parent)


def find_program(named: str | None, needed: tuple[str, ...] = FOR_XANES) -> Program:
    """Return the FEFF that is named, else that of `$XASNN_FEFF`, else one on the PATH.

    It is a program or script that reads `feff.inp` where it is started, or a folder of
    FEFF's modules, of which there must be those `needed`.

    Raises
    ------
    UsageError
        If it is not there, cannot be run, or none is found.
    """
    asked = named or os.environ.get(VARIABLE)
    if asked is None:
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if found is None:
            raise UsageError(
                f"no FEFF found: name one with --feff PATH or ${VARIABLE}, or put "
                f"{' or '.join(NAMES[:2])} on the PATH; spectra computed elsewhere are "
                "taken with --collect-only DIR"
            )
        return Program((Path(found).resolve(),))
    path = Path(shutil.which(asked) or asked).resolve()
    if path.is_dir():
        return _of_modules(path, needed)
    if not _runs(path):
        raise UsageError(f"{asked} is not a program that can be run")
    return Program((path,))


def _of_modules(folder: Path, needed: tuple[str, ...]) -> Program:
    found = {
        name: folder / f"{prefix}{name}"
        for prefix in _PREFIXES
        for name in MODULES
        if _runs(folder / f"{prefix}{name}")
    }
    missing = [name for name in needed if name not in found]
    if missing:
        raise UsageError(
            f"{folder} is no folder of FEFF's modules: it has no {', '.join(missing)}"
        )
    return Program(tuple(found[name] for name in MODULES if name in found))


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def run_program(program: Program, folder: Path, timeout_s: float) -> None:
    """Run a FEFF in the folder of an input; what it prints goes to `feff.log` there.

    Raises
    ------
    FeffError
        If it fails, or is not done after `timeout_s` seconds in one of its programs.
    """
    with (folder / LOG).open("wb") as log:
        for command in program.commands:
            process = subprocess.Popen(  # noqa: S603 - the program the user named
                [str(command)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise FeffError(
                    f"{command.name} was not done after {timeout_s:g} s in {folder}; "
                    "give it longer with --timeout"
                ) from None
            finally:
                _end(process)
            if code != 0:
                raise FeffError(
                    f"{command.name} failed with exit code {code} in {folder}: "
                    f"{last_words(folder)}"
                )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program with everything it started; nothing if it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_words(folder: Path) -> str:
    """Return the end of what a program printed in a folder."""
    printed = (folder / LOG).read_text(errors="replace").strip()
    return printed[-_TAIL:] or "it printed nothing"
