"""Step scans of the simulated beamline, by its devices, its plan and a RunEngine."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xasnn_stream.errors import UsageError
from xasnn_stream.simulation.documents.beam import rates
from xasnn_stream.simulation.documents.sample import (
    Sample,
    directions,
    sample_of,
    shares,
)
from xasnn_stream.simulation.documents.truth import (
    Direction,
    Documents,
    Generated,
    Order,
)

FLUX, DARK = 1e8, 900.0
"""Counts per second of i0, and of every chamber in the dark."""

FIRST_K, LAST_K = 300.0, 573.0


class SampledPhotons:
    """What the chambers of the simulated beamline see of a sample."""

    def __init__(self, order: Order, sample: Sample, share: float) -> None:
        self._order, self._sample, self._share = order, sample, share
        self._rng = np.random.default_rng(order.seed)
        self._time_s = 0.0

    def expose(
        self, energy_ev: float, dwell_s: float, beam: bool
    ) -> Mapping[str, float]:
        """Return one reading per channel, in counts/s; `beam` is False in the dark."""
        self._time_s += dwell_s
        seen = rates(
            self._sample,
            np.array([energy_ev]),
            np.array([self._time_s]),
            self._share,
            self._order.noise,
            self._rng,
        )
        flux = FLUX * beam
        chambers = {"i0": seen.i0, "it": seen.it, "ir": seen.ir}
        return {name: flux * float(c[0]) + DARK for name, c in chambers.items()}


def generate(order: Order) -> Generated:
    """Return `order.sweeps` runs, up and down in turn, each warmer than the one before.

    Their ids and times are a RunEngine's own.

    Raises
    ------
    UsageError
        If fluorescence is asked for: the simulated beamline has no detector of it.
    """
    if order.mode != "transmission":
        raise UsageError("sim-step measures transmission only")
    # Imported here: Bluesky takes a second, and the other shapes do without.
    from xasnn_stream.simulation.experiment import experiment, run_plan

    sample = sample_of(order.element)
    documents: Documents = []
    generated = Generated(documents, [])
    kelvins = np.linspace(FIRST_K, LAST_K, order.sweeps)
    ways = zip(directions(order), shares(order), kelvins, strict=True)
    with experiment() as engine:
        engine.subscribe(lambda name, doc: documents.append((name, dict(doc))))
        for direction, share, kelvin in ways:
            kelvin = round(float(kelvin), 1)
            run_plan(engine, _scan(order, sample, direction, float(share), kelvin))
            uid = next(doc["uid"] for name, doc in documents[::-1] if name == "start")
            conditions = {"temperature_k": kelvin}
            generated.truth.append(
                sample.truth(uid, 0, direction, order.mode, float(share), conditions)
            )
    return generated


def _scan(
    order: Order, sample: Sample, direction: Direction, share: float, kelvin: float
) -> Any:
    """Return the plan of one run."""
    from xasnn_stream.simulation.beamline import build_station
    from xasnn_stream.simulation.plans import Region, edge_regions, xas_step_scan

    photons = SampledPhotons(order, sample, share)
    station = build_station(photons, rng=np.random.default_rng(order.seed))
    regions = list(edge_regions(sample.edge_ev))
    if direction == "down":
        regions = [Region(r.energies_ev[::-1], r.dwell_s) for r in regions[::-1]]
    return xas_step_scan(
        station,
        regions,
        element=sample.element,
        edge=sample.edge,
        sample=f"{sample.element}/C",
        metadata={"temperature_k": kelvin},
    )
