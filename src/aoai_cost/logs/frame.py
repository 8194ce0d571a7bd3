"""The columns of a usage log, made from calls a column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .join import Calls
from .parts import Parts, Shared, some
from .rejects import Reject
from .schema import QUALITIES, Facets, Tokens

__all__ = ["COLUMNS", "in_order", "make_frame", "make_images", "make_recounted", "make_rejected"]

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
    "requests",
    "status",
    "latency_ms",
    "stream",
    "spillover",
    "service_tier",
    "user",
    "app",
    "usage_quality",
    "source_format",
    "source_file",
    "source_line",
    "request_id",
)
"""The columns of ``UsageLog.frame`` in order."""


def in_order(calls: Calls, shared: Shared) -> Calls:
    """Return the calls sorted by what they say, as the frame has them."""
    order = _told_order(calls.rows, shared)
    return Calls(some(calls.rows, order), calls.quality[order], calls.conflicts[order])


def make_frame(calls: Calls, shared: Shared, files: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frame of calls that are in order, and the table of what is not counted in tokens."""
    rows, quality = calls.rows, calls.quality
    facets = rows["facets"].astype(np.int64)
    columns: dict[str, Any] = {"timestamp": _times(rows["timestamp_us"])}
    for name in Facets._fields:
        values = [getattr(one, name) for one in shared.facets.all]
        if name in ("stream", "spillover"):
            flags = np.array([-1 if value is None else value for value in values], np.int8)[facets]
            columns[name] = pd.arrays.BooleanArray(flags == 1, flags < 0)
        else:
            columns[name] = _categories(values, facets)
    for i, name in enumerate(Tokens._fields):
        columns[name] = pd.arrays.IntegerArray(rows["tokens"][:, i].copy(), rows["known"] >> i & 1 == 0)
    columns["requests"] = pd.arrays.IntegerArray(np.maximum(rows["requests"], 0), rows["requests"] < 0)
    columns["status"] = pd.arrays.IntegerArray(rows["status"].copy(), rows["status"] == 0)
    columns["latency_ms"] = pd.arrays.FloatingArray(np.nan_to_num(rows["duration_ms"]), np.isnan(rows["duration_ms"]))
    columns["usage_quality"] = pd.Categorical.from_codes(quality.astype(np.int8), pd.Index(QUALITIES, dtype=object))
    columns["source_format"] = _categories(shared.formats, rows["source"].astype(np.int64))
    columns["source_file"] = _categories(files, rows["section"].astype(np.int64))
    columns["source_line"] = pd.array(rows["line"].copy(), dtype="Int64")
    columns["request_id"] = pd.array([shared.texts[i] for i in rows["text"].tolist()], dtype="string")
    return pd.DataFrame({name: columns[name] for name in COLUMNS}), _quantities(rows, shared)


def _told_order(rows: Parts, shared: Shared) -> Any:
    """Return the order of the frame: by what the calls say, so that no order of files changes it."""
    by_names = _ranks([repr(one) for one in shared.facets.all])[rows["facets"]]
    resources = _ranks([one.resource or "" for one in shared.facets.all])[rows["facets"]]
    # An id is shown by few logs more than once, so that ranks of its text are made only here.
    ids = _ranks([text or "" for text in shared.texts])[rows["text"]]
    # Only calls of one identity, or of none, can agree so far; their place decides last, between equals.
    told = [rows["tokens"][:, i] for i in range(len(Tokens._fields))]
    told += [
        rows["known"],
        rows["requests"],
        rows["quality"],
        rows["status"],
        np.nan_to_num(rows["duration_ms"], nan=-1.0),
        rows["call"],
    ]
    place = [rows["section"], rows["line"], rows["record"]]
    return np.lexsort([*reversed([rows["timestamp_us"], resources, ids, by_names, *told, *place])])


def _ranks(texts: Sequence[str]) -> Any:
    number = {text: i for i, text in enumerate(sorted(set(texts)))}
    return np.array([number[text] for text in texts], np.int64)


def _quantities(rows: Parts, shared: Shared) -> pd.DataFrame:
    found = [
        (row, *quantity)
        for row in np.flatnonzero(rows["quantities"]).tolist()
        for quantity in shared.quantities.all[rows["quantities"][row]]
    ]
    frame = pd.DataFrame(found, columns=["row", "meter", "modality", "variant", "quantity"])
    for name in ("meter", "modality", "variant"):
        frame[name] = _categories(frame[name].tolist(), np.arange(len(frame)))
    return frame.astype({"row": "int64", "quantity": "int64"})


def make_recounted(found: Sequence[tuple[int, str, int, str, int | None, int | None]]) -> pd.DataFrame:
    """Return what calls count under other models: the columns of ``UsageLog.recounted`` of each."""
    rows, models, tokens, certainties, outputs, served = _columns_of(found, 6)
    each = np.arange(len(found))
    return pd.DataFrame(
        {
            "row": np.array(rows, np.int64),
            "model": _categories(models, each),
            "input_tokens": np.array(tokens, np.int64),
            "input_certainty": _categories(certainties, each),
            "output_tokens": _numbers(outputs, "int64"),
            "served_tokens": _numbers(served, "int64"),
        }
    )


def make_images(found: Sequence[tuple[int, int, int, str, int]]) -> pd.DataFrame:
    """Return the images in requests: (row, width, height, detail, count) of each."""
    rows, widths, heights, details, counts = _columns_of(found, 5)
    return pd.DataFrame(
        {
            "row": np.array(rows, np.int64),
            "width_px": np.array(widths, np.int64),
            "height_px": np.array(heights, np.int64),
            "detail": _categories(details, np.arange(len(found))),
            "count": np.array(counts, np.int64),
        }
    )


def _columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def make_rejected(rows: Sequence[Reject], files: Sequence[str]) -> pd.DataFrame:
    """Return the rows that could not be read and are listed, in the order of files and lines."""
    numbered = {name: i for i, name in enumerate(files)}
    where = np.array([numbered[row.source_file] for row in rows], dtype=np.int64)
    each = np.arange(len(rows))
    return pd.DataFrame(
        {
            "source_file": _categories(list(files), where),
            "line": _numbers([row.line for row in rows], "int64"),
            "offset": _numbers([row.offset for row in rows], "int64"),
            "reason": _categories([row.reason for row in rows], each),
            "masked_row": _categories([row.masked_row for row in rows], each),
        }
    )


def _times(stamps: Any) -> pd.Series[Any]:
    # `NOT_A_TIME` is what NumPy writes for one.
    return pd.Series(stamps.copy().view("datetime64[us]")).dt.tz_localize("UTC")


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
