"""A price found, and money reckoned with it: exact, in a decimal context of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from functools import reduce
from typing import Literal, NamedTuple

from .. import markup
from ..errors import MissingPriceError, RequestError, shorten
from ..usage import MeterKey

__all__ = ["Certainty", "Cost", "CostLine", "Rate", "exact_sum", "less", "percent", "times"]

# Wide enough that no product or sum of real quantities is rounded; the caller's context plays no part.
_EXACT = Context(prec=200, Emin=-(10**6), Emax=10**6)
# Prices by the hour divide by 3,600,000 and need not end: they are cut here, at a fixed place, so that sums of them
# stay exact and do not hang on their order.
_LAST_EXPONENT = -40
_LAST_PLACE = Decimal(1).scaleb(_LAST_EXPONENT)

Certainty = Literal["exact", "estimated", "lower_bound"]


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts without rounding, whatever the caller's decimal context is.

    Examples
    --------
    >>> exact_sum([Decimal("0.1"), Decimal("1e20")])
    Decimal('100000000000000000000.1')
    """
    return reduce(_EXACT.add, amounts, Decimal(0))


def less(amount: Decimal, share: Decimal) -> Decimal:
    """Take a share off an amount, without rounding.

    Examples
    --------
    >>> less(Decimal("2.50"), Decimal("0.12"))
    Decimal('2.2000')
    """
    return _EXACT.multiply(amount, _EXACT.subtract(Decimal(1), share))


def times(amount: Decimal, factor: int | Fraction) -> Decimal:
    """Multiply an amount by a fraction: exactly, or to the 40th decimal place where the product does not end before.

    Examples
    --------
    >>> times(Decimal("2.50"), Fraction(3, 10))
    Decimal('0.75')
    """
    if factor == 1:
        return amount
    product = _EXACT.divide(_EXACT.multiply(amount, Decimal(factor.numerator)), Decimal(factor.denominator))
    return _cut(product)


def _cut(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < _LAST_EXPONENT:
        return _EXACT.quantize(amount, _LAST_PLACE)
    return amount


def percent(share: str) -> str:
    """Write a share in percent.

    Examples
    --------
    >>> percent("0.125"), percent("0.20")
    ('12.5 %', '20 %')
    """
    text = f"{_EXACT.multiply(Decimal(share), Decimal(100)):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


@dataclass(frozen=True, slots=True)
class Rate:
    """One price, and the row it comes from.

    ``amount`` buys ``per`` of the meter's integer units (`METER_UNITS`); ``unit`` is how the vendor writes that.
    ``list_amount`` is what the row says, before discounts.
    ``effective_from`` and ``effective_to`` bound its days (the second no longer in it; None where not seen),
    ``captured`` is the day on which the source was read. ``certainty`` is ``estimated`` where the row, or the
    choice of it, rests on an assumption; ``notes`` say which.
    """

    amount: Decimal
    list_amount: Decimal
    per: int
    unit: str
    currency: str
    meter_name: str
    source: str
    effective_from: date | None
    effective_to: date | None
    captured: date | None
    certainty: Certainty
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        names = ("meter_name", "source", "list_amount", "effective_from", "effective_to", "captured", "certainty")
        told = [(name.replace("_", " "), getattr(self, name)) for name in names]
        headline = f"{self.amount:f} {self.currency} per {self.unit}"
        return markup.result(headline, markup.facts(told), notes=self.notes)

    def cost(self, quantity: int) -> Decimal:
        """Price a whole quantity of the meter's unit.

        Exact for tokens, images, characters and the like; quantities of time that do not divide are rounded at the
        40th decimal place.

        Raises
        ------
        RequestError
            For a quantity that is negative or not a whole number (``bool`` and ``float`` are refused).
        """
        if type(quantity) is not int:
            if isinstance(quantity, bool) or not hasattr(quantity, "__index__"):
                raise RequestError("quantity", f"must be a whole number, not {shorten(quantity)}")
            quantity = quantity.__index__()
        if quantity < 0:
            raise RequestError("quantity", f"must not be negative, found {shorten(quantity)}")
        return _cut(_EXACT.divide(_EXACT.multiply(self.amount, quantity), self.per))


class CostLine(NamedTuple):
    """One meter of a usage, priced."""

    key: MeterKey
    quantity: int
    rate: Rate
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """What a usage costs.

    ``amount`` is the sum of the lines. What has no price is in ``unpriced`` as (key, quantity, error) and in no sum;
    then ``complete`` is False and ``certainty`` is ``lower_bound``. ``currency`` is that of the lines.
    """

    amount: Decimal
    currency: str
    lines: tuple[CostLine, ...]
    unpriced: tuple[tuple[MeterKey, int, MissingPriceError], ...]
    certainty: Certainty
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything in the usage has a price."""
        return not self.unpriced

    def _repr_html_(self) -> str:
        lines = [
            (
                " ".join(filter(None, line.key)),
                f"{line.quantity:,}",
                f"{line.rate.amount:f} per {line.rate.unit}",
                markup.amount(line.amount),
            )
            for line in self.lines
        ]
        missing = [(" ".join(filter(None, key)), f"{quantity:,}", error) for key, quantity, error in self.unpriced]
        return markup.result(
            f"{markup.amount(self.amount)} {self.currency} ({self.certainty})",
            markup.first_rows(
                ("meter", "quantity", "price", self.currency), lines, len(lines), all_in=".lines", numeric=(1, 3)
            ),
            markup.first_rows(
                ("no price for", "quantity", "why"), missing, len(missing), all_in=".unpriced", numeric=(1,)
            ),
            notes=self.notes,
        )
