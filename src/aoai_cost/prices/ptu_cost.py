"""What provisioned throughput units (PTUs) cost, when they pay, and what spills over. All amounts are fractions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from .. import markup
from ..catalog import Deployment
from ..errors import MissingPriceError, RequestError, shorten
from ..usage import MeterKey, Usage
from .book import PriceBook
from .ptu import PTU_SKUS, Number, PtuSize, exact
from .rate import Cost, Rate

__all__ = ["DAY_OF_TERM", "HOURS_PER_MONTH", "PTU_TERMS", "STANDARD_OF", "PtuCost", "PtuTerm", "Spillover", "price_ptu"]

HOURS_PER_MONTH = 730
"""Hours in a month, 365 * 24 / 12, as Microsoft prices PTUs by the month.

Source: microsoft/GitHub-Copilot-for-Azure, plugin/skills/microsoft-foundry/quota/references/capacity-planning.md. The
sizing document P1 takes 30 days, which are 720 hours, in its one comparison of costs.
"""

DAY_OF_TERM = {"1_month": Fraction(24, HOURS_PER_MONTH), "1_year": Fraction(24, 12 * HOURS_PER_MONTH)}
"""The part of a reservation that pays for a day."""

# The deployment of the same data processing level: what traffic goes to without PTUs, and what it spills over to.
STANDARD_OF = dict(zip(PTU_SKUS, ("GlobalStandard", "DataZoneStandard", "Standard"), strict=True))
_TERM_KEYS = {
    "hourly": MeterKey("ptu"),
    "1_month": MeterKey("ptu_reservation", variant="1_month"),
    "1_year": MeterKey("ptu_reservation", variant="1_year"),
}
PTU_TERMS = tuple(_TERM_KEYS)
# How much of the priced unit a month of one PTU is: PTU-milliseconds by the hour, and a part of a reservation.
_MONTH = {
    "1 PTU-hour": Fraction(HOURS_PER_MONTH * 3_600_000),
    "1 PTU-month": Fraction(1),
    "1 PTU-year": Fraction(1, 12),
}
# The meter and the context band by which tokens of a category are priced without PTUs.
_PRICED = {
    **{name: (MeterKey(name), "short") for name in ("input", "cached_input", "cache_write", "output")},
    **{f"long_{name}": (MeterKey(name), "long") for name in ("input", "cached_input", "cache_write", "output")},
    "image_input": (MeterKey("input", "image"), "short"),
    "image_output": (MeterKey("output", "image"), "short"),
}


@dataclass(frozen=True, slots=True)
class PtuTerm:
    """What one PTU costs under a term of payment: ``unit_month`` a month, and the price that it is made from."""

    name: str
    unit_month: Fraction
    rate: Rate

    def _repr_html_(self) -> str:
        told = [
            ("price", f"{self.rate.amount:f} {self.rate.currency} per {self.rate.unit}"),
            ("source", self.rate.source),
        ]
        month = f"{markup.amount(self.unit_month)} {self.rate.currency} a month for one PTU"
        return markup.result(f"{self.name}: {month}", markup.facts(told), notes=self.rate.notes)


@dataclass(frozen=True, slots=True)
class Spillover:
    """What a load costs on some PTUs, where a standard deployment serves what they cannot.

    ``requests`` and ``spilled_requests`` are those of all ``minutes``.
    """

    units: int
    term: str
    minutes: Fraction
    requests: Fraction
    spilled_requests: Fraction
    ptu_amount: Fraction
    spilled_amount: Fraction

    @property
    def amount(self) -> Fraction:
        """What the PTUs and the requests that spill over cost together."""
        return self.ptu_amount + self.spilled_amount

    @property
    def spilled_share(self) -> Fraction:
        """The part of the requests that spills over; 0 where there are none."""
        return self.spilled_requests / self.requests if self.requests else Fraction()

    def _repr_html_(self) -> str:
        told = [
            ("PTUs", f"{self.units:,}, paid {self.term.replace('_', ' ')}: {markup.amount(self.ptu_amount)}"),
            (
                "spills over",
                f"{markup.amount(100 * self.spilled_share)} % of the requests: {markup.amount(self.spilled_amount)}",
            ),
            ("minutes", markup.amount(self.minutes).removesuffix(".00")),
        ]
        return markup.result(f"{markup.amount(self.amount)} together", markup.facts(told))


@dataclass(frozen=True, slots=True)
class PtuCost:
    """What PTUs cost, and what the same traffic costs without them.

    ``terms`` are those that have a price. ``request_amount`` is what an average request costs on the standard
    deployment; it is None where that has no price. What has none is in ``unpriced``, never zero.
    """

    size: PtuSize
    units: int
    currency: str
    terms: tuple[PtuTerm, ...]
    request_amount: Fraction | None
    unpriced: tuple[MissingPriceError, ...]
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        rows = [
            (
                one.name.replace("_", " "),
                markup.amount(self.month(one.name)),
                _share(self.saving(one.name)),
                _share(self.break_even(one.name)),
            )
            for one in self.terms
        ]
        standard = self.pay_as_you_go_month()
        if standard is not None:
            rows.append(("pay as you go, at this traffic all month", markup.amount(standard), "", ""))
        headings = ("payment", f"{self.currency} a month", "saves", "pays from a use of")
        return markup.result(
            f"{self.units:,} PTUs for {self.size.model} {self.size.version} ({self.size.sku})",
            markup.first_rows(headings, rows, len(rows), all_in=".terms", numeric=(1, 2, 3)),
            notes=[*self.size.notes, *self.notes, *self.unpriced],
        )

    def term(self, name: str) -> PtuTerm:
        """Return the term ``hourly``, ``1_month`` or ``1_year``; MissingPriceError where it has no price."""
        if name not in _TERM_KEYS:
            raise RequestError("term", f"{shorten(name)} is none of {', '.join(PTU_TERMS)}")
        for one in self.terms:
            if one.name == name:
                return one
        meter = ":".join(filter(None, (_TERM_KEYS[name].meter, _TERM_KEYS[name].variant)))
        raise next(missing for missing in self.unpriced if missing.meter == meter)

    def month(self, term: str) -> Fraction:
        """Return what the units cost a month, used or not."""
        return self.units * self.term(term).unit_month

    def saving(self, term: str) -> Fraction | None:
        """Return the part of the hourly price that a term saves, negative where it costs more; None without it."""
        unit_month = self.term(term).unit_month
        return next((1 - unit_month / one.unit_month for one in self.terms if one.name == "hourly"), None)

    def pay_as_you_go_month(self) -> Fraction | None:
        """Return what the traffic costs on the standard deployment if it flows all month; None without a price."""
        requests = Fraction(self.size.traffic.requests_per_minute) * 60 * HOURS_PER_MONTH
        return None if self.request_amount is None else requests * self.request_amount

    def break_even(self, term: str) -> Fraction | None:
        """Return the part of the units' capacity, on average over a month, at which both ways cost the same.

        Above it the units are cheaper; over 1 they never pay. None where the requests have no price or no weight.
        """
        unit_month = self.term(term).unit_month
        if not self.request_amount or not self.size.normalized_tokens:
            return None
        return unit_month / (self._served_by(1) * 60 * HOURS_PER_MONTH * self.request_amount)

    def spillover(self, load: Mapping[Any, Number], *, term: str = "hourly") -> Spillover:
        """Price a load on the units, and what goes beyond their capacity on the standard deployment.

        Azure sends a request on when the PTUs answer 429 (all in use), 400 (context too long), 500 or 503; it goes to a
        standard deployment of the same resource and data processing level, and its tokens are paid there
        (MicrosoftDocs/azure-ai-docs 01cbaee9, articles/foundry/openai/how-to/spillover-traffic-management.md,
        2026-03-04; the level: learn.microsoft.com/azure/ai-services/openai/how-to/spillover-traffic-management). Here
        only the 429 counts: of every minute what exceeds the capacity, as a fraction of requests.

        Parameters
        ----------
        load : mapping of number to number
            Minutes spent at each number of requests a minute: ``{300: 480, 20: 960}``, or ``Counter(series)`` of a
            series with a number for every minute. The requests are like those of ``size.traffic``.
        term : str
            How the units are paid; of a month's price the part is charged that the minutes are.

        Raises
        ------
        MissingPriceError
            If the term or the standard deployment has no price.
        """
        return self._spill(_exact_load(load), term, self.units)

    def cheapest(self, load: Mapping[Any, Number], *, term: str = "hourly") -> Spillover:
        """Find the number of units, or none, at which a load costs least; the fewest of equal ones."""
        exact_load = _exact_load(load)
        minimum, increment = self.size.parameters.size_of(self.size.sku)
        least = -(-minimum // increment)
        most = max(least, -(-(max(exact_load, default=Fraction()) / self._served_by(increment)) // 1))

        def at(units: int) -> Spillover:
            return self._spill(exact_load, term, units)

        def falls_no_more(step: int) -> bool:
            return at((step + 1) * increment).amount >= at(step * increment).amount

        # The cost is convex in the units, a line plus minutes of max(0, ...): once it does not fall, it never will.
        step = least + bisect_left(range(least, most), True, key=falls_no_more)
        return min(at(0), at(minimum), at(step * increment), key=lambda one: one.amount)

    def _spill(self, load: Mapping[Fraction, Fraction], term: str, units: int) -> Spillover:
        if self.request_amount is None:
            raise next(missing for missing in self.unpriced if missing.sku == STANDARD_OF[self.size.sku])
        minutes, served = sum(load.values(), Fraction()), self._served_by(units)
        over = sum((max(Fraction(), rate - served) * spent for rate, spent in load.items()), Fraction())
        return Spillover(
            units=units,
            term=term,
            minutes=minutes,
            requests=sum((rate * spent for rate, spent in load.items()), Fraction()),
            spilled_requests=over,
            ptu_amount=units * self.term(term).unit_month * minutes / (60 * HOURS_PER_MONTH),
            spilled_amount=over * self.request_amount,
        )

    def _served_by(self, units: int) -> Fraction:
        """Return how many requests a minute some units serve."""
        if not self.size.normalized_tokens:
            raise RequestError("traffic", "its requests weigh nothing, so their number has no limit")
        return units * self.size.parameters.input_tpm_per_ptu / self.size.normalized_tokens


def price_ptu(
    size: PtuSize, *, on: date, units: int | None = None, region: str | None = None, prices: PriceBook | None = None
) -> PtuCost:
    """Price PTUs by the hour and reserved, beside the same traffic on the standard deployment of the same scope.

    Parameters
    ----------
    size : PtuSize
        What `size_ptu` finds.
    on : date
        The day whose prices count.
    units : int, optional
        Other than ``size.units``.
    region : str, optional
        The ARM region; a global deployment needs none.
    prices : PriceBook, optional
        By default `PriceBook.current`.

    Raises
    ------
    RequestError
        For units that cannot be deployed.
    PriceSheetError
        If the newest price list that was fetched can no longer be read.

    Examples
    --------
    >>> chat = Traffic(requests_per_minute=300, prompt_tokens=1500, response_tokens=300, cached_share=0.4)
    >>> cost = price_ptu(size_ptu(chat, model="gpt-4o"), on=date(2026, 10, 15))
    >>> cost.units, int(cost.month("hourly")), int(cost.month("1_year")), round(float(cost.break_even("1_year")), 3)
    (255, 186150, 56355, 0.706)
    """
    book = prices if prices is not None else PriceBook.current()

    def ask(sku: str, keys: Iterable[MeterKey], band: str = "short") -> Cost:
        sold = Deployment("", size.model, size.model, version=size.version or None, sku=sku, region=region)
        return book.price(Usage(dict.fromkeys(keys, 1)), sold, on=on, band=band)

    provisioned = ask(size.sku, _TERM_KEYS.values())
    tokens, standard, request_amount = size.traffic.tokens(), [], Fraction()
    for band in ("short", "long"):
        amounts = {key: tokens[name] for name, (key, one) in _PRICED.items() if one == band and name in tokens}
        standard.append(ask(STANDARD_OF[size.sku], amounts, band))
        request_amount += sum(amounts[key] * _per_one(rate) for key, _, rate, _ in standard[-1].lines)
    costs = (provisioned, *standard)
    rates = {key: rate for key, _, rate, _ in provisioned.lines}
    return PtuCost(
        size=size,
        units=size.units if units is None else _deployable(units, size),
        currency=book.currency,
        terms=tuple(
            PtuTerm(name, _per_one(rates[key]) * _MONTH[rates[key].unit], rates[key])
            for name, key in _TERM_KEYS.items()
            if key in rates
        ),
        request_amount=request_amount if all(cost.complete for cost in standard) else None,
        unpriced=tuple(missing for cost in costs for _, _, missing in cost.unpriced),
        notes=tuple(dict.fromkeys(note for cost in costs for note in cost.notes)),
    )


def _share(value: Fraction | None) -> str:
    return "" if value is None else f"{markup.amount(100 * value)} %"


def _per_one(rate: Rate) -> Fraction:
    return Fraction(rate.amount) / rate.per


def _deployable(units: object, size: PtuSize) -> int:
    minimum, increment = size.parameters.size_of(size.sku)
    found = exact("units", units)
    if found < minimum or (found != minimum and found % increment):
        reason = f"{size.model} is deployed in steps of {increment} PTUs, {minimum} at least; found {shorten(units)}"
        raise RequestError("units", reason)
    return int(found)


def _exact_load(load: Mapping[Any, Number]) -> dict[Fraction, Fraction]:
    found: dict[Fraction, Fraction] = {}
    for rate, minutes in load.items():
        key = exact("load", rate)
        found[key] = found.get(key, Fraction()) + exact("load", minutes)
    return found
