"""Data reduction: from μ(E) to normalized μ, χ(k) and χ(R), batched."""

from dataclasses import dataclass

from torch import Tensor

from xasnn_stream.physics.exafs.background import BackgroundRemoved, autobk
from xasnn_stream.physics.exafs.fourier import ForwardTransformed, xftf
from xasnn_stream.physics.normalization.normalize import Normalized, normalize
from xasnn_stream.physics.settings import Reduction


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """Normalized μ, χ(k) above the background and χ(R) of a batch."""

    normalized: Normalized
    background: BackgroundRemoved
    transformed: ForwardTransformed


def reduce(
    energy: Tensor,
    mu: Tensor,
    valid: Tensor | None,
    settings: Reduction,
    e0: Tensor | None = None,
    limits: tuple[Tensor, Tensor] | None = None,
) -> Reduced:
    """Reduce spectra with larch's `pre_edge`, `autobk` and `xftf`.

    Parameters
    ----------
    energy, mu, valid
        `batch x points`, energies in eV and strictly ascending; or one grid for all,
        `(points,)` and valid None.
    e0, limits
        As for `normalize`.
    """
    normalized = normalize(energy, mu, valid, settings.normalization, e0, limits)
    background = autobk(
        energy, mu, valid, normalized.e0, normalized.edge_step, settings.background
    )
    transformed = xftf(background.k, background.chi, settings.transform)
    return Reduced(normalized, background, transformed)
