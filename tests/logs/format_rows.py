"""Rows of every format: what one contract, one page and one table say of all of them is tried on these."""

from __future__ import annotations

from typing import Any

import answer_rows
from log_rows import (
    attempt_row,
    body_row,
    diagnostics_row,
    emitted_row,
    gateway_row,
    point_row,
    status_row,
    usage_row,
)
from tracer_rows import helicone_row, hub_row, langfuse_row, litellm_row, otlp, otlp_metrics, promptflow_row, span

CACHED = {"input": 40, "input_cached_tokens": 60, "output": 10, "total": 110}
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "azure-monitor": [usage_row(), status_row(), status_row("t", category="Audit"), diagnostics_row(usage_row("d"))],
    "azure-metrics": [
        point_row(),
        point_row("GeneratedTokens", 10),
        point_row("AzureOpenAIRequests", 3),
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
        otlp(
            span("outer", {"gen_ai.response.id": ...}),
            span("agent", {"gen_ai.operation.name": "invoke_agent"}, parentSpanId="span-outer"),
            span("inner", parentSpanId="span-agent"),
        ),
    ],
    "helicone": [helicone_row(), helicone_row("b", response_status=-3, prompt=None, completion=None)],
    "promptflow": [promptflow_row(), promptflow_row("b", "Flow"), promptflow_row("c", "Embedding")],
    **answer_rows.SAMPLES,
}
