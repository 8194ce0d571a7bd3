"""Slow and obvious twins of the image kernels: the published steps, one image at a time."""

from __future__ import annotations

import math
from fractions import Fraction


def fit(width: int, height: int, limit: int) -> tuple[int, int]:
    """Scale down until both sides are at most `limit`, rounding down to at least 1 px."""
    scale = min(Fraction(limit, width), Fraction(limit, height), Fraction(1))
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))


def tile_tokens(width: int, height: int, *, base: int, per_tile: int, tile_px: int, fit_px: int, short_px: int) -> int:
    width, height = fit(width, height, fit_px)
    shortest = min(width, height)
    if shortest > short_px:
        scale = Fraction(short_px, shortest)
        width, height = math.floor(width * scale), math.floor(height * scale)
    return base + per_tile * (math.ceil(Fraction(width, tile_px)) * math.ceil(Fraction(height, tile_px)))


def literal_tile_tokens(width: int, height: int, *, base: int, per_tile: int) -> int:
    """Read "scale the shortest side to 768" to the letter, so that small images grow: what recordings contradict."""
    width, height = fit(width, height, 2048)
    scale = Fraction(768, min(width, height))
    return base + per_tile * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def patches(width: int, height: int, *, max_side_px: int, max_patches: int, patch_px: int) -> int:
    if max_side_px:
        width, height = fit(width, height, max_side_px)
    n = math.ceil(Fraction(width, patch_px)) * math.ceil(Fraction(height, patch_px))
    if max_patches == 0 or n <= max_patches:
        return n
    scale = math.sqrt(float(patch_px**2) * float(max_patches) / (float(width) * float(height)))
    across, down = width * scale / patch_px, height * scale / patch_px
    if min(across, down) < 1:
        return max_patches
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    width, height = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    return math.ceil(Fraction(width, patch_px)) * math.ceil(Fraction(height, patch_px))


def patch_tokens(
    width: int,
    height: int,
    *,
    max_side_px: int,
    max_patches: int,
    patch_px: int,
    multiplier: float,
    extra: int,
    reject_patches: int,
) -> int | None:
    """Return the tokens, or None where the service refuses the image."""
    n = patches(width, height, max_side_px=max_side_px, max_patches=max_patches, patch_px=patch_px)
    return None if n > reject_patches else math.ceil(n * multiplier) + extra
