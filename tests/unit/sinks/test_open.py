import pytest

from xasnn_stream.errors import UsageError
from xasnn_stream.sinks.open import open_sinks


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host", "http://", "host", "http://host:99999", "http://[::1"),
        *("http://:secret@host:8000", "http://secret@host", "http://secret@[::1"),
    ],
)
def test_results_that_are_no_server_are_refused_without_telling_the_key(url):
    with pytest.raises(UsageError, match="XASNN_TILED_API_KEY") as refused:
        open_sinks(None, url, {})

    assert "secret" not in str(refused.value)
