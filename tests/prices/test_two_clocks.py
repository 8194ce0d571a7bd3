"""Two clocks: the day whose prices count, and the day on which they were known."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from aoai_cost.errors import MissingPriceError, RequestError
from aoai_cost.prices import PriceBook, Rate
from aoai_cost.prices.compile import TABLE
from aoai_cost.prices.rows import PriceTable

BOOK = PriceBook.bundled()
FIRST_CAPTURE, LAST_CAPTURE = date(2026, 8, 11), date(2026, 11, 23)


def sol(book: PriceBook, on: date, **more: Any) -> Rate:
    asked = {"model": "gpt-5.6-sol", "version": "2026-07-09", "sku": "GlobalStandard", "meter": "input"}
    return book.rate(**(asked | more), on=on)  # type: ignore[arg-type]


def test_a_price_is_what_was_known_then() -> None:
    """The feed of 2026-08-11 had the launch price; the promotion from September on was seen on 2026-09-14."""
    day = date(2026, 10, 1)
    known_early = PriceBook.bundled(as_known_on=date(2026, 9, 13))
    assert (sol(known_early, day).amount, sol(known_early, day).effective_to) == (Decimal(5), None)
    assert sol(PriceBook.bundled(as_known_on=date(2026, 9, 14)), day).amount == sol(BOOK, day).amount == Decimal(4)
    assert sol(BOOK, date(2026, 7, 31)).effective_to == date(2026, 9, 1)


def test_a_time_is_its_day() -> None:
    assert PriceBook.bundled(as_known_on=datetime(2026, 9, 14, 23, 59)) is PriceBook.bundled(
        as_known_on=date(2026, 9, 14)
    )
    with pytest.raises(RequestError, match="must be a date"):
        PriceBook.current(as_known_on="2026-09-14")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="must be a date"):
        sol(BOOK, "2026-09-14")  # type: ignore[arg-type]


def test_threads_that_ask_at_once_get_the_same_answers() -> None:
    days = [date(2024, 6, 1) + timedelta(days=i) for i in range(900)]
    asked = {"model": "gpt-4o", "version": "2024-05-13", "sku": "GlobalStandard", "meter": "input"}

    def ask(book: PriceBook, day: date) -> str:
        try:
            return str(book.rate(**asked, on=day).amount)  # type: ignore[arg-type]
        except MissingPriceError as missing:
            return missing.covered

    expected = [ask(BOOK, day) for day in days]
    assert len(set(expected)) > 1
    raw = json.loads(TABLE.read_bytes())
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            book = PriceBook([PriceTable(raw)])
            assert list(threads.map(partial(ask, book), days)) == expected


def test_what_nobody_had_read_is_not_known() -> None:
    with pytest.raises(MissingPriceError, match="no price of this model"):
        sol(PriceBook.bundled(as_known_on=date(2024, 1, 1)), date(2026, 10, 1))


def test_all_that_is_known_is_known_after_the_last_capture() -> None:
    now = PriceBook.bundled(as_known_on=LAST_CAPTURE)
    assert list(now.rows()) == list(BOOK.rows())
    before = PriceBook.bundled(as_known_on=LAST_CAPTURE - timedelta(days=1))
    assert 0 < len(list(before.rows())) < len(list(now.rows()))


def test_no_row_of_an_earlier_day_was_captured_later() -> None:
    for known in (FIRST_CAPTURE, date(2026, 9, 1)):
        for row in PriceBook.bundled(as_known_on=known).rows():
            assert row.captured is not None
            assert row.captured <= known


def test_a_book_of_an_earlier_day_survives_pickling() -> None:
    early = PriceBook.bundled(as_known_on=FIRST_CAPTURE)
    assert pickle.loads(pickle.dumps(early)) is early
    layered = early.with_discount("0.5")
    again = pickle.loads(pickle.dumps(layered))
    assert sol(again, date(2026, 10, 1)) == sol(layered, date(2026, 10, 1))


def test_a_promotional_price_is_an_assumption_once_its_announced_days_are_over() -> None:
    last = sol(BOOK, date(2026, 11, 30))
    later = sol(BOOK, date(2026, 12, 1))
    assert (last.amount, later.amount) == (Decimal(4), Decimal(4))
    assert (last.certainty, later.certainty) == ("exact", "estimated")
    assert any("promotional" in note for note in last.notes)
    assert "after 2026-11-30" in later.notes[-1]


def test_every_answer_is_the_same_however_the_days_are_asked() -> None:
    """Answers are kept by spans of days: no order of questions may change one."""
    raw = json.loads(TABLE.read_bytes())
    days = [date(2024, 1, 1) + timedelta(days=9 * i) for i in range(130)]
    questions: list[dict[str, Any]] = [
        {"model": "gpt-5.6-sol", "sku": "GlobalStandard", "meter": "input"},
        {"model": "gpt-5.6-luna", "sku": "DataZoneStandard", "meter": "output", "region": "italynorth"},
        {"model": "o3", "sku": "GlobalStandard", "meter": "input"},
        {"model": "gpt-4o", "sku": "Standard", "meter": "input", "region": "swedencentral"},
        {"model": "gpt-4o", "sku": "ProvisionedManaged", "meter": "ptu", "region": "eastus"},
        {"model": "nobody", "sku": "GlobalStandard", "meter": "input"},
    ]

    def ask(book: PriceBook, question: dict[str, Any], day: date) -> object:
        try:
            return book.rate(**question, on=day)
        except MissingPriceError as missing:
            return missing.covered

    forward, backward = PriceBook([PriceTable(raw)]), PriceBook([PriceTable(raw)])
    for question in questions:
        answers = [ask(forward, question, day) for day in days]
        assert [ask(backward, question, day) for day in reversed(days)] == answers[::-1]
        assert [ask(PriceBook([PriceTable(raw)]), question, day) for day in days[::10]] == answers[::10]
        assert len(set(map(str, answers))) > 1 or question["model"] == "nobody"
