"""Sums, products and shares of amounts, whatever the caller's decimal context is."""

from __future__ import annotations

from decimal import Context, Decimal

__all__ = ["divide", "multiply", "rounded", "share", "subtract"]

_EXACT = Context(prec=400, Emin=-(10**6), Emax=10**6)
_LAST_PLACE = Decimal(1).scaleb(-40)
_SIXTH_PLACE = Decimal(1).scaleb(-6)


def multiply(one: Decimal, other: Decimal) -> Decimal:
    """Multiply exactly."""
    return _EXACT.multiply(one, other)


def subtract(one: Decimal, other: Decimal) -> Decimal:
    """Subtract exactly."""
    return _EXACT.subtract(one, other)


def divide(one: Decimal, other: Decimal) -> Decimal:
    """Divide; what does not end is cut at the 40th place.

    Examples
    --------
    >>> divide(Decimal(1), Decimal(8))
    Decimal('0.125')
    """
    found = _EXACT.divide(one, other)
    exponent = found.as_tuple().exponent
    return _EXACT.quantize(found, _LAST_PLACE) if isinstance(exponent, int) and exponent < -40 else found


def rounded(value: Decimal) -> Decimal:
    """Round a share to six places."""
    return _EXACT.quantize(value, _SIXTH_PLACE)


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the share of an amount that falls to a part of a whole; all of it if the part is the whole.

    Examples
    --------
    >>> share(Decimal("0.30"), Decimal(2), Decimal(3))
    Decimal('0.20')
    """
    return amount if part == whole else divide(multiply(amount, part), whole)
