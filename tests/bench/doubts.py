"""What flaws do to estimates, and which doubt sees them: the figures of decisions 8, 9, 12.

Run by hand on a recorded series and its foil:

    python -m xasnn_stream.simulation --record d.jsonl sim-step --library … --foil f.csv
    python -m tests.bench.doubts d.jsonl f.csv

Sweeps that are oxidized in truth are left out, for each flaw stands alone.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from xasnn_stream.assembly.assembler import Assembler
from xasnn_stream.engine.foil import read_foil
from xasnn_stream.engine.resident import Engine
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.estimate import Estimate
from xasnn_stream.physics.denoise.table import DENOISERS
from xasnn_stream.profile import load_profile
from xasnn_stream.shipped import model_folder
from xasnn_stream.sources.codec import decode_line
from xasnn_stream.spectrum import FloatArray, Spectrum
from xasnn_stream.telemetry.counters import Counters

E0 = 11564.0
PARTS_EV = (92, 150, 200, 250, 300, 350)
GLITCHES_EV = (-80, -5, 0, 4, 8, 12, 25, 40, 60, 85, 200, 300)
GLITCHES = (0.02, 0.1, 0.5, 1.5)
JUMPS = ((0.01, 30), (0.02, 60), (0.03, 30), (0.05, 30), (0.3, 30))
NOISES = (0.0, 0.01)
"""Noise of a point added before denoising, in units of μ; the step is about one."""

Flaw = Callable[[FloatArray, FloatArray], FloatArray]
"""From energy relative to the edge and μ to μ with the flaw."""


def jump(at: float, height: float) -> Flaw:
    return lambda x, mu: mu + height * (x > at)


def glitch(at: float, height: float) -> Flaw:
    return lambda x, mu: mu + height * (np.arange(len(x)) == abs(x - at).argmin())


def oxide(share: float) -> Flaw:
    return lambda x, mu: (
        mu + share * 0.25 * np.exp(-4 * np.log(2) * ((x - 3.5) / 6) ** 2)
    )


def absorbed(share: float) -> Flaw:
    def flaw(x: FloatArray, mu: FloatArray) -> FloatArray:
        rise = mu - mu[:10].mean()
        return mu - rise + rise * (1 + share) / (1 + share * rise)

    return flaw


def misnormalized(share: float) -> Flaw:
    """What the model reads, higher as if the step had been measured too low."""

    def flaw(x: FloatArray, mu: FloatArray) -> FloatArray:
        rise = mu - np.interp(x, x[x < -30], mu[x < -30])
        return mu + share * rise * np.clip((140 - x) / 40, 0, 1)

    return flaw


def harmonics(share: float) -> Flaw:
    return lambda x, mu: -np.log(np.exp(-mu) + share * np.exp(-mu).max())


FLAWS: dict[str, Flaw] = {
    "none": lambda x, mu: mu,
    **{f"oxide {share:g}": oxide(share) for share in (0.1, 0.3, 1.0)},
    **{f"jump of {h:g} at {at} eV": jump(at, h) for h, at in JUMPS},
    **{f"glitch of {h:g} at 60 eV": glitch(60, h) for h in (0.02, 0.1, 0.5)},
    "edge step 1 % too low": misnormalized(0.01),
    "self-absorption 0.2": absorbed(0.2),
    "harmonics 0.05": harmonics(0.05),
}


def sweeps(path: Path) -> tuple[list[Spectrum], list[float]]:
    """Return the unoxidized sweeps of recorded documents and their true cn1."""
    assembler = Assembler([load_profile("sim-step").assembly], Counters())
    spectra: list[Spectrum] = []
    truths: dict[str, dict[str, float]] = {}
    for line in path.read_bytes().splitlines():
        name, doc = decode_line(line)
        if name == "start" and "simulation" in doc:
            truths[doc["uid"]] = doc["simulation"]["truth"]
        spectra += assembler.receive(name, doc, "file")
    metal = [s for s in spectra if truths.get(s.run.uid, {}).get("oxidized") == 0]
    return metal, [truths[s.run.uid]["cn1"] for s in metal]


def flawed(spectrum: Spectrum, flaw: Flaw) -> Spectrum:
    """Return the sweep as counted if its sample had this absorption."""
    dark = {role: spectrum.offsets.get(role, 0.0) for role in spectrum.channels}
    i0, it = (spectrum.channels[role] - dark[role] for role in ("i0", "it"))
    mu = flaw(spectrum.energy_ev - E0, np.log(i0 / it))
    counts = i0 * np.exp(-mu) + dark["it"]
    return replace(spectrum, channels={**spectrum.channels, "it": counts})


def fluorescent(spectrum: Spectrum, share: float, through: bool) -> Spectrum:
    """Return the sweep as fluorescence, self-absorbed, with or without its transmission.

    Of the sample's transmission only μ is taken: what is counted has noise of its own.
    """
    roles = ("i0", "it")
    dark = [spectrum.offsets.get(role, 0.0) for role in roles]
    i0, it = (spectrum.channels[r] - d for r, d in zip(roles, dark, strict=True))
    mu = absorbed(share)(spectrum.energy_ev - E0, np.log(i0 / it))
    noise = np.random.default_rng(spectrum.run.scan_id).normal(0, 1e-3, len(mu))
    channels = {"i0": i0, "if": i0 * (mu - mu.min() + 0.1) * (1 + noise) / 20}
    beside = {"it": it} if through else {}
    return replace(spectrum, channels=channels | beside, offsets={})


def up_to(spectrum: Spectrum, last_ev: float) -> Spectrum:
    """Return the sweep as a final one that ends at `last_ev` above the edge."""
    keep = spectrum.energy_ev <= E0 + last_ev
    channels = {role: values[keep] for role, values in spectrum.channels.items()}
    return replace(spectrum, energy_ev=spectrum.energy_ev[keep], channels=channels)


def row(
    name: str, found: Sequence[Estimate], whole: Sequence[Estimate], truth: list[float]
) -> dict[str, object]:
    moved = [
        e.descriptors["cn1"].value - w.descriptors["cn1"].value
        for e, w in zip(found, whole, strict=True)
        if e.descriptors
    ]
    trusted = [
        abs(e.descriptors["cn1"].value - w.descriptors["cn1"].value)
        for e, w in zip(found, whole, strict=True)
        if e.verdict == "ok"
    ]
    known = [
        (e, e.descriptors["cn1"], t)
        for e, t in zip(found, truth, strict=True)
        if e.descriptors
    ]
    errors = [d.value - t for _, d, t in known]
    wrong = [
        e.verdict
        for e, d, t in known
        if d.interval and not d.interval[0] <= t <= d.interval[1]
    ]
    spreads = [s for e, _, _ in known if (s := e.quality.step_spread) is not None]
    return {
        "flaw": name,
        "verdicts": Counter(e.verdict for e in found),
        "ok_but_wrong": wrong.count("ok"),
        "wrong": len(wrong),
        "cn1_error_rms": round(float(np.sqrt(np.mean(np.square(errors)))), 3)
        if errors
        else None,
        "median_step_spread": round(float(np.median(spreads)), 4) if spreads else None,
        "largest_cn1_error_if_ok": round(max(trusted), 2) if trusted else None,
        "masked": Counter(e.quality.n_masked for e in found),
        "median_cn1_change": round(float(np.median(moved)), 2) if moved else None,
        "median_cn1_error": round(float(np.median(np.abs(moved))), 2)
        if moved
        else None,
        "reasons": Counter(r.code for e in found for r in e.reasons),
    }


def of_fluorescence(
    settings: EngineSettings, foil: str, spectra: Sequence[Spectrum], truth: list[float]
) -> None:
    settings = replace(
        settings,
        mode="fluorescence",
        quality=replace(settings.quality, min_edge_step=0.001),
    )
    engine = Engine.load(model_folder("pt-l3-xanes"), settings, read_foil(foil))
    whole = engine.estimate([fluorescent(s, 0.0, False) for s in spectra])
    for through in (False, True):
        for share in (0.0, 0.05, 0.1, 0.2, 0.4):
            found = engine.estimate([fluorescent(s, share, through) for s in spectra])
            beside = "beside transmission" if through else "alone"
            name = f"fluorescence {beside}, self-absorption {share:g}"
            print(json.dumps(row(name, found, whole, truth)))


def noisier(spectrum: Spectrum, noise: float) -> Spectrum:
    """Return the sweep with more noise."""
    draws = np.random.default_rng(spectrum.run.scan_id)
    more = draws.normal(0, noise, len(spectrum.energy_ev))
    return flawed(spectrum, lambda x, mu: mu + more)


def of_denoisers(
    settings: EngineSettings, foil: str, spectra: Sequence[Spectrum], truth: list[float]
) -> None:
    for noise in NOISES:
        noisy = [noisier(s, noise) for s in spectra]
        whole: list[Estimate] = []
        for name in DENOISERS:
            cleaning = replace(settings.cleaning, denoise=name)
            chosen = replace(settings, cleaning=cleaning)
            engine = Engine.load(model_folder("pt-l3-xanes"), chosen, read_foil(foil))
            found = engine.estimate(noisy)
            whole = whole or found
            title = f"noise {noise:g} more, denoised by {name}"
            print(json.dumps(row(title, found, whole, truth)))


def main(documents: str, foil: str) -> None:
    profile = load_profile("sim-step")
    engine = Engine.load(model_folder(profile.model), profile.engine, read_foil(foil))
    spectra, truth = sweeps(Path(documents))
    whole = engine.estimate(spectra)
    for name, flaw in FLAWS.items():
        found = engine.estimate([flawed(s, flaw) for s in spectra])
        print(json.dumps(row(name, found, whole, truth)))
    for height in GLITCHES:
        flaws = [glitch(at, height) for at in GLITCHES_EV]
        found = engine.estimate([flawed(s, flaw) for flaw in flaws for s in spectra])
        name = f"glitch of {height:g} at {len(flaws)} energies"
        print(json.dumps(row(name, found, whole * len(flaws), truth * len(flaws))))
    of_fluorescence(engine.settings, foil, spectra, truth)
    of_denoisers(engine.settings, foil, spectra, truth)
    for last_ev in PARTS_EV:
        found = engine.estimate([up_to(s, last_ev) for s in spectra])
        print(json.dumps(row(f"ends at {last_ev:+d} eV", found, whole, truth)))


if __name__ == "__main__":
    main(*sys.argv[1:])
