"""Gateway logs of API Management: how each call went and who made it and, where bodies are logged, its usage.

Rows of the table ``ApiManagementGatewayLogs``, or of the category ``GatewayLogs`` in an event hub or a storage account.
They are joined to ``ApiManagementGatewayLlmLog`` rows of the same call. The gateway logs the body of the backend and
then its own, which repeats it: one of them counts. Of bodies only names, times and counts are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...catalog import account_of_host
from ...sources.files import open_text
from ..contents import answer_of, request_of
from ..fields import to_duration_ms, to_text
from ..operations import api_of
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind
from . import apim_llm_log, openai_audio, openai_response, openai_stream
from .apim_llm_log import Row

__all__ = ["FORMAT"]

_CATEGORY, _TABLE = "GatewayLogs", "ApiManagementGatewayLogs"
_URL = re.compile(r"(?:[a-z]+://)?([^/:?#]*)(?::\d+)?([^?#]*)", re.IGNORECASE)
# Of a realtime session it is in the query.
_DEPLOYMENT = re.compile(r"/deployments/([^/?#]+)|[?&]deployment=([^&#]+)")
# Other APIs behind the gateway have images, responses and deployments too: only whole paths of a model's tell.
_API = re.compile(
    r"/(chat/completions)/?$"
    r"|(?:/deployments/[^/]+|/openai|/v1)/(completions|responses|embeddings|images/\w+|audio/\w+|realtime)/?$"
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
    row = Row(record)
    identity, timestamp_us = row.identity(), row.timestamp_us()
    asked, backend = _Url(row.get("Url")), _Url(row.get("BackendUrl"))
    if not (backend.is_model or asked.is_model) or _only_looks(row, asked, backend):
        return None
    operation = row.text("OperationId")
    spilled, served = row.spillover(backend.deployment or asked.deployment)
    facets = Facets(
        # The gateway's own resource and region are not the model's: they must not choose a price.
        resource=backend.account,
        deployment=served,
        api=api_of(operation) or backend.api or asked.api,
        operation=operation,
        user=row.user(),
        app=row.text("ProductId"),
        spillover=spilled,
    )
    duration_ms = to_duration_ms(row.get("TotalTime", "durationMs"))
    part = Part(PartKind.STATUS, "", facets, timestamp_us, NO_TOKENS, row.status(), duration_ms, identity[1])
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


class _Url:
    """What a URL tells: whether it is of a model, and the account, deployment and API that it names."""

    def __init__(self, url: Any) -> None:
        url = url if isinstance(url, str) else ""
        parts = _URL.match(url)
        host, path = (parts[1], parts[2]) if parts else ("", "")
        deployment, api = _DEPLOYMENT.search(url), _API.search(path)
        self.deployment = to_text(deployment[1] or deployment[2], "deployment") if deployment else None
        self.account = to_text(account_of_host(host), "host")
        self.api = api_of(api[1] or api[2]) if api else None
        self.is_model = self.account is not None or api is not None


def _only_looks(row: Row, asked: _Url, backend: _Url) -> bool:
    # A session is opened by a GET; any other asks no model, and the answer that it fetches was billed when it was made.
    method = row.text("Method")
    return method is not None and method.upper() != "POST" and "realtime" not in (asked.api, backend.api)


def _answer(row: Row) -> Part | None:
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


def contents(record: Mapping[str, Any]) -> Content:
    """Return the bodies of a call, those of the backend where they are logged."""
    row = Row(record)
    requests = (request_of(row.get(name)) for name in ("BackendRequestBody", "RequestBody"))
    answers = (answer_of(row.get(name)) for name in ("BackendResponseBody", "ResponseBody"))
    return Content(
        next((one for one in requests if one is not None), None),
        next((one for one in answers if one is not None), None),
    )


FORMAT = LogFormat(
    "apim-gateway-logs",
    sniff,
    read,
    names_resource=False,
    calls_of=apim_llm_log.FORMAT.name,
    contents=contents,
)
