"""Loads and time are priced, and gathered into the rows of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import pandas as pd

from ..catalog import Deployment
from ..logs import Group
from ..logs.sums import sortable
from ..prices import Cost, PriceBook, Rate, exact_sum, times
from ..usage import METER_UNITS, MeterKey, Usage
from .loads import Load, Names

__all__ = ["BY", "PRICED_BY", "Pricing", "object_frame"]

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


class _Row:
    """Counts of calls and tokens while they are summed, and what of them is priced."""

    __slots__ = ("amounts", "complete", "counted", "tokens")

    def __init__(self) -> None:
        self.counted: list[int | Fraction] = [0] * len(COUNTED)
        self.tokens: dict[str, int | Fraction] = dict.fromkeys(TOKEN_METERS, 0)
        self.amounts: list[Decimal] = []
        self.complete = True

    def add(self, other: _Row) -> None:
        """Add another row."""
        self.counted = [mine + theirs for mine, theirs in zip(self.counted, other.counted, strict=True)]
        self.tokens = {meter: quantity + other.tokens[meter] for meter, quantity in self.tokens.items()}
        self.amounts += other.amounts
        self.complete &= other.complete

    def values(self) -> tuple[Any, ...]:
        """Return the counts, the cost and whether it is all."""
        # An imagined load may hold a part of a token; the amounts are exact all the same.
        counts = (round(count) for count in (*self.counted, *self.tokens.values()))
        return (*counts, self.cost(), self.complete)

    def cost(self) -> Decimal | None:
        """Return the sum of what is priced; None, not zero, where that is nothing of what there is."""
        return exact_sum(self.amounts) if self.amounts or self.complete else None


class Pricing:
    """Prices loads and time, and collects rows, lines and what has no price."""

    def __init__(self, book: PriceBook) -> None:
        self.book = book
        self.rows: dict[tuple[date | None, Names], _Row] = defaultdict(_Row)
        self.cells: dict[_Cell, list[Any]] = {}
        self.unpriced: dict[tuple[Any, ...], list[Any]] = {}
        self.notes: dict[str, dict[str, None]] = {}
        """The deployments that each note speaks of, in the order in which it came up."""
        self.assumed = False

    def add_load(self, load: Load) -> None:
        """Price calls."""
        names, key, weight = load.names, load.key, load.weight
        row = self.rows[key.day, names]
        self._count(row, load.group, weight)
        for note in load.notes:
            self._note(load.key.deployment if load.served is None else load.served.name, note)
        usage = load.group.usage
        if key.day is None or load.served is None:
            for meter, quantity in usage.items():
                self._leave_unpriced(row, key.day, names, meter, quantity * weight, load.reason, load.reason)
        elif usage:
            cost = self.book.price(usage, load.served, on=key.day, band=key.band)
            self._add_cost(row, key.day, names, key.band, cost, weight)

    def add_time(self, deployments: Iterable[Deployment], period: tuple[date, date]) -> None:
        """Add PTU and fine-tuned hosting hours of deployments in the period, day by day."""
        for deployment in deployments:
            milliseconds = {
                "ptu": (deployment.ptu_units or 0) * DAY_MS,
                "hosting": DAY_MS * bool(deployment.fine_tuned),
            }
            usage, names = Usage(milliseconds), Names.of(deployment)
            day = max(period[0], deployment.active_from or period[0])
            end = min(period[1], deployment.active_to or period[1])
            while day < end:
                cost = self.book.price(usage, deployment, on=day)
                self._add_cost(self.rows[day, names], day, names, "short", cost)
                day += timedelta(days=1)

    def _count(self, row: _Row, group: Group, weight: int | Fraction) -> None:
        row.counted = [mine + getattr(group, name) * weight for mine, name in zip(row.counted, COUNTED, strict=True)]
        row.complete &= group.unmetered == 0
        for meter, quantity in group.usage.items():
            if meter.meter in TOKEN_METERS:
                row.tokens[meter.meter] += quantity * weight

    def _add_cost(self, row: _Row, day: date, names: Names, band: str, cost: Cost, weight: int | Fraction = 1) -> None:
        if cost.lines or cost.complete:
            row.amounts.append(times(cost.amount, weight))
        self.assumed |= cost.certainty != "exact"
        for note in cost.notes:
            self._note(names.deployment, note)
        for line in cost.lines:
            entry = self.cells.setdefault(_Cell(day, names, band, line.key, line.rate), [0, []])
            entry[0] += line.quantity * weight
            entry[1].append(times(line.amount, weight))
        for meter, quantity, missing in cost.unpriced:
            self._leave_unpriced(row, day, names, meter, quantity * weight, missing.covered, str(missing))

    def _leave_unpriced(
        self,
        row: _Row,
        day: date | None,
        names: Names,
        meter: MeterKey,
        quantity: int | Fraction,
        cause: str,
        reason: str,
    ) -> None:
        """List a quantity; days with one cause are one entry, with the reason of the first day."""
        row.complete = False
        entry = self.unpriced.setdefault((day, names[: len(PRICED_BY)], meter, cause), [0, reason])
        entry[0] += quantity

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
        found: dict[tuple[Any, ...], list[Any]] = {}
        for cell, (quantity, amounts) in self.cells.items():
            names = cell.names[: len(PRICED_BY)]
            key = (period_of(cell.day, every), *names, cell.band, *cell.meter, cell.rate)
            entry = found.setdefault(key, [0, []])
            entry[0] += quantity
            entry[1] += amounts
        return _lines_frame(found, ["period", *PRICED_BY])

    def days_frame(self) -> pd.DataFrame:
        """Return the priced lines at their finest."""
        found = {
            (cell.day, *cell.names, cell.band, *cell.meter, cell.rate): entry for cell, entry in self.cells.items()
        }
        return _lines_frame(found, ["day", *BY])

    def unpriced_frame(self, every: Every) -> pd.DataFrame:
        """Return the quantities without a price."""
        found: dict[tuple[Any, ...], list[Any]] = {}
        for (day, names, meter, cause), (quantity, reason) in self.unpriced.items():
            entry = found.setdefault((period_of(day, every), *names, *meter, cause), [0, reason])
            entry[0] += quantity
        records = [
            (*key, round(quantity), METER_UNITS[key[-3]], reason)
            for (*key, _), (quantity, reason) in sorted(found.items(), key=lambda item: sortable(item[0]))
        ]
        columns = ["period", *PRICED_BY, "meter", "modality", "variant", "quantity", "unit", "reason"]
        return object_frame(records, columns)


def period_of(day: date | None, every: Every) -> str:
    """Return the period that a day is in."""
    if day is None:
        return "undated"
    return day.isoformat() if every == "day" else day.isoformat()[:7]


def _lines_frame(found: Mapping[tuple[Any, ...], list[Any]], columns: Sequence[str]) -> pd.DataFrame:
    records = []
    for (*key, rate), (quantity, amounts) in sorted(found.items(), key=lambda item: sortable(item[0][:-1])):
        price = (METER_UNITS[key[-3]], rate.amount, rate.list_amount, rate.unit)
        row = (exact_sum(amounts), rate.meter_name, rate.source, rate.effective_from)
        records.append((*key, round(quantity), *price, *row))
    names = [*columns, "band", "meter", "modality", "variant", "quantity", "unit", "price", "list_price", "price_unit"]
    return object_frame(records, [*names, "amount", "meter_name", "source", "effective_from"])


def _counts_frame(records: list[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    whole = (*COUNTED, *TOKEN_METERS)
    frame = object_frame(records, [*columns, *whole, "cost", "complete"])
    return frame.astype(dict.fromkeys(whole, "int64") | {"complete": "bool"})


def object_frame(records: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    """Make a frame that holds what it is given: None stays None, and any text fits, lone surrogates too."""
    return pd.DataFrame(records, columns=columns, dtype=object)
