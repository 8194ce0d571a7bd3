"""Spans of prompt flow, as OpenTelemetry's SDK writes a span to JSON (``span.to_json()``).

Each span has the sums of those below it (``__computed__.cumulative_token_count``): only the spans of type LLM and
Embedding are calls. Inputs and outputs are in events, and only counted, where that is asked for. Spans that it sends by
OTLP are read too: see `otel_genai.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contents import answer_of, parsed, prompt_of
from ..fields import needed_id, needed_time_us, served_model, to_count, to_text, to_timestamp_us
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, Tokens
from ..tracers import to_object

__all__ = ["FORMAT"]

_API_OF = {"LLM": "chat", "Embedding": "embeddings"}
_INPUTS, _OUTPUT = "promptflow.function.inputs", "promptflow.function.output"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a span of prompt flow."""
    attributes = record.get("attributes")
    return isinstance(attributes, dict) and attributes.get("framework") == "promptflow" and "context" in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one call; None for a span of anything else."""
    attributes = record["attributes"]
    kind = to_text(attributes.get("span_type"), "span_type")
    if kind is None or kind not in _API_OF:
        return None
    context = to_object(record.get("context"), "context")
    trace, span = (needed_id(context.get(name), f"context.{name}") for name in ("trace_id", "span_id"))
    timestamp_us = needed_time_us(record.get("start_time"), "start_time")
    ended_us = to_timestamp_us(record.get("end_time"), "end_time")
    model, version = served_model(to_text(attributes.get("llm.response.model"), "llm.response.model"))
    origin = to_object(to_object(record.get("resource"), "resource").get("attributes"), "resource.attributes")
    prompt, completion = (
        to_count(attributes.get(name), name) for name in ("llm.usage.prompt_tokens", "llm.usage.completion_tokens")
    )
    part = Part(
        PartKind.USAGE,
        "",
        Facets(model=model, version=version, api=_API_OF[kind], app=to_text(origin.get("collection"), "collection")),
        timestamp_us,
        Tokens(prompt_tokens=prompt, completion_tokens=completion) if prompt or completion else NO_TOKENS,
        duration_ms=None if ended_us is None else (ended_us - timestamp_us) / 1_000,
        request_id=span,
    )
    return (trace, span), part


def contents(record: Mapping[str, Any]) -> Content:
    """Return what the traced function of the SDK was given, and what it gave."""
    told: dict[Any, Any] = {}
    events = record.get("events")
    for event in events if isinstance(events, list) else ():
        attributes = event.get("attributes") if isinstance(event, dict) else None
        if isinstance(attributes, dict) and isinstance(name := event.get("name"), str):
            told[name] = parsed(attributes.get("payload"))
    return Content(prompt_of(told.get(_INPUTS)), answer_of(told.get(_OUTPUT)))


FORMAT = LogFormat("promptflow", sniff, read, names_deployment=False, names_resource=False, contents=contents)
