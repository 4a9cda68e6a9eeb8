"""The ensemble in one batch beside its members one after the other, by turns.

Two computations in the engine's float64: what every estimate takes, values and all parts
of their uncertainty; and the networks alone, means and variances of all members. Sizes
are those of a shipped model; what its weights are does not matter.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xasnn_stream.allocator import keep_freed_memory
from xasnn_stream.engine.inference import (
    Differences,
    Scaling,
    decompose,
    features,
    noise_level,
    scaling_of,
)
from xasnn_stream.engine.model import load_model
from xasnn_stream.networks.ensemble import Parameters, forward
from xasnn_stream.networks.layers import members_of
from xasnn_stream.shipped import model_folder
from xasnn_stream.uncertainty.decomposition import Parts, independent

MODEL = "pt-l3-xanes"
MEMBERS = 12
BATCHES = (1, 8, 64, 512, 4096)
_NOISE = 1e-3

_ROUNDS = 5
_ROUND_S = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Parameters of all members, and those of each as an ensemble of one."""

    together: Parameters
    alone: Sequence[Parameters]
    scaling: Scaling


def ensemble(device: str, members: int = MEMBERS) -> Ensemble:
    """Return an ensemble of the shipped sizes; its members are repeated if too few."""
    model = load_model(model_folder(MODEL), device)
    shipped = model.parameters
    chosen = torch.arange(members, device=device) % members_of(shipped)
    together = {name: tensor[chosen] for name, tensor in shipped.items()}
    return Ensemble(together, members_alone(together), scaling_of(model.tensors))


def members_alone(parameters: Parameters) -> list[Parameters]:
    """Return each member as an ensemble of one."""
    return [
        {name: tensor[k : k + 1] for name, tensor in parameters.items()}
        for k in range(members_of(parameters))
    ]


def networks_one_by_one(of: Ensemble, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `forward` returns, member after member: a reference."""
    found = [forward(one, inputs) for one in of.alone]
    means, log_variances = zip(*found, strict=True)
    return torch.cat(means), torch.cat(log_variances)


def parts_one_by_one(of: Ensemble, differences: Differences) -> Parts:
    """Return what `decompose` returns of bins with independent noise: a reference.

    Every member gives its means, its variance at noise zero and its Jacobian.
    """
    level = noise_level(differences.noise)
    inputs = features(of.scaling, differences.values, level)
    quiet = features(of.scaling, differences.values, torch.zeros_like(level))
    means, variances, jacobians = list[Tensor](), list[Tensor](), list[Tensor]()
    for one in of.alone:
        means.append(forward(one, inputs)[0])
        variances.append(forward(one, quiet)[1].exp())
        jacobians.append(_jacobian(one, of.scaling, differences.values, level))
    scale = of.scaling.output_scale
    mean = torch.cat(means) * scale + of.scaling.output_mean
    white = independent(differences.noise)
    return Parts(
        value=mean.mean(0),
        model=mean.std(0),
        noise=white(torch.stack(jacobians).mean(0)),
        ambiguity=torch.cat(variances).mean(0).sqrt() * scale,
    )


def _jacobian(
    one: Parameters, scaling: Scaling, values: Tensor, level: Tensor
) -> Tensor:
    values = values.detach().requires_grad_(True)
    with torch.enable_grad():
        mean, _ = forward(one, features(scaling, values, level))
        rows = [
            torch.autograd.grad(column.sum(), values, retain_graph=True)[0]
            for column in (mean[0] * scaling.output_scale).unbind(-1)
        ]
    return torch.stack(rows, 1)


def measurements(of: Ensemble, batch: int) -> Differences:
    """Return differences of random values; the two edges have the same position."""
    bins = of.scaling.input_mean
    generator = torch.Generator().manual_seed(batch)
    drawn = torch.randn(batch, len(bins), generator=generator).to(bins)
    values = bins + of.scaling.input_scale * drawn
    return Differences(
        values=values,
        noise=torch.full_like(values, _NOISE),
        directions=values.new_zeros(batch, 0, len(bins)),
        edge_shift=values.new_zeros(batch),
    )


def compare(of: Ensemble, batch: int) -> Iterator[dict[str, object]]:
    """Measure a batch size both ways and yield its lines; first calls do not count."""
    seen = measurements(of, batch)
    inputs = features(of.scaling, seen.values, noise_level(seen.noise))
    yield _line(
        f"{len(of.alone)} members, estimates",
        seen.values,
        lambda: decompose(of.together, of.scaling, seen),
        lambda: parts_one_by_one(of, seen),
    )
    yield _line(
        f"{len(of.alone)} members, networks alone",
        seen.values,
        lambda: forward(of.together, inputs),
        lambda: networks_one_by_one(of, inputs),
    )


def _line(
    what: str,
    values: Tensor,
    ours: Callable[[], object],
    reference: Callable[[], object],
) -> dict[str, object]:
    batch, device = len(values), values.device
    sides = (ours, reference)
    for side in sides:
        side()
    _wait(device)
    calls = [max(1, round(_ROUND_S / _seconds(side, device, 1))) for side in sides]
    rounds = [
        [_seconds(side, device, n) for side, n in zip(sides, calls, strict=True)]
        for _ in range(_ROUNDS)
    ]
    mine, theirs = (
        batch / statistics.median(side) for side in zip(*rounds, strict=True)
    )
    return {
        "bench": "engine",
        "what": what,
        "device": device.type,
        "batch": batch,
        "ours": {"spectra_per_s": round(mine, 1)},
        "reference": {"name": "one by one", "spectra_per_s": round(theirs, 1)},
        "ratio": round(mine / theirs, 2),
    }


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lines(device: str) -> Iterator[dict[str, object]]:
    """Yield two lines per batch size."""
    torch.set_num_threads(1)
    keep_freed_memory()
    of = ensemble(device)
    with torch.no_grad():
        for batch in BATCHES:
            yield from compare(of, batch)


if __name__ == "__main__":
    for line in lines(sys.argv[1]):
        print(json.dumps(line), flush=True)
