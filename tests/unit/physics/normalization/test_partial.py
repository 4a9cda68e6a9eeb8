"""The edge step of unfinished scans: right within what it says of itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.normalization.partial import partial_step
from xasnn_stream.physics.ragged import stack
from xasnn_stream.physics.settings import Normalization

DATA = Path(__file__).parents[5] / "shared" / "xas-data"
ENDS = (15, 17, 20, 25, 30, 35, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500)
QUIET = 3e-4
"""Noise of the measured spectra, in edge steps."""


def partials(energy, mu, ends):
    """Return steps, deviations in their standard deviations and larch's error."""
    grid, valid = stack([energy])
    full = normalize(grid, torch.from_numpy(mu)[None], valid, Normalization())
    step, e0 = full.edge_step.item(), full.e0.item()
    kept = [energy <= e0 + end for end in ends if end < energy[-1] - e0]
    grid, valid = stack([energy[keep] for keep in kept])
    batch, _ = stack([mu[keep] for keep in kept])
    at = torch.full((len(kept),), e0).double()
    sigma = torch.full_like(at, QUIET * abs(step))
    found, std = partial_step(grid, batch, valid, Normalization(), at, sigma)
    plain = normalize(grid, batch, valid, Normalization(), at).edge_step
    return ((found - step) / std).numpy(), (found / step - 1), (plain / step - 1)


def spectra(*categories):
    for entry in json.loads((DATA / "manifest.json").read_text()):
        file = entry.get("file") or ""
        if entry["category"] in categories and file.startswith("spectra/"):
            yield np.loadtxt(DATA / file, delimiter=",", usecols=(0, 1), unpack=True)


@pytest.mark.measured
def test_steps_of_foils_and_nanoparticles_cut_anywhere_are_within_their_error():
    found = [
        partials(energy, mu, ENDS) for energy, mu in spectra("foils", "nanoparticles")
    ]
    assert len(found) > 30
    deviation = np.abs(np.concatenate([z for z, _, _ in found]))
    ours, plain = (
        np.sqrt(np.mean(np.concatenate([one[column] for one in found]) ** 2))
        for column in (1, 2)
    )
    assert np.mean(deviation < 2) >= 0.9
    assert 0.2 <= np.median(deviation) <= 1.5
    assert ours < 0.5 * plain


@pytest.mark.measured
def test_what_was_learned_of_metals_holds_for_compounds():
    found = [partials(energy, mu, ENDS)[0] for energy, mu in spectra("compounds")]
    deviation = np.abs(np.concatenate(found))
    assert len(found) >= 15
    assert np.mean(deviation < 2) >= 0.85
    assert 0.2 <= np.median(deviation) <= 1.5


def scan(edge, stop, **changes):
    spectrum = edge(width=1.5, stop=stop, bend=0.0, **changes)
    energy, valid = stack([spectrum.energy])
    e0 = torch.tensor([spectrum.e0]).double()
    return energy, torch.from_numpy(spectrum.mu)[None], valid, Normalization(), e0


def test_the_more_has_arrived_the_surer_the_step(edge):
    sigma = torch.tensor([1e-3]).double()
    stds = [
        partial_step(*scan(edge, stop), sigma)[1].item() for stop in (12, 25, 60, 300)
    ]
    assert stds == sorted(stds, reverse=True)
    assert stds[0] > 0.1
    assert stds[-1] < 0.04


def test_noise_is_propagated_as_it_scatters(edge):
    energy, mu, valid, settings, e0 = scan(edge, 40.0, step=1.0)
    draws, level = 300, 0.1
    rng = np.random.default_rng(0)
    noisy = mu + torch.from_numpy(level * rng.normal(size=(draws, mu.shape[1])))
    rows = (energy.expand(draws, -1), noisy, valid.expand(draws, -1))
    sigma = torch.full((draws,), level).double()
    found, std = partial_step(*rows, settings, e0.expand(draws), sigma)
    _, quiet = partial_step(*rows, settings, e0.expand(draws), 0 * sigma)
    noise = (std.square() - quiet.square()).mean().sqrt()
    # The weights follow the noise and the step, which the prior's share forgets: 20 %.
    assert noise.item() == pytest.approx(found.std().item(), rel=0.2)


def test_gain_and_offset_of_the_detector_scale_and_do_nothing(edge):
    energy, mu, *rest = scan(edge, 60.0)
    sigma = torch.tensor([1e-3]).double()
    step, std = partial_step(energy, mu, *rest, sigma)
    changed, changed_std = partial_step(energy, -40 * mu + 3, *rest, 40 * sigma)
    torch.testing.assert_close(changed, -40 * step)
    torch.testing.assert_close(changed_std, 40 * std)


def test_before_the_edge_nothing_is_known(edge):
    sigma = torch.tensor([1e-3]).double()
    step, std = partial_step(*scan(edge, 2.0), sigma)
    assert step.isnan().all()
    assert std.isnan().all()


def test_rows_of_a_batch_do_not_disturb_each_other(edge):
    stops = (20.0, 400.0, 2.0)
    parts = [edge(width=1.5, stop=stop) for stop in stops]
    energy, valid = stack([part.energy for part in parts])
    mu, _ = stack([part.mu for part in parts])
    e0, sigma = torch.full((3,), parts[0].e0).double(), torch.full((3,), 1e-3).double()
    together = partial_step(energy, mu, valid, Normalization(), e0, sigma)
    for row, part in enumerate(parts):
        points = len(part.energy)
        alone = partial_step(
            energy[row : row + 1, :points],
            mu[row : row + 1, :points],
            valid[row : row + 1, :points],
            Normalization(),
            e0[:1],
            sigma[:1],
        )
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[row], theirs[0], equal_nan=True)
