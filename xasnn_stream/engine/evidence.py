"""What the verdict on one estimate is made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from xasnn_stream.engine.batch import Batch
from xasnn_stream.engine.context import Context
from xasnn_stream.engine.intake import ROLES, has_reference, is_given, needed_roles
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.estimate import Descriptor
from xasnn_stream.physics.signals.counts import CHANNEL_REASONS, PLATEAU, USED
from xasnn_stream.physics.signals.single import plateau
from xasnn_stream.spectrum import FloatArray, Run, Spectrum
from xasnn_stream.uncertainty.novelty import TESTS

_MAX_SPACING_EV = 5.0
"""Between two points that the networks read across; a core hole is 5 eV wide."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found; shifts in eV and None where unknown.

    `novelty` holds the tests' scores. Of values `beyond_domain` only the `decisive` one,
    which a spectrum tells best, makes a sample no metal. `expected_shift_ev` is where
    edges of particles lie against the foil's. `glitches` are energies (eV) of points that
    leave the curve, `jumps` energies and heights (in edge steps), `gap` the
    ends of a range without points, `spacing` how far apart points of sweep and foil are
    about the edge, `clipped` the channels that stand still at their end,
    `foreseen_step_std` the relative error of an edge step that had to be foreseen,
    `elements` those of a detector that could not be summed, with the reason. `damping` is
    the factor and its error by which fluorescence is damped, `thickness` the edge step in
    transmission, `excess` how often larger the noise is than counts explain. Channels of
    `unknown_offsets` have no dark level in the run that should say it. Of those
    `saturated` and `weak` is said how many points were; `named_shift_ev` is how far the
    run says that its edge is from the tabulated one, where that is too far.
    """

    run: Run
    n_missed: int
    novelty: dict[str, float]
    beyond_domain: tuple[str, ...]
    decisive: str
    foil: str | None
    edge_shift_ev: float | None
    expected_shift_ev: float
    axis_shift_ev: float | None
    calibrated_axis: bool
    glitches: tuple[float, ...]
    jumps: tuple[tuple[float, float], ...]
    gap: tuple[float, float] | None
    spacing: tuple[float, float]
    clipped: tuple[str, ...]
    foreseen_step_std: float | None
    elements: tuple[tuple[int, str], ...]
    damping: tuple[float, float] | None
    thickness: float | None
    excess: float | None
    unknown_offsets: tuple[str, ...]
    saturated: Mapping[str, int]
    weak: Mapping[str, int]
    named_shift_ev: float | None


def gather(
    context: Context,
    spectrum: Spectrum,
    batch: Batch,
    row: int,
    descriptors: dict[str, Descriptor],
) -> Evidence:
    """Collect what speaks for and against one row of a batch."""
    energy = batch.energy_ev(row)
    outliers = batch.outliers[row, : len(energy)].cpu().numpy()
    glitches = {*energy[outliers].tolist(), *batch.cleaned.doubted_ev(row)}
    saturated, weak = untrusted(spectrum, context.settings)
    return Evidence(
        run=spectrum.run,
        n_missed=spectrum.accounting.n_missed,
        novelty=dict(zip(TESTS, batch.novelty[row].tolist(), strict=True)),
        beyond_domain=tuple(
            name
            for name, (low, high) in context.model.domain.items()
            if not low <= descriptors[name].value <= high
        ),
        decisive=context.model.descriptors[0],
        foil=batch.foil[row],
        edge_shift_ev=_known(float(batch.edge_shift[row])),
        expected_shift_ev=float(context.model.novelty.edge_shift),
        axis_shift_ev=_known(float(batch.axis_shift[row])),
        calibrated_axis=bool(batch.referenced[row]),
        glitches=tuple(sorted(glitches)),
        jumps=_jumps(batch, row),
        gap=_gap(
            context, batch.cleaned.kept_ev(row), float(batch.sample.position[row])
        ),
        spacing=(float(batch.spacing[row, 0]), float(batch.spacing[row, 1])),
        foreseen_step_std=_foreseen(batch, row),
        elements=_broken(context.settings, batch, row),
        damping=_damping(batch, row),
        thickness=_thickness(context, spectrum, batch, row),
        excess=_known(float(batch.sample.excess[row])),
        unknown_offsets=tuple(
            role
            for role in spectrum.unknown_offsets
            if role in _read(spectrum, context.settings)
        ),
        saturated=saturated,
        weak=weak,
        named_shift_ev=_named_shift(context, spectrum),
        clipped=tuple(
            role
            for role, readings in spectrum.channels.items()
            if role in _read(spectrum, context.settings)
            and readings.ndim == 1
            and PLATEAU <= plateau(readings) < len(readings)
        ),
    )


def untrusted(
    spectrum: Spectrum, settings: EngineSettings
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many points are too large, and too small, by channel that has any.

    Only channels that are read count, and a point of several elements once.
    """
    saturated, weak = dict[str, int](), dict[str, int]()
    read = _read(spectrum, settings)
    for role, (low, high) in settings.ranges.items():
        if role in read & spectrum.channels.keys():
            size = np.abs(spectrum.channels[role])
            size = size.reshape(len(size), -1)
            saturated[role] = int((size >= high).any(1).sum())
            weak[role] = int((size < low).any(1).sum())
    return _positive(saturated), _positive(weak)


def _read(spectrum: Spectrum, settings: EngineSettings) -> set[str]:
    """Return the channels that the estimate rests on; others may be as they like."""
    read = {*needed_roles(settings)}
    return read | {"it", "ir"} if has_reference(spectrum, settings) else read


def _positive(counts: dict[str, int]) -> dict[str, int]:
    return {role: count for role, count in counts.items() if count}


def _named_shift(context: Context, spectrum: Spectrum) -> float | None:
    if spectrum.e0_ev is None:
        return None
    shift = spectrum.e0_ev - context.edge_ev
    return None if abs(shift) <= context.settings.quality.max_e0_shift_ev else shift


def _foreseen(batch: Batch, row: int) -> float | None:
    sample = batch.sample
    return float(sample.step_error[row]) if sample.foreseen[row] else None


def _damping(batch: Batch, row: int) -> tuple[float, float] | None:
    factor, std = batch.amplitude.damping[row], batch.amplitude.std[row]
    return None if math.isnan(factor) else (float(factor), float(std))


def _thickness(
    context: Context, spectrum: Spectrum, batch: Batch, row: int
) -> float | None:
    """Return the edge step of counted transmission, which is in units of μ·t."""
    settings = context.settings
    if settings.mode != "transmission" or is_given(spectrum, settings):
        return None
    return float(batch.sample.normalized.edge_step[row])


def _broken(
    settings: EngineSettings, batch: Batch, row: int
) -> tuple[tuple[int, str], ...]:
    codes = batch.cleaned.absorption.elements[row].tolist()
    excluded = settings.excluded.get(ROLES[settings.mode][1], ())
    numbers = (n for n in count() if n not in excluded)
    return tuple(
        (n, CHANNEL_REASONS[code])
        for n, code in zip(numbers, codes, strict=False)
        if code != USED
    )


def _jumps(batch: Batch, row: int) -> tuple[tuple[float, float], ...]:
    """Return the energies and heights, in edge steps, of a row's jumps."""
    found, step = batch.cleaned.jumps, float(batch.sample.normalized.edge_step[row])
    pairs = zip(found.energy[row].tolist(), found.size[row].tolist(), strict=True)
    return tuple((at, size / step) for at, size in pairs if not math.isnan(at))


def _gap(
    context: Context, energy: FloatArray, position: float
) -> tuple[float, float] | None:
    """Return the widest gap the networks would read across, None if none is wide."""
    model = context.model
    grid = model.grid.cpu().numpy() + position - float(model.tensors["edge_at"])
    read = (energy[1:] > grid[0]) & (energy[:-1] < grid[-1])
    spacing = np.where(read, np.diff(energy), 0.0)
    widest = int(spacing.argmax())
    if spacing[widest] <= _MAX_SPACING_EV:
        return None
    return float(energy[widest]), float(energy[widest + 1])


def _known(shift: float) -> float | None:
    return None if math.isnan(shift) else shift
