"""Azure Monitor resource logs of the account, as diagnostic settings write them to storage or an event hub.

A call stands in two rows: category ``AzureOpenAIRequestUsage`` has the tokens, ``RequestResponse`` has status and
latency. They share resource and correlationId, and may stand in different files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from ...catalog import arm_region
from ..fields import served_model, to_count, to_duration_ms, to_status, to_text, to_timestamp_us
from ..operations import api_of
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_USAGE, _STATUS = "azureopenairequestusage", "requestresponse"
_SILENT = {"audit", "trace", "managednetworkevent", "allmetrics"}
_STREAMS = {"streaming": True, "non-streaming": False}


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a resource log of the account, or a metric that the same setting exports."""
    category = record.get("category")
    if isinstance(category, str):
        known = category.lower()
        return known in (_USAGE, _STATUS) or (known in _SILENT and "resourceId" in record)
    return "metricName" in record and "timeGrain" in record and "resourceId" in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one half of a call; None for the categories without usage."""
    category = str(record.get("category", "")).lower()
    if category not in (_USAGE, _STATUS):
        return None
    correlation_id = to_text(record.get("correlationId"), "correlationId")
    if correlation_id is None:
        raise RowError("correlationId is absent: the row can be joined to nothing, nor told from a duplicate")
    resource = to_text(record.get("resourceId"), "resourceId")
    resource = resource.lower().rstrip("/") if resource is not None else None
    properties = _properties(record.get("properties"))
    shared = (
        resource,
        record.get("location") or record.get("Tenant"),
        record.get("operationName"),
        properties.get("modelDeploymentName"),
        properties.get("modelName"),
        properties.get("modelVersion"),
        properties.get("streamType"),
    )
    try:
        facets = _facets(*shared)
    except TypeError:
        # Something that cannot be a key cannot be a name either: the same function says which.
        facets = _facets.__wrapped__(*shared)
    timestamp_us = _time(record)
    identity = (resource or "", correlation_id.lower())
    if category == _USAGE:
        tokens = _tokens(properties)
        return identity, Part(PartKind.USAGE, "", facets, timestamp_us, tokens, request_id=correlation_id)
    # Token fields of this category are placeholders of the service; they are never read.
    status = to_status(record.get("resultSignature"))
    duration_ms = to_duration_ms(record.get("durationMs"))
    part = Part(PartKind.STATUS, "", facets, timestamp_us, NO_TOKENS, status, duration_ms, correlation_id)
    return identity, part


def _time(record: Mapping[str, Any]) -> int:
    """Return the time of the call or, where a row has none, of its queueing or its arrival."""
    for name in ("time", "EnqueueTime", "FluentdIngestTimestamp"):
        found = to_timestamp_us(record.get(name), name)
        if found is not None:
            return found
    raise RowError("the row has neither time nor EnqueueTime nor FluentdIngestTimestamp")


@lru_cache(4096, typed=True)
def _facets(
    resource: str | None, region: Any, operation: Any, deployment: Any, model: Any, version: Any, stream: Any
) -> Facets:
    """Check the names that most rows of a log repeat."""
    # Tenant, where a row has no location, is the region as well, whatever its name says.
    place = to_text(region, "location")
    operation = to_text(operation, "operationName")
    model, version = served_model(to_text(model, "modelName"), to_text(version, "modelVersion"))
    return Facets(
        resource=resource,
        region=arm_region(place) if place is not None else None,
        deployment=to_text(deployment, "modelDeploymentName"),
        model=model,
        version=version,
        api=api_of(operation),
        operation=operation,
        stream=_STREAMS.get(stream.lower()) if isinstance(stream, str) else None,
    )


def _properties(value: Any) -> Mapping[str, Any]:
    # A JSON text in the exports of some years, an object in others, now and then encoded twice.
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RowError("properties is a text that is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowError("properties must be an object or its JSON text")
    return value


def _tokens(properties: Mapping[str, Any]) -> Tokens:
    def total(*names: str) -> int | None:
        for name in names:
            value = properties.get(name)
            if value is not None:
                return to_count(value, name)
        return None

    def added(*names: str) -> int | None:
        parts = [to_count(properties.get(name), name) for name in names]
        return sum(part or 0 for part in parts) if parts != [None] * len(parts) else None

    prompt = total("promptTokens", "inputTokens")
    completion = total("generatedTokens", "completionTokens", "outputTokens")
    cached = total("cachedTokens")
    image_in, image_out = total("inputImageTokens"), total("outputImageTokens")
    return Tokens(
        prompt_tokens=prompt if prompt is not None else added("inputTextTokens", "inputImageTokens"),
        cached_tokens=cached if cached is not None else added("cachedTextTokens", "cachedImageTokens"),
        cache_write_tokens=total("cacheWriteTokens"),
        completion_tokens=completion if completion is not None else image_out,
        image_in=image_in,
        image_out=image_out,
        cached_image=total("cachedImageTokens"),
    ).checked()


FORMAT = LogFormat("azure-monitor", sniff, read)
