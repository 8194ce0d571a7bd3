"""The image kernels against their twins, at the known edges and over sizes nobody thought of."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_images import literal_tile_tokens, patch_tokens, patches, tile_tokens

from aoai_cost._fast.tiles import MAX_SIDE_PX, count_patch_tokens, count_tile_tokens

TILES: dict[str, Any] = {"base": 85, "per_tile": 170, "tile_px": 512, "fit_px": 2048, "short_px": 768}
PATCHES: dict[str, Any] = {
    "max_side_px": 2048,
    "max_patches": 1536,
    "patch_px": 32,
    "multiplier": 1.62,
    "extra": 1,
    "reject_patches": 30_000,
}

EDGES = [
    1,
    2,
    31,
    32,
    33,
    511,
    512,
    513,
    767,
    768,
    769,
    1024,
    1025,
    1536,
    2047,
    2048,
    2049,
    2051,
    4096,
    65_535,
    MAX_SIDE_PX,
]
side = st.one_of(st.integers(1, 5000), st.sampled_from(EDGES), st.integers(1, MAX_SIDE_PX))
sizes = st.lists(st.tuples(side, side), min_size=1, max_size=20)
tile_rules = st.fixed_dictionaries(
    {
        "base": st.integers(0, 10_000),
        "per_tile": st.integers(0, 10_000),
        "tile_px": st.integers(1, 1024),
        "fit_px": st.integers(1, 70_000),
        "short_px": st.integers(1, 70_000),
    }
)
patch_rules = st.fixed_dictionaries(
    {
        "max_side_px": st.sampled_from([0, 1, 33, 512, 2048, 6000, 65_535]),
        "max_patches": st.sampled_from([0, 1, 2, 1536, 2500, 6144, 10_000]),
        "patch_px": st.sampled_from([1, 16, 32]),
        "multiplier": st.sampled_from([1.0, 1.2, 1.5, 1.62, 1.72, 2.46]),
        "extra": st.integers(0, 3),
        "reject_patches": st.sampled_from([1, 30_000, 1 << 30]),
    }
)


def columns(pairs: list[tuple[int, int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy(), np.full(len(table), -7, np.int64)


def by_tiles(pairs: list[tuple[int, int]], **rule: int) -> list[int]:
    widths, heights, out = columns(pairs)
    count_tile_tokens(widths, heights, out, **{**TILES, **rule})
    return [int(n) for n in out]


def by_patches(pairs: list[tuple[int, int]], **rule: Any) -> list[int]:
    widths, heights, out = columns(pairs)
    assert count_patch_tokens(widths, heights, out, **{**PATCHES, **rule}) == -1
    return [int(n) for n in out]


@given(sizes, tile_rules)
def test_tiles_equal_the_twin(pairs: list[tuple[int, int]], rule: dict[str, int]) -> None:
    assert by_tiles(pairs, **rule) == [tile_tokens(w, h, **rule) for w, h in pairs]


@given(sizes, patch_rules)
def test_patches_equal_the_twin_up_to_the_first_refused_image(
    pairs: list[tuple[int, int]], rule: dict[str, Any]
) -> None:
    widths, heights, out = columns(pairs)
    refused = count_patch_tokens(widths, heights, out, **rule)
    wanted = [patch_tokens(w, h, **rule) for w, h in pairs]
    first = wanted.index(None) if None in wanted else -1
    assert refused == first
    accepted = len(pairs) if first < 0 else first
    assert out[:accepted].tolist() == wanted[:accepted]
    assert set(out[accepted:].tolist()) <= {-7}


def test_every_pair_of_edges_equals_the_twins() -> None:
    pairs = list(product(EDGES, EDGES))
    assert by_tiles(pairs) == [tile_tokens(w, h, **TILES) for w, h in pairs]
    for level in ({"max_side_px": 2048, "max_patches": 6144}, {"max_side_px": 0, "max_patches": 2500}):
        assert by_patches(pairs, **level) == [patch_tokens(w, h, **{**PATCHES, **level}) for w, h in pairs]


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        pytest.param((1, 1), 1, id="one pixel is one tile"),
        pytest.param((512, 512), 1, id="an image of one tile is one tile"),
        pytest.param((513, 512), 2, id="one pixel over a tile opens the next"),
        pytest.param((640, 480), 2, id="a small image keeps its size"),
        pytest.param((768, 768), 4, id="the shortest side at its limit is not scaled"),
        pytest.param((769, 1025), 4, id="one over the limit scales the other side down under a tile's edge"),
        pytest.param((769, 1537), 6, id="the other side is rounded down to 1535 and not up to a fourth tile"),
        pytest.param((2048, 768), 8, id="the most tiles there are"),
        pytest.param((2049, 1), 4, id="a line is scaled to fit and stays a pixel high"),
        pytest.param((1, 65_535), 4, id="a long line is never less than a pixel wide"),
        pytest.param((1025, 2051), 8, id="the size is rounded down between the two steps"),
        pytest.param((2048, 4096), 6, id="the published example of a large image"),
        pytest.param((MAX_SIDE_PX, MAX_SIDE_PX), 4, id="the largest size fits its products into 64 bits"),
    ],
)
def test_tiles_at_the_edges(size: tuple[int, int], tiles: int) -> None:
    assert by_tiles([size], base=0, per_tile=1) == [tiles]
    assert by_tiles([size[::-1]], base=0, per_tile=1) == [tiles]


@pytest.mark.parametrize(
    ("size", "rule", "tokens"),
    [
        pytest.param((1, 1), {"extra": 0}, 2, id="a part of a token counts as a whole one"),
        pytest.param((32, 32), {"extra": 0, "multiplier": 1.0}, 1, id="an image of one patch is one patch"),
        pytest.param((33, 32), {"extra": 0, "multiplier": 1.0}, 2, id="one pixel over a patch opens the next"),
        pytest.param((640, 480), {"extra": 0}, 487, id="300 x 1.62 is a hair over 486 in doubles and costs 487"),
        pytest.param((640, 480), {}, 488, id="the extra token comes after the ceiling"),
        pytest.param((1800, 2400), {"extra": 0, "multiplier": 1.0}, 1452, id="the guide's example of a shrunken image"),
        pytest.param((1, 65_535), {"max_side_px": 0, "extra": 0, "multiplier": 1.0}, 1536, id="a thin line gets a row"),
        pytest.param(
            (4096, 4096), {"max_side_px": 512, "max_patches": 0, "multiplier": 1.0, "extra": 0}, 256, id="low"
        ),
    ],
)
def test_patches_at_the_edges(size: tuple[int, int], rule: dict[str, Any], tokens: int) -> None:
    assert by_patches([size], **rule) == [tokens]
    assert by_patches([size[::-1]], **rule) == [tokens]


@pytest.mark.parametrize(
    ("size", "rule", "literal", "counted"),
    [
        pytest.param((640, 480), (2833, 5667), 25_501, 14_167, id="640x480 was recorded as 14167 on gpt-4o-mini"),
        pytest.param((640, 480), (70, 140), 630, 350, id="640x480 was recorded as 350 on gpt-5"),
        pytest.param((800, 400), (85, 170), 1105, 425, id="800x400 was recorded as 425 on gpt-4-vision"),
    ],
)
def test_small_images_are_not_enlarged(
    size: tuple[int, int], rule: tuple[int, int], literal: int, counted: int
) -> None:
    base, per_tile = rule
    assert literal_tile_tokens(*size, base=base, per_tile=per_tile) == literal
    assert by_tiles([size], base=base, per_tile=per_tile) == [counted]


@given(st.tuples(side, side), st.integers(1, 50))
def test_a_uniformly_larger_image_never_has_fewer_tiles(size: tuple[int, int], times: int) -> None:
    larger = (min(size[0] * times, MAX_SIDE_PX), min(size[1] * times, MAX_SIDE_PX))
    if larger == (size[0] * times, size[1] * times):
        small, large = by_tiles([size, larger])
        assert small <= large


@given(st.integers(1, 2047), st.integers(1, 767))
def test_below_the_limits_a_longer_side_never_costs_less(width: int, height: int) -> None:
    for count in (by_tiles, lambda pairs: by_patches(pairs, max_patches=0)):
        here, wider, higher = count([(width, height), (width + 1, height), (width, height + 1)])
        assert here <= wider
        assert here <= higher


@given(side, side, st.sampled_from([1, 2, 100, 1536, 2500, 6144, 10_000]), st.sampled_from([0, 512, 2048, 65_535]))
def test_the_budget_is_never_exceeded_and_never_comes_to_nothing(w: int, h: int, budget: int, side_px: int) -> None:
    rule = {"max_side_px": side_px, "max_patches": budget, "multiplier": 1.0, "extra": 0}
    assert 1 <= by_patches([(w, h)], **rule)[0] <= budget
    assert patches(w, h, max_side_px=side_px, max_patches=budget, patch_px=32) <= budget


@given(sizes)
def test_a_batch_is_its_images_one_by_one(pairs: list[tuple[int, int]]) -> None:
    assert by_tiles(pairs) == [by_tiles([pair])[0] for pair in pairs]
    assert by_patches(pairs) == [by_patches([pair])[0] for pair in pairs]


def test_no_images_are_no_tokens() -> None:
    assert by_tiles([]) == []
    assert by_patches([]) == []


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((0, 5), id="no width"),
        pytest.param((5, -1), id="a negative height"),
        pytest.param((MAX_SIDE_PX + 1, 5), id="a side beyond 31 bits"),
    ],
)
def test_a_bad_size_is_named_before_anything_is_counted(size: tuple[int, int]) -> None:
    widths, heights, out = columns([(1, 1), size])
    with pytest.raises(ValueError, match=f"size 1 is {size[0]}x{size[1]} px"):
        count_tile_tokens(widths, heights, out, **TILES)
    with pytest.raises(ValueError, match=f"size 1 is {size[0]}x{size[1]} px"):
        count_patch_tokens(widths, heights, out, **PATCHES)
    assert out.tolist() == [-7, -7]


@pytest.mark.parametrize("short", [0, 1, 2], ids=["widths are short", "heights are short", "out is short"])
def test_arrays_of_different_lengths_are_refused(short: int) -> None:
    arrays = [np.ones(3 - (i == short), np.int64) for i in range(3)]
    with pytest.raises(ValueError, match="differ in length"):
        count_tile_tokens(*arrays, **TILES)
    with pytest.raises(ValueError, match="differ in length"):
        count_patch_tokens(*arrays, **PATCHES)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"tile_px": 0}, id="a tile of nothing"),
        pytest.param({"fit_px": 0}, id="a box of nothing"),
        pytest.param({"short_px": -1}, id="a negative side"),
        pytest.param({"fit_px": MAX_SIDE_PX + 1}, id="a box beyond 31 bits"),
        pytest.param({"base": -1}, id="a negative base"),
        pytest.param({"per_tile": 2**62}, id="tokens beyond 64 bits"),
    ],
)
def test_a_tile_rule_out_of_range_is_refused(rule: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(rule))):
        by_tiles([(1, 1)], **rule)


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"patch_px": 0}, id="a patch of nothing"),
        pytest.param({"max_side_px": -1}, id="a negative side"),
        pytest.param({"max_patches": -1}, id="a negative budget"),
        pytest.param({"reject_patches": 0}, id="every image refused"),
        pytest.param({"multiplier": float("nan")}, id="a multiplier that is no number"),
        pytest.param({"multiplier": float("inf")}, id="an endless multiplier"),
        pytest.param({"multiplier": 0.0}, id="a multiplier of nothing"),
        pytest.param({"extra": -1}, id="a negative extra"),
        pytest.param({"multiplier": 1e15}, id="tokens that doubles cannot hold"),
    ],
)
def test_a_patch_rule_out_of_range_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(rule))):
        by_patches([(1, 1)], **rule)


@pytest.mark.parametrize("dtype", ["int32", "uint64", "float64"])
def test_other_numbers_than_int64_are_refused(dtype: str) -> None:
    odd: Any = np.ones(1, dtype)
    with pytest.raises(ValueError, match="Buffer dtype mismatch"):
        count_tile_tokens(odd, np.ones(1, np.int64), np.ones(1, np.int64), **TILES)
