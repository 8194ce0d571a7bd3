"""The traps of what proxies and tracers write, format by format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from log_rows import body_row, calls_of, check_counts, read_rows, total
from tracer_rows import (
    START_NS,
    attributes_of,
    helicone_row,
    hub_row,
    langfuse_row,
    litellm_row,
    otlp,
    otlp_metrics,
    promptflow_row,
    span,
)

from aoai_cost import UsageFormatError, read_usage

MAKERS = [litellm_row, langfuse_row, helicone_row, promptflow_row, hub_row]
COUNTED = ("prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens", "reasoning_tokens")


def read_one(folder: Path, *rows: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Read rows that are one call."""
    log = read_rows(folder, list(rows), **options)
    check_counts(log)
    assert len(log.frame) == 1, log.rejected["reason"].tolist()
    return calls_of(log)[0]


def reason_of(folder: Path, row: dict[str, Any]) -> str:
    """Return why a row beside a good one is rejected."""
    log = read_rows(folder, [row, body_row()])
    check_counts(log)
    assert len(log.rejected) == 1
    return str(log.rejected["reason"].iloc[0])


def counts(call: dict[str, Any]) -> dict[str, Any]:
    return {name: call[name] for name in COUNTED if call[name] is not None}


@pytest.mark.parametrize("make", [*MAKERS, lambda call="a": otlp(span(call))])
def test_two_rows_of_one_identity_are_one_call(tmp_path: Path, make: Any) -> None:
    log = read_rows(tmp_path, [make("a"), make("a"), make("b")], [make("a")])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.duplicates) == (2, 2)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        pytest.param(litellm_row, {"resource": "contoso", "deployment": None, "user": "team-a"}, id="LiteLLM"),
        pytest.param(langfuse_row, {"resource": None, "deployment": None, "user": "anna"}, id="Langfuse"),
        pytest.param(lambda: otlp(span()), {"resource": "contoso", "deployment": "chat", "app": "shop-bot"}, id="OTLP"),
        pytest.param(helicone_row, {"resource": "contoso", "deployment": "chat", "user": "anna"}, id="Helicone"),
        pytest.param(promptflow_row, {"deployment": None, "app": "shop", "completion_tokens": 80}, id="prompt flow"),
        pytest.param(hub_row, {"region": "swedencentral", "deployment": "chat", "user": "AI-Retail"}, id="AI hub"),
    ],
)
def test_a_call_is_read_with_its_names(tmp_path: Path, make: Any, wanted: dict[str, Any]) -> None:
    call = read_one(tmp_path, make())
    common = {"app": "shop", "completion_tokens": 10, "prompt_tokens": 100, "model": "gpt-4o", "api": "chat"}
    if make is langfuse_row:
        common["api"] = None
    if make is not litellm_row:
        common["version"] = "2024-11-20"
    if make is not hub_row:
        common["latency_ms"] = 2000.0
    assert {name: call[name] for name in {**common, **wanted}} == {**common, **wanted}
    assert call["usage_quality"] == "measured"


@pytest.mark.parametrize(
    ("make", "vendor"),
    [
        pytest.param(lambda name: litellm_row(custom_llm_provider=name), "bedrock", id="LiteLLM"),
        pytest.param(lambda name: otlp(span(attributes={"gen_ai.provider.name": name})), "aws.bedrock", id="OTLP"),
        pytest.param(lambda name: helicone_row(provider=name), "ANTHROPIC", id="Helicone"),
    ],
)
def test_calls_that_another_vendor_answered_are_ignored(tmp_path: Path, make: Any, vendor: str) -> None:
    log = read_rows(tmp_path, [make(vendor), make("openai")])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.ignored) == (1, 1)


@pytest.mark.parametrize("make", [litellm_row, helicone_row])
def test_a_row_without_its_key_is_rejected(tmp_path: Path, make: Any) -> None:
    assert "nor told from a duplicate" in reason_of(tmp_path, make(request_id=""))


@pytest.mark.parametrize("make", [litellm_row, langfuse_row, helicone_row])
def test_a_page_of_an_api_is_its_rows(tmp_path: Path, make: Any) -> None:
    page = {"data": [make("a"), make("b"), "torn"], "error": None}
    log = read_rows(tmp_path, [page, make("a")])
    check_counts(log)
    found = log.counts.total
    assert (found.rows, found.requests, found.duplicates, found.rejected) == (4, 2, 1, 1)


ZERO = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
FLOW_ZERO = {"llm.usage.prompt_tokens": 0, "llm.usage.completion_tokens": 0}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(litellm_row(prompt=0, completion=0), id="LiteLLM"),
        pytest.param(langfuse_row(usage={"input": 0, "output": 0, "total": 0}), id="Langfuse"),
        pytest.param(otlp(span(attributes=ZERO)), id="OTLP"),
        pytest.param(helicone_row(prompt=0, completion=0), id="Helicone"),
        pytest.param(promptflow_row(attributes=FLOW_ZERO), id="prompt flow"),
        pytest.param(hub_row(prompt=0, completion=0), id="AI hub"),
    ],
)
def test_zeros_alone_are_no_usage(tmp_path: Path, row: dict[str, Any]) -> None:
    call = read_one(tmp_path, row)
    assert (call["prompt_tokens"], call["usage_quality"]) == (None, "missing")


@pytest.mark.parametrize("as_text", [False, True], ids=["an object", "a text"])
def test_the_usage_object_tells_what_was_cached(tmp_path: Path, as_text: bool) -> None:
    row = litellm_row(cached=60)
    if as_text:
        row["metadata"] = json.dumps(row["metadata"])
    assert counts(read_one(tmp_path, row)) == {"prompt_tokens": 100, "cached_tokens": 60, "completion_tokens": 10}


def test_without_the_usage_object_the_cached_part_is_unknown(tmp_path: Path) -> None:
    call = read_one(tmp_path, litellm_row(metadata={}))
    assert counts(call) == {"prompt_tokens": 100, "completion_tokens": 10}
    assert call["cached_tokens"] is None


def test_what_the_cache_of_the_proxy_answered_used_no_model(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [litellm_row("a", cache_hit="True"), litellm_row("b")])
    assert total(log, "prompt_tokens") == 100
    assert sorted(log.frame["usage_quality"]) == ["measured", "not_billed"]


@pytest.mark.parametrize(
    ("error", "status", "quality"),
    [
        pytest.param({"error_code": "429"}, 429, "not_billed", id="throttled"),
        pytest.param({"error_class": "RateLimitError"}, 429, "not_billed", id="throttled, by the exception"),
        pytest.param({"error_code": 400}, 400, "missing", id="a filter, which is billed"),
        pytest.param({"error_code": "500"}, 500, "not_billed", id="the service failed"),
        pytest.param(None, None, "missing", id="nobody says why"),
    ],
)
def test_a_failure_is_no_call_of_zero_tokens(tmp_path: Path, error: Any, status: int | None, quality: str) -> None:
    row = litellm_row(prompt=0, completion=0, status="failure", metadata={"error_information": error})
    call = read_one(tmp_path, row)
    assert (call["status"], call["usage_quality"], call["prompt_tokens"]) == (status, quality, None)


@pytest.mark.parametrize(
    ("changes", "model", "deployment"),
    [
        pytest.param({"model": "azure/gpt-4o"}, "gpt-4o", None, id="named as a model"),
        pytest.param({"model": "azure/chat-prod"}, None, "chat-prod", id="a name that is no model"),
        pytest.param({"model": "gpt-4o", "custom_llm_provider": "openai"}, "gpt-4o", None, id="another route"),
        pytest.param(
            {"api_base": "https://contoso.openai.azure.com/openai/deployments/chat/", "model": "azure/gpt-4o"},
            "gpt-4o",
            "chat",
            id="a deployment in the address",
        ),
        pytest.param(
            {"model": "azure/chat-prod", "metadata": {"model_map_information": {"model_map_key": "azure/gpt-4o"}}},
            "gpt-4o",
            "chat-prod",
            id="a base model in the configuration",
        ),
        pytest.param(
            {"model": "azure_ai/mistral-large", "custom_llm_provider": "azure_ai"}, "mistral-large", None, id="Foundry"
        ),
    ],
)
def test_the_deployment_is_not_the_alias_nor_the_model(
    tmp_path: Path, changes: dict[str, Any], model: str | None, deployment: str | None
) -> None:
    call = read_one(tmp_path, litellm_row(**changes))
    assert (call["model"], call["deployment"]) == (model, deployment)


def test_a_deployment_that_is_given_stands_where_the_row_has_none(tmp_path: Path) -> None:
    assert read_one(tmp_path, litellm_row(), deployment="given")["deployment"] == "given"


@pytest.mark.parametrize(
    ("changes", "user", "app"),
    [
        pytest.param({}, "team-a", "shop", id="team and alias of the key"),
        pytest.param({"team_id": None, "user": "anna"}, "anna", "shop", id="a person"),
        pytest.param({"team_id": None, "end_user": "kim"}, "kim", "shop", id="the default user is nobody"),
        pytest.param({"team_id": None}, None, "shop", id="nobody"),
        pytest.param(
            {"metadata": {}, "request_tags": '["b", "User-Agent: x/1", "a"]'}, "team-a", "a, b", id="tags for an alias"
        ),
        pytest.param({"metadata": {"user_api_key_team_alias": "Team A"}}, "Team A", None, id="alias of the team"),
    ],
)
def test_who_asked_is_the_team_before_the_user(
    tmp_path: Path, changes: dict[str, Any], user: str | None, app: str | None
) -> None:
    call = read_one(tmp_path, litellm_row(**changes))
    assert (call["user"], call["app"]) == (user, app)


def test_a_text_that_is_no_json_is_a_reason_without_the_text(tmp_path: Path) -> None:
    assert reason_of(tmp_path, litellm_row(metadata="{secret")) == "metadata is a text that is not JSON"
    assert reason_of(tmp_path, litellm_row(metadata={}, request_tags="secret")) == (
        "request_tags is a text that is not JSON"
    )


def test_an_embedding_has_no_output(tmp_path: Path) -> None:
    row = litellm_row(call_type="aembedding", completion=0, model="azure/text-embedding-3-large")
    call = read_one(tmp_path, row)
    assert (call["api"], call["operation"], call["usage_quality"]) == ("embeddings", "embedding", "measured")


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        pytest.param(
            {"input": 86, "input_cached_tokens": 1920, "output": 300, "total": 2306},
            {"prompt_tokens": 2006, "cached_tokens": 1920, "completion_tokens": 300},
            id="the cached part beside the input",
        ),
        pytest.param(
            {"input": 2006, "input_cached_tokens": 1920, "output": 300, "total": 2306},
            {"prompt_tokens": 2006, "cached_tokens": 1920, "completion_tokens": 300},
            id="the cached part inside, as some wrappers leave it",
        ),
        pytest.param(
            {"input": 75, "output": 162, "output_reasoning_tokens": 1024, "total": 1261},
            {"prompt_tokens": 75, "completion_tokens": 1186, "reasoning_tokens": 1024},
            id="the reasoning beside the output",
        ),
        pytest.param(
            {"input": 75, "output": 1186, "output_reasoning_tokens": 1024, "total": 1261},
            {"prompt_tokens": 75, "completion_tokens": 1186, "reasoning_tokens": 1024},
            id="the reasoning inside",
        ),
        pytest.param(
            {"input": 10, "input_cached_tokens": 90, "output": 50, "output_reasoning_tokens": 40, "total": 150},
            {"prompt_tokens": 100, "cached_tokens": 90, "completion_tokens": 50, "reasoning_tokens": 40},
            id="one beside and one inside",
        ),
        pytest.param(
            {"input": 10, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10, "output": 5},
            {"prompt_tokens": 100, "cached_tokens": 80, "cache_write_tokens": 10, "completion_tokens": 5},
            id="no total: disjoint, as documented",
        ),
        pytest.param(
            {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}},
            {"prompt_tokens": 100, "cached_tokens": 80, "completion_tokens": 5},
            id="the usage of the SDK as it was",
        ),
        pytest.param({"input": "100", "output": "10"}, {"prompt_tokens": 100, "completion_tokens": 10}, id="texts"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["an object", "a text"])
def test_buckets_are_put_together(tmp_path: Path, usage: Any, wanted: dict[str, int], as_text: bool) -> None:
    row = langfuse_row(usage=json.dumps(usage) if as_text else usage)
    assert counts(read_one(tmp_path, row)) == wanted


def test_buckets_that_fit_two_readings_are_rejected(tmp_path: Path) -> None:
    usage = {"input": 100, "input_cached_tokens": 50, "output": 100, "output_reasoning_tokens": 50, "total": 250}
    assert "fits two readings" in reason_of(tmp_path, langfuse_row(usage=usage))


def test_only_generations_and_embeddings_are_calls(tmp_path: Path) -> None:
    kinds = ["SPAN", "EVENT", "AGENT", "TOOL", "GENERATION", "EMBEDDING"]
    log = read_rows(tmp_path, [langfuse_row(kind, {"input": 7}, type=kind) for kind in kinds])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.ignored, total(log, "prompt_tokens")) == (2, 4, 14)
    assert log.counts.total.unmetered == 1, "half a count of a generation is none"


def test_what_langfuse_counted_itself_is_estimated(tmp_path: Path) -> None:
    rows = [langfuse_row("a", provided_usage_details={}), langfuse_row("b", provided_usage_details={"input": 100})]
    assert read_rows(tmp_path, rows).frame["usage_quality"].tolist() == ["estimated", "measured"]


def test_the_api_of_langfuse_writes_other_names(tmp_path: Path) -> None:
    one = {
        "id": "o1",
        "traceId": "t",
        "type": "GENERATION",
        "startTime": "2026-10-14T02:04:01.946Z",
        "endTime": "2026-10-14T02:04:02.946Z",
        "model": "gpt-4o-2024-11-20",
        "usage": None,
        "usageDetails": {"input": 100, "output": 10, "total": 110},
        "userId": "anna",
    }
    page = {"data": [one, {**one, "id": "o2", "type": "SPAN"}, one, "torn"], "meta": {"page": 1}}
    log = read_rows(tmp_path, [page])
    check_counts(log)
    found = log.counts.total
    assert (found.rows, found.requests, found.ignored, found.duplicates, found.rejected) == (4, 1, 1, 1, 1)
    assert calls_of(log)[0]["prompt_tokens"] == 100
    assert calls_of(log) == calls_of(read_rows(tmp_path, [one]))


def test_each_span_is_a_row_and_only_inference_counts(tmp_path: Path) -> None:
    around = [span(name, {"gen_ai.operation.name": name}) for name in ("invoke_agent", "execute_tool", "workflow")]
    plain = {**span("http"), "attributes": attributes_of({"http.request.method": "POST"})}
    log = read_rows(tmp_path, [otlp(*around, plain, span("a"), span("b")), otlp_metrics(), otlp()])
    check_counts(log)
    found = log.counts.total
    assert (found.rows, found.requests, found.ignored, found.rejected) == (8, 2, 6, 0)
    assert total(log, "prompt_tokens") == 200


def test_a_broken_span_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [otlp(span("a"), span("b", {"gen_ai.usage.input_tokens": -1}), span("c"))])
    check_counts(log)
    assert (log.counts.total.rows, log.counts.total.requests, log.counts.total.rejected) == (3, 2, 1)
    with pytest.raises(UsageFormatError, match="line 1: gen_ai"):
        read_rows(tmp_path, [otlp(span("b", {"gen_ai.usage.input_tokens": -1}))], strict=True)


@pytest.mark.parametrize("broken", [{"scopeSpans": 7}, {"scopeSpans": [{"spans": ["secret"]}]}, "secret"])
def test_a_document_that_cannot_be_opened_is_one_rejected_row(tmp_path: Path, broken: Any) -> None:
    assert "must be an array of objects" in reason_of(tmp_path, {"resourceSpans": [broken]})


def test_a_document_over_many_lines_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "spans.json").write_text(json.dumps(otlp(span("a"), span("b")), indent=1))
    assert len(read_usage(tmp_path / "spans.json").frame) == 2


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        pytest.param(
            {"gen_ai.usage.cache_read.input_tokens": 60},
            {"prompt_tokens": 100, "cached_tokens": 60, "completion_tokens": 10},
            id="inside, as the conventions say",
        ),
        pytest.param(
            {"gen_ai.usage.cache_read.input_tokens": 160},
            {"prompt_tokens": 260, "cached_tokens": 160, "completion_tokens": 10},
            id="more than the input: left out of it",
        ),
        pytest.param(
            {"gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 50},
            {"prompt_tokens": 210, "cached_tokens": 60, "cache_write_tokens": 50, "completion_tokens": 10},
            id="both together more than the input",
        ),
        pytest.param(
            {
                "gen_ai.usage.input_tokens": ...,
                "gen_ai.usage.output_tokens": ...,
                "gen_ai.usage.prompt_tokens": 70,
                "gen_ai.usage.completion_tokens": 7,
            },
            {"prompt_tokens": 70, "completion_tokens": 7},
            id="the older names",
        ),
        pytest.param(
            {"gen_ai.usage.input_tokens": 70.0, "gen_ai.usage.reasoning.output_tokens": 4},
            {"prompt_tokens": 70, "completion_tokens": 10, "reasoning_tokens": 4},
            id="a double that is whole",
        ),
    ],
)
def test_tokens_of_a_span(tmp_path: Path, attributes: dict[str, Any], wanted: dict[str, int]) -> None:
    assert counts(read_one(tmp_path, otlp(span(attributes=attributes)))) == wanted


def test_a_number_that_is_no_text_is_read_too(tmp_path: Path) -> None:
    made = span(startTimeUnixNano=START_NS)
    made["attributes"].append({"key": "gen_ai.usage.reasoning_tokens", "value": {"intValue": 4}})
    call = read_one(tmp_path, otlp(made))
    assert (call["reasoning_tokens"], str(call["timestamp"])) == (4, "2026-10-14 02:04:01+00:00")


@pytest.mark.parametrize(
    ("attributes", "deployment", "model"),
    [
        pytest.param({}, "chat", "gpt-4o", id="Azure by its provider"),
        pytest.param({"gen_ai.provider.name": ..., "gen_ai.system": "az.ai.openai"}, "chat", "gpt-4o", id="old name"),
        pytest.param({"gen_ai.provider.name": "openai"}, "chat", "gpt-4o", id="Azure by its host"),
        pytest.param({"gen_ai.response.model": ...}, "chat", None, id="the deployment is never the model"),
        pytest.param(
            {"gen_ai.provider.name": "openai", "server.address": "api.openai.com", "gen_ai.request.model": "gpt-4o"},
            None,
            "gpt-4o",
            id="not Azure",
        ),
    ],
)
def test_what_azure_is_asked_for_is_the_deployment(
    tmp_path: Path, attributes: dict[str, Any], deployment: str | None, model: str | None
) -> None:
    call = read_one(tmp_path, otlp(span(attributes=attributes)))
    assert (call["deployment"], call["model"]) == (deployment, model)


def test_two_instrumentations_of_one_client_are_one_call(tmp_path: Path) -> None:
    outer = span("outer", {"gen_ai.response.id": "chatcmpl-1", "server.address": ...})
    log = read_rows(tmp_path, [otlp(outer)], [otlp(span("inner", {"gen_ai.response.id": "chatcmpl-1"}))])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.duplicates, log.counts.total.conflicts) == (1, 1, 0)
    assert log.frame["resource"].tolist() == ["contoso"]


NO_ID = {"gen_ai.response.id": ...}
OUTER = span("outer", {**NO_ID, "gen_ai.provider.name": "openai", "server.address": ...})


@pytest.mark.parametrize("files", [1, 2], ids=["in one document", "in two"])
@pytest.mark.parametrize("order", [1, -1], ids=["outer first", "inner first"])
@pytest.mark.parametrize("inner_id", [..., "chatcmpl-1"], ids=["no id", "with id"])
def test_the_span_of_a_framework_around_a_call_is_not_counted(
    tmp_path: Path, files: int, order: int, inner_id: Any
) -> None:
    inner = span("inner", {"gen_ai.response.id": inner_id}, parentSpanId="span-outer")
    spans = [OUTER, inner][::order]
    documents = [[otlp(*spans)]] if files == 1 else [[otlp(one)] for one in spans]
    log = read_rows(tmp_path, *documents)
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined) == (1, 1)
    assert (total(log, "prompt_tokens"), log.frame["resource"].tolist()) == (100, ["contoso"])
    again = read_rows(tmp_path, *documents, [otlp(OUTER)])
    check_counts(again)
    assert (again.counts.total.joined, again.counts.total.duplicates) == (1, 1)
    assert calls_of(again) == calls_of(log)


def test_a_framework_that_sums_its_calls_and_takes_the_id_of_the_last_gives_its_names_alone(tmp_path: Path) -> None:
    summed = {"gen_ai.response.id": "chatcmpl-2", "gen_ai.usage.input_tokens": 200, "gen_ai.usage.output_tokens": 20}
    outer = span("outer", {**summed, "user.id": "anna"})
    inner = [span(name, {"gen_ai.response.id": f"chatcmpl-{name}"}, parentSpanId="span-outer") for name in "12"]
    for documents in ([[otlp(outer, *inner)]], [[otlp(*inner)], [otlp(outer)]]):
        log = read_rows(tmp_path, *documents)
        check_counts(log)
        assert (log.counts.total.requests, log.counts.total.joined, log.counts.total.conflicts) == (2, 1, 0)
        assert total(log, "prompt_tokens") == 200
        assert [call["user"] for call in calls_of(log)] == [None, "anna"]


def test_what_stands_between_the_spans_of_a_call_changes_nothing(tmp_path: Path) -> None:
    between = span("between", {"gen_ai.operation.name": "orchestrate_tools"}, parentSpanId="span-outer")
    middle = span("middle", NO_ID, parentSpanId="span-between")
    inner = span("inner", parentSpanId="span-middle")
    log = read_rows(tmp_path, [otlp(inner, between, middle, OUTER)])
    check_counts(log)
    found = log.counts.total
    assert (found.requests, found.joined, found.ignored, total(log, "prompt_tokens")) == (1, 2, 1, 100)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        pytest.param(span("outer"), span("inner", parentSpanId="span-outer"), id="two answers"),
        pytest.param(OUTER, span("inner", parentSpanId="span-elsewhere"), id="another parent"),
        pytest.param(OUTER, span("inner", parentSpanId="span-outer", traceId="f" * 32), id="another trace"),
        pytest.param(OUTER, span("inner", NO_ID, parentSpanId="span-inner"), id="its own parent"),
        pytest.param(
            {**OUTER, "parentSpanId": "span-inner"}, span("inner", NO_ID, parentSpanId="span-outer"), id="a ring"
        ),
        pytest.param(
            OUTER, span("inner", {"gen_ai.operation.name": "embeddings"}, parentSpanId="span-outer"), id="an embedding"
        ),
    ],
)
def test_calls_within_a_call_that_are_others_count(tmp_path: Path, outer: Any, inner: Any) -> None:
    log = read_rows(tmp_path, [otlp(outer, inner)])
    check_counts(log)
    assert (log.counts.total.requests, total(log, "prompt_tokens")) == (2, 200)


def test_a_call_whose_inner_span_tells_no_tokens_keeps_its_own(tmp_path: Path) -> None:
    silent = {"gen_ai.usage.input_tokens": ..., "gen_ai.usage.output_tokens": ..., "error.type": "429"}
    log = read_rows(tmp_path, [otlp(OUTER, span("inner", {**NO_ID, **silent}, parentSpanId="span-outer"))])
    check_counts(log)
    assert total(log, "prompt_tokens") == 100
    assert sorted(log.frame["usage_quality"]) == ["measured", "not_billed"]


def test_spans_beyond_memory_are_told_apart_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        otlp(
            span(f"o{i}", NO_ID, traceId=f"{i % 7:032x}"),
            span(f"i{i}", parentSpanId=f"span-o{i}", traceId=f"{i % 7:032x}"),
        )
        for i in range(200)
    ]
    wanted = read_rows(tmp_path, rows)
    monkeypatch.setattr("aoai_cost.logs.parts.LIMIT_BYTES", 3_000)
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.joined) == (200, 200)
    assert calls_of(log) == calls_of(wanted)


def test_retries_without_an_answer_are_calls_of_their_own(tmp_path: Path) -> None:
    lost = {
        "gen_ai.response.id": ...,
        "gen_ai.usage.input_tokens": ...,
        "gen_ai.usage.output_tokens": ...,
    }
    rows = [
        otlp(span("a", {**lost, "error.type": "429"}), span("b", {**lost, "error.type": "openai.RateLimitError"})),
        otlp(span("c", {**lost, "error.type": "timeout"}), span("c", {**lost, "error.type": "timeout"})),
    ]
    log = read_rows(tmp_path, rows)
    check_counts(log)
    assert sorted(log.frame["usage_quality"]) == ["missing", "not_billed", "not_billed"]


@pytest.mark.parametrize(
    ("attributes", "count"),
    [
        pytest.param({"gen_ai.operation.name": ..., "gen_ai.system": "openai"}, 1, id="before there were operations"),
        pytest.param(
            {"gen_ai.operation.name": ..., "gen_ai.system": "openai", "traceloop.span.kind": "workflow"},
            0,
            id="a workflow of OpenLLMetry",
        ),
        pytest.param({"gen_ai.operation.name": ..., "llm.request.type": "chat"}, 1, id="a request of OpenLLMetry"),
        pytest.param({"gen_ai.operation.name": ..., "span_type": "Flow"}, 0, id="a flow of prompt flow"),
        pytest.param({"gen_ai.operation.name": ..., "span_type": "LLM"}, 1, id="a call of prompt flow"),
    ],
)
def test_spans_of_older_instrumentations(tmp_path: Path, attributes: dict[str, Any], count: int) -> None:
    log = read_rows(tmp_path, [otlp(span("sure"), span("a", attributes))])
    check_counts(log)
    assert len(log.frame) == 1 + count


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param("", "startTimeUnixNano is absent", id="empty"),
        pytest.param("1791943441", "startTimeUnixNano is not between the years 2015 and 2100", id="seconds"),
        pytest.param("yesterday", "startTimeUnixNano is not a time in nanoseconds", id="a word"),
        pytest.param(1.5e18, "startTimeUnixNano is not a time in nanoseconds", id="a float has lost digits"),
    ],
)
def test_times_of_spans_are_nanoseconds(tmp_path: Path, written: Any, reason: str) -> None:
    assert reason_of(tmp_path, otlp(span(startTimeUnixNano=written))) == reason


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param(
            {"prompt_cache_read_tokens": 60},
            {"prompt_tokens": 100, "cached_tokens": 60, "cache_write_tokens": 0, "completion_tokens": 10},
            id="inside the prompt, as OpenAI counts",
        ),
        pytest.param(
            {"prompt_cache_read_tokens": 60, "total_tokens": 170},
            {"prompt_tokens": 160, "cached_tokens": 60, "cache_write_tokens": 0, "completion_tokens": 10},
            id="beside it, by the total",
        ),
        pytest.param(
            {"prompt_cache_read_tokens": 160},
            {"prompt_tokens": 260, "cached_tokens": 160, "cache_write_tokens": 0, "completion_tokens": 10},
            id="more than the prompt",
        ),
    ],
)
def test_cached_tokens_of_helicone(tmp_path: Path, changes: dict[str, Any], wanted: dict[str, int]) -> None:
    assert counts(read_one(tmp_path, helicone_row(**changes))) == wanted


def test_a_cancelled_request_has_no_status_and_may_be_billed(tmp_path: Path) -> None:
    call = read_one(tmp_path, helicone_row(response_status=-3, prompt=None, completion=None, total_tokens=None))
    assert (call["status"], call["usage_quality"]) == (None, "missing")


def test_what_the_cache_of_helicone_answered_used_no_model(tmp_path: Path) -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    rows = [
        helicone_row("a", cache_reference_id="5f0c0c0a-0000-4000-8000-000000000001"),
        helicone_row("b", cache_reference_id=zero, cache_enabled=True),
    ]
    log = read_rows(tmp_path, rows)
    assert total(log, "prompt_tokens") == 100
    assert sorted(log.frame["usage_quality"]) == ["measured", "not_billed"]


@pytest.mark.parametrize(
    ("changes", "model", "deployment"),
    [
        pytest.param({"response_model": None}, None, "chat", id="the deployment of the path is no model"),
        pytest.param({"request_path": "/v1/responses", "request_model": "prod"}, "gpt-4o", "prod", id="Azure's v1"),
        pytest.param({"response_model": None, "model_override": "gpt-4o"}, "gpt-4o", "chat", id="a model that is told"),
        pytest.param(
            {"provider": "OPENAI", "request_path": "/v1/chat/completions", "target_url": "", "response_model": None},
            "gpt-4o",
            None,
            id="not Azure",
        ),
    ],
)
def test_what_helicone_calls_the_model_of_a_request_is_the_deployment(
    tmp_path: Path, changes: dict[str, Any], model: str | None, deployment: str | None
) -> None:
    call = read_one(tmp_path, helicone_row(**changes))
    assert (call["model"], call["deployment"]) == (model, deployment)


@pytest.mark.parametrize(
    ("path", "api"),
    [
        pytest.param("https://chat.openai.azure.com/openai/deployments/chat/embeddings?a=1", "embeddings", id="chat"),
        pytest.param("/v1/responses", "responses", id="a path alone"),
        pytest.param("/openai/deployments/x/images/generations", "images", id="images"),
        pytest.param("/v1/models", None, id="something else"),
    ],
)
def test_the_route_tells_the_api(tmp_path: Path, path: str, api: str | None) -> None:
    assert read_one(tmp_path, helicone_row(request_path=path))["api"] == api


def test_cumulative_counts_of_parents_are_never_counted(tmp_path: Path) -> None:
    kinds = ["Flow", "Function", "LangChain", "Retrieval", "LLM", "Embedding"]
    log = read_rows(tmp_path, [promptflow_row(kind, kind) for kind in kinds])
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.ignored) == (2, 4)
    assert (total(log, "prompt_tokens"), total(log, "completion_tokens")) == (200, 160)


def test_a_stream_without_usage_is_unmetered(tmp_path: Path) -> None:
    lost = {f"llm.usage.{name}_tokens": ... for name in ("total", "prompt", "completion")}
    call = read_one(tmp_path, promptflow_row(attributes=lost))
    assert (call["prompt_tokens"], call["usage_quality"]) == (None, "missing")


def test_an_embedding_of_prompt_flow_has_no_completion(tmp_path: Path) -> None:
    call = read_one(tmp_path, promptflow_row(kind="Embedding", attributes={"llm.usage.completion_tokens": ...}))
    assert (call["api"], call["usage_quality"], call["completion_tokens"]) == ("embeddings", "measured", None)


@pytest.mark.parametrize("as_text", [False, True], ids=["numbers", "texts"])
def test_the_defaults_of_the_policy_are_no_usage(tmp_path: Path, as_text: bool) -> None:
    made = (1, 0, 1)
    prompt, completion, both = map(str, made) if as_text else made
    call = read_one(tmp_path, hub_row(prompt=prompt, completion=completion, totalTokens=both))
    assert (call["prompt_tokens"], call["usage_quality"]) == (None, "missing")


@pytest.mark.parametrize(
    ("written", "time"),
    [
        pytest.param("10/14/2026 2:03:59 AM", "2026-10-14 02:03:59", id="United States"),
        pytest.param("10/14/2026 12:03:59 AM", "2026-10-14 00:03:59", id="midnight"),
        pytest.param("10/14/2026 12:03:59 PM", "2026-10-14 12:03:59", id="noon"),
        pytest.param("10/14/2026 2:03:59\u202fPM", "2026-10-14 14:03:59", id="a narrow blank, as newer .NET writes"),
        pytest.param("14/10/2026 02:03:59", "2026-10-14 02:03:59", id="Britain"),
        pytest.param("14/10/2026 2:03:59 p.m.", "2026-10-14 14:03:59", id="New Zealand"),
        pytest.param("05.04.2026 02:03:59", "2026-04-05 02:03:59", id="Germany: the day comes first"),
        pytest.param("2026/4/5 2:03:59", "2026-04-05 02:03:59", id="Japan"),
        pytest.param("5/5/2026 2:03:59", "2026-05-05 02:03:59", id="the same either way"),
        pytest.param("2026-04-05T02:03:59", "2026-04-05 02:03:59", id="ISO"),
    ],
)
def test_a_time_is_read_in_the_culture_of_its_host(tmp_path: Path, written: str, time: str) -> None:
    call = read_one(tmp_path, hub_row(timestamp=written, EventEnqueuedUtcTime=...))
    assert str(call["timestamp"]).startswith(time)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param("4/5/2026 2:03:59 AM", "may be day/month or month/day", id="either way"),
        pytest.param("04-05-2026 02:03", "may be day/month or month/day", id="with hyphens"),
        pytest.param("31/31/2026 2:03:59", "is not a time", id="no month"),
        pytest.param("14/10/0226 2:03:59", "is not between", id="no year of the service"),
        pytest.param("yesterday", "is not a time", id="a word"),
        pytest.param("", "absent", id="none"),
    ],
)
def test_a_time_that_is_not_sure_is_rejected(tmp_path: Path, written: str, reason: str) -> None:
    assert reason in reason_of(tmp_path, hub_row(timestamp=written, EventEnqueuedUtcTime=...))


def test_the_time_in_the_queue_settles_the_date(tmp_path: Path) -> None:
    call = read_one(tmp_path, hub_row(timestamp="4/5/2026 2:03:59 AM"))
    assert str(call["timestamp"]) == "2026-10-14 02:04:03.172000+00:00"


def test_names_that_the_policy_could_not_tell_are_none(tmp_path: Path) -> None:
    call = read_one(tmp_path, hub_row(deploymentName="NA", routeLocation="NA", id="NA"), deployment="given")
    assert (call["deployment"], call["region"], call["request_id"]) == (None, None, None)


def test_no_format_keeps_a_part_that_exceeds_its_whole(tmp_path: Path) -> None:
    rows = [
        litellm_row(cached=101),
        otlp(span(attributes={"gen_ai.usage.reasoning.output_tokens": 11})),
        langfuse_row(usage={"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}),
    ]
    log = read_rows(tmp_path, [*rows, body_row()])
    check_counts(log)
    assert log.counts.total.rejected == len(rows)
    assert log.rejected["reason"].str.contains("exceed").all()
