"""Plain sources: what a column map reads, and what it refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_rows import calls_of, check_counts, lines_of, read_rows, total, usage_row

from aoai_cost import Deployment, Deployments, UsageFormatError, cost_report, read_usage
from aoai_cost.logs import LOG_FORMATS, sum_usage
from aoai_cost.logs.column_map import TARGETS
from aoai_cost.logs.frame import COLUMNS

NAMES = {"timestamp": "when", "prompt_tokens": "in_tok", "completion_tokens": "out_tok", "model": "llm"}


def row(**changes: Any) -> dict[str, Any]:
    return {"when": "2026-10-14 02:03:59", "in_tok": 100, "out_tok": 10, "llm": "gpt-4o-2024-11-20", **changes}


def test_json_lines_are_read_by_their_columns(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [row(), row(in_tok="7"), row(prompt="secret", in_tok=[1])], columns=NAMES)
    check_counts(log)
    assert (len(log.frame), total(log, "prompt_tokens")) == (3, 108)
    call = calls_of(log)[0]
    assert (call["model"], call["version"], call["source_format"]) == ("gpt-4o", "2024-11-20", "columns")
    assert str(call["timestamp"]) == "2026-10-14 02:03:59+00:00"


def test_a_frame_is_what_its_lines_are(tmp_path: Path) -> None:
    rows = [row(), row(in_tok=5, out_tok=None), row(when="2026-10-15T00:00:00+02:00")]
    (tmp_path / "a.jsonl").write_bytes(lines_of(rows))
    lines, frame = read_usage(tmp_path, columns=NAMES), read_usage(pd.DataFrame(rows), columns=NAMES)
    assert calls_of(frame) == calls_of(lines)
    assert frame.frame["source_file"].tolist() == ["DataFrame 1"] * 3
    assert sorted(frame.frame["source_line"]) == [1, 2, 3]
    assert frame.sums.groups == sum_usage(pd.DataFrame(rows), columns=NAMES).groups


@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet", "csv.gz"])
def test_a_table_is_what_its_frame_is(tmp_path: Path, kind: str) -> None:
    rows = [row(note="secret"), row(in_tok=5, out_tok=None), row(when="2026-10-15T00:00:00+02:00", llm=None)]
    frame = pd.DataFrame(rows).astype({"out_tok": "Int64"})
    if kind == "parquet":
        frame.to_parquet(tmp_path / "log")
    else:
        compression = "gzip" if kind == "csv.gz" else None
        frame.to_csv(tmp_path / "log", index=False, sep=";" if kind == "semicolons" else ",", compression=compression)
    log = read_usage(tmp_path / "log", columns=NAMES)
    check_counts(log)
    assert calls_of(log) == calls_of(read_usage(frame, columns=NAMES))
    assert (total(log, "prompt_tokens"), log.counts.total.unmetered) == (205, 1)


@pytest.mark.parametrize(
    ("written", "count"),
    [
        pytest.param(12, 12, id="an int"),
        pytest.param(12.0, 12, id="a float that is whole"),
        pytest.param("12", 12, id="a text"),
        pytest.param("12.0", 12, id="the text of a float"),
        pytest.param(" 12 ", 12, id="a text with blanks"),
        pytest.param(Decimal("12"), 12, id="a Decimal"),
        pytest.param(np.int32(12), 12, id="a NumPy int"),
        pytest.param(np.float32(12), 12, id="a NumPy float"),
        pytest.param(float("nan"), None, id="NaN"),
        pytest.param("NaN", None, id="the text of NaN"),
        pytest.param(Decimal("NaN"), None, id="the NaN of a Decimal"),
        pytest.param(pd.NA, None, id="NA"),
        pytest.param(None, None, id="None"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_count_of_a_plain_source(written: Any, count: int | None) -> None:
    frame = pd.DataFrame({**row(), "in_tok": pd.Series([written], dtype="object")})
    log = read_usage(frame, columns=NAMES)
    check_counts(log)
    assert calls_of(log)[0]["prompt_tokens"] == count
    assert calls_of(log)[0]["usage_quality"] == ("missing" if count is None else "measured")


@pytest.mark.parametrize(
    "written",
    [12.5, "12.5", "twelve", -1, -1.0, True, float("inf"), Decimal("0.5"), Decimal("1e99"), 2.0**60, "1,200", {}],
    ids=str,
)
def test_a_count_that_is_not_sure_is_rejected(written: Any) -> None:
    frame = pd.DataFrame({**row(), "in_tok": pd.Series([written, 1], dtype="object")})
    log = read_usage(frame, columns=NAMES)
    check_counts(log)
    assert (len(log.frame), log.rejected["reason"].str.startswith("prompt_tokens").tolist()) == (1, [True])
    with pytest.raises(UsageFormatError, match="DataFrame 1', line 1: prompt_tokens"):
        read_usage(frame, columns=NAMES, strict=True)


@pytest.mark.parametrize(
    "written",
    [
        "2026-10-14T02:00:00Z",
        1_791_943_200,
        1_791_943_200.0,
        datetime(2026, 10, 14, 2),
        datetime(2026, 10, 14, 2, tzinfo=UTC),
        pd.Timestamp("2026-10-14 04:00", tz="Europe/Berlin"),
        np.datetime64("2026-10-14T02:00:00"),
    ],
    ids=repr,
)
def test_a_time_of_a_plain_source(written: Any) -> None:
    frame = pd.DataFrame({**row(), "when": pd.Series([written], dtype="object")})
    assert str(read_usage(frame, columns=NAMES).frame["timestamp"][0]) == "2026-10-14 02:00:00+00:00"


@pytest.mark.parametrize("written", [date(2026, 10, 14), "2026-10-14"], ids=["a date", "a text"])
def test_a_date_is_its_midnight(written: Any) -> None:
    frame = pd.DataFrame([row(when=written)])
    assert str(read_usage(frame, columns=NAMES).frame["timestamp"][0]) == "2026-10-14 00:00:00+00:00"


@pytest.mark.parametrize("written", ["2026-10-32", "20261014", "2026-W42-3", "14-10-2026", "2026-10-14T"])
def test_what_is_no_date_is_rejected(written: str) -> None:
    assert read_usage(pd.DataFrame([row(when=written)]), columns=NAMES).counts.total.rejected == 1


def test_times_of_a_typed_column_keep_their_microseconds() -> None:
    frame = pd.DataFrame([row()]).assign(when=pd.to_datetime(["2026-10-14 02:03:59.123456"]))
    assert str(read_usage(frame, columns=NAMES).frame["timestamp"][0]) == "2026-10-14 02:03:59.123456+00:00"


def test_a_request_id_makes_copies_one_call(tmp_path: Path) -> None:
    rows = [row(id=7), row(id=7.0), row(id="8"), row(id=None), row(id=None)]
    named = read_rows(tmp_path, rows, rows[:1], columns={**NAMES, "request_id": "id"})
    check_counts(named)
    assert (named.counts.total.requests, named.counts.total.duplicates) == (4, 2)
    assert len(read_rows(tmp_path, rows, rows[:1], columns=NAMES).frame) == 6


def test_every_column_of_a_log_can_be_given() -> None:
    told = {
        "timestamp": "2026-10-14T02:00:00Z",
        **{"request_id": 5, "resource": "Contoso/", "region": "East US", "deployment": "chat", "model": "gpt-4o"},
        **{"version": "2024-11-20", "api": "chat", "operation": "create", "stream": "True", "service_tier": "Priority"},
        **{"spillover": "false", "user": 42.0, "app": "shop", "status": 200.0, "latency_ms": "12.5", "requests": 3},
        **{"prompt_tokens": 100, "cached_tokens": 50, "cache_write_tokens": 5, "completion_tokens": 20},
        **{"reasoning_tokens": 5, "audio_in": 1, "audio_out": 1, "image_in": 1, "image_out": 1},
        **{"cached_audio": 1, "cached_image": 1},
    }
    assert set(told) == set(TARGETS)
    frame = pd.DataFrame([{f"my {name}": value for name, value in told.items()}])
    call = calls_of(read_usage(frame, columns={name: f"my {name}" for name in TARGETS}))[0]
    written = {"resource": "contoso", "region": "eastus", "stream": True, "service_tier": "priority", "user": "42"}
    written |= {"spillover": False}
    written |= {"request_id": "5", "latency_ms": 12.5, "status": 200, "usage_quality": "aggregated"}
    written["timestamp"] = pd.Timestamp("2026-10-14T02:00:00Z")
    assert {name: call[name] for name in {**told, **written}} == {**told, **written}
    assert set(TARGETS) < set(COLUMNS)


def test_a_part_beyond_its_whole_is_rejected() -> None:
    frame = pd.DataFrame([row(cached=101), row(cached=1)])
    log = read_usage(frame, columns={**NAMES, "cached_tokens": "cached"})
    assert log.rejected["reason"].str.contains("exceed").tolist() == [True]


def test_a_report_takes_what_was_read() -> None:
    chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    log = read_usage(pd.DataFrame([row()]), columns=NAMES, deployment="chat", resource="contoso")
    report = cost_report(log, deployments=Deployments([chat]))
    assert (report.requests, report.unmetered, len(report.unpriced)) == (1, 0, 0)
    assert report.total > 0


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        pytest.param({}, "columns is empty", id="an empty map"),
        pytest.param({"promt_tokens": "in_tok"}, "column 'promt_tokens': .* prompt_tokens", id="a name there is not"),
        pytest.param({"usage_quality": "in_tok"}, "no call has such a property", id="what only reading can tell"),
        pytest.param({"prompt_tokens": "in_tokn"}, "column 'in_tokn'", id="a column that is misspelled"),
        pytest.param({"prompt_tokens": 3}, "column for prompt_tokens must be a text", id="a number"),
    ],
)
def test_a_map_that_cannot_be_meant_is_an_error(tmp_path: Path, columns: Any, what: str) -> None:
    with pytest.raises(UsageFormatError, match=what):
        read_rows(tmp_path, [row()], columns=columns)
    with pytest.raises(UsageFormatError, match=what):
        read_usage(pd.DataFrame([row()]), columns=columns)


def test_a_column_that_only_some_rows_have_is_null_in_the_others(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [row(), row(cached=5)], [row()], columns={**NAMES, "cached_tokens": "cached"})
    assert sorted(log.frame["cached_tokens"].fillna(-1)) == [-1, -1, 5]


def test_a_log_without_rows_has_no_column_to_miss(tmp_path: Path) -> None:
    assert len(read_rows(tmp_path, [], columns=NAMES).frame) == 0
    (tmp_path / "000.jsonl").write_bytes(b"{torn\n")
    with pytest.raises(UsageFormatError, match=r"not JSON.*; no row has any of the columns that were named$"):
        read_usage(tmp_path, columns=NAMES)


def test_rows_with_none_of_the_columns_are_rejected(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [row(), {"other": 1}, usage_row()], columns=NAMES)
    check_counts(log)
    assert log.rejected["reason"].tolist() == ["the row has none of the columns that were named"] * 2


def test_a_frame_needs_columns_and_columns_no_format(tmp_path: Path) -> None:
    with pytest.raises(UsageFormatError, match="columns must say"):
        read_usage(pd.DataFrame([row()]))
    with pytest.raises(UsageFormatError, match="exclude each other"):
        read_usage(pd.DataFrame([row()]), columns=NAMES, format="litellm")
    doubled = pd.DataFrame([[1, 2]], columns=["in_tok", "in_tok"])
    with pytest.raises(UsageFormatError, match="more than once"):
        read_usage(doubled, columns={"prompt_tokens": "in_tok"})
    assert "columns" not in LOG_FORMATS


def test_frames_and_files_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines_of([row()]))
    log = read_usage(tmp_path, pd.DataFrame([row()]), pd.DataFrame([row()]), columns=NAMES)
    check_counts(log)
    assert [one.source_file for one in log.counts.files][1:] == ["DataFrame 1", "DataFrame 2"]
    assert len(read_usage(pd.DataFrame({"in_tok": []}), columns={"prompt_tokens": "in_tok"}).frame) == 0


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.datetimes()


@given(st.dictionaries(st.sampled_from(TARGETS), anything | st.decimals() | st.lists(st.integers(), max_size=2)))
def test_any_value_is_a_call_or_a_reason(values: dict[str, Any]) -> None:
    columns = {name: name for name in TARGETS}
    frame = pd.DataFrame([{**dict.fromkeys(TARGETS), **values}], dtype="object")
    log = read_usage(frame, columns=columns, format="auto")
    check_counts(log)
    assert len(log.frame) + len(log.rejected) == 1
