"""Finding a price: the row that answers a question, or the sentence that says what there is instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from ..catalog import arm_region, is_fine_tuned, split_model_name, tier_of
from ..errors import MissingPriceError, RequestError, shorten
from .rate import Rate, less, percent
from .rows import ANY_MODEL, GOVERNMENT, UNITS, PriceRow, PriceTable, rows_for_region

__all__ = ["Question", "as_day", "find_rate"]


class Question(NamedTuple):
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
        """Return the error that says what is covered instead."""
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


def normal_question(asked: Question) -> Question | str:
    """Write a question as the sheets write: Azure's names, ARM regions, the tier of a batch sku."""
    for name in ("model", "sku", "tier", "fine_tuned", "meter", "modality", "variant"):
        if not isinstance(getattr(asked, name), str):
            raise RequestError(name, f"must be a text, found {shorten(getattr(asked, name))}")
    for name in ("version", "region"):
        if not isinstance(getattr(asked, name) or "", str):
            raise RequestError(name, f"must be a text or None, found {shorten(getattr(asked, name))}")
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
        on=as_day(asked.on),
    )


def as_day(on: date) -> date:
    """Return the day of a date or time; anything else is a RequestError."""
    if not isinstance(on, date):
        raise RequestError("on", f"must be a date, found {shorten(on)}")
    return on.date() if isinstance(on, datetime) else on


def find_rate(
    tables: Sequence[PriceTable], asked: Question, geography: Mapping[str, str]
) -> tuple[Rate | str, date, date]:
    """Ask tables one after the other; the first that has a price answers, less the discounts of those above it.

    Returns
    -------
    rate or str
        What was found, or the sentence that says what is covered instead.
    start, end : date
        The days, the last one excluded, between which the answer is the same.
    """
    question = normal_question(asked)
    if isinstance(question, str):
        return question, date.min, date.max
    lookup = _Lookup(tables, question, geography)
    return lookup.answer(), lookup.start, lookup.end


class _Lookup:
    """One question to several tables."""

    def __init__(self, tables: Sequence[PriceTable], question: Question, geography: Mapping[str, str]) -> None:
        self.tables, self.question, self.geography = tables, question, geography
        self.start, self.end = date.min, date.max
        self.has_long = _has_long_band(tables, question.model)

    def answer(self) -> Rate | str:
        covered, passed = "there are no sheets to ask", None
        for i, table in enumerate(self.tables):
            search = self._look(table)
            found = search.run()
            if isinstance(found, Rate):
                rate = self._discounted(_doubted(found, passed) if passed else found, i)
                # A whole price list says all there is; what a sheet bounds may be only a part of what was asked for.
                if search.bounded and not table.fetched and self._differs_below(i, search, rate):
                    return f"an own sheet prices only {search.bounded} of it; name what is asked for"
                return rate
            # What a whole price list has ended is over, though an older list did not know that yet.
            if search.differs or (table.fetched and search.ended):
                return found
            if table.fetched and table.fetched <= self.question.on and not search.begins:
                passed = passed or table.fetched
            covered = covered if i and not search.rows_exist else found
        return covered

    def _look(self, table: PriceTable) -> Search:
        since, until = table.steady(self.question.model, self.question.on)
        self.start, self.end = max(self.start, since), min(self.end, until)
        return Search(table, self.question, self.geography, self.has_long)

    def _differs_below(self, i: int, search: Search, rate: Rate | str) -> bool:
        """Tell whether a table below has another price for what an answer is not bounded to."""
        for j, table in enumerate(self.tables[i + 1 :], start=i + 1):
            other = self._look(table)
            rest = other.run(search)
            rest = self._discounted(rest, j) if isinstance(rest, Rate) else rest
            if other.differs or (isinstance(rate, Rate) and isinstance(rest, Rate) and not _same_price(rate, rest)):
                return True
        return False

    def _discounted(self, rate: Rate, i: int) -> Rate | str:
        """Take off the discounts of the tables above the i-th, the nearest first."""
        question = self.question
        asked = (question.model, question.version, question.sku, question.tier, question.meter)
        for table in reversed(self.tables[:i]):
            fitting = [
                one
                for one in table.discounts
                if one.in_force(question.on)
                and all(not name or wanted in (name, None) for name, wanted in zip(one.names, asked, strict=True))
            ]
            if not fitting:
                continue
            # Sheets in which two discounts of one breadth compete are refused: one names the most.
            discount = max(fitting, key=lambda one: sum(map(bool, one.names)))
            if question.version is None and any(one.version for one in fitting):
                return "a discount hangs on the version, so name one"
            told = " ".join(filter(None, (discount.source, discount.note)))
            note = f"{percent(discount.share)} off" + (f" ({told})" if told else "")
            rate = replace(rate, amount=less(rate.amount, Decimal(discount.share)), notes=(*rate.notes, note))
        return rate


def _has_long_band(tables: Sequence[PriceTable], model: str) -> bool:
    """Tell whether the model has prices of its own for long contexts; a whole list that has the model decides."""
    for table in tables:
        if table.has_long_band(model):
            return True
        if table.fetched and table.rows(model):
            return False
    return False


def _same_price(one: Rate, other: Rate) -> bool:
    return Fraction(one.amount) / one.per == Fraction(other.amount) / other.per


def _doubted(rate: Rate, fetched: date) -> Rate:
    """Doubt a price that an older list has and a newer one no longer."""
    note = f"the price list fetched on {fetched} does not answer for this; an older one does, and may be out of date"
    return replace(rate, certainty="estimated", notes=(*rate.notes, note))


class Search:
    """One look into one table."""

    def __init__(self, table: PriceTable, question: Question, geography: Mapping[str, str], has_long: bool) -> None:
        self.table, self.question, self.geography, self.has_long = table, question, geography, has_long
        self.covered = ""
        self.rows_exist = True
        self.differs = False
        """Whether rows disagree where the question leaves something out."""
        self.begins = False
        """Whether the table knows the price from a later day on."""
        self.ended = False
        """Whether the table knows the price and the day on which it ended."""
        self.bounded = ""
        """What the answer is bounded to that the question leaves open; another table may price the rest."""
        self.used: list[PriceRow] = []
        """The rows that answer."""

    def covers(self, row: PriceRow) -> bool:
        """Tell whether the rows that answer stand for a row of another table: its version, and its regions."""
        versions = {one.version for one in self.used}
        regions = {region for one in self.used for region in one.regions}
        everywhere = self.question.region is not None or any(one.scope in ("any", "global") for one in self.used)
        return (row.version in versions or "" in versions) and (
            everywhere or (bool(row.regions) and regions.issuperset(row.regions))
        )

    def run(self, above: Search | None = None) -> Rate | str:
        """Return the rate, or the sentence that says what the table covers instead; without what `above` covers."""
        rows = [row for row in self._selected() if above is None or not above.covers(row)]
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
        if len({(one.amount, one.per) for one in answers}) > 1:
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
        if len({(Decimal(row.amount), row.unit) for row in found}) > 1:
            self.differs = True
            missing = "region" if question.region is None else "region that it lists"
            self.covered = f"prices differ by region, so name a {missing}: {_some(_regions(found))}"
            return None
        if question.region is None and not any(row.scope in ("any", "global") for row in found):
            self.bounded = _some(_regions(found))
        self.used += found
        # Of rows with one price the one that was seen first stands for all.
        return _rate(min(found, key=lambda row: row.effective_from or date.min), question.on, note)

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
            self.begins = True
            return f"the sheets cover it from {first.isoformat()}"
        ends = [row.effective_to for row in here if row.effective_to is not None]
        if ends and question.on >= max(ends):
            self.ended = not any(row.effective_to is None for row in here)
            return f"the sheets cover it until {max(ends).isoformat()}"
        return f"the sheets have it in {_some(_regions(in_force))}" if in_force else "the sheets have a gap on this day"


def _rate(row: PriceRow, on: date, note: str) -> Rate:
    notes = [row.note, note]
    expired = row.announced_to is not None and on > row.announced_to
    if expired:
        notes.append(f"nobody announced this price for days after {row.announced_to}: it may have ended")
    if row.start_assumed and row.effective_from:
        notes.append(f"its start is taken to be {row.effective_from.isoformat()}, the end of an earlier price")
    elif row.effective_from is None:
        notes.append(f"the first day of {(row.meter_name or row.meter)!r} was not seen")
    per = UNITS[row.unit]
    if per.measures == "byte-day":
        notes.append("a GB is taken as 1024**3 bytes")
    # One global price is what the sku means; a zone or a geography that stands for a region is an assumption.
    assumed = (
        row.assumed or expired or per.measures == "byte-day" or (note != "" and not row.scope.startswith("global"))
    )
    amount = Decimal(row.amount)
    return Rate(
        amount=amount,
        list_amount=amount,
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


def _regions(rows: Iterable[PriceRow]) -> Iterator[str]:
    for row in rows:
        yield from row.regions or (row.regions_described or row.scope,)


def _some(names: Iterable[str], most: int = 8) -> str:
    """List distinct names, the first few of many."""
    distinct = sorted(set(names))
    shown = ", ".join(repr(name) for name in distinct[:most])
    return shown + (f" and {len(distinct) - most} more" if len(distinct) > most else "")
