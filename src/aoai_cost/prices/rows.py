"""One price as a sheet states it, and the table of them that the package loads."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from ..usage import METER_UNITS

__all__ = [
    "ANY_MODEL",
    "GEOGRAPHIES",
    "GOVERNMENT",
    "HEAD_FIELDS",
    "PRICE_FIELDS",
    "UNITS",
    "Discount",
    "PriceRow",
    "PriceTable",
    "Unit",
    "is_currency",
    "rows_for_region",
    "table_bytes",
]

ANY_MODEL = "*"
"""The model of a price that hangs on no model: PTU hours, tools."""


class Unit(NamedTuple):
    """A unit of a price list: what it measures (as in `METER_UNITS`), and how many of it the price buys."""

    measures: str
    quantity: int


UNITS: Mapping[str, Unit] = {
    "1M tokens": Unit("token", 1_000_000),
    "1K tokens": Unit("token", 1_000),
    "1 hour": Unit("millisecond", 3_600_000),
    "1 minute": Unit("millisecond", 60_000),
    "1 second": Unit("millisecond", 1_000),
    "1 PTU-hour": Unit("PTU-millisecond", 3_600_000),
    "1 PTU-month": Unit("PTU", 1),
    "1 PTU-year": Unit("PTU", 1),
    "1 image": Unit("image", 1),
    "1M characters": Unit("character", 1_000_000),
    "1 session": Unit("session", 1),
    "1K calls": Unit("call", 1_000),
    # The price list does not say which gigabyte; Azure's storage meters count 1024**3 bytes.
    "1 GB-day": Unit("byte-day", 1024**3),
}


def is_currency(code: object) -> bool:
    """Tell whether a code is one of three capital letters, as USD."""
    return isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()


GOVERNMENT = "gov"
_PUBLIC = frozenset(("us", "eu", "efta", "uk", "apac", "other"))
GEOGRAPHIES = _PUBLIC | {GOVERNMENT}
"""What a scope can be bounded to; ``non-us`` is all public ones but one."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One price with everything that selects it. Empty texts and None are what the source does not state."""

    model: str
    version: str
    sku: str
    tier: str
    band: str
    fine_tuned: str
    meter: str
    modality: str
    variant: str
    amount: str
    unit: str
    currency: str
    meter_name: str
    scope: str
    regions: tuple[str, ...]
    regions_described: str
    effective_from: date | None
    effective_to: date | None
    start_assumed: bool
    source: str
    captured: date | None
    product: str
    note: str
    assumed: bool
    announced_to: date | None
    """The last day for which the vendor promised a promotional price; later it may have ended."""
    unmatched: str
    """Why this row answers no question; empty for rows that do."""

    @property
    def geographies(self) -> frozenset[str]:
        """The geographies of the scope: ``us``, ``eu``, ``gov`` and so on; for a global scope all but ``gov``."""
        return _geographies(self.scope)

    def in_force(self, on: date) -> bool:
        """Tell whether the price holds on a day."""
        return _holds_on(self.effective_from, self.effective_to, on)

    def answers_modality(self, modality: str) -> bool:
        """Tell whether the row prices this modality. A token meter that names none prices text."""
        if METER_UNITS.get(self.meter) != "token":
            return True
        return (self.modality or "text") == modality

    def answers_band(self, band: str, *, has_long: bool) -> bool:
        """Tell whether the row prices this band; where a model has long rows, tokens without a band are short."""
        if self.band:
            return self.band == band
        return band == "short" or not has_long or self.model == ANY_MODEL or METER_UNITS.get(self.meter) != "token"


def _geographies(scope: str) -> frozenset[str]:
    kind, _, named = scope.partition(":")
    if named == "non-us":
        return _PUBLIC - {"us"}
    if named:
        return frozenset(named.split("+"))
    return _PUBLIC if kind in ("global", "any") else frozenset()


@dataclass(frozen=True, slots=True)
class Discount:
    """A share off what the sheets below say, for all that its texts name; an empty text names everything."""

    share: str
    model: str
    version: str
    sku: str
    tier: str
    meter: str
    effective_from: date | None
    effective_to: date | None
    source: str
    note: str

    @property
    def names(self) -> tuple[str, ...]:
        """What it names, an empty text where it names all."""
        return self.model, self.version, self.sku, self.tier, self.meter

    def in_force(self, on: date) -> bool:
        """Tell whether the discount holds on a day."""
        return _holds_on(self.effective_from, self.effective_to, on)


def _holds_on(start: date | None, end: date | None, on: date) -> bool:
    return (start is None or start <= on) and (end is None or on < end)


HEAD_FIELDS = 19
"""What the prices of a group have in common, in a table."""
PRICE_FIELDS = (6, 7)
"""What a price has of its own, in a table; the seventh says why it answers nothing."""


class PriceTable:
    """Price rows by model, made into `PriceRow` when a model is first asked for.

    Parameters
    ----------
    raw : mapping, or function that returns it
        What `compile_sheets` makes, as plain JSON types; a function is called when a row is first asked for.
    as_known_on : date, optional
        Leave out what was captured on a later day: rows, and the ends of earlier rows that they brought to light.
    currency, fetched : str and date, optional
        What is known of a list that was fetched before its file is read.
    """

    def __init__(
        self,
        raw: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
        *,
        as_known_on: date | None = None,
        currency: str | None = None,
        fetched: date | None = None,
    ) -> None:
        self._source = raw
        self._currency = currency
        self._fetched = fetched
        self.as_known_on = as_known_on
        self._rows: dict[str, tuple[PriceRow, ...]] = {}
        self._turns: dict[str, list[date]] = {}

    @cached_property
    def raw(self) -> Mapping[str, Any]:
        """The table as plain JSON types."""
        return self._source() if callable(self._source) else self._source

    @property
    def currency(self) -> str:
        """The currency of every amount in the table."""
        return self._currency or str(self.raw["currency"])

    @property
    def fetched(self) -> date | None:
        """The day on which this whole price list was fetched; None for what somebody wrote down of one."""
        return self._fetched or _day(self.raw.get("captured", ""))

    @property
    def sources(self) -> Mapping[str, Mapping[str, str]]:
        """What each source is, by its id."""
        found: Mapping[str, Mapping[str, str]] = self.raw["sources"]
        return found

    @property
    def geography(self) -> Mapping[str, str]:
        """The geography of each region that the table places; a list that was fetched places none."""
        found: Mapping[str, str] = {} if self._fetched else self.raw["geography"]
        return found

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have rows, `ANY_MODEL` among them."""
        return tuple(self.raw["rates"])

    @cached_property
    def discounts(self) -> tuple[Discount, ...]:
        """The discounts on what the tables below this one say."""
        return tuple(
            Discount(**{**facts, **{key: _day(facts[key]) for key in ("effective_from", "effective_to")}})
            for facts in self.raw.get("discounts", ())
        )

    def rows(self, model: str) -> tuple[PriceRow, ...]:
        """Return the rows of a model, in the order of the sheets; none for an unknown one."""
        found = self._rows.get(model)
        if found is None:
            found = tuple(self._expand(model))
            if found:
                self._rows[model] = found
        return found

    def has_long_band(self, model: str) -> bool:
        """Tell whether the model has prices of its own for long contexts."""
        return any(row.band == "long" for row in self.rows(model))

    def steady(self, model: str, on: date) -> tuple[date, date]:
        """Return the days around `on`, the last one excluded, between which no answer of the table can change."""
        turns = self._turns.get(model)
        if turns is None:
            held = [(row.effective_from, row.effective_to) for one in (model, ANY_MODEL) for row in self.rows(one)]
            held += [(one.effective_from, one.effective_to) for one in self.discounts]
            promised = [row.announced_to + timedelta(days=1) for row in self.rows(model) if row.announced_to]
            held.append((self.fetched, None))
            turns = sorted({date.min, date.max, *promised, *(day for days in held for day in days if day is not None)})
            self._turns[model] = turns
        after = min(bisect_right(turns, on), len(turns) - 1)
        return turns[after - 1], turns[after]

    def __iter__(self) -> Iterator[PriceRow]:
        for model in self.models:
            yield from self.rows(model)

    def _expand(self, model: str) -> Iterator[PriceRow]:
        regions, notes = self.raw["regions"], self.raw["texts"]
        # A table that was captured at once says so once; where it was seen again unchanged, that day counts too.
        all_captured, seen_to = self.raw.get("captured", ""), self.raw.get("seen_to", "")
        if seen_to and self._known(seen_to):
            all_captured = seen_to
        for head, prices in self.raw["rates"].get(model, ()):
            version, sku, tier, band, fine_tuned, scope, region_set, described, start, end, start_assumed, *rest = head
            source, captured, end_captured, product, note, assumed, announced_to, unmatched = rest
            captured = captured or all_captured
            if not self._known(captured):
                continue
            if end and not self._known(end_captured):
                end = ""
            for meter, modality, variant, amount, unit, meter_name, *duplicate in prices:
                yield PriceRow(
                    model=model,
                    version=version,
                    sku=sku,
                    tier=tier,
                    band=band,
                    fine_tuned=fine_tuned,
                    meter=meter,
                    modality=modality,
                    variant=variant,
                    amount=amount,
                    unit=unit,
                    currency=self.currency,
                    meter_name=meter_name,
                    scope=scope,
                    regions=tuple(regions[region_set]),
                    regions_described=described,
                    effective_from=_day(start),
                    effective_to=_day(end),
                    start_assumed=bool(start_assumed),
                    source=source,
                    captured=_day(captured),
                    product=product,
                    note=notes[note],
                    assumed=bool(assumed),
                    announced_to=_day(announced_to),
                    unmatched=duplicate[0] if duplicate else notes[unmatched],
                )

    def _known(self, captured: str) -> bool:
        return self.as_known_on is None or not captured or captured <= self.as_known_on.isoformat()


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def geography_of(region: str, geography: Mapping[str, str]) -> str:
    """Return the geography of a region, or an empty text for a region that no sheet knows."""
    if region.startswith(("usgov", "usdod")):
        return GOVERNMENT
    return geography.get(region, "")


def rows_for_region(rows: Iterable[PriceRow], region: str, geography: Mapping[str, str]) -> tuple[list[PriceRow], str]:
    """Pick the rows that price a region, and say in a note on what the choice rests.

    Rows that list the region come first, then rows whose regions are described and whose scope holds its
    geography. Failing both, a zone row stands for its whole zone and a global row for every public region; whether
    those agree is for the caller to check. Regional rows stand for the regions they list alone.
    """
    rows = list(rows)
    listed = [row for row in rows if region in row.regions]
    if listed:
        return listed, ""
    place = geography_of(region, geography)
    # Another cloud (China) has another price list.
    foreign = not place and region.startswith("china")
    described = [row for row in rows if not row.regions and _holds(row, place, foreign)]
    if described:
        words = sorted({row.regions_described for row in described if not row.scope.startswith(("global", "any"))})
        if not words:
            return described, ""
        return described, f"the price row does not list its regions ({', '.join(filter(None, words)) or 'scope only'})"
    if foreign:
        return [], ""
    wide = [row for row in rows if row.scope.startswith(("global", "data_zone")) and _holds(row, place, foreign)]
    kind = "global price" if any(row.scope.startswith("global") for row in wide) else "price of the data zone"
    return (
        wide,
        f"the feed does not list {region} for this meter on this day; the {kind} is the same in every region listed",
    )


def _holds(row: PriceRow, place: str, foreign: bool) -> bool:
    if row.scope == "any":
        return True
    if not place:
        # A public region that the sheets do not know yet still has the one global price.
        return row.scope == "global" and not foreign
    if row.scope.startswith("global:"):
        return place in row.geographies
    return place in row.geographies and (place != GOVERNMENT or GOVERNMENT in row.scope)


def table_bytes(raw: Mapping[str, Any]) -> bytes:
    """Write a table as JSON, one group of prices per line, so that a change shows as few lines."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    lines = [f'"{name}":{compact(raw[name])},' for name in raw if name != "rates"]
    lines.append('"rates":{')
    for number, (model, groups) in enumerate(raw["rates"].items(), start=1):
        lines.append(f"{compact(model)}:[")
        lines.extend(compact(group) + ("," if i < len(groups) else "") for i, group in enumerate(groups, start=1))
        lines.append("]," if number < len(raw["rates"]) else "]")
    return ("{" + "\n".join(lines) + "\n}}\n").encode()
