"""The price book: loading its table, finding one price, finding ten thousand, pricing a usage."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from aoai_cost.catalog import Deployment
from aoai_cost.prices import PriceBook, Rate
from aoai_cost.prices.compile import SHEETS, TABLE, compile_sheets, table_bytes
from aoai_cost.prices.rows import PriceTable
from aoai_cost.usage import Usage

DAY = date(2026, 10, 1)


def load() -> PriceBook:
    return PriceBook([PriceTable(json.loads(TABLE.read_bytes()))])


def ask(book: PriceBook, on: date = DAY, meter: str = "input") -> Rate:
    return book.rate(model="gpt-4o", version="2024-11-20", sku="GlobalStandard", meter=meter, on=on)


def test_load_the_table(benchmark: Callable[..., Any]) -> None:
    assert table_bytes(compile_sheets(sorted(SHEETS.glob("*.toml")))) == TABLE.read_bytes()
    assert ask(benchmark(load)).amount == Decimal("2.5")


def test_load_and_find_the_first_price(benchmark: Callable[..., Any]) -> None:
    assert benchmark(lambda: ask(load())).amount == Decimal("2.5")


def test_find_a_price_again(benchmark: Callable[..., Any]) -> None:
    book = load()
    assert benchmark(lambda: ask(book)).amount == Decimal("2.5")


def test_find_ten_thousand_prices_of_different_days(benchmark: Callable[..., Any]) -> None:
    days = [DAY + timedelta(days=i) for i in range(5_000)]

    def find() -> list[Decimal]:
        book = load()
        return [ask(book, day, meter).amount for day in days for meter in ("input", "output")]

    assert set(benchmark.pedantic(find, rounds=3)) == {Decimal("2.5"), Decimal(10)}  # type: ignore[attr-defined]


def test_price_a_usage(benchmark: Callable[..., Any]) -> None:
    book = load()
    chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    usage = Usage({"input": 1_000, "cached_input": 2_000, "output": 300})
    assert benchmark(lambda: book.price(usage, chat, on=DAY)).amount == Decimal("0.008")
