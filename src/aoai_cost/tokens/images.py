"""What an image costs in tokens, from its size alone."""

from __future__ import annotations

import io
import math
import os
import stat
import sys
import warnings
from array import array
from collections.abc import Iterable, Mapping
from operator import index
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from .._fast.tiles import MAX_SIDE_PX, count_patch_tokens, count_tile_tokens
from ..catalog import ImageRule, Model, get_model
from ..errors import ImageError, RequestError, shorten
from .base64_file import PIECE_BYTES, Base64File
from .body import as_json, field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Int64s = array[int] | npt.NDArray[np.int64]
    ImageSource = (
        str
        | os.PathLike[str]
        | bytes
        | bytearray
        | memoryview
        | BinaryIO
        | Image.Image
        | npt.NDArray[Any]
        | Mapping[str, Any]
        | tuple[int, int]
        | list[int]
    )

__all__ = [
    "Detail",
    "count_image_tokens",
    "count_image_tokens_batch",
    "image_size",
    "image_token_bounds",
    "image_tokens",
    "image_tokens_batch",
]

Detail = Literal["auto", "low", "high", "original"]
"""How closely the model looks at an image, in the words of the request's ``detail`` field."""

# Azure takes images of up to 20 MB (learn.microsoft.com, "Use vision-enabled chat models").
_SERVICE_BYTES = 20_000_000
# Pillow's own limit, as it comes by default: nothing larger is a picture that a service would look at.
_DECODED_PIXELS = 178_956_970
# One thread may come twice: garbage that is collected within may be a stream whose request is counted then.
_ONE_AT_A_TIME = RLock()
_SHOWN_PATH = 255


def count_image_tokens(width_px: int, height_px: int, *, model: str | Model, detail: Detail = "auto") -> int:
    """Count the input tokens of one image.

    An image is scaled down by the rule of the model, never up: the service does not enlarge small images.
    ``auto`` is what recorded usage shows that an omitted `detail` does.

    Parameters
    ----------
    width_px, height_px : int
        Size in pixels, from 1 to 2,147,483,647.

    Raises
    ------
    UnknownNameError
        If no such model is known.
    RequestError
        If the model has no image rule, or its rule has no such `detail`.
    ImageError
        If the size is out of range, or the service refuses an image of this size.

    Examples
    --------
    >>> count_image_tokens(2048, 4096, model="gpt-4o", detail="high")
    1105
    >>> count_image_tokens(4096, 8192, model="gpt-4o-mini", detail="low")
    2833
    """
    return image_tokens(_rule_of(model), width_px, height_px, detail)


def count_image_tokens_batch(
    widths_px: npt.ArrayLike, heights_px: npt.ArrayLike, *, model: str | Model, detail: Detail = "auto"
) -> npt.NDArray[np.int64]:
    """Count the input tokens of many images.

    Parameters
    ----------
    widths_px, heights_px : array_like of int, shape (n,)
        Sizes in pixels, from 1 to 2,147,483,647.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    UnknownNameError
        If no such model is known.
    RequestError
        If the model has no image rule, its rule has no such `detail`, or the sizes are not two equally long
        arrays of whole numbers.
    ImageError
        If a size is out of range or refused by the service; the first one is named.

    Examples
    --------
    >>> count_image_tokens_batch([640, 2048], [480, 4096], model="gpt-4o").tolist()
    [425, 1105]
    """
    return image_tokens_batch(_rule_of(model), widths_px, heights_px, detail)


def image_tokens(rule: ImageRule, width_px: int, height_px: int, detail: str = "auto") -> int:
    """Count the tokens of one image by a rule of the catalogue.

    Raises
    ------
    RequestError
        If the rule has no such `detail`.
    ImageError
        If the size is out of range, or the service refuses an image of this size.

    Examples
    --------
    >>> from aoai_cost.catalog import ImageRule
    >>> tiles = ImageRule("tiles", "tile", "documented", "the guide", base_tokens=70, tile_tokens=140)
    >>> image_tokens(tiles, 640, 480)
    350
    """
    width_px, height_px = _checked_size((width_px, height_px), shorten((width_px, height_px)))
    out = array("q", (0,))
    refused = _count(rule, _level_of(rule, detail), array("q", (width_px,)), array("q", (height_px,)), out)
    if refused >= 0:
        raise ImageError(f"{width_px}x{height_px} px", _refusal(rule))
    return out[0]


def image_tokens_batch(
    rule: ImageRule, widths_px: npt.ArrayLike, heights_px: npt.ArrayLike, detail: str = "auto"
) -> npt.NDArray[np.int64]:
    """Count the tokens of many images by a rule of the catalogue: see `count_image_tokens_batch`."""
    import numpy as np

    level = _level_of(rule, detail)
    widths, heights = _sides("widths_px", widths_px), _sides("heights_px", heights_px)
    if len(widths) != len(heights):
        raise RequestError("heights_px", f"has {len(heights)} sides for {len(widths)} widths")
    bad = np.flatnonzero((np.minimum(widths, heights) < 1) | (np.maximum(widths, heights) > MAX_SIDE_PX))
    if len(bad):
        i = int(bad[0])
        raise ImageError(f"[{i}]: {widths[i]}x{heights[i]} px", _OUT_OF_RANGE)
    out = np.empty(len(widths), np.int64)
    refused = _count(rule, level, widths, heights, out)
    if refused >= 0:
        raise ImageError(f"[{refused}]: {widths[refused]}x{heights[refused]} px", _refusal(rule))
    return out


def image_token_bounds(rule: ImageRule, detail: str = "auto") -> tuple[int, int]:
    """Return the fewest and the most tokens that an accepted image of any size costs.

    Raises
    ------
    RequestError
        If the rule has no such `detail`.

    Examples
    --------
    >>> from aoai_cost.catalog import ImageRule
    >>> tiles = ImageRule("tiles", "tile", "documented", "the guide", base_tokens=85, tile_tokens=170)
    >>> image_token_bounds(tiles)
    (255, 1445)
    """
    least = image_tokens(rule, 1, 1, detail)
    if rule.kind == "tile":
        return least, image_tokens(rule, rule.fit_px, min(rule.fit_px, rule.short_px), detail)
    level = rule.levels[_level_of(rule, detail)]
    patches = rule.reject_patches
    if level.max_side_px:
        patches = min(patches, (-(-level.max_side_px // rule.patch_px)) ** 2)
    if level.max_patches:
        patches = min(patches, level.max_patches)
    return least, math.ceil(patches * rule.multiplier) + rule.extra_tokens


def image_size(source: ImageSource) -> tuple[int, int]:
    """Return the width and height of an image, in pixels, reading no further than its header.

    Pixels are never decoded and a URL is never fetched. The size is the stored one: a rotation in EXIF is not
    applied. An animation has the size of the canvas that its first frame is drawn on.

    Parameters
    ----------
    source : path, bytes, binary file, PIL image, NumPy array, data: URL, content part or (width, height)
        A PNG, JPEG, GIF or WEBP image, or its size. A file is read from its beginning and left at the position
        where it was, if it can seek. An array has the shape (height, width) or (height, width, channels), with 1 to 4
        channels. A content part is that of a request, of type ``image_url`` or ``input_image``.

    Raises
    ------
    ImageError
        If the source is missing, damaged, of another format or kind, remote, or of no sensible size.

    Examples
    --------
    >>> image_size("data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    (1, 1)
    >>> image_size((640, 480))
    (640, 480)
    """
    if isinstance(source, str):
        scheme = source[:8].lower()
        if scheme.startswith("data:"):
            return _data_url_size(source)
        if scheme.startswith(("http://", "https://")):
            # The query of a URL may hold a signature, and is left out of what is said.
            name = source[:_SHOWN_PATH].partition("?")[0]
            raise ImageError(name, "is remote and images are never fetched; pass its (width, height)")
        return _path_size(source)
    if isinstance(source, os.PathLike):
        return _path_size(os.fsdecode(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _file_size(io.BytesIO(source), f"{memoryview(source).nbytes:,} bytes")
    if isinstance(source, (tuple, list)):
        return _checked_size(source, shorten(source))
    if isinstance(source, Mapping):
        return _part_size(source)
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(source, pillow.Image):
        return _checked_size(source.size, f"PIL image of {source.size}")
    if hasattr(source, "read"):
        return _file_size(cast("BinaryIO", source), _file_name(source))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(source, numpy.ndarray):
        return _array_size(source.shape)
    if hasattr(source, "image_url") and isinstance(part := as_json(source), Mapping):
        return _part_size(part)
    raise ImageError(
        type(source).__name__,
        "is not a path, bytes, a binary file, a PIL image, a NumPy array, a data: URL, a content part or a size",
    )


_OUT_OF_RANGE = f"each side goes from 1 to {MAX_SIDE_PX:,} px"


def _rule_of(model: str | Model) -> ImageRule:
    found = get_model(model) if isinstance(model, str) else model
    if found.image_rule is None:
        raise RequestError("model", f"{found.name!r} has no known rule for images in its input")
    return found.image_rule


def _level_of(rule: ImageRule, detail: str) -> str:
    """Return what `detail` stands for: a level that the rule has."""
    known = ("low", "high") if rule.kind == "tile" else tuple(rule.levels)
    level = rule.auto if detail == "auto" else detail
    if level not in known:
        raise RequestError("detail", f"is {shorten(detail)}; the rule {rule.name!r} knows auto, {', '.join(known)}")
    return level


def _count(rule: ImageRule, level: str, widths: Int64s, heights: Int64s, out: Int64s) -> int:
    """Fill `out`; return the index of the first image that the service refuses, or -1."""
    if rule.kind == "tile":
        count_tile_tokens(
            widths,
            heights,
            out,
            base=rule.base_tokens,
            per_tile=rule.tile_tokens if level == "high" else 0,
            tile_px=rule.tile_px,
            fit_px=rule.fit_px,
            short_px=rule.short_px,
        )
        return -1
    return count_patch_tokens(
        widths,
        heights,
        out,
        max_side_px=rule.levels[level].max_side_px or 0,
        max_patches=rule.levels[level].max_patches or 0,
        patch_px=rule.patch_px,
        multiplier=rule.multiplier,
        extra=rule.extra_tokens,
        reject_patches=rule.reject_patches,
    )


def _refusal(rule: ImageRule) -> str:
    return (
        f"comes to more than {rule.reject_patches:,} patches of {rule.patch_px} px after sizing, which the service "
        "refuses with HTTP 400; make it smaller or ask for another detail"
    )


def _sides(field: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    import numpy as np

    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise RequestError(field, f"is {found.ndim}-dimensional of {found.dtype}; one row of whole numbers is wanted")
    if found.dtype.kind == "u":
        # A number beyond int64 would turn negative; it is out of range either way.
        found = np.minimum(found, np.uint64(MAX_SIDE_PX + 1))
    return np.ascontiguousarray(found, np.int64)


def _checked_size(size: Iterable[int], source: str) -> tuple[int, int]:
    try:
        width_px, height_px = map(index, size)
    except (TypeError, ValueError):
        raise ImageError(source, "a size is two whole numbers, (width, height)") from None
    if not (1 <= width_px <= MAX_SIDE_PX and 1 <= height_px <= MAX_SIDE_PX):
        raise ImageError(source, _OUT_OF_RANGE)
    return width_px, height_px


def _header_size(source: str, file: BinaryIO) -> tuple[int, int]:
    """Read the size from the header at the beginning of a file that can seek."""
    from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    plugins: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
        (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
        (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
        (b"GIF87a", GifImagePlugin.GifImageFile),
        (b"GIF89a", GifImagePlugin.GifImageFile),
        (b"RIFF", WebPImagePlugin.WebPImageFile),
    )
    start = file.read(12)
    file.seek(0)
    plugin = next((plugin for mark, plugin in plugins if start.startswith(mark)), None)
    if plugin is None:
        raise ImageError(
            source, "is empty" if not start else "is none of the accepted formats: PNG, JPEG, GIF and WEBP"
        )
    try:
        # The plugin itself, not Image.open: that warns of large images, for which a header is no danger. What else it
        # warns of (odd EXIF, odd animations) does not touch the size. Filters of warnings are shared by all threads,
        # so two of ours must not put back each other's.
        with _ONE_AT_A_TIME, warnings.catch_warnings(action="ignore"), plugin(file) as image:
            size = image.size
    except ImageError:
        raise
    except (SyntaxError, OSError, ValueError, OverflowError, Image.DecompressionBombError) as error:
        raise ImageError(source, f"is damaged or cut short: {str(error)[:120]}") from None
    width_px, height_px = _checked_size(size, source)
    if width_px * height_px > _DECODED_PIXELS:
        raise ImageError(
            source,
            f"says it is {width_px}x{height_px} px, more than the {_DECODED_PIXELS:,} px that decoders accept; "
            "to count it all the same, pass (width, height)",
        )
    return width_px, height_px


def _array_size(shape: tuple[int, ...]) -> tuple[int, int]:
    name = f"array of shape {shape}"
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= 4):
        raise ImageError(name, "an image has the shape (height, width) or (height, width, 1 to 4 channels)")
    return _checked_size((shape[1], shape[0]), name)


def _part_size(part: Mapping[str, Any]) -> tuple[int, int]:
    image = part.get("image_url")
    url = image if isinstance(image, str) else field(image, "url")
    if part.get("type") not in ("image_url", "input_image") or not isinstance(url, str):
        raise ImageError(f"content part of type {shorten(part.get('type'), 40)}", "has no image_url")
    if not url[:8].lower().startswith(("data:", "http://", "https://")):
        raise ImageError("content part", "its image_url is no URL")
    return image_size(url)


def _path_size(path: str) -> tuple[int, int]:
    # Base64 without its data: prefix ends here too, and must not end in a message.
    name = path if len(path) <= _SHOWN_PATH else f"text of {len(path):,} characters"
    try:
        # A pipe or a device would be waited for.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ImageError(name, "is not a file")
        with Path(path).open("rb") as file:
            return _file_size(file, name)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(name, "no such file; base64 text needs its data:image/...;base64, in front") from None
    except OSError as error:
        raise ImageError(name, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise ImageError(name, "is not a path") from None


def _file_name(file: object) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and len(name) <= _SHOWN_PATH else type(file).__name__


def _file_size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Read the size from the beginning of `file`, and put it back where it was."""
    try:
        if not file.seekable():
            return _header_size(name, io.BytesIO(_binary(file.read(_SERVICE_BYTES), name)))
        before = file.tell()
        try:
            file.seek(0)
            _binary(file.read(0), name)
            return _header_size(name, file)
        finally:
            file.seek(before)
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        # A ValueError is a closed file.
        raise ImageError(name, f"cannot be read: {error}") from None


def _binary(data: object, name: str) -> bytes:
    if not isinstance(data, bytes):
        raise ImageError(name, "is a text file; open it in binary mode")
    return data


def _data_url_size(url: str) -> tuple[int, int]:
    # Names and parameters are short; a URL without a comma is not searched to its end.
    comma = url.find(",", 0, 1000)
    name = f"data: URL of {len(url):,} characters"
    if comma < 0 or not url[:comma].lower().rstrip().endswith(";base64"):
        raise ImageError(name, "does not begin with data:image/...;base64,")
    file = Base64File(url, comma + 1, ImageError(name, "is not base64"))
    return _header_size(name, io.BufferedReader(file, PIECE_BYTES))
