"""What a log cost beside what it would have cost: for the terminal, and as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .. import markup
from ..prices import exact_sum, times
from .json_file import plain_value, records
from .words import account, amount, heading, period, plain, reason, rows

if TYPE_CHECKING:
    from ..whatif import Change, Comparison

__all__ = ["comparison_json", "comparison_table"]

SCHEMA = "aoai_cost.comparison/1"
_MONEY = ("before", "after", "difference")
_SHOWN_REASONS = 5


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
    """Return it as a rich renderable: what changes, the sums, what is assumed, and why prices are missing."""
    frame = found.frame
    names = [name for name in frame.columns if name not in _MONEY]
    if len(names) > 1 and frame["period"].nunique() == 1:
        names.remove("period")  # the heading tells it, and 80 columns have no room for it
    changed, alike = _parted(rows(frame))
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    for i, name in enumerate(names):
        table.add_column(heading(name), footer="" if i else "Total", overflow="fold")
    totals = (found.before.total, found.after.total, found.difference)
    for name, total in zip(_MONEY, totals, strict=True):
        shown = markup.difference(total) if name == "difference" else markup.cost(total)
        title = f"{heading(name)} {found.after.currency}"
        table.add_column(title, justify="right", no_wrap=True, footer=Text(shown, style="bold"))
    for row in changed:
        cells = [Text(account(v) if n == "resource" else plain(v)) for n, v in ((n, getattr(row, n)) for n in names)]
        style = "" if not row.difference else "green" if row.difference < 0 else "red"
        table.add_row(
            *cells,
            markup.cost(row.before),
            markup.cost(row.after),
            Text(markup.difference(row.difference), style=style),
        )
    if alike:
        same = amount(exact_sum(row.before for row in alike if row.before is not None))
        same += " + ?" if any(row.before is None for row in alike) else ""
        blanks = [""] * (len(names) - 1)
        table.add_row(f"{len(alike)} unchanged", *blanks, same, same, amount(Decimal(0)), style="dim")
    parts: list[RenderableType] = [Text(f"What if: Azure OpenAI cost, {period(found.after)}", style="bold")]
    parts.append(table)
    certainties = (found.before.certainty, found.after.certainty)
    if "lower_bound" in certainties:
        both = "both sums are" if certainties == ("lower_bound", "lower_bound") else "one of the sums is"
        parts.append(Text(f"{both} at least that: something has no price or no tokens in the log", style="dim"))
    elif "estimated" in certainties:
        parts.append(Text("the sums are estimates; see the notes", style="dim"))
    parts += _notes(found.notes)
    reasons = _reasons(found)
    parts += _notes(reasons[:_SHOWN_REASONS])
    if len(reasons) > _SHOWN_REASONS:
        parts.append(Text(f"and {len(reasons) - _SHOWN_REASONS:,} more without a price; --json lists all", style="dim"))
    return Group(*parts)


def _reasons(found: Comparison) -> list[str]:
    """Return why prices are missing that were not missing before: once for what is sold as one thing."""
    known = {_what(row) for row in rows(found.before.unpriced)}
    lost: dict[tuple[Any, ...], str] = {}
    for row in rows(found.after.unpriced):
        if _what(row) not in known:
            lost.setdefault((row.model, row.version, row.sku, row.region, row.tier), reason(row))
    return list(lost.values())


def _what(row: Any) -> tuple[Any, ...]:
    return row.resource, row.deployment, row.meter, row.modality, row.variant


def _parted(found: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the rows that change, and those that do not where there are some; one alone is shown as it is."""
    changed: list[Any] = []
    alike: list[Any] = []
    for row in found:
        # Of a row with a sum on both sides the difference may not be known.
        same = row.before == row.after and (row.before is None or row.difference == 0)
        (alike if same else changed).append(row)
    return (changed, alike) if len(alike) > 1 else (changed + alike, [])


def _notes(texts: Iterable[str]) -> list[RenderableType]:
    """Return notes whose further lines stand below the first word."""
    lines: list[RenderableType] = []
    for text in texts:
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row("note: ", Text(plain(text)))
        lines.append(grid)
    return lines
