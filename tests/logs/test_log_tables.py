"""Logs as tables: CSV of portals, answers of queries, Parquet, and what zstd packs."""

from __future__ import annotations

import builtins
import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from format_rows import SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import (
    ACCOUNT,
    body_row,
    calls_of,
    check_counts,
    csv_of,
    diagnostics_row,
    gateway_row,
    lines_of,
    query_of,
    read_bytes,
    read_rows,
    status_row,
    total,
    usage_row,
)
from pyarrow import parquet

from aoai_cost import UsageFormatError, UsageLog, read_usage
from aoai_cost.logs import LOG_FORMATS
from aoai_cost.sources import tables
from aoai_cost.sources.tables import read_table

ROWS = [gateway_row("a"), gateway_row("b"), gateway_row("c")]
TABLE = csv_of(ROWS)
PORTAL_TIME = "10/14/2026, 2:03:59.946 AM"
LINES = lines_of([body_row(f"{i}") for i in range(3)])
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_three(log: UsageLog) -> None:
    check_counts(log)
    assert (log.counts.total.rows, log.counts.total.requests, log.complete) == (3, 3, True)
    assert total(log, "prompt_tokens") == 300


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TABLE.encode(), id="CRLF"),
        pytest.param(csv_of(ROWS, end="\n").encode(), id="LF"),
        pytest.param(csv_of(ROWS, end="\r").encode(), id="CR"),
        pytest.param(TABLE.rstrip().encode(), id="no line end at the end"),
        pytest.param(TABLE.encode("utf-8-sig"), id="a byte order mark"),
        pytest.param(TABLE.encode("utf-16"), id="UTF-16"),
        pytest.param("\ufeff".encode("utf-16-be") + TABLE.encode("utf-16-be"), id="UTF-16 big-endian"),
        pytest.param(csv_of(ROWS, delimiter=";").encode(), id="semicolons"),
        pytest.param(csv_of(ROWS, delimiter="\t").encode(), id="tabs"),
        pytest.param(b"\n\r\n" + TABLE.replace("\r\n", "\r\n\r\n").encode(), id="blank lines"),
        pytest.param(TABLE.replace("Region", "$table", 1).encode(), id="a name that begins with a dollar"),
        pytest.param(TABLE.replace(",chat,", ',"chat",').encode(), id="quotes that are not needed"),
        pytest.param(TABLE.encode() + b"\0" * 500, id="a padded end"),
        pytest.param(zstandard.compress(TABLE.encode()), id="zstd"),
    ],
)
def test_rows_of_a_table_are_found_however_it_is_written(tmp_path: Path, data: bytes) -> None:
    log = read_bytes(tmp_path, data, "export.dat")
    check_three(log)
    assert set(log.frame["deployment"]) == {"chat"}


def test_quoted_cells_hold_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    message = 'a, b; ""c""\r\n{"x": 1}\n"d"\r,",'
    rows = [gateway_row("a", RequestMessages=message), gateway_row("b", DeploymentName='my "chat", v2')]
    log = read_bytes(tmp_path, csv_of(rows).encode(), "log.csv")
    check_counts(log)
    assert [call["deployment"] for call in calls_of(log)] == ["chat", 'my "chat", v2']
    assert log.frame["source_line"].tolist() == [2, 6]


cells = st.text(st.sampled_from('ab",;\t\r\n é\u2028\x0b\x85'), max_size=6)


@given(
    st.lists(st.tuples(cells, cells, cells), max_size=6),
    st.sampled_from(",;\t"),
    # The writer of Python 3.11 quotes a CR only where lines end in one, or where everything is quoted.
    st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    st.integers(1, 9),
)
def test_any_table_is_read_as_it_was_written(rows: list[Any], delimiter: str, style: Any, size: int) -> None:
    written = [dict(zip("abc", row, strict=True)) for row in rows if any(row)]
    data = csv_of([{"a": "x", "b": "y", "c": "z"}, *written], delimiter, *style).encode()
    found = [raw.value for raw in read_table(data[i : i + size] for i in range(0, len(data), size))]
    assert found[1:] == written


@in_a_folder
@given(st.binary(max_size=200) | st.text(st.sampled_from('a",\r\n\0'), max_size=200).map(str.encode))
def test_any_bytes_below_a_header_are_rows_or_reasons(tmp_path: Path, data: bytes) -> None:
    found = list(read_table([b"a,b\n", data]))
    assert all((raw.reason is None) == isinstance(raw.value, dict) for raw in found)
    lines = {raw.line for raw in found}
    assert len(lines) == len(found), "no line is two rows"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"x,y", "has 2 cells where the header has", id="too few cells"),
        pytest.param(b"," * 40, "has 41 cells where the header has", id="too many cells"),
        pytest.param(b"a\0b,1", "a zero byte", id="a zero byte"),
        pytest.param(b"caf\xe9,1", "not UTF-8 text", id="Latin-1"),
        pytest.param(b'"secret,1', "a quote is opened", id="a quote without an end"),
        pytest.param(b"<<<<<<< HEAD", "has 1 cells", id="a merge conflict"),
    ],
)
@pytest.mark.parametrize("at", [1, 2, 4], ids=["first", "in the middle", "last"])
def test_a_broken_row_costs_only_itself(tmp_path: Path, line: bytes, reason: str, at: int) -> None:
    lines = TABLE.encode().splitlines(keepends=True)
    lines.insert(at, line + b"\r\n")
    log = read_bytes(tmp_path, b"".join(lines), "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.rejected["line"].tolist()) == (3, [at + 1])
    assert reason in log.rejected["reason"].iloc[0]
    assert "secret" not in log.rejected["reason"].iloc[0]


def test_a_table_that_breaks_off_says_so(tmp_path: Path) -> None:
    log = read_bytes(tmp_path, TABLE[: TABLE.rindex(",")].encode(), "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, len(log.rejected), log.complete) == (2, 1, False)


@pytest.mark.parametrize("again", ["TimeGenerated", " CorrelationId "])
def test_two_columns_of_a_name_are_an_error(tmp_path: Path, again: str) -> None:
    header, rest = TABLE.split("\r\n", 1)
    data = f"{header},{again}\r\n" + rest.replace("\r\n", ",x\r\n")
    with pytest.raises(UsageFormatError, match="names two columns the same"):
        read_bytes(tmp_path, data.encode(), "log.csv")


def test_lines_of_json_below_a_line_with_commas_are_no_table(tmp_path: Path) -> None:
    for n in (1, 3):
        log = read_bytes(tmp_path, b"Fetched logs, please wait\n" * n + LINES)
        check_counts(log)
        assert (log.counts.total.requests, log.counts.total.rejected) == (3, n)


def test_a_web_page_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFormatError, match="no row is of a known log format"):
        read_bytes(tmp_path, b"<!DOCTYPE html>\n<html><body>Sign in, please</body></html>\n", "log.csv")


def test_quotes_that_never_end_are_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_READ_AGAIN_BYTES", tables._MOST_READ_AGAIN_BYTES // 8)
    data = TABLE.encode() + b'x","\r\n' * 5_000
    log = read_bytes(tmp_path, data, "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.complete) == (3, False)
    assert log.rejected["reason"].iloc[-1].startswith("too many quotes")


@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_a_quote_without_an_end_costs_no_row_that_has_quotes(tmp_path: Path, at: int) -> None:
    rows = [diagnostics_row(usage_row(f"{i}")) for i in range(5)]
    header, *lines = csv_of(rows).splitlines(keepends=True)
    lines.insert(at, lines[0].replace('"', "", 1).replace("AzureDiagnostics", '"secret'))
    log = read_bytes(tmp_path, "".join([header, *lines]).encode(), "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.duplicates, log.rejected["line"].tolist()) == (5, 0, [at + 2])


def test_two_rows_never_become_one(tmp_path: Path) -> None:
    # With the quote of the next row, the open one would make a row of the right width.
    table = "CorrelationId,PromptTokens,CompletionTokens,SequenceNumber,TimeGenerated,RequestId\n"
    good = 'b,7,1,0,2026-10-14T02:03:59Z,"r"\n'
    log = read_bytes(tmp_path, (table + 'a,5,1,0,2026-10-14T02:03:59Z,"q\n' + good).encode(), "log.csv")
    check_counts(log)
    assert (total(log, "prompt_tokens"), log.rejected["line"].tolist()) == (7, [2])


def test_rows_behind_an_open_quote_survive_the_end_of_a_cut_file(tmp_path: Path) -> None:
    lines = [*TABLE.encode().splitlines(keepends=True), *(b"%d,x\r\n" % i for i in range(20_000))]
    lines.insert(1, b'"open,1\r\n')
    data = zstandard.compress(b"".join(lines))
    log = read_bytes(tmp_path, data[:-200])
    check_counts(log)
    assert (log.counts.total.requests, log.complete) == (3, False)
    assert log.rejected["reason"].iloc[-1].startswith("the zstd data ends early")


def test_a_row_that_is_too_long_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 4_000)
    header, *rest = TABLE.encode().splitlines(keepends=True)
    for long in (b"x" * 5_000 + b"\r\n", b'"' + b"x\r\n" * 2_000 + b'"\r\n'):
        log = read_bytes(tmp_path, header + rest[0] + long + b"".join(rest[1:]), "log.csv")
        check_counts(log)
        assert log.counts.total.requests == 3
        assert log.counts.total.rejected >= 1


def test_a_table_has_the_calls_of_the_storage_account(tmp_path: Path) -> None:
    rows = [usage_row("a", cached=40), status_row("a"), usage_row("b"), status_row("b", "429", properties={})]
    exported = [diagnostics_row(row) for row in rows]
    for row in exported:
        row["TimeGenerated [UTC]"] = row.pop("TimeGenerated").replace("2026-10-14T02:03:59.946Z", PORTAL_TIME)
    wanted = read_rows(tmp_path, rows)
    (tmp_path / "table.csv").write_text(csv_of(exported))
    alone, both = read_usage(tmp_path / "table.csv"), read_usage(tmp_path)
    for log in (wanted, alone, both):
        check_counts(log)
        assert log.counts.total.requests == 2
        assert (total(log, "prompt_tokens"), total(log, "cached_tokens")) == (200, 40)
    names = ["resource", "region", "deployment", "model", "version", "status", "latency_ms", "operation", "stream"]
    assert alone.frame[names].to_dict("list") == wanted.frame[names].to_dict("list")
    assert (both.counts.total.duplicates, both.counts.total.conflicts) == (4, wanted.counts.total.conflicts)


def test_an_answer_of_a_query_has_them_too(tmp_path: Path) -> None:
    rows = []
    for row in (usage_row(), status_row()):
        one = diagnostics_row(row)
        rows.append({**one, "ResultSignature": 200.0, "DurationMs": 1_180, "_ResourceId": one["ResourceId"].lower()})
    printed = [{**row, "TableName": "PrimaryResult", "SubscriptionId": "None"} for row in rows]
    for answer in (query_of(rows), printed):
        for indent in (None, 1):
            log = read_bytes(tmp_path, json.dumps(answer, indent=indent).encode(), "answer.json")
            check_counts(log)
            (call,) = calls_of(log)
            assert (call["status"], call["latency_ms"], call["prompt_tokens"]) == (200, 1_180, 100)


@pytest.mark.parametrize(
    ("names", "resource"),
    [
        ({"SubscriptionId": ACCOUNT.split("/")[2], "ResourceGroup": "RG", "Resource": "ONE"}, ACCOUNT.lower()),
        ({"Resource": "ONE"}, "one"),
        ({"_ResourceId": ACCOUNT.lower()}, ACCOUNT.lower()),
    ],
)
def test_an_account_may_be_named_in_other_columns(tmp_path: Path, names: dict[str, str], resource: str) -> None:
    row = {**diagnostics_row(usage_row()), **names}
    del row["ResourceId"]
    log = read_rows(tmp_path, [row, usage_row()])
    check_counts(log)
    assert set(log.frame["resource"]) == {resource, ACCOUNT.lower()}
    assert log.counts.total.requests == len({resource, ACCOUNT.lower()})


def test_fields_of_properties_may_be_columns(tmp_path: Path) -> None:
    row = diagnostics_row(usage_row())
    row |= {
        "modelDeploymentName_s": "chat",
        "modelName_s": "gpt-4o",
        "promptTokens_d": 70.0,
        "generatedTokens_d": "7.0",
    }
    del row["properties_s"]
    (call,) = calls_of(read_rows(tmp_path, [row]))
    assert (call["deployment"], call["prompt_tokens"], call["completion_tokens"]) == ("chat", 70, 7)


def test_a_row_of_a_query_that_lacks_a_value_is_rejected(tmp_path: Path) -> None:
    answer = query_of(ROWS)
    answer["tables"][0]["rows"][1].pop()
    log = read_bytes(tmp_path, json.dumps(answer).encode())
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.rejected) == (2, 1)
    answer["error"] = {"code": "PartialError", "message": "secret"}
    log = read_bytes(tmp_path, json.dumps(answer).encode())
    check_counts(log)
    assert "is not complete" in log.rejected["reason"].iloc[-1]
    answer["tables"][0]["columns"][0] = answer["tables"][0]["columns"][1]
    with pytest.raises(UsageFormatError, match="two of them the same"):
        read_bytes(tmp_path, json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        pytest.param("TimeGenerated [UTC]", "10/4/2026, 2:03:59.946 AM", "2026-10-04T02:03:59.946000+00:00", id="US"),
        pytest.param("TimeGenerated [UTC]", "10/4/2026, 12:03:59 AM", "2026-10-04T00:03:59+00:00", id="after midnight"),
        pytest.param("TimeGenerated [UTC]", "10/4/2026, 12:03:59\u202fPM", "2026-10-04T12:03:59+00:00", id="noon"),
        pytest.param("TimeGenerated [UTC]", "14/10/2026, 02:03:59", "2026-10-14T02:03:59+00:00", id="a day beyond 12"),
        pytest.param("TimeGenerated [UTC]", "2026-10-04T02:03:59Z", "2026-10-04T02:03:59+00:00", id="ISO"),
        pytest.param("TimeGenerated", "2026-10-04T02:03:59Z", "2026-10-04T02:03:59+00:00", id="ISO in a query"),
        pytest.param("TimeGenerated [UTC]", "4/10/2026, 02:03:59", "its month from its day", id="which is the day?"),
        pytest.param("TimeGenerated [Local Time]", "10/14/2026, 2:03:59 AM", "times in UTC", id="local time"),
        pytest.param("TimeGenerated [UTC]", "13/13/2026, 02:03:59", "not a time", id="no such month"),
        pytest.param("TimeGenerated [UTC]", "10/14/2026, 14:03:59 PM", "not a time", id="no such hour"),
    ],
)
def test_times_as_a_portal_writes_them(tmp_path: Path, column: str, text: str, expected: str) -> None:
    row = diagnostics_row(usage_row())
    del row["TimeGenerated"]
    sure = {**row, column: "2026-10-01T00:00:00Z", "CorrelationId": "sure"}
    (tmp_path / "good.jsonl").write_bytes(LINES)
    (tmp_path / "log.csv").write_text(csv_of([{**row, column: text}, sure]))
    log = read_usage(tmp_path)
    check_counts(log)
    if expected.startswith("2026"):
        assert expected in [when.isoformat() for when in log.frame["timestamp"]]
    else:
        assert expected in log.rejected["reason"].iloc[0]
        assert text not in log.rejected["reason"].iloc[0]


def portal_table(*times: str) -> bytes:
    """A table of calls at these times, as the portal exports it."""
    row = diagnostics_row(usage_row())
    del row["TimeGenerated"]
    return csv_of(
        [{**row, "TimeGenerated [UTC]": text, "CorrelationId": f"{i}"} for i, text in enumerate(times)]
    ).encode()


@pytest.mark.parametrize(
    ("sure", "expected"),
    [
        pytest.param("14/10/2026, 02:03:59", "2026-10-04T02:03:59+00:00", id="day first"),
        pytest.param("4/14/2026, 02:03:59", "2026-04-10T02:03:59+00:00", id="month first"),
        pytest.param("4/3/2026, 2:03:59 AM", "2026-04-10T02:03:59+00:00", id="month first, by AM"),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 3])
def test_one_time_tells_the_order_of_month_and_day_of_the_whole_table(
    tmp_path: Path, sure: str, expected: str, at: int
) -> None:
    times = ["4/10/2026, 02:03:59", "5/5/2026, 02:03:59", "2026-10-04T02:03:59Z"]
    log = read_bytes(tmp_path, portal_table(*times[:at], sure, *times[at:]), "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.complete) == (4, True)
    found = dict(zip(log.frame["request_id"], log.frame["timestamp"], strict=True))
    assert found["1" if at == 0 else "0"].isoformat() == expected
    lines = dict(zip(log.frame["request_id"], log.frame["source_line"], strict=True))
    assert lines == {f"{i}": i + 2 for i in range(4)}


def test_a_table_whose_times_tell_no_order_rejects_those_that_need_it(tmp_path: Path) -> None:
    data = portal_table("4/10/2026, 02:03:59", "5/5/2026, 02:03:59", "11/12/2026, 02:03:59")
    log = read_bytes(tmp_path, data + b"x,y\r\n", "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.rejected["line"].tolist()) == (1, [2, 4, 5])
    assert log.rejected["reason"].str.contains("no time of the table tells").tolist() == [True, True, False]
    with pytest.raises(UsageFormatError, match=r"line 2: no time of the table tells its month from its day"):
        read_bytes(tmp_path, data, "log.csv", strict=True)


def test_a_table_with_both_orders_rejects_what_contradicts_the_first(tmp_path: Path) -> None:
    data = portal_table("14/10/2026, 02:03:59", "4/10/2026, 02:03:59", "10/14/2026, 02:03:59", "4/3/2026, 2:03:59 AM")
    log = read_bytes(tmp_path, data, "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.rejected["line"].tolist()) == (2, [4, 5])
    assert log.rejected["reason"].str.contains("another order").all()


def test_what_waits_for_an_order_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_HELD_BYTES", 3_000)
    log = read_bytes(tmp_path, portal_table(*["4/10/2026, 02:03:59"] * 20, "14/10/2026, 02:03:59"), "log.csv")
    check_counts(log)
    assert 0 < log.counts.total.rejected < 20
    assert log.frame["timestamp"].dt.month.eq(10).all()


def test_rows_that_wait_for_an_order_survive_the_end_of_a_cut_file(tmp_path: Path) -> None:
    data = portal_table("4/10/2026, 02:03:59", *["5/5/2026, 02:03:59"] * 4_000)
    log = read_bytes(tmp_path, zstandard.compress(data)[:-60])
    check_counts(log)
    assert (log.counts.total.requests > 2_000, log.complete) == (True, False)


def test_rows_of_the_table_about_other_things_are_not_calls(tmp_path: Path) -> None:
    row = diagnostics_row(usage_row())
    vault = {**row, "Category": "AuditEvent", "ResourceProvider": "MICROSOFT.KEYVAULT"}
    rows = [row, {**row, "Category": "Audit"}, vault]
    log = read_bytes(tmp_path, csv_of(rows).encode(), "log.csv")
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.ignored, log.counts.total.rejected) == (1, 1, 1)


def write_parquet(path: Path, rows: list[dict[str, Any]], **options: Any) -> bytes:
    parquet.write_table(pa.Table.from_pylist(rows), path, **options)
    return path.read_bytes()


def test_rows_of_parquet_are_those_of_lines(tmp_path: Path) -> None:
    typed = {"TimeGenerated": datetime(2026, 10, 14, 2, 3, 59, 946_000, UTC), "SequenceNumber": Decimal(0)}
    rows = [{**row, **typed, "PromptTokens": 100, "CompletionTokens": 10.0} for row in ROWS]
    write_parquet(tmp_path / "log", rows)
    log = read_usage(tmp_path / "log")
    check_three(log)
    assert total(log, "completion_tokens") == 30
    assert log.frame["timestamp"].tolist() == read_rows(tmp_path, ROWS).frame["timestamp"].tolist()


class Asked(dict[str, Any]):
    """A row that remembers which of its columns were looked at."""

    def __init__(self, row: Any, asked: set[str]) -> None:
        super().__init__(row)
        self.asked = asked

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_no_format_looks_at_a_column_that_parquet_leaves_out(name: str) -> None:
    one = LOG_FORMATS[name]
    asked: set[str] = set()
    for row in SAMPLES[name]:
        if one.sniff(Asked(row, asked)):
            for inner in [row] if one.open is None else one.open(Asked(row, asked)):
                one.read(Asked(inner, asked))
    assert asked
    assert not asked & tables.CONTENTS


def test_parquet_is_asked_for_no_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    real = parquet.ParquetFile.iter_batches

    def iter_batches(self: Any, *args: Any, **options: Any) -> Any:
        asked.append(options["columns"])
        return real(self, *args, **options)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", iter_batches)
    rows = [{"in": 5, "input": 7, "messages": "secret", "output": [{"text": "secret"}]}]
    write_parquet(tmp_path / "log", rows)
    with pytest.raises(UsageFormatError, match="not of a known log format"):
        read_usage(tmp_path / "log")
    log = read_usage(tmp_path / "log", columns={"prompt_tokens": "input", "app": "messages"})
    assert (total(log, "prompt_tokens"), log.frame["app"].tolist()) == (7, ["secret"])
    assert asked == [["in", "input"], ["input", "messages"]]
    write_parquet(tmp_path / "log", rows * 3)
    with pytest.raises(UsageFormatError, match="no row has the column"):
        read_usage(tmp_path / "log", columns={"prompt_tokens": "elsewhere"})
    assert asked[-1] == ["in"]


def test_counts_of_parquet_that_are_not_whole_are_rejected(tmp_path: Path) -> None:
    rows = [{**row, "PromptTokens": value} for row, value in zip(ROWS, (1.5, float("nan"), 7.0), strict=True)]
    write_parquet(tmp_path / "log", rows)
    log = read_usage(tmp_path / "log")
    check_counts(log)
    assert (log.counts.total.rejected, total(log, "prompt_tokens")) == (2, 7)


def test_the_rows_before_damage_in_parquet_are_kept(tmp_path: Path) -> None:
    rows = [gateway_row(f"{i:05}") for i in range(5_000)]
    path = tmp_path / "log"
    data = bytearray(write_parquet(path, rows, row_group_size=1_000, compression="none", write_page_checksum=True))
    for at in range(len(data) * 7 // 10, len(data) * 7 // 10 + 50):
        data[at] ^= 0xFF
    path.write_bytes(data)
    log = read_usage(path)
    check_counts(log)
    assert (log.complete, log.counts.total.rejected) == (False, 1)
    assert 1_000 <= log.counts.total.requests < 5_000
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageFormatError, match="Parquet file is damaged"):
        read_usage(path)


def test_without_pyarrow_a_parquet_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "log", ROWS)
    real = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageFormatError, match=r'pip install "aoai-cost\[parquet\]"'):
        read_usage(tmp_path / "log")


SKIPPED = b"\x52\x2a\x4d\x18\x04\0\0\0junk"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zstandard.compress(LINES), id="one frame"),
        pytest.param(zstandard.compress(LINES[:100]) + zstandard.compress(LINES[100:]), id="two frames"),
        pytest.param(SKIPPED + zstandard.compress(LINES) + SKIPPED, id="frames to skip"),
        pytest.param(zstandard.compress(b"") + zstandard.compress(LINES), id="an empty frame"),
        pytest.param(zstandard.compress(LINES) + b"\0" * 5_000, id="a padded end"),
    ],
)
def test_zstd_is_unpacked(tmp_path: Path, data: bytes) -> None:
    check_three(read_bytes(tmp_path, data))


@pytest.mark.parametrize("damage", ["checksum", "cut", "flipped", "trailing"])
@pytest.mark.parametrize("n", [3, 20_000])
def test_the_rows_before_damage_in_zstd_are_kept(tmp_path: Path, damage: str, n: int) -> None:
    rows = [body_row(f"{i:05}", prompt=i * 7919 % 10_007) for i in range(n)]
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(lines_of(rows)))
    if damage == "checksum":
        packed[-1] ^= 1
    elif damage == "flipped":
        packed[len(packed) * 3 // 4] ^= 0xFF
    elif damage == "cut":
        del packed[-3:]
    else:
        packed += b"something else"
    if damage == "flipped" and n == 3:
        # The only block is damaged.
        (tmp_path / "good.jsonl").write_bytes(lines_of(rows))
        (tmp_path / "bad.zst").write_bytes(packed)
        log = read_usage(tmp_path)
    else:
        log = read_bytes(tmp_path, bytes(packed))
    check_counts(log)
    assert not log.complete
    assert log.rejected["reason"].str.contains("zstd").any()
    assert log.counts.total.requests == n if damage != "flipped" else 3 <= log.counts.total.requests <= n


def test_a_window_of_terabytes_is_refused(tmp_path: Path) -> None:
    # A frame header that asks for 2**41 bytes.
    with pytest.raises(UsageFormatError, match="a window of more than 128 MB"):
        read_bytes(tmp_path, b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00")


def test_a_bomb_of_zeros_in_zstd_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFormatError, match="binary data"):
        read_bytes(tmp_path, zstandard.compress(b"\0" * 200_000_000))
    with pytest.raises(UsageFormatError, match="compressed twice"):
        read_bytes(tmp_path, zstandard.compress(zstandard.compress(LINES)))
