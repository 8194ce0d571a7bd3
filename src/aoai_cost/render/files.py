"""A cost report as files: CSV, JSON and HTML, written whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd

from ..errors import RequestError, shorten
from ..whole_file import write_whole
from .html import report_html
from .words import plain

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["plain_value", "records", "report_csv", "report_json", "write_report"]

SCHEMA = "aoai_cost.report/1"
# A spreadsheet runs a cell that begins with one of these, some also the wide forms; a quote before it keeps it text.
_FORMULA_STARTS = tuple("=+-@＝＋－＠")


def report_csv(report: CostReport) -> str:
    """Return ``report.frame`` as CSV: one row per period and deployment, exact amounts, no total row.

    An unknown cost is an empty cell.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*report.frame.columns, "currency"])
    for row in report.frame.itertuples(index=False, name=None):
        writer.writerow([*(_cell(value) for value in row), report.currency])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        shown = plain(value)
        return "'" + shown if shown.startswith(_FORMULA_STARTS) else shown
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None or pd.isna(value) else value  # type: ignore[call-overload]


def report_json(report: CostReport) -> dict[str, Any]:
    """Return the whole report as plain data: amounts and prices are texts, so that no digit is lost."""
    return {
        "schema": SCHEMA,
        "period": None if report.period is None else [day.isoformat() for day in report.period],
        "total": f"{report.total:f}",
        "currency": report.currency,
        "certainty": report.certainty,
        "requests": report.requests,
        "unmetered": report.unmetered,
        "rows": records(report.frame),
        "lines": records(report.lines),
        "unpriced": records(report.unpriced),
        "rejected": records(report.rejected),
        "comparison": records(report.comparison),
        "reading": report.counts.as_dict(),
        "files_complete": report.files_complete,
        "notes": list(report.notes),
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain data."""
    columns = [str(column) for column in frame.columns]
    return [dict(zip(columns, map(plain_value, row), strict=True)) for row in frame.itertuples(index=False, name=None)]


def plain_value(value: Any) -> Any:
    """Return a value as JSON has it: amounts and days as texts, whatever is missing as None."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _json_text(report: CostReport) -> str:
    return orjson.dumps(report_json(report), option=orjson.OPT_INDENT_2).decode() + "\n"


_WRITERS: dict[str, Callable[[CostReport], str]] = {"csv": report_csv, "html": report_html, "json": _json_text}


def write_report(report: CostReport, path: str | os.PathLike[str], form: str | None = None) -> None:
    """Write the report as ``csv``, ``html`` or ``json``; by default as the suffix of `path` says.

    A file appears whole or not at all. A link is followed, and what is there and no file (a pipe, a device) is written
    to.

    Raises
    ------
    RequestError
        For another form or suffix.
    OSError
        If the folder cannot be written to.
    """
    if not os.fspath(path):
        raise RequestError("path", "is empty")
    chosen = form if form is not None else Path(path).suffix.lower().removeprefix(".")
    make = _WRITERS.get(chosen)
    if make is None:
        raise RequestError("form", f"a report is written as {', '.join(_WRITERS)}; found {shorten(chosen)}")
    write_whole(path, make(report).encode("utf-8"))
