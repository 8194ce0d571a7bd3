"""What Azure billed: Cost Management's exports, read into rows and held against a report of the log."""

from .bill import Bill, BillFile, BillRow, read_bill
from .match import BillTotal, Reconciliation, reconcile

__all__ = ["Bill", "BillFile", "BillRow", "BillTotal", "Reconciliation", "read_bill", "reconcile"]
