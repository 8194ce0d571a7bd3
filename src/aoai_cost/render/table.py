"""A cost report for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .words import (
    COMPARED,
    GAP_LEGEND,
    OPTIONAL,
    account,
    account_of,
    amount,
    columns,
    comparison,
    cost,
    heading,
    meter,
    period,
    plain,
    quantity,
    reading,
    reason,
    rows,
    troubled_files,
    whole,
)

if TYPE_CHECKING:
    from ..logs import FileCounts
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
    if len(report.comparison):
        parts += ["", Text("Not in the total: calls that another source counts", style="italic"), _comparison(report)]
    if report.notes:
        parts.append("")
        parts += [Text(f"note: {plain(note)}") for note in report.notes]
    read = ", ".join(f"{whole(count)} {words}" for words, count in reading(report))
    parts += ["", Text(read, style="dim")]
    if len(report.counts.files) > 1 and troubled_files(report):
        parts += ["", Text("Files to look at", style="italic"), _Files(troubled_files(report))]
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


def _unpriced(report: CostReport) -> RenderableType:
    """Return what has no price below the reason, which is said once, whatever the meter."""
    by_reason: dict[str, dict[tuple[str, ...], list[str]]] = {}
    periods = len(report.unpriced["period"].unique()) > 1
    for row in rows(report.unpriced):
        model = " ".join(plain(part) for part in (row.model, row.version) if part)
        names = (row.period, f"{account(row.resource)}/{plain(row.deployment)}", model)
        counts = by_reason.setdefault(reason(row), {}).setdefault(names[0 if periods else 1 :], [])
        counts.append(f"{meter(row)} {quantity(row.quantity, row.unit)}")
    parts: list[RenderableType] = []
    left = _SHOWN_UNPRICED
    for said, found in by_reason.items():
        if left <= 0:
            break
        table = Table.grid(padding=(0, 3, 0, 0))
        for _ in range(3 + periods):
            table.add_column(overflow="fold")
        for cells, counts in list(found.items())[:left]:
            table.add_row(*map(Text, cells), Text(", ".join(counts)))
        left -= len(found)
        parts += ["", Text(plain(said)), Padding(table, (0, 0, 0, 2))]
    more = sum(map(len, by_reason.values())) - _SHOWN_UNPRICED
    return Group(*parts, *_more(more, "more; --json lists them all"))


def _reasons(report: CostReport) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Rows", justify="right")
    table.add_column("Reason", overflow="fold")
    reasons = report.counts.reasons
    for said, count in reasons[:_SHOWN_REASONS]:
        table.add_row(Text(whole(count)), Text(plain(said)))
    # Below the table: a caption would be as narrow as it is.
    return Group(table, *_more(len(reasons) - _SHOWN_REASONS, "more reasons; --json lists them all"))


def _rejected(report: CostReport) -> RenderableType:
    shown = report.rejected.head(_SHOWN_REJECTED)
    parts: list[RenderableType] = []
    for row in rows(shown):
        where = (f"line {row.line} of " if row.line is not None else "") + plain(row.source_file)
        said = "\n".join(plain(part) for part in (row.reason, row.masked_row) if part)
        parts += ["", Text(where), Padding(Text(said), (0, 0, 0, 2))]
    return Group(
        *parts, *_more(report.counts.total.rejected - len(shown), "more rows; --rejects writes them all to a file")
    )


class _Files:
    """The files to look at: a table where each has room for one line, else what is said of each below its name."""

    def __init__(self, files: Sequence[FileCounts]) -> None:
        self.cells = []
        for one in files[:_SHOWN_FILES]:
            told = [f"{whole(count)} {words}" for words, count in account_of(one) if count]
            told += [] if one.complete else ["not read to its end"]
            self.cells.append((Text(plain(one.source_file)), Text(", ".join(told))))
        self.more = _more(len(files) - _SHOWN_FILES, "more files; --json lists them all")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("File", overflow="fold")
        table.add_column("What became of its rows", overflow="fold")
        for cells in self.cells:
            table.add_row(*cells)
        if Measurement.get(console, options.update(max_width=_ANY_WIDTH), table).maximum <= options.max_width:
            yield table
        else:
            for name, said in self.cells:
                yield Text()
                yield name
                yield Padding(said, (0, 0, 0, 2))
        yield from self.more


def _more(more: int, words: str) -> list[RenderableType]:
    """Return how much a list leaves out."""
    return [Text(f"and {more:,} {words}", style="dim")] if more > 0 else []


def _comparison(report: CostReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COMPARED[:3]:
        table.add_column(name, overflow="fold")
    for name in COMPARED[3:]:
        table.add_column(name, justify="right", overflow="fold")
    for row in comparison(report):
        table.add_row(*(Text(cell) for cell in row))
    return table
