"""A cost report as files of every form, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ..errors import RequestError, shorten
from ..whole_file import write_whole
from .csv_file import report_csv
from .focus import report_focus
from .html import report_html
from .json_file import report_json
from .markdown import report_markdown

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["write_report", "writer_of"]

_Writer = Callable[["CostReport"], bytes]


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
        For what is no report, for another form or suffix, or an amount that Parquet cannot hold.
    MissingExtraError
        For ``parquet`` without pyarrow, or ``xlsx`` without xlsxwriter.
    OSError
        If the folder cannot be written to.
    """
    from ..report import CostReport

    if not isinstance(report, CostReport):
        raise RequestError("report", f"must be what cost_report returns; found {type(report).__name__}")
    write_whole(path, writer_of(path, form)(report))
