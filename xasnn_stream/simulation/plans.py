"""The plans of the simulated beamline, as a beamline scientist would write them."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np

from xasnn_stream.physics.instrument import HC2_OVER_2M_EV_A2
from xasnn_stream.simulation.devices import EnergyAxis, IonChambers, Shutter
from xasnn_stream.spectrum import FloatArray

Plan = Generator[Any, Any, Any]

DARK_READINGS = 4
DARK_DWELL_S = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A stretch of a step scan: energies in eV and the exposure at each, in seconds."""

    energies_ev: FloatArray
    dwell_s: float


@dataclass(frozen=True, slots=True)
class Station:
    """The devices a scan needs."""

    energy: EnergyAxis
    chambers: IonChambers
    shutter: Shutter


def edge_regions(edge_ev: float, seconds_per_ev: float = 0.25) -> tuple[Region, ...]:
    """Return the grid of a step scan about an edge, -150 to +420 eV, about 310 points.

    Steps of 0.5 eV over the edge and 1 eV to +120 eV, exposed in proportion to the
    step; beyond, equal steps of 0.05 1/Å in k with the exposure of 1 eV.
    """
    k_start, k_stop = (np.sqrt(x / HC2_OVER_2M_EV_A2) for x in (120.0, 420.0))
    k = np.arange(k_start, k_stop, 0.05)
    parts = (
        (np.arange(-150.0, -30.0, 6.0), 1.0),
        (np.arange(-30.0, -20.0, 2.0), 1.0),
        (np.arange(-20.0, 30.0, 0.5), 0.5),
        (np.arange(30.0, 120.0, 1.0), 1.0),
        (HC2_OVER_2M_EV_A2 * k**2, 1.0),
    )
    return tuple(Region(edge_ev + x, seconds_per_ev * step) for x, step in parts)


def measure_dark(station: Station) -> Generator[Any, Any, dict[str, float]]:
    """Close the shutter, read the chambers a few times, open it; return the means."""
    chambers = station.chambers
    yield from bps.mv(station.shutter.open, 0, chambers.dwell, DARK_DWELL_S)
    levels = dict.fromkeys(chambers.read_attrs, 0.0)
    for _ in range(DARK_READINGS):
        # ophyd's statuses are what Bluesky waits for, though their stubs disagree.
        yield from bps.trigger(chambers, wait=True)  # pyright: ignore[reportArgumentType]
        for channel in levels:
            reading = yield from bps.rd(getattr(chambers, channel))
            levels[channel] += reading / DARK_READINGS
    yield from bps.mv(station.shutter.open, 1)
    return levels


def xas_step_scan(
    station: Station,
    regions: Sequence[Region],
    *,
    element: str,
    edge: str,
    sample: str,
    dark: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> Plan:
    """Measure one spectrum point by point: one run, one `primary` event per energy.

    The start document announces `num_points` and, unless `dark` is False, the dark
    level of every channel as measured just before the run.
    """
    start: dict[str, Any] = {
        "plan_name": "xas_step_scan",
        "element": element,
        "edge": edge,
        "sample": sample,
        "mode": "transmission",
        "num_points": sum(len(region.energies_ev) for region in regions),
        **(metadata or {}),
    }
    if dark:
        start["dark"] = yield from measure_dark(station)
    devices = [station.energy, station.chambers]

    @bpp.stage_decorator(devices)
    @bpp.run_decorator(md=start)
    def scan() -> Plan:
        for region in regions:
            yield from bps.mv(station.chambers.dwell, region.dwell_s)
            for energy_ev in region.energies_ev:
                yield from bps.mv(station.energy, float(energy_ev))
                yield from bps.trigger_and_read(devices)

    return (yield from scan())
