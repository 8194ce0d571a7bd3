"""Write docs/accuracy.md: what `count_request` says of recorded requests, beside what the service billed for them."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
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
HEAD = """\
# How exact the counts are

Generated from recorded requests by `make accuracy`; a test compares where the recordings are. Each is a request of a
public repository's own tests with the usage that OpenAI or Azure returned for it. All that stand for themselves are
here: no stored state, no failed or doubtful recordings. `count_request` was given the body and the model that answered.

*Exact* is the share whose count equals the billed input tokens; *error* is the mean of the absolute differences in
percent of what was billed. The prompts of most are short, so that a token or two are percents. What is exact by rules
fitted without the repository that is counted, and what each rule rests on, is in [leave-one-out.md](leave-one-out.md).
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


def score(folder: Path) -> list[Scored]:
    """Count every recorded request of the folder of test data that stands for itself."""
    found = []
    for vector in all_recorded(folder):
        body = with_blobs(vector["request_body"], folder)
        count = count_request(body, model=vector["response_model"], api=vector["api"])
        billed = frozenset({vector["prompt_tokens"], *(vector.get("alt_prompt_tokens") or ())})
        found.append(Scored(vector, billed, count.input_tokens, count.bounds, count.certainty))
    return found


def accuracy(scored: list[Scored]) -> str:
    """Return the page."""
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
    sources = defaultdict(list)
    for one in counted:
        sources[repository(one)].append(one)
    mean = sum(map(exact_percent, sources.values())) / len(sources)
    lines = [("Repository", "Requests", "Exact", "Error"), *(row(name, sources[name]) for name in sorted(sources))]
    parts += [f"\n## By repository\n\nExact in {mean:.1f} % on the mean over repositories.\n\n", markdown(lines)]
    parts += ["\n## What is not exact, and why\n\n", markdown(misses(counted))]
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


def misses(counted: list[Scored]) -> list[tuple[str, ...]]:
    """Return a line on each count that is not exact."""
    lines = [("Recording", "Model", "Kind", "Billed", "Counted", "Why")]
    for one in counted:
        if not one.exact:
            billed = "/".join(map(str, sorted(one.billed)))
            vector = one.vector
            model = f"{vector['response_model']} ({vector['api']})"
            lines.append((vector["id"], model, vector["category"], billed, str(one.counted), cause(one)))
    return lines


def cause(one: Scored) -> str:
    """Say why a count is not exact, as far as is known."""
    vector = one.vector
    if one.certainty == "lower_bound":
        return "a part that only the service can count, named in the notes; within the bounds"
    if vector["response_model"] == "gpt-4o-2024-08-06" and vector["api"] == "responses" and one.off in (18, 216):
        return f"{one.off} tokens of the service's own; the like recorded at other times have none"
    if one.contained:
        return "estimated; within the bounds"
    return "not known"


def repository(one: Scored) -> str:
    """Return the repository, or the published package, whose tests hold a recording."""
    return str(one.vector["source"]).split()[0].removeprefix("sdist:")


if __name__ == "__main__":
    data = Path(os.environ.get("AOAI_COST_TEST_DATA", ROOT.parent / "shared"))
    if not (data / "ground_truth").is_dir():
        sys.exit(f"no recorded requests in {data}: set AOAI_COST_TEST_DATA to the folder that holds ground_truth/")
    ACCURACY.write_text(accuracy(score(data)), encoding="utf-8")
