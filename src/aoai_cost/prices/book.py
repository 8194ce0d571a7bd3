"""The price book: what a unit costs, where and when, and what a usage costs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..catalog import Deployment, arm_region, is_fine_tuned, split_model_name, tier_of
from ..errors import MissingPriceError, PriceSheetError, RequestError, shorten
from ..usage import METER_UNITS, MeterKey, Usage
from .rows import ANY_MODEL, GOVERNMENT, UNITS, PriceRow, PriceTable, rows_for_region

__all__ = ["Cost", "CostLine", "PriceBook", "Rate", "exact_sum"]

_TABLE = Path(__file__).with_name("table.json")

# Wide enough that no product or sum of real quantities is rounded; the caller's context plays no part.
_EXACT = Context(prec=200, Emin=-(10**6), Emax=10**6)
# Prices by the hour divide by 3,600,000 and need not end: they are cut here, at a fixed place, so that sums of them
# stay exact and do not hang on their order.
_LAST_PLACE = Decimal(1).scaleb(-40)
_MOST_CACHED = 100_000

Certainty = Literal["exact", "estimated", "lower_bound"]


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts without rounding, whatever the caller's decimal context is.

    Examples
    --------
    >>> exact_sum([Decimal("0.1"), Decimal("1e20")])
    Decimal('100000000000000000000.1')
    """
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


@dataclass(frozen=True, slots=True)
class Rate:
    """One price, and the row it comes from.

    ``amount`` buys ``per`` of the meter's integer units (`METER_UNITS`); ``unit`` is how the vendor writes that.
    ``effective_from`` and ``effective_to`` bound its days (the second no longer in it; None where not seen),
    ``captured`` is the day on which the source was read. ``certainty`` is ``estimated`` where the row, or the
    choice of it, rests on an assumption; ``notes`` say which.
    """

    amount: Decimal
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

    def cost(self, quantity: int) -> Decimal:
        """Price a whole quantity of the meter's unit.

        Exact for tokens, images, characters and the like; quantities of time that do not divide are rounded at the
        40th decimal place.

        Raises
        ------
        RequestError
            For a quantity that is negative or not a whole number (``bool`` and ``float`` are refused).
        """
        if isinstance(quantity, bool) or not hasattr(quantity, "__index__"):
            raise RequestError("quantity", f"must be a whole number, not {shorten(quantity)}")
        whole = quantity.__index__()
        if whole < 0:
            raise RequestError("quantity", f"must not be negative, found {shorten(whole)}")
        amount = _EXACT.divide(_EXACT.multiply(self.amount, Decimal(whole)), Decimal(self.per))
        exponent = amount.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -40:
            return _EXACT.quantize(amount, _LAST_PLACE)
        return amount


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


class _Question(NamedTuple):
    """Everything that selects a price."""

    model: str
    version: str | None
    sku: str
    tier: str
    region: str | None
    band: str
    fine_tuned: str
    meter: str
    modality: str
    variant: str
    on: date

    def missing(self, covered: str) -> MissingPriceError:
        return MissingPriceError(
            model=self.model,
            version=self.version,
            meter=f"{self.meter}:{self.variant}" if self.variant else self.meter,
            modality=self.modality,
            sku=self.sku,
            region=self.region,
            tier=self.tier,
            band=self.band,
            on=self.on,
            covered=covered,
        )


class PriceBook:
    """Dated prices.

    `PriceBook.bundled` holds the sheets in the package; `PriceBook.read` puts sheets of your own before them.

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

    def __init__(self, tables: Iterable[PriceTable]) -> None:
        self._tables = tuple(tables)
        self._geography: dict[str, str] = {}
        for table in reversed(self._tables):
            self._geography.update(table.geography)
        self._answers: dict[tuple[Any, ...], Rate | str] = {}

    @classmethod
    def bundled(cls) -> PriceBook:
        """Return the prices in the package; loaded once."""
        return _bundled_book()

    @classmethod
    def read(cls, *paths: str | os.PathLike[str]) -> PriceBook:
        """Read price sheets of your own (contract rates, another currency) and use them before the bundled ones.

        Raises
        ------
        PriceSheetError
            If a sheet cannot be read or used, or contradicts itself.
        """
        from .compile import compile_sheets  # TOML is only for sheets of the user's own

        return cls([PriceTable(compile_sheets(paths)), _bundled_table()])

    @property
    def sources(self) -> Mapping[str, Mapping[str, str]]:
        """What each source is: title, date and licence by its id."""
        merged: dict[str, Mapping[str, str]] = {}
        for table in reversed(self._tables):
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
            For another band.
        """
        if band not in ("short", "long"):
            raise RequestError("band", f"must be short or long, found {shorten(band)}")
        key = (model, version, sku, tier, region, band, fine_tuned, meter, modality, variant, on)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _MOST_CACHED:
                self._answers.clear()
            answer = self._answers[key] = self._find(_Question(*key))
        if isinstance(answer, str):
            raise _Question(*key).missing(answer)
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

        Raises
        ------
        PriceSheetError
            If the prices found are in more than one currency.
        """
        on = _day(on)
        lines: list[CostLine] = []
        unpriced: list[tuple[MeterKey, int, MissingPriceError]] = []
        notes: dict[str, None] = {}
        provisioned = deployment.sku.endswith("ProvisionedManaged")
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
            notes.update(dict.fromkeys(rate.notes))
        currencies = {line.rate.currency for line in lines}
        if len(currencies) > 1:
            found = ", ".join(sorted(currencies))
            raise PriceSheetError("", "", f"prices of {shorten(deployment.name)} are in several currencies ({found})")
        # A list price is known up to the day on which it was read, and is not expected to change; still, say so.
        captured = [line.rate.captured for line in lines if line.rate.captured is not None]
        if captured and min(captured) < on:
            notes[f"list prices as captured on {min(captured).isoformat()}; a later change is not known here"] = None
        estimated = any(line.rate.certainty != "exact" for line in lines)
        return Cost(
            amount=exact_sum(line.amount for line in lines),
            currency=currencies.pop() if currencies else "USD",
            lines=tuple(lines),
            unpriced=tuple(unpriced),
            certainty="lower_bound" if unpriced else "estimated" if estimated else "exact",
            notes=tuple(notes),
        )

    def _rate_of(self, key: MeterKey, deployment: Deployment, on: date, band: str) -> Rate:
        def ask(meter: str, modality: str = key.modality) -> Rate:
            return self.rate(
                model=deployment.model,
                version=deployment.version,
                sku=deployment.sku,
                tier=deployment.tier,
                region=deployment.region,
                band=band,
                fine_tuned=deployment.fine_tuned,
                meter=meter,
                modality=modality,
                variant=key.variant,
                on=on,
            )

        try:
            return ask(key.meter)
        except MissingPriceError as missing:
            note, fallback = "", (key.meter, key.modality)
            if key.modality == "image" and not self._has_meter(key.meter, deployment, "image"):
                # A chat model reads images at its one input price; only image models meter them apart.
                fallback = (key.meter, "text")
                if key.meter != "input":
                    note = f"{deployment.model} has no price for image {key.meter}: priced as text (assumed)"
            elif key.meter in ("cached_input", "cache_write") and not self._has_meter(key.meter, deployment):
                fallback = ("input", key.modality)
                note = f"{deployment.model} has no price for {key.meter} here: priced as input (assumed)"
            else:
                raise
            try:
                rate = ask(*fallback)
            except MissingPriceError:
                # What was asked for is what is missing, not what would have stood in for it.
                raise missing from None
        return _with_note(rate, note) if note else rate

    def _has_meter(self, meter: str, deployment: Deployment, modality: str | None = None) -> bool:
        """Tell whether the sheets meter this apart for the deployment's model, in any region and on any day."""
        model, named_version = split_model_name(deployment.model)
        version = deployment.version or named_version
        wanted = (meter, deployment.sku, tier_of(deployment.sku, deployment.tier), deployment.fine_tuned)
        return any(
            (row.meter, row.sku, row.tier, row.fine_tuned) == wanted and (not version or row.version in ("", version))
            for table in self._tables
            for row in table.rows(model)
            if not row.unmatched and (modality is None or row.answers_modality(modality))
        )

    def _find(self, asked: _Question) -> Rate | str:
        """Return the rate, or the sentence that says what the sheets cover instead."""
        question = _normal(asked)
        if isinstance(question, str):
            return question
        has_long = any(table.has_long_band(question.model) for table in self._tables)
        searches = [_Search(table, question, self._geography, has_long) for table in self._tables]
        covered = ""
        for i, search in enumerate(searches):
            found = search.run()
            if isinstance(found, Rate):
                if search.bounded and any(later.run_differs(found) for later in searches[i + 1 :]):
                    return f"an own sheet prices only {search.bounded} of it; name what is asked for"
                return found
            if search.differs:
                return found
            covered = covered if covered and not search.rows_exist else found
        return covered

    def __reduce__(self) -> tuple[Callable[..., PriceBook], tuple[Any, ...]]:
        own = [table.raw for table in self._tables if table is not _bundled_table()]
        return _book_again, (own, len(own) < len(self._tables))

    def __repr__(self) -> str:
        own = len(self._tables) - (_bundled_table() in self._tables)
        return f"PriceBook({'bundled prices' if not own else 'own sheets before the bundled prices'})"


class _Search:
    """One look into one table."""

    def __init__(self, table: PriceTable, question: _Question, geography: Mapping[str, str], has_long: bool) -> None:
        self.table, self.question, self.geography, self.has_long = table, question, geography, has_long
        self.covered = ""
        self.rows_exist = True
        self.differs = False
        """Whether rows disagree where the question leaves something out."""
        self.bounded = ""
        """What the answer is bounded to that the question leaves open; another table may price the rest."""

    def run_differs(self, rate: Rate) -> bool:
        """Tell whether this table has another price for what was asked."""
        found = self.run()
        if isinstance(found, Rate):
            return (found.amount, found.per, found.currency) != (rate.amount, rate.per, rate.currency)
        return self.differs

    def run(self) -> Rate | str:
        rows = self._selected()
        if not rows:
            return self.covered
        question = self.question
        if question.version is not None:
            exact = [row for row in rows if row.version == question.version]
            plain = [row for row in rows if not row.version]
            # A row that names the version answers before one that names the model alone.
            for group in (exact, plain):
                found = self._placed(group)
                if found is not None:
                    return found
            if not exact and not plain:
                versions = _some(row.version for row in rows)
                self.covered = f"the sheets price version {versions}"
            return self.covered
        answers = [
            found
            for version in dict.fromkeys(row.version for row in rows)
            if (found := self._placed([row for row in rows if row.version == version])) is not None
        ]
        if not answers:
            return self.covered
        if len({(one.amount, one.per, one.currency) for one in answers}) > 1:
            self.differs = True
            return f"its versions differ in price, so name one of {_some(row.version for row in rows if row.version)}"
        if all(row.version for row in rows):
            self.bounded = f"version {_some(row.version for row in rows)}"
        return answers[0]

    def _selected(self) -> list[PriceRow]:
        """Return the rows of everything but version, day and place; if none, say what there is instead."""
        question, table = self.question, self.table
        rows = [row for row in table.rows(question.model) if not row.unmatched]
        rows += [row for row in table.rows(ANY_MODEL) if not row.unmatched and row.meter == question.meter]
        if not rows:
            self.covered = "the sheets have no price of this model"
            self.rows_exist = False
            return rows
        for name, wanted in (
            ("sku", question.sku),
            ("meter", question.meter),
            ("variant", question.variant),
            ("tier", question.tier),
            ("fine_tuned", question.fine_tuned),
        ):
            if name in ("tier", "fine_tuned"):
                kept = [row for row in rows if getattr(row, name) == wanted or row.model == ANY_MODEL]
            else:
                kept = [row for row in rows if getattr(row, name) == wanted]
            if not kept:
                self.covered = f"the sheets have it for {name} {_some(getattr(row, name) for row in rows)}"
                return kept
            rows = kept
        kept = [row for row in rows if row.answers_modality(question.modality)]
        if not kept:
            self.covered = f"the sheets have it for modality {_some(row.modality or 'text' for row in rows)}"
            return kept
        rows = kept
        kept = [row for row in rows if row.answers_band(question.band, has_long=self.has_long)]
        if not kept:
            self.covered = f"the sheets have it for band {_some(row.band or 'short' for row in rows)}"
        return kept

    def _placed(self, rows: list[PriceRow]) -> Rate | None:
        """Return the rate of the one row, or the many of one price, that hold on the day in the region."""
        if not rows:
            return None
        question = self.question
        in_force = [row for row in rows if row.in_force(question.on)]
        note = ""
        if question.region is None:
            found = [row for row in in_force if row.geographies != {GOVERNMENT}]
        else:
            found, note = rows_for_region(in_force, question.region, self.geography)
        if not found:
            self.covered = self._days_and_places(rows, in_force)
            return None
        if len({(Decimal(row.amount), row.unit, row.currency) for row in found}) > 1:
            self.differs = True
            missing = "region" if question.region is None else "region that it lists"
            self.covered = f"prices differ by region, so name a {missing}: {_some(_regions(found))}"
            return None
        if question.region is None and not any(row.scope in ("any", "global") for row in found):
            self.bounded = _some(_regions(found))
        # Of rows with one price the one that was seen first stands for all.
        return _rate(min(found, key=lambda row: row.effective_from or date.min), note)

    def _days_and_places(self, rows: list[PriceRow], in_force: list[PriceRow]) -> str:
        question = self.question
        here = rows
        if question.region is not None:
            here, _ = rows_for_region(rows, question.region, self.geography)
        if not here:
            return f"the sheets have it in {_some(_regions(in_force or rows))}"
        starts = [row.effective_from for row in here]
        first = None if None in starts else min(day for day in starts if day is not None)
        if first is not None and question.on < first:
            return f"the sheets cover it from {first.isoformat()}"
        ends = [row.effective_to for row in here if row.effective_to is not None]
        if ends and question.on >= max(ends):
            return f"the sheets cover it until {max(ends).isoformat()}"
        return f"the sheets have it in {_some(_regions(in_force))}" if in_force else "the sheets have a gap on this day"


def _normal(asked: _Question) -> _Question | str:
    """Write a question as the sheets write: Azure's names, ARM regions, the tier of a batch sku."""
    tuned = is_fine_tuned(asked.model)
    if tuned and not asked.fine_tuned:
        return "this is the name of a fine-tuned model, whose prices are its own: say which kind in fine_tuned"
    model, named_version = split_model_name(asked.model)
    version = (asked.version or "").strip().lower()
    if named_version and version and version != named_version and not tuned:
        return f"the name says version {named_version!r}"
    return asked._replace(
        model=model,
        # A fine-tuned model counts versions of its own; prices hang on those of its base model.
        version=named_version if tuned else version or named_version,
        region=arm_region(asked.region or "") or None,
        tier=tier_of(asked.sku, asked.tier),
        on=_day(asked.on),
    )


def _day(on: date) -> date:
    return on.date() if isinstance(on, datetime) else on


def _rate(row: PriceRow, note: str) -> Rate:
    notes = [row.note, note]
    if row.start_assumed and row.effective_from:
        notes.append(f"its start is taken to be {row.effective_from.isoformat()}, the end of an earlier price")
    elif row.effective_from is None:
        notes.append("its start date was not seen")
    per = UNITS[row.unit]
    if per.measures == "byte-day":
        notes.append("a GB is taken as 1024**3 bytes")
    # One global price is what the sku means; a zone or a geography that stands for a region is an assumption.
    assumed = row.assumed or per.measures == "byte-day" or (note != "" and not row.scope.startswith("global"))
    return Rate(
        amount=Decimal(row.amount),
        per=per.quantity,
        unit=row.unit,
        currency=row.currency,
        meter_name=row.meter_name,
        source=row.source,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        captured=row.captured,
        certainty="estimated" if assumed else "exact",
        notes=tuple(filter(None, notes)),
    )


def _with_note(rate: Rate, note: str) -> Rate:
    return replace(rate, certainty="estimated", notes=(*rate.notes, note))


def _regions(rows: Iterable[PriceRow]) -> Iterator[str]:
    for row in rows:
        yield from row.regions or (row.regions_described or row.scope,)


def _some(names: Iterable[str], most: int = 8) -> str:
    """List distinct names, the first few of many."""
    distinct = sorted(set(names))
    shown = ", ".join(repr(name) for name in distinct[:most])
    return shown + (f" and {len(distinct) - most} more" if len(distinct) > most else "")


@cache
def _bundled_table() -> PriceTable:
    return PriceTable(json.loads(_TABLE.read_bytes()))


@cache
def _bundled_book() -> PriceBook:
    return PriceBook([_bundled_table()])


def _book_again(own: list[Any], with_bundled: bool) -> PriceBook:
    if not own and with_bundled:
        return _bundled_book()
    return PriceBook([*(PriceTable(raw) for raw in own), *([_bundled_table()] if with_bundled else [])])
