"""What a unit costs, where and when, and how many provisioned units a workload needs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .book import PriceBook
from .rate import Cost, CostLine, Rate, exact_sum, times
from .rows import ANY_MODEL, PriceRow

if TYPE_CHECKING:
    from .changes import PriceChange, price_changes
    from .ptu import PTU_SKUS, PtuParameters, PtuSize, Traffic, list_ptu_parameters, size_ptu
    from .ptu_cost import DAY_OF_TERM, HOURS_PER_MONTH, PTU_TERMS, STANDARD_OF, PtuCost, PtuTerm, Spillover, price_ptu
    from .refresh import Refresh, refresh_prices

__all__ = [
    "ANY_MODEL",
    "DAY_OF_TERM",
    "HOURS_PER_MONTH",
    "PTU_SKUS",
    "PTU_TERMS",
    "STANDARD_OF",
    "Cost",
    "CostLine",
    "PriceBook",
    "PriceChange",
    "PriceRow",
    "PtuCost",
    "PtuParameters",
    "PtuSize",
    "PtuTerm",
    "Rate",
    "Refresh",
    "Spillover",
    "Traffic",
    "exact_sum",
    "list_ptu_parameters",
    "price_changes",
    "price_ptu",
    "refresh_prices",
    "size_ptu",
    "times",
]

# A price is found without these: they load when they are asked for.
_LATER = {
    "changes": ("PriceChange", "price_changes"),
    "ptu": ("PTU_SKUS", "PtuParameters", "PtuSize", "Traffic", "list_ptu_parameters", "size_ptu"),
    "ptu_cost": (
        "DAY_OF_TERM",
        "HOURS_PER_MONTH",
        "PTU_TERMS",
        "STANDARD_OF",
        "PtuCost",
        "PtuTerm",
        "Spillover",
        "price_ptu",
    ),
    "refresh": ("Refresh", "refresh_prices"),
}


def __getattr__(name: str) -> Any:
    file = next((file for file, names in _LATER.items() if name in names), None)
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{file}", __name__), name)
