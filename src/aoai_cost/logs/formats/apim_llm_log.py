"""``ApiManagementGatewayLlmLog`` rows of API Management, as Log Analytics and its command line give them.

A call stands in several rows: one has the names and tokens, the others carry pieces of long messages. Which sequence
number the first one has is not fixed. Messages are never read. Status, latency and user are in another table,
``ApiManagementGatewayLogs`` (`apim_gateway_logs`), unless the query joined the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import served_model, to_count, to_duration_ms, to_flag, to_status, to_text, to_timestamp_us
from ..operations import api_of
from ..schema import Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT", "without_nulls"]

_TOKEN_COLUMNS = {"SequenceNumber", "PromptTokens", "CompletionTokens"}
_TABLE = "ApiManagementGatewayLlmLog"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a row of the table, also of a query that joined it to another one."""
    table = record.get("Type")
    return "CorrelationId" in record and (table == _TABLE or (table is None and record.keys() >= _TOKEN_COLUMNS))


def without_nulls(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with None for what the command line of Azure writes as the text ``None``."""
    if "TableName" not in record:
        return record
    return {name: None if value == "None" else value for name, value in record.items()}


def read(record: Mapping[str, Any]) -> tuple[Identity, Part]:
    """Read one row of a call."""
    record = without_nulls(record)
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
        # These stand here only where a query joined the two tables.
        user=to_text(record.get("ApimSubscriptionId"), "ApimSubscriptionId"),
        app=to_text(record.get("ProductId"), "ProductId"),
    )
    status = to_status(record.get("BackendResponseCode")) or to_status(record.get("ResponseCode"))
    duration_ms = to_duration_ms(record.get("TotalTime"))
    is_head = deployment is not None or request_id is not None or tokens.prompt_tokens is not None
    if is_head:
        call_id = request_id or ""
        part = Part(PartKind.USAGE, call_id, facets, timestamp_us, tokens, status, duration_ms, correlation_id)
    else:
        sequence = to_count(record.get("SequenceNumber"), "SequenceNumber")
        part = Part(PartKind.REST, str(sequence), facets, timestamp_us, request_id=correlation_id)
    return (gateway, correlation_id), part


FORMAT = LogFormat("apim-llm-log", sniff, read, names_resource=False)
