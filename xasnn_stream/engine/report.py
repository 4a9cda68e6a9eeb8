"""From computed columns to estimates: quality checks, verdict, provenance."""

import math
from typing import cast

from torch import Tensor

from xasnn_stream import __version__
from xasnn_stream.engine.batch import Batch, Context
from xasnn_stream.engine.intake import Absorption
from xasnn_stream.engine.model import LEVEL, Model
from xasnn_stream.engine.verdict import Evidence, judge
from xasnn_stream.estimate import (
    Descriptor,
    Estimate,
    Novelty,
    Provenance,
    Quality,
    Verdict,
    estimate_id,
)
from xasnn_stream.spectrum import FloatArray, Reason, Spectrum


def report(
    context: Context, spectrum: Spectrum, absorption: Absorption, batch: Batch, row: int
) -> Estimate:
    """Return the estimate of one row, a rejection if its numbers cannot be used."""
    quality = _quality(batch, row, len(spectrum.energy_ev))
    problem = unusable(context, batch, row)
    if problem is not None:
        return reject(context, spectrum, problem, quality)
    descriptors = _descriptors(context.model, batch, row)
    novelty = Novelty(float(batch.novelty[row]), context.model.threshold)
    edge_shift = float(batch.edge_shift[row])
    verdict, reasons = judge(
        Evidence(
            complete=spectrum.run.complete,
            n_missed=spectrum.accounting.n_missed,
            novelty=cast("float", novelty.score),
            threshold=cast("float", novelty.threshold),
            beyond_domain=_beyond_domain(context.model, descriptors),
            foil=batch.foils[row],
            edge_shift_ev=None if math.isnan(edge_shift) else edge_shift,
            calibrated_axis=batch.own[row] is not None,
        )
    )
    points = len(absorption.energy_ev)
    return _final(
        context,
        spectrum,
        descriptors=descriptors,
        verdict=verdict,
        reasons=reasons,
        quality=quality,
        novelty=novelty,
        foil=batch.foils[row],
        arrays={
            "energy": absorption.energy_ev,
            "mu_normalized": _host(batch.sample.normalized.flat[row, :points]),
            "grid_energy": context.grid_energy,
            "grid_spectra": _host(batch.grid_spectra[row]),
        },
    )


def _quality(batch: Batch, row: int, n_points: int) -> Quality:
    sample = batch.sample
    shift = float(batch.axis_shift[row])
    return Quality(
        e0_ev=float(sample.normalized.e0[row]),
        e0_shift_ev=None if math.isnan(shift) else shift,
        edge_step=float(sample.normalized.edge_step[row]),
        noise=float(sample.noise[row]),
        n_points=n_points,
    )


def unusable(context: Context, batch: Batch, row: int) -> Reason | None:
    """Return why a computed row is rejected after all, None if it is not.

    The step is judged before the edge's position, which means nothing without a step.
    """
    limits = context.settings.quality
    e0, step, noise = (
        float(values[row])
        for values in (
            batch.sample.normalized.e0,
            batch.sample.normalized.edge_step,
            batch.sample.noise,
        )
    )
    edge = f"{context.model.element} {context.model.edge} at {context.edge_ev:.0f} eV"
    if not step >= limits.min_edge_step:
        text = f"edge step {step:.3g}; at least {limits.min_edge_step:g} needed"
        return Reason("no_step", text)
    if not noise <= limits.max_noise:
        text = f"noise {noise:.2g} of the edge step per point; at most "
        return Reason("too_noisy", text + f"{limits.max_noise:g}")
    if not abs(e0 - context.edge_ev) <= limits.max_e0_shift_ev:
        text = f"the steepest rise is at {e0:.1f} eV, far from {edge}"
        return Reason("wrong_edge", text)
    if not bool(batch.differences[row].isfinite().all()):
        grid = context.model.grid
        text = f"the model reads {grid[0]:+g} to {grid[-1]:+g} eV about the edge, "
        return Reason("range_too_short", text + "this scan or its foil does not")
    return None


def _descriptors(model: Model, batch: Batch, row: int) -> dict[str, Descriptor]:
    parts = batch.parts
    std = parts.std
    return {
        name: Descriptor(
            value=float(parts.value[row, k]),
            std=float(std[row, k]),
            std_model=float(parts.model[row, k]),
            std_noise=float(parts.noise[row, k]),
            std_ambiguity=float(parts.ambiguity[row, k]),
            interval=(float(batch.low[row, k]), float(batch.high[row, k])),
            level=LEVEL,
            unit=model.units[name],
        )
        for k, name in enumerate(model.descriptors)
    }


def _beyond_domain(model: Model, descriptors: dict[str, Descriptor]) -> tuple[str, ...]:
    return tuple(
        name
        for name, descriptor in descriptors.items()
        if not model.domain[name][0] <= descriptor.value <= model.domain[name][1]
    )


def reject(
    context: Context, spectrum: Spectrum, reason: Reason, quality: Quality | None = None
) -> Estimate:
    """Return the one estimate of a sweep that cannot be read, with its reason."""
    return _final(
        context,
        spectrum,
        descriptors={},
        verdict="rejected",
        reasons=(reason,),
        quality=quality or Quality(n_points=len(spectrum.energy_ev)),
        novelty=Novelty(),
        foil=None if context.reference is None else context.reference.name,
        arrays={},
    )


def _final(
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
