"""Discounts: a share off what lies below, exact, dated, and never of two competing kinds."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import Deployment
from aoai_cost.errors import MissingPriceError, PriceSheetError
from aoai_cost.prices import PriceBook, Rate
from aoai_cost.usage import Usage

DAY = date(2026, 10, 1)
LIST = PriceBook.bundled()


def sheet(folder: Path, text: str) -> PriceBook:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return PriceBook.read(path)


def ask(book: PriceBook, model: str = "gpt-4o-2024-11-20", **more: Any) -> Rate:
    return book.rate(**({"model": model, "sku": "GlobalStandard", "meter": "input", "on": DAY} | more))


def test_a_discount_takes_its_share_off_the_list_price_and_says_so(tmp_path: Path) -> None:
    book = sheet(tmp_path, '[[discount]]\nshare = "0.12"\nsource = "contract"\nnote = "of 2026"\n')
    rate = ask(book)
    assert (rate.amount, rate.list_amount, rate.certainty) == (Decimal("2.2"), Decimal("2.5"), "exact")
    assert rate.notes[-1] == "12 % off (contract of 2026)"
    assert (rate.meter_name, rate.source) == (ask(LIST).meter_name, "S1")


@pytest.mark.parametrize(
    ("names", "more", "amount"),
    [
        pytest.param('model = "gpt-4o"', {}, "2.25", id="its model"),
        pytest.param('model = "GPT-4o-2024-11-20"', {}, "2.25", id="its model and version, as logs write them"),
        pytest.param('model = "gpt-4o-2024-05-13"', {}, "2.5", id="another version"),
        pytest.param('model = "gpt-4.1"', {}, "2.5", id="another model"),
        pytest.param('sku = "globalstandard"', {}, "2.25", id="its sku"),
        pytest.param('sku = "GlobalBatch"', {}, "2.5", id="another sku"),
        pytest.param('tier = "priority"', {}, "2.5", id="another tier"),
        pytest.param('meter = "output"', {}, "2.5", id="another meter"),
        pytest.param('meter = "output"', {"meter": "output"}, "9", id="its meter"),
        pytest.param('meter = "ptu"', {"meter": "ptu", "sku": "GlobalProvisionedManaged"}, "0.9", id="PTU hours"),
        pytest.param("from = 2026-10-01", {}, "2.25", id="its first day"),
        pytest.param("from = 2026-10-02", {}, "2.5", id="the day before its first"),
        pytest.param("to = 2026-10-01", {}, "2.5", id="the day it ends"),
        pytest.param("to = 2026-10-02", {}, "2.25", id="its last day"),
    ],
)
def test_a_discount_is_for_what_it_names(tmp_path: Path, names: str, more: dict[str, Any], amount: str) -> None:
    book = sheet(tmp_path, f'[[discount]]\nshare = "0.1"\n{names}\n')
    assert ask(book, **more).amount == Decimal(amount)


def test_the_discount_that_names_more_counts(tmp_path: Path) -> None:
    text = '[[discount]]\nshare = "0.1"\n[[discount]]\nshare = "0.2"\nmodel = "gpt-4o"\n'
    text += '[[discount]]\nshare = "0.5"\nmodel = "gpt-4o"\nmeter = "output"\n'
    book = sheet(tmp_path, text)
    assert [ask(book).amount, ask(book, meter="output").amount] == [Decimal(2), Decimal(5)]
    assert ask(book, "gpt-4.1").amount == Decimal("1.8")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("", "", id="both for everything"),
        pytest.param('model = "gpt-4o"', 'sku = "GlobalStandard"', id="each for something the other has too"),
        pytest.param("to = 2026-06-02", "from = 2026-06-01", id="a day in common"),
        pytest.param('model = "gpt-4o-2024-11-20"', 'version = "2024-11-20"\nmodel = "gpt-4o"', id="two spellings"),
    ],
)
def test_two_discounts_that_compete_are_refused(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(PriceSheetError, match="same things and days as discount 1"):
        sheet(tmp_path, f'[[discount]]\nshare = "0.1"\n{one}\n[[discount]]\nshare = "0.2"\n{other}\n')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "share must be", id="no share"),
        pytest.param("share = 0.1", "share must be", id="a float"),
        pytest.param('share = "1.01"', "share must be", id="more than everything"),
        pytest.param('share = "-0.1"', "share must be", id="a surcharge"),
        pytest.param('share = "10%"', "share must be", id="a percentage"),
        pytest.param('share = "NaN"', "share must be", id="no number"),
        pytest.param('share = "0.1"\nmeter = "tokens"', "not a meter", id="an unknown meter"),
        pytest.param('share = "0.1"\nsku = "Cheap"', "sku 'Cheap'", id="an unknown sku"),
        pytest.param('share = "0.1"\nregion = "eastus"', "unknown key 'region'", id="a key it does not take"),
        pytest.param('share = "0.1"\nfrom = 2026-01-01\nto = 2026-01-01', "must come after", id="no days"),
    ],
)
def test_a_discount_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(PriceSheetError, match=reason):
        sheet(tmp_path, f"[[discount]]\n{text}\n")


def test_a_contract_rate_beside_a_discount_is_what_it_says(tmp_path: Path) -> None:
    rate = '[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice.input = "2"\n'
    book = sheet(tmp_path, f'[[discount]]\nshare = "0.5"\n{rate}')
    assert [ask(book).amount, ask(book, meter="output").amount] == [Decimal(2), Decimal(5)]


def test_a_discount_that_hangs_on_the_version_wants_to_know_it(tmp_path: Path) -> None:
    book = sheet(tmp_path, '[[discount]]\nshare = "0.5"\nmodel = "gpt-5-mini"\nversion = "2025-08-07"\n')
    assert ask(book, "gpt-5-mini", version="2025-08-07").amount == ask(LIST, "gpt-5-mini").amount / 2
    with pytest.raises(MissingPriceError, match="hangs on the version"):
        ask(book, "gpt-5-mini")


def test_versions_that_differ_after_discounts_must_be_named(tmp_path: Path) -> None:
    rate = '[[rate]]\nmodel = "gpt-5.2-chat"\nversion = "2026-02-10"\nsku = "GlobalStandard"\nprice.input = "1.75"\n'
    book = sheet(tmp_path, f'[[discount]]\nshare = "0.1"\n{rate}')
    versions = [ask(book, "gpt-5.2-chat", version=one).amount for one in ("2026-02-10", "2025-12-11")]
    assert versions == [Decimal("1.75"), Decimal("1.575")]
    with pytest.raises(MissingPriceError, match="only version '2026-02-10'"):
        ask(book, "gpt-5.2-chat")
    # Without the discount both cost the same, in whatever unit they are written.
    rate = rate.replace('"1.75"', '{ amount = "0.00175", unit = "1K tokens" }')
    assert ask(sheet(tmp_path, rate), "gpt-5.2-chat").amount == Decimal("0.00175")


def test_discounts_given_in_code_lie_over_each_other(tmp_path: Path) -> None:
    book = LIST.with_discount("0.1").with_discount(Decimal("0.5"), model="gpt-4o")
    assert (ask(book).amount, ask(book, "gpt-4.1").amount) == (Decimal("1.125"), Decimal("1.8"))
    own = sheet(tmp_path, '[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice.input = "2"\n')
    assert ask(own.with_discount("0.1")).amount == Decimal("1.8")
    assert ask(pickle.loads(pickle.dumps(book))) == ask(book)
    assert ask(LIST).amount == Decimal("2.5")
    with pytest.raises(PriceSheetError, match="share must be"):
        LIST.with_discount("2")


def test_a_discount_lowers_the_cost_of_a_usage_and_nothing_else() -> None:
    chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    usage = Usage({"input": 10**15 + 1, "output": 7})
    full, less = LIST.price(usage, chat, on=DAY), LIST.with_discount("0.1").price(usage, chat, on=DAY)
    assert Fraction(less.amount) == Fraction(full.amount) * 9 / 10
    assert (less.certainty, less.complete) == (full.certainty, True)


@given(st.decimals(0, 1, places=20), st.integers(0, 10**15 + 1))
def test_a_discount_is_exact_in_any_decimal_context(share: Decimal, quantity: int) -> None:
    with localcontext() as context:
        context.prec = 2
        cost = ask(LIST.with_discount(share)).cost(quantity)
    assert Fraction(cost) == Fraction("2.5") * (1 - Fraction(share)) * quantity / 10**6
