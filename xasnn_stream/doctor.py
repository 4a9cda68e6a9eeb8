"""Reaches every end that a daemon's command line names, and says what is wrong with it.

Each end is opened by the very code the daemon opens it with, and closed again; nothing is
written but one empty file, which goes away. The daemon itself should not run meanwhile,
or its ports and its log are found taken.
"""

import hashlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from xasnn_stream.errors import ModelError, UsageError, XasnnError

Status = Literal["OK", "TIMEOUT", "ERROR"]
Check = Callable[[], str]

POLL_S = 0.1


class NoAnswerError(XasnnError):
    """An end did not answer in the time it had."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What a command line names: as `Deployment` of the daemon, texts unopened."""

    profiles: Sequence[str]
    overrides: Mapping[str, object]
    sources: Sequence[str]
    feed: str | None
    http: str | None
    results: str | None
    backfill: str | None
    reference: str | None
    state: Path
    allow_pickle: Sequence[str]
    data_roots: Sequence[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one end; `remedy` is empty where nothing is wrong."""

    end: str
    address: str
    status: Status
    text: str
    remedy: str
    seconds: float


def examine(ends: Ends, timeout_s: float) -> Iterator[Finding]:
    """Yield a finding per end, each after at most `timeout_s` seconds.

    Profiles, models and the foil are read here, and may take their time.
    """
    # The Tiled client would try again for 45 seconds.
    os.environ.setdefault("TILED_RETRY_TIMEOUT", "1")
    for end, address, check in _checks(ends, timeout_s):
        began = time.monotonic()
        if end in ("profile", "model", "foil"):
            status, text = _outcome(check)
        else:
            status, text = _within(timeout_s, check)
        remedy = "" if status == "OK" else _REMEDIES[end]
        seconds = round(time.monotonic() - began, 3)
        yield Finding(end, address, status, text, remedy, seconds)


_REMEDIES: Mapping[str, str] = {
    "profile": "correct the profile; `xasnn-stream check` lists all that is wrong",
    "model": "name a model of `xasnn-stream models list`; `models verify` finds files "
    "that changed",
    "foil": "name another file, or its column, with --reference",
    "source": "start what sends documents there, or correct --source",
    "backfill": "start the server there, or correct --backfill and XASNN_TILED_API_KEY",
    "results": "start the server there, or correct --results and XASNN_TILED_API_KEY",
    "data root": "mount the folder, or correct --data-root",
    "state": "make the folder writable, stop the daemon that uses it, or name another "
    "with --state",
    "feed": "stop what uses the port, or name another address with --feed",
    "page": "stop what uses the port, or name another address with --http",
}


def _checks(ends: Ends, timeout_s: float) -> Iterator[tuple[str, str, Check]]:
    """Yield what a check is of, its address, and the check: what it returns is said."""
    yield from _read_here(ends)
    if not ends.sources:
        yield "source", "none", _no_source
    for url in ends.sources:
        pickled = (ends.sources, ends.allow_pickle)
        yield "source", url, partial(_source, url, *pickled, timeout_s)
    single: tuple[tuple[str, str | None, Callable[[str], str]], ...] = (
        ("backfill", ends.backfill, partial(_store, timeout_s=timeout_s)),
        ("results", ends.results, partial(_results, timeout_s=timeout_s)),
        *(("data root", root, _data_root) for root in ends.data_roots),
        ("state", str(ends.state), _state),
        ("feed", ends.feed, _feed),
        ("page", ends.http, _page),
    )
    for end, address, check in single:
        if address is not None:
            yield end, address, partial(check, address)


def _read_here(ends: Ends) -> Iterator[tuple[str, str, Check]]:
    from xasnn_stream.profile import check_profile

    for name in ends.profiles:
        yield "profile", name, partial(_profile, name, ends.overrides)
        if not check_profile(name, ends.overrides):
            yield "model", f"of {name}", partial(_model, name, ends.overrides)
    if ends.reference is not None:
        yield "foil", ends.reference, partial(_foil, ends.reference)


def _outcome(check: Check) -> tuple[Status, str]:
    try:
        return "OK", check()
    except NoAnswerError as error:
        return "TIMEOUT", str(error)
    except (XasnnError, OSError) as error:
        return "ERROR", " ".join(str(error).split())


def _within(timeout_s: float, check: Check) -> tuple[Status, str]:
    """Return what came of a check in time; one that hangs is left behind."""
    outcome: list[tuple[Status, str]] = []
    # Nobody can end a call that waits for a network; it ends with the process.
    thread = threading.Thread(
        target=lambda: outcome.append(_outcome(check)),
        name="xasnn-doctor",
        daemon=True,
    )
    thread.start()
    thread.join(timeout_s + 2 * POLL_S)
    return outcome[0] if outcome else ("TIMEOUT", f"no answer in {timeout_s:g} s")


def _profile(name: str, overrides: Mapping[str, object]) -> str:
    from xasnn_stream.profile import load_profile

    profile = load_profile(name, overrides)
    return f"{profile.name}, read by {profile.model}"


def _model(name: str, overrides: Mapping[str, object]) -> str:
    from xasnn_stream.manifest import read_manifest
    from xasnn_stream.profile import load_profile
    from xasnn_stream.shipped import model_part

    folder, _ = model_part(load_profile(name, overrides).model)
    manifest = read_manifest(folder)
    for file, sha256 in manifest.files.items():
        if hashlib.sha256((folder / file).read_bytes()).hexdigest() != sha256:
            raise ModelError(f"{folder / file} is not what the manifest says")
    return f"{manifest.name}, {len(manifest.files)} files whole"


def _foil(reference: str) -> str:
    from xasnn_stream.engine.foil import read_foil

    foil = read_foil(reference)
    low, high = foil.energy_ev[0], foil.energy_ev[-1]
    return f"{len(foil.energy_ev)} points from {low:.1f} to {high:.1f} eV"


def _no_source() -> str:
    raise UsageError("the daemon needs one, for example --source zmq://127.0.0.1:5568")


def _source(
    url: str, all_urls: Sequence[str], trusted: Sequence[str], timeout_s: float
) -> str:
    from xasnn_stream.sources.open import open_source, pickle_sources, scheme_of
    from xasnn_stream.telemetry.counters import Counters

    pickled = url in pickle_sources(all_urls, trusted)
    scheme = scheme_of(url)
    if scheme in ("", "databroker") or scheme.startswith("tiled"):
        return "standard input" if url == "-" else _store(url, timeout_s)
    source = open_source(url, Counters(), allow_pickle=pickled)
    try:
        if scheme != "zmq":
            return "the address is free; a RunEngine may connect"
        _somebody_listens(url, timeout_s)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            source.receive(POLL_S)
            if source.connected:
                return "connected"
        raise NoAnswerError(f"no proxy answered in {timeout_s:g} s")
    finally:
        source.close()


def _somebody_listens(url: str, timeout_s: float) -> None:
    """Raise unless a connection is taken: clients would go on trying without a word."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme.endswith("https") else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout_s).close()
    except TimeoutError:
        raise NoAnswerError(f"no answer in {timeout_s:g} s") from None
    except OSError as error:
        raise UsageError(f"{parts.hostname}:{port}: {error.strerror}") from error


def _store(url: str, timeout_s: float) -> str:
    from xasnn_stream.sources.open import check_store, open_store

    check_store(url)
    if url.startswith("tiled"):
        _somebody_listens(url, timeout_s)
    store = open_store(url)
    try:
        run = next(iter(store.finished_runs()), None)
        return "reached; no finished run there yet" if run is None else "reached"
    finally:
        store.close()


def _results(url: str, timeout_s: float) -> str:
    from xasnn_stream.sinks.open import check_results
    from xasnn_stream.sinks.tiled import TiledSink

    check_results(url)
    _somebody_listens(url, timeout_s)
    sink = TiledSink(url, {})
    try:
        sink.reach()
    finally:
        sink.close()
    return "reached"


def _data_root(named: str) -> str:
    from xasnn_stream.assembly.files import data_roots

    (folder,), _ = data_roots([named])
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError("it cannot be read by this user")
    return "readable"


def _state(named: str) -> str:
    from xasnn_stream.results import LOG_NAME, ResultLog

    folder = Path(named)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(f"cannot write to {there}: {error.strerror}") from error
    if not (folder / LOG_NAME).exists():
        return "writable; no results yet"
    log = ResultLog(folder / LOG_NAME)
    try:
        return f"writable; newest result {log.newest}"
    finally:
        log.close()


def _feed(address: str) -> str:
    from xasnn_stream.sinks.open import open_sinks

    open_sinks(address, None, {})[0].close()
    return "free"


def _page(address: str) -> str:
    from xasnn_stream.web.server import listen

    listen(address).close()
    return "free"
