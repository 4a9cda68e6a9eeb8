"""What cleans a scan does the same on every device and for single precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from xasnn_stream.physics.settings import Rebinning
from xasnn_stream.physics.signals.counts import channel_doubts
from xasnn_stream.physics.signals.glitches import find_glitches
from xasnn_stream.physics.signals.jumps import find_jumps, repair
from xasnn_stream.physics.signals.merge import merge
from xasnn_stream.physics.signals.order import mask, order
from xasnn_stream.physics.signals.rebin import rebin

E0 = 9000.0
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def scans() -> tuple[Tensor, Tensor, Tensor]:
    """Six scans of one sample: with a glitch, a jump, a shift, and one that ends early."""
    k = torch.arange(3.0, 12.0, 0.05, dtype=torch.float64)
    parts = (
        torch.arange(-150.0, -30.0, 5.0),
        torch.arange(-30.0, 34.0, 0.5),
        3.81 * k**2,
    )
    x = torch.cat(parts).double().repeat(6, 1)
    shifted = x - torch.tensor([0, 0, 0, 1.5, 0, 0]).double().unsqueeze(-1)
    k = (shifted.clamp(min=0) / 3.81).sqrt()
    mu = 0.5 + torch.atan(shifted / 1.5) / torch.pi + 0.1 * torch.sin(5 * k) / (1 + k)
    generator = torch.Generator().manual_seed(4)
    mu = mu + 1e-3 * torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    mu[0, 200] += 0.2
    mu[1, 250:] += 0.2
    valid = torch.ones_like(mu, dtype=torch.bool)
    valid[4, 180:] = False
    return E0 + x, mu, valid


def edges(energy: Tensor) -> Tensor:
    return torch.full_like(energy[:, 0], E0)


def cleaned(energy: Tensor, mu: Tensor, valid: Tensor) -> list[Tensor]:
    found = find_glitches(
        energy, mu, valid, i0=mu.exp(), mu_reference=mu, e0=edges(energy)
    )
    valid, energy, mu = mask(~found.found, valid, energy, mu)
    jumps = find_jumps(energy, mu, valid, edges(energy))
    mu = repair(energy, mu, jumps)
    return [found.reason, found.too_many, jumps.count, jumps.energy, jumps.size, mu]


def binned(energy: Tensor, mu: Tensor, valid: Tensor) -> list[Tensor]:
    result = rebin(energy, mu, valid, edges(energy), Rebinning())
    return [result.energy, result.mu, result.valid, result.noise, result.interpolated]


def averaged(energy: Tensor, mu: Tensor, valid: Tensor) -> list[Tensor]:
    result = merge(energy, mu, valid, edges(energy))
    return [result.energy, result.mu, result.noise, result.reason, result.shift]


def ordered(energy: Tensor, mu: Tensor, valid: Tensor) -> list[Tensor]:
    mixed = energy.clone()
    mixed[:, 10], mixed[:, 20] = energy[:, 12], energy[:, 10]
    result = order(mixed, valid, mu)
    return [result.energy, *result.curves, result.readings, result.back_steps]


def counted(energy: Tensor, mu: Tensor, valid: Tensor) -> list[Tensor]:
    readings = (1000 * mu).round()
    channels = torch.stack((readings, 0 * readings, readings.clamp(max=900)), -1)
    return [channel_doubts(channels, valid)]


STEPS = [cleaned, binned, averaged, ordered, counted]
Step = Callable[[Tensor, Tensor, Tensor], list[Tensor]]


@cuda
@pytest.mark.parametrize("step", STEPS)
def test_a_cuda_device_gives_what_the_processor_gives(step: Step):
    here, there = step(*scans()), step(*(t.cuda() for t in scans()))
    for expected, found in zip(here, there, strict=True):
        assert found.is_cuda
        torch.testing.assert_close(
            found.cpu(), expected, rtol=1e-9, atol=1e-9, equal_nan=True
        )


@pytest.mark.parametrize("step", [cleaned, binned, averaged, ordered])
def test_single_precision_gives_what_double_gives(step: Step):
    energy, mu, valid = scans()
    double, single = step(energy, mu, valid), step(energy, mu.float(), valid)
    for expected, found in zip(double, single, strict=True):
        torch.testing.assert_close(
            found.double(), expected.double(), rtol=0, atol=1e-3, equal_nan=True
        )


def test_a_scan_is_cleaned_as_it_was_meant():
    reason, too_many, count, *_ = cleaned(*scans())
    assert (reason > 0).nonzero().tolist() == [[0, 200]]
    assert not too_many.any()
    assert count.tolist() == [0, 1, 0, 0, 0, 0]


def test_an_empty_batch_stays_empty():
    energy, mu, valid = (t[:0] for t in scans())
    assert cleaned(energy, mu, valid)[-1].shape == mu.shape
    assert len(binned(energy, mu, valid)[1]) == 0
    assert len(ordered(energy, mu, valid)[0]) == 0


@pytest.mark.parametrize("left", [0, 1, 5, 14])
def test_rows_of_few_points_are_no_trouble_for_the_others(left):
    energy, mu, valid = scans()
    valid[2, left:] = False
    expected = cleaned(*(t[[0, 1, 3, 4, 5]] for t in scans()))
    for found, theirs in zip(cleaned(energy, mu, valid), expected, strict=True):
        torch.testing.assert_close(found[[0, 1, 3, 4, 5]], theirs, equal_nan=True)
    assert binned(energy, mu, valid)[1][0].isfinite().all()
    assert ordered(energy, mu, valid)[1][0].isfinite().all()
