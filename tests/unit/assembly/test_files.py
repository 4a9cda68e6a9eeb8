import errno
import os

import pytest

from xasnn_stream.assembly.decoders import NotReady, Undecodable
from xasnn_stream.assembly.decoders.decoder import content
from xasnn_stream.assembly.files import Files, data_roots
from xasnn_stream.errors import UsageError


@pytest.fixture
def folders(tmp_path):
    """A folder that may be read, and one beside it that may not, each with a file."""
    for name in ("data", "private"):
        (tmp_path / name / "raw").mkdir(parents=True)
        (tmp_path / name / "raw" / "scan.bin").write_bytes(b"1")
    return tmp_path.resolve()


@pytest.fixture
def files(folders):
    return Files((folders / "data",))


def resource(path, root=""):
    return {"spec": "APB", "root": root, "resource_path": str(path)}


def stream_resource(uri):
    return {"mimetype": "application/x-hdf5", "uri": uri, "parameters": {}}


def test_an_absolute_path_below_a_root_is_read(files, folders):
    scan = folders / "data/raw/scan.bin"

    assert files.path_of(resource(scan)) == scan
    assert files.path_of(resource(scan, root="/nsls2/xf08id")) == scan


def test_root_and_path_of_a_resource_are_joined(files, folders):
    scan = folders / "data/raw/scan.bin"

    assert files.path_of(resource("raw/scan.bin", root=str(folders / "data"))) == scan
    assert files.path_of(resource("scan.bin", root=f"{folders}/data/raw/")) == scan


@pytest.mark.parametrize("host", ["localhost", "", "xf08id-srv1"])
def test_a_file_uri_is_read(files, folders, host):
    scan = folders / "data/raw/scan.bin"

    assert files.path_of(stream_resource(f"file://{host}{scan}")) == scan


def test_what_a_uri_quotes_is_meant(files, folders):
    odd = folders / "data" / "a b#1%.h5"
    odd.touch()
    uri = f"file://localhost{folders}/data/a%20b%231%25.h5"

    assert files.path_of(stream_resource(uri)) == odd


def test_a_relative_path_is_looked_for_below_every_root(folders):
    files = Files((folders / "private/raw", folders / "data"))
    (folders / "private/raw/scan.bin").unlink()

    assert files.path_of(resource("raw/scan.bin")) == folders / "data/raw/scan.bin"
    assert files.path_of(resource("late.bin")) == folders / "private/raw/late.bin"


def test_a_file_that_comes_later_is_where_it_will_be(files, folders):
    late = folders / "data/raw/late.bin"

    assert files.path_of(resource(late)) == late


@pytest.mark.parametrize(
    "path",
    [
        "{}/private/raw/scan.bin",
        "{}/data/../private/raw/scan.bin",
        "../private/raw/scan.bin",
        "{}/database/scan.bin",
        "/etc/passwd",
        "/",
    ],
)
def test_a_path_that_leads_out_of_the_roots_is_refused(files, folders, path):
    with pytest.raises(Undecodable, match=r"is not under a --data-root .*OLD=DIR"):
        files.path_of(resource(path.format(folders)))


@pytest.mark.parametrize("path", ["{}/private/raw/scan.bin", "/etc/passwd"])
def test_a_uri_that_leads_out_of_the_roots_is_refused(files, folders, path):
    quoted = path.format(folders).replace("private", "%70rivate")
    with pytest.raises(Undecodable, match="is not under a --data-root"):
        files.path_of(stream_resource(f"file://localhost{quoted}"))


def test_a_link_out_of_the_roots_is_refused(files, folders):
    (folders / "data/link").symlink_to(folders / "private")
    (folders / "data/raw/link.bin").symlink_to(folders / "private/raw/scan.bin")
    (folders / "data/circle").symlink_to(folders / "data/circle")

    for path in ("link/raw/scan.bin", "raw/link.bin", "circle/scan.bin"):
        with pytest.raises(Undecodable):
            files.path_of(resource(path))


def test_a_root_may_itself_be_a_link(folders):
    (folders / "current").symlink_to(folders / "data")
    files = Files((folders / "current",))

    assert files.path_of(resource("raw/scan.bin")) == folders / "data/raw/scan.bin"


def test_without_roots_no_file_is_read(folders):
    with pytest.raises(Undecodable, match="--data-root; there is none, so no files"):
        Files(()).path_of(resource(folders / "data/raw/scan.bin"))


def test_everywhere_any_regular_file_is_read(folders, monkeypatch):
    monkeypatch.chdir(folders / "private")
    scan = folders / "private/raw/scan.bin"

    assert Files(None).path_of(resource(scan)) == scan
    assert Files(None).path_of(resource("raw/scan.bin")) == scan


@pytest.mark.parametrize("roots", [None, "here"])
def test_devices_fifos_and_folders_are_refused(folders, roots):
    os.mkfifo(folders / "fifo")
    files = Files(roots and (folders,))

    for path in (folders, folders / "fifo"):
        with pytest.raises(Undecodable, match="no regular file"):
            files.path_of(resource(path))
    with pytest.raises(Undecodable):
        files.path_of(resource("/dev/zero"))


def test_a_folder_of_another_name_is_found(folders):
    files = Files((folders / "data",), {"/nsls2/iss": folders / "data"})
    scan = folders / "data/raw/scan.bin"

    assert files.path_of(resource("/nsls2/iss/raw/scan.bin")) == scan
    assert files.path_of(resource("raw/scan.bin", root="/nsls2/iss/")) == scan
    assert files.path_of(stream_resource("file:///nsls2/iss/raw/scan.bin")) == scan
    for path in ("/nsls2/iss2/raw/scan.bin", "/nsls2/iss/../iss2", "/nsls2/scan.bin"):
        with pytest.raises(Undecodable):
            files.path_of(resource(path))


def test_the_longest_of_the_other_names_is_meant(folders):
    renamed = {"/d": folders / "private", "/d/raw": folders / "data/raw"}
    files = Files(tuple(renamed.values()), renamed)

    assert files.path_of(resource("/d/raw/scan.bin")) == folders / "data/raw/scan.bin"


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"resource_path": ""},
        {"resource_path": 5},
        {"resource_path": "a", "root": ["/"]},
        {"resource_path": "a\0b"},
        {"resource_path": "a\nb"},
        {"resource_path": "a" * 5000},
        {"resource_path": "\ud800"},
        {"uri": None},
        {"uri": 5},
        {"uri": "http://localhost/etc/passwd"},
        {"uri": "file://[/x"},
        {"uri": "file://localhost"},
        {"uri": "file://localhost/a%00b"},
        {"uri": "data:,x"},
    ],
)
def test_what_names_no_file_is_refused(folders, named):
    for files in (Files(None), Files((folders,))):
        with pytest.raises(Undecodable) as refused:
            files.path_of(named)
        assert len(str(refused.value)) < 500


def test_roots_as_a_command_names_them(folders, monkeypatch):
    monkeypatch.chdir(folders)
    (folders / "a=b").mkdir()

    roots, renamed = data_roots(["data", "/old/=private", f"{folders}/a=b"])

    assert roots == (folders / "data", folders / "private", folders / "a=b")
    assert renamed == {"/old": folders / "private"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("missing", "there is no folder 'missing'"),
        ("data/raw/scan.bin", "there is no folder"),
        ("", "there is no folder ''"),
        ("/old=missing", "there is no folder 'missing'"),
        ("/old=", "there is no folder ''"),
        ("old=data", "'old' is no absolute path"),
    ],
)
def test_a_root_that_is_no_folder_is_refused(folders, monkeypatch, text, reason):
    monkeypatch.chdir(folders)

    with pytest.raises(UsageError, match=reason):
        data_roots([text])


def test_files_that_were_moved_with_their_documents_are_found(folders):
    beside = Files(None, beside=folders / "data")

    found = beside.path_of(resource("/nsls2/data/iss/raw/scan.bin"))
    assert found == folders / "data/raw/scan.bin"
    uri = "file://localhost/dls/p51/raw/scan.bin"
    assert beside.path_of(stream_resource(uri)) == folders / "data/raw/scan.bin"
    # What is where documents say is taken from there.
    private = folders / "private/raw/scan.bin"
    assert beside.path_of(resource(private)) == private
    # What is nowhere is awaited where it should come.
    gone = beside.path_of(resource("/nsls2/data/iss/raw/gone.bin"))
    assert str(gone) == "/nsls2/data/iss/raw/gone.bin"


def test_a_name_that_no_disk_takes_is_refused(files, folders):
    with pytest.raises(Undecodable, match="too long a name"):
        files.path_of(resource(folders / "data" / ("x" * 300)))


def test_a_file_that_may_not_be_looked_at_is_told_of_when_it_is_read(
    files, folders, monkeypatch
):
    # Whoever runs the tests may be allowed everything.
    def forbidden(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    scan = folders / "data/raw/scan.bin"
    monkeypatch.setattr("pathlib.Path.stat", forbidden)

    assert files.path_of(resource(scan)) == scan
    with pytest.raises(NotReady, match="Permission denied"):
        content(scan)
