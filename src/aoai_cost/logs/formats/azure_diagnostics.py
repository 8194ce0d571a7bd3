"""The table AzureDiagnostics of Log Analytics as portals and queries export it: rows of `azure_monitor`, renamed.

The same calls may lie in the storage account too; under the names of the export both are rows of one call.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["as_exported", "is_diagnostics"]

_PROVIDER = "microsoft.cognitiveservices"
_CATEGORIES = {"azureopenairequestusage", "requestresponse"}
_NAMES = {
    name.lower(): name
    for name in ("category", "operationName", "resultSignature", "durationMs", "correlationId", "location", "Tenant")
}
_ID = f"/subscriptions/{{}}/resourcegroups/{{}}/providers/{_PROVIDER}/accounts/{{}}"
# Names of a type that a column ends in.
_TYPES = ("_s", "_d", "_g", "_b", "_t")


def is_diagnostics(record: Mapping[str, Any]) -> bool:
    """Tell a row of the table that is about an account."""
    category = record.get("Category")
    if not isinstance(category, str) or "OperationName" not in record:
        return False
    if record.get("Type", "AzureDiagnostics") != "AzureDiagnostics":
        return False
    if category.lower() in _CATEGORIES:
        return True
    provider = record.get("ResourceProvider")
    return isinstance(provider, str) and provider.lower() == _PROVIDER


def as_exported(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with the names and values that the storage export has."""
    # The command line of Azure writes what is null as this text.
    nothing: tuple[Any, ...] = (None, "", "None") if "TableName" in record else (None, "")
    found: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for column, value in record.items():
        name, typed = _bare(column)
        if value in nothing:
            continue
        if name in _NAMES:
            found.setdefault(_NAMES[name], _whole(value))
        elif name == "properties":
            found["properties"] = value
        elif typed:
            # A setting that writes the fields of the object side by side.
            properties[column[:-2]] = _whole(value)
    for column in ("ResourceId", "_ResourceId"):
        if record.get(column) not in nothing:
            found.setdefault("resourceId", record[column])
    if "resourceId" not in found:
        # A query that kept the names alone: together they are the id.
        account = [record.get(column) for column in ("SubscriptionId", "ResourceGroup", "Resource")]
        if all(isinstance(name, str) and name not in nothing for name in account):
            found["resourceId"] = _ID.format(*account)
        elif record.get("Resource") not in nothing:
            found["resourceId"] = record["Resource"]
    found.setdefault("properties", properties)
    found["time"] = record.get("TimeGenerated")
    return found


@lru_cache(1024)
def _bare(column: str) -> tuple[str, bool]:
    typed = column.endswith(_TYPES)
    return (column[:-2] if typed else column).lower(), typed


def _whole(value: Any) -> Any:
    """Return the whole number that a column of doubles holds."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.removesuffix(".0") if isinstance(value, str) else value
