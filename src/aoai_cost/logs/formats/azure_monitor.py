"""Azure Monitor resource logs of the account, as diagnostic settings write them to storage or an event hub.

A call stands in two rows: category ``AzureOpenAIRequestUsage`` has the tokens, ``RequestResponse`` has status and
latency. They share resource and correlationId, and may stand in different files.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import orjson

from ..._fast.columns import Columns
from ...catalog import arm_region
from ..fields import (
    EARLIEST_US,
    LATEST_US,
    needed_id,
    served_model,
    to_count,
    to_duration_ms,
    to_status,
    to_text,
    to_timestamp_us,
)
from ..operations import api_of
from ..parts import NOT_A_TIME, PART, Parts, Shared
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens
from .azure_diagnostics import as_exported, is_diagnostics

__all__ = ["FORMAT"]

_USAGE, _STATUS = "azureopenairequestusage", "requestresponse"
_SILENT = {"audit", "trace", "managednetworkevent", "allmetrics"}
_STREAMS = {"streaming": True, "non-streaming": False}


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a resource log of the account, as exported or as the table of Log Analytics has it."""
    category = record.get("category")
    if isinstance(category, str):
        known = category.lower()
        return known in (_USAGE, _STATUS) or (known in _SILENT and "resourceId" in record)
    return is_diagnostics(record)


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one half of a call; None for the categories without usage."""
    if "category" not in record:
        record = as_exported(record)
    category = str(record.get("category", "")).lower()
    if category not in (_USAGE, _STATUS):
        return None
    correlation_id = needed_id(record.get("correlationId"), "correlationId")
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


# The fields of a row that a plain line is read by, and those of its properties.
_NAMES = tuple(
    (inner, name)
    for inner, names in (
        (False, ("category", "resourceId", "location", "Tenant", "operationName")),
        (True, ("modelDeploymentName", "modelName", "modelVersion", "streamType")),
    )
    for name in names
)
_TIMES = ("time", "EnqueueTime", "FluentdIngestTimestamp")
_COUNTS = {
    "prompt_tokens": ("promptTokens", "inputTokens"),
    "cached_tokens": ("cachedTokens",),
    "cache_write_tokens": ("cacheWriteTokens",),
    "completion_tokens": ("generatedTokens", "completionTokens", "outputTokens"),
}
# Rows that tell more than these are not plain.
_PARTS_OF_COUNTS = ("inputTextTokens", "inputImageTokens", "cachedTextTokens", "cachedImageTokens", "outputImageTokens")
# A line with one of these may hold many rows.
_WRAPPERS = ("records", "value", "tables")
_MARKS = (b"AzureOpenAIRequestUsage", b"RequestResponse")


class _Lines:
    """Reads plain lines of both categories at once."""

    def __init__(self, shared: Shared, source: int) -> None:
        self._shared, self._source = shared, source
        self._kinds: list[int] = []
        self._facets: list[int] = []
        self.columns = Columns(
            (
                *(name for inner, name in _NAMES if not inner),
                "correlationId",
                "resultSignature",
                "durationMs",
                *_TIMES,
                *_WRAPPERS,
            ),
            "properties",
            (*(name for inner, name in _NAMES if inner), *chain(*_COUNTS.values()), *_PARTS_OF_COUNTS),
        )

    def may_read(self, data: bytes) -> bool:
        return any(mark in data for mark in _MARKS)

    def read(self, data: bytes) -> Parts:
        columns = self.columns
        columns.read(data)
        columns.plain[:] &= columns.told("correlationId")
        for name in _WRAPPERS:
            columns.plain[:] &= ~columns.told(name)
        codes = columns.codes(_NAMES)
        self._learn_names(columns.names[len(self._kinds) :])
        kinds = np.array(self._kinds, np.int8)[codes] if self._kinds else np.full(len(codes), -1, np.int8)
        columns.plain[:] &= kinds >= 0
        identities = columns.digests(
            (FORMAT.name.encode(),), [(False, "resourceId", True), (False, "correlationId", False)]
        )
        times = columns.times(_TIMES[0])
        for name in _TIMES[1:]:
            times = np.where(times == NOT_A_TIME, columns.times(name), times)
        columns.plain[:] &= (times >= EARLIEST_US) & (times < LATEST_US)
        usage = kinds == PartKind.USAGE
        tokens, known = self._tokens(usage)
        statuses, durations = columns.statuses("resultSignature"), columns.numbers("durationMs")
        at = np.flatnonzero(columns.plain)
        parts = np.zeros(len(at), PART)
        parts["digest"] = identities[at]
        parts["requests"] = 1
        parts["facets"] = np.array(self._facets, np.int32)[codes[at]] if len(at) else 0
        parts["timestamp_us"], parts["kind"], parts["source"] = times[at], kinds[at], self._source
        parts["tokens"], parts["known"] = tokens[at], known[at]
        parts["status"] = np.where(usage[at], 0, statuses[at])
        parts["duration_ms"] = np.where(usage[at], np.nan, durations[at])
        if self._shared.keep_texts:
            parts["text"] = [self._shared.text(text) for text in columns.texts("correlationId", at.tolist())]
        return parts

    def _learn_names(self, names: list[tuple[str | None, ...]]) -> None:
        for category, resource, location, tenant, *rest in names:
            kind, number = -1, -1
            known = (category or "").lower()
            if known in (_USAGE, _STATUS):
                resource = resource.lower().rstrip("/") if resource else None
                try:
                    number = self._shared.facets.number(_facets(resource, location or tenant, *rest))
                    kind = PartKind.USAGE if known == _USAGE else PartKind.STATUS
                except RowError:
                    pass  # read by itself, such a line says what is wrong with it
            self._kinds.append(kind)
            self._facets.append(number)

    def _tokens(self, usage: Any) -> tuple[Any, Any]:
        """Return the counts of rows with usage and which of them are known; strike rows that tell more."""
        columns = self.columns
        for name in _PARTS_OF_COUNTS:
            columns.plain[:] &= ~columns.told(name, True)
        tokens = np.zeros((len(usage), len(Tokens._fields)), np.int64)
        known = np.zeros(len(usage), np.uint16)
        for column, names in _COUNTS.items():
            values, told = columns.counts(names[0], True)
            for name in names[1:]:
                more, more_told = columns.counts(name, True)
                values, told = np.where(told, values, more), told | more_told
            i = Tokens._fields.index(column)
            tokens[:, i] = np.where(usage, values, 0)
            known |= (told & usage).astype(np.uint16) << np.uint16(i)
        prompt, cached, write = (
            tokens[:, Tokens._fields.index(name)] for name in ("prompt_tokens", "cached_tokens", "cache_write_tokens")
        )
        columns.plain[:] &= cached + write <= prompt
        return tokens, known


FORMAT = LogFormat("azure-monitor", sniff, read, lines=_Lines)
