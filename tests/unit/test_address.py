import pytest

from xasnn_stream.address import tiled_address


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://host:8000", ("results",)),
        ("http://host:8000/", ("results",)),
        ("tiled+http://host:8000/beamline/analysed/", ("beamline", "analysed")),
    ],
)
def test_results_are_in_the_path_of_the_url_or_where_they_are_by_default(url, path):
    assert tiled_address(url) == ("http://host:8000", path)
