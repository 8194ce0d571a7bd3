"""Spans of OpenTelemetry's conventions for generative AI, in OTLP's JSON as the collector's file exporter writes it.

Only spans of inference count: an agent's span repeats the tokens of the calls below it, and the metrics and logs of the
same conventions are a second view of the same calls. Of inference within inference the innermost spans count: a
framework writes the calls of the client below it once more. Attributes that hold messages are only counted, where that
is asked for (`otel_contents`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..fields import EARLIEST_US, LATEST_US, needed_id, served_model, to_count, to_text
from ..operations import api_of
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens
from ..tracers import is_azure, is_elsewhere, status_of_error, to_place, without_vendor
from . import otel_contents

__all__ = ["FORMAT"]

_SECOND_VIEWS = ("resourceMetrics", "resourceLogs")
_INFERENCE = {"chat", "text_completion", "completion", "generate_content", "embeddings", "embedding", "responses"}
_PROMPTFLOW = {"LLM": "chat", "Embedding": "embeddings"}
_DEEPEST = 64
_NS = re.compile(r"[0-9]{1,19}")
# The first that a span has; what is older, or of an instrumentation's own, comes last.
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens")
_CACHE_READ = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
_CACHE_WRITE = ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens")
_REASONING = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
_REQUESTED, _SERVED = ("gen_ai.request.model",), ("gen_ai.response.model", "llm.response.model")
_TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_USER = ("user.id", "enduser.id")
_STATUS = ("http.response.status_code", "error.type", "http.status_code")
_WANTED = {
    *("gen_ai.operation.name", "llm.request.type", "traceloop.span.kind", "span_type"),
    *("gen_ai.response.id", "server.address", "service.name"),
    *_INPUT,
    *_OUTPUT,
    *_CACHE_READ,
    *_CACHE_WRITE,
    *_REASONING,
    *_PROVIDER,
    *_REQUESTED,
    *_SERVED,
    *_TIER,
    *_USER,
    *_STATUS,
}


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a document of spans, or of metrics or logs beside them."""
    return isinstance(record.get("resourceSpans"), list) or any(
        isinstance(record.get(name), list) for name in _SECOND_VIEWS
    )


def open_document(record: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the spans of a document, each with the resource that made it; metrics and logs as they are."""
    if not isinstance(record.get("resourceSpans"), list):
        yield record
        return
    spans = list(_spans(record))
    parents = {
        (span.get("traceId"), span.get("spanId")): span.get("parentSpanId") for _, span in spans if _is_placed(span)
    }
    for resource, span in spans:
        yield {"resource": resource, "span": span, "around": _around(span, parents) if _is_placed(span) else []}


def _spans(record: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for of_resource in _objects(record["resourceSpans"], "resourceSpans"):
        scopes = of_resource.get("scopeSpans", of_resource.get("instrumentationLibrarySpans"))
        for of_scope in _objects(scopes, "scopeSpans"):
            for span in _objects(of_scope.get("spans"), "spans"):
                yield of_resource.get("resource"), span


def _is_placed(span: Mapping[str, Any]) -> bool:
    return isinstance(span.get("traceId"), str) and isinstance(span.get("spanId"), str)


def _around(span: Mapping[str, Any], parents: Mapping[tuple[Any, Any], Any]) -> list[str]:
    """Return the ids of the spans around a span, its parent first, as far as the document knows them."""
    trace, one, parent = span["traceId"], span["spanId"], span.get("parentSpanId")
    found: list[str] = []
    while isinstance(parent, str) and parent and parent != one and len(found) < _DEEPEST:
        found.append(parent)
        parent = parents.get((trace, parent))
    # In a ring no span is inside of another.
    return [] if parent == one else found


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RowError(f"{name} must be an array of objects")
    return found


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one span; None for one that is no call of a model, and for metrics and logs."""
    span = record.get("span")
    if not isinstance(span, dict):
        return None
    attributes = _attributes(span.get("attributes"), "attributes")
    operation = _operation(attributes)
    provider = _text(attributes, *_PROVIDER)
    if operation is None or is_elsewhere(provider):
        return None
    started_us = _to_us(span.get("startTimeUnixNano"), "startTimeUnixNano")
    if started_us is None:
        raise RowError("startTimeUnixNano is absent")
    ended_us = _to_us(span.get("endTimeUnixNano"), "endTimeUnixNano")
    resource, deployment = to_place(attributes.get("server.address"), "server.address")
    requested, served = _text(attributes, *_REQUESTED), _text(attributes, *_SERVED)
    if resource is not None or is_azure(provider):
        # To Azure, what a request names as its model is the deployment.
        deployment = deployment or requested
    else:
        served = served or requested
    model, version = served_model(without_vendor(served))
    origin = record.get("resource")
    app = _attributes(origin.get("attributes"), "resource.attributes") if isinstance(origin, dict) else {}
    tier = _text(attributes, *_TIER)
    facets = Facets(
        resource=resource,
        deployment=deployment,
        model=model,
        version=version,
        api=api_of(operation),
        operation=operation,
        service_tier=None if tier is None else tier.lower(),
        user=_text(attributes, *_USER),
        app=_text(app, "service.name"),
    )
    response_id = _text(attributes, "gen_ai.response.id")
    trace, one = to_text(span.get("traceId"), "traceId"), to_text(span.get("spanId"), "spanId")
    if response_id is None:
        trace, one = needed_id(trace, "traceId"), needed_id(one, "spanId")
    tokens = _tokens(attributes)
    # A chat that embeds what it searches for is no embedding: only spans of one kind tell the same tokens.
    kind = "embeddings" if facets.api == "embeddings" else "completions"
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        started_us,
        tokens,
        _status(attributes),
        None if ended_us is None else (ended_us - started_us) / 1_000,
        response_id or one,
    )
    if trace is not None and one is not None:
        around = record.get("around", ()) if tokens != NO_TOKENS else ()
        places = [("span", trace, name, kind) for name in (one, *around)]
        part = part._replace(span=places[0], around=tuple(places[1:]))
    # Two instrumentations of one client each write a span of the same answer.
    return ("response", response_id) if response_id is not None else places[0], part


def _attributes(value: Any, name: str) -> dict[str, Any]:
    """Return the attributes that are read, by name; no others are looked at."""
    found = {}
    for one in _objects(value, name):
        key = one.get("key")
        if isinstance(key, str) and key in _WANTED:
            typed = one.get("value")
            if not isinstance(typed, dict):
                raise RowError(f"{name}: the value of {key} must be an object")
            kinds = ("stringValue", "intValue", "doubleValue")
            found[key] = next((typed[kind] for kind in kinds if typed.get(kind) is not None), None)
    return found


def _operation(attributes: Mapping[str, Any]) -> str | None:
    """Return the operation of a span that calls a model; None for any other span."""
    kind = _text(attributes, "span_type")
    if kind is not None:
        return _PROMPTFLOW.get(kind)  # prompt flow's own exporter
    if _text(attributes, "traceloop.span.kind") is not None:
        return None
    operation = _text(attributes, "gen_ai.operation.name") or _text(attributes, "llm.request.type")
    if operation is not None:
        return operation if operation in _INFERENCE else None
    # Before there were operations, only calls of a model were traced with these.
    told = any(attributes.get(name) is not None for name in (*_INPUT, *_REQUESTED))
    return "chat" if told and attributes.get("gen_ai.system") is not None else None


def _tokens(attributes: Mapping[str, Any]) -> Tokens:
    def first(names: tuple[str, ...]) -> int | None:
        for name in names:
            value = attributes.get(name)
            if value is not None:
                return to_count(int(value) if isinstance(value, float) and value.is_integer() else value, name)
        return None

    prompt, completion = first(_INPUT), first(_OUTPUT)
    if not prompt and not completion:
        return NO_TOKENS  # some write zeros for a call that failed, or whose stream told nothing
    read, written = first(_CACHE_READ), first(_CACHE_WRITE)
    cached = (read or 0) + (written or 0)
    if prompt is not None and cached > prompt:
        # The conventions put the cached tokens inside; this emitter left them out.
        prompt += cached
    return Tokens(
        prompt_tokens=prompt,
        cached_tokens=read,
        cache_write_tokens=written,
        completion_tokens=completion,
        reasoning_tokens=first(_REASONING),
    ).checked()


def _text(attributes: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        text = to_text(_as_text(attributes.get(name)), name)
        if text is not None:
            return text
    return None


def _status(attributes: Mapping[str, Any]) -> int | None:
    return next((status for name in _STATUS if (status := status_of_error(_as_text(attributes.get(name))))), None)


def _as_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _to_us(value: Any, name: str) -> int | None:
    if value is None or value in ("", "0", 0):
        return None
    if not _NS.fullmatch(value if isinstance(value, str) else str(value) if type(value) is int else ""):
        raise RowError(f"{name} is not a time in nanoseconds")
    found = int(value) // 1_000
    if not EARLIEST_US <= found < LATEST_US:
        raise RowError(f"{name} is not between the years 2015 and 2100")
    return found


FORMAT = LogFormat(
    "otel-genai",
    sniff,
    read,
    names_deployment=False,
    names_resource=False,
    open=open_document,
    contents=otel_contents.contents,
)
