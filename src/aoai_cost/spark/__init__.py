"""The work of this package on a Spark cluster: token counts as a column, and cost reports of logs.

What goes to a worker is names of this package and plain values, never code of the driver, so the package must be
installed on both sides. docs/spark.md says how it gets there.
"""

from .columns import count_tokens
from .report import cost_report

__all__ = ["cost_report", "count_tokens"]
