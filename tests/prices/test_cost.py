"""A usage priced: lines, what has no price, and the laws that sums obey."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import Deployment
from aoai_cost.prices import PriceBook, exact_sum
from aoai_cost.usage import MeterKey, Usage

BOOK = PriceBook.bundled()
# Before the sheets were captured: prices of later days carry a note.
DAY = date(2026, 8, 10)
CHAT = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
OLD = Deployment("contoso", "old", "gpt-4o", version="2024-05-13", sku="GlobalStandard")
PTU = Deployment("contoso", "ptu", "gpt-4o", version="2024-11-20", sku="GlobalProvisionedManaged", ptu_units=50)
HOUR_MS = 3_600_000


def test_each_meter_is_a_line() -> None:
    cost = BOOK.price(Usage({"input": 1_000, "cached_input": 2_000, "output": 300}), CHAT, on=DAY)
    assert {line.key.meter: line.amount for line in cost.lines} == {
        "input": Decimal("0.0025"),
        "cached_input": Decimal("0.0025"),
        "output": Decimal("0.003"),
    }
    assert (cost.amount, cost.currency, cost.certainty) == (Decimal("0.008"), "USD", "exact")
    assert cost.complete
    assert cost.notes == ()
    assert pickle.loads(pickle.dumps(cost)) == cost


def test_an_unknown_price_is_listed_and_never_zero() -> None:
    cost = BOOK.price(Usage({"input": 1_000, ("output", "audio"): 5, "image": 2}), CHAT, on=DAY)
    assert [(key, quantity) for key, quantity, _ in cost.unpriced] == [
        (MeterKey("image"), 2),
        (MeterKey("output", "audio"), 5),
    ]
    assert (cost.amount, cost.complete, cost.certainty) == (Decimal("0.0025"), False, "lower_bound")
    assert pickle.loads(pickle.dumps(cost)).amount == cost.amount


def test_cached_input_without_a_price_is_priced_as_input_and_says_so() -> None:
    cost = BOOK.price(Usage({"cached_input": 1_000}), OLD, on=DAY)
    assert (cost.amount, cost.certainty) == (Decimal("0.005"), "estimated")
    assert cost.lines[0].key == MeterKey("cached_input")
    assert cost.notes == ("gpt-4o has no price for cached_input here: priced as input (assumed)",)


def test_cached_input_with_a_price_elsewhere_stays_unpriced() -> None:
    cost = BOOK.price(Usage({"cached_input": 1_000}), CHAT, on=date(2024, 1, 1))
    assert not cost.lines
    assert "cover it from" in cost.unpriced[0][2].covered


def test_tokens_of_a_provisioned_deployment_are_paid_by_its_hours() -> None:
    cost = BOOK.price(Usage({"input": 10**9, "output": 10**9, "ptu": 50 * 24 * HOUR_MS}), PTU, on=DAY)
    assert [line.key.meter for line in cost.lines] == ["ptu"]
    assert (cost.amount, cost.complete) == (Decimal(1200), True)
    assert cost.notes == ("tokens are covered by the provisioned throughput units",)


def test_a_day_after_the_capture_of_its_price_is_noted() -> None:
    usage = Usage({"input": 1_000})
    assert BOOK.price(usage, CHAT, on=date(2026, 8, 11)).notes == ()
    later = BOOK.price(usage, CHAT, on=date(2026, 8, 12))
    assert later.notes == ("list prices as captured on 2026-08-11; a later change is not known here",)
    assert later.certainty == "exact"


def test_what_stands_in_and_is_missing_too_is_not_what_is_named() -> None:
    unknown = Deployment("contoso", "x", "contoso-chat", sku="GlobalStandard")
    cost = BOOK.price(Usage({"cached_input": 1, ("input", "image"): 2}), unknown, on=DAY)
    assert [(error.meter, error.modality) for _, _, error in cost.unpriced] == [
        ("cached_input", "text"),
        ("input", "image"),
    ]


def test_what_hangs_on_no_band_is_priced_in_the_long_one() -> None:
    chat = Deployment("contoso", "chat", "gpt-5.4", version="2026-03-05", sku="GlobalStandard")
    usage = Usage({("session", "text", "code_interpreter"): 3})
    assert BOOK.price(usage, chat, on=DAY, band="long").amount == BOOK.price(usage, chat, on=DAY).amount > 0


def test_the_band_selects_the_price() -> None:
    sol = Deployment("contoso", "sol", "gpt-5.6-sol", version="2026-07-09", sku="GlobalStandard")
    usage = Usage({"input": 1_000_000})
    assert [BOOK.price(usage, sol, on=date(2026, 10, 1), band=band).amount for band in ("short", "long")] == [4, 8]


def test_no_usage_costs_nothing() -> None:
    cost = BOOK.price(Usage(), CHAT, on=DAY)
    assert (cost.amount, cost.lines, cost.complete, cost.certainty) == (0, (), True, "exact")


def test_a_book_is_in_one_currency_and_others_do_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'currency = "EUR"\n[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice.input = "2.1"\n', encoding="utf-8"
    )
    cost = PriceBook.read(path).price(Usage({"input": 1_000_000, "output": 7}), CHAT, on=DAY)
    assert (cost.currency, cost.amount, cost.certainty) == ("EUR", Decimal("2.1"), "lower_bound")
    assert [(key.meter, quantity) for key, quantity, _ in cost.unpriced] == [("output", 7)]
    assert "prices in another currency do not answer" in cost.unpriced[0][2].covered


QUANTITIES = st.fixed_dictionaries(
    {}, optional={meter: st.integers(0, 10**14) for meter in ("input", "cached_input", "output")}
)


@given(QUANTITIES)
def test_the_cost_is_what_fractions_say(quantities: dict[str, int]) -> None:
    price = {"input": Fraction("2.5"), "cached_input": Fraction("1.25"), "output": Fraction(10)}
    expected = sum(price[meter] * quantity for meter, quantity in quantities.items()) / 10**6
    with localcontext() as context:
        context.prec = 2
        assert Fraction(BOOK.price(Usage(quantities), CHAT, on=DAY).amount) == expected


@given(st.lists(QUANTITIES, max_size=8), st.randoms(use_true_random=False))
def test_any_split_in_any_order_costs_the_same(parts: list[dict[str, int]], random: object) -> None:
    usages = [Usage(part) for part in parts]
    whole = BOOK.price(Usage.sum(usages), CHAT, on=DAY).amount
    random.shuffle(usages)  # type: ignore[attr-defined]
    assert exact_sum(BOOK.price(usage, CHAT, on=DAY).amount for usage in usages) == whole


@given(QUANTITIES, QUANTITIES)
def test_more_usage_never_costs_less(one: dict[str, int], more: dict[str, int]) -> None:
    smaller, larger = Usage(one), Usage(one) + Usage(more)
    assert BOOK.price(smaller, CHAT, on=DAY).amount <= BOOK.price(larger, CHAT, on=DAY).amount


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_sums_of_time_do_not_hang_on_their_order(times: list[int], random: object) -> None:
    rate = BOOK.rate(model="gpt-4.1", sku="GlobalStandard", meter="hosting", fine_tuned="ft", on=DAY)
    amounts = [rate.cost(time) for time in times]
    total = exact_sum(amounts)
    random.shuffle(amounts)  # type: ignore[attr-defined]
    assert exact_sum(amounts) == total
    assert Fraction(total) == sum(map(Fraction, amounts))


def test_the_callers_decimal_context_is_left_alone() -> None:
    before = getcontext().copy()
    BOOK.price(Usage({"input": 1, "output": 10**17 + 1}), CHAT, on=DAY)
    assert getcontext().flags == before.flags


def test_a_chat_model_reads_images_at_its_input_price() -> None:
    cost = BOOK.price(Usage({("input", "image"): 1_000}), CHAT, on=DAY)
    assert (cost.amount, cost.certainty) == (Decimal("0.0025"), "exact")


def test_an_image_model_meters_images_apart() -> None:
    painter = Deployment("contoso", "painter", "gpt-image-1.5", version="2025-12-16", sku="GlobalStandard")
    text = BOOK.price(Usage({"input": 1_000_000}), painter, on=DAY)
    image = BOOK.price(Usage({("input", "image"): 1_000_000}), painter, on=DAY)
    assert text.complete
    assert image.complete
    assert image.amount > text.amount


def test_a_model_tuned_by_reinforcement_is_used_at_the_prices_of_tuned_models() -> None:
    tuned = Deployment("contoso", "rft", "o4-mini", version="2025-04-16", sku="GlobalStandard", fine_tuned="rft")
    usage = Usage({"input": 1_000_000, "training_time": HOUR_MS})
    cost = BOOK.price(usage, tuned, on=DAY)
    assert (cost.complete, cost.certainty) == (True, "estimated")
    assert {line.key.meter: line.rate.meter_name for line in cost.lines} == {
        "input": "o4-mini-ft input global Tokens",
        "training_time": "o4-mini RFT Training global Unit",
    }
    assert "o4-mini has no input price for rft: priced as ft (assumed)" in cost.notes
