"""What a log cost beside what it would have cost: for the terminal, and as plain data."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..prices import times
from .json_file import plain_value, records
from .words import account, amount, heading, period, plain, rows

if TYPE_CHECKING:
    from ..whatif import Change, Comparison

__all__ = ["comparison_json", "comparison_table"]

SCHEMA = "aoai_cost.comparison/1"
_MONEY = ("before", "after", "difference")


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return all of it as plain data: amounts are texts, so that no digit is lost."""
    after = found.after
    return {
        "schema": SCHEMA,
        "period": None if after.period is None else [day.isoformat() for day in after.period],
        "currency": after.currency,
        "before": plain_value(found.before.total),
        "after": plain_value(after.total),
        "difference": plain_value(found.difference),
        "certainty": after.certainty,
        "changes": [_plain_change(change) for change in found.changes],
        "rows": records(found.frame),
        "unpriced": records(after.unpriced),
        "notes": list(found.notes),
        "report_notes": list(after.notes),
    }


def _plain_change(change: Change) -> dict[str, Any]:
    values = {field.name: getattr(change, field.name) for field in fields(change)}
    only = list(values.pop("only"))
    return {"change": type(change).__name__, **{name: _plain_field(one) for name, one in values.items()}, "only": only}


def _plain_field(value: Any) -> Any:
    return plain_value(times(Decimal(1), value) if isinstance(value, Fraction) else value)


def comparison_table(found: Comparison) -> RenderableType:
    """Return it as a rich renderable: what changes row by row, the sums, and what is assumed."""
    frame = found.frame
    names = [name for name in frame.columns if name not in _MONEY]
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for i, name in enumerate(names):
        table.add_column(heading(name), footer="" if i else "Total", overflow="fold")
    totals = (found.before.total, found.after.total, found.difference)
    for name, total in zip(_MONEY, totals, strict=True):
        shown = _difference(total) if name == "difference" else _known(total)
        title = f"{heading(name)} {found.after.currency}"
        table.add_column(title, justify="right", no_wrap=True, footer=Text(shown, style="bold"))
    for row in rows(frame):
        cells = [Text(account(v) if n == "resource" else plain(v)) for n, v in ((n, getattr(row, n)) for n in names)]
        style = "" if not row.difference else "green" if row.difference < 0 else "red"
        table.add_row(*cells, _known(row.before), _known(row.after), Text(_difference(row.difference), style=style))
    parts: list[RenderableType] = [
        Text(f"Azure OpenAI cost, {period(found.after)}, had it been otherwise", style="bold")
    ]
    parts += [table, *(Text(f"assumed: {plain(note)}") for note in found.notes)]
    certainties = (found.before.certainty, found.after.certainty)
    if "lower_bound" in certainties:
        both = "both sums are" if certainties == ("lower_bound", "lower_bound") else "one of the sums is"
        parts.append(Text(f"{both} at least that: something has no price or no tokens in the log", style="dim"))
    elif "estimated" in certainties:
        parts.append(Text("the sums are estimates; see the notes of the report", style="dim"))
    return Group(*parts)


def _known(value: Decimal | None) -> str:
    return "?" if value is None else amount(value)


def _difference(value: Decimal | None) -> str:
    if value is None:
        return "?"
    return ("+" if value > 0 else "") + amount(value)
