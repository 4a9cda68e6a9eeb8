"""Processes a demonstration starts: logged, watched, and ended in order."""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from xasnn_stream.errors import XasnnError

logger = logging.getLogger(__name__)

TERMINATE_S = 20.0
"""A process that has not ended so long after SIGTERM is killed."""
KILL_S = 10.0
"""A killed process ends within this unless the kernel waits for a disk or a driver."""

POLL_S = 0.1
LOG_LINES = 8


class ProcessError(XasnnError, RuntimeError):
    """A process that is needed ended or did not become ready."""


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Children:
    """Child processes with a log file each; leaving the context ends them.

    They end in the reverse order of their start, each given time before it is killed.
    They do not see the terminal's Ctrl-C: their parent decides when they end.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._children:
            _end(self._children.pop())

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Start a process; `environment` is added to this process's own."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._children.append(_Child(name, process, log))

    def kill(self, name: str) -> None:
        """End a process at once, as a crash would; it is no longer watched."""
        for child in [child for child in self._children if child.name == name]:
            self._children.remove(child)
            _kill(child)

    def check(self) -> None:
        """Raise ProcessError, with the last lines of its log, if one has ended."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise ProcessError(
                    f"{child.name} ended with code {code}; its log {child.log} ends:\n"
                    + _tail(child.log)
                )

    def wait_until(
        self, ready: Callable[[], bool], what: str, timeout_s: float
    ) -> None:
        """Poll until `ready` returns True; ProcessError when time or a child ends."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{what} was not ready after {timeout_s:g} s; see {self._logs}"
                )
            time.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Return different TCP ports of the loopback interface that are free now."""
    with ExitStack() as held:
        # Held until all are chosen: a port that is let go may be given out again.
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def listens(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(POLL_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(child: _Child) -> None:
    process = child.process
    process.terminate()
    try:
        process.wait(TERMINATE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
        # Whoever presses Ctrl-C again wants no more patience, but no orphans either.
        _kill(child)
        if isinstance(error, subprocess.TimeoutExpired):
            logger.warning(
                "%s did not end within %g s and was killed; its log is %s",
                child.name,
                TERMINATE_S,
                child.log,
            )


def _kill(child: _Child) -> None:
    """End a process at once; one that even so stays must not keep the others alive."""
    child.process.kill()
    try:
        child.process.wait(KILL_S)
    except subprocess.TimeoutExpired:
        number = child.process.pid
        logger.warning("%s (process %d) was killed and stays", child.name, number)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
