"""Count recordings by theories, many times over.

What a theory says is in part structure, for which `count_request` counts once, and in part figures that only add up:
those are so large in that count that it says how often each is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from accuracy import Scored, repository
from recorded_requests import with_blobs
from switches import SCHEMA_SWITCHES, TOOL_SWITCHES, left_unwritten
from theories import (
    AS_NEIGHBOUR,
    CHOICES,
    FIGURES,
    MULTIPLIERS,
    OPTIONAL,
    SCHEMA_OF,
    Parameter,
    Theory,
    Value,
    chain,
    family,
)

from aoai_cost import count_request
from aoai_cost.catalog import Model, ToolForm, ToolRule


class Profile(NamedTuple):
    """What of a recording decides which parameters it depends on."""

    model: Model
    api: str
    has_tools: bool
    has_schema: bool


class Recording(NamedTuple):
    """A recorded request that theories count."""

    index: int
    repository: str
    category: str
    billed: frozenset[int]
    body: Any


# Figures by their place in a view, and by their digit where a count is taken apart.
SLOTS = tuple((kind, name) for kind in FIGURES for name in (*FIGURES[kind], *OPTIONAL.get(kind, ())))
# So far apart that what a count has of each figure can be read off it.
DIGIT_BITS = 24


class View(NamedTuple):
    """What a theory is to the recordings of one profile."""

    structure: tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]
    """By kind of rule: all that is no figure, and whether a figure is any."""
    figures: tuple[int, ...]
    """By slot."""
    used: frozenset[Parameter]
    """Every parameter that was asked, those that left it to a neighbour included."""


def view_of(theory: Theory, profile: Profile) -> View:
    """Return what a theory says of the recordings of a profile."""
    used: set[Parameter] = set()
    structure: list[tuple[str, tuple[tuple[str, Value], ...]]] = []
    figures = dict.fromkeys(SLOTS, 0)
    for kind, rule in _rules_of(theory, profile, used):
        said: list[tuple[str, Value]] = []
        for name in FIGURES.get(kind, ()):
            figures[kind, name] = _ask(theory, rule, name, used)
        for name in OPTIONAL.get(kind, ()):
            value = _ask(theory, rule, name, used)
            figures[kind, name] = value or 0
            # None and, for an answer's header, 0 are no figures: something is written otherwise, or not at all.
            said.append((name, None if value is None else bool(value) or name != "answer_tokens"))
        said += [(name, _ask(theory, rule, name, used)) for name in CHOICES.get(kind, ())]
        structure.append((kind, tuple(said)))
    switches = [*TOOL_SWITCHES] * profile.has_tools + [*SCHEMA_SWITCHES] * profile.has_schema
    structure.append(("written", tuple((name, _ask(theory, "written", name, used)) for name in switches)))
    return View(tuple(structure), tuple(figures.values()), frozenset(used))


def _may_ask(profile: Profile, rule: str) -> bool:
    """Tell whether any theory counts a profile by a rule; where not, it need not be asked."""
    kind, _, name = rule.partition(".")
    model = profile.model
    if kind == "models":
        return any(one.rule == rule for one in chain(f"models.{family(model)}", ""))
    if kind == "tool_rule":
        return profile.has_tools and name.endswith(f".{profile.api}")
    if kind == "image_rule":
        return model.image_rule is not None and model.image_rule.name == name
    return {"chat_rule": family(model) is not None, "schema_rule": profile.has_schema}.get(
        kind, profile.has_tools or profile.has_schema
    )


def _rules_of(theory: Theory, profile: Profile, used: set[Parameter]) -> Iterator[tuple[str, str]]:
    """Yield (kind, rule) of each rule of the theory that counts a profile."""
    model, api = profile.model, profile.api
    if (found := family(model)) is not None and api in ("chat", "responses"):
        chat = _ask(theory, f"models.{found}", "chat_rule", used)
        yield "chat_rule", f"chat_rule.{chat}"
        if profile.has_schema:
            yield "schema_rule", f"schema_rule.{SCHEMA_OF[chat]}"
        if profile.has_tools and model.tool_rule is not None:
            form = f"tool_rule.{_ask(theory, f'models.{found}', 'tool_rule', used)}.{api}"
            if form != "tool_rule.functions-2023.responses":
                yield "tool_rule", form
    if model.image_rule is not None and model.image_rule.name in MULTIPLIERS:
        yield "image_rule", f"image_rule.{model.image_rule.name}"


def _ask(theory: Theory, rule: str, name: str, used: set[Parameter]) -> Any:
    for one in chain(rule, name):
        used.add(one)
        if (value := theory[one]) != AS_NEIGHBOUR:
            return value
    raise LookupError(f"nothing says {name} of {rule}")


class Linear(NamedTuple):
    """A count as a sum: what stands for itself, and (slot, how often) of the figures in it."""

    base: int
    times: tuple[tuple[int, int], ...]

    def total(self, figures: tuple[int, ...]) -> int:
        """Return the count with these figures."""
        return self.base + sum(n * figures[slot] for slot, n in self.times)


class Bench:
    """Counts recordings by theories; what a structure makes of a recording is counted once."""

    def __init__(self, scored: Iterable[Scored], folder: Path) -> None:
        self.recordings: list[Recording] = []
        groups: dict[Any, tuple[Profile, list[Recording]]] = {}
        self._linear: dict[Any, Linear] = {}
        for i, one in enumerate(scored):
            vector, body = one.vector, with_blobs(one.vector["request_body"], folder)
            recording = Recording(i, repository(one), vector["category"], one.billed, body)
            self.recordings.append(recording)
            model = count_request(body, model=vector["response_model"], api=vector["api"]).model
            text = repr(body)
            has_tools = any(word in text for word in ("'tools'", "'functions'", "'role': 'tool'", "function_call"))
            profile = Profile(model, vector["api"], has_tools, "'json_schema'" in text)
            groups.setdefault((model.name, model.version, *profile[1:]), (profile, []))[1].append(recording)
        self.profiles = list(groups.values())

    def counts(self, theory: Theory, asking: Iterable[Parameter] = (), but: str = "") -> Iterator[Counting]:
        """Count what depends on one of the parameters (everything where none is named), but for one repository."""
        wanted = frozenset(asking)
        rules = {one.rule for one in wanted}
        for profile, recordings in self.profiles:
            if rules and not any(_may_ask(profile, rule) for rule in rules):
                continue
            view = view_of(theory, profile)
            if wanted and wanted.isdisjoint(view.used):
                continue
            for one in recordings:
                if one.repository != but:
                    key = one.index, view.structure
                    if key not in self._linear:
                        self._linear[key] = _linear(profile, one.body, view)
                    yield Counting(one, self._linear[key], view.figures)


class Counting(NamedTuple):
    """What a theory counts of a recording."""

    recording: Recording
    linear: Linear
    figures: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """The count itself."""
        return self.linear.total(self.figures)

    @property
    def exact(self) -> bool:
        """Whether that is what was billed."""
        return self.tokens in self.recording.billed


def _linear(profile: Profile, body: Any, view: View) -> Linear:
    """Count a recording with figures so large that the count says how often each is in it."""
    told = {kind: dict(said) for kind, said in view.structure}
    for slot, (kind, name) in enumerate(SLOTS):
        if kind in told and told[kind].get(name, True):
            told[kind][name] = 1 << DIGIT_BITS * (slot + 1)
        elif kind in told:
            told[kind][name] = None if told[kind][name] is None else 0
    model = profile.model
    changed: dict[str, Any] = {}
    for kind in told.keys() & {"chat_rule", "schema_rule", "image_rule"}:
        changed[kind] = replace(getattr(model, kind), **told[kind])
    if "tool_rule" in told:
        form = ToolForm(**told["tool_rule"])
        changed["tool_rule"] = ToolRule("theory", "recovered", "", chat=form, responses=form)
    elif "chat_rule" in told:
        changed["tool_rule"] = None
    with left_unwritten(name for name, written in told["written"].items() if not written):
        tokens = count_request(body, model=replace(model, **changed), api=profile.api).input_tokens
    digits = []
    for _ in range(len(SLOTS) + 1):
        half = 1 << DIGIT_BITS - 1
        digit = (tokens + half) % (2 * half) - half
        digits.append(digit)
        tokens = (tokens - digit) >> DIGIT_BITS
    return Linear(digits[0], tuple((slot, n) for slot, n in enumerate(digits[1:]) if n))
