import httpx
import pytest

from xasnn_stream.errors import SourceError
from xasnn_stream.sources.open import open_source
from xasnn_stream.sources.tiled import API_KEY
from xasnn_stream.telemetry.counters import Counters


class Context:
    def close(self) -> None:
        pass


class Run:
    def __init__(self, uid, stop=True, failing=None):
        self.metadata = {"start": {"uid": uid, "time": 1.0}}
        if stop:
            self.metadata["stop"] = {"run_start": uid}
        self.failing = failing

    def documents(self):
        if self.failing:
            raise self.failing
        yield "start", self.metadata["start"]
        yield "stop", self.metadata["stop"]


class Folder:
    def __init__(self, *runs) -> None:
        self.context = Context()
        self.runs = runs

    def __getitem__(self, key):
        return self

    def values(self):
        return self.runs


@pytest.fixture
def serve(monkeypatch):
    """Let `from_uri` return, or raise, what is given."""

    def serve(answer):
        def from_uri(uri, api_key):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("tiled.client.from_uri", from_uri)
        return lambda: open_source("tiled+http://localhost:8000/raw", Counters())

    return serve


def test_a_server_that_does_not_answer_is_named(serve):
    opened = serve(httpx.ConnectError("refused"))

    with pytest.raises(SourceError, match="http://localhost:8000: refused; is it"):
        opened()


def test_a_run_still_being_written_is_left_out(serve):
    source = serve(Folder(Run("open", stop=False), object(), Run("done")))()

    uids = [source.receive(1).doc.get("uid") for _ in range(2)]

    assert uids == ["done", None]
    assert source.receive(1) is None
    assert source.exhausted
    source.close()


def answer(status):
    return httpx.HTTPStatusError(
        f"status {status}",
        request=httpx.Request("GET", "http://localhost"),
        response=httpx.Response(status),
    )


def test_a_server_without_the_exporter_is_told_what_to_configure(serve):
    source = serve(Folder(Run("a", failing=answer(406))))()

    with pytest.raises(SourceError, match="json_seq_exporter"):
        source.receive(1)
    source.close()


@pytest.mark.parametrize(
    "failing",
    [
        answer(404),
        ValueError("no JSON"),
        KeyError("name"),
        TypeError("None"),
        AttributeError("indices are a list"),
    ],
)
def test_a_run_the_server_cannot_give_is_counted_and_the_others_follow(serve, failing):
    source = serve(Folder(Run("broken", failing=failing), Run("fine")))()

    assert source.receive(1).doc["uid"] == "fine"
    assert source._intake._counters.value("documents_rejected_total") == 1
    source.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_to_be_asked_another_time(serve, status):
    source = serve(Folder(Run("a", failing=answer(status)), Run("b")))()

    with pytest.raises(SourceError, match=f"status {status}"):
        source.receive(1)
    source.close()


def test_a_server_that_goes_away_ends_the_source(serve):
    source = serve(Folder(Run("a", failing=httpx.ReadError("gone"))))()

    with pytest.raises(SourceError, match="gone"):
        source.receive(1)
    source.close()


@pytest.mark.parametrize(
    ("profile", "given"),
    [({"uri": "http://127.0.0.1:1"}, {"api_key": "k"}), ({"direct": {}}, {})],
)
def test_a_catalog_without_a_server_is_given_no_key(monkeypatch, profile, given):
    asked = []

    def from_profile(name, **options):
        asked.append((name, options))
        return Folder(Run("a"))

    monkeypatch.setenv(API_KEY, "k")
    monkeypatch.setattr("tiled.client.from_profile", from_profile)
    monkeypatch.setattr("tiled.profiles.load_profiles", lambda: {"here": ("", profile)})
    source = open_source("databroker:here", Counters())
    source.close()
    assert asked == [("here", given)]
