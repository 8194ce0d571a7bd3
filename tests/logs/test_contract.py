"""What every registered format keeps, tried on its rows."""

from __future__ import annotations

import codecs
import copy
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import zstandard
from format_rows import SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from log_rows import calls_of, check_counts, csv_of, lines_of, read_rows, total
from pyarrow import parquet

from aoai_cost import UsageFormatError, UsageLog, read_usage
from aoai_cost.logs import LOG_FORMATS, sum_usage
from aoai_cost.logs.schema import Part, PartKind, RowError, Tokens

MARKER = "marker-of-a-prompt"
"""Stands where contents stand; nobody may ever see it again."""
CONTENTS = frozenset(
    (
        *("messages", "content", "prompt", "completion", "choices", "arguments", "embedding", "payload"),
        *("RequestMessages", "ResponseMessages", "request_body", "response_body", "messages", "response"),
        *("input", "output", "status_message", "message", "text", "transcript", "instructions"),
        *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content"),
    )
)
ANSWERED = frozenset(("id", "usage", "request_id", "body"))
"""One of these is in every object that an event or a line of a batch calls its ``response``."""


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_format_keeps_the_contract(tmp_path: Path, name: str) -> None:
    one = LOG_FORMATS[name]
    assert one.name == name
    for row in SAMPLES[name]:
        assert [other.name for other in LOG_FORMATS.values() if other.sniff(row)] == [name], "no two formats take a row"
    log = read_rows(tmp_path, SAMPLES[name])
    check_counts(log)
    assert log.counts.total.rejected == 0
    assert set(log.frame["source_format"]) == {name}
    assert total(log, "prompt_tokens") > 0
    again = read_rows(tmp_path, SAMPLES[name], format=name)
    assert calls_of(again) == calls_of(log)
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )

    @given(st.sampled_from(SAMPLES[name]), st.data())
    def any_change_of_a_row_is_a_part_a_silence_or_a_reason(row: dict[str, Any], data: st.DataObject) -> None:
        changed = dict(row)
        for field in data.draw(st.sets(st.sampled_from(sorted(row)))):
            changed[field] = data.draw(junk)
        if one.sniff(changed):
            reason = ""
            try:
                rows = opened(name, [changed])
                found = [one.read(one_row) for one_row in rows if isinstance(one_row, dict)]
            except RowError as error:
                reason = str(error)
            else:
                assert all(call is None or call[1] == call[1] for call in found)
            assert len(reason) < 200

    any_change_of_a_row_is_a_part_a_silence_or_a_reason()


def opened(name: str, records: list[Any]) -> list[Any]:
    """Return the rows in records."""
    one = LOG_FORMATS[name]
    return records if one.open is None else [row for record in records for row in one.open(record)]


def outcome(log: UsageLog) -> Any:
    """What a log says, without where it stood."""
    check_counts(log)
    found = log.counts.total
    return calls_of(log), sorted(log.rejected["reason"]), found.rows, found.ignored, found.requests, found.unmetered


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_neither_order_nor_files_change_a_format(tmp_path: Path, name: str) -> None:
    rows = [*SAMPLES[name], *SAMPLES[name][:1]]
    whole = outcome(read_rows(tmp_path, rows))
    for seed in range(8):
        chance = random.Random(seed)
        shuffled = chance.sample(rows, len(rows))
        cut = chance.randrange(len(rows) + 1)
        assert outcome(read_rows(tmp_path, shuffled[:cut], shuffled[cut:])) == whole


@pytest.mark.parametrize("name", LOG_FORMATS)
@pytest.mark.parametrize("files", [1, 2])
def test_a_copy_of_a_row_is_counted_once(tmp_path: Path, name: str, files: int) -> None:
    one = LOG_FORMATS[name]
    found = [part for row in opened(name, SAMPLES[name]) if (part := one.read(row)) is not None]
    # A row without an identity is a call of its own, and so is its copy.
    alone = sum(identity is None for identity, _ in found)
    # Pieces that nothing numbers are equal without being copies: one more is one more piece of its call.
    pieces = sum(identity is not None and is_piece(part) for identity, part in found)
    once = read_rows(tmp_path, SAMPLES[name])
    copies = [SAMPLES[name]] * 2
    twice = read_rows(tmp_path, *(copies if files == 2 else [copies[0] + copies[1]]))
    check_counts(twice)
    assert len(twice.frame) == len(once.frame) + alone
    before, after = once.counts.total, twice.counts.total
    assert after.duplicates + after.joined == before.duplicates + before.joined + len(found) - alone
    assert after.duplicates == before.duplicates + len(found) - alone - pieces
    if not alone:
        assert calls_of(twice) == calls_of(once)


def is_piece(part: Part) -> bool:
    """Tell a piece of a stream or a batch that has no number of its own."""
    return part.kind == PartKind.SO_FAR or (part.kind == PartKind.REST and not part.call_id)


def log_of(folder: Path, data: bytes) -> UsageLog:
    """Read one file that is alone in its folder."""
    for old in folder.glob("log*"):
        old.unlink()
    (folder / "log").write_bytes(data)
    return read_usage(folder / "log")


FORMS = {
    "CRLF": lambda rows: lines_of(rows).replace(b"\n", b"\r\n"),
    "a byte order mark": lambda rows: codecs.BOM_UTF8 + lines_of(rows),
    "UTF-16": lambda rows: lines_of(rows).decode().encode("utf-16"),
    "no newline at the end": lambda rows: lines_of(rows).rstrip(b"\n"),
    "blank lines": lambda rows: lines_of(rows).replace(b"\n", b"\n\n \n"),
    "gzip": lambda rows: gzip.compress(lines_of(rows)),
    "gzip of two members": lambda rows: gzip.compress(lines_of(rows[:1])) + gzip.compress(lines_of(rows[1:])),
    "zstd": lambda rows: zstandard.compress(lines_of(rows)),
    "an array": lambda rows: json.dumps(rows).encode(),
    "an array over many lines": lambda rows: json.dumps(rows, indent=2).encode(),
    "an array with a record per line": lambda rows: b"[" + lines_of(rows).rstrip(b"\n").replace(b"\n", b",\n") + b"]",
    "the envelope of an event hub": lambda rows: json.dumps({"records": rows}).encode(),
    "envelopes in an array": lambda rows: json.dumps([{"records": [row]} for row in rows]).encode(),
    "a page of REST": lambda rows: json.dumps({"value": rows, "nextLink": None}, indent=1).encode(),
}
"""Ways to keep rows in a file."""


@pytest.mark.parametrize("name", LOG_FORMATS)
@pytest.mark.parametrize("form", FORMS)
def test_a_log_says_the_same_however_it_is_kept(tmp_path: Path, name: str, form: str) -> None:
    plain = log_of(tmp_path, lines_of(SAMPLES[name]))
    log = log_of(tmp_path, FORMS[form](SAMPLES[name]))
    assert outcome(log) == outcome(plain)
    assert (log.complete, log.counts.total.rejected) == (True, 0)


TABLES = ("azure-metrics", "app-insights", "apim-llm-log", "ai-hub-gateway", "litellm", "langfuse", "helicone")
"""Formats whose rows stand in a table somewhere, which exports them as CSV."""


@pytest.mark.parametrize("name", TABLES)
def test_a_row_of_a_table_says_the_same_as_csv(tmp_path: Path, name: str) -> None:
    for row in SAMPLES[name]:
        if "data" in row or "dimensions" in row or isinstance(row.get("properties"), dict):
            continue  # what only the answers of an API and an event hub have
        cells = {
            key: "" if value is None else json.dumps(value) if isinstance(value, (dict, list)) else value
            for key, value in row.items()
        }
        assert outcome(log_of(tmp_path, csv_of([cells]).encode())) == outcome(log_of(tmp_path, lines_of([row])))


def without_empty(value: Any) -> Any:
    """Return a copy of a row with null for each object without fields, which Parquet does not have."""
    if isinstance(value, dict):
        return {key: without_empty(one) for key, one in value.items()} or None
    return [without_empty(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_row_says_the_same_in_parquet(tmp_path: Path, name: str) -> None:
    for row in SAMPLES[name]:
        cells = without_empty(row)
        file = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist([cells]), file)
        assert outcome(log_of(tmp_path, file.getvalue())) == outcome(log_of(tmp_path, lines_of([cells])))


def changed_counts(value: Any, change: Callable[[int], Any], name: str = "") -> Any:
    """Return a copy of a row with each count of tokens changed, whatever it is written as, in texts of JSON as well."""
    if isinstance(value, dict):
        if "key" in value:  # an attribute of a span
            return {**value, "value": changed_counts(value["value"], change, value["key"])}
        is_sum = "valueSum" in value or "Sum" in value or "metricName" in value
        return {
            key: changed_counts(one, change, "tokens" if is_sum and key in SUMS else name if key in TYPED else key)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [changed_counts(one, change, name) for one in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(changed_counts(json.loads(value), change))
        except json.JSONDecodeError:
            return value
    if isinstance(value, str) and "data: {" in value:
        return "\n".join(
            f"data: {changed_counts(line[6:], change)}" if line.startswith("data: {") else line
            for line in value.split("\n")
        )
    if not ("tokens" in name.lower() or name in BUCKETS) or isinstance(value, bool):
        return value
    if isinstance(value, str):
        changed = change(int(value)) if value.isdigit() else value
        return changed if changed is None else str(changed)
    if isinstance(value, float):
        changed = change(int(value))
        return changed if changed is None else float(changed)
    return change(value) if isinstance(value, int) else value


SUMS = ("value", "valueSum", "Sum", "total")
TYPED = ("intValue", "doubleValue", "value")
BUCKETS = ("input", "output", "total")


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_null_is_never_zero(tmp_path: Path, name: str) -> None:
    log = read_rows(tmp_path, [changed_counts(row, lambda _: None) for row in SAMPLES[name]])
    check_counts(log)
    # What a cache answered is known to have used nothing.
    calls = log.frame[log.frame["usage_quality"] != "not_billed"]
    for column in Tokens._fields:
        assert calls[column].isna().all(), column
    counted = calls.index.isin(log.quantities["row"])
    assert calls["usage_quality"][~counted].isin(["missing"]).all()
    assert log.counts.total.unmetered == (~counted).sum()


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_large_counts_are_exact(tmp_path: Path, name: str) -> None:
    def scaled(count: int) -> int:
        # Formats that write 1 or 0 for what is not known must go on doing so.
        return count * 999_999_937 if count > 1 else count

    plain = read_rows(tmp_path, SAMPLES[name])
    log = read_rows(tmp_path, [changed_counts(row, scaled) for row in SAMPLES[name]])
    check_counts(log)
    assert log.counts == plain.counts
    for column in Tokens._fields:
        wanted = [count if pd.isna(count) else scaled(count) for count in plain.frame[column]]
        assert sorted(map(str, log.frame[column])) == sorted(map(str, wanted)), column
    assert total(log, "prompt_tokens") > 2**31
    billed = log.frame[log.frame["usage_quality"] != "not_billed"]
    assert sum(sum(group.usage.values()) for _, group in log.sums.groups) >= billed["prompt_tokens"].sum()


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_count_beyond_all_counts_is_in_no_total(tmp_path: Path, name: str) -> None:
    plain = read_rows(tmp_path, SAMPLES[name])
    for huge in (10**12 + 1, 2**63, 10**30):
        log = read_rows(
            tmp_path, [*SAMPLES[name], *(changed_counts(row, lambda _, n=huge: n) for row in SAMPLES[name])]
        )
        check_counts(log)
        assert log.counts.total.rejected > 0
        for column in Tokens._fields:
            assert total(log, column) <= 2 * total(plain, column), column


@pytest.mark.parametrize("name", LOG_FORMATS)
@pytest.mark.parametrize("broken", [b'{"broken', b"secret", b"[1]", b"\xff\xfe{}", b"{}"], ids=repr)
def test_a_row_that_is_none_is_listed_and_strict_raises(tmp_path: Path, name: str, broken: bytes) -> None:
    good = lines_of(SAMPLES[name])
    plain = log_of(tmp_path, good)
    log = log_of(tmp_path, good + broken + b"\n")
    check_counts(log)
    line = len(SAMPLES[name]) + 1
    assert (calls_of(log), log.rejected["line"].tolist(), log.complete) == (calls_of(plain), [line], True)
    with pytest.raises(UsageFormatError, match=f"line {line}") as caught:
        read_usage(tmp_path / "log", strict=True)
    assert "secret" not in str(caught.value) + str(log.rejected["reason"].iloc[0])
    (tmp_path / "log").write_bytes(good)
    assert calls_of(read_usage(tmp_path / "log", strict=True)) == calls_of(plain)


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_last_row_that_was_cut_is_rejected_and_costs_no_other(tmp_path: Path, name: str) -> None:
    rows = [*SAMPLES[name], SAMPLES[name][0]]
    data, last = lines_of(rows), lines_of(rows[-1:])
    whole = log_of(tmp_path, lines_of(rows[:-1]))
    for left in {1, len(last) // 3, len(last) // 2, len(last) - 2}:
        log = log_of(tmp_path, data[: len(data) - len(last) + left])
        check_counts(log)
        assert calls_of(log) == calls_of(whole)
        assert (log.complete, log.rejected["line"].tolist()) == (False, [len(rows)])
        assert log.rejected["reason"].iloc[0].startswith("the last line is unfinished")


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_a_log_that_is_only_summed_says_the_same(tmp_path: Path, name: str) -> None:
    log = read_rows(tmp_path, SAMPLES[name], SAMPLES[name][:1])
    sums = sum_usage(tmp_path)
    assert (sums.groups, sums.counts, sums.period) == (log.sums.groups, log.counts, log.sums.period)
    billed = log.frame[log.frame["usage_quality"] != "not_billed"]
    assert sum(group.requests for _, group in sums.groups) == log.frame["requests"].sum()
    meters = {"input", "cached_input", "cache_write", "output"}
    added = sum(n for _, group in sums.groups for key, n in group.usage.items() if key.meter in meters)
    assert added == billed["prompt_tokens"].sum() + billed["completion_tokens"].sum()


def planted(value: Any, name: str = "") -> Any:
    """Return a copy of a row whose contents are the marker, in whatever shape they were, in texts of JSON as well."""
    if name in CONTENTS and not isinstance(value, int) and not is_answer(value):
        return [MARKER] if isinstance(value, list) else MARKER
    if isinstance(value, dict):
        if isinstance(value.get("key"), str) and value["key"] in CONTENTS:
            return {**value, "value": {"stringValue": MARKER}}
        return {key: planted(one, key) for key, one in value.items()}
    if isinstance(value, str):
        return value.replace("secret", MARKER)
    return [planted(one) for one in value] if isinstance(value, list) else value


def is_answer(value: Any) -> bool:
    """Tell what a name of contents holds and is none: the object of an answer, whose contents are further in."""
    return isinstance(value, dict) and not ANSWERED.isdisjoint(value)


def shown(log: UsageLog) -> str:
    """Everything of a log that somebody could see."""
    frames = (log.frame, log.rejected, log.quantities)
    return "".join(one.to_csv() for one in frames) + repr((log.sums.groups, log.counts))


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_contents_are_never_seen(tmp_path: Path, name: str) -> None:
    rows = []
    # These tell what a row is, so that none is added where there is none.
    answers = {key for row in SAMPLES[name] for key, value in row.items() if is_answer(value)}
    for row in planted(SAMPLES[name]):
        for key in sorted(CONTENTS - row.keys() - answers):
            if LOG_FORMATS[name].sniff({**row, key: MARKER}):
                row[key] = MARKER
        rows.append(row)
    assert MARKER in json.dumps(rows)
    plain = read_rows(tmp_path, SAMPLES[name])
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert MARKER not in shown(log)
    assert calls_of(log) == calls_of(plain)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a row."""
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(one, (*path, key))


def replaced(row: Any, path: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(row)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


@pytest.mark.parametrize("name", LOG_FORMATS)
@pytest.mark.parametrize(
    "strange",
    [
        pytest.param(MARKER, id="a text"),
        pytest.param([MARKER], id="an array"),
        pytest.param({MARKER: MARKER}, id="an object"),
        pytest.param(f"{{{MARKER}", id="broken JSON"),
        pytest.param(MARKER * 200, id="a long text"),
        pytest.param(-1, id="negative"),
        pytest.param(1.5, id="a fraction"),
        pytest.param(10**30, id="a huge number"),
        pytest.param(None, id="null"),
    ],
)
def test_no_reason_quotes_the_row_wherever_it_is_broken(tmp_path: Path, name: str, strange: Any) -> None:
    rows = [replaced(row, path, strange) for row in SAMPLES[name] for path in places(row)]
    (tmp_path / "log.jsonl").write_bytes(lines_of([*rows, *SAMPLES[name]]))
    log = read_usage(tmp_path)
    check_counts(log)
    reasons = set(log.rejected["reason"])
    assert not [reason for reason in reasons if MARKER in reason or len(reason) > 200]
    if not isinstance(strange, dict):  # in which it is the name of a field, and may be shown
        assert not log.rejected["masked_row"].astype(str).str.contains("marker").any()
    for reason in reasons:
        line = int(log.rejected["line"][log.rejected["reason"] == reason].iloc[0])
        path = tmp_path / "one.jsonl"
        path.write_bytes(lines_of([rows[line - 1]]))
        with pytest.raises(UsageFormatError) as caught:
            read_usage(path, strict=True)
        assert MARKER not in str(caught.value)
