from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

_Int64s: TypeAlias = Buffer | npt.NDArray[np.int64]

__test__: dict[str, str]
MAX_SIDE_PX: int

def count_tile_tokens(
    widths: _Int64s,
    heights: _Int64s,
    out: _Int64s,
    *,
    base: int,
    per_tile: int,
    tile_px: int,
    fit_px: int,
    short_px: int,
) -> None: ...
def count_patch_tokens(
    widths: _Int64s,
    heights: _Int64s,
    out: _Int64s,
    *,
    max_side_px: int,
    max_patches: int,
    patch_px: int,
    multiplier: float,
    extra: int,
    reject_patches: int,
) -> int: ...
