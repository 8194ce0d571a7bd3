"""The samples give the totals that an independent reader confirmed; the example log gives its ledger's."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from log_rows import check_counts, total

from aoai_cost import read_usage

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOUR = (
    "resourceId=/SUBSCRIPTIONS/00000000-0000-0000-0000-0000000000AA/RESOURCEGROUPS/RG-AOAI-TEST/PROVIDERS/"
    "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/AOAI-EASTUS/y=2026/m=10/d=14/h=02/m=00/PT1H.json"
)
USAGE = f"azure-storage/insights-logs-azureopenairequestusage/{HOUR}"
STATUS = f"azure-storage/insights-logs-requestresponse/{HOUR}"
GATEWAY = "apim-llm-log/ApiManagementGatewayLlmLog.json"
BODIES = "openai-responses/nonstreaming.jsonl"
LITELLM = "litellm-spendlogs/spendlogs.jsonl"
LANGFUSE = "langfuse/observations.jsonl"
SPANS = "otel-genai/traces.jsonl"
HUB = "ai-hub-gateway/usage-records.jsonl"
TABLE = "azure-loganalytics-csv/AzureDiagnostics_portal_export.csv"
METRICS = "azure-metrics/az-monitor-metrics-list.json"
MINUTES = "azure-metrics/insights-metrics-pt1m/PT1H.json"
EMITTED = "appinsights-custommetrics/query.json"
STREAM = "openai-responses/stream_include_usage.sse"
SILENT_STREAM = "openai-responses/stream_without_usage.sse"
BATCH = "azure-batch/output.jsonl"
GATEWAY_BODIES = "apim-gatewaylogs-eventhub/gatewaylogs.jsonl"
TOKENS = {
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "audio_in": "audio_in",
    "audio_out": "audio_out",
}


@pytest.fixture(scope="module")
def expected(test_data: Path) -> Any:
    return json.loads((test_data / "samples" / "EXPECTED.json").read_bytes())


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(USAGE, id="usage"),
        pytest.param(GATEWAY, id="gateway"),
        pytest.param(BODIES, id="bodies"),
        pytest.param(LITELLM, id="litellm"),
        pytest.param(LANGFUSE, id="langfuse"),
        pytest.param(SPANS, id="otel-genai"),
        pytest.param(HUB, id="ai-hub-gateway"),
        pytest.param(TABLE, id="table"),
        pytest.param(METRICS, id="metrics"),
        pytest.param(MINUTES, id="minutes"),
        pytest.param(EMITTED, id="emitted"),
        pytest.param(STREAM, id="a stream"),
        pytest.param(SILENT_STREAM, id="a stream without usage"),
        pytest.param(BATCH, id="a batch"),
        pytest.param(GATEWAY_BODIES, id="bodies in gateway logs"),
    ],
)
def test_a_sample_has_its_expected_totals(test_data: Path, expected: Any, sample: str) -> None:
    log, wanted = read_usage(test_data / "samples" / sample), expected[sample]
    check_counts(log)
    assert log.complete
    # Metrics of tokens do not tell how many calls they sum.
    assert total(log, "requests") == wanted.get("requests", 0)
    # The table has the statuses of all calls, one of them an image whose size it does not tell.
    assert log.counts.total.unmetered == wanted.get("unmetered_requests", 1 if sample == TABLE else 0)
    billable = log.frame.loc[log.frame["usage_quality"] != "not_billed", "requests"].sum()
    assert billable == wanted.get("billable_requests", billable)
    assert log.counts.total.rows == wanted.get("rows", wanted.get("lines", log.counts.total.rows))
    found = {name: total(log, column) for name, column in TOKENS.items() if name in wanted}
    assert found == {name: wanted[name] for name in found}
    assert len(found) >= 2 or wanted["requests"] == wanted["unmetered_requests"]
    for deployment, by in (wanted.get("by_deployment") or {}).items():
        rows = log.frame[log.frame["deployment"] == deployment]
        assert rows["prompt_tokens"].sum() == by["prompt"]
        assert rows["completion_tokens"].sum() == by["completion"]
        assert "cached" not in by or rows["cached_tokens"].sum() == by["cached"]
        assert rows["requests"].sum() == by.get("requests", rows["requests"].sum())


def test_the_served_model_behind_a_router_is_named(test_data: Path) -> None:
    frame = read_usage(test_data / "samples" / GATEWAY).frame
    row = frame[frame["deployment"] == "model-router"].iloc[0]
    assert (row["model"], row["version"]) == ("gpt-4.1-mini", "2025-04-14")


def test_statuses_without_the_other_half_have_no_tokens(test_data: Path, expected: Any) -> None:
    log, wanted = read_usage(test_data / "samples" / STATUS), expected[STATUS]
    check_counts(log)
    assert len(log.frame) == wanted["requests"]
    assert log.counts.total.rows == wanted["lines"]
    assert (log.counts.total.duplicates, log.counts.total.joined) == (1, 1)
    names = log.frame["deployment"].astype("object").fillna("(none)").value_counts().to_dict()
    assert names == wanted["requests_by_deployment"]
    statuses = {str(status): n for status, n in log.frame["status"].value_counts().items()}
    assert statuses == wanted["status_counts"]
    assert log.frame["prompt_tokens"].isna().all()
    assert log.counts.total.unmetered == 6


def test_both_halves_are_joined_before_they_are_counted(test_data: Path, expected: Any) -> None:
    log, wanted = read_usage(test_data / "samples" / "azure-storage"), expected[USAGE]
    check_counts(log)
    # Eight calls with a status, and one that has tokens alone.
    assert len(log.frame) == 9
    assert {name: total(log, name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")} == {
        name: wanted[name] for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
    }
    filtered = log.frame[log.frame["status"] == 400].iloc[0]
    assert (filtered["prompt_tokens"], filtered["usage_quality"]) == (310, "measured")


def test_halves_given_the_other_way_round_are_the_same_log(test_data: Path) -> None:
    samples = test_data / "samples"
    one, other = read_usage(samples / USAGE, samples / STATUS), read_usage(samples / STATUS, samples / USAGE)
    pd.testing.assert_frame_equal(one.frame, other.frame)


def test_a_table_and_the_storage_account_hold_the_same_calls(test_data: Path, expected: Any) -> None:
    samples = test_data / "samples"
    log = read_usage(samples / "azure-storage", samples / TABLE)
    check_counts(log)
    assert (len(log.frame), log.counts.total.conflicts) == (expected[TABLE]["requests"], 0)
    assert total(log, "prompt_tokens") == expected[TABLE]["prompt_tokens"]


def test_metrics_by_the_hour_and_by_the_minute_count_once(test_data: Path, expected: Any) -> None:
    log = read_usage(test_data / "samples" / "azure-metrics")
    check_counts(log)
    assert total(log, "prompt_tokens") == expected[METRICS]["prompt_tokens"]
    assert log.counts.total.duplicates == 4


def test_the_companion_table_of_the_gateway_says_who_asked_and_how_it_went(test_data: Path, expected: Any) -> None:
    log = read_usage(test_data / "samples" / "apim-llm-log")
    check_counts(log)
    # Of the five calls one was refused, and stands in the companion alone.
    assert (log.counts.total.requests, log.counts.total.unmetered, log.counts.total.ignored) == (5, 1, 0)
    billed = log.frame[log.frame["usage_quality"] == "measured"]
    found = billed.groupby("user", observed=True)[["prompt_tokens", "completion_tokens"]].sum()
    assert {user: tuple(row) for user, row in found.iterrows()} == {
        user: (wanted["prompt"], wanted["completion"]) for user, wanted in expected[GATEWAY]["by_consumer"].items()
    }
    assert log.frame["status"].tolist() == [200, 200, 200, 200, 429]
    assert log.frame["latency_ms"].tolist() == [900, 901, 902, 5100, 11]
    assert log.frame["usage_quality"].tolist()[-2:] == ["missing", "not_billed"]


def test_all_files_of_a_batch_are_its_calls(test_data: Path) -> None:
    log = read_usage(test_data / "samples" / "azure-batch")
    check_counts(log)
    assert (log.counts.total.requests, log.counts.total.unmetered, log.counts.total.ignored) == (4, 1, 1)
    assert set(log.frame["service_tier"]) == {"batch"}
    assert (log.frame["usage_quality"] == "not_billed").sum() == 1


def test_the_deployment_of_a_gateways_call_is_in_its_url(test_data: Path) -> None:
    frame = read_usage(test_data / "samples" / GATEWAY_BODIES).frame
    assert set(frame["deployment"]) == {"gpt-chat-pilot"}
    assert set(frame["resource"]) == {"aoai-eastus"}
    assert frame["status"].tolist() == [200, 400, 200, 200]


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("example_generator", EXAMPLES / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_example_log_is_what_its_script_writes(tmp_path: Path) -> None:
    generator().write(tmp_path)
    assert files_of(tmp_path / "logs") == files_of(EXAMPLES / "logs")
    for name in ("expected.json", "history.csv"):
        assert (tmp_path / name).read_bytes() == (EXAMPLES / name).read_bytes()


def test_the_example_log_reads_as_its_ledger_says() -> None:
    log = read_usage(EXAMPLES / "logs")
    check_counts(log)
    ledger = json.loads((EXAMPLES / "expected.json").read_bytes())
    assert {name: getattr(log.counts.total, name) for name in ledger["rows"]} == ledger["rows"]
    frame = log.frame.assign(
        requests=1,
        unmetered=(log.frame["usage_quality"] == "missing").astype("int64"),
        not_billed=(log.frame["usage_quality"] == "not_billed").astype("int64"),
        day=log.frame["timestamp"].dt.strftime("%Y-%m-%d"),
    )
    names = ["resource", "deployment", "model", "version"]
    counted = [name for name in ledger["calls"][0] if name not in names]
    calls = frame.groupby(names, dropna=False, observed=True)[counted].sum().reset_index()
    found = [
        {name: None if name in names and pd.isna(row[name]) else row[name] for name in (*names, *counted)}
        for row in calls.to_dict("records")
    ]
    key = [tuple(str(call[name]) for name in names) for call in found]
    wanted_key = [tuple(str(call[name]) for name in names) for call in ledger["calls"]]
    assert dict(zip(key, found, strict=True)) == dict(zip(wanted_key, ledger["calls"], strict=True))
    days = frame.groupby("day")[counted].sum()
    assert {day: {name: int(row[name]) for name in counted} for day, row in days.iterrows()} == ledger["days"]


def test_the_example_log_holds_what_it_says_of_itself() -> None:
    log = read_usage(EXAMPLES / "logs")
    assert not log.complete
    assert log.rejected["reason"].iloc[0].startswith("the last line is unfinished")
    assert sum(path.stat().st_size for path in (EXAMPLES / "logs").rglob("*") if path.is_file()) < 400_000
    chats = log.frame[log.frame["deployment"] == "chat"]
    assert chats["resource"].nunique() == 3
    assert log.frame["prompt_tokens"].max() > 272_000
