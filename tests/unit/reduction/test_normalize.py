"""`normalize` beyond larch: what it leaves out, merges, aligns, and what it tells."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.engine.foil import read_foil
from xasnn_stream.errors import UsageError
from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.physics.settings import Background, Normalization, Reduction
from xasnn_stream.reduction.normalize_files import (
    Cleaning,
    Failure,
    Request,
    normalize_files,
)
from xasnn_stream.reduction.normalized_scan import NormalizedScan

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
HEADER = "# Element.symbol: Pt\n# Element.edge: L3\n"


@pytest.fixture
def counts() -> dict[str, np.ndarray]:
    """Energy, i0, it and ir of the example particles."""
    columns = np.loadtxt(EXAMPLES / "particles.xdi", unpack=True)
    return dict(zip(("energy", "i0", "it", "ir"), columns, strict=True))


@pytest.fixture
def normalize(tmp_path) -> Callable[..., NormalizedScan]:
    """A function: normalize columns from a file of theirs; the only result."""

    def normalize(columns, settings=None, foil=None, **cleaning) -> NormalizedScan:
        file = written(tmp_path / "scan.dat", columns)
        request = Request(
            (file,), settings or Reduction(), Cleaning(**cleaning), foil=foil
        )
        (scan,) = normalize_files(request)
        assert isinstance(scan, NormalizedScan)
        return scan

    return normalize


def written(path: Path, columns: dict[str, np.ndarray]) -> Path:
    """Write columns as text under a header of the Pt L3 edge."""
    np.savetxt(
        path, np.stack(list(columns.values()), 1), header=HEADER[2:] + " ".join(columns)
    )
    return path


def moving_the_edge(energy, mu, valid, noise, e0):
    """A denoiser after which the edge lies four points higher."""
    return Denoised(torch.cat((mu[:, :1].expand(-1, 4), mu[:, :-4]), -1), None)


def codes(scan: NormalizedScan) -> list[str]:
    return [flag.code for flag in scan.flags]


def text(scan: NormalizedScan, code: str) -> str:
    (found,) = [flag.text for flag in scan.flags if flag.code == code]
    return found


def test_a_glitch_of_i0_is_left_out_named_and_explained(counts, normalize):
    clean = normalize(counts)
    counts["i0"][230] *= 0.8
    counts["it"][230] *= 0.76
    scan = normalize(counts)
    assert codes(scan) == ["glitch"]
    assert scan.done["masked"] == [counts["energy"][230]]
    assert text(scan, "glitch").endswith("as I0 has (eV)")
    assert scan.quality["edge_step"] == pytest.approx(
        clean.quality["edge_step"], rel=1e-3
    )
    kept = normalize(counts, deglitch=False)
    assert codes(kept) == []
    assert len(kept.arrays["energy"]) == len(scan.arrays["energy"]) + 1


def test_a_small_jump_is_flagged_and_repaired_when_asked(counts, normalize):
    clean = normalize(counts)
    counts["it"][230:] *= np.exp(-0.05)
    scan = normalize(counts)
    assert codes(scan) == ["jump"]
    (jump,) = scan.done["jumps"]
    assert jump["size"] == pytest.approx(0.05, rel=0.15)
    assert not jump["repaired"]
    repaired = normalize(counts, jumps="repair")
    difference = repaired.quality["edge_step"] / clean.quality["edge_step"] - 1
    assert (
        abs(difference)
        < 0.005
        < abs(scan.quality["edge_step"] / clean.quality["edge_step"] - 1)
    )


def test_ranges_end_before_the_edge_of_another_element(counts, normalize):
    scan = normalize(counts, others=("Au",))
    assert codes(scan) == ["next_edge"]
    assert scan.quality["next_edge_ev"] == 11919.0 - 30.0
    assert scan.parameters["norm2"] <= 11889.0 - scan.quality["e0_ev"]
    # k = 0.5123 √(E - e0)
    reached = 0.51232 * np.sqrt(11889.0 - scan.quality["e0_ev"])
    assert scan.quality["k_max"] == pytest.approx(reached, abs=0.01)
    assert scan.arrays["k"][-1] <= reached
    assert scan.arrays["energy"][-1] == counts["energy"][-1]


def test_an_edge_too_near_to_end_ranges_is_told(counts, tmp_path):
    # Ti L2 follows L3 after 6 eV.
    counts["energy"] += 453.8 - 11564.0
    file = tmp_path / "titanium.dat"
    np.savetxt(
        file,
        np.stack([counts[n] for n in ("energy", "i0", "it")], 1),
        header="energy i0 it",
    )
    (scan,) = normalize_files(Request((file,), element="Ti", edge="L3"))
    assert "overlap" in codes(scan)
    assert np.isfinite(scan.quality["edge_step"])


def test_a_given_axis_shift_is_found_and_taken_off(counts, normalize):
    foil = read_foil(str(EXAMPLES / "foil.dat"))
    before = normalize(counts, foil=foil).done["shift_ev"]
    counts["energy"] += 2.0
    told = normalize(counts, foil=foil)
    assert codes(told) == ["axis_shift"]
    shift = told.done["shift_ev"]
    assert shift["value"] - before["value"] == pytest.approx(2.0, abs=3 * shift["std"])
    assert not shift["applied"]
    aligned = normalize(counts, foil=foil, align=True)
    moved = told.quality["e0_ev"] - aligned.quality["e0_ev"]
    assert moved == pytest.approx(shift["value"], abs=1e-6)


def test_over_absorbed_fluorescence_is_told_by_the_transmission(counts, normalize):
    mu = np.log(counts["i0"] / counts["it"])
    background = 0.2
    # A thick sample: If/I0 = μ / (μ + what it takes to get out).
    thick = {**counts, "if": counts["i0"] * (mu + background) / (mu + 1.0)}
    thin = {**counts, "if": counts["i0"] * 1e-2 * (mu + background)}
    del thick["ir"], thin["ir"]
    found = {
        name: normalize_fluorescence(normalize, columns)
        for name, columns in (("thick", thick), ("thin", thin))
    }
    assert "over_absorption" in codes(found["thick"])
    assert found["thick"].done["damping"]["factor"] < 0.8
    assert "over_absorption" not in codes(found["thin"])
    damping = found["thin"].done["damping"]
    assert damping["factor"] == pytest.approx(1.0, abs=max(0.02, 3 * damping["std"]))


def normalize_fluorescence(normalize, columns) -> NormalizedScan:
    """Normalize the fluorescence of columns that hold transmission, too."""
    scan = normalize({"energy": columns["energy"], **columns})
    if any("read as transmission" in note for note in scan.notes):
        request = Request((scan.file,), mode="fluorescence")
        (scan,) = normalize_files(request)
    return scan


@pytest.mark.parametrize("shift", [-50.0, -30.0, 0.0, 50.0])
def test_an_edge_outside_of_its_window_is_told(counts, tmp_path, shift):
    moved = {**counts, "energy": counts["energy"] + shift}
    file = written(tmp_path / "moved.dat", moved)
    (scan,) = normalize_files(Request((file,), element="Pt", edge="L3"))
    assert isinstance(scan, NormalizedScan)
    assert ("off_edge" in codes(scan)) == (shift != 0)
    assert scan.quality["half_step_ev"] == pytest.approx(11562.0 + shift, abs=4.0)


@pytest.mark.parametrize(("start", "is_short"), [(-30.0, True), (-60.0, False)])
def test_a_pre_edge_too_short_for_a_line_is_told(normalize, counts, start, is_short):
    kept = counts["energy"] > 11564.0 + start
    scan = normalize({name: values[kept] for name, values in counts.items()})
    assert ("short_pre_edge" in codes(scan)) == is_short
    assert start <= scan.quality["start_ev"] < start + 10.0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_spike_before_the_edge_does_not_turn_a_scan_over(normalize, counts, place):
    mu = np.log(counts["i0"] / counts["it"])
    columns = {"energy": counts["energy"], "mu": mu}
    clean = normalize(columns)
    mu = mu.copy()
    mu[place] -= 8.0
    spiked = normalize({**columns, "mu": mu})
    assert codes(spiked) == ["glitch"]
    assert spiked.quality["edge_step"] == pytest.approx(
        clean.quality["edge_step"], 5e-3
    )


def test_a_scan_may_leave_the_step_beyond_the_range_of_the_polynomial(
    counts, normalize
):
    settings = Normalization(norm1=60.0, norm2=140.0, nnorm=3)
    scan = normalize(counts, Reduction(normalization=settings))
    assert scan.problem is None
    assert np.abs(scan.arrays["flat"][-20:] - 1).max() > 0.5


def test_a_saturated_channel_is_told(counts, normalize):
    counts["it"] = np.minimum(counts["it"], np.quantile(counts["it"], 0.9))
    assert "saturated" in codes(normalize(counts))


def test_noise_stays_that_of_the_points_when_they_are_smoothed(counts, normalize):
    raw, smooth = normalize(counts), normalize(counts, denoise="whittaker")
    assert smooth.done["denoised"] == "whittaker"
    assert smooth.quality["noise"] == pytest.approx(raw.quality["noise"], rel=0.02)
    assert smooth.quality["edge_step_std"] == pytest.approx(
        raw.quality["edge_step_std"], rel=0.05
    )
    assert smooth.quality["epsilon_k"] < raw.quality["epsilon_k"]


def test_e0_is_of_the_curve_before_it_was_denoised(counts, normalize, monkeypatch):
    monkeypatch.setitem(DENOISERS, "whittaker", moving_the_edge)
    raw, smooth = normalize(counts), normalize(counts, denoise="whittaker")
    assert smooth.parameters["e0"] == raw.parameters["e0"]
    moved = np.abs(smooth.arrays["mu"] - raw.arrays["mu"])
    assert moved.max() > 0.1 * raw.quality["edge_step"]


def test_rebinning_tells_its_bins(counts, normalize):
    scan = normalize(counts, rebin=True)
    bins = scan.done["rebinned"]
    assert bins["bins"] == len(scan.arrays["energy"]) != len(counts["energy"])
    assert 0 < bins["interpolated"] < bins["bins"]


def test_a_short_scan_keeps_to_given_ranges(counts, normalize):
    short = {
        name: values[counts["energy"] < 11625.0] for name, values in counts.items()
    }
    settings = Reduction(Normalization(norm1=20.0, norm2=60.0, nnorm=0))
    given, free = normalize(short, settings), normalize(short)
    assert codes(given) == ["partial"]
    assert codes(free) == ["partial", "no_exafs"]
    assert given.parameters["nnorm"] == 0
    whole = normalize(counts).quality["edge_step"]
    assert abs(free.quality["edge_step"] - whole) < 2 * free.quality["edge_step_std"]


def test_repeats_are_merged_without_those_that_are_unlike(tmp_path, counts):
    rng = np.random.default_rng(2)
    files = []
    for number in range(6):
        columns = {name: values.copy() for name, values in counts.items()}
        columns["it"] *= 1 + 0.002 * rng.standard_normal(len(columns["it"]))
        if number == 3:
            columns["energy"] += 3.0
        if number == 4:
            columns = {name: values[:150] for name, values in columns.items()}
        files.append(written(tmp_path / f"{number}.dat", columns))
    single, *_ = normalize_files(Request((files[0],)))
    (scan,) = normalize_files(Request(tuple(files), cleaning=Cleaning(merge=True)))
    assert scan.scan == "4 merged"
    rejected = {
        Path(each["file"]).name: each["reason"] for each in scan.done["rejected"]
    }
    assert rejected == {"3.dat": "shifted", "4.dat": "aborted"}
    assert codes(scan) == ["rejected"]
    assert "3.dat (shifted)" in text(scan, "rejected")
    # Four scans have half the noise of one.
    assert scan.quality["noise"] / single.quality["noise"] == pytest.approx(
        0.5, rel=0.2
    )


def test_only_repeats_of_one_edge_are_merged(examples):
    files = (examples / "foil.dat", examples / "iron.xdi")
    with pytest.raises(UsageError, match="scans of Fe K and Pt L3"):
        list(normalize_files(Request(files, cleaning=Cleaning(merge=True))))


def test_without_a_usable_scan_each_is_told(examples):
    request = Request(
        (examples / "iron.xdi",) * 2,
        cleaning=Cleaning(merge=True),
        element="Pt",
        edge="L3",
    )
    problems = [scan.problem.code for scan in normalize_files(request)]
    assert problems == ["wrong_energy"] * 2


def test_results_come_in_the_order_of_files_beyond_a_batch(examples, monkeypatch):
    monkeypatch.setattr("xasnn_stream.reduction.normalize_files.BATCH", 2)
    names = ("iron.xdi", "foil.dat", "no-names.txt", "particles.xdi", "iron.xdi")
    request = Request(tuple(examples / name for name in names))
    found = list(normalize_files(request))
    assert [each.file.name for each in found] == list(names)
    assert [isinstance(each, Failure) for each in found] == [i == 2 for i in range(5)]


def test_a_scan_alone_and_among_others_is_the_same(examples):
    names = ("particles.xdi", "iron.xdi", "foil.dat")
    together = normalize_files(Request(tuple(examples / name for name in names)))
    for name, scan in zip(names, together, strict=True):
        (alone,) = normalize_files(Request((examples / name,)))
        assert alone.quality["edge_step"] == pytest.approx(
            scan.quality["edge_step"], rel=1e-12
        )
        assert alone.arrays["chir_mag"] == pytest.approx(
            scan.arrays["chir_mag"], abs=1e-9
        )


def test_a_background_that_starts_behind_the_scan_is_told_not_made_up(
    counts, normalize
):
    short = {
        name: values[counts["energy"] < 11660.0] for name, values in counts.items()
    }
    scan = normalize(short, Reduction(background=Background(kmin=6.0)))
    assert "no_exafs" in codes(scan)
    document = scan.document(with_arrays=True)
    assert document["arrays"]["chi"] == document["arrays"]["chir_mag"] == []
    assert document["quality"]["k_max"] is None
    json.dumps(document, allow_nan=False)
