"""A model is a folder that explains itself: read it, verify every hash, or refuse."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from xasnn_stream.errors import ModelError
from xasnn_stream.uncertainty.novelty import NoveltySpace

SCHEMA = "xasnn.model/1"
MANIFEST = "manifest.json"
WEIGHTS = "ensemble.safetensors"

LEVEL = 0.9
"""Nominal coverage of the published interval."""

_MALFORMED = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
    SafetensorError,
)
"""What reading a manifest of another form raises."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded model; tensors in float64 on one device.

    `grid` (`bins`, eV) is relative to the position at which the foil's edge is put.
    `units` and `domain` (lowest and highest believable value) are by descriptor,
    `quantiles` maps a level to `outputs`.
    `tensors` holds the ensemble's parameters, its standardization and the computed foil.
    """

    name: str
    sha256: str
    manifest: dict[str, Any]
    element: str
    edge: str
    descriptors: tuple[str, ...]
    units: dict[str, str]
    domain: dict[str, tuple[float, float]]
    tensors: dict[str, Tensor]
    grid: Tensor
    novelty: NoveltySpace
    quantiles: dict[float, Tensor]
    device: str

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The ensemble's stacked parameters."""
        prefix = "ensemble."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def load_model(folder: str | Path, device: str = "cpu") -> Model:
    """Read a model folder and verify it against its manifest.

    Raises
    ------
    ModelError
        If the folder lacks a file, a hash differs, or the manifest is of another kind.
    """
    folder = Path(folder)
    try:
        manifest_bytes = (folder / MANIFEST).read_bytes()
        manifest = json.loads(manifest_bytes)
        if manifest.get("schema") != SCHEMA:
            raise ModelError(f"{folder / MANIFEST}: schema is not {SCHEMA}")
        contents = {name: (folder / name).read_bytes() for name in manifest["files"]}
        for name, expected in manifest["files"].items():
            found = hashlib.sha256(contents[name]).hexdigest()
            if found != expected:
                raise ModelError(
                    f"{folder / name} does not match the manifest (sha256 {found[:12]}…, "
                    f"expected {expected[:12]}…); restore the file or train again"
                )
        tensors = {
            name: tensor.to(device=device, dtype=torch.float64)
            for name, tensor in load(contents[WEIGHTS]).items()
        }
        names = tuple(str(name) for name in manifest["descriptors"])
        model = Model(
            name=manifest["name"],
            sha256=hashlib.sha256(manifest_bytes).hexdigest(),
            manifest=manifest,
            element=manifest["element"],
            edge=manifest["edge"],
            descriptors=names,
            units={name: str(manifest["units"][name]) for name in names},
            domain={name: _pair(manifest["domain"][name]) for name in names},
            tensors=tensors,
            grid=tensors["grid"],
            novelty=NoveltySpace(
                *(tensors[f"novelty.{name}"] for name in NoveltySpace.__slots__)
            ),
            quantiles=_quantiles(manifest["calibration"]["quantiles"], names, device),
            device=device,
        )
    except ModelError:
        raise
    except _MALFORMED as error:
        raise ModelError(f"{folder} is not a model folder: {error!r}") from error
    if LEVEL not in model.quantiles:
        raise ModelError(f"{folder} is not calibrated at the published level {LEVEL:g}")
    return model


def _quantiles(
    found: dict[str, dict[str, float]], names: tuple[str, ...], device: str
) -> dict[float, Tensor]:
    return {
        float(level): torch.tensor(
            [values[name] for name in names], dtype=torch.float64, device=device
        )
        for level, values in found.items()
    }


def _pair(bounds: list[float]) -> tuple[float, float]:
    low, high = bounds
    return float(low), float(high)
