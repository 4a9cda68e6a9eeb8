"""Every fault is what it says, and says what shall come of every sweep."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents import SHAPES
from xasnn_stream.simulation.documents.faults import FAULTS, spoil
from xasnn_stream.simulation.documents.spoilt import Spoilt
from xasnn_stream.simulation.documents.truth import Documents, Generated

Make = Callable[..., Generated]

CASES = [
    (name, shape)
    for name, fault in FAULTS.items()
    for shape in fault.shapes
    if shape != "sim-step"  # as bmm-step, but slower to make
]


def _spoilt(make: Make, name: str, shape: str) -> tuple[Generated, Spoilt]:
    generated = make(shape, sweeps=3)
    return generated, spoil(name, shape, generated)


def _outcomes(name: str, generated: Generated, spoilt: Spoilt) -> list[str]:
    fault = FAULTS[name]
    return [fault.expected(spoilt, (t.run, t.sweep))[0] for t in generated.truth]


def _of(documents: Documents, name: str) -> list[dict[str, Any]]:
    return [doc for kind, doc in documents if kind == name]


def _uids(documents: Documents) -> Counter[str]:
    return Counter(str(doc.get("uid") or doc["datum_id"]) for _, doc in documents)


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_fault_changes_what_arrives_and_says_what_comes_of_it(
    make: Make, tmp_path: Path, name: str, shape: str
) -> None:
    generated = make(shape, sweeps=3)
    before = str(generated.documents), _contents(tmp_path)

    spoilt = spoil(name, shape, generated)

    # The archive has the documents as they were; files have no second copy.
    assert str(generated.documents) == before[0]
    assert (str(spoilt.documents), _contents(tmp_path)) != before
    known = {(truth.run, truth.sweep) for truth in generated.truth}
    assert spoilt.hit | spoilt.gone <= known
    assert not spoilt.hit & spoilt.gone
    fault = FAULTS[name]
    assert bool(fault.reason) == (fault.outcome in ("flagged", "rejected"))


def test_every_shape_has_faults_of_every_outcome_it_can_have() -> None:
    assert {shape for fault in FAULTS.values() for shape in fault.shapes} == set(SHAPES)
    assert {fault.outcome for fault in FAULTS.values()} == {
        *("measured", "flagged", "rejected", "lost", "ignored")
    }


@pytest.mark.parametrize("shape", ["bmm-step", "sim-quick", "iss-fly", "dls-fly"])
def test_duplicates_and_disorder_lose_nothing(make: Make, shape: str) -> None:
    generated = make(shape, sweeps=3)
    there = _uids(generated.documents)

    again = _uids(spoil("duplicated", shape, generated).documents)
    assert set(again) == set(there)
    assert again.total() > there.total()
    mixed = spoil("disorder", shape, generated).documents
    assert _uids(mixed) == there
    assert mixed != generated.documents


def test_runs_that_interleave_keep_their_own_order(make: Make) -> None:
    generated, spoilt = _spoilt(make, "interleaved", "bmm-step")
    names = [name for name, _ in spoilt.documents]

    assert names[:3] == ["start"] * 3
    descriptor = _of(spoilt.documents, "descriptor")[3]["uid"]
    numbers = [
        event["seq_num"]
        for event in _of(spoilt.documents, "event")
        if event["descriptor"] == descriptor
    ]
    assert numbers == sorted(numbers)
    assert _uids(spoilt.documents) == _uids(generated.documents)


def test_pages_hold_the_events_that_came_alone(make: Make) -> None:
    generated, spoilt = _spoilt(make, "event-pages", "bmm-step")
    pages = _of(spoilt.documents, "event_page")

    events = _of(generated.documents, "event")
    assert [uid for page in pages for uid in page["uid"]] == [e["uid"] for e in events]
    energies = [e for page in pages for e in page["data"].get("dcm_energy", [])]
    assert len(energies) == 3 * generated.documents[0][1]["num_points"]


def test_an_aborted_run_counts_what_was_measured(make: Make) -> None:
    _, spoilt = _spoilt(make, "abort", "bmm-step")
    stop = _of(spoilt.documents, "stop")[0]
    primary = [
        doc["uid"]
        for doc in _of(spoilt.documents, "descriptor")
        if doc["name"] == "primary" and doc["run_start"] == stop["run_start"]
    ]
    events = [e for e in _of(spoilt.documents, "event") if e["descriptor"] in primary]

    assert stop["exit_status"] == "abort"
    assert stop["num_events"]["primary"] == len(events)
    assert len(events) < spoilt.documents[0][1]["num_points"]


def test_an_aborted_flight_of_a_growing_file_lacks_its_last_sweep(make: Make) -> None:
    generated, spoilt = _spoilt(make, "abort", "dls-fly")
    told = max(d["indices"]["stop"] for d in _of(spoilt.documents, "stream_datum"))

    assert told == 4000
    assert _of(spoilt.documents, "stop")[0]["num_events"] == {"primary": 4000}
    assert _outcomes("abort", generated, spoilt) == ["measured", "measured", "absent"]


def test_the_archive_of_lost_events_has_them(make: Make) -> None:
    generated, spoilt = _spoilt(make, "lost-events", "sim-quick")
    lost = _uids(generated.documents) - _uids(spoilt.documents)

    (event,) = [
        event
        for event in _of(generated.documents, "event")
        if event["uid"] in lost and "energy" in event["data"]
    ]
    assert event["seq_num"] == 2
    assert _outcomes("lost-events", generated, spoilt)[1] == "lost"


@pytest.mark.parametrize("shape", ["iss-fly", "dls-fly"])
def test_files_come_late_never_or_cut_short(make: Make, shape: str) -> None:
    generated, spoilt = _spoilt(make, "late-file", shape)
    ((path, hidden),) = spoilt.late.items()
    assert not path.exists()
    size = hidden.stat().st_size
    hidden.rename(path)

    spoil("truncated-file", shape, generated)
    assert path.stat().st_size % 40 != 0
    assert 0.5 * size < path.stat().st_size < 0.7 * size

    spoil("missing-file", shape, generated)
    assert not path.exists()


def test_saturated_chambers_stand_still_in_one_sweep(make: Make) -> None:
    generated, _ = _spoilt(make, "saturated", "iss-fly")
    rows = np.fromfile(generated.files[0], "<i4").reshape(-1, 10)
    still = np.flatnonzero(rows[:, 0] == -3_300_000)

    assert 150 < len(still) < 250
    assert np.ptp(still) < 250
    assert np.all(rows[:, 0] >= -3_300_000)


def test_rows_that_nobody_told_of_hold_zeros(make: Make) -> None:
    generated, spoilt = _spoilt(make, "zero-rows", "dls-fly")
    told = max(d["indices"]["stop"] for d in _of(spoilt.documents, "stream_datum"))
    with h5py.File(generated.files[0]) as file:
        behind = file["counter-1-out"][told:]

    assert len(behind) == 3000
    assert not behind.any()


@pytest.mark.parametrize("shape", ["bmm-step", "sim-quick"])
def test_exchanged_chambers_turn_the_sign_of_the_absorption(
    make: Make, shape: str
) -> None:
    _, spoilt = _spoilt(make, "inverted", shape)
    i0, it = ("I0", "It") if shape == "bmm-step" else ("i0", "it")
    event = next(e for e in _of(spoilt.documents, "event") if i0 in e["data"])

    assert np.all(np.asarray(event["data"][it]) > np.asarray(event["data"][i0]))


def test_a_scan_at_one_energy_looks_like_one_of_many(make: Make) -> None:
    generated, spoilt = _spoilt(make, "sead", "bmm-step")
    kinds = [start["XDI"]["_kind"] for start in _of(spoilt.documents, "start")]

    assert kinds == ["sead", "xafs", "xafs"]
    assert _outcomes("sead", generated, spoilt) == ["ignored", "measured", "measured"]


def test_a_fault_that_is_unknown_or_impossible_is_refused(make: Make) -> None:
    generated = make("sim-quick", sweeps=1)
    with pytest.raises(UsageError, match="no fault 'flood'; there are missing-stop"):
        spoil("flood", "sim-quick", generated)
    with pytest.raises(UsageError, match="sim-quick cannot have the fault sead"):
        spoil("sead", "sim-quick", generated)
