"""What is read in columns is what is read row by row, whatever stands in the lines."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import lines_of, status_row, usage_row

from aoai_cost import UsageLog, read_usage
from aoai_cost._fast.columns import NOT_A_TIME, Columns, digest
from aoai_cost.logs import parts, sum_usage
from aoai_cost.logs.fields import to_count, to_timestamp_us
from aoai_cost.logs.formats import azure_monitor
from aoai_cost.logs.schema import RowError

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
COUNTS = (0, 7, "7", [7], ["7", 8], [], "", None, -1, 1.5, True, "x", [None], 10**13, "1e3", [[1]], {"a": 1}, " 7")
TEXTS = ("", None, "x", "É", "a\\b", 'a"b', "tab\t", 7, True, ["x"], "x" * 2_001, "/A/", "\u2028", "\U0001f600")
TIMES = (
    *("2026-10-14T02:03:59.9460000Z", "2026-10-14 02:03:59", "2026-10-14T02:03:59+05:30", "2026-10-14T02:03:59,5"),
    *("2026-02-29T00:00:00Z", "2028-02-29T23:59:59.1Z", "2026-13-01T00:00:00Z", "2026-10-14T24:00:00Z", "2026-10-14"),
    *(
        "2014-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "2026-10-14T02:03:60Z",
        "20261014T020359Z",
        "",
        None,
        1_791_943_440,
    ),
    *(
        "2026-10-14T02:03:59.Z",
        "2026-10-14T02:03:59z",
        "2026-10-14T02:03:59-00:00:30",
        "1791943440",
        "2026-10-14T02:03:59 Z",
    ),
)
FIELDS = {
    "category": (*TEXTS, "requestresponse", "Audit"),
    "correlationId": (*TEXTS, "B", "b"),
    "resourceId": TEXTS,
    "location": TEXTS,
    "Tenant": TEXTS,
    "operationName": TEXTS,
    "time": TIMES,
    "EnqueueTime": TIMES,
    "FluentdIngestTimestamp": TIMES,
    "resultSignature": (200, "200", "0200", 99, 600, "4x4", None, True, 200.0, [200], "429", 400),
    "durationMs": (0, 1.5, -3, "12", "x", None, True, 1e300, 10**30, [1], "1_000"),
    "records": ([], [{"category": "RequestResponse"}], {}, None),
    "value": ([], [1], None, ""),
    "tables": ([], [1], [{"columns": [{"name": "x"}], "rows": [[1]]}], None),
}
INNER = {name: COUNTS for names in azure_monitor._COUNTS.values() for name in names}
INNER |= dict.fromkeys(azure_monitor._PARTS_OF_COUNTS, COUNTS)
INNER |= dict.fromkeys(("modelDeploymentName", "modelName", "modelVersion", "streamType"), TEXTS)


def read_slowly(monkeypatch: pytest.MonkeyPatch, folder: Path) -> UsageLog:
    with monkeypatch.context() as patched:
        patched.setattr(azure_monitor._Lines, "may_read", lambda self, data: False)
        return read_usage(folder)


def check_equal(one: UsageLog, other: UsageLog) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    pd.testing.assert_frame_equal(one.rejected, other.rejected)
    assert one.counts == other.counts
    assert one.sums.groups == other.sums.groups


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    make = draw(st.sampled_from([usage_row, status_row]))
    row: dict[str, Any] = make(draw(st.sampled_from(["a", "b", "c"])))
    for name in draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=2)):
        row[name] = draw(st.sampled_from(FIELDS[name]))
    for name in draw(st.sets(st.sampled_from(sorted(INNER)), max_size=2)):
        row["properties"][name] = draw(st.sampled_from(INNER[name]))
    if draw(st.booleans()):
        row["properties"] = json.dumps(row["properties"], ensure_ascii=draw(st.booleans()))
        if draw(st.sampled_from(range(9))) == 0:
            row["properties"] = draw(st.sampled_from(["", "{", "[]", "null", '"{}"', "{} ", "{}x", None, 7, [], " {}"]))
    return row


@in_a_folder
@given(st.lists(rows(), max_size=8), st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :  ")]))
def test_rows_in_columns_are_rows_one_by_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    some: list[dict[str, Any]],
    ascii_only: bool,
    separators: tuple[str, str],
) -> None:
    lines = [json.dumps(row, ensure_ascii=ascii_only, separators=separators).encode() for row in some]
    good = lines_of([usage_row("sure"), status_row("sure")])
    (tmp_path / "a.jsonl").write_bytes(good + b"\n".join([b"", *lines, b"  "]))
    check_equal(read_usage(tmp_path), read_slowly(monkeypatch, tmp_path))


@in_a_folder
@given(st.integers(0, 2**32))
def test_damaged_lines_in_columns_are_damaged_lines_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    made = random.Random(seed)
    lines = bytearray()
    for call in "abcd":
        for row in (usage_row(call), status_row(call, properties={"objectId": 'É\\"\U0001f600'})):
            if made.random() < 0.5:
                row["properties"] = json.dumps(row["properties"])
            line = bytearray(json.dumps(row, ensure_ascii=made.random() < 0.5).encode())
            for _ in range(made.choice([0, 0, 1, 1, 2])):
                at = made.randrange(len(line))
                kind = made.randrange(3)
                new = bytes([made.choice(b'"\\{}[]:,\x00\x1f\x80\xed\xa0u0dtnE+-. ')])
                line[at : at + (kind != 0)] = new if kind != 2 else b""
            lines += line + b"\n"
    (tmp_path / "a.jsonl").write_bytes(lines_of([usage_row("sure")]) + bytes(lines))
    check_equal(read_usage(tmp_path), read_slowly(monkeypatch, tmp_path))


PLAIN = b'{"category":"RequestResponse","x":%s}'


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        pytest.param(b"1", True, id="a number"),
        pytest.param(b"-0.5e+10", True, id="a number with everything"),
        pytest.param(b"1e999", False, id="beyond a double"),
        pytest.param(b"9" * 41, False, id="too many digits"),
        pytest.param(b"01", False, id="a leading zero"),
        pytest.param(b"1.", False, id="no digit behind the point"),
        pytest.param(b"-", False, id="a minus alone"),
        pytest.param(b"1e", False, id="no exponent"),
        pytest.param(b"+1", False, id="a plus"),
        pytest.param(b"NaN", False, id="NaN"),
        pytest.param(b"nul", False, id="half a word"),
        pytest.param(b"truee", False, id="a word and a letter"),
        pytest.param(b"[1,]", False, id="a comma too many"),
        pytest.param(b"[1 2]", False, id="no comma"),
        pytest.param(b'{"a":1,}', False, id="a comma too many in an object"),
        pytest.param(b"{a:1}", False, id="a bare key"),
        pytest.param(b'{"a"1}', False, id="no colon"),
        pytest.param(b'"\t"', False, id="a control character"),
        pytest.param(b'"\\x"', False, id="an escape that is none"),
        pytest.param(b'"\\u12"', False, id="half an escape"),
        pytest.param(b'"\\ud83d"', False, id="half a pair"),
        pytest.param(b'"\xff"', False, id="no UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', False, id="a surrogate in UTF-8"),
        pytest.param(b'"\xc0\x80"', False, id="an overlong zero"),
        pytest.param(b'"\xf4\x90\x80\x80"', False, id="beyond Unicode"),
        pytest.param('"\U0010ffff é €"'.encode(), True, id="the last of Unicode"),
        pytest.param(b"[" * 62 + b"]" * 62, True, id="deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, False, id="too deep"),
        pytest.param(b"1} {", False, id="two objects"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_a_plain_line_is_json(value: bytes, plain: bool) -> None:
    columns = Columns(("category",), "properties", ())
    line = PLAIN % value
    assert columns.read(line) == 1
    assert columns.plain.tolist() == [plain]
    if plain:
        orjson.loads(line)


def test_every_piece_of_the_hostile_json_is_as_plain_as_it_is_valid(test_data: Path) -> None:
    columns = Columns(("category",), "properties", ())
    files = sorted((test_data / "hostile" / "json").glob("*.json"))
    assert len(files) > 100
    refused = 0
    for path in files:
        line = PLAIN % path.read_bytes().replace(b"\n", b" ")
        columns.read(line)
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            assert not columns.plain.all(), path.name
            refused += 1
    assert refused > 50


@given(st.lists(st.binary(max_size=40)), st.sampled_from([b"", b"\n"]))
def test_lines_are_those_that_are_not_blank(lines: list[bytes], end: bytes) -> None:
    piece = b"\n".join(lines) + end
    columns = Columns(("a",), "b", ())
    expected = [(i, line) for i, line in enumerate(piece.split(b"\n")) if line.strip(b" \t\r\n\f\v\0")]
    assert columns.read(piece) == len(expected)
    found = zip(columns.lines.tolist(), columns.starts.tolist(), columns.ends.tolist(), strict=True)
    assert [(i, piece[start:stop]) for i, start, stop in found] == expected


@pytest.mark.parametrize("value", COUNTS)
def test_a_count_is_what_it_is_row_by_row(value: Any) -> None:
    columns = Columns(("n",), "p", ("n",))
    for row, inner in (({"n": value}, False), ({"p": {"n": value}}, True), ({"p": json.dumps({"n": value})}, True)):
        columns.read(json.dumps(row).encode())
        [found], [known] = columns.counts("n", inner)
        if columns.plain[0]:
            assert to_count(value, "n") == (int(found) if known else None)
    assert columns.plain[0] == (value in (0, 7, "7", [7], ["7", 8], None) and value is not True)


@pytest.mark.parametrize("value", [*TIMES, 7, [], "2026-10-14T02:03:59.123456789+23:59"])
def test_a_time_is_what_it_is_row_by_row(value: Any) -> None:
    columns = Columns(("t",), "p", ())
    columns.read(json.dumps({"t": value}).encode())
    [found] = columns.times("t").tolist()
    if columns.plain[0]:
        try:
            expected = to_timestamp_us(value, "t")
        except RowError:
            assert not 2015 <= int(value[:4]) < 2100, "only the years are somebody else's to check"
        else:
            assert found == (NOT_A_TIME if expected is None else expected)


@given(st.datetimes(min_value=pd.Timestamp("1970-01-01"), max_value=pd.Timestamp("2262-01-01")))
def test_any_time_is_read(when: Any) -> None:
    columns = Columns(("t",), "p", ())
    columns.read(json.dumps({"t": when.isoformat()}).encode())
    assert columns.times("t")[0] == np.datetime64(when, "us").astype(np.int64)
    assert columns.plain[0]


@given(st.lists(st.text(max_size=30), max_size=3), st.lists(st.text(max_size=30), max_size=3))
def test_digests_tell_tuples_apart(one: list[str], other: list[str]) -> None:
    first, second = (digest(tuple(text.encode() for text in texts)) for texts in (one, other))
    assert (first == second) == (one == other)
    assert len(first) == 16


def sip_hash(data: bytes) -> bytes:
    """SipHash-1-3 of 128 bits, as its paper and the reference code have it, under the key of the package."""
    mask = 2**64 - 1

    def rotated(x: int, bits: int) -> int:
        return (x << bits | x >> 64 - bits) & mask

    def mix() -> None:
        v[0] = v[0] + v[1] & mask
        v[1] = rotated(v[1], 13) ^ v[0]
        v[0] = rotated(v[0], 32)
        v[2] = v[2] + v[3] & mask
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & mask
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & mask
        v[1] = rotated(v[1], 17) ^ v[2]
        v[2] = rotated(v[2], 32)

    k0, k1 = (int.from_bytes(half, "big") for half in (b"aoai_cos", b"logs_joi"))
    start = b"somepseudorandomlygeneratedbytes"
    v = [key ^ int.from_bytes(start[8 * i : 8 * i + 8], "big") for i, key in enumerate((k0, k1, k0, k1))]
    v[1] ^= 0xEE
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v[3] ^= word
        mix()
        v[0] ^= word
    out = b""
    for changed, tweak in ((2, 0xEE), (1, 0xDD)):
        v[changed] ^= tweak
        for _ in range(3):
            mix()
        out += (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")
    return out


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_a_digest_is_the_hash_of_the_texts_and_their_lengths(texts: list[bytes]) -> None:
    assert digest(tuple(texts)) == sip_hash(b"".join(len(one).to_bytes(4, "little") + one for one in texts))


def test_memory_is_kept_beyond_a_limit_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = random.Random(7)
    rows = [row for i in range(600) for row in (usage_row(f"{i}", i, 1), status_row(f"{i}"))]
    rows += made.sample(rows, 100) + [usage_row(f"{i}", i + 1, 2) for i in range(0, 600, 10)]
    made.shuffle(rows)
    for i in range(3):
        (tmp_path / f"{i}.jsonl").write_bytes(lines_of(rows[i::3]))
    whole = sum_usage(tmp_path)
    spilled = 0
    written = parts.Runs.append

    def append(runs: parts.Runs, records: Any) -> None:
        nonlocal spilled
        spilled += 1
        written(runs, records)

    monkeypatch.setattr(parts.Runs, "append", append)
    # From one level of partitions to several.
    for rows_in_memory in (800, 60, 7):
        monkeypatch.setattr(parts, "LIMIT_BYTES", rows_in_memory * parts.PART.itemsize)
        before = spilled
        found = sum_usage(tmp_path)
        assert spilled > before
        assert (found.groups, found.counts, found.period) == (whole.groups, whole.counts, whole.period)
        check_equal(read_usage(tmp_path), read_slowly(monkeypatch, tmp_path))
    assert whole.counts.total.conflicts == 60
    assert whole.counts.total.duplicates == 160
