"""Metrics of the account: what ``az monitor metrics list`` and REST answer, and what diagnostic settings write.

A point is the sum of one meter over one interval and one combination of dimensions. Two families of metrics count the
same tokens, and a log may hold several views of them: of an account's time each meter counts once (`join.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...catalog import arm_region
from ..fields import served_model, to_text, to_timestamp_us, to_whole
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_COUNTS = {
    "inputtokens": "prompt_tokens",
    "outputtokens": "completion_tokens",
    "processedprompttokens": "prompt_tokens",
    "generatedtokens": "completion_tokens",
}
# How many calls the sums stand for, refused ones too.
_CALLS = {"modelrequests", "azureopenairequests"}
# Whether these are inside the counts above nobody documents.
_UNCLEAR = {"audioinputtokens", "audiooutputtokens", "audioprompttokens", "audiocompletiontokens"}
_IMAGES = "generatedimages"
# The newer family, "Models - Usage", goes before the older one of Azure OpenAI where both are there. Totals hold prompt
# and completion together: they are never added to their parts.
_NEWER = {"inputtokens", "outputtokens", "totaltokens", "modelrequests", _IMAGES}
_OLDER = {"processedprompttokens", "generatedtokens", "tokentransaction", "azureopenairequests"}
_KNOWN = _NEWER | _OLDER | _UNCLEAR
_GRAIN = re.compile(r"PT?(?:(\d{1,3})D)?T?(?:(\d{1,4})H)?(?:(\d{1,6})M)?")
_CLOCK = re.compile(r"(?:(\d{1,3}) days?, )?(\d{1,2}):(\d\d):(\d\d)")
_DAY_S = 86_400


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a point of a metric: of the export, of an answer that was opened, or of the table AzureMetrics."""
    if "metricName" in record and "resourceId" in record and "timeGrain" in record:
        return "category" not in record
    return record.get("Type") == "AzureMetrics" and "MetricName" in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one point; None where it has no data or is of a metric of something else."""
    if "metricName" not in record:
        record = {
            "metricName": record["MetricName"],
            "resourceId": record.get("ResourceId") or record.get("_ResourceId"),
            "timeGrain": record.get("TimeGrain"),
            "time": record.get("TimeGenerated"),
            "total": record.get("Total"),
        }
    metric = (to_text(record["metricName"], "metricName") or "").lower()
    total = record.get("total")
    if metric not in _KNOWN or total is None or total == "":
        return None
    sum_ = to_whole(total, "total") or 0
    if not sum_ and metric not in _COUNTS and metric not in _CALLS:
        return None
    if metric in _UNCLEAR:
        raise RowError("audio tokens of metrics: nobody documents whether the prompt and completion metrics hold them")
    resource = to_text(record["resourceId"], "resourceId")
    timestamp_us = to_timestamp_us(record.get("time"), "time")
    if resource is None or timestamp_us is None:
        raise RowError("the point has no resourceId or no time")
    span_s = _seconds(record["timeGrain"])
    resource = resource.lower().rstrip("/")
    dimensions = record.get("dimensions") or {}
    facets, series = _facets(resource, record.get("location"), dimensions)
    part = Part(
        PartKind.METER,
        series,
        facets,
        timestamp_us,
        Tokens(**{_COUNTS[metric]: sum_}) if metric in _COUNTS else NO_TOKENS,
        quality="aggregated",
        requests=None,
        span_s=span_s,
        # A view by more dimensions tells more of the same tokens.
        rank=100 * (metric in _NEWER) + min(len(dimensions), 99),
    )
    if metric in _CALLS:
        # Only points by the same dimensions add up.
        part = part._replace(kind=PartKind.CALLS, requests=sum_, request_id="\0".join(sorted(dimensions)))
    if metric == _IMAGES:
        part = part._replace(kind=PartKind.USAGE, call_id="", quantities=(("image", "text", "", sum_),))
        return (resource, metric, series, str(timestamp_us), str(span_s)), part
    return (resource, str(timestamp_us // (_DAY_S * 1_000_000))), part


def _facets(resource: str, location: Any, dimensions: Any) -> tuple[Facets, str]:
    """Return what the dimensions of a series name, and a text that tells it from the other series."""
    if not isinstance(dimensions, dict):
        raise RowError("dimensions must be an object")
    named = {name: to_text(dimensions.get(name), name) for name in dimensions}
    # In the older family the feature is the model.
    model, version = served_model(named.get("modelname") or named.get("featurename"), named.get("modelversion"))
    region = named.get("region") or to_text(location, "location")
    facets = Facets(
        resource=resource,
        region=arm_region(region) if region is not None else None,
        deployment=named.get("modeldeploymentname"),
        model=model,
        version=version,
        api="embeddings" if model is not None and "embedding" in model else None,
    )
    return facets, "\0".join(f"{name}\1{named[name] or ''}" for name in sorted(named))


def _seconds(grain: Any) -> int:
    """Return the length of an interval, written as ISO 8601 or as the command line of Azure prints it."""
    if isinstance(grain, str):
        if (found := _GRAIN.fullmatch(grain)) is not None:
            days, hours, minutes = (int(one or 0) for one in found.groups())
            seconds = days * _DAY_S + hours * 3_600 + minutes * 60
        elif (found := _CLOCK.fullmatch(grain)) is not None:
            days, hours, minutes, rest = (int(one or 0) for one in found.groups())
            seconds = days * _DAY_S + hours * 3_600 + minutes * 60 + rest
        else:
            seconds = 0
        if seconds % 60 == 0 and 60 <= seconds <= 31 * _DAY_S:
            return seconds
    raise RowError("the interval of the point is absent or not of minutes, hours or days")


FORMAT = LogFormat("azure-metrics", sniff, read, names_deployment=False)
