import httpx
import pytest

from xasnn_stream.errors import RefusedError, SinkError
from xasnn_stream.results import ResultLog
from xasnn_stream.sinks.tiled import TiledSink


@pytest.fixture
def rows(tmp_path, make_estimate):
    log = ResultLog(tmp_path / "results.sqlite")
    log.append([make_estimate("a")], [0.01], "cpu")
    yield log.read(0, 10)
    log.close()


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (413, True), (422, True), (401, False), (404, False), (503, False)],
)
def test_only_what_concerns_the_result_is_a_refusal(rows, monkeypatch, status, refused):
    sink = TiledSink("http://127.0.0.1:1", {})
    request = httpx.Request("POST", sink.url)

    def answered(*_):
        response = httpx.Response(status, request=request)
        raise httpx.HTTPStatusError("no", request=request, response=response)

    monkeypatch.setattr(sink, "_node", answered)
    with pytest.raises(SinkError) as failure:
        sink.deliver(rows)
    assert isinstance(failure.value, RefusedError) == refused
