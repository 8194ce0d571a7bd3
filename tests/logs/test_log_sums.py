"""Rows that are sums: metrics of accounts, and token metrics of gateways."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_rows import (
    ACCOUNT,
    calls_of,
    check_counts,
    csv_of,
    emitted_row,
    lines_of,
    metrics_answer,
    point_row,
    query_of,
    read_bytes,
    read_rows,
    status_row,
    total,
    usage_row,
)

from aoai_cost import UsageLog, cost_report, read_usage
from aoai_cost.logs import sum_usage
from aoai_cost.logs.join import copies_in
from aoai_cost.logs.parts import PART

CHAT = {"ModelDeploymentName": "chat", "FeatureName": "gpt-4o", "ModelVersion": "2024-11-20"}
LOWER = {name.lower(): value for name, value in CHAT.items()}
NEWER = {"ModelDeploymentName": "chat", "ModelName": "gpt-4o", "ModelVersion": "2024-11-20"}
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_answer(folder: Path, *answers: Any) -> UsageLog:
    for i, answer in enumerate(answers):
        (folder / f"{i}.json").write_text(json.dumps(answer, indent=i or None))
    log = read_usage(folder)
    check_counts(log)
    return log


def tokens_of(log: UsageLog) -> tuple[int, int]:
    return total(log, "prompt_tokens"), total(log, "completion_tokens")


@pytest.mark.parametrize("dimensions", [CHAT, LOWER], ids=["as documented", "in lower case"])
def test_an_answer_of_the_older_family_is_one_row_per_interval_and_series(tmp_path: Path, dimensions: Any) -> None:
    answer = metrics_answer(
        ("ProcessedPromptTokens", dimensions, {"00:00": 100.0, "01:00": None, "02:00": 50.0}),
        ("GeneratedTokens", dimensions, {"00:00": 10.0, "01:00": None, "02:00": 5.0}),
        ("TokenTransaction", dimensions, {"00:00": 110.0, "01:00": None, "02:00": 55.0}),
    )
    log = read_answer(tmp_path, answer)
    found = log.counts.total
    assert (found.rows, found.requests, found.joined, found.ignored) == (9, 2, 4, 3)
    assert tokens_of(log) == (150, 15)
    first = calls_of(log)[0]
    assert (first["resource"], first["region"], first["deployment"]) == (ACCOUNT.lower(), "eastus", "chat")
    assert (first["model"], first["version"], first["usage_quality"]) == ("gpt-4o", "2024-11-20", "aggregated")
    assert (first["requests"], first["cached_tokens"], first["latency_ms"]) == (None, None, None)


def test_the_newer_family_goes_before_the_older_one(tmp_path: Path) -> None:
    older = metrics_answer(
        ("ProcessedPromptTokens", CHAT, {"00:00": 90.0, "05:00": 7.0}),
        ("GeneratedTokens", CHAT, {"00:00": 9.0, "05:00": 1.0}),
    )
    newer = metrics_answer(
        ("InputTokens", NEWER, {"00:00": 100.0}),
        ("OutputTokens", NEWER, {"00:00": 10.0}),
        ("TotalTokens", NEWER, {"00:00": 110.0}),
    )
    for answers in ((older, newer), (newer, older)):
        log = read_answer(tmp_path, *answers)
        assert tokens_of(log) == (107, 11)
        assert (log.counts.total.duplicates, log.counts.total.joined) == (2, 3)


def test_views_of_one_time_count_once(tmp_path: Path) -> None:
    by_minute = [
        point_row("ProcessedPromptTokens", 30, time="2026-10-14T02:03:00Z"),
        point_row("GeneratedTokens", 3, time="2026-10-14T02:03:00Z"),
        point_row("ProcessedPromptTokens", 5, time="2026-10-14T03:00:00Z"),
        point_row("GeneratedTokens", 1, time="2026-10-14T03:00:00Z"),
    ]
    by_hour = metrics_answer(
        ("ProcessedPromptTokens", {"ModelDeploymentName": "chat"}, {"02:00": 20.0}),
        ("ProcessedPromptTokens", {"ModelDeploymentName": "mini"}, {"02:00": 10.0}),
        ("GeneratedTokens", {"ModelDeploymentName": "chat"}, {"02:00": 3.0}),
    )
    (tmp_path / "minutes.jsonl").write_text("\n".join(json.dumps(row) for row in by_minute) + "\n")
    log = read_answer(tmp_path, by_hour)
    assert tokens_of(log) == (35, 4)
    assert log.counts.total.duplicates == 2


def test_deployments_that_were_asked_for_one_by_one_are_all_counted(tmp_path: Path) -> None:
    more = {"ModelDeploymentName": "mini", "FeatureName": "gpt-4o-mini"}
    log = read_answer(
        tmp_path,
        metrics_answer(("ProcessedPromptTokens", {"ModelDeploymentName": "chat"}, {"00:00": 100.0})),
        metrics_answer(("ProcessedPromptTokens", more, {"00:00": 10.0})),
        metrics_answer(("ProcessedPromptTokens", {}, {"00:00": 110.0, "01:00": 7.0})),
    )
    assert (total(log, "prompt_tokens"), log.counts.total.duplicates) == (117, 1)


def test_a_series_that_lacks_a_dimension_is_of_the_same_view(tmp_path: Path) -> None:
    lacking = {"ModelDeploymentName": "chat"}
    answer = metrics_answer(
        ("ProcessedPromptTokens", CHAT, {"00:00": 100.0}), ("ProcessedPromptTokens", lacking, {"00:00": 10.0})
    )
    assert total(read_answer(tmp_path, answer), "prompt_tokens") == 110


def test_a_meter_that_only_the_poorer_view_has_is_counted_there(tmp_path: Path) -> None:
    log = read_answer(
        tmp_path,
        metrics_answer(("ProcessedPromptTokens", CHAT, {"00:00": 100.0})),
        metrics_answer(("GeneratedTokens", {"ModelDeploymentName": "chat"}, {"00:00": 10.0})),
    )
    assert tokens_of(log) == (100, 10)
    assert log.counts.total.unmetered == 2, "neither half knows the other"


def test_a_point_that_was_exported_before_it_was_complete_counts_once(tmp_path: Path) -> None:
    early, late = (
        metrics_answer(("ProcessedPromptTokens", CHAT, {"00:00": sum_}), ("GeneratedTokens", CHAT, {"00:00": 1.0}))
        for sum_ in (40.0, 100.0)
    )
    log = read_answer(tmp_path, early, late)
    assert tokens_of(log) == (100, 1)
    assert (log.counts.total.duplicates, log.counts.total.conflicts) == (2, 1)


def test_an_hour_that_was_exported_before_it_was_over_gives_way_to_its_minutes(tmp_path: Path) -> None:
    hour = point_row(sum_=50, time="2026-10-14T02:00:00Z", timeGrain="PT1H")
    minutes = [point_row(sum_=30, time=f"2026-10-14T02:{minute}:00Z") for minute in ("03", "59")]
    for rows, tokens in (([hour, minutes[0]], 50), ([hour, *minutes], 60)):
        log = read_rows(tmp_path, rows)
        check_counts(log)
        assert (total(log, "prompt_tokens"), log.counts.total.duplicates) == (tokens, 1)


def answers_with_calls(*calls: tuple[str, Any, Any], dimensions: Any = CHAT) -> list[Any]:
    """Sums of an hour of one deployment, and points that tell how many calls they were."""
    tokens = [("ProcessedPromptTokens", dimensions, {"00:00": 100.0}), ("GeneratedTokens", dimensions, {"00:00": 10.0})]
    return [metrics_answer(*tokens), *(metrics_answer(one) for one in calls)]


BY_STATUS = {"ModelDeploymentName": "chat", "ModelName": "gpt-4o", "StatusCode": "200"}
REFUSED = {**BY_STATUS, "StatusCode": "429"}
OTHER = {"ModelDeploymentName": "mini", "ModelName": "gpt-4o-mini", "StatusCode": "200"}
OLDER_CALLS = "AzureOpenAIRequests"


@pytest.mark.parametrize(
    ("calls", "requests", "joined", "duplicates", "ignored"),
    [
        pytest.param([(OLDER_CALLS, CHAT, {"00:00": 7.0})], 7, 1, 0, 0, id="by the same dimensions"),
        pytest.param(
            [(OLDER_CALLS, BY_STATUS, {"00:00": 5.0}), (OLDER_CALLS, REFUSED, {"00:00": 2.0})],
            7,
            2,
            0,
            0,
            id="by status",
        ),
        pytest.param([(OLDER_CALLS, {"ModelDeploymentName": "Chat"}, {"00:00": 7.0})], 7, 1, 0, 0, id="by name alone"),
        pytest.param([(OLDER_CALLS, OTHER, {"00:00": 7.0})], None, 0, 0, 1, id="of another deployment"),
        pytest.param([(OLDER_CALLS, {}, {"00:00": 7.0})], None, 0, 0, 1, id="of the whole account"),
        pytest.param([(OLDER_CALLS, CHAT, {"01:00": 7.0})], None, 0, 0, 1, id="of another hour"),
        pytest.param(
            [("ModelRequests", NEWER, {"00:00": 8.0}), (OLDER_CALLS, CHAT, {"00:00": 7.0})], 8, 1, 1, 0, id="twice"
        ),
        pytest.param(
            [(OLDER_CALLS, BY_STATUS, {"00:00": 7.0}), (OLDER_CALLS, {**CHAT, "ApiName": "x"}, {"00:00": 7.0})],
            7,
            1,
            1,
            0,
            id="in two views",
        ),
        pytest.param(
            [(OLDER_CALLS, CHAT, {"00:00": 7.0}), (OLDER_CALLS, CHAT, {"00:00": 4.0})],
            7,
            1,
            1,
            0,
            id="before it was over",
        ),
        pytest.param([(OLDER_CALLS, CHAT, {"00:00": 0.0})], 0, 1, 0, 0, id="none"),
    ],
)
def test_metrics_of_requests_tell_how_many_calls_a_sum_is(
    tmp_path: Path, calls: Any, requests: int | None, joined: int, duplicates: int, ignored: int
) -> None:
    answers = answers_with_calls(*calls)
    for some in (answers, answers[::-1]):
        log = read_answer(tmp_path, *some)
        (call,) = calls_of(log)
        assert (call["requests"], call["prompt_tokens"]) == (requests, 100)
        found = log.counts.total
        assert (found.joined, found.duplicates, found.ignored) == (1 + joined, duplicates, ignored)
        assert [group.requests for _, group in log.sums.groups] == [requests or 0]


def test_calls_that_may_be_of_two_sums_are_of_neither(tmp_path: Path) -> None:
    versions = [{**CHAT, "ModelVersion": version} for version in ("2024-08-06", "2024-11-20")]
    sums = [(name, one, {"00:00": 5.0}) for one in versions for name in ("ProcessedPromptTokens", "GeneratedTokens")]
    told = {**NEWER, "ModelVersion": "2024-11-20"}
    for calls, requests in (
        ([({"ModelDeploymentName": "chat"}, 9.0)], [None, None]),
        ([(told, 9.0)], [None, 9]),
        ([({**told, "ModelVersion": ""}, 4.0), (told, 9.0)], [None, None]),
    ):
        points = [(OLDER_CALLS, dimensions, {"00:00": n}) for dimensions, n in calls]
        log = read_answer(tmp_path, metrics_answer(*sums, *points))
        assert [call["requests"] for call in sorted(calls_of(log), key=lambda call: call["version"])] == requests


def test_calls_alone_tell_no_usage_and_those_of_logged_hours_are_told_already(tmp_path: Path) -> None:
    point = point_row("ModelRequests", 3, dimensions={"modeldeploymentname": "chat"})
    log = read_rows(tmp_path, [point])
    check_counts(log)
    assert (log.counts.total.ignored, log.counts.total.requests) == (1, 0)
    log = read_rows(tmp_path, [point, usage_row()])
    check_counts(log)
    assert (log.counts.total.duplicates, total(log, "requests")) == (1, 1)


def test_a_flattened_export_tells_the_calls_of_the_account(tmp_path: Path) -> None:
    rows = [point_row(), point_row("GeneratedTokens", 10), point_row(OLDER_CALLS, 3)]
    (call,) = calls_of(read_rows(tmp_path, rows))
    assert (call["requests"], call["deployment"], call["usage_quality"]) == (3, None, "aggregated")


def test_totals_alone_are_unknown_tokens(tmp_path: Path) -> None:
    log = read_answer(tmp_path, metrics_answer(("TokenTransaction", CHAT, {"00:00": 110.0, "01:00": 0.0})))
    assert (log.counts.total.requests, log.counts.total.unmetered, log.counts.total.ignored) == (1, 1, 1)
    assert calls_of(log)[0]["prompt_tokens"] is None


def test_embeddings_have_no_completion_and_silence_has_none_either(tmp_path: Path) -> None:
    embedding = {"ModelDeploymentName": "search", "FeatureName": "text-embedding-3-large"}
    log = read_answer(
        tmp_path,
        metrics_answer(
            ("ProcessedPromptTokens", embedding, {"00:00": 100.0}), ("ProcessedPromptTokens", CHAT, {"00:00": 0.0})
        ),
    )
    assert (log.counts.total.requests, log.counts.total.unmetered) == (2, 0)


def test_metrics_of_an_hour_whose_calls_were_logged_are_duplicates(tmp_path: Path) -> None:
    hours = {"01:00": 1_000.0, "02:00": 100.0}
    answer = metrics_answer(
        ("ProcessedPromptTokens", CHAT, hours),
        ("GeneratedTokens", CHAT, {"01:00": 10.0, "02:00": 10.0}),
        ("ProcessedPromptTokens", {**CHAT, "ModelDeploymentName": "mini"}, {"02:00": 7.0}),
    )
    minute = point_row("ProcessedPromptTokens", 100)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (usage_row(), status_row(), minute)))
    log = read_answer(tmp_path, answer)
    assert tokens_of(log) == (1_107, 20)
    assert log.counts.total.duplicates == 3
    assert sum_usage(tmp_path).counts == log.counts


def test_statuses_without_tokens_take_nothing_from_the_metrics(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [status_row(), point_row(), point_row("GeneratedTokens", 10)])
    check_counts(log)
    assert tokens_of(log) == (100, 10)
    assert log.counts.total.unmetered == 1


def test_a_flattened_export_takes_the_deployment_that_the_user_gives(tmp_path: Path) -> None:
    rows = [point_row(), point_row("GeneratedTokens", 10), point_row("TokenTransaction", 110)]
    (call,) = calls_of(read_rows(tmp_path, rows))
    assert (call["deployment"], call["model"], call["resource"]) == (None, None, ACCOUNT.lower())
    (call,) = calls_of(read_rows(tmp_path, rows, deployment="chat"))
    assert (call["deployment"], call["prompt_tokens"], call["completion_tokens"]) == ("chat", 100, 10)


def test_rows_of_the_table_of_metrics_are_points(tmp_path: Path) -> None:
    rows = [
        {
            "TimeGenerated [UTC]": "10/14/2026, 2:03:00.000 AM",
            "ResourceId": ACCOUNT.upper(),
            "MetricName": metric,
            "Total": sum_,
            "TimeGrain": "PT1M",
            "Type": "AzureMetrics",
        }
        for metric, sum_ in (("ProcessedPromptTokens", "100"), ("GeneratedTokens", "10.0"), ("Latency", "7.5"))
    ]
    (tmp_path / "again.jsonl").write_text(json.dumps(point_row()) + "\n")
    log = read_bytes(tmp_path, csv_of(rows).encode(), "log.csv")
    check_counts(log)
    assert (tokens_of(log), log.counts.total.ignored) == ((100, 10), 1)
    both = read_usage(tmp_path)
    assert (tokens_of(both), both.counts.total.duplicates) == ((100, 10), 1)


@pytest.mark.parametrize(
    "metric",
    [
        "ActiveTokens",
        "AzureOpenAIContextTokensCacheMatchRate",
        "ProvisionedUtilization",
        "RealtimeUsageTime",
        "TotalPages",
    ],
)
def test_metrics_that_tell_the_same_tokens_in_another_way_are_never_added(tmp_path: Path, metric: str) -> None:
    log = read_rows(tmp_path, [point_row(), point_row("GeneratedTokens", 10), point_row(metric, 60)])
    check_counts(log)
    assert (tokens_of(log), log.counts.total.ignored) == ((100, 10), 1)


def test_images_are_counted_as_images(tmp_path: Path) -> None:
    answer = metrics_answer(("GeneratedImages", NEWER, {"00:00": 3.0, "01:00": 0.0}))
    log = read_answer(tmp_path, answer, answer)
    assert log.quantities["quantity"].tolist() == [3]
    assert (log.counts.total.duplicates, log.counts.total.ignored) == (1, 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(point_row(sum_=1.5), "total is not a whole number", id="half a token"),
        pytest.param(point_row(sum_=-1), "total is negative", id="negative"),
        pytest.param(point_row(sum_=1e300), "too large to be exact", id="huge"),
        pytest.param(point_row(sum_="many"), "total must be a whole number", id="a text"),
        pytest.param(point_row(timeGrain=None), "the interval of the point", id="no interval"),
        pytest.param(point_row(timeGrain="0:00:30"), "the interval of the point", id="seconds"),
        pytest.param(point_row(time=None), "no resourceId or no time", id="no time"),
        pytest.param(point_row(dimensions=["x"]), "dimensions must be an object", id="dimensions of another kind"),
        pytest.param(point_row("AudioPromptTokens", 5), "nobody documents", id="audio"),
    ],
)
def test_a_point_that_cannot_be_counted_is_rejected(tmp_path: Path, row: Any, reason: str) -> None:
    log = read_rows(tmp_path, [row, usage_row()])
    check_counts(log)
    assert len(log.rejected) == 1
    assert reason in log.rejected["reason"].iloc[0]


@pytest.mark.parametrize(
    ("grain", "minutes"), [("PT5M", 5), ("PT1H", 60), ("P1D", 1_440), ("1 day, 0:00:00", 1_440), ("0:15:00", 15)]
)
def test_an_interval_covers_its_minutes(tmp_path: Path, grain: str, minutes: int) -> None:
    wide = point_row(sum_=100, time="2026-10-14T00:00:00Z", timeGrain=grain)
    inside = point_row(sum_=7, time=f"2026-10-14T{(minutes - 1) // 60:02}:{(minutes - 1) % 60:02}:00Z")
    behind = point_row(sum_=1, time="2026-10-15T00:00:00Z")
    log = read_rows(tmp_path, [inside, wide, behind])
    check_counts(log)
    assert (total(log, "prompt_tokens"), log.counts.total.duplicates) == (101, 1)


def test_an_answer_without_points_or_with_an_error_is_no_silence(tmp_path: Path) -> None:
    answer = metrics_answer(("ProcessedPromptTokens", CHAT, {}), ("GeneratedTokens", CHAT, {"00:00": 1.0}))
    answer["value"][0]["timeseries"] = []
    answer["value"][1]["errorCode"] = "Throttled"
    answer["value"][1]["timeseries"].append({"data": "x"})
    log = read_answer(tmp_path, answer)
    assert (log.counts.total.rows, log.counts.total.ignored, log.counts.total.rejected) == (4, 1, 2)


@in_a_folder
@given(st.data())
def test_any_order_and_any_files_give_the_same_sums(tmp_path: Path, data: st.DataObject) -> None:
    names = st.sampled_from(
        ["InputTokens", "OutputTokens", "ProcessedPromptTokens", "GeneratedTokens", "TotalTokens", "ModelRequests"]
    )
    point = st.builds(
        lambda name, sum_, minute, grain, dimensions: point_row(
            name, sum_, time=f"2026-10-14T02:{minute:02}:00Z", timeGrain=grain, dimensions=dimensions
        ),
        names,
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from(["PT1M", "PT1H"]),
        st.sampled_from([{}, {"modeldeploymentname": "chat"}, {"modeldeploymentname": "mini"}]),
    )
    emitted = st.builds(
        lambda name, sum_, count: emitted_row(name, sum_, count),
        st.sampled_from(["Prompt Tokens", "Completion Tokens", "Total Tokens", "Cached Tokens"]),
        st.integers(0, 3),
        st.integers(1, 2),
    )
    rows = data.draw(st.lists(point | emitted, max_size=12))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    shuffled = chance.sample(rows, len(rows))
    cut = chance.randrange(len(rows) + 1)
    one, other = read_rows(tmp_path, rows), read_rows(tmp_path, shuffled[:cut], shuffled[cut:])
    for log in (one, other):
        check_counts(log)
    assert sorted(map(str, calls_of(one))) == sorted(map(str, calls_of(other)))
    assert one.sums.groups == other.sums.groups


def test_rows_of_a_call_are_one_sum_and_its_total_is_in_no_sum(tmp_path: Path) -> None:
    rows = [
        emitted_row(sum_=300, count=3),
        emitted_row("Completion Tokens", 30, 3),
        emitted_row("Total Tokens", 330, 3),
    ]
    rows += [{**row, "timestamp": "2026-10-14T02:05:00Z"} for row in rows[1:]]
    log = read_bytes(tmp_path, json.dumps(query_of(rows), indent=1).encode())
    check_counts(log)
    assert (tokens_of(log), total(log, "requests")) == ((300, 60), 6)
    assert (log.counts.total.requests, log.counts.total.joined) == (2, 3)
    call = calls_of(log)[0]
    assert (call["deployment"], call["user"], call["resource"], call["region"]) == ("chat", "team-a", None, None)
    assert call["usage_quality"] == "aggregated"


def test_the_sum_of_a_row_is_not_its_value(tmp_path: Path) -> None:
    rows = [
        emitted_row(name, sum_, 4, value=sum_ // 4)
        for name, sum_ in (("Prompt Tokens", 400), ("Completion Tokens", 40))
    ]
    log = read_rows(tmp_path, rows)
    assert (tokens_of(log), total(log, "requests")) == ((400, 40), 4)


def test_totals_of_gateways_alone_are_unknown_tokens(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [emitted_row("Total Tokens", 330, 3)])
    check_counts(log)
    assert (log.counts.total.unmetered, total(log, "requests")) == (1, 3)


def test_sums_by_other_dimensions_are_other_sums(tmp_path: Path) -> None:
    rows = [
        emitted_row(customDimensions=dimensions, cloud_RoleInstance=instance)
        for dimensions in ({"Deployment Name": "chat", "User ID": "x"}, {"modelName": "gpt-4o-2024-11-20"}, "", None)
        for instance in ("one", "two")
    ]
    rows += [{**row, "name": "Completion Tokens", "valueSum": 1} for row in rows]
    log = read_rows(tmp_path, [*rows, rows[0]])
    check_counts(log)
    # An empty text and null are the same dimensions: none.
    assert (log.counts.total.requests, log.counts.total.joined, log.counts.total.duplicates) == (6, 6, 5)
    assert set(log.frame["model"].dropna()) == {"gpt-4o"}


def test_rows_with_ids_of_their_own_are_added(tmp_path: Path) -> None:
    rows = [
        emitted_row(name, sum_, count, itemId=f"{name}{count}")
        for count in (1, 2)
        for name, sum_ in (("Prompt Tokens", 100 * count), ("Completion Tokens", 10 * count))
    ]
    log = read_rows(tmp_path, [*rows, *rows])
    check_counts(log)
    assert (tokens_of(log), total(log, "requests"), log.counts.total.duplicates) == ((300, 30), 3, 4)


def test_cached_and_reasoning_tokens_are_parts(tmp_path: Path) -> None:
    named = {"Prompt Tokens": 100, "Completion Tokens": 20, "Cached Tokens": 64, "Reasoning Tokens": 16}
    (call,) = calls_of(read_rows(tmp_path, [emitted_row(name, sum_) for name, sum_ in named.items()]))
    assert (call["cached_tokens"], call["reasoning_tokens"]) == (64, 16)
    named["Cached Tokens"] = 101
    log = read_rows(tmp_path, [emitted_row(name, sum_) for name, sum_ in named.items()])
    check_counts(log)
    (call,) = calls_of(log)
    assert (call["prompt_tokens"], call["cached_tokens"], log.counts.total.conflicts) == (100, None, 1)


def test_rows_of_the_workspace_are_the_same(tmp_path: Path) -> None:
    names = {"timestamp": "TimeGenerated", "name": "Name", "valueSum": "Sum", "valueCount": "ItemCount"}
    names |= {"customDimensions": "Properties", "cloud_RoleName": "AppRoleName"}
    rows = [emitted_row(sum_=300, count=3), emitted_row("Completion Tokens", 30, 3)]
    (tmp_path / "one.csv").write_text(csv_of(rows))
    renamed = [{new: row[old] for old, new in names.items()} | {"Type": "AppMetrics"} for row in rows]
    log = read_rows(tmp_path, renamed)
    check_counts(log)
    assert (tokens_of(log), log.counts.total.duplicates, total(log, "requests")) == ((300, 30), 2, 3)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(emitted_row(customDimensions="{secret"), "not JSON", id="broken dimensions"),
        pytest.param(emitted_row(customDimensions="[]"), "must be an object", id="dimensions of another kind"),
        pytest.param(emitted_row(timestamp=None), "timestamp is absent", id="no time"),
        pytest.param(emitted_row(sum_=0.5), "not a whole number", id="half a token"),
        pytest.param(emitted_row(valueSum=None), "valueSum is absent", id="no sum"),
        pytest.param(emitted_row("Audio Tokens"), "a kind that is not known", id="another kind of tokens"),
    ],
)
def test_a_sum_that_cannot_be_counted_is_rejected(tmp_path: Path, row: Any, reason: str) -> None:
    log = read_rows(tmp_path, [row, usage_row()])
    check_counts(log)
    assert reason in log.rejected["reason"].iloc[0]
    assert "secret" not in log.rejected["reason"].iloc[0]


def test_other_metrics_of_the_gateway_are_ignored(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [emitted_row("Request Duration", 1.5), emitted_row("Audio Tokens", 0), usage_row()])
    assert (log.counts.total.ignored, log.counts.total.rejected) == (2, 0)


def test_the_report_says_that_rows_stand_for_many_calls(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [emitted_row(), emitted_row("Completion Tokens", 10)])
    assert any("stand for many calls" in note for note in cost_report(log).notes)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), max_size=40))
def test_copies_are_found_as_one_by_one(rows: list[tuple[int, int, int, int]]) -> None:
    """What copies are is decided field by field in Python; at once it must be the same, and the first one stays."""
    parts = np.zeros(len(rows), PART)
    for i, (call, tokens, kind, source) in enumerate(rows):
        parts["digest"][i], parts["tokens"][i], parts["kind"][i], parts["source"][i] = call, tokens, kind, source
    made = random.Random(len(rows))
    places = made.sample(range(100), len(rows))
    parts["section"], parts["line"], parts["text"] = [one // 10 for one in places], [one % 10 for one in places], places
    seen: set[tuple[int, int, int]] = set()
    expected = set()
    for i in sorted(range(len(rows)), key=lambda i: places[i]):
        if rows[i][:3] in seen:
            expected.add(i)
        seen.add(rows[i][:3])
    order = np.array(made.sample(range(len(rows)), len(rows)), np.int64)
    assert set(copies_in(parts, order).tolist()) == expected


def test_a_log_that_was_exported_twice_is_read_without_looking_at_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for i in range(50) for row in (usage_row(f"{i}", i, 1), status_row(f"{i}"))]
    (tmp_path / "a.jsonl").write_bytes(lines_of(rows))
    (tmp_path / "b.jsonl").write_bytes(lines_of(reversed(rows)))
    monkeypatch.delattr("aoai_cost.logs.join.Joiner._one_by_one")
    log = read_usage(tmp_path)
    assert [(one.requests, one.joined, one.duplicates) for one in log.counts.files] == [(50, 50, 0), (0, 0, 100)]
