"""A cost report for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .words import GAP_LEGEND, account, amount, columns, cost, heading, meter, period, plain, reading, rows, whole

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_table"]

_SHOWN_UNPRICED = 20


def report_table(report: CostReport) -> RenderableType:
    """Return the report as a rich renderable: costs, what is not in the total, notes, and what was read."""
    parts: list[RenderableType] = [Text(f"Azure OpenAI cost, {period(report)}", style="bold"), _costs(report)]
    if not report.frame["complete"].all():
        parts.append(Text(GAP_LEGEND, style="dim"))
    if len(report.unpriced):
        parts += ["", _unpriced(report)]
    if report.notes:
        parts.append("")
        parts += [Text(f"note: {plain(note)}") for note in report.notes]
    read = ", ".join(f"{whole(count)} {words}" for words, count in reading(report))
    parts += ["", Text(read, style="dim")]
    return Group(*parts)


def _costs(report: CostReport) -> Table:
    names, wholes = columns(report)
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column(heading(names[0]), footer="Total")
    for name in names[1:]:
        table.add_column(heading(name), overflow="fold")
    for name in wholes:
        table.add_column(heading(name), justify="right", footer=whole(int(report.frame[name].sum())))
    bound = (
        "" if report.certainty == "exact" else " (at least)" if report.certainty == "lower_bound" else " (estimated)"
    )
    table.add_column(
        f"Cost {report.currency}",
        justify="right",
        footer=Text(amount(report.total) + bound, style="bold"),
        no_wrap=True,
    )
    for row in rows(report.frame):
        cells = [Text(account(v) if n == "resource" else plain(v)) for n, v in ((n, getattr(row, n)) for n in names)]
        cells += [Text(whole(getattr(row, name))) for name in wholes]
        cells.append(Text(cost(row), style="" if row.complete else "yellow"))
        table.add_row(*cells)
    return table


def _unpriced(report: CostReport) -> Table:
    table = Table(title="Not in the total: no price", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("deployment", "model", "meter"):
        table.add_column(heading(name), overflow="fold")
    table.add_column("Quantity", justify="right")
    table.add_column("Reason", overflow="fold")
    for row in rows(report.unpriced.head(_SHOWN_UNPRICED)):
        table.add_row(
            Text(f"{account(row.resource)}/{plain(row.deployment)}"),
            Text(plain(row.model)),
            Text(meter(row)),
            Text(f"{whole(row.quantity)} {row.unit}s"),
            Text(plain(row.reason)),
        )
    if len(report.unpriced) > _SHOWN_UNPRICED:
        table.caption = f"and {len(report.unpriced) - _SHOWN_UNPRICED:,} more; --csv and --json list them all"
    return table
