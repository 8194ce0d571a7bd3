"""What a deployment is: its model, sku, region and tier, from a file that the user keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import DeploymentsError, shorten
from .models import is_fine_tuned, split_model_name

__all__ = [
    "FINE_TUNED",
    "SKUS",
    "TIERS",
    "Deployment",
    "Deployments",
    "arm_region",
    "listed_name",
    "read_deployments",
    "tier_of",
]

SKUS = (
    "GlobalStandard",
    "DataZoneStandard",
    "Standard",
    "GlobalBatch",
    "DataZoneBatch",
    "GlobalProvisionedManaged",
    "DataZoneProvisionedManaged",
    "ProvisionedManaged",
    "DeveloperTier",
)
"""The ARM names of the deployment types that have prices."""

TIERS = ("default", "batch", "priority", "flex")
"""The service tiers that have prices of their own."""

FINE_TUNED = ("", "ft", "rft", "dev_ft", "dev_rft")
"""How a model was fine-tuned, as the price list tells it apart; empty for a base model."""


def listed_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is `name` but for case and blanks around it; None if it is none of them.

    Examples
    --------
    >>> listed_name("globalstandard", SKUS)
    'GlobalStandard'
    """
    wanted = name.strip().lower()
    return next((one for one in names if one.lower() == wanted), None)


def arm_region(name: str) -> str:
    """Return a region as ARM writes it.

    Examples
    --------
    >>> arm_region("Sweden Central")
    'swedencentral'
    """
    return "".join(name.split()).lower()


def tier_of(sku: str, tier: str) -> str:
    """Return the tier that is served: batch skus have one, whatever is asked."""
    return "batch" if sku.endswith("Batch") else tier


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment and what selects its prices.

    ``resource`` is the ARM id or the bare name of the account; ``active_from`` and ``active_to`` bound its life, the
    second day no longer in it. ``ptu_units`` are the provisioned throughput units bought.
    """

    resource: str
    name: str
    model: str
    version: str | None = None
    sku: str = ""
    region: str | None = None
    tier: str = "default"
    ptu_units: int | None = None
    fine_tuned: str = ""
    active_from: date | None = None
    active_to: date | None = None

    def __post_init__(self) -> None:
        if not self.sku:
            raise DeploymentsError(
                "", f"deployment {shorten(self.name)}", f"has no sku; the skus are {', '.join(SKUS)}"
            )

    def active_on(self, on: date) -> bool:
        """Tell whether the deployment lives on this day."""
        return (self.active_from is None or self.active_from <= on) and (self.active_to is None or on < self.active_to)


class Deployments:
    """Deployments that can be found by resource, name and day.

    Names and resources are compared without regard to case. A log may name a resource by its ARM id and the file by
    its account name, or the other way round: that is accepted while it is unambiguous, as is a name without a resource.

    Raises
    ------
    DeploymentsError
        If two entries of one resource and name share a day.
    """

    def __init__(self, deployments: Iterable[Deployment]) -> None:
        self._all = tuple(deployments)
        self._by_name: dict[str, list[Deployment]] = {}
        for deployment in self._all:
            self._by_name.setdefault(deployment.name.lower(), []).append(deployment)
        _refuse_overlaps(self._all, "")

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"Deployments({len(self._all)} entries)"

    def find(self, resource: str | None, name: str | None, on: date) -> Deployment | None:
        """Find the deployment that lived on a day; None if there is none or more than one (`why` tells)."""
        living = [one for one in self._candidates(resource, name) if one.active_on(on)]
        return living[0] if len(living) == 1 else None

    def why(self, resource: str | None, name: str | None, on: date) -> str:
        """Say in one sentence why `find` has no answer; empty where it has one."""
        if not self._all:
            return "no deployments file was given, so the type (sku) of the deployment is not known"
        if not name:
            return "no deployment is named"
        named = self._by_name.get(name.lower(), [])
        shown = shorten(name)
        if not named:
            from difflib import get_close_matches  # only an error pays for it

            near = get_close_matches(name.lower()[:100], self._by_name, n=1)
            advice = f"; did you mean {shorten(self._by_name[near[0]][0].name)}?" if near else ""
            return f"deployment {shown} is not in the deployments file{advice}"
        candidates = self._candidates(resource, name)
        if not candidates:
            return f"deployment {shown} is in the deployments file, but not of resource {shorten(resource)}"
        living = [one for one in candidates if one.active_on(on)]
        if not living:
            return f"deployment {shown} is in the deployments file, but not active on {on.isoformat()}"
        if len(living) == 1:
            return ""
        places = ", ".join(sorted(shorten(one.resource, 60) for one in living)[:3])
        return (
            f"deployment {shown} is ambiguous: {len(living)} resources have one ({places}), and which one is not said"
        )

    def _candidates(self, resource: str | None, name: str | None) -> list[Deployment]:
        """Return the entries that the log may mean, of the most exact kind of match that has any."""
        if not name:
            return []
        named = self._by_name.get(name.lower(), [])
        if not resource:
            return named
        wanted = resource.strip().rstrip("/").lower()
        exact = [one for one in named if one.resource.lower() == wanted]
        if exact:
            return exact
        # Two ARM ids that differ are two accounts, whatever their last segments are.
        account = _account(wanted)
        return [
            one
            for one in named
            if _account(one.resource.lower()) == account and not ("/" in wanted and "/" in one.resource)
        ]


def read_deployments(path: str | os.PathLike[str]) -> Deployments:
    """Read a deployments file.

    Parameters
    ----------
    path : path
        TOML with ``[[deployment]]`` tables whose keys are the fields of `Deployment`, or the JSON that
        ``az cognitiveservices account deployment list -o json`` prints (it names no region).

    Raises
    ------
    DeploymentsError
        If the file is absent or says something that cannot be used; it names the entry and the reason.
    """
    shown = os.fspath(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DeploymentsError(shown, "", f"cannot be read: {error.strerror or type(error).__name__}") from error
    except UnicodeDecodeError as error:
        raise DeploymentsError(shown, "", "is not UTF-8 text") from error
    except ValueError as error:
        raise DeploymentsError(shown, "", f"cannot be read: {error}") from error
    first, second = (text.lstrip()[:1], text.lstrip()[1:100].lstrip()[:1])
    # TOML too may begin with a bracket: before a name, or before another bracket.
    is_json = first == "{" or (first == "[" and not (second.isalpha() or second in ("[", "_")))
    entries = _json_entries(text, shown) if is_json else _toml_entries(text, shown)
    found = []
    for number, entry in enumerate(entries, start=1):
        where = _where(number, entry)
        found.append(_from_az(entry, shown, where) if is_json else _from_toml(entry, shown, where))
    _refuse_overlaps(found, shown)
    return Deployments(found)


def _where(number: int, entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return f"deployment {number}" + (f" ({shorten(name, 60)})" if isinstance(name, str) else "")


def _toml_entries(text: str, path: str) -> list[Any]:
    import tomllib  # only a file pays for it

    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeploymentsError(path, "", f"is not TOML that can be read: {str(error)[:200]}") from error
    unknown = [key for key in raw if key != "deployment"]
    if unknown:
        raise DeploymentsError(
            path, "", f"has the unknown key {shorten(unknown[0], 60)}; it takes [[deployment]] tables"
        )
    entries = raw.get("deployment", [])
    if not isinstance(entries, list):
        raise DeploymentsError(path, "", "write [[deployment]] with two brackets, once per deployment")
    return entries


def _json_entries(text: str, path: str) -> list[Any]:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeploymentsError(path, "", "is not JSON that can be read") from error
    entries = raw.get("value") if isinstance(raw, dict) else raw
    if not isinstance(entries, list):
        raise DeploymentsError(path, "", "is not the list that `az cognitiveservices account deployment list` prints")
    return entries


_TEXT = ("resource", "name", "model", "version", "sku", "region", "tier", "fine_tuned")
_REQUIRED = ("name", "model", "sku")
_DAYS = ("active_from", "active_to")


def _from_toml(entry: Any, path: str, where: str) -> Deployment:
    if not isinstance(entry, dict):
        raise DeploymentsError(path, where, "is not a table")
    known = [one.name for one in fields(Deployment)]
    for key, value in entry.items():
        if key not in known:
            raise DeploymentsError(
                path, where, f"has the unknown key {shorten(key, 60)}; the keys are {', '.join(known)}"
            )
        if key in _TEXT and not isinstance(value, str):
            raise DeploymentsError(path, where, f"{key} must be a text in quotes, found {shorten(value, 60)}")
        if key in _DAYS and (not isinstance(value, date) or isinstance(value, datetime)):
            raise DeploymentsError(path, where, f"{key} must be a day such as 2026-08-01, found {shorten(value, 60)}")
    return _checked(dict(entry), path, where)


def _from_az(entry: Any, path: str, where: str) -> Deployment:
    def part(*keys: str) -> Any:
        value = entry
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    arm = part("id")
    resource = arm.split("/deployments/")[0] if isinstance(arm, str) and "/deployments/" in arm else ""
    model, version = part("properties", "model", "name"), part("properties", "model", "version")
    sku, capacity = part("sku", "name"), part("sku", "capacity")
    found: dict[str, Any] = {
        "resource": resource,
        "name": part("name"),
        "model": model,
        "version": version,
        "sku": sku,
    }
    if isinstance(sku, str) and sku.lower().endswith("provisionedmanaged"):
        found["ptu_units"] = capacity
    if isinstance(model, str) and is_fine_tuned(model):
        found["model"], found["version"] = split_model_name(model)
        found["fine_tuned"] = "dev_ft" if sku and sku.lower() == "developertier" else "ft"
    for key in _TEXT:
        if found.get(key) is not None and not isinstance(found[key], str):
            raise DeploymentsError(path, where, f"{key} is not a text")
    return _checked({key: value for key, value in found.items() if value is not None}, path, where)


def _checked(facts: dict[str, Any], path: str, where: str) -> Deployment:
    for key in _REQUIRED:
        if not facts.get(key, "").strip():
            raise DeploymentsError(path, where, f"has no {key}")
    facts["resource"] = facts.get("resource", "").strip().rstrip("/").lower()
    for key, allowed in (("sku", SKUS), ("tier", TIERS), ("fine_tuned", FINE_TUNED)):
        if key in facts:
            same = listed_name(facts[key], allowed)
            if same is None:
                choice = ", ".join(filter(None, allowed))
                raise DeploymentsError(
                    path, where, f"{key} {shorten(facts[key], 60)} is not known; it is one of {choice}"
                )
            facts[key] = same
    facts["tier"] = tier_of(facts["sku"], facts.get("tier", "default"))
    if "region" in facts:
        facts["region"] = arm_region(facts["region"]) or None
    units = facts.get("ptu_units")
    if units is not None and (isinstance(units, bool) or not isinstance(units, int) or units < 1):
        raise DeploymentsError(
            path, where, f"ptu_units must be a whole number of at least 1, found {shorten(units, 60)}"
        )
    if units is not None and not facts["sku"].endswith("ProvisionedManaged"):
        raise DeploymentsError(path, where, f"has ptu_units, but its sku {facts['sku']} is not a provisioned one")
    first, end = facts.get("active_from"), facts.get("active_to")
    if first is not None and end is not None and first >= end:
        raise DeploymentsError(path, where, f"active_to {end} must come after active_from {first}")
    return Deployment(**facts)


def _refuse_overlaps(deployments: Iterable[Deployment], path: str) -> None:
    groups: dict[tuple[str, str], list[tuple[int, Deployment]]] = {}
    for number, one in enumerate(deployments, start=1):
        groups.setdefault((one.resource.lower(), one.name.lower()), []).append((number, one))
    for group in groups.values():
        group.sort(key=lambda entry: entry[1].active_from or date.min)
        for (_, earlier), (number, later) in pairwise(group):
            if earlier.active_to is None or earlier.active_to > (later.active_from or date.min):
                where = f"deployment {number} ({shorten(later.name, 60)})"
                raise DeploymentsError(
                    path,
                    where,
                    "shares days with another entry of the same resource and name; bound them with active_to",
                )


def _account(resource: str) -> str:
    return resource.strip().rstrip("/").rsplit("/", 1)[-1]
