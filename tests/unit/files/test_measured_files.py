"""Every measured file ends in scans or in one sentence; scans are what was measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.analysis.absorption import choose_mode, rough_mu
from xasnn_stream.errors import FileError
from xasnn_stream.files.read import read_scans

DATA = Path(__file__).parents[4] / "shared" / "xas-data"
NEEDS_HELP = {"Cu-foil_EXAFS_23068.dat.gz", "PdZnO02_mt.CSV.gz", "Pd_foil.CSV.gz"}
"""Electrometer channels without a meaning; pixels without energies."""

OTHER_SIGNAL = {
    # The manifest corrects for dead time, or takes the foil behind the sample.
    "Cr2O3/000",
    "Cu_glass_KMDG1",
    "Ag_K_20BM2006",
}

pytestmark = [
    pytest.mark.measured,
    pytest.mark.skipif(
        not DATA.is_dir(), reason=f"no measured spectra beside the checkout: {DATA}"
    ),
]


def _manifest():
    if not DATA.is_dir():
        return []
    entries = json.loads((DATA / "manifest.json").read_text())
    return [
        entry
        for entry in entries
        if "raw" in entry
        and str(entry.get("file")).startswith("spectra")
        and Path(entry["raw"]).name not in NEEDS_HELP
    ]


def test_every_file_ends_in_scans_or_in_one_sentence():
    files = [path for path in DATA.rglob("*") if path.is_file()]
    sentences = {}
    for path in files:
        try:
            assert read_scans(path), path
        except FileError as error:
            sentences[path.name] = str(error)
    assert len(files) > 200
    assert set(sentences) - NEEDS_HELP <= {
        path.name for path in files if path.suffix in (".json", ".md")
    } | {"summary.csv"}
    assert all(len(text.splitlines()) == 1 for text in sentences.values())


@pytest.mark.parametrize("entry", _manifest(), ids=lambda entry: entry["id"])
def test_a_raw_file_is_read_as_the_inventory_has_it(entry):
    (parsed,) = read_scans(DATA / entry["file"])
    scans = read_scans(DATA / entry["raw"])
    label = entry["meta"].get("athena_label", entry["id"][-1])
    (scan,) = [s for s in scans if len(scans) == 1 or s.name == label.strip()]
    np.testing.assert_allclose(scan.energy_ev, parsed.columns["energy"], atol=1e-4)
    mode, _ = choose_mode(scan)
    if entry["id"] in OTHER_SIGNAL:
        counts = set(parsed.columns) & {"i0", "if_raw"}
        names = {"if_raw": "if"}
        for name in counts if "if_raw" in counts else ():
            np.testing.assert_allclose(
                scan.channels[names.get(name, name)], parsed.columns[name]
            )
    else:
        np.testing.assert_allclose(
            rough_mu(scan, mode), parsed.columns["mu"], rtol=1e-5, atol=2e-6
        )
    if scan.facts.element is not None:
        assert (scan.facts.element, scan.facts.edge) == (
            entry["element"],
            entry["edge"],
        )


def test_electrometer_channels_can_be_named():
    path = DATA / "raw" / "foils" / "Cu-foil_EXAFS_23068.dat.gz"
    # The inventory's note: i0 = ch1 + ch2, it = ch3 + ch4.
    (scan,) = read_scans(path, {"i0": "4+5", "it": "albaem02_ch3+albaem02_ch4"})
    (parsed,) = read_scans(DATA / "spectra" / "Cu_K_Balder_1.csv.gz")
    np.testing.assert_allclose(
        rough_mu(scan, "transmission"), parsed.columns["mu"], atol=2e-6
    )
