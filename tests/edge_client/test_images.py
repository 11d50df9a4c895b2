"""Every kind of image that a site may hold, sound or not, through the one reader."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_client import images
from edge_client.images import read_image
from protos.errors import InvalidInput

RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is large; its pixels are missing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + body
        + struct.pack(">I", zlib.crc32(body))
        + struct.pack(">I", 9)
        + b"IDAT"
    )


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_pixels_are_exact_when_the_format_is_lossless(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(RGB).save(tmp_path / f"a.{suffix}")
    read = read_image(tmp_path / f"a.{suffix}")
    assert read.dtype == np.uint8
    assert np.array_equal(read, RGB)
    assert read.flags.writeable  # torch takes it without a copy


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_pixels_are_close_when_the_format_is_lossy(tmp_path: Path, suffix: str) -> None:
    smooth = np.linspace(0, 255, 40 * 60, dtype=np.uint8).reshape(40, 60)
    Image.fromarray(smooth).convert("RGB").save(tmp_path / f"a.{suffix}")
    assert np.abs(read_image(tmp_path / f"a.{suffix}").astype(int) - smooth[..., None]).mean() < 3


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), np.dstack([GREY] * 3))


def test_sixteen_bit_grey_keeps_its_high_byte(tmp_path: Path) -> None:
    wide = GREY.astype(np.uint16) * 256 + 17
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png")[..., 0], GREY)


def test_twelve_bit_grey_fills_the_range_when_stored_in_sixteen(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 16 + 3).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif")[..., 0], GREY)


@pytest.mark.parametrize("samples", [GREY.astype(np.float32), GREY.astype(np.int32) * 100_000])
def test_samples_without_a_known_range_are_refused(tmp_path: Path, samples: np.ndarray) -> None:
    Image.fromarray(samples).save(tmp_path / "a.tif")
    with pytest.raises(InvalidInput, match=r"a\.tif holds .*: save it with 8 or 16 bits"):
        read_image(tmp_path / "a.tif")


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:20] = 255
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert np.array_equal(read[:20], RGB[:20])
    assert not read[20:].any()


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(16))])
def test_palette_is_resolved_when_it_has_or_lacks_transparency(tmp_path: Path, transparency: bytes | int) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    palette.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    read = read_image(tmp_path / "a.png")
    opaque = np.asarray(palette) != 3 if transparency == 3 else np.zeros((40, 60), bool)
    if transparency is None:
        opaque[:] = True
    assert np.array_equal(read[opaque], np.asarray(palette.convert("RGB"))[opaque])


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("1", "a.png"), ("LAB", "a.tif")])
def test_other_colour_models_become_rgb(tmp_path: Path, mode: str, name: str) -> None:
    Image.fromarray(RGB).convert(mode).save(tmp_path / name)
    read = read_image(tmp_path / name)
    assert read.shape == RGB.shape
    assert abs(float(read.mean()) - float(RGB.mean())) < 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_image_is_turned_when_the_camera_says_so(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the top is at the right
    Image.fromarray(RGB).save(tmp_path / f"a.{suffix}", exif=exif)
    assert read_image(tmp_path / f"a.{suffix}").shape == (60, 40, 3)


def test_image_is_read_when_its_exif_block_is_damaged(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    assert read_image(tmp_path / "a.jpg").shape == RGB.shape


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_first_frame_is_read_when_there_are_several(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(
        tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {})
    )
    assert np.array_equal(read_image(tmp_path / name)[0, 0], [255, 0, 0])


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_truncated_image_is_refused_by_name(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InvalidInput, match=rf"cut\.{suffix} is "):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + bytes(30), b"%PDF-1.4", bytes(1000)])
def test_other_content_is_refused_when_it_is_named_like_an_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.png is not a PNG, JPEG, BMP, TIFF or WebP image"):
        read_image(tmp_path / "a.png")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"gone\.png cannot be read: No such file"):
        read_image(tmp_path / "gone.png")


def test_pipe_and_folder_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(InvalidInput, match="is not a file"):
            read_image(path)


def test_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    with pytest.raises(InvalidInput, match=r"bomb\.png has 60000 x 60000 pixels; at most 50 million"):
        read_image(tmp_path / "bomb.png")


def test_large_baseline_jpeg_is_reduced_and_a_progressive_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    Image.fromarray(RGB).save(tmp_path / "b.jpg", progressive=True)
    assert read_image(tmp_path / "a.jpg").shape == (20, 30, 3)
    with pytest.raises(InvalidInput, match=r"b\.jpg has 60 x 40 pixels"):
        read_image(tmp_path / "b.jpg")


def test_file_is_refused_when_it_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.tif").open("wb") as file:
        file.truncate(images.MAX_FILE_BYTES + 1)  # sparse
    with pytest.raises(InvalidInput, match=r"a\.tif has 512 MiB"):
        read_image(tmp_path / "a.tif")
