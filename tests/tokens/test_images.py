"""Images by model and by rule, and sizes from every kind of source, damaged ones included."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from reference_images import patch_tokens, tile_tokens

from aoai_cost.catalog import DetailLevel, ImageRule, get_model
from aoai_cost.errors import ImageError, RequestError, UnknownNameError
from aoai_cost.tokens.images import (
    count_image_tokens,
    count_image_tokens_batch,
    image_size,
    image_token_bounds,
    image_tokens,
    image_tokens_batch,
)

TILES = ImageRule("tiles", "tile", "documented", "the guide", base_tokens=85, tile_tokens=170)
PATCHES = ImageRule(
    "patches",
    "patch",
    "documented",
    "the guide",
    multiplier=1.2,
    extra_tokens=1,
    levels={
        "low": DetailLevel(max_side_px=512),
        "high": DetailLevel(max_side_px=2048, max_patches=2500),
        "original": DetailLevel(max_side_px=65_535),
    },
    auto="original",
)
FORMATS = "PNG, JPEG, GIF and WEBP"
NOISE = np.random.default_rng(20).bytes(50_000)
RULES = [
    pytest.param(TILES, "low", id="tiles at low"),
    pytest.param(TILES, "high", id="tiles at high"),
    pytest.param(PATCHES, "low", id="patches at low"),
    pytest.param(PATCHES, "high", id="patches at high"),
    pytest.param(PATCHES, "original", id="patches at original"),
]


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        pytest.param("gpt-4o", (2048, 4096), "high", 1105, id="gpt-4o sees a large image in six tiles"),
        pytest.param("gpt-4o-mini", (2048, 4096), "high", 36_835, id="gpt-4o-mini sees a large image in six tiles"),
        pytest.param("gpt-4o", (4096, 8192), "low", 85, id="low costs the base on gpt-4o"),
        pytest.param("gpt-4o-mini", (4096, 8192), "low", 2833, id="low costs the base on gpt-4o-mini"),
        pytest.param("gpt-4o-mini", (640, 480), "auto", 14_167, id="recorded on gpt-4o-mini"),
        pytest.param("gpt-5", (640, 480), "auto", 350, id="recorded on gpt-5"),
        pytest.param("gpt-4o", (800, 400), "auto", 425, id="recorded on gpt-4-vision, which has the rule of gpt-4o"),
        pytest.param("gpt-4.1-mini", (640, 480), "auto", 488, id="recorded on gpt-4.1-mini with one extra token"),
        pytest.param("o4-mini", (640, 480), "auto", 517, id="recorded on o4-mini with one extra token"),
        pytest.param("gpt-5-mini", (640, 480), "auto", 361, id="recorded on gpt-5-mini with one extra token"),
        pytest.param("gpt-4.1-nano", (540, 360), "auto", 503, id="recorded on gpt-4.1-nano with one extra token"),
        pytest.param("gpt-4.1-nano", (128, 128), "auto", 41, id="recorded on gpt-4.1-nano, a small image"),
        pytest.param("gpt-5-nano", (128, 128), "auto", 24, id="recorded on gpt-5-nano without an extra token"),
    ],
)
def test_recorded_and_published_counts(model: str, size: tuple[int, int], detail: Any, tokens: int) -> None:
    assert count_image_tokens(*size, model=model, detail=detail) == tokens
    assert count_image_tokens(*size, model=get_model(model), detail=detail) == tokens
    assert count_image_tokens_batch([size[0]], [size[1]], model=model, detail=detail).tolist() == [tokens]


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_rules_become_the_numbers_of_the_kernels(width: int, height: int) -> None:
    tiles = {"tile_px": 512, "fit_px": 2048, "short_px": 768}
    assert image_tokens(TILES, width, height) == tile_tokens(width, height, base=85, per_tile=170, **tiles)
    for detail, side_px, budget in (("low", 512, 0), ("high", 2048, 2500), ("original", 65_535, 0)):
        wanted = patch_tokens(
            width,
            height,
            max_side_px=side_px,
            max_patches=budget,
            patch_px=32,
            multiplier=1.2,
            extra=1,
            reject_patches=30_000,
        )
        if wanted is None:
            with pytest.raises(ImageError, match="30,000 patches"):
                image_tokens(PATCHES, width, height, detail)
        else:
            assert image_tokens(PATCHES, width, height, detail) == wanted


def test_auto_is_what_the_rule_says() -> None:
    assert image_tokens(PATCHES, 3000, 2000) == image_tokens(PATCHES, 3000, 2000, "original")
    assert image_tokens(TILES, 3000, 2000) == image_tokens(TILES, 3000, 2000, "high")


@pytest.mark.parametrize(("rule", "detail"), RULES)
@given(size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
def test_an_accepted_image_costs_what_lies_within_the_bounds(
    rule: ImageRule, detail: str, size: tuple[int, int]
) -> None:
    least, most = image_token_bounds(rule, detail)
    try:
        assert least <= image_tokens(rule, *size, detail) <= most
    except ImageError:
        assert (rule, detail) == (PATCHES, "original")


@pytest.mark.parametrize(
    ("rule", "detail", "bounds"),
    [
        pytest.param(TILES, "low", (85, 85), id="low costs the base whatever the size"),
        pytest.param(TILES, "high", (255, 1445), id="tiles go from one to eight"),
        pytest.param(PATCHES, "low", (3, 309), id="a side limit alone allows its square"),
        pytest.param(PATCHES, "high", (3, 3001), id="a budget is the most"),
        pytest.param(PATCHES, "original", (3, 36_001), id="the service's refusal is the most"),
    ],
)
def test_bounds(rule: ImageRule, detail: str, bounds: tuple[int, int]) -> None:
    assert image_token_bounds(rule, detail) == bounds


@pytest.mark.parametrize(("rule", "detail"), RULES)
def test_a_batch_is_its_images_one_by_one(rule: ImageRule, detail: str) -> None:
    rng = np.random.default_rng(20)
    widths, heights = rng.integers(1, 5000, (2, 500))
    wanted = [image_tokens(rule, int(w), int(h), detail) for w, h in zip(widths, heights, strict=True)]
    counted = image_tokens_batch(rule, widths, heights, detail)
    assert counted.dtype == np.int64
    assert counted.tolist() == wanted


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param([640, 2048], id="a list"),
        pytest.param(np.array([640, 2048], "int16"), id="small integers"),
        pytest.param(np.array([640, 2048], "uint64"), id="unsigned integers"),
        pytest.param(np.array([640, 0, 2048, 0])[::2], id="every second of an array"),
        pytest.param(np.array([640, 2048], ">i8"), id="integers of the other byte order"),
    ],
)
def test_a_batch_takes_whole_numbers_of_any_make(sides: npt.ArrayLike) -> None:
    assert image_tokens_batch(TILES, sides, sides).tolist() == [image_tokens(TILES, n, n) for n in (640, 2048)]


def test_an_empty_batch_is_an_empty_answer() -> None:
    assert image_tokens_batch(TILES, [], []).tolist() == []


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param([1.5], id="a fraction"),
        pytest.param(["640"], id="a text"),
        pytest.param([[640]], id="a table"),
        pytest.param(640, id="one number"),
        pytest.param([True], id="a truth value"),
    ],
)
def test_a_batch_of_anything_else_is_a_request_error(sides: Any) -> None:
    with pytest.raises(RequestError, match="whole numbers"):
        image_tokens_batch(TILES, sides, [480])


def test_unequal_columns_are_a_request_error() -> None:
    with pytest.raises(RequestError, match="1 sides for 2 widths"):
        image_tokens_batch(TILES, [1, 2], [1])


@pytest.mark.parametrize(
    ("widths", "heights"),
    [
        pytest.param([5, 0], [5, 5], id="no width"),
        pytest.param([5, 5], [5, -3], id="a negative height"),
        pytest.param([5, 5], [5, 2**31], id="a side beyond 31 bits"),
        pytest.param([5, 5], np.array([5, 2**64 - 1], "uint64"), id="a side beyond 63 bits"),
    ],
)
def test_a_batch_names_the_first_size_that_is_out_of_range(widths: Any, heights: Any) -> None:
    with pytest.raises(ImageError, match=r"\[1\]: .*1 to 2,147,483,647 px"):
        image_tokens_batch(TILES, widths, heights)


def test_too_many_patches_name_the_image_and_the_limit() -> None:
    with pytest.raises(ImageError, match=r"7000x7000 px.*30,000 patches of 32 px.*HTTP 400"):
        image_tokens(PATCHES, 7000, 7000)
    with pytest.raises(ImageError, match=r"\[1\]: 7000x7000 px.*30,000 patches"):
        image_tokens_batch(PATCHES, [10, 7000], [10, 7000])
    assert image_tokens(PATCHES, 200 * 32, 150 * 32) == 36_001, "exactly at the limit is accepted"


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((0, 1), id="no width"),
        pytest.param((1, 2**31), id="a side beyond 31 bits"),
        pytest.param((1, 10**30), id="a side beyond 64 bits"),
        pytest.param((1.5, 1), id="a fraction"),
        pytest.param(("1", 1), id="a text"),
    ],
)
def test_an_impossible_size_is_an_image_error(size: Any) -> None:
    with pytest.raises(ImageError):
        count_image_tokens(*size, model="gpt-4o")
    with pytest.raises(ImageError):
        image_size(size)


@pytest.mark.parametrize("detail", ["", "High", "original", None, "x" * 10_000])
def test_a_detail_that_the_rule_does_not_know_is_a_request_error(detail: Any) -> None:
    with pytest.raises(RequestError, match="knows auto, low, high") as caught:
        image_tokens(TILES, 10, 10, detail)
    assert len(str(caught.value)) < 2000


def test_a_model_without_an_image_rule_says_so() -> None:
    with pytest.raises(RequestError, match="text-embedding-3-small"):
        count_image_tokens(10, 10, model="text-embedding-3-small")


def test_an_unknown_model_is_unknown() -> None:
    with pytest.raises(UnknownNameError):
        count_image_tokens_batch([10], [10], model="gpt-4-nothing")


def encoded(format: str, size: tuple[int, int] = (37, 21), mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format, **options)
    return buffer.getvalue()


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (37, 21), color) for color in ("red", "blue", "green")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def size_or_error(source: Any) -> tuple[int, int] | ImageError:
    try:
        return image_size(source)
    except ImageError as error:
        return error


def exif_turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif)


GOOD = [
    pytest.param(encoded("PNG"), id="a PNG"),
    pytest.param(encoded("PNG", mode="P"), id="a PNG with a palette"),
    pytest.param(encoded("PNG", mode="I;16"), id="a PNG of 16 bits"),
    pytest.param(encoded("JPEG"), id="a JPEG"),
    pytest.param(encoded("JPEG", progressive=True), id="a progressive JPEG"),
    pytest.param(encoded("JPEG", mode="L"), id="a grey JPEG"),
    pytest.param(encoded("JPEG", mode="CMYK", icc_profile=b"x" * 200_000), id="a JPEG behind a long colour profile"),
    pytest.param(exif_turned(), id="a JPEG that EXIF turns keeps its stored size"),
    pytest.param(encoded("GIF", mode="P"), id="a GIF"),
    pytest.param(animated("GIF"), id="an animated GIF"),
    pytest.param(animated("PNG"), id="an animated PNG"),
    pytest.param(encoded("WEBP"), id="a lossy WEBP"),
    pytest.param(encoded("WEBP", lossless=True), id="a lossless WEBP"),
    pytest.param(encoded("WEBP", mode="RGBA", icc_profile=b"abc"), id="a WEBP with a canvas, a profile and alpha"),
    pytest.param(animated("WEBP"), id="an animated WEBP"),
]


@pytest.mark.parametrize("data", GOOD)
def test_every_source_gives_the_same_size(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "photo é.bin"
    path.write_bytes(data)
    assert image_size(data) == (37, 21)
    assert image_size(bytearray(data)) == (37, 21)
    assert image_size(memoryview(data)) == (37, 21)
    assert image_size(str(path)) == (37, 21)
    assert image_size(path) == (37, 21)
    assert image_size(io.BytesIO(data)) == (37, 21)
    assert image_size(data_url(data)) == (37, 21)
    with Image.open(path) as opened:
        assert image_size(opened) == (37, 21)


@pytest.mark.parametrize("data", GOOD)
def test_every_beginning_of_an_image_gives_its_size_or_an_image_error(data: bytes) -> None:
    for end in {*range(0, len(data), max(1, len(data) // 400)), *range(min(len(data), 64))}:
        found = size_or_error(data[:end])
        assert isinstance(found, ImageError) or found == (37, 21)


@pytest.mark.parametrize("data", GOOD)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_damaged_image_gives_what_pillow_gives_or_an_image_error(data: bytes, hits: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for at, value in hits:
        damaged[at % len(data)] = value
    found = size_or_error(bytes(damaged))
    if isinstance(found, ImageError):
        return
    # Pillow warns about some damage and refuses some that lies behind the size; what it gives must be ours.
    try:
        with Image.open(io.BytesIO(damaged), formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            theirs = image.size
    except (OSError, ValueError, SyntaxError, Warning):
        return
    assert found == theirs


def test_images_of_the_test_data(test_data: Path) -> None:
    """Each hostile file ends in the size that Pillow gives, or in an ImageError."""
    gold = json.loads((test_data / "hostile" / "gold.json").read_text("utf-8"))["images"]
    paths = sorted((test_data / "hostile" / "images").iterdir())
    sized = 0
    for path in paths:
        found = size_or_error(path)
        if isinstance(found, ImageError):
            assert len(str(found)) < 500
            wanted = path.name in gold and path.suffix in (".png", ".jpg", ".gif", ".webp")
            # The one exception has no pixels at all: Pillow tells its size, and fails to show it.
            assert not wanted or path.name == "pngsuite-xdtn0g01.png", f"{path.name}: {found}"
        else:
            assert list(found) in gold.get(path.name, []), path.name
            sized += 1
    assert sized > 200


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, color: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", b"")


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + b"," + struct.pack("<HHHHB", *frame, 0) + b"\2\0;"


JPEG_FRAME = b"\xff\xc0\x00\x0b\x08\x00\x15\x00\x25\x01\x01\x11\x00"
JPEG_SCAN = b"\xff\xda\x00\x02"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(gif((10, 10), (5, 0, 20, 4)), (25, 10), id="a GIF frame beyond the screen widens it"),
        pytest.param(gif((0, 0), (0, 0, 3, 4)), (3, 4), id="a GIF without a screen is as large as its frame"),
        pytest.param(png(13_377, 13_377), (13_377, 13_377), id="an image as large as decoders accept"),
        pytest.param(
            b"\xff\xd8" + b"\xff" * 300_000 + JPEG_FRAME[1:] + JPEG_SCAN,
            (37, 21),
            id="a JPEG after a run of fill bytes",
        ),
        pytest.param(
            b"\xff\xd8\xff\xe0\x00\x02" + bytes(300_000) + JPEG_FRAME + JPEG_SCAN, (37, 21), id="a JPEG after junk"
        ),
        pytest.param(
            png(5, 6, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))), (5, 6), id="a PNG with a long text"
        ),
        pytest.param(png(5, 6, chunk(b"zTXt", b"k\0\0not zlib")), (5, 6), id="a PNG whose text cannot be unfolded"),
    ],
)
def test_sizes_of_odd_images(data: bytes, size: tuple[int, int]) -> None:
    assert image_size(data) == size


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "is empty", id="nothing"),
        pytest.param(b"\x89", FORMATS, id="one byte"),
        pytest.param(b"%PDF-1.7", FORMATS, id="a document"),
        pytest.param(encoded("BMP"), FORMATS, id="another image format"),
        pytest.param(encoded("TIFF"), FORMATS, id="a TIFF"),
        pytest.param(png(0, 5), "damaged", id="a PNG without a width"),
        pytest.param(gif((0, 5), (0, 0, 0, 0)), "damaged", id="a GIF without a width"),
        pytest.param(png(30_000, 30_000), "178,956,970", id="a bomb of many pixels"),
        pytest.param(png(5, 6, depth=3), "damaged", id="a PNG of three bits"),
        pytest.param(png(5, 6)[:8] + chunk(b"IDAT", b""), "damaged", id="a PNG without a header"),
        pytest.param(png(5, 6).replace(b"IHDR\0\0\0\5", b"IHDR\0\0\0\7"), "damaged", id="a PNG with a wrong checksum"),
        pytest.param(png(5, 6)[:33] + b"\x7f\xff\xff\xffiTXt", "damaged", id="a PNG with an endless chunk"),
        pytest.param(
            png(5, 6, chunk(b"iTXt", b"k\0\1\0en\0\0" + zlib.compress(bytes(1 << 24)))), "damaged", id="a text bomb"
        ),
        pytest.param(
            png(5, 6, *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20)))] * 65),
            "damaged",
            id="many small bombs",
        ),
        pytest.param(b"\xff\xd8\xff\xd9", "damaged", id="a JPEG without a frame"),
        pytest.param(b"\xff\xd8" + JPEG_SCAN, "damaged", id="a JPEG with its scan first"),
        pytest.param(b"\xff\xd8\xff\x02", "damaged", id="a JPEG with an unknown marker"),
        pytest.param(b"\xff\xd8" + JPEG_FRAME.replace(b"\x08", b"\x0c", 1), "damaged", id="a JPEG of 12 bits"),
        pytest.param(b"\xff\xd8" + b"\xff" * 500_000, "damaged", id="a JPEG of fill bytes alone"),
        pytest.param(b"\xff\xd8" + b"\xff\xe1\x00\x02" * 100_000, "damaged", id="a JPEG of empty segments alone"),
        pytest.param(b"\xff\xd8\xff" + bytes(21_000_000), "damaged", id="a JPEG of junk alone"),
        pytest.param(gif((5, 5), (0, 0, 5, 5))[:13] + b";", "damaged", id="a GIF without a frame"),
        pytest.param(encoded("WEBP")[:-1], "damaged", id="a WEBP that lacks a byte"),
        pytest.param(encoded("WEBP").replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"), "damaged", id="a WEBP of no picture"),
    ],
)
def test_damaged_and_foreign_images_are_image_errors(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        image_size(data)
    assert caught.value.source == f"{len(data):,} bytes"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_webp_canvas_other_than_its_picture_is_damage() -> None:
    data = bytearray(encoded("WEBP", mode="RGBA", icc_profile=b"abc"))
    assert data[12:16] == b"VP8X"
    data[24] += 1
    with pytest.raises(ImageError, match="damaged"):
        image_size(bytes(data))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("nowhere/photo.png", "no such file", id="a missing path"),
        pytest.param(".", "not a file", id="a folder"),
        pytest.param("", "not a file", id="an empty text"),
        pytest.param("photo\0.png", "not a path", id="a path with a zero byte"),
        pytest.param("\ud800.png", "no such file|not a path", id="a path with half a character"),
        pytest.param("https://example.invalid/a.png?sig=secret", "never fetched", id="a remote image"),
        pytest.param("HTTP://example.invalid/a.png", "never fetched", id="a remote image in capitals"),
        pytest.param("data:image/png", "data:image", id="a data: URL without data"),
        pytest.param("data:image/png,iVBOR", "data:image", id="a data: URL that is not base64"),
        pytest.param("data:image/png;base64,", "is empty", id="a data: URL of nothing"),
        pytest.param("data:image/png;base64,iVBOR*w0KGgo", "not base64", id="a data: URL with a foreign letter"),
        pytest.param("data:image/png;base64,iVBORw0KGgé=", "not base64", id="a data: URL with an accent"),
        pytest.param(io.StringIO("text"), "binary mode", id="a text file"),
        pytest.param(None, "is not a path", id="nothing at all"),
        pytest.param(3.5, "is not a path", id="a number"),
        pytest.param((1, 2, 3), "two whole numbers", id="three numbers"),
        pytest.param((0, 2), "1 to 2,147,483,647", id="a size of nothing"),
    ],
)
def test_sources_that_are_no_image_are_image_errors(source: Any, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as caught:
        image_size(source)
    assert "secret" not in str(caught.value)


def test_a_closed_file_is_an_image_error() -> None:
    closed = io.BytesIO(b"GIF89a")
    closed.close()
    with pytest.raises(ImageError, match="closed"):
        image_size(closed)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="not a file"):
        image_size(tmp_path / "pipe")


def test_an_error_never_shows_the_image() -> None:
    bare = base64.b64encode(encoded("PNG", (300, 300)) + NOISE[:1000]).decode()
    for source in (bare, f"data:image/png;base64,AAAA{bare}", bare.encode()):
        with pytest.raises(ImageError) as caught:
            image_size(source)
        assert bare[100:120] not in str(caught.value) + caught.value.source
        assert len(caught.value.source) < 100


class Counting(io.RawIOBase):
    """A file that counts what is read of it."""

    def __init__(self, data: bytes, seekable: bool) -> None:
        self.inner, self.can_seek, self.bytes_read = io.BytesIO(data), seekable, 0

    def read(self, size: int = -1) -> bytes:
        data = self.inner.read(size)
        self.bytes_read += len(data)
        return data

    def seekable(self) -> bool:
        return self.can_seek

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.inner.seek(offset, whence)

    def tell(self) -> int:
        return self.inner.tell()


@pytest.mark.parametrize("seekable", [True, False], ids=["a file that can seek", "a stream"])
def test_no_more_is_read_than_the_header(seekable: bool) -> None:
    file: Any = Counting(png(37, 21) + bytes(5_000_000), seekable)
    assert image_size(file) == (37, 21)
    assert file.bytes_read <= (1 << 16 if seekable else 20_000_000)


def test_a_file_is_read_from_its_beginning_and_left_where_it_was() -> None:
    file = io.BytesIO(encoded("PNG"))
    file.seek(17)
    assert image_size(file) == (37, 21)
    assert file.tell() == 17


def test_a_data_url_is_decoded_no_further_than_its_header() -> None:
    # What follows the header is not base64 at all, and nobody looks.
    url = data_url(png(37, 21) + bytes(30_000)) + "*" * 1_000_000
    assert image_size(url) == (37, 21)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("DATA:image/png;BASE64,{}", id="capitals"),
        pytest.param("data:;base64,{}", id="no type"),
        pytest.param("data:application/octet-stream;name=a.png;base64,{}", id="a type of something else"),
    ],
)
def test_data_urls_of_odd_form(url: str) -> None:
    assert image_size(url.format(base64.b64encode(encoded("JPEG")).decode())) == (37, 21)


def test_line_breaks_in_base64_are_passed_over() -> None:
    data = encoded("JPEG", icc_profile=NOISE)
    assert image_size("data:image/jpeg;base64," + base64.encodebytes(data).decode()) == (37, 21)


def test_sizes_of_numpy_integers_are_plain_integers() -> None:
    size = image_size((np.int32(640), np.uint8(4)))  # type: ignore[arg-type]
    assert size == (640, 4)
    assert [type(side) for side in size] == [int, int]


def test_counting_one_image_loads_no_numpy() -> None:
    code = (
        "import sys, json\n"
        "from aoai_cost.tokens.images import count_image_tokens, image_size\n"
        "url = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'\n"
        "assert count_image_tokens(*image_size(url), model='gpt-4o') == 255\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {"numpy", "pandas", "tiktoken"}


@pytest.mark.parametrize(
    ("shape", "size"),
    [((48, 64), (64, 48)), ((48, 64, 1), (64, 48)), ((48, 64, 3), (64, 48)), ((48, 64, 4), (64, 48))],
)
def test_an_array_has_its_height_first(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert image_size(np.zeros(shape, np.uint8)) == size


@pytest.mark.parametrize("shape", [(), (3,), (48, 64, 5), (48, 64, 0), (0, 64), (2, 48, 64, 3)], ids=str)
def test_an_array_that_is_no_image_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="array of shape"):
        image_size(np.zeros(shape, np.uint8))


DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": DOT, "detail": "low"}},
        {"type": "image_url", "image_url": DOT},
        {"type": "input_image", "image_url": DOT, "detail": "high"},
    ],
)
def test_a_content_part_is_the_image_in_it(part: dict[str, Any]) -> None:
    assert image_size(part) == (1, 1)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"type": "text", "text": "a"}, "has no image_url"),
        ({"type": "image_url"}, "has no image_url"),
        ({"type": "input_image", "file_id": "file-1"}, "has no image_url"),
        ({"type": "input_image", "image_url": "https://example.com/a.png"}, "is remote"),
        ({"type": "input_image", "image_url": "/etc/passwd"}, "is no URL"),
    ],
)
def test_a_content_part_without_an_image_is_an_error(part: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        image_size(part)
