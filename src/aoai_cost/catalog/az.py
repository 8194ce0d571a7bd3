"""What Azure itself says of deployments, as JSON: from the `az` tool or from the REST API behind it.

Sources: the REST API ``Microsoft.CognitiveServices/accounts/deployments`` (Azure/azure-rest-api-specs,
specification/cognitiveservices, api-version 2025-10-01-preview) and the answers that azure-cli keeps for its tests
(test_cognitiveservices_deployment.yaml).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, NamedTuple

from ..errors import DeploymentsError, shorten
from .deployments import arm_region, arm_resource
from .models import is_fine_tuned, split_model_name

__all__ = ["AzDeployment", "AzListing", "is_json", "read_listing"]

# A TOML file too may begin with brackets, but then comes a name.
_JSON = re.compile(r"\s*(?:\[\s*)*[{\]]")
_BLANKS = re.compile(r"\s*")
_CHILD = re.compile("/deployments/", re.IGNORECASE)


class AzDeployment(NamedTuple):
    """What one record says of a deployment, in our words, and what is worth telling about it."""

    facts: dict[str, Any]
    created: date | None
    notes: tuple[str, ...]


class AzListing(NamedTuple):
    """What one file of JSON says.

    Attributes
    ----------
    deployments : list of AzDeployment
    regions : dict
        The region of each account in the file, by its ARM id in lower case.
    strange : list of (str, str)
        What was found instead of deployments and accounts, and why it cannot be used.
    notes : list of str
    """

    deployments: list[AzDeployment]
    regions: dict[str, str]
    strange: list[tuple[str, str]]
    notes: list[str]


def is_json(text: str) -> bool:
    """Tell JSON from TOML by how a text begins.

    Examples
    --------
    >>> is_json('[[{"name": "chat"}]]'), is_json("[[deployment]]")
    (True, False)
    """
    return _JSON.match(text) is not None


def read_listing(text: str, path: str) -> AzListing:
    """Read what ``az cognitiveservices account deployment list -o json`` prints, of one account or several.

    Lists may stand in lists (``jq -s``), in the ``value`` of a REST answer, or one after another (``>>``). Records of
    ``az cognitiveservices account list -o json`` may stand among them; they tell the regions.

    Raises
    ------
    DeploymentsError
        If the text is not JSON.
    """
    listing = AzListing([], {}, [], [])
    more = False
    for document in _documents(text, path):
        more = isinstance(document, dict) and bool(document.get("nextLink"))
        for record in _records(document):
            _add(listing, record)
    if more:
        listing.notes.append("the last page has a nextLink: there are more deployments than this file lists")
    return listing


def _documents(text: str, path: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    place = _end_of_blanks(text, 0)
    while place < len(text):
        try:
            document, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            reason = f"is not JSON that can be read: {error.msg}"
            raise DeploymentsError(path, f"line {error.lineno}", reason) from error
        except (ValueError, RecursionError) as error:
            raise DeploymentsError(path, "", "is not JSON that can be read") from error
        yield document
        place = _end_of_blanks(text, place)


def _end_of_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return place if found is None else found.end()


def _records(document: Any) -> Iterator[Any]:
    """Yield the records of lists in lists, in their order."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        inner = one.get("value") if isinstance(one, dict) else one
        if isinstance(inner, list):
            waiting.extend(reversed(inner))
        else:
            yield one


def _add(listing: AzListing, record: Any) -> None:
    called, reason = f"record {shorten(record, 60)}", "is neither a deployment nor an account"
    # `--query` may have dropped the type; an account has a kind, and a deployment has none.
    kind = str(_part(record, "type") or "").lower()
    if kind.endswith("/deployments") or (not kind and _part(record, "name") is not None and "kind" not in record):
        found = _deployment(record)
        if _is_unicode(found.facts.values()):
            listing.deployments.append(found)
            return
        reason = "holds half of a character (a lone surrogate), which is no text"
    elif kind.endswith("/accounts") or (not kind and _part(record, "kind") is not None):
        account, region = record.get("id"), record.get("location")
        if isinstance(account, str) and isinstance(region, str):
            listing.regions[arm_resource(account)] = arm_region(region)
            return
        reason = "is an account without an id or a location"
    listing.strange.append((called, reason))


def _is_unicode(values: Iterable[Any]) -> bool:
    return not any("\ud800" <= one <= "\udfff" for value in values if isinstance(value, str) for one in value)


def _part(record: Any, *keys: str) -> Any:
    for key in keys:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _deployment(record: dict[str, Any]) -> AzDeployment:
    arm, name = record.get("id"), record.get("name")
    model, version = _part(record, "properties", "model", "name"), _part(record, "properties", "model", "version")
    sku, capacity = _part(record, "sku", "name"), _part(record, "sku", "capacity")
    facts: dict[str, Any] = {
        "resource": _CHILD.split(arm)[0] if isinstance(arm, str) and _CHILD.search(arm) else None,
        # `az resource list` writes account/deployment.
        "name": name.rpartition("/")[2] if isinstance(name, str) else name,
        "model": model,
        "version": version,
        "sku": sku,
        "region": record.get("location"),
        # Default or Priority, since 2025-10-01-preview.
        "tier": _part(record, "properties", "serviceTier"),
    }
    provisioned = isinstance(sku, str) and sku.lower().endswith("provisionedmanaged")
    if provisioned:
        facts["ptu_units"] = capacity
    if isinstance(model, str) and is_fine_tuned(model):
        # The version of a fine-tuned model counts its trainings; the base model's stands in its name.
        facts["model"], facts["version"] = split_model_name(model)
        facts["fine_tuned"] = "dev_ft" if isinstance(sku, str) and sku.lower() == "developertier" else "ft"
    notes = []
    state, form = _part(record, "properties", "provisioningState"), _part(record, "properties", "model", "format")
    if state is not None and state != "Succeeded":
        notes.append(f"its provisioningState is {shorten(state, 60)}")
    if isinstance(form, str) and not form.lower().startswith("openai"):
        notes.append(f"its model is of {shorten(form, 60)}, not of OpenAI, and the bundled price sheets do not know it")
    if sku is None and _part(record, "properties", "scaleSettings") is not None:
        notes.append("it was listed by an API before 2023-05-01, which tells no sku; a newer az does")
    if provisioned and capacity is None:
        notes.append("its sku has no capacity, so no PTU hours can be priced")
    return AzDeployment(
        {key: value for key, value in facts.items() if value is not None},
        _day(_part(record, "systemData", "createdAt")),
        tuple(notes),
    )


def _day(stamp: Any) -> date | None:
    try:
        return date.fromisoformat(stamp[:10])
    except (TypeError, ValueError):
        return None
