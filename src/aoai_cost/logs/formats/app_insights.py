"""Token metrics that a gateway emits to Application Insights: ``customMetrics``, or AppMetrics in Log Analytics.

A row is the sum of one meter over the calls of some moments, so that a call stands in three rows at least. Region and
service among the dimensions are the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..fields import needed_time_us, served_model, to_count, to_text, to_whole
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_COUNTS = {
    "prompt tokens": "prompt_tokens",
    "input tokens": "prompt_tokens",
    "completion tokens": "completion_tokens",
    "output tokens": "completion_tokens",
    "cached tokens": "cached_tokens",
    "prompt cached tokens": "cached_tokens",
    "cached prompt tokens": "cached_tokens",
    "reasoning tokens": "reasoning_tokens",
    "completion reasoning tokens": "reasoning_tokens",
}
_TOTAL = "total tokens"
# Whoever writes the policy chooses the name of the dimension.
_DEPLOYMENT = ("deployment", "deploymentname", "deploymentid", "modeldeployment", "modeldeploymentname")
_MODEL = ("model", "modelname", "modelid")
_USER = ("userid", "subscriptionid", "productid")
_APP = ("appid", "app", "application", "applicationid", "appname")


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a row of either table, whatever it measures."""
    if "customDimensions" in record and "name" in record:
        return "valueSum" in record or "valueCount" in record
    return record.get("Type") == "AppMetrics" and "Name" in record and "Sum" in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one sum; None for a metric that counts no tokens."""
    if "customDimensions" in record:
        names = ("name", "valueSum", "valueCount", "customDimensions", "timestamp", "cloud_RoleName", "itemId")
        instance = record.get("cloud_RoleInstance")
    else:
        names = ("Name", "Sum", "ItemCount", "Properties", "TimeGenerated", "AppRoleName", "_ItemId")
        instance = record.get("AppRoleInstance")
    metric, sum_, count, dimensions, time, role, item = names
    name = (to_text(record[metric], metric) or "").lower()
    if not name.endswith(" tokens"):
        return None
    tokens = to_whole(record.get(sum_), sum_)
    if tokens is None:
        raise RowError(f"{sum_} is absent: the row holds no sum")
    if name not in _COUNTS and name != _TOTAL:
        if not tokens:
            return None
        raise RowError("the metric counts tokens of a kind that is not known, which may be inside the others")
    timestamp_us = needed_time_us(record.get(time), time)
    told = _dimensions(record.get(dimensions))
    model, version = served_model(_first(told, _MODEL))
    facets = Facets(
        deployment=_first(told, _DEPLOYMENT),
        model=model,
        version=version,
        api="embeddings" if model is not None and "embedding" in model else None,
        user=_first(told, _USER),
        app=_first(told, _APP),
    )
    series = "\0".join(f"{key}\1{told[key]}" for key in sorted(told))
    place = "\0".join(to_text(one, "the name of the role") or "" for one in (record.get(role), instance))
    part = Part(
        PartKind.METER,
        "",
        facets,
        timestamp_us,
        Tokens(**{_COUNTS[name]: tokens}) if name in _COUNTS else NO_TOKENS,
        request_id=to_text(record.get(item), item),
        quality="aggregated",
        requests=to_count(to_whole(record.get(count), count), count),
    )
    return (str(timestamp_us), place, series), part


def _dimensions(value: Any) -> dict[str, str]:
    """Return the dimensions by their names in small letters alone; empty ones are left out."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value) if value else {}
        except orjson.JSONDecodeError:
            raise RowError("the dimensions are a text that is not JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RowError("the dimensions must be an object or its JSON text")
    found = {}
    for name, one in value.items():
        text = to_text(one, "a dimension")
        if text is not None:
            found["".join(letter for letter in name.lower() if letter.isalnum())] = text
    return found


def _first(told: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((told[name] for name in names if name in told), None)


FORMAT = LogFormat("app-insights", sniff, read, names_deployment=False, names_resource=False)
