"""What a demonstration runs beside the beamline: Tiled, the 0MQ proxy, the daemon."""

import json
import secrets
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from xasnn_stream.simulation.processes import Children, free_ports, listens

RAW, RESULTS = "raw", "results"
"""Trees of the Tiled server."""

START_S = 120.0
"""For a process to become ready on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of everything, all on loopback, and the folder they keep state in."""

    folder: Path
    api_key: str = field(repr=False)
    tiled_port: int
    in_port: int
    out_port: int
    feed_port: int
    http_port: int

    @property
    def tiled(self) -> str:
        """URL of the Tiled server."""
        return f"http://127.0.0.1:{self.tiled_port}"

    @property
    def raw(self) -> str:
        """URL of the raw runs, as `--backfill` and `replay` take it."""
        return f"tiled+{self.tiled}/{RAW}"

    @property
    def publish(self) -> str:
        """`host:port` where documents go in."""
        return f"127.0.0.1:{self.in_port}"

    @property
    def source(self) -> str:
        """URL of the daemon's source, where documents come out."""
        return f"zmq://127.0.0.1:{self.out_port}"

    @property
    def feed(self) -> str:
        """Address of the daemon's feed."""
        return f"tcp://127.0.0.1:{self.feed_port}"

    @property
    def page(self) -> str:
        """URL of the daemon's page."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def record(self) -> Path:
        """Where the documents are recorded as JSON lines."""
        return self.folder / "documents.jsonl"

    @property
    def foil(self) -> Path:
        """The reference foil's column file."""
        return self.folder / "foil.csv"


def plan_services(folder: Path) -> Services:
    """Choose free ports and a random key."""
    return Services(folder, secrets.token_hex(16), *free_ports(5))


def start_tiled(children: Children, services: Services) -> None:
    """Start Tiled, without waiting for it."""
    config = services.folder / "tiled.yml"
    # JSON is YAML, and quotes what needs quoting.
    config.write_text(json.dumps(_tiled_config(services.folder), indent=2))
    address = ["--host", "127.0.0.1", "--port", str(services.tiled_port)]
    children.start(
        "tiled",
        _python("tiled", "serve", "config", str(config), *address),
        {"TILED_SINGLE_USER_API_KEY": services.api_key},
    )


def wait_for_tiled(children: Children, services: Services) -> None:
    """Wait until Tiled answers."""
    children.wait_until(lambda: _answers(f"{services.tiled}/healthz"), "Tiled", START_S)


def start_proxy(children: Children, services: Services) -> None:
    """Start the 0MQ proxy and wait until it listens."""
    children.start(
        "proxy",
        _python(
            "bluesky.commandline.zmq_proxy",
            *("--in-address", services.publish),
            *("--out-address", f"127.0.0.1:{services.out_port}"),
        ),
        {},
    )
    children.wait_until(
        lambda: listens(services.in_port) and listens(services.out_port),
        "the 0MQ proxy",
        START_S,
    )


def start_daemon(
    children: Children,
    services: Services,
    profile: str,
    *,
    foil: str | None = None,
    results: bool = True,
    backfill: str | None = None,
    model: str | None = None,
) -> None:
    """Start the daemon and wait until it is ready.

    `foil` is what `--reference` takes, by default the services' own file; `results`
    says whether results go to Tiled as well, `backfill` where lost runs are stored,
    `model` which model reads instead of the profile's.
    """
    tiled = ["--results", services.tiled] if results else []
    stored = ["--backfill", backfill] if backfill else []
    changed = ["--set", f"model={model}"] if model else []
    children.start(
        "daemon",
        _python(
            "xasnn_stream.cli.main",
            *("run", profile),
            *("--source", services.source),
            *("--feed", services.feed),
            *("--http", f"127.0.0.1:{services.http_port}"),
            *tiled,
            *stored,
            *changed,
            *("--reference", foil or str(services.foil)),
            *("--state", str(services.folder / "state")),
        ),
        {"XASNN_TILED_API_KEY": services.api_key},
    )
    children.wait_until(
        lambda: _answers(f"{services.page}/readyz"), "the daemon", START_S
    )


def _tiled_config(folder: Path) -> dict[str, Any]:
    exporter = "bluesky_tiled_plugins.exporters:json_seq_exporter"
    return {
        "trees": [_catalog(folder, RAW), _catalog(folder, RESULTS)],
        "media_types": {"BlueskyRun": {"application/json-seq": exporter}},
    }


def _catalog(folder: Path, name: str) -> dict[str, Any]:
    """Return one tree of the server, with databases of its own.

    Raw runs and results are written at the same time, and SQLite has one writer; with
    write-ahead logging at least readers do not block it. (DuckDB tables take a server
    down: Tiled shares one connection of it between threads.)
    """
    tables = folder / f"{name}-tables.db"
    with closing(sqlite3.connect(tables)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    return {
        "path": f"/{name}",
        "tree": "catalog",
        "args": {
            "uri": f"sqlite:///{folder / f'{name}-catalog.db'}",
            "init_if_not_exists": True,
            "writable_storage": [
                f"file://localhost{folder / name}",
                f"sqlite:///{tables}",
            ],
        },
    }


def _python(module: str, *arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", module, *arguments]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
