"""Results in Tiled: `results/<raw run uid>/<profile>.<model>`, one container each.

A delivery is repeatable: what is there already is found, not written again. Appending a
row is the one request that must not be repeated blindly, so after any failure the
sink first reads which ids the table holds.
"""

import importlib
import logging
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from xasnn_stream.address import tiled_address
from xasnn_stream.errors import RefusedError, SinkError
from xasnn_stream.estimate import GRID_CHANNELS
from xasnn_stream.results import Delivery
from xasnn_stream.sinks import estimate_table

logger = logging.getLogger(__name__)

SPEC_NAME, SPEC_VERSION = "XASNNResult", "1.0"
OPEN_NODES = 32
"""Containers whose ids are remembered; of others they are read again."""
MOST_AHEAD = 10_000
"""Sweeps that spectra may be ahead of those before: the array has room for all between,
and a number out of a document may be any."""
TIMEOUT_S = 10.0
"""Of one request; a stop waits for the request that is under way."""

REFUSED = (
    httpx.codes.BAD_REQUEST,
    httpx.codes.REQUEST_ENTITY_TOO_LARGE,
    httpx.codes.UNPROCESSABLE_ENTITY,
)
"""Answers that concern the result itself: the same would be refused again."""


_CLIENT_MODULES = ("tiled.client.array", "tiled.client.dataframe")

_UNDELIVERED = (httpx.HTTPError, OSError, KeyError, ValueError, RuntimeError)
"""What Tiled's client raises; RuntimeError says that the server wants a key."""


class TiledSink:
    """Writes deliveries to the Tiled server at `url`.

    Parameters
    ----------
    url
        `http://host:port`, with the path of the results if it is not `results`; the
        key comes from `XASNN_TILED_API_KEY`.
    descriptors
        Per model the names of its descriptors, which become columns of the table.
    """

    name = "tiled"

    def __init__(self, url: str, descriptors: Mapping[str, Sequence[str]]) -> None:
        self.url = url
        self._address, self._path = tiled_address(url)
        self._descriptors = descriptors
        self._server: Any = None
        self._root: Any = None
        self._nodes: OrderedDict[tuple[str, str], _Node] = OrderedDict()
        # Seconds of imports, now rather than beside the first results.
        for module in _CLIENT_MODULES:
            importlib.import_module(module)

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries, those of one run together; SinkError if any may lack."""
        for key, batch in _by_node(deliveries).items():
            try:
                self._node(key, batch[0]).write(batch)
            except _UNDELIVERED as error:
                # What the server holds now is uncertain: look again before writing.
                self._nodes.pop(key, None)
                raise self._failure(error) from error

    def idle(self) -> None:
        """Nothing is due between deliveries."""

    def close(self) -> None:
        """Disconnect."""
        if self._server is not None:
            self._server.context.close()
            self._server = self._root = None

    def _node(self, key: tuple[str, str], delivery: Delivery) -> "_Node":
        if key not in self._nodes:
            run = _container(self._connect(), key[0], delivery)
            model = delivery.estimate["provenance"]["model"]
            columns = self._descriptors.get(model, delivery.estimate["descriptors"])
            self._nodes[key] = _Node(run, key[1], delivery, columns)
            while len(self._nodes) > OPEN_NODES:
                self._nodes.popitem(last=False)
        self._nodes.move_to_end(key)
        return self._nodes[key]

    def reach(self) -> None:
        """Open the server without writing; SinkError if it is away or refuses the key."""
        try:
            self._open()
        except _UNDELIVERED as error:
            raise self._failure(error) from error

    def _open(self) -> Any:
        if self._server is None:
            from tiled.client import from_uri

            self._server = from_uri(
                self._address,
                api_key=os.environ.get("XASNN_TILED_API_KEY"),
                timeout=httpx.Timeout(TIMEOUT_S),
            )
        return self._server

    def _connect(self) -> Any:
        if self._root is None:
            root = self._open()
            for part in self._path:
                # It may be a tree of its own, whose parent makes no containers.
                root = root[part] if part in root else _container(root, part)
            self._root = root
        return self._root

    def _failure(self, error: Exception) -> SinkError:
        if isinstance(error, RuntimeError):
            return SinkError(
                f"Tiled at {self.url} wants a key; set XASNN_TILED_API_KEY to one that "
                "may write"
            )
        if not isinstance(error, httpx.HTTPStatusError):
            reason = error or type(error)
            return SinkError(f"Tiled at {self.url} cannot be reached ({reason})")
        status = error.response.status_code
        if status in (401, 403):
            return SinkError(
                f"Tiled at {self.url} refuses the key; set XASNN_TILED_API_KEY "
                "to one that may write"
            )
        kind = RefusedError if status in REFUSED else SinkError
        return kind(f"Tiled at {self.url} answered {error}")


class _Node:
    """One container `<profile>.<model>` and what it is known to hold."""

    def __init__(
        self, run: Any, key: str, delivery: Delivery, descriptors: Sequence[str]
    ) -> None:
        from tiled.structures.core import Spec

        self._client, created = _create(
            run,
            key,
            delivery,
            metadata=_metadata(delivery),
            specs=[Spec(SPEC_NAME, SPEC_VERSION)],
        )
        self._rows: dict[str, tuple[int, bool]] = {}
        names = set[str]() if created else set(self._client)
        self._table = _existing(self._client, names, "estimates")
        if self._table is None:
            self._table = self._client.create_appendable_table(
                estimate_table.schema(descriptors), key="estimates"
            )
        else:
            held = self._table.read(["id", "sweep", "complete"])
            for row in held.to_dict("records"):
                self._rows[row["id"]] = int(row["sweep"]), bool(row["complete"])
        self._columns = estimate_table.fitting(self._table.columns, descriptors)
        self._energy = _existing(self._client, names, "energy")
        self._grid: NDArray[Any] | None = None
        self._spectra = _existing(self._client, names, "spectra")
        # Arrays are written before rows: without rows, whatever is there is unfinished.
        self._spectra_are_void = not self._rows

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """Write the rows that are not there yet and the spectra that belong to them."""
        new = [d for d in deliveries if d.estimate["id"] not in self._rows]
        whole = {sweep for sweep, complete in self._rows.values() if complete}
        runs = [delivery.estimate["run"] for delivery in deliveries]
        whole |= {run["sweep"] for run in runs if run["complete"]}
        for delivery, run in zip(deliveries, runs, strict=True):
            # Spectra of an incomplete sweep are void once there are complete ones.
            if run["complete"] or run["sweep"] not in whole:
                self._write_spectra(delivery, run["sweep"])
        if new:
            rows = estimate_table.rows(new, self._columns)
            self._table.append_partition(0, rows)
        for delivery in new:
            run = delivery.estimate["run"]
            self._rows[delivery.estimate["id"]] = run["sweep"], run["complete"]
        self._write_status()

    def _write_spectra(self, delivery: Delivery, sweep: int) -> None:
        spectra = delivery.arrays.get("grid_spectra")
        if spectra is None:
            return
        if not self._has_grid(delivery.arrays["grid_energy"]):
            logger.warning(
                "%s/spectra is on another energy grid than this result; only its row "
                "is written (replay into other results to have its spectra)",
                self._client.uri,
            )
            return
        length = self._spectra.shape[0] if self._spectra is not None else 0
        if sweep > length + MOST_AHEAD:
            logger.warning(
                "%s/spectra holds %d sweeps; of sweep %d only its row is written",
                self._client.uri,
                length,
                sweep,
            )
            return
        first = 0 if self._spectra_are_void else min(sweep, length)
        block = np.full((sweep + 1 - first, *spectra.shape), np.nan)
        block[-1] = spectra
        if self._spectra is None:
            self._spectra = self._client.write_array(
                block,
                key="spectra",
                metadata={"channels": list(GRID_CHANNELS)},
                dims=["sweep", "channel", "energy"],
            )
        else:
            self._spectra.patch(block, offset=(first, 0, 0), extend=True)
        self._spectra_are_void = False

    def _has_grid(self, energy: NDArray[Any]) -> bool:
        """Whether the stored spectra are on this grid; the first one decides."""
        if self._grid is None:
            if self._energy is None:
                self._energy = self._client.write_array(
                    energy, key="energy", metadata={"unit": "eV"}, dims=["energy"]
                )
            elif not self._rows:
                self._energy.write(energy)
            self._grid = np.asarray(self._energy.read())
        return self._grid.shape == energy.shape and np.allclose(self._grid, energy)

    def _write_status(self) -> None:
        sweeps = {sweep for sweep, _ in self._rows.values()}
        whole = {sweep for sweep, complete in self._rows.values() if complete}
        status = "complete" if sweeps == whole else "incomplete"
        if self._client.metadata.get("status") != status:
            self._client.update_metadata({"status": status}, drop_revision=True)


def _by_node(deliveries: Sequence[Delivery]) -> dict[tuple[str, str], list[Delivery]]:
    nodes: dict[tuple[str, str], list[Delivery]] = {}
    for delivery in deliveries:
        estimate = delivery.estimate
        key = f"{delivery.profile}.{estimate['provenance']['model']}"
        nodes.setdefault((estimate["run"]["uid"], key), []).append(delivery)
    return nodes


def _metadata(delivery: Delivery) -> dict[str, Any]:
    estimate = delivery.estimate
    return {
        "raw_uid": estimate["run"]["uid"],
        "raw_scan_id": estimate["run"]["scan_id"],
        "sample": estimate["sample"],
        "element": estimate["element"],
        "edge": estimate["edge"],
        "status": "complete" if estimate["run"]["complete"] else "incomplete",
        "access_tags": estimate["run"]["access_tags"],
        **estimate["provenance"],
    }


def _create(
    parent: Any, key: str, delivery: Delivery | None, **arguments: Any
) -> tuple[Any, bool]:
    """Return the container `key` and whether it is new."""
    tags = delivery.estimate["run"]["access_tags"] if delivery is not None else None
    try:
        new = parent.create_container(key, access_tags=tags or None, **arguments)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
        return parent[key], False
    return new, True


def _container(parent: Any, key: str, delivery: Delivery | None = None) -> Any:
    return _create(parent, key, delivery)[0]


def _existing(parent: Any, names: set[str], key: str) -> Any:
    return parent[key] if key in names else None
