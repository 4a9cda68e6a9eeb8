"""Whether a sweep can be read at all, or the one reason why not."""

from dataclasses import replace

import numpy as np

from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.settings import EngineSettings
from xasnn_stream.spectrum import FloatArray, Reason, Spectrum

_MAX_RANGE_EV = 5000.0
"""No absorption scan is longer; energies beyond are an encoder gone wrong or in keV."""

ROLES = {"transmission": ("i0", "it"), "fluorescence": ("i0", "if")}
"""The channels that make the absorption of a mode."""


def doubt(
    spectrum: Spectrum, settings: EngineSettings, element: str, edge: str
) -> Reason | None:
    """Return why a sweep has no absorption of an edge, None if it has.

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
    if spectrum.mode and spectrum.mode not in ROLES:
        text = f"the run was measured in mode {spectrum.mode!r}, which is neither "
        return Reason("unknown_mode", text + " nor ".join(ROLES))
    settings = settings_of(spectrum, settings)
    if is_given(spectrum, settings):
        return _unusable(spectrum.energy_ev, {"mu": spectrum.channels["mu"]})
    roles = needed_roles(settings)
    missing = [role for role in roles if role not in spectrum.channels]
    if missing:
        return Reason("no_signal", f"no signal {' or '.join(missing)} in this run")
    detector = [role for role in roles if role != "i0"]
    shapes = {spectrum.channels[role].shape for role in detector}
    if len(shapes) > 1:
        text = f"{', '.join(detector)} of this run differ in their number of elements"
        return Reason("no_signal", text)
    counts = {role: _working(_net(spectrum, role)) for role in roles}
    return _unusable(spectrum.energy_ev, counts)


def settings_of(spectrum: Spectrum, settings: EngineSettings) -> EngineSettings:
    """Return the settings by which a sweep is read: a run may name its own mode."""
    mode = spectrum.mode
    if mode == "transmission" or mode == "fluorescence":
        return replace(settings, mode=mode)
    return settings


def needed_roles(settings: EngineSettings) -> tuple[str, ...]:
    """Return the channels without which there is no absorption."""
    if settings.mode == "fluorescence" and settings.cleaning.dead_time == "icr_ocr":
        return (*ROLES[settings.mode], "icr", "ocr")
    return ROLES[settings.mode]


def _working(readings: FloatArray) -> FloatArray:
    """Return the elements of a detector that can be summed, all if there are none."""
    if readings.ndim == 1:
        return readings
    finite = np.isfinite(readings).all(0)
    return readings[:, finite] if finite.any() else readings


def is_given(spectrum: Spectrum, settings: EngineSettings) -> bool:
    """Return whether absorption came as such: a stored spectrum without its counts."""
    return "mu" in spectrum.channels and not (
        set(ROLES[settings.mode]) <= set(spectrum.channels)
    )


def has_reference(spectrum: Spectrum, settings: EngineSettings) -> bool:
    """Return whether the sweep has a usable reference channel.

    A sample read by its fluorescence may let through enough for the foil behind it.
    """
    if is_given(spectrum, settings):
        stored = spectrum.channels.get("mu_reference")
        return stored is not None and bool(np.isfinite(stored).all())
    has_both = {"it", "ir"} <= set(spectrum.channels)
    return has_both and _counts(spectrum, "it", "ir")


def has_transmission(spectrum: Spectrum, settings: EngineSettings) -> bool:
    """Return whether fluorescence came with the light that the sample let through."""
    if settings.mode != "fluorescence" or is_given(spectrum, settings):
        return False
    return "it" in spectrum.channels and _counts(spectrum, "it", "i0")


def _counts(spectrum: Spectrum, *roles: str) -> bool:
    """Return whether readings are finite and above the dark level at all points."""
    counts = [_net(spectrum, role) for role in roles]
    return all(np.isfinite(c).all() and (c > 0).all() for c in counts)


def _net(spectrum: Spectrum, role: str) -> FloatArray:
    """Return readings less their dark level, of the amplifier's polarity and gain."""
    dark, scale = spectrum.offsets.get(role, 0.0), spectrum.scales.get(role, 1.0)
    return (spectrum.channels[role] - dark) * scale


def _unusable(energy: FloatArray, channels: dict[str, FloatArray]) -> Reason | None:
    if not len(energy):
        return Reason("too_few_points", "no points")
    for name, values in {"energy": energy, **channels}.items():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            return Reason(
                "not_finite", f"{bad} of {len(values)} values of {name} are no numbers"
            )
    for name, values in channels.items():
        bad = int(np.count_nonzero(values <= 0))
        if bad and name in ("i0", "it"):
            return Reason(
                f"{name}_not_positive",
                f"{bad} of {len(values)} values of {name} are not above the dark level",
            )
    return None


def out_of_range(
    points: int,
    span: tuple[float, float],
    settings: EngineSettings,
    element: str,
    edge: str,
) -> Reason | None:
    """Return why so many points over a span (eV) cannot be normalized about an edge."""
    quality = settings.quality
    if points < quality.min_points:
        text = f"{points} different energies; at least {quality.min_points} needed"
        return Reason("too_few_points", text)
    tabulated = edge_energy_ev(element, edge)
    assert tabulated is not None, "a model's edge is tabulated"  # noqa: S101 - invariant
    low, high = span
    below, above = tabulated - low, high - tabulated
    if max(below, above) > _MAX_RANGE_EV:
        far = f"energies from {low:.6g} to {high:.6g} are no scan in eV of "
        return Reason("wrong_energy", far + f"{element} {edge} at {tabulated:.0f} eV")
    runs = f"the scan runs from {low:.0f} to {high:.0f} eV"
    if min(below, above) < -quality.max_e0_shift_ev:
        return Reason(
            "wrong_edge", f"{runs}, {element} {edge} is at {tabulated:.0f} eV"
        )
    if below < quality.min_pre_edge_ev:
        need = f"{quality.min_pre_edge_ev:g} eV before the edge"
        return Reason("no_pre_edge", f"{runs}; {need} are needed to normalize")
    if above < quality.min_post_edge_ev:
        need = f"{quality.min_post_edge_ev:g} eV above the edge"
        return Reason("no_post_edge", f"{runs}; {need} are needed to normalize")
    return None
