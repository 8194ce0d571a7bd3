"""From the reviewed sheets to the compact table that the package loads.

Run ``python -m aoai_cost.prices.compile`` after an edit; a test holds the sheets and the table together.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ..catalog import FINE_TUNED, SKUS, TIERS, arm_region, listed_name, split_model_name, tier_of
from ..errors import PriceSheetError, shorten
from ..usage import METER_UNITS
from .rows import ANY_MODEL, GEOGRAPHIES, UNITS, PriceRow, PriceTable

__all__ = ["SHEETS", "TABLE", "compile_sheets", "table_bytes"]

SHEETS = Path(__file__).with_name("sheets")
TABLE = Path(__file__).with_name("table.json")

_TEXT = ("model", "version", "sku", "tier", "band", "fine_tuned", "scope", "regions_described")
_MORE_TEXT = ("source", "product", "note", "unmatched")
_DAYS = ("from", "to", "assumed_from", "checked")
_KEYS = (*_TEXT, *_MORE_TEXT, *_DAYS, "regions", "assumed", "price")
# Some old models have one price for the tokens of both ways; it answers for each.
_BOTH_WAYS = ("input", "output")
_PRICE_KEYS = ("amount", "unit", "meter_name")
_SCOPES = ("global", "data_zone", "regional", "unstated", "any")
_NAMED = (("sku", SKUS), ("tier", TIERS), ("band", ("", "short", "long")), ("fine_tuned", FINE_TUNED))


def compile_sheets(paths: Iterable[str | os.PathLike[str]]) -> dict[str, Any]:
    """Read sheets into one table of plain JSON types.

    Parameters
    ----------
    paths : iterable of path
        TOML sheets; the entries of a model keep their order.

    Raises
    ------
    PriceSheetError
        If a sheet cannot be read or says something that cannot be used, and if two rows with different prices answer
        one question on one day. Of two rows with one price, the second is kept as unmatched.
    """
    table = _Table()
    for path in paths:
        table.read(path)
    table.settle_duplicates()
    return table.raw()


def table_bytes(raw: Mapping[str, Any]) -> bytes:
    """Write a table as JSON, one group of prices per line, so that a change shows as few lines."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    lines = [f'"{name}":{compact(raw[name])},' for name in ("sources", "geography", "texts", "regions")]
    lines.append('"rates":{')
    for number, (model, groups) in enumerate(raw["rates"].items(), start=1):
        lines.append(f"{compact(model)}:[")
        lines.extend(compact(group) + ("," if i < len(groups) else "") for i, group in enumerate(groups, start=1))
        lines.append("]," if number < len(raw["rates"]) else "]")
    return ("{" + "\n".join(lines) + "\n}}\n").encode()


class _Table:
    """A table while sheets are read into it."""

    def __init__(self) -> None:
        self.sources: dict[str, dict[str, str]] = {}
        self.geography: dict[str, str] = {}
        self.texts: dict[str, int] = {"": 0}
        self.regions: dict[tuple[str, ...], int] = {(): 0}
        self.rates: dict[str, list[Any]] = {}
        self.places: dict[tuple[str, int], tuple[str, str]] = {}

    def raw(self) -> dict[str, Any]:
        return {
            "sources": self.sources,
            "geography": self.geography,
            "texts": list(self.texts),
            "regions": [list(one) for one in self.regions],
            "rates": dict(sorted(self.rates.items())),
        }

    def read(self, path: str | os.PathLike[str]) -> None:
        shown = os.fspath(path)
        try:
            sheet = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
        except OSError as error:
            raise PriceSheetError(shown, "", f"cannot be read: {error.strerror or type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise PriceSheetError(shown, "", "is not UTF-8 text") from error
        except (ValueError, RecursionError) as error:
            raise PriceSheetError(shown, "", f"is not TOML that can be read: {str(error)[:200]}") from error
        for key in sheet:
            if key not in ("currency", "source", "geography", "rate"):
                raise PriceSheetError(shown, "", f"has the unknown key {shorten(key, 60)}")
        currency = sheet.get("currency", "USD")
        if not isinstance(currency, str) or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
            raise PriceSheetError(shown, "", 'currency must be a code of three letters such as "USD"')
        self._read_sources(sheet.get("source", {}), shown)
        self._read_geography(sheet.get("geography", {}), shown)
        rates = sheet.get("rate", [])
        if not isinstance(rates, list):
            raise PriceSheetError(shown, "", "write [[rate]] with two brackets, once per group of prices")
        for number, rate in enumerate(rates, start=1):
            self._read_rate(rate, shown, number, currency)

    def _read_sources(self, sources: Any, path: str) -> None:
        if not isinstance(sources, dict) or not all(isinstance(one, dict) for one in sources.values()):
            raise PriceSheetError(path, "source", "must be tables such as [source.S1]")
        for name, facts in sources.items():
            self.sources[name] = {key: str(value) for key, value in facts.items()}

    def _read_geography(self, geography: Any, path: str) -> None:
        if not isinstance(geography, dict):
            raise PriceSheetError(path, "geography", "must be a table of lists of regions")
        for name, regions in geography.items():
            if not isinstance(regions, list) or not all(isinstance(one, str) for one in regions):
                raise PriceSheetError(path, "geography", f"{shorten(name, 60)} must be a list of regions")
            self.geography.update(dict.fromkeys(regions, name))

    def _read_rate(self, rate: Any, path: str, number: int, currency: str) -> None:
        where = f"rate {number}"
        if not isinstance(rate, dict):
            raise PriceSheetError(path, where, "is not a table")
        where += f" ({shorten(rate.get('model', ''), 60)})"
        _check_types(rate, path, where)
        for key in ("model", "sku", "price"):
            if not rate.get(key):
                raise PriceSheetError(path, where, f"has no {key}")
        if not rate.get("unmatched"):
            rate = _as_asked(rate, path, where)
        regions = tuple(rate.get("regions", ()))
        scope = rate.get("scope", "") or ("any" if not regions else "regional")
        start, end = rate.get("from") or rate.get("assumed_from"), rate.get("to")
        if start is not None and end is not None and start >= end:
            raise PriceSheetError(path, where, f"its end {end} must come after its start {start}")
        unmatched = rate.get("unmatched", "")
        prices = [
            _price(one, value, path, where, bool(unmatched))
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
            start.isoformat() if start else "",
            end.isoformat() if end else "",
            int("from" not in rate and "assumed_from" in rate),
            rate.get("source", ""),
            rate["checked"].isoformat() if "checked" in rate else "",
            rate.get("product", ""),
            self.texts.setdefault(rate.get("note", ""), len(self.texts)),
            int(rate.get("assumed", False)),
            self.texts.setdefault(unmatched, len(self.texts)),
            currency,
        ]
        groups = self.rates.setdefault(rate["model"], [])
        self.places[rate["model"], len(groups)] = (path, where)
        groups.append([head, prices])

    def settle_duplicates(self) -> None:
        """Keep one answering row per question and day: mark equal ones, refuse different ones."""
        for model, groups in self.rates.items():
            owners = [(g, p) for g, (_, prices) in enumerate(groups) for p in range(len(prices))]
            rows = PriceTable(self.raw()).rows(model)
            has_long = any(row.band == "long" and not row.unmatched for row in rows)
            asked: dict[Any, list[PriceRow]] = {}
            for row, (g, p) in zip(rows, owners, strict=True):
                if row.unmatched:
                    continue
                questions = list(_questions(row, has_long))
                rivals = [next((one for one in asked.get(q, ()) if _share_a_day(row, one)), None) for q in questions]
                rival = next(filter(None, rivals), None)
                if rival is None:
                    for question in questions:
                        asked.setdefault(question, []).append(row)
                elif all(one is not None and _same_answer(row, one) for one in rivals):
                    groups[g][1][p].append(f"the same price as {rival.meter_name or 'another row'}, which answers")
                else:
                    reason = (
                        f"{row.meter} at {row.amount} from {row.effective_from} shares places and days with another "
                        f"entry, {rival.amount} from {rival.effective_from}; end the earlier one with `to`"
                    )
                    raise PriceSheetError(*self.places[model, g], reason)


def _questions(row: PriceRow, has_long: bool) -> Iterator[tuple[str, ...]]:
    """Yield every question that the row answers at first hand, apart from the day."""
    bands = [band for band in ("short", "long") if row.answers_band(band, has_long=has_long)]
    modality = (row.modality or "text") if METER_UNITS.get(row.meter) == "token" else ""
    # Rows that list a region are asked before rows that only describe theirs, so the two never compete.
    places = row.regions or tuple(f"described: {name}" for name in sorted(row.geographies))
    for place in places:
        for band in bands:
            yield row.version, row.sku, row.tier, row.fine_tuned, row.meter, modality, row.variant, band, place


def _same_answer(row: PriceRow, rival: PriceRow) -> bool:
    """Tell whether the rival has the same price on every day of the row."""
    return (
        (Decimal(rival.amount), rival.unit, rival.currency) == (Decimal(row.amount), row.unit, row.currency)
        and (rival.effective_from or date.min) <= (row.effective_from or date.min)
        and (rival.effective_to or date.max) >= (row.effective_to or date.max)
    )


def _share_a_day(one: PriceRow, other: PriceRow) -> bool:
    start = max(one.effective_from or date.min, other.effective_from or date.min)
    end = min(one.effective_to or date.max, other.effective_to or date.max)
    return start < end


def _as_asked(rate: Mapping[str, Any], path: str, where: str) -> dict[str, Any]:
    """Write a rate in the words in which prices are asked for; a row that could never answer is refused."""
    found = {"tier": "default", **rate}
    for key, allowed in _NAMED:
        if key in found:
            name = listed_name(found[key], allowed)
            if name is None:
                choice = ", ".join(filter(None, allowed))
                raise PriceSheetError(path, where, f"{key} {shorten(found[key], 60)} is not one of {choice}")
            found[key] = name
    found["tier"] = tier_of(found["sku"], found["tier"])
    if found["model"] != ANY_MODEL:
        model, version = split_model_name(found["model"])
        given = found.get("version", "").strip().lower()
        if version and given and version != given:
            raise PriceSheetError(path, where, f"the model's name says version {version}, version says {given}")
        found["model"], found["version"] = model, version or given
    found["regions"] = [arm_region(region) for region in found.get("regions", ())]
    kind, _, places = found.get("scope", "").partition(":")
    if kind and kind not in _SCOPES:
        raise PriceSheetError(path, where, f"scope {shorten(kind, 60)} is not one of {', '.join(_SCOPES)}")
    if places and places != "non-us" and not GEOGRAPHIES.issuperset(places.split("+")):
        known = ", ".join(sorted(GEOGRAPHIES))
        raise PriceSheetError(
            path, where, f"scope {shorten(found['scope'], 60)} names a geography that is none of {known}"
        )
    if kind == "unstated":
        raise PriceSheetError(path, where, "a row of unstated scope answers nothing; say why in unmatched")
    if kind == "regional" and not (places or found["regions"]):
        raise PriceSheetError(path, where, "a regional price lists its regions")
    return found


def _check_types(rate: Mapping[str, Any], path: str, where: str) -> None:
    for key, value in rate.items():
        if key not in _KEYS:
            raise PriceSheetError(
                path, where, f"has the unknown key {shorten(key, 60)}; the keys are {', '.join(_KEYS)}"
            )
        if key in (*_TEXT, *_MORE_TEXT) and not isinstance(value, str):
            raise PriceSheetError(path, where, f"{key} must be a text in quotes, found {shorten(value, 60)}")
        if key in _DAYS and (not isinstance(value, date) or isinstance(value, datetime)):
            raise PriceSheetError(path, where, f"{key} must be a day such as 2026-08-01, found {shorten(value, 60)}")
        if key == "regions" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise PriceSheetError(path, where, "regions must be a list of names in quotes")
        if key == "assumed" and not isinstance(value, bool):
            raise PriceSheetError(path, where, "assumed must be true or false")
        if key == "price" and not isinstance(value, dict):
            raise PriceSheetError(path, where, 'write prices as price.input = "2.50"')


def _price(key: str, value: Any, path: str, where: str, unmatched: bool) -> list[Any]:
    """Return [meter, modality, variant, amount, unit, meter name] of one price entry."""
    meter, _, variant = key.partition(":")
    meter, _, modality = meter.partition("/")
    facts = {"amount": value} if isinstance(value, str) else value
    if not isinstance(facts, dict) or any(
        name not in _PRICE_KEYS or not isinstance(one, str) for name, one in facts.items()
    ):
        raise PriceSheetError(
            path,
            where,
            f'the price of {shorten(key, 60)} must be a text such as "2.50", or a table of texts: '
            f"{', '.join(_PRICE_KEYS)}",
        )
    amount, unit = facts.get("amount", ""), facts.get("unit", "1M tokens")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    if not number.is_finite() or number < 0 or number > 10**9 or not isinstance(exponent, int) or exponent < -24:
        raise PriceSheetError(path, where, f"the price of {shorten(key, 60)} is not an amount: {shorten(amount, 60)}")
    if not unmatched:
        if meter not in METER_UNITS:
            raise PriceSheetError(
                path, where, f"{shorten(meter, 60)} is not a meter; the meters are {', '.join(METER_UNITS)}"
            )
        if unit not in UNITS or UNITS[unit].measures != METER_UNITS[meter]:
            fitting = ", ".join(name for name, one in UNITS.items() if one.measures == METER_UNITS[meter])
            raise PriceSheetError(path, where, f"the unit of {meter} is one of {fitting}; found {shorten(unit, 60)}")
    return [meter, modality, variant, amount, unit, facts.get("meter_name", "")]


def _main() -> None:
    TABLE.write_bytes(table_bytes(compile_sheets(sorted(SHEETS.glob("*.toml")))))


if __name__ == "__main__":
    _main()
