"""Exports of Cost Management as rows of what was billed for Azure OpenAI.

Enterprise Agreement, Microsoft Customer Agreement and FOCUS 1.0 and 1.2, as CSV or Parquet, packed or not. Every row
of every file is counted, superseded by another run, ignored as none of Azure OpenAI, or rejected with its reason.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from itertools import chain
from typing import Any, Literal, NamedTuple

import pandas as pd

from .. import markup
from ..catalog import arm_resource
from ..errors import BillError, MissingExtraError, RequestError, UsageFormatError, shorten
from ..prices import PriceBook, exact_sum
from ..prices.meters import MeterReading, read_measure, read_meter_name, read_unit
from ..prices.rows import UNITS
from ..sources.files import LogFile, find_files
from ..sources.raw import Raw
from ..sources.tables import is_table, read_parquet, read_table
from ..sources.unpack import DamageError, ParquetError, text_chunks
from .columns import ColumnsError, column_map, is_slashed, read_amount, read_day, read_order, read_text
from .exact import divide, multiply
from .runs import Run, find_runs

__all__ = ["Bill", "BillFile", "BillRow", "read_bill"]

View = Literal["actual", "amortized"]
_DISCOUNTS = 4
"""By what factor a price may differ from the list's for a unit to be told by it: beyond, it says nothing."""
PROVISIONAL_DAYS = 3
"""Azure goes on restating the newest days of an export; how many is not documented."""

_OPENAI, _RESERVATION = "azure openai", "provisioned throughput reservation"
"""How its products begin in the price list, and what the one is called that sells reservations of PTUs."""
_ACCOUNTS = "/providers/microsoft.cognitiveservices/accounts/"
_PLAIN_UNITS = {1_000: "1K", 1_000_000: "1M"}
_KEPT = (
    *("subscription", "resource", "meter_name", "unit", "quantity", "consumed", "cost", "currency"),
    *("pricing_cost", "pricing_currency", "rate", "usd_cost", "charge", "class", "status"),
)
_USAGE = ("usage", "refund")


class BillRow(NamedTuple):
    """One row of a bill.

    ``quantity`` is in ``unit`` (tokens, images, ...: the units of `METER_UNITS`) where the meter's name and unit are
    known, else as the row states it, in its own unit; None where the row has none. ``amounts`` has the cost in every
    currency in which the row tells it, that of the bill first. ``charge`` is ``usage``, ``refund``, ``purchase``,
    ``unused`` and so on. ``reason`` says why the row can be held against no log; empty where it can. Refunds are
    negative.
    """

    source_file: str
    line: int
    day: date
    subscription: str
    resource: str
    product: str
    meter_name: str
    reading: MeterReading
    quantity: Decimal | None
    unit: str
    cost: Decimal
    currency: str
    amounts: tuple[tuple[str, Decimal], ...]
    charge: str
    reason: str
    provisional: bool


class BillFile(NamedTuple):
    """What became of the rows of a file: ``rows`` is the sum of the others. ``run`` is the run that wrote it."""

    source_file: str
    run: str
    rows: int
    counted: int
    ignored: int
    superseded: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What was billed for Azure OpenAI.

    Attributes
    ----------
    rows : tuple of BillRow
        The rows that count, in the order of files and lines.
    files : tuple of BillFile
        What became of the rows of every file.
    rejected : DataFrame
        Rows that could not be read: source_file, line, reason.
    view : str
        ``actual`` (as invoiced: a reservation costs when it is bought) or ``amortized`` (spread over what it covers).
    notes : tuple of str
        What was chosen or assumed, in words.
    """

    rows: tuple[BillRow, ...]
    files: tuple[BillFile, ...]
    rejected: pd.DataFrame
    view: View
    notes: tuple[str, ...]

    @property
    def totals(self) -> dict[str, Decimal]:
        """What was billed, by currency of the bill."""
        by_currency: dict[str, list[Decimal]] = defaultdict(list)
        for row in self.rows:
            by_currency[row.currency].append(row.cost)
        return {currency: exact_sum(costs) for currency, costs in sorted(by_currency.items())}

    def __repr__(self) -> str:
        return f"Bill({self._head()}; {len(self.rows):,} rows)"

    def _head(self) -> str:
        totals = " and ".join(f"{markup.amount(total)} {currency}" for currency, total in self.totals.items())
        return f"{totals or 'nothing'} billed ({self.view})"

    def _repr_html_(self) -> str:
        costs: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
        for row in self.rows:
            costs[row.resource, row.meter_name, row.currency].append(row.cost)
        sums = sorted(((exact_sum(some), key) for key, some in costs.items()), key=lambda one: (-one[0], one[1]))
        rows = (
            (markup.account(resource), meter, f"{markup.amount(total)} {currency}")
            for total, (resource, meter, currency) in sums
        )
        return markup.result(
            self._head(),
            markup.first_rows(("resource", "meter", "cost"), rows, len(sums), all_in=".rows", numeric=(2,)),
            markup.first_rows(BillFile._fields, self.files, len(self.files), all_in=".files", numeric=range(2, 7)),
            markup.facts([("rows not read", f"{len(self.rejected):,}, see .rejected" if len(self.rejected) else None)]),
            notes=self.notes,
        )


@dataclass
class _File:
    """A file while it is read."""

    file: LogFile
    rows: int = 0
    ignored: int = 0
    superseded: int = 0
    counted: int = 0
    rejected: list[tuple[int | None, str]] = field(default_factory=list)


class _Kept(NamedTuple):
    """A row of Azure OpenAI, as its texts."""

    file: _File
    line: int
    product: str
    day: str
    period: str
    cells: Mapping[str, Any]


@dataclass
class _RunRows:
    """A run while it is read: its rows of Azure OpenAI, and what all its rows say of dates and of the view."""

    run: Run
    files: list[_File] = field(default_factory=list)
    kept: list[_Kept] = field(default_factory=list)
    days: set[str] = field(default_factory=set)
    periods: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)
    is_focus: bool = False
    view: str | None = None
    order: str | None = None
    last_day: date | None = None
    rows: list[BillRow] = field(default_factory=list)
    months: list[str] = field(default_factory=list)
    """The billing period of each of `rows`."""

    def leave_out(self, rows: Iterable[int]) -> None:
        """Count rows as superseded, and drop them."""
        left = set(rows)
        by_file = {one.file.shown: one for one in self.files}
        for i in left:
            by_file[self.rows[i].source_file].superseded += 1
        self.months = [month for i, month in enumerate(self.months) if i not in left]
        self.rows = [row for i, row in enumerate(self.rows) if i not in left]


def read_bill(
    *paths: str | os.PathLike[str],
    view: View | None = None,
    dates: Literal["auto", "mdy", "dmy"] = "auto",
) -> Bill:
    """Read exports of Azure Cost Management, and keep what they bill for Azure OpenAI.

    Parameters
    ----------
    *paths : path
        Files and folders: CSV or Parquet, also packed with gzip or zstd. A folder may hold many runs of an export with
        their manifests; of runs of one export for the same days only the newest counts.
    view : str, optional
        ``actual`` or ``amortized``. An export of the other view is left out; without it two views are an error. FOCUS
        exports have both, and give the actual one (BilledCost) by default.
    dates : str
        How dates with slashes are written: ``mdy``, ``dmy``, or as the whole column tells.

    Raises
    ------
    BillError
        If a file is no export of costs, if two views or two exports bill the same usage and nothing tells which counts,
        if nothing tells how dates are written, or if there is nothing to read.
    MissingExtraError
        For a Parquet file without pyarrow.
    """
    if view not in (None, "actual", "amortized"):
        raise RequestError("view", f"must be actual or amortized, found {shorten(view)}")
    if dates not in ("auto", "mdy", "dmy"):
        raise RequestError("dates", f"must be auto, mdy or dmy, found {shorten(dates)}")
    try:
        runs = find_runs(find_files(paths))
    except UsageFormatError as error:
        raise BillError(error.source, "", error.reason.replace("log file", "file of a bill")) from None
    if not runs:
        raise BillError("", "", "there is a manifest, and no file of a bill")
    notes: dict[str, None] = {}
    read = [_read_run(run, view or "actual") for run in runs]
    for one in read:
        _find_order(one, dates)
        _make_rows(one, notes)
    _leave_out_snapshots(read, notes)
    chosen = _choose_view(read, view, notes)
    _leave_out_overlaps(read, notes)
    return _bill(read, chosen, notes)


def _read_run(run: Run, view: str) -> _RunRows:
    found = _RunRows(run, view=run.view)
    for file in run.files:
        one = _File(file)
        found.files.append(one)
        _read_file(found, one, view)
        expected = run.expected.get(file.path.name)
        if expected is not None and expected != one.rows:
            one.rejected.append((None, f"the manifest says {expected:,} rows, the file has {one.rows:,}"))
    if found.is_focus:
        found.view = view
    elif found.view is None:
        found.view = next(iter(found.views)) if len(found.views) == 1 else run.view_by_name
    return found


def _read_file(run: _RunRows, one: _File, view: str) -> None:
    columns: dict[str, str] = {}
    names: Iterable[str] = ()
    try:
        for number, raw in enumerate(_table_rows(one.file), start=1):
            if raw.reason is not None:
                # What is damaged as a whole is no row, and has no line.
                one.rows += raw.line is not None
                one.rejected.append((raw.line, raw.reason))
                continue
            one.rows += 1
            if raw.value.keys() != names:
                names = raw.value.keys()
                columns, is_focus = column_map(names, view)
                run.is_focus |= is_focus
            _sort_row(run, one, raw.line or number, {field: raw.value[name] for field, name in columns.items()})
    except ColumnsError as error:
        raise BillError(one.file.shown, "", str(error)) from None
    except OSError as error:
        raise BillError(one.file.shown, "", f"cannot be read: {error.strerror or type(error).__name__}") from None


def _table_rows(file: LogFile) -> Iterator[Raw]:
    """Yield the rows of a table as dictionaries of column and text, or the reason why there is none."""
    with file.open() as opened:
        chunks = text_chunks(opened)
        try:
            head = next(chunks, b"")
        except ParquetError:
            if find_spec("pyarrow") is None:
                raise MissingExtraError("parquet") from None
            yield from read_parquet(opened)
            return
        except DamageError as damage:
            yield Raw(None, None, None, str(damage), damaged=True)
            return
        if head and not is_table(head):
            raise ColumnsError("is no export of costs: neither a CSV table nor Parquet")
        yield from read_table(chain([head], chunks))


def _sort_row(run: _RunRows, one: _File, line: int, cells: Mapping[str, Any]) -> None:
    """Keep a row of Azure OpenAI; learn from every row how dates are written and which view this is."""
    day, period = read_text(cells["day"]), read_text(cells.get("period"))
    run.days.add(day)
    run.periods.update((period, read_text(cells.get("period_end"))))
    if not run.is_focus:
        _learn_view(run, cells)
    product = read_text(cells.get("subcategory")) or read_text(cells.get("product"))
    if product.lower().startswith(_OPENAI) or _RESERVATION in product.lower():
        run.kept.append(_Kept(one, line, product, day, period, {name: cells[name] for name in _KEPT if name in cells}))
        return
    one.ignored += 1
    if _ACCOUNTS in read_text(cells["resource"]).lower():
        run.others[product] += 1


def _learn_view(run: _RunRows, cells: Mapping[str, Any]) -> None:
    """What a commitment covers costs nothing in the actual view, and its share in the amortised one."""
    charge = read_text(cells.get("charge")).lower()
    if charge.startswith("unused"):
        run.views.add("amortized")
    elif read_text(cells.get("commitment")).lower().replace(" ", "") in ("reservation", "savingsplan"):
        try:
            cost = read_amount(cells["cost"])
        except ColumnsError:
            return
        if charge in ("purchase", "refund"):
            run.views.add("actual")
        elif cost is not None:
            run.views.add("amortized" if cost else "actual")


def _find_order(run: _RunRows, dates: str) -> None:
    # The end of a billing period is after the 12th, so that nearly every export tells by itself.
    run.order = dates if dates != "auto" else read_order(run.days | run.periods)
    if run.order is None and any(is_slashed(kept.day) for kept in run.kept):
        reason = "its dates may be month first or day first, and nothing in it tells; give dates= (--dates)"
        raise BillError(run.run.name, "", reason)


def _make_rows(run: _RunRows, notes: dict[str, None]) -> None:
    """Make rows of the texts; those that cannot be are rejected."""
    days = []
    for text in run.days:
        try:
            days.append(read_day(text, run.order))
        except ColumnsError:
            continue
    run.last_day = max(days, default=None)
    newest = run.last_day if run.run.time is None else date.fromisoformat(run.run.time[:10])
    drafts: list[tuple[_Kept, _Draft]] = []
    for kept in run.kept:
        try:
            drafts.append((kept, _draft(kept, run)))
        except ColumnsError as error:
            kept.file.rejected.append((kept.line, str(error)))
    scales = _scales([draft for _, draft in drafts], notes)
    for kept, draft in drafts:
        provisional = newest is not None and draft.day > newest - timedelta(days=PROVISIONAL_DAYS)
        quantity = draft.quantity
        if quantity is not None and not draft.reading_fails:
            quantity = multiply(quantity, scales[draft.meter])
        run.rows.append(
            BillRow(
                source_file=kept.file.file.shown,
                line=kept.line,
                day=draft.day,
                subscription=read_text(kept.cells.get("subscription")).lower(),
                resource=_account(read_text(kept.cells["resource"])),
                product=kept.product,
                meter_name=draft.meter.name,
                reading=draft.reading,
                quantity=quantity,
                unit=draft.unit,
                cost=draft.amounts[0][1],
                currency=draft.amounts[0][0],
                amounts=draft.amounts,
                charge=draft.charge,
                reason=draft.reason,
                provisional=provisional,
            )
        )
        run.months.append(draft.period.isoformat())


class _Meter(NamedTuple):
    product: str
    name: str
    unit_of_measure: str
    is_consumed: bool
    """The quantity counts single units, whatever the unit of measure says."""


class _Draft(NamedTuple):
    """A row whose texts are read, and whose quantity is not yet in our unit."""

    day: date
    period: date
    meter: _Meter
    reading: MeterReading
    quantity: Decimal | None
    unit: str
    amounts: tuple[tuple[str, Decimal], ...]
    charge: str
    reason: str
    reading_fails: bool


def _draft(kept: _Kept, run: _RunRows) -> _Draft:
    cells = kept.cells
    day = read_day(kept.day, run.order)
    try:
        period = read_day(kept.period, run.order) if kept.period else day.replace(day=1)
    except ColumnsError:
        period = day.replace(day=1)
    quantity, is_consumed = read_amount(cells.get("quantity")), False
    if quantity is None and "consumed" in cells:
        quantity, is_consumed = read_amount(cells["consumed"]), True
    name, unit_of_measure = (read_text(cells[field]) for field in ("meter_name", "unit"))
    measured = read_measure(unit_of_measure)
    if not measured[1] and measured[0] in _PLAIN_UNITS:
        unit_of_measure = _PLAIN_UNITS[measured[0]]  # Enterprise Agreements write 1000 for 1K
    meter = _Meter(kept.product, name, unit_of_measure, is_consumed)
    reading, unit, reading_fails = _read_meter(kept.product, name, unit_of_measure)
    reason = "" if not reading_fails else reading.unmatched or "the meter's name or unit is not known"
    charge = _charge(cells)
    if charge == "unused":
        reason = "a commitment that was not used"
    elif charge not in _USAGE:
        reason = f"a charge of the type {shorten(charge, 40)}, not usage"
    elif quantity is None:
        reason = reason or "the row has no quantity"
    return _Draft(day, period, meter, reading, quantity, unit, _amounts(cells), charge, reason, reading_fails)


def _charge(cells: Mapping[str, Any]) -> str:
    """Return the type of a charge; FOCUS tells refunds and what was not used in columns of their own."""
    charge = read_text(cells.get("charge")).lower()
    if charge.startswith("unused") or read_text(cells.get("status")).lower() == "unused":
        return "unused"
    return "refund" if read_text(cells.get("class")).lower() == "correction" else charge or "usage"


@cache
def _read_meter(product: str, name: str, unit_of_measure: str) -> tuple[MeterReading, str, bool]:
    """Return what a meter says, its unit, and whether it says too little to compare."""
    reading = read_meter_name(product, name, unit_of_measure)
    unit = read_unit(reading.meter, name, unit_of_measure)
    if unit is None or reading.model.startswith("(") or _is_apart(reading):
        return reading, unit_of_measure, True
    return reading, UNITS[unit[0]].measures, False


def _is_apart(reading: MeterReading) -> bool:
    """Tell a meter that no deployment uses; one that only leaves its deployment type open may still be matched."""
    return bool(reading.unmatched) and not reading.sku.startswith(("(legacy", "(not stated"))


def _amounts(cells: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    """Return the cost in every currency in which the row tells it, that of the bill first.

    Amounts of the pricing currency are the row's own, or follow from its exchange rate, which is what one unit of the
    pricing currency costs in that of the bill.
    """
    cost, currency = read_amount(cells["cost"]), read_text(cells["currency"]).upper()
    if cost is None:
        raise ColumnsError("the row has no cost")
    if not (len(currency) == 3 and currency.isalpha()):
        raise ColumnsError(f"{shorten(currency, 40)} is no currency")
    found = {currency: cost}
    pricing = read_text(cells.get("pricing_currency")).upper()
    if pricing and pricing not in found:
        amount, rate = read_amount(cells.get("pricing_cost")), read_amount(cells.get("rate"))
        if amount is None and rate:
            amount = divide(cost, rate)
        if amount is not None:
            found[pricing] = amount
    in_dollars = read_amount(cells.get("usd_cost"))
    if in_dollars is not None:
        found.setdefault("USD", in_dollars)
    return tuple(found.items())


def _scales(drafts: Iterable[_Draft], notes: dict[str, None]) -> dict[_Meter, Decimal]:
    """Return for every meter how many of our units one unit of its quantity is.

    A quantity counts blocks of the unit of measure (thousands of tokens for ``1K``). Microsoft documents that some
    exports count single units all the same, and that FOCUS exports of Enterprise Agreements divide by the block twice
    (finops-toolkit, docs-mslearn/focus: validate.md and conformance-summary.md). The price tells: it is then off the
    list price by the whole block, where discounts are not.
    """
    costs: dict[_Meter, list[Decimal]] = defaultdict(list)
    quantities: dict[_Meter, list[Decimal]] = defaultdict(list)
    meters: dict[_Meter, MeterReading] = {}
    for draft in drafts:
        if draft.reading_fails:
            continue
        meters[draft.meter] = draft.reading
        dollars = dict(draft.amounts).get("USD")
        if dollars and draft.quantity and dollars > 0 and draft.quantity > 0 and not draft.reason:
            costs[draft.meter].append(dollars)
            quantities[draft.meter].append(draft.quantity)
    found: dict[_Meter, Decimal] = {}
    for meter, reading in meters.items():
        block = Decimal(read_measure(meter.unit_of_measure)[0])
        unit, factor = read_unit(reading.meter, meter.name, meter.unit_of_measure) or ("", Decimal(1))
        of_block = divide(Decimal(UNITS[unit].quantity), factor)
        single = divide(of_block, block)
        usual = single if meter.is_consumed else of_block
        found[meter] = usual
        listed = _list_prices().get(meter.name.lower())
        if block == 1 or listed is None or meter not in costs:
            continue
        price = divide(exact_sum(costs[meter]), exact_sum(quantities[meter]))
        if not price:
            continue
        scales = (usual, single, of_block, multiply(of_block, block))
        apart, scale = min(((_apart(price, multiply(listed, one)), one) for one in scales), key=lambda pair: pair[0])
        if scale != usual and apart <= _DISCOUNTS:
            found[meter] = scale
            notes[
                f"the quantities of {shorten(meter.name, 60)} do not count in {shorten(meter.unit_of_measure, 20)} "
                f"as the bill says: by their price, one is {scale.normalize():f} {UNITS[unit].measures}s"
            ] = None
    return found


def _apart(one: Decimal, other: Decimal) -> Decimal:
    """Return by what factor two prices differ, from 1."""
    return max(divide(one, other), divide(other, one))


@cache
def _list_prices() -> Mapping[str, Decimal]:
    """Return the highest list price in US dollars of one unit of every meter, by its name in lower case."""
    found: dict[str, Decimal] = {}
    for row in PriceBook.bundled().rows():
        if row.meter_name and row.unit in UNITS and Decimal(row.amount) > 0:
            price = divide(Decimal(row.amount), Decimal(UNITS[row.unit].quantity))
            name = row.meter_name.lower()
            found[name] = max(price, found.get(name, price))
    return found


def _account(resource: str) -> str:
    """Return the id of the account that a resource is, or is within; other resources as they are, in lower case."""
    known = arm_resource(resource)
    start, found, rest = known.partition(_ACCOUNTS)
    return start + found + rest.partition("/")[0] if found else known


def _leave_out_snapshots(read: list[_RunRows], notes: dict[str, None]) -> None:
    """Of the runs of one export for the same days only the newest counts: each holds all that the older ones held."""
    snapshots: dict[tuple[str, str], list[_RunRows]] = defaultdict(list)
    for run in read:
        if run.run.export is not None and run.run.period is not None and run.run.time is not None:
            snapshots[run.run.export, run.run.period].append(run)
    for same in snapshots.values():
        newest = max(same, key=lambda one: str(one.run.time))
        for run in same:
            if run is not newest and run.run.time != newest.run.time:
                run.leave_out(range(len(run.rows)))
                notes[f"{run.run.name} is an older run of the same export as {newest.run.name}, and left out"] = None


def _choose_view(read: list[_RunRows], wanted: View | None, notes: dict[str, None]) -> View:
    """Return the view of the bill; an export of the other one is left out if a view is wanted, else refused."""
    with_rows = [run for run in read if run.rows]
    known = {run.view for run in with_rows} - {None}
    if wanted is None:
        if len(known) > 1:
            names = " and ".join(run.run.name for run in _one_of_each_view(with_rows))
            reason = "are the actual and the amortized view of one bill; give view= (--view) to choose one"
            raise BillError("", "", f"{names} {reason}")
        chosen: View = "amortized" if known == {"amortized"} else "actual"
    else:
        chosen = wanted
        if known and wanted not in known:
            raise BillError(with_rows[0].run.name, "", f"is the {known.pop()} view, not the {wanted} one")
        for run in with_rows:
            if run.view not in (None, wanted):
                run.leave_out(range(len(run.rows)))
                notes[f"{run.run.name} is the {run.view} view of the bill, and left out"] = None
    if any(run.view is None for run in with_rows):
        notes["nothing in the bill tells the actual from the amortized view; without commitments they are the same"] = (
            None
        )
    return chosen


def _one_of_each_view(runs: Iterable[_RunRows]) -> Iterator[_RunRows]:
    seen: set[str | None] = {None}
    for run in runs:
        if run.view not in seen:
            seen.add(run.view)
            yield run


def _leave_out_overlaps(read: list[_RunRows], notes: dict[str, None]) -> None:
    """Where an export bills all that an earlier one has of a billing period, count only the later one.

    Raises
    ------
    BillError
        If two bill the same meter of a resource and day, and nothing tells which is later, or one has what the other
        has not.
    """
    runs = [run for run in read if run.rows]
    timed = all(run.run.time is not None for run in runs)

    def rank(run: _RunRows) -> str:
        return str(run.run.time) if timed else str(run.last_day)

    def keys_of(run: _RunRows) -> list[tuple[Any, ...]]:
        # A later period may correct a day of an earlier one: that is no second bill of it.
        pairs = zip(run.months, run.rows, strict=True)
        return [(month, row.resource, row.day, row.meter_name.lower(), row.currency) for month, row in pairs]

    claimed: dict[tuple[Any, ...], _RunRows] = {}
    for run in sorted(runs, key=rank, reverse=True):
        statements: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i, row in enumerate(run.rows):
            statements[run.months[i], row.subscription].append(i)
        keys = keys_of(run)
        left_out: list[int] = []
        for rows in statements.values():
            found = [claimed.get(keys[i]) for i in rows]
            later = next((one for one in found if one is not None), None)
            if later is None:
                continue
            # A snapshot has all that the earlier one had; what shares only some of it is something else.
            if rank(later) == rank(run) or None in found:
                reason = "bill the same usage, and nothing tells which of them counts; give one of them"
                raise BillError("", "", f"{later.run.name} and {run.run.name} {reason}")
            left_out += rows
            notes[f"{run.run.name} bills usage that the later {later.run.name} bills too; only the later counts"] = None
        run.leave_out(left_out)
        claimed.update(dict.fromkeys(keys_of(run), run))


def _bill(read: list[_RunRows], view: View, notes: dict[str, None]) -> Bill:
    others: Counter[str] = Counter()
    for run in read:
        by_file = {one.file.shown: one for one in run.files}
        for row in run.rows:
            by_file[row.source_file].counted += 1
        others += run.others
        for name in run.run.missing:
            if run.files:
                run.files[0].rejected.append((None, f"the part {shorten(name, 60)} of its manifest is not here"))
    if others:
        some = ", ".join(shorten(name, 40) for name, _ in others.most_common(3))
        notes[f"rows of other products of such accounts are ignored: {others.total():,} ({some})"] = None
    if not any(run.kept for run in read):
        notes["no row of the bill is of an Azure OpenAI product"] = None
    if any(row.provisional for run in read for row in run.rows):
        notes[f"the last {PROVISIONAL_DAYS} days of an export are provisional: Azure may still restate them"] = None
    files = []
    rejected = []
    for run in read:
        for one in run.files:
            lines = sum(line is not None for line, _ in one.rejected)
            files.append(
                BillFile(one.file.shown, run.run.name, one.rows, one.counted, one.ignored, one.superseded, lines)
            )
            rejected += [(one.file.shown, line, reason) for line, reason in sorted(one.rejected, key=_by_line)]
    rows = [row for run in read for row in run.rows]
    return Bill(
        rows=tuple(sorted(rows, key=lambda row: (row.source_file, row.line))),
        files=tuple(sorted(files)),
        rejected=pd.DataFrame(rejected, columns=["source_file", "line", "reason"], dtype=object),
        view=view,
        notes=tuple(notes),
    )


def _by_line(rejected: tuple[int | None, str]) -> int:
    return rejected[0] or 0
