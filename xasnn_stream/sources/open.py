"""Opens a source by its address."""

from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import SplitResult, parse_qs, urlsplit

from xasnn_stream.errors import InvalidSourceError, SourceError, UsageError
from xasnn_stream.sources.document import Source
from xasnn_stream.sources.selection import Selection
from xasnn_stream.sources.store import Store
from xasnn_stream.telemetry.counters import Counters

_DATABROKER = "databroker"
_TILED_EXAMPLE = "tiled+http://127.0.0.1:8000/raw"

Opener = Callable[[SplitResult, Counters, Selection | None], Source]


def open_source(
    url: str,
    counters: Counters,
    selection: Selection | None = None,
    *,
    allow_pickle: bool = False,
) -> Source:
    """Return the source at `url`.

    `zmq://host:port?codec=auto|msgpack|json&prefix=…`, `handover://host:port`,
    `tiled+http://host:port/path`, `databroker:NAME[/path]`, or the path of a JSON-lines
    file, `-` for standard input. `selection` chooses runs of sources that can wait.
    `allow_pickle` opens pickle from a 0MQ source, which a deployment has to ask for.
    SourceError says why the source cannot be opened.
    """
    scheme = scheme_of(url)
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise InvalidSourceError(
            f"unknown kind of source {_without_user(url)!r}; known are zmq://, "
            "handover://, tiled+http://, tiled+https://, databroker:NAME and files of "
            "JSON lines"
        )
    parts = _split(url) if scheme else SplitResult("", "", url, "", "")
    if allow_pickle and opener is _open_zeromq:
        opener = partial(_open_zeromq, allow_pickle=True)
    return opener(parts, counters, selection)


def scheme_of(url: str) -> str:
    """Return the kind of source an address names, "" for a file of JSON lines.

    >>> [scheme_of(a) for a in ("zmq://127.0.0.1:5568", "databroker:archive", "a.jsonl")]
    ['zmq', 'databroker', '']
    """
    if url.startswith(f"{_DATABROKER}:"):
        return _DATABROKER
    return url.partition("://")[0] if "://" in url else ""


def pickle_sources(urls: Sequence[str], addresses: Sequence[str]) -> frozenset[str]:
    """Return those of the sources `urls` that `addresses` allow to send pickle.

    An address is `host:port` or `zmq://host:port`. Raises UsageError for one that is
    the address of no 0MQ source: what was meant to be allowed would be refused.
    """
    sources = {url: _peer(url) for url in urls if url.startswith("zmq://")}
    for address in addresses:
        if _peer(address) not in sources.values():
            named = ", ".join(sources.values()) or "none"
            raise UsageError(
                f"--allow-pickle {_without_user(address)} is none of the 0MQ sources; "
                f"they are: {named}"
            )
    allowed = {_peer(address) for address in addresses}
    return frozenset(url for url, peer in sources.items() if peer in allowed)


def _peer(address: str) -> str:
    return address.partition("://")[2].partition("?")[0] or address


def check_store(url: str) -> None:
    """Raise UsageError unless `url` names a store of runs; nothing is opened."""
    opener = _OPENERS.get(scheme_of(url))
    if opener not in (_open_tiled, _open_catalog, _open_jsonlines) or url == "-":
        raise UsageError(
            f"{_without_user(url)!r} holds no stored runs; name "
            "tiled+http://host:port/path, databroker:NAME or a file of JSON lines"
        )
    try:
        if opener is _open_tiled:
            _tiled_server(_split(url))
        elif opener is _open_catalog:
            _catalog(_split(url))
    except SourceError as error:
        raise UsageError(str(error)) from error


def open_store(url: str) -> Store:
    """Return the store of runs at `url`, which `check_store` lets pass.

    SourceError says why it cannot be opened now.
    """
    scheme = scheme_of(url)
    if not scheme:
        from xasnn_stream.sources.linestore import JSONLinesStore

        return JSONLinesStore(url)
    from xasnn_stream.sources.tiled import TiledStore

    parts = _split(url)
    if scheme == _DATABROKER:
        return TiledStore(*_catalog(parts))
    return TiledStore(_tiled_server(parts), parts.path.strip("/"))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise InvalidSourceError(f"{_without_user(url)}: {error}") from error


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _open_zeromq(
    url: SplitResult,
    counters: Counters,
    selection: Selection | None,
    *,
    allow_pickle: bool = False,
) -> Source:
    from xasnn_stream.sources.zeromq import ZeroMQSource

    address = f"{url.scheme}://{url.netloc}"
    _refuse_selection(url, selection)
    options = _options(url, {"codec": "auto", "prefix": ""})
    codec = options["codec"]
    if codec not in ("auto", "msgpack", "json"):
        raise InvalidSourceError(
            f"{address}: codec is auto, msgpack or json, not {codec!r}"
        )
    if " " in options["prefix"]:
        raise InvalidSourceError(f"{address}: a prefix cannot hold a space")
    prefix = options["prefix"].encode()
    return ZeroMQSource(
        f"tcp://{_host_port(url)}", counters, codec, prefix, allow_pickle=allow_pickle
    )


def _open_handover(
    url: SplitResult, counters: Counters, selection: Selection | None
) -> Source:
    from xasnn_stream.sources.handover import HandOverSource

    _refuse_selection(url, selection)
    _options(url, {})
    return HandOverSource(f"tcp://{_host_port(url)}", counters)


def _refuse_selection(url: SplitResult, selection: Selection | None) -> None:
    if selection is not None:
        raise InvalidSourceError(
            f"{url.scheme}://{url.netloc} is live; runs can only be chosen from a store"
        )


def _open_tiled(
    url: SplitResult, counters: Counters, selection: Selection | None
) -> Source:
    from xasnn_stream.sources.tiled import TiledSource

    server = _tiled_server(url)
    return TiledSource(server, url.path.strip("/"), counters, selection)


def _open_catalog(
    url: SplitResult, counters: Counters, selection: Selection | None
) -> Source:
    from xasnn_stream.sources.tiled import TiledSource

    return TiledSource(*_catalog(url), counters, selection)


def _catalog(url: SplitResult) -> tuple[str, str]:
    """Return `databroker:NAME` and the folder below it."""
    name, _, folder = url.path.partition("/")
    if not name or url.netloc or url.query:
        raise InvalidSourceError(
            "databroker: needs the name of a catalog, as in databroker:archive, or "
            "databroker:archive/raw for a folder in it"
        )
    return f"{_DATABROKER}:{name}", folder.strip("/")


def _tiled_server(url: SplitResult) -> str:
    server = f"{url.scheme.removeprefix('tiled+')}://{url.netloc.rpartition('@')[2]}"
    if "@" in url.netloc or url.query:
        raise InvalidSourceError(
            f"tiled+{server}: a key belongs in XASNN_TILED_API_KEY, not in the address"
        )
    try:
        named = bool(url.hostname) and url.port != 0
    except ValueError:
        named = False
    if not named:
        raise InvalidSourceError(
            f"tiled+{server} needs a host, and a port that can be one, as in "
            f"{_TILED_EXAMPLE}"
        )
    return server


def _open_jsonlines(
    url: SplitResult, counters: Counters, selection: Selection | None
) -> Source:
    from xasnn_stream.sources.jsonlines import JSONLinesSource

    return JSONLinesSource(url.path, counters, selection)


def _options(url: SplitResult, defaults: dict[str, str]) -> dict[str, str]:
    given = parse_qs(url.query, keep_blank_values=True)
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise InvalidSourceError(
            f"{url.scheme}://{url.netloc} has no option {', '.join(unknown)}; "
            f"known are {', '.join(defaults)}"
        )
    return {name: given.get(name, [value])[-1] for name, value in defaults.items()}


def _host_port(url: SplitResult) -> str:
    try:
        host, port = url.hostname, url.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise InvalidSourceError(
            f"{url.scheme}://{url.netloc} needs host and port, as in "
            f"{url.scheme}://127.0.0.1:5568"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_OPENERS: dict[str, Opener] = {
    "zmq": _open_zeromq,
    "handover": _open_handover,
    "tiled+http": _open_tiled,
    "tiled+https": _open_tiled,
    _DATABROKER: _open_catalog,
    "": _open_jsonlines,
}
