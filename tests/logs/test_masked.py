"""How a rejected row is shown: its structure and names of fields, and nothing of what it says."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.logs.masked import MOST_SHOWN, mask

# Whatever of these is shown comes from a secret: the names of fields have only small letters.
SECRET = re.compile("[A-Z1-9é世']")
secrets = st.text(st.sampled_from("ABCXYZ123é世'\"\\{}[]:, \n"), min_size=4, max_size=30)
names = st.sampled_from(["model", "usage", "prompt_tokens", "messages", "content", "@timestamp", "a"])
values = st.recursive(
    secrets
    | st.booleans()
    | st.none()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def check(row: object) -> None:
    shown = mask(row)
    assert shown is not None
    assert len(shown) <= MOST_SHOWN
    assert not SECRET.search(shown)
    assert shown.isprintable()


@given(values.filter(lambda value: value is not None))
def test_no_character_of_a_secret_is_shown_of_a_value(value: Any) -> None:
    check(value)


@given(values, st.integers(0, 400), st.integers(0, 400), st.booleans())
def test_no_character_of_a_secret_is_shown_of_a_line_cut_anywhere(
    value: Any, start: int, end: int, is_ascii: bool
) -> None:
    line = json.dumps(value, ensure_ascii=is_ascii).encode()
    check(line[start:])
    check(line[: max(1, end)])
    check(line[start : start + end])


@given(values, secrets, secrets, st.integers(0, 400))
def test_no_character_of_a_secret_is_shown_around_or_within_a_line(
    value: Any, before: str, after: str, cut: int
) -> None:
    line = json.dumps(value, ensure_ascii=False)
    # A text that begins as JSON does would be JSON.
    check(f"Q{before}{line}{after}".encode())
    check(f"{line}{after}".encode())
    # Within a key it makes another key, which the blank keeps from being a name.
    unquoted = " " + before.replace('"', "")
    check(f"{line[:cut]}{unquoted}{line[cut:]}".encode())


@given(values, st.integers(0, 400))
def test_no_character_of_a_secret_is_shown_of_json_in_a_text(value: Any, start: int) -> None:
    """JSON in a string, in the cell of a table, and in a string in a cell, whole or cut."""
    inner = json.dumps(value, ensure_ascii=False)
    twice = json.dumps(inner, ensure_ascii=False)
    cells = ('"' + one.replace('"', '""') + '"' for one in (inner, twice))
    for text in (twice, json.dumps({"content": inner}), *cells):
        check(text[start:].encode() or b" ")
        check((text[start:], inner))
        check(b"a,b," + text.encode())


simple = st.recursive(
    st.text(max_size=5)
    | st.booleans()
    | st.none()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(simple.filter(lambda value: value is not None), st.sampled_from([None, 1]))
def test_a_line_is_shown_as_the_value_that_it_holds(value: Any, indent: int | None) -> None:
    assert mask(json.dumps(value, indent=indent).encode()) == mask(value)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_shown(data: bytes) -> None:
    shown = mask(data)
    assert shown is not None
    assert not re.search(r"[^\x20-\x7e…]", shown)
    assert len(shown) <= MOST_SHOWN


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        pytest.param(
            b'{"time": "2026-10-14", "ok": true, "n": [1, -2.50, 1E9], "x": null}',
            '{"time":"…","ok":true,"n":[0,-0.00,0e0],"x":null}',
            id="a line of JSON",
        ),
        pytest.param(b'{"a": {"b": 1, "prompt": "My na', '{"a":{"b":0,"prompt":"…', id="a line that breaks off"),
        pytest.param(b'name is Ada", "role": "user"}', '…"…"…"…"…"…', id="a line that begins in a text"),
        pytest.param(b'{"a": 1{"b": 2}', '{"a":0{"…":0}', id="two lines in one"),
        pytest.param(b'{"a": "say "hi", "b": 1}', '{"a":"…"…"…"…"…', id="quotes within a text"),
        pytest.param(b'{"text": "{\\"b\\": 1}"}', '{"text":"…"}', id="JSON in a text"),
        pytest.param(b'{\\"b\\": 1}', '{…"…', id="JSON of a text"),
        pytest.param(b'"{""b"": 1}",2', '"…""…""…",0', id="a row of CSV"),
        pytest.param(b"2026-10-14 Ada said true", "0000…00…00…", id="a line of prose"),
        pytest.param(b"\xff\xfe{\0\x80", "…{…", id="bytes that are no text"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', '{"a":0}', id="a byte order mark"),
        pytest.param(b', {"a": 1},', '{"a":0},', id="an element of an array"),
        pytest.param(b'{"ada@mail.test": 1, "sk-12345": 2, "a b": 3}', '{"…":0,"…":0,"…":0}', id="keys but no names"),
        pytest.param(b'{"' + b"a" * 41 + b'": 1, "\\u0061": 1}', '{"…":0,"…":0}', id="long and written keys"),
        pytest.param(b'{"a": truest, "b": 1}', '{"a":…,"…":0}', id="a word that only begins as one"),
        pytest.param(b'["a", "b": 1]', '["…","…":0]', id="a colon in an array"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(("Ada", "12.50", 'say "hi", you', ""), '…,00…00,…"…",…,', id="cells"),
        pytest.param({"a": [1, float("inf"), 10**5_000, object()]}, f'{{"a":[0,…,{"0" * 20},…]}}', id="no JSON"),
        pytest.param([], "[]", id="an empty array"),
        pytest.param(None, None, id="nothing known"),
    ],
)
def test_a_row_is_shown_as(row: object, shown: str | None) -> None:
    assert mask(row) == shown


def test_of_a_long_row_only_the_beginning_is_looked_at() -> None:
    begun = time.perf_counter()
    for row in (b'{"a": "' + b"A" * 50_000_000, b'{"a": ' + b"[" * 50_000_000, [["A"] * 1_000_000] * 9, ("A" * 10**7,)):
        check(row)
    assert time.perf_counter() - begun < 2
    nested: Any = []
    for _ in range(5_000):
        nested = [nested]
    assert mask(nested) == "[" * (MOST_SHOWN - 1) + "…"
