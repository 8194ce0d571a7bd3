"""What a unit costs, where and when, and how many provisioned units a workload needs."""

from __future__ import annotations

from .book import PriceBook
from .ptu import PTU_SKUS, PtuParameters, PtuSize, Traffic, list_ptu_parameters, size_ptu
from .ptu_cost import HOURS_PER_MONTH, PTU_TERMS, PtuCost, PtuTerm, Spillover, price_ptu
from .rate import Cost, CostLine, Rate, exact_sum
from .rows import ANY_MODEL, PriceRow

__all__ = [
    "ANY_MODEL",
    "HOURS_PER_MONTH",
    "PTU_SKUS",
    "PTU_TERMS",
    "Cost",
    "CostLine",
    "PriceBook",
    "PriceRow",
    "PtuCost",
    "PtuParameters",
    "PtuSize",
    "PtuTerm",
    "Rate",
    "Spillover",
    "Traffic",
    "exact_sum",
    "list_ptu_parameters",
    "price_ptu",
    "size_ptu",
]
