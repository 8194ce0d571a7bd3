"""Gateway logs of API Management: how each call went and who made it and, where bodies are logged, its usage.

Rows of the table ``ApiManagementGatewayLogs``, or of the category ``GatewayLogs`` in an event hub or a storage account.
They are joined to ``ApiManagementGatewayLlmLog`` rows of the same call. The gateway logs the body of the backend and
then its own, which repeats it: one of them counts. Of bodies only names, times and counts are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...catalog import arm_resource
from ..fields import to_duration_ms, to_status, to_text, to_timestamp_us
from ..files import open_text
from ..operations import api_of
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError
from . import apim_llm_log, openai_audio, openai_response, openai_stream

__all__ = ["FORMAT"]

_CATEGORY, _TABLE = "GatewayLogs", "ApiManagementGatewayLogs"
_URL = re.compile(r"(?:[a-z]+://)?([^/:?#]*)(?::\d+)?([^?#]*)", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)")
_API = re.compile(r"/(chat/completions|completions|responses|embeddings|images|audio|realtime)(/|$)")
_HOSTS = tuple(
    f".{service}.azure.{domain}"
    for domain in ("com", "us", "cn")
    for service in ("openai", "cognitiveservices", "services.ai")
)
_BODIES = (openai_response.FORMAT, openai_stream.FORMAT, openai_audio.FORMAT)


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a row of either kind, but not one of a query that joined the table to the one with tokens."""
    if record.get("category") == _CATEGORY:
        return "correlationId" in record
    if "CorrelationId" not in record or apim_llm_log.sniff(record):
        return False
    return record.get("Type") == _TABLE or {"ApiId", "BackendResponseCode"} <= record.keys()


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one call; None for one that went to no model, or fetched an answer again."""
    row = _Row(record)
    correlation_id = row.text("CorrelationId")
    if correlation_id is None:
        raise RowError("the correlation id is empty: the row can be joined to nothing, nor told from a duplicate")
    timestamp_us = to_timestamp_us(row.get("TimeGenerated", "time"), "the time of the row")
    if timestamp_us is None:
        raise RowError("the row has no time")
    asked, backend = _Url(row.text("Url")), _Url(row.text("BackendUrl"))
    if not (backend.is_model or asked.is_model) or _only_looks(row, asked):
        return None
    operation = row.text("OperationId")
    facets = Facets(
        # The gateway's own resource and region are not the model's: they must not choose a price.
        resource=backend.account,
        deployment=backend.deployment or asked.deployment,
        api=api_of(operation) or backend.api or asked.api,
        operation=operation,
        user=row.text("ApimSubscriptionId") or row.text("UserId"),
        app=row.text("ProductId"),
    )
    # What the backend answered was billed, whatever the gateway then told its client.
    status = to_status(row.get("BackendResponseCode")) or to_status(row.get("ResponseCode"))
    duration_ms = to_duration_ms(row.get("TotalTime", "durationMs"))
    part = Part(PartKind.STATUS, "", facets, timestamp_us, NO_TOKENS, status, duration_ms, correlation_id)
    identity = ((row.text("_ResourceId", "resourceId") or "").lower(), correlation_id)
    if row.text("Cache") == "hit":
        return identity, part._replace(quality="not_billed")
    answer = _answer(row)
    if answer is None:
        return identity, part
    part = part._replace(facets=facets.filled(answer.facets))
    if answer.tokens == NO_TOKENS and not answer.quantities:
        return identity, part
    return identity, part._replace(
        kind=PartKind.USAGE, call_id=answer.request_id or "", tokens=answer.tokens, quantities=answer.quantities
    )


class _Row:
    """A row of the table, or of the category, where names begin with a small letter and stand in ``properties``."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = apim_llm_log.without_nulls(record)
        properties = record.get("properties")
        self._properties = properties if isinstance(properties, dict) else {}

    def get(self, name: str, other: str | None = None) -> Any:
        small = other or name[0].lower() + name[1:]
        for source, key in ((self._record, name), (self._record, small), (self._properties, small)):
            value = source.get(key)
            if value is not None and value != "":
                return value
        return None

    def text(self, name: str, other: str | None = None) -> str | None:
        return to_text(self.get(name, other), name)


class _Url:
    """What a URL tells: whether it is of a model, and the account, deployment and API that it names."""

    def __init__(self, url: str | None) -> None:
        parts = _URL.match(url or "")
        host, path = (parts[1].lower(), parts[2]) if parts else ("", "")
        of_azure = host.endswith(_HOSTS)
        deployment, api = _DEPLOYMENT.search(path), _API.search(path)
        self.deployment = deployment[1] if deployment else None
        self.account = arm_resource(host.partition(".")[0]) if of_azure else None
        self.api = api_of(api[1]) if api else None
        self.is_model = of_azure or deployment is not None or api is not None


def _only_looks(row: _Row, asked: _Url) -> bool:
    # A session is opened by a GET; any other asks no model, and the answer that it fetches was billed when it was made.
    method = row.text("Method")
    return method is not None and method.upper() != "POST" and asked.api != "realtime"


def _answer(row: _Row) -> Part | None:
    """Return what the body says, of the backend where it tells usage; None where no body can be read."""
    found = None
    for name in ("BackendResponseBody", "ResponseBody"):
        for part in _parts(row.get(name)):
            # Of a stream the last count is the one; the pieces before it have the names.
            told = part.tokens != NO_TOKENS or bool(part.quantities)
            if found is None:
                found = part
            elif told:
                found = part._replace(facets=part.facets.filled(found.facets))
            else:
                found = found._replace(facets=found.facets.filled(part.facets))
        if found is not None and (found.tokens != NO_TOKENS or found.quantities):
            break
    return found


def _parts(body: Any) -> Iterator[Part]:
    for record in open_text(body) if isinstance(body, str) else (body,):
        if isinstance(record, dict):
            for one in _BODIES:
                if one.sniff(record):
                    read_ = one.read(record)
                    if read_ is not None:
                        yield read_[1]
                    break


FORMAT = LogFormat("apim-gateway-logs", sniff, read, names_resource=False, calls_of=apim_llm_log.FORMAT.name)
