"""A cost report as files of every form, written whole or not at all; and JSON, the form that holds all of it."""

from __future__ import annotations

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
from .csv_file import report_csv
from .focus import report_focus
from .html import report_html
from .markdown import report_markdown

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["plain_value", "records", "report_head", "report_json", "write_report", "writer_of"]

SCHEMA = "aoai_cost.report/1"

_Writer = Callable[["CostReport"], bytes]


def report_json(report: CostReport) -> dict[str, Any]:
    """Return the whole report as plain data: amounts and prices are texts, so that no digit is lost.

    What it looks like is in ``report.schema.json`` beside this file. The finest view, ``report.days``, is in Parquet,
    Excel and FOCUS alone: it can be thousands of times as large.
    """
    return {
        **report_head(report),
        "rows": records(report.frame),
        "lines": records(report.lines),
        "rejected": records(report.rejected),
        "comparison": records(report.comparison),
        "reading": plain_value(report.counts.as_dict()),
    }


def report_head(report: CostReport) -> dict[str, Any]:
    """Return what a report says as a whole, and what is not in its total, as plain data."""
    return {
        "schema": SCHEMA,
        "period": None if report.period is None else [day.isoformat() for day in report.period],
        "total": f"{report.total:f}",
        "currency": report.currency,
        "certainty": report.certainty,
        "requests": report.requests,
        "unmetered": report.unmetered,
        "unpriced": records(report.unpriced),
        "files_complete": report.files_complete,
        "notes": plain_value(list(report.notes)),
    }


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain data."""
    columns = [str(column) for column in frame.columns]
    return [dict(zip(columns, map(plain_value, row), strict=True)) for row in frame.itertuples(index=False, name=None)]


def plain_value(value: Any) -> Any:
    """Return a value as JSON has it: amounts and days as texts, whatever is missing as None."""
    if isinstance(value, dict):
        return {key: plain_value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain_value(one) for one in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _csv(report: CostReport) -> bytes:
    return report_csv(report).encode()


def _focus(report: CostReport) -> bytes:
    return report_focus(report).encode()


def _html(report: CostReport) -> bytes:
    return report_html(report).encode()


def _json(report: CostReport) -> bytes:
    return orjson.dumps(report_json(report), option=orjson.OPT_INDENT_2) + b"\n"


def _markdown(report: CostReport) -> bytes:
    return report_markdown(report).encode()


def _load_parquet() -> _Writer:
    from .parquet import report_parquet

    return report_parquet


def _load_xlsx() -> _Writer:
    from .excel import report_xlsx

    return report_xlsx


_FORMS: dict[str, Callable[[], _Writer]] = {
    "csv": lambda: _csv,
    "html": lambda: _html,
    "json": lambda: _json,
    "md": lambda: _markdown,
    "parquet": _load_parquet,
    "xlsx": _load_xlsx,
    "focus": lambda: _focus,
}
"""What returns each form's writer; what needs an extra is loaded only for its form."""


def writer_of(path: str | os.PathLike[str], form: str | None = None) -> Callable[[CostReport], bytes]:
    """Return what makes a report the bytes of a file, as `write_report` chooses it.

    Raises
    ------
    RequestError, MissingExtraError
        As `write_report`.
    """
    name = os.fspath(path)
    if not name:
        raise RequestError("path", "is empty")
    chosen = form
    if chosen is None:
        is_focus = name.lower().endswith(".focus.csv")
        chosen = "focus" if is_focus else Path(name).suffix.lower().removeprefix(".")
    load = _FORMS.get(chosen)
    if load is None:
        raise RequestError("form", f"a report is written as {', '.join(_FORMS)}; found {shorten(chosen)}")
    return load()


def write_report(report: CostReport, path: str | os.PathLike[str], form: str | None = None) -> None:
    """Write the report as ``csv``, ``html``, ``json``, ``md``, ``parquet``, ``xlsx`` or ``focus``.

    By default the suffix of `path` says the form; ``focus``, rows as of a FOCUS bill in CSV, is ``.focus.csv``. One
    report always gives the same bytes. A file appears whole or not at all. A link is followed, and what is there and no
    file (a pipe, a device) is written to. docs/reports.md says what each form holds.

    Raises
    ------
    RequestError
        For another form or suffix, or an amount that Parquet cannot hold.
    MissingExtraError
        For ``parquet`` without pyarrow, or ``xlsx`` without xlsxwriter.
    OSError
        If the folder cannot be written to.
    """
    write_whole(path, writer_of(path, form)(report))
