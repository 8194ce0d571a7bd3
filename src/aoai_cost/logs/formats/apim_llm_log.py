"""``ApiManagementGatewayLlmLog`` rows of API Management, as Log Analytics and its command line give them.

A call stands in several rows: one has the names and tokens, the others carry pieces of long messages. Which sequence
number the first one has is not fixed. Messages are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import served_model, to_count, to_flag, to_text, to_timestamp_us
from ..operations import api_of
from ..schema import Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_TOKEN_COLUMNS = {"SequenceNumber", "PromptTokens", "CompletionTokens"}
_TABLE, _COMPANION = "ApiManagementGatewayLlmLog", "ApiManagementGatewayLogs"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a row of the table, or of its companion where that holds no bodies."""
    return "CorrelationId" in record and (_is_ours(record) or _is_companion(record))


def _is_ours(record: Mapping[str, Any]) -> bool:
    table = record.get("Type")
    return table == _TABLE or (table is None and record.keys() >= _TOKEN_COLUMNS)


def _is_companion(record: Mapping[str, Any]) -> bool:
    # A query may have joined the two tables: where the columns of tokens stand, the row is one of ours.
    if _is_ours(record):
        return False
    if record.get("Type") != _COMPANION and not {"ApiId", "BackendResponseCode"} <= record.keys():
        return False
    # Bodies that it logged can hold usage: a format of its own.
    return not record.get("ResponseBody") and not record.get("BackendResponseBody")


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one row of a call; None for the companion table, which has no tokens."""
    if _is_companion(record):
        return None
    if "TableName" in record:
        # The command line of Azure writes what is null as this text.
        record = {name: None if value == "None" else value for name, value in record.items()}
    correlation_id = to_text(record.get("CorrelationId"), "CorrelationId")
    if correlation_id is None:
        raise RowError("CorrelationId is empty: the row can be joined to nothing, nor told from a duplicate")
    timestamp_us = to_timestamp_us(record.get("TimeGenerated"), "TimeGenerated")
    if timestamp_us is None:
        raise RowError("TimeGenerated is absent")
    deployment = to_text(record.get("DeploymentName"), "DeploymentName")
    served = to_text(record.get("ModelName"), "ModelName")
    model, version = served_model(served)
    operation = to_text(record.get("OperationName"), "OperationName")
    tokens = Tokens(
        prompt_tokens=to_count(record.get("PromptTokens"), "PromptTokens"),
        completion_tokens=to_count(record.get("CompletionTokens"), "CompletionTokens"),
    )
    if not tokens.prompt_tokens and not tokens.completion_tokens:
        # The gateway writes zeros for what it did not see, such as a stream without usage.
        tokens = Tokens()
    request_id = to_text(record.get("RequestId"), "RequestId")
    gateway = (to_text(record.get("_ResourceId"), "_ResourceId") or "").lower()
    # Resource and region of a row are the gateway's, not the model's: they must not choose a price.
    facets = Facets(
        deployment=deployment,
        model=model,
        version=version,
        api=api_of(operation),
        operation=operation,
        stream=to_flag(record.get("IsStreamCompletion")),
    )
    is_head = deployment is not None or request_id is not None or tokens.prompt_tokens is not None
    if is_head:
        part = Part(PartKind.USAGE, request_id or "", facets, timestamp_us, tokens, request_id=correlation_id)
    else:
        sequence = to_count(record.get("SequenceNumber"), "SequenceNumber")
        part = Part(PartKind.REST, str(sequence), facets, timestamp_us, request_id=correlation_id)
    return (gateway, correlation_id), part


FORMAT = LogFormat("apim-llm-log", sniff, read, names_resource=False)
