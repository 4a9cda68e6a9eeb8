"""Sweeps made from library particles with the instrument's physics, not the engine's."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from xasnn_stream.engine.foil import Foil
from xasnn_stream.engine.resident import Engine
from xasnn_stream.engine.settings import EngineSettings, QualityLimits
from xasnn_stream.library import Library, form, read_library
from xasnn_stream.physics.instrument import broaden, distort_energy
from xasnn_stream.physics.settings import Normalization
from xasnn_stream.shipped import shipped_folder
from xasnn_stream.spectrum import Run, Spectrum

E0 = 11564.0
MODELS = shipped_folder("models")
SETTINGS = EngineSettings(
    profile="sim-step",
    profile_sha256="c" * 64,
    reference_first="deployment",
    # Below the end of the model's window, which is then the one to ask for more.
    quality=QualityLimits(min_post_edge_ev=40),
    normalization=Normalization(pre1=-150, pre2=-30, norm1=50, norm2=400, nnorm=2),
)
AXIS = E0 + np.concatenate(
    (np.arange(-200, -30, 5.0), np.arange(-30, 60, 0.5), np.arange(60, 451, 2.0))
)
RUN = Run(
    uid="run-1",
    scan_id=1,
    sweep=0,
    direction="up",
    progress=1.0,
    final=True,
    complete=True,
    source="test",
)


@pytest.fixture
def one_scan(monkeypatch):
    """The noise part of counting alone: no error between two scans is added."""
    monkeypatch.setattr("xasnn_stream.engine.measure._BETWEEN_SCANS", 0.0)


@pytest.fixture(scope="session")
def library() -> Library:
    return read_library(MODELS / "libraries" / "Pt_L3.npz")


@pytest.fixture(scope="session")
def absorption(library) -> Callable[..., np.ndarray]:
    """A function: μ of a particle on energies, on a sloped and bent background."""

    def measured(
        particle: str,
        energy: np.ndarray = AXIS,
        *,
        shift: float = 0.0,
        step: float = 1.1,
        noise: float = 0.0,
        seed: int = 0,
    ) -> np.ndarray:
        x = torch.from_numpy(library.x)
        mu = torch.from_numpy(form(library, particle).mu)
        mu = broaden(mu, x, torch.tensor(1.0, dtype=x.dtype))
        one = torch.tensor(1.0, dtype=x.dtype)
        mu = distort_energy(mu, x, shift * one, one).numpy()
        relative = energy - E0
        # Beyond the library an atom: no pre-edge tail, no fine structure.
        edge = np.interp(relative, library.x, mu)
        tail = np.exp(np.minimum(relative + 10, 0) / 3)
        rest = np.exp(-np.maximum(relative - 118, 0) / 20)
        flat = (1 + (edge - 1) * rest) * tail
        background = 0.6 - 4e-4 * relative + 2e-7 * relative**2
        white = np.random.default_rng(seed).normal(0, 1, len(energy))
        return background + step * flat + noise * step * white

    return measured


@pytest.fixture(scope="session")
def sweep(absorption) -> Callable[..., Spectrum]:
    """A function: the sweep of a particle as counted by ion chambers."""

    def make(
        particle: str = "to38",
        *,
        energy: np.ndarray = AXIS,
        mu: np.ndarray | None = None,
        channels: Mapping[str, np.ndarray] | None = None,
        **changes: object,
    ) -> Spectrum:
        if mu is None:
            mu = absorption(particle, energy, noise=3e-4, seed=len(particle))
        i0 = 1e6 * (1 + 0.1 * np.sin(np.arange(len(energy)) / 40))
        counts = {"i0": i0, "it": i0 * np.exp(-mu)}
        spectrum = Spectrum(
            run=RUN,
            profile="sim-step",
            sample=particle,
            element="Pt",
            edge="L3",
            time=(1000.0, 1100.0),
            energy_ev=energy,
            channels=counts | dict(channels or {}),
        )
        return dataclasses.replace(spectrum, **changes)

    return make


@pytest.fixture(scope="session")
def foil(absorption) -> Foil:
    mu = absorption("bulk", noise=1e-4, seed=99)
    return Foil("foil.csv", AXIS, mu, "f" * 64)


@pytest.fixture(scope="session")
def load() -> Callable[..., Engine]:
    """A function: the shipped model's engine on the CPU."""

    def load(reference: Foil | None = None, **changes: object) -> Engine:
        settings = dataclasses.replace(SETTINGS, **changes)
        return Engine.load(MODELS / "pt-l3-xanes", settings, reference, device="cpu")

    return load


@pytest.fixture(scope="session")
def engine(load, foil) -> Engine:
    """The engine with a deployed foil."""
    return load(foil)
