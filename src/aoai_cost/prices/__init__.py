"""What a unit costs, where and when."""

from __future__ import annotations

from .book import PriceBook
from .rate import Cost, CostLine, Rate, exact_sum
from .rows import ANY_MODEL, PriceRow

__all__ = ["ANY_MODEL", "Cost", "CostLine", "PriceBook", "PriceRow", "Rate", "exact_sum"]
