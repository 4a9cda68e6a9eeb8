"""χ(k) and χ(R) of measured spectra beside larch's: the figures of decision records.

    python -m tests.bench.background [NAME …]

prints, for each set of parameters (all, or those named), how far χ is from larch's: of
every spectrum beside the checkout, the worst. `own units` is larch on μ as measured,
`of step` larch on μ/edge step, since larch's clamps weigh by the units of μ.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.exafs.fourier import xftf
from xasnn_stream.physics.settings import Background, Transform

DATA = Path(__file__).parents[3] / "shared" / "xas-data"
REFERENCE = Background(kweight=2)
SETTINGS = {
    "reference": REFERENCE,
    "default": Background(),
    "rbkg 0.8": replace(REFERENCE, rbkg=0.8),
    "rbkg 1.2": replace(REFERENCE, rbkg=1.2),
    "rbkg 1.5": replace(REFERENCE, rbkg=1.5),
    "kweight 0": Background(kweight=0),
    "kweight 3": Background(kweight=3),
    "kmin 1": Background(kmin=1.0),
    "kmax 12": Background(kmax=12.0),
    "clamp_lo 1": Background(clamp_lo=1.0),
    "nclamp 0": Background(nclamp=0),
}
TRANSFORM = Transform(kmin=3.0, dk=1.0, window="hanning")
SHOWN = 4


@dataclass(frozen=True)
class Curves:
    """χ(k) and χ(R) of one spectrum."""

    k: np.ndarray
    chi: np.ndarray
    chir: np.ndarray


def spectra() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, energy and μ of every measured spectrum, ascending and finite."""
    for entry in json.loads((DATA / "manifest.json").read_text()):
        if entry.get("columns", [])[:2] != ["energy", "mu"]:
            continue
        energy, mu = np.loadtxt(
            DATA / entry["file"], delimiter=",", usecols=(0, 1), unpack=True
        )
        good = np.isfinite(energy) & np.isfinite(mu)
        energy, first = np.unique(energy[good], return_index=True)
        yield entry["file"].removeprefix("spectra/"), energy, mu[good][first]


def by_larch(
    energy: np.ndarray, mu: np.ndarray, settings: Background, per_step: bool = False
) -> tuple[Curves, float, float] | None:
    """Return larch's curves, e0 and edge step; None where larch raises."""
    import larch.xafs
    from larch import Group

    group = Group(energy=energy, mu=mu)
    names = ("rbkg", "kmin", "kmax", "kweight", "nclamp", "clamp_lo", "clamp_hi")
    try:
        larch.xafs.pre_edge(group)
        e0, step = group.e0, group.edge_step
        if per_step:
            group = Group(energy=energy, mu=mu / step, e0=e0, edge_step=1.0)
        larch.xafs.autobk(group, **{name: getattr(settings, name) for name in names})
        larch.xafs.xftf(
            group, kmin=TRANSFORM.kmin, kmax=upper(group.k[-1]), dk=TRANSFORM.dk,
            window=TRANSFORM.window, kweight=TRANSFORM.kweight,
        )  # fmt: skip
    except (ValueError, TypeError, IndexError):
        return None
    return Curves(group.k, group.chi, group.chir), e0, step


def upper(kmax: float) -> float:
    """Return where the window of the reference parameters ends."""
    return min(12.0, kmax - 0.5)


def ours(
    energy: np.ndarray, mu: np.ndarray, e0: float, step: float, settings: Background
) -> Curves:
    """Return our curves from the same e0 and edge step."""
    at = torch.tensor([e0], dtype=torch.float64)
    rows = torch.tensor(np.array([energy, mu])).unsqueeze(1)
    every = torch.ones_like(rows[0], dtype=torch.bool)
    found = autobk(
        rows[0], rows[1], every, at, torch.full_like(at, step), settings
    )  # fmt: skip
    limit = torch.full_like(at, upper(float(found.k[-1])))
    chir = xftf(found.k, found.chi, TRANSFORM, limit).chir
    return Curves(found.k.numpy(), found.chi[0].numpy(), chir[0].numpy())


def deviations(mine: Curves, larch: Curves) -> tuple[float, float, float]:
    """Return rms/peak of k²χ at k 2-12 and of |χ(R)|, and the worst χ below k 2."""
    if len(mine.k) != len(larch.k):
        return np.inf, np.inf, np.inf
    k, low = larch.k, larch.k < 2
    used = (k >= 2) & (k <= 12)
    if not used.any():
        used = ~low if (~low).any() else low
    weighted = (mine.chi - larch.chi) * k**2
    mag, expected = np.abs(mine.chir), np.abs(larch.chir)
    return (
        float(rms(weighted[used]) / np.abs(larch.chi * k**2)[used].max()),
        float(rms(mag - expected) / expected.max()),
        float(np.abs(mine.chi - larch.chi)[low].max()),
    )


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def main(names: list[str]) -> None:
    measured = list(spectra())
    for name in names or SETTINGS:
        for units in ("own units", "of step"):
            table, failed = [], []
            for label, energy, mu in measured:
                larch = by_larch(energy, mu, SETTINGS[name], units == "of step")
                if larch is None:
                    failed.append(label)
                    continue
                mine = ours(energy, mu, *larch[1:], SETTINGS[name])
                table.append((*deviations(mine, larch[0]), label, larch[2]))
            table.sort(reverse=True)
            median = np.median([row[0] for row in table])
            print(
                f"{name}, larch in {units}: {len(table)} spectra, median {median:.1e}"
            )
            for k2chi, chir, low, label, step in table[:SHOWN]:
                print(
                    f"  k2chi {k2chi:.1e}  chir {chir:.1e}  k<2 {low:.1e}  {label}, "
                    f"step {step:.3g}"
                )
            if failed:
                print("  larch raises:", *failed)


if __name__ == "__main__":
    main(sys.argv[1:])
