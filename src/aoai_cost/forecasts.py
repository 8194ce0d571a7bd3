"""What a month will have cost at its end, from the days of a report, and how far such forecasts were off before.

The hours of provisioned and fine-tuned deployments are known ahead. The rest is forecast in a few plain ways. Which of
them, and how wide the interval is, the history of the log itself tells: each way is tried from every earlier day on,
over as many days as are ahead now.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import markup
from .errors import RequestError, shorten
from .prices import exact_sum
from .report import CostReport
from .report.pricing import Pricing, object_frame

__all__ = ["Forecast", "forecast"]

_TIMED = ("ptu", "hosting")
_CENT, _MICRO = Decimal("0.01"), Decimal("0.000001")
_WIDE = Context(prec=400)
_LONGEST = 366

_WAYS = (
    "the mean of the last 28 days",
    "the means of the weekdays over the last 28 days",
    "the weekdays of the last 28 days, at the level of the last 14 days",
    "the weekdays of the last 28 days, at the level of the last 7 days",
    "the weekdays of the last 28 days, with their trend, damped",
)
_SEEN = 28
_DAMPING = 0.97
_FEWEST_DAYS = 14
"""So many days a way is given at least, when it is tried."""
_FEWEST_WINDOWS = 7
"""So many times a way must have been tried before anything is concluded from it."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the days of a period will have cost at its end.

    Attributes
    ----------
    period : (date, date)
        The first day of the month, and the day before which the period ends.
    on : date
        The day that may not be over; the days before it are whole.
    spent : Decimal
        Exactly what the report has of the period, up to and with `on`.
    expected : Decimal
        The period's total at its end, rounded to cents and not below `spent`.
    low, high : Decimal or None
        The interval in which the total is expected, rounded in the same way; None where the history is too short to
        tell one, or its costs come from nothing.
    level : float
        The share of such intervals that are to hold the total.
    coverage : (int, int)
        How many of such intervals held it on the log's own history, and how many were tried, each made from the days
        before it alone. Neighbouring ones share most of their days.
    method : str
        How the costs that are not known ahead were forecast, and how far that was off.
    days : DataFrame
        One row per day of the period: ``day``, ``cost``, ``kind`` (``actual`` or ``forecast``), ``low`` and ``high``
        of that one day (None where there is no interval). Costs of days that are forecast have six decimal places.
    certainty : str
        ``lower_bound`` where the report is one, or a price of hours to come is missing; else ``estimated``.
    """

    period: tuple[date, date]
    on: date
    spent: Decimal
    expected: Decimal
    low: Decimal | None
    high: Decimal | None
    currency: str
    level: float
    coverage: tuple[int, int]
    method: str
    days: pd.DataFrame
    certainty: Literal["estimated", "lower_bound"]
    notes: tuple[str, ...]

    def exceeds(self, budget: Decimal | int | str) -> Literal["spent", "expected", "possible", ""]:
        """Tell whether the period exceeds a budget in `currency`.

        ``spent``: it does already; ``expected``: it will by the forecast; ``possible``: the upper end of the interval
        does; an empty text: none of them.

        Raises
        ------
        RequestError
            For a budget that is no amount of at least 0; a float is refused.
        """
        try:
            amount = Decimal(budget) if isinstance(budget, (Decimal, int, str)) else None
        except InvalidOperation:
            amount = None
        if amount is None or isinstance(budget, bool) or not amount.is_finite() or amount < 0:
            raise RequestError(
                "budget", f"must be a Decimal, a whole number or a text such as '0.50', found {shorten(budget)}"
            )
        if self.spent > amount:
            return "spent"
        if self.expected > amount:
            return "expected"
        return "possible" if self.high is not None and self.high > amount else ""

    def __repr__(self) -> str:
        return f"Forecast({self._head()})"

    def _head(self) -> str:
        expected, spent = (f"{markup.amount(one)} {self.currency}" for one in (self.expected, self.spent))
        return f"{self.period[0]} to {self.period[1]} (end excluded): {expected} expected, {spent} spent by {self.on}"

    def _repr_html_(self) -> str:
        held, tried = self.coverage
        told = [
            ("interval", None if self.low is None else markup.span(self.low, self.high, self.currency)),
            ("level", f"{self.level:.0%}, and {held} of {tried} such intervals held before" if tried else None),
            ("method", self.method),
            ("certainty", self.certainty),
        ]
        rows = (
            (day, markup.amount(cost), kind, *("" if bound is None else markup.amount(bound) for bound in bounds))
            for day, cost, kind, *bounds in self.days.itertuples(index=False, name=None)
        )
        days = markup.first_rows(
            list(self.days.columns), rows, len(self.days), all_in=".days", numeric=(1, 3, 4), most=31
        )
        return markup.result(self._head(), markup.facts(told), days, notes=self.notes)


def forecast(report: CostReport, *, on: date | None = None, until: date | None = None, level: float = 0.8) -> Forecast:
    """Forecast what the month of a report's last day will have cost at its end.

    Parameters
    ----------
    report : CostReport
        All of its days are the history: two months of them tell much more than one.
    on : date, optional
        The day that may not be over, by default the report's last day: what it has so far is the least that it costs,
        and nothing is learnt from it. The day after the last one says that this one is whole; from an earlier one the
        forecast is made as it would have been then, and later days are left out.
    until : date, optional
        The day before which the period ends, by default the first of the next month; at most 366 days after `on`.
    level : float
        The share of intervals that are to hold the total, between 0 and 1.

    Raises
    ------
    RequestError
        For a report without a dated call, and for an `on`, `until` or `level` that cannot be.
    """
    if not isinstance(report, CostReport):
        raise RequestError("report", f"must be what cost_report returns; found {type(report).__name__}")
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
        raise RequestError("level", f"must be between 0 and 1, found {shorten(level)}")
    for name, day in (("on", on), ("until", until)):
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            raise RequestError(name, f"must be a date, found {shorten(day)}")
    if report.period is None:
        raise RequestError("report", "has no call with a date, so there is nothing to forecast from")
    first, end = report.period
    today = end - timedelta(days=1) if on is None else on
    if not first <= today <= end:
        raise RequestError("on", f"must be from {first} to {end}, the days of the report, found {today}")
    start = today.replace(day=1)
    stop = _next_month(start) if until is None else until
    if not timedelta(0) < stop - today <= timedelta(days=_LONGEST):
        raise RequestError("until", f"must be after {today}, by at most {_LONGEST} days; found {stop}")

    costs = _Costs(report, today, stop)
    history = np.array([float(costs.other[day]) for day in _days(first, today)])
    so_far = float(costs.other[today])
    fit = _fit(history, (stop - today).days, level, so_far)
    fit.daily[0] = max(fit.daily[0], so_far)
    ahead = float(fit.daily.sum())
    known = exact_sum([costs.timed[day] for day in _days(start, stop)] + [costs.other[d] for d in _days(start, today)])
    spent = exact_sum(costs.billed(day) for day in _days(start, today + timedelta(days=1)) if day < end)

    def total(rest: float) -> Decimal:
        return max(spent, _rounded(exact_sum([known, Decimal(rest)]), _CENT))

    margin = fit.margin
    return Forecast(
        period=(start, stop),
        on=today,
        spent=spent,
        expected=total(ahead),
        low=None if margin is None else total(max(so_far, ahead - margin)),
        high=None if margin is None else total(ahead + margin),
        currency=report.currency,
        level=float(level),
        coverage=(fit.held, fit.checked),
        method=fit.method,
        days=_days_frame(costs, fit, start, today, stop, so_far),
        certainty="lower_bound" if report.certainty == "lower_bound" or costs.unpriced else "estimated",
        notes=tuple(_notes(report, costs, fit, today, level)),
    )


class _Costs:
    """What a report has of each day up to `today`, the hours known ahead apart from the rest."""

    def __init__(self, report: CostReport, today: date, stop: date) -> None:
        timed: dict[date, list[Decimal]] = defaultdict(list)
        other: dict[date, list[Decimal]] = defaultdict(list)
        assert report.period is not None
        end = report.period[1]
        self.unpriced = False
        self.add(report.days, timed, other, today, end)
        if report.prices is not None and end < stop:
            # The report's own hours end with its last call; those after it are priced in the same way.
            pricing = Pricing(report.prices)
            pricing.add_time(report.timed, (end, stop))
            self.add(pricing.days_frame(), timed, other, stop, stop)
            self.unpriced = bool(pricing.unpriced)
        self.timed = defaultdict(Decimal, {day: exact_sum(amounts) for day, amounts in timed.items()})
        self.other = defaultdict(Decimal, {day: exact_sum(amounts) for day, amounts in other.items()})

    @staticmethod
    def add(
        lines: pd.DataFrame,
        timed: dict[date, list[Decimal]],
        other: dict[date, list[Decimal]],
        today: date,
        stop: date,
    ) -> None:
        """Add priced lines; those of hours of all days before `stop`, others up to `today`."""
        for day, meter, amount in zip(lines["day"], lines["meter"], lines["amount"], strict=True):
            if meter in _TIMED and day < stop:
                timed[day].append(amount)
            elif meter not in _TIMED and day <= today:
                other[day].append(amount)

    def billed(self, day: date) -> Decimal:
        """Return all of a day."""
        return exact_sum((self.timed[day], self.other[day]))


class _Fit(NamedTuple):
    """Forecast days, and what the history tells of such forecasts."""

    daily: _Floats
    """One for each day ahead."""
    method: str
    margin: float | None = None
    """Half of the interval of their sum."""
    day_share: float | None = None
    """The same for a single day, as a share of it."""
    held: int = 0
    checked: int = 0
    window_days: int = 0
    """So many days each trial was over."""


def _fit(history: _Floats, ahead: int, level: float, so_far: float) -> _Fit:
    """Choose a way by the errors that each would have made, and take the interval from those of the chosen one."""
    n = len(history)
    # With a short history shorter windows are tried, so that there are enough of them to learn from and to check.
    days = min(ahead, max(7, (n - 2 * _FEWEST_DAYS) // 2))
    windows = n - _FEWEST_DAYS - days + 1
    if windows < _FEWEST_WINDOWS:
        return _run_rate(history, ahead, so_far)
    origins = range(_FEWEST_DAYS, _FEWEST_DAYS + windows)
    tried = np.array([_ways(history[:origin], days) for origin in origins])
    true = np.array([history[origin : origin + days] for origin in origins])
    errors = _errors(tried, true, np.array([history[max(0, origin - _SEEN) : origin].mean() for origin in origins]))
    way = _best(errors)
    margin = _margin(history, _reach(errors, way, level, days), ahead, days)
    held = checked = 0
    for i in range(days + _FEWEST_WINDOWS - 1, windows):
        # What was over when the window began.
        before = errors[: i - days + 1]
        then = _best(before)
        off = abs(errors[i, then])
        held += bool(math.isfinite(off) and off <= _reach(before, then, level, days))
        checked += 1
    return _Fit(
        _ways(history, ahead)[way],
        _method(way, errors, days),
        margin,
        None if margin is None else _day_share(tried[:, way], true, level),
        held,
        checked,
        days,
    )


def _margin(history: _Floats, reach: float, ahead: int, days: int) -> float | None:
    """Return half of the interval of the sum of all days ahead, from what is a share of a window's."""
    size = float(history[-_SEEN:].mean())
    if not math.isfinite(reach) or (size == 0 and history.any()):
        return None
    # Over more days than were tried, what is missed is taken to grow as the steps of a random walk do.
    return reach * size * ahead * math.sqrt(ahead / days)


def _method(way: int, errors: _Floats, days: int) -> str:
    off = np.abs(errors[:, way])
    off = off[np.isfinite(off)]
    found = f", by {off.mean() * 100:.1f} % on average" if len(off) else ""
    trials = f"{len(errors)} trials over {days} day{'s' if days > 1 else ''}"
    return f"{_WAYS[way]}; the least off of {len(_WAYS)} ways{found} in {trials}"


def _run_rate(history: _Floats, ahead: int, so_far: float) -> _Fit:
    whole_weeks = min(_SEEN, len(history) // 7 * 7)
    used = history[-whole_weeks:] if whole_weeks else history
    if not len(used):
        return _Fit(np.full(ahead, so_far), "what the one day of the history has so far, not tried on any other")
    one = "day" if len(used) == 1 else "days"
    return _Fit(np.full(ahead, used.mean()), f"the mean of the last {len(used)} {one}, not tried on any other days")


def _ways(history: _Floats, ahead: int) -> _Floats:
    """Forecast so many days in each of `_WAYS`; an array of ways by days. The history has at least 14 days."""
    weeks = history[-min(_SEEN, len(history) // 7 * 7) :].reshape(-1, 7)
    weekdays = weeks.mean(axis=0)
    level = weekdays.mean()
    found = np.tile(np.resize(weekdays, ahead), (len(_WAYS), 1))
    found[0] = level
    if level > 0:
        found[2] *= history[-14:].mean() / level
        found[3] *= history[-7:].mean() / level
        numbers = np.arange(len(weeks)) - (len(weeks) - 1) / 2
        slope = (numbers @ weeks.mean(axis=1)) / (numbers @ numbers) / 7
        # From the middle of the last week on; each day adds a little less than the one before.
        steps = 3 + np.arange(1, ahead + 1)
        grown = slope * (numbers[-1] * 7 + _DAMPING * (1 - _DAMPING**steps) / (1 - _DAMPING))
        found[4] *= np.maximum(0, 1 + grown / level)
    return found


def _errors(tried: _Floats, true: _Floats, sizes: _Floats) -> _Floats:
    """Return by how much sums of windows were missed, as shares of what they had been by the mean of the days before.

    Of a window after nothing but zeros: 0 where it has nothing either, else infinite. Windows by ways.
    """
    missed = true.sum(axis=1)[:, None] - tried.sum(axis=2)
    expected = (sizes * true.shape[1])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = missed / expected
    # Rounded, so that no choice hangs on the last bits of a float.
    return np.where(missed == 0, 0.0, shares).round(12)


def _best(errors: _Floats) -> int:
    """Return the way that was the least off on average, of equal ones the first."""
    known = np.abs(errors[np.isfinite(errors).all(axis=1)])
    return int(known.mean(axis=0).round(9).argmin()) if len(known) else 0


def _reach(errors: _Floats, way: int, level: float, days: int) -> float:
    """Return how far from the forecast the interval reaches on both sides, as a share.

    That is as far as so many of the windows were off, and further the fewer windows there are that share no day: with
    one, twice as far.
    """
    far = float(np.quantile(np.abs(errors[:, way]), level, method="higher"))
    return far * (1 + days / len(errors))


def _day_share(tried: _Floats, true: _Floats, level: float) -> float:
    some = tried > 0
    return float(np.quantile(np.abs(true[some] / tried[some] - 1), level, method="higher")) if some.any() else 0.0


def _days_frame(costs: _Costs, fit: _Fit, start: date, today: date, stop: date, so_far: float) -> pd.DataFrame:
    records: list[tuple[Any, ...]] = []
    for day in _days(start, today):
        cost = costs.billed(day)
        records.append((day, cost, "actual", cost, cost))
    for day, rest in zip(_days(today, stop), fit.daily.tolist(), strict=True):
        least = so_far if day == today else 0.0
        share = fit.day_share
        ends = None if share is None else (max(least, rest * (1 - share)), rest, rest * (1 + share))
        low, cost, high = (
            _rounded(exact_sum((costs.timed[day], Decimal(one))), _MICRO) for one in ends or (rest, rest, rest)
        )
        records.append((day, cost, "forecast", None if ends is None else low, None if ends is None else high))
    return object_frame(records, ["day", "cost", "kind", "low", "high"])


def _notes(report: CostReport, costs: _Costs, fit: _Fit, today: date, level: float) -> Iterator[str]:
    assert report.period is not None
    first, end = report.period
    if today < end:
        yield f"{today} may not be over: it is forecast, and what it has so far is the least that it costs"
    if first > today.replace(day=1):
        yield f"the report begins on {first}; what was spent in the month before is not in it"
    if report.certainty == "lower_bound":
        yield "the report is a lower bound, since something has no price or no tokens or could not be read: so is this"
    if costs.unpriced:
        yield "some hours of deployments have no price on the days to come; they are not in it"
    if any(costs.timed[day] for day in _days(today, today + timedelta(days=len(fit.daily)))):
        yield "the hours of provisioned and fine-tuned deployments are known ahead, as the deployments file has them"
    if not fit.window_days:
        yield "the history is too short to try a forecast on it, so no interval is told; four weeks or more would do"
        return
    if fit.margin is None:
        yield "costs came from nothing within the history, so no interval is told"
    elif fit.window_days < len(fit.daily):
        yield (
            f"the history is too short to try {len(fit.daily)} days ahead; the interval is that of {fit.window_days} "
            "days, widened"
        )
    if fit.margin is not None and not fit.checked:
        yield "the history is too short to see how often such intervals held"
    if fit.held < fit.checked * (level - 0.1):
        times = f"{fit.held} of {fit.checked} times"
        yield f"such intervals held {times}, less often than they should; this one may be too narrow"


def _rounded(amount: Decimal, place: Decimal) -> Decimal:
    return amount.quantize(place, context=_WIDE)


def _next_month(start: date) -> date:
    return date(start.year + start.month // 12, start.month % 12 + 1, 1)


def _days(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += timedelta(days=1)
