"""`normalize` beside larch, live, on the measured spectra; and where larch is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.reduction.normalize_files import Cleaning, Request, normalize_files
from xasnn_stream.reduction.normalized_scan import NormalizedScan

DATA = Path(__file__).parents[4] / "shared" / "xas-data"
K_RANGE = (2.0, 12.0)
LIMITS = {"e0": 0.01, "edge_step": 1e-3, "flat": 1e-3, "k2chi": 0.01, "chir_mag": 0.01}
OTHERWISE = {
    "auo_noisy": "its μ is in counts, a step of 1521: the weight of larch's clamps "
    "depends on the units of μ, here it does not",
    **dict.fromkeys(
        [f"Yb_iron_{number:02d}" for number in (1, *range(4, 13))],
        "larch fits over the next edge, Yb L1: a step 4 % too high",
    ),
}
"""Spectra that differ from larch, and why."""

UNUSABLE = {
    "Cr2O3/006": "no_post_edge",
    "Cr2O3/035": "no_post_edge",
    "Yb_iron_02": "no_edge",
    "Yb_iron_03": "no_edge",
}
"""Spectra that larch takes and this package refuses, with the reason."""

pytestmark = pytest.mark.measured


def measured() -> list[dict[str, str]]:
    """Return all spectra with a known edge; of the long repeat set every eighth."""
    manifest = json.loads((DATA / "manifest.json").read_text())
    known = [each for each in manifest if each.get("file") and each.get("element")]
    tables = [each for each in known if ".csv" in each["file"]]
    long = [each["id"] for each in tables if each["set"] == "Cr2O3"]
    left = {name for number, name in enumerate(long) if number % 8} - set(UNUSABLE)
    return [each for each in tables if each["id"] not in left]


@pytest.fixture(scope="module")
def found() -> dict[str, NormalizedScan]:
    """Every spectrum, normalized from its column μ without leaving points out."""
    results: dict[str, NormalizedScan] = {}
    for element, edge in sorted(
        {(each["element"], each["edge"]) for each in measured()}
    ):
        of_edge = [
            e for e in measured() if (e["element"], e["edge"]) == (element, edge)
        ]
        request = Request(
            tuple(DATA / each["file"] for each in of_edge),
            cleaning=Cleaning(deglitch=False, jumps="keep"),
            element=element,
            edge=edge,
            columns={"energy": "energy", "mu": "mu"},
        )
        scans = normalize_files(request)
        results |= {each["id"]: scan for each, scan in zip(of_edge, scans, strict=True)}
    return results


@pytest.fixture(scope="module")
def larch() -> Callable[[NormalizedScan], dict[str, float]]:
    """A function: what differs from larch with its own defaults on the same points."""
    xafs = pytest.importorskip("larch.xafs", reason="larch is not installed")
    from larch import Group

    def differences(scan: NormalizedScan) -> dict[str, float]:
        ours = scan.arrays
        group = Group(energy=ours["energy"].copy(), mu=ours["mu"].copy())
        xafs.pre_edge(group)
        xafs.autobk(group)
        xafs.xftf(group)
        count = min(len(group.k), len(ours["k"]))
        k = group.k[:count]
        used = (k >= K_RANGE[0]) & (k <= K_RANGE[1])
        theirs = (k**2 * group.chi[:count])[used]
        return {
            "e0": scan.quality["e0_ev"] - group.e0,
            "edge_step": scan.quality["edge_step"] / group.edge_step - 1,
            "flat": rms(ours["flat"] - group.flat),
            "k2chi": rms((k**2 * ours["chi"][:count])[used] - theirs)
            / np.abs(theirs).max(),
            "chir_mag": rms(ours["chir_mag"] - group.chir_mag) / group.chir_mag.max(),
        }

    return differences


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def test_every_usable_spectrum_is_as_by_larch(found, larch):
    differences = {id_: larch(scan) for id_, scan in found.items() if not scan.problem}
    assert len(differences) > 110
    unlike = {
        id_: values
        for id_, values in differences.items()
        if any(abs(values[name]) > limit for name, limit in LIMITS.items())
    }
    assert unlike.keys() == OTHERWISE.keys(), unlike


def test_what_larch_takes_for_an_edge_and_is_none_is_refused(found):
    refused = {i: scan.problem.code for i, scan in found.items() if scan.problem}
    assert refused == UNUSABLE
    assert all(not found[name].arrays for name in UNUSABLE)


def test_back_steps_of_an_encoder_are_sorted_and_told(found):
    flags = {
        name: [flag.code for flag in scan.flags]
        for name, scan in found.items()
        if name.startswith("Hg_control/")
    }
    back = {name for name, codes in flags.items() if "back_steps" in codes}
    # The nine of which larch's autobk raises ValueError.
    assert back == {f"Hg_control/{number:04d}" for number in range(1, 10)}
    for name in back:
        assert found[name].done["back_steps"] > 0
        assert np.isfinite(found[name].arrays["chi"]).all()


def test_the_next_edge_ends_ranges_and_is_told(found):
    scan = found["Yb_iron_05"]
    assert [flag.code for flag in scan.flags] == ["noisy", "next_edge"]
    assert scan.parameters["norm2"] <= 10486 - 30 - scan.quality["e0_ev"]
    assert scan.quality["k_max"] == pytest.approx(11.2, abs=0.2)


def test_an_infinite_last_record_is_left_out_and_told(found):
    scan = found["Cr2O3/064"]
    assert [flag.code for flag in scan.flags] == ["not_finite"]
    assert scan.done["left_out"] == 1


def test_clean_foils_and_particles_lose_no_point():
    clean = [e for e in measured() if e["category"] in ("foils", "nanoparticles")]
    files = tuple(DATA / each["file"] for each in clean)
    columns = {"energy": "energy", "mu": "mu"}
    scans = normalize_files(Request(files, columns=columns))
    masked = {str(scan.file): scan.done["masked"] for scan in scans if not scan.problem}
    assert len(masked) > 30
    assert {name: at for name, at in masked.items() if at} == {}
