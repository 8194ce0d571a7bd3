"""CSV of which a spreadsheet runs nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd

from .words import plain

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["csv_text", "report_csv"]

# What begins a formula; the wide forms are taken for the narrow ones in some languages.
_STARTS = "=+-@＝＋－＠"
# Programs differ in what they strip before they look: blanks, quotes, signs. So whatever is no letter and no digit is
# looked through.
_LIVE = re.compile(rf"[\W_]*?[{re.escape(_STARTS)}]")
_SIGNS = re.compile(r"[\W_]+")


def report_csv(report: CostReport) -> str:
    """Return ``report.frame`` as CSV: one row per period and deployment, exact amounts, no total row.

    An unknown cost is an empty cell.
    """
    rows = ((*row, report.currency) for row in report.frame.itertuples(index=False, name=None))
    return csv_text([*report.frame.columns, "currency"], rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV: numbers as they are, with all their digits, and texts that no spreadsheet runs.

    A text has a ``'`` put before it if one of ``= + - @`` comes before its first letter or digit, or if it begins with
    a ``'`` itself. Where columns are parted at semicolons, as in much of Europe, what follows a semicolon would be a
    cell of its own: before one of these signs it is written as ``\\u003b``. What cannot be printed is an escape, too.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(_cell, row) for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return _text(plain(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None or pd.isna(value) else value  # type: ignore[call-overload]


def _text(shown: str) -> str:
    """Return a text as a cell that stays one, and stays text."""
    kept = _SIGNS.sub(_without_live_semicolons, shown) if ";" in shown else shown
    return "'" + kept if kept.startswith("'") or _LIVE.match(kept) else kept


def _without_live_semicolons(signs: re.Match[str]) -> str:
    last = max(signs[0].rfind(start) for start in _STARTS)
    return signs[0][: last + 1].replace(";", "\\u003b") + signs[0][last + 1 :] if last >= 0 else signs[0]
