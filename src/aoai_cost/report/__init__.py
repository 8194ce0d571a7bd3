"""Many requests: what they cost."""

from .cost import CostReport, cost_report, deployments_of, report_on
from .loads import Load, Names, Workload
from .pricing import BY

__all__ = ["BY", "CostReport", "Load", "Names", "Workload", "cost_report", "deployments_of", "report_on"]
