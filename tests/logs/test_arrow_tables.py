"""Tables in memory: the same calls from pandas, polars and Arrow, whatever their columns are made of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from log_rows import calls_of, check_counts

from aoai_cost import Deployment, Deployments, MissingExtraError, UsageFormatError, cost_report, read_usage
from aoai_cost.logs import sum_usage

NAMES = {"timestamp": "when", "prompt_tokens": "in_tok", "completion_tokens": "out_tok", "model": "llm"}
CHAT = Deployments([Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")])


class Stream:
    """Nothing but an Arrow stream: what any other library gives."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


MADE_OF: dict[str, Callable[[pa.Table], Any]] = {
    "polars": pl.from_arrow,
    "pyarrow table": lambda table: table,
    "pyarrow batch": lambda table: table.combine_chunks().to_batches()[0],
    "pyarrow reader": lambda table: table.to_reader(max_chunksize=2),
    "any stream": Stream,
    "pandas of Arrow types": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}


def table(**changes: pa.Array) -> pa.Table:
    """Three calls; columns may be given another type."""
    columns: dict[str, Any] = {
        "when": pa.array([datetime(2026, 10, 14, 2, 3, 59, 123456), datetime(2026, 10, 15), None]),
        "in_tok": pa.array([100, 5, None]),
        "out_tok": pa.array([10, None, 0]),
        "llm": pa.array(["gpt-4o-2024-11-20", None, "gpt-4o"]),
        "prompt": pa.array([{"text": "secret", "parts": [1]}, None, None]),
    }
    return pa.table(columns | changes)


ZONED = pa.timestamp("us", tz="Europe/Berlin")
CHANGES: dict[str, dict[str, pa.Array]] = {
    "as they are": {},
    "categoricals": {"llm": pa.array(["gpt-4o-2024-11-20", None, "gpt-4o"]).dictionary_encode()},
    "large strings": {"llm": pa.array(["gpt-4o-2024-11-20", None, "gpt-4o"], pa.large_string())},
    "numbers in texts": {"in_tok": pa.array(["100", "5.0", ""])},
    "small numbers": {"in_tok": pa.array([100, 5, None], pa.uint8())},
    "floats": {"in_tok": pa.array([100.0, 5.0, float("nan")])},
    "decimals": {"in_tok": pa.array([Decimal("100.00"), Decimal("5.00"), None])},
    "dates": {"when": pa.array([date(2026, 10, 14), date(2026, 10, 15), None])},
    "zones": {"when": pa.array([datetime(2026, 10, 14, 1, tzinfo=UTC), None, None]).cast(ZONED)},
    "nanoseconds": {"when": pa.array([1_791_943_439_123_456_789, None, None]).cast(pa.timestamp("ns"))},
    "epoch seconds": {"when": pa.array([1_791_943_439, None, None])},
    "counts in a struct": {"in_tok": pa.array([{"n": 100}, {"n": 5}, None])},
    "counts in a list": {"in_tok": pa.array([[100], [5], None])},
    "nothing but nulls": {"in_tok": pa.nulls(3)},
    "counts with a fraction": {"in_tok": pa.array([100.5, 5.0, None])},
}


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("made", MADE_OF)
def test_a_table_is_what_its_rows_are(made: str, changes: str) -> None:
    arrow = table(**CHANGES[changes])
    rows = pd.DataFrame(arrow.to_pylist(), columns=arrow.column_names, dtype=object)
    wanted = read_usage(rows, columns=NAMES)
    log = read_usage(MADE_OF[made](arrow), columns=NAMES)
    check_counts(log)
    assert calls_of(log) == calls_of(wanted)
    assert log.rejected[["line", "reason"]].equals(wanted.rejected[["line", "reason"]])
    assert len(log.frame) + len(log.rejected) == 3
    assert log.sums.groups == sum_usage(MADE_OF[made](arrow), columns=NAMES).groups


def test_what_a_type_says_is_what_is_read() -> None:
    log = read_usage(pl.from_arrow(table(**CHANGES["zones"])), columns=NAMES)
    assert str(log.frame["timestamp"].max()) == "2026-10-14 01:00:00+00:00"
    days = read_usage(pl.from_arrow(table(**CHANGES["dates"])), columns=NAMES).frame["timestamp"]
    assert sorted(days.dropna().astype(str)) == ["2026-10-14 00:00:00+00:00", "2026-10-15 00:00:00+00:00"]
    nested = read_usage(pl.from_arrow(table(**CHANGES["counts in a struct"])), columns=NAMES)
    assert nested.rejected["reason"].str.startswith("prompt_tokens").tolist() == [True, True]
    assert "secret" not in nested.rejected.to_string()


def test_types_of_polars_alone() -> None:
    frame = pl.DataFrame(
        {
            "when": pl.Series([datetime(2026, 10, 14, 2, tzinfo=ZoneInfo("Asia/Tokyo"))] * 2),
            "in_tok": pl.Series([100, 5], dtype=pl.Decimal(20, 0)),
            "out_tok": pl.Series(["10", None], dtype=pl.String),
            "llm": pl.Series(["gpt-4o", "gpt-4o"], dtype=pl.Enum(["gpt-4o"])),
        }
    )
    log = read_usage(frame, columns=NAMES)
    assert [str(one["timestamp"]) for one in calls_of(log)] == ["2026-10-13 17:00:00+00:00"] * 2
    assert sorted(log.frame["prompt_tokens"]) == [5, 100]
    assert log.frame["source_file"].unique().tolist() == ["DataFrame 1"]


@pytest.mark.parametrize("made", ["polars", "pyarrow table", "pyarrow reader", "any stream", "pandas of Arrow types"])
def test_no_rows_are_no_calls(made: str) -> None:
    log = read_usage(MADE_OF[made](table().slice(0, 0)), columns=NAMES)
    assert (len(log.frame), log.complete, len(log.counts.files)) == (0, True, 1)


def test_a_long_table_is_read_in_parts() -> None:
    n = 40_000
    arrow = pa.table({"in_tok": pa.array(range(n)), "when": pa.array([1_791_943_439] * n)})
    log = read_usage(arrow, columns={"prompt_tokens": "in_tok", "timestamp": "when"})
    assert log.frame.sort_values("source_line")["prompt_tokens"].tolist() == list(range(n))
    assert log.frame["source_line"].max() == n


@pytest.mark.parametrize("made", MADE_OF)
def test_a_report_takes_any_table_and_several(made: str) -> None:
    rows = table(**CHANGES["dates"])
    given = {"columns": NAMES, "deployment": "chat", "resource": "contoso", "deployments": CHAT}
    one = cost_report(MADE_OF[made](rows), **given)
    assert one.total == cost_report(rows.to_pandas(), **given).total > 0
    two = cost_report([MADE_OF[made](rows), rows.to_pandas()], **given)
    assert (two.requests, two.total) == (6, 2 * one.total)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(pl.DataFrame({"other": [1]}), "'a DataFrame', column 'in_tok': the column is not", id="no column"),
        pytest.param(pa.table([[1], [2]], names=["in_tok", "in_tok"]), "Table', .* more than once", id="two of a name"),
        pytest.param(pl.Series("in_tok", [1, 2]), "a Series': cannot be read", id="a column and no table"),
        pytest.param(pa.chunked_array([[1]]), "a ChunkedArray': cannot be read", id="an array"),
        pytest.param(
            pa.table({"in_tok": pa.array([2**60]).cast(pa.timestamp("s"))}),
            "a Table': cannot be read",
            id="a time that Python does not have",
        ),
        pytest.param(
            pa.table({"in_tok": pa.array([b"\xff"]).view(pa.string())}),
            "a Table': cannot be read",
            id="a text that is none",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(given: Any, reason: str) -> None:
    with pytest.raises(UsageFormatError, match=reason):
        read_usage(given, columns={"prompt_tokens": "in_tok"})
    with pytest.raises(UsageFormatError, match=reason):
        cost_report(given, columns={"prompt_tokens": "in_tok"})


def test_a_table_needs_columns_and_no_work_folder(tmp_path: Any) -> None:
    with pytest.raises(UsageFormatError, match="a Table': columns must say"):
        read_usage(table())
    with pytest.raises(UsageFormatError, match="a Table': work keeps"):
        sum_usage(table(), columns=NAMES, work=tmp_path / "work")


def test_without_pyarrow_pandas_is_read_and_the_others_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    arrow, frame = Stream(table()), pd.DataFrame([{"in_tok": 1}])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert len(read_usage(frame, columns={"prompt_tokens": "in_tok"}).frame) == 1
    with pytest.raises(MissingExtraError, match=r"aoai-cost\[parquet\]"):
        read_usage(arrow, columns=NAMES)
