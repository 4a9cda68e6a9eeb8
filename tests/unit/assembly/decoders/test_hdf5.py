import resource
import zlib

import h5py
import numpy as np
import pytest

from xasnn_stream.assembly.decoders import DECODERS, NotReady, Undecodable
from xasnn_stream.assembly.decoders.hdf5 import ATTRIBUTES, MAX_VALUES

read = DECODERS["hdf5"]
HERE = {"dataset": "x"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


@pytest.fixture
def secret(tmp_path):
    """A file that documents may not name, in a folder of its own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = np.arange(3.0)
    return folder / "secret.h5"


def taken_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_small_file_of_very_many_numbers_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**12,), "f8", chunks=(1024,), compression="gzip")
    assert path.stat().st_size < 10_000

    with pytest.raises(Undecodable, match=f"more than {MAX_VALUES} numbers"):
        read(path, HERE, {})


def test_rows_of_very_many_numbers_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1, 10**6, 10**6), "f4", chunks=(1, 64, 64))

    with pytest.raises(Undecodable, match="more than"):
        read(path, HERE, {})


def test_a_piece_that_inflates_beyond_its_size_is_refused(path):
    """The library would take half a gigabyte to give eight numbers."""
    inflating = zlib.compressobj(9)
    piece = b"".join(inflating.compress(bytes(2**20)) for _ in range(500))
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (8,), "f8", chunks=(8,), compression="gzip")
        made.id.write_direct_chunk((0,), piece + inflating.flush())
    before = taken_kib()

    with pytest.raises(Undecodable, match="compressed piece"):
        read(path, HERE, {})

    assert taken_kib() - before < 100_000


def test_pieces_of_gigabytes_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (8,), "f8", chunks=(2**28,), maxshape=(None,))

    with pytest.raises(Undecodable, match="pieces of 2147483648 bytes"):
        read(path, HERE, {})


@pytest.mark.parametrize("compression", ["gzip", "lzf"])
def test_honest_compression_is_read(path, compression):
    counts = np.random.default_rng(1).integers(0, 10**6, 100_000)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "x", data=counts, compression=compression, shuffle=True, fletcher32=True
        )

    assert (read(path, HERE, {})[""] == counts).all()


def test_compression_by_filters_that_are_no_part_of_hdf5_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(100), chunks=(10,), scaleoffset=4)

    with pytest.raises(Undecodable, match="gzip is read"):
        read(path, HERE, {})


def test_a_link_into_another_file_is_not_followed(path, secret):
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(secret), "/x")
        file["group/there"] = h5py.ExternalLink(str(secret), "/")

    for dataset in ("x", "group/there/x"):
        with pytest.raises(Undecodable, match="into another file"):
            read(path, {"dataset": dataset}, {})


def test_a_soft_link_that_leads_into_another_file_is_not_followed(path, secret):
    with h5py.File(path, "w") as file:
        file["there"] = h5py.ExternalLink(str(secret), "/")
        file["x"] = h5py.SoftLink("/there/x")

    with pytest.raises(Undecodable, match="into another file"):
        read(path, HERE, {})


def test_a_soft_link_within_the_file_is_followed(path):
    with h5py.File(path, "w") as file:
        file["entry/data/now"] = np.arange(3.0)
        file["entry/here"] = h5py.SoftLink("data/./now")
        file["x"] = h5py.SoftLink("/entry/here")

    assert read(path, HERE, {})[""].tolist() == [0, 1, 2]


def test_numbers_stored_in_another_file_are_not_read(path, secret):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (3,), "f8", external=[(str(secret), 0, 24)])

    with pytest.raises(Undecodable, match="other files"):
        read(path, HERE, {})


def virtual(path, source):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(source), "x", (3,))
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("x", layout)


def test_a_virtual_dataset_of_files_beside_it_is_read(path):
    with h5py.File(path.parent / "part.h5", "w") as file:
        file["x"] = np.arange(3.0)
    virtual(path, "part.h5")

    assert read(path, HERE, {})[""].tolist() == [0, 1, 2]


def test_a_virtual_dataset_of_files_elsewhere_is_not_read(path, secret):
    for source in (secret, f"elsewhere/{secret.name}", "../any.h5"):
        virtual(path, source)
        with pytest.raises(Undecodable, match="other files"):
            read(path, HERE, {})


def test_a_virtual_dataset_of_a_link_to_elsewhere_is_not_read(path, secret):
    (path.parent / "part.h5").symlink_to(secret)
    virtual(path, "part.h5")

    with pytest.raises(Undecodable, match="other files"):
        read(path, HERE, {})


@pytest.mark.parametrize(
    "values", [["a", "b"], np.array([b"ab"]), np.array([1j]), h5py.Empty("f8")]
)
def test_what_holds_no_numbers_is_refused(path, values):
    with h5py.File(path, "w") as file:
        file["x"] = values

    with pytest.raises(Undecodable, match="no numbers"):
        read(path, HERE, {})


def test_a_single_number_is_one_row(path):
    with h5py.File(path, "w") as file:
        file["x"] = 5.5

    assert read(path, HERE, {})[""].tolist() == [5.5]


def test_a_group_is_no_dataset(path):
    with h5py.File(path, "w") as file:
        file["x/y"] = 1.0

    with pytest.raises(Undecodable, match="no dataset"):
        read(path, HERE, {})
    with pytest.raises(Undecodable, match="through a dataset"):
        read(path, {"dataset": "x/y/z"}, {})


def test_links_in_a_circle_end(path):
    with h5py.File(path, "w") as file:
        file["a"] = h5py.SoftLink("/b")
        file["b"] = h5py.SoftLink("/a")
        group = file.create_group("x")
        group["x"] = file["x"]

    with pytest.raises(Undecodable, match="too many links"):
        read(path, {"dataset": "a"}, {})
    with pytest.raises(Undecodable, match="no dataset"):
        read(path, {"dataset": "/x/x/x/x"}, {})


def test_a_file_of_something_else_is_refused(path):
    path.write_bytes(b"energy i0 it\n" * 1000)

    with pytest.raises(Undecodable, match="no HDF5 file"):
        read(path, HERE, {})


def test_regions_that_end_a_frame_apart_are_cut_to_the_shortest(path):
    with h5py.File(path, "w") as file:
        file[f"{ATTRIBUTES}/CHAN1ROI1"] = np.arange(5.0)
        file[f"{ATTRIBUTES}/CHAN2ROI1"] = np.arange(6.0)[:, None]
        file[f"{ATTRIBUTES}/CHAN1ROI1LM"] = 3

    columns = DECODERS["XSP3"](path, {}, {})

    assert {name: c.shape for name, c in columns.items()} == {
        "xs_ch01_roi01": (5,),
        "xs_ch02_roi01": (5,),
    }


def test_spectra_of_an_xspress3_are_not_read(path):
    assert DECODERS["XSP3"](path, {"data_type": "spectrum", "channel": 1}, {}) == {}


def test_records_whose_fields_lie_over_each_other_are_refused(path):
    """As damage makes them: reading would write beyond the memory of a record."""
    wide = h5py.h5t.IEEE_F64LE.copy()
    wide.set_ebias(52)
    record = h5py.h5t.create(h5py.h5t.COMPOUND, 16)
    record.insert(b"t", 0, wide)
    record.insert(b"count", 8, h5py.h5t.STD_I64LE)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((40,))
        h5py.h5d.create(file.id, b"x", record, space)
        assert file["x"].dtype["t"].itemsize > 8

    with pytest.raises(Undecodable, match="lie over each other"):
        read(path, HERE, {})


def test_a_datum_of_a_point_is_its_frames(path):
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = np.arange(6.0)

    def of_point(number, each=None):
        parameters = {"point_number": number, "frame_per_point": each}
        return read(path, parameters, {})[""].tolist()

    assert read(path, {}, {})[""].tolist() == [0, 1, 2, 3, 4, 5]
    assert of_point(4) == [4]
    assert of_point(1, 2) == [2, 3]
    with pytest.raises(NotReady, match="6 of 8 rows"):
        of_point(3, 2)
    with pytest.raises(Undecodable, match="point_number"):
        of_point(-1)


@pytest.mark.parametrize("place", [8, 20, 44, 60])
def test_a_torn_file_of_a_writer_is_asked_for_again_and_holds_nobody_up(path, place):
    """The library would try for ever to read what its checksum does not fit."""
    with h5py.File(path, "w", libver="latest") as file:
        file["x"] = np.arange(8.0)
    torn = bytearray(path.read_bytes())
    torn[place] ^= 0x55
    path.write_bytes(torn)

    with pytest.raises((NotReady, Undecodable)):
        read(path, HERE, {})


def test_a_file_is_read_while_its_writer_goes_on(path):
    with h5py.File(path, "w", libver="latest") as file:
        growing = file.create_dataset("x", (4,), "f8", maxshape=(None,), chunks=(4,))
        file.swmr_mode = True
        assert len(read(path, HERE, {})[""]) == 4
        growing.resize((8,))
        growing.flush()
        assert len(read(path, HERE, {})[""]) == 8
