"""Calls added up: integers by everything that selects a price, so that each sum is priced once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..catalog import get_model
from ..errors import UnknownNameError
from ..usage import MeterKey, Usage, split_totals
from .join import Calls
from .parts import NOT_A_TIME, Shared
from .schema import QUALITIES, Counts, Tokens

__all__ = ["Group", "GroupKey", "Sums", "UsageSums"]

_DAY_US = 86_400_000_000
# No log is of 1969 (see `fields.py`).
_NO_DAY = -1
_EPOCH = date(1970, 1, 1)
_UNLIMITED = np.iinfo(np.int64).max
_MISSING, _NOT_BILLED, _ESTIMATED, _AGGREGATED = (
    QUALITIES.index(name) for name in ("missing", "not_billed", "estimated", "aggregated")
)


class GroupKey(NamedTuple):
    """Everything that selects a price, and the day."""

    day: date | None
    """None where the log does not say when the call was made."""
    resource: str | None
    deployment: str | None
    model: str | None
    version: str | None
    region: str | None
    tier: str | None
    band: str


class Group(NamedTuple):
    """What the calls of one group add up to."""

    requests: int
    """Calls, as far as the rows tell."""
    unmetered: int
    not_billed: int
    estimated: int
    """Of the rows those whose tokens whoever wrote the log counted."""
    aggregated: int
    """Of the rows those that stand for many calls."""
    usage: Usage

    def plus(self, other: Group) -> Group:
        """Return the sum of both."""
        return Group(
            self.requests + other.requests,
            self.unmetered + other.unmetered,
            self.not_billed + other.not_billed,
            self.estimated + other.estimated,
            self.aggregated + other.aggregated,
            self.usage + other.usage,
        )


@dataclass(frozen=True, slots=True)
class UsageSums:
    """What a report needs of a log: sums, and an account of every row.

    Attributes
    ----------
    groups : tuple of (GroupKey, Group)
        Sums by everything that selects a price.
    period : (date, date) or None
        First day of the calls, and the day after the last one, UTC.
    formats : tuple of str
        The formats of the rows that count; formats that share calls are one.
    rejected, counts, complete
        As in `UsageLog`.
    """

    groups: tuple[tuple[GroupKey, Group], ...]
    period: tuple[date, date] | None
    formats: tuple[str, ...]
    rejected: pd.DataFrame
    counts: Counts
    complete: bool


class Sums:
    """Adds calls to groups, array by array; the order means nothing."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._groups: dict[GroupKey, Group] = {}
        self._limits: list[int] = []
        self.formats: set[str] = set()
        self._days: tuple[int, int] | None = None

    @property
    def period(self) -> tuple[date, date] | None:
        """First day of the calls, and the day after the last one, UTC; None where none is dated."""
        if self._days is None:
            return None
        first, last = self._days
        return _EPOCH + timedelta(days=first), _EPOCH + timedelta(days=last + 1)

    def groups(self) -> Iterator[tuple[GroupKey, Group]]:
        """Yield every group, in an order that its names give."""
        for key in sorted(self._groups, key=_sortable):
            yield key, self._groups[key]

    def add(self, calls: Calls) -> None:
        """Add calls."""
        rows, quality = calls
        if not len(rows):
            return
        dated = rows["timestamp_us"] != NOT_A_TIME
        days = np.where(dated, rows["timestamp_us"] // _DAY_US, _NO_DAY)
        if dated.any():
            first, last = int(days[dated].min()), int(days.max())
            before = self._days or (first, last)
            self._days = min(first, before[0]), max(last, before[1])
        self.formats.update(self._shared.families[i] for i in np.unique(rows["source"]).tolist())
        prompt = rows["tokens"][:, Tokens._fields.index("prompt_tokens")]
        long = prompt > self._limits_of(rows["facets"])
        keys, which = np.unique(
            (days - _NO_DAY) << 33 | long.astype(np.int64) << 32 | rows["facets"].astype(np.int64), return_inverse=True
        )
        billed = quality != _NOT_BILLED
        counted = [_sums(np.maximum(rows["requests"], 0), which, len(keys))]
        for one in (_MISSING, _NOT_BILLED, _ESTIMATED, _AGGREGATED):
            counted.append(np.bincount(which[quality == one], minlength=len(keys)))
        meters = _meters(rows["tokens"], billed, which, len(keys))
        others = self._other_quantities(rows["quantities"], billed, which)
        for i, key in enumerate(keys.tolist()):
            usage = Usage({meter: int(sums[i]) for meter, sums in meters.items()} | others.get(i, {}))
            found = self._key(key)
            requests, unmetered, not_billed, estimated, aggregated = (int(one[i]) for one in counted)
            group = Group(requests, unmetered, not_billed, estimated, aggregated, usage)
            before_ = self._groups.get(found)
            self._groups[found] = group if before_ is None else before_.plus(group)

    def _key(self, key: int) -> GroupKey:
        facets = self._shared.facets.all[key & 0xFFFF_FFFF]
        day = (key >> 33) + _NO_DAY
        return GroupKey(
            day=None if day == _NO_DAY else _EPOCH + timedelta(days=day),
            resource=facets.resource,
            deployment=facets.deployment,
            model=facets.model,
            version=facets.version,
            region=facets.region,
            tier=facets.service_tier,
            band="long" if key >> 32 & 1 else "short",
        )

    def _limits_of(self, facets: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the prompts above which a call is priced in the long band: of one call, never of a sum."""
        for one in self._shared.facets.all[len(self._limits) :]:
            try:
                limit = None if one.model is None else get_model(one.model).long_context_above
            except UnknownNameError:
                limit = None
            self._limits.append(_UNLIMITED if limit is None else limit)
        return np.array(self._limits, np.int64)[facets]

    def _other_quantities(
        self, numbers: npt.NDArray[np.int32], billed: npt.NDArray[np.bool_], which: npt.NDArray[np.int64]
    ) -> dict[int, dict[MeterKey, int]]:
        found: dict[int, dict[MeterKey, int]] = {}
        for row in np.flatnonzero((numbers != 0) & billed).tolist():
            sums = found.setdefault(int(which[row]), {})
            for *key, quantity in self._shared.quantities.all[numbers[row]]:
                meter = MeterKey(*key)
                sums[meter] = sums.get(meter, 0) + quantity
        return found


def _meters(tokens: npt.NDArray[np.int64], billed: npt.NDArray[np.bool_], which: Any, n: int) -> dict[MeterKey, Any]:
    """Sum the disjoint meters of each group; columns without any tokens are left out."""
    column = dict(zip(Tokens._fields, tokens.T, strict=True))
    if not billed.all():
        column = {name: np.where(billed, one, 0) for name, one in column.items()}
    sums = {name: _sums(one, which, n) for name, one in column.items() if one.any()}
    nothing = np.zeros(n, np.int64)

    def of(name: str) -> Any:
        return sums.get(name, nothing)

    # Each meter is a sum or difference of totals, so that it may be taken of the sums.
    return dict(
        split_totals(
            of("prompt_tokens"),
            of("completion_tokens"),
            cached=of("cached_tokens"),
            cached_audio=of("cached_audio"),
            cached_image=of("cached_image"),
            cache_write=of("cache_write_tokens"),
            audio_in=of("audio_in"),
            audio_out=of("audio_out"),
            image_in=of("image_in"),
            image_out=of("image_out"),
        )
    )


def _sums(values: npt.NDArray[np.int64], which: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Sum values by group, in integers."""
    found = np.zeros(n, np.int64)
    np.add.at(found, which, values)
    return found


def _sortable(key: GroupKey) -> tuple[tuple[bool, str], ...]:
    return tuple((part is not None, str(part)) for part in key)
