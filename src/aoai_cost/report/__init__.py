"""Many requests: what they cost."""

from .cost import CostReport, cost_report

__all__ = ["CostReport", "cost_report"]
