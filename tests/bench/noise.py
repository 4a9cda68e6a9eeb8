"""Predicted over observed noise, from μ to χ(k): against Monte Carlo and repeats.

Run by hand on the folder of measured spectra; it prints the figures of docs/noise.md:

    python -m tests.bench.noise ../shared/xas-data [--draws 1000]
"""

import argparse
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.physics.edge import find_e0
from xasnn_stream.physics.noise import local_noise
from xasnn_stream.physics.normalize import Normalized, normalize
from xasnn_stream.physics.propagation import propagate_normalized
from xasnn_stream.physics.settings import Normalization

FOILS = ("Pt_L3_13IDC2001", "Cu_K_13IDE2016", "Fe_K_13BM2002", "Au_L3_13IDE2016")
LEVELS = (0.001, 0.01, 0.03)
SETTINGS = Normalization()
QUANTITIES = ("mu", "step", "norm", "flat")


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


def ratios(batch: Batch, sigma: Tensor) -> dict[str, float]:
    """Return predicted over observed of what follows from μ with noise `sigma`."""
    result = batch.normalized()
    noise = propagate_normalized(*batch.rows, sigma, result, SETTINGS)
    return {
        "step": ratio(noise.step, result.edge_step),
        "norm": ratio(noise.norm, result.norm),
        "flat": ratio(noise.flat, result.flat),
    }


def gaussian(name: Path, level: float, draws: int, free: bool) -> dict[str, float]:
    """Return ratios for white noise of `level` edge steps on a measured foil."""
    columns = read(name)
    energy, mu = columns["energy"], columns["mu"].unsqueeze(0)
    clean = Batch(energy, mu, None).normalized()
    sigma = level * clean.edge_step.abs()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(draws, len(energy), dtype=mu.dtype, generator=generator)
    e0 = None if free else clean.e0.expand(draws)
    batch = Batch(energy, mu + sigma * noise, e0)
    found = local_noise(*batch.rows, clean.e0.expand(draws))
    known = torch.full_like(batch.mu, sigma.item())
    read_off = {f"{key}*": value for key, value in ratios(batch, found).items()}
    mine = {"mu*": ratio(found, batch.mu)}
    return mine | ratios(batch, known) | read_off


def table(title: str, rows: Iterator[tuple[str, dict[str, float]]]) -> None:
    """Print one line per row; the first row names the columns."""
    print(f"\n{title}")
    for number, (name, values) in enumerate(rows):
        if number == 0:
            print(f"{'':34s}" + "".join(f"{key:>8s}" for key in values))
        print(f"{name:34s}" + "".join(f"{value:8.3f}" for value in values.values()))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=1000)
    given = parser.parse_args(arguments)
    spectra = given.data / "spectra"
    for free in (False, True):
        rows = (
            (f"{name} {level:.1%}", gaussian(path, level, given.draws, free))
            for name, path in ((name, spectra / f"{name}.csv") for name in FOILS)
            for level in LEVELS
        )
        table(f"White noise, e0 {'found in each draw' if free else 'known'}", rows)


if __name__ == "__main__":
    main()
