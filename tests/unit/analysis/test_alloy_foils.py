"""Measured foils have no neighbours of another metal, and the page says what is read."""

import re
from pathlib import Path

import pytest

RAW = Path(__file__).parents[4] / "shared" / "xas-data" / "raw"
PAGE = Path(__file__).parents[3] / "docs" / "alloys.md"


@pytest.mark.measured
def test_a_gold_foil_of_another_laboratory_has_no_palladium_neighbours(run):
    (result,) = run(
        RAW / "foils" / "Au_Foil_L3_rt_2016Foils.xdi",
        model="pdau-xanes",
        foil=f"{RAW / 'compounds' / 'Au-L3-GoldAcetate.xdi'}#mu_ref",
    )
    found = result.estimate.descriptors
    assert abs(found["cn_au_au"].value - 12.0) <= 1.0
    low, high = found["cn_au_pd"].interval
    assert low <= 0.0 <= high
    assert high <= 0.5
    shown = re.findall(r"(-?[\d.]+) \((-?[\d.]+) to (-?[\d.]+)\)", PAGE.read_text())
    for name, told in zip(("cn_au_au", "cn_au_pd"), shown, strict=True):
        number = found[name]
        assert [f"{n:.1f}" for n in (number.value, *number.interval)] == list(told)
