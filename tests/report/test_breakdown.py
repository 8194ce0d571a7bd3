"""A report broken down into series: they add up, and moved sliders say what `what_if` says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_rows import DEPLOYMENTS, busy_sums, group, usage_sums

from aoai_cost import (
    BuyPtu,
    CacheShare,
    ContractDiscount,
    CostReport,
    Deployment,
    Deployments,
    PriceBook,
    ScaleVolume,
    UseBatch,
    cost_report,
    read_usage,
    what_if,
)
from aoai_cost.report.breakdown import Breakdown, Series, break_down

BOOK = PriceBook.bundled()


def test_a_reservation_does_not_grow_with_the_calls() -> None:
    examples = Path(__file__).resolve().parent.parent.parent / "examples"
    log, deployments = read_usage(examples / "logs"), examples / "deployments.toml"
    bought = BuyPtu(units=15, term="1_month", only="aoai-shop-sweden/chat")
    breakdown = break_down(what_if(log, bought, deployments=deployments, prices=BOOK).after)
    twice = what_if(log, bought, ScaleVolume(2), deployments=deployments, prices=BOOK).after
    assert "ptu_reservation" in {one.meter.meter for one in breakdown.series}
    shown = sum(one.cost * (1 if one.timed else 2) for one in breakdown.series)
    assert abs(shown - Fraction(twice.total)) < Fraction(1, 10**20)


@cache
def busy() -> CostReport:
    return cost_report(busy_sums(), deployments=DEPLOYMENTS, prices=BOOK)


def imagined(one: Series, volume: Fraction, batch: Fraction, cached: Fraction | None, discount: Fraction) -> Fraction:
    """What page.js reckons, in fractions."""
    prices = one.prices
    if one.timed:
        return one.cost * (1 - discount)

    def mixed(now: Fraction, plain: Fraction, hit: Fraction) -> Fraction:
        return now if cached is None else (1 - cached) * plain + cached * hit

    standard = mixed(prices.now, prices.plain, prices.cached)
    in_batch = mixed(prices.batch, prices.plain_batch, prices.cached_batch)
    return (1 - discount) * volume * ((1 - batch) * standard + batch * in_batch) * one.quantity


def cost_of(breakdown: Breakdown) -> Fraction:
    return sum((one.cost for one in breakdown.series), Fraction())


def test_the_series_add_up_to_the_report() -> None:
    report, found = busy(), break_down(busy())
    assert cost_of(found) == Fraction(report.total)
    assert found.parts == 1
    assert not found.by_month
    assert len(found.days) == 60
    for members in (found.deployments, found.models, found.users, found.apps):
        assert sum(member.requests for member in members) == report.requests
    assert [member.name for member in found.users] == [(None,), ("bob",), ("ann",)]
    assert found.deployments[0].name == ("aoai-two", "ptu")


shares = st.integers(0, 100).map(lambda percent: Fraction(percent, 100))


@given(st.integers(0, 300).map(lambda percent: Fraction(percent, 100)), shares, st.none() | shares, shares)
@settings(max_examples=25)
def test_sliders_say_what_the_library_says(
    volume: Fraction, batch: Fraction, cached: Fraction | None, discount: Fraction
) -> None:
    changes = [ScaleVolume(volume), *([] if cached is None else [CacheShare(cached)]), UseBatch(batch)]
    found = what_if(busy_sums(4), *changes, ContractDiscount(discount), deployments=DEPLOYMENTS, prices=BOOK)
    series = break_down(found.before).series
    total = sum((imagined(one, volume, batch, cached, discount) for one in series), Fraction())
    assert abs(total - Fraction(found.after.total)) < Fraction(1, 10**30)


def test_calls_without_a_batch_price_stay_and_are_named() -> None:
    found = break_down(busy())
    for one in found.series:
        name = found.deployments[one.deployment].name[1]
        if name in ("agent", "embed", "regional", "nightly", "tuned", "ptu"):
            assert one.prices.batch == one.prices.now, name
        else:
            # Batch has no price for cached input, so that it is input there, which is what cached input costs outside.
            cheaper = one.prices.batch < one.prices.now
            assert cheaper == (one.meter.meter != "cached_input"), name
    assert set(found.without_batch) == {"agent", "embed"}


def test_what_was_imagined_is_told_by_its_amounts() -> None:
    after = what_if(busy_sums(), ScaleVolume("0.333"), deployments=DEPLOYMENTS, prices=BOOK).after
    found = break_down(after)
    assert found.parts > 1
    assert cost_of(found) == Fraction(after.total)


def test_a_report_without_prices_knows_what_things_cost() -> None:
    found = break_down(replace(busy(), prices=None))
    assert cost_of(found) == Fraction(busy().total)
    assert all(len(set(one.prices[:6])) == 1 for one in found.series)


def test_small_ones_are_one_together() -> None:
    known = [Deployment("aoai", f"chat-{i}", "gpt-4o", "2024-11-20", "GlobalStandard") for i in range(210)]
    groups = [group(one, 0, i + 1, user=f"user-{i}") for i, one in enumerate(known)]
    report = cost_report(usage_sums(groups), deployments=Deployments(known), prices=BOOK)
    found = break_down(report)
    assert found.deployments[0].name == ("aoai", "chat-209")
    assert found.deployments[-1] == ((), 10, sum(range(1, 11)))
    assert (len(found.deployments), len(found.users)) == (201, 21)
    assert found.users[-1].members == 190
    assert cost_of(found) == Fraction(report.total)


def test_one_that_is_left_over_keeps_its_name() -> None:
    known = [Deployment("aoai", f"chat-{i}", "gpt-4o", "2024-11-20", "GlobalStandard") for i in range(201)]
    groups = [group(one, 0, i + 1) for i, one in enumerate(known)]
    found = break_down(cost_report(usage_sums(groups), deployments=Deployments(known), prices=BOOK))
    assert found.deployments[-1].name == ("aoai", "chat-0")


def test_too_many_quantities_are_kept_by_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.report.breakdown._MOST_QUANTITIES", 100)
    found = break_down(busy())
    assert found.by_month
    assert found.days == (date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1))
    assert cost_of(found) == Fraction(busy().total)


def test_an_empty_report_has_no_series() -> None:
    found = break_down(cost_report(usage_sums([]), deployments=Deployments([]), prices=BOOK))
    assert (found.series, found.days, found.scale, found.parts) == ((), (), 1, 1)
