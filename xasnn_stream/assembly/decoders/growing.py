"""An array in a file that grows while the run goes on: StreamResource and StreamDatum."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.decoders.decoder import NotReady, Undecodable, whole_number
from xasnn_stream.assembly.decoders.hdf5 import (
    dataset_at,
    library,
    opened,
    read_rows,
    rows_in,
)

MAX_INDEX = 10**9
"""Rows one array may be said to have; nothing is allocated for a promise."""

HDF5 = "application/x-hdf5"

_CONSOLIDATORS = "bluesky_tiled_plugins.writing.consolidators"
_AREA_DETECTOR, _XSPRESS = "/entry/data/data", "/entry/instrument/detector/data"
_OLD_SPECS = {
    "HDF5": _AREA_DETECTOR,
    "AD_HDF5": _AREA_DETECTOR,
    "AD_HDF5_SINGLE": _AREA_DETECTOR,
    "AD_HDF5_SWMR": _AREA_DETECTOR,
    "AD_HDF5_SWMR_STREAM": _AREA_DETECTOR,
    "AD_HDF5_SWMR_SLICE": _AREA_DETECTOR,
    "PANDA": "",
    "XSP": _XSPRESS,
    "XSP3": _XSPRESS,
}
"""Where HDF5 files of a spec have their data if the document does not say."""

_NAMES = ("dataset", "path")
_OTHERS = ("template", "slice", "squeeze")
_MAX_MULTIPLIER = 10_000


def prepare_growing_files() -> None:
    """Import what growing files need, seconds that the first of them would wait for."""
    library()
    import_module(_CONSOLIDATORS)


class GrowingArray:
    """The array of one StreamResource: what was promised, and what the file has.

    A row is a step along the first axis of the dataset. What the documents mean is up to
    the consolidators of bluesky-tiled-plugins, which also serve them in Tiled; the rows
    are read here, each once, with bounds. Of the shape in `data_key` only this is believed,
    and only if the file bears it out: that every index stands for as many rows.

    Raises Undecodable if the resource is none that can be read.
    """

    def __init__(
        self, resource: Mapping[str, Any], data_key: Mapping[str, Any], path: Path
    ) -> None:
        mimetype, parameters = _read_by(resource)
        is_hdf5 = isinstance(mimetype, str) and mimetype == HDF5
        if not is_hdf5 or any(_is_given(parameters.get(key)) for key in _OTHERS):
            raise Undecodable(
                f"{path}: rows of {str(mimetype)[:60]!r} cannot be read while it grows; "
                f"only those of a whole dataset in one {HDF5} can"
            )
        self._path = path
        self._consolidator = _consolidator(resource, parameters, path)
        self._dataset = self._consolidator.adapter_parameters()["dataset"]
        multiplier = parameters.get("multiplier", parameters.get("frame_per_point"))
        shape = data_key.get("shape")
        self._told = (
            whole_number(multiplier, 1, _MAX_MULTIPLIER, "multiplier")
            if _is_given(multiplier)
            else _leading(shape)
        )
        doubtful = self._told > 1 and not _is_given(multiplier)
        self._dimensions = len(cast(Sequence[Any], shape)) if doubtful else None
        self._promised = 0
        self._known = 0
        self._why = ""

    @property
    def promised(self) -> int:
        """The highest index of its StreamDatums, with gaps."""
        return self._promised

    @property
    def shortage(self) -> str:
        """Why the file did not have all promised rows when last asked, if it had not."""
        promised = self._promised * self.per_index
        if self._known >= promised:
            return ""
        return self._why or f"{self._path} has {self._known} of {promised} rows"

    @property
    def told_per_index(self) -> int:
        """How many rows an index of a StreamDatum stands for, as the documents say."""
        return self._told

    @property
    def per_index(self) -> int:
        """How many rows an index stands for: what a shape says may be wrong.

        A shape is believed as soon as the file has more rows than indices were promised.
        """
        sure = self._dimensions is None or self._known > self._promised
        return self._told if sure else 1

    def consume(self, datum: Mapping[str, Any]) -> None:
        """Take note of rows promised by a StreamDatum; one that comes again adds none.

        Raises Undecodable for indices that are no range of rows.
        """
        indices = _mapping(datum, "indices")
        stop = whole_number(indices.get("stop"), 0, MAX_INDEX, "the stop of indices")
        whole_number(indices.get("start"), 0, stop, "the start of indices")
        if stop <= self._promised:
            return
        # Without numbers, for which the consolidator would keep a table; and from where
        # the last one ended: rows of a datum that was lost are in the file all the same.
        rows = {"start": self._promised, "stop": stop}
        self._consolidator.consume_stream_datum(
            {"indices": rows, "seq_nums": {"start": 0, "stop": 0}}
        )
        self._promised = stop

    def available(self) -> int:
        """Return how many of the promised rows the file has; 0 if it cannot be read.

        Raises Undecodable if it never will be.
        """
        promised = self._rows_promised()
        if self._known < promised:
            try:
                with opened(self._path) as file:
                    found = dataset_at(file, self._dataset, self._path)
                    if self._dimensions not in (None, len(found.shape)):
                        self._told, self._dimensions = 1, None
                    self._known = max(self._known, rows_in(found))
                    self._why = ""
            except NotReady as error:
                self._why = str(error)
        return min(self._known, self._rows_promised())

    def read(self, first: int, last: int) -> NDArray[np.generic]:
        """Return rows `first` to `last`, the latter excluded: `(rows,)` or `(rows, …)`.

        Raises
        ------
        NotReady
            If the file has fewer.
        Undecodable
            If they cannot be read, or are too many to be read at once.
        """
        if not 0 <= first <= last:
            raise Undecodable(f"{self._path}: rows {first} to {last} are none")
        with opened(self._path) as file:
            found = dataset_at(file, self._dataset, self._path)
            if rows_in(found) < last:
                raise NotReady(f"{self._path} has {rows_in(found)} of {last} rows")
            return read_rows(found, first, last, self._path)

    def _rows_promised(self) -> int:
        shape = cast(tuple[int, ...], self._consolidator.shape)
        return shape[0] * self._told


def _read_by(resource: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return mimetype and parameters, also of a resource written before event-model 1.21.

    That has `spec` and `resource_kwargs`, which mean what bluesky-tiled-plugins take
    them for.
    """
    spec = resource.get("spec")
    if resource.get("mimetype") is not None or not isinstance(spec, str):
        return resource.get("mimetype"), _mapping(resource, "parameters")
    parameters = dict(_mapping(resource, "resource_kwargs"))
    if not any(_is_given(parameters.get(key)) for key in _NAMES):
        parameters["dataset"] = _OLD_SPECS.get(spec)
    return HDF5 if spec in _OLD_SPECS else spec, parameters


def _consolidator(
    resource: Mapping[str, Any], parameters: Mapping[str, Any], path: Path
) -> Any:
    """Return the consolidator of a resource, told nothing that need not be true."""
    # Imported here as it is slow, and few runs need it: see `prepare_growing_files`.
    module: Any = import_module(_CONSOLIDATORS)
    name = str(resource.get("data_key"))
    named = (parameters.get(key) for key in _NAMES)
    dataset = next((path for path in named if isinstance(path, str) and path), None)
    plain = {
        "mimetype": HDF5,
        "uri": path.as_uri(),
        "data_key": name,
        "parameters": {"dataset": dataset},
    }
    return module.consolidator_factory(plain, {"data_keys": {name: {"shape": [1]}}})


def _leading(shape: Any) -> int:
    """Return the first length of a shape, 1 if it can be no number of rows."""
    lengths = cast(Sequence[Any], shape) if isinstance(shape, list | tuple) else ()
    first = lengths[0] if lengths else 1
    return first if type(first) is int and 1 <= first <= _MAX_MULTIPLIER else 1


def _is_given(value: Any) -> bool:
    """Whether a parameter says anything; of an array from a network, too."""
    return isinstance(value, np.ndarray) or bool(value)


def _mapping(doc: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = doc.get(key)
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
