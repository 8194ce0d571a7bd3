"""The columns of a usage log, made from calls a column at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from .join import Call
from .schema import QUALITIES, Facets, Tokens

__all__ = ["COLUMNS", "make_frame", "make_quantities", "make_rejected"]

COLUMNS = (
    "timestamp",
    "resource",
    "region",
    "deployment",
    "model",
    "version",
    "api",
    "operation",
    *Tokens._fields,
    "status",
    "latency_ms",
    "stream",
    "service_tier",
    "usage_quality",
    "source_format",
    "source_file",
    "source_line",
    "request_id",
)
"""The columns of ``UsageLog.frame`` in order."""

_NOT_A_TIME = np.iinfo(np.int64).min


def make_frame(calls: Iterable[Call], files: Sequence[str]) -> tuple[pd.DataFrame, list[Call]]:
    """Return the frame, sorted by what the calls say, and the calls in its order."""
    ordered: list[Call] = []
    for _, run in groupby(sorted(calls, key=_told), key=_told):
        # Only calls of one identity, or of none, can agree so far; their place decides last, between equals.
        same = list(run)
        ordered += same if len(same) == 1 else sorted(same, key=lambda call: (repr(call[1:]), call.place))
    columns: dict[str, Any] = {"timestamp": _times([call.timestamp_us for call in ordered])}
    shared = list(dict.fromkeys(call.facets for call in ordered))
    numbered = {facets: i for i, facets in enumerate(shared)}
    of_call = np.array([numbered[call.facets] for call in ordered], dtype=np.int64)
    for name in Facets._fields:
        values = [getattr(facets, name) for facets in shared]
        if name == "stream":
            columns[name] = pd.array([values[i] for i in of_call.tolist()], dtype="boolean")
        else:
            columns[name] = _categories(values, of_call)
    for i, name in enumerate(Tokens._fields):
        columns[name] = _numbers([call.tokens[i] for call in ordered], "int64")
    columns["status"] = _numbers([call.status for call in ordered], "int16")
    columns["latency_ms"] = _numbers([call.latency_ms for call in ordered], "float64")
    columns["usage_quality"] = pd.Categorical.from_codes(
        [QUALITIES.index(call.quality) for call in ordered], pd.Index(QUALITIES, dtype=object)
    )
    formats = [call.source_format for call in ordered]
    columns["source_format"] = _categories(formats, np.arange(len(ordered)))
    columns["source_file"] = _categories(list(files), np.array([call.place.file for call in ordered], dtype=np.int64))
    columns["source_line"] = pd.array([call.place.line for call in ordered], dtype="Int64")
    columns["request_id"] = pd.array([call.request_id for call in ordered], dtype="string")
    return pd.DataFrame({name: columns[name] for name in COLUMNS}), ordered


def make_quantities(calls: Sequence[Call]) -> pd.DataFrame:
    """Return what is not counted in tokens, one row per call and meter."""
    rows = [(i, *quantity) for i, call in enumerate(calls) for quantity in call.quantities]
    frame = pd.DataFrame(rows, columns=["row", "meter", "modality", "variant", "quantity"])
    for name in ("meter", "modality", "variant"):
        frame[name] = _categories(frame[name].tolist(), np.arange(len(frame)))
    return frame.astype({"row": "int64", "quantity": "int64"})


def make_rejected(rows: Sequence[tuple[str, int | None, int | None, str]], files: Sequence[str]) -> pd.DataFrame:
    """Return the rows that could not be read, in the order of files and lines."""
    numbered = {name: i for i, name in enumerate(files)}
    where = np.array([numbered[row[0]] for row in rows], dtype=np.int64)
    return pd.DataFrame(
        {
            "source_file": _categories(list(files), where),
            "line": _numbers([row[1] for row in rows], "int64"),
            "offset": _numbers([row[2] for row in rows], "int64"),
            "reason": _categories([row[3] for row in rows], np.arange(len(rows))),
        }
    )


def _told(call: Call) -> tuple[int, str, str]:
    stamp = call.timestamp_us if call.timestamp_us is not None else _NOT_A_TIME
    return stamp, call.facets.resource or "", call.request_id or ""


def _times(values: list[int | None]) -> pd.Series[Any]:
    stamps = np.array([_NOT_A_TIME if value is None else value for value in values], dtype=np.int64)
    return pd.Series(stamps.view("datetime64[us]")).dt.tz_localize("UTC")


def _categories(values: Sequence[str | None], codes: Any) -> pd.Categorical:
    """Return the values that `codes` choose as a category; only names that occur, sorted."""
    used = sorted({value for i in np.unique(codes).tolist() if (value := values[i]) is not None})
    numbered: dict[str | None, int] = {value: i for i, value in enumerate(used)}
    lookup = np.array([numbered.get(value, -1) for value in values], dtype=np.int64)
    return pd.Categorical.from_codes(lookup[codes] if len(codes) else [], pd.Index(used, dtype=object))


def _numbers(values: list[Any], dtype: str) -> Any:
    missing = np.array([value is None for value in values], dtype=bool)
    filled = np.array([0 if value is None else value for value in values], dtype=dtype)
    return (pd.arrays.FloatingArray if dtype == "float64" else pd.arrays.IntegerArray)(filled, missing)
