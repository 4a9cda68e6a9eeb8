"""Which measured spectra there are of the metals that models are shipped of."""

from collections.abc import Mapping
from dataclasses import dataclass

BEHIND = {"energy": "energy", "i0": "it", "it": "ir"}
"""Columns of the foil in the reference position, read as if it were the sample."""

DISPERSIVE = "Pd_K_PFdispersive.csv"
"""Made of the operando series' own foil. Its energies were fitted to the PF foil and it is
8 eV broader: a hard case rather than another laboratory's."""

LOADS, KELVINS = ("10wt", "20wt"), ("20K", "150K", "300K")


@dataclass(frozen=True)
class Metal:
    """What is measured of one element; all files by name, foils by laboratory."""

    element: str
    edge: str
    foils: Mapping[str, tuple[str, ...]]
    particles: tuple[str, ...] = ()
    compounds: tuple[str, ...] = ()


def one_of_each(metal: Metal) -> list[str]:
    """Return one foil of each laboratory."""
    return [foils[0] for foils in metal.foils.values()]


METALS = {
    "Pt": Metal(
        "Pt",
        "L3",
        {
            "13-ID-C": ("Pt_L3_13IDC2001.csv",),
            "BMM": (
                "BMM_Pt-L3-PtRu.csv#mu_ref",
                "BMM_Pt-L3-PlatinumChloride.csv#mu_ref",
                "BMM_Pt-L3-PotassiumHexaChloroPlatinate.csv#mu_ref",
            ),
        },
        tuple(f"PtNP_{load}_{kelvin}.csv" for load in LOADS for kelvin in KELVINS),
        (
            "BMM_Pt-L3-PotassiumHexaChloroPlatinate.csv",
            "BMM_Pt-L3-PlatinumChloride.csv",
        ),
    ),
    "Au": Metal(
        "Au",
        "L3",
        {
            "13-ID-E": ("Au_L3_13IDE2016.csv",),
            "BMM": (
                "BMM_Au-L3-GoldAcetate.csv#mu_ref",
                "BMM_Au-L3-GoldThiocyanate.csv#mu_ref",
            ),
        },
        (),
        ("BMM_Au-L3-GoldAcetate.csv", "BMM_Au-L3-GoldThiocyanate.csv"),
    ),
    "Pd": Metal(
        "Pd", "K", {"PF": ("Pd_K_PFref.csv",), "PF, dispersive": (DISPERSIVE,)}
    ),
}
