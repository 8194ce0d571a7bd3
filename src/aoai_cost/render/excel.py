"""A cost report as an Excel workbook: a summary with charts, and a tidy sheet for each table."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import MissingExtraError
from ..prices import exact_sum
from .words import CERTAINTY, account, columns, plain, reading, rows, whole

try:
    import xlsxwriter
except ImportError:
    raise MissingExtraError("report") from None

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_xlsx"]

MOST_ROWS = 1_048_576
"""What a sheet of Excel holds, its heading included."""
MOST_CHARACTERS = 32_767
"""What a cell of Excel holds, in units of UTF-16."""
_LARGEST_WHOLE = 2**53
_FIRST_YEAR = 1900
_SHOWN_BARS = 15
_WIDEST = 60
_MEASURED_ROWS = 500
_ALWAYS_SAME = datetime(2000, 1, 1)
_MONEY = "#,##0.00########"
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def report_xlsx(report: CostReport) -> bytes:
    """Return the report as an Excel workbook.

    Amounts are numbers, which in Excel have some 15 digits; beside each stands a text with all of them, ``..._exact``.
    Names are texts, never formulas or links. What Excel has no room for is cut, and the summary says so.
    """
    out = io.BytesIO()
    book = _Book(out)
    summary = book.add_sheet("Summary")
    _write_tables(book, report)
    charts = _write_chart_data(book, report)
    _write_summary(book, summary, report, charts)
    book.close()
    return out.getvalue()


class _Book:
    """A workbook, its formats, and what it had no room for."""

    def __init__(self, out: io.BytesIO) -> None:
        self.book = xlsxwriter.Workbook(out, _OPTIONS)
        # One report is one sequence of bytes, whenever it is written.
        self.book.set_properties({"title": "Azure OpenAI cost", "created": _ALWAYS_SAME})
        # With the prefix a text stays one even when somebody edits it in Excel.
        self.text = self.book.add_format({"quote_prefix": True})
        self.wrapped = self.book.add_format({"quote_prefix": True, "text_wrap": True, "valign": "top"})
        self.bold = self.book.add_format({"bold": True})
        self.title = self.book.add_format({"bold": True, "font_size": 14})
        self.head = self.book.add_format({"bold": True, "bottom": 1})
        self.whole = self.book.add_format({"num_format": "#,##0"})
        self.left = self.book.add_format({"num_format": "#,##0", "align": "left"})
        self.money = self.book.add_format({"num_format": _MONEY})
        self.total = self.book.add_format({"num_format": "#,##0.00", "bold": True, "font_size": 14, "align": "left"})
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.cut: list[str] = []

    def add_sheet(self, name: str) -> Any:
        sheet = self.book.add_worksheet(name)
        # Exact amounts are texts on purpose.
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{MOST_ROWS}"})
        return sheet

    def close(self) -> None:
        self.book.close()

    def write(self, sheet: Any, row: int, column: int, value: Any, text: Any = None) -> bool:
        """Write a cell by what it is, and tell whether a text was cut; what is missing stays empty."""
        if value is None or value is pd.NA or value != value:
            return False
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int) and abs(value) <= _LARGEST_WHOLE:
            sheet.write_number(row, column, value, self.whole)
        elif isinstance(value, Decimal):
            sheet.write_number(row, column, float(value), self.money)
        elif isinstance(value, date) and value.year >= _FIRST_YEAR:
            sheet.write_datetime(row, column, value, self.day)
        else:
            shown = plain(value)
            kept = _fitting(shown)
            sheet.write_string(row, column, kept, text or self.text)
            return kept != shown
        return False

    def add_table(self, name: str, headings: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
        """Write a table as a sheet of its own, with a heading that stays and a filter."""
        sheet = self.add_sheet(name)
        widths = [len(heading) + 4 for heading in headings]
        n_rows = n_cut = 0
        for column, heading in enumerate(headings):
            sheet.write_string(0, column, heading, self.head)
        for record in records:
            n_rows += 1
            if n_rows >= MOST_ROWS:
                continue
            for column, value in enumerate(record):
                n_cut += self.write(sheet, n_rows, column, value)
                if n_rows <= _MEASURED_ROWS:
                    widths[column] = max(widths[column], len(_shown(value)) + 2)
        written = min(n_rows, MOST_ROWS - 1)
        if n_rows > written:
            self.cut.append(f"sheet {name}: the first {whole(written)} of {whole(n_rows)} rows")
        if n_cut:
            self.cut.append(f"sheet {name}: {whole(n_cut)} texts of more than {whole(MOST_CHARACTERS)} characters, cut")
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(width, _WIDEST))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, max(written, 1), len(headings) - 1)

    def add_frame(self, name: str, frame: pd.DataFrame, money: Sequence[str] = ()) -> None:
        """Write a frame as a sheet, with the exact text of each amount in `money` at its end."""
        names = [str(column) for column in frame.columns]
        money = [one for one in money if one in names]
        exact = [names.index(one) for one in money]
        records = (
            (*row, *(None if row[i] is None else f"{row[i]:f}" for i in exact))
            for row in frame.itertuples(index=False, name=None)
        )
        self.add_table(name, [*names, *(f"{one}_exact" for one in money)], records)


def _fitting(shown: str) -> str:
    """Return as much of a text as a cell holds."""
    if len(shown) <= MOST_CHARACTERS // 2:
        return shown
    return shown.encode("utf-16-le")[: 2 * MOST_CHARACTERS].decode("utf-16-le", "ignore")


def _shown(value: Any) -> str:
    """Return a value about as wide as it is shown."""
    if isinstance(value, Decimal):
        return f"{value:,.10f}".rstrip("0")
    return f"{value:,}" if isinstance(value, int) else str(value)[:_WIDEST]


def _write_tables(book: _Book, report: CostReport) -> None:
    counts = report.counts
    book.add_frame("Costs", report.frame, ["cost"])
    book.add_frame("Lines", report.lines, ["price", "list_price", "amount"])
    book.add_frame("Days", report.days, ["price", "list_price", "amount"])
    book.add_frame("Unpriced", report.unpriced)
    book.add_frame("Rejected", report.rejected)
    book.add_table("Rejected by reason", ("reason", "rows"), counts.reasons)
    book.add_frame("Other sources", report.comparison)
    files = [asdict(one) for one in counts.files]
    headings = list(asdict(counts.total))
    book.add_table("Files", headings, ([one[heading] for heading in headings] for one in files))


def _write_chart_data(book: _Book, report: CostReport) -> list[tuple[str, str, int, int]]:
    """Write what the charts show, and return each as (title, kind, first column, rows)."""
    by_name, by_day = _by_name(report), _by_day(report)
    sheet = book.add_sheet("Chart data")
    charts = []
    for title, kind, heading, first, sums in (
        ("Cost by deployment", "bar", "deployment", 0, by_name),
        ("Cost by day", "column", "day", 3, by_day),
    ):
        sheet.write_string(0, first, heading, book.head)
        sheet.write_string(0, first + 1, "cost", book.head)
        for row, (label, cost) in enumerate(sums, start=1):
            book.write(sheet, row, first, label)
            book.write(sheet, row, first + 1, cost)
        if sums:
            charts.append((title, kind, first, len(sums)))
    sheet.set_column(0, 0, _WIDEST // 2)
    sheet.set_column(1, 4, 16)
    sheet.freeze_panes(1, 0)
    return charts


def _by_name(report: CostReport) -> list[tuple[str, Decimal]]:
    """Return the costs by what the report is split by, the largest first, and what the others come to."""
    names = [name for name in columns(report)[0] if name != "period"]
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for row in rows(report.frame):
        if row.cost is not None:
            parts = (account(getattr(row, name)) if name == "resource" else getattr(row, name) for name in names)
            amounts["/".join(plain(part) for part in parts)].append(row.cost)
    sums = sorted(((name, exact_sum(costs)) for name, costs in amounts.items()), key=lambda one: (-one[1], one[0]))
    rest = sums[_SHOWN_BARS:]
    others = [(f"{whole(len(rest))} others", exact_sum(cost for _, cost in rest))] if rest else []
    return sums[:_SHOWN_BARS] + others


def _by_day(report: CostReport) -> list[tuple[date, Decimal]]:
    amounts: dict[date, list[Decimal]] = defaultdict(list)
    for row in rows(report.days):
        amounts[row.day].append(row.amount)
    return [(day, exact_sum(amounts[day])) for day in sorted(amounts)]


def _write_summary(book: _Book, sheet: Any, report: CostReport, charts: Sequence[tuple[str, str, int, int]]) -> None:
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 64)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, "Azure OpenAI cost", book.title)
    sheet.write_number(1, 1, float(report.total), book.total)
    bound, meaning = CERTAINTY[report.certainty]
    first, end = report.period or (None, None)
    facts = [
        ("Total", None),
        ("Currency", report.currency),
        ("Total, to the last digit", f"{report.total:f}"),
        ("Certainty", f"{bound or 'exact'}: {meaning}"),
        ("First day (UTC)", first),
        ("Day after the last one", end),
        ("Calls", report.requests),
        ("Not in the total: calls without tokens", report.unmetered),
        ("Not in the total: quantities, see Unpriced", len(report.unpriced)),
        ("Not in the total: rows, see Rejected", report.counts.total.rejected),
        ("Not in the total: see Other sources", report.counts.total.elsewhere),
        ("All files read to their end", "yes" if report.files_complete else "no"),
        *((words.capitalize(), count) for words, count in reading(report)),
        *(("Note" if i == 0 else "", note) for i, note in enumerate(report.notes)),
        *(("Cut, for Excel has no room", f"{one}; Parquet has all days, JSON all else") for one in book.cut),
    ]
    for row, (words, value) in enumerate(facts, start=1):
        sheet.write_string(row, 0, words, book.bold)
        if isinstance(value, int):
            sheet.write_number(row, 1, value, book.left)
        else:
            book.write(sheet, row, 1, value, book.wrapped)
    place = 0
    for title, kind, column, n_rows in charts:
        chart = _chart(book, title, kind, column, n_rows, report.currency)
        height = 300 if kind == "column" else 90 + 26 * n_rows
        chart.set_size({"width": 720, "height": height})
        sheet.insert_chart(place, 3, chart)
        place += height // 20 + 2
    sheet.activate()


def _chart(book: _Book, title: str, kind: str, column: int, n_rows: int, currency: str) -> Any:
    chart = book.book.add_chart({"type": kind})
    chart.add_series(
        {
            "name": f"Cost {currency}",
            "categories": ["Chart data", 1, column, n_rows, column],
            "values": ["Chart data", 1, column + 1, n_rows, column + 1],
            "fill": {"color": "#0B62C4"},
            "gap": 40,
        }
    )
    chart.set_title({"name": f"{title}, {currency}", "name_font": {"size": 12}})
    chart.set_legend({"none": True})
    if kind == "bar":
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis({"num_format": "#,##0.00", "major_gridlines": {"visible": True}})
    else:
        chart.set_x_axis({"date_axis": True, "num_format": "yyyy-mm-dd"})
        chart.set_y_axis({"num_format": "#,##0.00"})
    return chart
