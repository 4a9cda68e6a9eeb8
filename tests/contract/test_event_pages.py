"""Events in pages of any size make the same estimate."""

from typing import Any

import event_model
import numpy as np
import pytest

from xasnn_stream.sources.codec import encode_document

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bluesky"),
]

Named = tuple[str, dict[str, Any]]


def in_pages(run: list[Named], sizes: list[int]) -> list[Named]:
    """The run with its events packed into pages of these sizes, the rest alone."""
    events = [doc for name, doc in run if name == "event"]
    pages: list[Named] = []
    for size in [*sizes, *[1] * (len(events) - sum(sizes))]:
        page, events = events[:size], events[size:]
        pages.append(("event_page", dict(event_model.pack_event_page(*page))))
    assert not events
    return [*run[:2], *pages, run[-1]]


def with_columns(documents: list[Named]) -> list[Named]:
    """Pages whose columns are arrays."""

    def column(values: list[Any]) -> Any:
        return np.asarray(values)

    return [
        (
            name,
            doc
            if name != "event_page"
            else doc
            | {"data": {key: column(v) for key, v in doc["data"].items()}}
            | {"seq_num": column(doc["seq_num"]), "time": column(doc["time"])},
        )
        for name, doc in documents
    ]


@pytest.mark.parametrize("sizes", [[], [1, 2, 100, 1, 50], [250]])
@pytest.mark.parametrize("columns", [list, with_columns])
def test_a_run_in_pages_gives_the_estimate_of_its_events(
    measured, published, sizes, columns
):
    run = measured.runs[0]
    documents = columns(in_pages(run, sizes))

    received, counters = published(documents, serializer=encode_document)

    assert measured.estimates(received) == measured.estimates(run)
    pages = sum(name == "event_page" for name, _ in documents)
    assert counters.value("documents_received_total", name="event_page") == pages


def test_pages_of_two_runs_may_come_between_each_other(measured):
    first, second = (in_pages(run, [40, 1, 7]) for run in measured.runs)
    longer, shorter = sorted((first, second), key=len, reverse=True)
    both = [
        named
        for row, named_longer in enumerate(longer)
        for named in (named_longer, *shorter[row : row + 1])
    ]

    found = {e["run"]["uid"]: e for e in measured.estimates(both)}

    expected = [e for run in measured.runs for e in measured.estimates(run)]
    assert len(found) == len(expected) == 2
    for estimate in expected:
        got = found[estimate["run"]["uid"]]
        assert got["id"] == estimate["id"]
        assert got["verdict"] == estimate["verdict"] != "rejected"
        for name, descriptor in estimate["descriptors"].items():
            # A batch of two rounds its sums otherwise than a batch of one.
            assert got["descriptors"][name]["value"] == pytest.approx(
                descriptor["value"], abs=1e-6
            )
