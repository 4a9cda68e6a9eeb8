"""Standard deviations of curves, by the noise of the points they were made of."""

from dataclasses import dataclass

from torch import Tensor

from xasnn_stream.physics.noise.chi_propagation import propagate_chi
from xasnn_stream.physics.noise.propagation import NoiseOfNormalized
from xasnn_stream.physics.normalization.normalize import Normalized
from xasnn_stream.physics.settings import Background
from xasnn_stream.reduction.curves import Curves


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Of `norm` and `flat`, `batch x points`, and of `chi`, `batch x nk`, if asked for."""

    norm: Tensor
    flat: Tensor
    chi: Tensor | None


def errors_of(
    curves: Curves,
    normalized: Normalized,
    noise: NoiseOfNormalized,
    fitted_step: Tensor,
    background: tuple[Background, Tensor] | None,
) -> Errors:
    """Return the standard deviations of a batch.

    `noise` is in units of the step that was fitted, `fitted_step` (`batch`); where another
    one was foreseen, as of a scan that ends early, its error comes on top. `background`
    and its highest k (`batch`) are as given to `autobk`; without them χ has no error.
    """
    scale = (fitted_step / normalized.edge_step).abs().unsqueeze(-1)
    chi = None
    if background is not None:
        settings, kmax = background
        chi = propagate_chi(
            curves.energy,
            curves.mu,
            curves.valid,
            curves.noise,
            normalized.e0,
            normalized.edge_step,
            settings,
            kmax,
            normalized.edge_step_per_mu,
        ).std
    return Errors(noise.norm * scale, noise.flat * scale, chi)
