"""Scores tell good denoisers from bad ones, and the documented table is what they are."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.cli.main import main
from xasnn_stream.errors import FileError, UsageError
from xasnn_stream.physics.denoise.denoiser import Denoised
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.scorecard.bare import bare_edge, score_bare
from xasnn_stream.scorecard.card import Request, document, scores, table_row
from xasnn_stream.scorecard.known import read_known, score_known
from xasnn_stream.scorecard.measures import whiteness
from xasnn_stream.scorecard.repeats import read_repeats, score_repeats

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "xas-data"
LIBRARY = ROOT / "models" / "libraries" / "Pt_L3.npz"
PAGE = ROOT / "docs" / "denoising.md"
NOISE = 0.01


def flattening(energy, mu, valid, noise, e0):
    """A bad denoiser: the mean of eleven points."""
    padded = torch.nn.functional.pad(mu[:, None], (5, 5), mode="replicate")
    return Denoised(torch.nn.functional.avg_pool1d(padded, 11, 1)[:, 0], None)


def inventing(energy, mu, valid, noise, e0):
    """A denoiser that sees atoms everywhere."""
    k = ((energy - e0[0]).clamp(min=0) / 3.81).sqrt()
    return Denoised(mu + 0.02 * torch.sin(5 * k), None)


@pytest.fixture
def repeats(tmp_path):
    """Ten scans of platinum whose axis, step and background drift, and an aborted one."""
    known = read_known(None, LIBRARY)[0]
    generator = np.random.default_rng(7)
    energy = known.energy.numpy()
    for scan in range(10):
        at = energy - generator.normal(0, 0.3)
        mu = np.interp(at, energy, known.mu.numpy()) * generator.normal(3, 0.02)
        mu = mu + 1e-4 * scan * (energy - known.e0) / 100
        mu = mu + generator.normal(0, 3 * NOISE, len(mu))
        rows = len(mu) if scan else 60
        lines = ["# Element.symbol: Pt", "# Element.edge: L3", "# energy mu"]
        lines += [f"{e:.4f} {m:.6f}" for e, m in zip(energy[:rows], mu, strict=False)]
        (tmp_path / f"scan{scan}.dat").write_text("\n".join(lines))
    return tmp_path


def test_drifts_are_not_taken_for_noise_and_aborted_scans_are_left_out(repeats):
    score = score_repeats(read_repeats(repeats), "none", DENOISERS["none"])
    assert score.spectra == 9
    assert score.rmse == pytest.approx(NOISE, rel=0.1)
    assert score.gain_db == pytest.approx(0.0, abs=1e-9)


def test_a_scan_is_not_in_its_own_target(repeats):
    found = read_repeats(repeats)
    noise = torch.zeros_like(found.norm)
    # Below the knots of the shift, which a fit follows more.
    noise[3, 2:8] = 1.0
    target = found.aligned.of_noise(noise)
    assert target[3, 2:8].abs().max() < 0.3
    assert target[4, 2:8].mean() == pytest.approx(1 / 8, rel=0.5)


@pytest.mark.parametrize("name", ["savitzky_golay", "whittaker"])
def test_the_gain_on_repeats_is_that_from_their_truth(tmp_path, name):
    known = read_known(None, LIBRARY)[0]
    generator = np.random.default_rng(3)
    energy, truth = known.energy.numpy(), known.mu.numpy()
    true = []
    for scan in range(30):
        true.append(truth * generator.normal(1, 0.01) + generator.normal(0, 0.003))
        mu = true[-1] + generator.normal(0, NOISE, len(truth))
        lines = ["# Element.symbol: Pt", "# Element.edge: L3", "# energy mu"]
        lines += [f"{e:.4f} {m:.8f}" for e, m in zip(energy, mu, strict=True)]
        (tmp_path / f"scan{scan:02}.dat").write_text("\n".join(lines))
    found = read_repeats(tmp_path)
    score = score_repeats(found, name, DENOISERS[name])
    e0 = find_e0(found.energy, found.mu, found.valid)
    noise = local_noise(found.energy, found.mu, found.valid, e0)
    smooth = DENOISERS[name](found.energy, found.mu, found.valid, noise, e0).mu
    after = ((smooth - torch.tensor(np.array(true))) / found.edge_step).square()
    before = ((found.mu - torch.tensor(np.array(true))) / found.edge_step).square()
    gain = 10 * math.log10(before.mean() / after.mean())
    # What a fit follows of the noise without a denoiser's leave would take 0.3 dB.
    assert score.gain_db == pytest.approx(gain, abs=0.15)
    assert score.rmse == pytest.approx(float(after.mean().sqrt()), rel=0.02)


def test_repeats_show_gain_and_bias(repeats):
    found = read_repeats(repeats)
    good = score_repeats(found, "whittaker", DENOISERS["whittaker"])
    bad = score_repeats(found, "flat", flattening)
    assert good.gain_db > 5
    assert abs(good.white_line[0]) < 3 * good.white_line[1] + 0.05
    assert bad.white_line[0] < -1
    assert bad.gain_xanes_db < good.gain_xanes_db


def test_too_few_repeats_are_refused_with_what_is_needed(tmp_path):
    with pytest.raises(FileError, match=r"0 scans that can be compared.* 4 or more"):
        read_repeats(tmp_path)


def test_known_spectra_show_gain_and_bias():
    known = read_known(None, LIBRARY)
    untouched = score_known(known, NOISE, 20, "none", DENOISERS["none"])
    good = score_known(known, NOISE, 20, "whittaker", DENOISERS["whittaker"])
    bad = score_known(known, NOISE, 20, "flat", flattening)
    assert untouched.rmse == pytest.approx(NOISE, rel=0.05)
    assert good.gain_db > 6
    # Twenty copies know a bias to 0.05; the computed spectra have kinks no monochromator
    # would leave.
    assert good.white_line[0] < 0.2
    assert bad.white_line[0] > 1
    assert abs(good.edge_step[0]) < 1e-3


def test_what_a_filter_takes_away_is_white_only_if_it_is_noise():
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(400, 300, generator=generator, dtype=torch.float64)
    correlation, white = whiteness(noise, torch.ones_like(noise))
    assert abs(correlation) < 0.02
    assert white == pytest.approx(0.99, abs=0.02)
    wave = noise + torch.sin(torch.arange(300) / 5.0)
    correlation, white = whiteness(wave, torch.ones_like(wave))
    assert correlation > 0.25
    assert white == 0.0


@pytest.mark.parametrize("name", [name for name in DENOISERS if name != "none"])
def test_no_shipped_denoiser_invents_fine_structure(name):
    found = score_bare(NOISE, 60, name, DENOISERS[name])
    assert found.chi_k < 1
    assert found.chi_r < 1
    assert found.bare < 0.1


def test_what_invents_fine_structure_is_found_out():
    found = score_bare(NOISE, 20, "inventing", inventing)
    assert found.chi_r > 3
    assert found.bare > 3


def test_the_bare_edge_has_no_fine_structure():
    energy, mu = bare_edge()
    assert (energy.diff() > 0).all()
    assert (mu.diff()[energy[1:] > 9050].abs() < 2e-3).all()


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"no denoiser magic; .* whittaker"):
        next(scores(Request(methods=("magic",))))


def test_data_that_are_not_there_are_a_wrong_usage(tmp_path, capsys):
    assert main(["scorecard", "--data", str(tmp_path)]) == 2
    assert "is not there; --data" in capsys.readouterr().err


def test_rows_of_json_are_plain_and_finite():
    rows = scores(Request(methods=("none",), copies=4))
    documents = [json.loads(json.dumps(document(row))) for row in rows]
    assert [each["kind"] for each in documents] == ["score"] * 3 + ["hallucination"]
    assert documents[0]["correlation"] is None
    assert documents[0]["white_line"].keys() == {"value", "error"}
    assert not any(
        isinstance(value, float) and math.isnan(value)
        for value in documents[0].values()
    )


@pytest.mark.measured
@pytest.mark.parametrize("name", ["savitzky_golay", "whittaker"])
@pytest.mark.parametrize("folder", ["Cr2O3", "Hg_control"])
def test_the_documented_rows_of_repeats_are_what_the_command_prints(folder, name):
    repeats = read_repeats(DATA / "spectra" / folder)
    row = table_row(score_repeats(repeats, name, DENOISERS[name]))
    assert row in PAGE.read_text()


@pytest.mark.parametrize("name", ["savitzky_golay", "wavelet"])
def test_the_documented_rows_of_bare_edges_are_what_the_command_prints(name):
    row = table_row(score_bare(NOISE, 200, name, DENOISERS[name]))
    assert row in PAGE.read_text()
