"""The time that a reading is asked for, and the folders of the hours that can hold it.

Azure Monitor writes resource logs to ``resourceId=/.../y=2026/m=10/d=01/h=05/m=00/PT1H.json``. Its documentation
("Resource logs in Azure Monitor", the section on Azure Storage) says that such a blob holds what was *received* in its
hour, in UTC, whenever it was generated, and that an hour may still be written to when the next one has begun.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UsageFormatError, shorten

__all__ = ["ALWAYS", "LATE_HOURS", "Period", "asked_period"]

LATE_HOURS = 1
"""So many hours on both sides of the time asked for are read too.

A row that was made in the last minutes arrives in the hour after, and of the two rows of a call at the beginning one
may stand in the hour before. The documentation gives no bound for this category: what arrives later is not seen.
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR_US = 3_600_000_000
_EVER_US = 1 << 62
_LEVELS = tuple(re.compile(level, re.ASCII) for level in (r"y=(\d{4})", r"m=(\d\d)", r"d=(\d\d)", r"h=(\d\d)"))


class Period(NamedTuple):
    """A half-open time, in microseconds since 1970, UTC."""

    since_us: int = -_EVER_US
    until_us: int = _EVER_US

    def holds(self, times_us: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which of the times are within."""
        return (times_us >= self.since_us) & (times_us < self.until_us)

    def may_be_in(self, path: Sequence[str]) -> bool:
        """Tell whether a file or folder, given by the names on the way to it, can hold rows of this time."""
        span = _span_us(path)
        first, end = self._read_us()
        return span is None or (span[0] < end and span[1] > first)

    def is_all_of(self, path: Sequence[str]) -> bool:
        """Tell whether everything in a folder is to be read."""
        span = _span_us(path)
        first, end = self._read_us()
        return self == ALWAYS or (span is not None and first <= span[0] and span[1] <= end)

    def _read_us(self) -> tuple[int, int]:
        """Return the whole hours that are read."""
        first = self.since_us // _HOUR_US - LATE_HOURS
        return first * _HOUR_US, (-(-self.until_us // _HOUR_US) + LATE_HOURS) * _HOUR_US


ALWAYS = Period()


def asked_period(since: date | datetime | None, until: date | datetime | None) -> Period:
    """Return the time from `since` until before `until`; a date is its midnight, and what has no zone is UTC.

    Raises
    ------
    UsageFormatError
        If either is something else, or `since` is not before `until`.
    """
    period = Period(
        ALWAYS.since_us if since is None else _microseconds(since, "since"),
        ALWAYS.until_us if until is None else _microseconds(until, "until"),
    )
    if period.since_us >= period.until_us:
        raise UsageFormatError("", "since must be before until")
    return period


def _microseconds(when: date | datetime, name: str) -> int:
    # Not a time (NaT) is a datetime too, and equal to nothing.
    if not isinstance(when, date) or when != when:
        raise UsageFormatError("", f"{name} must be a date or a datetime, found {shorten(when)}")
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)
    return ((when if when.tzinfo is not None else when.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _span_us(path: Sequence[str]) -> tuple[int, int] | None:
    """Return the time whose rows stand below a path: its hour, day, month or year; None where it does not say.

    Other folders may be named by years and days of something else, so only those below a ``resourceId=`` count.
    """
    names = iter(path)
    if not any(name.lower() == "resourceid=" for name in names):
        return None
    found = next((found for name in names if (found := _LEVELS[0].fullmatch(name))), None)
    if found is None:
        return None
    numbers = [int(found[1])]
    for level, name in zip(_LEVELS[1:], names, strict=False):
        if (found := level.fullmatch(name)) is None:
            break
        numbers.append(int(found[1]))
    year, month, day, hour = (*numbers, *(1, 1, 1, 0)[len(numbers) :])
    try:
        first = datetime(year, month, day, hour, tzinfo=UTC)
        if len(numbers) == 1:
            end = datetime(year + 1, 1, 1, tzinfo=UTC)
        elif len(numbers) == 2:
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        else:
            end = first + (timedelta(days=1) if len(numbers) == 3 else timedelta(hours=1))
    except (ValueError, OverflowError):
        return None
    return (first - _EPOCH) // _MICROSECOND, (end - _EPOCH) // _MICROSECOND
