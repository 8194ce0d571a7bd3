"""Image tokens: the kernels beside a vectorised numpy version and the plain Python twin.

All three count the same sizes, and are compared before anything is timed. Run with
``pytest benchmarks/bench_images.py --benchmark-enable``; sizes per second stand in the extra columns of the saved run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reference_images import patch_tokens, tile_tokens

from aoai_cost.catalog import get_model
from aoai_cost.tokens.images import image_tokens, image_tokens_batch

Sides = npt.NDArray[np.int64]
TILE_RULE = get_model("gpt-4o").image_rule
PATCH_RULE = get_model("gpt-4.1-mini").image_rule
assert TILE_RULE is not None
assert PATCH_RULE is not None
TILES = {"base": 85, "per_tile": 170, "tile_px": 512, "fit_px": 2048, "short_px": 768}
PATCHES: dict[str, Any] = {
    "max_side_px": 2048,
    "max_patches": 6144,
    "patch_px": 32,
    "multiplier": 1.62,
    "extra": 1,
    "reject_patches": 30_000,
}
SAMPLE = 2_000


def sizes(n: int) -> tuple[Sides, Sides]:
    """Phone photos, screenshots and thumbnails: sides spread evenly over magnitudes, so half need no resizing."""
    widths, heights = np.exp(np.random.default_rng(20).uniform(np.log(64), np.log(8192), (2, n))).astype(np.int64)
    return widths, heights


def numpy_fit(long: Sides, short: Sides, limit: int) -> tuple[Sides, Sides]:
    too_long = long > limit
    return np.where(too_long, limit, long), np.where(too_long, np.maximum(1, short * limit // long), short)


def numpy_tiles(widths: Sides, heights: Sides) -> Sides:
    long, short = numpy_fit(np.maximum(widths, heights), np.minimum(widths, heights), 2048)
    too_wide = short > 768
    long, short = np.where(too_wide, long * 768 // short, long), np.where(too_wide, 768, short)
    return 85 + 170 * (-(-long // 512) * -(-short // 512))


def numpy_patches(widths: Sides, heights: Sides) -> Sides:
    long, short = numpy_fit(np.maximum(widths, heights), np.minimum(widths, heights), 2048)
    n = -(-long // 32) * -(-short // 32)
    scale = np.sqrt(1024.0 * 6144 / (long.astype(float) * short.astype(float)))
    across, down = long * scale / 32, short * scale / 32
    with np.errstate(divide="ignore"):
        scale *= np.minimum(np.floor(across) / across, np.floor(down) / down)
    shrunk = -(-np.floor(long * scale).astype(np.int64) // 32) * -(-np.floor(short * scale).astype(np.int64) // 32)
    n = np.where(n > 6144, np.where(down < 1, 6144, shrunk), n)
    tokens: Sides = np.ceil(n * 1.62).astype(np.int64) + 1
    return tokens


def twin_tiles(widths: Sides, heights: Sides) -> list[int]:
    return [tile_tokens(w, h, **TILES) for w, h in zip(widths.tolist(), heights.tolist(), strict=True)]


def twin_patches(widths: Sides, heights: Sides) -> list[int | None]:
    return [patch_tokens(w, h, **PATCHES) for w, h in zip(widths.tolist(), heights.tolist(), strict=True)]


def kernel_tiles(widths: Sides, heights: Sides) -> Sides:
    assert TILE_RULE is not None
    return image_tokens_batch(TILE_RULE, widths, heights)


def kernel_patches(widths: Sides, heights: Sides) -> Sides:
    assert PATCH_RULE is not None
    return image_tokens_batch(PATCH_RULE, widths, heights)


def measure(benchmark: BenchmarkFixture, count: Callable[[Sides, Sides], Any], n: int) -> None:
    widths, heights = sizes(n)
    benchmark(count, widths, heights)
    if benchmark.stats is not None:
        benchmark.extra_info["sizes_per_s"] = round(n / benchmark.stats.stats.median)


def ladder(*counts: Callable[[Sides, Sides], Any]) -> list[Any]:
    """Return each way of counting at each number of sizes; the twins, last of all, leave out the million."""
    return [
        pytest.param(count, n, id=f"{count.__name__}, {n:,} sizes")
        for n in (100, 10_000, 1_000_000)
        for count in (counts if n < 1_000_000 else counts[:-1])
    ]


@pytest.mark.parametrize(("count", "n"), ladder(kernel_tiles, numpy_tiles, twin_tiles))
def test_tiles(benchmark: BenchmarkFixture, count: Callable[[Sides, Sides], Any], n: int) -> None:
    sample = sizes(SAMPLE)
    assert list(count(*sample)) == twin_tiles(*sample)
    benchmark.group = f"tiles, {n:,} sizes"
    measure(benchmark, count, n)


@pytest.mark.parametrize(("count", "n"), ladder(kernel_patches, numpy_patches, twin_patches))
def test_patches(benchmark: BenchmarkFixture, count: Callable[[Sides, Sides], Any], n: int) -> None:
    sample = sizes(SAMPLE)
    assert list(count(*sample)) == twin_patches(*sample)
    benchmark.group = f"patches, {n:,} sizes"
    measure(benchmark, count, n)


def test_one_image(benchmark: BenchmarkFixture) -> None:
    assert TILE_RULE is not None
    benchmark.group = "one image"
    assert benchmark(image_tokens, TILE_RULE, 2048, 4096) == 1105
