"""Observations of Langfuse: its exports and tables (snake_case), its API (camelCase), pages of the API.

Only GENERATION and EMBEDDING are calls of a model. The buckets of ``usage_details`` are meant to be disjoint, where the
service's own counts overlap: what is cached is added back to the input, and what was reasoned to the output. Some
wrappers leave the parts inside; the total tells. Inputs and outputs are only counted, where that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contents import answer_of, messages_body, parsed, prompt_of
from ..fields import needed_id, needed_time_us, served_model, to_count, to_text, to_timestamp_us, to_tokens
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens
from ..tracers import in_pages, to_object, without_vendor

__all__ = ["FORMAT"]

_CALLS = ("GENERATION", "EMBEDDING")
_OTHERS = ("SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "GUARDRAIL")


def _is_observation(record: Mapping[str, Any]) -> bool:
    kind = record.get("type")
    return (
        isinstance(kind, str)
        and kind in (*_CALLS, *_OTHERS)
        and ("trace_id" in record or "traceId" in record)
        and ("start_time" in record or "startTime" in record)
    )


sniff, open_page = in_pages(_is_observation)


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one call; None for an observation of anything else."""
    kind = to_text(record.get("type"), "type")
    if kind not in _CALLS:
        return None
    one = needed_id(record.get("id"), "id")
    timestamp_us = needed_time_us(_either(record, "start_time", "startTime"), "start_time")
    ended_us = to_timestamp_us(_either(record, "end_time", "endTime"), "end_time")
    name = next((record[key] for key in ("provided_model_name", "providedModelName", "model") if record.get(key)), None)
    model, version = served_model(without_vendor(to_text(name, "provided_model_name")))
    facets = Facets(
        model=model,
        version=version,
        api="embeddings" if kind == "EMBEDDING" else None,
        user=to_text(_either(record, "user_id", "userId"), "user_id"),
        app=to_text(_either(record, "project_id", "projectId"), "project_id"),
    )
    trace = to_text(_either(record, "trace_id", "traceId"), "trace_id")
    usage = to_object(_either(record, "usage_details", "usageDetails"), "usage_details")
    # Where nobody told the usage, Langfuse counts texts with a tokenizer of its own.
    given = _either(record, "provided_usage_details", "providedUsageDetails")
    is_own_count = given not in (None, "") and not to_object(given, "provided_usage_details")
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        timestamp_us,
        _tokens(usage),
        duration_ms=None if ended_us is None else (ended_us - timestamp_us) / 1_000,
        request_id=one,
        quality="estimated" if is_own_count and usage else "measured",
    )
    return (trace or "", one), part


def _either(record: Mapping[str, Any], name: str, other: str) -> Any:
    value = record.get(name)
    return record.get(other) if value is None else value


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    if "input" not in usage and "output" not in usage:
        # What the SDK of OpenAI gives, kept as it was.
        return to_tokens(usage)
    counts = {name: to_count(value, "usage_details") for name, value in usage.items()}
    into, out = counts.pop("input", None), counts.pop("output", None)
    total = counts.pop("total", None)
    parts_in = {name: count or 0 for name, count in counts.items() if "input" in name}
    parts_out = {name: count or 0 for name, count in counts.items() if "output" in name}
    added_in, added_out = _added(into or 0, out or 0, sum(parts_in.values()), sum(parts_out.values()), total)

    def among(parts: Mapping[str, int], *words: str) -> int | None:
        found = [count for name, count in parts.items() if any(word in name for word in words)]
        return sum(found) if found else None

    tokens = Tokens(
        prompt_tokens=None if into is None and not added_in else (into or 0) + added_in,
        cached_tokens=among(parts_in, "cached", "cache_read"),
        cache_write_tokens=among(parts_in, "cache_creation", "cache_write"),
        completion_tokens=None if out is None and not added_out else (out or 0) + added_out,
        reasoning_tokens=among(parts_out, "reasoning"),
        audio_in=among(parts_in, "audio"),
        audio_out=among(parts_out, "audio"),
    )
    # Nothing is counted with zeros alone: a call has at least its prompt.
    return tokens.checked() if tokens.prompt_tokens or tokens.completion_tokens else NO_TOKENS


def _added(into: int, out: int, parts_in: int, parts_out: int, total: int | None) -> tuple[int, int]:
    """Return what of the parts is to be added to input and output, by the total; disjoint where it does not tell."""
    ways = {
        (add_in, add_out)
        for add_in in (parts_in, 0)
        for add_out in (parts_out, 0)
        # Parts that are not added are inside.
        if (add_in or parts_in <= into) and (add_out or parts_out <= out)
    }
    fit = [way for way in ways if into + out + sum(way) == total]
    if len(fit) > 1:
        raise RowError("the total of usage_details fits two readings: which parts are inside of which is not told")
    return fit[0] if fit else (parts_in, parts_out)


def contents(record: Mapping[str, Any]) -> Content:
    """Return the input, which is a list of messages where there are no tools, and the output: a message as a rule."""
    asked, told = parsed(record.get("input")), parsed(record.get("output"))
    if record.get("type") == "EMBEDDING" and not isinstance(asked, dict):
        asked = {"input": asked}
    if isinstance(text := record.get("output"), str) and text[:1] not in ("{", "["):
        # An answer may be its text alone, whatever else that would be in JSON.
        told = {"role": "assistant", "content": told if isinstance(told, str) else text}
    return Content(prompt_of(asked) or messages_body(asked), answer_of(told))


FORMAT = LogFormat(
    "langfuse", sniff, read, names_deployment=False, names_resource=False, open=open_page, contents=contents
)
