import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from xasnn_stream.web.app import STATIC

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
UPLOT = STATIC / "uplot"
REFERENCES = re.compile(r"""(?:src|href)="([^"]*)"|(?:from|import) "([^"]*)";""")


def names():
    return sorted(path.name for path in STATIC.iterdir() if path.is_file())


def test_the_page_allows_nothing_from_elsewhere_and_no_inline_script(daemon):
    code, headers, page = daemon.request("/")
    assert code == 200
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    for tag in re.findall(r"<script[^>]*>.*?</script>", page, re.DOTALL):
        assert re.fullmatch(r'<script type="module" src="[^"]*"></script>', tag)
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)


@pytest.mark.parametrize("name", names())
def test_every_file_is_served_and_refers_only_to_files_beside_it(daemon, name):
    path = "/" if name == "index.html" else f"/static/{name}"
    code, headers, text = daemon.request(path)
    assert code == 200
    assert headers["cache-control"] == "no-cache"
    if name.endswith(".js"):
        assert headers["content-type"].startswith("text/javascript")
    for target in ("".join(found) for found in REFERENCES.findall(text)):
        assert (STATIC / target.removeprefix("static/").removeprefix("./")).is_file()
    assert not re.search(r"url\((?!data:)|@import", text)
    elsewhere = set(re.findall(r"https?://[^\s\"')]+", text))
    assert elsewhere <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", names())
def test_no_text_becomes_markup(name):
    """What documents say goes onto the page as text, never as HTML."""
    text = (STATIC / name).read_text()
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ):
        assert way not in text


def test_uplot_is_the_published_one_with_its_licence():
    listed = dict(
        reversed(line.split())
        for line in (UPLOT / "SHA256SUMS").read_text().splitlines()
    )
    assert set(listed) == {"uPlot.esm.js", "uPlot.min.css", "LICENSE"}
    for name, digest in listed.items():
        assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == digest
    assert "(v1.6.32)" in (UPLOT / "uPlot.esm.js").read_text()
    assert "MIT" in (UPLOT / "LICENSE").read_text()


def test_an_installed_package_has_every_file_of_the_page():
    setuptools = tomllib.loads(PROJECT.read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["xasnn_stream.web"]
    packed = {path for one in patterns for path in STATIC.parent.glob(one)}
    files = {path for path in STATIC.rglob("*") if path.is_file()}
    assert files == {path for path in packed if path.is_file()}


def test_only_files_of_the_page_are_served(daemon):
    for path in (
        "/static/",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/x.js",
    ):
        assert daemon.get(path)[0] == 404
