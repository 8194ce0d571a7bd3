"""A cost report as plain data, the form that holds all of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["plain_value", "records", "report_head", "report_json"]

SCHEMA = "aoai_cost.report/1"


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
