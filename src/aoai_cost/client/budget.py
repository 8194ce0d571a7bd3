"""What may be spent, by call and by day."""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

from ..errors import RequestError, shorten

__all__ = ["Budget"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What calls may cost; a request that may cost more is not sent.

    Parameters
    ----------
    per_call, per_day : Decimal, int or str, optional
        The most that one call, and all calls of one day in UTC, may cost; at least one of them.
    ledger : path, optional
        The file that keeps the sum of the day; `per_day` needs it. Every process that shares the budget names the
        same file on a local disk. Beside it a file with ``.lock`` behind its name appears.
    currency : str
        That of both amounts; the prices must be in it.
    against : str
        What is checked and reserved: ``high``, the cost of the longest answer, which the bill cannot exceed, or
        ``low``, that of the input alone, for requests whose answer nothing bounds.
    unpriced : str
        What becomes of a request whose cost cannot be told before (images, speech, batches, a deployment or a model
        without a price): ``refuse`` raises what says why, ``send`` sends it outside the budget.

    Raises
    ------
    RequestError
        For an amount that is no number of at least 0 (a float is refused), no amount at all, `per_day` without
        `ledger`, or a `ledger` that is no path.

    Examples
    --------
    >>> Budget(per_call="0.50", per_day=20, ledger="spent.jsonl").per_day
    Decimal('20')
    """

    per_call: Decimal | int | str | None = None
    per_day: Decimal | int | str | None = None
    ledger: str | os.PathLike[str] | None = None
    currency: str = "USD"
    against: Literal["high", "low"] = "high"
    unpriced: Literal["refuse", "send"] = "refuse"

    def __post_init__(self) -> None:
        for name in ("per_call", "per_day"):
            object.__setattr__(self, name, _amount(getattr(self, name), name))
        if self.per_call is None and self.per_day is None:
            raise RequestError("budget", "has neither per_call nor per_day")
        if self.ledger is not None and not _is_path(self.ledger):
            raise RequestError("ledger", f"must be the path of a file, found {shorten(self.ledger)}")
        if self.per_day is not None and self.ledger is None:
            raise RequestError("ledger", "per_day needs a file that keeps what was spent on the day")
        for name, allowed in (("against", ("high", "low")), ("unpriced", ("refuse", "send"))):
            if getattr(self, name) not in allowed:
                raise RequestError(name, f"must be {' or '.join(allowed)}, found {shorten(getattr(self, name))}")


def _is_path(value: object) -> bool:
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    return isinstance(path, str) and path != ""


def _amount(value: Decimal | int | str | None, name: str) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(value) if isinstance(value, (Decimal, int, str)) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise RequestError(name, f"must be a Decimal, a whole number or a text such as '0.50', found {shorten(value)}")
    return amount
