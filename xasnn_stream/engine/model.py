"""A model is a folder that explains itself: read it, verify every hash, or refuse."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from xasnn_stream.errors import ModelError
from xasnn_stream.manifest import MANIFEST, Manifest, read_part, reading
from xasnn_stream.spectrum import FloatArray
from xasnn_stream.uncertainty.decomposition import Parts
from xasnn_stream.uncertainty.novelty import NoveltySpace

WEIGHTS = "ensemble.safetensors"

LEVEL = 0.9
"""Nominal coverage of the published interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded model; tensors in float64 on one device.

    `grid` (`bins`, eV) is relative to the position at which the foil's edge is put.
    `units` and `domain` (lowest and highest believable value) are by descriptor,
    `quantiles` maps a level to `outputs`. `correlation` is that of the descriptors'
    standardized errors, `outputs x outputs`, None if the manifest does not tell.
    `tensors` holds the ensemble's parameters, its standardization and the computed foil.
    """

    name: str
    sha256: str
    manifest: dict[str, Any]
    element: str
    edge: str
    descriptors: tuple[str, ...]
    units: Mapping[str, str]
    domain: Mapping[str, tuple[float, float]]
    tensors: dict[str, Tensor]
    grid: Tensor
    novelty: NoveltySpace
    quantiles: dict[float, Tensor]
    correlation: FloatArray | None
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

    def interval(self, parts: Parts, level: float) -> tuple[Tensor, Tensor]:
        """Return the lower and upper end of the calibrated interval, `batch x outputs`."""
        margin = self.quantiles[level] * parts.std
        return parts.value - margin, parts.value + margin


def load_model(folder: str | Path, device: str = "cpu", part: str = "") -> Model:
    """Read a model folder and verify it against its manifest.

    A model is of one edge: where the folder reads several, `part` names it, as `Pd_K`.

    Raises
    ------
    ModelError
        If the folder lacks a file, a hash differs, the manifest is of another kind, or
        it must be said which edge is meant.
    """
    manifest = read_part(folder, part)
    tensors = _tensors(manifest, device)
    with reading(manifest.folder / WEIGHTS):
        grid = tensors["grid"]
        novelty = NoveltySpace(
            *(tensors[f"novelty.{name}"] for name in NoveltySpace.__slots__)
        )
    with reading(manifest.folder / MANIFEST):
        calibration = manifest.document["calibration"]
        quantiles = _quantiles(calibration["quantiles"], manifest.descriptors, device)
        correlation = _correlation(calibration.get("correlation"), manifest.descriptors)
    model = Model(
        name=manifest.name,
        sha256=manifest.sha256,
        manifest=manifest.document,
        element=manifest.element,
        edge=manifest.edge,
        descriptors=manifest.descriptors,
        units=manifest.units,
        domain=manifest.domain,
        tensors=tensors,
        grid=grid,
        novelty=novelty,
        quantiles=quantiles,
        correlation=correlation,
        device=device,
    )
    if LEVEL not in model.quantiles:
        raise ModelError(f"{folder} is not calibrated at the published level {LEVEL:g}")
    return model


def _tensors(manifest: Manifest, device: str) -> dict[str, Tensor]:
    """Return the weights, once every file of the folder is what the manifest says."""
    contents: dict[str, bytes] = {}
    for name, expected in manifest.files.items():
        path = manifest.folder / name
        with reading(path):
            contents[name] = path.read_bytes()
        sha256 = hashlib.sha256(contents[name]).hexdigest()
        if sha256 != expected:
            raise ModelError(
                f"{path} does not match the manifest (sha256 {sha256[:12]}…, "
                f"expected {expected[:12]}…); restore the file or train again"
            )
    with reading(manifest.folder / MANIFEST):
        weights = contents[WEIGHTS]
    with reading(manifest.folder / WEIGHTS, SafetensorError):
        prefix = f"{manifest.part}." if manifest.part else ""
        return {
            name.removeprefix(prefix): tensor.to(device=device, dtype=torch.float64)
            for name, tensor in load(weights).items()
            if name.startswith(prefix)
        }


def _quantiles(
    found: dict[str, dict[str, float]], names: tuple[str, ...], device: str
) -> dict[float, Tensor]:
    return {
        float(level): torch.tensor(
            [values[name] for name in names], dtype=torch.float64, device=device
        )
        for level, values in found.items()
    }


def _correlation(
    found: list[list[float]] | None, names: tuple[str, ...]
) -> FloatArray | None:
    """Return a manifest's matrix; ValueError if it is no correlation of these names."""
    if found is None:
        return None
    matrix = np.array(found, float)
    if matrix.shape != (len(names), len(names)):
        raise ValueError(f"correlation of {matrix.shape} for {len(names)} descriptors")
    if not (np.allclose(matrix, matrix.T) and np.all(np.abs(matrix) <= 1)):
        raise ValueError("correlation is not a symmetric matrix of at most 1")
    return matrix
