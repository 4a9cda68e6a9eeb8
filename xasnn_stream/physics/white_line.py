"""The white line of an oxide: what no training spectrum has and novelty looks for."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class WhiteLine:
    """What an oxide adds to normalized μ: a Gaussian.

    Its place relative to the edge and its full width at half maximum in eV, its height
    in edge steps.
    """

    at_ev: float
    fwhm_ev: float
    height: float


OXIDE = WhiteLine(at_ev=3.5, fwhm_ev=7.0, height=0.25)
"""Of a full oxide, as high as measured on oxidized Pt/SiO₂: what simulation and evaluation
add. The one that a recipe has looked for differs, for no real oxide is as assumed."""


def white_line(x: Tensor, line: WhiteLine) -> Tensor:
    """Return height · exp(-4 ln 2 ((x - at) / fwhm)²) at `x`, eV relative to the edge."""
    offset = (x - line.at_ev) / line.fwhm_ev
    return line.height * torch.exp(-4 * math.log(2) * offset.square())
