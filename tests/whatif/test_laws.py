"""What must hold of every change, whatever the log: compared with fresh reports over logs that were changed by hand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aoai_cost import (
    BuyPtu,
    CacheShare,
    CapOutput,
    Change,
    ContractDiscount,
    CostReport,
    Deployment,
    Deployments,
    Growth,
    MoveRegion,
    MoveSku,
    PriceAsOf,
    PriceBook,
    ScaleVolume,
    ServiceTier,
    SwapModel,
    UsageLog,
    UseBatch,
    compare,
    cost_report,
    read_usage,
    what_if,
)
from aoai_cost.logs import sum_usage
from aoai_cost.prices import list_ptu_parameters
from aoai_cost.report import Workload
from aoai_cost.whatif.calls import CallLoad, with_calls

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = Deployments(
    [
        Deployment("contoso", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral"),
        Deployment("contoso", "mini", "gpt-4o-mini", "2024-07-18", "DataZoneStandard", "swedencentral"),
        Deployment("contoso", "agent", "gpt-5.6-sol", "2026-07-09", "GlobalStandard", "swedencentral"),
        Deployment("fabrikam", "chat", "gpt-4.1", "2025-04-14", "GlobalStandard", "eastus2"),
        Deployment("contoso", "units", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15),
        Deployment("contoso", "tuned", "gpt-4o-mini", "2024-07-18", "Standard", "swedencentral", fine_tuned="ft"),
    ]
)
CHAT = next(one for one in FILE if one.resource == "fabrikam")
MODEL = {(one.resource, one.name): (one.model, one.version) for one in FILE}
COLUMNS = {
    name: name
    for name in (
        "timestamp", "resource", "deployment", "model", "version", "prompt_tokens", "cached_tokens",
        "completion_tokens", "service_tier", "request_id", "user",
    )
}  # fmt: skip
BOOK = PriceBook.bundled()
FIRST = datetime(2026, 10, 12, tzinfo=UTC)


def make_call(
    place: tuple[str, str], minute: int, prompt: int, cached: int, completion: int, user: str = "ann"
) -> dict[str, Any]:
    model, version = MODEL[place]
    return {
        "timestamp": FIRST + timedelta(minutes=minute),
        "resource": place[0],
        "deployment": place[1],
        "model": model,
        "version": version,
        "prompt_tokens": prompt,
        "cached_tokens": min(cached, prompt),
        "completion_tokens": completion,
        "service_tier": None,
        "request_id": None,
        "user": user,
    }


# Prompts on both sides of the long context band of gpt-5.6-sol, in steps of 100 so that shares of them are whole.
hundreds = st.integers(0, 4_000).map(lambda n: n * 100)
calls = st.builds(
    make_call,
    st.sampled_from(sorted(MODEL)),
    st.integers(0, 6 * 24 * 60),
    hundreds,
    hundreds,
    st.integers(0, 3_000),
    st.sampled_from(["ann", "bob"]),
)
logs = st.lists(calls, min_size=1, max_size=12).map(
    lambda found: [
        *found,
        # Each deployment is there, so that every change finds something.
        *(make_call(place, i, 1_000, 100, 500) for i, place in enumerate(sorted(MODEL))),
    ]
)
Rows = list[dict[str, Any]]


def read(rows: Rows) -> UsageLog:
    numbered = [row | {"request_id": f"r{i}"} for i, row in enumerate(rows)]
    return read_usage(pd.DataFrame(numbered), columns=COLUMNS)


def fresh(rows: Rows, deployments: Deployments = FILE, prices: PriceBook = BOOK) -> CostReport:
    return cost_report(read(rows), deployments=deployments, prices=prices)


def after(
    rows: Rows, *changes: Change, deployments: Deployments = FILE, by: Sequence[str] = ("deployment",)
) -> CostReport:
    return what_if(read(rows), *changes, deployments=deployments, prices=BOOK, by=by).after


def redeployed(change: Callable[[Deployment], Deployment]) -> Deployments:
    return Deployments(change(one) for one in FILE)


def of(name: str, **other: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: row | other if row["deployment"] == name else row


NOTHING = [
    pytest.param((), id="no change"),
    pytest.param((UseBatch(0),), id="none of the calls as batches"),
    pytest.param((ServiceTier("priority", share=0),), id="none of the calls in another tier"),
    pytest.param((ScaleVolume(1),), id="as many calls"),
    pytest.param((Growth("0.5", months=0),), id="no months of growth"),
    pytest.param((ContractDiscount(0),), id="no discount"),
    pytest.param((CapOutput(1_000_000),), id="a cap beyond every answer"),
    pytest.param((MoveSku("GlobalStandard", only=["contoso/chat", "agent"]),), id="the type that it is"),
    pytest.param((MoveRegion("Sweden Central", only=["contoso/chat", "mini", "agent", "tuned"]),), id="its region"),
    pytest.param((SwapModel("gpt-4o", "gpt-4o"),), id="the model that it is"),
    pytest.param((ScaleVolume(3), ScaleVolume(Fraction(1, 3))), id="three times a third"),
]


@pytest.mark.parametrize("changes", NOTHING)
@settings(max_examples=8)
@given(logs)
def test_doing_nothing_changes_nothing(changes: tuple[Change, ...], rows: Rows) -> None:
    found = what_if(read(rows), *changes, deployments=FILE, prices=BOOK)
    pd.testing.assert_frame_equal(found.after.frame, fresh(rows).frame)
    pd.testing.assert_frame_equal(found.before.frame, fresh(rows).frame)
    assert found.difference == 0
    assert found.after.total == found.before.total == fresh(rows).total
    assert found.after.certainty == found.before.certainty


ANYWHERE: list[Callable[[str], Change]] = [
    lambda only: UseBatch("0.3", only=only),
    lambda only: CacheShare("0.4", only=only),
    lambda only: ScaleVolume("1.7", only=only),
    lambda only: CapOutput(200, only=only),
    lambda only: MoveSku("DataZoneStandard", only=only),
    lambda only: MoveRegion("eastus2", only=only),
    lambda only: ServiceTier("priority", share="0.5", only=only),
    lambda only: BuyPtu("peak", only=only),
    lambda only: SwapModel("gpt-4o" if only == "contoso/chat" else "gpt-4.1", "gpt-5-mini", only=only),
]


@settings(max_examples=20)
@given(logs, st.sampled_from(list(permutations(range(len(ANYWHERE)), 2))))
def test_changes_on_disjoint_deployments_commute(rows: Rows, pair: tuple[int, int]) -> None:
    one, other = ANYWHERE[pair[0]]("contoso/chat"), ANYWHERE[pair[1]]("fabrikam/chat")
    first, second = after(rows, one, other, by=["deployment", "sku"]), after(rows, other, one, by=["deployment", "sku"])
    assert first.total == second.total
    pd.testing.assert_frame_equal(first.frame, second.frame)


@settings(max_examples=20)
@given(logs, st.permutations([UseBatch("0.3"), CacheShare("0.4"), ScaleVolume("1.7"), ContractDiscount("0.1")]))
def test_shares_and_factors_commute_on_the_same_calls(rows: Rows, order: list[Change]) -> None:
    in_order = after(rows, UseBatch("0.3"), CacheShare("0.4"), ScaleVolume("1.7"), ContractDiscount("0.1"))
    assert after(rows, *order).total == in_order.total


@settings(max_examples=12)
@given(logs)
def test_a_share_lies_between_none_and_all_exactly(rows: Rows) -> None:
    none, some, every = (after(rows, UseBatch(share)).total for share in (0, "0.3", 1))
    assert some == none * Decimal("0.7") + every * Decimal("0.3")


@settings(max_examples=12)
@given(logs)
def test_another_model_is_a_log_of_that_model(rows: Rows) -> None:
    # Both count alike, so no token changes; the first has no long context band, and the second one has.
    changed = [row | {"model": "gpt-4.1", "version": "2025-04-14"} if row["model"] == "gpt-4o" else row for row in rows]
    file = redeployed(lambda one: replace(one, model="gpt-4.1", version="2025-04-14") if one.model == "gpt-4o" else one)
    assert after(rows, SwapModel("gpt-4o", "gpt-4.1")).total == fresh(changed, file).total
    back = [
        row | {"model": "gpt-5.6-sol", "version": "2026-07-09"} if row["deployment"] == "chat" else row for row in rows
    ]
    file = redeployed(
        lambda one: replace(one, model="gpt-5.6-sol", version="2026-07-09") if one.name == "chat" else one
    )
    swapped = after(rows, SwapModel("gpt-4o", "gpt-5.6-sol"), SwapModel("gpt-4.1", "gpt-5.6-sol", only="fabrikam/chat"))
    assert swapped.total == fresh(back, file).total


@settings(max_examples=12)
@given(logs)
def test_another_type_is_another_deployments_file(rows: Rows) -> None:
    file = redeployed(lambda one: replace(one, sku="DataZoneStandard", ptu_units=None) if one.name != "tuned" else one)
    names = ["contoso/chat", "mini", "agent", "fabrikam/chat", "units"]
    assert after(rows, MoveSku("DataZoneStandard", only=names)).total == fresh(rows, file).total


@settings(max_examples=12)
@given(logs)
def test_another_region_is_another_deployments_file(rows: Rows) -> None:
    file = redeployed(lambda one: replace(one, region="northcentralus"))
    assert after(rows, MoveRegion("North Central US")).total == fresh(rows, file).total


@settings(max_examples=12)
@given(logs)
def test_batches_are_deployments_of_that_type(rows: Rows) -> None:
    batch = {"GlobalStandard": "GlobalBatch", "DataZoneStandard": "DataZoneBatch"}
    file = redeployed(lambda one: replace(one, sku=batch.get(one.sku, one.sku)) if one.model != "gpt-5.6-sol" else one)
    assert after(rows, UseBatch()).total == fresh(rows, file).total


@settings(max_examples=12)
@given(logs)
def test_another_tier_is_a_log_of_that_tier(rows: Rows) -> None:
    changed = [row | {"service_tier": "priority"} if row["model"] == "gpt-4.1" else row for row in rows]
    found = after(rows, ServiceTier("priority", only="fabrikam/chat"))
    changed = [of("units", service_tier=None)(row) for row in changed]
    assert found.total == fresh(changed).total


@settings(max_examples=12)
@given(logs)
def test_cached_input_is_a_log_with_that_much_cached(rows: Rows) -> None:
    changed = [
        row | {"cached_tokens": row["prompt_tokens"] * 3 // 10} if row["deployment"] in ("chat", "agent") else row
        for row in rows
    ]
    share = CacheShare("0.3", only=["contoso/chat", "agent", "fabrikam/chat"])
    found = after(rows, share)
    assert found.total == fresh(changed).total
    pd.testing.assert_frame_equal(found.frame, fresh(changed).frame)


@settings(max_examples=12)
@given(logs)
def test_twice_the_calls_are_a_log_of_each_call_twice(rows: Rows) -> None:
    assert after(rows, ScaleVolume(2)).total == fresh(rows * 2).total
    assert after(rows, Growth(1, months=1)).total == fresh(rows * 2).total


@settings(max_examples=12)
@given(logs, st.integers(1, 3_000))
def test_a_cap_is_a_log_of_shorter_answers(rows: Rows, cap: int) -> None:
    changed = [row | {"completion_tokens": min(row["completion_tokens"], cap)} for row in rows]
    found = after(rows, CapOutput(cap))
    assert found.total == fresh(changed).total
    pd.testing.assert_frame_equal(found.frame, fresh(changed).frame)


@settings(max_examples=12)
@given(logs)
def test_a_discount_is_a_price_book_with_it(rows: Rows) -> None:
    book = BOOK.with_discount("0.12", model="gpt-4o")
    assert after(rows, ContractDiscount("0.12", model="gpt-4o")).total == fresh(rows, prices=book).total


@settings(max_examples=10)
@given(logs)
def test_the_prices_of_a_day_are_those_of_a_log_of_that_day(rows: Rows) -> None:
    day = date(2025, 8, 20)
    standing = [row for row in rows if row["deployment"] in ("chat", "mini")]
    moved = [row | {"timestamp": datetime(2025, 8, 20, 12, tzinfo=UTC)} for row in standing]
    file = Deployments(one for one in FILE if one.name in ("chat", "mini"))
    assert after(standing, PriceAsOf(day), deployments=file).total == fresh(moved, file).total


def plain_spillover(rows: Rows, units: int) -> list[int]:
    """Which calls spill over, one by one: a minute is full once what it holds reaches the units' throughput."""
    parameters = list_ptu_parameters("gpt-4.1")[-1]
    weights = dict(parameters.weights)
    held: dict[Any, Fraction] = defaultdict(Fraction)
    spilled = []
    for i in sorted(range(len(rows)), key=lambda i: rows[i]["timestamp"]):
        row = rows[i]
        minute = row["timestamp"].replace(second=0, microsecond=0)
        if held[minute] >= units * parameters.input_tpm_per_ptu:
            spilled.append(i)
            continue
        cached = row["cached_tokens"]
        held[minute] += row["prompt_tokens"] - cached + cached * weights["cached_input"]
        held[minute] += row["completion_tokens"] * weights["output"]
    return spilled


busy = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 59), st.integers(1, 120_000), st.integers(0, 20_000)), min_size=1,
    max_size=40,
)  # fmt: skip


@settings(max_examples=25)
@given(busy, st.sampled_from([15, 20, 40]))
def test_units_serve_each_minute_until_they_are_full(found: list[tuple[int, int, int, int]], units: int) -> None:
    place = ("fabrikam", "chat")
    # No two calls of one second: the log's order among them would be its own.
    seconds = {FIRST.replace(minute=at[0], second=at[1]): at[2:] for at in found}
    rows = [
        make_call(place, 0, prompt, prompt // 3, completion) | {"timestamp": at}
        for at, (prompt, completion) in seconds.items()
    ]
    spilled = set(plain_spillover(rows, units))
    hosted = Deployments([replace(CHAT, sku="GlobalProvisionedManaged", ptu_units=units)])
    file = Deployments([CHAT])
    there = fresh([rows[i] for i in spilled], file).total if spilled else Decimal(0)
    one_day = fresh(rows, hosted).total
    bought = after(rows, BuyPtu(units), deployments=file)
    assert bought.total == there + one_day
    assert bought.requests == len(rows)
    refused = after(rows, BuyPtu(units, spillover=False), deployments=file)
    assert refused.total == one_day
    assert refused.requests == len(rows) - len(spilled)


def test_the_cheapest_number_of_units_is_the_cheapest() -> None:
    rows = [make_call(("fabrikam", "chat"), i % 5, 30_000, 0, 3_000) for i in range(400)]
    rows = [row | {"timestamp": row["timestamp"] + timedelta(seconds=i // 5 / 2)} for i, row in enumerate(rows)]
    file, log = Deployments([CHAT]), read(rows)
    choices: dict[str, Change | None] = {"none": None} | {str(units): BuyPtu(units) for units in range(15, 2_000, 20)}
    found = compare(log, {"units": choices | {"cheapest": BuyPtu("cheapest")}}, deployments=file, prices=BOOK)
    costs = dict(zip(found["units"], found["cost"], strict=True))
    assert costs.pop("cheapest") <= min(costs.values())
    peak = what_if(log, BuyPtu("peak"), deployments=file, prices=BOOK)
    needed = int(re.search(r"chat: ([0-9,]+) PTUs", " ".join(peak.notes))[1].replace(",", ""))
    assert not plain_spillover(rows, needed)
    assert plain_spillover(rows, needed // 2)


@settings(max_examples=10)
@given(logs)
def test_calls_add_up_to_what_was_read(rows: Rows) -> None:
    log = read(rows)
    loads = with_calls(Workload.of(log.sums, FILE, BOOK), log).loads
    assert [load.group for load in loads] == [group for _, group in log.sums.groups]
    assert [load.calls.group() for load in loads if isinstance(load, CallLoad)] == [load.group for load in loads]


def test_calls_of_every_sample_add_up_to_what_was_read(test_data: Path) -> None:
    n_loads = 0
    for folder in sorted((test_data / "samples").iterdir()):
        if not folder.is_dir() or folder.name == "cost-management":
            continue
        for path in sorted(one for one in folder.rglob("*") if one.is_file() and one.suffix != ".md"):
            try:
                log = read_usage(path)
            except ValueError:
                continue
            loads = with_calls(Workload.of(log.sums, Deployments(()), BOOK), log).loads
            for load in loads:
                assert isinstance(load, CallLoad)
                assert load.calls.group() == load.group, path.name
            n_loads += len(loads)
    assert n_loads > 40


def test_sums_and_single_calls_give_the_same_answer() -> None:
    log, sums = read_usage(ROOT / "examples/logs"), sum_usage(ROOT / "examples/logs")
    file = ROOT / "examples/deployments.toml"
    for change in (UseBatch("0.3"), CacheShare("0.5"), ScaleVolume(2), SwapModel("gpt-4o-mini", "gpt-4o-mini")):
        one, other = (what_if(found, change, deployments=file, prices=BOOK) for found in (log, sums))
        assert one.difference == other.difference
        pd.testing.assert_frame_equal(one.frame, other.frame)


def test_a_grid_is_every_combination() -> None:
    log = read([make_call(("contoso", "chat"), 0, 1_000_000, 0, 1_000)])
    axes = {
        "batch": {"none": None, "half": UseBatch("0.5")},
        "volume": {"as it is": None, "double": ScaleVolume(2), "double and capped": [ScaleVolume(2), CapOutput(500)]},
    }
    found = compare(log, axes, deployments=Deployments(list(FILE)[:1]), prices=BOOK)
    assert found[["batch", "volume"]].to_numpy().tolist() == [
        [batch, volume] for batch in axes["batch"] for volume in axes["volume"]
    ]
    # gpt-4o in US dollars per million: 2.50 and 10 as it comes, half of that as a batch.
    costs = [Decimal(text) for text in ("2.51", "5.02", "5.01", "1.8825", "3.765", "3.7575")]
    assert found["cost"].tolist() == costs
    assert found["difference"].tolist() == [cost - costs[0] for cost in costs]
