"""The priced lines of a cost report as Parquet, by day, user and app."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

import orjson

from ..errors import MissingExtraError, RequestError
from .json_file import report_head
from .words import finest

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise MissingExtraError("parquet") from None

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_parquet"]

_PLACES = 20
_DECIMAL = pa.decimal128(38, _PLACES)
_LAST_PLACE = Decimal(1).scaleb(-_PLACES)
_CONTEXT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_LARGEST = Decimal(10) ** (38 - _PLACES)
_NAMES = pa.dictionary(pa.int32(), pa.string())
_TYPES = {"day": pa.date32(), "effective_from": pa.date32(), "quantity": pa.int64()}


def report_parquet(report: CostReport) -> bytes:
    """Return ``report.days`` as Parquet, with the currency beside each amount.

    ``amount`` and ``price`` are decimal128(38, 20), which is exact but for what was priced by the hour and does not
    divide; ``amount_exact`` and ``price_exact`` are texts with all digits, which add up to the total to the last one.
    Names are dictionaries, days date32. What is of the whole report (total, certainty, what has no price, notes, what
    was read) is the JSON under the key ``aoai_cost.report`` of the file's metadata.

    Raises
    ------
    RequestError
        If an amount has more than 18 digits before the point.
    """
    frame = finest(report)
    columns = {str(name): list(frame[name]) for name in frame.columns}
    arrays = {}
    for name, values in columns.items():
        if name in ("amount", "price", "list_price"):
            arrays[name] = pa.array([_rounded(name, value) for value in values], _DECIMAL)
            arrays[f"{name}_exact"] = pa.array([f"{value:f}" for value in values], pa.string())
        elif name in _TYPES:
            arrays[name] = pa.array(values, _TYPES[name])
        else:
            arrays[name] = _names(values)
    arrays["currency"] = _names([report.currency] * len(frame))
    told = orjson.dumps(report_head(report))
    table = pa.table(arrays).replace_schema_metadata({b"aoai_cost.report": told})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _rounded(name: str, value: Decimal) -> Decimal:
    if abs(value) >= _LARGEST:
        raise RequestError(name, f"{value:.3E} has more digits before the point than Parquet's decimal128 holds here")
    return _CONTEXT.quantize(value, _LAST_PLACE)


def _names(values: Sequence[Any]) -> Any:
    """Return texts as a dictionary array; lone surrogates, which no UTF-8 holds, become question marks as in JSON."""
    texts = [None if value is None else str(value).encode("utf-8", "replace").decode() for value in values]
    return pa.array(texts, pa.string()).dictionary_encode().cast(_NAMES)
