"""What must hold for any log: the truth is found, and neither order nor files change it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import answer_rows
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import (
    ACCOUNT,
    body_row,
    calls_of,
    check_counts,
    check_outcome,
    gateway_row,
    lines_of,
    read_rows,
    status_row,
    total,
    try_to_read,
    usage_row,
)

from aoai_cost import UsageLog, read_usage

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
ELSEWHERE = "https://three.openai.azure.com/openai/deployments/chat/chat/completions"
"""No other rows of calls that are made up are of this account, where one source would give way to the other."""
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


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
