"""A cost report as rows of a FOCUS bill, the FinOps Open Cost and Usage Specification, version 1.2.

It is what this library computes, in the columns of a bill, and no invoice. Columns and values are as the specification
of version 1.2 has them; what no log tells (the billing account, the identifiers of price sheets) is left empty, also
where the specification wants it. docs/reports.md lists every column.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING, Any

from ..prices.rows import UNITS
from .csv_file import csv_text
from .words import account, finest, meter, plain, rows

if TYPE_CHECKING:
    from ..report import CostReport

__all__ = ["report_focus"]

_PRICING_UNITS = {
    "1M tokens": "1000000 Tokens",
    "1K tokens": "1000 Tokens",
    "1 hour": "Hours",
    "1 minute": "Minutes",
    "1 second": "Seconds",
    "1 PTU-hour": "PTU-Hours",
    "1 PTU-month": "PTU-Months",
    "1 PTU-year": "PTU-Years",
    "1 image": "Images",
    "1M characters": "1000000 Characters",
    "1 session": "Sessions",
    "1K calls": "1000 Calls",
    "1 GB-day": "GiB-Days",
}
"""The units of price lists as the specification's unit format writes them."""
_CONSUMED_UNITS = {
    "token": "Tokens",
    "millisecond": "Milliseconds",
    "image": "Images",
    "character": "Characters",
    "session": "Sessions",
    "call": "Calls",
    "byte-day": "B-Days",
    "PTU-millisecond": "PTU-Milliseconds",
    "PTU": "PTUs",
}
# Wide enough for any product; hours of milliseconds need not end, and are cut at the place where amounts are.
_CONTEXT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_LAST_PLACE = Decimal(1).scaleb(-40)


_COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency"),
    *("ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost"),
    *("ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId"),
    *("ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter"),
    *("SkuPriceId", "SubAccountId", "Tags", "x_App", "x_ContextBand", "x_CostCertainty", "x_Deployment"),
    *("x_DeploymentSku", "x_Meter", "x_Modality", "x_Model", "x_ModelVersion", "x_PriceEffectiveFrom"),
    *("x_PriceSource", "x_PricingUnitDescription", "x_ServiceTier", "x_User", "x_Variant"),
)
_ALWAYS = {
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "InvoiceIssuerName": "Microsoft",
    "PricingCategory": "Standard",
    "ProviderName": "Microsoft",
    "PublisherName": "Microsoft",
    "ResourceType": "Microsoft.CognitiveServices/accounts",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Azure OpenAI",
    "ServiceSubcategory": "Generative AI",
}


def report_focus(report: CostReport) -> str:
    """Return what was priced as CSV with the columns of FOCUS 1.2; ``BilledCost`` adds up to the total exactly.

    One row per day, user, app and line of the report. Quantities without a price are not in it, for a bill has no
    unknown costs; ``x_CostCertainty`` is ``lower_bound`` where there are any.
    """
    records = (_record(row, report) for row in rows(finest(report)))
    return csv_text(_COLUMNS, ([record.get(name) for name in _COLUMNS] for record in records))


def _record(row: Any, report: CostReport) -> dict[str, object]:
    """Return what is told of one line, by column."""
    first, end = _days(row, report.period)
    month = first.replace(day=1)
    tags = {"deployment": row.deployment, "user": getattr(row, "user", None), "app": getattr(row, "app", None)}
    # A line made by hand may not know the price before discounts; the specification then wants what is billed.
    list_price = getattr(row, "list_price", None)
    return {
        **_ALWAYS,
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost"), row.amount),
        "BillingCurrency": report.currency,
        "BillingPeriodEnd": _midnight(_next_month(month)),
        "BillingPeriodStart": _midnight(month),
        "ChargeDescription": _description(row, report.currency),
        "ChargePeriodEnd": _midnight(end),
        "ChargePeriodStart": _midnight(first),
        "ConsumedQuantity": row.quantity,
        "ConsumedUnit": _CONSUMED_UNITS[row.unit],
        "ContractedUnitPrice": row.price,
        "ListCost": row.amount if list_price in (None, row.price) else _cost(list_price, row),
        "ListUnitPrice": list_price,
        "PricingQuantity": _cost(Decimal(1), row),  # so many units of the price
        "PricingUnit": _PRICING_UNITS[row.price_unit],
        "RegionId": row.region,
        "RegionName": row.region,
        "ResourceId": row.resource,
        "ResourceName": None if row.resource is None else account(row.resource),
        "SkuMeter": row.meter_name or meter(row),
        "SubAccountId": _subscription(row.resource),
        "Tags": json.dumps({name: value for name, value in tags.items() if value is not None}),
        "x_App": tags["app"],
        "x_ContextBand": row.band,
        "x_CostCertainty": report.certainty,
        "x_Deployment": row.deployment,
        "x_DeploymentSku": row.sku,
        "x_Meter": row.meter,
        "x_Modality": row.modality,
        "x_Model": row.model,
        "x_ModelVersion": row.version,
        "x_PriceEffectiveFrom": None if row.effective_from is None else row.effective_from.isoformat(),
        "x_PriceSource": row.source,
        "x_PricingUnitDescription": row.price_unit,
        "x_ServiceTier": row.tier,
        "x_User": tags["user"],
        "x_Variant": row.variant or None,
    }


def _days(row: Any, period: tuple[date, date] | None) -> tuple[date, date]:
    """Return the first day of a line and the day after its last: of a month, those that the report covers."""
    day = getattr(row, "day", None)
    if day is None and len(row.period) > len("2026-10"):
        day = date.fromisoformat(row.period)
    if day is not None:
        return day, day + timedelta(days=1)
    first = date.fromisoformat(f"{row.period}-01")
    end = _next_month(first)
    return (first, end) if period is None else (max(first, period[0]), min(end, period[1]))


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _cost(price: Decimal, row: Any) -> Decimal:
    """Return what the quantity of a line costs at another price; what need not end is cut where amounts are."""
    quantity, per = Decimal(row.quantity), Decimal(UNITS[row.price_unit].quantity)
    found = _CONTEXT.divide(_CONTEXT.multiply(price, quantity), per)
    return found if found.as_tuple().exponent >= -40 else _CONTEXT.quantize(found, _LAST_PLACE)  # type: ignore[operator]


def _description(row: Any, currency: str) -> str:
    model = " ".join(plain(part) for part in (row.model, row.version) if part)
    of = ", ".join(part for part in (row.sku, row.tier, "long context" if row.band == "long" else "") if part)
    return f"{model} {meter(row)} ({of}), {row.price:f} {currency} per {row.price_unit}"


def _subscription(resource: str | None) -> str | None:
    """Return the subscription of an ARM id, which is the sub-account of an Azure bill."""
    parts = (resource or "").split("/")
    return "/".join(parts[:3]) if len(parts) > 3 and parts[1].lower() == "subscriptions" else None
