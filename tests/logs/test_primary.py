"""Logs that saw the same calls: one source counts for each resource and hour, and the others are compared with it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from answer_rows import batch_row, chunk_row, companion_row, logged_row, usage_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import (
    ACCOUNT,
    attempt_row,
    body_row,
    calls_of,
    check_counts,
    emitted_row,
    gateway_row,
    point_row,
    read_rows,
    status_row,
    total,
    usage_row,
)
from test_sums import CALLS, FORMATS, Call, added
from test_sums import calls_of as joined_calls
from tracer_rows import hub_row, langfuse_row, litellm_row, otlp, span

from aoai_cost import Deployment, Deployments, PriceBook, UsageLog, cost_report
from aoai_cost.logs import LOG_FORMATS, FileCounts, sum_usage
from aoai_cost.logs.parts import Shared
from aoai_cost.logs.sums import Sums

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

KNOWN = {
    "deployments": Deployments((Deployment("one", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "eastus"),)),
    "prices": PriceBook.bundled(),
}


def at(hour: int, minute: int = 3) -> str:
    return f"2026-10-14T{hour:02}:{minute:02}:59.9460000Z"


def account(call: str, hour: int = 2, prompt: int = 100, **changes: Any) -> dict[str, Any]:
    return usage_row(call, prompt, EnqueueTime=at(hour), **changes)


def gateway(call: str, hour: int = 2, prompt: int = 100, **changes: Any) -> dict[str, Any]:
    return gateway_row(call, prompt=prompt, TimeGenerated=at(hour), **changes)


def proxy(call: str, hour: int = 2, prompt: int = 100, name: str = "one") -> dict[str, Any]:
    return litellm_row(call, prompt, startTime=at(hour), api_base=f"https://{name}.openai.azure.com/openai/")


def read(folder: Path, *files: Sequence[Any], **options: Any) -> UsageLog:
    log = read_rows(folder, *files, **options)
    check_counts(log)
    alone = sum_usage(folder, **options)
    assert (alone.groups, alone.counts, alone.period) == (log.sums.groups, log.counts, log.sums.period)
    assert (alone.comparisons, alone.unmatched, alone.formats) == (
        log.sums.comparisons,
        log.sums.unmatched,
        log.sums.formats,
    )
    assert sum(group.requests for _, group in alone.groups) == total(log, "requests")
    return log


def sources_by_hour(log: UsageLog) -> dict[int, set[str]]:
    hours = log.frame["timestamp"].dt.hour
    return {int(hour): set(log.frame.loc[hours == hour, "source_format"]) for hour in hours.unique()}


def test_two_sources_of_the_same_calls_are_counted_once(tmp_path: Path) -> None:
    calls = [(f"c{i}", 2 + i % 3, 100 + i) for i in range(9)]
    log = read(tmp_path, [account(*call) for call in calls], [proxy(*call) for call in calls])
    assert set(log.frame["source_format"]) == {"azure-monitor"}
    assert total(log, "prompt_tokens") == sum(prompt for _, _, prompt in calls)
    assert [(one.requests, one.elsewhere) for one in log.counts.files] == [(9, 0), (0, 9)]
    (found,) = log.sums.comparisons
    assert found == (ACCOUNT.lower(), "litellm", "azure-monitor", 3, 9, 9, 936, 936, 90, 90, ())
    assert log.sums.formats == ("azure-monitor",)
    assert log.sums.unmatched == ()


def test_diagnostics_that_begin_at_noon_count_from_noon(tmp_path: Path) -> None:
    seen = [(f"c{i}", hour) for i in range(4) for hour in range(9, 16)]
    log = read(
        tmp_path,
        [account(f"{call}-{hour}", hour) for call, hour in seen if hour >= 12],
        [proxy(f"{call}-{hour}", hour) for call, hour in seen],
    )
    assert sources_by_hour(log) == {hour: {"azure-monitor" if hour >= 12 else "litellm"} for hour in range(9, 16)}
    assert (len(log.frame), log.counts.total.elsewhere) == (28, 16)
    assert log.sums.comparisons[0].hours == 4


def test_an_hour_that_a_source_saw_only_in_part_is_the_others(tmp_path: Path) -> None:
    log = read(
        tmp_path,
        [account("a", 12), account("b", 13), account("c", 13)],
        [proxy("a", 12), proxy("x", 12, 7), proxy("b", 13), proxy("c", 13)],
    )
    assert sources_by_hour(log) == {12: {"litellm"}, 13: {"azure-monitor"}}
    assert total(log, "prompt_tokens") == 307
    told = {(one.source, one.primary): (one.calls, one.primary_calls) for one in log.sums.comparisons}
    assert told == {("azure-monitor", "litellm"): (1, 2), ("litellm", "azure-monitor"): (2, 2)}


def test_a_call_more_at_the_end_of_a_busy_hour_changes_nothing(tmp_path: Path) -> None:
    busy = [f"c{i}" for i in range(99)]
    for more, source in ((["late"], "azure-monitor"), (["late", "later"], "litellm")):
        log = read(tmp_path, [account(call) for call in busy], [proxy(call) for call in busy + more])
        assert sources_by_hour(log) == {2: {source}}


def test_statuses_alone_give_way_to_who_tells_tokens(tmp_path: Path) -> None:
    statuses = [status_row(call, time=at(2), EnqueueTime=at(2)) for call in "abc"]
    log = read(tmp_path, statuses, [proxy("a")])
    assert (len(log.frame), total(log, "prompt_tokens")) == (1, 100)
    assert (log.counts.files[0].elsewhere, log.counts.total.unmetered) == (3, 0)
    assert log.sums.comparisons[0][4:8] == (3, 1, 0, 100)


@pytest.mark.parametrize(
    ("rows", "primary"),
    [
        pytest.param([proxy("a"), attempt_row("a", time=at(2))], "litellm", id="a proxy before a client"),
        pytest.param([logged_row("a", time=at(2)), proxy("a")], "apim-gateway-logs", id="the gateway before a proxy"),
        pytest.param([account("a"), logged_row("a", time=at(2))], "azure-monitor", id="the account before its gateway"),
        pytest.param(
            [attempt_row("a", time=at(2)), otlp(span("a", {"server.address": "one.openai.azure.com"}))],
            "client-log",
            id="a client before a tracer",
        ),
    ],
)
def test_of_equal_sources_the_nearest_to_the_meter_counts(tmp_path: Path, rows: Any, primary: str) -> None:
    for files in ([rows], [[row] for row in rows], [[row] for row in reversed(rows)]):
        log = read(tmp_path, *files)
        assert (set(log.frame["source_format"]), log.counts.total.elsewhere) == ({primary}, 1)


def test_other_resources_and_hours_are_nobody_elses(tmp_path: Path) -> None:
    log = read(tmp_path, [account("a")], [proxy("a", 3), proxy("b", 2, name="two")])
    assert (len(log.frame), log.counts.total.elsewhere, log.sums.comparisons) == (3, 0, ())
    assert log.sums.formats == ("azure-monitor", "litellm")
    report = cost_report(log)
    assert len(report.comparison) == 0
    assert not any("more than once" in note for note in report.notes)


def test_bodies_take_the_resource_that_is_given(tmp_path: Path) -> None:
    rows = [account("a", 2), body_row("a", created=1_791_943_440)]
    log = read(tmp_path, rows, resource="One", deployment="chat")
    assert (set(log.frame["source_format"]), log.counts.total.elsewhere) == ({"azure-monitor"}, 1)
    assert log.sums.unmatched == ()


def test_rows_without_a_resource_are_all_counted_and_named(tmp_path: Path) -> None:
    log = read(tmp_path, [gateway("a")], [langfuse_row("a", start_time="2026-10-14 02:30:00")])
    assert (len(log.frame), log.counts.total.elsewhere) == (2, 0)
    assert log.sums.unmatched == ("apim-llm-log", "langfuse")
    report = cost_report(log)
    (note,) = [one for one in report.notes if "more than once" in one]
    assert note.startswith("apim-llm-log, langfuse may have seen the same calls")
    assert "resource=" in note
    assert "format=" in note
    chosen = read(tmp_path, [gateway("a")], [langfuse_row("a")], format="langfuse")
    assert set(chosen.frame["source_format"]) == {"langfuse"}
    assert chosen.sums.unmatched == ()


@pytest.mark.parametrize(
    ("rows", "unmatched"),
    [
        pytest.param([gateway("a"), account("a")], ("apim-llm-log", "azure-monitor"), id="one of them names it"),
        pytest.param([gateway("a", 2), langfuse_row("a", start_time="2026-10-14 03:30:00")], (), id="other hours"),
        pytest.param([gateway("a")], (), id="one source"),
        pytest.param([gateway("a"), point_row(time=at(9))], ("apim-llm-log", "azure-metrics"), id="metrics"),
        pytest.param([account("a"), point_row(time=at(9))], (), id="metrics of a log that names the resource"),
        pytest.param([proxy("a", 5), body_row("b", created=...)], ("litellm", "openai-response"), id="no time"),
        pytest.param([proxy("a", 5), body_row("b")], (), id="no resource in another hour"),
        pytest.param([companion_row("a"), gateway("a")], (), id="two tables of one gateway"),
        pytest.param([body_row("a"), chunk_row("b", usage_of(5, 5))], (), id="bodies and streams"),
    ],
)
def test_what_cannot_be_matched_is_said(tmp_path: Path, rows: Any, unmatched: Any) -> None:
    log = read(tmp_path, rows)
    assert (log.sums.unmatched, log.counts.total.elsewhere) == (unmatched, 0)


def test_batches_are_never_somebody_elses(tmp_path: Path) -> None:
    batch = batch_row("task", "a", body=body_row("batch", 1_000, created=1_791_943_440))
    log = read(tmp_path, [account("a"), batch, body_row("a", created=1_791_943_440)], resource="one")
    assert sorted(log.frame["source_format"]) == ["azure-batch", "azure-monitor"]
    assert total(log, "prompt_tokens") == 1_100
    assert log.sums.unmatched == ()


def test_the_two_halves_of_the_hub_are_one_source(tmp_path: Path) -> None:
    half = [hub_row("a", timestamp="2026-10-14T02:03:59Z")]
    streamed = [emitted_row(timestamp=at(2)), emitted_row("Completion Tokens", 10, timestamp=at(2))]
    both = read(tmp_path, half, streamed, resource="one")
    assert (len(both.frame), both.counts.total.elsewhere, both.sums.unmatched) == (2, 0, ())
    log = read(tmp_path, half, streamed, [account("a"), account("b")], resource="one")
    assert set(log.frame["source_format"]) == {"azure-monitor"}
    assert log.sums.comparisons[0].source == "ai-hub-gateway + app-insights"


def test_metrics_give_way_as_before(tmp_path: Path) -> None:
    points = [point_row(time=at(2)), point_row("GeneratedTokens", 10, time=at(2)), point_row(time=at(5))]
    log = read(tmp_path, [account("a")], [proxy("a")], points)
    assert sorted(log.frame["source_format"]) == ["azure-metrics", "azure-monitor"]
    assert (log.counts.total.duplicates, log.counts.total.elsewhere) == (2, 1)


def test_what_is_not_counted_in_tokens_gives_way_too(tmp_path: Path) -> None:
    image = {"created": 1_791_943_440, "data": [{"url": "secret"}], "size": "1024x1024", "quality": "hd"}
    log = read(tmp_path, [image], [account("a"), account("b")], resource="one", deployment="chat")
    assert (len(log.frame), len(log.quantities), log.counts.total.elsewhere) == (2, 0, 1)
    assert not [key for _, group in log.sums.groups for key in group.usage if key.meter == "image"]
    alone = read(tmp_path, [image], resource="one", deployment="chat")
    assert alone.quantities["quantity"].tolist() == [1]


def test_quantities_of_an_hour_that_gave_way_are_in_no_other_hour_of_the_day(tmp_path: Path) -> None:
    image = {"data": [{"url": "secret"}], "size": "1024x1024", "quality": "hd"}
    hours = [{**image, "created": 1_791_943_440 + 3_600 * later} for later in range(2)]
    log = read(tmp_path, hours, [account("a", 2), account("b", 2)], resource="one", deployment="chat")
    images = [group.usage["image", key.modality, key.variant] for _, group in log.sums.groups for key in group.usage
              if key.meter == "image"]  # fmt: skip
    assert (images, log.quantities["quantity"].tolist(), log.counts.total.elsewhere) == ([1], [1], 1)


def test_a_row_that_stands_for_many_calls_tells_of_as_many(tmp_path: Path) -> None:
    emitted = [
        emitted_row(sum_=300, count=3, timestamp=at(2)),
        emitted_row("Completion Tokens", 30, 3, timestamp=at(2)),
    ]
    log = read(tmp_path, emitted, [account("a"), account("b")], resource="one")
    assert (set(log.frame["source_format"]), total(log, "requests")) == ({"app-insights"}, 3)
    log = read(tmp_path, emitted, [account(call) for call in "abc"], resource="one")
    assert set(log.frame["source_format"]) == {"azure-monitor"}


def test_the_report_shows_the_comparison(tmp_path: Path) -> None:
    log = read(tmp_path, [account("a"), account("b")], [proxy("a")])
    report = cost_report(log)
    (row,) = report.comparison.to_dict("records")
    assert (row["source"], row["primary"], row["calls"], row["primary_calls"]) == ("litellm", "azure-monitor", 1, 2)
    assert report.requests == 2
    assert any(note.startswith("calls of an hour and resource that another source counts: 1;") for note in report.notes)


def test_conflicts_and_unknown_tokens_leave_the_account_with_their_calls(tmp_path: Path) -> None:
    twice = [account("a"), account("a", completion=11), status_row("b", time=at(2))]
    log = read(tmp_path, twice, [proxy("a"), proxy("b")])
    assert set(log.frame["source_format"]) == {"litellm"}
    one = log.counts.files[0]
    assert (one.requests, one.elsewhere, one.duplicates, one.conflicts, one.unmetered) == (0, 2, 1, 0, 0)


@in_a_folder
@given(st.data())
def test_neither_order_nor_files_change_who_counts(tmp_path: Path, data: st.DataObject) -> None:
    row = st.builds(
        lambda make, call, hour, prompt: make(call, hour, prompt),
        st.sampled_from([account, gateway, proxy, lambda call, hour, _: logged_row(call, time=at(hour))]),
        st.sampled_from("abcdef"),
        st.integers(1, 3),
        st.sampled_from([0, 100, 300_000]),
    )
    rows = data.draw(st.lists(row, max_size=14))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    shuffled = chance.sample(rows, len(rows))
    cut = chance.randrange(len(rows) + 1)
    one, other = read(tmp_path, rows), read(tmp_path, shuffled[:cut], shuffled[cut:])
    calls = calls_of(one)
    assert calls == calls_of(other)
    assert one.sums.groups == other.sums.groups
    assert one.sums.comparisons == other.sums.comparisons
    assert one.sums.unmatched == other.sums.unmatched
    first, second = one.counts.total, other.counts.total
    assert (first.requests, first.elsewhere, first.unmetered) == (second.requests, second.elsewhere, second.unmetered)
    # In no hour of a resource two sources count.
    families: dict[Any, set[str]] = {}
    for call in calls:
        if call["resource"] is not None:
            place = call["resource"].rpartition("/")[2], call["timestamp"].floor("h")
            families.setdefault(place, set()).add(LOG_FORMATS[call["source_format"]].calls_of or call["source_format"])
    assert all(len(found) == 1 for found in families.values())


@given(CALLS, st.data())
def test_any_split_chooses_the_same_sources(calls: list[Call], data: st.DataObject) -> None:
    shared = Shared(FORMATS, keep_texts=False)
    whole = Sums(shared, by_hour=True)
    joined = joined_calls(calls, shared)
    whole.add(joined)
    before = [FileCounts(str(i), requests=sum(call.file == i for call in calls)) for i in range(3)]
    parts: list[list[Call]] = [[] for _ in range(data.draw(st.integers(1, 4)))]
    for call in data.draw(st.permutations(calls)):
        data.draw(st.sampled_from(parts)).append(call)
    merged = added(*parts, by_hour=True)
    after = [FileCounts(one.source_file, requests=one.requests) for one in before]
    choice, same = whole.choose(before), merged.choose(after)
    assert (choice.comparisons, choice.unmatched) == (same.comparisons, same.unmatched)
    assert before == after
    assert list(whole.groups()) == list(merged.groups())
    assert (whole.period, whole.formats) == (merged.period, merged.formats)
    # What is left are the sums of the calls that are left.
    left = joined.some(~choice.calls_that_gave_way(joined.rows))
    assert [one.requests for one in before] == [int((left.rows["section"] == i).sum()) for i in range(3)]
    again = Sums(shared)
    again.add(left)
    assert list(again.groups()) == list(whole.groups())
    assert again.period == whole.period


def test_an_account_is_the_same_by_its_name_and_by_its_id(tmp_path: Path) -> None:
    log = read(tmp_path, [account("a")], [attempt_row("a", time=at(2), resource="ONE")])
    assert log.counts.total.elsewhere == 1
    assert json.dumps([one.resource for one in log.sums.comparisons]) == json.dumps([ACCOUNT.lower()])


def test_the_samples_of_one_account_are_compared_with_its_own_log(test_data: Path) -> None:
    expected = json.loads((test_data / "samples" / "EXPECTED.json").read_bytes())
    account = expected["azure-loganalytics-csv/AzureDiagnostics_portal_export.csv"]
    found = sum_usage(test_data / "samples").comparisons
    assert [one.source for one in found] == ["apim-llm-log", "litellm", "otel-genai"]
    for one in found:
        assert (one.primary, one.primary_calls) == ("azure-monitor", account["requests"])
        assert one.primary_prompt_tokens == account["prompt_tokens"]
        assert one.primary_completion_tokens == account["completion_tokens"]


@pytest.mark.parametrize(
    ("rows", "only"),
    [
        pytest.param([attempt_row("x", time=at(2), deployment="mini")], ("mini",), id="another deployment"),
        pytest.param([attempt_row("x", time=at(2), deployment="Chat")], (), id="the same in other letters"),
        pytest.param([proxy("x")], (), id="none"),
        pytest.param(
            [
                attempt_row("x", time=at(2), deployment="mini"),
                status_row("c", time=at(2)) | {"properties": {}},
            ],
            (),
            id="the primary source does not name all",
        ),
    ],
)
def test_deployments_that_the_primary_source_lacks_are_named(tmp_path: Path, rows: Any, only: Any) -> None:
    log = read(tmp_path, [account("a"), account("b")], rows)
    (found,) = log.sums.comparisons
    assert (found.primary, found.only_deployments) == ("azure-monitor", only)
    report = cost_report(log, **KNOWN)
    assert report.comparison["only_deployments"].tolist() == [", ".join(only)]
    assert any("mini (client-log): deployments that" in note for note in report.notes) == bool(only)
    assert not only or report.certainty == "estimated"


def test_a_source_that_saw_more_tokens_makes_the_report_an_estimate(tmp_path: Path) -> None:
    for prompt, certain in ((100, True), (101, True), (150, False)):
        report = cost_report(read(tmp_path, [account("a")], [proxy("a", 2, prompt)]), **KNOWN)
        assert (report.certainty == "exact") == certain
        assert any("saw more tokens" in note for note in report.notes) != certain
