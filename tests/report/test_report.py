"""The report equals pricing every call by itself, whatever the order, and says what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aoai_cost import (
    CostReport,
    PriceBook,
    RequestError,
    ScaleVolume,
    cost_report,
    read_deployments,
    read_usage,
    what_if,
)

RESOURCE = "contoso"
DEPLOYMENTS = """
[[deployment]]
resource = "contoso"
name = "chat"
model = "gpt-4o"
version = "2024-11-20"
sku = "GlobalStandard"
region = "swedencentral"
"""
# Azure's list prices of gpt-4o 2024-11-20 per million tokens: input, cached input, output.
GLOBAL = (Decimal("2.50"), Decimal("1.25"), Decimal("10.00"))
REGIONAL_SWEDEN = (Decimal("3.025"), Decimal("1.513"), Decimal("12.1"))


def body(i: int, prompt: int, cached: int, completion: int, day: int = 14, **more: Any) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{i}",
        "object": "chat.completion",
        "created": int(datetime(2026, 10, day, 12, tzinfo=UTC).timestamp()),
        "model": "gpt-4o-2024-11-20",
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
        **more,
    }


def report(
    folder: Path, bodies: Sequence[dict[str, Any]], deployments: str = DEPLOYMENTS, **options: Any
) -> CostReport:
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(item) + "\n" for item in bodies), "utf-8")
    file = folder / "d.toml"
    file.write_text(deployments, "utf-8")
    usage = read_usage(log, deployment="chat", resource=RESOURCE)
    return cost_report(usage, deployments=read_deployments(file), **options)


def twin(bodies: Sequence[dict[str, Any]], prices: tuple[Decimal, Decimal, Decimal]) -> Decimal:
    """The slow and obvious way: price every call by itself."""
    total = Decimal(0)
    for item in bodies:
        usage = item["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        total += (usage["prompt_tokens"] - cached) * prices[0] / 1_000_000
        total += cached * prices[1] / 1_000_000
        total += usage["completion_tokens"] * prices[2] / 1_000_000
    return total


calls = st.tuples(st.integers(0, 200_000), st.integers(0, 200_000), st.integers(0, 20_000), st.integers(1, 28)).map(
    lambda x: (max(x[0], x[1]), min(x[0], x[1]), x[2], x[3])
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, min_size=1, max_size=20), st.randoms())
def test_a_report_equals_pricing_every_call_in_any_order(tmp_path: Path, found: list[Any], random: Any) -> None:
    bodies = [body(i, *call) for i, call in enumerate(found)]
    first = report(tmp_path, bodies)
    random.shuffle(bodies)
    assert first.total == twin(bodies, GLOBAL)
    again = report(tmp_path, bodies)
    assert again.total == first.total
    assert again.frame.equals(first.frame)
    assert first.certainty == "exact"
    assert first.requests == len(bodies)


def test_the_deployment_decides_the_price_not_the_model(tmp_path: Path) -> None:
    bodies = [body(1, 1_000_000, 0, 1_000)]
    regional = report(tmp_path, bodies, DEPLOYMENTS.replace("GlobalStandard", "Standard"))
    assert regional.total == twin(bodies, REGIONAL_SWEDEN)


def test_days_add_up_to_months_and_lines_to_the_total(tmp_path: Path) -> None:
    bodies = [body(day, 1_000 * day, 0, day, day) for day in range(1, 29)]
    by_day = report(tmp_path, bodies, every="day")
    by_month = report(tmp_path, bodies, every="month")
    assert len(by_day.frame) == 28
    assert len(by_month.frame) == 1
    assert sum(by_day.frame["cost"]) == by_month.total == by_day.total
    assert sum(by_month.lines["amount"]) == by_month.total
    assert by_month.frame["input"].sum() == sum(item["usage"]["prompt_tokens"] for item in bodies)
    assert set(by_month.lines["meter_name"]) == {"gpt 4o 1120 Inp glbl Tokens", "gpt 4o 1120 Outp glbl Tokens"}


def test_a_repeated_call_is_billed_once(tmp_path: Path) -> None:
    bodies = [body(1, 1_000, 0, 10)]
    assert report(tmp_path, bodies * 3).total == twin(bodies, GLOBAL)


def test_a_renamed_deployment_is_one_row_and_its_hours_count_once(tmp_path: Path) -> None:
    ptu = DEPLOYMENTS.replace("GlobalStandard", "GlobalProvisionedManaged") + "ptu_units = 15\n"
    renamed = ptu.replace('"contoso"', '"/accounts/fabrikam"').replace('"chat"', '"talk"')
    renamed += 'aliases = [{ name = "chat", resource = "contoso", active_to = 2026-10-15 }]\n'
    bodies = [body(1, 1_000, 0, 10, day=14)]
    plain, found = (report(tmp_path, bodies, text, by=["deployment"]) for text in (ptu, renamed))
    assert found.frame[["resource", "deployment"]].to_numpy().tolist() == [["/accounts/fabrikam", "talk"]]
    assert found.total == plain.total > 0
    assert found.frame["requests"].tolist() == [1]


def test_without_deployments_nothing_is_priced_and_nothing_is_lost(tmp_path: Path) -> None:
    found = report(tmp_path, [body(1, 1_000, 200, 10)], "")
    assert found.total == 0
    assert found.certainty == "lower_bound"
    assert found.unpriced.set_index("meter")["quantity"].to_dict() == {"input": 800, "cached_input": 200, "output": 10}
    assert found.unpriced["reason"].str.contains("has no entries").all()
    assert not found.frame["complete"].any()
    # Unknown is not zero.
    assert found.frame["cost"].tolist() == [None]


def test_a_model_without_a_price_is_listed_with_its_tokens(tmp_path: Path) -> None:
    found = report(tmp_path, [body(1, 7, 0, 3, model="gpt-99-2026-01-01"), body(2, 1_000, 0, 0)])
    assert found.total == Decimal("0.0025")
    assert found.unpriced["quantity"].tolist() == [7, 3]
    assert set(found.unpriced["model"]) == {"gpt-99"}
    assert any("gpt-99 was served" in note for note in found.notes)


def test_a_call_without_a_price_does_not_bring_in_a_currency(tmp_path: Path) -> None:
    sheet = tmp_path / "eur.toml"
    sheet.write_text(
        'currency = "EUR"\n[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice.input = "2"\nprice.output = "8"\n',
        "utf-8",
    )
    bodies = [body(1, 1_000, 0, 0), body(2, 7, 0, 3, model="gpt-99-2026-01-01")]
    found = report(tmp_path, bodies, prices=PriceBook.read(sheet))
    assert (found.total, found.currency, len(found.unpriced)) == (Decimal("0.002"), "EUR", 2)


def test_list_prices_in_another_currency_are_not_in_the_total(tmp_path: Path) -> None:
    sheet = tmp_path / "eur.toml"
    sheet.write_text(
        'currency = "EUR"\n[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice.input = "2"\n', "utf-8"
    )
    found = report(tmp_path, [body(1, 1_000, 0, 5)], prices=PriceBook.read(sheet))
    assert (found.total, found.currency, found.certainty) == (Decimal("0.002"), "EUR", "lower_bound")
    assert found.unpriced["quantity"].tolist() == [5]


def test_a_call_without_usage_makes_the_total_a_lower_bound(tmp_path: Path) -> None:
    silent = body(1, 0, 0, 0)
    del silent["usage"]
    found = report(tmp_path, [silent, body(2, 1_000, 0, 0)])
    assert (found.unmetered, found.certainty, found.total) == (1, "lower_bound", Decimal("0.0025"))


def test_a_rejected_row_makes_the_total_a_lower_bound(tmp_path: Path) -> None:
    found = report(tmp_path, [body(1, 10, 20, 0), body(2, 1_000, 0, 0)])
    assert len(found.rejected) == 1
    assert (found.certainty, found.total) == ("lower_bound", Decimal("0.0025"))


PTU = """
[[deployment]]
resource = "contoso"
name = "chat"
model = "gpt-4o"
version = "2024-11-20"
sku = "GlobalProvisionedManaged"
region = "swedencentral"
ptu_units = 15
active_from = 2026-10-02
"""


def test_provisioned_units_cost_their_hours_whatever_the_tokens(tmp_path: Path) -> None:
    found = report(tmp_path, [body(1, 1_000_000, 0, 0, 1), body(2, 10**9, 0, 10**9, 3)], PTU)
    # Two of the three days, 24 hours, 15 units, 1 USD per PTU-hour.
    assert found.total == 2 * 24 * 15
    assert found.frame["input"].sum() == 10**9 + 10**6


def test_the_long_context_band_is_decided_by_each_request(tmp_path: Path) -> None:
    deployments = DEPLOYMENTS.replace("gpt-4o", "gpt-5.5").replace("2024-11-20", "2026-04-24")
    short = [body(i, 200_000, 0, 0, model="gpt-5.5-2026-04-24") for i in range(2)]
    long = [body(9, 400_000, 0, 0, model="gpt-5.5-2026-04-24")]
    assert report(tmp_path, short, deployments).lines["band"].tolist() == ["short"]
    assert report(tmp_path, long, deployments).lines["band"].tolist() == ["long"]
    assert report(tmp_path, long, deployments).total > report(tmp_path, short, deployments).total


@pytest.mark.parametrize(
    ("options", "field"),
    [({"by": ("colour",)}, "by"), ({"by": ()}, "by"), ({"by": "deployment"}, "by"), ({"every": "year"}, "every")],
)
def test_unknown_options_are_refused(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        report(tmp_path, [body(1, 1, 0, 0)], **options)
    assert caught.value.field == field


@pytest.mark.parametrize("by", [("model",), ("resource", "sku", "region"), ("tier", "version")])
def test_any_split_has_the_same_total(tmp_path: Path, by: tuple[str, ...]) -> None:
    bodies = [body(day, 1_000 * day, 0, day, day) for day in range(1, 9)]
    found = report(tmp_path, bodies, by=by)
    assert found.total == twin(bodies, GLOBAL)
    order = ("resource", "deployment", "model", "version", "sku", "region", "tier")
    assert list(found.frame.columns[1 : 1 + len(by)]) == [name for name in order if name in by]


@pytest.mark.parametrize(
    ("model", "total"),
    [
        pytest.param("gpt-4o", Decimal("2.50"), id="the file's version where the log tells none"),
        pytest.param("gpt-4o-2024-05-13", Decimal("5.00"), id="the log's where it tells one"),
    ],
)
def test_the_version_is_the_logs_or_else_that_of_the_file(tmp_path: Path, model: str, total: Decimal) -> None:
    found = report(tmp_path, [body(1, 1_000_000, 0, 0, model=model)], prices=PriceBook.bundled())
    assert found.total == total


def test_a_model_that_the_log_does_not_name_may_have_long_prompts(tmp_path: Path) -> None:
    file = DEPLOYMENTS.replace("gpt-4o", "gpt-5.6-sol").replace("2024-11-20", "2026-07-09")
    # No prompt of these can be a long one, and any of those may be.
    short, unsure = (
        report(tmp_path, [body(1, prompt, 0, 10, model=None)], file, prices=PriceBook.bundled())
        for prompt in (272_000, 272_001)
    )
    assert short.certainty == "exact"
    assert unsure.certainty == "estimated"
    assert any("does not name the model; prompts of more than 272,000 tokens" in note for note in unsure.notes)


def test_a_report_tells_who_asked(tmp_path: Path) -> None:
    file = tmp_path / "d.toml"
    file.write_text(DEPLOYMENTS, "utf-8")
    names = ("timestamp", "resource", "deployment", "prompt_tokens", "completion_tokens", "user")
    when = datetime(2026, 10, 14, 12, tzinfo=UTC)
    rows = [
        (when, RESOURCE, "chat", tokens, 10, user) for tokens, user in ((1_000, "ann"), (3_000, "bob"), (500, None))
    ]
    table = pd.DataFrame(rows, columns=list(names))
    found = cost_report(table, columns={name: name for name in names}, deployments=file, by=["user"])
    costs = dict(zip(found.frame["user"], found.frame["cost"], strict=True))
    # 2.50 and 10 US dollars per million.
    assert costs == {"ann": Decimal("0.0026"), "bob": Decimal("0.0076"), None: Decimal("0.00135")}
    # What selects no price does not part the lines.
    assert len(found.lines) == 2
    assert len(found.days) == 6


def test_the_days_and_calls_of_a_report_add_up_to_it(tmp_path: Path) -> None:
    bodies = [body(i, 1_000 * i, 100 * i, 10, day=1 + i % 4) for i in range(1, 13)]
    found = report(tmp_path, bodies)
    assert sum(found.days["amount"]) == found.total == sum(found.calls["cost"])
    assert found.calls["requests"].sum() == found.requests == 12
    assert set(found.days["day"]) == set(found.calls["day"]) == {date(2026, 10, day) for day in range(1, 5)}
    for meter in ("input", "cached_input", "output"):
        of_meter = found.days["meter"] == meter
        assert found.days[of_meter]["quantity"].sum() == found.frame[meter].sum() == found.calls[meter].sum()
    by_price = found.days.groupby(["meter", "meter_name"])["quantity"].sum()
    assert by_price.equals(found.lines.groupby(["meter", "meter_name"])["quantity"].sum())


def test_failed_and_throttled_calls_are_counted(tmp_path: Path) -> None:
    names = ("timestamp", "resource", "deployment", "prompt_tokens", "completion_tokens", "status")
    when = datetime(2026, 10, 14, 12, tzinfo=UTC)
    rows = [(when, RESOURCE, "chat", 10, 1, status) for status in (200, 200, 400, 408, 429, 429, 429, 500, None)]
    table = pd.DataFrame(rows, columns=list(names))
    found = cost_report(table, columns={name: name for name in names})
    assert found.frame[["requests", "failed", "throttled"]].to_numpy().tolist() == [[9, 6, 3]]


def test_a_sum_of_calls_is_no_long_prompt(tmp_path: Path) -> None:
    file = tmp_path / "d.toml"
    file.write_text(DEPLOYMENTS.replace("gpt-4o", "gpt-5.6-sol").replace("2024-11-20", "2026-07-09"), "utf-8")
    names = ("timestamp", "resource", "deployment", "model", "prompt_tokens", "completion_tokens", "requests")
    when = datetime(2026, 10, 14, 12, tzinfo=UTC)
    rows = [(when, RESOURCE, "chat", "gpt-5.6-sol", 5_000_000, 0, requests) for requests in (1, 100, None)]
    bands = []
    for row in rows:
        table = pd.DataFrame([row], columns=list(names))
        log = read_usage(table, columns={name: name for name in names})
        found = cost_report(log, deployments=file)
        bands.append((set(found.lines["band"]), found.certainty))
        assert what_if(log, ScaleVolume(1), deployments=file).after.total == found.total
    # One call of five million tokens is long, whatever else; a hundred calls of fifty thousand are not.
    assert bands == [({"long"}, "exact"), ({"short"}, "estimated"), ({"short"}, "estimated")]
