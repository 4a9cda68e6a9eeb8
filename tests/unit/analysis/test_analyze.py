"""From files to estimates, through the daemon's engine."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest

from xasnn_stream.analysis.analyze import Failure, Result
from xasnn_stream.analysis.settings import settings_for
from xasnn_stream.engine.foil import read_foil
from xasnn_stream.engine.resident import Engine
from xasnn_stream.errors import FoilError, UsageError
from xasnn_stream.files.read import read_scans
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_folder
from xasnn_stream.spectrum import Run, Spectrum

TRUE_CN1 = 8.98
"""Of the cuboctahedra in the example files."""


def values(result):
    return {name: d.value for name, d in result.estimate.descriptors.items()}


def test_a_file_and_a_live_run_of_the_shipped_profile_give_the_same_numbers(
    run, examples
):
    (result,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    (scan,) = read_scans(examples / "particles.xdi")
    profile = load_profile("sim-step")
    foil = read_foil(str(examples / "foil.dat"))
    engine = Engine.load(model_folder(profile.model), profile.engine, foil)
    live = Spectrum(
        run=Run("live", 1, 0, "up", 1.0, True, True, "test"),
        profile="sim-step",
        sample=None,
        element="Pt",
        edge="L3",
        time=(0.0, 1.0),
        energy_ev=scan.energy_ev,
        channels=scan.channels,
    )
    (estimate,) = engine.estimate([live])
    assert values(result) == {
        name: found.value for name, found in estimate.descriptors.items()
    }
    assert result.estimate.verdict == estimate.verdict


def test_the_estimate_says_where_it_comes_from(run, examples):
    (result,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    estimate = result.estimate
    low, high = estimate.descriptors["cn1"].interval
    assert low < TRUE_CN1 < high
    assert estimate.run.source == str(examples / "particles.xdi")
    assert estimate.run.complete
    assert estimate.sample == "simulated cuboctahedra of 147 Pt atoms"
    assert estimate.conditions == {"temperature_k": 569.0}
    assert estimate.time == (1795316400.0, 1795316400.0)
    assert estimate.provenance.profile == "analyze"
    assert estimate.provenance.reference == "foil.dat"


def test_ids_are_of_the_content_and_the_scan_not_of_the_path(run, examples):
    copy = examples / "copy.xdi"
    copy.write_bytes((examples / "particles.xdi").read_bytes())
    other = examples / "other.xdi"
    other.write_text((examples / "particles.xdi").read_text() + "# a note\n")
    same, copied, changed = run(examples / "particles.xdi", copy, other)
    assert same.estimate.id == copied.estimate.id
    assert same.estimate.id != changed.estimate.id
    assert len(same.estimate.run.uid) == 32


def test_without_a_foil_the_scans_own_channel_serves_else_a_computed_one(run, examples):
    (own,) = run(examples / "particles.xdi")
    assert own.estimate.provenance.reference == "reference channel"
    given = {"energy": "1", "i0": "2", "it": "3"}
    (none,) = run(examples / "no-names.txt", columns=given)
    assert none.estimate.provenance.reference is None
    assert "no_foil" in [reason.code for reason in none.estimate.reasons]
    assert none.estimate.verdict != "ok"


def test_stored_absorption_gives_what_its_counts_give(run, examples):
    (scan,) = read_scans(examples / "particles.xdi")
    mu = np.log(scan.channels["i0"] / scan.channels["it"])
    stored = examples / "stored.npz"
    np.savez(stored, energy=scan.energy_ev, mu=mu)
    counted, given = run(examples / "particles.xdi", stored, foil=examples / "foil.dat")
    assert values(given) == pytest.approx(values(counted), rel=1e-9)


def test_fluorescence_is_read_as_if_over_i0(run, examples):
    (scan,) = read_scans(examples / "particles.xdi")
    mu = np.log(scan.channels["i0"] / scan.channels["it"])
    counts = np.column_stack([scan.energy_ev, scan.channels["i0"], mu * 1e-3])
    counts[:, 2] *= counts[:, 1]
    file = examples / "fluorescence.csv"
    header = "# element: Pt\n# edge: L3\nenergy,i0,if"
    np.savetxt(file, counts, delimiter=",", header=header, comments="")
    (result,) = run(file, foil=examples / "foil.dat")
    assert result.settings.mode == "fluorescence"
    (counted,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    # The same curve but for its scale; text has 18 digits.
    assert result.estimate.descriptors["cn1"].value == pytest.approx(
        counted.estimate.descriptors["cn1"].value, abs=1e-3
    )


def test_the_foil_behind_a_fluorescing_sample_serves_as_in_transmission(run, examples):
    (scan,) = read_scans(examples / "particles.xdi")
    i0, it, ir = (scan.channels[role] for role in ("i0", "it", "ir"))
    table = np.column_stack([scan.energy_ev, i0, it, ir, i0 * np.log(i0 / it)])
    file = examples / "both.csv"
    header = "# element: Pt\n# edge: L3\n# mode: fluorescence\nenergy,i0,it,ir,if"
    np.savetxt(file, table, delimiter=",", header=header, comments="")
    transmitted, fluorescent = run(examples / "particles.xdi", file)
    assert fluorescent.settings.mode == "fluorescence"
    assert fluorescent.estimate.provenance.reference == "reference channel"
    assert values(fluorescent) == pytest.approx(values(transmitted), rel=1e-6)


def test_a_gap_in_the_reference_channel_costs_only_the_channel(run, examples):
    lines = (examples / "particles.xdi").read_text().splitlines()
    lines[60] = lines[60].rpartition(" ")[0] + " nan"
    (examples / "gap.xdi").write_text("\n".join(lines))
    (result,) = run(examples / "gap.xdi")
    assert result.estimate.run.complete
    assert result.estimate.provenance.reference is None


def test_scans_up_and_down_in_ev_and_kev_are_one_spectrum(run, examples):
    lines = (examples / "no-names.txt").read_text().splitlines()
    rows = np.array([line.split() for line in reversed(lines)], float)
    rows[:, 0] /= 1000
    np.savetxt(
        examples / "down.csv", rows, header="keV,i0,it", delimiter=",", comments=""
    )
    (up,) = run(
        examples / "no-names.txt", columns={"energy": "1", "i0": "2", "it": "3"}
    )
    (down,) = run(examples / "down.csv")
    assert values(down) == pytest.approx(values(up), rel=1e-6)
    assert (up.estimate.run.direction, down.estimate.run.direction) == ("up", "down")
    assert "energies were given in keV" in down.notes


def test_a_short_scan_is_normalized_as_far_as_it_goes(run, examples):
    text = (examples / "particles.xdi").read_text().splitlines()
    head = [line for line in text if line.startswith("#")]
    rows = [line for line in text if line[0] != "#" and float(line.split()[0]) < 11700]
    short = examples / "short.xdi"
    short.write_text("\n".join(head + rows))
    (result,) = run(short, foil=examples / "foil.dat")
    assert result.settings == settings_for("transmission", far=False)
    assert any("automatic ranges" in note for note in result.notes)
    (whole,) = run(examples / "particles.xdi", foil=examples / "foil.dat")
    # A post-edge line over 25 to 135 eV errs by a percent of the step: 2 in cn1.
    assert values(result)["cn1"] == pytest.approx(values(whole)["cn1"], abs=2.0)


def test_rows_without_numbers_make_the_sweep_incomplete(run, examples):
    lines = (examples / "particles.xdi").read_text().splitlines()
    lines[60] = lines[60].split()[0] + " nan nan nan"
    lines[-1] = lines[-1][:12]
    broken = examples / "broken.xdi"
    broken.write_text("\n".join(lines))
    (result,) = run(broken, foil=examples / "foil.dat")
    assert not result.estimate.run.complete
    assert result.estimate.accounting.n_missed == 2
    assert "incomplete" in [reason.code for reason in result.estimate.reasons]
    assert len(result.notes) == 2


def test_what_cannot_be_read_does_not_stop_what_can(run, examples):
    nothing = examples / "none.dat"
    names = ("iron.xdi", "particles.xdi", "no-names.txt")
    found = run(nothing, *(examples / name for name in names))
    kinds = [type(each) for each in found]
    assert kinds == [Failure, Failure, Result, Failure]
    assert "none.dat cannot be read" in found[0].text
    assert "iron.xdi: no model for Fe K; shipped: Au L3" in found[1].text
    assert "--columns energy=1,i0=2,it=3" in found[3].text


def test_one_sentence_stands_for_all_scans_it_is_about(run, examples):
    rows = "\n".join(
        line.rpartition(" ")[0]
        for line in (examples / "iron.xdi").read_text().splitlines()
        if not line.startswith("#")
    )
    spec = "\n".join(f"#S {n} ascan\n#L Energy  mu\n{rows}\n" for n in (1, 2, 3))
    (examples / "three.spec").write_text(spec)
    (failure,) = run(examples / "three.spec", element="Fe", edge="K")
    assert failure.text.endswith("(3 scans)")


def test_many_scans_of_a_file_are_one_result_each_in_order(run, examples):
    (scan,) = read_scans(examples / "particles.xdi")
    mu = np.log(scan.channels["i0"] / scan.channels["it"])
    frames = examples / "frames.npz"
    np.savez(frames, energy=scan.energy_ev, mu=np.stack([mu] * 70))
    results = run(frames, foil=examples / "foil.dat")
    assert [result.estimate.run.sweep for result in results] == list(range(70))
    assert len({result.estimate.id for result in results}) == 70
    assert results[3].estimate.sample == "frames [3]"
    values = [result.estimate.descriptors["cn1"].value for result in results]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_a_scan_that_is_no_spectrum_is_rejected_with_its_reason(run, examples):
    lines = (examples / "particles.xdi").read_text().splitlines()
    flat = [line if line[0] == "#" else line.split()[0] + " 5 5 5" for line in lines]
    (examples / "flat.xdi").write_text("\n".join(flat))
    (result,) = run(examples / "flat.xdi", foil=examples / "foil.dat")
    assert result.estimate.verdict == "rejected"
    assert result.estimate.reasons[0].code == "no_step"


def test_a_signal_that_is_not_there_is_named(run, examples):
    (failure,) = run(
        examples / "no-names.txt",
        columns={"energy": "1", "i0": "2"},
        element="Pt",
        edge="L3",
    )
    assert "no absorption (mu, or i0 with it or if)" in failure.text


def test_a_wrong_foil_model_or_edge_stops_everything(run, examples):
    particles = examples / "particles.xdi"
    with pytest.raises(FoilError, match="name a foil of Pt L3"):
        run(particles, foil=examples / "iron.xdi")
    with pytest.raises(FoilError, match="no-names"):
        run(particles, foil=examples / "no-names.txt")
    with pytest.raises(UsageError, match="known are K, L1, L2 and L3"):
        run(particles, edge="M4")


def test_a_named_model_reads_what_the_header_calls_otherwise(run, examples):
    (result,) = run(examples / "iron.xdi", model="pt-l3-xanes")
    assert result.estimate.verdict == "rejected"
    assert result.estimate.reasons[0].code == "wrong_edge"


def test_a_named_model_says_the_edge_where_the_file_does_not(run, examples):
    given = {"energy": "1", "i0": "2", "it": "3"}
    (result,) = run(examples / "no-names.txt", model="pt-l3-xanes", columns=given)
    assert result.estimate.element == "Pt"
    assert not any("guessed" in note for note in result.notes)


def test_gzipped_files_are_analyzed(run, examples):
    packed = examples / "particles.xdi.gz"
    packed.write_bytes(gzip.compress((examples / "particles.xdi").read_bytes()))
    plain, gzipped = run(examples / "particles.xdi", packed)
    assert values(plain) == values(gzipped)


def test_the_hash_of_the_settings_is_over_their_values():
    far, short = settings_for("transmission", True), settings_for("transmission", False)
    assert far.profile_sha256 != short.profile_sha256
    assert far == settings_for("transmission", True)
    assert dataclasses.replace(far, mode="fluorescence").profile_sha256 != (
        settings_for("fluorescence", True).profile_sha256
    )


MEASURED = Path(__file__).parents[4] / "shared" / "xas-data"


@pytest.mark.measured
@pytest.mark.skipif(
    not MEASURED.is_dir(), reason=f"no measured spectra beside the checkout: {MEASURED}"
)
def test_every_measured_pt_scan_ends_in_an_estimate(run):
    files = [
        MEASURED / "raw" / "nanoparticles" / "PtData.prj",
        *sorted((MEASURED / "raw" / "compounds").glob("Pt-*.xdi")),
        MEASURED / "raw" / "foils" / "pt_metal_rt.xdi",
    ]
    foil = MEASURED / "spectra" / "BMM_Pt-L3-PtRu.csv#mu_ref"
    results = run(*files, foil=foil)
    assert all(isinstance(result, Result) for result in results)
    verdicts = [result.estimate.verdict for result in results]
    assert len(verdicts) == 10
    # Six of particles, three of compounds, a foil of another laboratory.
    assert "rejected" not in verdicts
    assert set(verdicts[6:9]) == {"outside"}
    # Steps of two laboratories differ by up to half a percent, each worth 2.2 in cn1.
    assert values(results[9])["cn1"] == pytest.approx(12.0, abs=1.0)


@pytest.mark.measured
@pytest.mark.skipif(
    not MEASURED.is_dir(), reason=f"no measured spectra beside the checkout: {MEASURED}"
)
def test_every_measured_file_ends_in_estimates_or_sentences(run):
    folders = ("raw", "spectra", "quality", "operando")
    files = [p for f in folders for p in (MEASURED / f).rglob("*") if p.is_file()]
    found = run(*files)
    answered = {each.file for each in found}
    assert answered == set(files)
    failures = [each for each in found if isinstance(each, Failure)]
    assert all(len(failure.text.splitlines()) == 1 for failure in failures)
    without_model = [f for f in failures if "no model for" in f.text]
    assert len(without_model) > 150
