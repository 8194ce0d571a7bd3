"""Rows of each format in the service's shape, and a way to read them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from aoai_cost import AoaiCostError, UsageLog, read_usage
from aoai_cost.logs import UsageSums

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/one"
GATEWAY = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim".lower()
SERVED = {"modelDeploymentName": "chat", "modelName": "gpt-4o", "modelVersion": "2024-11-20", "streamType": "Streaming"}
Row = Mapping[str, Any]


def usage_row(
    call: str = "a", prompt: Any = 100, completion: Any = 10, cached: Any = 0, **changes: Any
) -> dict[str, Any]:
    """The half of a call that has the tokens; changes to ``properties`` are merged."""
    properties = {**SERVED, "promptTokens": prompt, "generatedTokens": completion, "cachedTokens": cached}
    row = {
        "EnqueueTime": "2026-10-14T02:03:59.9460000",
        "category": "AzureOpenAIRequestUsage",
        "correlationId": call,
        "location": "eastus",
        "operationName": "ChatCompletions_Create",
        "properties": properties,
        "resourceId": ACCOUNT.upper(),
    }
    return changed(row, changes)


def status_row(call: str = "a", status: Any = "200", duration_ms: Any = 1_180, **changes: Any) -> dict[str, Any]:
    """The half of a call that says how it went."""
    row = {
        "time": "2026-10-14T02:03:59.9910000Z",
        "EnqueueTime": "2026-10-14T02:03:59.9460000",
        "category": "RequestResponse",
        "correlationId": call,
        "durationMs": duration_ms,
        "location": "eastus",
        "operationName": "ChatCompletions_Create",
        "properties": dict(SERVED),
        "resourceId": ACCOUNT.upper(),
        "resultSignature": status,
    }
    return changed(row, changes)


def gateway_row(
    call: str = "a", sequence: int = 0, prompt: Any = "100", completion: Any = "10", **changes: Any
) -> dict[str, Any]:
    """A row of the gateway's table: the one with names and tokens for sequence 0, else a piece of a message."""
    is_head = sequence == 0
    row = {
        "CompletionTokens": completion if is_head else "0",
        "CorrelationId": call,
        "DeploymentName": "chat" if is_head else "",
        "IsStreamCompletion": "False",
        "ModelName": "gpt-4o-2024-11-20" if is_head else "",
        "OperationName": "ChatCompletions_Create",
        "PromptTokens": prompt if is_head else "0",
        "Region": "East US",
        "RequestId": f"chatcmpl-{call}" if is_head else "",
        "RequestMessages": None if is_head else '[{"role":"user","content":"secret"}]',
        "ResponseMessages": None,
        "SequenceNumber": str(sequence),
        "TimeGenerated": "2026-10-14T02:03:59.9460000Z",
        "Type": "ApiManagementGatewayLlmLog",
        "_ResourceId": GATEWAY,
    }
    return changed(row, changes)


def body_row(
    call: str = "a", prompt: Any = 100, completion: Any = 10, cached: Any = 0, **changes: Any
) -> dict[str, Any]:
    """The body of a chat completion."""
    row = {
        "id": f"chatcmpl-{call}",
        "object": "chat.completion",
        "created": 1_791_943_440,
        "model": "gpt-4o-2024-11-20",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "secret"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }
    return changed(row, changes)


def attempt_row(call: str = "a", prompt: Any = 100, completion: Any = 10, **changes: Any) -> dict[str, Any]:
    """A line that a watched client writes."""
    row = {
        "aoai_cost_log": 1,
        "id": f"{call}-1",
        "time": "2026-10-14T02:03:59.946000Z",
        "resource": "one",
        "deployment": "chat",
        "operation": "chat/completions",
        "model": "gpt-4o-2024-11-20",
        "stream": False,
        "sent": True,
        "status": 200,
        "latency_ms": 812.5,
        "request_id": f"apim-{call}",
        "region": "East US",
        "service_tier": "default",
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
        "usage_source": "service",
    }
    return changed(row, changes)


def diagnostics_row(row: Row) -> dict[str, Any]:
    """A row of the storage export as the table AzureDiagnostics has it, every value a text."""
    return {
        "TenantId": "",
        "TimeGenerated": "2026-10-14T02:03:59.946Z",
        "ResourceId": row["resourceId"],
        "Category": row["category"],
        "ResourceProvider": "MICROSOFT.COGNITIVESERVICES",
        "OperationName": row["operationName"],
        "ResultSignature": str(row.get("resultSignature", "")),
        "DurationMs": str(row.get("durationMs", "")),
        "CorrelationId": row["correlationId"],
        "location_s": row["location"],
        "properties_s": json.dumps(row["properties"]),
        "Type": "AzureDiagnostics",
    }


def point_row(metric: str = "ProcessedPromptTokens", sum_: Any = 100.0, **changes: Any) -> dict[str, Any]:
    """A point of a metric as diagnostic settings write it; ``dimensions`` are those of an answer of the API."""
    row = {
        "count": 3,
        "total": sum_,
        "resourceId": ACCOUNT.upper(),
        "time": "2026-10-14T02:03:00.0000000Z",
        "metricName": metric,
        "timeGrain": "PT1M",
    }
    return changed(row, changes)


def metrics_answer(*series: tuple[str, Row, Row], interval: str = "1:00:00") -> dict[str, Any]:
    """What ``az monitor metrics list`` prints: (metric, dimensions, sums by the hour of a day) of each series."""
    metrics: dict[str, Any] = {}
    for metric, dimensions, sums in series:
        one = metrics.setdefault(
            metric,
            {
                "id": f"{ACCOUNT}/providers/Microsoft.Insights/metrics/{metric}",
                "name": {"localizedValue": metric, "value": metric},
                "errorCode": "Success",
                "timeseries": [],
            },
        )
        data = [
            {"timeStamp": f"2026-10-14T{hour}:00+00:00", **({} if sum_ is None else {"total": sum_})}
            for hour, sum_ in sums.items()
        ]
        values = [{"name": {"localizedValue": name, "value": name}, "value": dimensions[name]} for name in dimensions]
        one["timeseries"].append({"data": data, "metadatavalues": values})
    return {"interval": interval, "resourceregion": "eastus", "value": list(metrics.values())}


def emitted_row(name: str = "Prompt Tokens", sum_: Any = 100, count: Any = 1, **changes: Any) -> dict[str, Any]:
    """A row of customMetrics that a gateway emitted."""
    row = {
        "timestamp": "2026-10-14T02:03:59.9460000Z",
        "name": name,
        "value": sum_,
        "valueCount": count,
        "valueSum": sum_,
        "customDimensions": '{"Subscription ID":"team-a","Region":"East US","deploymentName":"chat"}',
        "cloud_RoleName": "apim East US",
    }
    return changed(row, changes)


def query_of(rows: Sequence[Row]) -> dict[str, Any]:
    """What a query answers: columns, and rows of values."""
    names = list(rows[0])
    columns = [{"name": name, "type": "dynamic"} for name in names]
    return {
        "tables": [{"name": "PrimaryResult", "columns": columns, "rows": [[row[one] for one in names] for row in rows]}]
    }


def csv_of(rows: Sequence[Row], delimiter: str = ",", end: str = "\r\n", quoting: Any = csv.QUOTE_MINIMAL) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def changed(row: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with fields replaced, merged into ``properties``, or removed where the change is ``...``."""
    for name, value in changes.items():
        if name == "properties" and isinstance(value, Mapping):
            row["properties"] = {**row["properties"], **value}
        elif value is ...:
            del row[name]
        else:
            row[name] = value
    return row


def lines_of(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read_rows(folder: Path, *files: Sequence[Row], **options: Any) -> UsageLog:
    """Write each sequence of rows as a file of JSON lines and read the folder."""
    for old in folder.glob("*.jsonl"):
        old.unlink()
    for i, rows in enumerate(files):
        (folder / f"{i:03d}.jsonl").write_bytes(lines_of(rows))
    return read_usage(folder, **options)


def read_bytes(folder: Path, data: bytes, name: str = "log.jsonl", **options: Any) -> UsageLog:
    path = folder / name
    path.write_bytes(data)
    return read_usage(path, **options)


def try_to_read(path: Path) -> UsageLog | AoaiCostError:
    try:
        return read_usage(path)
    except AoaiCostError as error:
        return error


def check_outcome(found: UsageLog | AoaiCostError) -> None:
    """A log whose rows are accounted for, or an error that can be shown."""
    if isinstance(found, UsageLog):
        check_counts(found)
    else:
        assert len(str(found)) < 2_000


def calls_of(log: UsageLog) -> list[dict[str, Any]]:
    """The calls without where they stood, as plain values."""
    columns = {}
    for name in log.frame.columns.drop(["source_file", "source_line"]):
        values = log.frame[name]
        known = values.notna().tolist()
        columns[name] = [one if here else None for one, here in zip(values.tolist(), known, strict=True)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def total(log: UsageLog, column: str) -> int:
    return int(log.frame[column].sum())


def check_counts(log: UsageLog) -> None:
    """Every row is accounted for, per file and in total, and every call has its row."""
    for one in (*log.counts.files, log.counts.total):
        assert one.rows == one.requests + one.joined + one.duplicates + one.elsewhere + one.ignored + one.rejected, one
        assert one.unmetered <= one.requests
    assert log.counts.total.rows == sum(one.rows for one in log.counts.files)
    assert log.counts.total.requests == len(log.frame)
    assert log.counts.total.rejected == len(log.rejected) == sum(rows for _, rows in log.counts.reasons)
    assert log.counts.total.unmetered == (log.frame["usage_quality"] == "missing").sum()


def check_same(one: UsageSums, other: UsageSums) -> None:
    """Check that two ways to read say the same of everything."""
    assert one.groups == other.groups
    assert one.counts == other.counts
    assert (one.period, one.formats, one.complete) == (other.period, other.formats, other.complete)
    assert (one.comparisons, one.unmatched) == (other.comparisons, other.unmatched)
    pd.testing.assert_frame_equal(one.rejected, other.rejected)
