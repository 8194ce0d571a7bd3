"""What calls of a report would have cost elsewhere: with a model that is in use already, without units, reserved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..catalog import Deployment, Model, find_model
from ..prices import DAY_OF_TERM, HOURS_PER_MONTH, STANDARD_OF, PriceBook, exact_sum, times
from ..usage import MeterKey, Usage
from .finding import Called, Finding, money
from .pricing import TOKEN_METERS, rows_of

if TYPE_CHECKING:
    from .cost import CostReport

__all__ = ["on_models", "on_units"]

_CENT = Decimal("0.01")
_MOST_ASKED = 5
"""Of so many deployments it is asked at most; a log may have thousands."""


def on_models(report: CostReport, called: Called) -> Iterator[Finding]:
    """Yield what the calls of a dear deployment would cost with another model in use that counts tokens alike."""
    if report.prices is None:
        return
    paid: dict[Deployment, list[Any]] = defaultdict(list)
    # No other model is what somebody has trained.
    tuned = {(one.resource, one.name) for one in report.timed if one.fine_tuned}
    for row in rows_of(report.days):
        # A report that was made by hand may lack what selects a price.
        named_all = None not in (row.resource, row.deployment, row.model) and row.sku and row.tier
        if (row.resource, row.deployment) in tuned:
            continue
        if named_all and row.unit == "token" and row.modality == "text" and row.meter != "training":
            names = (row.resource, row.deployment, row.model, row.version, row.sku, row.region, row.tier)
            paid[Deployment(*names)].append(row)
    used = {(row.model, row.version): None for row in rows_of(report.calls)}
    models = {f"{model.name} {model.version}": model for name in used if (model := find_model(*name)) is not None}
    costs = {one: exact_sum(row.amount for row in rows) for one, rows in paid.items()}
    dearest = sorted(costs, key=lambda one: (-costs[one], one.resource, one.name, one.model))
    for one in dearest[:_MOST_ASKED]:
        served = find_model(one.model, one.version)
        others = []
        for name, model in models.items():
            # How long each prompt was is not known, so the band must follow from the one that was.
            bands_fit = served is not None and model.long_context_above in (None, served.long_context_above)
            if served is not None and bands_fit and model.counts_like(served):
                there = replace(one, model=model.name, version=model.version)
                cost = _priced(report.prices, paid[one], there, model)
                others += [] if cost is None else [(cost, name)]
        cost, name = min(others, default=(costs[one], ""))
        if costs[one] - cost >= _CENT:
            now, then = (money(Fraction(amount), report.currency) for amount in (costs[one], cost))
            yield Finding(
                f"The tokens of {called(one.resource, one.name)} on {one.model}, which cost {now}, would cost {then} "
                f"at the prices of {name}, which is in use and counts tokens alike.",
                "tokens x prices of the other model, by day, in the same type, region and tier",
            )
            return


def on_units(report: CostReport, called: Called) -> Iterator[Finding]:
    """Yield what provisioned deployments would cost by the token, and what their units would cost reserved."""
    if report.prices is None or report.period is None:
        return
    calls: dict[tuple[str | None, str | None], list[Any]] = defaultdict(list)
    for row in rows_of(report.calls):
        if row.sku in STANDARD_OF:
            calls[row.resource, row.deployment].append(row)
    for one in report.timed:
        first, end = one.life_in(report.period)
        if not one.ptu_units or first >= end:
            continue
        days = [first + timedelta(days=i) for i in range((end - first).days)]
        hourly = _all([_amount(report.prices, {("ptu",): one.ptu_units * 24 * 3_600_000}, one, day) for day in days])
        if hourly is None:
            continue
        by_token = _by_token(report.prices, calls[one.resource, one.name], one, set(days))
        if by_token is not None:
            units, tokens = (money(Fraction(amount), report.currency) for amount in (hourly, by_token))
            yield Finding(
                f"The {one.ptu_units:,} PTUs of {called(one.resource, one.name)} cost {units}; the tokens of its calls "
                f"would cost {tokens} without them.",
                f"PTU hours x hourly price; tokens x prices of {STANDARD_OF[one.sku]}, long prompts as short ones",
            )
        saved = []
        for term, part in DAY_OF_TERM.items():
            key = ("ptu_reservation", "text", term)
            amounts = [_amount(report.prices, {key: one.ptu_units}, one, day) for day in days]
            reserved = _all([None if amount is None else times(amount, part) for amount in amounts])
            if reserved is not None and hourly - reserved >= _CENT:
                saved.append(f"{money(Fraction(hourly - reserved), report.currency)} less for {term.replace('_', ' ')}")
        if saved:
            yield Finding(
                f"Reserved, the PTUs of {called(one.resource, one.name)} would cost {' or '.join(saved)}.",
                f"PTU hours x (hourly price - price of a reservation / its hours, a month being {HOURS_PER_MONTH})",
            )


def _by_token(book: PriceBook, calls: Iterable[Any], one: Deployment, days: Container[date]) -> Decimal | None:
    """Return what a provisioned deployment's tokens cost without its units; None where some are not known."""
    own = [row for row in calls if row.sku == one.sku and row.day in days]
    if not any(getattr(row, meter) for row in own for meter in TOKEN_METERS) or any(row.unmetered for row in own):
        return None
    amounts = []
    for row in own:
        usage: dict[tuple[str, ...], int] = {(meter,): getattr(row, meter) for meter in TOKEN_METERS}
        there = replace(one, sku=STANDARD_OF[one.sku], ptu_units=None, model=row.model, version=row.version)
        amounts.append(_amount(book, usage, there, row.day))
    return _all(amounts)


def _priced(book: PriceBook, rows: Iterable[Any], other: Deployment, model: Model) -> Decimal | None:
    """Return what priced tokens cost with another model; None where something would have no price."""
    return _all(
        [
            _amount(
                book,
                {(row.meter,): row.quantity},
                other,
                row.day,
                "short" if model.long_context_above is None else row.band,
            )
            for row in rows
        ]
    )


def _amount(
    book: PriceBook, quantities: dict[tuple[str, ...], int], deployment: Deployment, day: date, band: str = "short"
) -> Decimal | None:
    usage = Usage({MeterKey(*key): quantity for key, quantity in quantities.items()})
    cost = book.price(usage, deployment, on=day, band=band)
    return cost.amount if cost.complete else None


def _all(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Return a sum; None where a part is not known."""
    found = list(amounts)
    return None if None in found else exact_sum(amount for amount in found if amount is not None)
