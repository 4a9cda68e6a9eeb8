"""Predicted over observed noise, from μ to χ(k): the figures of docs/noise.md.

Run by hand on the folder of measured spectra; 1000 draws give a ratio to 2 %:

    python -m tests.bench.noise ../shared/xas-data [--draws 1000]
"""

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.noise.chi_propagation import propagate_chi
from xasnn_stream.physics.noise.counting import counted, transmission
from xasnn_stream.physics.noise.points import local_noise
from xasnn_stream.physics.noise.propagation import propagate_normalized
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import Normalized, normalize
from xasnn_stream.physics.settings import Background, Normalization

FOILS = ("Pt_L3_13IDC2001", "Cu_K_13IDE2016", "Fe_K_13BM2002", "Au_L3_13IDE2016")
LEVELS = (0.001, 0.01, 0.03)
SETTINGS, BACKGROUND = Normalization(), Background()
CHI_RANGE = (2.0, 12.0)
REPEATS = (
    "Cr2O3",
    "Hg_control",
    "As2O3_rt",
    "bromoadamantane_ref",
    "bromoadamantane",
    "Ni_K_13IDC2001",
    "W_L3",
    "Cu_K_Balder",
    "Fe_K_Balder",
    "V_K_Balder",
)
FAR_EV = 60.0
"""Above e0, where a shift of the axis no longer looks like noise."""

Ratios = dict[str, float]


def read(path: Path) -> dict[str, Tensor]:
    """Return the columns of a measured spectrum, ascending, finite, no energy twice."""
    path = path if path.is_file() else path.with_name(path.name + ".gz")
    table = np.genfromtxt(path, delimiter=",")
    text = (
        gzip.decompress(path.read_bytes())
        if path.suffix == ".gz"
        else path.read_bytes()
    )
    named = next(line for line in text.decode().splitlines() if "columns:" in line)
    names = named.split(":", 1)[1].split()
    table = table[np.isfinite(table[:, 0])]
    table = table[np.argsort(table[:, 0], kind="stable")]
    table = table[np.isfinite(table[:, 1])]
    table = table[np.diff(table[:, 0], prepend=-np.inf) > 1e-3]
    return dict(zip(names, torch.from_numpy(table.T.copy()), strict=True))


@dataclass(frozen=True)
class Batch:
    """Draws of one spectrum on its grid, or repeats: μ and what else is known."""

    energy: Tensor
    mu: Tensor
    e0: Tensor | None

    @property
    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        return (
            self.energy.expand(self.mu.shape),
            self.mu,
            torch.ones_like(self.mu, dtype=torch.bool),
        )

    def normalized(self) -> Normalized:
        e0 = find_e0(*self.rows) if self.e0 is None else self.e0
        return normalize(*self.rows, SETTINGS, e0)


def ratio(predicted: Tensor, values: Tensor) -> float:
    """Return the rms of predicted over the rms of observed standard deviations.

    Both `draws` or `draws x points`; a prediction may be of each draw or one for all.
    """
    observed = values.var(0).mean()
    return (predicted.square().mean() / observed).sqrt().item()


def ratios(batch: Batch, sigma: Tensor) -> Ratios:
    """Return predicted over observed of what follows from μ with noise `sigma`."""
    result = batch.normalized()
    noise = propagate_normalized(*batch.rows, sigma, result, SETTINGS)
    sizes = result.e0, result.edge_step, BACKGROUND
    removed = autobk(batch.energy, batch.mu, None, *sizes)
    of_chi = propagate_chi(
        batch.energy, batch.mu, None, sigma, *sizes, step_per_mu=result.edge_step_per_mu
    )
    within = (removed.k > CHI_RANGE[0]) & (removed.k < CHI_RANGE[1])
    within &= removed.reached.all(0)
    return {
        "step": ratio(noise.step, result.edge_step),
        "norm": ratio(noise.norm, result.norm),
        "flat": ratio(noise.flat, result.flat),
        "chi": ratio(of_chi.std[:, within], removed.chi[:, within]),
    }


def of_draws(batch: Batch, sigma: Tensor, e0: Tensor) -> Ratios:
    """Return ratios with the true noise, and (`*`) with that read from each draw."""
    found = local_noise(*batch.rows, e0)
    by_reading = {f"{key}*": value for key, value in ratios(batch, found).items()}
    return ratios(batch, sigma) | {"mu*": ratio(found, batch.mu)} | by_reading


def gaussian(path: Path, level: float, draws: int, *, free: bool) -> Ratios:
    """White noise of `level` edge steps on a measured foil."""
    columns = read(path)
    energy, mu = columns["energy"], columns["mu"].unsqueeze(0)
    clean = Batch(energy, mu, None).normalized()
    sigma = level * clean.edge_step.abs()
    generator = torch.Generator().manual_seed(len(energy))
    noise = torch.randn(draws, len(energy), dtype=mu.dtype, generator=generator)
    e0 = clean.e0.expand(draws)
    batch = Batch(energy, mu + sigma * noise, None if free else e0)
    return of_draws(batch, torch.full_like(batch.mu, sigma.item()), e0)


def poisson(path: Path, level: float, draws: int) -> Ratios:
    """Counts in the foil's own chambers, so many that μ's noise is `level` steps."""
    columns = read(path)
    energy, mu = columns["energy"], columns["mu"].unsqueeze(0)
    clean = Batch(energy, mu, None).normalized()
    wanted = (level * clean.edge_step).square()
    inverse = 1 / columns["i0"] + 1 / columns["it"]
    per_unit = (inverse.mean() / wanted).item()
    generator = torch.Generator().manual_seed(len(energy))

    def channel(name: str) -> Tensor:
        mean = (columns[name] * per_unit).expand(draws, -1)
        return torch.poisson(mean, generator=generator) / per_unit

    of = transmission(*(counted(channel(name), per_unit) for name in ("i0", "it")))
    e0 = clean.e0.expand(draws)
    batch = Batch(energy, of.value, e0)
    return {"mu": ratio(of.std, of.value)} | of_draws(batch, of.std, e0)


def repeats(data: Path, name: str) -> Ratios:
    """Noise read from each scan over the scatter between scans of a set.

    Scatter is that of points about a cubic trend far behind the edge; `white` has a
    change of size and a shift of the energy axis taken off as well. `lag` is the
    correlation of what is left of neighbouring points, which white noise has not.
    """
    entries = json.loads((data / "manifest.json").read_text())
    sets = json.loads((data / "reference" / "repeat_sets.json").read_text())["sets"]
    files = [
        data / entry["file"]
        for entry in entries
        if entry.get("set") == name and entry["id"] not in sets[name]["bad"]
    ]
    scans = [read(path) for path in files]
    energy = scans[0]["energy"]
    mean = torch.stack([scan["mu"] for scan in scans]).mean(0)
    slope = torch.gradient(mean, spacing=(energy,))[0]
    # Where an encoder stopped a little off, the slope brings μ to the common energy.
    mu = torch.stack([scan["mu"] - slope * (scan["energy"] - energy) for scan in scans])
    mean = mu.mean(0)
    clean = Batch(energy, mean.unsqueeze(0), None).normalized()
    batch = Batch(energy, mu, clean.e0.expand(len(mu)))
    sigma = local_noise(*batch.rows, clean.e0.expand(len(mu)))
    far = energy > clean.e0 + FAR_EV
    u = (energy - clean.e0) / 300
    trend = [u**power for power in range(4)]
    plain, _ = scatter(mu - mean, sigma, trend, far)
    white, lag = scatter(mu - mean, sigma, [*trend, mean, slope], far)
    result = batch.normalized()
    noise = propagate_normalized(*batch.rows, sigma, result, SETTINGS)
    return {
        "scans": len(mu),
        "noise%": 100
        * (sigma[:, far].square().mean().sqrt() / clean.edge_step.abs()).item(),
        "mu": plain,
        "white": white,
        "lag": lag,
        "step": ratio(noise.step, result.edge_step),
    }


def scatter(
    apart: Tensor, sigma: Tensor, trends: list[Tensor], where: Tensor
) -> tuple[float, float]:
    """Return predicted over observed scatter without trends, and its correlation."""
    weight = 1 / sigma.square().mean(0).sqrt()[where]
    basis = torch.stack(trends, -1)[where] * weight.unsqueeze(-1)
    left = (apart[:, where] * weight).unsqueeze(-1)
    left = (
        left - basis @ torch.linalg.lstsq(basis.expand(len(left), -1, -1), left)[0]
    )[..., 0]
    freedom = (len(left) - 1) * (left.shape[1] - basis.shape[1])
    predicted = (sigma[:, where] * weight).square().mean()
    size = left.square()
    lag = (left[:, 1:] * left[:, :-1]).mean() / size.mean()
    return (predicted / (size.sum() / freedom)).sqrt().item(), lag.item()


def cost(path: Path) -> Iterator[tuple[str, Ratios]]:
    """Yield microseconds per spectrum of a batch of 256, the best of five, one thread."""
    torch.set_num_threads(1)
    columns = read(path)
    energy, mu = columns["energy"], columns["mu"].expand(256, -1).contiguous()
    sigma = torch.full_like(mu, 0.01)
    batch = Batch(energy, mu, None)
    result = batch.normalized()
    axis, _, valid = batch.rows
    sizes = result.e0, result.edge_step, BACKGROUND
    work: dict[str, Callable[[], object]] = {
        "local_noise": lambda: local_noise(axis, mu, valid, result.e0),
        "propagate_normalized, common grid": lambda: propagate_normalized(
            energy, mu, None, sigma, result, SETTINGS
        ),
        "propagate_normalized, ragged": lambda: propagate_normalized(
            axis, mu, valid, sigma, result, SETTINGS
        ),
        "propagate_chi, common grid": lambda: propagate_chi(
            energy, mu, None, sigma, *sizes
        ),
        "propagate_chi, ragged": lambda: propagate_chi(axis, mu, valid, sigma, *sizes),
    }
    for name, job in work.items():
        taken: list[float] = []
        for _ in range(5):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
        yield name, {"us": min(taken) / len(mu) * 1e6}


def table(title: str, rows: Iterator[tuple[str, Ratios]]) -> None:
    """Print one line per row; the first row names the columns."""
    print(f"\n{title}")
    for number, (name, values) in enumerate(rows):
        if number == 0:
            print(f"{'':34s}" + "".join(f"{key:>8s}" for key in values))
        cells = "".join(
            f"{value:8.3g}" if value > 9 else f"{value:8.3f}"
            for value in values.values()
        )
        print(f"{name:34s}{cells}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    given = parser.parse_args(arguments)
    draws = given.draws
    spectra = [given.data / "spectra" / f"{name}.csv" for name in FOILS]
    cases = [(path, level) for path in spectra for level in LEVELS]

    def each(of: Callable[[Path, float], Ratios]) -> Iterator[tuple[str, Ratios]]:
        return ((f"{path.stem} {level:.1%}", of(path, level)) for path, level in cases)

    table("White noise, e0 known", each(partial(gaussian, draws=draws, free=False)))
    table(
        "White noise, e0 found in each draw",
        each(partial(gaussian, draws=draws, free=True)),
    )
    table("Counts, e0 known", each(partial(poisson, draws=draws)))
    table("Repeats", ((name, repeats(given.data, name)) for name in REPEATS))
    table("Cost", cost(spectra[0]))


if __name__ == "__main__":
    main()
