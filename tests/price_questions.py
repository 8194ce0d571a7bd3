"""The question that a price row answers."""

from __future__ import annotations

from datetime import date

from aoai_cost import PriceBook
from aoai_cost.prices import PriceRow, Rate


def rate_of(book: PriceBook, row: PriceRow, region: str, on: date) -> Rate:
    """Ask a book for what a row prices; of a row that hangs on no model, for gpt-4o."""
    return book.rate(
        model="gpt-4o" if row.model == "*" else row.model,
        version=row.version or None,
        sku=row.sku,
        tier=row.tier,
        region=region,
        band=row.band or "short",
        fine_tuned=row.fine_tuned,
        meter=row.meter,
        modality=row.modality or "text",
        variant=row.variant,
        on=on,
    )
