"""Files as they come: wrappers, encodings, compression, damage, folders, and paths that are wrong."""

from __future__ import annotations

import codecs
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from log_rows import body_row, calls_of, check_counts, lines_of, read_bytes, read_rows, total, usage_row

from aoai_cost import AoaiCostError, UnknownNameError, UsageFormatError, read_usage

ROWS = [body_row(f"{i}") for i in range(3)]
LINES = lines_of(ROWS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LINES, id="lines"),
        pytest.param(LINES[:-1], id="no newline at the end"),
        pytest.param(LINES.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(b"\xef\xbb\xbf" + LINES, id="a byte order mark"),
        pytest.param(LINES.decode().encode("utf-16"), id="UTF-16"),
        pytest.param("\ufeff".encode("utf-16-be") + LINES.decode().encode("utf-16-be"), id="UTF-16 big-endian"),
        pytest.param(b"\n \n" + LINES.replace(b"\n", b"\n\n\t\n"), id="blank lines"),
        pytest.param(json.dumps(ROWS).encode(), id="an array"),
        pytest.param(json.dumps(ROWS, indent=1).encode(), id="an array over lines"),
        pytest.param(json.dumps({"records": ROWS}).encode(), id="records"),
        pytest.param(json.dumps({"value": ROWS, "nextLink": None}, indent=2).encode(), id="value over lines"),
        pytest.param(b"".join(json.dumps({"records": [row]}).encode() + b"\n" for row in ROWS), id="records by line"),
        pytest.param(json.dumps([{"records": ROWS[:2]}, ROWS[2]]).encode(), id="batches in an array"),
        pytest.param(gzip.compress(LINES), id="gzip"),
        pytest.param(gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]), id="gzip in two members"),
        pytest.param(gzip.compress(LINES) + b"\0" * 512, id="gzip with padding"),
        pytest.param(b"[" + LINES.replace(b"\n", b",\n")[:-2] + b"]", id="an array with a row per line"),
    ],
)
def test_rows_are_found_however_they_are_wrapped(tmp_path: Path, data: bytes) -> None:
    log = read_bytes(tmp_path, data)
    check_counts(log)
    assert (log.counts.total.rows, log.counts.total.requests, log.complete) == (3, 3, True)
    assert total(log, "prompt_tokens") == 300


def test_one_object_over_many_lines_is_one_row(tmp_path: Path) -> None:
    log = read_bytes(tmp_path, json.dumps(ROWS[0], indent=4).encode())
    assert log.counts.total.requests == 1


def test_several_records_on_a_line_keep_its_number(tmp_path: Path) -> None:
    embeddings = {"object": "list", "model": "m", "usage": {"prompt_tokens": 5}}
    log = read_bytes(tmp_path, b"\n" + json.dumps({"records": [embeddings, embeddings]}).encode() + b"\n")
    assert log.frame["source_line"].tolist() == [2, 2]
    assert total(log, "prompt_tokens") == 10


def test_an_unfinished_last_line_is_rejected_with_its_place(tmp_path: Path) -> None:
    log = read_bytes(tmp_path, LINES[:-40])
    check_counts(log)
    (row,) = log.rejected.to_dict("records")
    assert (row["line"], row["offset"]) == (3, len(lines_of(ROWS[:2])))
    assert row["reason"].startswith("the last line is unfinished: not JSON")
    assert row["source_file"].endswith("log.jsonl")
    assert (log.counts.total.requests, log.complete, log.counts.files[0].complete) == (2, False, False)


def test_strict_raises_on_the_first_bad_row(tmp_path: Path) -> None:
    with pytest.raises(UsageFormatError, match="line 3: the last line is unfinished") as caught:
        read_bytes(tmp_path, LINES[:-40], strict=True)
    assert caught.value.line == 3
    with pytest.raises(UsageFormatError, match="line 2: the row is not of a known log format"):
        read_rows(tmp_path, [ROWS[0], {"a": 1}], strict=True)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"null", id="null"),
        pytest.param(b"42", id="a number"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b'{"id": "x", "model": "m", "usage": {"prompt_tokens": NaN}}', id="NaN inside"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep nesting"),
        pytest.param(b"<html>502 Bad Gateway</html>", id="html"),
        pytest.param(b"{'id': 'x'}", id="single quotes"),
        pytest.param(b"\xff{}", id="not UTF-8"),
        pytest.param(b"{" + b'"a":1,' * 1000, id="unfinished in the middle"),
        pytest.param(b'{"id": {"\\ud800": 1}, "model": "m", "usage": {"prompt_tokens": 1}}', id="a lone surrogate"),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 3], ids=["first", "in the middle", "last"])
def test_a_broken_line_costs_only_itself(tmp_path: Path, broken: bytes, at: int) -> None:
    lines = LINES.splitlines()
    lines.insert(at, broken)
    log = read_bytes(tmp_path, b"\n".join(lines) + b"\n")
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.rejected) == (3, 1)
    assert log.rejected["line"].tolist() == [at + 1]
    assert total(log, "prompt_tokens") == 300


def test_a_text_that_was_cut_within_a_character_does_not_cost_its_row(tmp_path: Path) -> None:
    cut = lines_of([body_row("cut")]).replace(b'"secret"', b'"half \\ud83d"')
    log = read_bytes(tmp_path, LINES + cut)
    assert (log.counts.total.requests, total(log, "prompt_tokens")) == (4, 400)
    named = lines_of([body_row("cut")]).replace(b'"chatcmpl-cut"', b'"\\ud83d"')
    assert read_bytes(tmp_path, LINES + named).rejected["reason"].tolist() == ["id is not valid Unicode"]


@pytest.mark.parametrize("kept", [0.3, 0.9, 1 - 4 / 400])
def test_the_rows_before_the_end_of_a_cut_gzip_are_kept(tmp_path: Path, kept: float) -> None:
    rows = [body_row(f"{i:04}", prompt=i * 7919 % 10_007) for i in range(2_000)]
    packed = gzip.compress(lines_of(rows))
    log = read_bytes(tmp_path, packed[: int(len(packed) * kept)])
    check_counts(log)
    assert not log.complete
    assert log.counts.total.rejected == 1
    assert "gzip" in log.rejected["reason"].iloc[0]
    assert 200 < log.counts.total.requests <= 2_000
    assert log.frame["source_line"].is_unique


def test_a_gzip_with_a_wrong_checksum_is_kept_and_said_to_be_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINES))
    packed[-6] ^= 1
    log = read_bytes(tmp_path, bytes(packed))
    check_counts(log)
    assert (log.counts.total.requests, log.complete) == (3, False)
    assert "damaged" in log.rejected["reason"].iloc[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"PK\x03\x04rest", "zip", id="zip"),
        pytest.param(b"\x28\xb5\x2f\xfdrest", "zstd", id="zstd"),
        pytest.param(b"PAR1rest", "Parquet", id="parquet"),
        pytest.param(gzip.compress(gzip.compress(LINES)), "twice", id="gzip in gzip"),
        pytest.param(gzip.compress(b"\0" * 50_000_000), "binary", id="a bomb of zeros"),
        pytest.param(gzip.compress(b"[" * 50_000_000), "not JSON", id="a bomb of brackets"),
        pytest.param(b"\x01\0\x02\0" * 3_000, "binary", id="binary numbers"),
        pytest.param(b"\x1f\x8b\x08", "ends early", id="three bytes of gzip"),
        pytest.param(b"time,tokens\n1,2\n", "not of a known log format", id="csv"),
        pytest.param(json.dumps(ROWS, indent=1).encode()[:-50], "document cannot be read", id="half a document"),
    ],
)
def test_a_file_that_is_no_log_is_a_clear_error_alone_and_a_reject_beside_others(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(UsageFormatError, match=reason) as caught:
        read_bytes(tmp_path, data)
    assert len(str(caught.value)) < 500
    (tmp_path / "good.jsonl").write_bytes(LINES)
    log = read_usage(tmp_path)
    check_counts(log)
    assert log.counts.total.requests == 3
    assert log.rejected["reason"].str.contains(reason).any()


def test_a_line_without_an_end_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aoai_cost.sources import files

    monkeypatch.setattr(files, "MAX_LINE_BYTES", 2 << 20)
    log = read_bytes(tmp_path, LINES + b"a" * (4 << 20))
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.rejected, log.complete) == (3, 1, False)
    assert "longer than 2 MB" in log.rejected["reason"].iloc[0]


def test_a_document_beyond_the_limit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aoai_cost.sources import files

    monkeypatch.setattr(files, "MAX_DOCUMENT_BYTES", 1_000)
    with pytest.raises(UsageFormatError, match="one record per line"):
        read_bytes(tmp_path, json.dumps(ROWS * 10, indent=1).encode())


def test_a_folder_is_walked_in_order_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name, call in (("b/2.json", "b"), ("a/x/1.txt", "a"), (".hidden/3.json", "c"), ("a/.4.json", "d"), ("5", "e")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines_of([body_row(call)]))
    log = read_usage(tmp_path)
    assert [Path(one.source_file).relative_to(tmp_path).as_posix() for one in log.counts.files] == [
        "5",
        "a/x/1.txt",
        "b/2.json",
    ]
    assert log.frame["request_id"].tolist() == ["chatcmpl-a", "chatcmpl-b", "chatcmpl-e"]


def test_a_file_that_is_named_twice_or_linked_is_read_once(tmp_path: Path) -> None:
    row = {"object": "list", "model": "m", "usage": {"prompt_tokens": 5}}
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of([row]))
    (tmp_path / "b.jsonl").symlink_to(path)
    (tmp_path / "loop").symlink_to(tmp_path)
    log = read_usage(tmp_path, path, str(path), os.fspath(tmp_path / "." / "a.jsonl"))
    assert (len(log.frame), len(log.counts.files)) == (1, 1)


@pytest.mark.parametrize("name", ["no such.jsonl", "a\0b", "x" * 300])
def test_a_missing_path_is_a_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageFormatError, match=r"no such file|cannot be read") as caught:
        read_usage(tmp_path / name)
    assert isinstance(caught.value, ValueError)


def test_no_path_and_an_empty_folder_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageFormatError, match="no path"):
        read_usage()
    with pytest.raises(UsageFormatError, match="holds no file"):
        read_usage(tmp_path)


def test_a_file_that_may_not_be_read_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(LINES)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageFormatError, match="cannot be read: Permission denied"):
        read_usage(path)


def test_an_empty_file_is_an_empty_log_with_the_same_columns(tmp_path: Path) -> None:
    empty, full = read_bytes(tmp_path, b""), read_bytes(tmp_path, LINES)
    check_counts(empty)
    assert empty.complete
    assert empty.counts.total.rows == 0
    for name in ("frame", "quantities", "rejected"):
        one, other = getattr(empty, name), getattr(full, name)
        assert list(one.columns) == list(other.columns)
        assert [str(kind) for kind in one.dtypes] == [str(kind) for kind in other.dtypes]


def test_the_columns_have_their_promised_types(tmp_path: Path) -> None:
    frame = read_bytes(tmp_path, LINES).frame
    kinds = {str(name): str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["timestamp"] == "datetime64[us, UTC]"
    assert {kinds[name] for name in ("resource", "region", "deployment", "model", "version", "api", "operation")} == {
        "category"
    }
    assert {kinds[name] for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "source_line")} == {"Int64"}
    assert (kinds["status"], kinds["latency_ms"], kinds["stream"]) == ("Int16", "Float64", "boolean")
    assert (kinds["usage_quality"], kinds["source_file"], kinds["request_id"]) == ("category", "category", "string")


def test_a_name_that_no_terminal_can_print_is_shown_escaped(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl"))
    path.write_bytes(LINES[:-40])
    log = read_usage(path)
    assert log.rejected["source_file"].iloc[0].endswith("\\udcff.jsonl")
    log.counts.files[0].source_file.encode()


def test_an_unknown_format_names_those_that_look_alike(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        read_usage(tmp_path, format="azure-monitr")
    assert caught.value.kind == "log format"
    assert caught.value.near[0] == "azure-monitor"
    with pytest.raises(LookupError, match="apim-llm-log"):
        read_usage(tmp_path, format="?")


def test_only_the_chosen_format_counts(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), body_row()], format="azure-monitor")
    check_counts(log)
    assert [call["source_format"] for call in calls_of(log)] == ["azure-monitor"]
    assert log.rejected["reason"].tolist() == ["the row is not of azure-monitor"]
    # Asked for by the name of the first of those that share its calls.
    for name in ("apim-llm-log", "openai-stream"):
        with pytest.raises(AoaiCostError, match=f"no row is of {name}$"):
            read_usage(tmp_path, format=name)
    (tmp_path / "000.jsonl").write_bytes(b"{}")
    with pytest.raises(AoaiCostError, match=r"no row is of a known log format; see docs/log-formats\.md$"):
        read_usage(tmp_path)


def test_the_counts_are_plain_data(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, LINES).counts.as_dict()
    assert found["total"]["rows"] == found["files"][0]["rows"] == 3
    assert "source_file" not in found["total"]
    json.dumps(found)


def test_a_line_that_is_too_long_costs_no_other_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aoai_cost.sources import files

    monkeypatch.setattr(files, "MAX_LINE_BYTES", 2 << 20)
    one, *others = LINES.splitlines(keepends=True)
    log = read_bytes(tmp_path, one + b"a" * (5 << 20) + b"\n" + b"".join(others))
    check_counts(log)
    assert (log.counts.total.requests, log.rejected["line"].tolist(), log.complete) == (3, [2], True)
    assert log.frame["source_line"].tolist() == [1, 3, 4]


def test_a_zero_byte_costs_its_line_and_a_padded_end_nothing(tmp_path: Path) -> None:
    for data, rejected in ((b"{\0}\n" + LINES, 1), (LINES + b"\0" * 4_000, 0), (LINES.rstrip() + b"\0" * 9, 0)):
        (tmp_path / "log.json").write_bytes(data)
        log = read_usage(tmp_path / "log.json")
        assert (len(log.frame), len(log.rejected)) == (len(ROWS), rejected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[\n{0},\n{1},\n{2}", id="an array that breaks off"),
        pytest.param("[{0},\n{1},\n{2}", id="that begins on the first line"),
        pytest.param("[{0}\n,{1}\n,{2}\n]", id="commas before the records"),
        pytest.param('[\n{0},\n{1},\n{2},\n{{"ti', id="a record that breaks off"),
    ],
)
def test_an_array_of_lines_that_is_damaged_keeps_its_whole_records(tmp_path: Path, text: str) -> None:
    rows = [json.dumps({**ROWS[0], "id": f"chatcmpl-{i}"}) for i in range(3)]
    (tmp_path / "log.json").write_text(text.format(*rows), "utf-8")
    log = read_usage(tmp_path / "log.json")
    assert len(log.frame) == 3
    assert len(log.rejected) == text.count('"ti')


def test_files_that_were_appended_to_each_other_keep_their_first_rows(tmp_path: Path) -> None:
    one, two = (json.dumps({**ROWS[0], "id": name}).encode() for name in "ab")
    (tmp_path / "log.json").write_bytes(codecs.BOM_UTF8 + one + b"\n" + codecs.BOM_UTF8 + two + b"\n")
    assert len(read_usage(tmp_path / "log.json").frame) == 2


def test_half_a_surrogate_in_utf_16_costs_no_other_row(tmp_path: Path) -> None:
    rows = [json.dumps({**ROWS[0], "id": f"chatcmpl-{i}"}, ensure_ascii=False) for i in range(3)]
    text = "\n".join([*rows, '{"x": "\ud800"}']) + "\n"
    (tmp_path / "log.json").write_bytes(codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass"))
    log = read_usage(tmp_path / "log.json")
    assert (len(log.frame), len(log.rejected)) == (3, 1)


def test_a_second_gzip_member_after_a_megabyte_of_padding_is_read(tmp_path: Path) -> None:
    one, two = (gzip.compress(json.dumps({**ROWS[0], "id": name}).encode() + b"\n") for name in "ab")
    (tmp_path / "log.json.gz").write_bytes(one + b"\0" * 3_000_000 + two)
    log = read_usage(tmp_path / "log.json.gz")
    assert (len(log.frame), log.complete) == (2, True)
