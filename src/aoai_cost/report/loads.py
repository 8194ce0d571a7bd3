"""Calls that are priced alike, and the deployment that selects their prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from ..catalog import Deployment, Deployments, same_resource, split_model_name
from ..logs import Group, GroupKey, UsageSums
from ..prices import PriceBook

__all__ = ["Load", "Names", "Workload"]


class Names(NamedTuple):
    """By what a report can be split; the resource is in the log's words."""

    resource: str | None
    deployment: str | None
    model: str | None
    version: str | None
    sku: str | None
    region: str | None
    tier: str | None
    user: str | None
    app: str | None

    @classmethod
    def of(cls, deployment: Deployment, user: str | None = None, app: str | None = None) -> Names:
        """Return the names of what a deployment serves."""
        one = deployment
        return cls(one.resource, one.name, one.model, one.version, one.sku, one.region, one.tier, user, app)


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of one day, one user and one app that are priced alike.

    ``served`` selects the prices; where nothing is known that could, it is None and ``reason`` says why. ``notes`` are
    what is to be said of it. Each call counts ``weight`` times: 1 but for loads that are imagined.
    """

    key: GroupKey
    group: Group
    served: Deployment | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    weight: int | Fraction = 1

    @property
    def names(self) -> Names:
        """By what a report can be split."""
        key = self.key
        if self.served is not None:
            return Names.of(self.served, key.user, key.app)
        return Names(
            key.resource, key.deployment, key.model, key.version, None, key.region, key.tier, key.user, key.app
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """All that a report prices.

    ``timed`` are the deployments that cost by the hour, PTU and fine-tuned ones, on the days of ``log.period`` on which
    they live. ``log`` tells how the calls were read. ``assumptions`` are the notes of what was imagined, and
    ``estimated`` says whether the amounts hang on them.
    """

    loads: tuple[Load, ...]
    timed: tuple[Deployment, ...]
    deployments: Deployments
    prices: PriceBook
    log: UsageSums
    assumptions: tuple[str, ...] = ()
    estimated: bool = False

    def assuming(self, *notes: str, estimated: bool = False) -> Workload:
        """Return the workload with more assumptions."""
        told = tuple(dict.fromkeys((*self.assumptions, *notes)))
        return replace(self, assumptions=told, estimated=self.estimated or estimated)

    @classmethod
    def of(cls, log: UsageSums, deployments: Deployments, prices: PriceBook) -> Workload:
        """Find what selects the prices of each group of a log."""
        logged = _names_in_log((key for key, _ in log.groups), deployments)
        return cls(
            loads=tuple(_served(key, group, deployments, logged) for key, group in log.groups),
            timed=tuple(
                replace(one, resource=logged.get(one.resource, one.resource))
                for one in deployments
                if one.ptu_units or one.fine_tuned
            ),
            deployments=deployments,
            prices=prices,
            log=log,
        )


def _names_in_log(keys: Iterable[GroupKey], deployments: Deployments) -> dict[str, str]:
    """Return how a log names the resources of the deployments file; under an alias it may name another one."""
    logged: dict[str, str] = {}
    for key in keys:
        found = None if key.day is None else deployments.find(key.resource, key.deployment, key.day)
        if found is not None and key.resource is not None and same_resource(found.resource, key.resource):
            logged.setdefault(found.resource, key.resource)
    return logged


def _served(key: GroupKey, group: Group, deployments: Deployments, logged: Mapping[str, str]) -> Load:
    """Find what selects the prices of a group."""
    if key.day is None:
        return Load(key, group, None, "the log does not say when the call was made, so no dated price can be chosen")
    found = deployments.find(key.resource, key.deployment, key.day)
    if found is None:
        return Load(key, group, None, deployments.why(key.resource, key.deployment, key.day))
    notes: tuple[str, ...] = ()
    # What was served is what is billed: it wins over what the file says was deployed.
    if key.model is not None and split_model_name(key.model)[0] != split_model_name(found.model)[0]:
        notes = (f"the log says {key.model} was served, the deployments file says {found.model}",)
    served = replace(
        found,
        resource=logged.get(found.resource, found.resource),
        model=key.model if key.model is not None else found.model,
        version=key.version if key.model is not None else found.version,
        region=found.region if found.region is not None else key.region,
        tier=key.tier if key.tier is not None else found.tier,
    )
    return Load(key, group, served, notes=notes)
