"""Where results are in Tiled, as whoever writes and whoever reads them is told."""


def tiled_address(url: str) -> tuple[str, tuple[str, ...]]:
    """Split `http://host:port/a/b` into the server and the path of the results.

    >>> tiled_address("tiled+http://127.0.0.1:8000")
    ('http://127.0.0.1:8000', ('results',))
    """
    scheme, _, rest = url.removeprefix("tiled+").partition("://")
    host, *path = [part for part in rest.split("/") if part]
    return f"{scheme}://{host}", tuple(path) or ("results",)
