"""The records in a JSON value: in arrays, in the wrappers of event hubs and REST answers, in tables and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["WRAPPERS", "Unreadable", "records_in"]

WRAPPERS = ("records", "value", "tables")
"""What a value may have that holds many records."""
_DEEPEST_WRAPPER = 3
_METRIC_OF = re.compile(r"/providers/microsoft\.insights/metrics/[^/]*$", re.IGNORECASE)


class Unreadable(NamedTuple):
    """A record that cannot be made out."""

    reason: str


def records_in(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the records in a value; what holds none is a record itself."""
    if depth < _DEEPEST_WRAPPER:
        if isinstance(value, dict):
            if _are_tables(value.get("tables")):
                for table in value["tables"]:
                    yield from _rows_of(table)
                if value.get("error"):
                    yield Unreadable("the answer of the query says that it is not complete")
                return
            wrapped = next((value[name] for name in ("records", "value") if isinstance(value.get(name), list)), None)
            if wrapped is not None:
                for one in wrapped:
                    if isinstance(one, dict) and isinstance(one.get("timeseries"), list):
                        yield from _points_of(one, value)
                    else:
                        yield from records_in(one, depth + 1)
                return
        if isinstance(value, list):
            for one in value:
                yield from records_in(one, depth + 1)
            return
    yield value


def _are_tables(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict) and isinstance(one.get("columns"), list) and isinstance(one.get("rows"), list)
            for one in value
        )
    )


def _rows_of(table: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the rows of a table that a query gave."""
    names = [column.get("name") if isinstance(column, dict) else None for column in table["columns"]]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        yield Unreadable("the columns of a table have no names, or two of them the same")
        return
    for row in table["rows"]:
        if isinstance(row, list) and len(row) == len(names):
            yield dict(zip(names, row, strict=True))
        else:
            yield Unreadable("a row of a table has not as many values as the table has columns")


def _points_of(metric: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[Any]:
    """Yield each point of a metric as the line that diagnostic settings would write of it, with its dimensions."""
    name, metric_id = metric.get("name"), metric.get("id")
    shared = {
        "metricName": name.get("value") if isinstance(name, dict) else name,
        "resourceId": _METRIC_OF.sub("", metric_id) if isinstance(metric_id, str) else metric_id,
        "timeGrain": answer.get("interval"),
        "location": answer.get("resourceregion"),
    }
    if metric.get("errorCode") not in (None, "Success"):
        yield Unreadable("Azure Monitor gave an error instead of this metric")
    found = False
    all_dimensions = [_dimensions_of(series) for series in metric["timeseries"]]
    # A series may lack a dimension by which the others are split: it is of the same view as they are.
    names = dict.fromkeys(name for one in all_dimensions if one is not None for name in one)
    for series, dimensions in zip(metric["timeseries"], all_dimensions, strict=True):
        points = series.get("data") if dimensions is not None else None
        if not isinstance(points, list) or dimensions is None or not all(isinstance(one, dict) for one in points):
            yield Unreadable("a series of a metric has no data, or dimensions without names")
            continue
        told = names | dimensions
        for point in points:
            found = True
            yield {**shared, "time": point.get("timeStamp"), "total": point.get("total"), "dimensions": told}
    if not found:
        yield shared


def _dimensions_of(series: Any) -> dict[str, Any] | None:
    """Return the dimensions of a series by their names in lower case, which is how some answers write them."""
    values = series.get("metadatavalues") or [] if isinstance(series, dict) else None
    if not isinstance(values, list):
        return None
    found: dict[str, Any] = {}
    for one in values:
        name = one.get("name") if isinstance(one, dict) else None
        name = name.get("value") if isinstance(name, dict) else name
        if not isinstance(name, str):
            return None
        found[name.lower()] = one.get("value")
    return found
