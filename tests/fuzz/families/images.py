"""Image files of every kind that is read, bent, and made to look far larger than they are."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from edge_client.images import MAX_PIXELS, read_image
from tests.fuzz.family import Family
from tests.fuzz.mutations import EDGES, bend_bytes

_PNG = b"\x89PNG\r\n\x1a\n"


def _saved(mode: str, kind: str, **options: object) -> bytes:
    ramp = np.add.outer(np.arange(24), np.arange(32)) * 4 % 256
    image = Image.fromarray(ramp.astype(np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _grey16(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray((np.arange(24 * 32).reshape(24, 32) * 80).astype(np.uint16)).save(file, kind)
    return file.getvalue()


def _sound() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "blue")]
    files = [_saved(mode, "PNG") for mode in ("RGB", "L", "P", "1", "LA", "RGBA")]
    files += [_saved("RGB", "JPEG", exif=exif), _saved("CMYK", "JPEG"), _saved("L", "JPEG", progressive=True)]
    files += [_saved("RGB", "BMP"), _saved("P", "BMP"), _saved("1", "BMP"), _saved("RGB", "GIF")]
    files += [_saved("RGB", "TIFF", compression=how) for how in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")]
    files += [_saved("RGB", "TIFF", save_all=True, append_images=frames), _grey16("TIFF"), _grey16("PNG")]
    files += [_saved("RGB", "WEBP"), _saved("RGBA", "WEBP", lossless=True)]
    files += [_saved("RGB", "WEBP", save_all=True, append_images=frames)]
    return files


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def _bombs() -> list[bytes]:
    """Files that promise or unpack to far more than they hold."""
    zeros = zlib.compress(bytes(64 << 20), 9)
    small, frame = zlib.compress(bytes(900_000), 9), struct.pack(">IIIIIHHBB", 0, 2**31, 2**31, 0, 0, 1, 1, 0, 0)
    pixels = b"IDAT", zlib.compress(bytes(25 * 97), 9)
    end = b"IEND", b""
    files = [
        _png(_header(100_000, 100_000), (b"IDAT", zeros), end),
        _png(_header(2**31 - 1, 2**31 - 1), (b"IDAT", zeros), end),
        _png(_header(7000, 7000), (b"IDAT", zeros), end),
        _png(_header(7000, 7000, interlace=1), (b"IDAT", zeros), end),
        _png(_header(32, 24), (b"iCCP", b"p\0\0" + zeros), pixels, end),
        _png(_header(32, 24), (b"zTXt", b"k\0\0" + zeros), pixels, end),
        _png(_header(32, 24), *[(b"zTXt", b"k%d\0\0" % i + small) for i in range(300)], pixels, end),
        _png(_header(32, 24), (b"iTXt", b"k\0\1\0en\0k\0" + zeros), pixels, end),
        _png(_header(32, 24), (b"tEXt", b"k\0" + b"x" * (8 << 20)), pixels, end),
        _png(_header(32, 24), *[(b"tEXt", b"k%d\0v" % i) for i in range(50_000)], pixels, end),
        _png(_header(32, 24), (b"eXIf", b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(70_000)), pixels, end),
        _png(_header(32, 24), (b"acTL", struct.pack(">II", 2**31 - 1, 0)), (b"fcTL", frame), pixels, end),
        _png(_header(32, 24), *[(b"IDAT", b"")] * 20_000, pixels, end),
    ]  # fmt: skip
    jpeg = _saved("RGB", "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    files += [jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :]]
    files += [jpeg[:2] + b"\xff\xe1\xff\xff" * 20_000 + jpeg[2:], jpeg[:2] + b"\xff" * 100_000 + jpeg[2:]]
    slow = _saved("L", "JPEG", progressive=True)
    scan = slow.index(b"\xff\xda")
    files += [slow[:scan] + slow[scan:-2] * 400 + slow[-2:]]
    files += [b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 2**30, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0)]
    files += [
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 7000, 7000, 1, 8, 1, 0, 0, 0, 0, 0) + b"\xff\0" * 64
    ]
    files += [_tiff([(256, 4, 1, 2**31), (257, 4, 1, 2**31)]), _tiff([(256, 4, 1, 32), (257, 4, 1, 24)], loop=True)]
    files += [_tiff([(256, 4, 1, 32), (257, 4, 1, 24), (273, 4, 2**30, 8), (279, 4, 2**30, 8)])]
    files += [_tiff([(256, 4, 1, 32), (257, 4, 1, 24), (330, 13, 1, 8), (34665, 4, 1, 8), (34853, 4, 1, 8)], loop=True)]
    canvas = struct.pack("<I", 16_382)[:3]
    files += [b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas * 2]
    lossless = struct.pack("<BI", 0x2F, 16_382 | 16_382 << 14)
    files += [b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8L" + struct.pack("<I", 80) + lossless + bytes(75)]
    return files


def _tiff(entries: list[tuple[int, int, int, int]], *, loop: bool = False) -> bytes:
    rest = [(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    table = sorted({entry[0]: entry for entry in (*rest, (273, 4, 1, 200), (279, 4, 1, 768), *entries)}.values())
    body = b"".join(struct.pack("<HHII", *entry) for entry in table)
    return b"II*\0" + struct.pack("<IH", 8, len(table)) + body + struct.pack("<I", 8 if loop else 0) + bytes(1000)


def _bend_png(random: Random, data: bytes) -> bytes:
    """One chunk bent, with its checksum put right again, so that what it guards is reached."""
    chunks, at = [], len(_PNG)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return bend_bytes(random, data)
    at = random.randrange(len(chunks))
    name, content = chunks[at]
    if name == b"IHDR" and len(content) == 13:
        sizes = (random.choice((1, 24, 7000, 65_535, *EDGES)) % 2**32 for _ in range(2))
        chunks[at] = (
            name,
            struct.pack(">II", *sizes) + content[8:] if random.random() < 0.5 else bend_bytes(random, content),
        )
    elif name == b"IDAT" and random.random() < 0.5:
        chunks[at] = name, zlib.compress(random.randbytes(random.randrange(4000)))
    elif random.random() < 0.2:
        chunks.insert(at, (random.choice((b"iCCP", b"zTXt", b"iTXt", b"PLTE", b"tRNS", b"eXIf", b"fdAT")), content))
    else:
        chunks[at] = name, bend_bytes(random, content)
    return _png(*chunks)


def _bend(random: Random, data: bytes) -> bytes:
    if data.startswith(_PNG) and len(data) < 1 << 16 and random.random() < 0.7:
        return _bend_png(random, data)
    return bend_bytes(random, data)


def _take(data: bytes, folder: Path) -> None:
    path = folder / "image.png"
    path.write_bytes(data)
    image = read_image(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS


IMAGES = (
    Family("images", _sound, _bend, _take, memory_bytes=1 << 30, quick=400),
    # Up to MAX_PIXELS an image is read, whatever it is: those take their time and their 150 MB.
    Family("image bombs", _bombs, _bend, _take, quick=30, full=1500, memory_bytes=1 << 30, limit_s=3.0),
)
