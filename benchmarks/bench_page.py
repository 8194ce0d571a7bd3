"""The report page of 10,000 groups: what stands out in them, and the page itself; each checked first.

What is asked of the page: under 2 CPU-seconds and under 2 MB, with the chart library's bundle kept from before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import pandas as pd
import pytest

from aoai_cost import CostReport, Deployment, Deployments, PriceBook, Usage, cost_report
from aoai_cost.logs import Counts, FileCounts, Group, GroupKey, UsageSums
from aoai_cost.render import report_html
from aoai_cost.report import report_facts

FIRST = date(2026, 8, 1)
MODELS = (("gpt-4o", "2024-11-20"), ("gpt-4o-mini", "2024-07-18"), ("gpt-5-mini", "2025-08-07"))
SHAPES = {"100 deployments, 50 days, 2 users": (100, 50, 2), "10,000 deployments, 1 day": (10_000, 1, 1)}


@cache
def report_of(shape: str) -> CostReport:
    deployments, days, users = SHAPES[shape]
    known = [
        Deployment("aoai", f"chat-{i:05}", *MODELS[i % 3], ("GlobalStandard", "DataZoneStandard")[i % 2], "eastus2")
        for i in range(deployments)
    ]
    groups = []
    for i, one in enumerate(known):
        for day in range(days):
            for user in range(users):
                calls = (i * 7_919 + day * 104_729 + user * 31) % 1_000 + 1
                key = GroupKey(
                    FIRST + timedelta(days=day), "aoai", one.name, one.model, one.version, "eastus2", "default",
                    "short", f"user-{(i + user) % 30}", None,
                )  # fmt: skip
                usage = Usage({"input": 1_234 * calls, "cached_input": 321 * calls, "output": 99 * calls})
                groups.append((key, Group(calls, 0, 0, 0, 0, 0, 0, 0, usage)))
    assert len(groups) == 10_000
    sums = UsageSums(
        groups=tuple(groups),
        period=(FIRST, FIRST + timedelta(days=days)),
        formats=("client-log",),
        rejected=pd.DataFrame(columns=["source_file", "line", "offset", "reason", "masked_row"]),
        counts=Counts((FileCounts("log.jsonl", rows=len(groups), requests=len(groups)),)),
        complete=True,
        comparisons=(),
        unmatched=(),
    )
    return cost_report(sums, deployments=Deployments(known), prices=PriceBook.bundled())


@pytest.mark.parametrize("shape", SHAPES)
def test_facts_of_ten_thousand_groups(benchmark: Callable[..., Any], shape: str) -> None:
    report = report_of(shape)
    facts = benchmark(report_facts, report)
    assert sum(one.cost for one in facts.breakdown.series) == Fraction(report.total)


@pytest.mark.parametrize("shape", SHAPES)
def test_page_of_ten_thousand_groups(benchmark: Callable[..., Any], shape: str) -> None:
    report = report_of(shape)
    report_html(report)  # makes the bundle of the chart library, if it is installed
    page = benchmark(report_html, report)
    benchmark.extra_info["bytes"] = len(page.encode())  # type: ignore[attr-defined]
    assert f"{report.total:,.2f}" in page
    assert len(page.encode()) < 2_000_000
