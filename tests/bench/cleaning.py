"""Which glitches and jumps are found, and what is left of them: decision 13's figures.

    python -m tests.bench.cleaning

prints, of measured foils with white noise: the share of single glitches left out by
height, of jumps found, χ's error before and after; then what is left out of every
measured spectrum beside the checkout.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.physics.exafs.background import autobk
from xasnn_stream.physics.normalization.edge import find_e0
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.settings import Background, Normalization
from xasnn_stream.physics.signals.glitches import find_glitches
from xasnn_stream.physics.signals.jumps import find_jumps, repair
from xasnn_stream.physics.signals.order import finite, mask, order

DATA = Path(__file__).parents[3] / "shared" / "xas-data"
FOILS = ("Pt_L3_13IDC2001", "Cu_K_13IDE2016", "Fe_K_13BM2002", "Au_L3_13IDE2016")
HEIGHTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.5)
NOISES = (0.0, 1e-3, 1e-2)
DRAWS = 200
MID_K_EV = 45.0

Scan = tuple[Tensor, Tensor, Tensor, Tensor]
"""Energy, μ in edge steps, validity and e0 of one scan."""


def spectra() -> Iterator[tuple[str, Scan]]:
    """Yield the name of every measured scan, and the scan in order."""
    for entry in json.loads((DATA / "manifest.json").read_text()):
        if not str(entry.get("file")).startswith("spectra"):
            continue
        raw = (DATA / entry["file"]).read_bytes()
        text = (gzip.decompress(raw) if entry["file"].endswith("gz") else raw).decode()
        table = torch.from_numpy(np.loadtxt(text.splitlines(), delimiter=","))
        energy, mu = table[None, :, 0], table[None, :, 1]
        valid = torch.ones_like(mu, dtype=torch.bool)
        valid, energy, mu = mask(finite(energy, valid, mu), valid, energy, mu)
        found = order(energy, valid, mu)
        points = int(found.valid.sum())
        energy, mu = found.energy[:, :points], found.curves[0][:, :points]
        edge = edge_energy_ev(entry["element"], entry["edge"])
        assert edge is not None
        near = torch.full_like(energy[:, 0], edge)
        e0 = find_e0(energy, mu, found.valid[:, :points], (near - 25, near + 25))
        e0 = torch.where(e0.isnan(), near, e0)
        valid = torch.ones_like(mu, dtype=torch.bool)
        step = normalize(energy, mu, valid, Normalization(), e0).edge_step
        yield entry["id"], (energy, mu / step.unsqueeze(-1), valid, e0)


def draws(scan: Scan, noise: float, seed: int) -> tuple[Scan, Tensor]:
    """Return copies of a scan with noise, and a point of each at mid k."""
    energy, mu, valid, e0 = scan
    generator = torch.Generator().manual_seed(seed)
    many = [t.expand(DRAWS, -1) for t in (energy, mu, valid)]
    white = torch.randn(many[1].shape, generator=generator, dtype=torch.float64)
    first = int((energy[0] < e0[0] + MID_K_EV).sum())
    points = torch.randint(first, energy.shape[1] - 5, (DRAWS,), generator=generator)
    return (many[0], many[1] + noise * white, many[2], e0.expand(DRAWS)), points


def glitches(scan: Scan, noise: float) -> dict[str, float]:
    """Return the share of glitches found, and how many other points are, by height."""
    shares: dict[str, float] = {}
    others = 0
    for height in HEIGHTS:
        (energy, mu, valid, e0), at = draws(scan, noise, seed=1)
        rows = torch.arange(DRAWS)
        mu[rows, at] += height
        found = find_glitches(energy, mu, valid, e0=e0).found
        shares[f"{height:g}"] = round(float(found[rows, at].double().mean()), 2)
        others += int(found.sum() - found[rows, at].sum())
    return {**shares, "others": others}


def jumps(scan: Scan, noise: float) -> dict[str, float]:
    """Return the share of jumps found within an interval of their place, by height."""
    shares: dict[str, float] = {}
    for height in HEIGHTS[1:]:
        (energy, mu, valid, e0), at = draws(scan, noise, seed=2)
        place = torch.arange(mu.shape[1])
        mu = mu + height * (place >= at.unsqueeze(-1))
        found = find_jumps(energy, mu, valid, e0).energy
        middle = (energy[0, at] + energy[0, at - 1]) / 2
        hit = ((found - middle.unsqueeze(-1)).abs() < 1e-6).any(-1)
        shares[f"{height:g}"] = round(float(hit.double().mean()), 2)
    return shares


def k2chi(scan: Scan) -> Tensor:
    """Return k²χ(k) of a scan over k 2 to 12."""
    result = autobk(*scan, torch.ones_like(scan[3]), Background(kweight=2))
    used = (result.k >= 2) & (result.k <= 12)
    return (result.k.square() * result.chi)[:, used]


def errors(scan: Scan, height: float) -> dict[str, list[float]]:
    """Return the largest error of k²χ over its peak, as spoiled and as cleaned."""
    energy, mu, valid, e0 = scan
    clean = k2chi(scan)
    found: dict[str, list[float]] = {name: [] for name in ("spoiled", "glitch", "jump")}
    for k in (5, 7, 9):
        at = int((energy[0] - e0[0] - 3.81 * k**2).abs().argmin())
        spike, behind = mu.clone(), mu.clone()
        spike[:, at] += height
        behind[:, at:] += height
        keep = ~find_glitches(energy, spike, valid, e0=e0).found
        left, *rest = mask(keep, valid, energy, spike)
        jump = repair(energy, behind, find_jumps(energy, behind, valid, e0))
        tried = {
            "spoiled": (energy, spike, valid, e0),
            "glitch": (*rest, left, e0),
            "jump": (energy, jump, valid, e0),
        }
        for name, each in tried.items():
            apart = (k2chi(each) - clean).abs().max() / clean.abs().max()
            found[name].append(round(float(apart), 3))
    return found


def main() -> None:
    left_out: dict[str, list[float]] = {}
    points = 0
    for name, scan in spectra():
        energy, mu, valid, e0 = scan
        points += mu.shape[1]
        found = find_glitches(energy, mu, valid, e0=e0).found
        if found.any():
            left_out[name] = (energy - e0)[found].round(decimals=1).tolist()
        if name in FOILS:
            for noise in NOISES:
                row = {"glitches": glitches(scan, noise), "jumps": jumps(scan, noise)}
                print(json.dumps({"foil": name, "noise": noise, **row}))
            print(json.dumps({"foil": name, "chi_error": errors(scan, 0.1)}))
    print(json.dumps({"points": points, "left_out": left_out}))


if __name__ == "__main__":
    main()
