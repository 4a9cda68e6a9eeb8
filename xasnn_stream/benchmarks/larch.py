"""The reference: larch, one spectrum after the other, as it is scripted with."""

from types import ModuleType
from typing import Any

from xasnn_stream.errors import UsageError
from xasnn_stream.physics.settings import Background, Normalization, Transform
from xasnn_stream.spectrum import FloatArray

MISSING = (
    "the reference of this benchmark is larch, which is not installed: "
    "pip install lmfit asteval pyshortcuts xraydb && "
    "pip install --no-deps xraylarch==2026.3.1"
)


def load() -> ModuleType:
    """Return `larch.xafs`; UsageError says how to install it where it is missing."""
    try:
        import larch.xafs
    except ImportError as error:
        raise UsageError(MISSING) from error
    return larch.xafs


def pre_edge(
    xafs: ModuleType, energy: FloatArray, mu: FloatArray, settings: Normalization
) -> Any:
    """Return larch's group with e0, edge_step, norm and flat of one spectrum."""
    from larch import Group

    group = Group()
    xafs.pre_edge(
        energy, mu, group=group,
        e0=settings.e0, pre1=settings.pre1, pre2=settings.pre2,
        norm1=settings.norm1, norm2=settings.norm2,
        nnorm=settings.nnorm, nvict=settings.nvict,
    )  # fmt: skip
    return group


def chain(
    xafs: ModuleType,
    energy: FloatArray,
    mu: FloatArray,
    normalization: Normalization,
    background: Background,
    transform: Transform,
) -> Any:
    """Return larch's group after pre_edge, autobk and xftf of one spectrum."""
    group = pre_edge(xafs, energy, mu, normalization)
    xafs.autobk(
        energy, mu, group=group, rbkg=background.rbkg, nknots=background.nknots,
        kmin=background.kmin, kmax=background.kmax, kweight=background.kweight,
        dk=background.dk, win=background.win, nfft=background.nfft,
        kstep=background.kstep, nclamp=background.nclamp,
        clamp_lo=background.clamp_lo, clamp_hi=background.clamp_hi,
    )  # fmt: skip
    xafs.xftf(
        group.k, group.chi, group=group, kmin=transform.kmin, kmax=transform.kmax,
        kweight=transform.kweight, dk=transform.dk, dk2=transform.dk2,
        window=transform.window, rmax_out=transform.rmax_out, nfft=transform.nfft,
    )  # fmt: skip
    return group
