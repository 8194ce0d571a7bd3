"""Many requests: what they cost."""

from .cost import CostReport, cost_report, deployments_of, report_from, report_on
from .facts import ReportFacts, report_facts
from .loads import Load, Names, Workload
from .pricing import BY, Pricing

__all__ = [
    "BY",
    "CostReport",
    "Load",
    "Names",
    "Pricing",
    "ReportFacts",
    "Workload",
    "cost_report",
    "deployments_of",
    "report_facts",
    "report_from",
    "report_on",
]
