import resource
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from edge_client.cubes.opening import is_cube, open_cube
from protos.errors import InvalidInput
from tests.edge_client.cubes.conftest import Made
from tests.edge_client.cubes.files import MAP_INFO, write_envi, write_mat73, write_tiff

WAVELENGTHS = np.linspace(450, 940, 8)
LISTED = ", ".join(f"{value:g}" for value in WAVELENGTHS)


def all_of(path: Path, variable: str | None = None) -> np.ndarray:
    file = open_cube(path, variable)
    assert (file.rows(3, 7) == file.rows(0, file.shape[0])[3:7]).all()
    return file.rows(0, file.shape[0])


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize(("order", "skip"), [(0, 0), (1, 0), (0, 512)])
def test_an_envi_image_is_read_whatever_its_order(
    tmp_path: Path, made: Made, interleave: str, order: int, skip: int
) -> None:
    header = write_envi(tmp_path / "a.img", made[0], interleave, order=order, skip=skip)
    for path in (header, tmp_path / "a.img"):
        found = all_of(path)
        assert found.dtype == np.uint16 and (found == made[0]).all()


def test_an_envi_header_carries_wavelengths_bad_bands_no_data_and_place(tmp_path: Path, made: Made) -> None:
    more = f"wavelength = {{{', '.join(f'{value / 1000:g}' for value in WAVELENGTHS)}}}\n"
    more += "wavelength units = Micrometers\nbbl = {1,1,0,1,1,1,1,0}\ndata ignore value = 65535\n" + MAP_INFO
    pytest.importorskip("rasterio")
    file = open_cube(write_envi(tmp_path / "a.img", made[0], more=more))
    assert file.wavelengths is not None and np.allclose(file.wavelengths, WAVELENGTHS)
    assert np.flatnonzero(~file.good_bands).tolist() == [2, 7] and file.no_data == 65535
    assert file.georeference is not None and file.georeference.transform == (20, 0, 500_000, 0, -20, 4_400_000)
    assert "UTM" in file.georeference.crs


def test_a_matlab_5_file_is_read(tmp_path: Path, made: Made) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"scene": made[0], "wavelength_um": WAVELENGTHS / 1000})
    assert (all_of(tmp_path / "a.mat") == made[0]).all()
    found = open_cube(tmp_path / "a.mat").wavelengths
    assert found is not None and np.allclose(found, WAVELENGTHS)


def test_a_matlab_5_file_that_crashes_its_reader_is_refused(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"c": made[0]})
    damaged = bytearray(path.read_bytes())
    assert damaged[184] == 4  # the type of the values: uint16
    damaged[184] = 45
    path.write_bytes(damaged)
    with pytest.raises(InvalidInput, match=r"a\.mat is damaged, or no MATLAB file: reading it crashes"):
        open_cube(path)


def test_an_array_of_a_matlab_5_file_may_be_called_file(tmp_path: Path, made: Made) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"file": made[0], "words": "no numbers", "allow_pickle": made[1]})
    assert (all_of(tmp_path / "a.mat") == made[0]).all()


def test_a_matlab_7_3_file_is_read(tmp_path: Path, made: Made) -> None:
    pytest.importorskip("h5py")
    path = write_mat73(tmp_path / "a.mat", scene=made[0], wavelengths=WAVELENGTHS[None])
    assert (all_of(path) == made[0]).all()
    found = open_cube(path).wavelengths
    assert found is not None and np.allclose(found, WAVELENGTHS)


def test_a_geotiff_keeps_its_place(tmp_path: Path, made: Made) -> None:
    pytest.importorskip("rasterio")
    path = write_tiff(tmp_path / "a.tif", made[0], nodata=7)
    assert (all_of(path) == made[0]).all()
    file = open_cube(path)
    assert file.georeference is not None and file.georeference.transform[2] == 500_000 and file.no_data == 7
    assert open_cube(write_tiff(tmp_path / "b.tif", made[0], georeferenced=False)).georeference is None


def test_numpy_files_are_read(tmp_path: Path, made: Made) -> None:
    np.savez(tmp_path / "a.npz", cube=made[0], gt=made[1], wavelengths=WAVELENGTHS)
    np.save(tmp_path / "a.npy", made[0])
    assert (all_of(tmp_path / "a.npz") == made[0]).all() and (all_of(tmp_path / "a.npy") == made[0]).all()


def test_the_real_scenes_are_read(scenes: Path) -> None:
    pavia = open_cube(scenes / "pavia_u_lr.npz")
    assert pavia.shape == (80, 50, 103) and pavia.wavelengths is not None
    assert 400 < pavia.wavelengths[0] < 500 and 800 < pavia.wavelengths[-1] < 900
    assert open_cube(scenes / "had_sandiego.npz").shape == (100, 100, 189)
    with pytest.raises(InvalidInput, match=r'2 arrays of 3 axes.*variable = "NAME".*abundance \(95, 95, 3\)'):
        open_cube(scenes / "samson.npz")
    assert open_cube(scenes / "samson.npz", "cube").shape == (95, 95, 156)


@pytest.mark.parametrize("writer", ["mat5", "mat73", "npz"])
def test_a_file_of_several_arrays_lists_them_and_asks_which(tmp_path: Path, made: Made, writer: str) -> None:
    arrays = {"scene": made[0], "other": made[0][:5], "labels": made[1]}
    path = tmp_path / ("a.npz" if writer == "npz" else "a.mat")
    if writer == "mat5":
        scipy.io.savemat(path, arrays)
    elif writer == "npz":
        np.savez(path, **arrays)
    else:
        pytest.importorskip("h5py")
        write_mat73(path, **arrays)
    with pytest.raises(InvalidInput, match=r'2 arrays of 3 axes: which one is meant\? Say variable = "NAME"') as error:
        open_cube(path)
    assert "scene (24, 30, 8)" in str(error.value) and "labels (24, 30)" in str(error.value)
    assert open_cube(path, "scene").shape == (24, 30, 8)
    with pytest.raises(InvalidInput, match="no array 'scenes'; there is"):
        open_cube(path, "scenes")
    with pytest.raises(InvalidInput, match=r"a cube is \(rows, columns, bands\)"):
        open_cube(path, "labels")


def test_wavelengths_that_do_not_fit_tell_of_a_transposed_cube(tmp_path: Path, made: Made) -> None:
    np.savez(tmp_path / "a.npz", cube=made[0].transpose(2, 0, 1), wavelengths=WAVELENGTHS)
    with pytest.raises(InvalidInput, match="30 bands and 8 wavelengths; is the cube transposed"):
        open_cube(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ENVI\n", "ENV\n", "does not start with the word ENVI"),
        ("samples = 30\n", "", "does not say 'samples'"),
        ("samples = 30", "samples = 3x", "samples = '3x'"),
        ("samples = 30", "samples = 999999999999999999", "samples"),
        ("bands   = 8", "bands   = 0", "no number from 1 up"),
        ("bands   = 8", "bands   = 80", r"promises 115200: 24 x 30 pixels, 80 bands of uint16; one of them is damaged"),
        ("bands   = 8", "bands   = 7", r"has 11520 bytes, and its header .* promises 10080"),
        ("data type = 12", "data type = 1", "promises 5760"),
        ("byte order = 0", "byte order = 2", "byte order '2'; it is 0 or 1"),
        ("data type = 12", "data type = 6", "data type 6; integers and real floats"),
        ("interleave = bsq", "interleave = bqs", "one of bsq, bil, bip"),
        ("a scene}", "a scene", "brace of 'description' is not closed"),
        ("wavelength = {", "wavelength = {1, ", "9 values under 'wavelength' for 8 bands"),
        ("wavelength = {", "wavelength = {x", "no numbers under 'wavelength'"),
        ("wavelength = {", "data ignore value = none\nwavelength = {", "data ignore value 'none'"),
    ],
)
def test_a_corrupt_header_is_told_by_its_fault(tmp_path: Path, made: Made, old: str, new: str, message: str) -> None:
    header = write_envi(tmp_path / "a.img", made[0], more=f"wavelength = {{{LISTED}}}\n")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    with pytest.raises(InvalidInput, match=message):
        open_cube(header)


def test_a_header_may_begin_with_a_mark_and_end_its_lines_as_windows_does(tmp_path: Path, made: Made) -> None:
    header = write_envi(tmp_path / "a.img", made[0])
    header.write_bytes(b"\xef\xbb\xbf" + header.read_bytes().replace(b"\n", b"\r\n"))
    assert (all_of(header) == made[0]).all()


@pytest.mark.parametrize(
    ("unit", "factor"), [("Nanometers", 1), ("nm", 1), ("um", 1000), ("μm", 1000), ("Unknown", 1), ("", 1)]
)
def test_wavelengths_are_read_in_the_unit_of_the_header(tmp_path: Path, made: Made, unit: str, factor: float) -> None:
    listed = ", ".join(f"{value / factor:g}" for value in WAVELENGTHS)
    more = f"wavelength = {{{listed}}}\nwavelength units = {unit}\n"
    found = open_cube(write_envi(tmp_path / "a.img", made[0], more=more)).wavelengths
    assert found is not None and np.allclose(found, WAVELENGTHS)


def test_numbers_that_are_no_lengths_are_no_wavelengths(tmp_path: Path, made: Made) -> None:
    more = f"wavelength = {{{LISTED}}}\nwavelength units = Index\n"
    assert open_cube(write_envi(tmp_path / "a.img", made[0], more=more)).wavelengths is None


def test_micrometres_of_eight_bits_do_not_overflow(tmp_path: Path, made: Made) -> None:
    np.savez(tmp_path / "a.npz", cube=made[0], wavelength_um=np.arange(1, 9, dtype=np.uint8))
    found = open_cube(tmp_path / "a.npz").wavelengths
    assert found is not None and found.tolist() == [1000.0 * number for number in range(1, 9)]


def test_what_a_file_claims_to_hold_is_not_read_before_it_is_asked_for(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file.create_dataset("cube", shape=(10_000, 100_000, 100_000), dtype="u2", chunks=(1, 100, 100))
    assert open_cube(tmp_path / "a.mat").shape == (100_000, 100_000, 10_000)
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    header = (tmp_path / "a.npy").read_bytes().replace(b"(2, 3, 4), }     ", b"(2, 3, 4000000), }")
    (tmp_path / "a.npy").write_bytes(header)
    with pytest.raises(InvalidInput, match=r"a\.npy is damaged"):
        open_cube(tmp_path / "a.npy")


def test_damaged_files_of_every_format_are_refused_by_name(tmp_path: Path, made: Made) -> None:
    scipy.io.savemat(tmp_path / "five.mat", {"scene": made[0]}, do_compression=True)
    np.savez(tmp_path / "zip.npz", cube=made[0])
    np.savez(tmp_path / "objects.npz", cube=np.array([{}], object))
    write_tiff(tmp_path / "image.tif", made[0])
    write_mat73(tmp_path / "seven.mat", scene=made[0])
    for name in ("five.mat", "zip.npz", "image.tif", "seven.mat"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:700])
        with pytest.raises(InvalidInput, match=name):
            open_cube(path).rows(0, 24)
    with pytest.raises(InvalidInput, match=r"objects.npz .* no numpy file of plain arrays: objects are never read"):
        open_cube(tmp_path / "objects.npz")


def test_files_that_are_missing_or_of_another_kind_are_told(tmp_path: Path, made: Made) -> None:
    with pytest.raises(InvalidInput, match="there is no cube"):
        open_cube(tmp_path / "none.mat")
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(InvalidInput, match="no cube by its name"):
        open_cube(tmp_path / "a.jpg")
    (tmp_path / "b.img").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"neither b\.hdr nor b\.img\.hdr is beside it"):
        open_cube(tmp_path / "b.img")
    write_envi(tmp_path / "c.img", made[0])
    (tmp_path / "c.img").unlink()
    with pytest.raises(InvalidInput, match=r"the image of .*c\.hdr is missing"):
        open_cube(tmp_path / "c.hdr")
    np.savez(tmp_path / "words.npz", cube=np.full((2, 2, 2), "x"))
    with pytest.raises(InvalidInput, match="a cube holds integers or floats"):
        open_cube(tmp_path / "words.npz")
    assert is_cube(tmp_path / "a.mat") and not is_cube(tmp_path / "a.png")


def test_a_mapped_image_costs_no_memory_before_its_rows_are_read(tmp_path: Path) -> None:
    image = tmp_path / "large.img"
    with image.open("wb") as file:
        file.truncate(20_000 * 2_000 * 200 * 2)  # 16 GB that take no room on the disk
    image.with_suffix(".hdr").write_text(
        "ENVI\nsamples = 2000\nlines = 20000\nbands = 200\ndata type = 12\ninterleave = bil\n"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert open_cube(image).rows(19_000, 19_010).shape == (10, 2000, 200)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
