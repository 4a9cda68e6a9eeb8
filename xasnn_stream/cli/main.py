"""The `xasnn-stream` command: a table of commands, and how errors become exit codes.

Each command is a module of this package: `register(subparsers)` adds its parser and
sets `run`, a function from the parsed arguments to an exit code that imports what is
heavy only when it is called.
"""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from xasnn_stream import __version__
from xasnn_stream.errors import FAILED, WRONG_USAGE, XasnnError, exit_code

COMMANDS = (
    "demo",
    "run",
    "watch",
    "record",
    "simulate",
    "replay",
    "report",
    "models",
    "analyze",
    "normalize",
    "train",
    "evaluate",
    "recalibrate",
    "library",
    "bench",
    "scorecard",
    "check",
    "doctor",
    "schema",
)
"""Modules of this package, in the order `--help` shows them."""

INTERRUPTED = 130

_EXTRAS = {
    "torch": "engine",
    "safetensors": "engine",
    "tiled": "daemon",
    "bluesky_tiled_plugins": "daemon",
    "httpx": "daemon",
    "pyarrow": "daemon",
    "pydantic": "daemon",
    "yaml": "daemon",
    "starlette": "daemon",
    "uvicorn": "daemon",
    "prometheus_client": "daemon",
    "bluesky": "sim",
    "event_model": "sim",
    "ophyd": "sim",
    "h5py": "files",
    "matplotlib": "files",
    "scipy": "train",
    "sklearn": "train",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="xasnn-stream",
        description="Live structural descriptors from X-ray absorption spectra.",
    )
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"xasnn_stream.cli.{name}").register(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 failed, 2 wrong usage."""
    # Before torch is loaded: its idle threads shall sleep, not spin on the cores that
    # receive documents.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _print_anything()
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except XasnnError as error:
        return _complain(str(error), exit_code(error))
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        return _complain(
            f"this command needs {error.name}, which is not installed; "
            f'install it with: pip install "xasnn-stream[{extra}]"',
            FAILED,
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) went away; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        # A name the system refuses, a full disk: a sentence wherever it was met.
        named = error.filename is not None
        return _complain(str(error), WRONG_USAGE if named else FAILED)


def _print_anything() -> None:
    """Escape what a terminal of an old encoding cannot show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _complain(message: str, code: int) -> int:
    print(f"xasnn-stream: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
