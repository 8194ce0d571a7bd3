"""The ledger of a day's budget: a file to which every process that shares the budget appends.

A call reserves its estimate before it is sent and settles what it cost afterwards. A process that dies in between
leaves its reservation: the sum errs on the side of what may have been billed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from weakref import WeakSet

import orjson
from filelock import FileLock, Timeout

from ..errors import BudgetExceeded, LedgerError

__all__ = ["Ledger", "append_line"]

_LOCK_WAIT_S = 30.0
_LOCK_POLL_S = 0.002
# A line that another process is writing this moment may be seen by half; what is still half after this was cut.
_WHOLE_AFTER_S = 1.0
_BEGINNING = b'{"aoai_cost_ledger":1,'
_CUT = re.compile(rb"[^{}\x00-\x1f]*")
# Beside the one that is asked for: clocks differ about midnight, and calls of the day before are settled after it.
_DAYS_KEPT = 2


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line in one write, so that lines of several threads and processes never mix.

    A line that a full disk cut before is ended first: else this one would be a part of it.

    Raises
    ------
    OSError
        If the file cannot be written, or the line only in part.
    """
    line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if _is_cut(path, os.fstat(handle)):
            line = b"\n" + line
        if os.write(handle, line) != len(line):
            with suppress(OSError):
                os.write(handle, b"\n")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)


def _is_cut(path: Path, status: os.stat_result) -> bool:
    """Tell whether a file has a last line without an end; False for what cannot be read, such as a pipe."""
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return False
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(status.st_size - 1)
            return file.read(1) != b"\n"
    except OSError:
        return False


@dataclass(slots=True)
class _Day:
    """What a day spent and reserved, and the reservations that are not settled."""

    total: Decimal = Decimal(0)
    open: dict[str, Decimal] = field(default_factory=dict)
    # The first line in another currency; 0 where there is none.
    foreign_line: int = 0


class Ledger:
    """What was reserved and spent by day; see the module.

    Settling takes no lock: it runs where a stream is closed, which may be within the collection of garbage in a thread
    that holds the lock.

    Raises
    ------
    LedgerError
        If the file is not a regular one, or its folder does not exist: a name that is mistyped would be a new budget.
    """

    def __init__(self, path: Path, currency: str) -> None:
        self._path, self._currency = path, currency
        self._begin()
        try:
            if not path.parent.is_dir():
                raise LedgerError(str(path), "", "its folder does not exist")
            self._size()
        except OSError as error:
            raise LedgerError(str(path), "", f"cannot be read and written: {error.strerror}") from None
        _LEDGERS.add(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        self._lock = FileLock(f"{self._path}.lock", timeout=_LOCK_WAIT_S, poll_interval=_LOCK_POLL_S)
        self._start_over()

    def _start_over(self) -> None:
        self._offset, self._line = 0, 0
        self._days: dict[str, _Day] = {}
        self._forgotten = ""

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
                total = self._total(day.isoformat())
                if total + amount > budget:
                    raise BudgetExceeded(amount, budget, f"{day.isoformat()}, of which {total:f} is spent or reserved")
                self._append(day, call, reserved=amount)
        except BudgetExceeded:
            raise
        except Timeout:
            raise LedgerError(str(self._path), "", f"is locked by another process since {_LOCK_WAIT_S:g} s") from None
        except OSError as error:
            raise LedgerError(str(self._path), "", f"cannot be read and written: {error.strerror or error}") from None
        except RuntimeError as error:
            # So filelock says that the file system has no locks, or that the lock is another process's.
            raise LedgerError(str(self._path), "", f"cannot be locked: {error}") from None

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

    def _size(self) -> int:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return 0
        if not stat.S_ISREG(status.st_mode):
            # A device would be read without end.
            raise LedgerError(str(self._path), "", "is not a regular file")
        return status.st_size

    def _total(self, day: str) -> Decimal:
        """Read what was appended since the last time, and return the sum of a day."""
        if self._size() < self._offset or (day not in self._days and day <= self._forgotten):
            self._start_over()
        data = self._whole_lines()
        for line in data.split(b"\n")[:-1]:
            self._line += 1
            # Another process may have gone on behind a line that was cut, before that was seen.
            first, *others = line.split(_BEGINNING)
            for one in (first, *(_BEGINNING + other for other in others)):
                if one:
                    self._add(one)
        self._offset += len(data)
        found = self._days.setdefault(day, _Day())
        for old in sorted(self._days.keys() - {day})[:-_DAYS_KEPT]:
            del self._days[old]
            self._forgotten = max(self._forgotten, old)
        if found.foreign_line:
            raise self._damaged(found.foreign_line, "is in another currency than the budget")
        return found.total

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
                    break
                time.sleep(_LOCK_POLL_S)
        end = data.rfind(b"\n") + 1
        if not _was_cut(data[end:].removesuffix(b"}")):
            raise self._damaged(self._line + data.count(b"\n") + 1, "the last line is unfinished")
        return data[:end]

    def _add(self, line: bytes) -> None:
        try:
            record = orjson.loads(line)
            day, call, currency = record["day"], record["call"], record["currency"]
            told = record["reserved"] if "reserved" in record else record["cost"]
            amount = Decimal(told)
            known = record["aoai_cost_ledger"] == 1 and isinstance(call, str) and isinstance(day, str)
        except (ValueError, KeyError, TypeError, InvalidOperation):
            if _was_cut(line):
                return
            raise self._damaged(self._line, "is no line of a ledger") from None
        if not (known and amount.is_finite() and amount >= 0):
            raise self._damaged(self._line, "is no line of a ledger")
        spent = self._days.setdefault(day, _Day())
        if currency != self._currency:
            spent.foreign_line = spent.foreign_line or self._line
        elif "reserved" in record:
            spent.open[call] = amount
            spent.total += amount
        else:
            # A cost without a reservation is what remains of a file that somebody shortened: it was spent.
            spent.total += amount - spent.open.pop(call, Decimal(0))

    def _damaged(self, line: int, reason: str) -> LedgerError:
        self._start_over()
        return LedgerError(
            str(self._path), f"line {line}", f"{reason}; what was spent cannot be told, so nothing is sent"
        )


def _was_cut(line: bytes) -> bool:
    """Tell whether this can be the beginning of a line, as a full disk leaves it.

    A reservation that was cut was never sent, and a cost that was cut leaves its reservation: neither changes the sum.
    """
    return _BEGINNING.startswith(line) or (
        line.startswith(_BEGINNING) and _CUT.fullmatch(line, len(_BEGINNING)) is not None
    )


_LEDGERS: WeakSet[Ledger] = WeakSet()


def _begin_anew() -> None:
    """Give a process that was forked (prefork workers) locks of its own: those it inherits are its parent's."""
    for ledger in _LEDGERS:
        ledger._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
