"""From computed columns to estimates: quality checks, verdict, provenance."""

import math
from dataclasses import replace

import numpy as np
from torch import Tensor

from xasnn_stream import __version__
from xasnn_stream.engine.batch import Batch
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.evidence import gather
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.engine.verdict import incomplete, judge, unfinished
from xasnn_stream.estimate import (
    MOST_NAMED,
    Descriptor,
    Estimate,
    Novelty,
    Provenance,
    Quality,
    Size,
    Verdict,
    estimate_id,
)
from xasnn_stream.size.particle import SHELLS, size_of
from xasnn_stream.spectrum import FloatArray, Reason, Run, Spectrum

_OF_THE_RANGE = frozenset(
    ("too_few_points", "wrong_edge", "no_pre_edge", "no_post_edge", "range_too_short")
)
_OF_WHAT_IS_MISSING = frozenset(("incomplete", "no_file"))


def report(context: Context, spectrum: Spectrum, batch: Batch, row: int) -> Estimate:
    """Return the estimate of one row, a rejection if its numbers cannot be used.

    The estimate of a sweep that goes on has no interval, unless everything it is made of
    has been measured.
    """
    quality = _quality(batch, row, len(spectrum.energy_ev))
    masked_ev = batch.cleaned.masked_ev(row)[:MOST_NAMED]
    arrays = _arrays(context, batch, row)
    energy_ev = arrays["energy"]
    problem = unusable(context, batch, row)
    if problem is not None:
        problem = perhaps_too_early(spectrum.run, problem)
        rejected = reject(context, spectrum, problem, quality, arrays)
        return replace(rejected, masked_ev=masked_ev)
    descriptors = _descriptors(context.model, batch, row)
    if not (spectrum.run.final or _settled(context, energy_ev, quality)):
        descriptors = {n: replace(d, interval=None) for n, d in descriptors.items()}
    evidence = gather(context, spectrum, batch, row, descriptors)
    verdict, reasons = judge(evidence)
    estimate = _estimate(
        context,
        spectrum,
        descriptors=descriptors,
        verdict=verdict,
        reasons=reasons,
        quality=quality,
        novelty=Novelty(max(evidence.novelty.values()), threshold=1.0),
        foil=batch.foil[row],
        arrays=arrays,
    )
    size = _size(context.model, descriptors, verdict)
    return replace(estimate, masked_ev=masked_ev, size=size)


def perhaps_too_early(run: Run, problem: Reason) -> Reason:
    """Return a problem; one of a scan's range is only too early while the scan goes on."""
    if run.final or problem.code not in _OF_THE_RANGE:
        return problem
    return replace(problem, code="too_early")


def _settled(context: Context, energy_ev: FloatArray, quality: Quality) -> bool:
    """Whether normalization and networks read nothing that is still to come."""
    settings = context.settings.normalization
    if settings.pre1 is None or settings.norm2 is None or quality.e0_ev is None:
        return False
    first, last = quality.e0_ev + settings.pre1, quality.e0_ev + settings.norm2
    return bool(energy_ev[0] <= first and energy_ev[-1] >= last > first)


def _arrays(context: Context, batch: Batch, row: int) -> dict[str, FloatArray]:
    energy_ev = batch.energy_ev(row)
    return {
        "energy": energy_ev,
        "mu": _host(batch.sample.curves.mu[row, : len(energy_ev)]),
        "mu_normalized": _host(batch.sample.normalized.flat[row, : len(energy_ev)]),
        "grid_energy": context.grid_energy,
        "grid_spectra": _host(batch.grid_spectra[row]),
    }


def _quality(batch: Batch, row: int, n_points: int) -> Quality:
    sample, cleaned = batch.sample, batch.cleaned
    return Quality(
        e0_ev=float(sample.normalized.e0[row]),
        e0_shift_ev=_known(batch.axis_shift[row]),
        e0_shift_std_ev=_known(batch.axis_shift_std[row]),
        axis_corrected=bool(batch.corrected[row] != 0),
        edge_step=float(sample.normalized.edge_step[row]),
        step_std=_known(sample.step_error[row]),
        step_spread=_known(batch.step_spread[row]),
        noise=float(sample.noise[row]),
        n_points=n_points,
        n_masked=int(cleaned.masked[row]),
        n_merged=int(cleaned.absorption.merged[row]),
        k_max=_known(batch.reach.kmax[row]),
        n_bins=int(sample.curves.valid[row].sum()) if cleaned.is_rebinned else 0,
        damping=_known(batch.amplitude.damping[row]),
        damping_std=_known(batch.amplitude.std[row]),
    )


def _known(value: Tensor) -> float | None:
    """Return a number, None where it is NaN."""
    number = float(value)
    return None if math.isnan(number) else number


def unusable(context: Context, batch: Batch, row: int) -> Reason | None:
    """Return why a computed row is rejected after all, None if it is not.

    The step is judged before the edge's position, which means nothing without a step.
    """
    limits = context.settings.quality
    risen, step, noise = (
        float(values[row])
        for values in (
            batch.sample.half_step,
            batch.sample.normalized.edge_step,
            batch.sample.noise,
        )
    )
    edge = f"{context.model.element} {context.model.edge} at {context.edge_ev:.0f} eV"
    if not step >= limits.min_edge_step:
        text = f"edge step {step:.3g}; at least {limits.min_edge_step:g} needed"
        if step <= -limits.min_edge_step:
            text += ": μ falls at the edge, as with i0 and the signal exchanged"
        return Reason("no_step", text)
    if not noise <= limits.max_noise:
        text = f"noise {noise:.2g} of the edge step per point; at most "
        return Reason("too_noisy", text + f"{limits.max_noise:g}")
    if not abs(risen - context.edge_ev) <= limits.max_e0_shift_ev:
        where = "nowhere" if math.isnan(risen) else f"at {risen:.1f} eV"
        text = f"μ rises through half of its step {where}, far from {edge}"
        return Reason("wrong_edge", text)
    if not bool(batch.differences[row].isfinite().all()):
        grid = context.model.grid
        text = f"the model reads {grid[0]:+g} to {grid[-1]:+g} eV about the edge, "
        return Reason("range_too_short", text + "this scan or its foil does not")
    return None


def _descriptors(model: Model, batch: Batch, row: int) -> dict[str, Descriptor]:
    parts = batch.parts
    std = parts.std
    found: dict[str, Descriptor] = {}
    for k, name in enumerate(model.descriptors):
        value, low, high = (
            float(of[row, k]) for of in (parts.value, batch.low, batch.high)
        )
        if name in model.manifest.get("bounded", ()):
            value, low, high = _within(model.domain[name], value, low, high)
        found[name] = Descriptor(
            value=value,
            std=float(std[row, k]),
            std_model=float(parts.model[row, k]),
            std_noise=float(parts.noise[row, k]),
            std_ambiguity=float(parts.ambiguity[row, k]),
            interval=(low, high),
            level=LEVEL,
            unit=model.units[name],
        )
    return found


def _within(
    bounds: tuple[float, float], value: float, low: float, high: float
) -> tuple[float, float, float]:
    """Return a number and its interval inside bounds that are known to hold.

    Where none of the interval lies inside, they stay, for the verdict to see.
    """
    least, most = bounds
    if high < least or low > most:
        return value, low, high
    value, low, high = (min(max(n, least), most) for n in (value, low, high))
    return value, low, high


def _size(
    model: Model, descriptors: dict[str, Descriptor], verdict: Verdict
) -> Size | None:
    """Return the size of particles, None of what may not be believed to be such."""
    if verdict not in ("ok", "caution") or not set(SHELLS) <= set(model.descriptors):
        return None
    correlation = model.correlation
    if correlation is not None:
        at = [model.descriptors.index(name) for name in SHELLS]
        correlation = correlation[np.ix_(at, at)]
    return size_of(descriptors, correlation, model.element)


def reject(
    context: Context,
    spectrum: Spectrum,
    reason: Reason,
    quality: Quality | None = None,
    arrays: dict[str, FloatArray] | None = None,
) -> Estimate:
    """Return the one estimate of a sweep that cannot be read, with its reason.

    What is missing of it is said as well, for that may be why. A final one carries no
    `arrays`: a curve that cannot be normalized is none.
    """
    is_final = spectrum.run.final
    reasons = (reason,) if is_final else (unfinished(spectrum.run), reason)
    if not spectrum.run.complete and reason.code not in _OF_WHAT_IS_MISSING:
        reasons += (incomplete(spectrum.accounting.n_missed),)
    return _estimate(
        context,
        spectrum,
        descriptors={},
        verdict="rejected",
        reasons=reasons,
        quality=quality or Quality(n_points=len(spectrum.energy_ev)),
        novelty=Novelty(),
        foil=None if context.reference is None else context.reference.name,
        arrays={} if is_final else arrays or {},
    )


def _estimate(
    context: Context,
    spectrum: Spectrum,
    *,
    descriptors: dict[str, Descriptor],
    verdict: Verdict,
    reasons: tuple[Reason, ...],
    quality: Quality,
    novelty: Novelty,
    foil: str | None,
    arrays: dict[str, FloatArray],
) -> Estimate:
    settings = context.settings
    # The deployment's foil is part of the id even where a sweep's own channel was
    # subtracted: it still aligned energies.
    foil_sha256 = None if context.reference is None else context.reference.sha256
    return Estimate(
        id=estimate_id(
            spectrum.run, settings.profile_sha256, context.model.sha256, foil_sha256
        ),
        run=spectrum.run,
        sample=spectrum.sample,
        element=spectrum.element,
        edge=spectrum.edge,
        time=spectrum.time,
        descriptors=descriptors,
        verdict=verdict,
        reasons=reasons,
        quality=quality,
        novelty=novelty,
        conditions=spectrum.conditions,
        accounting=spectrum.accounting,
        provenance=Provenance(
            model=context.model.name,
            model_sha256=context.model.sha256,
            profile=settings.profile,
            profile_sha256=settings.profile_sha256,
            reference=foil,
            reference_sha256=foil_sha256,
            package=__version__,
        ),
        arrays=arrays,
    )


def _host(values: Tensor) -> FloatArray:
    return values.cpu().numpy()
