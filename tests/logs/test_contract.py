"""What every registered format keeps, tried on its rows."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from format_rows import SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from log_rows import calls_of, check_counts, lines_of, read_rows, total

from aoai_cost import UsageFormatError, UsageLog, read_usage
from aoai_cost.logs import LOG_FORMATS
from aoai_cost.logs.schema import Part, PartKind, RowError

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
    for reason in reasons:
        line = int(log.rejected["line"][log.rejected["reason"] == reason].iloc[0])
        path = tmp_path / "one.jsonl"
        path.write_bytes(lines_of([rows[line - 1]]))
        with pytest.raises(UsageFormatError) as caught:
            read_usage(path, strict=True)
        assert MARKER not in str(caught.value)
