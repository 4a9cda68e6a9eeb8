"""The physics beside larch: same spectra, same parameters, same core, one thread each.

Rounds of both take turns, so that a busy machine slows both; what counts is the median
of the rounds. The process keeps memory it has freed, as the daemon does; that serves both.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from xasnn_stream.allocator import keep_freed_memory
from xasnn_stream.benchmarks import larch
from xasnn_stream.benchmarks.spectra import E0_EV, Spectra, on_common_grid, ragged
from xasnn_stream.physics.normalization.normalize import normalize
from xasnn_stream.physics.reduce import reduce
from xasnn_stream.physics.settings import (
    Background,
    Normalization,
    Reduction,
    Transform,
)
from xasnn_stream.spectrum import FloatArray

REDUCTION = Reduction(
    background=Background(kweight=2),
    transform=Transform(kmin=3.0, kmax=12.0, window="hanning"),
)
"""Automatic e0 and ranges; the weights and the window most analyses use."""

_BATCH = 256
_ROUNDS = 15
_ROUND_S = 0.1
_LARCH_SPECTRA = 6
"""Per round: about as long as a round of ours."""

_MANY = (1_000, 10_000, 100_000)

CHAIN = "pre_edge+autobk+xftf"
_NORMALIZATION = {
    "pre_edge": REDUCTION.normalization,
    "pre_edge, e0 given": Normalization(e0=E0_EV),
}
"""Normalization alone, for both sides: with the search for e0 and without."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: which computation, on how many spectra of which grids."""

    what: str
    batch: int
    make: Callable[[int], Spectra]

    @property
    def grid(self) -> str:
        """Return `common` or `ragged`."""
        return "common" if self.make is on_common_grid else "ragged"


CASES = (
    Case(CHAIN, _BATCH, on_common_grid),
    Case(CHAIN, _BATCH, ragged),
    Case(CHAIN, 1, on_common_grid),
    Case("pre_edge", _BATCH, on_common_grid),
    Case("pre_edge, e0 given", _BATCH, on_common_grid),
    Case("pre_edge", _BATCH, ragged),
)


def _ours(case: Case, spectra: Spectra) -> Callable[[], object]:
    if case.what == CHAIN:
        return partial(_chain, spectra)
    of = (spectra.energy, spectra.mu, spectra.valid)
    return partial(normalize, *of, _NORMALIZATION[case.what])


def _reference(case: Case, spectra: Spectra) -> Callable[[int], object]:
    """Return a function that has larch compute the i-th spectrum."""
    xafs, settings = larch.load(), REDUCTION
    rows = [row(spectra, i) for i in range(min(case.batch, 64))]

    def one(i: int) -> object:
        energy, mu = rows[i % len(rows)]
        if case.what in _NORMALIZATION:
            return larch.pre_edge(xafs, energy, mu, _NORMALIZATION[case.what])
        return larch.chain(
            xafs, energy, mu, settings.normalization, settings.background,
            settings.transform,
        )  # fmt: skip

    return one


def row(spectra: Spectra, i: int) -> tuple[FloatArray, FloatArray]:
    """Return energy and μ of one spectrum, `(points,)`, without what fills its row."""
    energy, mu = spectra.energy, spectra.mu[i].cpu().numpy()
    if spectra.valid is None:
        return energy.cpu().numpy(), mu
    count = int(spectra.valid[i].sum())
    return energy[i, :count].cpu().numpy(), mu[:count]


def _on(spectra: Spectra, device: str) -> Spectra:
    valid = spectra.valid
    return Spectra(
        spectra.energy.to(device),
        spectra.mu.to(device),
        None if valid is None else valid.to(device),
    )


def _seconds(work: Callable[[], object], device: str, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / repeats


def compare(case: Case, device: str) -> dict[str, object]:
    """Measure one case beside larch and return its line."""
    spectra = case.make(case.batch)
    ours = _ours(case, _on(spectra, device))
    theirs = _reference(case, spectra)
    first = _seconds(ours, device, 1)
    repeats = max(1, round(_ROUND_S / _seconds(ours, device, 3)))
    theirs(0)
    mine, reference = list[float](), list[float]()
    for k in range(_ROUNDS):
        mine.append(_seconds(ours, device, repeats))
        start = time.perf_counter()
        for i in range(_LARCH_SPECTRA):
            theirs(k * _LARCH_SPECTRA + i)
        reference.append((time.perf_counter() - start) / _LARCH_SPECTRA)
    rate = case.batch / statistics.median(mine)
    larch_rate = 1 / statistics.median(reference)
    return {
        "bench": "physics",
        "what": case.what,
        "grid": case.grid,
        "device": device,
        "batch": case.batch,
        "ours": {"spectra_per_s": round(rate, 1), "first_call_s": round(first, 4)},
        "reference": {"name": "larch", "spectra_per_s": round(larch_rate, 2)},
        "ratio": round(rate / larch_rate, 1),
    }


def scaling(device: str) -> dict[str, object]:
    """Measure how time grows with the number of spectra, in batches of one size.

    Every batch has new noise; making it is not counted.
    """
    per_spectrum = list[float]()
    grid = on_common_grid(1)
    for count in _MANY:
        took, done = 0.0, 0
        while done < count:
            batch = min(_BATCH, count - done)
            spectra = _on(on_common_grid(batch, seed=done), device)
            took += _seconds(partial(_chain, spectra), device, 1)
            done += batch
        per_spectrum.append(took / count)
    return {
        "bench": "physics",
        "what": CHAIN,
        "grid": "common",
        "device": device,
        "batch": _BATCH,
        "points": grid.energy.numel(),
        "spectra": list(_MANY),
        "us_per_spectrum": [round(1e6 * seconds, 1) for seconds in per_spectrum],
        "slowest_over_fastest": round(max(per_spectrum) / min(per_spectrum), 3),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _chain(spectra: Spectra) -> object:
    return reduce(spectra.energy, spectra.mu, spectra.valid, REDUCTION)


def lines(device: str) -> Iterator[dict[str, object]]:
    """Yield one line per case, then how time grows with the number of spectra."""
    torch.set_num_threads(1)
    keep_freed_memory()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for case in CASES:
        yield compare(case, device)
    yield scaling(device)


if __name__ == "__main__":
    for line in lines(sys.argv[1]):
        print(json.dumps(line), flush=True)
