"""Documents and files as beamlines make them, of a sample whose μ(E) is known.

Written after descriptions of the formats, without anything that reads them: what is
made here and what is read elsewhere check each other.
"""

from collections.abc import Mapping

SHAPES: Mapping[str, str] = {
    "bmm-step": "bmm_step",
    "iss-fly": "iss_fly",
    "dls-fly": "dls_fly",
    "sim-step": "sim_step",
    "sim-quick": "sim_quick",
}
"""Modules of this package by the names of their profiles; see `shapes.generate`."""
