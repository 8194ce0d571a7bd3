"""Files of a batch: its output and its errors, and its input, which alone names the deployment.

No line says of which batch it is, and ``custom_id`` is unique only within one. So it joins input to output, and what
the service calls a request keeps the calls of several batches apart. The batch object (``batch.json``) knows the ids of
the files, which are in no line, and sums that repeat the lines: nothing of it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contents import answer_of, request_of
from ..fields import needed_id, to_status, to_text
from ..operations import api_of
from ..schema import Content, Facets, Identity, LogFormat, Part, PartKind, RowError
from . import openai_response

__all__ = ["FORMAT"]

_TIER = "batch"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a line of any of the files, or the batch object."""
    if record.get("object") == "batch":
        return True
    return "custom_id" in record and ("response" in record or "error" in record or _is_input(record))


def _is_input(record: Mapping[str, Any]) -> bool:
    return "body" in record and "url" in record and "response" not in record


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one line; None for the batch object."""
    if "custom_id" not in record:
        return None
    custom_id = needed_id(record["custom_id"], "custom_id")
    return (_TIER, custom_id), _asked(record) if _is_input(record) else _answered(record, custom_id)


def contents(record: Mapping[str, Any]) -> Content:
    """Return the request of a line of the input, or the answer of one of the output."""
    if _is_input(record):
        return Content(request_of(record["body"]))
    response = record.get("response")
    return Content(answer=answer_of(response.get("body")) if isinstance(response, dict) else None)


def _asked(record: Mapping[str, Any]) -> Part:
    body = record["body"]
    if not isinstance(body, dict):
        raise RowError("body must be an object")
    deployment = to_text(body.get("model"), "model")
    api = api_of(to_text(record["url"], "url"))
    return Part(PartKind.REST, "", Facets(deployment=deployment, api=api, service_tier=_TIER), None)


def _answered(record: Mapping[str, Any], custom_id: str) -> Part:
    response = record.get("response")
    line_id = to_text(record.get("id"), "id")
    if not isinstance(response, dict):
        # Expired, cancelled or refused before any model was asked.
        error = record.get("error")
        code = to_text(error.get("code"), "code") if isinstance(error, dict) else None
        facets = Facets(service_tier=_TIER)
        call_id = line_id or f"error {code}"
        return Part(PartKind.USAGE, call_id, facets, None, request_id=custom_id, quality="not_billed")
    body = response.get("body")
    part = Part(PartKind.USAGE, "", Facets(), None)
    if isinstance(body, dict) and openai_response.sniff(body) and (found := openai_response.read(body)):
        _, part = found
    request_id = to_text(response.get("request_id"), "request_id") or line_id or part.request_id
    return part._replace(
        kind=PartKind.USAGE,
        call_id=request_id or "",
        facets=part.facets._replace(service_tier=_TIER),
        status=to_status(response.get("status_code")) or part.status,
        request_id=request_id or custom_id,
    )


FORMAT = LogFormat(
    "azure-batch",
    sniff,
    read,
    names_deployment=False,
    names_resource=False,
    calls_of=openai_response.FORMAT.name,
    contents=contents,
)
