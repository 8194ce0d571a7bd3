"""``ApiManagementGatewayLlmLog`` rows of API Management, as Log Analytics and its command line give them.

An event hub or a storage account gets the same as category ``GatewayLlmLogs``.

A call stands in several rows: one has the names and tokens, the others carry pieces of long messages. Which sequence
number the first one has is not fixed. Messages are only counted, where that is asked for. Status, latency and user are
in another table, ``ApiManagementGatewayLogs`` (`apim_gateway_logs`), unless the query joined the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contents import answer_of, messages_body, parsed
from ..fields import needed_id, needed_time_us, served_model, to_count, to_duration_ms, to_flag, to_status, to_text
from ..operations import api_of
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT", "Row"]

_TOKEN_COLUMNS = {"SequenceNumber", "PromptTokens", "CompletionTokens"}
_TABLE, _CATEGORY = "ApiManagementGatewayLlmLog", "GatewayLlmLogs"
_SPILLED, _SERVED = "x-ms-spillover-from-deployment", "x-ms-deployment-name"
_OF_THE_LOG = "Microsoft.ApiManagement/"


class Row:
    """A row of a table, or of a category, whose names begin with a small letter and stand in ``properties``."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        if "TableName" in record:
            # The command line of Azure writes what is null as this text.
            record = {name: None if value == "None" else value for name, value in record.items()}
        properties = record.get("properties")
        self._record, self._properties = record, properties if isinstance(properties, dict) else {}

    def get(self, name: str, small: str | None = None) -> Any:
        """Return a field by its name in the table; None where it is absent or empty."""
        value = self._record.get(name)
        if value is not None and value != "":
            return value
        small = small or name[0].lower() + name[1:]
        for source in (self._properties, self._record):
            value = source.get(small)
            if value is not None and value != "":
                return value
        return None

    def text(self, name: str, small: str | None = None) -> str | None:
        """Return a field that is a name."""
        return to_text(self.get(name, small), name)

    def count(self, name: str) -> int | None:
        """Return a field that is a count."""
        return to_count(self.get(name), name)

    def identity(self) -> tuple[str, str]:
        """Return the gateway and the call that it names."""
        correlation_id = needed_id(self.get("CorrelationId"), "CorrelationId")
        return (self.text("_ResourceId", "resourceId") or "").lower(), correlation_id

    def timestamp_us(self) -> int:
        """Return the time of the row."""
        return needed_time_us(self.get("TimeGenerated", "time"), "TimeGenerated")

    def status(self) -> int | None:
        """Return what the backend answered, which was billed whatever the gateway then told its client."""
        return to_status(self.get("BackendResponseCode")) or to_status(self.get("ResponseCode"))

    def spillover(self, asked: str | None) -> tuple[bool | None, str | None]:
        """Tell whether another deployment served, and return its name or, where none did, the one that was asked.

        Headers of answers are in a log where its diagnostics name them: ``x-ms-spillover-from-deployment`` is on none
        but spilled ones, and ``x-ms-deployment-name`` says who served.
        """
        for name in ("BackendResponseHeaders", "ResponseHeaders"):
            headers = parsed(self.get(name))
            if isinstance(headers, dict):
                told = {key.lower(): _header(value) for key, value in headers.items() if isinstance(key, str)}
                served = told.get(_SERVED)
                if told.get(_SPILLED) is not None:
                    return True, served
                if served is not None and asked is not None and served.lower() == asked.lower():
                    return False, asked
        return None, asked

    def user(self) -> str | None:
        """Return who asked: a subscription of the gateway or, where none is needed, a user."""
        return self.text("ApimSubscriptionId") or self.text("UserId")


def _header(value: Any) -> str | None:
    """Return a header, which may be a list of its values; None for anything that is no name."""
    try:
        return to_text(value[0] if isinstance(value, list) and len(value) == 1 else value, "a header")
    except RowError:
        return None


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a row of the table, also of a query that joined it to another one, or of the category."""
    if record.get("category") == _CATEGORY:
        return True
    table = record.get("Type")
    return "CorrelationId" in record and (table == _TABLE or (table is None and record.keys() >= _TOKEN_COLUMNS))


def read(record: Mapping[str, Any]) -> tuple[Identity, Part]:
    """Read one row of a call."""
    row = Row(record)
    identity, timestamp_us = row.identity(), row.timestamp_us()
    deployment, request_id = row.text("DeploymentName"), row.text("RequestId")
    model, version = served_model(row.text("ModelName"))
    operation = row.text("OperationName")
    if operation is not None and operation.startswith(_OF_THE_LOG):
        operation = None
    tokens = Tokens(
        prompt_tokens=row.count("PromptTokens"),
        # The table drops these; an event hub gets them.
        cached_tokens=row.count("PromptCachedTokens"),
        completion_tokens=row.count("CompletionTokens"),
    ).checked()
    if not any(tokens):
        # The gateway writes zeros for what it did not see, such as a stream without usage.
        tokens = NO_TOKENS
    # Resource and region of a row are the gateway's, not the model's: they must not choose a price.
    spilled, served = row.spillover(deployment)
    facets = Facets(
        deployment=served,
        model=model,
        version=version,
        api=api_of(operation),
        operation=operation,
        stream=to_flag(row.get("IsStreamCompletion")),
        # Who asked, status and duration stand here only where a query joined the two tables.
        user=row.user(),
        app=row.text("ProductId"),
        spillover=spilled,
    )
    if deployment is None and request_id is None and tokens == NO_TOKENS:
        part = Part(PartKind.REST, str(row.count("SequenceNumber")), facets, timestamp_us, request_id=identity[1])
        return identity, part
    duration_ms = to_duration_ms(row.get("TotalTime"))
    call_id = request_id or ""
    return identity, Part(PartKind.USAGE, call_id, facets, timestamp_us, tokens, row.status(), duration_ms, identity[1])


def contents(record: Mapping[str, Any]) -> Content:
    """Return the messages of a row; tools and formats of answers are not in this log."""
    row = Row(record)
    return Content(messages_body(row.get("RequestMessages")), answer_of(row.get("ResponseMessages")))


FORMAT = LogFormat("apim-llm-log", sniff, read, names_resource=False, contents=contents)
