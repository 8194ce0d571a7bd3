"""How results look; no arithmetic happens here."""

from .files import report_csv, report_json, write_report
from .html import report_html
from .table import report_table

__all__ = ["report_csv", "report_html", "report_json", "report_table", "write_report"]
