"""A bill held against a report of the log: what both have, what only one has, and at what price.

Billing names no deployment, so nothing here is said of one. The two meet by account, day (UTC; or month, where the
report is by month), model, meter, deployment type and tier. What both have is matched, as far as the smaller quantity
goes; what is beyond is only in the bill, or only in the log. Amounts add up exactly: the bill is what is matched and
what is only in it; and it is the report without what is only in the log, with what is only in the bill, and with the
differences in price.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from .. import markup
from ..catalog import arm_resource, split_model_name, tier_of
from ..errors import RequestError, shorten
from ..prices import ANY_MODEL, exact_sum
from ..prices.meters import MeterReading, read_meter_name
from ..prices.rows import UNITS
from ..report import CostReport
from .bill import Bill, BillRow, read_bill
from .columns import read_amount
from .exact import divide, multiply, rounded, share, subtract

__all__ = ["BillTotal", "Reconciliation", "reconcile"]

_OF_ANY_MODEL = ("ptu", "session", "tool_call", "storage")
_DAY, _MONTH = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), re.compile(r"\d{4}-\d\d", re.ASCII)
_NO_RESOURCE = "(not told)"
"""Of a log that does not name the account; it meets nothing, not even a bill that does not either."""
_OUTSIDE = "not in the days of the report"
_NOT_LOGGED = "not in the log"
_BEYOND = "more than in the log"
_REFUND = "a refund"


class BillTotal(NamedTuple):
    """What was billed in one currency, and where it is found again.

    ``billed`` is exactly ``matched`` and ``only_in_bill``; ``outside`` is the part of the latter that is not in the
    days of the report. ``explained`` is the share of the rest that is matched, to six places; None of nothing.
    """

    currency: str
    billed: Decimal
    matched: Decimal
    only_in_bill: Decimal
    outside: Decimal
    explained: Decimal | None

    @property
    def inside(self) -> Decimal:
        """What was billed on the days of the report."""
        return subtract(self.billed, self.outside)

    @property
    def only_in_bill_inside(self) -> Decimal:
        """What of that is only in the bill."""
        return subtract(self.only_in_bill, self.outside)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A bill held against a report.

    In the report's currency, what was billed is exactly ``logged - only_in_log_cost - in_other_currencies +
    price_difference + without_price + total.only_in_bill``.

    Attributes
    ----------
    matched : DataFrame
        What both have, by period, resource, model, meter, modality, variant, sku, tier, band: quantity (Decimal, in
        `unit`), billed and logged cost, both unit prices (per ``price_unit``), the difference in cost, and whether the
        bill is still provisional. The report's cost and price are None where it has none of all of it.
    only_in_bill : DataFrame
        What the log has not, or less of: quantity, cost, currency, meter names and the reason.
    only_in_log : DataFrame
        What the bill has not, or less of; ``cost`` is that of the report, None where it has no price.
    totals : tuple of BillTotal
        By currency, that of the report first.
    logged, only_in_log_cost, in_other_currencies, price_difference, without_price : Decimal
        In the report's currency: the report's total, what of it is only in the log, what of it the bill has in another
        currency, by how much the bill is above (below zero: under) the report's prices for what is matched, and the
        same for what the report has no price of, or not of all.
    every : str
        ``day`` or ``month``: what the report is by, and so the comparison.
    bill : Bill
        The rows, files and rejected rows of the bill.
    complete : bool
        Whether all rows of the bill could be read and compared.
    """

    matched: pd.DataFrame
    only_in_bill: pd.DataFrame
    only_in_log: pd.DataFrame
    totals: tuple[BillTotal, ...]
    currency: str
    logged: Decimal
    only_in_log_cost: Decimal
    in_other_currencies: Decimal
    price_difference: Decimal
    without_price: Decimal
    every: Literal["day", "month"]
    period: tuple[date, date] | None
    bill: Bill
    complete: bool
    notes: tuple[str, ...]

    @property
    def total(self) -> BillTotal:
        """What was billed in the report's currency."""
        return self.totals[0]

    @property
    def steps(self) -> tuple[tuple[str, Decimal], ...]:
        """From the report's total to what was billed: words and amounts, which add up to ``total.billed``."""
        return (
            ("What the report says", self.logged),
            ("less what is only in the log", subtract(Decimal(0), self.only_in_log_cost)),
            ("less what the bill has in other currencies", subtract(Decimal(0), self.in_other_currencies)),
            ("other prices than in the report", self.price_difference),
            ("in both, without a price in the report", self.without_price),
            ("only in the bill", self.total.only_in_bill_inside),
            ("only in the bill, on other days than the report's", self.total.outside),
        )

    def __repr__(self) -> str:
        return f"Reconciliation({self._head()}, {markup.amount(self.logged)} in the report)"

    def _head(self) -> str:
        return f"{markup.amount(self.total.billed)} {self.total.currency} billed"

    def _repr_html_(self) -> str:
        (first, logged), *others = self.steps
        steps = [(first, markup.amount(logged)), *((words, markup.amount(one)) for words, one in others if one)]
        told = [
            (
                f"found in the log, {one.currency}",
                f"{markup.amount(100 * one.explained)} % of {markup.amount(one.inside)}",
            )
            for one in self.totals
            if one.explained is not None
        ]
        for name in ("matched", "only_in_bill", "only_in_log"):
            told.append((name.replace("_", " "), f"{len(getattr(self, name)):,} rows, see .{name}_by_meter()"))
        return markup.result(
            self._head(),
            markup.first_rows(("", self.currency), steps, len(steps), all_in=".steps", numeric=(1,)),
            markup.facts([*told, ("all could be compared", "yes" if self.complete else "no")]),
            notes=self.notes,
        )

    def matched_by_meter(self) -> pd.DataFrame:
        """Return `matched` over all days and accounts: a row for each meter, with both of its unit prices.

        ``discount`` is the share by which the bill's is below the report's; None where one of them is not known in the
        report's currency.
        """
        sums = _summed(self.matched, (*_METER, "unit", "currency"), ("quantity", "billed_cost", "logged_cost"))
        for side in ("billed", "logged"):
            pairs = zip(sums["unit"], sums[f"{side}_cost"], sums["quantity"], strict=True)
            sums[f"{side}_price"] = pd.Series([_price(*one) for one in pairs], dtype=object)
        prices = zip(sums["billed_price"], sums["logged_price"], sums["currency"], strict=True)
        discounts = [
            _discount(billed, logged) if currency == self.currency else None for billed, logged, currency in prices
        ]
        sums["discount"] = pd.Series(discounts, dtype=object)
        sums["price_unit"] = pd.Series([_price_unit(unit)[0] for unit in sums["unit"]], dtype=object)
        return sums

    def only_in_bill_by_meter(self) -> pd.DataFrame:
        """Return `only_in_bill` over all days: a row for each account, meter and reason."""
        return _summed(
            self.only_in_bill, ("resource", "meter_name", "reason", "unit", "currency"), ("quantity", "cost")
        )

    def only_in_log_by_meter(self) -> pd.DataFrame:
        """Return `only_in_log` over all days: a row for each account and meter."""
        return _summed(self.only_in_log, ("resource", *_METER, "unit", "currency"), ("quantity", "cost"))


class _Key(NamedTuple):
    """What the two sides meet by. None is what a side does not tell."""

    period: str
    resource: str
    model: str
    meter: str
    modality: str
    variant: str
    sku: str | None
    tier: str | None
    band: str
    fine_tuned: str

    def vague(self) -> tuple[str, ...]:
        """Return what every side tells, without deployment type, tier, band and tuning."""
        return self.period, self.resource, self.model, self.meter, self.modality, self.variant


@dataclass
class _Billed:
    """What was billed under one key, in one currency."""

    key: _Key
    currency: str
    unit: str
    quantity: Decimal = Decimal(0)
    costs: list[Decimal] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    provisional: bool = False


@dataclass
class _Logged:
    """What was logged under one key."""

    key: _Key
    unit: str
    quantity: int = 0
    costs: list[Decimal] = field(default_factory=list)
    has_unpriced: bool = False
    is_named: bool = False
    """The meter's name is known, and so its band and whether it is of a tuned model."""


class _Report(NamedTuple):
    """The parts of a report that are compared, as `report_json` writes them."""

    currency: str
    period: tuple[date, date] | None
    every: Literal["day", "month"]
    lines: Sequence[Mapping[str, Any]]
    unpriced: Sequence[Mapping[str, Any]]
    certainty: str


def reconcile(
    report: CostReport | Mapping[str, Any] | str | os.PathLike[str],
    *bills: str | os.PathLike[str] | Bill,
    view: Literal["actual", "amortized"] | None = None,
    dates: Literal["auto", "mdy", "dmy"] = "auto",
) -> Reconciliation:
    """Hold what Azure billed against a report of the log.

    Parameters
    ----------
    report : CostReport, path or mapping
        What `cost_report` made, or the JSON that ``aoai-cost report --json`` prints. By day (``every="day"``) it can be
        compared by day; a report by month is compared by month.
    *bills : path, or one Bill
        Cost Management's exports, or what `read_bill` made of them.
    view, dates
        As in `read_bill`.

    Raises
    ------
    RequestError
        If the report is none.
    BillError, MissingExtraError
        As `read_bill`.
    """
    told = _read_report(report)
    read = [one for one in bills if isinstance(one, Bill)]
    if read and len(bills) > 1:
        raise RequestError("bills", "must be paths, or one Bill that was read of all of them")
    paths = [one for one in bills if not isinstance(one, Bill)]
    bill = read[0] if read else read_bill(*paths, view=view, dates=dates)
    return _Matching(told, bill).result()


def _read_report(report: Any) -> _Report:
    if isinstance(report, CostReport):
        period, lines, unpriced = report.period, _records(report.lines), _records(report.unpriced)
        every = _every(one["period"] for one in (*lines, *unpriced))
        return _Report(report.currency, period, every, lines, unpriced, report.certainty)
    if isinstance(report, (str, os.PathLike)):
        try:
            report = json.loads(Path(report).read_bytes())
        except ValueError:
            raise RequestError("report", f"{shorten(os.fspath(report))} is no JSON; {_HOW}") from None
    try:
        if not str(report["schema"]).startswith("aoai_cost.report/1"):
            raise KeyError("schema")
        first_and_end = report["period"]
        period = None
        if first_and_end is not None:
            first, end = (date.fromisoformat(day) for day in first_and_end)
            period = first, end
        lines = [_line(one, (*_IN_ALL, *_IN_LINES)) for one in report["lines"]]
        lines = [{**line, "amount": _amount(one["amount"])} for line, one in zip(lines, report["lines"], strict=True)]
        unpriced = [_line(one, _IN_ALL) for one in report["unpriced"]]
        every = _every(one["period"] for one in (*lines, *unpriced))
        return _Report(report["currency"], period, every, lines, unpriced, report["certainty"])
    except (LookupError, TypeError, ValueError):
        raise RequestError("report", f"is not what a report says of itself; {_HOW}") from None


def _line(raw: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return what is compared of a line of a report's JSON."""
    found: dict[str, Any] = {name: raw[name] for name in names}
    if any(value is not None and not isinstance(value, str) for value in found.values()):
        raise TypeError("a name that is no text")
    if type(raw["quantity"]) is not int:
        raise TypeError("a quantity that is no whole number")
    return found | {"quantity": raw["quantity"]}


def _amount(raw: Any) -> Decimal:
    amount = read_amount(raw)
    if amount is None:
        raise ValueError("no amount")
    return amount


_IN_ALL = ("period", "resource", "model", "sku", "tier", "meter", "modality", "variant", "unit")
_IN_LINES = ("band", "price_unit", "meter_name")
_HOW = "make it with `aoai-cost report ... --every day --json`"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [str(column) for column in frame.columns]
    return [dict(zip(columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _every(periods: Iterable[str]) -> Literal["day", "month"]:
    """Return what a report is by; one without any period is as good as by day."""
    dated = [period for period in periods if period != "undated"]
    if all(_DAY.fullmatch(period) for period in dated):
        return "day"
    if all(_MONTH.fullmatch(period) for period in dated):
        return "month"
    raise ValueError("periods of several lengths")


class _Matching:
    """Both sides by key, and what becomes of them."""

    def __init__(self, report: _Report, bill: Bill) -> None:
        self.report, self.bill = report, bill
        self.notes: dict[str, None] = {}
        self.billed: dict[tuple[_Key, str], _Billed] = {}
        self.logged: dict[_Key, _Logged] = {}
        self.apart: dict[tuple[Any, ...], list[BillRow]] = defaultdict(list)
        """Rows of the bill that no log can answer, by why and what they are."""
        self.matched: list[tuple[Any, ...]] = []
        self.only_in_bill: list[tuple[Any, ...]] = []
        self.only_in_log: list[tuple[Any, ...]] = []
        self.sums: dict[str, dict[str, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
        self.log_sums: dict[str, list[Decimal]] = defaultdict(list)
        self.unmapped = False
        self._add_bill()
        self._add_log()

    def _period_of(self, day: date) -> str:
        return day.isoformat() if self.report.every == "day" else day.isoformat()[:7]

    def _amount(self, row: BillRow) -> tuple[str, Decimal]:
        """Return the cost in the report's currency if the row tells it, else in that of the bill."""
        found = dict(row.amounts)
        currency = self.report.currency if self.report.currency in found else row.currency
        return currency, found[currency]

    def _add_bill(self) -> None:
        period = self.report.period
        for row in self.bill.rows:
            currency, cost = self._amount(row)
            self.sums[currency]["billed"].append(cost)
            outside = period is None or not period[0] <= row.day < period[1]
            if outside or row.reason or row.quantity is None:
                reason = _OUTSIDE if outside else row.reason
                self.unmapped |= not outside and row.charge in ("usage", "refund")
                at = (self._period_of(row.day), row.resource, row.product, row.meter_name, row.unit, currency, reason)
                self.apart[at].append(row)
                continue
            key = _bill_key(self._period_of(row.day), row)
            found = self.billed.setdefault((key, currency), _Billed(key, currency, row.unit))
            found.quantity = exact_sum((found.quantity, row.quantity))
            found.costs.append(cost)
            found.names.add(row.meter_name)
            found.provisional |= row.provisional

    def _add_log(self) -> None:
        names = _resources({row.resource for row in self.bill.rows}, self.report, self.notes)
        for line in self.report.lines:
            found = self._logged(line, names)
            found.is_named |= bool(line["meter_name"])
            found.quantity += line["quantity"]
            found.costs.append(line["amount"])
            self.log_sums["logged"].append(line["amount"])
        for line in self.report.unpriced:
            found = self._logged(line, names)
            found.quantity += line["quantity"]
            found.has_unpriced = True

    def _logged(self, line: Mapping[str, Any], names: Mapping[str | None, str]) -> _Logged:
        key = _log_key(line, names[line["resource"]])
        return self.logged.setdefault(key, _Logged(key, line["unit"]))

    def result(self) -> Reconciliation:
        for one, other in self._pairs():
            self._compare(one, other)
        for (*_, reason), rows in self.apart.items():
            self._set_apart(reason, rows)
        currency = self.report.currency
        totals = tuple(
            self._total(one) for one in sorted({*self.sums, currency}, key=lambda one: (one != currency, one))
        )
        foreign = [one.currency for one in totals[1:]]
        if foreign:
            self.notes[
                f"the bill tells no amount in {currency} for what it bills in {', '.join(foreign)}: quantities are "
                "matched, prices are not compared; report with prices in that currency (--currency, --prices)"
            ] = None
        if self.report.every == "month":
            self.notes[f"the report is by month, and so is the comparison; {_HOW} to compare by day"] = None
        if self.report.period is None:
            self.notes["the report has no days, so that nothing of the bill can be compared"] = None
        if self.report.certainty == "lower_bound":
            self.notes["the report says that its own total is a lower bound: what it lacks may be only in the bill"] = (
                None
            )
        bill = self.bill
        return Reconciliation(
            matched=_frame(self.matched, [*_Key._fields, *_MATCHED]),
            only_in_bill=_frame(self.only_in_bill, _ONLY_IN_BILL),
            only_in_log=_frame(self.only_in_log, [*_Key._fields, "quantity", "unit", "cost", "currency"]),
            totals=totals,
            currency=currency,
            logged=exact_sum(self.log_sums["logged"]),
            only_in_log_cost=exact_sum(self.log_sums["only_in_log"]),
            in_other_currencies=exact_sum(self.log_sums["in_other_currencies"]),
            price_difference=exact_sum(self.log_sums["price_difference"]),
            without_price=exact_sum(self.log_sums["without_price"]),
            every=self.report.every,
            period=self.report.period,
            bill=bill,
            complete=not (self.unmapped or foreign or len(bill.rejected)),
            notes=(*self.notes, *bill.notes),
        )

    def _pairs(self) -> Iterator[tuple[_Billed | None, _Logged | None]]:
        """Yield what was billed with what was logged under the same key, each once.

        A side that does not tell all that a key has meets the other one if both have but one left to meet.
        """
        billed: dict[_Key, list[_Billed]] = defaultdict(list)
        for (key, _), one in sorted(self.billed.items(), key=lambda item: _order(item[0], self.report.currency)):
            billed[key].append(one)
        left_in_bill: dict[tuple[str, ...], list[_Billed]] = defaultdict(list)
        left_in_log: dict[tuple[str, ...], list[_Logged]] = defaultdict(list)
        for key, logged in sorted(self.logged.items(), key=lambda item: _sortable(item[0])):
            if key in billed:
                first, *others = billed.pop(key)
                yield first, logged
                # What is billed again in another currency has no second log to meet.
                yield from ((one, None) for one in others)
            else:
                left_in_log[key.vague()].append(logged)
        for key, ones in billed.items():
            left_in_bill[key.vague()] += ones
        for at in sorted({*left_in_bill, *left_in_log}):
            bills, logs = left_in_bill.get(at, []), left_in_log.get(at, [])
            is_vague = len(bills) == len(logs) == 1 and (bills[0].key.sku is None or not logs[0].is_named)
            if is_vague and _agree(bills[0].key, logs[0].key):
                yield bills[0], logs[0]
            else:
                yield from ((one, None) for one in bills)
                yield from ((None, one) for one in logs)

    def _compare(self, billed: _Billed | None, logged: _Logged | None) -> None:
        if billed is None or logged is None:
            matched = Decimal(0)
        else:
            matched = max(Decimal(0), min(billed.quantity, Decimal(logged.quantity)))
        cost = Decimal(0)
        logged_cost = self._log_cost(logged, matched)
        if billed is not None:
            cost = self._bill_cost(billed, matched)
            self.sums[billed.currency]["matched"].append(cost)
        if billed is None or logged is None or not matched:
            return
        is_priced = bool(logged.costs) and not logged.has_unpriced
        comparable = billed.currency == self.report.currency
        difference = subtract(cost, logged_cost)
        if comparable:
            self.log_sums["price_difference" if is_priced else "without_price"].append(difference)
        else:
            self.log_sums["in_other_currencies"].append(logged_cost)
        known_cost = logged_cost if is_priced else None
        self.matched.append(
            (
                *_shown_key(billed.key, logged),
                matched,
                billed.unit,
                cost,
                billed.currency,
                known_cost,
                _price(billed.unit, cost, matched),
                _price(billed.unit, known_cost, matched),
                _price_unit(billed.unit)[0],
                difference if is_priced and comparable else None,
                billed.provisional,
            )
        )

    def _log_cost(self, logged: _Logged | None, matched: Decimal) -> Decimal:
        """Return the report's cost of what is matched, and list the rest as only in the log."""
        if logged is None:
            return Decimal(0)
        whole = exact_sum(logged.costs)
        part = share(whole, matched, Decimal(logged.quantity)) if logged.quantity else whole
        rest = subtract(Decimal(logged.quantity), matched)
        self.log_sums["only_in_log"].append(subtract(whole, part))
        if rest:
            cost = None if logged.has_unpriced else subtract(whole, part)
            self.only_in_log.append((*_shown_key(logged.key, logged), rest, logged.unit, cost, self.report.currency))
        return part

    def _bill_cost(self, billed: _Billed, matched: Decimal) -> Decimal:
        """Return the bill's cost of what is matched, and list the rest as only in the bill."""
        whole = exact_sum(billed.costs)
        part = share(whole, matched, billed.quantity) if matched else Decimal(0)
        rest, cost = subtract(billed.quantity, matched), subtract(whole, part)
        self.sums[billed.currency]["only_in_bill"].append(cost)
        if rest or cost:
            reason = _BEYOND if matched else _REFUND if billed.quantity < 0 else _NOT_LOGGED
            names = ", ".join(sorted(billed.names))
            values = (*billed.key, rest, billed.unit, cost, billed.currency, names, reason, billed.provisional)
            self.only_in_bill.append(values)
        return part

    def _set_apart(self, reason: str, rows: list[BillRow]) -> None:
        first = rows[0]
        currency = self._amount(first)[0]
        cost = exact_sum(self._amount(row)[1] for row in rows)
        self.sums[currency]["only_in_bill"].append(cost)
        if reason == _OUTSIDE:
            self.sums[currency]["outside"].append(cost)
        quantities = [row.quantity for row in rows if row.quantity is not None]
        quantity = exact_sum(quantities) if len(quantities) == len(rows) else None
        key = _bill_key(self._period_of(first.day), first)
        provisional = any(row.provisional for row in rows)
        self.only_in_bill.append(
            (*key, quantity, first.unit, cost, currency, first.meter_name, reason, provisional),
        )

    def _total(self, currency: str) -> BillTotal:
        sums = {name: exact_sum(self.sums[currency][name]) for name in ("billed", "matched", "only_in_bill", "outside")}
        total = BillTotal(currency, **sums, explained=None)
        return total._replace(explained=rounded(divide(total.matched, total.inside))) if total.inside else total


_METER = ("model", "meter", "modality", "variant", "sku", "tier", "band", "fine_tuned")
_MATCHED = (
    *("quantity", "unit", "billed_cost", "currency", "logged_cost", "billed_price", "logged_price"),
    *("price_unit", "price_difference", "provisional"),
)
_ONLY_IN_BILL = [*_Key._fields, "quantity", "unit", "cost", "currency", "meter_name", "reason", "provisional"]


def _frame(records: list[tuple[Any, ...]], columns: Sequence[str]) -> pd.DataFrame:
    ordered = sorted(records, key=_sortable)
    return pd.DataFrame(ordered, columns=list(columns), dtype=object)


def _sortable(values: Iterable[Any]) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, "" if value is None else str(value)) for value in values)


def _order(key_and_currency: tuple[_Key, str], first: str) -> tuple[Any, ...]:
    key, currency = key_and_currency
    return _sortable(key), currency != first, currency


def _agree(billed: _Key, logged: _Key) -> bool:
    """Tell whether two keys contradict each other in nothing that both tell."""
    return None in (billed.sku, logged.sku) or (billed.sku, billed.tier) == (logged.sku, logged.tier)


def _shown_key(key: _Key, logged: _Logged) -> _Key:
    """Return a key with the deployment type and tier of the side that tells them."""
    sku, tier = (logged.key.sku, logged.key.tier) if key.sku is None else (key.sku, key.tier)
    return key._replace(sku=sku, tier=tier)


def _bill_key(period: str, row: BillRow) -> _Key:
    return _reading_key(period, row.resource, row.reading)


def _reading_key(period: str, resource: str, reading: MeterReading) -> _Key:
    is_open = reading.sku.startswith("(")
    return _Key(
        period=period,
        resource=resource,
        model=reading.model,
        meter=reading.meter,
        modality=reading.modality or "text",
        variant=reading.variant,
        sku=None if is_open else reading.sku,
        tier=None if is_open else reading.tier,
        band=reading.band or "short",
        fine_tuned=reading.fine_tuned,
    )


def _log_key(line: Mapping[str, Any], resource: str) -> _Key:
    """Return what a line of the report is billed under: what the meter's name says that priced it, else its own words.

    A price row may stand for several meters and models of a log (cached input that is priced as input, one meter for
    two versions of a model); its name is read by the same rules as that of the bill.
    """
    name, unit = line.get("meter_name"), line.get("price_unit")
    if name and unit in UNITS:
        reading = _read_name(name, unit)
        if not reading.unmatched:
            return _reading_key(line["period"], resource, reading)
    model, sku, tier = line["model"], line["sku"], line["tier"]
    return _Key(
        period=line["period"],
        resource=resource,
        model=ANY_MODEL if line["meter"] in _OF_ANY_MODEL else split_model_name(model)[0] if model else "",
        meter=line["meter"],
        modality=line["modality"],
        variant=line["variant"],
        sku=sku,
        tier=tier if sku is None else tier_of(sku, tier or "default"),
        band=line.get("band") or "short",
        fine_tuned="",
    )


@cache
def _read_name(meter_name: str, price_unit: str) -> MeterReading:
    """Read the name of a price row's meter, in the unit of the sheets as the price list writes it."""
    number, noun = price_unit.split(" ", 1)
    unit = {"tokens": number, "characters": number, "calls": number, "image": "1", "session": "1"}.get(
        noun, {"PTU-hour": "1/Hour", "GB-day": "1 GB/Day"}.get(noun, price_unit)
    )
    return read_meter_name("Azure OpenAI", meter_name, unit)


def _resources(billed: Iterable[str], report: _Report, notes: dict[str, None]) -> dict[str | None, str]:
    """Return how the bill names every resource of the report; a bare name is an account if the bill has one of it."""
    by_name: dict[str, set[str]] = defaultdict(set)
    for resource in billed:
        by_name[resource.rsplit("/", 1)[-1]].add(resource)
    found: dict[str | None, str] = {None: _NO_RESOURCE}
    for line in (*report.lines, *report.unpriced):
        given = line["resource"]
        if given in found:
            continue
        known = arm_resource(given)
        ids = by_name.get(known, set())
        if len(ids) > 1:
            notes[f"several accounts of the bill are named {shorten(given, 40)}; the log does not tell which"] = None
        found[given] = next(iter(ids)) if len(ids) == 1 else known
    return found


def _summed(frame: pd.DataFrame, by: Sequence[str], amounts: Sequence[str]) -> pd.DataFrame:
    """Add up amounts by some columns; a sum of which a part is unknown is unknown. The largest costs come first."""
    groups: dict[tuple[Any, ...], list[list[Any]]] = {}
    for key, values in zip(_columns(frame, by), _columns(frame, amounts), strict=True):
        groups.setdefault(key, [[] for _ in amounts])
        for one, value in zip(groups[key], values, strict=True):
            one.append(value)
    records = [(*key, *(None if None in one else exact_sum(one) for one in values)) for key, values in groups.items()]
    records.sort(key=lambda one: (-abs(one[len(by) + 1] or Decimal(0)), _sortable(one)))
    return pd.DataFrame(records, columns=[*by, *amounts], dtype=object)


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return frame[list(names)].itertuples(index=False, name=None)


def _price(unit: str, cost: Decimal | None, quantity: Decimal) -> Decimal | None:
    return None if cost is None else divide(multiply(cost, _price_unit(unit)[1]), quantity)


def _discount(billed: Decimal, logged: Decimal | None) -> Decimal | None:
    return rounded(subtract(Decimal(1), divide(billed, logged))) if logged else None


def _price_unit(unit: str) -> tuple[str, Decimal]:
    """Return the unit of a price for reading: a million tokens, an hour, one of anything else; and how many that is."""
    return {
        "token": ("1M tokens", Decimal(10**6)),
        "character": ("1M characters", Decimal(10**6)),
        "millisecond": ("1 hour", Decimal(3_600_000)),
        "PTU-millisecond": ("1 PTU-hour", Decimal(3_600_000)),
        "byte-day": ("1 GB-day", Decimal(1024**3)),
        "call": ("1K calls", Decimal(1_000)),
    }.get(unit, (f"1 {unit}", Decimal(1)))
