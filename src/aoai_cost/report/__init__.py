"""Many requests: what they cost."""

from .cost import BY, CostReport, cost_report

__all__ = ["BY", "CostReport", "cost_report"]
