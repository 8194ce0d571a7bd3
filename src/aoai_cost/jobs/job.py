"""What the estimates of all jobs have in common: quantities, their bounds, and the money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from .. import markup
from ..catalog import Deployment
from ..errors import RequestError, shorten
from ..prices import Cost, PriceBook
from ..prices.rate import Certainty
from ..usage import MeterKey, Usage

__all__ = ["Job", "JobEstimate", "Rejected", "Rejects", "seconds", "whole_number"]

# Each is a few words; a file of nothing but bad lines must not fill the memory.
_MOST_REJECTED = 100_000


class Rejected(NamedTuple):
    """What was left out, and why.

    ``position`` is the line, from 1, of what came from a file or as lines; else the place in the iterable, from 0.
    """

    position: int
    reason: str


class Rejects:
    """Collects what is left out: counts all of it, and lists the first hundred thousand."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[Rejected] = []

    def add(self, position: int, reason: str) -> None:
        """Leave one out."""
        self.count += 1
        if len(self.listed) < _MOST_REJECTED:
            self.listed.append(Rejected(position, reason))

    def add_many(self, positions: range, reason: str) -> None:
        """Add without going through all of a long range."""
        room = max(0, _MOST_REJECTED - len(self.listed))
        self.listed += (Rejected(position, reason) for position in positions[:room])
        self.count += len(positions)

    def notes(self, things: str) -> Iterable[str]:
        """Yield what is to be said of those that were left out."""
        if self.count:
            yield f"{self.count:,} {things} are left out, so the cost is a lower bound"
        if self.count > len(self.listed):
            yield f"only the first {len(self.listed):,} of those are listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEstimate:
    """What a job will cost.

    ``usage`` is what the job is expected to use, priced in ``cost``. ``low`` and ``high`` are the costs of the least
    and the most that it can use; ``high`` is None when nothing bounds it. ``certainty`` speaks of the quantities:
    ``exact`` (one number), ``estimated`` (between the two, or resting on what the notes say) or ``lower_bound``; what
    the prices rest on is in ``cost.certainty``.
    """

    deployment: Deployment
    on: date
    usage: Usage
    cost: Cost
    low: Decimal
    high: Decimal | None
    currency: str
    certainty: Certainty
    notes: tuple[str, ...]

    @property
    def amount(self) -> Decimal:
        """What the expected usage costs."""
        return self.cost.amount

    def _facts(self) -> list[tuple[str, object]]:
        """Return what is to be said of the job beside its cost."""
        return []

    def _repr_html_(self) -> str:
        cost = f"{markup.amount(self.amount)} {self.currency}"
        span = markup.span(self.low, self.high, self.currency)
        bounds = "" if self.low == self.high else f" ({span})"
        model = f"{self.deployment.model} {self.deployment.version or ''}"
        told = [*self._facts(), ("quantities", self.certainty), ("model", model), ("prices of", self.on)]
        lines = [
            (" ".join(filter(None, key)), f"{quantity:,}", f"{rate.amount:f} per {rate.unit}", markup.amount(amount))
            for key, quantity, rate, amount in self.cost.lines
        ]
        headings = ("meter", "quantity", "price", self.currency)
        return markup.result(
            f"{self.deployment.name}: {cost}{bounds}",
            markup.facts(told),
            markup.first_rows(headings, lines, len(lines), all_in=".cost", numeric=(1, 3)),
            notes=self.notes,
        )


class Job:
    """Prices one job: where it runs, on which day, at whose prices."""

    def __init__(self, deployment: Deployment, prices: PriceBook | None, on: date | None) -> None:
        self.deployment = deployment
        self.day = on if on is not None else datetime.now(UTC).date()
        self._book = prices if prices is not None else PriceBook.current()
        self.notes: list[str] = []

    def require(self, *meters: MeterKey) -> None:
        """Raise before the work where a price is missing, also of what will not be used."""
        self.price(Usage(dict.fromkeys(meters, 1)))

    def price(self, usage: Usage) -> Cost:
        """Price a usage; a price that is missing is raised."""
        cost = self._book.price(usage, self.deployment, on=self.day)
        for _, _, missing in cost.unpriced:
            raise missing
        return cost

    def note(self, note: str) -> None:
        """Keep a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def facts(self, usage: Usage, least: Usage, most: Usage | None, *, assumed: bool = False) -> dict[str, Any]:
        """Return the fields of a `JobEstimate`; `most` is None where nothing bounds the usage."""
        cost = self.price(usage)
        for note in cost.notes:
            self.note(note)
        certainty: Certainty = "exact"
        if most is None:
            certainty = "lower_bound"
        elif assumed or least != most:
            certainty = "estimated"
        return {
            "deployment": self.deployment,
            "on": self.day,
            "usage": usage,
            "cost": cost,
            "low": self.price(least).amount,
            "high": None if most is None else self.price(most).amount,
            "currency": cost.currency,
            "certainty": certainty,
            "notes": tuple(self.notes),
        }


def whole_number(field: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number, or raise.

    Raises
    ------
    RequestError
        For anything else, ``bool`` included.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise RequestError(field, f"must be a whole number of at least {least}, found {shorten(value)}")
    return int(value.__index__())


def seconds(field: str, value: Any) -> Fraction:
    """Return a duration in seconds as an exact number, a float as the shortest decimal that is it, or raise.

    Raises
    ------
    RequestError
        For what is no finite number of at least 0.
    """
    exact = repr(float(value)) if isinstance(value, float) else value
    try:
        found = None if isinstance(value, (bool, str)) else Fraction(exact)
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None or found < 0:
        raise RequestError(field, f"must be a number of seconds of at least 0, found {shorten(value)}")
    return found
