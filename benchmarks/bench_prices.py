"""The price book: loading it, finding one price in it, finding ten thousand, pricing a usage; each checked first.

What is asked of it on the machines it was made on: loaded in 30 ms of CPU, one rate resolved in 2 microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any

import pytest

from aoai_cost.catalog import Deployment
from aoai_cost.errors import MissingPriceError
from aoai_cost.prices import PriceBook, Rate
from aoai_cost.prices.compile import SHEETS, TABLE, compile_sheets
from aoai_cost.prices.rows import PriceTable, table_bytes
from aoai_cost.usage import Usage

DAY = date(2026, 10, 1)
DAYS = [DAY + timedelta(days=i) for i in range(5_000)]


def load() -> PriceBook:
    return PriceBook([PriceTable(json.loads(TABLE.read_bytes()))])


def ask(book: PriceBook, on: date = DAY, meter: str = "input") -> Rate:
    return book.rate(model="gpt-4o", version="2024-11-20", sku="GlobalStandard", meter=meter, on=on)


def test_load_the_book(benchmark: Callable[..., Any]) -> None:
    assert table_bytes(compile_sheets(sorted(SHEETS.glob("*.toml")))) == TABLE.read_bytes()
    assert ask(benchmark(load)).amount == Decimal("2.5")


def test_load_the_book_and_every_row_of_it(benchmark: Callable[..., Any]) -> None:
    assert len(benchmark(lambda: list(load().rows()))) > 3_084


def test_resolve_one_rate(benchmark: Callable[..., Any]) -> None:
    book = load()
    assert benchmark(ask, book).amount == Decimal("2.5")


def test_resolve_one_rate_on_another_day_each_time(benchmark: Callable[..., Any]) -> None:
    book, days = load(), cycle(DAYS)
    assert all(ask(book, day) == ask(load(), day) for day in DAYS[::500])
    assert benchmark(lambda: ask(book, next(days))).amount == Decimal("2.5")


def test_resolve_what_has_no_price(benchmark: Callable[..., Any]) -> None:
    book = load()

    def find() -> str:
        with pytest.raises(MissingPriceError) as caught:
            ask(book, meter="cache_write")
        return caught.value.covered

    assert "cached_input" in benchmark(find)


def test_resolve_a_question_for_the_first_time(benchmark: Callable[..., Any]) -> None:
    book = load()
    ask(book)

    def find() -> Rate:
        book._answers.clear()
        return ask(book)

    assert benchmark(find).amount == Decimal("2.5")


def test_resolve_ten_thousand_rates_of_a_book_just_loaded(benchmark: Callable[..., Any]) -> None:
    def find() -> list[Decimal]:
        book = load()
        return [ask(book, day, meter).amount for day in DAYS for meter in ("input", "output")]

    assert set(benchmark.pedantic(find, rounds=3)) == {Decimal("2.5"), Decimal(10)}  # type: ignore[attr-defined]


def test_price_a_usage(benchmark: Callable[..., Any]) -> None:
    book = load()
    chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    usage = Usage({"input": 1_000, "cached_input": 2_000, "output": 300})
    assert benchmark(lambda: book.price(usage, chat, on=DAY)).amount == Decimal("0.008")
