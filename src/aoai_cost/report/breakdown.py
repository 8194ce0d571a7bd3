"""A report's priced quantities as series by day, with what a unit would cost in batch, cached and uncached.

That is all it takes to break a bill down by any name and to move its sliders: costs are sums of quantity times price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import lcm
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalog import Deployment
from ..logs.sums import sortable
from ..prices import PriceBook, exact_sum
from ..usage import MeterKey, Usage
from .batch import as_batch, keeps_prices
from .loads import Names

if TYPE_CHECKING:
    from .cost import CostReport

__all__ = ["Breakdown", "Member", "Series", "break_down"]

_POOL = (MeterKey("input"), MeterKey("cached_input"))
_TIMED = ("ptu", "ptu_reservation", "hosting")
_MOST_DEPLOYMENTS, _MOST_MODELS, _MOST_USERS = 200, 50, 20
_MOST_QUANTITIES = 45_000
# A series with its names is as long in a page as so many quantities.
_QUANTITIES_OF_SERIES = 3
_ZERO = Fraction(0)
_TINY = Fraction(1, 10**30)

_Quantity = int | Fraction


class Member(NamedTuple):
    """One of the deployments, models, users or apps of a breakdown.

    ``name`` is what `Names` has of it: resource and deployment, model and version, user, app. Small ones are one
    member together, whose name is empty; ``members`` says how many it stands for.
    """

    name: tuple[str | None, ...]
    members: int
    requests: int


class UnitPrices(NamedTuple):
    """What one unit costs: as it was, and if its calls had been sent otherwise.

    In ``plain`` the text input of the calls is all input, in ``cached`` all of it cached input. A call goes to batch if
    everything in it that has a price has one there too; else its price in batch is what it costs outside.
    """

    now: Fraction
    batch: Fraction
    plain: Fraction
    cached: Fraction
    plain_batch: Fraction
    cached_batch: Fraction
    as_input: Fraction | None
    """The price as input of what was read from the cache or written to it; None for all else."""


class _Key(NamedTuple):
    """The key of `Series` while they are summed; the id of their prices is quicker than the hash."""

    deployment: int
    model: int
    user: int
    app: int
    meter: MeterKey
    timed: bool
    prices: int


class Series(NamedTuple):
    """A quantity by day whose units have the same prices, of one member of each kind.

    `prices` are those of one unit, exact. ``timed`` quantities, PTU and hosting hours, do not grow with the calls.
    """

    deployment: int
    model: int
    user: int
    app: int
    meter: MeterKey
    timed: bool
    prices: UnitPrices
    quantities: tuple[tuple[int, _Quantity], ...]
    """Pairs of the day's place in `Breakdown.days` and the quantity; one that is imagined may be no whole number."""

    @property
    def cost(self) -> Fraction:
        """What the quantities cost."""
        return self.prices.now * self.quantity

    @property
    def quantity(self) -> _Quantity:
        """The sum over all days."""
        return sum(quantity for _, quantity in self.quantities)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """All priced quantities of a report.

    Attributes
    ----------
    days : tuple of date
        The days that have costs, or the first days of the months where `by_month`.
    deployments, models, users, apps : tuple of Member
        What the series point into, by falling cost. Users and apps are one member where the log tells none, and
        where there are too many quantities even by month to keep them apart.
    series : tuple of Series
        They add up to the report's total.
    without_batch : tuple of str
        Deployments of a sku that has a batch sku, of which some calls have no price there.
    priced_before : tuple of date
        Days of which a price was read earlier than the day itself, so that it may have changed.
    by_month : bool
        Whether there were too many quantities to keep the days.
    """

    days: tuple[date, ...]
    deployments: tuple[Member, ...]
    models: tuple[Member, ...]
    users: tuple[Member, ...]
    apps: tuple[Member, ...]
    series: tuple[Series, ...]
    without_batch: tuple[str, ...]
    priced_before: tuple[date, ...]
    by_month: bool

    @property
    def scale(self) -> int:
        """The smallest number that makes every price a whole one."""
        return lcm(*{price.denominator for one in self.series for price in one.prices if price is not None})

    @property
    def parts(self) -> int:
        """The smallest number that makes every quantity a whole one: 1 for what a log tells."""
        return lcm(*{quantity.denominator for one in self.series for _, quantity in one.quantities})


def break_down(report: CostReport) -> Breakdown:
    """Return the priced quantities of a report as series.

    Of a report without its price book nothing is known but what things cost: what is imagined costs the same.
    """
    finder = _Prices(report.prices if report.prices is not None else PriceBook(()), report)
    rows = list(report.days.itertuples(index=False))
    members = (
        _Members(rows, report, ("resource", "deployment"), _MOST_DEPLOYMENTS),
        _Members(rows, report, ("model", "version"), _MOST_MODELS),
        _Members(rows, report, ("user",), _MOST_USERS),
        _Members(rows, report, ("app",), _MOST_USERS),
    )
    told: Callable[[Any, UnitPrices], tuple[_Quantity, UnitPrices]] = _as_shown
    found = _add_up(finder, rows, members, told)
    costs = (finder.prices[key.prices].now * sum(days.values()) for key, days in found.items())
    if abs(sum(costs, Fraction()) - Fraction(report.total)) > _TINY:
        # Calls that are imagined have parts of tokens, which the report shows rounded: the amounts tell them.
        told = _as_paid
        found = _add_up(finder, rows, members, told)
    by_month = _is_too_much(found)
    if by_month:
        found = {key: _months(quantities) for key, quantities in found.items()}
    if _is_too_much(found):
        users, apps = (_Members(rows, report, (name,), 0) for name in ("user", "app"))
        members = (*members[:2], users, apps)
        found = {key: _months(quantities) for key, quantities in _add_up(finder, rows, members, told).items()}
    days = sorted({day for quantities in found.values() for day in quantities})
    places = {day: i for i, day in enumerate(days)}
    series = []
    for key, quantities in found.items():
        placed = tuple((places[day], quantity) for day, quantity in sorted(quantities.items()))
        series.append(Series._make((*key[:-1], finder.prices[key.prices], placed)))
    return Breakdown(
        days=tuple(days),
        deployments=members[0].members,
        models=members[1].members,
        users=members[2].members,
        apps=members[3].members,
        series=tuple(series),
        without_batch=tuple(finder.without_batch),
        priced_before=tuple(sorted(finder.priced_before)),
        by_month=by_month,
    )


def _is_too_much(found: Mapping[_Key, Mapping[date, _Quantity]]) -> bool:
    return sum(map(len, found.values())) + _QUANTITIES_OF_SERIES * len(found) > _MOST_QUANTITIES


def _add_up(
    finder: _Prices,
    rows: Iterable[Any],
    members: Iterable[_Members],
    told: Callable[[Any, UnitPrices], tuple[_Quantity, UnitPrices]],
) -> dict[_Key, dict[date, _Quantity]]:
    """Add up the rows of ``report.days``, of which `told` tells the quantity and the prices."""
    calls: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        calls[(*row[: 1 + len(Names._fields)], row.band, row.meter in _TIMED)].append(row)
    found: dict[_Key, dict[date, _Quantity]] = defaultdict(lambda: defaultdict(int))
    for (day, *_, band, timed), alike in calls.items():
        deployment, model, user, app = (some.place(alike[0]) for some in members)
        keys = [MeterKey(row.meter, row.modality, row.variant) for row in alike]
        for row, key, listed in zip(alike, keys, finder.find(alike[0], day, band, keys, timed), strict=True):
            quantity, prices = told(row, listed)
            finder.prices[id(prices)] = prices
            meter = MeterKey(key.meter, key.modality)
            found[_Key(deployment, model, user, app, meter, timed, id(prices))][day] += quantity
    return found


def _as_shown(row: Any, prices: UnitPrices) -> tuple[_Quantity, UnitPrices]:
    return row.quantity, prices


def _as_paid(row: Any, prices: UnitPrices) -> tuple[_Quantity, UnitPrices]:
    amount = Fraction(row.amount)
    if prices.now:
        return amount / prices.now, prices
    return 1, UnitPrices(amount, amount, amount, amount, amount, amount, None)


def _months(quantities: Mapping[date, _Quantity]) -> dict[date, _Quantity]:
    months: dict[date, _Quantity] = defaultdict(int)
    for day, quantity in quantities.items():
        months[day.replace(day=1)] += quantity
    return months


class _Members:
    """The members of one kind, by falling cost; those beyond the first `most` are one together."""

    def __init__(self, rows: Iterable[Any], report: CostReport, columns: tuple[str, ...], most: int) -> None:
        self._name: Callable[[Any], tuple[Any, ...]]
        self._name = attrgetter(*columns) if len(columns) > 1 else _single(columns[0])
        amounts: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
        for row in rows:
            amounts[self._name(row)].append(row.amount)
        requests: dict[tuple[Any, ...], int] = defaultdict(int)
        calls = report.calls
        counted = calls["requests"].tolist()
        for count, *name in zip(counted, *(calls[column] for column in columns), strict=True):
            requests[tuple(name)] += count
        names = sorted({*amounts, *requests}, key=lambda name: (-exact_sum(amounts.get(name, ())), sortable(name)))
        own, rest = names[:most], names[most:]
        if most and len(rest) == 1:
            own, rest = names, []
        self._places = {name: i for i, name in enumerate(own)}
        self._rest = len(own)
        members = [Member(name, 1, requests[name]) for name in own]
        if rest:
            members.append(Member((), len(rest), sum(requests[name] for name in rest)))
        self.members = tuple(members)

    def place(self, row: Any) -> int:
        """Return the place in `members` of who a row is of."""
        return self._places.get(self._name(row), self._rest)


def _single(column: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda row: (getattr(row, column),)


class _Prices:
    """Finds what units cost, now and otherwise; equal questions are asked once."""

    def __init__(self, book: PriceBook, report: CostReport) -> None:
        self._book, self._deployments = book, report.deployments
        self.prices: dict[int, UnitPrices] = {}
        self._found: dict[tuple[Any, ...], tuple[UnitPrices, ...]] = {}
        self._asked: dict[tuple[Any, ...], tuple[Fraction | None, date | None]] = {}
        # Each value is one object that lives as long as the finder: its id stands for it, and is quicker than its hash.
        self._fractions: dict[tuple[Decimal, int], Fraction] = {}
        self._unit_prices: dict[tuple[int, ...], UnitPrices] = {}
        self._served: dict[tuple[Any, ...], Deployment] = {}
        self._moved: dict[int, Deployment | None] = {}
        self.without_batch: dict[str, None] = {}
        self.priced_before: set[date] = set()

    def find(self, names: Any, day: date, band: str, keys: Sequence[MeterKey], timed: bool) -> tuple[UnitPrices, ...]:
        """Return the prices of a unit of each meter of calls that are priced alike."""
        served = self._deployment(names, day)
        question = (id(served), day, band, *keys)
        found = self._found.get(question)
        if found is None:
            found = self._found[question] = self._look(served, day, band, keys, timed)
        return found

    def _look(
        self, served: Deployment, day: date, band: str, keys: Sequence[MeterKey], timed: bool
    ) -> tuple[UnitPrices, ...]:
        def price(one: Deployment, key: MeterKey) -> Fraction | None:
            return self._price(one, key, day, band)[0]

        def unpriced(one: Deployment, wanted: Iterable[MeterKey]) -> set[MeterKey]:
            return {key for key in wanted if price(one, key) is None}

        moved = None if timed else self._in_batch(served)

        def in_batch(wanted: Sequence[MeterKey]) -> Deployment:
            """Return where calls with these meters are priced if they are sent to batch."""
            if moved is None or not keeps_prices(unpriced(served, wanted), unpriced(moved, wanted)):
                return served
            return moved

        others = [key for key in keys if key not in _POOL]
        as_logged = in_batch(keys)
        mixed = len(others) < len(keys) and self._can_be_cached(served, day, band)
        plain, cached = (in_batch((*others, key)) if mixed else as_logged for key in _POOL)
        if moved is not None and as_logged is served:
            self.without_batch[served.name] = None
        found = []
        for key in keys:
            captured = self._price(served, key, day, band)[1]
            if captured is not None and captured < day:
                self.priced_before.add(day)
            as_plain, as_cached = _POOL if mixed and key in _POOL else (key, key)
            as_input = None
            if key.meter in ("cached_input", "cache_write"):
                as_input = price(served, key._replace(meter="input"))
            prices = (
                price(served, key),
                price(as_logged, key),
                price(served, as_plain),
                price(served, as_cached),
                price(plain, as_plain),
                price(cached, as_cached),
            )
            # What has no price is in no sum.
            sums = [_ZERO if one is None else one for one in prices]
            ids = (*map(id, sums), id(as_input))
            if ids not in self._unit_prices:
                self._unit_prices[ids] = UnitPrices._make([*sums, as_input])
            found.append(self._unit_prices[ids])
        return tuple(found)

    def _can_be_cached(self, served: Deployment, day: date, band: str) -> bool:
        return self._book.has_meter("cached_input", served) and self._price(served, _POOL[1], day, band)[0] is not None

    def _price(self, served: Deployment, meter: MeterKey, day: date, band: str) -> tuple[Fraction | None, date | None]:
        """Return the price of one unit and the day on which it was read; None where there is none."""
        key = (id(served), meter, day, band)
        found = self._asked.get(key)
        if found is None:
            lines = self._book.price(Usage({meter: 1}), served, on=day, band=band).lines
            rate = lines[0].rate if lines else None
            found = (None, None) if rate is None else (self._exact(rate.amount, rate.per), rate.captured)
            self._asked[key] = found
        return found

    def _exact(self, amount: Decimal, per: int) -> Fraction:
        key = (amount, per)
        if key not in self._fractions:
            self._fractions[key] = Fraction(amount) / per
        return self._fractions[key]

    def _deployment(self, names: Any, day: date) -> Deployment:
        """Return what selected the prices of a row, as `Workload` found it."""
        found = self._deployments.find(names.resource, names.deployment, day)
        tuned = "" if found is None else found.fine_tuned
        key = (*names[1:8], tuned)
        served = self._served.get(key)
        if served is None:
            resource, name, model, version, sku, region, tier, _ = key
            # What was priced has a sku, but for a report that was made by hand; a deployment must have one.
            scope = (version, sku or "Standard", region, tier or "default")
            served = Deployment(resource or "", name or "", model or "", *scope, fine_tuned=tuned)
            self._served[key] = served
        return served

    def _in_batch(self, served: Deployment) -> Deployment | None:
        """Return the deployment as its batch sku; None for a sku without one."""
        if id(served) not in self._moved:
            self._moved[id(served)] = as_batch(served)
        return self._moved[id(served)]
