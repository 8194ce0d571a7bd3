"""Exports of Cost Management, written from the published schemas: the same charges in every format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/RG-AOAI/providers/"
    "Microsoft.CognitiveServices/accounts/aoai-east"
)
BLOCKS = {"1K": 1_000, "1000": 1_000, "1M": 1_000_000, "100": 100, "1/Hour": 1, "1 Hour": 1, "1": 1}


@dataclass(frozen=True)
class Charge:
    """One row of a bill; ``quantity`` counts units of measure, ``cost`` is in ``currency``."""

    quantity: str = "10"
    cost: str = "0.025"
    day: date = date(2026, 10, 14)
    meter: str = "gpt 4o 1120 Inp glbl Tokens"
    product: str = "Azure OpenAI"
    unit: str = "1K"
    resource: str = ACCOUNT
    currency: str = "USD"
    charge: str = "Usage"
    model: str = "OnDemand"
    effective_cost: str | None = None
    pricing_currency: str = "USD"
    rate: str = "1"
    period: date | None = None
    subscription: str = "00000000-0000-0000-0000-0000000000aa"

    @property
    def billing_period(self) -> tuple[date, date]:
        """The first and the last day of the billing period."""
        first = (self.period or self.day).replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)

    def with_(self, **changes: object) -> Charge:
        return replace(self, **changes)  # type: ignore[arg-type]


def _names(text: str) -> list[str]:
    return text.split(",")


EA_COLUMNS = _names(
    "BillingAccountId,BillingAccountName,BillingPeriodStartDate,BillingPeriodEndDate,BillingProfileId,"
    "BillingProfileName,AccountOwnerId,AccountName,SubscriptionId,SubscriptionName,Date,Product,"
    "PartNumber,MeterId,ServiceFamily,MeterCategory,MeterSubCategory,MeterRegion,MeterName,Quantity,"
    "EffectivePrice,Cost,UnitPrice,BillingCurrency,ResourceLocation,AvailabilityZone,ConsumedService,"
    "ResourceId,ResourceName,ServiceInfo1,ServiceInfo2,AdditionalInfo,Tags,InvoiceSectionId,"
    "InvoiceSection,CostCenter,UnitOfMeasure,ResourceGroup,ReservationId,ReservationName,ProductOrderId,"
    "ProductOrderName,OfferId,IsAzureCreditEligible,Term,PublisherName,PlanName,ChargeType,Frequency,"
    "PublisherType,PayGPrice,PricingModel,CostAllocationRuleName,benefitId,benefitName"
)
MCA_COLUMNS = _names(
    "invoiceId,previousInvoiceId,billingAccountId,billingAccountName,billingProfileId,billingProfileName,"
    "invoiceSectionId,invoiceSectionName,resellerName,resellerMpnId,costCenter,billingPeriodEndDate,"
    "billingPeriodStartDate,servicePeriodEndDate,servicePeriodStartDate,date,serviceFamily,productOrderId,"
    "productOrderName,consumedService,meterId,meterName,meterCategory,meterSubCategory,meterRegion,"
    "ProductId,ProductName,SubscriptionId,subscriptionName,publisherType,publisherId,publisherName,"
    "resourceGroupName,ResourceId,resourceLocation,location,effectivePrice,quantity,unitOfMeasure,"
    "chargeType,billingCurrency,pricingCurrency,costInBillingCurrency,costInPricingCurrency,costInUsd,"
    "paygCostInBillingCurrency,paygCostInUsd,exchangeRatePricingToBilling,exchangeRateDate,"
    "isAzureCreditEligible,serviceInfo1,serviceInfo2,additionalInfo,tags,PayGPrice,frequency,term,"
    "reservationId,reservationName,pricingModel,unitPrice,costAllocationRuleName,benefitId,benefitName,"
    "provider"
)
FOCUS_10_COLUMNS = _names(
    "AvailabilityZone,BilledCost,BillingAccountId,BillingAccountName,BillingAccountType,BillingCurrency,"
    "BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,"
    "ChargePeriodEnd,ChargePeriodStart,CommitmentDiscountCategory,CommitmentDiscountId,"
    "CommitmentDiscountName,CommitmentDiscountStatus,CommitmentDiscountType,ConsumedQuantity,ConsumedUnit,"
    "ContractedCost,ContractedUnitPrice,EffectiveCost,InvoiceIssuerName,ListCost,ListUnitPrice,"
    "PricingCategory,PricingQuantity,PricingUnit,ProviderName,PublisherName,RegionId,RegionName,"
    "ResourceId,ResourceName,ResourceType,ServiceCategory,ServiceName,SkuId,SkuPriceId,SubAccountId,"
    "SubAccountName,SubAccountType,Tags,x_BilledCostInUsd,x_BillingExchangeRate,x_EffectiveCostInUsd,"
    "x_PricingBlockSize,x_PricingCurrency,x_PricingUnitDescription,x_ResourceType,x_SkuDescription,"
    "x_SkuMeterCategory,x_SkuMeterId,x_SkuMeterName,x_SkuMeterSubcategory"
)
FOCUS_12_COLUMNS = [
    {"x_SkuMeterName": "SkuMeter", "x_PricingCurrency": "PricingCurrency"}.get(name, name) for name in FOCUS_10_COLUMNS
] + ["CapacityReservationId", "CommitmentDiscountQuantity", "InvoiceId", "ServiceSubcategory", "SkuPriceDetails"]


def ea_row(one: Charge) -> dict[str, str]:
    first, last = one.billing_period
    return {
        "BillingAccountId": "8000001",
        "BillingPeriodStartDate": f"{first:%m/%d/%Y}",
        "BillingPeriodEndDate": f"{last:%m/%d/%Y}",
        "SubscriptionId": one.subscription,
        "Date": f"{one.day:%m/%d/%Y}",
        "MeterCategory": "Foundry Models",
        "MeterSubCategory": one.product,
        "MeterName": one.meter,
        "Quantity": one.quantity,
        "Cost": one.cost,
        "BillingCurrency": one.currency,
        "ConsumedService": "Microsoft.CognitiveServices",
        "ResourceId": one.resource,
        "Tags": '"env": "prod","team": "search"',
        "UnitOfMeasure": one.unit,
        "ChargeType": one.charge,
        "PricingModel": one.model,
    }


def mca_row(one: Charge) -> dict[str, str]:
    first, last = one.billing_period
    priced = Decimal(one.cost) / Decimal(one.rate)
    return {
        "billingPeriodStartDate": f"{first:%m/%d/%Y}",
        "billingPeriodEndDate": f"{last:%m/%d/%Y}",
        "SubscriptionId": one.subscription,
        "date": f"{one.day:%m/%d/%Y}",
        "meterCategory": "Cognitive Services",
        "meterSubCategory": one.product,
        "meterName": one.meter,
        "quantity": one.quantity,
        "costInBillingCurrency": one.cost,
        "billingCurrency": one.currency,
        "pricingCurrency": one.pricing_currency,
        "costInPricingCurrency": f"{priced:f}",
        "exchangeRatePricingToBilling": one.rate,
        "costInUsd": f"{priced:f}" if one.pricing_currency == "USD" else "",
        "consumedService": "Microsoft.CognitiveServices",
        "ResourceId": one.resource,
        "tags": '{"env": "prod"}',
        "unitOfMeasure": one.unit,
        "chargeType": one.charge,
        "pricingModel": one.model,
    }


def focus_row(one: Charge) -> dict[str, str]:
    """Return a row of FOCUS 1.0 and 1.2 alike; a writer takes those that its columns have."""
    first, last = one.billing_period
    block = BLOCKS.get(one.unit, 1)
    effective = one.cost if one.effective_cost is None else one.effective_cost
    return {
        "BilledCost": one.cost,
        "EffectiveCost": effective,
        "x_BilledCostInUsd": f"{Decimal(one.cost) / Decimal(one.rate):f}" if one.pricing_currency == "USD" else "",
        "x_EffectiveCostInUsd": f"{Decimal(effective) / Decimal(one.rate):f}" if one.pricing_currency == "USD" else "",
        "x_BillingExchangeRate": one.rate,
        "x_PricingCurrency": one.pricing_currency,
        "PricingCurrency": one.pricing_currency,
        "BillingCurrency": one.currency,
        "BillingPeriodStart": f"{first}T00:00:00Z",
        "BillingPeriodEnd": f"{last + timedelta(days=1)}T00:00:00Z",
        "ChargePeriodStart": f"{one.day}T00:00:00Z",
        "ChargePeriodEnd": f"{one.day + timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": {"Refund": "Usage", "UnusedReservation": "Usage"}.get(one.charge, one.charge),
        "ChargeClass": "Correction" if one.charge == "Refund" else "",
        "CommitmentDiscountStatus": "Unused" if one.charge == "UnusedReservation" else "",
        "ConsumedQuantity": f"{Decimal(one.quantity) * block:f}" if one.quantity else "",
        "ConsumedUnit": "Units",
        "PricingQuantity": one.quantity,
        "PricingUnit": "Units",
        "PricingCategory": "Standard" if one.model == "OnDemand" else "Committed",
        "ResourceId": one.resource,
        "ServiceName": "Azure OpenAI",
        "SubAccountId": f"/subscriptions/{one.subscription}",
        "Tags": '{"env":"prod"}',
        "x_PricingBlockSize": str(block),
        "x_PricingUnitDescription": one.unit,
        "x_SkuMeterName": one.meter,
        "SkuMeter": one.meter,
        "x_SkuMeterSubcategory": one.product,
    }


FORMATS = {
    "EA": (EA_COLUMNS, ea_row),
    "MCA": (MCA_COLUMNS, mca_row),
    "FOCUS 1.0": (FOCUS_10_COLUMNS, focus_row),
    "FOCUS 1.2": (FOCUS_12_COLUMNS, focus_row),
}


def table(form: str, charges: Iterable[Charge]) -> tuple[list[str], list[dict[str, str]]]:
    columns, row_of = FORMATS[form]
    rows = [row_of(one) for one in charges]
    return list(columns), [{name: row.get(name, "") for name in columns} for row in rows]


def csv_text(columns: Sequence[str], rows: Iterable[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write(path: Path, *charges: Charge, form: str = "EA") -> Path:
    """Write an export; those of Enterprise Agreements have a byte order mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(csv_text(*table(form, charges)), "utf-8-sig" if form == "EA" else "utf-8")
    return path
