"""The columns of Cost Management's exports, under all the names that they have, and the texts in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from ..errors import shorten

__all__ = ["ColumnsError", "column_map", "is_slashed", "read_amount", "read_day", "read_order", "read_text"]

# Enterprise Agreement, Microsoft Customer Agreement and pay-as-you-go name one thing in several ways, in any case. The
# first name of a field that a file has is the one that counts.
# Source: Microsoft's "Understand cost details fields", and finops-toolkit docs-mslearn/focus/convert.md and mapping.md.
_COST_DETAILS: Mapping[str, tuple[str, ...]] = {
    "day": ("date", "usagedatetime", "usagedate"),
    "period": ("billingperiodstartdate",),
    "period_end": ("billingperiodenddate",),
    "subscription": ("subscriptionid", "subscriptionguid"),
    "resource": ("resourceid", "instanceid", "instancename"),
    "subcategory": ("metersubcategory",),
    "product": ("productname", "product"),
    "meter_name": ("metername",),
    "unit": ("unitofmeasure",),
    "quantity": ("quantity", "consumedquantity", "usagequantity"),
    "cost": ("costinbillingcurrency", "cost", "pretaxcost", "extendedcost"),
    "currency": ("billingcurrency", "billingcurrencycode", "currency"),
    "pricing_cost": ("costinpricingcurrency",),
    "pricing_currency": ("pricingcurrency", "pricingcurrencycode"),
    "rate": ("exchangeratepricingtobilling", "exchangerate"),
    "usd_cost": ("costinusd",),
    "charge": ("chargetype",),
    "commitment": ("pricingmodel",),
}
# Azure's columns of FOCUS 1.0 and 1.2; those that begin with x_ are Azure's own.
_FOCUS: Mapping[str, tuple[str, ...]] = {
    "day": ("chargeperiodstart",),
    "period": ("billingperiodstart",),
    "period_end": ("billingperiodend",),
    "subscription": ("subaccountid",),
    "resource": ("resourceid",),
    "subcategory": ("x_skumetersubcategory",),
    "product": ("chargedescription", "x_skudescription"),
    "meter_name": ("skumeter", "x_skumetername"),
    "unit": ("x_pricingunitdescription", "pricingunit"),
    "quantity": ("pricingquantity",),
    "consumed": ("consumedquantity",),
    "currency": ("billingcurrency",),
    "pricing_currency": ("x_pricingcurrency", "pricingcurrency"),
    "rate": ("x_billingexchangerate",),
    "charge": ("chargecategory",),
    "class": ("chargeclass",),
    "status": ("commitmentdiscountstatus",),
    "commitment": ("pricingcategory",),
}
_FOCUS_COSTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "actual": {"cost": ("billedcost",), "usd_cost": ("x_billedcostinusd",)},
    "amortized": {"cost": ("effectivecost",), "usd_cost": ("x_effectivecostinusd",)},
}
_REQUIRED = ("day", "resource", "meter_name", "unit", "quantity", "cost", "currency")

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 80
_LARGEST_EXPONENT = 40
_ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]00:?00)?)?", re.ASCII)
_SLASHED_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: \d{1,2}:\d\d(?::\d\d)?(?: [AP]M)?)?", re.ASCII)


class ColumnsError(ValueError):
    """The columns are not those of a bill, or a text is not what its column should hold."""


def column_map(names: Iterable[str], view: str) -> tuple[dict[str, str], bool]:
    """Return the column of every field that a file has, and whether it is a FOCUS export.

    Raises
    ------
    ColumnsError
        If what a bill must say has no column.
    """
    by_name: dict[str, str] = {}
    twice: set[str] = set()
    for name in names:
        known = re.sub(r"\s", "", name).lower()
        twice.update((known,) if known in by_name else ())
        by_name[known] = name
    is_focus = "chargeperiodstart" in by_name and not by_name.keys().isdisjoint(("billedcost", "effectivecost"))
    table = {**_FOCUS, **_FOCUS_COSTS[view]} if is_focus else _COST_DETAILS
    found = {
        field: by_name[next(name for name in wanted if name in by_name)]
        for field, wanted in table.items()
        if not by_name.keys().isdisjoint(wanted)
    }
    alike = sorted(name for name in twice if by_name[name] in found.values())
    if alike:
        raise ColumnsError(f"names two columns {shorten(alike[0], 40)}, in different cases")
    missing = [field for field in _REQUIRED if field not in found]
    if not found.keys() & {"subcategory", "product"}:
        missing.append("subcategory")
    if missing:
        what = " and ".join(f"{field.replace('_', ' ')} ({' or '.join(table[field])})" for field in missing)
        raise ColumnsError(f"is no export of costs: it has no column for {what}")
    return found, is_focus


def read_text(value: Any) -> str:
    """Return a cell as text, whatever type a Parquet file gave it."""
    return "" if value is None else str(value).strip()


def read_amount(value: Any) -> Decimal | None:
    """Read a number exactly as it is written, exponent and all; None for an empty cell.

    Examples
    --------
    >>> read_amount("1.5E-05"), read_amount("")
    (Decimal('0.000015'), None)

    Raises
    ------
    ColumnsError
        If it is no finite number with a point, or one that no bill could hold.
    """
    # A float, which only a Parquet file can give, is its shortest decimal form.
    text = repr(value) if isinstance(value, float) else read_text(value)
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise ColumnsError(f"{shorten(text, 40)} is no number with a decimal point")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ColumnsError(f"{shorten(text, 40)} is no number") from None
    if amount and abs(amount.adjusted()) > _LARGEST_EXPONENT:
        raise ColumnsError(f"{shorten(text, 40)} is beyond what a bill can hold")
    return Decimal(f"{amount:f}") if amount else Decimal(0)


def read_order(texts: Iterable[str]) -> str | None:
    """Return how the dates of a column are written, ``mdy`` or ``dmy``; None if none tells, or they contradict.

    Examples
    --------
    >>> read_order(["10/01/2026", "10/31/2026"]), read_order(["10/01/2026"])
    ('mdy', None)
    """
    orders = set()
    for text in texts:
        found = _SLASHED_DAY.fullmatch(text)
        if found and int(found[1]) > 12:
            orders.add("dmy")
        elif found and int(found[2]) > 12:
            orders.add("mdy")
    return orders.pop() if len(orders) == 1 else None


def is_slashed(text: str) -> bool:
    """Tell a date that is another day with the month first than with the day first."""
    found = _SLASHED_DAY.fullmatch(text)
    return found is not None and found[1] != found[2]


def read_day(text: str, order: str | None) -> date:
    """Read a day, which is UTC in every export.

    Raises
    ------
    ColumnsError
        If it is no day.
    """
    found = _ISO_DAY.fullmatch(text)
    if found:
        parts = [int(part) for part in found.groups()]
    else:
        found = _SLASHED_DAY.fullmatch(text)
        if not found:
            raise ColumnsError(f"{shorten(text, 40)} is no day")
        first, second, year = (int(part) for part in found.groups())
        parts = [year, first, second] if order != "dmy" else [year, second, first]
    try:
        return date(*parts)
    except ValueError:
        raise ColumnsError(f"{shorten(text, 40)} is no day") from None
