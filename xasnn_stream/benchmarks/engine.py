"""The ensemble in one batch beside its members one after the other, by turns.

Both compute what the engine asks of its networks, in its float64: means and variances
of all members. Sizes are those of a shipped model; what its weights are does not matter.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from xasnn_stream.allocator import keep_freed_memory
from xasnn_stream.engine.model import load_model
from xasnn_stream.networks.ensemble import Parameters, forward
from xasnn_stream.networks.layers import members_of
from xasnn_stream.shipped import model_folder

MODEL = "pt-l3-xanes"
MEMBERS = 12
BATCHES = (1, 8, 64, 512, 4096)

_ROUNDS = 9
_ROUND_S = 0.05


def ensemble(device: str, members: int = MEMBERS) -> dict[str, Tensor]:
    """Return parameters of the shipped sizes; its members are repeated if too few."""
    shipped = load_model(model_folder(MODEL), device).parameters
    chosen = torch.arange(members, device=device) % members_of(shipped)
    return {name: tensor[chosen] for name, tensor in shipped.items()}


def members_alone(parameters: Parameters) -> list[dict[str, Tensor]]:
    """Return each member as an ensemble of one."""
    return [
        {name: tensor[k : k + 1] for name, tensor in parameters.items()}
        for k in range(members_of(parameters))
    ]


def one_by_one(alone: Sequence[Parameters], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `forward` returns, member after member: the reference."""
    means, log_variances = zip(*(forward(one, inputs) for one in alone), strict=True)
    return torch.cat(means), torch.cat(log_variances)


def compare(parameters: Parameters, batch: int) -> dict[str, object]:
    """Measure a batch size both ways and return its line; the first calls do not count."""
    weight = parameters["skip.weight"]
    generator = torch.Generator().manual_seed(batch)
    inputs = torch.randn(batch, weight.shape[1], generator=generator).to(weight)
    ours = partial(forward, parameters, inputs)
    reference = partial(one_by_one, members_alone(parameters), inputs)
    calls = [
        max(1, round(_ROUND_S / _seconds(work, weight.device, 2)))
        for work in (ours, reference)
    ]
    rounds = [
        [
            _seconds(work, weight.device, count)
            for work, count in zip((ours, reference), calls, strict=True)
        ]
        for _ in range(_ROUNDS)
    ]
    mine, theirs = (
        batch / statistics.median(times) for times in zip(*rounds, strict=True)
    )
    return {
        "bench": "engine",
        "what": f"{members_of(parameters)} members",
        "device": weight.device.type,
        "batch": batch,
        "ours": {"spectra_per_s": round(mine, 1)},
        "reference": {"name": "one by one", "spectra_per_s": round(theirs, 1)},
        "ratio": round(mine / theirs, 2),
    }


def _seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    work()
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    _wait(device)
    return (time.perf_counter() - start) / repeats


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def lines(device: str) -> Iterator[dict[str, object]]:
    """Yield one line per batch size."""
    torch.set_num_threads(1)
    keep_freed_memory()
    parameters = ensemble(device)
    with torch.no_grad():
        for batch in BATCHES:
            yield compare(parameters, batch)


if __name__ == "__main__":
    for line in lines(sys.argv[1]):
        print(json.dumps(line), flush=True)
