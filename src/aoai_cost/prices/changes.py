"""What changed between two price lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .. import markup
from ..errors import MissingPriceError
from .book import PriceBook
from .captures import captures
from .rows import PriceRow

__all__ = ["PriceChange", "known_list", "price_changes"]


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One price that differs, and every region in which it does so.

    ``before`` is None for a price that is new, ``after`` for one that is gone; both buy one ``unit``. ``regions`` are
    ARM names; none where neither list names one.
    """

    model: str
    version: str
    sku: str
    tier: str
    band: str
    fine_tuned: str
    meter: str
    modality: str
    variant: str
    on: date
    before: Decimal | None
    after: Decimal | None
    unit: str
    regions: tuple[str, ...]

    def _repr_html_(self) -> str:
        names = ("version", "sku", "tier", "band", "fine_tuned", "meter", "modality", "variant", "on")
        before, after = (f"{one:f}" if one is not None else "no price" for one in (self.before, self.after))
        told = [(name.replace("_", " "), getattr(self, name)) for name in names]
        headline = f"{self.model} {self.meter}: {before} to {after} per {self.unit}"
        return markup.result(headline, markup.facts([*told, ("regions", ", ".join(self.regions))]))


def known_list(currency: str = "USD", back: int = 0, *, as_known_on: date | None = None) -> PriceBook | None:
    """Return one price list by itself: the newest that was fetched, or the one in the package.

    Parameters
    ----------
    currency : str
        The package has a list in US dollars alone.
    back : int
        How many lists to go back from the newest one.
    as_known_on : date, optional
        Only what had been fetched by this day.
    """
    fetched = captures(currency, as_known_on=as_known_on)
    if back < len(fetched):
        return PriceBook([fetched[back].table()], currency=currency)
    return PriceBook.bundled(as_known_on=as_known_on) if currency == "USD" and back == len(fetched) else None


_Key = tuple[str, str, str, str, str, str, str, str, str]


def price_changes(before: PriceBook, after: PriceBook, *, on: date) -> list[PriceChange]:
    """Compare what two books answer on a day, for everything and every region that a row of either names.

    Parameters
    ----------
    before, after : PriceBook
        Two books of one currency.
    on : date
        The day whose prices count.
    """
    asked: dict[_Key, dict[str, None]] = {}
    for row in (*before.rows(), *after.rows()):
        if not row.unmatched and row.in_force(on):
            asked.setdefault(_key(row), {}).update(dict.fromkeys(row.regions))
    regions: dict[tuple[object, ...], list[str]] = {}
    for key, places in asked.items():
        # Rows that do not list their regions are asked about with the listed ones, or for all regions where none is.
        for region in places or ("",):
            old, new = _ask(before, key, region, on), _ask(after, key, region, on)
            if old != new:
                _, unit = new or old or (None, "")
                regions.setdefault((*key, on, old and old[0], new and new[0], unit), []).append(region)
    changes = [PriceChange(*key, tuple(sorted(filter(None, places)))) for key, places in regions.items()]  # type: ignore[arg-type, call-arg]
    return sorted(
        changes, key=lambda one: (one.model, one.version, one.sku, one.tier, one.band, one.meter, one.variant)
    )


def _key(row: PriceRow) -> _Key:
    head = (row.model, row.version, row.sku, row.tier, row.band or "short", row.fine_tuned)
    return (*head, row.meter, row.modality or "text", row.variant)


def _ask(book: PriceBook, key: _Key, region: str, on: date) -> tuple[Decimal, str] | None:
    model, version, sku, tier, band, fine_tuned, meter, modality, variant = key
    try:
        rate = book.rate(
            model=model,
            version=version or None,
            sku=sku,
            tier=tier,
            band=band,
            fine_tuned=fine_tuned,
            meter=meter,
            modality=modality,
            variant=variant,
            region=region or None,
            on=on,
        )
    except MissingPriceError:
        return None
    return rate.amount, rate.unit
