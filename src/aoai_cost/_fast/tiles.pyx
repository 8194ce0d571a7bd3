"""Sizes of images in, tokens out: resize and count, by 512-px tiles or by 32-px patches.

The rules are numbers that the caller brings; nothing here knows a model. Sizes are int64 pixels, from 1 to
`MAX_SIDE_PX`; images are scaled down only, never up.
"""

from libc.math cimport ceil, floor, isfinite, sqrt
from libc.stdint cimport int64_t

MAX_SIDE_PX = 2_147_483_647
"""The longest side that is counted: a product of two such sides still fits 64 bits."""

cdef int64_t _MAX_SIDE = MAX_SIDE_PX


cdef inline int64_t _at_least_one(int64_t n) noexcept nogil:
    return n if n > 1 else 1


cdef inline int64_t _cover(int64_t length, int64_t piece) noexcept nogil:
    return (length + piece - 1) // piece


cdef inline void _fit(int64_t* long_side, int64_t* short_side, int64_t limit) noexcept nogil:
    """Scale down until the long side is `limit`, the other rounded down in whole numbers."""
    if long_side[0] > limit:
        short_side[0] = _at_least_one(short_side[0] * limit // long_side[0])
        long_side[0] = limit


cdef int64_t _first_bad_size(const int64_t[::1] widths, const int64_t[::1] heights) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(widths.shape[0]):
        if widths[i] < 1 or heights[i] < 1 or widths[i] > _MAX_SIDE or heights[i] > _MAX_SIDE:
            return i
    return -1


cdef _check_sizes(const int64_t[::1] widths, const int64_t[::1] heights, int64_t[::1] out):
    if widths.shape[0] != heights.shape[0] or widths.shape[0] != out.shape[0]:
        raise ValueError(
            f"widths, heights and out differ in length: {widths.shape[0]}, {heights.shape[0]}, {out.shape[0]}"
        )
    cdef int64_t bad = _first_bad_size(widths, heights)
    if bad >= 0:
        raise ValueError(
            f"size {bad} is {widths[bad]}x{heights[bad]} px; sides go from 1 to {MAX_SIDE_PX:,} px"
        )


def _check_side(name, value, least):
    if not least <= value <= MAX_SIDE_PX:
        raise ValueError(f"{name} is {value}; it goes from {least} to {MAX_SIDE_PX:,}")


cdef void _tile_tokens(
    const int64_t[::1] widths, const int64_t[::1] heights, int64_t[::1] out,
    int64_t base, int64_t per_tile, int64_t tile_px, int64_t fit_px, int64_t short_px,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t long_side, short_side
    for i in range(widths.shape[0]):
        # Counting is symmetric in width and height, so only the longer and the shorter side matter.
        long_side, short_side = widths[i], heights[i]
        if long_side < short_side:
            long_side, short_side = short_side, long_side
        _fit(&long_side, &short_side, fit_px)
        if short_side > short_px:
            long_side = long_side * short_px // short_side
            short_side = short_px
        out[i] = base + per_tile * _cover(long_side, tile_px) * _cover(short_side, tile_px)


def count_tile_tokens(
    const int64_t[::1] widths,
    const int64_t[::1] heights,
    int64_t[::1] out,
    *,
    int64_t base,
    int64_t per_tile,
    int64_t tile_px,
    int64_t fit_px,
    int64_t short_px,
):
    """Write ``base + per_tile * tiles`` for each image to `out`.

    An image is scaled down to fit `fit_px` squared, then until its shorter side is at most `short_px`; the
    other side is rounded down each time, in whole numbers, to at least 1 px. Tiles of `tile_px` cover the rest.

    Parameters
    ----------
    widths, heights : buffer of int64, shape (n,)
        Sizes in pixels, from 1 to `MAX_SIDE_PX`.
    out : writable buffer of int64, shape (n,)
        Takes the tokens.

    Raises
    ------
    ValueError
        If the lengths differ, a size or a rule is out of range, or the tokens could leave 64 bits.

    Examples
    --------
    >>> from array import array
    >>> tokens = array("q", [0])
    >>> rule = {"base": 85, "per_tile": 170, "tile_px": 512, "fit_px": 2048, "short_px": 768}
    >>> count_tile_tokens(array("q", [2048]), array("q", [4096]), tokens, **rule)
    >>> tokens[0]
    1105
    """
    _check_sizes(widths, heights, out)
    for name, value in (("tile_px", tile_px), ("fit_px", fit_px), ("short_px", short_px)):
        _check_side(name, value, 1)
    across = -(-int(fit_px) // int(tile_px))
    if base < 0 or per_tile < 0 or int(base) + int(per_tile) * across * across >= 2**63:
        raise ValueError(f"base {base} and per_tile {per_tile} are negative, or too large for 64-bit totals")
    with nogil:
        _tile_tokens(widths, heights, out, base, per_tile, tile_px, fit_px, short_px)


cdef int64_t _patches(
    int64_t long_side, int64_t short_side, int64_t max_side_px, int64_t max_patches, int64_t patch_px
) noexcept nogil:
    cdef int64_t n
    cdef double scale, across, down
    if max_side_px:
        _fit(&long_side, &short_side, max_side_px)
    n = _cover(long_side, patch_px) * _cover(short_side, patch_px)
    if max_patches == 0 or n <= max_patches:
        return n
    # The published arithmetic, in doubles and in this order: the estimate is defined by its roundings.
    scale = sqrt(
        <double>(patch_px * patch_px) * <double>max_patches / (<double>long_side * <double>short_side)
    )
    across = long_side * scale / patch_px
    down = short_side * scale / patch_px
    if down < 1.0:
        # An image so thin that one patch is wider: the published step rounds it to nothing. One row of
        # patches, as long as the budget, is the largest size that fits.
        return max_patches
    scale = scale * min(floor(across) / across, floor(down) / down)
    long_side = _at_least_one(<int64_t>floor(long_side * scale))
    short_side = _at_least_one(<int64_t>floor(short_side * scale))
    return _cover(long_side, patch_px) * _cover(short_side, patch_px)


cdef int64_t _patch_tokens(
    const int64_t[::1] widths, const int64_t[::1] heights, int64_t[::1] out,
    int64_t max_side_px, int64_t max_patches, int64_t patch_px, double multiplier, int64_t extra,
    int64_t reject_patches,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t n
    for i in range(widths.shape[0]):
        n = _patches(
            max(widths[i], heights[i]), min(widths[i], heights[i]), max_side_px, max_patches, patch_px
        )
        if n > reject_patches:
            return i
        # No rounding before the ceiling: 300 * 1.62 is 486.00000000000006 and costs 487.
        out[i] = <int64_t>ceil(n * multiplier) + extra
    return -1


def count_patch_tokens(
    const int64_t[::1] widths,
    const int64_t[::1] heights,
    int64_t[::1] out,
    *,
    int64_t max_side_px,
    int64_t max_patches,
    int64_t patch_px,
    double multiplier,
    int64_t extra,
    int64_t reject_patches,
):
    """Write ``ceil(patches * multiplier) + extra`` for each image to `out`.

    An image is scaled down until its longer side is at most `max_side_px`, the other rounded down in whole
    numbers; over `max_patches` it is scaled down again by the published formula, in doubles.

    Parameters
    ----------
    widths, heights : buffer of int64, shape (n,)
        Sizes in pixels, from 1 to `MAX_SIDE_PX`.
    out : writable buffer of int64, shape (n,)
        Takes the tokens, up to the first refused image.
    max_side_px, max_patches : int
        0 where there is no limit.
    reject_patches : int
        The most patches, after sizing, that the service accepts.

    Returns
    -------
    int
        The index of the first image with more than `reject_patches`, or -1.

    Raises
    ------
    ValueError
        If the lengths differ, a size or a rule is out of range, or the tokens could leave 53 bits.

    Examples
    --------
    >>> from array import array
    >>> tokens = array("q", [0])
    >>> sizing = {"max_side_px": 2048, "max_patches": 1536, "patch_px": 32, "reject_patches": 30_000}
    >>> count_patch_tokens(array("q", [640]), array("q", [480]), tokens, **sizing, multiplier=1.62, extra=1)
    -1
    >>> tokens[0]
    488
    """
    _check_sizes(widths, heights, out)
    _check_side("max_side_px", max_side_px, 0)
    _check_side("max_patches", max_patches, 0)
    _check_side("patch_px", patch_px, 1)
    _check_side("reject_patches", reject_patches, 1)
    if not isfinite(multiplier) or multiplier <= 0 or extra < 0 or reject_patches * multiplier + extra >= 2.0**53:
        raise ValueError(f"multiplier {multiplier} and extra {extra} are not positive, or too large to be exact")
    cdef int64_t refused
    with nogil:
        refused = _patch_tokens(
            widths, heights, out, max_side_px, max_patches, patch_px, multiplier, extra, reject_patches
        )
    return refused
