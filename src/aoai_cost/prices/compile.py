"""From the reviewed sheets to the compact table that the package loads.

Run ``python -m aoai_cost.prices.compile`` after an edit; a test holds the sheets and the table together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

from ..catalog import FINE_TUNED, SKUS, TIERS, arm_region, get_model, listed_name, split_model_name, tier_of
from ..errors import PriceSheetError, UnknownNameError, shorten
from ..tomlfile import Entry, TomlFile, read_text
from ..usage import METER_UNITS
from .rows import ANY_MODEL, GEOGRAPHIES, PRICE_FIELDS, UNITS, Discount, PriceRow, PriceTable, is_currency, table_bytes

__all__ = ["SHEETS", "TABLE", "TableBuilder", "bundled_geography", "check_sheets", "compile_sheets", "unknown_names"]

SHEETS = Path(__file__).with_name("sheets")
TABLE = Path(__file__).with_name("table.json")

_NAMES = ("model", "version", "sku", "tier", "band", "fine_tuned", "scope", "regions_described")
_TEXT = (*_NAMES, "source", "product", "note", "unmatched")
_DAYS = ("from", "to", "assumed_from", "checked", "to_checked", "announced_to")
_DISCOUNT_TEXT = ("model", "version", "sku", "tier", "meter", "source", "note")
# Some old models have one price for the tokens of both ways; it answers for each.
_BOTH_WAYS = ("input", "output")
_PRICE_KEYS = ("amount", "unit", "meter_name")
_MODALITIES = ("", "text", "audio", "image")
_SCOPES = ("global", "data_zone", "regional", "unstated", "any")
_METERS_ARE = f"the meters are {', '.join(METER_UNITS)}"
_NAMED = (("sku", SKUS), ("tier", TIERS), ("band", ("", "short", "long")), ("fine_tuned", FINE_TUNED))


def compile_sheets(paths: Iterable[str | os.PathLike[str]]) -> dict[str, Any]:
    """Read sheets into one table of plain JSON types.

    Parameters
    ----------
    paths : iterable of path
        TOML sheets of one currency; the entries of a model keep their order.

    Raises
    ------
    PriceSheetError
        If a sheet cannot be read or says something that cannot be used, and if two rows with different prices answer
        one question on one day. Of two rows with one price, the second is kept as unmatched.
    """
    table, problems = _read_sheets(paths)
    if problems:
        raise problems[0]
    return table.raw()


def check_sheets(paths: Iterable[str | os.PathLike[str]]) -> tuple[dict[str, Any], list[PriceSheetError]]:
    """Read what can be used of sheets, and everything that keeps them from being used together."""
    table, problems = _read_sheets(paths)
    return table.raw(), problems


def unknown_names(raw: Mapping[str, Any]) -> list[str]:
    """Name what a table speaks of and nobody else knows: it may be a slip of the key, and then prices nothing."""
    regions = {region for group in raw["regions"] for region in group}
    placed = {*bundled_geography(), *raw["geography"]}
    named = {(model, head[0]) for model, groups in raw["rates"].items() for head, _ in groups}
    named |= {(one["model"], one["version"]) for one in raw["discounts"] if one["model"]}
    sources = {head[11] for groups in raw["rates"].values() for head, _ in groups if head[11]}
    notes = []
    for model, version in sorted(named - {(ANY_MODEL, "")}):
        try:
            get_model(model, version or None)
        except UnknownNameError as error:
            notes.append(f"{error}; no log will name it so, unless it is your own")
    notes += [f"no list knows the region {shorten(one, 60)}" for one in sorted(regions - placed)]
    notes += [f"the source {shorten(one, 60)} is not described" for one in sorted(sources - raw["sources"].keys())]
    return notes


def bundled_geography() -> Mapping[str, str]:
    """Return the geography of each region that the bundled sheets place."""
    found: Mapping[str, str] = compile_sheets([SHEETS / "geographies.toml"])["geography"]
    return found


def _read_sheets(paths: Iterable[str | os.PathLike[str]]) -> tuple[TableBuilder, list[PriceSheetError]]:
    table = TableBuilder()
    problems = [problem for path in paths for problem in table.read(path)]
    problems.extend(table.contradictions())
    return table, problems


class TableBuilder:
    """A table while entries are put into it."""

    def __init__(self, currency: str = "") -> None:
        self.currency = currency
        self.sources: dict[str, dict[str, str]] = {}
        self.geography: dict[str, str] = {}
        self.texts: dict[str, int] = {"": 0}
        self.regions: dict[tuple[str, ...], int] = {(): 0}
        self.discounts: list[Discount] = []
        self.rates: dict[str, list[Any]] = {}
        self.places: dict[tuple[str, int], Entry[PriceSheetError]] = {}

    def raw(self) -> dict[str, Any]:
        """Return what has been put in so far, as plain JSON types."""
        return {
            "currency": self.currency or "USD",
            "sources": self.sources,
            "geography": self.geography,
            "texts": list(self.texts),
            "regions": [list(one) for one in self.regions],
            "discounts": [{key: _text(getattr(one, key)) for key in Discount.__slots__} for one in self.discounts],
            "rates": dict(sorted(self.rates.items())),
        }

    def read(self, path: str | os.PathLike[str]) -> Iterator[PriceSheetError]:
        """Put in a sheet, and yield what cannot be used of it."""
        try:
            sheet = TomlFile(path, read_text(path, PriceSheetError), PriceSheetError)
            sheet.expect("currency", "source", "geography", "discount", "rate")
        except PriceSheetError as problem:
            yield problem
            return
        for put_in in (self._read_currency, self._read_sources, self._read_geography):
            try:
                put_in(sheet)
            except PriceSheetError as problem:
                yield problem
        for table, called_by, put in (("rate", "model", self.add_rate), ("discount", "note", self.add_discount)):
            try:
                for entry in sheet.entries(table, called_by=called_by):
                    try:
                        put(entry)
                    except PriceSheetError as problem:
                        yield problem
            except PriceSheetError as problem:
                yield problem

    def _read_currency(self, sheet: TomlFile[PriceSheetError]) -> None:
        currency = sheet.data.get("currency", "USD")
        if not is_currency(currency):
            raise sheet.refuse("", 'currency must be a code of three letters such as "USD"', "currency")
        if self.currency not in ("", currency):
            raise sheet.refuse("", f"is in {currency}, and the sheets before it in {self.currency}", "currency")
        self.currency = currency

    def _read_sources(self, sheet: TomlFile[PriceSheetError]) -> None:
        sources = sheet.data.get("source", {})
        if not isinstance(sources, dict) or not all(isinstance(one, dict) for one in sources.values()):
            raise sheet.refuse("source", "must be tables such as [source.S1]", "source")
        for name, facts in sources.items():
            self.sources[name] = {key: str(value) for key, value in facts.items()}

    def _read_geography(self, sheet: TomlFile[PriceSheetError]) -> None:
        geography = sheet.data.get("geography", {})
        if not isinstance(geography, dict):
            raise sheet.refuse("geography", "must be a table of lists of regions", "geography")
        for name, regions in geography.items():
            if name not in GEOGRAPHIES:
                known = ", ".join(sorted(GEOGRAPHIES))
                raise sheet.refuse("geography", f"{shorten(name, 60)} is none of {known}", "geography", name)
            if not isinstance(regions, list) or not all(isinstance(one, str) for one in regions):
                raise sheet.refuse("geography", f"{shorten(name, 60)} must be a list of regions", "geography", name)
            self.geography.update({arm_region(region): name for region in regions})

    def add_rate(self, entry: Entry[PriceSheetError]) -> None:
        """Put in a group of prices, written as in a sheet."""
        rate = _sound(entry, _TEXT, _DAYS, ("regions", "assumed", "price"))
        for key in ("model", "sku", "price"):
            if not rate.get(key):
                raise entry.refuse(f"has no {key}", key)
        if not rate.get("unmatched"):
            rate = _as_asked(rate, entry)
        regions = tuple(rate.get("regions", ()))
        scope = rate.get("scope", "") or ("any" if not regions else "regional")
        start = rate.get("from") or rate.get("assumed_from")
        _check_period(start, rate.get("to"), entry)
        unmatched = rate.get("unmatched", "")
        prices = [
            _price(key, one, value, entry, bool(unmatched))
            for key, value in rate["price"].items()
            for one in (_BOTH_WAYS if key == "+".join(_BOTH_WAYS) else (key,))
        ]
        head = [
            *(rate.get(key, "") for key in ("version", "sku")),
            rate.get("tier", "default"),
            *(rate.get(key, "") for key in ("band", "fine_tuned")),
            scope,
            self.regions.setdefault(regions, len(self.regions)),
            rate.get("regions_described", ""),
            _text(start),
            _text(rate.get("to")),
            int("from" not in rate and "assumed_from" in rate),
            rate.get("source", ""),
            _text(rate.get("checked")),
            _text(rate.get("to_checked")),
            rate.get("product", ""),
            self.texts.setdefault(rate.get("note", ""), len(self.texts)),
            int(rate.get("assumed", False)),
            _text(rate.get("announced_to")),
            self.texts.setdefault(unmatched, len(self.texts)),
        ]
        groups = self.rates.setdefault(rate["model"], [])
        self.places[rate["model"], len(groups)] = entry
        groups.append([head, prices])

    def add_discount(self, entry: Entry[PriceSheetError]) -> None:
        """Put in a discount, written as in a sheet."""
        facts = _sound(entry, _DISCOUNT_TEXT, ("from", "to"), ("share",))
        share = _amount(facts.get("share", ""))
        if share is None or share > 1:
            shown = shorten(facts.get("share"), 60)
            raise entry.refuse(f'share must be a text from "0" to "1", found {shown}', "share")
        meter = facts.get("meter", "")
        if meter and meter not in METER_UNITS:
            raise entry.refuse(f"{shorten(meter, 60)} is not a meter; {_METERS_ARE}", "meter")
        if facts.get("model") == ANY_MODEL:
            raise entry.refuse("a discount for every model names none", "model")
        named = _in_our_words(facts, entry)
        if "sku" in named and "tier" in named and tier_of(named["sku"], named["tier"]) != named["tier"]:
            raise entry.refuse(f"{named['sku']} has the tier batch alone", "tier")
        _check_period(facts.get("from"), facts.get("to"), entry)
        found = Discount(
            share=facts["share"],
            **{key: named.get(key, "") for key in ("model", "version", "sku", "tier")},
            meter=meter,
            effective_from=facts.get("from"),
            effective_to=facts.get("to"),
            source=facts.get("source", ""),
            note=facts.get("note", ""),
        )
        for number, other in enumerate(self.discounts, start=1):
            if _compete(found, other):
                raise entry.refuse(f"would hold for the same things and days as discount {number}")
        self.discounts.append(found)

    def contradictions(self) -> Iterator[PriceSheetError]:
        """Yield rows that answer a question as another one does, at another price; mark the second of one price."""
        for entry, rivals in self._contests():
            rival = next(filter(None, rivals))
            if all(one is not None and _same_answer(entry.row, one.row) for one in rivals):
                entry.price.append(f"the same price as {rival.row.meter_name or 'another row'}, which answers")
            else:
                yield entry.written.refuse(
                    f"{entry.row.meter} at {entry.row.amount} from {entry.row.effective_from} shares places and days "
                    f"with another entry, {rival.row.amount} from {rival.row.effective_from}; end the earlier one with "
                    "`to`",
                )

    def leave_contradictions_unmatched(self) -> None:
        """Let none of the rows answer that have different prices for one question."""
        for entry, rivals in self._contests():
            for rival in filter(None, rivals):
                if _price_of(entry.row) != _price_of(rival.row):
                    for one, other in ((entry, rival), (rival, entry)):
                        why = f"contradicts {other.row.meter_name}, another price of the same"
                        one.price[PRICE_FIELDS[0] :] = [why]

    def _contests(self) -> Iterator[tuple[_Contender, list[_Contender | None]]]:
        """Yield each row that shares a question and a day with earlier ones, and the rival in each question."""
        for model, groups in self.rates.items():
            entries = [(price, self.places[model, g]) for g, (_, prices) in enumerate(groups) for price in prices]
            rows = PriceTable(self.raw()).rows(model)
            has_long = any(row.band == "long" and not row.unmatched for row in rows)
            asked: dict[Any, list[_Contender]] = {}
            for row, (price, place) in zip(rows, entries, strict=True):
                if row.unmatched:
                    continue
                entry, questions = _Contender(row, price, place), list(_questions(row, has_long))
                rivals = [
                    next((one for one in asked.get(q, ()) if _share_a_day(row, one.row)), None) for q in questions
                ]
                if any(rivals):
                    yield entry, rivals
                for question in questions:
                    asked.setdefault(question, []).append(entry)


class _Contender(NamedTuple):
    """A row, its price as the table holds it, and the entry in which it was written."""

    row: PriceRow
    price: list[Any]
    written: Entry[PriceSheetError]


def _questions(row: PriceRow, has_long: bool) -> Iterator[tuple[str, ...]]:
    """Yield every question that the row answers at first hand, apart from the day."""
    bands = [band for band in ("short", "long") if row.answers_band(band, has_long=has_long)]
    modality = (row.modality or "text") if METER_UNITS.get(row.meter) == "token" else ""
    # Rows that list a region are asked before rows that only describe theirs, so the two never compete.
    places = row.regions or tuple(f"described: {name}" for name in sorted(row.geographies))
    for place in places:
        for band in bands:
            yield row.version, row.sku, row.tier, row.fine_tuned, row.meter, modality, row.variant, band, place


def _price_of(row: PriceRow) -> tuple[Decimal, str]:
    return Decimal(row.amount), row.unit


def _same_answer(row: PriceRow, rival: PriceRow) -> bool:
    """Tell whether the rival has the same price on every day of the row, and was known as early."""
    return (
        _price_of(rival) == _price_of(row)
        and (rival.effective_from or date.min) <= (row.effective_from or date.min)
        and (rival.effective_to or date.max) >= (row.effective_to or date.max)
        and (rival.captured or date.min) <= (row.captured or date.min)
    )


def _compete(one: Discount, other: Discount) -> bool:
    """Tell whether two discounts hold for something in common and neither names more than the other."""
    pairs = list(zip(one.names, other.names, strict=True))
    return (
        sum(map(bool, one.names)) == sum(map(bool, other.names))
        and all(not mine or not its or mine == its for mine, its in pairs)
        and _share_a_day(one, other)
    )


def _share_a_day(one: PriceRow | Discount, other: PriceRow | Discount) -> bool:
    start = max(one.effective_from or date.min, other.effective_from or date.min)
    end = min(one.effective_to or date.max, other.effective_to or date.max)
    return start < end


def _sound(
    entry: Entry[PriceSheetError], texts: Sequence[str], days: Sequence[str], others: Sequence[str]
) -> dict[str, Any]:
    problems: list[PriceSheetError] = []
    facts = entry.sound(problems, texts=texts, days=days, others=others)
    if problems:
        raise problems[0]
    regions = facts.get("regions", [])
    if not isinstance(regions, list) or not all(isinstance(one, str) for one in regions):
        raise entry.refuse("regions must be a list of names in quotes", "regions")
    if not isinstance(facts.get("assumed", False), bool):
        raise entry.refuse("assumed must be true or false", "assumed")
    if not isinstance(facts.get("price", {}), dict):
        raise entry.refuse('write prices as price.input = "2.50"', "price")
    return facts


def _as_asked(rate: Mapping[str, Any], entry: Entry[PriceSheetError]) -> dict[str, Any]:
    """Write a rate in the words in which prices are asked for; a row that could never answer is refused."""
    found = _in_our_words({"tier": "default", **rate}, entry)
    found["tier"] = tier_of(found["sku"], found["tier"])
    found["regions"] = [arm_region(region) for region in found.get("regions", ())]
    scope = found.get("scope", "")
    kind, _, places = scope.partition(":")
    if kind and kind not in _SCOPES:
        raise entry.refuse(f"scope {shorten(kind, 60)} is not one of {', '.join(_SCOPES)}", "scope")
    if places and places != "non-us" and not GEOGRAPHIES.issuperset(places.split("+")):
        known = ", ".join(sorted(GEOGRAPHIES))
        raise entry.refuse(f"scope {shorten(scope, 60)} names a geography that is none of {known}", "scope")
    if kind == "unstated":
        raise entry.refuse("a row of unstated scope answers nothing; say why in unmatched", "scope")
    if kind == "regional" and not (places or found["regions"]):
        raise entry.refuse("a regional price lists its regions", "scope")
    return found


def _in_our_words(facts: Mapping[str, Any], entry: Entry[PriceSheetError]) -> dict[str, Any]:
    """Write what an entry names as prices are asked for: listed names, and the model apart from its version."""
    found = dict(facts)
    for key, allowed in _NAMED:
        if key in found:
            name = listed_name(found[key], allowed)
            if name is None:
                choice = ", ".join(filter(None, allowed))
                raise entry.refuse(f"{key} {shorten(found[key], 60)} is not one of {choice}", key)
            found[key] = name
    if found.get("model", ANY_MODEL) != ANY_MODEL:
        model, version = split_model_name(found["model"])
        given = found.get("version", "").strip().lower()
        if version and given and version != given:
            raise entry.refuse(f"the model's name says version {version}, version says {given}", "version")
        found["model"], found["version"] = model, version or given
    return found


def _check_period(start: date | None, end: date | None, entry: Entry[PriceSheetError]) -> None:
    if start is not None and end is not None and start >= end:
        raise entry.refuse(f"its end {end} must come after its start {start}", "to")


def _text(value: date | str | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""


def _amount(text: Any) -> Decimal | None:
    """Read an amount of at least 0 with few enough digits to reckon with; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    usable = number.is_finite() and 0 <= number <= 10**9 and isinstance(exponent, int) and exponent >= -24
    return number if usable else None


def _price(key: str, name: str, value: Any, entry: Entry[PriceSheetError], unmatched: bool) -> list[Any]:
    """Return [meter, modality, variant, amount, unit, meter name] of the price at `key` for the meter `name`."""

    def refuse(reason: str) -> PriceSheetError:
        return entry.refuse(reason, "price", key)

    meter, _, variant = name.partition(":")
    meter, _, modality = meter.partition("/")
    facts = {"amount": value} if isinstance(value, str) else value
    if not isinstance(facts, dict) or any(
        one not in _PRICE_KEYS or not isinstance(text, str) for one, text in facts.items()
    ):
        keys = ", ".join(_PRICE_KEYS)
        raise refuse(f'the price of {shorten(key, 60)} must be a text such as "2.50", or a table of texts: {keys}')
    amount, unit = facts.get("amount", ""), facts.get("unit", "1M tokens")
    if _amount(amount) is None:
        raise refuse(f"the price of {shorten(key, 60)} is not an amount: {shorten(amount, 60)}")
    if not unmatched:
        if meter not in METER_UNITS:
            raise refuse(f"{shorten(meter, 60)} is not a meter; {_METERS_ARE}")
        if METER_UNITS[meter] == "token" and modality not in _MODALITIES:
            raise refuse(f"{shorten(modality, 60)} is not a modality; they are {', '.join(filter(None, _MODALITIES))}")
        if unit not in UNITS or UNITS[unit].measures != METER_UNITS[meter]:
            fitting = ", ".join(one for one, buys in UNITS.items() if buys.measures == METER_UNITS[meter])
            raise refuse(f"the unit of {meter} is one of {fitting}; found {shorten(unit, 60)}")
    return [meter, modality, variant, amount, unit, facts.get("meter_name", "")]


def _main() -> None:
    TABLE.write_bytes(table_bytes(compile_sheets(sorted(SHEETS.glob("*.toml")))))


if __name__ == "__main__":
    _main()
