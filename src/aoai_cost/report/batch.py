"""Which calls can be sent as batches: for the page's slider and for `UseBatch` alike."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from ..catalog import Deployment
from ..usage import MeterKey

__all__ = ["as_batch", "keeps_prices"]

# Azure sells no batch that keeps the data of the other types where it is.
_BATCH_SKUS = {"GlobalStandard": "GlobalBatch", "DataZoneStandard": "DataZoneBatch"}


def as_batch(served: Deployment) -> Deployment | None:
    """Return the deployment as its batch sku; None for a sku without one."""
    sku = _BATCH_SKUS.get(served.sku)
    return None if sku is None else replace(served, sku=sku, tier="default")


def keeps_prices(unpriced_here: Set[MeterKey], unpriced_there: Set[MeterKey]) -> bool:
    """Tell whether calls may be imagined elsewhere: only the meters without a price here may have none there."""
    return unpriced_there <= unpriced_here
