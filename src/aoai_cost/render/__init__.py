"""How results look; no arithmetic happens here."""

from .comparison import comparison_json, comparison_table
from .csv_file import report_csv
from .files import write_report, writer_of
from .focus import report_focus
from .forecast import budget_sentence, forecast_json, forecast_table
from .html import report_html
from .json_file import report_json
from .markdown import report_markdown
from .reconciliation import reconciliation_json, reconciliation_table
from .table import report_table

__all__ = [
    "budget_sentence",
    "comparison_json",
    "comparison_table",
    "forecast_json",
    "forecast_table",
    "reconciliation_json",
    "reconciliation_table",
    "report_csv",
    "report_focus",
    "report_html",
    "report_json",
    "report_markdown",
    "report_table",
    "write_report",
    "writer_of",
]
