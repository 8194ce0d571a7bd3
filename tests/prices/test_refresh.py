"""Fetching the price list from a server on this machine that answers, or fails to, as the real one may."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from price_questions import rate_of

from aoai_cost.cli import main
from aoai_cost.errors import MissingPriceError, PriceSheetError, RefreshError, RequestError
from aoai_cost.prices import PriceBook, PriceRow
from aoai_cost.prices.captures import _folder, captures
from aoai_cost.prices.refresh import refresh_prices

DAY = date(2026, 12, 24)
Page = Callable[[BaseHTTPRequestHandler], None]


def item(meter: str, price: str, *regions: str, unit: str = "1K", currency: str = "USD", **more: Any) -> Iterator[Any]:
    """An item for each region, in the shape of the real list."""
    for region in regions or ("eastus",):
        yield {
            "currencyCode": currency,
            "tierMinimumUnits": 0.0,
            "retailPrice": float(price),
            "unitPrice": float(price),
            "armRegionName": region,
            "location": region.upper(),
            "effectiveStartDate": "2026-12-01T00:00:00Z",
            "meterId": "00000000-0000-0000-0000-000000000000",
            "meterName": meter,
            "productId": "DZH318Z0BQ4H",
            "skuId": "DZH318Z0BQ4H/00KP",
            "productName": "Azure OpenAI",
            "skuName": meter.removesuffix(" Tokens"),
            "serviceName": "Foundry Models",
            "serviceId": "DZH317F1HKN0",
            "serviceFamily": "AI + Machine Learning",
            "unitOfMeasure": unit,
            "type": "Consumption",
            "isPrimaryMeterRegion": True,
            "armSkuName": meter.removesuffix(" Tokens"),
        } | more


RESERVATIONS = list(
    item(
        "Provisioned Managed Global Unit",
        "260.0",
        "",
        unit="1 Hour",
        productName="Azure AI Foundry Provisioned Throughput Reservation",
        type="Reservation",
        reservationTerm="1 Month",
    )
)
MINI = [
    *item("gpt 4.1 mini Inp glbl Tokens", "0.0003", "eastus", "swedencentral"),
    *item("gpt 4.1 mini Outp glbl Tokens", "0.0013", "eastus", "swedencentral"),
]


class Shop:
    """The price list's server: pages by product, what each answer is, and what was asked."""

    def __init__(self, address: str) -> None:
        self.url = address + "/api/retail/prices"
        self.asked: list[dict[str, str]] = []
        self.pages: dict[str, list[Any]] = {
            "Azure OpenAI": [MINI],
            "Provisioned Throughput Reservation": [RESERVATIONS],
        }
        self.before: list[Page] = []
        """What answers come first, each once."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(handler.path).query).items()}
        self.asked.append(query)
        if self.before:
            self.before.pop(0)(handler)
            return
        product = query["$filter"].removeprefix("contains(productName, '").removesuffix("')")
        number = int(query.get("$skip", 0)) // 1000
        pages = self.pages[product]
        following = f"{self.url}?$filter={query['$filter']}&$skip={(number + 1) * 1000}".replace(" ", "%20")
        send(handler, body(pages[number], following if number + 1 < len(pages) else None))


def body(items: list[Any], following: str | None = None, **more: Any) -> bytes:
    whole = {"BillingCurrency": "USD", "CustomerEntityId": "Default", "CustomerEntityType": "Retail"}
    return json.dumps(whole | {"Items": items, "NextPageLink": following, "Count": len(items)} | more).encode()


def send(handler: BaseHTTPRequestHandler, data: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def shop() -> Iterator[Shop]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.answer(self)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = Shop(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield place
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a refresh would have waited."""
    slept: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    return slept


def ask(book: PriceBook, **more: Any) -> Any:
    asked = {"model": "gpt-4.1-mini", "sku": "GlobalStandard", "meter": "input", "region": "eastus", "on": DAY}
    return book.rate(**(asked | more))


def test_a_refresh_is_used_from_then_on_and_the_old_days_stay(shop: Shop) -> None:
    before = ask(PriceBook.current())
    result = refresh_prices(url=shop.url)
    assert (result.changed, result.rows, result.meters, result.unmapped) == (True, 5, 3, ())
    rate = ask(PriceBook.current())
    assert (before.amount, rate.amount, rate.unit) == (Decimal("0.4"), Decimal("0.3"), "1M tokens")
    assert (rate.source, rate.meter_name, rate.effective_from) == (
        "feed",
        "gpt 4.1 mini Inp glbl Tokens",
        date(2026, 12, 1),
    )
    assert rate.captured == result.capture.day
    assert ask(PriceBook.current(), on=date(2026, 11, 30)) == before
    assert ask(PriceBook.bundled()) == before
    month = ask(PriceBook.current(), sku="GlobalProvisionedManaged", meter="ptu_reservation", variant="1_month")
    assert (month.amount, month.unit) == (Decimal(260), "1 PTU-month")


def test_what_is_asked_for_is_what_the_service_documents(shop: Shop) -> None:
    refresh_prices(url=shop.url)
    assert shop.asked == [
        {"api-version": "2023-01-01-preview", "currencyCode": "'USD'", "$filter": f"contains(productName, '{product}')"}
        for product in ("Azure OpenAI", "Provisioned Throughput Reservation")
    ]


def test_pages_are_followed_to_the_end(shop: Shop) -> None:
    more = list(item("gpt 4.1 nano Inp glbl Tokens", "0.0001", "eastus"))
    shop.pages["Azure OpenAI"] = [MINI, more]
    assert refresh_prices(url=shop.url).rows == 6
    assert ask(PriceBook.current(), model="gpt-4.1-nano").amount == Decimal("0.1")


def test_a_busy_service_is_waited_for_as_long_as_it_says(shop: Shop, waits: list[float]) -> None:
    shop.before = [
        lambda handler: send(handler, b"busy", 429, Retry_After="7"),
        lambda handler: send(handler, b"busy", 429, Retry_After="86400"),
        lambda handler: send(handler, b"down", 503),
    ]
    assert refresh_prices(url=shop.url).rows == 5
    assert waits[:2] == [7, 60]


def test_an_answer_that_breaks_off_is_asked_for_again(shop: Shop) -> None:
    shop.before = [broken_off]
    assert refresh_prices(url=shop.url).rows == 5


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    whole = body(MINI)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(whole)))
    handler.end_headers()
    handler.wfile.write(whole[: len(whole) // 2])
    handler.close_connection = True


def always(answer: Page) -> Callable[[Shop], None]:
    def set_up(shop: Shop) -> None:
        shop.before = [answer] * 20

    return set_up


def always_body(*args: Any, **more: Any) -> Callable[[Shop], None]:
    return always(lambda handler: send(handler, body(*args, **more)))


def second_page(answer: bytes | Page) -> Callable[[Shop], None]:
    def set_up(shop: Shop) -> None:
        shop.pages["Azure OpenAI"] = [MINI, MINI]
        whole = body(MINI, f"{shop.url}?$filter=contains(productName,%20'Azure%20OpenAI')&$skip=1000")
        page = answer if callable(answer) else (lambda handler: send(handler, answer))
        shop.before = [lambda handler: send(handler, whole), *[page] * 20]

    return set_up


FAILURES = [
    pytest.param(always(lambda h: send(h, b"", 500)), 500, "not a price list", id="a service that is down"),
    pytest.param(always(lambda h: send(h, b"", 429)), 429, "not a price list", id="a service that stays busy"),
    pytest.param(always(lambda h: send(h, b"", 404)), 404, "not a price list", id="nothing there"),
    pytest.param(
        always(lambda h: send(h, b"", 302, Location="http://127.0.0.1:9/")), 302, "not a price list", id="a redirect"
    ),
    pytest.param(second_page(broken_off), None, "broke off", id="a second page that breaks off"),
    pytest.param(second_page(b'{"Items": ['), 200, "is not JSON", id="a second page that is broken"),
    pytest.param(second_page(b"<html>"), 200, "is not JSON", id="a page of a proxy"),
    pytest.param(second_page(b"[" * 100_000), 200, "is not JSON", id="deep brackets"),
    pytest.param(second_page(b"[]"), 200, "no list of Items", id="a list"),
    pytest.param(second_page(b'{"Count": 0}'), 200, "no list of Items", id="no items"),
    pytest.param(second_page(body(MINI, Count=1000)), 200, "says 1000 items and has 4", id="too few items"),
    pytest.param(
        second_page(body(list(item("x", "1", currency="EUR")))), 200, "is in 'EUR'; USD was", id="another currency"
    ),
    pytest.param(
        second_page(body(list(item("x", "1", productName="Virtual Machines")))), 200, "Virtual Machines", id="others"
    ),
    pytest.param(second_page(body([1])), 200, "item 1: is not an object", id="an item that is none"),
    pytest.param(second_page(body(list(item("x", "-1")))), 200, "its retailPrice is -1.0", id="a price below zero"),
    pytest.param(
        second_page(body(list(item("x", "1", retailPrice="1")))), 200, "its retailPrice is 1", id="a price as text"
    ),
    pytest.param(
        second_page(body(list(item("x", "1", retailPrice=None)))), 200, "its retailPrice is None", id="no price"
    ),
    pytest.param(second_page(body(list(item("x", "NaN")))), 200, "its retailPrice", id="a price that is not a number"),
    pytest.param(
        second_page(body(list(item("x", "1", effectiveStartDate="soon")))), 200, "effectiveStartDate", id="no day"
    ),
    pytest.param(second_page(body(list(item("x", "1", meterName=7)))), 200, "its meterName is", id="no name"),
    pytest.param(always_body([], None), None, "has no price of a product", id="an empty list"),
    pytest.param(
        second_page(body(MINI, "http://elsewhere.example/api")), 200, "next page is elsewhere", id="a link elsewhere"
    ),
    pytest.param(second_page(body(MINI, "http://[")), 200, "next page is elsewhere", id="a link that is no address"),
    pytest.param(second_page(body(MINI, 7)), 200, "next page is elsewhere", id="a link that is none"),
]


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(("set_up", "status", "reason"), FAILURES)
def test_a_failed_refresh_leaves_what_was_there(
    shop: Shop, data_folder: Path, set_up: Callable[[Shop], None], status: int | None, reason: str
) -> None:
    refresh_prices(url=shop.url)
    kept = {path: path.read_bytes() for path in data_folder.rglob("*") if path.is_file()}
    before = ask(PriceBook.current())
    set_up(shop)
    with pytest.raises(RefreshError) as caught:
        refresh_prices(url=shop.url)
    assert reason in caught.value.reason
    assert caught.value.status == status
    assert "the price sheet is unchanged" in str(caught.value)
    assert {path: path.read_bytes() for path in data_folder.rglob("*") if path.is_file()} == kept
    assert ask(PriceBook.current()) == before


@pytest.mark.parametrize(("price", "unit"), [("1e-30", "1K"), ("999999", "1")])
def test_a_price_that_no_table_can_hold_is_refused_with_its_list(shop: Shop, price: str, unit: str) -> None:
    shop.pages["Azure OpenAI"] = [[*MINI, *item("gpt 4.1 nano Inp glbl Tokens", price, unit=unit)]]
    with pytest.raises(RefreshError, match="is not an amount"):
        refresh_prices(url=shop.url)
    assert captures() == []


@pytest.mark.usefixtures("waits")
def test_pages_that_lead_in_a_circle_are_refused(shop: Shop) -> None:
    shop.before = [lambda handler: send(handler, body(MINI, shop.url + "?again"))] * 3
    with pytest.raises(RefreshError, match="do not come to an end"):
        refresh_prices(url=shop.url)


@pytest.mark.usefixtures("waits")
def test_a_service_that_cannot_be_reached_is_named(data_folder: Path) -> None:
    with pytest.raises(RefreshError, match="cannot be fetched"):
        refresh_prices(url="http://127.0.0.1:9/api/retail/prices")
    assert not list(data_folder.rglob("*"))


@pytest.mark.parametrize("currency", ["eur", "EURO", "", "€€€"])
def test_a_currency_that_is_none_is_refused(currency: str) -> None:
    with pytest.raises(RequestError, match="three letters"):
        refresh_prices(currency)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "prices.azure.com", "https://", "http://["])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(RequestError, match="must be an address"):
        refresh_prices(url=url)


def test_a_list_that_is_the_same_is_kept_once_and_seen_again(shop: Shop, data_folder: Path) -> None:
    first = refresh_prices(url=shop.url)
    again = refresh_prices(url=shop.url)
    assert (again.changed, again.capture) == (False, first.capture)
    assert len(list(data_folder.rglob("*.json"))) == 1
    assert json.loads(first.capture.path.read_bytes())["seen_to"] == first.capture.day.isoformat()


def test_an_earlier_list_answers_for_the_days_before_the_newer_one(shop: Shop) -> None:
    refresh_prices(url=shop.url, now=datetime(2026, 12, 2, tzinfo=UTC))
    later = [*item("gpt 4.1 mini Inp glbl Tokens", "0.0002", effectiveStartDate="2026-12-20T00:00:00Z")]
    shop.pages["Azure OpenAI"] = [later]
    refresh_prices(url=shop.url, now=datetime(2026, 12, 21, tzinfo=UTC))
    days = (date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 19), date(2026, 12, 20))
    assert [str(ask(PriceBook.current(), on=day).amount) for day in days] == ["0.4", "0.3", "0.3", "0.2"]
    known_before = PriceBook.current(as_known_on=date(2026, 12, 20))
    assert [str(ask(known_before, on=day).amount) for day in days] == ["0.4", "0.3", "0.3", "0.3"]
    assert ask(PriceBook.current(as_known_on=date(2026, 12, 1))).amount == Decimal("0.4")


def test_a_row_that_was_damaged_on_disk_is_a_sheet_error(shop: Shop) -> None:
    path = refresh_prices(url=shop.url).capture.path
    raw = json.loads(path.read_bytes())
    for broken in ([[1]], [[[], []]], [[["x"] * 19, [["input"]]]], 7):
        path.write_text(json.dumps(raw | {"rates": {"gpt-4.1-mini": broken}}), "utf-8")
        with pytest.raises(PriceSheetError, match="is not a price list"):
            ask(PriceBook.current())


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "run `aoai-cost prices refresh`"), ('{"currency": "USD"}', "is not a price list in USD"), ("[]", "is not")],
)
def test_a_list_that_was_damaged_on_disk_is_a_sheet_error(shop: Shop, text: str, reason: str) -> None:
    refresh_prices(url=shop.url).capture.path.write_text(text, "utf-8")
    with pytest.raises(PriceSheetError, match=reason):
        ask(PriceBook.current())


SECOND, LATER = datetime(2026, 12, 2, tzinfo=UTC), datetime(2026, 12, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "newest",
    [
        pytest.param(
            [
                *item("gpt 4.1 mini Inp glbl Tokens", "0.0002"),
                *item("4.1-mini Input global Tokens", "0.0004"),
            ],
            id="has it twice",
        ),
        pytest.param([*item("gpt 4.1 mini Outp glbl Tokens", "0.0013")], id="no longer has it"),
        pytest.param([*item("gpt 4.1 mini Inp glbl Tokens", "0")], id="gives nothing for a price"),
    ],
)
def test_an_older_price_that_the_newest_list_does_not_bear_out_is_doubted(shop: Shop, newest: list[Any]) -> None:
    refresh_prices(url=shop.url, now=SECOND)
    shop.pages["Azure OpenAI"] = [newest]
    refresh_prices(url=shop.url, now=LATER)
    before, after = (ask(PriceBook.current(), on=day) for day in (date(2026, 12, 14), date(2026, 12, 15)))
    assert (before.amount, before.certainty, before.notes) == (Decimal("0.3"), "exact", ())
    assert (after.amount, after.certainty) == (Decimal("0.3"), "estimated")
    assert "fetched on 2026-12-15 does not answer for this" in after.notes[-1]


def test_a_meter_that_is_sold_in_another_unit_has_a_new_price(shop: Shop) -> None:
    later = item("gpt 4.1 mini Inp glbl Tokens", "0.5", unit="1M", effectiveStartDate="2026-12-10T00:00:00Z")
    shop.pages["Azure OpenAI"] = [[*MINI, *later]]
    refresh_prices(url=shop.url, now=LATER)
    prices = [ask(PriceBook.current(), on=date(2026, 12, day)).amount for day in (9, 10)]
    assert prices == [Decimal("0.3"), Decimal("0.5")]


def test_three_meters_in_a_chain_of_contradictions_answer_nothing(shop: Shop) -> None:
    names = ("gpt 4.1 mini Inp glbl Tokens", "4.1-mini Input global Tokens", "gpt-4.1-mini-inp-gl Tokens")
    starts = ("2026-12-01", "2026-12-02", "2026-12-03")
    shop.pages["Azure OpenAI"] = [
        [
            one
            for name, start, price in zip(names, starts, ("0.1", "0.2", "0.3"), strict=True)
            for one in item(name, price, effectiveStartDate=f"{start}T00:00:00Z")
        ]
    ]
    refresh_prices(url=shop.url, now=LATER)
    assert {row.meter_name for row in PriceBook.current().listed() if row.source == "feed"} == set(names)


@pytest.mark.parametrize(("end", "last"), [("T00:00:00Z", 19), ("T23:59:59Z", 20)])
def test_an_end_within_a_day_ends_with_the_day(shop: Shop, end: str, last: int) -> None:
    shop.pages["Azure OpenAI"] = [
        [*item("gpt 4.1 mini Inp glbl Tokens", "0.0003", effectiveEndDate=f"2026-12-20{end}")]
    ]
    refresh_prices(url=shop.url, now=SECOND)
    assert ask(PriceBook.current(), on=date(2026, 12, last)).amount == Decimal("0.3")
    with pytest.raises(MissingPriceError, match="cover it until"):
        ask(PriceBook.current(), on=date(2026, 12, last + 1))


def test_a_list_that_is_seen_again_is_known_to_hold_by_then(shop: Shop) -> None:
    refresh_prices(url=shop.url, now=SECOND)
    assert ask(PriceBook.current()).captured == date(2026, 12, 2)
    refresh_prices(url=shop.url, now=LATER)
    assert ask(PriceBook.current()).captured == date(2026, 12, 15)
    assert ask(PriceBook.current(as_known_on=date(2026, 12, 14))).captured == date(2026, 12, 2)
    assert ask(PriceBook.current(as_known_on=date(2026, 12, 2))).captured == date(2026, 12, 2)


def test_the_time_of_a_list_is_kept_in_utc(shop: Shop) -> None:
    local = datetime(2026, 12, 2, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert refresh_prices(url=shop.url, now=local).capture.fetched == "20261203T043000Z"
    shop.pages["Azure OpenAI"] = [MINI[:1]]
    assert refresh_prices(url=shop.url, now=datetime(2026, 12, 4)).capture.fetched == "20261204T000000Z"


def test_a_reservation_costs_what_the_list_says_whatever_its_unit(shop: Shop) -> None:
    shop.pages["Provisioned Throughput Reservation"] = [[one | {"unitOfMeasure": "1/Hour"} for one in RESERVATIONS]]
    refresh_prices(url=shop.url, now=SECOND)
    found = ask(PriceBook.current(), sku="GlobalProvisionedManaged", meter="ptu_reservation", variant="1_month")
    assert (found.amount, found.source) == (Decimal(260), "feed")


def test_own_prices_are_known_from_the_day_they_were_checked(tmp_path: Path) -> None:
    sheet = tmp_path / "own.toml"
    rate = '[[rate]]\nmodel = "gpt-4.1-mini"\nsku = "GlobalStandard"\nchecked = 2026-12-01\nprice.input = "0.1"\n'
    sheet.write_text(rate, "utf-8")
    amounts = [ask(PriceBook.read(sheet, as_known_on=date(2026, month, 1))).amount for month in (11, 12)]
    assert amounts == [Decimal("0.4"), Decimal("0.1")]


def test_an_error_does_not_repeat_what_may_be_secret(shop: Shop) -> None:
    shop.before = [lambda handler: send(handler, b"", 404)]
    with pytest.raises(RefreshError) as caught:
        refresh_prices(url=shop.url.replace("http://", "http://user:secret@") + "?sig=secret")
    assert "secret" not in str(caught.value)
    assert "/api/retail/prices" in str(caught.value)


@pytest.mark.parametrize("currency", ["usd", "U*D", "EURO"])
def test_a_book_of_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(RequestError, match="three letters"):
        PriceBook.current(currency)


def test_a_price_that_the_newest_list_has_ended_is_not_that_of_an_older_list(shop: Shop) -> None:
    refresh_prices(url=shop.url, now=datetime(2026, 12, 2, tzinfo=UTC))
    ending = item("gpt 4.1 mini Inp glbl Tokens", "0.0003", effectiveEndDate="2026-12-20T00:00:00Z")
    shop.pages["Azure OpenAI"] = [list(ending)]
    refresh_prices(url=shop.url, now=datetime(2026, 12, 15, tzinfo=UTC))
    assert ask(PriceBook.current(), on=date(2026, 12, 19)).amount == Decimal("0.3")
    with pytest.raises(MissingPriceError, match="cover it until 2026-12-20"):
        ask(PriceBook.current(), on=date(2026, 12, 20))
    assert ask(PriceBook.current(as_known_on=date(2026, 12, 14)), on=date(2026, 12, 20)).amount == Decimal("0.3")


def test_two_lists_in_one_second_are_two_captures(shop: Shop) -> None:
    now = datetime(2026, 12, 21, tzinfo=UTC)
    refresh_prices(url=shop.url, now=now)
    assert ask(PriceBook.current()).amount == Decimal("0.3")
    shop.pages["Azure OpenAI"] = [list(item("gpt 4.1 mini Inp glbl Tokens", "0.0002"))]
    refresh_prices(url=shop.url, now=now)
    assert [one.fetched for one in captures()] == ["20261221T000001Z", "20261221T000000Z"]
    assert ask(PriceBook.current()).amount == Decimal("0.2")


def test_a_list_seen_again_by_a_clock_that_runs_behind_stays_as_late_as_it_was(shop: Shop) -> None:
    refresh_prices(url=shop.url, now=datetime(2026, 12, 21, tzinfo=UTC))
    refresh_prices(url=shop.url, now=datetime(2026, 12, 2, tzinfo=UTC))
    assert ask(PriceBook.current()).captured == date(2026, 12, 21)


def test_other_files_in_the_folder_are_left_alone(shop: Shop) -> None:
    kept = refresh_prices(url=shop.url).capture
    kept.path.with_name("USD-backup-20261224T000000Z.json").write_text("{}", "utf-8")
    assert captures(as_known_on=date(2030, 1, 1)) == [kept]
    assert ask(PriceBook.current()).amount == Decimal("0.3")


def test_where_lists_would_be_kept_there_may_be_a_file(data_folder: Path) -> None:
    assert captures() == []
    (data_folder / "prices").write_text("mine", "utf-8")
    assert captures() == []


def test_another_currency_is_a_book_of_its_own(shop: Shop) -> None:
    for product, pages in shop.pages.items():
        shop.pages[product] = [[one | {"currencyCode": "EUR"} for one in page] for page in pages]
    refresh_prices("EUR", url=shop.url)
    assert shop.asked[0]["currencyCode"] == "'EUR'"
    rate = ask(PriceBook.current("EUR"))
    assert (rate.amount, rate.currency) == (Decimal("0.3"), "EUR")
    assert ask(PriceBook.current()).currency == "USD"


def test_without_a_folder_named_the_system_says_where_data_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shop: Shop
) -> None:
    monkeypatch.delenv("AOAI_COST_DATA")
    # The system is asked once in a process.
    monkeypatch.setattr("aoai_cost.prices.captures._folder", _folder.__wrapped__)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: tmp_path / name)
    assert captures() == []
    assert refresh_prices(url=shop.url).capture.path.parent == tmp_path / "aoai-cost" / "prices"
    assert len(captures()) == 1


def test_a_list_without_reservations_is_a_list(shop: Shop) -> None:
    shop.pages["Provisioned Throughput Reservation"] = [[]]
    assert refresh_prices(url=shop.url).rows == 4


def test_names_that_are_not_understood_are_kept_and_reported(shop: Shop) -> None:
    shop.pages["Azure OpenAI"] = [[*MINI, *item("gpt 9 ultra Inp glbl Tokens", "0.1", "eastus", "westus")]]
    result = refresh_prices(url=shop.url)
    assert [(one.product, one.meter_name) for one in result.unmapped] == [
        ("Azure OpenAI", "gpt 9 ultra Inp glbl Tokens")
    ]
    (kept,) = (row for row in PriceBook.current().listed() if row.meter_name == "gpt 9 ultra Inp glbl Tokens")
    assert (kept.amount, kept.regions) == ("100", ("eastus", "westus"))
    assert kept.unmatched


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        pytest.param({"type": "DevTestConsumption"}, "a price of the type 'DevTestConsumption'", id="for testers"),
        pytest.param({"tierMinimumUnits": 1000.0}, "a price from 1000 units on", id="by volume"),
    ],
)
def test_prices_that_are_not_everybodys_answer_nothing(shop: Shop, more: dict[str, Any], reason: str) -> None:
    shop.pages["Azure OpenAI"] = [[*MINI, *item("gpt 4.1 mini Inp glbl Tokens", "0.0001", **more)]]
    refresh_prices(url=shop.url)
    assert ask(PriceBook.current()).amount == Decimal("0.3")
    assert [row.amount for row in PriceBook.current().listed() if row.unmatched == reason] == ["0.1"]


def test_meters_that_contradict_each_other_answer_nothing(shop: Shop) -> None:
    shop.pages["Azure OpenAI"] = [[*MINI, *item("4.1-mini Input global Tokens", "0.0002")]]
    result = refresh_prices(url=shop.url)
    assert result.unmapped == ()
    listed = {row.meter_name: row.unmatched for row in PriceBook.current().listed() if row.source == "feed"}
    assert listed == {
        "gpt 4.1 mini Inp glbl Tokens": "contradicts 4.1-mini Input global Tokens, another price of the same",
        "4.1-mini Input global Tokens": "contradicts gpt 4.1 mini Inp glbl Tokens, another price of the same",
    }
    # What the package knew answers on: it rests on an older reading, and says so by its date.
    assert ask(PriceBook.current()).source == "S1"


UNITS = {
    "1M tokens": ("1K", 1000),
    "1M characters": ("1M", 1),
    "1 image": ("100", Decimal("0.01")),
    "1K calls": ("1K", 1),
}
UNITS |= {"1 hour": ("1 Hour", 1), "1 second": ("1 Second", 1), "1 GB-day": ("1/Day", 1), "1 session": ("1", 1)}
UNITS |= {"1 PTU-hour": ("1/Hour", 1), "1 PTU-month": ("1/Month", 1)}


def as_item(row: PriceRow, region: str) -> dict[str, Any]:
    unit, divisor = ("1M", 1) if "1M" in row.meter_name else UNITS[row.unit]
    price = f"{Decimal(row.amount) / divisor:f}"
    start = f"{row.effective_from}T00:00:00Z"
    (made,) = item(row.meter_name, price, region, unit=unit, productName=row.product, effectiveStartDate=start)
    return made


def test_the_list_that_the_sheets_were_taken_from_gives_the_sheets_again(shop: Shop) -> None:
    """The meter names of the first capture, read by the grammar, price what people's reading of them prices."""
    rows = [row for row in PriceBook.bundled(as_known_on=date(2026, 8, 11)).rows() if row.source == "S1"]
    shop.pages["Azure OpenAI"] = [
        list(
            {
                json.dumps(one): one for row in rows for one in map(lambda r, row=row: as_item(row, r), row.regions)
            }.values()
        )
    ]
    refresh_prices(url=shop.url)
    feed = PriceBook([captures()[0].table()])
    asked = 0
    for row in rows:
        if row.unmatched or not row.in_force(date(2026, 8, 11)):
            continue
        for region in {row.regions[0], row.regions[-1]}:
            rate = rate_of(feed, row, region, date(2026, 8, 11))
            assert (rate.amount, rate.unit, rate.meter_name) == (Decimal(row.amount), row.unit, row.meter_name)
            asked += 1
    assert asked > 3_900


def run(*words: str) -> Any:
    result = CliRunner().invoke(main, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_command_says_what_it_brought_and_what_changed(shop: Shop) -> None:
    shop.pages["Azure OpenAI"] = [[*MINI, *item("gpt 9 ultra Inp glbl Tokens", "0.1")]]
    fetched = run("prices", "refresh", "--url", shop.url)
    assert (fetched.exit_code, fetched.stdout.startswith("6 prices of 4 meters in USD: ")) == (0, True)
    assert "gpt 9 ultra Inp glbl Tokens" in fetched.stderr
    again = json.loads(run("prices", "refresh", "--url", shop.url, "--json").stdout)
    assert (again["changed"], again["rows"], len(again["unmapped"])) == (False, 6, 1)

    found = json.loads(
        run("prices", "list", "gpt-4.1-mini", "--on", "2026-12-24", "--region", "eastus", "--json").stdout
    )
    assert ("feed", "0.3") in {(row["source"], row["price"]) for row in found["rows"] if row["meter"] == "input"}

    shop.pages["Azure OpenAI"] = [[*item("gpt 4.1 mini Inp glbl Tokens", "0.0002", "eastus", "swedencentral")]]
    older = captures()[0].path
    older.rename(older.with_name("USD-20260812T000000Z.json"))
    run("prices", "refresh", "--url", shop.url)
    changes = json.loads(run("prices", "diff", "--on", "2026-12-24", "--json").stdout)["changes"]
    assert [(one["meter"], one["before"], one["after"], one["regions"]) for one in changes] == [
        ("input", "0.3", "0.2", ["eastus", "swedencentral"]),
        ("output", "1.3", None, ["eastus", "swedencentral"]),
    ]
    shown = run("prices", "diff", "--on", "2026-12-24")
    assert "eastus, swedencentral" in shown.stdout
    assert "2 prices differ on 2026-12-24" in shown.stderr


@pytest.mark.usefixtures("waits")
def test_a_failure_is_one_line(shop: Shop) -> None:
    shop.before = [lambda handler: send(handler, b"", 404)]
    result = run("prices", "refresh", "--url", shop.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "answered 404" in result.stderr


def test_nothing_to_compare_is_said(shop: Shop) -> None:
    assert "give --since" in run("prices", "diff", "--currency", "EUR").stderr
