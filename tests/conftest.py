"""Shared by all tests: results made by hand, and nothing may be left behind."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.estimate import (
    GRID_CHANNELS,
    Descriptor,
    Estimate,
    Novelty,
    Provenance,
    Quality,
    estimate_id,
)
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.spectrum import Accounting, Reason, Run

SETTLE_S = 5.0
INTERNET = (socket.AF_INET, socket.AF_INET6)
MEASURED = Path(__file__).parents[2] / "shared" / "xas-data"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def pytest_configure() -> None:
    """Let children end at Ctrl-C: a shell's background job is started deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `measured` where there are no measured spectra."""
    if MEASURED.is_dir():
        return
    reason = f"no measured spectra beside the checkout: {MEASURED}"
    for item in items:
        if item.get_closest_marker("measured"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with the example files of the documentation."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.fixture
def make_estimate() -> Callable[..., Estimate]:
    """A function that makes a final estimate of a sweep."""
    return _estimate


@pytest.fixture(scope="session")
def alloy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the edges Pt L3 and Au L3, each with the weights of the shipped one.

    Its first two descriptors are named as partial coordination numbers.
    """
    from safetensors.torch import load_file, save_file

    shipped = shipped_folder("models") / "pt-l3-xanes"
    folder = tmp_path_factory.mktemp("models") / "ptau"
    folder.mkdir()
    weights = folder / "ensemble.safetensors"
    tensors = load_file(shipped / "ensemble.safetensors")
    both = {
        f"{el}_L3.{n}": t.clone() for el in ("Pt", "Au") for n, t in tensors.items()
    }
    save_file(both, weights)
    text = (shipped / "manifest.json").read_text()
    parts = [
        json.loads(text.replace('"cn1"', f'"{own}"').replace('"cn2"', f'"{other}"'))
        | {"element": element}
        for element, own, other in (
            ("Pt", "cn_pt_pt", "cn_pt_au"),
            ("Au", "cn_au_au", "cn_au_pt"),
        )
    ]
    kept = (
        "element",
        "edge",
        "descriptors",
        "units",
        "domain",
        "calibration",
        "metrics",
    )
    (folder / "card.md").write_text("# ptau\n\nTwo edges.\n")
    manifest = parts[0] | {
        "name": "ptau",
        "parts": [{key: part[key] for key in kept} for part in parts],
        "files": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (weights, folder / "card.md")
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@dataclass(frozen=True)
class TiledServer:
    """A Tiled server of its own process, which may read files below `files`."""

    url: str
    key: str
    files: Path


@pytest.fixture(scope="session")
def tiled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TiledServer]:
    """A real Tiled server that stores tables in SQLite and exports runs."""
    folder = tmp_path_factory.mktemp("tiled")
    key, (port,) = secrets.token_hex(16), _free_ports(1)
    (folder / "config.yml").write_text(json.dumps(_tiled_config(folder, key)))
    command = [sys.executable, "-m", "tiled", "serve", "config", "config.yml"]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    server = TiledServer(f"http://127.0.0.1:{port}", key, folder / "files")
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{server.url}/healthz"):
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """A function that finds so many loopback ports nobody listens on."""
    return _free_ports


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def _tiled_config(folder: Path, key: str) -> dict[str, object]:
    (folder / "data").mkdir()
    (folder / "files").mkdir()
    storage = [f"file://localhost{folder}/data", f"sqlite:///{folder}/tables.db"]
    catalog = {
        "uri": f"sqlite:///{folder}/catalog.db",
        "init_if_not_exists": True,
        "writable_storage": storage,
        "readable_storage": [f"file://localhost{folder}/files"],
    }
    exporter = "bluesky_tiled_plugins.exporters:json_seq_exporter"
    return {
        "authentication": {"single_user_api_key": key},
        "trees": [{"path": "/", "tree": "catalog", "args": catalog}],
        "media_types": {"BlueskyRun": {"application/json-seq": exporter}},
    }


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves one of our threads, a child process or a listener."""
    if "tiled_server" in request.fixturenames:
        request.getfixturevalue("tiled_server")  # shared, so not this test's to end
    before = _left_behind()
    yield
    deadline = time.monotonic() + SETTLE_S
    while (left := _left_behind() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"left behind: {sorted(left)}"


def _left_behind() -> set[str]:
    threads = {
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.name.startswith("xasnn-")
    }
    return threads | _children() | _listeners()


def _children() -> set[str]:
    children = set[str]()
    for task in Path("/proc/self/task").iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:
            continue  # the thread ended meanwhile
        children |= {f"child process {pid}" for pid in pids}
    return children


def _listeners() -> set[str]:
    found = set[str]()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not os.readlink(entry).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as opened:
                listens = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and opened.family in INTERNET:
                    found.add(f"listener on port {opened.getsockname()[1]}")
        except OSError:
            continue  # closed meanwhile
    return found


def _estimate(
    uid: str = "run-1",
    *,
    sweep: int = 0,
    complete: bool = True,
    rejected: bool = False,
    profile: str = "sim-step",
    cn1: float = 9.1,
    sample: str | None = "Pt/C",
    model: str = "pt-l3-xanes",
) -> Estimate:
    provenance = Provenance(
        model=model,
        model_sha256="a" * 64,
        profile=profile,
        profile_sha256="b" * 64,
        reference="foil.csv",
        reference_sha256="c" * 64,
        package="0.1.0",
    )
    run = Run(
        uid=uid,
        scan_id=5,
        sweep=sweep,
        direction="up",
        progress=1.0,
        final=True,
        complete=complete,
        source="test",
        access_tags=("public",),
    )
    energy = np.linspace(11534.0, 11684.0, 301)
    spectra = np.tile(np.linspace(0.0, 1.0, 301), (len(GRID_CHANNELS), 1))
    spectra[:, -3:] = np.nan
    descriptor = Descriptor(cn1, 0.5, 0.3, 0.2, 0.346, (cn1 - 0.8, cn1 + 0.7), 0.9)
    return Estimate(
        id=estimate_id(
            run,
            provenance.profile_sha256,
            provenance.model_sha256,
            provenance.reference_sha256,
        ),
        run=run,
        sample=sample,
        element="Pt",
        edge="L3",
        time=(1000.0, 1060.0),
        descriptors={} if rejected else {"cn1": descriptor, "cn2": descriptor},
        verdict="rejected" if rejected else "ok",
        reasons=(Reason("no_signal", "I0 is zero everywhere"),) if rejected else (),
        quality=Quality(e0_ev=None if rejected else 11564.1, n_points=300),
        novelty=Novelty() if rejected else Novelty(score=float("nan"), threshold=2.1),
        conditions={"temperature_k": 573.0},
        accounting=Accounting(n_missed=0 if complete else 3),
        provenance=provenance,
        arrays={}
        if rejected
        else {
            "energy": energy[::2],
            "mu_normalized": spectra[0, ::2],
            "grid_energy": energy,
            "grid_spectra": spectra,
        },
    )
