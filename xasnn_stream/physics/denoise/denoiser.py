"""What a denoiser is: a function of spectra, their noise and their edge."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """Denoised spectra, `batch x points`, in the unit of μ.

    `std` is one standard deviation of what noise remains in a point: of the posterior
    where the method has one, else the noise carried through the linear filter. None
    where the method cannot say.
    """

    mu: Tensor
    std: Tensor | None


class Denoiser(Protocol):
    """A denoising method; a network that denoises has the same form.

    `energy` (eV, strictly ascending) is `batch x points` with `valid` the measured
    prefix of each row, or `(points,)` with `valid` None. `mu` is `batch x points`,
    `e0` (eV) `batch`. `noise`, one standard deviation of a point in the unit of μ, is
    `batch x points`, or `batch` where all points of a row have the same. What lies
    beyond `valid`, and a row without e0, without noise or of fewer than twenty points, is
    returned as it came. A row depends on nothing but itself.
    """

    def __call__(
        self,
        energy: Tensor,
        mu: Tensor,
        valid: Tensor | None,
        noise: Tensor,
        e0: Tensor,
    ) -> Denoised:
        """Return the denoised spectra."""
        ...
