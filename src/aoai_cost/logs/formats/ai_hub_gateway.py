"""Usage records of the AI hub gateway accelerator: what its API Management policy sends to an event hub.

Only calls that were not streamed are in them; those that were go to Application Insights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...catalog import arm_region
from ..fields import served_model, to_count, to_text, to_timestamp_us
from ..operations import api_of
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_COLUMNS = {"appId", "gatewayName", "promptTokens", "responseTokens"}
# What the policy writes where the answer had no usage.
_DEFAULTS = (1, 0, 1)
_UNKNOWN = "NA"
# As .NET writes a time in the culture of its host: day, month and year in some order, with or without AM and PM.
_CULTURE = re.compile(
    r"([0-9]{1,4})([./-])\s?([0-9]{1,2})\2\s?([0-9]{1,4})\.?,?\s+"
    r"([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2}))?(?:\s*([AP])\.?M\.?)?",
    re.IGNORECASE,
)


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a usage record."""
    return record.keys() >= _COLUMNS


def read(record: Mapping[str, Any]) -> tuple[Identity | None, Part]:
    """Read one call."""
    model, version = served_model(_name(record, "model"))
    # The region of the backend that answered, not that of the gateway.
    region = _name(record, "routeLocation")
    operation = _name(record, "operationName")
    facets = Facets(
        region=None if region is None else arm_region(region),
        deployment=_name(record, "deploymentName"),
        model=model,
        version=version,
        api=api_of(_name(record, "targetService")) or api_of(operation),
        operation=operation,
        user=_name(record, "productName"),
        app=_name(record, "appId"),
    )
    response_id = _name(record, "id")
    part = Part(PartKind.USAGE, "", facets, _timestamp_us(record), _tokens(record), request_id=response_id)
    return (response_id,) if response_id is not None else None, part


def _name(record: Mapping[str, Any], name: str) -> str | None:
    found = to_text(record.get(name), name)
    return None if found == _UNKNOWN else found


def _tokens(record: Mapping[str, Any]) -> Tokens:
    names = ("promptTokens", "responseTokens", "totalTokens")
    prompt, completion, total = (to_count(record.get(name), name) for name in names)
    if (prompt, completion, total) == _DEFAULTS or not (prompt or completion):
        return NO_TOKENS
    return Tokens(prompt_tokens=prompt, completion_tokens=completion)


def _timestamp_us(record: Mapping[str, Any]) -> int:
    found = to_timestamp_us(record.get("EventEnqueuedUtcTime"), "EventEnqueuedUtcTime")
    if found is not None:
        return found
    told = to_text(record.get("timestamp"), "timestamp")
    if told is None:
        raise RowError("timestamp and EventEnqueuedUtcTime are absent")
    match = _CULTURE.fullmatch(told.strip())
    found = to_timestamp_us(told if match is None else _as_iso(match), "timestamp")
    assert found is not None
    return found


def _as_iso(match: re.Match[str]) -> str:
    first, separator, second, third, hour, minute, second_of_minute, half = match.groups()
    if len(first) == 4:
        year, month, day = int(first), int(second), int(third)
    else:
        year = int(third)
        day, month = _day_and_month(int(first), int(second), separator)
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half in "Pp" else 0)
    try:
        return datetime(year, month, day, hours, int(minute), int(second_of_minute or 0)).isoformat()
    except ValueError:
        raise RowError("timestamp is not a time") from None


def _day_and_month(one: int, other: int, separator: str) -> tuple[int, int]:
    # With points the day comes first wherever people write so. No other mark of a culture is sure, AM and PM included.
    if separator == "." or one > 12 or one == other:
        return one, other
    if other > 12:
        return other, one
    raise RowError(
        "timestamp may be day/month or month/day, as its host was set; a record with EventEnqueuedUtcTime tells"
    )


FORMAT = LogFormat("ai-hub-gateway", sniff, read, names_resource=False)
