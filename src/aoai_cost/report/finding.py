"""A finding, and how names and numbers are written in its sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from ..markup import account
from .pricing import rows_of

if TYPE_CHECKING:
    from .cost import CostReport

__all__ = ["Called", "Finding", "money", "named", "percent", "rounded", "some_of"]

_LONGEST_NAME = 60


class Finding(NamedTuple):
    """One sentence with its number, and how the number was worked out."""

    sentence: str
    formula: str


class Called:
    """Says what a deployment is called in a sentence: with its account where others have one of that name."""

    def __init__(self, report: CostReport) -> None:
        names = {(row.resource, row.deployment) for row in rows_of(report.calls)}
        names |= {(one.resource, one.name) for one in report.timed}
        self._counts = Counter(name for _, name in names)

    def __call__(self, resource: str | None, name: str | None) -> str:
        """Say it."""
        return named(name) + (f" ({named(account(resource))})" if self._counts[name] > 1 else "")


def named(name: str | None) -> str:
    """Return a name that has room in a sentence."""
    return "(none)" if name is None else name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def some_of(names: Iterable[str], most: int = 3) -> str:
    """Write the first of some names, and how many more there are."""
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def money(amount: Fraction, currency: str) -> str:
    """Write an amount in cents."""
    return f"{rounded(amount, 2)} {currency}"


def percent(share: Fraction) -> str:
    """Write a share in percent with one decimal place; it is none, or all, only where it is so exactly."""
    if 0 < share < Fraction(1, 1000):
        return "less than 0.1 %"
    if Fraction(999, 1000) < share < 1:
        return "more than 99.9 %"
    return f"{rounded(share * 100, 1)} %"


def rounded(value: Fraction, places: int) -> str:
    """Write a fraction with so many decimal places, rounded half to even, as amounts are everywhere."""
    return f"{Decimal(round(value * 10**places)).scaleb(-places):,.{places}f}"
