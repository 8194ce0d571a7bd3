"""Captures: Azure's price list as it was fetched, kept in the user's data folder, one file for each list that differs.

The package writes here when ``aoai-cost prices refresh`` is run, and at no other time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PriceSheetError, RequestError, shorten
from ..whole_file import write_whole
from .rows import HEAD_FIELDS, PRICE_FIELDS, PriceTable, is_currency, table_bytes

__all__ = ["Capture", "captures", "data_folder", "keep_capture"]

_DATA = "AOAI_COST_DATA"
_FETCHED = "%Y%m%dT%H%M%SZ"
_PARTS = frozenset(("currency", "captured", "sources", "geography", "texts", "regions", "discounts", "rates"))


class Capture(NamedTuple):
    """One price list that was fetched."""

    currency: str
    fetched: str
    """When, in UTC, as ``20261127T143005Z``."""
    path: Path

    @property
    def day(self) -> date:
        """The day on which it was fetched."""
        return datetime.strptime(self.fetched[:8], "%Y%m%d").date()

    def read(self) -> Mapping[str, Any]:
        """Read the table.

        Raises
        ------
        PriceSheetError
            If the file is no longer what was written.
        """
        try:
            raw: dict[str, Any] = json.loads(self.path.read_bytes())
        except (OSError, ValueError) as error:
            reason = "cannot be read; delete it and run `aoai-cost prices refresh`"
            raise PriceSheetError(str(self.path), "", reason) from error
        if not _is_table(raw) or raw["currency"] != self.currency:
            raise PriceSheetError(str(self.path), "", f"is not a price list in {self.currency}; delete it")
        return raw

    def table(self, as_known_on: date | None = None) -> PriceTable:
        """Return the table; the file is read when a price is first asked for."""
        return PriceTable(self.read, as_known_on=as_known_on, currency=self.currency, fetched=self.day)


def _is_table(raw: Any) -> bool:
    """Tell whether a file has the parts and the rows of a table; an edit by hand may have broken one."""
    if not isinstance(raw, dict) or not raw.keys() >= _PARTS:
        return False
    try:
        return all(
            len(head) == HEAD_FIELDS and all(len(price) in PRICE_FIELDS for price in prices)
            for groups in raw["rates"].values()
            for head, prices in groups
        )
    except (AttributeError, TypeError, ValueError):
        return False


def data_folder() -> Path:
    """Return the folder of the user's data: ``AOAI_COST_DATA``, or where the system keeps such things."""
    return _folder(os.environ.get(_DATA))


@lru_cache(16)
def _folder(named: str | None) -> Path:
    if named:
        return Path(named)
    from platformdirs import user_data_path  # only a look for captures pays for it

    return user_data_path("aoai-cost", appauthor=False)


def captures(currency: str = "USD", *, as_known_on: date | None = None) -> list[Capture]:
    """List what was fetched in a currency, newest first; with a day, only what had been fetched by then.

    Raises
    ------
    RequestError
        If the currency is no code of three letters.
    """
    if not is_currency(currency):
        raise RequestError("currency", f'must be a code of three letters such as "USD", found {shorten(currency)}')
    # Every estimate looks here, mostly in vain, and a glob takes longer. The last slash: a file is no folder.
    if not os.access(f"{data_folder()}/prices/", os.R_OK):
        return []
    found = []
    for path in (data_folder() / "prices").iterdir():
        own, _, fetched = path.stem.partition("-")
        if own != currency or path.suffix != ".json" or not _is_stamp(fetched):
            continue  # a list in another currency, or a file of somebody else's
        one = Capture(currency, fetched, path)
        if as_known_on is None or one.day <= as_known_on:
            found.append(one)
    return sorted(found, key=lambda one: one.fetched, reverse=True)


@lru_cache(1024)
def _is_stamp(text: str) -> bool:
    try:
        return datetime.strptime(text, _FETCHED).strftime(_FETCHED) == text
    except ValueError:
        return False


def keep_capture(raw: dict[str, Any], fetched: datetime) -> tuple[Capture, bool]:
    """Keep a table as the newest capture, and tell whether it differs from the one before.

    A list that is the same is not kept twice: the file notes until when it was seen.
    """
    currency = str(raw["currency"])
    before = next(iter(captures(currency)), None)
    if before is not None:
        old = before.read()
        if all(old.get(key) == raw[key] for key in ("rates", "regions", "texts")):
            write_whole(
                before.path, table_bytes({**old, "seen_to": max(raw["captured"], old.get("seen_to", old["captured"]))})
            )
            return before, False
    taken = {one.fetched for one in captures(currency)}
    while fetched.strftime(_FETCHED) in taken:  # two lists in one second are two captures
        fetched += timedelta(seconds=1)
    name = f"{currency}-{fetched:{_FETCHED}}"
    path = data_folder() / "prices" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table_bytes(raw))
    return Capture(currency, name.partition("-")[2], path), True
