"""The columns of Tiled's table of estimates."""

from dataclasses import replace

from xasnn_stream.estimate import Extent, Shape, Size
from xasnn_stream.results import Delivery
from xasnn_stream.sinks import estimate_table

SIZE = Size(
    atoms=Extent(None, (900.0, None)),
    diameter=Extent(None, (29.5, None), "angstrom"),
    shapes=(Shape("sphere", 0.6, None, None), Shape("cube", 0.4, 1000.0, 40.0)),
    distinguishable=False,
    consistent=True,
    chi2=1.0,
    text="at least 900 atoms",
)


def row_of(estimate):
    delivery = Delivery(1, None, 0.0, 0.1, "cpu", estimate.document(), {})
    columns = estimate_table.schema(["cn1", "cn2"])
    (row,) = estimate_table.rows([delivery], columns).to_pylist()
    return row


def test_a_size_is_in_columns_and_in_words(make_estimate):
    row = row_of(replace(make_estimate(), size=SIZE))
    assert row["size"] == "at least 900 atoms"
    assert row["size_atoms_low"] == 900.0
    assert row["size_diameter_low"] == 29.5
    assert row["size_atoms_value"] is None
    assert row["size_atoms_high"] is None


def test_an_estimate_without_a_size_leaves_its_columns_empty(make_estimate):
    row = row_of(make_estimate())
    assert {value for name, value in row.items() if name.startswith("size")} == {None}
