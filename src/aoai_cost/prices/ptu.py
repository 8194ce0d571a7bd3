"""How many provisioned throughput units (PTUs) a workload needs.

A PTU serves so many input tokens a minute, and a token of another category weighs as so many input tokens. Both
published formulas are that one sum: up to GPT-5.6 output weighs its ratio to input, and cached input nothing; from
GPT-6 on every category has its weight. All is worked out in fractions; units are rounded up once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from .. import markup
from ..catalog import get_model, is_fine_tuned, split_model_name
from ..errors import RequestError, shorten

__all__ = ["PTU_SKUS", "Number", "PtuParameters", "PtuSize", "Traffic", "exact", "list_ptu_parameters", "size_ptu"]

PTU_SKUS = ("GlobalProvisionedManaged", "DataZoneProvisionedManaged", "ProvisionedManaged")

Number = int | float | str | Decimal | Fraction
"""What counts and shares may be given as."""

_MOST = 10**15
_LONGEST_NUMBER = 60
# The documents write 128K.
_LONG_CONTEXT_TOKENS = 128_000


def _number(value: Fraction) -> str:
    return markup.amount(value).removesuffix(".00")


def exact(field: str, value: object, most: int = _MOST) -> Fraction:
    """Read a number from 0 to `most` as it is written: the float 0.4 is four tenths. Else a RequestError of `field`."""
    found = ""  # of a whole number nothing is quoted: it can be too long to be written
    try:
        if isinstance(value, int | Fraction) and not isinstance(value, bool):
            number = Fraction(value)
        else:
            found = f", found {shorten(value)}"
            number = _written(str(value))
        if 0 <= number <= most:
            return number
    except (InvalidOperation, ValueError):
        pass
    raise RequestError(field, f"must be a number from 0 to {most}{found}")


def _written(text: str) -> Fraction:
    if len(text) <= _LONGEST_NUMBER:
        number = Decimal(text)
        # Before the fraction is made: that of 1e999999999 is a gigabyte.
        if number.is_finite() and abs(number.adjusted()) <= _LONGEST_NUMBER:
            return Fraction(number)
    raise ValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a workload sends in a minute: averages of its requests, kept as exact numbers.

    ``cached_share`` and ``cache_write_share`` are the parts of the prompt tokens that are read from the cache and
    written to it; ``long_share`` is the part of all text tokens that belongs to requests in the long context band.
    Images that a text model reads are prompt tokens; ``image_input_tokens`` and ``image_output_tokens`` are those of an
    image model, whose prompt tokens are text alone.

    Raises
    ------
    RequestError
        For what is no number of at least 0 (``bool`` is refused), and for shares over 1, alone or together.
    """

    requests_per_minute: Number
    prompt_tokens: Number
    response_tokens: Number = 0
    cached_share: Number = 0
    cache_write_share: Number = 0
    long_share: Number = 0
    image_input_tokens: Number = 0
    image_output_tokens: Number = 0

    def __post_init__(self) -> None:
        for one in fields(self):
            most = 1 if one.name.endswith("_share") else _MOST
            object.__setattr__(self, one.name, exact(one.name, getattr(self, one.name), most))
        if Fraction(self.cached_share) + Fraction(self.cache_write_share) > 1:
            raise RequestError("cache_write_share", "must be at most 1 together with cached_share")

    def tokens(self) -> dict[str, Fraction]:
        """Return the tokens of an average request by category, each in one of them; empty categories are left out."""
        prompt, long = Fraction(self.prompt_tokens), Fraction(self.long_share)
        cached, written = prompt * Fraction(self.cached_share), prompt * Fraction(self.cache_write_share)
        text = {
            "input": prompt - cached - written,
            "cached_input": cached,
            "cache_write": written,
            "output": Fraction(self.response_tokens),
        }
        found = {name: amount * (1 - long) for name, amount in text.items()}
        found |= {f"long_{name}": amount * long for name, amount in text.items()}
        found |= {name: Fraction(getattr(self, f"{name}_tokens")) for name in ("image_input", "image_output")}
        return {name: amount for name, amount in found.items() if amount}


@dataclass(frozen=True, slots=True)
class PtuParameters:
    """What one document says of one model on PTUs.

    ``doc_date`` is the document's date as it is written, ``known_from`` the first day on which it counts. ``versions``
    is empty where it names none. ``sizes`` holds the minimum and the increment of each sku, ``weights`` how many input
    tokens a token of a category counts as; a category that is not in it has no published weight.
    """

    source: str
    title: str
    doc_date: str
    known_from: date
    model: str
    versions: tuple[str, ...]
    sizes: tuple[tuple[str, int, int], ...]
    input_tpm_per_ptu: int
    weights: tuple[tuple[str, Fraction], ...]
    long_context: str
    latency: str
    note: str

    def _repr_html_(self) -> str:
        told = [
            ("versions", ", ".join(self.versions)),
            ("input tokens a minute of a PTU", f"{self.input_tpm_per_ptu:,}"),
            *[(sku, f"at least {minimum} PTUs, in steps of {increment}") for sku, minimum, increment in self.sizes],
            *[(f"weight of {name}", _number(weight)) for name, weight in self.weights],
            ("document", f"{self.source} of {self.doc_date}: {self.title}"),
            ("note", self.note),
        ]
        return markup.result(f"{self.model} on provisioned throughput", markup.facts(told))

    def size_of(self, sku: str) -> tuple[int, int]:
        """Return the minimum and the increment of a sku, in PTUs."""
        return next((minimum, increment) for name, minimum, increment in self.sizes if name == sku)


@dataclass(frozen=True, slots=True)
class PtuSize:
    """How many PTUs a workload needs.

    ``normalized_tokens`` is what an average request weighs in input tokens. ``parameters`` name the document that the
    size rests on; ``notes`` say where documents disagree, and what is not served.
    """

    model: str
    version: str
    sku: str
    traffic: Traffic
    parameters: PtuParameters
    normalized_tokens: Fraction
    units: int
    notes: tuple[str, ...]

    @property
    def normalized_tpm(self) -> Fraction:
        """What the traffic weighs, in input tokens a minute."""
        return self.normalized_tokens * Fraction(self.traffic.requests_per_minute)

    @property
    def raw_units(self) -> Fraction:
        """The need before it is rounded up to what can be deployed."""
        return self.normalized_tpm / self.parameters.input_tpm_per_ptu

    def _repr_html_(self) -> str:
        minimum, increment = self.parameters.size_of(self.sku)
        told = [
            ("deployment type", self.sku),
            ("traffic", f"{_number(self.normalized_tpm)} normalized tokens a minute"),
            ("PTUs needed", _number(self.raw_units)),
            ("deployed", f"at least {minimum}, in steps of {increment}"),
            ("document", f"{self.parameters.source} of {self.parameters.doc_date}: {self.parameters.title}"),
        ]
        return markup.result(
            f"{self.units:,} PTUs for {self.model} {self.version}", markup.facts(told), notes=self.notes
        )


def list_ptu_parameters(model: str | None = None) -> tuple[PtuParameters, ...]:
    """Return what the documents say of a model, or of all models, in the order of ptu.toml."""
    name = None if model is None else split_model_name(model)[0]
    return tuple(row for row in _parameters() if name in (None, row.model))


def size_ptu(
    traffic: Traffic,
    *,
    model: str,
    version: str | None = None,
    sku: str = "GlobalProvisionedManaged",
    on: date | None = None,
) -> PtuSize:
    """Work out how many PTUs serve a workload, by the formulas that Azure publishes.

    Parameters
    ----------
    traffic : Traffic
        At its peak: a deployment serves no more than it is sized for.
    model, version : str
        As `get_model` takes them. The version may be left out: the newest one that the document speaks of is taken.
    sku : str
        One of `PTU_SKUS`.
    on : date, optional
        Take the newest document of that day or before that lists the model; by default the newest of all.

    Raises
    ------
    UnknownNameError
        For a model that nobody here knows.
    RequestError
        For a model without published parameters, a fine-tuned one, and tokens of a category without a published weight.

    Examples
    --------
    >>> chat = Traffic(requests_per_minute=1000, prompt_tokens=200, response_tokens=20, cached_share=0.5)
    >>> size = size_ptu(chat, model="gpt-5.2", sku="DataZoneProvisionedManaged")
    >>> round(float(size.raw_units), 2), size.units, size.parameters.doc_date
    (76.47, 80, '2026-09-23')
    """
    if sku not in PTU_SKUS:
        raise RequestError("sku", f"{shorten(sku)} is none of {', '.join(PTU_SKUS)}")
    found, version, notes = _find(model, version, sku, on)
    if found.long_context:
        limit = f"{found.model} on PTUs serves no request of more than 128K prompt tokens ({found.source})"
        if Fraction(traffic.prompt_tokens) > _LONG_CONTEXT_TOKENS:
            raise RequestError("prompt_tokens", limit)
        notes.append(f"{limit}: those spill over or fail")
    tokens, weights = traffic.tokens(), dict(found.weights)
    unknown = ", ".join(name for name in tokens if name not in weights)
    if unknown:
        why = f" ({found.note})" if found.note else ""
        reason = f"{found.source} of {found.doc_date} prints no weight of {unknown} for {found.model}{why}"
        raise RequestError("traffic", reason)
    normalized = sum((amount * weights[name] for name, amount in tokens.items()), Fraction())
    minimum, increment = found.size_of(sku)
    need = max(normalized * Fraction(traffic.requests_per_minute) / found.input_tpm_per_ptu, Fraction(minimum))
    units = -(-need // increment) * increment
    return PtuSize(found.model, version, sku, traffic, found, normalized, units, tuple(notes))


def _find(model: str, version: str | None, sku: str, on: date | None) -> tuple[PtuParameters, str, list[str]]:
    """Return the parameters that count on a day, the version they are taken for, and what documents disagree on."""
    if is_fine_tuned(model):
        # Microsoft Q&A 2153977; the announcement of fine-tuned PTU deployments (Tech Community 4385752) says as much.
        reason = "parameters are published for base models alone; Microsoft says a fine-tuned one needs about as much"
        raise RequestError("model", reason)
    known = get_model(model, version)
    named = bool(version) or split_model_name(model)[1] is not None
    day = on.date() if isinstance(on, datetime) else on
    rows = sorted(
        (
            row
            for row in list_ptu_parameters(known.name)
            if not (named and row.versions) or known.version in row.versions
        ),
        key=lambda row: row.known_from,
    )
    in_force = [row for row in rows if day is None or row.known_from <= day]
    if not in_force:
        which = f"{known.name} version {known.version}" if named else known.name
        if rows:
            raise RequestError("model", f"PTU parameters of {which} are published from {rows[0].known_from} on")
        models = ", ".join(sorted({row.model for row in _parameters()}))
        raise RequestError("model", f"no PTU parameters of {which} are published; there are those of {models}")
    *earlier, found = in_force
    now = _said(found, sku)
    notes = [
        f"{found.model}: {name} was {value} in {row.source} of {row.doc_date}; {now[name]} is taken"
        for row in earlier
        for name, value in _said(row, sku).items()
        if now.get(name, value) != value
    ]
    minimum, increment = found.size_of(sku)
    if minimum % increment:
        notes.append(f"{found.model}: the minimum of {minimum} PTUs is no multiple of the increment of {increment}")
    return found, known.version if named or not found.versions else found.versions[-1], notes


def _said(row: PtuParameters, sku: str) -> dict[str, Any]:
    minimum, increment = row.size_of(sku)
    sizes = {"the minimum": minimum, "the increment": increment, "input TPM per PTU": row.input_tpm_per_ptu}
    return sizes | {f"the weight of {name}": weight for name, weight in row.weights}


@cache
def _parameters() -> tuple[PtuParameters, ...]:
    import tomllib  # the reviewed file itself: reading it takes 2 ms, for which only those wait who ask for PTUs

    raw = tomllib.loads(Path(__file__).with_name("ptu.toml").read_text("utf-8"))
    return tuple(_row(entry, raw["document"][entry["document"]]) for entry in raw["parameters"])


def _row(entry: Mapping[str, Any], document: Mapping[str, Any]) -> PtuParameters:
    weights = {"input": Fraction(1)} | {name: Fraction(weight) for name, weight in entry["weights"].items()}
    if weights.get("cached_input") == 0:
        # The older formula takes all that is not read from the cache as input, and so what is written to it.
        weights["cache_write"] = weights["input"]
    scopes = {sku: entry["regional" if sku == "ProvisionedManaged" else "global_data_zone"] for sku in PTU_SKUS}
    return PtuParameters(
        source=entry["document"],
        title=document["title"],
        doc_date=document["date"],
        known_from=document["from"],
        model=entry["model"],
        versions=tuple(entry.get("versions", ())),
        sizes=tuple((sku, scope["minimum"], scope["increment"]) for sku, scope in scopes.items()),
        input_tpm_per_ptu=entry["input_tpm_per_ptu"],
        weights=tuple(weights.items()),
        **{name: entry.get(name, "") for name in ("long_context", "latency", "note")},
    )
