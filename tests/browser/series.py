"""Made-up results with arrays of the usual size: a particle that grows."""

import math
from dataclasses import replace

import numpy as np

from xasnn_stream.estimate import (
    Descriptor,
    Estimate,
    Novelty,
    Provenance,
    Quality,
    Verdict,
    estimate_id,
)
from xasnn_stream.spectrum import Accounting, FloatArray, Reason, Run

E0 = 11564.0
ENERGY = E0 + np.concatenate(
    (np.arange(-200, -30, 5.0), np.arange(-30, 60, 0.4), np.arange(60, 451, 2.5))
)
GRID = E0 + np.arange(-30.0, 120.5, 0.5)
REASONS: dict[Verdict, tuple[Reason, ...]] = {
    "ok": (),
    "caution": (Reason("incomplete", "3 event rows are missing"),),
    "outside": (Reason("novel", "unlike every training spectrum"),),
    "rejected": (Reason("no_signal", "I0 is zero everywhere"),),
}

PARTIAL = Reason("partial", "the final estimate will differ")


def final(
    number: int,
    *,
    verdict: Verdict = "ok",
    sample: str | None = "Pt/C",
    complete: bool = True,
    uid: str | None = None,
    time_s: float | None = None,
) -> Estimate:
    """Return the final estimate of scan `number`."""
    run = Run(
        uid=uid or f"{number:08d}-run",
        scan_id=number,
        sweep=0,
        direction="up",
        progress=1.0,
        final=True,
        complete=complete,
        source="test",
    )
    end = 1.79e9 + 60 * number if time_s is None else time_s
    estimate = Estimate(
        id=estimate_id(run, "b" * 64, "a" * 64, "c" * 64),
        run=run,
        sample=sample,
        element="Pt",
        edge="L3",
        time=(end - 55, end),
        descriptors={},
        verdict=verdict,
        reasons=REASONS[verdict],
        quality=Quality(n_points=len(ENERGY)),
        novelty=Novelty(),
        conditions={},
        accounting=Accounting(n_missed=0 if complete else 3),
        provenance=Provenance(
            model="pt-l3-xanes",
            model_sha256="a" * 64,
            profile="sim-step",
            profile_sha256="b" * 64,
            reference="foil.csv",
            reference_sha256="c" * 64,
            package="0.1.0",
        ),
    )
    if verdict == "rejected":
        return estimate
    height = 0.3 * (1 + math.sin(number / 9))
    arrays = {
        "energy": ENERGY,
        "mu_normalized": _absorption(ENERGY, height, number),
        "grid_energy": GRID,
        "grid_spectra": _on_grid(height, number),
    }
    return replace(estimate, descriptors=_descriptors(number), arrays=arrays)


def partial(number: int, progress: float) -> Estimate:
    """Return what is known of scan `number` so far; past 70 % it is normalized."""
    whole = final(number)
    count = max(1, round(progress * len(ENERGY)))
    run = replace(whole.run, final=False, progress=progress)
    so_far = {"energy": ENERGY[:count]}
    if progress < 0.7:
        reason = Reason("range_too_short", "to normalize, more is needed")
        so_far["mu"] = 0.4 + 0.7 * whole.arrays["mu_normalized"][:count]
        return replace(
            whole,
            id=None,
            run=run,
            descriptors={},
            verdict="rejected",
            reasons=(reason, PARTIAL),
            arrays=so_far,
        )
    return replace(
        whole,
        id=None,
        run=run,
        descriptors={
            name: replace(one, interval=None) for name, one in whole.descriptors.items()
        },
        verdict="caution",
        reasons=(PARTIAL,),
        arrays=dict(whole.arrays)
        | so_far
        | {"mu_normalized": whole.arrays["mu_normalized"][:count]},
    )


def _descriptors(number: int) -> dict[str, Descriptor]:
    grown = 1 - math.exp(-number / 150)
    bulk = {"cn1": 12.0, "cn2": 6.0, "cn3": 24.0, "cn4": 12.0}
    found = {
        name: _descriptor(full * (0.4 + 0.5 * grown), 0.05 * full, "")
        for name, full in bulk.items()
    }
    return found | {"r1": _descriptor(2.765 + 0.01 * grown, 0.002, "angstrom")}


def _descriptor(value: float, std: float, unit: str) -> Descriptor:
    part = std / math.sqrt(3)
    interval = (value - 1.6 * std, value + 1.6 * std)
    return Descriptor(value, std, part, part, part, interval, 0.9, unit)


def _absorption(energy: FloatArray, height: float, seed: int) -> FloatArray:
    x = energy - E0
    edge = 0.5 + np.arctan(x / 2) / np.pi
    white_line = (0.5 + height) * np.exp(-(((x - 3) / 4) ** 2))
    wiggles = 0.12 * np.exp(-x / 80) * np.sin(np.sqrt(np.maximum(x, 0)) * 1.9) * (x > 0)
    noise = np.random.default_rng(seed).normal(0, 1e-3, len(x))
    return edge + white_line + wiggles + noise


def _on_grid(height: float, seed: int) -> FloatArray:
    sample, reference = _absorption(GRID, height, seed), _absorption(GRID, 0.3, 0)
    return np.stack((sample, reference, sample - reference))
