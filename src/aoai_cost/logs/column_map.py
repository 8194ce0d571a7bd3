"""Plain sources: any table of calls, once the user says which column holds what."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ..catalog import arm_region, arm_resource
from ..errors import UsageFormatError
from ..sources.raw import Raw
from ..sources.tables import ArrowTable, check_columns, read_arrow
from .fields import served_model, to_count, to_duration_ms, to_flag, to_status, to_text, to_timestamp_us
from .operations import api_of
from .schema import Facets, Identity, LogFormat, Part, PartKind, Tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAPPED", "TARGETS", "ColumnMap"]

MAPPED = "columns"
"""What the format of rows is called that a map reads."""

TARGETS = (
    "timestamp",
    "request_id",
    *Facets._fields,
    *Tokens._fields,
    "requests",
    "status",
    "latency_ms",
)
"""What a column of the user's can be, as in ``UsageLog.frame``."""

_WHOLE = re.compile(r"(\d{1,20})\.0+", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class ColumnMap:
    """Reads rows by a map from names of `TARGETS` to the columns that hold them.

    Raises
    ------
    UsageFormatError
        For a map that is empty, or names a target that there is not, or a column that cannot be one.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        if not columns:
            raise UsageFormatError("", "columns is empty; name what each column holds, such as 'prompt_tokens'")
        for target, column in columns.items():
            if target not in TARGETS:
                near = get_close_matches(str(target)[:100], TARGETS, n=1) or TARGETS
                reason = f"no call has such a property, so columns cannot name it; did you mean {', '.join(near)}?"
                raise UsageFormatError("", reason, 0, str(target))
            if not isinstance(column, str):
                raise UsageFormatError("", f"the column for {target} must be a text")
        self.columns = dict(columns)
        self.format = LogFormat(MAPPED, self._sniff, self._read, names_deployment=False, names_resource=False)
        self._unseen = set(columns.values())
        self._has_rows = False

    @property
    def unseen(self) -> frozenset[str] | None:
        """The columns that no row had; None where there was no row."""
        return frozenset(self._unseen) if self._has_rows else None

    def rows_of(self, frame: ArrowTable) -> Iterator[Raw]:
        """Yield the rows of a table in memory, numbered from 1; only the columns of the map are looked at."""
        names = sorted(set(self.columns.values()))
        rows = chain.from_iterable(zip(*cells, strict=True) for cells in _cells(frame, names))
        for number, row in enumerate(rows, start=1):
            yield Raw(number, None, dict(zip(names, row, strict=True)))
        self._unseen.difference_update(names)

    def _sniff(self, record: Mapping[str, Any]) -> bool:
        self._has_rows = True
        if self._unseen:
            self._unseen.difference_update(record.keys())
        return any(column in record for column in self.columns.values())

    def _read(self, record: Mapping[str, Any]) -> tuple[Identity | None, Part]:
        def of(target: str) -> Any:
            column = self.columns.get(target)
            value = None if column is None else record.get(column)
            if isinstance(value, (np.generic, np.ndarray)):
                value = value.tolist()
            return None if _is_null(value) else value

        def text(target: str) -> str | None:
            return to_text(_as_text(of(target)), target)

        resource, region, tier = text("resource"), text("region"), text("service_tier")
        model, version = served_model(text("model"), text("version"))
        operation = text("operation")
        stream = of("stream")
        facets = Facets(
            resource=None if resource is None else arm_resource(resource),
            region=None if region is None else arm_region(region),
            deployment=text("deployment"),
            model=model,
            version=version,
            api=text("api") or api_of(operation),
            operation=operation,
            stream=to_flag(stream),
            service_tier=None if tier is None else tier.lower(),
            user=text("user"),
            app=text("app"),
            spillover=to_flag(of("spillover")),
        )
        requests = to_count(_as_number(of("requests")), "requests") if "requests" in self.columns else 1
        request_id = text("request_id")
        part = Part(
            PartKind.USAGE,
            "",
            facets,
            _timestamp_us(of("timestamp")),
            Tokens(*(to_count(_as_number(of(name)), name) for name in Tokens._fields)).checked(),
            to_status(_as_number(of("status"))),
            to_duration_ms(of("latency_ms")),
            request_id,
            quality="measured" if requests == 1 else "aggregated",
            # Without such a column each row is one call; an empty cell of it does not say.
            requests=requests,
        )
        return (request_id,) if request_id is not None else None, part


def _cells(frame: ArrowTable, names: Sequence[str]) -> Iterator[list[list[Any]]]:
    """Yield the values of some columns, some rows at a time."""
    if not _is_pandas(frame):
        yield from read_arrow(frame, names)
        return
    check_columns(frame, list(frame.columns), names)
    yield [frame[name].astype("object").tolist() for name in names]


def _is_pandas(frame: object) -> TypeGuard[pd.DataFrame]:
    # Whoever gives one has loaded pandas, which takes long.
    return "pandas" in sys.modules and isinstance(frame, sys.modules["pandas"].DataFrame)


def _is_null(value: Any) -> bool:
    # pandas is loaded where a value of its own comes from, and takes long to load.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, str):
        return value == "" or value.lower() == "nan"
    return (isinstance(value, float) and math.isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def _as_number(value: Any) -> Any:
    """Return what `to_count` reads for a number that is whole, whatever the source writes it as."""
    if isinstance(value, str):
        match = _WHOLE.fullmatch(value.strip())
        return match[1] if match is not None else value.strip()
    if isinstance(value, (float, Decimal)):
        # Above this a float has lost the last digits.
        return int(value) if -(2**53) < value < 2**53 and value % 1 == 0 else value
    return value


def _as_text(value: Any) -> Any:
    number = _as_number(value) if isinstance(value, (float, Decimal)) else value
    return str(number) if type(number) is int else number


def _timestamp_us(value: Any) -> int | None:
    if isinstance(value, datetime):
        value = (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    elif isinstance(value, date):
        value = value.isoformat()
    elif isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, str) and _DAY.fullmatch(value):
        value += "T00:00:00"
    return to_timestamp_us(value, "timestamp")
