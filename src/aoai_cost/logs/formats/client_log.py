"""Lines that a watched client appends (`aoai_cost.watch`), one per attempt over HTTP.

The ledger of a budget may lie in the same folder; its lines are known and ignored, they repeat what the log tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...catalog import arm_region, arm_resource
from ..fields import needed_id, needed_time_us, served_model, to_duration_ms, to_flag, to_status, to_text, to_tokens
from ..operations import api_of
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError

__all__ = ["FORMAT"]

_LOG, _LEDGER = "aoai_cost_log", "aoai_cost_ledger"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a line of the log, or of a ledger."""
    return _LOG in record or _LEDGER in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one attempt; None for one that was never sent and for a line of a ledger."""
    if _LOG not in record:
        return None
    if record[_LOG] != 1:
        raise RowError("the line was written by another version of the log; this one reads version 1")
    if record.get("sent") is False:
        return None
    attempt_id = needed_id(record.get("id"), "id")
    timestamp_us = needed_time_us(record.get("time"), "time")
    usage = record.get("usage")
    if usage is not None and not isinstance(usage, dict):
        raise RowError("usage must be an object")
    resource, region = to_text(record.get("resource"), "resource"), to_text(record.get("region"), "region")
    tier = to_text(record.get("service_tier"), "service_tier")
    operation = to_text(record.get("operation"), "operation")
    model, version = served_model(to_text(record.get("model"), "model"))
    spilled = to_flag(record.get("spillover"))
    facets = Facets(
        resource=arm_resource(resource) if resource is not None else None,
        region=arm_region(region) if region is not None else None,
        deployment=to_text(record.get("served_by" if spilled else "deployment"), "deployment"),
        model=model,
        version=version,
        api=api_of(operation),
        operation=operation,
        stream=to_flag(record.get("stream")),
        service_tier=tier.lower() if tier is not None else None,
        spillover=spilled,
    )
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        timestamp_us,
        to_tokens(usage) if usage else NO_TOKENS,
        to_status(record.get("status")),
        to_duration_ms(record.get("latency_ms")),
        to_text(record.get("request_id"), "request_id"),
        quality="estimated" if record.get("usage_source") == "estimated" else "measured",
    )
    return (attempt_id,), part


FORMAT = LogFormat("client-log", sniff, read, names_resource=False)
