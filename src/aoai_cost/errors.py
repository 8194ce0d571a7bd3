"""Every error of the package.

Each derives from `AoaiCostError` and from the built-in that a caller would expect. The fields travel
through ``args``, so an error survives pickling and copying; the sentence is made when it is asked for.
Messages name what was wanted, what was found and what to do, stay short, and never echo a prompt, a
key or a megabyte of input.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

__all__ = [
    "AoaiCostError",
    "BillError",
    "BudgetExceeded",
    "DeploymentsError",
    "ImageError",
    "LedgerError",
    "LogFormatError",
    "MissingExtraError",
    "MissingPriceError",
    "PriceSheetError",
    "RefreshError",
    "RequestError",
    "UnknownNameError",
    "UsageFormatError",
    "VocabularyError",
]

_SHOWN_CHARACTERS = 120


def shorten(value: object, limit: int = _SHOWN_CHARACTERS) -> str:
    """Return ``repr(value)`` cut to `limit` characters, fit to stand in a message."""
    if isinstance(value, str):
        # Cut before the repr: the repr of a megabyte is a megabyte.
        return repr(value) if len(value) <= limit else repr(value[:limit]) + f"... ({len(value):,} characters)"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # A number of more digits than Python writes, or what is too deep.
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= limit else text[:limit] + "..."


class AoaiCostError(Exception):
    """Base of every error that the package raises on purpose."""


class UnknownNameError(AoaiCostError, KeyError, ValueError):
    """A model, deployment, encoding or log format that nobody here knows.

    What expects tiktoken's errors may go on doing so: KeyError of an unknown model, ValueError of an unknown encoding.
    Fields: ``kind`` (what was looked up), ``name``, ``near`` (names that look alike, best first).
    """

    def __init__(self, kind: str, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(kind, name, tuple(near))
        self.kind, self.name, self.near = kind, name, tuple(near)

    def __str__(self) -> str:
        if self.near:
            advice = f"; did you mean {', '.join(map(shorten, self.near[:7]))}?"
        else:
            advice = "; `aoai-cost models` lists those that are known" if self.kind == "model" else ""
        return f"unknown {self.kind} {shorten(self.name)}{advice}"


class MissingPriceError(AoaiCostError, LookupError):
    """No price row answers the question; an unknown price is never zero.

    Fields: the parts of the question (``model`` ... ``on``) and ``covered``, a sentence that says
    what the sheets do cover.
    """

    def __init__(
        self,
        *,
        model: str,
        version: str | None,
        meter: str,
        modality: str,
        sku: str,
        region: str | None,
        tier: str,
        band: str,
        on: date,
        covered: str = "",
    ) -> None:
        super().__init__(model, version, meter, modality, sku, region, tier, band, on, covered)
        self.model, self.version, self.meter, self.modality = model, version, meter, modality
        self.sku, self.region, self.tier, self.band, self.on = sku, region, tier, band, on
        self.covered = covered

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing_price, self.args

    def __str__(self) -> str:
        version = f" version {shorten(self.version)}" if self.version else ""
        band = f", band {shorten(self.band)}" if self.band != "short" else ""
        modality = f" ({shorten(self.modality)})" if self.modality != "text" else ""
        region = f"in {shorten(self.region)}" if self.region else "with no region given"
        covered = f"; {self.covered}" if self.covered else ""
        return (
            f"no price for model {shorten(self.model)}{version}, meter {shorten(self.meter)}{modality}, "
            f"sku {shorten(self.sku)}, tier {shorten(self.tier)}{band} {region} on {self.on.isoformat()}{covered}"
        )


def _missing_price(*args: Any) -> MissingPriceError:
    names = ("model", "version", "meter", "modality", "sku", "region", "tier", "band", "on", "covered")
    return MissingPriceError(**dict(zip(names, args, strict=True)))


class VocabularyError(AoaiCostError, OSError):
    """A vocabulary is absent, damaged, or not the one that tiktoken publishes.

    Fields: ``encoding``, ``looked_in``, ``reason``.
    """

    def __init__(self, encoding: str, looked_in: str, reason: str) -> None:
        super().__init__(encoding, looked_in, reason)
        self.encoding, self.looked_in, self.reason = encoding, looked_in, reason

    def __str__(self) -> str:
        return f"vocabulary {shorten(self.encoding)} in {shorten(self.looked_in)}: {self.reason}"


class _EntryError(AoaiCostError, ValueError):
    """A file of the user's that says something which cannot be used."""

    what = "file"

    def __init__(self, path: str, entry: str, reason: str) -> None:
        super().__init__(path, entry, reason)
        self.path, self.entry, self.reason = path, entry, reason

    def __str__(self) -> str:
        where = ", ".join(filter(None, (shorten(self.path) if self.path else "", self.entry)))
        return f"{self.what} {where}: {self.reason}" if where else f"{self.what}: {self.reason}"


class PriceSheetError(_EntryError):
    """A price sheet that cannot be used. Fields: ``path``, ``entry``, ``reason``."""

    what = "price sheet"


class DeploymentsError(_EntryError):
    """A deployments file that cannot be used. Fields: ``path``, ``entry``, ``reason``."""

    what = "deployments file"


class LedgerError(_EntryError):
    """The ledger of a budget cannot be used, so what is left is not known. Fields: ``path``, ``entry``, ``reason``."""

    what = "ledger"


class BillError(_EntryError):
    """An export of costs that cannot be used. Fields: ``path``, ``entry``, ``reason``."""

    what = "bill"


class UsageFormatError(AoaiCostError, ValueError):
    """A usage log that cannot be read. Fields: ``source``, ``line`` (from 1, or 0), ``column``, ``reason``."""

    def __init__(self, source: str, reason: str, line: int = 0, column: str = "") -> None:
        super().__init__(source, reason, line, column)
        self.source, self.reason, self.line, self.column = source, reason, line, column

    def __str__(self) -> str:
        where = (f", line {self.line}" if self.line else "") + (
            f", column {shorten(self.column)}" if self.column else ""
        )
        return f"usage log {shorten(self.source)}{where}: {self.reason}"


class LogFormatError(AoaiCostError, ImportError):
    """A log format of another package that cannot be used. Fields: ``package``, ``entry`` (entry point), ``reason``."""

    def __init__(self, package: str, entry: str, reason: str) -> None:
        super().__init__(package, entry, reason)
        self.package, self.entry, self.reason = package, entry, reason

    def __str__(self) -> str:
        where = f"log format {shorten(self.entry)} of the package {shorten(self.package)}"
        return f"{where}: {self.reason}; update or uninstall the package"


class RequestError(AoaiCostError, ValueError):
    """A request body that cannot be counted, or an argument that has no meaning.

    Fields: ``field`` (its path in the body, or the name of the argument), ``reason``.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field, self.reason = field, reason

    def __str__(self) -> str:
        # Names of our own stand as they are; a path in a body may hold what a stranger wrote.
        plain = isinstance(self.field, str) and self.field.isprintable() and len(self.field) <= _SHOWN_CHARACTERS
        return f"{self.field if plain else shorten(self.field)}: {self.reason}"


class ImageError(AoaiCostError, ValueError):
    """An image whose size cannot be told or is not accepted. Fields: ``source``, ``reason``."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    def __str__(self) -> str:
        return f"image {shorten(self.source)}: {self.reason}"


class RefreshError(AoaiCostError, OSError):
    """Fetching prices failed; the sheet of before is untouched. Fields: ``url``, ``status``, ``reason``."""

    def __init__(self, url: str, status: int | None, reason: str) -> None:
        super().__init__(url, status, reason)
        self.url, self.status, self.reason = url, status, reason

    def __str__(self) -> str:
        status = f" answered {self.status}" if self.status is not None else ""
        return f"{shorten(self.url)}{status}: {self.reason}; the price sheet is unchanged"


class BudgetExceeded(AoaiCostError, RuntimeError):  # noqa: N818  (the name says what happened; it is public)
    """A request would cost more than the budget allows.

    Fields: ``estimate`` (None where nothing bounds it), ``budget``, ``period``.
    """

    def __init__(self, estimate: Decimal | None, budget: Decimal, period: str) -> None:
        super().__init__(estimate, budget, period)
        self.estimate, self.budget, self.period = estimate, budget, period

    def __str__(self) -> str:
        if self.estimate is None:
            return f"nothing bounds the cost, so it may be over the budget of {self.budget:f} for {self.period}"
        return f"estimated {self.estimate:f} is over the budget of {self.budget:f} for {self.period}"


class MissingExtraError(AoaiCostError, ImportError):
    """An optional part is not installed. Fields: ``extra``, ``command`` (what installs it)."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra, self.command = extra, f'pip install "aoai-cost[{extra}]"'

    def __str__(self) -> str:
        return f"the {self.extra!r} extra is not installed; run: {self.command}"
