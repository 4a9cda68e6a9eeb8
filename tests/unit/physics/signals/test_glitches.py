"""Glitches are found and explained; white lines and pre-edge peaks are left alone."""

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.signals.glitches import (
    DETECTOR,
    I0,
    INSTRUMENT,
    NONE,
    SPIKE,
    find_glitches,
)
from xasnn_stream.physics.signals.order import finite, mask, order

MEASURED = Path(__file__).parents[5] / "shared" / "xas-data"
E0 = torch.tensor([9000.0], dtype=torch.float64)
FLAWED = {"AgAu_20_80", "AgAu_50_50", "BMM_Mn_Pyrolucite"}
"""Clean but for single points of 1 to 2 % of the step, plain to the eye and found."""
ABORTED = "Cr2O3/064"


def scan() -> torch.Tensor:
    """Energies of a step scan with steps of 0.05 per angstrom above the edge."""
    k = torch.arange(3.0, 14.0, 0.05, dtype=torch.float64)
    parts = (
        torch.arange(-150.0, -30.0, 5.0),
        torch.arange(-30.0, 34.0, 0.5),
        3.81 * k**2,
    )
    return (9000 + torch.cat(parts).double()).unsqueeze(0)


def spectrum(energy: torch.Tensor, noise: float = 0.0, seed: int = 0) -> torch.Tensor:
    """A step of height 1 with two shells of fine structure."""
    x = energy - 9000
    k = (x.clamp(min=0) / 3.81).sqrt()
    damped = torch.exp(-0.015 * k**2) * (k > 1.5)
    shells = 0.3 * torch.sin(5 * k) + 0.1 * torch.sin(9.6 * k)
    fine = shells * damped / (1 + k) * (1 - torch.exp(-(((k - 1.5).clamp(min=0)) ** 2)))
    mu = 0.4 - 1e-4 * x + 0.5 + torch.atan(x / 1.5) / torch.pi + fine
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    return mu + noise * white


def everywhere(mu: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(mu, dtype=torch.bool)


def found_in(mu: torch.Tensor, energy: torch.Tensor, **evidence: torch.Tensor):
    many = energy.expand_as(mu), mu, everywhere(mu)
    return find_glitches(*many, e0=E0.expand(len(mu)), **evidence)


def at(energy: torch.Tensor, relative: float) -> int:
    return int((energy[0] - 9000 - relative).abs().argmin())


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2, 5e-2])
def test_a_spectrum_without_glitches_has_none(noise):
    energy = scan()
    mu = torch.cat([spectrum(energy, noise, seed) for seed in range(20)])
    assert found_in(mu, energy).found.sum() <= (1 if noise else 0)


@pytest.mark.parametrize("noise", [1e-3, 1e-2])
@pytest.mark.parametrize("height", [0.1, -0.1, 1.5])
def test_a_glitch_of_a_tenth_of_the_step_is_found_wherever_it_is(height, noise):
    energy = scan()
    places = range(at(energy, 45), energy.shape[1] - 2, 6)
    rows = [spectrum(energy, noise, seed) for seed in range(len(places))]
    mu = torch.cat(rows)
    mu[torch.arange(len(mu)), torch.tensor(places)] += height
    found = found_in(mu, energy).found
    share = found[torch.arange(len(mu)), torch.tensor(places)].double().mean()
    assert share > 0.93
    assert share == 1 or noise == 1e-2
    assert found.sum() - share * len(mu) <= 1


@pytest.mark.parametrize("place", [0, 1, -2, -1])
def test_the_first_and_the_last_points_may_be_glitches(place):
    energy = scan()
    mu = spectrum(energy, 1e-3)
    mu[0, place] += 0.1
    assert found_in(mu, energy).found.nonzero().tolist() == [
        [0, place % energy.shape[1]]
    ]


def test_two_and_three_points_beside_each_other_are_found():
    energy = scan()
    first = at(energy, 300)
    for length in (2, 3):
        mu = spectrum(energy, 1e-3)
        mu[0, first : first + length] += 0.1
        expected = list(range(first, first + length))
        assert found_in(mu, energy).found[0].nonzero().flatten().tolist() == expected


@pytest.mark.parametrize("width", [0.4, 1.0, 3.0])
def test_a_glitch_of_a_fast_scan_is_found_over_all_its_points(width):
    energy = torch.arange(-100.0, 500.0, 0.2).double().unsqueeze(0) + 9000
    middle = energy[:, at(energy, 250) : at(energy, 260) : 4].T
    shape = torch.exp(-4 * np.log(2) * ((energy - middle) / width) ** 2)
    mu = spectrum(energy, 1e-3) + 0.1 * shape
    found = found_in(mu, energy).found
    assert (found | (shape < 0.5)).all(1).double().mean() > 0.6
    assert (found & (shape > 0.5)).any(1).all()
    assert not (found & ((energy - middle).abs() > width + 2)).any()
    assert not found_in(spectrum(energy, 1e-3), energy).found.any()


def test_one_glitch_does_not_hide_another():
    energy = scan()
    mu = spectrum(energy, 1e-3)
    places = [at(energy, 200), at(energy, 200) + 2, at(energy, 500)]
    mu[0, places] += torch.tensor([0.8, -0.1, 0.05], dtype=torch.float64)
    assert found_in(mu, energy).found[0].nonzero().flatten().tolist() == places


@pytest.mark.parametrize("spacing", [0.1, 0.2, 0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("width", [0.6, 1.0, 2.0])
def test_white_lines_and_pre_edge_peaks_are_never_masked(width, spacing):
    relative = torch.arange(-30.0, 80.0, spacing, dtype=torch.float64)
    phases = torch.linspace(0, spacing, 5)[:-1].double().unsqueeze(-1)
    energy = (2472.0 + relative).expand(len(phases), -1)
    sigma = width / 2.3548
    e0 = torch.full((len(phases),), 2472.0, dtype=torch.float64)
    for height in (0.3, 1.0, 6.0, 10.0):
        line = torch.exp(-(((relative - 0.5 + phases) / sigma) ** 2) / 2)
        peak = torch.exp(-(((relative + 8.3 + phases) / sigma) ** 2) / 2)
        mu = 0.5 + torch.atan(relative / 0.4) / torch.pi + height * (line + 0.3 * peak)
        assert not find_glitches(energy, mu, everywhere(mu), e0=e0).found.any()


def test_a_coarse_point_near_the_edge_is_a_glitch_only_if_i0_has_one_there():
    energy = scan()
    place = at(energy, 37)
    mu = spectrum(energy, 1e-4)
    mu[0, place] += 0.3
    i0 = 1e5 * (1 - 1e-5 * (energy - 9000))
    assert not found_in(mu, energy, i0=i0).found.any()
    i0[0, place] *= 0.8
    found = found_in(mu, energy, i0=i0)
    assert found.found.nonzero().tolist() == [[0, place]]
    assert found.reason[0, place] == I0


@pytest.mark.parametrize("height", [-3.0, 2.0, 1000.0])
@pytest.mark.parametrize("relative", [-12.0, 0.5, 4.0, 25.0])
def test_a_spike_that_its_neighbours_do_not_show_is_found_at_the_edge(height, relative):
    energy = scan()
    mu = spectrum(energy, 1e-3)
    place = at(energy, relative)
    mu[0, place] += height
    found = found_in(mu, energy).found[0]
    assert found[place]
    assert found.sum() == 1


def test_a_glitch_of_i0_that_divides_out_is_none():
    energy = scan()
    i0 = torch.full_like(energy, 1e5)
    i0[0, at(energy, 300)] *= 0.5
    assert not found_in(spectrum(energy, 1e-4), energy, i0=i0).found.any()


def test_the_channels_tell_where_a_glitch_comes_from():
    energy = scan()
    place = at(energy, 300)
    clean, foil = spectrum(energy, 1e-4), spectrum(energy, 1e-4, seed=1)
    i0 = torch.full_like(energy, 1e5)

    def reason(*, of_mu: float, of_foil: float | None, with_i0: bool = True) -> int:
        mu, theirs = clean.clone(), foil.clone()
        mu[0, place] += of_mu
        evidence = {"i0": i0} if with_i0 else {}
        if of_foil is not None:
            theirs[0, place] += of_foil
            evidence["mu_reference"] = theirs
        return int(found_in(mu, energy, **evidence).reason[0, place])

    assert reason(of_mu=0.1, of_foil=None, with_i0=False) == SPIKE
    assert reason(of_mu=0.1, of_foil=0.0) == DETECTOR
    assert reason(of_mu=0.1, of_foil=0.05) == INSTRUMENT
    assert reason(of_mu=0.1, of_foil=-0.1) == DETECTOR, "a spike of It is in both"
    assert reason(of_mu=0.0, of_foil=0.1) == NONE


def test_a_row_that_leaves_its_curve_everywhere_keeps_all_points():
    energy = scan()
    mu = spectrum(energy, 1e-4)
    mu[0, at(energy, 50) :: 10] += 0.5
    found = found_in(mu, energy)
    assert found.too_many.all()
    assert not found.found.any()


def test_rows_do_not_see_each_other_and_units_do_not_matter():
    energy = scan()
    mu = torch.cat([spectrum(energy, 1e-3, seed) for seed in range(4)])
    mu[1, at(energy, 200)] += 0.1
    mu[2, at(energy, 400)] -= 0.05
    together = found_in(mu, energy).found
    for row in range(len(mu)):
        alone = found_in(1e3 * mu[row : row + 1] + 5, energy).found
        assert torch.equal(alone[0], together[row])


def test_another_edge_in_the_scan_is_no_glitch():
    energy = scan()
    mu = spectrum(energy, 1e-4)
    place = at(energy, 400)
    mu[0, place:] += 0.3
    mu[0, place] += 0.5
    edge = float(energy[0, place])
    many = energy, mu, everywhere(mu)
    assert find_glitches(*many, e0=E0).found.any()
    assert not find_glitches(*many, e0=E0, others=[edge]).found.any()


def test_short_scans_are_not_searched():
    energy = scan()[:, :12]
    assert not found_in(torch.randn_like(energy), energy).found.any()


@cache
def inventory() -> list[dict[str, str]]:
    entries = json.loads((MEASURED / "manifest.json").read_text())
    clean = {"foils", "compounds", "nanoparticles", "alloys", "repeats"}
    return [
        entry
        for entry in entries
        if str(entry.get("file")).startswith("spectra")
        and entry["category"] in clean
        and not entry["id"].startswith("Yb_iron")
    ]


def measured(entry: dict[str, str]) -> tuple[torch.Tensor, ...]:
    """Energy, μ, valid, e0 of a measured scan, sorted; e0 near the tabulated edge."""
    raw = (MEASURED / entry["file"]).read_bytes()
    text = (gzip.decompress(raw) if entry["file"].endswith("gz") else raw).decode()
    table = torch.from_numpy(np.loadtxt(text.splitlines(), delimiter=",", ndmin=2))
    energy, mu = table[None, :, 0], table[None, :, 1]
    valid, energy, mu = mask(
        finite(energy, everywhere(mu), mu), everywhere(mu), energy, mu
    )
    ordered = order(energy, valid, mu)
    energy, mu, valid = ordered.energy, ordered.curves[0], ordered.valid
    tabulated = edge_energy_ev(entry["element"], entry["edge"])
    around = torch.tensor([[tabulated - 25], [tabulated + 25]], dtype=torch.float64)
    return energy, mu, valid, find_e0(energy, mu, valid, tuple(around))


@pytest.mark.measured
def test_clean_measured_spectra_keep_all_their_points():
    masked = {}
    for entry in inventory():
        energy, mu, valid, e0 = measured(entry)
        found = find_glitches(energy, mu, valid, e0=e0)
        if found.found.any():
            masked[entry["id"]] = int(found.found.sum())
    assert len(inventory()) > 150
    assert set(masked) <= FLAWED | {ABORTED}
    assert max(masked.values()) == 1


@pytest.mark.measured
def test_the_known_glitches_of_a_measured_zinc_scan_are_found():
    entries = json.loads((MEASURED / "manifest.json").read_text())
    entry = next(e for e in entries if e["id"] == "ORP5")
    energy, mu, valid, e0 = measured(entry)
    i0 = torch.from_numpy(
        np.loadtxt(MEASURED / entry["file"], delimiter=",")[None, :, 2]
    )
    found = find_glitches(energy, mu, valid, i0=i0, e0=e0).found
    relative = (energy - e0)[found].round().tolist()
    assert {735.0, 740.0} <= set(relative)
    assert min(relative) > 600, "nothing else of the scan is masked"
