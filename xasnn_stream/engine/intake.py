"""From a sweep's raw channels to absorption, or to the one reason why not."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.physics.signals import fluorescence, merge_duplicates, transmission
from xasnn_stream.spectrum import FloatArray, Reason, Spectrum

_MAX_RANGE_EV = 5000.0
"""No absorption scan is longer; energies beyond are an encoder gone wrong or in keV."""

_FORMULAS: dict[str, tuple[str, str, Callable[..., FloatArray]]] = {
    "transmission": ("i0", "it", transmission),
    "fluorescence": ("i0", "if", fluorescence),
}


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """μ of a sample on ascending energies (eV), and of its own reference channel."""

    energy_ev: FloatArray
    mu: FloatArray
    reference_mu: FloatArray | None


def absorb(
    spectrum: Spectrum, settings: EngineSettings, element: str, edge: str
) -> Absorption | Reason:
    """Return the absorption of a sweep, or why it has none.

    `element` and `edge` are what the model was trained for. Whether the scan reaches far
    enough says `out_of_range`.
    """
    if spectrum.problem is not None:
        return spectrum.problem
    named = (spectrum.element, spectrum.edge)
    if named != (element, edge):
        return Reason(
            "wrong_edge",
            f"the run names {' '.join(named)}, the model reads {element} {edge}",
        )
    curves = _curves(spectrum, settings)
    if isinstance(curves, Reason):
        return curves
    energy, *curves = merge_duplicates(spectrum.energy_ev, *curves)
    return Absorption(energy, curves[0], curves[1] if len(curves) > 1 else None)


def _curves(spectrum: Spectrum, settings: EngineSettings) -> list[FloatArray] | Reason:
    """Return μ and, where the sweep has one, its reference channel's."""
    first, second, formula = _FORMULAS[settings.mode]
    missing = [role for role in (first, second) if role not in spectrum.channels]
    if missing and "mu" in spectrum.channels:
        return _given(spectrum)
    if missing:
        return Reason("no_signal", f"no signal {' or '.join(missing)} in this run")
    i0, signal = (_without_offset(spectrum, role) for role in (first, second))
    problem = _unusable(spectrum.energy_ev, {first: i0, second: signal})
    if problem is not None:
        return problem
    reference = _reference(spectrum)
    curves = [formula(i0, signal)]
    return curves if reference is None else [*curves, reference]


def _given(spectrum: Spectrum) -> list[FloatArray] | Reason:
    """Return absorption that came as such: stored spectra without their counts."""
    mu = spectrum.channels["mu"]
    problem = _unusable(spectrum.energy_ev, {"mu": mu})
    if problem is not None:
        return problem
    reference = spectrum.channels.get("mu_reference")
    if reference is None or not np.isfinite(reference).all():
        return [mu]
    return [mu, reference]


def _without_offset(spectrum: Spectrum, role: str) -> FloatArray:
    return spectrum.channels[role] - spectrum.offsets.get(role, 0.0)


def _unusable(energy: FloatArray, channels: dict[str, FloatArray]) -> Reason | None:
    if not len(energy):
        return Reason("too_few_points", "no points")
    for name, values in {"energy": energy, **channels}.items():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            return Reason("not_finite", f"{bad} of {len(values)} values of {name}")
    for name, values in channels.items():
        bad = int(np.count_nonzero(values <= 0))
        if bad and name not in ("if", "mu"):
            return Reason(
                f"{name}_not_positive",
                f"{bad} of {len(values)} values of {name} are not above the dark level",
            )
    return None


def _reference(spectrum: Spectrum) -> FloatArray | None:
    """Return ln(It/Ir) if the sweep has a usable reference channel.

    A sample read by its fluorescence may let through enough for the foil behind it.
    """
    if not {"it", "ir"} <= set(spectrum.channels):
        return None
    it, ir = (_without_offset(spectrum, role) for role in ("it", "ir"))
    for values in (it, ir):
        if not (np.isfinite(values).all() and (values > 0).all()):
            return None
    return transmission(it, ir)


def out_of_range(
    energy: FloatArray, settings: EngineSettings, element: str, edge: str
) -> Reason | None:
    """Return why ascending energies (eV) cannot be normalized about an edge."""
    quality = settings.quality
    if len(energy) < quality.min_points:
        text = f"{len(energy)} different energies; at least {quality.min_points} needed"
        return Reason("too_few_points", text)
    tabulated = edge_energy_ev(element, edge)
    assert tabulated is not None, "a model's edge is tabulated"  # noqa: S101 - invariant
    below, above = tabulated - energy[0], energy[-1] - tabulated
    if max(below, above) > _MAX_RANGE_EV:
        far = f"energies from {energy[0]:.0f} to {energy[-1]:.0f} are no scan in eV of "
        return Reason("wrong_energy", far + f"{element} {edge} at {tabulated:.0f} eV")
    span = f"the scan runs from {energy[0]:.0f} to {energy[-1]:.0f} eV"
    if min(below, above) < -quality.max_e0_shift_ev:
        return Reason(
            "wrong_edge", f"{span}, {element} {edge} is at {tabulated:.0f} eV"
        )
    if below < quality.min_pre_edge_ev:
        need = f"{quality.min_pre_edge_ev:g} eV before the edge"
        return Reason("no_pre_edge", f"{span}; {need} are needed to normalize")
    if above < quality.min_post_edge_ev:
        need = f"{quality.min_post_edge_ev:g} eV above the edge"
        return Reason("no_post_edge", f"{span}; {need} are needed to normalize")
    return None
