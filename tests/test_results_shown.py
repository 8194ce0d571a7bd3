"""What a notebook shows of every public result: short, escaped, and with the numbers of the object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest

import aoai_cost
from aoai_cost import (
    Deployment,
    Deployments,
    MissingPriceError,
    PriceBook,
    PriceChange,
    Refresh,
    Traffic,
    Usage,
    UseBatch,
    cost_report,
    count_request,
    estimate_embeddings,
    estimate_request,
    estimate_speech,
    estimate_training,
    forecast,
    get_model,
    list_ptu_parameters,
    markup,
    price_ptu,
    read_bill,
    read_usage,
    reconcile,
    size_ptu,
    what_if,
)
from aoai_cost.markup import amount
from aoai_cost.prices.captures import Capture
from aoai_cost.prices.feed import Unmapped

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
DAY = date(2026, 10, 15)
HOSTILE = """<script>alert("1")</script>'&\u202e\ud800\n\x1b[2J"""

Shown = tuple[Any, str]
"""A result, and the number that its face must say."""


def chat(model: str = "gpt-4o", version: str | None = "2024-11-20") -> Deployment:
    return Deployment(HOSTILE, HOSTILE, model, version=version, sku="GlobalStandard")


def body() -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    return {"messages": [{"role": "user", "content": "Hello"}], "tools": [tool], "max_tokens": 100}


def a_count() -> Shown:
    count = count_request(body(), model="gpt-4o")
    line = count.lines[0]._replace(label=HOSTILE)
    return replace(count, lines=(line, *count.lines), notes=(HOSTILE,)), f"{count.input_tokens:,} input tokens"


def an_estimate() -> Shown:
    estimate = replace(estimate_request(body(), chat(), on=DAY), notes=(HOSTILE,) * 50)
    return estimate, f"{amount(estimate.low)} to {amount(estimate.high or Decimal())} USD"


def a_log() -> Shown:
    log = read_usage(EXAMPLES / "logs")
    log.frame["deployment"] = log.frame["deployment"].cat.rename_categories({"chat": HOSTILE.replace("\ud800", "")})
    return log, f"{len(log.frame):,} calls"


def a_report() -> Shown:
    report = cost_report(EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", every="day")
    report.frame.loc[:, "deployment"] = HOSTILE
    return replace(report, notes=(HOSTILE,)), f"{amount(report.total)} USD, at least"


def a_bill() -> Shown:
    bill = read_bill(EXAMPLES / "bill.csv")
    (currency, total), *_ = bill.totals.items()
    rows = tuple(row._replace(meter_name=HOSTILE) for row in bill.rows)
    return replace(bill, rows=rows, notes=(HOSTILE,)), f"{amount(total)} {currency}"


def a_reconciliation() -> Shown:
    report = cost_report(EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", every="day")
    found = reconcile(report, EXAMPLES / "bill.csv")
    return replace(found, notes=(HOSTILE,)), f"{amount(found.total.billed)} {found.currency} billed"


def a_comparison() -> Shown:
    found = what_if(read_usage(EXAMPLES / "logs"), UseBatch("0.3"), deployments=EXAMPLES / "deployments.toml")
    found.after.frame.loc[:, "deployment"] = HOSTILE
    return found, f"would be {amount(found.after.total)} USD: {amount(found.difference or Decimal())}"


def a_forecast() -> Shown:
    found = forecast(cost_report(EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml"))
    return replace(found, notes=(HOSTILE,)), f"{amount(found.expected)} USD expected"


def a_cost() -> Shown:
    usage = Usage({"input": 10**9, "output": 7, "image": 3})
    cost = PriceBook.bundled().price(usage, chat(), on=DAY)
    assert len(cost.unpriced) == 1
    key, quantity, _ = cost.unpriced[0]
    missing = MissingPriceError(
        model=HOSTILE, version=None, meter="", modality="", sku="", region=None, tier="", band="short", on=DAY
    )
    return replace(cost, unpriced=((key, quantity, missing),), notes=(HOSTILE,)), f"{amount(cost.amount)} USD"


def a_rate() -> Shown:
    rate = PriceBook.bundled().rate(
        model="gpt-4o", version="2024-11-20", sku="GlobalStandard", meter="input", on=date(2026, 10, 1)
    )
    return replace(rate, meter_name=HOSTILE), f"{rate.amount} USD per 1M tokens"


TRAFFIC = Traffic(requests_per_minute=300, prompt_tokens=1500, response_tokens=300, cached_share="0.4")
SIZE = size_ptu(TRAFFIC, model="gpt-4o", on=DAY)
PTU = price_ptu(SIZE, on=DAY)


def a_ptu_cost() -> Shown:
    return replace(PTU, notes=(HOSTILE,)), amount(PTU.month("1_year"))


def a_ptu_term() -> Shown:
    term = PTU.term("hourly")
    return replace(term, name=HOSTILE), f"{amount(term.unit_month)} USD a month"


def a_spillover() -> Shown:
    over = PTU.spillover({600: 60})
    return replace(over, term=HOSTILE), f"{amount(over.amount)} together"


def a_ptu_size() -> Shown:
    return replace(SIZE, notes=(HOSTILE,)), f"{SIZE.units} PTUs for gpt-4o"


def ptu_parameters() -> Shown:
    found = list_ptu_parameters("gpt-4o")[0]
    return replace(found, note=HOSTILE), f"{found.input_tpm_per_ptu:,}"


def a_training() -> Shown:
    tuned = replace(chat("gpt-4o-mini", "2024-07-18"), region="swedencentral")
    job = estimate_training(EXAMPLES / "training.jsonl", tuned, on=DAY)
    return replace(job, problems=(HOSTILE,)), f"{amount(job.amount)} {job.currency}"


def embeddings() -> Shown:
    job = estimate_embeddings(["hello", "", "world"], chat("text-embedding-3-small", "1"), on=DAY)
    return job, f"{amount(job.amount)} USD"


def a_job() -> Shown:
    job = estimate_speech("hello " * 1000, chat("tts-hd", None), on=DAY)
    return replace(job, notes=(HOSTILE,)), f"{amount(job.amount)} {job.currency}"


def a_change() -> Shown:
    change = PriceChange(
        "m", HOSTILE, "sku", "default", "short", "", "input", "text", "", DAY, None, Decimal("2.50"), "1M tokens", ()
    )
    return change, "no price to 2.50 per 1M tokens"


def a_refresh() -> Shown:
    unmapped = tuple(Unmapped("p", f"{HOSTILE}{i}", "why") for i in range(30))
    return Refresh(Capture("USD", "20261127T143005Z", Path(HOSTILE)), True, 1234, 99, unmapped), "1,234, of 99 meters"


MAKERS: Mapping[str, Callable[[], Shown]] = {
    "Bill": a_bill,
    "Comparison": a_comparison,
    "Cost": a_cost,
    "CostReport": a_report,
    "Count": a_count,
    "Deployment": lambda: (chat(), "gpt-4o"),
    "Deployments": lambda: (Deployments([replace(chat(), name=f"d{i}") for i in range(1_234)]), "1,234 deployments"),
    "EmbeddingsEstimate": embeddings,
    "Estimate": an_estimate,
    "Forecast": a_forecast,
    "JobEstimate": a_job,
    "Model": lambda: (replace(get_model("gpt-4o"), note=HOSTILE), "128,000 tokens"),
    "PriceChange": a_change,
    "PtuCost": a_ptu_cost,
    "PtuParameters": ptu_parameters,
    "PtuSize": a_ptu_size,
    "PtuTerm": a_ptu_term,
    "Rate": a_rate,
    "Reconciliation": a_reconciliation,
    "Refresh": a_refresh,
    "Spillover": a_spillover,
    "TrainingEstimate": a_training,
    "Usage": lambda: (Usage({("input", "text", HOSTILE): 1_000_000}), "1,000,000 tokens"),
    "UsageLog": a_log,
}
NO_RESULTS = {
    *("Alias", "Budget", "Traffic"),  # given, not found
    *("PriceBook", "Encoding"),  # answer questions and hold nothing to be shown
    *("CountLine", "MeterKey"),  # parts of a result
}

TAGS = {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}


def test_every_public_type_is_shown_or_is_no_result() -> None:
    public = {name: getattr(aoai_cost, name) for name in aoai_cost.__all__}
    # Changes are given, not found.
    left_out = (Exception, aoai_cost.Change)
    types = {name for name, one in public.items() if isinstance(one, type) and not issubclass(one, left_out)}
    assert types == MAKERS.keys() | NO_RESULTS


@pytest.mark.parametrize("name", MAKERS)
def test_a_result_is_shown(name: str) -> None:
    value, said = MAKERS[name]()
    assert type(value).__name__ == name
    shown = value._repr_html_()
    assert len(shown) < 20_000
    # Well-formed, one element, and nothing in it that runs or loads.
    root = ElementTree.fromstring(shown)
    assert (root.tag, root.get("class")) == ("div", "aoai-cost")
    assert {one.tag for one in root.iter()} <= TAGS
    assert {attribute for one in root.iter() for attribute in one.attrib} <= {"class", "scope"}
    words = "".join(text for one in root.iter() if one.tag != "style" for text in (one.text or "", one.tail or ""))
    assert said in re.sub(r"\s+", " ", words)
    assert words.replace("\n", "").isprintable()
    style = root.find("style")
    assert style is not None
    assert all(line.startswith(".aoai-cost ") for line in (style.text or "").strip().splitlines())


@pytest.mark.parametrize("name", ["Bill", "Comparison", "CostReport", "Forecast", "Reconciliation", "UsageLog"])
def test_what_holds_tables_is_one_line_in_a_shell(name: str) -> None:
    value, said = MAKERS[name]()
    assert repr(value).startswith(f"{name}(")
    assert said in repr(value)
    assert len(repr(value)) < 150
    assert repr(value).isprintable()


def test_sums_of_a_log_are_one_line_in_a_shell() -> None:
    log = read_usage(EXAMPLES / "logs")
    assert repr(log.sums) == "UsageSums(229 calls from 2026-10-12 until before 2026-10-16 (UTC))"


@pytest.mark.parametrize("name", MAKERS)
def test_a_hostile_text_is_shown_and_does_nothing(name: str) -> None:
    value, _ = MAKERS[name]()
    shown = value._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;alert" in shown


def test_what_is_cut_says_where_all_is() -> None:
    shown = MAKERS["Deployments"]()[0]._repr_html_()
    assert "the first 20 of 1,234; list(...) has all" in shown
    assert shown.count("<tr>") == 21
    estimate = MAKERS["Estimate"]()[0]._repr_html_()
    assert "and 40 more in .notes" in estimate


def test_nothing_is_shown_as_nothing() -> None:
    assert "0 tokens" in Usage()._repr_html_()
    assert "<table" not in Usage()._repr_html_()
    assert "0 deployments" in Deployments(())._repr_html_()
    empty = read_usage(pd.DataFrame({"in": []}), columns={"prompt_tokens": "in"})
    assert "0 calls" in empty._repr_html_()
    assert "0.00 USD" in cost_report(empty)._repr_html_()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("0"), "0.00"),
        (Decimal("1234567.895"), "1,234,567.90"),
        (Decimal("-0.011"), "-0.01"),
        (Decimal("0.0000325"), "0.0000325"),
        (Decimal("6E-8"), "6.00E-8"),
        (Fraction(2, 3), "0.67"),
        (Fraction(10**40, 3), "3,333,333,333,333,333,333,333,333,333,000,000,000,000.00"),
    ],
    ids=str,
)
def test_money_is_rounded_for_reading(value: Decimal | Fraction, said: str) -> None:
    assert markup.amount(value) == said
