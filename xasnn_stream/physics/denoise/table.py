"""The denoisers by name."""

from collections.abc import Mapping

from torch import Tensor

from xasnn_stream.physics.denoise.denoiser import Denoised, Denoiser
from xasnn_stream.physics.denoise.gaussian_process import gaussian_process
from xasnn_stream.physics.denoise.savitzky_golay import savitzky_golay
from xasnn_stream.physics.denoise.wavelet import wavelet
from xasnn_stream.physics.denoise.whittaker import whittaker


def none(
    energy: Tensor, mu: Tensor, valid: Tensor | None, noise: Tensor, e0: Tensor
) -> Denoised:
    """Return the spectra as they are."""
    del energy, valid, e0
    noise = noise if noise.dim() == 2 else noise.unsqueeze(-1).expand_as(mu)
    return Denoised(mu, noise.to(mu.dtype))


DENOISERS: Mapping[str, Denoiser] = {
    "none": none,
    "savitzky_golay": savitzky_golay,
    "whittaker": whittaker,
    "gaussian_process": gaussian_process,
    "wavelet": wavelet,
}
