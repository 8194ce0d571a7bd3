"""Calls added up: integers by everything that selects a price, so that each sum is priced once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import find_model
from ..usage import MeterKey, Usage, split_totals
from .join import Calls
from .parts import NOT_A_TIME, Shared
from .primary import HOUR_US, Choice, Comparison, Seen
from .schema import QUALITIES, Counts, Facets, FileCounts, Tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Group", "GroupKey", "Sums", "SumsState", "UsageSums", "short_context", "sortable"]

_DAY_US = 24 * HOUR_US
_EPOCH = date(1970, 1, 1)
_UNLIMITED = np.iinfo(np.int64).max
_MISSING, _NOT_BILLED = (QUALITIES.index(name) for name in ("missing", "not_billed"))
_COUNTED = ("requests", "missing", "not_billed", "estimated", "aggregated", "failed", "throttled", "spilled")
_OF_QUALITY = _COUNTED[1:5]
_BY_SECTION = ("rows", "conflicts", "told")
"""What a choice between sources needs to know: rows that made a call, those that contradict each other, and the calls
whose tokens are known."""
_COLUMNS = (*_COUNTED, *Tokens._fields, *_BY_SECTION)
_PROMPT, _COMPLETION = (Tokens._fields.index(name) for name in ("prompt_tokens", "completion_tokens"))
# A key holds the time (0 for none, else days or hours since 1970 and one), the format, the band and the facets.
_BAND_SHIFT, _SOURCE_SHIFT, _TIME_SHIFT = 27, 28, 36
_FACETS = (1 << _BAND_SHIFT) - 1
_SOURCE = (1 << _TIME_SHIFT - _SOURCE_SHIFT) - 1
_ROWS_AT_ONCE = 1 << 16
"""So many are added together: what is looked at again and again stays in the caches of the processor."""


class GroupKey(NamedTuple):
    """Everything that selects a price, the day, and who asked."""

    day: date | None
    """None where the log does not say when the call was made."""
    resource: str | None
    deployment: str | None
    model: str | None
    version: str | None
    region: str | None
    tier: str | None
    band: str
    user: str | None
    app: str | None


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
    failed: int
    """Of the rows those with an HTTP status of 400 or more, billed or not, the throttled ones among them."""
    throttled: int
    """Of the rows those with HTTP status 429."""
    spilled: int
    """Of the rows those that are known to have been served by another deployment than the provisioned one asked."""
    usage: Usage

    def plus(self, other: Group) -> Group:
        """Return the sum of both."""
        counts = [mine + theirs for mine, theirs in zip(self[:-1], other[:-1], strict=True)]
        return Group._make([*counts, self.usage + other.usage])


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
    comparisons : tuple of Comparison
        What sources that gave way saw, beside the primary source of the same resource and hours.
    unmatched : tuple of str
        Sources that may have seen the same calls, all of them counted: their rows lack the resource or the time.
    """

    groups: tuple[tuple[GroupKey, Group], ...]
    period: tuple[date, date] | None
    formats: tuple[str, ...]
    rejected: pd.DataFrame
    counts: Counts
    complete: bool
    comparisons: tuple[Comparison, ...] = ()
    unmatched: tuple[str, ...] = ()

    def __repr__(self) -> str:
        days = (
            "on no known day" if self.period is None else f"from {self.period[0]} until before {self.period[1]} (UTC)"
        )
        return f"UsageSums({self.counts.total.requests:,} calls {days})"


class SumsState(NamedTuple):
    """What calls add up to, as plain data: what another process added up can be sent, and learnt by `Sums`."""

    formats: tuple[str, ...]
    facets: tuple[Facets, ...]
    keys: npt.NDArray[np.int64]
    """Time, format, band and facets in one number; the formats and facets are those of this state."""
    sections: npt.NDArray[np.int64]
    """The number of a section beside each key; 0 where sums are kept by the day."""
    totals: npt.NDArray[np.int64]
    """One row for each key, in the order of `_COLUMNS`."""
    others: tuple[tuple[int, MeterKey, int], ...]
    """(key, meter, quantity) of what is not counted in tokens."""


class Sums:
    """Adds calls to groups, array by array; the order means nothing, nor does it in how many processes it is done.

    Where several sources may have seen the same calls (`compete`), sums are kept `by_hour` and by section, so that one
    of them can be chosen for each resource and hour.
    """

    def __init__(self, shared: Shared, *, by_hour: bool = False) -> None:
        self._shared, self._by_hour = shared, by_hour
        self._totals = _Totals(len(_COLUMNS))
        self._others: dict[tuple[int, MeterKey], int] = {}
        self._limits: list[int] = []
        self._spilled: list[bool] = []

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of the calls."""
        sources = np.unique(_source_of(self._totals.keys))
        return tuple(sorted({self._shared.families[i] for i in sources.tolist()}))

    @property
    def period(self) -> tuple[date, date] | None:
        """First day of the calls, and the day after the last one, UTC; None where none is dated."""
        days = self._days_of(self._totals.keys) >> _TIME_SHIFT
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
            self._totals.sections,
            totals,
            tuple(
                (number & ~_FACETS | int(np.searchsorted(used, number & _FACETS)), meter, quantity)
                for (number, meter), quantity in self._others.items()
            ),
        )

    def learn(self, state: SumsState) -> None:
        """Add what other sums hold, of the same formats and by the same times, of other calls."""
        sources = np.array([self._shared.formats.index(name) for name in state.formats], np.int64)
        facets = np.array([self._shared.facets.number(one) for one in state.facets], np.int64)
        self._totals.add(_renumbered(state.keys, sources, facets), state.sections, state.totals)
        numbers = _renumbered(np.array([number for number, _, _ in state.others], np.int64), sources, facets)
        for number, (_, meter, quantity) in zip(numbers.tolist(), state.others, strict=True):
            self._others[number, meter] = self._others.get((number, meter), 0) + quantity

    def choose(self, counts: list[FileCounts]) -> Choice:
        """Leave one source for each resource and hour, once everything is added; `counts` follows."""
        keys, sections, totals = self._totals.keys, self._totals.sections, self._totals.totals
        where = keys >> _TIME_SHIFT, _source_of(keys), keys & _FACETS
        tokens = len(_COUNTED)
        told = totals[:, [_COLUMNS.index("told"), 0, tokens + _PROMPT, tokens + _COMPLETION]]
        choice = Choice(self._shared, Seen(*where, told))
        if choice.comparisons:
            gone = choice.gave_way(*where)
            moved = np.zeros((len(counts), len(_COLUMNS)), np.int64)
            np.add.at(moved, sections[gone], totals[gone])
            for section, row in zip(counts, moved.tolist(), strict=True):
                sums = dict(zip(_COLUMNS, row, strict=True))
                section.requests -= sums["rows"]
                section.elsewhere += sums["rows"]
                section.unmetered -= sums["missing"]
                section.conflicts -= sums["conflicts"]
            self._totals.drop(gone)
            dropped = set(keys[gone].tolist())
            self._others = {one: quantity for one, quantity in self._others.items() if one[0] not in dropped}
        return choice

    def groups(self) -> Iterator[tuple[GroupKey, Group]]:
        """Yield every group, in an order that its names give."""
        groups: dict[GroupKey, Group] = {}
        by_day = _Totals(len(_COLUMNS))
        by_day.add(self._days_of(self._totals.keys), np.zeros_like(self._totals.sections), self._totals.totals)
        others: dict[int, dict[MeterKey, int]] = {}
        for (number, meter), quantity in self._others.items():
            of_day = others.setdefault(int(self._days_of(np.array(number))), {})
            of_day[meter] = of_day.get(meter, 0) + quantity
        for number, row in zip(by_day.keys.tolist(), by_day.totals.tolist(), strict=True):
            sums = dict(zip(_COLUMNS, row, strict=True))
            group = Group(
                requests=sums["requests"],
                unmetered=sums["missing"],
                not_billed=sums["not_billed"],
                estimated=sums["estimated"],
                aggregated=sums["aggregated"],
                failed=sums["failed"],
                throttled=sums["throttled"],
                spilled=sums["spilled"],
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
            self._add(calls.some(slice(start, start + _ROWS_AT_ONCE)))

    def _add(self, calls: Calls) -> None:
        rows, quality = calls.rows, calls.quality
        stamps, facets = rows["timestamp_us"], rows["facets"].astype(np.int64)
        times = np.where(stamps != NOT_A_TIME, stamps // (HOUR_US if self._by_hour else _DAY_US) + 1, 0)
        # What is many calls, or may be, says nothing of how long the prompt of one is.
        long = (rows["tokens"][:, _PROMPT] > self._limits_of(facets)) & (rows["requests"] == 1)
        present, source = _numbered(rows["source"].astype(np.int64))
        n_facets = len(self._shared.facets.all)
        found, which = _numbered(((times * len(present) + source) * 2 + long) * n_facets + facets)
        sections = np.zeros(len(found), np.int64)
        if self._by_hour:
            n_sections = int(rows["section"].max()) + 1
            place, which = _numbered(which * n_sections + rows["section"])
            place, sections = np.divmod(place, n_sections)
            found = found[place]
        sums = np.zeros((len(found), len(_COLUMNS)), np.int64)
        np.add.at(sums[:, 0], which, np.maximum(rows["requests"], 0))
        status = rows["status"]
        of_rows = {name: quality == QUALITIES.index(name) for name in _OF_QUALITY}
        of_rows |= {"failed": status >= 400, "throttled": status == 429, "spilled": self._are_spilled(facets)}
        for i, name in enumerate(_COUNTED[1:], start=1):
            sums[:, i] = np.bincount(which[of_rows[name]], minlength=len(found))
        billed = quality != _NOT_BILLED
        told = int(np.bitwise_or.reduce(rows["known"]))
        for i in range(len(Tokens._fields)):
            if told >> i & 1:
                np.add.at(sums[:, len(_COUNTED) + i], which, np.where(billed, rows["tokens"][:, i], 0))
        if self._by_hour:
            known = billed & (quality != _MISSING)
            for name, of in (
                ("rows", 1),
                ("conflicts", calls.conflicts),
                ("told", known * np.maximum(rows["requests"], 1)),
            ):
                np.add.at(sums[:, _COLUMNS.index(name)], which, of)
        found, facets = np.divmod(found, n_facets)
        found, long = np.divmod(found, 2)
        times, source = np.divmod(found, len(present))
        keys = times << _TIME_SHIFT | present[source] << _SOURCE_SHIFT | long << _BAND_SHIFT | facets
        self._totals.add(keys, sections, sums)
        for row in np.flatnonzero((rows["quantities"] != 0) & billed).tolist():
            key = int(keys[which[row]])
            for *meter, quantity in self._shared.quantities.all[rows["quantities"][row]]:
                one = (key, MeterKey(*meter))
                self._others[one] = self._others.get(one, 0) + quantity

    def _key(self, number: int) -> GroupKey:
        facets = self._shared.facets.all[number & _FACETS]
        return GroupKey(
            day=_day(number >> _TIME_SHIFT) if number >> _TIME_SHIFT else None,
            resource=facets.resource,
            deployment=facets.deployment,
            model=facets.model,
            version=facets.version,
            region=facets.region,
            tier=facets.service_tier,
            band="long" if number >> _BAND_SHIFT & 1 else "short",
            user=facets.user,
            app=facets.app,
        )

    def _days_of(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return keys with the day as their time, and without the format: no price hangs on either."""
        times = keys >> _TIME_SHIFT
        if self._by_hour:
            times = np.where(times != 0, (times - 1) // 24 + 1, 0)
        found: npt.NDArray[np.int64] = times << _TIME_SHIFT | keys & (1 << _SOURCE_SHIFT) - 1
        return found

    def _are_spilled(self, facets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        self._spilled += [one.spillover is True for one in self._shared.facets.all[len(self._spilled) :]]
        return np.array(self._spilled, bool)[facets]

    def _limits_of(self, facets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the prompts above which a call is priced in the long band: of one call, never of a sum."""
        self._limits += [short_context(one.model) for one in self._shared.facets.all[len(self._limits) :]]
        return np.array(self._limits, np.int64)[facets]


class _Totals:
    """Rows of integers by key and section, added up; what is added is put together only now and then, or to be read."""

    def __init__(self, n_columns: int) -> None:
        self._all = _Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, n_columns), np.int64))
        self._added: list[_Rows] = []
        self._n_added = 0

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """The keys, sorted; one that is in several sections stands there several times."""
        return self._together().keys

    @property
    def sections(self) -> npt.NDArray[np.int64]:
        """The section beside each key."""
        return self._together().sections

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        """One row for each key and section."""
        return self._together().totals

    def add(self, keys: npt.NDArray[np.int64], sections: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> None:
        """Add rows."""
        if len(keys):
            self._added.append(_Rows(keys, sections, totals))
            self._n_added += len(keys)
        if self._n_added > max(_ROWS_AT_ONCE, 4 * len(self._all.keys)):
            self._together()

    def drop(self, which: npt.NDArray[np.bool_]) -> None:
        """Forget rows, told by their places."""
        self._all = _Rows(*(of[~which] for of in self._together()))

    def _together(self) -> _Rows:
        if self._added:
            keys, sections, totals = (np.concatenate(of) for of in zip(self._all, *self._added, strict=True))
            self._added, self._n_added = [], 0
            order = np.lexsort((sections, keys))
            keys, sections = keys[order], sections[order]
            new = np.concatenate([[True], (keys[1:] != keys[:-1]) | (sections[1:] != sections[:-1])])
            self._all = _Rows(keys[new], sections[new], np.add.reduceat(totals[order], np.flatnonzero(new), axis=0))
        return self._all


class _Rows(NamedTuple):
    keys: npt.NDArray[np.int64]
    sections: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=number - 1)


def _source_of(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    sources: npt.NDArray[np.int64] = keys >> _SOURCE_SHIFT & _SOURCE
    return sources


def _renumbered(
    keys: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], facets: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return keys with other numbers of formats and facets: at each place the one that takes its place."""
    made: npt.NDArray[np.int64] = keys & ~(_SOURCE << _SOURCE_SHIFT | _FACETS)
    made |= sources[_source_of(keys)] << _SOURCE_SHIFT
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


def short_context(model: str | None) -> int:
    """Return the longest prompt of a model, in tokens, that is priced in the short context band."""
    found = find_model(model)
    limit = None if found is None else found.long_context_above
    return _UNLIMITED if limit is None else limit


def sortable(key: Iterable[object]) -> tuple[tuple[bool, str], ...]:
    """Return what sorts a key by its names, what has none first."""
    return tuple((part is not None, str(part)) for part in key)
