"""The three parts of a standard deviation.

model
    Spread of the ensemble members: what another training would have said (epistemic).
noise
    Counting noise of this scan and its foil, and the error of the edge step it causes,
    propagated through the ensemble's mean to first order.
ambiguity
    What remains at zero noise: different structures or nuisances, same spectrum. It is
    the heteroscedastic head evaluated at noise zero; at the true noise it would count
    the noise a second time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Value and standard deviations, each `batch x outputs`, in the descriptors' units."""

    value: Tensor
    model: Tensor
    noise: Tensor
    ambiguity: Tensor

    @property
    def std(self) -> Tensor:
        """Root of the sum of squares of the parts."""
        return (self.model**2 + self.noise**2 + self.ambiguity**2).sqrt()


White = Callable[[Tensor], Tensor]
"""Maps a Jacobian, `batch x outputs x bins`, to the standard deviation that uncorrelated
counting noise causes in the outputs, `batch x outputs`."""


def independent(noise: Tensor) -> White:
    """Return the rule for bins with independent noise, `batch x bins`."""
    return lambda jacobian: (jacobian * noise.unsqueeze(1)).norm(dim=-1)


def propagate(
    mean: Callable[[Tensor], Tensor],
    difference: Tensor,
    white: White,
    directions: Tensor,
) -> Tensor:
    """Propagate input errors through a function to first order, `batch x outputs`.

    Parameters
    ----------
    mean
        Maps `batch x bins` to `batch x outputs`, each row by itself.
    white
        What counting noise does; see `independent`.
    directions
        Fully correlated errors as one-standard-deviation curves,
        `batch x errors x bins`: a wrong edge step moves every bin together.
    """
    difference = difference.detach().requires_grad_(True)
    with torch.enable_grad():
        outputs = mean(difference)
        rows = [
            torch.autograd.grad(column.sum(), difference, retain_graph=True)[0]
            for column in outputs.unbind(-1)
        ]
    jacobian = torch.stack(rows, 1)
    together = (jacobian @ directions.transpose(1, 2)).square().sum(-1)
    return (white(jacobian).square() + together).sqrt()
