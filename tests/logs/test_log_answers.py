"""Traps of streams, sessions, audio, images, runs, batches, usage pages and bodies in gateway logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answer_rows import (
    CREATED,
    HEARD,
    NAMELESS,
    REALTIME_USAGE,
    RESPONSE_USAGE,
    asked_row,
    batch_row,
    chunk_row,
    companion_row,
    event_hub_row,
    event_row,
    expired_row,
    logged_row,
    page_of,
    realtime_row,
    run_row,
    step_row,
    stream_of,
    sum_row,
    transcribed_row,
    usage_of,
)
from log_rows import ACCOUNT, body_row, calls_of, check_counts, gateway_row, read_bytes, read_rows, total

from aoai_cost import UsageFormatError, UsageLog, cost_report
from aoai_cost.catalog import Deployment, Deployments


def only(log: UsageLog) -> dict[str, Any]:
    check_counts(log)
    assert log.counts.total.rejected == 0
    (call,) = calls_of(log)
    return call


def counted(log: UsageLog) -> tuple[int, int, int, int, int]:
    """Requests, unmetered, joined, duplicates, ignored."""
    check_counts(log)
    found = log.counts.total
    return found.requests, found.unmetered, found.joined, found.duplicates, found.ignored


STREAM = [NAMELESS, chunk_row(), chunk_row(), chunk_row(usage=usage_of(cached=64))]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(stream_of(*STREAM), id="an event stream"),
        pytest.param(stream_of(*STREAM).replace("\n", "\r\n"), id="CRLF"),
        pytest.param(stream_of(*STREAM).replace("data: ", "data:"), id="no blank after the colon"),
        pytest.param(stream_of(*STREAM).removesuffix("\n\n"), id="no newline at the end"),
        pytest.param("\ufeff" + stream_of(*STREAM, done=False), id="a byte order mark, and no end"),
        pytest.param("id: 5\nretry: 10\n:\n" + stream_of(*STREAM), id="fields without data"),
        pytest.param("\n".join(json.dumps(row) for row in STREAM), id="chunks as JSON lines"),
        pytest.param(json.dumps(STREAM, indent=1), id="chunks in an array"),
    ],
)
def test_a_stream_is_one_call_however_it_is_kept(tmp_path: Path, data: str) -> None:
    log = read_bytes(tmp_path, data.encode())
    call = only(log)
    assert (call["prompt_tokens"], call["completion_tokens"], call["cached_tokens"]) == (100, 10, 64)
    assert (call["model"], call["version"], call["stream"], call["api"]) == ("gpt-4o", "2024-11-20", True, "chat")
    assert counted(log) == (1, 0, 2, 0, 1)
    assert log.complete


def test_lines_of_a_stream_keep_their_numbers(tmp_path: Path) -> None:
    log = read_bytes(tmp_path, (stream_of(NAMELESS) + 'data: {"broken\n\ndata: ' + json.dumps(chunk_row())).encode())
    assert log.rejected["line"].tolist() == [8]
    assert log.frame["source_line"].tolist() == [10]


def test_streams_one_behind_the_other_are_calls_of_their_own(tmp_path: Path) -> None:
    text = stream_of(chunk_row(), chunk_row(usage=usage_of())) + stream_of(chunk_row("b"), chunk_row("b"))
    assert counted(read_bytes(tmp_path, text.encode())) == (2, 1, 2, 0, 0)


def test_a_stream_that_breaks_off_is_a_call_without_tokens(tmp_path: Path) -> None:
    log = read_bytes(tmp_path, stream_of(NAMELESS, chunk_row(), chunk_row(), done=False).encode()[:-30])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.unmetered, log.complete) == (1, 1, False)
    assert calls_of(log)[0]["prompt_tokens"] is None


def test_of_usage_in_every_chunk_the_last_counts_and_contradicts_nothing(tmp_path: Path) -> None:
    rows = [chunk_row(usage=usage_of(100, n)) for n in (0, 3, 3, 10)]
    log = read_rows(tmp_path, rows[2:], rows[:2])
    assert counted(log) == (1, 0, 3, 0, 0)
    assert (only(log)["completion_tokens"], log.counts.total.conflicts) == (10, 0)


def test_usage_beside_choices_counts(tmp_path: Path) -> None:
    row = chunk_row(usage=usage_of(), choices=[{"index": 0, "delta": {"content": "secret"}}])
    assert only(read_rows(tmp_path, [chunk_row(), row]))["prompt_tokens"] == 100


def test_a_stream_and_the_body_of_the_same_answer_are_one_call(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [chunk_row(), chunk_row(usage=usage_of())], [body_row()])
    assert counted(log)[:2] == (1, 0)
    assert total(log, "prompt_tokens") == 100
    assert not any("more than once" in note for note in cost_report(log).notes)
    assert counted(read_rows(tmp_path, [chunk_row()], [body_row()], format="openai-response"))[0] == 1


def test_chunks_of_completions_are_one_call(tmp_path: Path) -> None:
    chunk = {"id": "cmpl-a", "object": "text_completion", "created": CREATED, "model": "m", "choices": [{"text": "s"}]}
    rows = [chunk, chunk, {**chunk, "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}]
    log = read_rows(tmp_path, rows)
    assert counted(log) == (1, 0, 2, 0, 0)
    assert only(log)["completion_tokens"] == 7
    assert counted(read_rows(tmp_path, rows[:2])) == (1, 1, 1, 0, 0)


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_events_of_responses_are_one_call(tmp_path: Path, end: str) -> None:
    delta = {"type": "response.output_text.delta", "item_id": "msg_a", "delta": "secret", "sequence_number": 3}
    rows = [event_row("created"), event_row("in_progress"), delta, event_row(end, usage=RESPONSE_USAGE)]
    log = read_bytes(tmp_path, stream_of(*rows, done=False).encode())
    assert counted(log) == (1, 0, 2, 0, 1)
    call = only(log)
    assert (call["prompt_tokens"], call["cached_tokens"], call["completion_tokens"]) == (100, 64, 10)
    assert (call["api"], call["stream"], call["request_id"]) == ("responses", True, "resp_a")
    assert counted(read_rows(tmp_path, rows[:3])) == (1, 1, 1, 0, 1)


def test_an_answer_of_a_session_has_its_modalities(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [realtime_row("response.created", usage=None), realtime_row()], deployment="live")
    call = only(log)
    assert (call["prompt_tokens"], call["completion_tokens"], call["cached_tokens"]) == (200, 100, 64)
    assert (call["audio_in"], call["audio_out"], call["image_in"]) == (100, 80, 20)
    assert (call["cached_audio"], call["cached_image"]) == (32, 0)
    assert (call["deployment"], call["api"], call["timestamp"] is not None) == ("live", "realtime", True)
    (key, group), *_ = [one for one in log.sums.groups if one[1].usage]
    assert key.deployment == "live"
    assert {(meter, modality): n for (meter, modality, _), n in group.usage.items()} == {
        ("input", "text"): 48,
        ("input", "audio"): 68,
        ("input", "image"): 20,
        ("cached_input", "text"): 32,
        ("cached_input", "audio"): 32,
        ("output", "text"): 20,
        ("output", "audio"): 80,
    }


def test_a_session_that_breaks_off_leaves_a_call_without_tokens(tmp_path: Path) -> None:
    silent = {"type": "input_audio_buffer.append", "event_id": "e", "audio": "secret"}
    assert counted(read_rows(tmp_path, [realtime_row("response.created", usage=None), silent])) == (1, 1, 0, 0, 1)


def test_an_event_of_a_session_is_not_one_of_responses(tmp_path: Path) -> None:
    for row in (realtime_row("response.created"), realtime_row()):
        del row["event_id"]
        assert read_rows(tmp_path, [row]).frame["source_format"].tolist() == ["openai-realtime"]


def test_transcriptions_of_a_session_are_not_the_given_deployments(tmp_path: Path) -> None:
    rows = [transcribed_row(usage=HEARD), transcribed_row("b", {"type": "duration", "seconds": 2.5}), realtime_row()]
    log = read_rows(tmp_path, rows, rows[:1], deployment="live")
    assert counted(log)[:4] == (3, 0, 0, 1)
    by_format = {call["source_format"]: call["deployment"] for call in calls_of(log)}
    assert by_format == {"openai-realtime": "live", "realtime-transcription": None}
    assert log.quantities[["meter", "quantity"]].to_numpy().tolist() == [["audio", 2500]]
    assert total(log, "audio_in") == 30 + 100


@pytest.mark.parametrize(
    ("row", "meter", "quantity"),
    [
        pytest.param({"text": "s", "usage": {"type": "duration", "seconds": 9}}, "audio", 9_000, id="seconds"),
        pytest.param({"text": "s", "usage": {"type": "duration", "seconds": 0.1}}, "audio", 100, id="a part of one"),
        pytest.param({"task": "translate", "duration": 8.47, "text": "s"}, "audio", 8_470, id="older, with its length"),
        pytest.param({"usage": {"characters": 44}, "model": "tts"}, "character", 44, id="characters of speech"),
    ],
)
def test_audio_without_tokens_is_metered_by_what_is_told(
    tmp_path: Path, row: dict[str, Any], meter: str, quantity: int
) -> None:
    log = read_rows(tmp_path, [row])
    assert (only(log)["usage_quality"], only(log)["prompt_tokens"]) == ("measured", None)
    assert log.quantities[["meter", "quantity"]].to_numpy().tolist() == [[meter, quantity]]


def test_audio_with_tokens_has_its_modalities(tmp_path: Path) -> None:
    spoken = {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101}}
    log = read_rows(tmp_path, [{"text": "s", "usage": HEARD}, spoken, {"type": "speech.audio.delta", "audio": "s"}])
    assert counted(log) == (2, 0, 0, 0, 1)
    assert (total(log, "audio_in"), total(log, "audio_out"), total(log, "prompt_tokens")) == (30, 101, 48)


@pytest.mark.parametrize("seconds", [-1, "x", None, True, 1e300, [3]])
def test_what_is_no_length_of_audio_is_rejected(tmp_path: Path, seconds: Any) -> None:
    log = read_rows(tmp_path, [body_row(), {"text": "s", "usage": {"type": "duration", "seconds": seconds}}])
    assert log.rejected["reason"].tolist() == ["seconds is not a length of audio"]


@pytest.mark.parametrize(
    ("told", "variant"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"size": "1024x1024"}, "", id="a size that two models draw"),
        pytest.param({"size": "1024x1792", "quality": "hd"}, "hd_high_res", id="a size and a quality of one model"),
        pytest.param({"size": "1024x1024", "quality": "standard", "model": "dall-e-3"}, "std_low_res", id="all"),
        pytest.param({"model": "dall-e-2"}, "any_size", id="a model with one price"),
        pytest.param({"model": "dall-e-3", "size": "9x9"}, "", id="a size that is unknown"),
    ],
)
def test_images_are_told_apart_as_far_as_size_and_quality_are_told(
    tmp_path: Path, told: dict[str, Any], variant: str
) -> None:
    log = read_rows(tmp_path, [{"created": CREATED, "data": [{"url": "secret"}, {"url": "secret"}], **told}])
    assert log.quantities[["meter", "variant", "quantity"]].to_numpy().tolist() == [["image", variant, 2]]


def test_images_with_usage_are_tokens_and_are_not_counted_as_images(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 272,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }
    drawn = {"created": CREATED, "data": [{"b64_json": "secret"}], "usage": usage, "size": "1024x1024"}
    told = {**usage, "output_tokens_details": {"image_tokens": 200, "text_tokens": 72}}
    ended = {"type": "image_generation.completed", "created_at": CREATED, "b64_json": "secret", "usage": told}
    partial = {"type": "image_generation.partial_image", "created_at": CREATED, "b64_json": "secret"}
    log = read_rows(tmp_path, [drawn, partial, ended])
    assert counted(log) == (2, 0, 0, 0, 1)
    assert sorted(log.frame["image_out"]) == [200, 272]
    assert log.frame["image_in"].tolist() == [40, 40]
    assert set(log.frame["api"]) == {"images"}
    assert len(log.quantities) == 0


def test_steps_are_not_added_to_their_run(tmp_path: Path) -> None:
    rows = [run_row(status="in_progress", usage=None), step_row(), step_row(step="2"), run_row()]
    log = read_rows(tmp_path, rows)
    assert counted(log) == (1, 0, 3, 0, 0)
    call = only(log)
    assert (call["prompt_tokens"], call["deployment"], call["model"]) == (100, "chat", None)
    assert counted(read_rows(tmp_path, rows[1:3])) == (1, 1, 1, 0, 0)


def test_a_line_of_a_batch_has_batch_prices_and_the_deployment_of_its_input(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [batch_row()], [asked_row()])
    call = only(log)
    assert (call["deployment"], call["model"], call["service_tier"]) == ("cheap", "gpt-4o", "batch")
    assert (call["status"], call["api"], call["timestamp"] is not None) == (200, "chat", True)
    assert counted(log) == (1, 0, 1, 0, 0)
    costs = []
    for row, sku in ((batch_row(), "GlobalBatch"), (body_row(), "GlobalStandard")):
        known = Deployment("one", "cheap", model="gpt-4o", version="2024-11-20", sku=sku, region="eastus")
        log = read_rows(tmp_path, [row], deployment="cheap", resource=ACCOUNT)
        costs.append(cost_report(log, deployments=Deployments([known])).total)
    assert costs[0] == costs[1] / 2 > 0


def test_the_input_of_a_batch_goes_before_what_the_user_gives(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [batch_row(), asked_row(), batch_row("task-1", "b")], deployment="given")
    assert [call["deployment"] for call in calls_of(log)] == ["cheap", "given"]


def test_equal_ids_of_two_batches_are_calls_of_their_own(tmp_path: Path) -> None:
    rows = [batch_row(call="a"), batch_row(call="b")]
    log = read_rows(tmp_path, rows[:1], rows[1:], [asked_row()], rows[:1])
    assert counted(log) == (2, 0, 1, 1, 0)
    assert [call["deployment"] for call in calls_of(log)] == ["cheap", "cheap"]
    assert total(log, "prompt_tokens") == 200


def test_inputs_that_name_several_deployments_name_none(tmp_path: Path) -> None:
    rows = [batch_row(call="a"), batch_row(call="b"), asked_row(), asked_row(deployment="other")]
    log = read_rows(tmp_path, rows)
    assert [call["deployment"] for call in calls_of(log)] == [None, None]


@pytest.mark.parametrize(
    ("row", "quality"),
    [
        pytest.param(expired_row(), "not_billed", id="expired"),
        pytest.param({**expired_row(), "error": None}, "not_billed", id="without a response or a reason"),
        pytest.param(batch_row(status=400, body={"error": {"code": "content_filter"}}), "missing", id="filtered"),
        pytest.param(batch_row(status=429, body={"error": {"code": "429"}}), "not_billed", id="throttled"),
        pytest.param(batch_row(status=500, body={}), "not_billed", id="a failure"),
        pytest.param(batch_row(status=200, body={}), "missing", id="an answer that was cut"),
        pytest.param(asked_row(), "missing", id="only asked"),
    ],
)
def test_a_line_of_a_batch_without_usage(tmp_path: Path, row: dict[str, Any], quality: str) -> None:
    call = only(read_rows(tmp_path, [row]))
    assert (call["usage_quality"], call["service_tier"]) == (quality, "batch")


def test_a_task_that_expired_and_was_asked_again_is_two_calls(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [expired_row()], [batch_row()], [asked_row(), asked_row()])
    assert counted(log) == (2, 0, 2, 0, 0)
    assert total(log, "prompt_tokens") == 100


def test_the_batch_object_adds_nothing(tmp_path: Path) -> None:
    batch = {"object": "batch", "id": "batch_a", "usage": {"input_tokens": 100, "output_tokens": 10}}
    assert counted(read_rows(tmp_path, [batch, batch_row()])) == (1, 0, 0, 0, 1)


def test_a_page_is_its_sums(tmp_path: Path) -> None:
    other = sum_row(model="o4-mini", batch=True, num_model_requests=2, user_id="user_b")
    log = read_bytes(tmp_path, json.dumps(page_of(sum_row(), other), indent=1).encode())
    assert counted(log) == (2, 0, 0, 0, 0)
    assert (total(log, "requests"), total(log, "prompt_tokens"), total(log, "cached_tokens")) == (7, 2000, 1600)
    assert set(log.frame["usage_quality"]) == {"aggregated"}
    by_model = log.frame.set_index("model")
    assert by_model["service_tier"].astype("object").fillna("").to_dict() == {"gpt-4o": "", "o4-mini": "batch"}
    assert by_model["user"].to_dict() == {"gpt-4o": "key_a", "o4-mini": "user_b"}
    assert set(log.frame["app"]) == {"proj_a"}
    assert {stamp.timestamp() for stamp in log.frame["timestamp"]} == {CREATED}


def test_a_bucket_may_sum_more_requests_than_32_bits_hold(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [page_of(sum_row(num_model_requests=3_000_000_000))])
    assert total(log, "requests") == 3_000_000_000
    assert [group.requests for _, group in log.sums.groups] == [3_000_000_000]


def test_a_page_that_was_fetched_again_counts_once_and_hours_count_each(tmp_path: Path) -> None:
    first, later = page_of(sum_row()), page_of(sum_row(output_tokens=700))
    log = read_rows(tmp_path, [first], [first, later], [page_of(sum_row(), start=CREATED + 3600)])
    assert counted(log) == (2, 0, 0, 2, 0)
    assert (total(log, "completion_tokens"), log.counts.total.conflicts) == (1200, 1)


def test_a_page_with_more_behind_it_is_no_complete_log(tmp_path: Path) -> None:
    page = page_of(sum_row(), has_more=True)
    for files in ([page], [page], [page_of(sum_row())]), ([page, page_of(sum_row(), start=CREATED + 90_000)],):
        log = read_rows(tmp_path, *files)
        check_counts(log)
        assert not log.complete
        assert log.rejected["reason"].str.contains("has_more").all()
        assert len(log.rejected) == sum(one["has_more"] for rows in files for one in rows)
        with pytest.raises(UsageFormatError, match="has_more"):
            read_rows(tmp_path, *files, strict=True)
    assert total(log, "prompt_tokens") == 2000
    embedded = sum_row(object="organization.usage.embeddings.result", model="text-embedding-3-large", output_tokens=0)
    assert not read_rows(tmp_path, [page, page_of(embedded, start=CREATED + 3600)]).complete
    empty = {"object": "page", "data": [], "has_more": True}
    assert not read_rows(tmp_path, [empty, page_of(sum_row())]).complete


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("order", [1, -1])
def test_pages_that_follow_each_other_are_a_complete_log(tmp_path: Path, files: int, order: int) -> None:
    pages = [page_of(sum_row(), has_more=n < 2, start=CREATED + 3600 * n) for n in range(3)][::order]
    log = read_rows(tmp_path, *([pages] if files == 1 else [[page] for page in pages]))
    assert counted(log) == (3, 0, 0, 0, 2)
    assert (log.complete, len(log.rejected)) == (True, 0)
    gap = read_rows(tmp_path, [page for page in pages if page["data"][0]["start_time"] != CREATED + 3600])
    assert (gap.complete, len(gap.rejected)) == (False, 1)


def test_buckets_alone_are_read(tmp_path: Path) -> None:
    log = read_rows(tmp_path, page_of(sum_row())["data"])
    assert only(log)["prompt_tokens"] == 1000


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        pytest.param("images", {"images": 3, "model": "dall-e-2"}, ("image", "any_size", 3), id="images"),
        pytest.param("audio_speeches", {"characters": 45}, ("character", "", 45), id="speech"),
        pytest.param("audio_transcriptions", {"seconds": 20}, ("audio", "", 20_000), id="transcriptions"),
        pytest.param("vector_stores", {"usage_bytes": 1024}, None, id="storage is not of a model"),
        pytest.param("moderations", {"input_tokens": 16}, None, id="moderation is free"),
    ],
)
def test_sums_that_are_no_tokens(
    tmp_path: Path, name: str, fields: dict[str, Any], expected: tuple[str, str, int] | None
) -> None:
    result = {"object": f"organization.usage.{name}.result", "num_model_requests": 2, **fields}
    log = read_rows(tmp_path, [page_of(result, sum_row())])
    assert counted(log)[4] == (expected is None)
    found = log.quantities[["meter", "variant", "quantity"]].itertuples(index=False, name=None)
    assert list(found) == ([expected] if expected else [])
    assert set(log.frame["usage_quality"]) == {"aggregated"}


def test_audio_in_sums_has_its_cached_part_back(tmp_path: Path) -> None:
    told = {"input_audio_tokens": 100, "input_cached_audio_tokens": 50, "output_audio_tokens": 20}
    call = only(read_rows(tmp_path, [page_of(sum_row(**told))]))
    assert (call["audio_in"], call["cached_audio"], call["audio_out"]) == (150, 50, 20)


def test_costs_are_no_usage(tmp_path: Path) -> None:
    cost = {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}}
    assert counted(read_rows(tmp_path, [page_of(cost), page_of(sum_row())])) == (1, 0, 0, 0, 1)
    log = read_rows(tmp_path, [page_of(cost, has_more=True), page_of(sum_row())])
    assert (counted(log)[4], log.complete) == (2, True)


def test_a_body_that_is_logged_twice_counts_once(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [{"records": [logged_row()]}])
    call = only(log)
    assert (call["prompt_tokens"], call["completion_tokens"], call["cached_tokens"]) == (100, 10, 0)
    assert (call["deployment"], call["resource"], call["status"], call["latency_ms"]) == ("chat", "one", 200, 176)
    assert (call["model"], call["request_id"]) == ("gpt-4o", "a")


def test_the_backends_body_goes_before_the_gateways(tmp_path: Path) -> None:
    assert only(read_rows(tmp_path, [logged_row(own=json.dumps(body_row(prompt=7)))]))["prompt_tokens"] == 100
    assert only(read_rows(tmp_path, [logged_row(body="{}", own=json.dumps(body_row()))]))["prompt_tokens"] == 100


@pytest.mark.parametrize(
    ("body", "tokens", "quality"),
    [
        pytest.param(stream_of(NAMELESS, chunk_row(), chunk_row(usage=usage_of())), 100, "measured", id="with usage"),
        pytest.param(stream_of(NAMELESS, chunk_row(), chunk_row()), None, "missing", id="without usage"),
        pytest.param(stream_of(chunk_row(), chunk_row(usage=usage_of()))[:-90], None, "missing", id="cut"),
        pytest.param(stream_of(event_row("completed", usage=RESPONSE_USAGE)), 100, "measured", id="of Responses"),
    ],
)
def test_a_stream_in_a_body(tmp_path: Path, body: str, tokens: int | None, quality: str) -> None:
    call = only(read_rows(tmp_path, [logged_row(body=body)]))
    assert (call["prompt_tokens"], call["usage_quality"], call["stream"]) == (tokens, quality, True)
    assert (call["model"], call["deployment"]) == ("gpt-4o", "chat")


def test_a_body_that_was_cut_or_is_no_json_is_a_call_without_tokens(tmp_path: Path) -> None:
    ragged = {"tables": [{"columns": [{"name": "secret"}], "rows": [[1, 2]]}]}
    for body in (json.dumps(body_row())[:-40], "<html>", "", json.dumps(ragged)):
        call = only(read_rows(tmp_path, [logged_row(body=body)]))
        assert (call["usage_quality"], call["deployment"], call["api"]) == ("missing", "chat", "chat")


@pytest.mark.parametrize(
    ("backend", "own", "quality"),
    [
        pytest.param(429, 429, "not_billed", id="throttled by the backend"),
        pytest.param(0, 429, "not_billed", id="throttled by the gateway"),
        pytest.param(200, 500, "missing", id="answered, and then lost"),
        pytest.param(400, 400, "missing", id="filtered"),
    ],
)
def test_the_backend_decides_what_is_billed(tmp_path: Path, backend: int, own: int, quality: str) -> None:
    row = logged_row(body="{}", properties={"backendResponseCode": backend, "responseCode": own})
    assert only(read_rows(tmp_path, [row]))["usage_quality"] == quality


def test_an_answer_from_the_cache_of_the_gateway_is_not_billed(tmp_path: Path) -> None:
    row = logged_row(properties={"cache": "hit", "backendResponseCode": None, "backendResponseBody": None})
    assert only(read_rows(tmp_path, [row]))["usage_quality"] == "not_billed"


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"url": "https://x.net/shop/orders", "backendUrl": "https://shop.net/orders"}, id="another API"),
        pytest.param({"url": "https://x.net/v2/deployments/web/images", "backendUrl": "http://k8s/"}, id="a cluster"),
        pytest.param({"method": "GET"}, id="fetching an answer again"),
        pytest.param({"url": None, "backendUrl": None}, id="no URL"),
    ],
)
def test_what_asked_no_model_is_ignored(tmp_path: Path, properties: dict[str, Any]) -> None:
    assert counted(read_rows(tmp_path, [logged_row(properties=properties)])) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("url", "api", "deployment"),
    [
        pytest.param("https://x.net/llm/chat/completions", "chat", None, id="a path of the gateway's own"),
        pytest.param("https://x.net/openai/v1/responses", "responses", None, id="the v1 path"),
        pytest.param("https://x.net/deployments/my-chat/embeddings?a=b", "embeddings", "my-chat", id="a deployment"),
        pytest.param("https://x.net/openai/realtime?a=b&deployment=live", "realtime", "live", id="a session"),
        pytest.param("https://x.net/v1/audio/speech?q=" + "x" * 5_000, "audio", None, id="a long query"),
        pytest.param("x.net:443/v1/images/generations", "images", None, id="no scheme"),
    ],
)
def test_a_path_tells_the_api(tmp_path: Path, url: str, api: str, deployment: str | None) -> None:
    method = "GET" if api == "realtime" else "POST"
    properties = {"url": url, "backendUrl": None, "operationId": None, "method": method}
    call = only(read_rows(tmp_path, [logged_row(body="{}", properties=properties)]))
    assert (call["api"], call["deployment"], call["resource"]) == (api, deployment, None)


def test_both_tables_of_the_gateway_are_one_call(tmp_path: Path) -> None:
    for rows in ([companion_row()], [logged_row()], [companion_row(BackendResponseBody=json.dumps(body_row()))]):
        log = read_rows(tmp_path, [gateway_row(), gateway_row(sequence=1)], rows)
        call = only(log)
        assert (call["prompt_tokens"], call["deployment"], call["status"]) == (100, "chat", 200)
        assert call["latency_ms"] in (900, 176)
        assert log.counts.total.conflicts == 0
        assert not any("more than once" in note for note in cost_report(log).notes)


def test_an_event_hub_tells_cached_tokens_that_the_table_drops(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [{"records": [event_hub_row(), logged_row(body="{}")]}], [gateway_row()])
    call = only(log)
    assert (call["prompt_tokens"], call["cached_tokens"], call["deployment"], call["status"]) == (100, 64, "chat", 200)
    assert (log.counts.total.duplicates, log.counts.total.conflicts) == (1, 0)


def test_the_companion_says_who_asked(tmp_path: Path) -> None:
    for rows in (
        [gateway_row(), companion_row()],
        [gateway_row(ApimSubscriptionId="team-a", ProductId="shop", ResponseCode="200", TotalTime="900")],
    ):
        call = only(read_rows(tmp_path, rows))
        assert (call["user"], call["app"], call["status"], call["latency_ms"]) == ("team-a", "shop", 200, 900)


def test_a_refusal_stands_in_the_companion_alone(tmp_path: Path) -> None:
    call = only(read_rows(tmp_path, [companion_row(BackendResponseCode="429", ResponseCode="429")]))
    assert (call["usage_quality"], call["deployment"], call["user"]) == ("not_billed", "chat", "team-a")


def test_tokens_in_a_body_stand_in_for_zeros_of_the_table(tmp_path: Path) -> None:
    rows = [gateway_row(prompt="0", completion="0"), logged_row()]
    assert only(read_rows(tmp_path, rows))["prompt_tokens"] == 100


def test_two_gateways_on_the_way_of_a_call_have_two_ids_for_it(tmp_path: Path) -> None:
    # Nothing sure in the rows says that they saw one call; the page of formats tells to read the log of one gateway.
    log = read_rows(
        tmp_path, [gateway_row("outer", RequestId="chatcmpl-1"), gateway_row("inner", RequestId="chatcmpl-1")]
    )
    assert counted(log)[0] == 2


def test_asking_for_the_table_asks_for_its_companion(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row(), companion_row(), logged_row("b")], format="apim-llm-log")
    assert (log.counts.total.requests, log.counts.total.rejected) == (2, 0)


def test_no_content_is_kept_and_no_reason_quotes_one(tmp_path: Path) -> None:
    rows = [
        *STREAM,
        event_row("completed", usage=RESPONSE_USAGE),
        realtime_row(),
        transcribed_row(usage=HEARD),
        {"text": "secret", "usage": HEARD},
        run_row(),
        asked_row(),
        batch_row(),
        expired_row("task-1"),
        page_of(sum_row(), has_more=True),
        logged_row("g"),
        chunk_row("bad", usage={"prompt_tokens": "secret"}),
        realtime_row(call="bad", usage={**REALTIME_USAGE, "input_tokens": "secret"}),
        {"text": "secret", "usage": {"type": "duration", "seconds": "secret"}},
        logged_row("bad", body_row(usage={"prompt_tokens": "secret"})),
    ]
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert log.counts.total.rejected == 5
    for frame in (log.frame, log.rejected, log.quantities):
        assert "secret" not in frame.to_csv()
