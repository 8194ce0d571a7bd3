"""A bill held against the log: for the terminal, and as plain data."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .json_file import plain_value, records
from .words import account, amount, days, meter, plain, rows, whole

if TYPE_CHECKING:
    import pandas as pd

    from ..billing import Reconciliation

__all__ = ["reconciliation_json", "reconciliation_table"]

SCHEMA = "aoai_cost.reconciliation/1"
_SHOWN = 15
_SHOWN_REJECTED = 5
_FATES = ("counted", "superseded", "ignored", "rejected")


def reconciliation_json(found: Reconciliation) -> dict[str, Any]:
    """Return all of it as plain data: amounts, prices and quantities are texts, so that no digit is lost."""
    return {
        "schema": SCHEMA,
        "period": None if found.period is None else [day.isoformat() for day in found.period],
        "every": found.every,
        "currency": found.currency,
        "view": found.bill.view,
        "complete": found.complete,
        "totals": [{name: plain_value(value) for name, value in one._asdict().items()} for one in found.totals],
        "logged": plain_value(found.logged),
        "only_in_log_cost": plain_value(found.only_in_log_cost),
        "in_other_currencies": plain_value(found.in_other_currencies),
        "price_difference": plain_value(found.price_difference),
        "without_price": plain_value(found.without_price),
        "matched": records(found.matched),
        "only_in_bill": records(found.only_in_bill),
        "only_in_log": records(found.only_in_log),
        "files": [one._asdict() for one in found.bill.files],
        "rejected": records(found.bill.rejected),
        "notes": list(found.notes),
    }


def reconciliation_table(found: Reconciliation) -> RenderableType:
    """Return a rich renderable: how the report becomes the bill, prices, what only one side has, notes, the files."""
    title = f"Azure OpenAI bill ({found.bill.view}) against the log, {days(found.period)}, by {found.every}"
    parts: list[RenderableType] = [Text(title, style="bold"), _bridge(found), *_explained(found)]
    if len(found.matched):
        units = "prices per million tokens or characters, hour, image and so on"
        parts += ["", Text(f"In both ({units})", style="italic"), _matched(found)]
    if len(found.only_in_bill):
        parts += ["", Text("Only in the bill", style="italic"), _only_in_bill(found.only_in_bill_by_meter())]
    if len(found.only_in_log):
        parts += ["", Text("Only in the log", style="italic"), _only_in_log(found.only_in_log_by_meter())]
    if len(found.bill.rejected):
        parts += ["", Text("Rows of the bill that could not be read", style="italic"), _rejected(found)]
    if found.notes:
        parts.append("")
        parts += [Text(f"note: {plain(note)}") for note in found.notes]
    files = found.bill.files
    fates = ", ".join(f"{whole(sum(getattr(one, fate) for one in files))} {fate}" for fate in _FATES)
    read = f"{len(files)} file{'s' if len(files) != 1 else ''}, {whole(sum(one.rows for one in files))} rows: {fates}"
    parts += ["", Text(read, style="dim")]
    return Group(*parts)


def _bridge(found: Reconciliation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("", footer="What Azure billed")
    table.add_column(found.currency, justify="right", footer=Text(amount(found.total.billed), style="bold"))
    (first, logged), *others = found.steps
    table.add_row(first, amount(logged))
    for words, value in others:
        if value:
            table.add_row(words, f"{'+' if value > 0 else ''}{amount(value)}")
    return table


def _explained(found: Reconciliation) -> list[Text]:
    lines = []
    for one in found.totals:
        if one.explained is not None:
            known = f"{amount(one.inside)} {one.currency} billed on these days"
            # Rounded down: all of it is found only where nothing is left.
            share = Decimal(int(one.explained * 10_000)) / 100
            lines.append(Text(f"{share:f} % of {known} is found in the log"))
    return lines


def _what(row: Any) -> str:
    """Return a model and meter in words: ``gpt-4o input``."""
    model = "" if row.model in ("*", "") else plain(row.model)
    more = [row.fine_tuned, "long context" if row.band == "long" else ""]
    return " ".join(filter(None, (model, meter(row), *more)))


def _sku(row: Any) -> str:
    if row.sku is None:
        return "sku not known"
    return row.sku if row.tier in ("default", None) or row.sku.endswith("Batch") else f"{row.sku}, {row.tier}"


def _matched(found: Reconciliation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Meter", overflow="fold")
    for heading in ("Quantity", "Billed", "Price", "Report's", "Off"):
        table.add_column(heading, justify="right", no_wrap=True)
    sums = found.matched_by_meter()
    # What differs comes first: the rest says that all is well.
    for row in sorted(rows(sums), key=lambda one: not _off(one.discount))[:_SHOWN]:
        table.add_row(
            Text(f"{_what(row)}, {_sku(row)}"),
            _quantity(row.quantity, row.unit),
            _money(row.billed_cost, row.currency, found),
            _unit_price(row.billed_price),
            _unit_price(row.logged_price),
            Text(_off(row.discount), style="yellow"),
        )
    return _more(table, sums)


def _off(discount: Decimal | None) -> str:
    """Return by how much a price of the bill is below the report's; empty where they are the same."""
    if discount is None:
        return "?"
    return f"{100 * discount:.1f} %" if discount else ""


def _only_in_bill(sums: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Resource", "Meter of the bill", "Why"):
        table.add_column(heading, overflow="fold")
    for heading in ("Quantity", "Billed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows(sums.head(_SHOWN)):
        quantity = "?" if row.quantity is None else _quantity(row.quantity, row.unit)
        cells = (account(row.resource), plain(row.meter_name), plain(row.reason))
        table.add_row(*map(Text, cells), Text(quantity), Text(f"{amount(row.cost)} {row.currency}"))
    return _more(table, sums)


def _only_in_log(sums: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Resource", "Meter"):
        table.add_column(heading, overflow="fold")
    for heading in ("Quantity", "Report"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows(sums.head(_SHOWN)):
        cells = (account(row.resource), f"{_what(row)}, {_sku(row)}", _quantity(row.quantity, row.unit))
        table.add_row(*map(Text, cells), "?" if row.cost is None else f"{amount(row.cost)} {row.currency}")
    return _more(table, sums)


def _more(table: Table, sums: pd.DataFrame) -> Table:
    if len(sums) > _SHOWN:
        table.caption = f"and {len(sums) - _SHOWN:,} more; --json lists them all, by day"
    return table


def _rejected(found: Reconciliation) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Line", justify="right")
    for heading in ("Reason", "File"):
        table.add_column(heading, overflow="fold")
    for row in rows(found.bill.rejected.head(_SHOWN_REJECTED)):
        table.add_row(*(Text(plain(cell)) for cell in (row.line, row.reason, row.source_file)))
    if len(found.bill.rejected) > _SHOWN_REJECTED:
        table.caption = f"and {len(found.bill.rejected) - _SHOWN_REJECTED:,} more; --json lists them all"
    return table


def _quantity(value: Decimal, unit: str) -> str:
    """Return a quantity of a bill, which may have a fraction, with its unit."""
    if unit.endswith("millisecond"):
        value, unit = value / 3_600_000, unit.removesuffix("millisecond") + "hour"
    shown = f"{value:,.3f}".rstrip("0").rstrip(".")
    # Where the unit is not known it is the bill's own: "1K".
    return f"{shown} {unit}{'s' if unit[-1:].isalpha() and not unit[:1].isdigit() else ''}"


def _money(value: Decimal, currency: str, found: Reconciliation) -> str:
    return amount(value) if currency == found.currency else f"{amount(value)} {currency}"


def _unit_price(value: Decimal | None) -> str:
    return "?" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
