"""Rows of proxies and tracers, in the shape of their published schemas and public records."""

from __future__ import annotations

from typing import Any

from log_rows import changed

ENDPOINT = "https://contoso.openai.azure.com/openai/"
START_NS = 1_791_943_441_000_000_000


def litellm_row(
    call: str = "a", prompt: Any = 100, completion: Any = 10, cached: Any = 0, **changes: Any
) -> dict[str, Any]:
    """A row of ``LiteLLM_SpendLogs`` (schema.prisma), with the usage object that newer proxies keep."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached, "text_tokens": None, "audio_tokens": None},
        "completion_tokens_details": None,
    }
    row = {
        "request_id": f"chatcmpl-{call}",
        "call_type": "acompletion",
        "api_key": "hash",
        "spend": 0.25,
        "total_tokens": 110,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "startTime": "2026-10-14T02:04:02.946Z",
        "endTime": "2026-10-14T02:04:04.946Z",
        "completionStartTime": "2026-10-14T02:04:03.946Z",
        "model": "azure/gpt-4o",
        "model_id": "m",
        "model_group": "public-alias",
        "custom_llm_provider": "azure",
        "api_base": ENDPOINT,
        "user": "default_user_id",
        "metadata": {"usage_object": usage, "user_api_key_alias": "shop", "user_api_key_team_alias": None},
        "cache_hit": "False",
        "cache_key": "Cache OFF",
        "request_tags": "[]",
        "team_id": "team-a",
        "end_user": "",
        "requester_ip_address": "",
        "messages": {},
        "response": {},
        "status": "success",
    }
    return changed(row, changes)


def langfuse_row(call: str = "a", usage: Any = None, **changes: Any) -> dict[str, Any]:
    """An observation as the blob export writes it."""
    row = {
        "id": f"obs-{call}",
        "trace_id": "trace-1",
        "project_id": "shop",
        "environment": "production",
        "parent_observation_id": None,
        "type": "GENERATION",
        "name": "chat",
        "input": "secret",
        "output": "secret",
        "start_time": "2026-10-14 02:04:01.946000",
        "end_time": "2026-10-14 02:04:03.946000",
        "level": "DEFAULT",
        "status_message": None,
        "provided_model_name": "gpt-4o-2024-11-20",
        "usage_details": {"input": 100, "output": 10, "total": 110} if usage is None else usage,
        "cost_details": {},
        "user_id": "anna",
        "session_id": "s",
    }
    return changed(row, changes)


def typed(value: Any) -> dict[str, Any]:
    """Return a value as OTLP's JSON writes it: 64-bit integers are texts."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(one) for one in value]}}
    return {"stringValue": value}


def attributes_of(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": typed(value)} for key, value in values.items() if value is not ...]


def span(call: str = "a", attributes: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A span of a chat completion to Azure by the conventions of 2025; an attribute is left out where it is ``...``."""
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "chat",
        "gen_ai.response.model": "gpt-4o-2024-11-20",
        "gen_ai.response.id": f"chatcmpl-{call}",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "server.address": "contoso.openai.azure.com",
        "gen_ai.input.messages": '[{"role":"user","content":"secret"}]',
        "gen_ai.response.finish_reasons": ["stop"],
    }
    made = {
        "traceId": "0" * 31 + "1",
        "spanId": f"span-{call}",
        "parentSpanId": "",
        "name": "chat chat",
        "kind": 3,
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(START_NS + 2_000_000_000),
        "attributes": attributes_of({**told, **(attributes or {})}),
        "status": {},
    }
    return changed(made, changes)


def otlp(*spans: Any, service: str = "shop-bot") -> dict[str, Any]:
    """A document with these spans."""
    scope = {"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": list(spans)}
    resource = {"attributes": attributes_of({"service.name": service})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def otlp_metrics() -> dict[str, Any]:
    point = {"attributes": attributes_of({"gen_ai.token.type": "input"}), "count": "1", "sum": 100.0}
    metric = {"name": "gen_ai.client.token.usage", "histogram": {"dataPoints": [point]}}
    return {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": {}, "metrics": [metric]}]}]}


def helicone_row(call: str = "a", prompt: Any = 100, completion: Any = 10, **changes: Any) -> dict[str, Any]:
    """Every field of the interface ``HeliconeRequest`` of Helicone's TypeScript client, in its order."""
    row = {
        "response_id": f"response-{call}",
        "response_created_at": "2026-10-14T02:04:03.946Z",
        "response_body": {"choices": [{"message": {"content": "secret"}}]},
        "response_status": 200,
        "response_model": "gpt-4o-2024-11-20",
        "request_id": f"request-{call}",
        "request_created_at": "2026-10-14T02:04:01.946Z",
        "request_body": {"messages": [{"role": "user", "content": "secret"}]},
        "request_path": f"{ENDPOINT}deployments/chat/chat/completions?api-version=2024-10-21",
        "request_user_id": "anna",
        "request_properties": {"App": "shop"},
        "request_model": "gpt-4o",
        "model_override": None,
        "helicone_user": None,
        "provider": "AZURE",
        "delay_ms": 2000,
        "time_to_first_token": None,
        "total_tokens": 110,
        "prompt_tokens": prompt,
        "prompt_cache_write_tokens": 0,
        "prompt_cache_read_tokens": 0,
        "completion_tokens": completion,
        "prompt_audio_tokens": None,
        "completion_audio_tokens": None,
        "prompt_id": None,
        "llmSchema": None,
        "country_code": "SE",
        "asset_ids": None,
        "asset_urls": None,
        "scores": None,
        "costUSD": 0.25,
        "properties": {},
        "assets": [],
        "target_url": ENDPOINT,
        "model": "gpt-4o-2024-11-20",
        "cache_reference_id": None,
        "cache_enabled": False,
    }
    return changed(row, changes)


# The attributes of promptflow's "Trace Span Specification" by type of span: name, example of the page.
_PROMPTFLOW_COMMON = {
    "framework": "promptflow",
    "node_name": "chat",
    "line_run_id": "d23159d5-cae0-4de6-a175-295c715ce251",
    "function": "openai.resources.chat.completions.Completions.create",
    "__computed__.cumulative_token_count.prompt": 200,
    "__computed__.cumulative_token_count.completion": 80,
    "__computed__.cumulative_token_count.total": 280,
}
_PROMPTFLOW_USAGE = {
    "llm.usage.total_tokens": 180,
    "llm.usage.prompt_tokens": 100,
    "llm.usage.completion_tokens": 80,
    "llm.response.model": "gpt-4o-2024-11-20",
}


def promptflow_row(
    call: str = "a", kind: str = "LLM", attributes: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A span as ``ReadableSpan.to_json`` of the SDK writes it."""
    usage = _PROMPTFLOW_USAGE if kind in ("LLM", "Embedding") else {}
    told = {**_PROMPTFLOW_COMMON, "span_type": kind, **usage, **(attributes or {})}
    row = {
        "name": "openai_chat",
        "context": {"trace_id": "0x" + "1" * 32, "span_id": f"0x{call}", "trace_state": "[]"},
        "kind": "SpanKind.INTERNAL",
        "parent_id": "0x2",
        "start_time": "2026-10-14T02:04:01.946000Z",
        "end_time": "2026-10-14T02:04:03.946000Z",
        "status": {"status_code": "OK"},
        "attributes": {name: value for name, value in told.items() if value is not ...},
        "events": [{"name": "promptflow.function.inputs", "attributes": {"payload": '{"question":"secret"}'}}],
        "links": [],
        "resource": {"attributes": {"service.name": "promptflow", "collection": "shop"}, "schema_url": ""},
    }
    return changed(row, changes)


def hub_row(call: str = "a", prompt: Any = "100", completion: Any = 10, **changes: Any) -> dict[str, Any]:
    """A usage record of the AI hub gateway, as it lies in Cosmos DB."""
    row = {
        "id": f"chatcmpl-{call}",
        "timestamp": "10/14/2026 2:03:59 AM",
        "appId": "shop",
        "subscriptionId": "master",
        "productName": "AI-Retail",
        "targetService": "chat.completion",
        "model": "gpt-4o-2024-11-20",
        "gatewayName": "apim-test.azure-api.net",
        "gatewayRegion": "East US",
        "operationName": "Creates a completion for the chat message",
        "sessionId": "NA",
        "endUserId": "NA",
        "backendId": "openai-backend-2",
        "routeLocation": "swedencentral",
        "deploymentName": "chat",
        "promptTokens": prompt,
        "responseTokens": completion,
        "totalTokens": 110,
        "EventEnqueuedUtcTime": "2026-10-14T02:04:03.1720000Z",
    }
    return changed(row, changes)
