"""The price book: what a unit costs, where and when, and what a usage costs."""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..catalog import Deployment, split_model_name, tier_of
from ..errors import MissingPriceError, PriceSheetError, RequestError, shorten
from ..usage import METER_UNITS, MeterKey, Usage
from .captures import Capture, captures
from .rate import Cost, CostLine, Rate, exact_sum
from .rows import PriceRow, PriceTable
from .search import Question, as_day, find_rate

__all__ = ["PriceBook"]

_TABLE = Path(__file__).with_name("table.json")
_MOST_CACHED = 100_000


class _Answers(NamedTuple):
    """What is known of one question: spans of days, in order, and the rate or the sentence that holds in each."""

    starts: tuple[date, ...]
    ends: tuple[date, ...]
    found: tuple[Rate | str, ...]


class PriceBook:
    """Dated prices in one currency: layers of sheets, the first that has a price answers.

    `PriceBook.bundled` holds the sheets in the package, `PriceBook.current` puts what was fetched of Azure's price list
    before them, `PriceBook.read` sheets of your own before both.

    Examples
    --------
    >>> book = PriceBook.bundled()
    >>> rate = book.rate(
    ...     model="gpt-4o", version="2024-11-20", sku="GlobalStandard", meter="input", on=date(2026, 10, 1)
    ... )
    >>> rate.amount, rate.unit, rate.meter_name
    (Decimal('2.5'), '1M tokens', 'gpt 4o 1120 Inp glbl Tokens')
    >>> rate.cost(1_000)
    Decimal('0.0025')
    """

    def __init__(self, tables: Iterable[PriceTable], *, currency: str = "USD", held_at: date | None = None) -> None:
        self.currency, self._held_at = currency, held_at
        self._layers = tuple(tables)
        self._tables = tuple(table for table in self._layers if table.currency == currency)
        self._geography: dict[str, str] = {}
        for table in reversed(self._layers):
            self._geography.update(table.geography)
        self._answers: dict[tuple[Any, ...], _Answers] = {}
        self._metered: dict[tuple[Any, ...], bool] = {}

    @classmethod
    def bundled(cls, *, as_known_on: date | None = None) -> PriceBook:
        """Return the prices in the package.

        Parameters
        ----------
        as_known_on : date, optional
            Only what had been captured by this day: what one would have said then, for any day.
        """
        return _bundled_book(None if as_known_on is None else as_day(as_known_on))

    @classmethod
    def current(cls, currency: str = "USD", *, as_known_on: date | None = None) -> PriceBook:
        """Return what `refresh_prices` fetched before the prices in the package, which are in US dollars.

        Without a refresh in this currency, the book holds what the package has.

        Raises
        ------
        PriceSheetError
            If a price list that was fetched can no longer be read.
        RequestError
            If the currency is no code of three letters.
        """
        known = None if as_known_on is None else as_day(as_known_on)
        fetched = captures(currency, as_known_on=known)
        # A list that is seen again is written again: the time tells.
        return _current_book(tuple((one, one.path.stat().st_mtime_ns) for one in fetched), currency, known)

    @classmethod
    def read(cls, *paths: str | os.PathLike[str], as_known_on: date | None = None) -> PriceBook:
        """Read price sheets of your own (contract rates, discounts, another currency) and use them before all others.

        The book is in the currency of the sheets; prices in another one do not answer.

        Raises
        ------
        PriceSheetError
            If a sheet cannot be read or used, or contradicts itself.
        """
        from .compile import compile_sheets  # TOML is only for sheets of the user's own

        own = PriceTable(compile_sheets(paths), as_known_on=None if as_known_on is None else as_day(as_known_on))
        below = cls.current(own.currency, as_known_on=as_known_on)
        return cls([own, *below._layers], currency=own.currency)

    def with_discount(
        self,
        share: Decimal | str,
        *,
        model: str = "",
        version: str = "",
        sku: str = "",
        tier: str = "",
        meter: str = "",
        start: date | None = None,
        end: date | None = None,
        note: str = "",
    ) -> PriceBook:
        """Return a book that takes a share off the prices of this one.

        Parameters
        ----------
        share : Decimal or str
            From 0 to 1: ``"0.12"`` is twelve percent off.
        model, version, sku, tier, meter : str
            What the discount is for; left out, it is for everything.
        start, end : date
            The days on which it holds, the last one excluded.

        Raises
        ------
        PriceSheetError
            If the share or a name is not one that a sheet may have.
        """
        from ..tomlfile import Entry
        from .compile import TableBuilder

        facts: dict[str, Any] = {"share": str(share), "model": model, "version": version, "sku": sku, "tier": tier}
        facts |= {"meter": meter, "from": start, "to": end, "note": note}
        builder = TableBuilder(self.currency)
        given = {key: value for key, value in facts.items() if value}
        builder.add_discount(Entry(given, lambda reason, *_: PriceSheetError("", "with_discount", reason)))
        tables = [PriceTable(builder.raw()), *self._layers]
        return PriceBook(tables, currency=self.currency, held_at=self._held_at)

    def held_at(self, day: date) -> PriceBook:
        """Return a book that has the prices of one day on every day.

        Raises
        ------
        RequestError
            For what is no date.
        """
        return PriceBook(self._layers, currency=self.currency, held_at=as_day(day))

    @property
    def sources(self) -> Mapping[str, Mapping[str, str]]:
        """What each source is: title, date and licence by its id."""
        merged: dict[str, Mapping[str, str]] = {}
        for table in reversed(self._layers):
            merged.update(table.sources)
        return merged

    def rows(self, model: str | None = None) -> Iterator[PriceRow]:
        """Yield every row, or those of one model, in the order of the sheets; your own come first."""
        for table in self._tables:
            yield from table if model is None else table.rows(model)

    def listed(self, model: str | None = None) -> Iterator[PriceRow]:
        """Yield the rows that are kept and answer no question; ``unmatched`` says why."""
        return (row for row in self.rows(model) if row.unmatched)

    def rate(
        self,
        *,
        model: str,
        version: str | None = None,
        sku: str,
        tier: str = "default",
        region: str | None = None,
        band: str = "short",
        fine_tuned: str = "",
        meter: str,
        modality: str = "text",
        variant: str = "",
        on: date,
    ) -> Rate:
        """Find the price that holds on a day.

        Parameters
        ----------
        model, version : str
            As `get_model` takes them. The version may be left out while all versions agree.
        sku, tier, region, band : str
            The deployment type, service tier, ARM region and context band (``short`` or ``long``). The region may be
            left out while all public regions agree. Batch skus have one tier, whatever is asked.
        fine_tuned : str
            ``ft``, ``rft``, ``dev_ft`` or ``dev_rft``; empty for a base model.
        meter, modality, variant : str
            A `MeterKey`.

        Raises
        ------
        MissingPriceError
            If no row answers, or rows disagree where something was left out; it says what the sheets cover.
        RequestError
            For another band, or an ``on`` that is no date.
        """
        key = (model, version, sku, tier, region, band, fine_tuned, meter, modality, variant)
        return self._find(key, self._day(on))

    def _day(self, on: date) -> date:
        """Return the day whose prices count."""
        day = on if on.__class__ is date else as_day(on)
        return day if self._held_at is None else self._held_at

    def _find(self, key: tuple[Any, ...], on: date) -> Rate:
        """Answer a question, given without its day."""
        known = self._answers.get(key)
        if known is not None:
            i = bisect_right(known.starts, on) - 1
            if i >= 0 and on < known.ends[i]:
                answer = known.found[i]
                if answer.__class__ is Rate:
                    return answer
                raise Question._make((*key, on)).missing(str(answer))
        return self._learn(Question._make((*key, on)))

    def _learn(self, question: Question) -> Rate:
        """Answer a question and keep the answer for all days on which it is the same."""
        if question.band not in ("short", "long"):
            raise RequestError("band", f"must be short or long, found {shorten(question.band)}")
        if len(self._answers) >= _MOST_CACHED:
            self._answers.clear()
        answer, start, end = find_rate(self._tables, question, self._geography)
        if isinstance(answer, str) and len(self._tables) < len(self._layers):
            answer += f"; the book is in {self.currency}, and prices in another currency do not answer"
        key = tuple(question[:-1])
        known = self._answers.get(key, _Answers((), (), ()))
        place = bisect_right(known.starts, start)
        # A new value in place of the old one: another thread sees the one or the other.
        self._answers[key] = _Answers(
            (*known.starts[:place], start, *known.starts[place:]),
            (*known.ends[:place], end, *known.ends[place:]),
            (*known.found[:place], answer, *known.found[place:]),
        )
        if isinstance(answer, str):
            raise question.missing(answer)
        return answer

    def price(self, usage: Usage, deployment: Deployment, *, on: date, band: str = "short") -> Cost:
        """Price a usage of a deployment.

        Tokens of a provisioned deployment are paid by its PTU hours and cost nothing more. Cached input and cache
        writes of a model that has no meter for them are priced as input, and the notes say so. What has no price is
        listed as unpriced, never as zero.

        Parameters
        ----------
        usage : Usage
            Quantities by meter.
        deployment : Deployment
            What selects the prices.
        on : date
            The day whose prices count.
        band : str
            ``short`` or ``long``: the context band of the request, or of every request in the sum.
        """
        on = self._day(on)
        lines: list[CostLine] = []
        unpriced: list[tuple[MeterKey, int, MissingPriceError]] = []
        notes: dict[str, None] = {}
        provisioned = deployment.sku.endswith("ProvisionedManaged")
        captured, estimated = on, False
        for key, quantity in usage.items():
            if provisioned and METER_UNITS[key.meter] == "token" and key.meter != "training":
                notes["tokens are covered by the provisioned throughput units"] = None
                continue
            try:
                rate = self._rate_of(key, deployment, on, band)
            except MissingPriceError as missing:
                unpriced.append((key, quantity, missing))
                continue
            lines.append(CostLine(key, quantity, rate, rate.cost(quantity)))
            if rate.notes:
                notes.update(dict.fromkeys(rate.notes))
            if rate.captured is not None and rate.captured < captured:
                captured = rate.captured
            estimated = estimated or rate.certainty != "exact"
        # A list price is known up to the day on which it was read, and is not expected to change; still, say so.
        if captured < on:
            notes[f"list prices as captured on {captured.isoformat()}; a later change is not known here"] = None
        return Cost(
            amount=exact_sum([line.amount for line in lines]),
            currency=self.currency,
            lines=tuple(lines),
            unpriced=tuple(unpriced),
            certainty="lower_bound" if unpriced else "estimated" if estimated else "exact",
            notes=tuple(notes),
        )

    def _rate_of(self, key: MeterKey, deployment: Deployment, on: date, band: str) -> Rate:
        one = deployment
        scope = (one.model, one.version, one.sku, one.tier, one.region, band)
        try:
            return self._find((*scope, one.fine_tuned, *key), on)
        except MissingPriceError as missing:
            note, instead = self._stand_in(key, deployment)
            if instead is None:
                raise
            meter, modality, fine_tuned = instead
            try:
                rate = self._find((*scope, fine_tuned, meter, modality, key.variant), on)
            except MissingPriceError:
                # What was asked for is what is missing, not what would have stood in for it.
                raise missing from None
        return replace(rate, certainty="estimated", notes=(*rate.notes, note)) if note else rate

    def _stand_in(self, key: MeterKey, deployment: Deployment) -> tuple[str, tuple[str, str, str] | None]:
        """Return what prices a meter that the model does not have apart (meter, modality, tuning), and a note on it."""
        name, tuned = deployment.model, deployment.fine_tuned
        if key.modality == "image" and not self.has_meter(key.meter, deployment, "image"):
            # A chat model reads images at its one input price; only image models meter them apart.
            note = (
                "" if key.meter == "input" else f"{name} has no price for image {key.meter}: priced as text (assumed)"
            )
            return note, (key.meter, "text", tuned)
        if tuned == "rft" and key.meter != "training_time" and not self.has_meter(key.meter, deployment):
            # The feed meters the use of a model tuned by reinforcement under the names of supervised tuning.
            return f"{name} has no {key.meter} price for rft: priced as ft (assumed)", (key.meter, key.modality, "ft")
        if key.meter in ("cached_input", "cache_write") and not self.has_meter(key.meter, deployment):
            return f"{name} has no price for {key.meter} here: priced as input (assumed)", (
                "input",
                key.modality,
                tuned,
            )
        return "", None

    def has_meter(self, meter: str, deployment: Deployment, modality: str | None = None) -> bool:
        """Tell whether the sheets meter this apart for the deployment's model, in any region and on any day."""
        one = deployment
        key = (meter, modality, one.model, one.version, one.sku, one.tier, one.fine_tuned)
        found = self._metered.get(key)
        if found is None:
            if len(self._metered) >= _MOST_CACHED:
                self._metered.clear()
            found = self._metered[key] = self._look_for_meter(meter, deployment, modality)
        return found

    def _look_for_meter(self, meter: str, deployment: Deployment, modality: str | None) -> bool:
        model, named_version = split_model_name(deployment.model)
        version = deployment.version or named_version
        wanted = (meter, deployment.sku, tier_of(deployment.sku, deployment.tier), deployment.fine_tuned)
        return any(
            (row.meter, row.sku, row.tier, row.fine_tuned) == wanted and (not version or row.version in ("", version))
            for table in self._tables
            for row in table.rows(model)
            if not row.unmatched and (modality is None or row.answers_modality(modality))
        )

    def __reduce__(self) -> tuple[Callable[..., PriceBook], tuple[Any, ...]]:
        # The bundled table is in the package on the other side too: what travels is the date alone.
        packed = [
            table.as_known_on if table is _bundled_table(table.as_known_on) else (table.raw, table.as_known_on)
            for table in self._layers
        ]
        return _book_again, (packed, self.currency)

    def __repr__(self) -> str:
        own = len(self._layers) - sum(table is _bundled_table(table.as_known_on) for table in self._layers)
        sheets = {0: "bundled prices", 1: "1 table before the bundled prices"}.get(
            own, f"{own} tables before the bundled"
        )
        return f"PriceBook({self.currency}, {sheets})"


@cache
def _bundled_raw() -> Mapping[str, Any]:
    raw: Mapping[str, Any] = json.loads(_TABLE.read_bytes())
    return raw


@lru_cache(8)
def _bundled_table(as_known_on: date | None) -> PriceTable:
    return PriceTable(_bundled_raw(), as_known_on=as_known_on)


@lru_cache(8)
def _current_book(fetched: tuple[tuple[Capture, int], ...], currency: str, as_known_on: date | None) -> PriceBook:
    if not fetched and currency == "USD":
        return _bundled_book(as_known_on)
    lists = (one.table(as_known_on) for one, _ in fetched)
    return PriceBook([*lists, _bundled_table(as_known_on)], currency=currency)


@lru_cache(8)
def _bundled_book(as_known_on: date | None) -> PriceBook:
    return PriceBook([_bundled_table(as_known_on)])


def _book_again(packed: Sequence[Any], currency: str) -> PriceBook:
    if len(packed) == 1 and currency == "USD" and not isinstance(packed[0], tuple):
        return _bundled_book(packed[0])
    tables = [
        PriceTable(one[0], as_known_on=one[1]) if isinstance(one, tuple) else _bundled_table(one) for one in packed
    ]
    return PriceBook(tables, currency=currency)
