"""Azure's price list, item by item, made into a table as the sheets are.

An item is one price of one meter in one region from one day on. What a meter's name says is read by `read_meter_name`;
names that it does not understand are kept and answer nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Context, Decimal
from itertools import groupby
from typing import Any, NamedTuple

from ..catalog import arm_region
from ..errors import PriceSheetError, shorten
from ..tomlfile import Entry
from .compile import TableBuilder, bundled_geography
from .meters import read_meter_name, read_unit
from .rows import GOVERNMENT, geography_of

__all__ = ["FeedItem", "Unmapped", "feed_table", "read_item"]

_SOURCE = "feed"
_EXACT = Context(prec=100)
_CONSUMPTION, _RESERVATION = "Consumption", "Reservation"
_TERMS = {"1 Month": ("1_month", "1 PTU-month"), "1 Year": ("1_year", "1 PTU-year")}
_SCOPES = {"Global": "global", "Developer": "global", "DataZone": "data_zone"}


class FeedItem(NamedTuple):
    """An item of the price list, in the list's own words."""

    product: str
    meter_name: str
    unit_of_measure: str
    price: Decimal
    currency: str
    region: str
    """The ARM name; empty for an item of no region."""
    start: date
    end: date | None
    kind: str
    """``Consumption``, ``Reservation`` and the like."""
    term: str
    """The length of a reservation."""
    minimum: Decimal
    """The quantity from which the price holds, where the list prices by volume."""


class Unmapped(NamedTuple):
    """A meter whose name was not understood, and why."""

    product: str
    meter_name: str
    reason: str


def read_item(raw: Any) -> FeedItem:
    """Read an item of the API's JSON.

    Raises
    ------
    ValueError
        If it is not an item of the price list; the message says what is wrong with it.
    """
    if not isinstance(raw, Mapping):
        raise ValueError("is not an object")

    def text(name: str, default: str | None = None) -> str:
        value = raw.get(name)
        value = default if value is None else value
        if not isinstance(value, str):
            raise ValueError(f"its {name} is {shorten(value, 40)}")
        return value

    def amount(name: str, default: Decimal | None = None) -> Decimal:
        value = raw.get(name, default)
        if not isinstance(value, Decimal) or not value.is_finite() or value < 0 or value > 10**6:
            raise ValueError(f"its {name} is {value!s:.40}")
        return value

    def day(name: str, default: str | None = None) -> date | None:
        value = text(name, default)
        try:
            return date.fromisoformat(value[:10]) if value else None
        except ValueError:
            raise ValueError(f"its {name} is {shorten(value, 40)}") from None

    def last(name: str) -> date | None:
        """Read an end; one within a day ends with that day, so that the next one no longer counts."""
        end = day(name, "")
        return end + timedelta(days=1) if end and text(name)[10:].strip("TZ:0.") else end

    start = day("effectiveStartDate")
    if start is None:
        raise ValueError("it has no effectiveStartDate")
    region = arm_region(text("armRegionName", ""))
    return FeedItem(
        product=text("productName"),
        meter_name=text("meterName"),
        unit_of_measure=text("unitOfMeasure"),
        price=amount("retailPrice"),
        currency=text("currencyCode"),
        region="" if region == "global" else region,
        start=start,
        end=last("effectiveEndDate"),
        kind=text("type", _CONSUMPTION),
        term=text("reservationTerm", ""),
        minimum=amount("tierMinimumUnits", Decimal(0)),
    )


def feed_table(
    items: Iterable[FeedItem], *, currency: str, captured: date
) -> tuple[dict[str, Any], tuple[Unmapped, ...]]:
    """Make a table of the items, and list the meters whose names were not understood.

    Of the prices of one meter in one region the earlier ends where the later begins. Meters that contradict each other
    answer nothing.

    Parameters
    ----------
    items : iterable of FeedItem
        The whole list, in any order.
    currency : str
        The currency of all of them.
    captured : date
        The day on which the list was fetched.
    """
    builder = TableBuilder(currency)
    builder.sources[_SOURCE] = {
        "title": f"Azure Retail Prices API, in {currency}" + ("" if currency == "USD" else ", for reference: see USD"),
        "date": captured.isoformat(),
        "licence": "public Microsoft price data",
    }
    unmapped: dict[Unmapped, None] = {}
    regions: dict[tuple[_Head, _Price], list[str]] = {}
    for item, end in _successive(items):
        head, price = _read(item, end)
        if head.model.startswith("("):
            unmapped[Unmapped(item.product, item.meter_name, head.unmatched)] = None
        regions.setdefault((head, price), []).append(item.region)
    geography = bundled_geography()
    # Prices that differ in nothing but the meter are one entry, so that the table stays small.
    entries: dict[tuple[_Head, str, tuple[str, ...]], list[dict[str, Any]]] = {}
    for (head, price), places in sorted(regions.items()):
        for scope, named in _scopes(head.sku, places, geography):
            slots = entries.setdefault((head, scope, named), [{}])
            if price.key in slots[-1]:
                slots.append({})
            slots[-1][price.key] = {"amount": price.amount, "unit": price.unit, "meter_name": price.meter_name}
    for (head, scope, named), slots in entries.items():
        for prices in slots:
            _put_in(builder, head, scope, named, prices)
    builder.leave_contradictions_unmatched()
    return builder.raw() | {"captured": captured.isoformat()}, tuple(unmapped)


class _Head(NamedTuple):
    """What prices of one entry have in common."""

    model: str
    version: str
    sku: str
    tier: str
    band: str
    fine_tuned: str
    product: str
    start: date
    end: date
    unmatched: str


class _Price(NamedTuple):
    key: str
    amount: str
    unit: str
    meter_name: str


def _successive(items: Iterable[FeedItem]) -> Iterator[tuple[FeedItem, date]]:
    """Yield each item once, with the day on which it ends: its own, or the start of the next price of its meter."""

    def meter(item: FeedItem) -> tuple[object, ...]:
        return item.product, item.meter_name, item.kind, item.term, item.minimum, item.region

    for _, prices in groupby(sorted(set(items), key=lambda item: (meter(item), item.start)), meter):
        following = list(prices)
        for i, item in enumerate(following):
            later = next((one.start for one in following[i + 1 :] if one.start > item.start), date.max)
            yield item, min(item.end or date.max, later)


def _read(item: FeedItem, end: date) -> tuple[_Head, _Price]:
    reading = read_meter_name(item.product, item.meter_name, item.unit_of_measure)
    unit, factor = read_unit(reading.meter, item.meter_name, item.unit_of_measure) or (item.unit_of_measure, Decimal(1))
    meter, variant, unmatched = reading.meter or "unread", reading.variant, reading.unmatched
    if item.kind == _RESERVATION and meter == "ptu" and item.term in _TERMS:
        # A reservation's price is that of its whole term, whatever unit the list prints beside it.
        (variant, unit), factor, meter = _TERMS[item.term], Decimal(1), "ptu_reservation"
    elif item.kind != _CONSUMPTION:
        unmatched = unmatched or f"a price of the type {shorten(item.kind, 40)}"
    if not item.price:
        unmatched = unmatched or "the list says 0, which is no price"
    if item.minimum:
        unmatched = unmatched or f"a price from {item.minimum.normalize(_EXACT):f} units on"
    if end <= item.start:
        unmatched = unmatched or "it ends before it begins"
    key = meter + (f"/{reading.modality}" if reading.modality else "") + (f":{variant}" if variant else "")
    amount = _EXACT.multiply(item.price, factor)
    return (
        _Head(*reading[:6], item.product, item.start, end, unmatched),
        _Price(key, f"{amount.normalize(_EXACT):f}", unit, item.meter_name),
    )


def _scopes(sku: str, places: Iterable[str], geography: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the scope of a price for the regions that the list names, apart for government regions."""
    kind = next((scope for start, scope in _SCOPES.items() if sku.startswith(start)), "regional")
    by_place = {place: geography_of(place, geography) for place in sorted(set(filter(None, places)))}
    for government in (False, True):
        named = {place: where for place, where in by_place.items() if (where == GOVERNMENT) == government}
        bounds = "+".join(sorted(set(filter(None, named.values()))))
        if kind == "global" and not government and (named or not by_place):
            yield kind, tuple(named)
        elif named:
            yield f"{kind}:{bounds}" if bounds else kind, tuple(named)
    if not by_place and kind != "global":
        yield "unstated", ()


def _put_in(
    builder: TableBuilder, head: _Head, scope: str, named: tuple[str, ...], prices: Mapping[str, Mapping[str, str]]
) -> None:
    entry: dict[str, Any] = {
        **{key: value for key, value in head._asdict().items() if key not in ("start", "end") and value},
        "scope": scope,
        "regions": list(named),
        "from": head.start,
        "source": _SOURCE,
        "price": dict(prices),
    }
    if head.start < head.end < date.max:
        entry["to"] = head.end
    if scope == "unstated" and not head.unmatched:
        entry["unmatched"] = "the list names no region"

    def refuse(reason: str, *_: str) -> PriceSheetError:
        return PriceSheetError("", head.product, reason)

    try:
        builder.add_rate(Entry(entry, refuse))
    except PriceSheetError as problem:
        # Whatever a sheet could not say is kept all the same, and answers nothing.
        builder.add_rate(Entry({**entry, "unmatched": problem.reason}, refuse))
