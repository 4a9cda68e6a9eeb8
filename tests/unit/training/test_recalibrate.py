import dataclasses
import json
import math
import shutil

import pytest
import torch
import yaml

from xasnn_stream.engine.model import load_model
from xasnn_stream.errors import UsageError
from xasnn_stream.estimate import Descriptor
from xasnn_stream.library import read_library
from xasnn_stream.training import samples
from xasnn_stream.training.new_version import write_version
from xasnn_stream.training.recalibrate import (
    Known,
    effective_number,
    joined,
    known_from_estimates,
    known_from_library,
    recalibrate,
    scaled_quantiles,
    supports,
)
from xasnn_stream.training.split_coverage import coverage_after_recalibration
from xasnn_stream.uncertainty.decomposition import Parts
from xasnn_stream.uncertainty.metrics import coverage

LEVELS = (0.68, 0.9, 0.95)


def known(model, wrong, particles, draws, seed=0, shared=0.0):
    """Make estimates whose errors are `wrong` times what gives nominal coverage.

    A share `shared` of the variance is common to all draws of a particle.
    """
    rng = torch.Generator().manual_seed(seed)
    n, outputs = particles * draws, len(model.descriptors)
    own, common = (
        torch.randn(count, outputs, generator=rng, dtype=torch.float64)
        for count in (n, particles)
    )
    common = common.repeat_interleave(draws, 0)
    error = math.sqrt(1 - shared) * own + math.sqrt(shared) * common
    std = torch.full((n, outputs), 0.4, dtype=torch.float64)
    nothing = torch.zeros_like(std)
    parts = Parts(value=nothing + 7, model=std, noise=nothing, ambiguity=nothing)
    # What a normal needs at 90 %, whatever the model's own quantile.
    right = std * model.quantiles[0.9] / 1.64485
    truth = parts.value + wrong * right * error
    owners = tuple(f"p{k // draws}" for k in range(n))
    return Known(parts, truth, owners)


def covered(model, found, fresh):
    """Return the coverage of fresh samples at each level after recalibration."""
    scaled = scaled_quantiles(model.quantiles, model.descriptors, found)
    new = dataclasses.replace(model, quantiles=scaled)
    return {
        level: coverage(fresh.truth, *new.interval(fresh.parts, level))
        for level in scaled
    }


@pytest.mark.parametrize("wrong", [0.5, 1.0, 3.0])
def test_intervals_hold_on_fresh_samples_however_wrong_they_were(model, wrong):
    found = recalibrate(model, known(model, wrong, particles=50, draws=40))
    for level, values in covered(model, found, known(model, wrong, 50, 400, 1)).items():
        # The quantile of 2000 draws: a standard error of 1 point at 68 %.
        assert values.tolist() == pytest.approx([level] * len(values), abs=0.035)
    factors = found.factors[0.9].values()
    assert list(factors) == pytest.approx([wrong] * len(factors), rel=0.1)


def test_a_hundred_spectra_of_ten_particles_hold_on_average_over_such_hundreds(model):
    hits = {level: [] for level in LEVELS}
    fresh = known(model, 2.0, particles=400, draws=10, seed=99, shared=0.5)
    for seed in range(60):
        few = known(model, 2.0, particles=10, draws=10, seed=seed, shared=0.5)
        for level, values in covered(model, recalibrate(model, few), fresh).items():
            hits[level].append(values.mean())
    for level in LEVELS:
        # Conformal errs on the wide side, by less than the demand on recalibration.
        mean = torch.stack(hits[level]).mean().item()
        assert level - 0.02 < mean < level + 0.05


def test_levels_that_few_samples_cannot_support_have_the_factor_of_the_highest(model):
    found = recalibrate(model, known(model, 2.0, particles=10, draws=1))
    assert set(found.highest.values()) == {0.9}
    assert found.n == found.n_samples == 10
    # Scores at 95 % are those at 90 % over a wider interval; only the factor is shared.
    assert found.factors[0.95] == found.factors[0.9]
    four = recalibrate(model, known(model, 2.0, particles=4, draws=1))
    assert set(four.highest.values()) == {0.68}


def test_two_samples_are_refused_with_what_is_needed(model):
    with pytest.raises(
        UsageError, match=r"2 known samples .* at least 3 .* 9 for the 90"
    ):
        recalibrate(model, known(model, 1.0, particles=2, draws=50))


def test_what_is_not_known_keeps_its_interval(model):
    only = known(model, 2.0, particles=12, draws=1)
    only.truth[:, 1:] = math.nan
    found = recalibrate(model, only)
    first, *others = model.descriptors
    assert list(found.highest) == [first]
    assert found.known == {first: 12} | dict.fromkeys(others, 0)
    for level in LEVELS:
        assert found.factors[level][first] > 1
        assert {found.factors[level][name] for name in others} == {1.0}


def test_a_higher_level_is_never_narrower(model):
    found = recalibrate(model, known(model, 2.0, particles=3, draws=1, seed=4))
    scaled = scaled_quantiles(model.quantiles, model.descriptors, found)
    assert (scaled[0.9] >= scaled[0.68]).all()
    assert (scaled[0.95] >= scaled[0.9]).all()


def test_a_conformal_quantile_needs_as_many_samples_as_its_level():
    assert [n for n in (18, 19) if supports(n, 0.95)] == [19]
    assert [n for n in (8, 9) if supports(n, 0.9)] == [9]
    assert [n for n in (2, 3) if supports(n, 0.68)] == [3]


def test_draws_that_agree_within_a_sample_are_worth_one():
    sample = torch.arange(10).repeat_interleave(10)
    agreeing = torch.rand(10, dtype=torch.float64).repeat_interleave(10)
    assert effective_number(agreeing, sample) == pytest.approx(10)
    rng = torch.Generator().manual_seed(2)
    strangers = torch.rand(100, generator=rng, dtype=torch.float64)
    assert effective_number(strangers, sample) > 60
    assert effective_number(strangers[:10], torch.arange(10)) == 10


def test_spectra_of_a_library_are_shared_by_its_particles(model, recipe, library):
    found = known_from_library(model, recipe, library, 100)
    counts = {found.owners.count(name) for name in found.owners}
    assert counts == {100 // len(set(found.owners))}
    assert len(found.owners) <= 100
    assert "bulk" not in found.owners
    assert "sphO_38" not in found.owners, "to38 under another name"
    few = known_from_library(model, recipe, library, 5)
    assert len(set(few.owners)) == len(few.owners) == 5
    with pytest.raises(UsageError, match="2 known samples"):
        known_from_library(model, recipe, library, 2)


def test_delivered_estimates_are_samples_too(model):
    name = model.descriptors[0]
    delivered = dict.fromkeys(
        model.descriptors, Descriptor(9.0, 0.5, 0.3, 0.0, 0.4, (8.0, 10.0), 0.9)
    )
    found = known_from_estimates(
        model, [delivered] * 3, [{name: 12}] * 3, ("a", "b", "a")
    )
    assert found.parts.std[0, 0].item() == pytest.approx(0.5)
    assert found.truth[:, 0].tolist() == [12, 12, 12]
    assert found.truth[:, 1:].isnan().all()
    both = joined([found, found])
    assert both.owners == ("a", "b", "a") * 2
    assert both.parts.value.shape == (6, len(model.descriptors))


@pytest.fixture
def folder(tmp_path, recipe):
    """A copy of the shipped model beside its library."""
    shipped = recipe.library.parents[1] / "pt-l3-xanes"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "libraries").symlink_to(recipe.library.parent)
    return shutil.copytree(shipped, tmp_path / "models" / "pt-l3-xanes")


def test_a_new_version_is_a_model_with_other_intervals_only(model, folder, tmp_path):
    found = recalibrate(model, known(model, 2.0, particles=12, draws=3))
    output = tmp_path / "far" / "away" / "v2"
    write_version(folder, output, model, found, ["known.npz"])
    new = load_model(output)
    assert all(torch.equal(new.tensors[k], t) for k, t in model.tensors.items())
    for level, quantile in new.quantiles.items():
        factor = [found.factors[level][name] for name in model.descriptors]
        wanted = model.quantiles[level] * quantile.new_tensor(factor)
        assert (quantile >= wanted * (1 - 1e-9)).all()
    manifest = new.manifest
    assert manifest["version"] == model.manifest.get("version", 1) + 1
    assert manifest["metrics"] == []
    calibration = manifest["calibration"]
    assert calibration["samples"] == ["known.npz"]
    assert (calibration["n"], calibration["n_particles"]) == (36, 12)
    before = model.manifest["calibration"]["quantiles"]
    assert calibration["before"]["quantiles"] == before
    assert new.sha256 != model.sha256
    card = (output / "card.md").read_text()
    assert "Version 2: intervals recalibrated on 36 spectra of 12 known samples" in card
    assert card.index("Version 2") < card.index("\n## ")
    named = yaml.safe_load((output / "recipe.yaml").read_text())["library"]
    assert read_library(output / named).element == model.element


def test_a_version_of_a_version_counts_on(model, folder, tmp_path):
    found = recalibrate(model, known(model, 2.0, particles=12, draws=1))
    second = write_version(folder, tmp_path / "v2", model, found, ["a"])
    third = write_version(second, tmp_path / "v3", load_model(second), found, ["b"])
    manifest = json.loads((third / "manifest.json").read_text())
    assert manifest["version"] == 3


def test_an_output_that_exists_is_left_alone(model, folder, tmp_path):
    found = recalibrate(model, known(model, 2.0, particles=12, draws=1))
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="there exists"):
        write_version(folder, tmp_path / "there", model, found, [])
    assert list((tmp_path / "there").iterdir()) == []


def test_recalibration_is_measured_on_other_particles(
    model, recipe, library, monkeypatch
):
    monkeypatch.setattr(samples, "DRAWS", 10)
    (row,) = coverage_after_recalibration(model, recipe, library)
    assert row["known_particles"] == row["n_particles"] * 3 // 4 > 10
    quantiles = {level: 0.25 * q for level, q in model.quantiles.items()}
    narrow = dataclasses.replace(model, quantiles=quantiles)
    (again,) = coverage_after_recalibration(narrow, recipe, library)
    name = model.descriptors[0]
    assert again["before"]["coverage"]["0.9"][name] < 0.6
    # The factor makes good for any scale the intervals had.
    assert again["coverage"] == row["coverage"]
    assert again["width90"][name] == pytest.approx(row["width90"][name], abs=1e-4)
