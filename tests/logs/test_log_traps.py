"""Each trap of a real export, written by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from log_rows import (
    ACCOUNT,
    body_row,
    calls_of,
    changed,
    check_counts,
    gateway_row,
    lines_of,
    read_bytes,
    read_rows,
    status_row,
    total,
    usage_row,
)

from aoai_cost import Deployment, Deployments, PriceBook, UsageFormatError, cost_report
from aoai_cost.usage import split_totals


@pytest.mark.parametrize(
    ("written", "count"),
    [
        pytest.param(120, 120, id="a number"),
        pytest.param("120", 120, id="a text"),
        pytest.param([120], 120, id="an array"),
        pytest.param(["120"], 120, id="an array of text"),
        pytest.param([100, "20", 0], 120, id="a mixed array is summed"),
        pytest.param(0, 0, id="zero is zero"),
        pytest.param(10**12, 10**12, id="the largest count"),
    ],
)
def test_a_count_is_read_however_it_is_written(tmp_path: Path, written: Any, count: int) -> None:
    log = read_rows(tmp_path, [usage_row(prompt=written, completion=written)])
    assert calls_of(log)[0]["prompt_tokens"] == count
    assert calls_of(log)[0]["completion_tokens"] == count


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(-1, id="negative"),
        pytest.param("-1", id="negative text"),
        pytest.param(1.0, id="a float"),
        pytest.param(True, id="true"),
        pytest.param("1e3", id="an exponent"),
        pytest.param("12.0", id="a decimal text"),
        pytest.param("１２", id="full-width digits"),
        pytest.param(10**12 + 1, id="too large"),
        pytest.param(2**64, id="beyond 64 bits"),
        pytest.param("9" * 5_000, id="thousands of digits"),
        pytest.param([1, None], id="a hole in an array"),
        pytest.param([[1]], id="a nested array"),
        pytest.param({"value": 1}, id="an object"),
        pytest.param([10**12, 10**12], id="a sum that is too large"),
    ],
)
@pytest.mark.parametrize("shape", [usage_row, gateway_row, body_row], ids=lambda shape: shape.__name__)
def test_what_is_no_count_is_rejected_and_the_rest_is_kept(tmp_path: Path, shape: Any, written: Any) -> None:
    log = read_rows(tmp_path, [shape("good"), shape("bad", prompt=written), shape("fine")])
    check_counts(log)
    assert log.counts.total.rejected == 1
    assert log.rejected["line"].tolist() == [2]
    assert "rompt" in log.rejected["reason"].iloc[0]
    assert total(log, "prompt_tokens") == 200
    assert log.complete


def test_a_part_that_exceeds_its_total_is_rejected_never_clamped(tmp_path: Path) -> None:
    rows = [
        usage_row("cached", prompt=10, cached=11),
        usage_row("written", prompt=10, cached=6, properties={"cacheWriteTokens": 5}),
        usage_row("whole", prompt=10, cached=6, properties={"cacheWriteTokens": 4}),
    ]
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert log.rejected["line"].tolist() == [1, 2]
    call = calls_of(log)[0]
    parts = split_totals(
        call["prompt_tokens"],
        call["completion_tokens"],
        cached=call["cached_tokens"],
        cache_write=call["cache_write_tokens"],
    )
    assert sum(parts.values()) == 20
    assert min(parts.values()) == 0


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("2026-10-14T02:03:59.9910000Z", "2026-10-14T02:03:59.991000+00:00", id="seven digits"),
        pytest.param("2026-10-14T02:03:59.1234567Z", "2026-10-14T02:03:59.123456+00:00", id="the seventh is dropped"),
        pytest.param("2026-10-14T02:03:59", "2026-10-14T02:03:59+00:00", id="naive is UTC"),
        pytest.param("2026-10-14 02:03:59Z", "2026-10-14T02:03:59+00:00", id="a space"),
        pytest.param("2026-10-14T02:03:59+02:00", "2026-10-14T00:03:59+00:00", id="an offset"),
    ],
)
def test_a_time_is_exact(tmp_path: Path, written: str, read: str) -> None:
    log = read_rows(tmp_path, [status_row(time=written)])
    assert log.frame["timestamp"].iloc[0] == pd.Timestamp(read)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("9999-99-99", id="no date"),
        pytest.param("14/10/2026 02:03:59", id="a culture's date"),
        pytest.param("2026-10-14", id="a bare day"),
        pytest.param("20261014T020359Z000000", id="basic form"),
        pytest.param("0001-01-01T00:00:00Z", id="the year 1"),
        pytest.param("2026-10-14T02:03:60Z", id="second 60"),
        pytest.param(1_791_943_440_000, id="milliseconds"),
        pytest.param(float(2**70), id="a huge float"),
        pytest.param(True, id="true"),
        pytest.param({}, id="an object"),
    ],
)
def test_what_is_no_time_is_rejected(tmp_path: Path, written: Any) -> None:
    log = read_rows(tmp_path, [status_row("bad", time=written), body_row("bad", created=written), body_row("good")])
    check_counts(log)
    assert log.rejected["line"].tolist() == [1, 2]


def test_the_time_of_a_body_is_epoch_seconds(tmp_path: Path) -> None:
    rows = [
        body_row("a"),
        body_row("b", created=..., created_at=1_791_943_440.25),
        body_row("c", created="2026-10-14T02:04:00.5Z"),
    ]
    log = read_rows(tmp_path, rows)
    assert [stamp.microsecond for stamp in log.frame["timestamp"]] == [0, 250_000, 500_000]
    assert log.frame["timestamp"].iloc[0] == pd.Timestamp("2026-10-14T02:04:00Z")


def test_the_usage_half_has_its_time_of_queueing_where_it_has_no_other(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row("a"), usage_row("b", time="2026-10-14T02:04:00Z")])
    assert log.frame["timestamp"].tolist() == [
        pd.Timestamp("2026-10-14T02:03:59.946Z"),
        pd.Timestamp("2026-10-14T02:04:00Z"),
    ]


def test_properties_are_read_as_object_as_text_and_as_text_of_a_text(tmp_path: Path) -> None:
    import json

    plain = usage_row("a")
    text = usage_row("b") | {"properties": json.dumps(plain["properties"])}
    twice = usage_row("c") | {"properties": json.dumps(json.dumps(plain["properties"]))}
    broken = usage_row("d") | {"properties": '{"promptTokens": 1'}
    log = read_rows(tmp_path, [plain, text, twice, broken])
    check_counts(log)
    assert total(log, "prompt_tokens") == 300
    assert log.frame["deployment"].tolist() == ["chat"] * 3
    assert log.rejected["reason"].tolist() == ["properties is a text that is not JSON"]


def test_other_names_of_the_token_fields_are_known(tmp_path: Path) -> None:
    row = usage_row("a")
    row["properties"] = {"inputTextTokens": 70, "inputImageTokens": 30, "cachedTextTokens": 20, "outputImageTokens": 5}
    other = usage_row("b")
    other["properties"] = {"inputTokens": 7, "outputTokens": 3}
    log = read_rows(tmp_path, [row, other])
    found = [(call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]) for call in calls_of(log)]
    assert found == [(100, 20, 5), (7, None, 3)]
    assert calls_of(log)[0]["image_in"] == 30


@pytest.mark.parametrize("files", [1, 2], ids=["in one file", "in two files"])
@pytest.mark.parametrize("order", [1, -1], ids=["usage first", "status first"])
def test_the_halves_of_a_call_are_one_call(tmp_path: Path, files: int, order: int) -> None:
    halves = [usage_row(), status_row(duration_ms=321, resourceId=ACCOUNT)][::order]
    log = read_rows(tmp_path, *([halves] if files == 1 else [[half] for half in halves]))
    check_counts(log)
    (call,) = calls_of(log)
    assert (call["prompt_tokens"], call["status"], call["latency_ms"]) == (100, 200, 321.0)
    assert (call["resource"], call["region"], call["api"]) == (ACCOUNT.lower(), "eastus", "chat")
    assert (call["deployment"], call["model"], call["version"]) == ("chat", "gpt-4o", "2024-11-20")
    assert call["stream"] is True
    assert (log.counts.total.requests, log.counts.total.joined) == (1, 1)


def test_the_same_id_in_two_accounts_is_two_calls(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), usage_row(resourceId=ACCOUNT.replace("/one", "/two"))])
    assert log.frame["resource"].nunique() == 2
    assert total(log, "prompt_tokens") == 200


def test_token_fields_of_the_status_half_are_never_read(tmp_path: Path) -> None:
    filled = status_row(properties={"promptTokens": 999, "completionTokens": 999})
    assert total(read_rows(tmp_path, [usage_row(), filled]), "prompt_tokens") == 100
    alone = read_rows(tmp_path, [filled])
    assert calls_of(alone)[0]["prompt_tokens"] is None
    assert alone.counts.total.unmetered == 1


def test_a_throttled_call_that_is_logged_twice_is_one_refused_call(tmp_path: Path) -> None:
    rows = [status_row(duration_ms=0, properties={"modelName": None}), status_row(status="429", duration_ms=5_369)]
    for order in (rows, rows[::-1]):
        log = read_rows(tmp_path, order)
        check_counts(log)
        (call,) = calls_of(log)
        assert (call["status"], call["latency_ms"], call["usage_quality"]) == (429, 5369.0, "not_billed")
        assert (log.counts.total.joined, log.counts.total.duplicates, log.counts.total.conflicts) == (1, 0, 0)


def test_copies_are_counted_and_dropped(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), usage_row(), status_row()], [usage_row(), status_row()])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined, log.counts.total.duplicates) == (1, 1, 3)
    assert [one.duplicates for one in log.counts.files] == [1, 2]
    assert log.counts.total.conflicts == 0


def test_a_copy_that_differs_only_in_its_time_is_no_conflict(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), usage_row(EnqueueTime="2026-10-14T03:00:00")])
    assert (log.counts.total.duplicates, log.counts.total.conflicts, total(log, "prompt_tokens")) == (1, 0, 100)


@pytest.mark.parametrize("shape", [usage_row, gateway_row, body_row], ids=lambda shape: shape.__name__)
def test_of_rows_that_contradict_each_other_the_largest_counts(tmp_path: Path, shape: Any) -> None:
    rows = [shape(completion=5), shape(completion=80), shape(completion=20)]
    for order in (rows, rows[::-1]):
        log = read_rows(tmp_path, order)
        check_counts(log)
        assert total(log, "completion_tokens") == 80
        assert (log.counts.total.duplicates, log.counts.total.conflicts) == (2, 1)


def test_a_row_without_usage_gives_way_to_one_with_usage(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [body_row(usage=None), body_row()])
    check_counts(log)
    assert (total(log, "prompt_tokens"), log.counts.total.duplicates, log.counts.total.conflicts) == (100, 1, 0)


def test_a_row_that_can_be_joined_to_nothing_is_rejected(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(correlationId=...), gateway_row(CorrelationId=""), usage_row()])
    check_counts(log)
    assert log.rejected["line"].tolist() == [1, 2]
    assert "duplicate" in log.rejected["reason"].iloc[0]


@pytest.mark.parametrize(
    ("status", "with_tokens", "without"),
    [
        ("200", "measured", "missing"),
        ("400", "measured", "missing"),
        ("401", "not_billed", "not_billed"),
        ("403", "not_billed", "not_billed"),
        ("404", "not_billed", "not_billed"),
        ("408", "measured", "missing"),
        ("429", "not_billed", "not_billed"),
        ("500", "measured", "not_billed"),
        ("503", "measured", "not_billed"),
        (None, "measured", "missing"),
    ],
)
def test_status_and_usage_decide_what_is_billed(tmp_path: Path, status: Any, with_tokens: str, without: str) -> None:
    log = read_rows(tmp_path, [usage_row("a"), status_row("a", status), status_row("b", status)])
    quality = {call["request_id"]: call["usage_quality"] for call in calls_of(log)}
    assert quality == {"a": with_tokens, "b": without}


@pytest.mark.parametrize(
    ("operation", "named", "quality"),
    [
        pytest.param("Create_Thread", False, "not_billed", id="a thread asks no model"),
        pytest.param("Files_List", False, "not_billed", id="a list"),
        pytest.param("get-response", True, "not_billed", id="fetching an answer again"),
        pytest.param("ChatCompletions_Create", False, "missing", id="chat without a model's name"),
        pytest.param("Create_Run", False, "missing", id="a run makes a model work"),
        pytest.param("Something_New", True, "missing", id="unknown, with a model"),
        pytest.param("Something_New", False, "not_billed", id="unknown, without a model"),
        pytest.param("ImageGenerations_Create", True, "missing", id="images are not counted here"),
    ],
)
def test_only_calls_that_ask_a_model_miss_tokens(tmp_path: Path, operation: str, named: bool, quality: str) -> None:
    row = status_row(operationName=operation)
    if not named:
        row["properties"] = {}
    assert calls_of(read_rows(tmp_path, [row]))[0]["usage_quality"] == quality


def test_half_a_count_is_no_count(tmp_path: Path) -> None:
    log = read_rows(
        tmp_path, [usage_row("a", completion=None), usage_row("b", completion=None, operationName="Embeddings_Create")]
    )
    assert [call["usage_quality"] for call in calls_of(log)] == ["missing", "measured"]


def test_a_negative_duration_is_unknown_and_its_row_is_kept(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), status_row(duration_ms=-1_021)])
    assert calls_of(log)[0]["latency_ms"] is None
    assert total(log, "prompt_tokens") == 100


@pytest.mark.parametrize("category", ["Audit", "Trace", "ManagedNetworkEvent", "AllMetrics"])
def test_categories_without_usage_are_ignored_and_counted(tmp_path: Path, category: str) -> None:
    log = read_rows(tmp_path, [usage_row(), status_row("other", category=category)])
    check_counts(log)
    assert (log.counts.total.ignored, log.counts.total.requests) == (1, 1)


def test_a_metric_of_no_tokens_is_ignored_and_another_category_is_rejected(tmp_path: Path) -> None:
    metric = {"metricName": "SuccessfulCalls", "timeGrain": "PT1M", "resourceId": ACCOUNT, "total": 5, "count": 1}
    log = read_rows(tmp_path, [usage_row(), metric, status_row(category="SomethingElse")])
    check_counts(log)
    assert (log.counts.total.ignored, log.counts.total.rejected) == (1, 1)


def test_pieces_of_messages_are_parts_of_their_call(tmp_path: Path) -> None:
    pieces = [gateway_row(sequence=i) for i in (3, 1, 0, 2)]
    log = read_rows(tmp_path, pieces[:2], pieces[2:])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined) == (1, 3)
    assert (total(log, "prompt_tokens"), total(log, "completion_tokens")) == (100, 10)


def test_it_does_not_matter_which_piece_has_the_tokens(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row(sequence=1), gateway_row(sequence=0, SequenceNumber="7")])
    assert (log.counts.total.requests, total(log, "prompt_tokens")) == (1, 100)


def test_a_retry_behind_the_gateway_is_a_call_of_its_own(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row(), gateway_row(RequestId="chatcmpl-again"), gateway_row(sequence=1)])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined, total(log, "prompt_tokens")) == (2, 1, 200)


def test_zeros_of_the_gateway_are_unknown_tokens(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row(prompt="0", completion="0", RequestId="")])
    assert calls_of(log)[0]["prompt_tokens"] is None
    assert log.counts.total.unmetered == 1


def test_pieces_alone_are_a_call_without_tokens(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row(sequence=1), gateway_row(sequence=2)])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined, log.counts.total.unmetered) == (1, 1, 1)


def test_resource_and_region_of_the_gateway_are_not_the_models(tmp_path: Path) -> None:
    (call,) = calls_of(read_rows(tmp_path, [gateway_row()]))
    assert (call["resource"], call["region"], call["deployment"]) == (None, None, "chat")
    (call,) = calls_of(read_rows(tmp_path, [gateway_row()], resource="My-Account", deployment="ignored"))
    assert (call["resource"], call["deployment"]) == ("my-account", "chat")


def test_a_body_names_the_model_and_the_user_the_deployment(tmp_path: Path) -> None:
    (call,) = calls_of(read_rows(tmp_path, [body_row()]))
    assert (call["model"], call["version"], call["deployment"], call["resource"]) == (
        "gpt-4o",
        "2024-11-20",
        None,
        None,
    )
    (call,) = calls_of(read_rows(tmp_path, [body_row()], deployment="chat", resource="ONE"))
    assert (call["deployment"], call["resource"]) == ("chat", "one")


def test_a_name_that_the_log_carries_is_not_replaced(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [body_row(deployment="other"), usage_row()], deployment="chat", resource="two")
    assert sorted(log.frame["deployment"]) == ["chat", "other"]
    assert sorted(log.frame["resource"]) == sorted(["two", ACCOUNT.lower()])


def test_details_of_usage_are_read(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 500,
        "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 100, "audio_tokens": 50},
        "output_tokens": 90,
        "output_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 30},
    }
    (call,) = calls_of(read_rows(tmp_path, [body_row(object="response", usage=usage, service_tier="Priority")]))
    assert [call[name] for name in ("prompt_tokens", "cached_tokens", "cache_write_tokens", "audio_in")] == [
        500,
        200,
        100,
        50,
    ]
    assert [call[name] for name in ("completion_tokens", "reasoning_tokens", "audio_out")] == [90, 40, 30]
    assert (call["api"], call["service_tier"]) == ("responses", "priority")


def test_predictions_that_were_rejected_are_inside_the_completion(tmp_path: Path) -> None:
    details = {"accepted_prediction_tokens": 5, "rejected_prediction_tokens": 20, "reasoning_tokens": 0}
    usage = {"prompt_tokens": 9, "completion_tokens": 30, "completion_tokens_details": details}
    (call,) = calls_of(read_rows(tmp_path, [body_row(usage=usage)]))
    assert (call["completion_tokens"], call["reasoning_tokens"], call["prompt_tokens"]) == (30, 0, 9)


def test_absent_details_are_unknown_not_zero(tmp_path: Path) -> None:
    (call,) = calls_of(read_rows(tmp_path, [body_row(usage={"prompt_tokens": 1, "completion_tokens": 2})]))
    assert [call[name] for name in ("cached_tokens", "reasoning_tokens", "audio_in")] == [None] * 3


def test_equal_bodies_without_an_id_are_calls_of_their_own(tmp_path: Path) -> None:
    row = {
        "object": "list",
        "data": [{"object": "embedding"}],
        "model": "text-embedding-3-large",
        "usage": {"prompt_tokens": 12},
    }
    log = read_rows(tmp_path, [row, row], [row])
    check_counts(log)
    assert (len(log.frame), total(log, "prompt_tokens"), log.counts.total.unmetered) == (3, 36, 0)
    assert log.frame["timestamp"].isna().all()


def test_images_are_counted_as_images(tmp_path: Path) -> None:
    made = {"created": 1_791_943_440, "data": [{"url": "https://example.org/1"}, {"b64_json": "AA"}]}
    counted = made | {"created": 1_791_943_500, "usage": {"input_tokens": 10, "output_tokens": 4_000}}
    log = read_rows(tmp_path, [body_row("a", created=1_791_943_400), made, counted])
    assert log.quantities.to_dict("records") == [
        {"row": 1, "meter": "image", "modality": "text", "variant": "", "quantity": 2}
    ]
    assert log.frame["api"].tolist() == ["chat", "images", "images"]
    assert log.frame["usage_quality"].tolist() == ["measured"] * 3


@pytest.mark.parametrize(
    ("error", "status", "quality"),
    [
        ({"code": "content_filter", "status": 400}, 400, "missing"),
        ({"code": "429", "message": "slow down"}, 429, "not_billed"),
        ({"code": "DeploymentNotFound"}, 404, "not_billed"),
        ({"code": None, "message": "?"}, None, "missing"),
    ],
)
def test_the_body_of_an_error_is_a_call(tmp_path: Path, error: Any, status: int | None, quality: str) -> None:
    (call,) = calls_of(read_rows(tmp_path, [{"error": error}]))
    assert (call["status"], call["usage_quality"]) == (status, quality)


def test_no_prompt_and_no_answer_is_kept(tmp_path: Path) -> None:
    bad = body_row("bad", prompt="secret")
    log = read_rows(tmp_path, [body_row(), gateway_row(), gateway_row(sequence=1), bad, {"question": "secret"}])
    shown = log.frame.to_csv() + log.quantities.to_csv() + log.rejected.to_csv() + str(log.counts.as_dict())
    assert len(log.rejected) == 2
    assert "secret" not in shown


def meters(log: Any) -> dict[str, int]:
    deployments = Deployments([Deployment("", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")])
    unpriced = cost_report(log, deployments=deployments, prices=PriceBook([])).unpriced
    return {f"{row.modality} {row.meter}": row.quantity for row in unpriced.itertuples()}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 1100, "prompt_tokens_details": {"audio_tokens": 1000, "cached_tokens": 1024}},
            {"text cached_input": 100, "audio input": 76, "audio cached_input": 924},
            id="cached tokens beyond the text are audio",
        ),
        pytest.param(
            {
                "input_tokens": 1100,
                "input_token_details": {
                    "audio_tokens": 1000,
                    "cached_tokens": 1024,
                    "cached_tokens_details": {"text_tokens": 24, "audio_tokens": 1000},
                },
            },
            {"text input": 76, "text cached_input": 24, "audio cached_input": 1000},
            id="a session that says which are",
        ),
    ],
)
def test_cached_tokens_may_be_audio(tmp_path: Path, usage: dict[str, Any], expected: dict[str, int]) -> None:
    row = body_row(usage={**usage, "completion_tokens": 1, "output_tokens": 1}, deployment="chat")
    log = read_rows(tmp_path, [row])
    check_counts(log)
    assert meters(log) == {**expected, "text output": 1}


def test_cached_images_are_inside_both_parts(tmp_path: Path) -> None:
    properties = {"promptTokens": 1000, "cachedTokens": 512, "inputImageTokens": 800, "cachedImageTokens": 512}
    log = read_rows(tmp_path, [changed(usage_row(), {"properties": properties})])
    check_counts(log)
    assert meters(log) == {"text input": 200, "image input": 288, "image cached_input": 512, "text output": 10}


@pytest.mark.parametrize(
    "properties",
    [
        {"promptTokens": 100, "inputImageTokens": 1000},
        {"generatedTokens": 10, "outputImageTokens": 11},
        {"promptTokens": 100, "cachedTokens": 60, "cacheWriteTokens": 50},
        {"promptTokens": 100, "cachedTokens": 10, "inputImageTokens": 50, "cachedImageTokens": 20},
    ],
)
def test_parts_that_exceed_their_total_are_rejected(tmp_path: Path, properties: dict[str, Any]) -> None:
    log = read_rows(tmp_path, [changed(usage_row("a"), {"properties": properties}), usage_row("b")])
    check_counts(log)
    assert (len(log.rejected), total(log, "prompt_tokens")) == (1, 100)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            {"PromptTokens": "0", "CompletionTokens": "0"}, {"DeploymentName": "", "ModelName": ""}, id="tokens"
        ),
        pytest.param(
            {"RequestId": "", "PromptTokens": "0", "CompletionTokens": "0"}, {"RequestId": ""}, id="no request"
        ),
        pytest.param(
            {"PromptTokens": "0", "CompletionTokens": "0"}, {"RequestId": "", "DeploymentName": ""}, id="mixed"
        ),
    ],
)
def test_names_and_tokens_of_a_call_may_stand_in_different_rows(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    rows = [
        gateway_row(**first),
        changed(gateway_row(TimeGenerated="2026-10-14T02:04:09Z"), {"SequenceNumber": "1", **second}),
    ]
    for order in (rows, rows[::-1]):
        log = read_rows(tmp_path, order)
        check_counts(log)
        (call,) = calls_of(log)
        assert (call["deployment"], call["model"], call["prompt_tokens"]) == ("chat", "gpt-4o", 100)


def test_a_refused_try_beside_a_served_one_is_billed_once(tmp_path: Path) -> None:
    rows = [
        usage_row(),
        status_row(duration_ms=900),
        status_row(status="429", duration_ms=12, time="2026-10-14T02:05:00Z"),
    ]
    log = read_rows(tmp_path, rows)
    check_counts(log)
    (call,) = calls_of(log)
    assert (call["status"], call["usage_quality"], log.counts.total.conflicts) == (200, "measured", 1)


def test_tokens_of_a_refused_call_are_in_no_total(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), status_row(status="429", duration_ms=12)])
    (call,) = calls_of(log)
    assert call["usage_quality"] == "not_billed"
    assert meters(log) == {}


def test_of_two_instant_rows_the_refusal_is_the_real_one(tmp_path: Path) -> None:
    rows = [status_row(status="429", duration_ms=0), status_row(duration_ms=0, time="2026-10-14T02:05:00Z")]
    (call,) = calls_of(read_rows(tmp_path, rows))
    assert (call["status"], call["usage_quality"]) == (429, "not_billed")


def test_an_empty_row_before_the_real_one_is_no_contradiction(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(prompt=0, completion=0), usage_row()])
    assert (log.counts.total.conflicts, total(log, "prompt_tokens")) == (0, 100)


def test_a_fine_tuned_model_is_not_priced_as_its_base_model(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [body_row(model="gpt-4o-2024-08-06.ft-0f1e", deployment="chat")])
    base = Deployment("", "chat", "gpt-4o", version="2024-08-06", sku="GlobalStandard")
    tuned = replace(base, fine_tuned="ft")
    report = cost_report(log, deployments=Deployments([base]))
    assert report.total == 0
    assert report.unpriced["reason"].str.contains("fine_tuned").all()
    lines = cost_report(log, deployments=Deployments([tuned])).lines
    assert set(lines["meter_name"].dropna()) >= {"gpt-4o-0806-FT-inp-glbl Tokens"}


def test_a_number_beyond_all_times_is_rejected(tmp_path: Path) -> None:
    # Half a surrogate pair sends the line to a parser that keeps integers of any size.
    line = b'{"id":"a","x":"\\ud83d","created":1' + b"0" * 400 + b',"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    log = read_bytes(tmp_path, line + b"\n" + lines_of([body_row("b")]))
    assert len(log.rejected) == 1


def test_the_time_of_arrival_stands_in_where_there_is_no_other(tmp_path: Path) -> None:
    row = usage_row(EnqueueTime=..., FluentdIngestTimestamp="2026-10-14T02:04:00.0000000Z")
    (call,) = calls_of(read_rows(tmp_path, [row]))
    assert call["timestamp"].isoformat() == "2026-10-14T02:04:00+00:00"


@pytest.mark.parametrize(
    ("changes", "region"),
    [
        pytest.param({"location": ..., "Tenant": "swedencentral"}, "swedencentral", id="Tenant is a region"),
        pytest.param({"Tenant": "swedencentral"}, "eastus", id="beside the location"),
        pytest.param({"location": "East US"}, "eastus", id="as people write it"),
        pytest.param({"location": ...}, None, id="nowhere"),
    ],
)
def test_the_region_of_a_call(tmp_path: Path, changes: dict[str, Any], region: str | None) -> None:
    (call,) = calls_of(read_rows(tmp_path, [usage_row(**changes)]))
    assert call["region"] == region


def test_ticks_beyond_what_a_float_holds_disturb_nothing(tmp_path: Path) -> None:
    ticks = {"requestTime": 639_275_402_281_160_123, "responseTime": 639_275_402_399_460_001}
    (call,) = calls_of(read_rows(tmp_path, [usage_row(properties=ticks), status_row(properties=ticks)]))
    assert (call["prompt_tokens"], call["latency_ms"], str(call["timestamp"])[:19]) == (
        100,
        1180,
        "2026-10-14 02:03:59",
    )


def test_ids_are_joined_whatever_their_case(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row("ab-c"), status_row("AB-C")])
    assert (log.counts.total.requests, log.counts.total.joined) == (1, 1)


@pytest.mark.parametrize("names", [{"deployment": 5}, {"deployment": "\ud800"}, {"resource": ["a"]}])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, names: dict[str, Any]) -> None:
    with pytest.raises(UsageFormatError, match="cannot be a name"):
        read_rows(tmp_path, [body_row()], **names)


@pytest.mark.parametrize("table", ["ApiManagementGatewayLlmLog", ...])
def test_rows_of_a_query_that_joined_the_two_tables_are_calls(tmp_path: Path, table: Any) -> None:
    log = read_rows(tmp_path, [gateway_row(ApiId="x", BackendResponseCode=200, Type=table)])
    check_counts(log)
    assert (log.counts.total.requests, total(log, "prompt_tokens")) == (1, 100)


def test_what_the_command_line_of_azure_writes_for_null_is_null(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("PromptTokens", "CompletionTokens", "DeploymentName", "ModelName", "RequestId"), "None")
    rows = [gateway_row(TableName="PrimaryResult"), gateway_row(sequence=1, TableName="PrimaryResult", **nothing)]
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert [call["deployment"] for call in calls_of(log)] == ["chat"]


def test_kinds_of_log_that_may_have_seen_the_same_calls_are_named(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row(), gateway_row(), body_row()])
    assert any("more than once" in note for note in cost_report(log).notes)
    assert not any("more than once" in note for note in cost_report(read_rows(tmp_path, [usage_row()])).notes)


def test_a_body_of_another_vendor_is_no_row(tmp_path: Path) -> None:
    usage = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 1000}
    log = read_rows(tmp_path, [{"type": "message", "usage": usage, "model": "claude"}, body_row()])
    assert (len(log.rejected), total(log, "prompt_tokens")) == (1, 100)


def test_a_served_name_with_its_version_is_split_beside_the_version_too(tmp_path: Path) -> None:
    properties = {"modelName": "gpt-4o-2024-11-20", "modelVersion": "2024-11-20"}
    (call,) = calls_of(read_rows(tmp_path, [changed(usage_row(), {"properties": properties})]))
    assert (call["model"], call["version"]) == ("gpt-4o", "2024-11-20")
