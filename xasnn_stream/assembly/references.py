"""What a run's documents say about files: resources, and the data in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from xasnn_stream.assembly.bulk import bulk
from xasnn_stream.assembly.decoders import (
    DECODERS,
    GrowingArray,
    NotReady,
    Undecodable,
)
from xasnn_stream.assembly.files import Files

Columns = Mapping[str, NDArray[np.generic]]
Doc = Mapping[str, Any]

MAX_RESOURCES = 1_000
MAX_DATUMS = 100_000
"""Of one run; beyond them nobody could wait for the files."""
MAX_VALUES = 10_000_000
"""Numbers and texts kept of them, about: 50 for each of as many datums as there can be."""
MAX_ID = 200
"""Characters of what names a resource or a datum."""

_USED = (
    *("uid", "spec", "mimetype", "data_key", "uri", "root", "resource_path"),
    *("resource_kwargs", "parameters"),
)
"""What is read of a resource: nothing else of it is kept."""


@dataclass(slots=True)
class References:
    """Resources and datums of one run, by their uids."""

    files: Files
    _resources: dict[str, Doc] = field(default_factory=lambda: dict[str, Doc]())
    _datums: dict[str, tuple[str, Doc]] = field(
        default_factory=lambda: dict[str, tuple[str, Doc]]()
    )
    _values: int = 0

    def add_resource(self, doc: Doc) -> bool:
        """Keep a Resource; False if it is none, too large, or there are too many."""
        uid = doc.get("uid")
        if not is_id(uid):
            return False
        if uid in self._resources:
            return True  # the same once more
        kept = {key: doc[key] for key in _USED if key in doc}
        if not self._has_room(self._resources, MAX_RESOURCES, kept):
            return False
        self._resources[uid] = kept
        return True

    def resource(self, uid: str) -> Doc | None:
        """Return a resource that was kept."""
        return self._resources.get(uid)

    def add_datum(self, doc: Doc) -> bool:
        """Keep a Datum; False if it is none, too large, or there are too many."""
        datum, resource = doc.get("datum_id"), doc.get("resource")
        if not is_id(datum) or not is_id(resource):
            return False
        if datum in self._datums:
            return True  # the same once more
        kept = (resource, _mapping(doc.get("datum_kwargs")))
        if not self._has_room(self._datums, MAX_DATUMS, (datum, kept)):
            return False
        self._datums[datum] = kept
        return True

    def _has_room(self, kept: Mapping[str, Any], most: int, value: Any) -> bool:
        """Count what is to be kept; False if that would be too many or too much."""
        left = MAX_VALUES - self._values
        size = bulk(value, left)
        if len(kept) >= most or size > left:
            return False
        self._values += size
        return True

    def read(self, datum: str, data_key: Doc, decoder: str | None) -> Columns:
        """Return the columns a datum stands for, `{"": …}` for one without a name.

        Raises
        ------
        NotReady
            If its documents or its file are not there yet.
        Undecodable
            If they never will be of use.
        """
        resource_uid, kwargs = self._datums.get(datum, (datum.partition("/")[0], {}))
        resource = self._resources.get(resource_uid)
        if resource is None or datum not in self._datums:
            raise NotReady(f"the documents of datum {datum[:60]!r} did not come")
        named = (decoder, resource.get("spec"), resource.get("mimetype"))
        spec = next((name for name in named if isinstance(name, str) and name), "")
        if spec not in DECODERS:
            known = ", ".join(sorted(DECODERS))
            raise Undecodable(f"there is no decoder for {spec!r}; there are: {known}")
        parameters = {**_mapping(resource.get("resource_kwargs")), **kwargs}
        path = self.files.path_of(resource)
        return DECODERS[spec](path, parameters, data_key)

    def growing(self, resource: Doc, data_key: Doc) -> GrowingArray:
        """Return the array of a StreamResource; Undecodable if its file is refused."""
        return GrowingArray(resource, data_key, self.files.path_of(resource))


def is_id(value: Any) -> TypeGuard[str]:
    """Whether a value can name a resource or a datum."""
    return isinstance(value, str) and len(value) <= MAX_ID


def _mapping(value: Any) -> Doc:
    return cast(Doc, value) if isinstance(value, Mapping) else {}
