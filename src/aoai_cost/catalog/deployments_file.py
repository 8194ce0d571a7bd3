"""The deployments file: TOML that the user keeps, or the JSON that `az` prints; read, examined and written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import partial
from typing import Any

from ..errors import DeploymentsError, shorten
from ..tomlfile import Entry, TomlFile, called_entry, read_text, toml_text
from .az import is_json, read_listing
from .deployments import (
    FINE_TUNED,
    SKUS,
    TIERS,
    Alias,
    Deployment,
    Deployments,
    arm_region,
    arm_resource,
    find_overlaps,
    listed_name,
    tier_of,
)

__all__ = ["Examination", "deployments_toml", "examine_deployments", "read_deployments"]

_TEXTS = ("resource", "name", "model", "version", "sku", "region", "tier", "fine_tuned")
_DAYS = ("active_from", "active_to")
_OTHERS = ("ptu_units", "aliases")
_REQUIRED = ("name", "model", "sku")
_NAMED = (("sku", SKUS), ("tier", TIERS), ("fine_tuned", FINE_TUNED))


@dataclass(frozen=True, slots=True)
class Examination:
    """What files say of deployments, and everything that is wrong with it.

    Attributes
    ----------
    deployments : list of Deployment
        Those that can be used; no two of one resource and name share a day.
    problems : list of DeploymentsError
        One or more for each entry that was left out.
    notes : list of str
        What is worth a look and does not keep an entry from being used.
    created : dict
        The day on which Azure says that a deployment was created. It is no `active_from`: what had the name before is
        not listed any more, and its calls would find nothing.
    """

    deployments: list[Deployment] = field(default_factory=list)
    problems: list[DeploymentsError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    created: dict[Deployment, date] = field(default_factory=dict)


def read_deployments(path: str | os.PathLike[str], *more: str | os.PathLike[str]) -> Deployments:
    """Read deployments files.

    Parameters
    ----------
    path, *more : path
        TOML with ``[[deployment]]`` tables whose keys are the fields of `Deployment`, or the JSON that
        ``az cognitiveservices account deployment list -o json`` prints, of one account or several. That JSON names no
        regions; the JSON of ``az cognitiveservices account list -o json``, in the same file or another, does.

    Raises
    ------
    DeploymentsError
        If a file is absent or says something that cannot be used; it names the entry and the reason.
    """
    paths = [os.fspath(one) for one in (path, *more)]
    found = examine_deployments((one, read_text(one, DeploymentsError)) for one in paths)
    if found.problems:
        raise found.problems[0]
    return Deployments(found.deployments, path=", ".join(paths))


def examine_deployments(texts: Iterable[tuple[str, str]]) -> Examination:
    """Read the texts of deployments files as `read_deployments` does, and go on after what is wrong.

    Parameters
    ----------
    texts : iterable of (path, text)

    Raises
    ------
    DeploymentsError
        If a text is neither TOML nor JSON, or its outermost keys are not those of a deployments file.
    """
    found = Examination()
    entries: list[tuple[Deployment, Entry[DeploymentsError]]] = []
    listings = []
    for path, text in texts:
        if is_json(text):
            listings.append((path, read_listing(text, path)))
            continue
        file = TomlFile(path, text, DeploymentsError)
        file.expect("deployment")
        for entry in file.entries("deployment", called_by="name"):
            deployment = _examine(entry, found.problems)
            if deployment is not None:
                entries.append((deployment, entry))
    regions = {resource: region for _, listing in listings for resource, region in listing.regions.items()}
    listed = set()
    for path, listing in listings:
        found.notes.extend(f"{path}: {note}" for note in listing.notes)
        found.problems.extend(DeploymentsError(path, record, reason) for record, reason in listing.strange)
        for number, (facts, created, notes) in enumerate(listing.deployments, start=1):
            called = called_entry("deployment", number, facts.get("name"))
            found.notes.extend(f"{path}, {called}: {note}" for note in notes)
            region = regions.get(arm_resource(str(facts.get("resource", ""))))
            entry = Entry(({"region": region} if region else {}) | facts, partial(_refuse, path, called))
            deployment = _examine(entry, found.problems)
            if deployment is None:
                continue
            if deployment in listed:
                found.notes.append(f"{path}, {called}: is listed twice, with the same facts")
                continue
            listed.add(deployment)
            entries.append((deployment, entry))
            if created is not None:
                found.created[deployment] = created
    overlaps = dict(find_overlaps(deployment for deployment, _ in entries))
    found.problems.extend(entries[place][1].refuse(reason) for place, reason in overlaps.items())
    found.deployments.extend(deployment for place, (deployment, _) in enumerate(entries) if place not in overlaps)
    return found


def _refuse(path: str, called: str, reason: str, *_: str) -> DeploymentsError:
    return DeploymentsError(path, called, reason)


def _examine(entry: Entry[DeploymentsError], problems: list[DeploymentsError]) -> Deployment | None:
    """Make a deployment of an entry, or add all that is wrong with it to the problems."""
    before = len(problems)
    facts = entry.sound(problems, texts=_TEXTS, days=_DAYS, others=_OTHERS)
    _require(entry, facts, _REQUIRED, problems)
    for key, allowed in _NAMED:
        if key in facts and (facts[key].strip() or key not in _REQUIRED):
            same = listed_name(facts[key], allowed)
            if same is None:
                choice = ", ".join(filter(None, allowed))
                reason = f"{key} {shorten(facts[key], 60)} is not known; it is one of {choice}"
                problems.append(entry.refuse(reason, key))
            facts[key] = same
    _examine_days(entry, facts, problems)
    _examine_units(entry, facts, problems)
    facts["aliases"] = _aliases(entry, facts, problems)
    if len(problems) > before:
        return None
    facts["resource"] = arm_resource(facts.get("resource", ""))
    facts["tier"] = tier_of(facts["sku"], facts.get("tier", "default"))
    facts["region"] = arm_region(facts.get("region", "")) or None
    return Deployment(**facts)


def _require(
    entry: Entry[DeploymentsError], facts: Mapping[str, Any], keys: Iterable[str], problems: list[DeploymentsError]
) -> None:
    for key in keys:
        if key not in entry.facts:
            problems.append(entry.refuse(f"has no {key}"))
        elif key in facts and not facts[key].strip():
            problems.append(entry.refuse(f"has no {key}", key))


def _examine_days(entry: Entry[DeploymentsError], facts: Mapping[str, Any], problems: list[DeploymentsError]) -> None:
    first, end = facts.get("active_from"), facts.get("active_to")
    if first is not None and end is not None and first >= end:
        problems.append(entry.refuse(f"active_to {end} must come after active_from {first}", "active_to"))


def _examine_units(entry: Entry[DeploymentsError], facts: Mapping[str, Any], problems: list[DeploymentsError]) -> None:
    units, sku = facts.get("ptu_units"), facts.get("sku")
    if units is None:
        return
    if isinstance(units, bool) or not isinstance(units, int) or units < 1:
        reason = f"ptu_units must be a whole number of at least 1, found {shorten(units, 60)}"
        problems.append(entry.refuse(reason, "ptu_units"))
    elif sku and not sku.endswith("ProvisionedManaged"):
        problems.append(
            entry.refuse(f"has ptu_units, but its sku {shorten(sku, 60)} is not a provisioned one", "ptu_units")
        )


def _aliases(
    entry: Entry[DeploymentsError], facts: Mapping[str, Any], problems: list[DeploymentsError]
) -> tuple[Alias, ...]:
    raw = facts.get("aliases", [])
    if not isinstance(raw, list) or not all(isinstance(one, dict) for one in raw):
        reason = 'aliases must be a list such as [{ name = "chat-old", active_to = 2026-08-01 }]'
        problems.append(entry.refuse(f"{reason}, found {shorten(raw, 60)}", "aliases"))
        return ()
    aliases = []
    for number, one in enumerate(raw, start=1):
        inner = entry.within(one, f"alias {number}", "aliases")
        before = len(problems)
        sound = inner.sound(problems, texts=("name", "resource"), days=_DAYS)
        _require(inner, sound, ("name",), problems)
        _examine_days(inner, sound, problems)
        if len(problems) > before:
            continue
        alias = Alias(**sound | {"resource": arm_resource(sound.get("resource", ""))})
        if _apart(alias, facts):
            problems.append(inner.refuse("shares no day with the deployment, whose life holds the days of every name"))
        aliases.append(alias)
    return tuple(aliases)


def _apart(alias: Alias, facts: Mapping[str, Any]) -> bool:
    first, end = facts.get("active_from"), facts.get("active_to")
    return (end is not None and alias.active_from is not None and alias.active_from >= end) or (
        first is not None and alias.active_to is not None and alias.active_to <= first
    )


def deployments_toml(examination: Examination) -> str:
    """Write deployments as a TOML file that reads back the same, with comments for what is left to fill in."""
    tables = (_toml_lines(one, examination.created.get(one)) for one in examination.deployments)
    return "\n\n".join(map("\n".join, tables))


def _toml_lines(deployment: Deployment, created: date | None) -> list[str]:
    lines = ["[[deployment]]"]
    for one in fields(Deployment):
        value = getattr(deployment, one.name)
        if one.name == "tier" and value == tier_of(deployment.sku, "default"):
            continue
        if value:
            lines.append(f"{one.name} = {_toml_value(value)}")
        elif one.name == "region":
            lines.append('# region = ""')
        elif one.name == "ptu_units" and deployment.sku.endswith("ProvisionedManaged"):
            lines.append("# ptu_units = 0")
        elif one.name == "active_from" and created is not None:
            lines.append(f"# active_from = {created}")
    return lines


def _toml_value(value: Any) -> str:
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, Alias):
        found = ((one.name, getattr(value, one.name)) for one in fields(Alias))
        return f"{{ {', '.join(f'{key} = {_toml_value(one)}' for key, one in found if one)} }}"
    return str(value)
