"""How `analyze` normalizes: as the shipped profile does, or as a short scan allows."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np

from xasnn_stream.analysis.sweep import PROFILE
from xasnn_stream.edges import edge_energy_ev
from xasnn_stream.engine.settings import EngineSettings, QualityLimits
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.spectrum import FloatArray

NORMALIZATION = Normalization(
    pre1=-150.0, pre2=-30.0, norm1=150.0, norm2=400.0, nnorm=1
)
"""Of the shipped profile, so that a file and a live run of it give the same numbers."""

_FAR_EV = 250.0
"""A post-edge line from 150 eV needs this much."""

SHORT_NOTE = "a scan or foil that ends within 250 eV above the edge: automatic ranges"


def reaches_far(energy_ev: FloatArray, element: str, edge: str) -> bool:
    """Return whether energies reach far enough for the shipped profile's ranges."""
    tabulated = edge_energy_ev(element, edge) or np.inf
    return bool(np.nanmax(energy_ev, initial=-np.inf) - tabulated >= _FAR_EV)


def settings_for(mode: str, far: bool) -> EngineSettings:
    """Return the settings of a mode; their hash is over all their values.

    Scans that do not reach far get larch's automatic ranges. The scale of fluorescence
    is arbitrary, and a step of any height is one; noise still is measured against it.
    """
    is_fluorescence = mode == "fluorescence"
    draft = EngineSettings(
        profile=PROFILE,
        profile_sha256="",
        mode="fluorescence" if is_fluorescence else "transmission",
        reference_first="deployment",
        normalization=NORMALIZATION if far else Normalization(),
        quality=QualityLimits(min_edge_step=0.0)
        if is_fluorescence
        else QualityLimits(),
    )
    canonical = json.dumps(asdict(draft), sort_keys=True, separators=(",", ":"))
    return replace(draft, profile_sha256=hashlib.sha256(canonical.encode()).hexdigest())
