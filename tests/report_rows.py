"""Reports made by hand that have something of everything, for the tests of how they look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pandas as pd

from aoai_cost import Deployment, Deployments, Usage
from aoai_cost.logs import Counts, FileCounts, Group, GroupKey, UsageSums

FIRST, DAYS = date(2026, 8, 20), 60
DEPLOYMENTS = Deployments(
    [
        Deployment("aoai-one", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral"),
        Deployment("aoai-two", "chat", "gpt-4o-mini", "2024-07-18", "DataZoneStandard", "eastus2"),
        Deployment("aoai-two", "regional", "gpt-4o-mini", "2024-07-18", "Standard", "eastus2"),
        Deployment("aoai-one", "agent", "gpt-5.6-sol", "2026-07-09", "GlobalStandard", "swedencentral"),
        Deployment("aoai-one", "nightly", "gpt-4o", "2024-11-20", "GlobalBatch", "swedencentral"),
        Deployment("aoai-one", "embed", "text-embedding-3-large", "1", "GlobalStandard", "swedencentral"),
        Deployment(
            "aoai-two", "ptu", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15,
            active_from=date(2026, 9, 10),
        ),
        Deployment("aoai-one", "tuned", "gpt-4o-mini", "2024-07-18", "Standard", "swedencentral", fine_tuned="ft"),
    ]
)  # fmt: skip


def usage_sums(groups: Iterable[tuple[GroupKey, Group]], days: int = DAYS, notes: str = "log.jsonl") -> UsageSums:
    """What a log with these groups would be read as."""
    found = tuple(groups)
    return UsageSums(
        groups=found,
        period=(FIRST, FIRST + timedelta(days=days)),
        formats=("client-log",),
        rejected=pd.DataFrame(
            {"source_file": [notes], "line": [3], "offset": [9], "reason": [notes], "masked_row": [notes]}, dtype=object
        ),
        counts=Counts((FileCounts(notes, rows=len(found) + 1, requests=len(found), rejected=1),), ((notes, 1),)),
        complete=True,
        comparisons=(),
        unmatched=(),
    )


def group(
    deployment: Deployment,
    day: int,
    calls: int,
    *,
    user: str | None = None,
    app: str | None = None,
    band: str = "short",
) -> tuple[GroupKey, Group]:
    """Calls of one day: embeddings have input alone, an agent writes to the cache."""
    tokens = {"input": 1_237 * calls}
    if deployment.name != "embed":
        tokens |= {"cached_input": 311 * calls, "output": 97 * calls}
    if deployment.name == "agent":
        tokens["cache_write"] = 53 * calls
    key = GroupKey(
        FIRST + timedelta(days=day), deployment.resource, deployment.name, deployment.model, deployment.version,
        deployment.region, "default", band, user, app,
    )  # fmt: skip
    failed = calls // 50
    return key, Group(calls, 0, 0, 0, 0, failed, failed // 2, 0, Usage(tokens))


def busy_sums(days: int = DAYS) -> UsageSums:
    """Two months of calls to all of `DEPLOYMENTS`, by two users and an app that is not always told."""
    groups = []
    for i, deployment in enumerate(DEPLOYMENTS):
        for day in range(days):
            for j, user in enumerate(("ann", "bob")):
                calls = (i * 7_919 + day * 104_729 + j * 31) % 400 + 1
                app = "shop" if day % 3 else None
                groups.append(group(deployment, day, calls, user=user, app=app))
        groups.append(group(deployment, 3, 2, user="ann", app="shop", band="long"))
    return usage_sums(groups, days)
