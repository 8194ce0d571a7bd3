"""A cost report for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .words import (
    GAP_LEGEND,
    OPTIONAL,
    account,
    account_of,
    amount,
    columns,
    cost,
    heading,
    meter,
    period,
    plain,
    quantity,
    reading,
    rows,
    troubled_files,
    whole,
)

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_table"]

_SHOWN_UNPRICED = 20
_SHOWN_REASONS = 10
_SHOWN_REJECTED = 5
_SHOWN_FILES = 20
_LONGEST_NAME = 36
_ANY_WIDTH = 10_000


def report_table(report: CostReport) -> RenderableType:
    """Return the report as a rich renderable: costs, what is not in the total, notes, and what was read."""
    parts: list[RenderableType] = [Text(f"Azure OpenAI cost, {period(report)}", style="bold"), _Costs(report)]
    if not report.frame["complete"].all():
        parts.append(Text(GAP_LEGEND, style="dim"))
    if len(report.unpriced):
        parts += ["", Text("Not in the total: no price", style="italic"), _unpriced(report)]
    n_rejected = report.counts.total.rejected
    if n_rejected:
        parts += ["", Text("Not in the total: rows that could not be read", style="italic")]
        # A few rows say themselves why.
        parts += [_reasons(report)] if n_rejected > _SHOWN_REJECTED else []
        parts.append(_rejected(report))
    if report.notes:
        parts.append("")
        parts += [Text(f"note: {plain(note)}") for note in report.notes]
    read = ", ".join(f"{whole(count)} {words}" for words, count in reading(report))
    parts += ["", Text(read, style="dim")]
    if len(report.counts.files) > 1 and troubled_files(report):
        parts += ["", Text("Files to look at", style="italic"), _files(report)]
    return Group(*parts)


class _Costs:
    """The table of costs with as many of its counts as the terminal has room for; no number is ever cut."""

    def __init__(self, report: CostReport) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names, wholes = columns(self.report)
        table = _costs(self.report, names, wholes)
        left_out = []
        for name in OPTIONAL:
            if Measurement.get(console, options.update(max_width=_ANY_WIDTH), table).maximum <= options.max_width:
                break
            if name in wholes:
                wholes.remove(name)
                left_out.append(heading(name).lower())
                table = _costs(self.report, names, wholes)
        yield table
        if left_out:
            yield Text(f"no room for: {', '.join(left_out)}; a wider terminal, --csv and --json show them", style="dim")


def _costs(report: CostReport, names: list[str], wholes: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column(heading(names[0]), footer="Total")
    for name in names[1:]:
        table.add_column(heading(name), overflow="fold", max_width=_LONGEST_NAME)
    for name in wholes:
        total = whole(int(report.frame[name].sum()))
        table.add_column(heading(name), justify="right", footer=total, no_wrap=True)
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
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("deployment", "model", "meter"):
        table.add_column(heading(name), overflow="fold")
    table.add_column("Quantity", justify="right")
    table.add_column("Reason", overflow="fold")
    for row in rows(report.unpriced.head(_SHOWN_UNPRICED)):
        table.add_row(
            Text(f"{account(row.resource)}/{plain(row.deployment)}"),
            Text(plain(row.model)),
            Text(meter(row)),
            Text(quantity(row.quantity, row.unit)),
            Text(plain(row.reason)),
        )
    if len(report.unpriced) > _SHOWN_UNPRICED:
        table.caption = f"and {len(report.unpriced) - _SHOWN_UNPRICED:,} more; --html and --json list them all"
    return table


def _reasons(report: CostReport) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Rows", justify="right")
    table.add_column("Reason", overflow="fold")
    reasons = report.counts.reasons
    for reason, count in reasons[:_SHOWN_REASONS]:
        table.add_row(Text(whole(count)), Text(plain(reason)))
    return _with_more(table, len(reasons) - _SHOWN_REASONS, "more reasons; --html and --json list them all")


def _rejected(report: CostReport) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Line", justify="right")
    for name in ("Reason", "Row, its content masked", "File"):
        table.add_column(name, overflow="fold")
    shown = report.rejected.head(_SHOWN_REJECTED)
    for row in rows(shown):
        table.add_row(*(Text(plain(cell)) for cell in (row.line, row.reason, row.masked_row, row.source_file)))
    more = report.counts.total.rejected - len(shown)
    return _with_more(table, more, "more rows; --rejects writes them all to a file")


def _files(report: CostReport) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("File", overflow="fold")
    table.add_column("What became of its rows", overflow="fold")
    files = troubled_files(report)
    for one in files[:_SHOWN_FILES]:
        told = [f"{whole(count)} {words}" for words, count in account_of(one) if count]
        told += [] if one.complete else ["not read to its end"]
        table.add_row(Text(plain(one.source_file)), Text(", ".join(told)))
    return _with_more(table, len(files) - _SHOWN_FILES, "more files; --html and --json list them all")


def _with_more(table: Table, more: int, words: str) -> RenderableType:
    """Return a table and, below it, how much it leaves out; a caption would be as narrow as the table."""
    return Group(table, Text(f"and {more:,} {words}", style="dim")) if more > 0 else table
