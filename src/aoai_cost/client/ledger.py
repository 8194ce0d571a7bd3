"""The ledger of a day's budget: a file to which every process that shares the budget appends.

A call reserves its estimate before it is sent and settles what it cost afterwards. A process that dies in between
leaves its reservation: the sum errs on the side of what may have been billed.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from ..errors import BudgetExceeded, LedgerError

__all__ = ["Ledger", "append_line"]

_LOCK_WAIT_S = 30.0
_LOCK_POLL_S = 0.002
# A line that another process is writing this moment may be seen by half; what is still half after this is damage.
_WHOLE_AFTER_S = 1.0


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line in one write, so that lines of several threads and processes never mix.

    Raises
    ------
    OSError
        If the file cannot be written, or the line only in part.
    """
    line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if os.write(handle, line) != len(line):
            raise OSError(f"only a part of a line could be appended to {path}")
    finally:
        os.close(handle)


class Ledger:
    """What was reserved and spent on the current day; see the module.

    Settling takes no lock: it runs where a stream is closed, which may be within the collection of garbage in a thread
    that holds the lock.
    """

    def __init__(self, path: Path, currency: str) -> None:
        self._path, self._currency = path, currency
        self._turn = threading.Lock()
        self._lock = FileLock(f"{path}.lock", timeout=_LOCK_WAIT_S, poll_interval=_LOCK_POLL_S)
        self._start_over("")

    def _start_over(self, day: str) -> None:
        self._day, self._offset, self._line = day, 0, 0
        self._total = Decimal(0)
        self._open: dict[str, Decimal] = {}

    def reserve(self, day: date, call: str, amount: Decimal, budget: Decimal) -> None:
        """Reserve `amount` for a call, if the day's sum then still keeps to `budget`.

        Raises
        ------
        BudgetExceeded
            If it does not; nothing is reserved then.
        LedgerError
            If the file cannot be read or written, or somebody holds it locked.
        """
        try:
            with self._turn, self._lock:
                self._catch_up(day.isoformat())
                if self._total + amount > budget:
                    raise BudgetExceeded(
                        amount, budget, f"{day.isoformat()}, of which {self._total:f} is spent or reserved"
                    )
                self._append(day, call, reserved=amount)
        except Timeout:
            raise LedgerError(str(self._path), "", f"is locked by another process since {_LOCK_WAIT_S:g} s") from None
        except OSError as error:
            raise LedgerError(str(self._path), "", f"cannot be read and written: {error.strerror or error}") from None

    def settle(self, day: date, call: str, cost: Decimal) -> None:
        """Put what a call cost in the place of its reservation.

        Raises
        ------
        OSError
            If the file cannot be written; the reservation stands.
        """
        self._append(day, call, cost=cost)

    def _append(self, day: date, call: str, **amount: Decimal) -> None:
        told = {name: f"{value:f}" for name, value in amount.items()}
        record = {"aoai_cost_ledger": 1, "day": day.isoformat(), "call": call, **told, "currency": self._currency}
        append_line(self._path, record)

    def _catch_up(self, day: str) -> None:
        """Read what was appended since the last time; the sums of another day are of no use any more."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if day != self._day or size < self._offset:
            self._start_over(day)
        data = self._whole_lines()
        for line in data.splitlines():
            self._line += 1
            self._add(line)
        self._offset += len(data)

    def _whole_lines(self) -> bytes:
        if not self._path.exists():
            return b""
        deadline = time.monotonic() + _WHOLE_AFTER_S
        with self._path.open("rb") as file:
            while True:
                file.seek(self._offset)
                data = file.read()
                if not data or data.endswith(b"\n"):
                    return data
                if time.monotonic() > deadline:
                    raise self._damaged(self._line + data.count(b"\n") + 1, "the last line is unfinished")
                time.sleep(_LOCK_POLL_S)

    def _add(self, line: bytes) -> None:
        try:
            record = orjson.loads(line)
            day, call, currency = record["day"], record["call"], record["currency"]
            told = record["reserved"] if "reserved" in record else record["cost"]
            amount = Decimal(told)
            known = record["aoai_cost_ledger"] == 1 and isinstance(call, str) and isinstance(day, str)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            raise self._damaged(self._line, "is no line of a ledger") from None
        if not (known and amount.is_finite() and amount >= 0):
            raise self._damaged(self._line, "is no line of a ledger")
        if day != self._day:
            return
        if currency != self._currency:
            raise self._damaged(self._line, "is in another currency than the budget")
        if "reserved" in record:
            self._open[call] = amount
            self._total += amount
        else:
            # A cost without a reservation is what remains of a file that somebody shortened: it was spent.
            self._total += amount - self._open.pop(call, Decimal(0))

    def _damaged(self, line: int, reason: str) -> LedgerError:
        self._start_over("")
        return LedgerError(
            str(self._path), f"line {line}", f"{reason}; what was spent cannot be told, so nothing is sent"
        )
