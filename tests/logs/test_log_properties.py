"""What must hold for any log: the truth is found, and neither order nor files change it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import answer_rows
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import (
    ACCOUNT,
    attempt_row,
    body_row,
    calls_of,
    check_counts,
    check_outcome,
    diagnostics_row,
    emitted_row,
    gateway_row,
    lines_of,
    point_row,
    read_rows,
    status_row,
    total,
    try_to_read,
    usage_row,
)
from tracer_rows import (
    helicone_row,
    hub_row,
    langfuse_row,
    litellm_row,
    otlp,
    otlp_metrics,
    promptflow_row,
    span,
)

from aoai_cost import UsageFormatError, UsageLog, read_usage
from aoai_cost.logs import LOG_FORMATS
from aoai_cost.logs.schema import Part, PartKind, RowError

CACHED = {"input": 40, "input_cached_tokens": 60, "output": 10, "total": 110}
SAMPLES = {
    "azure-monitor": [usage_row(), status_row(), status_row("t", category="Audit"), diagnostics_row(usage_row("d"))],
    "azure-metrics": [
        point_row(),
        point_row("GeneratedTokens", 10),
        point_row("TokenTransaction", 110, dimensions={"modeldeploymentname": "chat"}, location="eastus"),
        point_row(time="2026-10-14T03:03:00Z", dimensions={"modeldeploymentname": "chat", "modelname": "gpt-4o"}),
        point_row("Latency"),
        {"Type": "AzureMetrics", "MetricName": "Latency", "Total": 1},
    ],
    "app-insights": [
        emitted_row(),
        emitted_row("Completion Tokens", 10),
        emitted_row("Prompt Cached Tokens", 60),
        emitted_row("Total Tokens", "110"),
        emitted_row("Duration", 1.5),
        {"Type": "AppMetrics", "Name": "Prompt Tokens", "Sum": 5.0, "TimeGenerated": "2026-10-14T02:03:59Z"}
        | {"Properties": {"Model": "gpt-4o"}},
    ],
    "apim-llm-log": [
        gateway_row(),
        gateway_row(sequence=1),
        gateway_row("b", ApimSubscriptionId="team-a"),
        answer_rows.event_hub_row("c"),
    ],
    "openai-response": [body_row(), {"error": {"code": "429"}}, {"model": "m", "usage": {"input_tokens": 1}}],
    "client-log": [
        attempt_row(
            usage={"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens": 10}
        ),
        attempt_row("b", usage_source="estimated"),
        attempt_row("c", status=429, usage=None, model=None),
        attempt_row("d", sent=False, usage=None),
        {"aoai_cost_ledger": 1, "day": "2026-10-14", "call": "a", "cost": "0.01", "currency": "USD"},
    ],
    "ai-hub-gateway": [hub_row(), hub_row("b", 1, 0, totalTokens=1)],
    "litellm": [
        litellm_row(),
        litellm_row("b", cache_hit="True", model="azure/chat-prod"),
        litellm_row("c", 0, 0, status="failure"),
    ],
    "langfuse": [langfuse_row(), langfuse_row("b", type="SPAN"), {"data": [langfuse_row("c", CACHED)], "meta": {}}],
    "otel-genai": [
        otlp(span("a"), span("b", {"gen_ai.usage.cache_read.input_tokens": 60})),
        otlp_metrics(),
        otlp(span("c", {"gen_ai.response.id": ...})),
    ],
    "helicone": [helicone_row(), helicone_row("b", response_status=-3, prompt=None, completion=None)],
    "promptflow": [promptflow_row(), promptflow_row("b", "Flow"), promptflow_row("c", "Embedding")],
    **answer_rows.SAMPLES,
}
KINDS = (
    "both",
    "usage",
    "status",
    "throttled",
    "thread",
    "stream",
    "gateway",
    "companion",
    "body",
    "chunks",
    "batch",
    "embedding",
)
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
ELSEWHERE = "https://three.openai.azure.com/openai/deployments/chat/chat/completions"
"""No other rows of calls that are made up are of this account, where one source would give way to the other."""
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


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


@st.composite
def exports(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of made-up calls, and the truth about them."""
    rows: list[dict[str, Any]] = []
    truth: dict[str, Any] = {"prompt": 0, "completion": 0, "requests": 0, "unmetered": 0, "copies": 0, "conflicts": 0}
    for i in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(KINDS))
        prompt, completion = draw(st.integers(0, 5_000)), draw(st.integers(1, 900))
        name, place = f"call-{i}", draw(st.sampled_from([ACCOUNT, ACCOUNT.upper(), ACCOUNT.replace("/one", "/two")]))
        of_call: list[dict[str, Any]] = []
        if kind in ("both", "usage", "stream"):
            of_call.append(usage_row(name, [prompt], str(completion), resourceId=place))
        if kind in ("both", "status", "stream"):
            of_call.append(status_row(name, resourceId=place, duration_ms=draw(st.integers(-50, 50))))
        if kind == "stream":
            of_call.append(usage_row(name, prompt, completion - 1, resourceId=place))
            # A row of zeros before the real one is no contradiction.
            truth["conflicts"] += prompt > 0 or completion > 1
        if kind == "throttled":
            of_call += [status_row(name, duration_ms=0), status_row(name, "429", 5)]
        if kind == "thread":
            of_call.append(status_row(name, operationName="Create_Thread") | {"properties": "{}"})
        if kind == "gateway":
            of_call += [gateway_row(name, j, str(prompt), str(completion)) for j in range(draw(st.integers(1, 3)))]
        if kind == "body":
            of_call.append(body_row(name, prompt, completion))
        if kind == "embedding":
            # Without an id, every row is a call, its copies too.
            rows.append({"object": "list", "model": "m", "usage": {"prompt_tokens": prompt}})
            truth["requests"] += 1
            truth["prompt"] += prompt
            continue
        if kind == "chunks":
            # Equal chunks are no copies; usage may stand in several, and counts up.
            last = draw(st.integers(1, 3))
            rows += [answer_rows.chunk_row(name)] * draw(st.integers(0, 3))
            rows += [
                answer_rows.chunk_row(name, answer_rows.usage_of(prompt, completion * n // last))
                for n in range(1, last + 1)
            ]
        if kind == "batch":
            of_call.append(answer_rows.batch_row("task", name, body=body_row(name, prompt, completion)))
            rows.append(answer_rows.asked_row("task"))
        if kind == "companion":
            of_call += [gateway_row(name, 0, prompt, completion), answer_rows.companion_row(name, BackendUrl=ELSEWHERE)]
        if kind in ("both", "usage", "stream", "gateway", "body", "chunks", "batch", "companion"):
            truth["prompt"] += prompt
            truth["completion"] += completion
        truth["requests"] += 1
        truth["unmetered"] += kind == "status"
        copies = draw(st.lists(st.sampled_from(of_call), max_size=2)) if of_call else []
        truth["copies"] += len(copies) + (kind == "stream")
        rows += of_call + copies
    return rows, truth


@in_a_folder
@given(exports(), st.integers(0, 2**32), st.integers(1, 4))
def test_any_order_and_any_files_give_the_truth(tmp_path: Path, export: Any, seed: int, files: int) -> None:
    rows, truth = export
    shuffled = rows.copy()
    chance = random.Random(seed)
    chance.shuffle(shuffled)
    parts: list[list[dict[str, Any]]] = [[] for _ in range(files)]
    for row in shuffled:
        parts[chance.randrange(files)].append(row)
    one, other = read_rows(tmp_path, rows), read_rows(tmp_path, *parts)
    for log in (one, other):
        check_counts(log)
        found = log.counts.total
        assert total(log, "prompt_tokens") == truth["prompt"]
        assert total(log, "completion_tokens") == truth["completion"]
        assert (found.requests, found.unmetered) == (truth["requests"], truth["unmetered"])
        assert (found.duplicates, found.conflicts, found.rejected) == (truth["copies"], truth["conflicts"], 0)
    assert calls_of(one) == calls_of(other)


@in_a_folder
@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=8), st.integers(0, 8))
def test_any_bytes_end_in_a_log_or_a_typed_error(tmp_path: Path, lines: list[bytes], at: int) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"\n".join([*lines[:at], lines_of([body_row()]).strip(), *lines[at:]]))
    check_outcome(try_to_read(path))


@in_a_folder
@given(st.integers(0, 2_000))
def test_a_log_cut_anywhere_keeps_every_whole_row(tmp_path: Path, cut: int) -> None:
    rows = [usage_row(), status_row(), gateway_row(), body_row()]
    data = lines_of(rows)
    path = tmp_path / "cut.jsonl"
    path.write_bytes(data[: len(data) - cut % len(data)])
    whole = sum(len(lines_of(rows[: i + 1])) - 1 <= len(path.read_bytes()) for i in range(len(rows)))
    if whole == 0:
        return
    log = read_usage(path)
    check_counts(log)
    assert log.counts.total.requests + log.counts.total.joined == whole
    assert log.complete == (log.counts.total.rejected == 0)


@pytest.mark.parametrize("kind", ["jsonl", "json", "compressed", "csv", "text", "parquet"])
def test_hostile_files_end_in_a_log_or_a_typed_error(test_data: Path, kind: str) -> None:
    paths = [
        path for path in sorted((test_data / "hostile" / kind).iterdir()) if not path.name.startswith("bomb_lines")
    ]
    assert paths
    for path in paths:
        log = try_to_read(path)
        check_outcome(log)
        promised = path.with_suffix(".expect.json")
        if promised.exists():
            assert isinstance(log, UsageLog)
            good = log.frame[log.frame["deployment"].notna() & (log.frame["request_id"] != "chatcmpl-000099")]
            assert (len(good), good["prompt_tokens"].sum(), good["completion_tokens"].sum()) == (40, 1180, 200), (
                path.name
            )


@pytest.mark.deep
def test_a_bomb_of_equal_lines_is_one_call(test_data: Path) -> None:
    log = read_usage(test_data / "hostile" / "compressed" / "bomb_lines.jsonl.gz")
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.duplicates) == (1, 319_999)
