"""Documents of one run, one after the other, with times and ids that a seed gives."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import event_model
import numpy as np

from xasnn_stream.simulation.documents.truth import Documents

BEGAN_S = 1_795_305_600.0
"""When the first run of a series begins, epoch seconds."""


class RunWriter:
    """Composes and collects the documents of a run.

    Every document is valid against the event model. `time_s` is the epoch time of what
    comes next; who writes moves it on.
    """

    def __init__(
        self, rng: np.random.Generator, start: Mapping[str, Any], time_s: float
    ) -> None:
        self.documents: Documents = []
        self.time_s = time_s
        self._rng = rng
        self._run = event_model.compose_run(
            uid=self.new_uid(), time=time_s, metadata=dict(start)
        )
        self._streams: dict[str, event_model.ComposeDescriptorBundle] = {}
        self.add("start", self._run.start_doc)

    @property
    def uid(self) -> str:
        """The run's."""
        return self._run.start_doc["uid"]

    def new_uid(self) -> str:
        """Return the next id."""
        return str(uuid.UUID(bytes=self._rng.bytes(16), version=4))

    def add(self, name: str, document: Any) -> None:
        """Append a document."""
        self.documents.append((name, dict(document)))

    def descriptor(
        self,
        stream: str,
        data_keys: Mapping[str, Any],
        *,
        configuration: Mapping[str, Any] | None = None,
        hints: Mapping[str, Any] | None = None,
        device: str = "",
    ) -> str:
        """Describe a stream; `device` names the one that has all its keys."""
        bundle = self._run.compose_descriptor(
            stream,
            dict(data_keys),
            hints=dict(hints or {}),
            configuration=dict(configuration or {}),
            object_keys={device or stream: list(data_keys)},
            time=self.time_s,
            uid=self.new_uid(),
        )
        self._streams[stream] = bundle
        self.add("descriptor", bundle.descriptor_doc)
        return bundle.descriptor_doc["uid"]

    def event(self, stream: str, data: Mapping[str, Any], *external: str) -> None:
        """Write one event of a stream; `external` are the keys with references."""
        event = self._streams[stream].compose_event(
            dict(data),
            dict.fromkeys(data, self.time_s),
            filled=dict.fromkeys(external, False),
            uid=self.new_uid(),
            time=self.time_s,
        )
        self.add("event", event)

    def page(self, stream: str, data: Mapping[str, Any], *external: str) -> None:
        """Write a page of one row, as flyers do."""
        page = self._streams[stream].compose_event_page(
            {key: [value] for key, value in data.items()},
            {key: [self.time_s] for key in data},
            filled={key: [False] for key in external},
            uid=[self.new_uid()],
            time=[self.time_s],
        )
        self.add("event_page", page)

    def resource(
        self,
        spec: str,
        root: str,
        path: str,
        datums: Sequence[Mapping[str, Any]] = ({},),
    ) -> list[str]:
        """Write a resource and its datums; return their ids."""
        resource = self._run.compose_resource(
            spec, root, path, {}, path_semantics="posix", uid=self.new_uid()
        )
        self.add("resource", resource.resource_doc)
        made = [resource.compose_datum(dict(datum)) for datum in datums]
        for datum in made:
            self.add("datum", datum)
        return [datum["datum_id"] for datum in made]

    def stream_resource(
        self, mimetype: str, uri: str, data_key: str, parameters: Mapping[str, Any]
    ) -> str:
        """Write the stream resource of a data key; return its id."""
        bundle = self._run.compose_stream_resource(  # pyright: ignore[reportOptionalCall]
            mimetype, uri, data_key, dict(parameters), uid=self.new_uid()
        )
        self.add("stream_resource", bundle.stream_resource_doc)
        return bundle.stream_resource_doc["uid"]

    def stream_datum(
        self, resource: str, number: int, descriptor: str, first: int, last: int
    ) -> None:
        """Say that rows `first` to `last`, the latter excluded, are in the file."""
        datum = {
            "uid": f"{resource}/{number}",
            "stream_resource": resource,
            "descriptor": descriptor,
            "indices": {"start": first, "stop": last},
            "seq_nums": {"start": first + 1, "stop": last + 1},
        }
        schema = event_model.DocumentNames.stream_datum
        event_model.schema_validators[schema].validate(datum)
        self.add("stream_datum", datum)

    def stop(self, **more: Any) -> None:
        """End the run."""
        stop = self._run.compose_stop(uid=self.new_uid(), time=self.time_s)
        self.add("stop", {**stop, **more})
