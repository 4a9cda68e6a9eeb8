"""Opens the sinks a deployment names."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from xasnn_stream.errors import UsageError
from xasnn_stream.partials import Partials
from xasnn_stream.sinks.follow import Sink


def open_sinks(
    feed: str | None,
    results: str | None,
    descriptors: Mapping[str, Sequence[str]],
    partials: Partials | None = None,
) -> list[Sink]:
    """Return the sinks for a feed address and a Tiled URL, each if given.

    `descriptors` names per model what it estimates; `partials` go to the feed, too.
    UsageError says what is wrong with an address; a Tiled server that is not there yet
    is waited for.
    """
    if results is not None:
        check_results(results)
    sinks: list[Sink] = []
    if feed is not None:
        from xasnn_stream.sinks.feed import FeedSink

        sinks.append(FeedSink(feed, partials))
    if results is not None:
        from xasnn_stream.sinks.tiled import TiledSink

        sinks.append(TiledSink(results, descriptors))
    return sinks


def check_results(results: str) -> None:
    """Raise UsageError unless `results` is the address of a Tiled server."""
    if not _is_tiled(results):
        raise UsageError(
            f"--results {results.rpartition('@')[2]} is not http://host:port[/path]; "
            "a key belongs in XASNN_TILED_API_KEY"
        )


def _is_tiled(address: str) -> bool:
    try:
        url = urlsplit(address.removeprefix("tiled+"))
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return named and url.scheme in ("http", "https") and "@" not in url.netloc
