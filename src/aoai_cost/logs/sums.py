"""Calls added up: integers by everything that selects a price, so that each sum is priced once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import get_model
from ..errors import UnknownNameError
from ..usage import MeterKey, Usage, split_totals
from .join import Calls
from .parts import NOT_A_TIME, Parts, Shared
from .schema import QUALITIES, Counts, Facets, Tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Group", "GroupKey", "Sums", "SumsState", "UsageSums", "sortable"]

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_UNLIMITED = np.iinfo(np.int64).max
_NOT_BILLED = QUALITIES.index("not_billed")
_COUNTED = ("requests", "missing", "not_billed", "estimated", "aggregated")
_COLUMNS = (*_COUNTED, *Tokens._fields)
# A key holds the day (0 for none, else days since 1970 and one), the format, the band and the facets.
_BAND_SHIFT, _SOURCE_SHIFT, _DAY_SHIFT = 27, 28, 36
_FACETS = (1 << _BAND_SHIFT) - 1
_SOURCE = (1 << _DAY_SHIFT - _SOURCE_SHIFT) - 1
_ROWS_AT_ONCE = 1 << 16
"""So many are added together: what is looked at again and again stays in the caches of the processor."""


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


class SumsState(NamedTuple):
    """What calls add up to, as plain data: what another process added up can be sent, and learnt by `Sums`."""

    formats: tuple[str, ...]
    facets: tuple[Facets, ...]
    keys: npt.NDArray[np.int64]
    """Day, format, band and facets in one number; the formats and facets are those of this state."""
    totals: npt.NDArray[np.int64]
    """One row for each key, in the order of `_COLUMNS`."""
    others: tuple[tuple[int, MeterKey, int], ...]
    """(key, meter, quantity) of what is not counted in tokens."""


class Sums:
    """Adds calls to groups, array by array; the order means nothing, nor does it in how many processes it is done."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._totals = _Totals(len(_COLUMNS))
        self._others: dict[tuple[int, MeterKey], int] = {}
        self._limits: list[int] = []

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of the calls."""
        sources = np.unique(self._totals.keys >> _SOURCE_SHIFT & _SOURCE)
        return tuple(sorted({self._shared.families[i] for i in sources.tolist()}))

    @property
    def period(self) -> tuple[date, date] | None:
        """First day of the calls, and the day after the last one, UTC; None where none is dated."""
        days = self._totals.keys >> _DAY_SHIFT
        days = days[days != 0]
        return (_day(int(days.min())), _day(int(days.max()) + 1)) if len(days) else None

    @property
    def state(self) -> SumsState:
        """What was added so far."""
        keys, totals = self._totals.keys, self._totals.totals
        used, which = np.unique(keys & _FACETS, return_inverse=True)
        return SumsState(
            self._shared.formats,
            tuple(self._shared.facets.all[i] for i in used.tolist()),
            keys & ~_FACETS | which,
            totals.copy(),
            tuple(
                (number & ~_FACETS | int(np.searchsorted(used, number & _FACETS)), meter, quantity)
                for (number, meter), quantity in self._others.items()
            ),
        )

    def learn(self, state: SumsState) -> None:
        """Add what other sums hold, of the same formats and of other calls."""
        sources = np.array([self._shared.formats.index(name) for name in state.formats], np.int64)
        facets = np.array([self._shared.facets.number(one) for one in state.facets], np.int64)

        if len(state.keys):
            self._totals.add(_renumbered(state.keys, sources, facets), state.totals)
        if state.others:
            numbers = _renumbered(np.array([number for number, _, _ in state.others], np.int64), sources, facets)
            for number, (_, meter, quantity) in zip(numbers.tolist(), state.others, strict=True):
                self._others[number, meter] = self._others.get((number, meter), 0) + quantity

    def groups(self) -> Iterator[tuple[GroupKey, Group]]:
        """Yield every group, in an order that its names give."""
        groups: dict[GroupKey, Group] = {}
        others: dict[int, dict[MeterKey, int]] = {}
        for (number, meter), quantity in self._others.items():
            others.setdefault(number, {})[meter] = quantity
        for number, row in zip(self._totals.keys.tolist(), self._totals.totals.tolist(), strict=True):
            sums = dict(zip(_COLUMNS, row, strict=True))
            group = Group(
                requests=sums["requests"],
                unmetered=sums["missing"],
                not_billed=sums["not_billed"],
                estimated=sums["estimated"],
                aggregated=sums["aggregated"],
                usage=Usage(_meters(sums) | others.get(number, {})),
            )
            key = self._key(number)
            before = groups.get(key)
            groups[key] = group if before is None else before.plus(group)
        for key in sorted(groups, key=sortable):
            yield key, groups[key]

    def add(self, calls: Calls) -> None:
        """Add calls."""
        for start in range(0, len(calls.rows), _ROWS_AT_ONCE):
            end = start + _ROWS_AT_ONCE
            self._add(calls.rows[start:end], calls.quality[start:end])

    def _add(self, rows: Parts, quality: npt.NDArray[np.uint8]) -> None:
        times, facets = rows["timestamp_us"], rows["facets"].astype(np.int64)
        days = np.where(times != NOT_A_TIME, times // _DAY_US + 1, 0)
        long = rows["tokens"][:, Tokens._fields.index("prompt_tokens")] > self._limits_of(facets)
        n_sources, n_facets = len(self._shared.formats), len(self._shared.facets.all)
        found, which = _numbered(((days * n_sources + rows["source"]) * 2 + long) * n_facets + facets)
        sums = np.zeros((len(found), len(_COLUMNS)), np.int64)
        np.add.at(sums[:, 0], which, np.maximum(rows["requests"], 0))
        for i, name in enumerate(_COUNTED[1:], start=1):
            sums[:, i] = np.bincount(which[quality == QUALITIES.index(name)], minlength=len(found))
        billed = quality != _NOT_BILLED
        told = int(np.bitwise_or.reduce(rows["known"]))
        for i in range(len(Tokens._fields)):
            if told >> i & 1:
                np.add.at(sums[:, len(_COUNTED) + i], which, np.where(billed, rows["tokens"][:, i], 0))
        found, facets = np.divmod(found, n_facets)
        found, long = np.divmod(found, 2)
        days, sources = np.divmod(found, n_sources)
        keys = days << _DAY_SHIFT | sources << _SOURCE_SHIFT | long << _BAND_SHIFT | facets
        self._totals.add(keys, sums)
        for row in np.flatnonzero((rows["quantities"] != 0) & billed).tolist():
            key = int(keys[which[row]])
            for *meter, quantity in self._shared.quantities.all[rows["quantities"][row]]:
                one = (key, MeterKey(*meter))
                self._others[one] = self._others.get(one, 0) + quantity

    def _key(self, number: int) -> GroupKey:
        facets = self._shared.facets.all[number & _FACETS]
        return GroupKey(
            day=_day(number >> _DAY_SHIFT) if number >> _DAY_SHIFT else None,
            resource=facets.resource,
            deployment=facets.deployment,
            model=facets.model,
            version=facets.version,
            region=facets.region,
            tier=facets.service_tier,
            band="long" if number >> _BAND_SHIFT & 1 else "short",
        )

    def _limits_of(self, facets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the prompts above which a call is priced in the long band: of one call, never of a sum."""
        for one in self._shared.facets.all[len(self._limits) :]:
            try:
                limit = None if one.model is None else get_model(one.model).long_context_above
            except UnknownNameError:
                limit = None
            self._limits.append(_UNLIMITED if limit is None else limit)
        return np.array(self._limits, np.int64)[facets]


class _Totals:
    """Rows of integers by their keys, added up; what is added is put together only now and then, or when it is read."""

    def __init__(self, n_columns: int) -> None:
        self._keys = np.empty(0, np.int64)
        self._totals = np.empty((0, n_columns), np.int64)
        self._added: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        self._n_added = 0

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """The keys, sorted."""
        self._put_together()
        return self._keys

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        """One row for each key."""
        self._put_together()
        return self._totals

    def add(self, keys: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> None:
        """Add rows."""
        self._added.append((keys, totals))
        self._n_added += len(keys)
        if self._n_added > max(_ROWS_AT_ONCE, len(self._keys)):
            self._put_together()

    def _put_together(self) -> None:
        if self._added:
            keys, totals = zip((self._keys, self._totals), *self._added, strict=True)
            self._added, self._n_added = [], 0
            self._keys, which = np.unique(np.concatenate(keys), return_inverse=True)
            self._totals = np.zeros((len(self._keys), self._totals.shape[1]), np.int64)
            np.add.at(self._totals, which, np.concatenate(totals))


def _renumbered(
    keys: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], facets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return keys with other numbers of formats and facets: at each place the one that takes its place."""
    made: npt.NDArray[np.int64] = keys & ~(_SOURCE << _SOURCE_SHIFT | _FACETS)
    made |= sources[keys >> _SOURCE_SHIFT & _SOURCE] << _SOURCE_SHIFT
    made |= facets[keys & _FACETS]
    return made


def _numbered(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the keys that occur, and of each row the place of its key among them."""
    least = int(keys.min())
    span = int(keys.max()) - least + 1
    if span > 4 * len(keys) + _ROWS_AT_ONCE:
        found, which = np.unique(keys, return_inverse=True)
        return found, which
    # Few keys lie close together: no need to sort.
    found = np.flatnonzero(np.bincount(keys - least, minlength=span))
    place = np.empty(span, np.int64)
    place[found] = np.arange(len(found))
    return found + least, place[keys - least]


def _meters(sums: Mapping[str, int]) -> dict[MeterKey, int]:
    """Split the sums of totals; each meter is a sum or difference of them, so this may come after adding."""
    return split_totals(
        sums["prompt_tokens"],
        sums["completion_tokens"],
        cached=sums["cached_tokens"],
        cached_audio=sums["cached_audio"],
        cached_image=sums["cached_image"],
        cache_write=sums["cache_write_tokens"],
        audio_in=sums["audio_in"],
        audio_out=sums["audio_out"],
        image_in=sums["image_in"],
        image_out=sums["image_out"],
    )


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=number - 1)


def sortable(key: Iterable[object]) -> tuple[tuple[bool, str], ...]:
    """Return what sorts a key by its names, what has none first."""
    return tuple((part is not None, str(part)) for part in key)
