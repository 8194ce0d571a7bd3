"""Loads and time are priced, and gathered into the rows of a report."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import pandas as pd

from ..catalog import Deployment
from ..logs import Group, GroupKey
from ..logs.sums import sortable
from ..prices import Cost, PriceBook, Rate, exact_sum, times
from ..usage import METER_UNITS, MeterKey, Usage
from .loads import Load, Names, Workload

__all__ = ["BY", "PRICED_BY", "Pricing", "object_frame", "rows_of"]

BY = Names._fields
"""What a report can be split by. ``deployment`` is always together with its ``resource``."""

PRICED_BY = BY[:7]
"""Those of them that select a price."""

TOKEN_METERS = ("input", "cached_input", "cache_write", "output")
COUNTED = ("requests", "unmetered", "not_billed", "failed", "throttled", "spilled")
DAY_MS = 24 * 3600 * 1000

Every = Literal["month", "day"]


class _Cell(NamedTuple):
    """The key of a priced line at its finest."""

    day: date
    names: Names
    band: str
    meter: MeterKey
    rate: Rate


class _Sums:
    """Sums of whole quantities that count so many times each: whole numbers of one common part."""

    __slots__ = ("_parts", "_parts_of_one")

    def __init__(self, n_sums: int = 1) -> None:
        self._parts = [0] * n_sums
        self._parts_of_one = 1

    def add(self, quantities: Sequence[int], weight: int | Fraction) -> None:
        """Add one quantity to each sum."""
        self._add(quantities, weight.numerator, weight.denominator)

    def add_all(self, other: _Sums) -> None:
        """Add other sums."""
        self._add(other._parts, 1, other._parts_of_one)

    def _add(self, quantities: Sequence[int], times: int, parts_of_one: int) -> None:
        if parts_of_one != self._parts_of_one:
            common = math.lcm(parts_of_one, self._parts_of_one)
            factor = common // self._parts_of_one
            self._parts = [mine * factor for mine in self._parts]
            self._parts_of_one = common
            times *= common // parts_of_one
        self._parts = [mine + theirs * times for mine, theirs in zip(self._parts, quantities, strict=True)]

    def whole(self) -> list[int]:
        """Return the sums; of imagined loads they may hold parts of a token, and are rounded."""
        return [(2 * parts + self._parts_of_one) // (2 * self._parts_of_one) for parts in self._parts]


class _Row:
    """Counts of calls and tokens while they are summed, and what of them is priced."""

    __slots__ = ("amounts", "complete", "counts")

    def __init__(self) -> None:
        self.counts = _Sums(len(COUNTED) + len(TOKEN_METERS))
        self.amounts: list[Decimal] = []
        self.complete = True

    def count(self, group: Group, weight: int | Fraction) -> None:
        """Add calls and their tokens."""
        tokens = dict.fromkeys(TOKEN_METERS, 0)
        for meter, quantity in group.usage.items():
            if meter.meter in tokens:
                tokens[meter.meter] += quantity
        self.counts.add([*(getattr(group, name) for name in COUNTED), *tokens.values()], weight)
        self.complete &= group.unmetered == 0

    def add(self, other: _Row) -> None:
        """Add another row."""
        self.counts.add_all(other.counts)
        self.amounts += other.amounts
        self.complete &= other.complete

    def values(self) -> tuple[Any, ...]:
        """Return the counts, the cost and whether it is all."""
        return (*self.counts.whole(), self.cost(), self.complete)

    def cost(self) -> Decimal | None:
        """Return the sum of what is priced; None, not zero, where that is nothing of what there is."""
        return exact_sum(self.amounts) if self.amounts or self.complete else None


class Pricing:
    """Prices loads and time, and collects rows, lines and what has no price."""

    def __init__(self, book: PriceBook) -> None:
        self.book = book
        self.rows: dict[tuple[date | None, Names], _Row] = defaultdict(_Row)
        self.cells: dict[_Cell, tuple[_Sums, list[Decimal]]] = {}
        self.unpriced: dict[tuple[Any, ...], tuple[_Sums, str]] = {}
        self.notes: dict[str, dict[str, None]] = {}
        """The deployments that each note speaks of, in the order in which it came up."""
        self.assumed = False
        self.priced: set[tuple[GroupKey, MeterKey]] = set()
        """Of what a price was found, whatever it was served as: what the log tells of the calls, and the meter."""
        self.missing: set[tuple[GroupKey, MeterKey]] = set()
        """Likewise, of what none was found; a part of the same may have one."""

    @classmethod
    def of(cls, work: Workload) -> Pricing:
        """Price a workload."""
        pricing = cls(work.prices)
        for load in (*work.loads, *work.reserved):
            pricing.add_load(load)
        if work.log.period is not None:
            pricing.add_time(work.timed, work.log.period)
        return pricing

    def add_load(self, load: Load) -> None:
        """Price calls."""
        names, key, weight = load.names, load.key, load.weight
        row = self.rows[key.day, names]
        row.count(load.group, weight)
        self.assumed |= load.assumed
        for note in load.notes:
            self._note(load.key.deployment if load.served is None else load.served.name, note)
        usage = load.group.usage
        # Without the band: how long prompts are priced hangs on the model.
        told = key._replace(band="")
        if key.day is None or load.served is None:
            for meter, quantity in usage.items():
                self.missing.add((told, meter))
                self._leave_unpriced(row, key.day, names, meter, quantity, load.reason, load.reason, weight)
        elif usage:
            cost = self.book.price(usage, load.served, on=key.day, band=key.band)
            self._add_cost(row, key.day, names, key.band, cost, told, weight)

    def add_time(self, deployments: Iterable[Deployment], period: tuple[date, date]) -> None:
        """Add PTU and fine-tuned hosting hours of deployments in the period, day by day."""
        for deployment in deployments:
            milliseconds = {
                "ptu": (deployment.ptu_units or 0) * DAY_MS,
                "hosting": DAY_MS * bool(deployment.fine_tuned),
            }
            usage, names = Usage(milliseconds), Names.of(deployment)
            day, end = deployment.life_in(period)
            while day < end:
                cost = self.book.price(usage, deployment, on=day)
                told = GroupKey(
                    day, names.resource, names.deployment, model=None, version=None, region=None, tier=None, band="",
                    user=None, app=None,
                )  # fmt: skip
                self._add_cost(self.rows[day, names], day, names, "short", cost, told)
                day += timedelta(days=1)

    def _add_cost(
        self,
        row: _Row,
        day: date,
        names: Names,
        band: str,
        cost: Cost,
        told: GroupKey,
        weight: int | Fraction = 1,
    ) -> None:
        if cost.lines or cost.complete:
            row.amounts.append(times(cost.amount, weight))
        self.assumed |= cost.certainty != "exact"
        for note in cost.notes:
            self._note(names.deployment, note)
        for line in cost.lines:
            self.priced.add((told, line.key))
            entry = self.cells.setdefault(_Cell(day, names, band, line.key, line.rate), (_Sums(), []))
            entry[0].add([line.quantity], weight)
            entry[1].append(times(line.amount, weight))
        for meter, quantity, missing in cost.unpriced:
            self.missing.add((told, meter))
            self._leave_unpriced(row, day, names, meter, quantity, missing.covered, str(missing), weight)

    def _leave_unpriced(
        self,
        row: _Row,
        day: date | None,
        names: Names,
        meter: MeterKey,
        quantity: int,
        cause: str,
        reason: str,
        weight: int | Fraction,
    ) -> None:
        """List a quantity; days with one cause are one entry, with the reason of the first day."""
        row.complete = False
        entry = self.unpriced.setdefault((day, names[: len(PRICED_BY)], meter, cause), (_Sums(), reason))
        entry[0].add([quantity], weight)

    def _note(self, deployment: str | None, note: str) -> None:
        self.notes.setdefault(note, {})[str(deployment)] = None

    def total(self) -> Decimal:
        """Return the sum of everything that has a price."""
        return exact_sum(amount for row in self.rows.values() for amount in row.amounts)

    def frame(self, columns: Sequence[str], every: Every) -> pd.DataFrame:
        """Return the rows by period and some names."""
        places = [BY.index(name) for name in columns]
        found: dict[tuple[Any, ...], _Row] = defaultdict(_Row)
        for (day, names), row in self.rows.items():
            found[(period_of(day, every), *(names[i] for i in places))].add(row)
        records = [(*key, *row.values()) for key, row in sorted(found.items(), key=lambda item: sortable(item[0]))]
        return _counts_frame(records, ["period", *columns])

    def calls_frame(self) -> pd.DataFrame:
        """Return the rows at their finest."""
        records = [
            (day, *names, *row.values())
            for (day, names), row in sorted(self.rows.items(), key=lambda item: sortable((item[0][0], *item[0][1])))
        ]
        return _counts_frame(records, ["day", *BY])

    def lines_frame(self, every: Every) -> pd.DataFrame:
        """Return the priced lines by period and what selects a price."""
        found: dict[tuple[Any, ...], tuple[_Sums, list[Decimal]]] = {}
        for cell, (quantity, amounts) in self.cells.items():
            names = cell.names[: len(PRICED_BY)]
            key = (period_of(cell.day, every), *names, cell.band, *cell.meter, cell.rate)
            entry = found.setdefault(key, (_Sums(), []))
            entry[0].add_all(quantity)
            entry[1].extend(amounts)
        return _lines_frame(found, ["period", *PRICED_BY])

    def days_frame(self) -> pd.DataFrame:
        """Return the priced lines at their finest."""
        found = {
            (cell.day, *cell.names, cell.band, *cell.meter, cell.rate): entry for cell, entry in self.cells.items()
        }
        return _lines_frame(found, ["day", *BY])

    def unpriced_frame(self, every: Every) -> pd.DataFrame:
        """Return the quantities without a price."""
        found: dict[tuple[Any, ...], tuple[_Sums, str]] = {}
        for (day, names, meter, cause), (quantity, reason) in self.unpriced.items():
            entry = found.setdefault((period_of(day, every), *names, *meter, cause), (_Sums(), reason))
            entry[0].add_all(quantity)
        records = [
            (*key, *quantity.whole(), METER_UNITS[key[-3]], reason)
            for (*key, _), (quantity, reason) in sorted(found.items(), key=lambda item: sortable(item[0]))
        ]
        columns = ["period", *PRICED_BY, "meter", "modality", "variant", "quantity", "unit", "reason"]
        return object_frame(records, columns)


def period_of(day: date | None, every: Every) -> str:
    """Return the period that a day is in."""
    if day is None:
        return "undated"
    return day.isoformat() if every == "day" else day.isoformat()[:7]


def _lines_frame(found: Mapping[tuple[Any, ...], tuple[_Sums, list[Decimal]]], columns: Sequence[str]) -> pd.DataFrame:
    records = []
    for (*key, rate), (quantity, amounts) in sorted(found.items(), key=lambda item: sortable(item[0][:-1])):
        price = (METER_UNITS[key[-3]], rate.amount, rate.list_amount, rate.unit)
        row = (exact_sum(amounts), rate.meter_name, rate.source, rate.effective_from)
        records.append((*key, *quantity.whole(), *price, *row))
    names = [*columns, "band", "meter", "modality", "variant", "quantity", "unit", "price", "list_price", "price_unit"]
    return object_frame(records, [*names, "amount", "meter_name", "source", "effective_from"])


def _counts_frame(records: list[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    whole = (*COUNTED, *TOKEN_METERS)
    frame = object_frame(records, [*columns, *whole, "cost", "complete"])
    return frame.astype(dict.fromkeys(whole, "int64") | {"complete": "bool"})


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame, columns as attributes."""
    yield from frame.itertuples(index=False)


def object_frame(records: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    """Make a frame that holds what it is given: None stays None, and any text fits, lone surrogates too."""
    return pd.DataFrame(records, columns=columns, dtype=object)
