"""What a deployment is: its model, sku, region and tier, and the names under which logs know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from ..errors import DeploymentsError, shorten

__all__ = [
    "FINE_TUNED",
    "SKUS",
    "TIERS",
    "Alias",
    "Deployment",
    "Deployments",
    "account_of_host",
    "arm_region",
    "arm_resource",
    "find_overlaps",
    "listed_name",
    "same_resource",
    "tier_of",
]

_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".openai.azure.us")

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


def arm_resource(name: str) -> str:
    """Return the ARM id, or the bare name, of an account in the spelling in which accounts are compared.

    Examples
    --------
    >>> arm_resource("Contoso/ ")
    'contoso'
    """
    return name.strip().rstrip("/").lower()


def account_of_host(host: str) -> str | None:
    """Return the name of the account that a host belongs to; None for a host that is not one of Azure's.

    Examples
    --------
    >>> account_of_host("Contoso.openai.azure.com"), account_of_host("api.openai.com")
    ('contoso', None)
    """
    host = host.lower()
    return (host.partition(".")[0] or None) if host.endswith(_AZURE_HOSTS) else None


def same_resource(one: str, other: str) -> bool:
    """Tell whether two names may be those of one account: an ARM id and its last segment may.

    Examples
    --------
    >>> same_resource("/subscriptions/0/.../accounts/contoso", "Contoso")
    True
    """
    one, other = arm_resource(one), arm_resource(other)
    # Two ARM ids that differ are two accounts, whatever their last segments are.
    return one == other or (not ("/" in one and "/" in other) and one.rpartition("/")[2] == other.rpartition("/")[2])


def tier_of(sku: str, tier: str) -> str:
    """Return the tier that is served: batch skus have one, whatever is asked."""
    return "batch" if sku.endswith("Batch") else tier


_SHOWN = (
    *("resource", "name", "model", "version", "sku", "region", "tier", "ptu_units", "fine_tuned"),
    *("active_from", "active_to"),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name under which logs know a deployment, as after it was renamed or moved to another account.

    ``resource`` is the account of that time; empty, it is the deployment's own. ``active_from`` and ``active_to`` bound
    the days of the name, the second day no longer in them.
    """

    name: str
    resource: str = ""
    active_from: date | None = None
    active_to: date | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment and what selects its prices.

    ``resource`` is the ARM id or the bare name of the account; ``active_from`` and ``active_to`` bound its life, the
    second day no longer in it. ``ptu_units`` are the provisioned throughput units bought. ``aliases`` are other names
    that it had in its life. One that was upgraded in place is two deployments whose lives adjoin.
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
    aliases: tuple[Alias, ...] = ()

    def __post_init__(self) -> None:
        if not self.sku:
            raise DeploymentsError(
                "", f"deployment {shorten(self.name)}", f"has no sku; the skus are {', '.join(SKUS)}"
            )

    def _repr_html_(self) -> str:
        from .. import markup  # counting does without it

        told = [(name.replace("_", " "), getattr(self, name)) for name in _SHOWN if name not in ("resource", "name")]
        aliases = ", ".join(alias.name for alias in self.aliases)
        return markup.result(f"{self.resource}/{self.name}", markup.facts([*told, ("aliases", aliases)]))

    def active_on(self, on: date) -> bool:
        """Tell whether the deployment lives on this day."""
        return (self.active_from is None or self.active_from <= on) and (self.active_to is None or on < self.active_to)

    def life_in(self, period: tuple[date, date]) -> tuple[date, date]:
        """Return the first day of its life in a period, and the day after the last one; no later if it has no day."""
        return max(period[0], self.active_from or period[0]), min(period[1], self.active_to or period[1])


class _Known(NamedTuple):
    """A name that a deployment has, its own or an alias, from the day `first` until before `end`, as ordinals."""

    resource: str
    name: str
    first: int
    end: int
    alias: bool
    deployment: Deployment


def _known(deployment: Deployment) -> Iterator[_Known]:
    """Yield a deployment's own name and its aliases, which answer on days of its life alone."""
    own = Alias(deployment.name)
    for alias in (own, *deployment.aliases):
        firsts = [one.toordinal() for one in (alias.active_from, deployment.active_from) if one is not None]
        ends = [one.toordinal() for one in (alias.active_to, deployment.active_to) if one is not None]
        yield _Known(
            arm_resource(alias.resource or deployment.resource),
            alias.name,
            max(firsts, default=date.min.toordinal()),
            min(ends, default=date.max.toordinal() + 1),
            alias is not own,
            deployment,
        )


def find_overlaps(deployments: Iterable[Deployment]) -> Iterator[tuple[int, str]]:
    """Yield the place of each deployment of which a name shares a day with the same name of another, and the reason."""
    groups: dict[tuple[str, str], list[tuple[int, _Known]]] = {}
    for place, deployment in enumerate(deployments):
        for known in _known(deployment):
            groups.setdefault((known.resource, known.name.lower()), []).append((place, known))
    found: dict[int, str] = {}
    for group in groups.values():
        end = 0
        for place, known in sorted(group, key=lambda entry: entry[1].first):
            if known.first < min(end, known.end):
                reason = "shares days with another entry of the same resource and name; bound them with active_to"
                if known.alias:
                    reason = f"alias {shorten(known.name, 60)} {reason}"
                found.setdefault(place, reason)
            else:
                end = max(end, known.end)
    yield from sorted(found.items())


class Deployments:
    """Deployments that can be found by resource, name and day.

    Names and resources are compared without regard to case. A log may name a resource by its ARM id and the file by
    its account name, or the other way round: that is accepted while it is unambiguous, as is a name without a resource.
    A deployment answers to its aliases too, on their days.

    Parameters
    ----------
    deployments : iterable of Deployment
    path : str, optional
        The file that they come from; errors and reasons name it.

    Raises
    ------
    DeploymentsError
        If two entries of one resource and name share a day, aliases included.
    """

    def __init__(self, deployments: Iterable[Deployment], *, path: str = "") -> None:
        self._all, self._path = tuple(deployments), path
        self._by_name: dict[str, list[_Known]] = {}
        for deployment in self._all:
            for known in _known(deployment):
                self._by_name.setdefault(known.name.lower(), []).append(known)
        for place, reason in find_overlaps(self._all):
            raise DeploymentsError(path, f"deployment {place + 1} ({shorten(self._all[place].name, 60)})", reason)

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __eq__(self, other: object) -> bool:
        return self._all == other._all if isinstance(other, Deployments) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._all)

    def __repr__(self) -> str:
        return f"Deployments({len(self._all)} entries)"

    def _repr_html_(self) -> str:
        from .. import markup  # counting does without it

        used = [name for name in _SHOWN if any(getattr(one, name) not in (None, "", "default") for one in self._all)]
        rows = (["" if (value := getattr(one, name)) is None else value for name in used] for one in self._all)
        headings = [name.replace("_", " ") for name in used]
        listed = markup.first_rows(headings, rows, len(self._all), all_in="list(...)")
        return markup.result(f"{len(self._all):,} deployments", listed)

    def find(self, resource: str | None, name: str | None, on: date) -> Deployment | None:
        """Find the deployment that lived on a day; None if there is none or more than one (`why` tells)."""
        living = _living(self._candidates(resource, name), on)
        return living[0].deployment if len(living) == 1 else None

    def why(self, resource: str | None, name: str | None, on: date) -> str:
        """Say in one sentence why `find` has no answer; empty where it has one."""
        if not self._all:
            given = f"the deployments file {shorten(self._path)} has no entries" if self._path else ""
            return f"{given or 'no deployments file was given'}, so the type (sku) of the deployment is not known"
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
        living = _living(candidates, on)
        if not living:
            return f"deployment {shown} is in the deployments file, but not active on {on.isoformat()}"
        if len(living) == 1:
            return ""
        places = ", ".join(sorted(shorten(one.resource, 60) for one in living)[:3])
        return (
            f"deployment {shown} is ambiguous: {len(living)} resources have one ({places}), and which one is not said"
        )

    def _candidates(self, resource: str | None, name: str | None) -> list[_Known]:
        """Return the names that the log may mean, of the most exact kind of match that has any."""
        if not name:
            return []
        named = self._by_name.get(name.lower(), [])
        if not resource:
            return named
        wanted = arm_resource(resource)
        exact = [one for one in named if one.resource == wanted]
        return exact or [one for one in named if same_resource(one.resource, wanted)]


def _living(known: Iterable[_Known], on: date) -> list[_Known]:
    """Return the names that are in use on a day, one per deployment."""
    day = on.toordinal()
    return list({one.deployment: one for one in known if one.first <= day < one.end}.values())
