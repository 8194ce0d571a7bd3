"""Fetching Azure's price list. Of all the package only this file goes to the network, and only when it is asked to.

The service is the Azure Retail Prices API, public and without a key, a thousand rows a page:
learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from .. import markup
from ..errors import PriceSheetError, RefreshError, RequestError, shorten
from .captures import Capture, keep_capture
from .feed import FeedItem, Unmapped, feed_table, read_item
from .rows import is_currency

if TYPE_CHECKING:
    import requests

__all__ = ["PRICE_LIST", "Refresh", "refresh_prices"]

PRICE_LIST = "https://prices.azure.com/api/retail/prices"
"""Where the price list is."""

_VERSION = "2023-01-01-preview"
# Azure OpenAI's meters stand under several products ("Azure OpenAI", "Azure OpenAI GPT5", ...), reservations under one
# of their own.
_PRODUCTS = ("Azure OpenAI", "Provisioned Throughput Reservation")
_MOST_PAGES = 1_000
_TRIES = 5
_LONGEST_WAIT_S = 60.0
_TIMEOUT_S = (10, 60)
_PASSING = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh brought.

    ``capture`` is the file kept; ``changed`` tells whether its prices differ from those of the capture before.
    ``rows`` counts the rows of the price list, ``meters`` their distinct names; ``unmapped`` are the names that were
    not understood: their rows are kept and answer nothing.
    """

    capture: Capture
    changed: bool
    rows: int
    meters: int
    unmapped: tuple[Unmapped, ...]

    def _repr_html_(self) -> str:
        told = [
            ("fetched", f"{self.capture.fetched}, in {self.capture.currency}"),
            ("rows", f"{self.rows:,}, of {self.meters:,} meters"),
            ("kept in", self.capture.path),
        ]
        return markup.result(
            "the prices differ from those before" if self.changed else "the prices are those of before",
            markup.facts(told),
            markup.first_rows(
                ("product", "meter not understood", "why"), self.unmapped, len(self.unmapped), all_in=".unmapped"
            ),
        )


def refresh_prices(currency: str = "USD", *, url: str = PRICE_LIST, now: datetime | None = None) -> Refresh:
    """Fetch the price list and keep it in the user's data folder; `PriceBook.current` uses it from then on.

    Parameters
    ----------
    currency : str
        A code of three letters. Azure converts its list itself; nothing is converted here.
    url : str
        Another address that answers as the price list does, such as a mirror in a closed network.
    now : datetime, optional
        The time under which the list is kept, in UTC where it names no zone; by default that of the clock.

    Raises
    ------
    RequestError
        For a currency or an address that cannot be one.
    RefreshError
        If the list cannot be fetched whole, or is not what was asked for; what was kept before stays as it was.
    """
    if not is_currency(currency):
        raise RequestError("currency", f'must be a code of three letters such as "USD", found {shorten(currency)}')
    place = _parts(url)
    if place.scheme not in ("https", "http") or not place.hostname:
        raise RequestError("url", f"must be an address such as {PRICE_LIST}, found {shorten(url)}")
    fetched = datetime.now(UTC) if now is None else now.astimezone(UTC) if now.tzinfo else now.replace(tzinfo=UTC)
    items: list[FeedItem] = []
    with _session() as session:
        for product in _PRODUCTS:
            items += _items(session, url, product, currency)
            if not items:
                raise _refusal(url, None, f"has no price of a product {product!r}")
    try:
        table, unmapped = feed_table(items, currency=currency, captured=fetched.date())
    except PriceSheetError as error:
        raise _refusal(url, None, error.reason) from error
    capture, changed = keep_capture(table, fetched)
    meters = {(item.product, item.meter_name) for item in items}
    return Refresh(capture, changed, len(items), len(meters), unmapped)


def _refusal(url: str, status: int | None, reason: str) -> RefreshError:
    """Make an error that names an address without what may be secret in it: its user, its password, its query."""
    place = _parts(url)
    return RefreshError(f"{place.scheme}://{place.hostname}{place.path}", status, reason)


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # as for http://[
        return urlsplit("")


def _session() -> requests.Session:
    """Return a session that waits and tries again: as long as the service says, or twice as long each time."""
    import requests  # a third of a second, only for those who refresh
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class PatientRetry(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            asked = super().get_retry_after(response)
            return None if asked is None else min(asked, _LONGEST_WAIT_S)

    session = requests.Session()
    retry = PatientRetry(_TRIES - 1, status_forcelist=_PASSING, backoff_factor=1, raise_on_status=False)
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


def _items(session: requests.Session, url: str, product: str, currency: str) -> Iterator[FeedItem]:
    asked = {
        "api-version": _VERSION,
        "currencyCode": f"'{currency}'",  # in quotes, as the documentation writes it
        "$filter": f"contains(productName, '{product}')",
    }
    page: str | None = url
    seen: set[str] = set()
    while page is not None:
        if page in seen or len(seen) >= _MOST_PAGES:
            raise _refusal(page, None, "its pages do not come to an end")
        seen.add(page)
        body = _page(session, page, asked if page == url else None)
        yield from _checked(body, page, product, currency)
        page = _next_page(body, page)


def _page(session: requests.Session, page: str, asked: dict[str, str] | None) -> dict[str, Any]:
    import requests

    for tries_left in reversed(range(_TRIES)):
        try:
            answer = session.get(page, params=asked, timeout=_TIMEOUT_S, allow_redirects=False)
            break
        # The adapter tries again what fails before the body; a body that breaks off is tried again here.
        except requests.exceptions.ChunkedEncodingError as error:
            if not tries_left:
                raise _refusal(page, None, "the answer broke off") from error
        except requests.RequestException as error:
            raise _refusal(page, None, f"cannot be fetched ({type(error).__name__})") from error
    if answer.status_code != 200:
        raise _refusal(page, answer.status_code, "that is not a price list")
    try:
        body = json.loads(answer.content, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError) as error:
        raise _refusal(page, 200, "the answer is not JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("Items"), list):
        raise _refusal(page, 200, "the answer has no list of Items")
    return body


def _checked(body: dict[str, Any], page: str, product: str, currency: str) -> Iterator[FeedItem]:
    """Yield the items of a page that is what was asked for."""
    items = body["Items"]
    if body.get("Count") != len(items):
        raise _refusal(page, 200, f"the answer says {body.get('Count')!s:.40} items and has {len(items):,}")
    for number, raw in enumerate(items, start=1):
        try:
            item = read_item(raw)
        except ValueError as error:
            raise _refusal(page, 200, f"item {number}: {error}") from error
        if item.currency != currency:
            raise _refusal(page, 200, f"item {number} is in {shorten(item.currency, 40)}; {currency} was asked for")
        if product not in item.product:
            raise _refusal(page, 200, f"item {number} is of the product {shorten(item.product, 80)}")
        yield item


def _next_page(body: dict[str, Any], page: str) -> str | None:
    link = body.get("NextPageLink")
    if not link:
        return None
    here, there = _parts(page), _parts(link if isinstance(link, str) else "")
    # The service writes its port into its links; another host or scheme is not the price list.
    if (there.scheme, there.hostname) != (here.scheme, here.hostname):
        raise _refusal(page, 200, f"its next page is elsewhere: {shorten(link)}")
    return str(link)
