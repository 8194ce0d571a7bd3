"""What PTUs cost: terms, the break-even share, spillover, and the cheapest number of units."""

from __future__ import annotations

import pickle
from collections import Counter
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import Deployment
from aoai_cost.errors import MissingPriceError, RequestError
from aoai_cost.prices import (
    HOURS_PER_MONTH,
    PTU_SKUS,
    PTU_TERMS,
    PriceBook,
    PtuCost,
    Traffic,
    price_ptu,
    size_ptu,
)
from aoai_cost.usage import Usage

GLOBAL, ZONE, REGIONAL = PTU_SKUS
BOOK = PriceBook.bundled()
DAY = date(2026, 10, 15)
HOUR = 60
MONTH = HOURS_PER_MONTH * HOUR


def cost(
    model: str, rpm: Any, prompt: Any, response: Any, cached: Any = 0, *, sku: str = GLOBAL, **more: Any
) -> PtuCost:
    shape = {name: more.pop(name) for name in ("cache_write_share", "long_share") if name in more}
    traffic = Traffic(
        requests_per_minute=rpm, prompt_tokens=prompt, response_tokens=response, cached_share=cached, **shape
    )
    return price_ptu(size_ptu(traffic, model=model, sku=sku), **{"on": DAY, "prices": BOOK} | more)


CHAT = cost("gpt-4o", 300, 1500, 300, "0.4")


def test_a_month_typed_by_hand() -> None:
    # 255 PTUs. A request is 900 x 2.50 + 600 x 1.25 + 300 x 10 per million, and weighs 900 + 300 x 4 of 2,500.
    assert CHAT.units == 255
    assert CHAT.currency == "USD"
    assert [CHAT.month(term) for term in PTU_TERMS] == [255 * 730, 255 * 260, 255 * 221]
    assert [CHAT.saving(term) for term in PTU_TERMS] == [0, 1 - Fraction(260, 730), 1 - Fraction(221, 730)]
    assert CHAT.request_amount == Fraction("0.006")
    assert CHAT.pay_as_you_go_month() == 300 * 60 * 730 * Fraction("0.006") == 78_840
    full_month = Fraction(2500, 2100) * 60 * 730 * Fraction("0.006")
    assert [CHAT.break_even(term) for term in PTU_TERMS] == [n / full_month for n in (730, 260, 221)]
    assert CHAT.break_even("hourly") == Fraction(7, 3)
    assert CHAT.unpriced == ()


def test_the_cost_comparison_of_the_sizing_document() -> None:
    """One PTU at 260 a month, full for 30 days: 259.20 without it, for GPT-6 Astra and GPT-6 Sol alike.

    MicrosoftDocs/azure-ai-docs f4a20819, articles/foundry/openai/includes/how-to-provisioned-throughput-sizing.md,
    2026-09-23. The document counts 30 days, this package 730 hours.
    """
    for model, million_tokens in (("gpt-6-astra", Decimal("25.92")), ("gpt-6-sol", Decimal("129.60"))):
        for mix in ({}, {"cached": "0.5"}, {"cache_write_share": "0.3"}, {"long_share": "0.5", "cached": "0.1"}):
            found = cost(model, 100, 1000, 200, **mix)
            per_minute = found.size.parameters.input_tpm_per_ptu
            assert per_minute * 60 * 24 * 30 == million_tokens * 10**6
            month = found.request_amount / found.size.normalized_tokens * per_minute * 60 * 24 * 30
            assert month == Fraction("259.20")
            assert found.break_even("1_month") == Fraction(260) / month * 720 / 730


@pytest.mark.parametrize(
    ("sku", "region", "prices"),
    [
        pytest.param(GLOBAL, None, ["1", "260", "2652"], id="global"),
        pytest.param(ZONE, "swedencentral", ["1.1", "286", "2916"], id="a data zone"),
        pytest.param(ZONE, "japaneast", ["1.2"], id="a data zone without known reservations"),
        pytest.param(REGIONAL, "eastus", ["2", "286", "2916"], id="a region"),
        pytest.param(REGIONAL, "Sweden Central", ["2.2"], id="a region without known reservations"),
        pytest.param(REGIONAL, None, ["286", "2916"], id="the hour differs by region"),
    ],
)
def test_the_price_of_each_scope(sku: str, region: str | None, prices: list[str]) -> None:
    found = cost("gpt-4.1", 100, 1000, 200, sku=sku, region=region)
    assert [f"{term.rate.amount:f}" for term in found.terms] == prices
    assert bool(found.unpriced) == (len(prices) < 3)
    if region is None and sku == REGIONAL:
        assert found.saving("1_year") is None


def test_a_price_that_is_missing_is_said_and_never_zero() -> None:
    found = cost("gpt-5.2", 100, 1000, 200, sku=REGIONAL, region="swedencentral")
    assert found.request_amount is None
    assert found.pay_as_you_go_month() is None
    assert found.break_even("hourly") is None
    assert {(one.sku, one.meter) for one in found.unpriced} >= {("Standard", "input"), ("Standard", "output")}
    with pytest.raises(MissingPriceError) as caught:
        found.month("1_year")
    assert caught.value.meter == "ptu_reservation:1_year"
    for price in (found.spillover, found.cheapest):
        with pytest.raises(MissingPriceError) as caught:
            price({100: 1})
        assert caught.value.sku == "Standard"


def test_a_term_that_nobody_sells() -> None:
    with pytest.raises(RequestError, match="none of hourly, 1_month, 1_year"):
        CHAT.month("3_years")


@pytest.mark.parametrize("units", [0, 10, 16, 15.5, -15, True, "many"])
def test_units_that_cannot_be_deployed_are_refused(units: Any) -> None:
    with pytest.raises(RequestError) as caught:
        cost("gpt-4o", 300, 1500, 300, units=units)
    assert caught.value.field == "units"


def test_units_of_ones_own() -> None:
    found = cost("gpt-4o", 300, 1500, 300, "0.4", units=100)
    assert (found.units, found.size.units, found.month("1_month")) == (100, 255, 26_000)
    assert found.break_even("1_month") == CHAT.break_even("1_month")
    assert cost("o1", 1, 100, 10, sku=REGIONAL, region="eastus", units=25).units == 25


def test_requests_that_weigh_nothing_have_no_break_even() -> None:
    found = cost("gpt-4o", 300, 1000, 0, 1)
    assert found.request_amount == Fraction("0.00125")
    assert found.break_even("hourly") is None
    with pytest.raises(RequestError, match="weigh nothing"):
        found.spillover({300: 60})


OWN = """
currency = "{currency}"
[[rate]]
model = "*"
sku = "GlobalProvisionedManaged"
price.ptu = {{ amount = "0.5", unit = "1 PTU-hour" }}
price."ptu_reservation:1_year" = {{ amount = "100", unit = "1 PTU-month" }}
"""


def test_prices_of_ones_own_win_whatever_month_they_are_written_by(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.format(currency="USD"), "utf-8")
    found = cost("gpt-4o", 300, 1500, 300, "0.4", prices=PriceBook.read(path))
    assert [term.unit_month for term in found.terms] == [365, 260, 100]


def test_prices_in_another_currency_do_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN.format(currency="EUR"), "utf-8")
    found = cost("gpt-4o", 300, 1500, 300, prices=PriceBook.read(path))
    assert (found.currency, [term.name for term in found.terms]) == ("EUR", ["hourly", "1_year"])
    assert found.request_amount is None
    assert {"input", "output", "ptu_reservation:1_month"} <= {one.meter for one in found.unpriced}


def test_a_cost_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(CHAT)) == CHAT


def test_what_is_assumed_of_a_price_is_in_the_notes() -> None:
    assert any("captured on 2026-07-27" in note for note in CHAT.notes)
    zone = cost("gpt-4o", 300, 1500, 300, sku=ZONE, region="swedencentral")
    assert any("second-hand" in note for note in zone.notes)


def test_a_load_typed_by_hand() -> None:
    found = cost("gpt-4o", 300, 1500, 300, "0.4", units=105)
    # 105 PTUs serve 105 x 2500 / 2100 = 125 requests a minute.
    spilled = found.spillover({300: 10, 100: 50})
    assert (spilled.minutes, spilled.requests, spilled.spilled_requests) == (60, 8000, 1750)
    assert spilled.ptu_amount == 105
    assert spilled.spilled_amount == 1750 * Fraction("0.006") == Fraction("10.5")
    assert spilled.amount == Fraction("115.5")
    assert spilled.spilled_share == Fraction(1750, 8000)
    assert found.spillover({300: 10, 100: 50}, term="1_month").ptu_amount == 105 * Fraction(260, 730)


def test_a_series_is_counted_first() -> None:
    series = [300, 100, 100, 300, 100]
    assert CHAT.spillover(Counter(series)) == CHAT.spillover({100: 3, 300.0: 2})
    assert CHAT.spillover(Counter(reversed(series))) == CHAT.spillover({"300": 1, "100": 3, 300: 1})


def test_an_empty_load_costs_nothing() -> None:
    for found in (CHAT.spillover({}), CHAT.cheapest({})):
        assert (found.amount, found.requests, found.spilled_share) == (0, 0, 0)
    assert CHAT.cheapest({}).units == 0


@pytest.mark.parametrize("load", [{-1: 1}, {1: -1}, {1: float("nan")}, {True: 1}])
def test_a_load_that_is_none_is_refused(load: Any) -> None:
    with pytest.raises(RequestError):
        CHAT.spillover(load)


models = st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-5.4-mini", "gpt-6-sol", "gpt-6-astra"])
tokens = st.integers(1, 4000)
shares = st.fractions(0, 1, max_denominator=20)
terms = st.sampled_from(PTU_TERMS)
loads = st.dictionaries(st.integers(0, 2000), st.integers(1, 600), max_size=5)


@given(models, st.integers(1, 3000), tokens, tokens, shares, terms)
def test_at_the_break_even_share_both_ways_cost_the_same(
    model: str, rpm: int, prompt: int, response: int, cached: Fraction, term: str
) -> None:
    found = cost(model, rpm, prompt, response, cached)
    share = found.break_even(term)
    assert share is not None
    capacity = Fraction(found.units * found.size.parameters.input_tpm_per_ptu) / found.size.normalized_tokens
    at_share = cost(model, share * capacity, prompt, response, cached)
    assert at_share.pay_as_you_go_month() == found.month(term)


@given(models, tokens, tokens, st.integers(0, 100))
def test_a_month_without_ptus_costs_what_the_price_book_says(
    model: str, prompt: int, response: int, cached: int
) -> None:
    found = cost(model, 100, prompt * 100, response, Fraction(cached, 100))
    requests = 100 * MONTH
    usage = {
        "input": prompt * (100 - cached) * requests,
        "cached_input": prompt * cached * requests,
        "output": response * requests,
    }
    chat = Deployment("", "chat", model, version=found.size.version, sku="GlobalStandard")
    assert found.pay_as_you_go_month() == Fraction(BOOK.price(Usage(usage), chat, on=DAY).amount)


@given(models, st.integers(1, 2000), tokens, tokens, loads, terms)
def test_laws_of_spillover(model: str, rpm: int, prompt: int, response: int, load: dict[int, int], term: str) -> None:
    found = cost(model, rpm, prompt, response)
    spilled = found.spillover(load, term=term)
    assert spilled == found.spillover(dict(reversed(load.items())), term=term)
    assert 0 <= spilled.spilled_share <= 1
    within = {rate: minutes for rate, minutes in load.items() if rate <= rpm}
    assert found.spillover(within, term=term).spilled_requests == 0
    parts = [found.spillover({rate: minutes}, term=term) for rate, minutes in load.items()]
    assert sum(one.amount for one in parts) == spilled.amount
    increment = found.size.parameters.size_of(GLOBAL)[1]
    more = price_ptu(found.size, on=DAY, units=found.units + increment, prices=BOOK).spillover(load, term=term)
    assert more.spilled_requests <= spilled.spilled_requests


scopes = st.sampled_from([("gpt-4o-mini", GLOBAL), ("gpt-4o-mini", REGIONAL), ("o1", REGIONAL)])


@given(scopes, st.integers(1, 40), tokens, loads, terms)
def test_the_cheapest_number_of_units_is_that_of_trying_all(
    scope: tuple[str, str], scale: int, response: int, load: dict[int, int], term: str
) -> None:
    model, sku = scope
    found = cost(model, 1, scale if model == "o1" else 100 * scale, response % 100, sku=sku, region="eastus")
    minimum, increment = found.size.parameters.size_of(sku)
    weight = found.size.normalized_tokens / found.size.parameters.input_tpm_per_ptu
    peak = max(load, default=0) * weight
    sizes = {minimum, *range(minimum + -minimum % increment, int(peak) + minimum + 2 * increment, increment)}
    tried = [price_ptu(found.size, on=DAY, region="eastus", units=units, prices=BOOK) for units in sizes]
    amounts = {one.units: one.spillover(load, term=term).amount for one in tried}
    amounts[0] = found.request_amount * sum(rate * minutes for rate, minutes in load.items())
    best = min(amounts, key=lambda units: (amounts[units], units))
    cheapest = found.cheapest(load, term=term)
    assert (cheapest.units, cheapest.amount) == (best, amounts[best])


def test_a_load_with_a_steady_part_is_cheapest_with_ptus_for_it() -> None:
    load = {100: 20 * HOUR, 900: 4 * HOUR}
    found = CHAT.cheapest(load, term="1_year")
    # 100 requests a minute need 84 PTUs; of the 85th on, 4 of 24 hours are less use than the break-even of 70.6 %.
    assert found.units == 85
    assert found.amount < CHAT.spillover(load, term="1_year").amount
    # 756 and 759.36 PTUs: of the last five one is used, or more than four.
    assert CHAT.cheapest({900: 24 * HOUR}, term="1_year").units == 755
    assert CHAT.cheapest({904: 24 * HOUR}, term="1_year").units == 760
    assert CHAT.cheapest({900: 24 * HOUR}).units == 0


def book_with_hours_at(tmp_path: Path, sku: str, amount: str) -> PriceBook:
    path = tmp_path / "own.toml"
    price = f'price.ptu = {{ amount = "{amount}", unit = "1 PTU-hour" }}'
    path.write_text(f'[[rate]]\nmodel = "*"\nsku = "{sku}"\n{price}\n', "utf-8")
    return PriceBook.read(path)


def test_of_numbers_of_units_that_cost_the_same_the_fewest_is_taken(tmp_path: Path) -> None:
    # A request of 2,500 input tokens a minute fills one PTU, and costs 0.375 an hour without it: twice this price.
    prices = book_with_hours_at(tmp_path, GLOBAL, "0.1875")
    found = cost("gpt-4o", 1, 2500, 0, prices=prices)
    assert found.break_even("hourly") == Fraction(1, 2)
    load = {20: MONTH / 2, 40: MONTH / 2}
    bought = [price_ptu(found.size, on=DAY, units=units, prices=prices) for units in (15, 20, 30, 40, 45)]
    under, least, middle, most, over = (one.spillover(load).amount for one in bought)
    assert under > least == middle == most < over
    assert found.cheapest(load).units == 20
    assert found.cheapest({40: MONTH / 2, 0: MONTH / 2}).units == 0


def test_a_minimum_that_is_no_step_can_be_the_cheapest(tmp_path: Path) -> None:
    prices = book_with_hours_at(tmp_path, REGIONAL, "0.01")
    found = cost("o1", 1, 230, 0, sku=REGIONAL, region="eastus", prices=prices)
    assert [found.cheapest({need: MONTH}).units for need in (0, 25, 27, 50, 51)] == [0, 25, 50, 50, 50]
