"""Write docs/accuracy.md: what `count_request` says of recorded requests, beside what the service billed for them."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "docs")]

from generate import markdown  # noqa: E402
from recorded_requests import all_recorded, with_blobs  # noqa: E402

from aoai_cost import count_request  # noqa: E402

ACCURACY = Path(__file__).with_name("accuracy.md")
# Their text is not in the request alone, so that the bounds are the claim.
BY_BOUNDS = ("file", "audio")
# The days of recordings on which a rule hangs, by the ids that the service gave to their answers in the recordings'
# own repositories; such an id begins with the time.
DAYS = {
    date(2025, 3, 14): ("5610dbe4c73d02e8", "fe6ba200f61c5e34"),
    date(2025, 3, 20): ("11fadb4cfe5c7a14", "c40d20700a0ca356", "eb501537dd7488ec", "d6d3cdcdc0167165"),
    date(2025, 3, 21): ("c60decfaac27ced4", "94ea13f645e0cbaa"),
    date(2025, 3, 27): (
        *("a49f585dd826a0af", "565da6e4ff99e672", "f8d6a8f55b51b957"),
        *("3c91270dbb18ec93", "2b27afc17e43ef8c"),
    ),
}
WHY = {
    "eb5265db035e79a8": "recorded of gpt-4.1, by the date of its version, and renamed: as gpt-4.1 it is exact",
    "a3643f5fbf302d06": "the answer names no version: as version 0301 it is exact",
    "dd2b87c34d6d6090": "the usage is hardly the service's own: streams told none before 2024",
    "7dba658bd3ce815a": "not known; its answer of one token says that the recording was written by hand",
}
DAY_OF = {one: day for day, recordings in DAYS.items() for one in recordings}
HEAD = """\
# How exact the counts are

Generated from recorded requests by `make accuracy`; a test compares where the recordings are. Each is a request of a
public repository's own tests with the usage that OpenAI or Azure returned for it. All that stand for themselves are
here: no stored state, no failed or doubtful recordings. `count_request` was given the body and the model that answered.

*Exact* is the share whose count equals the billed input tokens; *error* is the mean of the absolute differences in
percent of what was billed. The prompts of most are short, so that a token or two are percents. What is exact by rules
fitted without the repository that is counted, and what each rule rests on, is in [leave-one-out.md](leave-one-out.md).
"""

DATED = f"""\
In the first days of the Responses API the service added text of its own on gpt-4o. {len(DAY_OF)} of the recordings
are of those days, and count as misses above, where no day is told. `count_request` and `estimate_request` know them by
`on=`.

"""


class Scored(NamedTuple):
    """A recorded request, what was billed (more than once where it was recorded so), and what was counted."""

    vector: dict[str, Any]
    billed: frozenset[int]
    counted: int
    bounds: tuple[int, int | None]
    certainty: str

    @property
    def exact(self) -> bool:
        """Whether the count is what was billed."""
        return self.counted in self.billed

    @property
    def contained(self) -> bool:
        """Whether the bounds hold what was billed."""
        least, most = self.bounds
        return any(least <= tokens and (most is None or tokens <= most) for tokens in self.billed)

    @property
    def off(self) -> int:
        """How many tokens more were billed than counted."""
        return min((tokens - self.counted for tokens in self.billed), key=abs)


def score(folder: Path, *, dated: bool = False) -> list[Scored]:
    """Count every recorded request of the folder of test data that stands for itself; if `dated`, by its day."""
    found = []
    for vector in all_recorded(folder):
        body = with_blobs(vector["request_body"], folder)
        day = DAY_OF.get(vector["id"]) if dated else None
        count = count_request(body, model=vector["response_model"], api=vector["api"], on=day)
        billed = frozenset({vector["prompt_tokens"], *(vector.get("alt_prompt_tokens") or ())})
        found.append(Scored(vector, billed, count.input_tokens, count.bounds, count.certainty))
    return found


def accuracy(scored: list[Scored], dated: list[Scored]) -> str:
    """Return the page, of counts by the rules of today and of counts by the day where it matters."""
    groups = by(scored, "category")
    counted = [one for one in scored if one.vector["category"] not in BY_BOUNDS]
    lines = [("Kind", "Requests", "Exact", "Error")]
    lines += [row(name, groups[name]) for name in sorted(groups) if name not in BY_BOUNDS]
    lines += [row("all of these", counted)]
    parts = [HEAD, "\n## By kind of request\n\n", markdown(lines)]
    for name in BY_BOUNDS:
        held = sum(one.contained for one in groups[name])
        parts.append(f"\n{name.title()}: the bounds hold what was billed in {held} of {len(groups[name])}.\n")
    parts += ["\n## What a certainty is worth\n\n", markdown(certainties(scored))]
    parts += ["\n## When the day is known\n\n", DATED, markdown(by_day(scored, dated))]
    sources = defaultdict(list)
    for one in counted:
        sources[repository(one)].append(one)
    mean = sum(map(exact_percent, sources.values())) / len(sources)
    lines = [("Repository", "Requests", "Exact", "Error"), *(row(name, sources[name]) for name in sorted(sources))]
    parts += [f"\n## By repository\n\nExact in {mean:.1f} % on the mean over repositories.\n\n", markdown(lines)]
    parts += ["\n## What is not exact, and why\n\n", markdown(misses(counted, dated))]
    return "".join(parts)


def by(scored: Iterable[Scored], field: str) -> dict[str, list[Scored]]:
    """Group by a field of the recordings."""
    groups: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        groups[one.vector[field]].append(one)
    return groups


def exact_percent(group: list[Scored]) -> float:
    """Return the share of exact counts."""
    return 100 * sum(one.exact for one in group) / len(group)


def row(name: str, group: list[Scored]) -> tuple[str, ...]:
    """Return a line on one group."""
    error = 100 * sum(abs(one.off) / (one.counted + one.off) for one in group) / len(group)
    return name, f"{len(group):,}", f"{exact_percent(group):.1f} %", f"{error:.2f} %"


def certainties(scored: list[Scored]) -> list[tuple[str, ...]]:
    """Return a line on each certainty: how many are so marked, and whether the bounds hold what was billed."""
    lines = [("Certainty", "Requests", "Share", "Bounds hold what was billed", "Mean width of the bounds")]
    for certainty in ("exact", "estimated", "lower_bound"):
        group = [one for one in scored if one.certainty == certainty]
        widths = [100 * (one.bounds[1] - one.bounds[0]) / one.counted for one in group if one.bounds[1] is not None]
        lines.append(
            (
                certainty,
                f"{len(group):,}",
                f"{100 * len(group) / len(scored):.1f} %",
                f"{100 * sum(one.contained for one in group) / len(group):.1f} %",
                f"{sum(widths) / len(widths):.1f} %" if widths else "open",
            )
        )
    return lines


def by_day(scored: list[Scored], dated: list[Scored]) -> list[tuple[str, ...]]:
    """Return a line on the counts without and with the days that are known."""
    lines = [("", "Exact", "Error", "*exact* is right", "*estimated* holds")]
    for name, group in (("by the rules of today", scored), ("by the day", dated)):
        counted = [one for one in group if one.vector["category"] not in BY_BOUNDS]
        held = []
        for certainty in ("exact", "estimated"):
            such = [one for one in group if one.certainty == certainty]
            held.append(f"{100 * sum(one.contained for one in such) / len(such):.1f} %")
        lines.append((name, *row("", counted)[2:], *held))
    return lines


def misses(counted: list[Scored], dated: list[Scored]) -> list[tuple[str, ...]]:
    """Return a line on each count that is not exact."""
    lines = [("Recording", "Model", "Kind", "Billed", "Counted", "Why")]
    told = {one.vector["id"]: one for one in dated}
    for one in counted:
        if not one.exact:
            billed = "/".join(map(str, sorted(one.billed)))
            vector = one.vector
            model = f"{vector['response_model']} ({vector['api']})"
            why = cause(one, told[vector["id"]])
            lines.append((vector["id"], model, vector["category"], billed, str(one.counted), why))
    return lines


def cause(one: Scored, dated: Scored) -> str:
    """Say why a count is not exact, as far as is known."""
    if one.certainty == "lower_bound":
        return "a part that only the service can count, named in the notes; within the bounds"
    if (day := DAY_OF.get(one.vector["id"])) is not None:
        found = "exact" if dated.exact else "within the bounds" if dated.contained else "and still not all"
        return f"text of the service's own: by the day, {day}, it is {dated.counted}, {found}"
    if one.contained:
        return "estimated; within the bounds"
    return WHY.get(one.vector["id"], "not known")


def repository(one: Scored) -> str:
    """Return the repository, or the published package, whose tests hold a recording."""
    return str(one.vector["source"]).split()[0].removeprefix("sdist:")


if __name__ == "__main__":
    data = Path(os.environ.get("AOAI_COST_TEST_DATA", ROOT.parent / "shared"))
    if not (data / "ground_truth").is_dir():
        sys.exit(f"no recorded requests in {data}: set AOAI_COST_TEST_DATA to the folder that holds ground_truth/")
    ACCURACY.write_text(accuracy(score(data), score(data, dated=True)), encoding="utf-8")
