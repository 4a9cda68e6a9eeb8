import dataclasses
import json
import math

import numpy as np
import pytest

from xasnn_stream.estimate import ALGORITHM, SCHEMA, estimate_id
from xasnn_stream.spectrum import Run, Spectrum

RUN = Run("run-1", 5, 0, "up", 1.0, True, True, "zmq://a", ())


def of(run, profile="p" * 64, model="m" * 64, reference="r" * 64):
    return estimate_id(run, profile, model, reference)


def test_an_id_is_the_hash_the_contract_states():
    # The first 32 digits `sha256sum` prints for ["run-1",0,"p…","m…","r…",true,4] with
    # 64 of each letter.
    assert ALGORITHM == 4
    assert of(RUN) == "baffa160afc5658b35a287516d1d7e9d"


@pytest.mark.parametrize(
    "changed",
    [
        of(dataclasses.replace(RUN, uid="run-2")),
        of(dataclasses.replace(RUN, sweep=1)),
        of(dataclasses.replace(RUN, complete=False)),
        of(RUN, profile="q" * 64),
        of(RUN, model="n" * 64),
        of(RUN, reference="s" * 64),
        of(RUN, reference=None),
    ],
)
def test_whatever_the_numbers_depend_on_changes_the_id(changed):
    assert changed != of(RUN)


def test_where_a_run_came_from_does_not_change_the_id():
    replayed = dataclasses.replace(RUN, source="runs.jsonl", scan_id=None, progress=0.5)
    assert of(replayed) == of(RUN)


def test_a_partial_has_no_id():
    assert of(dataclasses.replace(RUN, final=False)) is None


def test_a_document_has_the_contracts_fields(make_estimate):
    document = make_estimate().document()
    assert document["schema"] == SCHEMA
    assert document.keys() == {
        "schema", "id", "run", "sample", "element", "edge", "time", "descriptors",
        "verdict", "reasons", "quality", "novelty", "conditions", "accounting",
        "provenance", "masked_ev", "size",
    }  # fmt: skip
    assert document["run"].keys() >= {
        "uid", "scan_id", "sweep", "direction", "progress", "final", "complete",
        "source",
    }  # fmt: skip
    assert document["descriptors"]["cn1"].keys() == {
        "value", "std", "std_model", "std_noise", "std_ambiguity", "interval", "level",
        "unit",
    }  # fmt: skip
    assert document["quality"].keys() >= {
        "e0_ev", "e0_shift_ev", "edge_step", "noise", "n_points", "n_masked",
    }  # fmt: skip
    assert document["provenance"].keys() >= {
        "model", "model_sha256", "profile_sha256", "reference_sha256", "package",
    }  # fmt: skip
    assert document["time"] == {"start": 1000.0, "end": 1060.0}
    assert document["accounting"] == {"n_averaged": 1, "n_missed": 0}


def test_numbers_that_are_none_become_null(make_estimate):
    estimate = dataclasses.replace(
        make_estimate(), conditions={"temperature_k": math.inf}, time=(math.nan, 2.0)
    )
    document = estimate.document()
    assert document["novelty"] == {"score": None, "threshold": 2.1}
    assert document["conditions"] == {"temperature_k": None}
    assert document["time"] == {"start": None, "end": 2.0}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_spectra_have_their_own_mappings():
    def bare():
        grid = np.zeros(3)
        return Spectrum(RUN, "p", None, "Pt", "L3", (0.0, 1.0), grid, {"i0": grid})

    assert bare().offsets == {}
    assert bare().offsets is not bare().offsets
    assert bare().accounting.n_missed == 0
    assert bare().problem is None


def test_nouns_cannot_be_changed(make_estimate):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_estimate().verdict = "outside"
