"""One price: the row that answers, and the error that says what the sheets cover instead."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_questions import rate_of

from aoai_cost.errors import MissingPriceError, RequestError
from aoai_cost.prices import PriceBook, Rate

BOOK = PriceBook.bundled()
DAY = date(2026, 10, 1)


def ask(model: str, sku: str = "GlobalStandard", meter: str = "input", **more: Any) -> Rate:
    return BOOK.rate(model=model, sku=sku, meter=meter, **({"on": DAY} | more))


def question(amount: str, meter_name: str, model: str, **more: Any) -> Any:
    return pytest.param(amount, meter_name, model, more, id=f"{meter_name}, {more.get('region', 'no region')}")


# Typed from the feed, meter by meter.
SPOTS = [
    question("2.5", "gpt 4o 1120 Inp glbl Tokens", "gpt-4o-2024-11-20"),
    question("10", "gpt 4o 1120 Outp glbl Tokens", "gpt-4o-2024-11-20", meter="output"),
    question("1.25", "gpt 4o 1120 cached Inp glbl Tokens", "gpt-4o-2024-11-20", meter="cached_input"),
    question("5", "gpt 4o 0513 Input global Tokens", "gpt-4o", version="2024-05-13"),
    question("3.025", "gpt 4o 1120 Inp regnl Tokens", "gpt-4o-2024-11-20", sku="Standard", region="swedencentral"),
    question("2.75", "gpt 4o 1120 Inp Data Zone Tokens", "gpt-4o-2024-11-20", sku="DataZoneStandard", region="eastus2"),
    question("0.2", "gpt 4.1 mini Batch Inp glbl Tokens", "gpt-4.1-mini", sku="GlobalBatch"),
    question("1.7", "gpt-4.1-ft hosting global Unit", "gpt-4.1", meter="hosting", fine_tuned="ft"),
    question("0.12", "Image-Dall-E-3 HD HighRes-glbl Images", "dall-e-3", meter="image", variant="hd_high_res"),
    question("0.36", "Speech-to-Text-Batch-Whisper-glbl Unit", "whisper", meter="audio"),
    question("15", "Speech-Text to Speech-global Characters", "tts", meter="character"),
    question("40", "gpt-4o-rt-aud-1217 Inp glbl Tokens", "gpt-4o-realtime-preview-2024-12-17", modality="audio"),
    question("0.45", "Sora 720p 1-5s glbl Video", "sora", meter="video", variant="720p_1_5s"),
    question("4", "5.6 sol ShortCo Inp Std Gl 1M Tokens", "gpt-5.6-sol"),
    question("8", "5.6 sol LongCo Inp Std Gl 1M Tokens", "gpt-5.6-sol", band="long"),
    question("8", "5.6 sol ShortCo Inp PP Gl 1M Tokens", "gpt-5.6-sol", tier="priority"),
    question("2", "azure/gpt-5.6-sol:input_cost_per_token_flex", "gpt-5.6-sol", tier="flex"),
    question("1", "Provisioned Managed Global Unit", "gpt-4o", sku="GlobalProvisionedManaged", meter="ptu"),
    question(
        "2", "Provisioned Managed Regional Unit", "any model", sku="ProvisionedManaged", meter="ptu", region="eastus"
    ),
    question(
        "260",
        "Provisioned Managed … Unit (type=Reservation, reservationTerm=1 Month)",
        "any model",
        sku="GlobalProvisionedManaged",
        meter="ptu_reservation",
        variant="1_month",
    ),
    question("0.4", "babbage-002-base-glbl Tokens", "babbage-002"),
    question("0.4", "babbage-002-base-glbl Tokens", "babbage-002", meter="output"),
    question("0.03", "Code-Interpreter-global Session", "gpt-4o", meter="session", variant="code_interpreter"),
]


@pytest.mark.parametrize(("amount", "meter_name", "model", "more"), SPOTS)
def test_spot_prices(amount: str, meter_name: str, model: str, more: dict[str, Any]) -> None:
    rate = ask(model, **more)
    assert (str(rate.amount), rate.meter_name, rate.currency) == (amount, meter_name, "USD")


def test_every_row_answers_for_its_own_regions_from_its_first_to_its_last_day() -> None:
    asked = 0
    for row in BOOK.rows():
        if row.unmatched or not row.regions:
            continue
        first = row.effective_from
        assert first is not None
        last = row.effective_to - timedelta(days=1) if row.effective_to else date(2026, 11, 23)
        for region in {row.regions[0], row.regions[-1]}:
            for day in (first, last):
                rate = rate_of(BOOK, row, region, day)
                assert (str(rate.amount), rate.meter_name) == (row.amount, row.meter_name)
                assert (rate.effective_from, rate.source) == (row.effective_from, row.source)
                assert (rate.certainty == "estimated") == (row.assumed or row.meter == "storage")
                asked += 1
    assert asked > 6_000


def test_a_day_may_be_written_as_a_time() -> None:
    assert ask("gpt-4o-2024-11-20", on=datetime(2026, 10, 1, 12)) == ask("gpt-4o-2024-11-20")


def test_prices_change_on_their_day() -> None:
    before = ask("o3", on=date(2025, 5, 31))
    after = ask("o3", on=date(2025, 6, 1))
    assert (before.amount, after.amount) == (Decimal(10), Decimal(2))
    assert (before.source, before.certainty) == ("S5", "estimated")


def test_regions_are_read_as_people_write_them() -> None:
    rate = ask("gpt-4o-2024-11-20", sku="Standard", region="Sweden Central")
    assert rate == ask("gpt-4o-2024-11-20", sku="Standard", region="swedencentral")


def test_a_batch_sku_has_one_tier() -> None:
    assert ask("gpt-4.1-mini", sku="GlobalBatch") == ask("gpt-4.1-mini", sku="GlobalBatch", tier="batch")


def test_where_a_model_has_long_prices_a_row_without_a_band_is_short() -> None:
    assert ask("gpt-5.4").amount < ask("gpt-5.4", band="long").amount
    assert ask("gpt-4o-2024-11-20", band="long") == ask("gpt-4o-2024-11-20")


def test_one_global_price_holds_in_a_region_that_the_feed_does_not_list_yet() -> None:
    rate = ask("gpt-4o-2024-11-20", region="northeurope", on=date(2026, 5, 1))
    assert (rate.amount, rate.certainty) == (Decimal("2.5"), "exact")
    assert "does not list northeurope" in rate.notes[0]


def test_a_zone_price_stands_for_an_unlisted_region_of_its_zone_as_an_estimate() -> None:
    rate = ask("gpt-5.6-luna", sku="DataZoneStandard", region="italynorth")
    assert (rate.amount, rate.certainty) == (Decimal("0.22"), "estimated")
    american = ask("gpt-6-astra", sku="DataZoneStandard", region="westus")
    european = ask("gpt-6-astra", sku="DataZoneStandard", region="swedencentral")
    assert (american.amount, european.amount) == (Decimal(11), Decimal(12))


def test_government_prices_stay_apart() -> None:
    public = ask("gpt-5.6-sol", sku="DataZoneStandard")
    government = ask("gpt-5.6-sol", sku="DataZoneStandard", region="usgovvirginia")
    assert (public.amount, government.amount) == (Decimal("4.4"), Decimal("5.5"))


MISSING = [
    pytest.param(
        "gpt-4o", {}, "versions differ in price, so name one of '2024-05-13'", id="no version where they differ"
    ),
    pytest.param("gpt-4o-2024-11-20", {"sku": "Standard"}, "prices differ by region", id="no region where they differ"),
    pytest.param(
        "gpt-4o-2024-11-20", {"on": date(2024, 11, 30)}, "cover it from 2024-12-01", id="a day before the first price"
    ),
    pytest.param(
        "gpt-4o-2024-11-20",
        {"sku": "Standard", "region": "mars"},
        "the sheets have it in 'australiaeast'",
        id="no such region",
    ),
    pytest.param("gpt-4o-2024-11-20", {"region": "chinaeast2"}, "the sheets have it in", id="another cloud"),
    pytest.param("gpt-4o-2024-11-20", {"region": "usgovvirginia"}, "the sheets have it in", id="a government region"),
    pytest.param("gpt-4o-2024-11-20", {"sku": "Cheap"}, "for sku 'DataZoneBatch'", id="an unknown sku"),
    pytest.param("gpt-4o-2024-11-20", {"meter": "cache_write"}, "for meter 'cached_input'", id="a meter it lacks"),
    pytest.param("gpt-4o-2024-11-20", {"tier": "flex"}, "for tier 'default'", id="a tier it lacks"),
    pytest.param("gpt-4o-2024-11-20", {"modality": "audio"}, "for modality 'text'", id="a modality it lacks"),
    pytest.param(
        "gpt-4o-2024-11-20", {"fine_tuned": "ft"}, "price version '2024-08-06'", id="another version is tuned"
    ),
    pytest.param("gpt-4o-2024-11-20", {"version": "2024-05-13"}, "says version '2024-11-20'", id="two versions"),
    pytest.param("gpt-4o-2031-01-01", {}, "the sheets price version", id="an unknown version"),
    pytest.param("gpt-5.4", {"tier": "priority", "band": "long"}, "for band 'short'", id="a band it lacks"),
    pytest.param("gpt-nine", {}, "no price of this model", id="an unknown model"),
    pytest.param("dall-e-3", {"meter": "image"}, "for variant 'hd_high_res'", id="no variant"),
    pytest.param("gpt-4o-2024-08-06.ft-00ff", {}, "say which kind in fine_tuned", id="a fine-tuned name alone"),
    pytest.param(
        "gpt-4o",
        {"sku": "DeveloperTier", "fine_tuned": "dev_ft"},
        "the sheets have it for",
        id="a row that looks wrong",
    ),
]


@pytest.mark.parametrize(
    "wrong", [{"region": 5}, {"model": None}, {"version": 1}, {"sku": b"x"}, {"variant": None}], ids=str
)
def test_a_question_of_no_texts_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=f"{next(iter(wrong))}.*must be a text"):
        BOOK.rate(**({"model": "gpt-4o", "sku": "GlobalStandard", "meter": "input", "on": DAY} | wrong))


def test_an_unknown_band_is_refused() -> None:
    with pytest.raises(RequestError, match="short or long"):
        ask("gpt-4o-2024-11-20", band="medium")


@pytest.mark.parametrize(("model", "more", "covered"), MISSING)
def test_a_missing_price_says_what_the_sheets_cover(model: str, more: dict[str, Any], covered: str) -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(MissingPriceError) as caught:
            ask(model, **more)
        assert covered in caught.value.covered
        assert len(str(caught.value)) < 1000
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_fine_tuned_name_is_priced_by_its_base_model() -> None:
    named = ask("gpt-4o-2024-08-06.ft-00ff", version="1", fine_tuned="ft")
    assert named == ask("gpt-4o", version="2024-08-06", fine_tuned="ft")


TOKENS = ask("gpt-4o-2024-11-20")
HOURS = ask("gpt-4.1", meter="hosting", fine_tuned="ft")


@given(st.integers(0, 10**18))
def test_the_cost_of_tokens_is_exact(quantity: int) -> None:
    with localcontext() as context:
        context.prec = 3
        cost = TOKENS.cost(quantity)
    assert Fraction(cost) == Fraction("2.5") * quantity / 10**6


@given(st.integers(0, 10**15))
def test_the_cost_of_time_is_exact_to_the_fortieth_place(quantity: int) -> None:
    error = Fraction(HOURS.cost(quantity)) - Fraction("1.7") * quantity / 3_600_000
    assert abs(error) <= Fraction(1, 2 * 10**40)


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_cost_never_falls_when_a_count_rises(one: int, other: int) -> None:
    for rate in (TOKENS, HOURS):
        assert rate.cost(min(one, other)) <= rate.cost(max(one, other))


def test_a_number_of_numpy_is_a_number() -> None:
    np = pytest.importorskip("numpy")
    assert TOKENS.cost(np.int64(10**15 + 1)) == TOKENS.cost(10**15 + 1) == Decimal("2500000000.0000025")


@pytest.mark.parametrize("quantity", [-1, True, 1.0, Decimal(1), "1", None], ids=repr)
def test_a_quantity_that_is_no_count_is_refused(quantity: Any) -> None:
    with pytest.raises(RequestError):
        TOKENS.cost(quantity)


OWN = """
currency = "USD"

[source.contract]
title = "Our agreement"

[[rate]]
model = "gpt-4o"
sku = "GlobalStandard"
from = 2026-01-01
to = 2027-01-01
source = "contract"
price.input = "2.00"
price."input/audio" = { amount = "0.03", unit = "1K tokens", meter_name = "audio by the thousand" }

[[rate]]
model = "my-router"
sku = "Standard"
regions = ["eastus"]
price.session = { amount = "1", unit = "1 session" }
"""


@pytest.fixture
def own(tmp_path: Path) -> PriceBook:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return PriceBook.read(path)


def test_own_prices_win_on_their_days_and_the_bundled_ones_fill_in(own: PriceBook) -> None:
    def price(meter: str, on: date) -> Decimal:
        return own.rate(model="gpt-4o-2024-11-20", sku="GlobalStandard", meter=meter, on=on).amount

    assert price("input", date(2026, 12, 31)) == Decimal("2.00")
    assert price("input", date(2027, 1, 1)) == Decimal("2.5")
    assert price("input", date(2025, 12, 31)) == Decimal("2.5")
    assert price("output", date(2026, 12, 31)) == Decimal(10)


def test_own_prices_may_name_other_units_models_and_regions(own: PriceBook) -> None:
    rate = own.rate(model="gpt-4o", sku="GlobalStandard", meter="input", modality="audio", on=DAY)
    assert (rate.per, rate.cost(2_000)) == (1_000, Decimal("0.06"))
    assert own.rate(model="my-router", sku="Standard", meter="session", region="eastus", on=DAY).amount == 1
    with pytest.raises(MissingPriceError):
        own.rate(model="my-router", sku="Standard", meter="session", region="westus", on=DAY)
    assert own.sources["contract"]["title"] == "Our agreement"
    assert "S1" in own.sources


def test_books_and_rates_survive_pickling(own: PriceBook) -> None:
    assert pickle.loads(pickle.dumps(BOOK)) is BOOK
    again = pickle.loads(pickle.dumps(own))
    asked: dict[str, Any] = {"model": "gpt-4o", "sku": "GlobalStandard", "meter": "input", "on": DAY}
    assert again.rate(**asked) == own.rate(**asked)
    assert pickle.loads(pickle.dumps(TOKENS)) == TOKENS
    assert hash(replace(TOKENS, notes=("x",))) != hash(TOKENS)


def test_many_different_questions_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.prices.book._MOST_CACHED", 10)
    book = pickle.loads(pickle.dumps(PriceBook(BOOK._tables * 2)))
    for days in range(50):
        book.rate(model="gpt-4.1", sku="GlobalStandard", meter="input", on=DAY + timedelta(days=days))
        assert len(book._answers) <= 10


def test_a_book_of_another_currency_without_sheets_travels_as_it_is() -> None:
    again = pickle.loads(pickle.dumps(PriceBook.current("EUR")))
    assert again.currency == "EUR"
    assert not list(again.rows())


def test_a_book_that_is_held_at_a_day_travels_with_it() -> None:
    held = PriceBook.bundled().held_at(date(2025, 8, 20))
    again = pickle.loads(pickle.dumps(held))
    asked = {"model": "gpt-4.1", "version": "2025-04-14", "sku": "GlobalStandard", "meter": "input"}
    # Before the model was there: the day that is asked for plays no part.
    assert again.rate(**asked, on=date(2020, 1, 1)) == held.rate(**asked, on=date(2020, 1, 1))
    assert "2025-08-20" in repr(again)
